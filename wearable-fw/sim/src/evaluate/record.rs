//! Recordings in a folder: which there are, what their channels mean to the firmware, and what is known to be true.
//!
//! Owns the folder names, file formats and units of the recordings (no record's name), and how a reference is made of
//! annotations. Knows neither the firmware's readings nor scores. One record is in memory at a time.
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
    file::{self, BadFile, Fault, Table, finite},
    score::{Series, TrueBeats},
    wfdb,
};
use crate::recording::{finger_counts, sensor_counts};

/// More than any database has.
const MAX_FILES: usize = 10_000;
const MAX_ANNOTATORS: usize = 8;
/// Beat codes of the MIT-BIH annotations (PhysioNet, "Annotation codes").
const BEAT_CODES: &str = "NLRBAaJSVrFejnE/fQ?";
/// Saturation given to a pulse that was recorded in one wavelength, 0.1 %: ordinary, and never scored.
const NO_SPO2: i32 = 970;
/// Seconds over which reference beats become a heart rate.
const BEATS_WINDOW: f64 = 10.0;
/// Seconds over which breaths become a respiration rate.
const BREATHS_WINDOW: f64 = 40.0;

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

/// Samples at a constant rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel<T> {
    /// Samples a second, as exactly as the source says.
    pub rate_hz: f64,
    /// In order.
    pub samples: Vec<T>,
}

impl<T> Channel<T> {
    /// Of these samples.
    pub fn new(rate_hz: f64, samples: impl IntoIterator<Item = T>) -> Self {
        Self { rate_hz, samples: samples.into_iter().collect() }
    }

    /// How long it is.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / self.rate_hz
    }
}

/// What the firmware's sensors would have brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signals {
    /// Microvolt.
    pub ecg: Option<Channel<i32>>,
    /// Red, infrared; counts of 18 bits.
    pub light: Option<Channel<[i32; 2]>>,
    /// x, y, z in mg.
    pub acceleration: Option<Channel<[i32; 3]>>,
    /// Any unit.
    pub impedance: Option<Channel<i32>>,
}

impl Signals {
    /// How long the longest channel is.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let [ecg, impedance] =
            [&self.ecg, &self.impedance].map(|channel| channel.as_ref().map_or(0.0, Channel::seconds));
        let light = self.light.as_ref().map_or(0.0, Channel::seconds);
        let acceleration = self.acceleration.as_ref().map_or(0.0, Channel::seconds);
        ecg.max(light).max(acceleration).max(impedance)
    }
}

/// What is known of a record, as far as its files are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Truth {
    /// Of the ECG.
    pub beats: Option<TrueBeats>,
    /// Made of the beats.
    pub heart_rate: Option<Series>,
    /// Beats per minute.
    pub pulse_rate: Option<Series>,
    /// Breaths per minute.
    pub respiration: Option<Series>,
    /// Percent, that the record's light shows.
    pub spo2: Option<Series>,
    /// Percent, that the patient had and one wavelength cannot show.
    pub unseen_spo2: Option<Series>,
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
                let ecg = self.parse(noise)?;
                Ok((ecg, self.true_beats()?))
            }
            Collection::Camera => {
                let subject = self.stem().trim_end_matches("_left").trim_end_matches("_right").to_owned();
                let reference = self.path.with_file_name(format!("{subject}.ref.csv"));
                Ok((self.parse(camera)?, optional(&reference, oximeters)?))
            }
            Collection::Clips => {
                let text = file::read_text(&self.path).map_err(|fault| fault.of(&self.path))?;
                clip(&text).map_err(|fault| fault.of(&self.path))
            }
            Collection::Running => Ok((self.parse(running)?, optional(&self.beside(".ref.csv"), windows)?)),
            Collection::Breathing => {
                Ok((self.parse(breathing)?, optional(&self.beside(".breaths.csv"), breaths)?))
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
        optional(&self.beside(".beats.csv"), beats)
    }
}

/// The truth in a file, or none without the file.
fn optional(path: &Path, parse: impl FnOnce(&str) -> Result<Truth, Fault>) -> Result<Truth, BadFile> {
    if !path.exists() {
        return Ok(Truth::default());
    }
    file::read_text(path).and_then(|text| parse(&text)).map_err(|fault| fault.of(path))
}

