//! Scenarios: who is simulated and what is done when, as a file that can be written, read and repeated.
//!
//! Owns the format and the scenarios that come with the program. Whatever can be typed can be scheduled
//! ([`act`](crate::act)), but for the end of the program; this file carries none of it out. The same file, recordings and seed give the same signals.
//! The format is described in docs/firmware.md.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

use crate::{
    act::{Act, Name},
    recording::{Kind, Recording, RecordingError},
};

/// The usual scenario's name.
const NORMAL: &str = "normal";
/// The first key of every file.
pub const FORMAT: &str = "vitalward-scenario 1";
/// Longest file, bytes.
const MAX_FILE: usize = 64 * 1_024;
/// Most lines of a timeline.
const MAX_EVENTS: usize = 1_000;
/// Farthest second that can be named: a week.
const MAX_SECOND: u32 = 7 * 86_400;

/// Those that come with the program, beside the usual one.
const BUILT_IN: [(&str, &str); 12] = [
    ("desaturation", include_str!("../scenarios/desaturation.toml")),
    ("hypoxia", include_str!("../scenarios/hypoxia.toml")),
    ("fever", include_str!("../scenarios/fever.toml")),
    ("hypothermia", include_str!("../scenarios/hypothermia.toml")),
    ("motion", include_str!("../scenarios/motion.toml")),
    ("finger-off", include_str!("../scenarios/finger-off.toml")),
    ("lead-off", include_str!("../scenarios/lead-off.toml")),
    ("asystole", include_str!("../scenarios/asystole.toml")),
    ("tachycardia", include_str!("../scenarios/tachycardia.toml")),
    ("offline", include_str!("../scenarios/offline.toml")),
    ("sensor-fault", include_str!("../scenarios/sensor-fault.toml")),
    ("trouble", include_str!("../scenarios/trouble.toml")),
];

/// A scenario that cannot be used.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// No built-in name and no file.
    #[error("there is no scenario {0:?}; there is: {all}; or name a file (.toml)", all = names())]
    Unknown(String),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// From the operating system.
        source: std::io::Error,
    },
    /// Longer than any sensible one.
    #[error("{0} is longer than {MAX_FILE} bytes")]
    TooLong(PathBuf),
    /// Not TOML, an unknown key, or a value out of range; the sentence names it.
    #[error("{what}: {reason}")]
    Wrong {
        /// Which scenario.
        what: String,
        /// Why.
        reason: String,
    },
    /// A recording that it names.
    #[error("{path}")]
    Recording {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: RecordingError,
    },
}

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    /// Second of the replay, 0 first.
    at: u32,
    /// Again and again after so many seconds.
    #[serde(default)]
    every: Option<u32>,
    /// What.
    #[serde(rename = "do")]
    act: Act,
}

impl Event {
    fn is_due(&self, second: u32) -> bool {
        let passed = second.checked_sub(self.at);
        passed == Some(0)
            || self.every.zip(passed).is_some_and(|(every, passed)| passed.is_multiple_of(every.max(1)))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Channels {
    ecg: Option<PathBuf>,
    ppg: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    title: String,
    seed: Option<u64>,
    speed: Option<f64>,
    worn: Option<u32>,
    start: Option<u32>,
    length: Option<u32>,
    #[serde(default)]
    channels: Channels,
    #[serde(default)]
    timeline: Vec<Event>,
}

/// A scenario, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What people call it.
    pub name: Name,
    /// One sentence.
    pub title: String,
    /// Which patient, unless the command line says.
    pub seed: Option<u64>,
    /// Seconds of record time in a second, unless the command line says.
    pub speed: Option<f64>,
    /// Seconds for which the device has been worn when it starts.
    pub worn: u32,
    /// Second of the recordings to start with; else the seed chooses.
    pub start: Option<u32>,
    /// Seconds of the recordings to play in a circle; else all.
    pub length: Option<u32>,
    /// Recordings in place of the shipped ones.
    pub recordings: Vec<Recording>,
    timeline: Vec<Event>,
}

/// The built-in scenarios, the usual one first.
pub fn built_in() -> impl Iterator<Item = Scenario> {
    let others = BUILT_IN.into_iter().filter_map(|(name, _)| Scenario::load(name).ok());
    std::iter::once(Scenario::default()).chain(others)
}

fn names() -> String {
    BUILT_IN.iter().fold(NORMAL.to_owned(), |names, (name, _)| names + ", " + name)
}

impl Default for Scenario {
    /// The usual patient, to whom nothing happens.
    fn default() -> Self {
        Self {
            name: Name::of(NORMAL),
            title: "At rest: SpO2 96 to 98 %, 36.4 to 37.0 C (both by seed)".into(),
            seed: None,
            speed: None,
            worn: 0,
            start: None,
            length: None,
            recordings: Vec::new(),
            timeline: Vec::new(),
        }
    }
}

impl Scenario {
    /// A built-in scenario.
    ///
    /// # Errors
    /// [`ScenarioError::Unknown`].
    pub fn named(name: &Name) -> Result<Self, ScenarioError> {
        if name.as_str() == NORMAL {
            return Ok(Self::default());
        }
        let found = BUILT_IN.into_iter().find(|(known, _)| *known == name.as_str());
        let (_, text) = found.ok_or_else(|| ScenarioError::Unknown(name.as_str().into()))?;
        Self::parse(name.clone(), text, Path::new("."))
    }

