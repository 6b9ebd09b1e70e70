//! Recordings in a folder: which there are, what their channels mean to the firmware, and what is known to be true.
//!
//! Owns the folder names, and which file of a folder holds what (no record's name); [`super::signals`], [`super::truth`]
//! and [`super::wfdb`] take the files apart. Knows neither readings nor scores. One record is in memory at a time.
//!
//! | folder | files | channels | truth |
//! |---|---|---|---|
//! | `mitdb`, `mitdb60s` | `.hea` + `.dat` (format 212) | ECG | `.beats.csv` |
//! | `nstdb` | `.i16`, 1/200 mV, 360 Hz | ECG with added noise | `.beats.csv` |
//! | `uwoxi` | `.rgb.u16`, camera, 30 Hz | PPG | `.ref.csv` of the subject (name up to `_left`, `_right`) |
//! | `oxiwear` | `.csv` | red, infrared, accelerometer | its first line |
//! | `troika` | `.ppg2_acc3.i16`, 125 Hz | PPG, accelerometer, running | `.ref.csv` |
//! | `bidmc` | `.ii_pleth_resp.i16`, 125 Hz | ECG, PPG, impedance | `.breaths.csv` |
//! | `cinc2015` | `.i16` + `.txt` | ECG, PPG around an alarm | none |
//!
//! What follows an underscore in a folder's name is of no matter.

use std::path::{Path, PathBuf};

use super::{
    file::{self, BadFile, Fault},
    signals::{self, Layout, Signals, channel},
    truth::{self, Truth},
    wfdb,
};

/// More than any database has.
const MAX_FILES: usize = 10_000;

/// What kind of recording a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// What the program brings along.
    Shipped,
    /// `mitdb`: half an hour of ECG each.
    Ecg,
    /// `mitdb60s`: a minute of ECG each.
    EcgMinute,
    /// `nstdb`: ECG with electrode motion noise.
    Noise,
    /// `uwoxi`: a finger on a camera, oxygen withheld.
    Camera,
    /// Made of `uwoxi`: its waveform, with the saturation put into two wavelengths.
    Desaturation,
    /// `oxiwear`: a few seconds of a finger sensor each.
    Clips,
    /// `troika`: a wrist on a treadmill.
    Running,
    /// `bidmc`: intensive care.
    Breathing,
    /// `cinc2015`: around an alarm.
    Alarm,
}

impl Collection {
    /// By the folder's name.
    fn of_folder(name: &str) -> Option<Self> {
        Some(match name.split('_').next()? {
            "mitdb" => Self::Ecg,
            "mitdb60s" => Self::EcgMinute,
            "nstdb" => Self::Noise,
            "uwoxi" => Self::Camera,
            "oxiwear" => Self::Clips,
            "troika" => Self::Running,
            "bidmc" => Self::Breathing,
            "cinc2015" => Self::Alarm,
            _ => return None,
        })
    }

    /// How a record's main file ends.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Shipped | Self::Desaturation => "",
            Self::Ecg | Self::EcgMinute => ".hea",
            Self::Noise | Self::Alarm => ".i16",
            Self::Camera => ".rgb.u16",
            Self::Clips => ".csv",
            Self::Running => ".ppg2_acc3.i16",
            Self::Breathing => ".ii_pleth_resp.i16",
        }
    }
}

/// A recording with its truth.
#[derive(Debug, Clone)]
pub struct Record {
    /// `folder/name`.
    pub name: String,
    /// What kind of.
    pub collection: Collection,
    /// To play.
    pub signals: Signals,
    /// To compare with.
    pub truth: Truth,
}

/// A record that was found and not yet read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// What kind of.
    pub collection: Collection,
    /// `folder/name`.
    pub name: String,
    path: PathBuf,
}

