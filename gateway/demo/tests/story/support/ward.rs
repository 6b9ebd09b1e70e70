//! A ward for one story: its own home folder, its own loopback address, a gateway, and clients as they are asked for.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Said,
    program::{Program, path_of},
};

/// A place for one gateway's ports that nobody else on this machine takes, so that they can be had again after a
/// restart: an address of its own in 127.0.0.0/8.
fn own_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    format!("127.{}.{low}.{}", high.max(1), NEXT.fetch_add(1, Ordering::SeqCst))
}

/// A computer, as far as a program sees it: a home folder.
#[derive(Debug)]
pub(crate) struct Spot(TempDir);

impl Spot {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A program with these arguments, not started.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let own = ["gateway", "patient", "wearable"].contains(&program);
        let mut command = if own { Command::new(path_of(program)) } else { Command::new(program) };
        command.args(arguments).env("VITALWARD_HOME", self.path());
        command
    }

    pub(crate) fn start(&self, program: &str, arguments: &[&str]) -> Program {
        Program::start(self.command(program, arguments), None)
    }

    /// Runs a program to its end.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Said {
        self.start(program, arguments).end()
    }
}

/// A gateway of doctor D001 and where its clients live.
pub(crate) struct Ward {
    pub(crate) spot: Spot,
    gateway: Option<Program>,
    pub(crate) patients: String,
    pub(crate) wearables: String,
    options: Vec<String>,
    /// Words before the gateway's own command line.
    launcher: Vec<String>,
    /// How verbs name the gateway's folder, if it is not where it says.
    seen_from_outside: Option<String>,
}

impl Ward {
    pub(crate) fn open() -> Self {
        Self::open_with(&[])
    }

    pub(crate) fn open_with(options: &[&str]) -> Self {
        Self::launched(Spot::new(), &[], options)
    }

    /// A gateway started by another program, such as `prlimit --nofile=1024`.
    pub(crate) fn launched(spot: Spot, launcher: &[&str], options: &[&str]) -> Self {
        let any = format!("{}:0", own_address());
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        let mut ward = Self {
            spot,
            gateway: None,
            patients: any.clone(),
            wearables: any,
            options: words(options),
            launcher: words(launcher),
            seen_from_outside: None,
        };
        ward.start();
        ward
    }

    /// From now on verbs look for the gateway's folder in the gateway's own mount namespace.
    pub(crate) fn look_inside(&mut self) {
        let inside = format!("/proc/{}/root{}", self.gateway().id(), self.folder().display());
        self.seen_from_outside = Some(inside);
    }

    /// Starts the gateway, on the ports that it had before.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let mut arguments = vec!["--id", "D001", "--headless", "--listen", &self.patients];
        arguments.extend(["--wearable-listen", &self.wearables]);
        arguments.extend(self.options.iter().map(String::as_str));
        let mut command = self.spot.command("gateway", &arguments);
        if let Some((launcher, words)) = self.launcher.split_first() {
            let program = command.get_program().to_owned();
            let mut launched = self.spot.command(launcher, &[]);
            launched.args(words).arg(program).args(command.get_args());
            command = launched;
        }
        let gateway = Program::start(command, None);
        let listening = gateway.wait(&json!({"event": "listening", "doctor": "D001"}));
        let port = |kind: &str| listening[kind].as_str().unwrap().to_owned();
        (self.patients, self.wearables) = (port("patients"), port("wearables"));
        for address in [&self.patients, &self.wearables] {
            assert_ne!(address.parse::<SocketAddr>().unwrap().port(), 0, "the real port is printed");
        }
        self.gateway = Some(gateway);
    }

    pub(crate) const fn gateway(&self) -> &Program {
        self.gateway.as_ref().expect("the gateway runs")
    }

    /// The gateway process, which no longer runs or soon will not.
    pub(crate) const fn take_gateway(&mut self) -> Program {
        self.gateway.take().expect("the gateway runs")
    }

    /// kill -9, and at once another.
    pub(crate) fn crash_and_restart(&mut self) {
        self.take_gateway().kill();
        self.start();
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.spot.path().join("gateway-D001")
    }

    /// Runs a verb to its end.
    #[track_caller]
    pub(crate) fn verb(&self, arguments: &[&str]) -> Said {
        let folder = self.seen_from_outside.as_deref();
        let folder: Vec<&str> = folder.map_or_else(Vec::new, |folder| vec!["--data-dir", folder]);
        self.spot.run("gateway", &[arguments, &folder].concat())
    }

    /// What a verb says with `--json`.
    #[track_caller]
    pub(crate) fn ask(&self, arguments: &[&str]) -> Value {
        let said = self.verb(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.json().clone()
    }

    /// A code for a patient, or for a wearable of a patient.
    #[track_caller]
    pub(crate) fn code(&self, arguments: &[&str]) -> String {
        self.ask(&[&["pair"], arguments].concat())["code"].as_str().unwrap().to_owned()
    }

    /// A patient's program on a computer, not paired unless `more` says how.
    pub(crate) fn patient_at(&self, spot: &Spot, id: &str, more: &[&str]) -> Program {
        spot.start("patient", &self.patient_line(id, more))
    }

    pub(crate) fn patient_line<'a>(&'a self, id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let line = ["--id", id, "--doctor_id", "D001", "--gateway", &self.patients, "--headless"];
        [&line, more].concat()
    }

    /// A paired patient's program.
    pub(crate) fn patient(&self, id: &str, more: &[&str]) -> Program {
        self.patient_at(&self.spot, id, more)
    }

    /// Pairs a patient and waits until it is in the group.
    #[track_caller]
    pub(crate) fn pair(&self, id: &str, more: &[&str]) -> Program {
        let code = self.code(&["--patient", id]);
        let patient = self.patient(id, &[&["--pair", &code, "--create"], more].concat());
        in_group(&patient);
        patient
    }

    /// A wearable that is paired already.
    pub(crate) fn wearable(&self, name: &str, more: &[&str]) -> Program {
        let line = ["--name", name, "--gateway", &self.wearables, "--headless"];
        self.spot.start("wearable", &[&line, more].concat())
    }

    /// Pairs a wearable for a patient and waits for its session.
    #[track_caller]
    pub(crate) fn pair_wearable(&self, name: &str, patient: &str, more: &[&str]) -> Program {
        let code = self.code(&["--wearable", "--patient", patient]);
        let wearable = self.wearable(name, &[&["--pair", &code, "--create"], more].concat());
        wearable.wait(&json!({"event": "session", "resumed": false, "doctor": "D001"}));
        wearable
    }

    /// Broadcasts, and gives exit code and report.
    #[track_caller]
    pub(crate) fn alert(&self, arguments: &[&str]) -> (i32, Value) {
        let said = self.verb(&[&["alert"], arguments, &["--yes", "--json"]].concat());
        (said.code.unwrap(), said.json().clone())
    }
}

/// Waits until a patient can open broadcasts.
#[track_caller]
pub(crate) fn in_group(patient: &Program) {
    patient.wait(&json!({"event": "session"}));
    patient.wait(&json!({"event": "group"}));
}