/// A channel of at least a second.
fn channel<T>(rate_hz: f64, samples: impl IntoIterator<Item = T>) -> Result<Channel<T>, Fault> {
    let channel = Channel::new(rate_hz, samples);
    if channel.seconds() < 1.0 { Err(Fault::Empty) } else { Ok(channel) }
}

fn int(value: [u8; 2]) -> i32 {
    i16::from_le_bytes(value).into()
}

/// 5 microvolt per count.
fn noise(bytes: &[u8]) -> Result<Signals, Fault> {
    let samples = file::interleaved::<1>(bytes)?.into_iter().map(|[value]| 5 * int(value));
    Ok(Signals { ecg: Some(channel(360.0, samples)?), ..Signals::default() })
}

/// Red and, as the colour with the strongest pulse, green in place of infrared; 16 bits spread to 18.
fn camera(bytes: &[u8]) -> Result<Signals, Fault> {
    let counts = |value| 3 * i32::from(u16::from_le_bytes(value));
    let samples =
        file::interleaved::<3>(bytes)?.into_iter().map(|[red, green, _]| [counts(red), counts(green)]);
    Ok(Signals { light: Some(channel(30.0, samples)?), ..Signals::default() })
}

/// Two lights of one colour stand for red and infrared.
fn running(bytes: &[u8]) -> Result<Signals, Fault> {
    let rows: Vec<[i32; 5]> = file::interleaved::<5>(bytes)?.into_iter().map(|row| row.map(int)).collect();
    let first = absorbances(rows.iter().map(|[first, ..]| f64::from(*first)));
    let second = absorbances(rows.iter().map(|[_, second, ..]| f64::from(*second)));
    let light =
        channel(125.0, first.into_iter().zip(second).map(|(first, second)| sensor_counts([first, second])))?;
    let acceleration = channel(125.0, rows.iter().map(|[_, _, x, y, z]| [*x, *y, *z]))?;
    Ok(Signals { light: Some(light), acceleration: Some(acceleration), ..Signals::default() })
}

/// ECG in 0.1 microvolt.
fn breathing(bytes: &[u8]) -> Result<Signals, Fault> {
    let rows: Vec<[i32; 3]> = file::interleaved::<3>(bytes)?.into_iter().map(|row| row.map(int)).collect();
    Ok(Signals {
        ecg: Some(channel(125.0, rows.iter().map(|[ecg, ..]| ecg / 10))?),
        light: Some(channel(125.0, one_wavelength(rows.iter().map(|[_, pleth, _]| f64::from(*pleth))))?),
        impedance: Some(channel(125.0, rows.iter().map(|[.., resp]| *resp))?),
        ..Signals::default()
    })
}

/// A pulse of unknown scale, more is more blood, as a sensor would see it in two wavelengths.
fn one_wavelength(pulse: impl Iterator<Item = f64> + Clone) -> Vec<[i32; 2]> {
    absorbances(pulse).into_iter().map(|pulse| finger_counts(pulse, NO_SPO2, [0; 2])).collect()
}

