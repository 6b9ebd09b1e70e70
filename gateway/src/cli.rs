//! The command line: what a person typed, and carrying out a verb. `--json` prints the gateway's reply as it came; how it
//! is printed for people is in `print`.

mod alert;
mod pairing;
mod print;
mod rotate;
mod wearables;

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use host::{
    Clock, datadir,
    exit::{Exit, Stop},
};
use protocol::{
    id::{DoctorId, PatientId},
    pairing::code::PairingCode,
    waveform::Signal,
};
use serde::{Serialize, de::DeserializeOwned};

use self::{
    alert::alert,
    pairing::{network, pair},
    print::{alerts, patients, refusals, status, vitals},
    rotate::rotate_database_key,
    wearables::{parse_seconds, parse_signal},
};
pub use self::{pairing::pairing_line, wearables::FirmwareVerb};
use crate::{
    check_device::CheckArgs,
    config::{Config, ConfigFile, parse_duration},
    control::{Request, client::Target},
    selftest,
    ward::{
        event::{SampleView, rfc3339},
        view::{AlertReport, PatientView, RefusalView, WearableView},
    },
};

/// The doctor's gateway: patients log in to it, wearables send it vitals, and alerts go out with proof of who received
/// them. Not a medical device.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Cli {
    /// Ask something of the gateway that runs on this machine.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Run a gateway.
    #[command(flatten)]
    pub run: RunArgs,
}

/// How to run a gateway.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The doctor, for example D001.
    #[arg(long)]
    pub id: Option<DoctorId>,
    /// Make a new gateway even where others exist.
    #[arg(long)]
    pub create: bool,
    /// Where to keep everything [default: ~/.local/share/vitalward/gateway-ID, or below $`VITALWARD_HOME`].
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Address for patients; port 0 takes a free one [default: 127.0.0.1:7300].
    #[arg(long)]
    pub listen: Option<std::net::SocketAddr>,
    /// Address for wearables; port 0 takes a free one [default: 127.0.0.1:7301].
    #[arg(long)]
    pub wearable_listen: Option<std::net::SocketAddr>,
    /// How far a client's clock may be off [default: 30s].
    #[arg(long, value_parser = parse_duration)]
    pub clock_tolerance: Option<Duration>,
    /// Refuse patients whose TLS has no post-quantum key exchange, and wearables without suite 4.
    #[arg(long)]
    pub require_post_quantum: bool,
    /// Settings file (TOML); flags win over it.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Print one JSON object per event instead of showing the console.
    #[arg(long)]
    pub headless: bool,
}