/// The records below a folder, in the order of their kinds and names, and what could not be looked at.
///
/// # Errors
/// [`BadFile`] if the folder itself cannot be read.
pub fn find(root: &Path) -> Result<(Vec<Found>, Vec<BadFile>), BadFile> {
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    for folder in entries(root).map_err(|fault| fault.of(root))? {
        let name = plain_name(&folder);
        let Some(collection) = name.as_deref().and_then(Collection::of_folder) else { continue };
        let files = match entries(&folder) {
            Ok(files) => files,
            Err(fault) => {
                bad.push(fault.of(&folder));
                continue;
            }
        };
        for path in files {
            let lossy = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !lossy.ends_with(collection.suffix()) {
                continue;
            }
            match (name.as_deref(), plain_name(&path)) {
                (Some(folder), Some(file)) => {
                    let stem = file.strip_suffix(collection.suffix()).unwrap_or(&file);
                    found.push(Found { collection, name: format!("{folder}/{stem}"), path });
                }
                _ => bad.push(
                    Fault::Header("is not named with letters, digits, dot, hyphen and underscore".into())
                        .of(&path),
                ),
            }
        }
    }
    found.sort();
    Ok((found, bad))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(Fault::Unreadable)? {
        paths.push(entry.map_err(Fault::Unreadable)?.path());
        if paths.len() > MAX_FILES {
            return Err(Fault::Header(format!("holds more than {MAX_FILES} files")));
        }
    }
    paths.sort();
    Ok(paths)
}

/// The last part of a path, if it can be shown and written anywhere as it is.
fn plain_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    (plain && !name.starts_with('.')).then(|| name.to_owned())
}

impl Found {
    /// Reads the record.
    ///
    /// # Errors
    /// [`BadFile`] naming the file and what is wrong with it.
    pub fn read(&self) -> Result<Record, BadFile> {
        let (signals, truth) = self.signals_and_truth()?;
        Ok(Record { name: self.name.clone(), collection: self.collection, signals, truth })
    }

    fn signals_and_truth(&self) -> Result<(Signals, Truth), BadFile> {
        match self.collection {
            Collection::Ecg | Collection::EcgMinute => Ok((self.wfdb()?, self.true_beats()?)),
            Collection::Noise => {
                let ecg = self.parse(signals::noise)?;
                Ok((ecg, self.true_beats()?))
            }
            Collection::Camera => {
                let subject = self.stem().trim_end_matches("_left").trim_end_matches("_right").to_owned();
                let reference = self.path.with_file_name(format!("{subject}.ref.csv"));
                Ok((self.parse(signals::camera)?, optional(&reference, truth::oximeters)?))
            }
            Collection::Clips => {
                let text = file::read_text(&self.path).map_err(|fault| fault.of(&self.path))?;
                signals::clip(&text).map_err(|fault| fault.of(&self.path))
            }
            Collection::Running => {
                Ok((self.parse(signals::running)?, optional(&self.beside(".ref.csv"), truth::windows)?))
            }
            Collection::Breathing => {
                Ok((self.parse(signals::breathing)?, optional(&self.beside(".breaths.csv"), truth::breaths)?))
            }
            Collection::Alarm => {
                let path = self.beside(".txt");
                let text = file::read_text(&path).map_err(|fault| fault.of(&path))?;
                let layout = Layout::parse(&text).map_err(|fault| fault.of(&path))?;
                Ok((self.parse(|bytes| layout.signals(bytes))?, Truth::default()))
            }
            Collection::Shipped | Collection::Desaturation => Ok(Default::default()),
        }
    }

    fn stem(&self) -> &str {
        self.name.split_once('/').map_or(&self.name, |(_, stem)| stem)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.path.with_file_name(format!("{}{suffix}", self.stem()))
    }

    fn parse(&self, parse: impl FnOnce(&[u8]) -> Result<Signals, Fault>) -> Result<Signals, BadFile> {
        file::read(&self.path).and_then(|bytes| parse(&bytes)).map_err(|fault| fault.of(&self.path))
    }

    fn wfdb(&self) -> Result<Signals, BadFile> {
        let text = file::read_text(&self.path).map_err(|fault| fault.of(&self.path))?;
        let header = wfdb::Header::parse(&text).map_err(|fault| fault.of(&self.path))?;
        let data = self.path.with_file_name(&header.file);
        let samples = file::read(&data).and_then(|bytes| header.microvolts(&bytes));
        let ecg =
            samples.and_then(|samples| channel(header.rate_hz, samples)).map_err(|fault| fault.of(&data))?;
        Ok(Signals { ecg: Some(ecg), ..Signals::default() })
    }

    fn true_beats(&self) -> Result<Truth, BadFile> {
        optional(&self.beside(".beats.csv"), truth::beats)
    }
}

/// The truth in a file, or none without the file.
fn optional(path: &Path, parse: impl FnOnce(&str) -> Result<Truth, Fault>) -> Result<Truth, BadFile> {
    if !path.exists() {
        return Ok(Truth::default());
    }
    file::read_text(path).and_then(|text| parse(&text)).map_err(|fault| fault.of(path))
}