/// A pulse of unknown scale in Q20 of the light: an rms of 0.7 %, which is a perfusion index of 2 % (ordinary).
fn absorbances(pulse: impl Iterator<Item = f64> + Clone) -> Vec<i64> {
    const RMS_Q20: f64 = 0.007 * (1 << 20) as f64;
    let count = pulse.clone().count().max(1) as f64;
    let mean = pulse.clone().sum::<f64>() / count;
    let rms = (pulse.clone().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt().max(1.0);
    #[expect(clippy::cast_possible_truncation, reason = "16-bit values over an rms of at least 1")]
    let absorbance = |value: f64| ((value - mean) / rms * RMS_Q20) as i64;
    pulse.map(absorbance).collect()
}

/// `# fs_hz=64.1 ref_spo2=95 ref_hr=73`, then a table.
fn clip(text: &str) -> Result<(Signals, Truth), Fault> {
    let first = text.lines().next().unwrap_or_default();
    let said = |name: &str| {
        let field = first.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        field.map(|field| finite(1, field)).transpose()
    };
    let rate_hz = said("fs_hz")?.ok_or_else(|| Fault::Header("does not begin with # fs_hz=".into()))?;
    if !(1.0..=1000.0).contains(&rate_hz) {
        return Err(Fault::Line { line: 1, what: format!("{rate_hz} Hz is not 1 to 1000 Hz") });
    }
    let table = Table::parse(text, ["red", "ir", "ax_mg", "ay_mg", "az_mg"])?;
    let rows: Vec<[f64; 5]> = table.numbers().collect::<Result<_, _>>()?;
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let rows: Vec<[i32; 5]> = rows.into_iter().map(|row| row.map(|value| value.round() as i32)).collect();
    let light = channel(rate_hz, rows.iter().map(|[red, infrared, ..]| [*red, *infrared]))?;
    let acceleration = channel(rate_hz, rows.iter().map(|[_, _, x, y, z]| [*x, *y, *z]))?;
    let seconds = light.seconds();
    let throughout = |value: f64| {
        let times = (0_u32..).map(f64::from).take_while(|time| *time <= seconds);
        Series::new(times.map(|time| (time, value)).collect())
    };
    let truth = Truth {
        spo2: said("ref_spo2")?.and_then(throughout),
        pulse_rate: said("ref_hr")?.and_then(throughout),
        ..Truth::default()
    };
    Ok((Signals { light: Some(light), acceleration: Some(acceleration), ..Signals::default() }, truth))
}

/// `fs=250 channels=['II', 'V', 'PLETH'] scale=1000/unit n=82500 ...`
struct Layout {
    rate_hz: f64,
    per_unit: f64,
    ecg: Option<usize>,
    pleth: Option<usize>,
    samples: usize,
}

impl Layout {
    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |what: &str| Fault::Header(format!("does not say {what}"));
        let field = |name: &str| {
            let (_, rest) = text.split_once(name)?;
            rest.split([' ', '/', '\n']).next()?.parse::<f64>().ok().filter(|value| value.is_finite())
        };
        let rate = field("fs=").filter(|rate| (1.0..=10_000.0).contains(rate));
        let scale = field("scale=").filter(|scale| (1.0..=1e6).contains(scale));
        let count = field("n=").filter(|count| (1.0..=1e9).contains(count));
        let listed = text.split_once("channels=[").and_then(|(_, rest)| rest.split(']').next());
        let names: Vec<&str> = listed
            .ok_or_else(|| wrong("channels=[...]"))?
            .split(',')
            .map(|name| name.trim_matches([' ', '\'', '"']))
            .collect();
        if names.len() != 3 {
            return Err(Fault::Header(format!("lists {} channels, not 3", names.len())));
        }
        let place = |wanted: &[&str]| names.iter().position(|name| wanted.contains(name));
        Ok(Self {
            rate_hz: rate.ok_or_else(|| wrong("fs= of 1 to 10000"))?,
            per_unit: scale.ok_or_else(|| wrong("scale= of 1 to 1000000"))?,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 ..= 10^9")]
            samples: count.ok_or_else(|| wrong("n= of 1 to 10^9"))? as usize,
            ecg: place(&["I", "II", "III", "V", "MCL", "MLII", "ECG"]),
            pleth: place(&["PLETH", "PPG"]),
        })
    }

    fn signals(&self, bytes: &[u8]) -> Result<Signals, Fault> {
        let rows: Vec<[i32; 3]> =
            file::interleaved::<3>(bytes)?.into_iter().map(|row| row.map(int)).collect();
        if rows.len() != self.samples {
            let (held, said) = (rows.len(), self.samples);
            return Err(Fault::Header(format!("holds {held} samples, not the {said} of its .txt")));
        }
        let column = |place: usize| rows.iter().map(move |row| row.get(place).copied().unwrap_or(0));
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and beyond +-1 V is the rail")]
        let microvolt = |value: i32| (f64::from(value) * 1000.0 / self.per_unit).round() as i32;
        let ecg = self.ecg.map(|place| channel(self.rate_hz, column(place).map(microvolt))).transpose()?;
        let light = self.pleth.map(|place| one_wavelength(column(place).map(f64::from)));
        let light = light.map(|samples| at_most_125_hz(self.rate_hz, &samples)).transpose()?;
        Ok(Signals { ecg, light, ..Signals::default() })
    }
}

/// What the firmware's optical channel takes: means of neighbouring samples, as a sensor integrates light.
fn at_most_125_hz(rate_hz: f64, samples: &[[i32; 2]]) -> Result<Channel<[i32; 2]>, Fault> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 80")]
    let group = (rate_hz / 125.0).ceil().max(1.0) as usize;
    let divisor = i32::try_from(group).unwrap_or(1);
    let mean = |group: &[[i32; 2]]| {
        [0, 1].map(|place| group.iter().map(|sample| sample.get(place).unwrap_or(&0)).sum::<i32>() / divisor)
    };
    channel(rate_hz / f64::from(divisor), samples.chunks_exact(group).map(mean))
}

