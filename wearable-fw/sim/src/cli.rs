//! The command line: what a person types, checked, and turned into what the device is started with. It opens nothing but
//! the recording.

use std::path::{Path, PathBuf};

use clap::{Args as Arguments, Parser, Subcommand};
use host::{
    command_line::{GivenCode, parse_address},
    datadir,
    exit::{Exit, Stop},
};
use protocol::{
    credential::{ClientKind, Suite},
    id::WearableName,
};

use crate::{
    agent::{DeviceConfig, Pairing, Speed},
    ctl::{CtlArgs, PressArgs},
    evaluate::{Options, goals::Set, plot::Span},
    factory::FactoryArgs,
    firmware::FirmwareArgs,
    fleet::FleetArgs,
    recording::Recording,
    scenario::{Scenario, ScenarioError},
};

/// What a person typed.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "wearable",
    version,
    args_conflicts_with_subcommands = true,
    about = "A SIMULATED wearable: replays recorded signals and sends vitals to a doctor's gateway",
    after_help = "The first time it needs a code: from the clinic (gateway pair --wearable --patient P001) for --pair,\n\
                  or its own (--show-code, or hold the button), which is entered there with --code.\n\
                  Data is kept in --data-dir, else in $VITALWARD_HOME or ~/.local/share/vitalward, wearable-NAME.\n\
                  Not a medical device."
)]
pub struct Args {
    /// Something else than being a device
    #[command(subcommand)]
    pub verb: Option<Verb>,

    /// What people call it
    #[arg(long, value_name = "NAME", default_value = "W001")]
    pub name: WearableName,

    /// Where the gateway takes wearables
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7301", value_parser = parse_address)]
    pub gateway: String,

    /// Pair with the code that the gateway shows; "-" reads it from standard input
    #[arg(long, value_name = "CODE|-", conflicts_with = "show_code")]
    pub pair: Option<GivenCode>,

    /// Pair with a code that this device makes and shows
    #[arg(long)]
    pub show_code: bool,

    /// An own recording in place of the shipped one of its kind (ECG or PPG)
    #[arg(long, value_name = "FILE")]
    pub recording: Option<PathBuf>,

    /// Seconds of record time in a second: 0.1 to 1000, or 0 for as fast as the gateway acknowledges (default: the
    /// scenario's, or 1)
    #[arg(long, value_name = "FACTOR", value_parser = parse_speed)]
    pub speed: Option<Speed>,

    /// What happens to the simulated patient and device: a name (`wearable scenarios` lists them) or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "normal")]
    pub scenario: String,

    /// Which simulated patient (default: the scenario's, or 1)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Cipher suites to offer, the preferred first: 4 (X25519 and ML-KEM-768 together), 2 (X25519), 3 (as 2, with
    /// Ascon-AEAD128)
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = parse_suite)]
    pub suites: Vec<Suite>,

    /// Go on without a gateway and wait for the button (`wearable press`), even without a screen
    #[arg(long)]
    pub button: bool,

    /// End when N samples were taken and everything is acknowledged
    #[arg(long, value_name = "N")]
    pub samples: Option<u64>,

    /// Where to keep keys and samples
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Make a new wearable even though others are stored here
    #[arg(long)]
    pub create: bool,

    /// No screen: one JSON object per line (also when there is no terminal)
    #[arg(long)]
    pub headless: bool,
}

/// What the program does when it is not to be a device.
#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Run the firmware's signal processing over recordings and score it against their reference answers
    Evaluate(EvaluateArgs),
    /// Sign firmware images and check them, as their maker
    Firmware(FirmwareArgs),
    /// Make a device's identity, its signed manifest and its label
    Factory(FactoryArgs),
    /// Do something to a running wearable, or ask how it is
    Ctl(CtlArgs),
    /// Press the button of a running wearable
    Press(PressArgs),
    /// List the scenarios that come with the program
    Scenarios,
    /// Be many wearables at once, for load
    Fleet(FleetArgs),
}