/// Which gateway, and how to print.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The gateway's doctor; not needed when only one runs.
    #[arg(long)]
    id: Option<DoctorId>,
    /// The gateway's data folder.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What can be asked of a running gateway, and of this program.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the console of the running gateway.
    Console {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
    },
    /// Show addresses, storage, who is there.
    Status {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
    },
    /// List paired patients.
    Patients {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
    },
    /// List paired wearables.
    Wearables {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
    },
    /// List alerts and who received them.
    Alerts {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// How many, newest first.
        #[arg(long, default_value_t = 20)]
        last: u32,
    },
    /// List what was refused, and which check failed.
    Refusals {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// How many, newest first.
        #[arg(long, default_value_t = 50)]
        last: usize,
    },
    /// End the sessions of all patients; wearables go on.
    DisconnectAll {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
    },
    /// Invite a patient's computer or a wearable: shows a code, good for 10 minutes and 3 tries.
    Pair {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// Pair a wearable for the patient, instead of the patient's computer.
        #[arg(long)]
        wearable: bool,
        /// The patient.
        #[arg(long)]
        patient: PatientId,
        /// Take the place of the patient's present computer.
        #[arg(long, conflicts_with = "wearable")]
        replace: bool,
        /// The code that the device shows.
        #[arg(long, requires = "wearable")]
        code: Option<PairingCode>,
        /// Give the wearable this network; its passphrase is read from standard input.
        #[arg(long, value_name = "SSID", requires = "wearable")]
        network: Option<String>,
        /// Open so many offers and print their codes, for load tests.
        #[arg(long, requires = "wearable", conflicts_with = "code", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
    },
    /// Set how often a wearable measures and sends: 1s (live), or 30s to 5m.
    Settings {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// The wearable, by name or the start of its UUID.
        #[arg(long, value_name = "NAME|UUID-PREFIX")]
        wearable: String,
        /// Between two samples.
        #[arg(long, value_parser = parse_duration)]
        sample: Duration,
        /// Between two uploads; not shorter.
        #[arg(long, value_parser = parse_duration)]
        upload: Duration,
    },
    /// Show a signal of a wearable as it comes; it is not stored. Exit code 3: parts are missing.
    Waveform {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// The wearable, by name or the start of its UUID.
        #[arg(long, value_name = "NAME|UUID-PREFIX")]
        wearable: String,
        /// ecg, ppg-infrared, ppg-red, acceleration-x, acceleration-y, acceleration-z.
        #[arg(long, value_parser = parse_signal)]
        signal: Signal,
        /// For how long.
        #[arg(long, default_value = "10", value_parser = parse_seconds)]
        seconds: u16,
        /// Print a table, a sample per line.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Publish firmware for wearables.
    #[command(subcommand)]
    Firmware(FirmwareVerb),
    /// Broadcast an alert and wait for receipts. Exit code 3: some are missing.
    Alert {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// What patients will read.
        #[arg(required_unless_present = "cancel")]
        text: Option<String>,
        /// `all`, or patients separated by commas.
        #[arg(long, default_value = "all")]
        to: String,
        /// Call off an earlier alert, with a text if one is given.
        #[arg(long, value_name = "ID", conflicts_with = "to")]
        cancel: Option<String>,
        /// Longest wait for receipts.
        #[arg(long, default_value = "10s", value_parser = parse_duration)]
        wait: Duration,
        /// How long absent patients still get it.
        #[arg(long, default_value = "24h", value_parser = parse_duration)]
        expires: Duration,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Show a patient's newest vitals.
    Vitals {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// Whose.
        #[arg(long)]
        patient: PatientId,
        /// How many samples, newest first.
        #[arg(long, default_value_t = 10)]
        last: u32,
    },
    /// Take back a client's right to connect.
    Revoke {
        /// Which gateway.
        #[command(flatten)]
        common: Common,
        /// The patient.
        #[arg(long, conflicts_with = "wearable", required_unless_present = "wearable")]
        patient: Option<PatientId>,
        /// The wearable, by name or the start of its UUID.
        #[arg(long, value_name = "NAME|UUID-PREFIX")]
        wearable: Option<String>,
    },
    /// Encrypt the database of a stopped gateway anew, under a fresh key.
    RotateDatabaseKey {
        /// The gateway's doctor.
        #[arg(long)]
        id: DoctorId,
        /// The gateway's data folder.
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
    /// Play one good gateway and many bad ones to a wearable, and tell how it took them; needs no running gateway.
    CheckDevice(CheckArgs),
    /// Check all cryptography of this program against known answers, and time it; needs no running gateway.
    Selftest {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Cli {
    /// Whether a screen is wanted where there is a terminal.
    #[must_use]
    pub const fn wants_screen(&self) -> bool {
        match &self.verb {
            Some(verb) => matches!(verb, Verb::Console { .. }),
            None => !self.run.headless,
        }
    }
}

impl RunArgs {
    /// What to run with.
    ///
    /// # Errors
    /// A [`Stop`] for a wrong file, an unknown id, or no id.
    pub fn config(&self) -> Result<Config, Stop> {
        let id = self.id.clone().ok_or_else(|| {
            Stop::new(Exit::Usage, "say whose gateway to run, for example: gateway --id D001")
        })?;
        let data_dir = datadir::resolve("gateway", id.as_str(), self.data_dir.as_deref(), self.create)?;
        let mut config = Config::new(id, data_dir);
        if let Some(path) = &self.config {
            ConfigFile::read(path)?.apply(&mut config)?;
        }
        config.listen = self.listen.unwrap_or(config.listen);
        config.wearable_listen = self.wearable_listen.unwrap_or(config.wearable_listen);
        config.clock_tolerance = self.clock_tolerance.unwrap_or(config.clock_tolerance);
        config.require_post_quantum |= self.require_post_quantum;
        Ok(config)
    }
}

impl Common {
    /// The gateway meant.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { id: self.id.clone(), data_dir: self.data_dir.clone() }
    }

    async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Stop> {
        self.target().connect().await?.request(request).await
    }

    async fn print<T: DeserializeOwned + Serialize>(
        &self,
        request: &Request,
        people: impl FnOnce(&T) -> String,
    ) -> Result<T, Stop> {
        let reply: T = self.ask(request).await?;
        if self.json {
            line(&serde_json::to_string(&reply).unwrap_or_default());
        } else {
            line(people(&reply).trim_end());
        }
        Ok(reply)
    }
}

impl Verb {
    /// Carries out every verb but `console`, which has a screen.
    ///
    /// # Errors
    /// A [`Stop`] with the verb's exit code.
    pub async fn carry_out(self) -> Result<Exit, Stop> {
        match self {
            Self::Console { .. } => Ok(Exit::Done),
            Self::Status { common } => common.print(&Request::Status {}, status).await.map(done),
            Self::Patients { common } => {
                common.print(&Request::Patients {}, |p: &Vec<PatientView>| patients(p)).await.map(done)
            }
            Self::Wearables { common } => {
                let today = rfc3339(Clock::start().now().wall);
                let said = |list: &Vec<WearableView>| print::wearables(list, &today);
                common.print(&Request::Wearables {}, said).await.map(done)
            }
            Self::Alerts { common, last } => {
                let request = Request::Alerts { limit: last };
                common.print(&request, |a: &Vec<AlertReport>| alerts(a)).await.map(done)
            }
            Self::Refusals { common, last } => {
                let request = Request::Refusals { limit: last };
                common.print(&request, |r: &Vec<RefusalView>| refusals(r)).await.map(done)
            }
            Self::DisconnectAll { common } => {
                let said = |ended: &usize| {
                    format!("{ended} sessions ended; the patients' people may return by a key")
                };
                common.print(&Request::DisconnectAll {}, said).await.map(done)
            }
            Self::Pair { common, wearable, patient, replace, code, network: ssid, count } => {
                let network = ssid.map(network).transpose()?;
                pair(&common, wearable, patient, replace, code, network, count).await.map(done)
            }
            Self::Settings { common, wearable, sample, upload } => {
                wearables::settings(&common, wearable, sample, upload).await.map(done)
            }
            Self::Waveform { common, wearable, signal, seconds, csv } => {
                wearables::waveform(&common, wearable, signal, seconds, csv).await
            }
            Self::Firmware(verb) => wearables::firmware_verb(verb).await.map(done),
            Self::Alert { common, text, to, cancel, wait, expires, yes } => {
                alert(&common, text, &to, cancel, wait, expires, yes).await
            }
            Self::Vitals { common, patient, last } => {
                let request = Request::Vitals { patient: patient.to_string(), last };
                common.print(&request, |v: &Vec<SampleView>| vitals(v)).await.map(done)
            }
            Self::Revoke { common, patient, wearable } => {
                let (kind, name) = match (patient, wearable) {
                    (Some(patient), _) => ("patient", patient.to_string()),
                    (None, wearable) => ("wearable", wearable.unwrap_or_default()),
                };
                let request = Request::Revoke { kind: kind.into(), name };
                common.print(&request, |id: &String| format!("{kind} {id} is revoked")).await.map(done)
            }
            Self::RotateDatabaseKey { id, data_dir } => {
                rotate_database_key(&id, data_dir.as_deref()).await.map(done)
            }
            Self::CheckDevice(args) => args.carry_out().await,
            Self::Selftest { json } => selftest::run(json),
        }
    }
}

fn done<T>(_: T) -> Exit {
    Exit::Done
}

/// Prints a line; a reader that went away is no error of ours.
fn line(text: &str) {
    writeln!(io::stdout(), "{text}").ok();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str) -> Cli {
        Cli::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_lines_parse() {
        for line in [
            "gateway --id D001",
            "gateway --id 1 --create --listen 127.0.0.1:0 --wearable-listen 127.0.0.1:0 --clock-tolerance 30s --headless",
            "gateway status --json",
            "gateway patients --id D001",
            "gateway pair --patient P001 --replace",
            "gateway pair --wearable --patient P001 --code ABC-DEF-GH2",
            "gateway alert hello --to P001,P002 --wait 10s --expires 24h --yes --json",
            "gateway alert --cancel 0190a3c2-0000-7000-8000-000000000000",
            "gateway vitals --patient P001 --last 10",
            "gateway revoke --wearable W001",
            "gateway disconnect-all",
            "gateway pair --wearable --patient P001 --network Ward7",
            "gateway pair --wearable --patient P001 --count 100 --json",
            "gateway settings --wearable W001 --sample 1s --upload 60s",
            "gateway waveform --wearable W001 --signal ecg --seconds 10 --csv",
            "gateway firmware publish image.bin --key maker.pub",
            "gateway firmware list --json",
            "gateway firmware withdraw 3",
            "gateway refusals",
            "gateway console",
            "gateway check-device --listen 127.0.0.1:0 --only lost-ack --wait 2m --json",
            "gateway selftest --json",
            "gateway rotate-database-key --id D001",
        ] {
            parsed(line);
        }
        for line in [
            "gateway alert",
            "gateway revoke",
            "gateway pair",
            "gateway --id a/b",
            "gateway",
            "gateway pair --patient P001 --network x",
            "gateway waveform --wearable W --signal eeg",
            "gateway waveform --wearable W --signal ecg --seconds 601",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