fn beats(text: &str) -> Result<Truth, Fault> {
    let (mut truth, mut flutter, mut last) = (TrueBeats::default(), None, f64::NEG_INFINITY);
    for (line, [time, code]) in Table::parse(text, ["time_s", "symbol"])?.rows() {
        let time = finite(line, time)?;
        if time < last {
            return Err(Fault::Line { line, what: "is earlier than the line above".into() });
        }
        last = time;
        match code {
            "[" => flutter = Some(time),
            "]" => truth.excluded.extend(flutter.take().map(|from| (from, time))),
            code if code.len() == 1 && BEAT_CODES.contains(code) => truth.beats.push(time),
            _ => {}
        }
    }
    let heart_rate = rates(&truth.beats, BEATS_WINDOW, |time| {
        let half = BEATS_WINDOW / 2.0;
        !truth.excluded.iter().any(|(from, to)| time + half > *from && time - half < *to)
    });
    Ok(Truth { heart_rate: Some(heart_rate), beats: Some(truth), ..Truth::default() })
}

/// Events per minute, each second, over the `window` seconds around it.
fn rates(events: &[f64], window: f64, counts: impl Fn(f64) -> bool) -> Series {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Series::default() };
    let seconds = (0_u32..=1 << 20).map(f64::from);
    let whole = |time: &f64| time - window / 2.0 >= *first && time + window / 2.0 <= *last;
    let times = seconds.take_while(|time| time <= last).filter(whole).filter(|time| counts(*time));
    let rate = |time: f64| {
        let from = events.partition_point(|event| *event < time - window / 2.0);
        let to = events.partition_point(|event| *event <= time + window / 2.0);
        match events.get(from..to)? {
            [first, between @ .., last] if last > first => {
                Some((time, 60.0 * (between.len() + 1) as f64 / (last - first)))
            }
            _ => None,
        }
    };
    Series::new(times.filter_map(rate).collect()).unwrap_or_default()
}

fn column(text: &str, time: &'static str, value: &'static str) -> Result<Series, Fault> {
    let mut points = Vec::new();
    for (line, [time, value]) in Table::parse(text, [time, value])?.rows() {
        // The oximeters' and the capnometer's way to say nothing.
        if value.is_empty() || value.eq_ignore_ascii_case("nan") {
            continue;
        }
        let (time, value) = (finite(line, time)?, finite(line, value)?);
        if value > 0.0 {
            points.push((time, value));
        }
    }
    Series::new(points).ok_or_else(|| Fault::Header("is not in the order of time".into()))
}

fn oximeters(text: &str) -> Result<Truth, Fault> {
    Ok(Truth {
        pulse_rate: Some(column(text, "t_s", "pr_med")?),
        respiration: Some(column(text, "t_s", "rr_co2")?),
        unseen_spo2: Some(column(text, "t_s", "spo2_med")?),
        ..Truth::default()
    })
}

/// The rate of a window is that of its middle.
fn windows(text: &str) -> Result<Truth, Fault> {
    let numbers = Table::parse(text, ["t_start_s", "t_end_s", "hr_bpm"])?;
    let points: Result<Vec<_>, Fault> =
        numbers.numbers().map(|row| row.map(|[from, to, rate]| (f64::midpoint(from, to), rate))).collect();
    let series = Series::new(points?).ok_or_else(|| Fault::Header("is not in the order of time".into()))?;
    Ok(Truth { pulse_rate: Some(series), ..Truth::default() })
}