/// What a person typed behind `evaluate`.
#[derive(Debug, Clone, Arguments)]
#[command(
    after_help = "Folders it knows below --recordings: mitdb, mitdb60s, nstdb, uwoxi, oxiwear, troika, bidmc, cinc2015 (what\n\
                  follows an underscore in a folder's name is of no matter). The shipped excerpts are always played.\n\
                  Ends with 0; with 3 if a file was refused; with 1 if --check is given and a goal is missed."
)]
pub struct EvaluateArgs {
    /// Where recordings with reference answers lie; without, ../shared/recordings if there is such a folder
    #[arg(long, value_name = "DIR", env = "VITALWARD_RECORDINGS")]
    pub recordings: Option<PathBuf>,

    /// Only this set of figures; may be given several times
    #[arg(long, value_enum, value_name = "SET")]
    pub set: Vec<Set>,

    /// Only this record: FOLDER/NAME as in the result, or NAME
    #[arg(long, value_name = "RECORD")]
    pub record: Option<String>,

    /// A line for each record, below the table
    #[arg(long)]
    pub records: bool,

    /// One JSON object in place of the table
    #[arg(long)]
    pub json: bool,

    /// Write detections, references and a manifest as CSV for score.py
    #[arg(long, value_name = "DIR")]
    pub detections: Option<PathBuf>,

    /// Fail if a goal is missed
    #[arg(long)]
    pub check: bool,

    /// Draw a part of --record: signals, beats, what was withheld and why, values beside the truth
    #[arg(long, value_name = "FILE.svg", requires = "record", conflicts_with = "json")]
    pub plot: Option<PathBuf>,

    /// Second of the record with which the picture begins
    #[arg(long, value_name = "SECOND", default_value = "0", requires = "plot", value_parser = parse_second)]
    pub from: f64,

    /// Seconds of it to draw, 1 to 3600
    #[arg(long, value_name = "N", default_value = "20", requires = "plot", value_parser = parse_seconds)]
    pub seconds: f64,
}

fn parse_second(text: &str) -> Result<f64, String> {
    let second = text.parse().ok().filter(|second| (0.0..=1e6).contains(second));
    second.ok_or_else(|| format!("{text:?} is no second of a record"))
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (1.0..=3600.0).contains(seconds));
    seconds.ok_or_else(|| format!("{text:?} is not between 1 and 3600"))
}

impl EvaluateArgs {
    /// What to evaluate. Colours only where they are read.
    #[must_use]
    pub fn into_options(self, colours: bool) -> Options {
        let Self { recordings, set: sets, record, records: each, json, detections, check, .. } = self;
        let plot = self.plot.map(|path| (path, Span { from: self.from, seconds: self.seconds }));
        let beside = || Some(PathBuf::from("../shared/recordings")).filter(|folder| folder.is_dir());
        Options {
            recordings: recordings.or_else(beside),
            sets,
            record,
            json,
            each,
            check,
            plot,
            detections,
            colours,
        }
    }
}

fn parse_suite(text: &str) -> Result<Suite, String> {
    let suite = text.parse().ok().and_then(Suite::from_number);
    suite
        .filter(|suite| ClientKind::Wearable.suites().contains(suite))
        .ok_or_else(|| format!("{text:?} is no suite of a wearable: 2, 3 or 4"))
}

pub(crate) fn parse_speed(text: &str) -> Result<Speed, String> {
    text.parse()
        .ok()
        .and_then(Speed::new)
        .ok_or_else(|| format!("{text:?} is not 0 and not between 0.1 and 1000"))
}

impl Args {
    /// The device's data folder.
    ///
    /// # Errors
    /// [`Stop`]: an unknown name where others exist, or no place for data.
    pub fn data_dir(&self) -> Result<PathBuf, Stop> {
        let given = self.data_dir.as_deref();
        Ok(datadir::resolve("wearable", self.name.as_str(), given, self.create)?)
    }

