//! The command line.

use std::time::Duration;

use clap::Parser;

use crate::telling::Form;

/// How long it runs where there is no screen, in seconds.
const SECONDS: u64 = 20;

/// What a person typed.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "demo",
    version,
    about = "The main job of Vitalward in one process: a doctor's gateway, patients and wearables, all SIMULATED",
    long_about = "The main job of Vitalward in one process, all SIMULATED: a doctor's gateway, patients, and wearables that\n\
                  replay recorded signals. They pair with codes, log in over real TLS on loopback, send vitals, and\n\
                  receive encrypted emergency broadcasts with receipts, one patient only after its cable is back.",
    after_help = "In a terminal it shows the doctor's console until q; key 2 broadcasts. Without a terminal, or with\n\
                  --seconds or --json, it prints what happens and a summary, and ends with 0 if everything happened\n\
                  that was promised, else with 1. Data lies in a temporary folder that is removed at the end.\n\
                  Not a medical device."
)]
pub struct Args {
    /// How many patients, each with a wearable
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub patients: u16,

    /// Print lines for N seconds, 3 to 86400 (without a terminal: 20); from 14 on a patient is absent for a while
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(3..=86_400))]
    pub seconds: Option<u64>,

    /// Print one JSON object per line: of each program the lines that it prints when it runs alone
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// For whom it is told.
    #[must_use]
    pub const fn form(&self, in_terminal: bool) -> Form {
        match (self.json, self.seconds, in_terminal) {
            (true, ..) => Form::Json,
            (false, None, true) => Form::Silent,
            (false, ..) => Form::Lines,
        }
    }

    /// How long it runs without a screen.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn a_screen_is_shown_only_where_there_is_one_and_nobody_wants_lines() {
        let form = |line: &str, in_terminal| parse(line).unwrap().form(in_terminal);
        assert_eq!(form("demo", true), Form::Silent);
        assert_eq!(form("demo", false), Form::Lines);
        assert_eq!(form("demo --seconds 5", true), Form::Lines);
        assert_eq!(form("demo --json", true), Form::Json);
        assert_eq!(parse("demo --patients 12").unwrap().length(), Duration::from_secs(20));
    }

    #[test]
    fn mistakes_are_refused() {
        for line in
            ["demo --patients 0", "demo --patients 1000", "demo --seconds 1", "demo --seconds x", "demo now"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