/// Mean of the annotators, where all of them have a rate.
fn breaths(text: &str) -> Result<Truth, Fault> {
    let mut annotators: Vec<(String, Vec<f64>)> = Vec::new();
    for (line, [annotator, time]) in Table::parse(text, ["annotator", "time_s"])?.rows() {
        let time = finite(line, time)?;
        if let Some((_, times)) = annotators.iter_mut().find(|(name, _)| name == annotator) {
            times.push(time);
        } else if annotators.len() < MAX_ANNOTATORS {
            annotators.push((annotator.to_owned(), vec![time]));
        } else {
            return Err(Fault::Line { line, what: format!("is of more than {MAX_ANNOTATORS} annotators") });
        }
    }
    let rates: Vec<Series> = annotators
        .iter_mut()
        .map(|(_, times)| {
            times.sort_by(f64::total_cmp);
            rates(times, BREATHS_WINDOW, |_| true)
        })
        .collect();
    let points = rates.first().map(Series::points).unwrap_or_default().iter().filter_map(|(time, _)| {
        let at: Option<Vec<f64>> = rates.iter().map(|series| series.at(*time)).collect();
        at.map(|at| (*time, at.iter().sum::<f64>() / at.len() as f64))
    });
    let respiration = Series::new(points.collect()).unwrap_or_default();
    Ok(Truth { respiration: Some(respiration), ..Truth::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(series: Option<Series>) -> Vec<(f64, f64)> {
        series.unwrap().points().to_vec()
    }

    #[test]
    fn beat_codes_become_beats_and_flutter_is_excluded() {
        let text = "sample,time_s,symbol\n1,0.5,N\n2,1.5,V\n3,2,+\n4,2.5,[\n5,3,!\n6,4.5,]\n7,5.5,/\n";
        let truth = beats(text).unwrap().beats.unwrap();
        assert_eq!(truth.beats, [0.5, 1.5, 5.5]);
        assert_eq!(truth.excluded, [(2.5, 4.5)]);
        for hostile in ["1,2,N\n1,1,N", "1,NaN,N", "1,,N", "1,1"] {
            let fault = beats(&format!("sample,time_s,symbol\n{hostile}\n")).unwrap_err().to_string();
            assert!(fault.starts_with("line "), "{hostile}: {fault}");
        }
        assert!(beats("").is_err() && beats("sample,time_s,symbol\n").unwrap().beats.is_some());
    }

    #[test]
    fn reference_beats_become_a_heart_rate_but_not_across_flutter() {
        let steady: Vec<f64> = (0..40).map(|beat| f64::from(beat) * 0.8).collect();
        let rate = rates(&steady, 10.0, |_| true);
        assert_eq!((rate.points()[0].0, rate.points().last().unwrap().0), (5.0, 26.0));
        assert!(rate.points().iter().all(|point| (point.1 - 75.0).abs() < 1e-9));
        let lines: String = steady.iter().map(|time| format!("{time},N\n")).collect();
        let text = format!("time_s,symbol\n{lines}31.3,[\n31.5,]\n");
        let truth = points(beats(&text).unwrap().heart_rate);
        assert_eq!(truth.last().unwrap().0, 26.0);
        assert_eq!(rates(&[], 10.0, |_| true).points(), []);
        assert_eq!(rates(&[1e300, 2e300], 10.0, |_| true).points(), [], "bounded for hostile times");
    }

    #[test]
    fn two_annotators_of_breaths_are_averaged_where_both_have_a_rate() {
        let lines: String = (0..60)
            .flat_map(|breath| [(1, f64::from(breath) * 2.0), (2, f64::from(breath) * 2.5)])
            .map(|(annotator, time)| format!("{annotator},0,{time}\n"))
            .collect();
        let truth = points(breaths(&format!("annotator,sample,time_s\n{lines}")).unwrap().respiration);
        assert!(truth.iter().all(|point| (point.1 - 27.0).abs() < 1e-9), "{truth:?}");
        assert_eq!((truth[0].0, truth.last().unwrap().0), (20.0, 98.0));
        let many: String = (0..20).map(|annotator| format!("{annotator},0,1\n")).collect();
        assert!(breaths(&format!("annotator,sample,time_s\n{many}")).is_err());
    }

    #[test]
    fn oximeters_may_be_silent_but_not_absurd() {
        let head = "t_s,spo2_med,pr_med,rr_co2\n";
        let truth = oximeters(&format!("{head}0,97.5,60,\n1,,61,nan\n2,98,0,14\n")).unwrap();
        assert_eq!(points(truth.unseen_spo2), [(0.0, 97.5), (2.0, 98.0)]);
        assert_eq!(points(truth.pulse_rate), [(0.0, 60.0), (1.0, 61.0)]);
        assert_eq!(points(truth.respiration), [(2.0, 14.0)]);
        assert!(oximeters(&format!("{head}0,x,60,1\n")).unwrap_err().to_string().contains("\"x\""));
        assert!(oximeters(&format!("{head}1,97,60,9\n0,97,60,9\n")).is_err());
        assert!(oximeters("t_s,pr_med\n").unwrap_err().to_string().contains("rr_co2"));
    }

    #[test]
    fn a_clip_has_its_truth_in_its_first_line() {
        let rows: String = (0..64).map(|row| format!("{row},90000,80000,1,2,3,-1000\n")).collect();
        let table = format!("t_ms,ir,red,ambient,ax_mg,ay_mg,az_mg\n{rows}");
        let (signals, truth) = clip(&format!("# fs_hz=32 ref_spo2=95 ref_hr=73\n{table}")).unwrap();
        assert_eq!(signals.light.unwrap().samples[0], [80_000, 90_000]);
        assert_eq!(signals.acceleration.unwrap().samples[9], [2, 3, -1000]);
        assert_eq!(points(truth.spo2), [(0.0, 95.0), (1.0, 95.0), (2.0, 95.0)]);
        assert_eq!(clip(&format!("# fs_hz=32\n{table}")).unwrap().1, Truth::default());
        for hostile in
            ["", "#", "# fs_hz=0", "# fs_hz=NaN", "# fs_hz=1e9", "# fs_hz=32 ref_spo2=x", "# fs_hz=900"]
        {
            assert!(clip(&format!("{hostile}\n{table}")).is_err(), "{hostile}");
        }
    }

    #[test]
    fn interleaved_channels_come_apart_in_their_units() {
        let bytes = |row: &[i16]| -> Vec<u8> {
            row.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().repeat(400)
        };
        assert_eq!(noise(&bytes(&[-3])).unwrap().ecg.unwrap().samples[0], -15);
        assert_eq!(camera(&bytes(&[7, -1, 5])).unwrap().light.unwrap().samples[0], [21, 3 * 65_535]);
        let worn = running(&bytes(&[1, 2, 30, 40, -1000])).unwrap();
        assert_eq!(worn.acceleration.unwrap().samples[0], [30, 40, -1000]);
        let bed = breathing(&bytes(&[10_000, 5, -7])).unwrap();
        assert_eq!((bed.ecg.unwrap().samples[0], bed.impedance.unwrap().samples[0]), (1000, -7));
        for torn in [&[0_u8; 1][..], &[0; 7], &[0; 999]] {
            assert!(camera(torn).is_err() && running(torn).is_err() && breathing(torn).is_err());
        }
        assert!(matches!(noise(&[0; 100]), Err(Fault::Empty)));
    }

    #[test]
    fn a_layout_names_its_channels() {
        let text = "fs=250 channels=['II', 'V', 'PLETH'] scale=1000/unit n=500 comments=[]";
        let layout = Layout::parse(text).unwrap();
        let bytes: Vec<u8> = [500_i16, 1, 2].iter().flat_map(|value| value.to_le_bytes()).collect();
        let signals = layout.signals(&bytes.repeat(500)).unwrap();
        assert_eq!(signals.ecg.unwrap().samples[0], 500);
        let light = signals.light.unwrap();
        assert_eq!((light.rate_hz, light.samples.len()), (125.0, 250));
        assert!(layout.signals(&bytes.repeat(499)).unwrap_err().to_string().contains("499"));
        for hostile in [
            "",
            "fs=250 scale=1 n=5",
            "fs=0 channels=['II','V','PLETH'] scale=1 n=5",
            "fs=250 channels=['II'] scale=1 n=5",
            "fs=250 channels=['II','V','PLETH'] scale=NaN n=5",
            "fs=250 channels=['II','V','PLETH'] scale=1 n=1e300",
        ] {
            assert!(Layout::parse(hostile).is_err(), "{hostile}");
        }
    }

    #[test]
    fn a_pulse_of_any_scale_becomes_an_ordinary_finger() {
        for scale in [1.0, 30_000.0] {
            let pulse = (0..500).map(|sample| scale * (f64::from(sample) / 10.0).sin());
            let counts = one_wavelength(pulse);
            let swing = |place: usize| {
                let values = counts.iter().map(|sample| f64::from(sample[place]).ln());
                values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
            };
            assert!((0.012..0.030).contains(&swing(1)), "{scale}: {}", swing(1));
        }
        assert_eq!(one_wavelength(std::iter::repeat_n(5.0, 3)), vec![finger_counts(0, NO_SPO2, [0; 2]); 3]);
    }
}