    /// What the device is started with.
    ///
    /// # Errors
    /// [`Stop`] with [`Exit::Usage`] for a recording that cannot be used.
    pub fn into_config(self, data_dir: PathBuf, pairing: Option<Pairing>) -> Result<DeviceConfig, Stop> {
        let recording = self.recording.as_deref().map(open_recording).transpose()?;
        let scenario = Scenario::load(&self.scenario).map_err(|error| scenario_refused(&error))?;
        let speed = self.speed.or_else(|| scenario.speed.and_then(Speed::new)).unwrap_or(Speed::REAL);
        let usual = DeviceConfig::new(self.name, self.gateway, data_dir);
        Ok(DeviceConfig {
            suites: if self.suites.is_empty() { usual.suites.clone() } else { self.suites },
            pairing,
            attended: self.button,
            control: true,
            recording,
            scenario,
            seed: self.seed,
            speed,
            samples: self.samples,
            ..usual
        })
    }
}

pub(crate) fn scenario_refused(error: &ScenarioError) -> Stop {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Stop::new(Exit::Usage, format!("--scenario: {error}{cause}"))
}

fn open_recording(path: &Path) -> Result<Recording, Stop> {
    Recording::open(path).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Stop::new(Exit::Usage, format!("--recording {}: {error}{cause}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_documented_lines_are_understood() {
        let args = parse(
            "wearable --name W7 --gateway [::1]:7 --pair ABC-DEF-GH2 --speed 2.5 --data-dir /tmp/w --headless",
        );
        let args = args.unwrap();
        assert_eq!((args.name.as_str(), args.gateway.as_str()), ("W7", "[::1]:7"));
        assert_eq!(args.pair, Some(GivenCode::Code("ABC-DEF-GH2".parse().unwrap())));
        let config = args.into_config("/tmp/w".into(), Some(Pairing::Show)).unwrap();
        assert_eq!(config.speed.interval(), Some(std::time::Duration::from_millis(400)));
        assert_eq!(config.pairing, Some(Pairing::Show));

        let plain = parse("wearable").unwrap();
        assert_eq!((plain.name.as_str(), plain.gateway.as_str()), ("W001", "127.0.0.1:7301"));
        assert!(!plain.headless && !plain.show_code && plain.speed.is_none());
        let other =
            parse("wearable --show-code --scenario finger-off --seed 4 --create --samples 9").unwrap();
        assert!(other.show_code && other.create && other.samples == Some(9));
        let config = other.into_config("/tmp/w".into(), None).unwrap();
        assert_eq!((config.scenario.name.as_str(), config.speed), ("finger-off", Speed::REAL));
        assert_eq!(parse("wearable --speed 0").unwrap().speed, Some(Speed::UNLIMITED));
        assert_eq!(parse("wearable --pair -").unwrap().pair, Some(GivenCode::FromStdin));
    }

    #[test]
    fn mistakes_are_refused() {
        for line in [
            "wearable --name ../x",
            "wearable --gateway host",
            "wearable --gateway ::1:7301",
            "wearable --pair ABC",
            "wearable --pair - --show-code",
            "wearable --speed -1",
            "wearable --speed 5000",
            "wearable --speed fast",
            "wearable --samples x",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let args = parse("wearable --recording /nonexistent.rec").unwrap();
        let refused = args.into_config("x".into(), None).unwrap_err();
        assert_eq!(Stop::exit_of(&refused), Exit::Usage);
        assert!(refused.to_string().contains("/nonexistent.rec: cannot read"), "{refused}");
        let flood = parse("wearable --scenario flood").unwrap().into_config("x".into(), None).unwrap_err();
        assert_eq!(Stop::exit_of(&flood), Exit::Usage);
        assert!(flood.to_string().contains("\"flood\"; there is: normal, desaturation"), "{flood}");
    }
}
