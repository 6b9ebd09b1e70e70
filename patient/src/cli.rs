//! The command line: what a person types, checked and turned into what the program needs. It knows no file but the
//! home folder's name and asks nobody anything.

use std::path::PathBuf;

use clap::Parser;
use host::{
    command_line::{GivenCode, parse_address},
    datadir,
    exit::{Exit, Stop},
};
use protocol::{
    id::{DoctorId, PatientId},
    pairing::code::PairingCode,
};

use crate::{
    agent::AgentConfig,
    link::LinkSettings,
    store::{Place, StoreError},
};

/// The patient's port of a gateway on this machine.
pub const DEFAULT_GATEWAY: &str = "127.0.0.1:7300";

/// What a person typed.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "patient",
    version,
    about = "The patient's client: logs in to a doctor's gateway, shows its alerts and returns receipts",
    after_help = "The first time it asks for a code, which the clinic makes with: gateway pair --patient P001\n\
                  Data is kept in --data-dir, else in $VITALWARD_HOME or ~/.local/share/vitalward, patient-ID.\n\
                  Not a medical device."
)]
pub struct Args {
    /// Who this is; may be left out when one identity is stored here, or when pairing
    #[arg(long, value_name = "ID")]
    pub id: Option<PatientId>,

    /// Whose gateway to log in to, and where it is if not at --gateway
    #[arg(long = "doctor_id", alias = "doctor-id", value_name = "ID[@HOST:PORT]")]
    pub doctor: DoctorAddress,

    /// Where the gateway is [default: 127.0.0.1:7300]
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    pub gateway: Option<String>,

    /// Pair with this code; "-" reads it from standard input
    #[arg(long, value_name = "CODE|-")]
    pub pair: Option<GivenCode>,

    /// Where to keep keys and alerts
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Make a new identity even though others are stored here
    #[arg(long)]
    pub create: bool,

    /// No screen: one JSON object per line (also when there is no terminal)
    #[arg(long)]
    pub headless: bool,

    /// Acknowledge every alert at once, as if a person had read it (for tests and scripts; needs --headless)
    #[arg(long, requires = "headless")]
    pub acknowledge: bool,
}

/// `D001` or `D001@clinic.example:7300`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorAddress {
    /// The doctor.
    pub id: DoctorId,
    /// Where that doctor's gateway is, if it was said.
    pub address: Option<String>,
}

impl std::str::FromStr for DoctorAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, address) = match text.split_once('@') {
            Some((id, address)) => (id, Some(parse_address(address)?)),
            None => (text, None),
        };
        Ok(Self { id: id.parse().map_err(|error| format!("{error}"))?, address })
    }
}

impl Args {
    /// What the agent is started with. `code` is the pairing code, read by now; `in_terminal`: a person can be asked.
    ///
    /// # Errors
    /// [`Stop`] with [`Exit::Usage`] if two addresses were given, [`Exit::Configuration`] if nothing says where data
    /// goes.
    pub fn into_parts(
        self,
        code: Option<PairingCode>,
        in_terminal: bool,
    ) -> Result<(AgentConfig, Place, LinkSettings), Stop> {
        let gateway = match (self.doctor.address, self.gateway) {
            (Some(_), Some(_)) => {
                return Err(Stop::new(
                    Exit::Usage,
                    "give the gateway's address once: --gateway, or after the @",
                ));
            }
            (Some(address), None) | (None, Some(address)) => address,
            (None, None) => DEFAULT_GATEWAY.to_owned(),
        };
        let place = match self.data_dir {
            Some(folder) => Place::Folder(folder),
            None => Place::Home {
                home: datadir::home()
                    .map_err(|error| Stop::new(Exit::Configuration, StoreError::from(error).to_string()))?,
                create: self.create,
            },
        };
        let config = AgentConfig {
            id: self.id,
            doctor: self.doctor.id,
            code,
            asks_for_code: in_terminal,
            acknowledges: self.acknowledge,
        };
        Ok((config, place, LinkSettings::to(gateway)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    fn gateway_of(line: &str) -> String {
        parse(line).unwrap().into_parts(None, false).unwrap().2.gateway
    }

    #[test]
    fn the_documented_lines_are_understood() {
        let args =
            parse("patient --id P001 --doctor_id D001 --pair ABC-DEF-GH2 --data-dir /tmp/p --headless");
        let args = args.unwrap();
        assert_eq!(args.id.unwrap().as_str(), "P001");
        assert_eq!(args.doctor.id.as_str(), "D001");
        assert_eq!(args.pair, Some(GivenCode::Code("ABC-DEF-GH2".parse().unwrap())));
        assert!(args.headless && !args.create && !args.acknowledge);
        assert_eq!(parse("patient --doctor-id D001 --pair -").unwrap().pair, Some(GivenCode::FromStdin));
        assert!(parse("patient --doctor_id D001 --headless --acknowledge").unwrap().acknowledge);
    }

    #[test]
    fn the_gateway_is_found_in_either_place_or_on_this_machine() {
        assert_eq!(gateway_of("patient --doctor_id D001 --data-dir x"), DEFAULT_GATEWAY);
        assert_eq!(gateway_of("patient --doctor_id D001@[::1]:7 --data-dir x"), "[::1]:7");
        assert_eq!(gateway_of("patient --doctor_id D001 --gateway clinic:7300 --data-dir x"), "clinic:7300");
        let twice = parse("patient --doctor_id D001@a:1 --gateway b:2 --data-dir x").unwrap();
        assert_eq!(Stop::exit_of(&twice.into_parts(None, false).unwrap_err()), Exit::Usage);
    }

    #[test]
    fn mistakes_are_refused() {
        for line in [
            "patient",
            "patient --doctor_id",
            "patient --doctor_id a/b",
            "patient --doctor_id D001@host",
            "patient --doctor_id D001 --gateway ::1:7300",
            "patient --doctor_id D001 --gateway host:70000",
            "patient --doctor_id D001 --gateway :7300",
            "patient --doctor_id D001 --pair ABC",
            "patient --doctor_id D001 --id ../x",
            "patient --doctor_id D001 --acknowledge",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_code_is_not_shown_by_debug() {
        let args = parse("patient --doctor_id D001 --pair ABC-DEF-GH2").unwrap();
        assert!(!format!("{args:?}").contains("DEF"));
    }
}