    /// A built-in scenario by name, or a file: a word with a dot or a slash.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn load(text: &str) -> Result<Self, ScenarioError> {
        if !text.contains(['/', '.']) {
            let name = text.parse().map_err(|_| ScenarioError::Unknown(text.chars().take(80).collect()))?;
            return Self::named(&name);
        }
        let path = Path::new(text);
        let unreadable = |source| ScenarioError::Unreadable { path: path.to_owned(), source };
        let mut content = String::new();
        let limit = MAX_FILE as u64 + 1;
        // Asked before opening: opening a pipe would wait for its writer.
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(unreadable(std::io::ErrorKind::InvalidInput.into()));
        }
        File::open(path)
            .and_then(|file| file.take(limit).read_to_string(&mut content))
            .map_err(unreadable)?;
        if content.len() > MAX_FILE {
            return Err(ScenarioError::TooLong(path.to_owned()));
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let name: String =
            stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(32).collect();
        let name = name.parse().map_err(|_| ScenarioError::Unknown(text.into()))?;
        Self::parse(name, &content, path.parent().unwrap_or_else(|| Path::new(".")))
    }

    /// Reads a scenario; recordings that it names lie in `folder`.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn parse(name: Name, text: &str, folder: &Path) -> Result<Self, ScenarioError> {
        let wrong =
            |reason: String| ScenarioError::Wrong { what: format!("scenario {}", name.as_str()), reason };
        let document: Document = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let Document { format, title, seed, speed, worn, start, length, channels, timeline } = document;
        if format != FORMAT {
            return Err(wrong(format!("format is {format:?}; this program reads {FORMAT:?}")));
        }
        if timeline.len() > MAX_EVENTS {
            return Err(wrong(format!("more than {MAX_EVENTS} lines in the timeline")));
        }
        let seconds = timeline.iter().flat_map(|event| [Some(event.at), event.every]);
        let seconds = seconds.chain([worn, start, length]).flatten();
        if let Some(far) = seconds.into_iter().find(|second| *second > MAX_SECOND) {
            return Err(wrong(format!("second {far} is beyond a week")));
        }
        if timeline.iter().any(|event| event.every == Some(0)) || length == Some(0) {
            return Err(wrong("every and length are 1 or more".into()));
        }
        if timeline.iter().any(|event| event.act == Act::Stop) {
            return Err(wrong(
                "a timeline cannot stop the program; \"finish\" ends it when everything is acknowledged"
                    .into(),
            ));
        }
        if let Some(speed) = speed.filter(|speed| crate::agent::Speed::new(*speed).is_none()) {
            return Err(wrong(format!("speed is {speed}; it is 0.1 to 1000, or 0")));
        }
        let mut recordings = Vec::new();
        for (given, kind) in [(channels.ecg, Kind::Ecg), (channels.ppg, Kind::Ppg)] {
            let Some(path) = given.map(|path| folder.join(path)) else { continue };
            let recording = Recording::open(&path)
                .map_err(|source| ScenarioError::Recording { path: path.clone(), source })?;
            if recording.kind() != kind {
                return Err(wrong(format!("{} is no recording of kind {kind:?}", path.display())));
            }
            recordings.push(recording);
        }
        let worn = worn.unwrap_or(0);
        Ok(Self { name, title, seed, speed, worn, start, length, recordings, timeline })
    }

    /// What is done at the start of `second`, in the order of the file.
    pub fn due(&self, second: u32) -> impl Iterator<Item = Act> {
        self.timeline.iter().filter(move |event| event.is_due(second)).map(|event| event.act.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scenario, String> {
        Scenario::parse("test".parse().unwrap(), text, Path::new(".")).map_err(|error| error.to_string())
    }

    const HEAD: &str = "format = \"vitalward-scenario 1\"\ntitle = \"t\"\n";

    #[test]
    fn every_built_in_scenario_is_good_and_says_what_it_is() {
        let all: Vec<Scenario> = built_in().collect();
        assert_eq!(all.len(), BUILT_IN.len() + 1);
        assert!(all.iter().all(|scenario| scenario.title.len() > 10));
        assert_eq!(all[0].name.as_str(), "normal");
        for wanted in ["desaturation", "motion", "fever", "asystole", "offline", "finger-off"] {
            assert!(all.iter().any(|scenario| scenario.name.as_str() == wanted), "{wanted}");
        }
    }

    #[test]
    fn a_timeline_is_due_at_its_seconds() {
        let finger = Scenario::load("finger-off").unwrap();
        let due = |second| finger.due(second).map(|act| act.to_string()).collect::<Vec<_>>();
        assert_eq!((due(29), due(30), due(90)), (vec![], vec!["finger off".to_owned()], due(30)));
        assert_eq!(due(105), ["finger on"]);
    }

    #[test]
    fn a_file_says_all_that_there_is_to_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("night 1.toml");
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/recordings/mitdb-208.rec");
        std::fs::copy(shipped, folder.path().join("own.rec")).unwrap();
        let text = "seed = 4\nspeed = 2.5\nworn = 75\nstart = 30\nlength = 60\n[channels]\necg = \"own.rec\"\n\
                    [[timeline]]\nat = 5\nevery = 10\ndo = \"button hold 3\"\n";
        std::fs::write(&path, [HEAD, text].concat()).unwrap();
        let scenario = Scenario::load(path.to_str().unwrap()).unwrap();
        assert_eq!(scenario.name.as_str(), "night-1");
        assert_eq!((scenario.seed, scenario.speed, scenario.worn), (Some(4), Some(2.5), 75));
        assert_eq!((scenario.start, scenario.length, scenario.recordings.len()), (Some(30), Some(60), 1));
        assert_eq!(scenario.due(25).next().unwrap().to_string(), "button hold 3");
        std::fs::write(&path, text.replace("ecg =", "ppg =")).unwrap();
        std::fs::write(&path, [HEAD, &text.replace("ecg =", "ppg =")].concat()).unwrap();
        let refused = Scenario::load(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(refused.contains("no recording of kind Ppg"), "{refused}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let event = |line: &str| parse(&format!("{HEAD}[[timeline]]\nat = 1\n{line}\n")).unwrap_err();
        assert!(event("do = \"fly\"").contains("\"fly\" is nothing that can be done"));
        assert!(event("do = \"stop\"").contains("\"finish\" ends it"));
        assert!(event("do = \"reboot\"\nevery = 0").contains("1 or more"));
        assert!(event("do = \"reboot\"\nthen = 3").contains("then"));
        assert!(event("do = \"reboot\"\nevery = 700000").contains("beyond a week"));
        assert!(
            parse("format = \"vitalward-scenario 2\"\ntitle = \"t\"")
                .unwrap_err()
                .contains("this program reads")
        );
        assert!(parse(&format!("{HEAD}speed = -1.0")).unwrap_err().contains("0.1 to 1000"));
        assert!(parse(&format!("{HEAD}patient = \"x\"")).unwrap_err().contains("patient"));
        assert!(parse("title = 1").is_err());
        let many = "[[timeline]]\nat = 1\ndo = \"reboot\"\n".repeat(1_001);
        assert!(parse(&format!("{HEAD}{many}")).unwrap_err().contains("1000"));
        assert!(Scenario::load("flood").unwrap_err().to_string().contains("desaturation"));
        assert!(Scenario::load("/dev/zero").is_err() && Scenario::load("/no/such.toml").is_err());
    }
}
