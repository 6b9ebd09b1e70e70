//! The recording file: a text header that says what it is, then samples.
//!
//! Owns the format and its limits. Knows nothing of what the samples are used for. `replay` reads the physical
//! values. A file comes from anyone, so every field is bounded and a contradiction is refused.
//!
//! ```text
//! vitalward-recording 1          first line, exactly
//! title: ...                     free text; also `origin` and `licence`, all three required
//! kind: ecg | ppg
//! rate-hz: 360                   100..=500 for ecg, 25..=125 for ppg
//! zero: 1024                     raw value that means 0
//! step: 5                        ecg: microvolt per count; ppg: any unit per count; 1..=1000
//! samples: 108000                rate-hz x 10 (ten seconds) ..= 8000000
//!                                empty line, then exactly that many i16, little endian
//! ```

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "vitalward-recording 1";
const MAX_HEADER: usize = 4096;
/// Six hours at 360 Hz, 16 MB.
const MAX_SAMPLES: usize = 8_000_000;
const MAX_FILE: usize = MAX_HEADER + 2 * MAX_SAMPLES;
const LEAST_SECONDS: usize = 10;

/// What a recording holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One ECG lead, microvolt.
    Ecg,
    /// One optical pulse waveform, arbitrary unit, more is more blood.
    Ppg,
}

/// One recorded signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    title: String,
    origin: String,
    licence: String,
    kind: Kind,
    rate_hz: u16,
    zero: i16,
    step: i32,
    samples: Vec<i16>,
}

/// Why a recording was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("cannot read recording {path}")]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// From the operating system.
        source: std::io::Error,
    },
    /// A folder, device or pipe.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// Longer than any valid recording.
    #[error("longer than {MAX_FILE} bytes")]
    TooLong,
    /// No `vitalward-recording 1` header of at most 4096 bytes of UTF-8 that ends in an empty line.
    #[error("not a recording: no `{FIRST_LINE}` header within {MAX_HEADER} bytes")]
    NotARecording,
    /// A header line that is no known field, a field given twice, or a value out of its range.
    #[error("header line {line:?} is unknown, repeated or out of range")]
    BadField {
        /// The offending line.
        line: String,
    },
    /// A required header field is absent.
    #[error("header field `{0}` is missing")]
    MissingField(&'static str),
    /// The sample count of the header is not that of the file, or below ten seconds.
    #[error("header declares {declared} samples, file holds {bytes} bytes of them")]
    WrongLength {
        /// From the header.
        declared: usize,
        /// After the header.
        bytes: usize,
    },
}

impl Recording {
    /// Record 208 of the MIT-BIH Arrhythmia Database, 5 min, 360 Hz, many ventricular beats, about 100 bpm
    /// (ODC-By 1.0, see recordings/README.md).
    ///
    /// # Errors
    /// None for the file as shipped.
    pub fn shipped_ecg() -> Result<Self, RecordingError> {
        Self::parse(include_bytes!("../../recordings/mitdb-208.rec"))
    }

    /// PPG of a finger in a driving simulator, 11.4 min, 100 Hz, with artefacts, about 97 bpm (MIT licence, see
    /// recordings/README.md).
    ///
    /// # Errors
    /// None for the file as shipped.
    pub fn shipped_ppg() -> Result<Self, RecordingError> {
        Self::parse(include_bytes!("../../recordings/heartpy-data3.rec"))
    }

    /// Reads a file of the format above.
    ///
    /// # Errors
    /// [`RecordingError`]; at most 16 MB are ever read.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let unreadable = |source| RecordingError::Unreadable { path: path.to_owned(), source };
        // Asked before opening: opening a pipe would wait for its writer.
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(RecordingError::NotAFile(path.to_owned()));
        }
        let mut bytes = Vec::new();
        let limit = MAX_FILE as u64 + 1;
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
        Self::parse(&bytes)
    }

    /// Parses the bytes of a file.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordingError> {
        if bytes.len() > MAX_FILE {
            return Err(RecordingError::TooLong);
        }
        let window = bytes.get(..MAX_HEADER).unwrap_or(bytes);
        let end = window.windows(2).position(|pair| pair == b"\n\n").ok_or(RecordingError::NotARecording)?;
        let (header, data) = bytes.split_at(end + 2);
        let header = std::str::from_utf8(header).map_err(|_| RecordingError::NotARecording)?;
        let fields = Fields::parse(header.trim_end_matches('\n'))?;
        let (declared, least) = (fields.samples, LEAST_SECONDS * usize::from(fields.rate_hz));
        if declared < least || declared.checked_mul(2) != Some(data.len()) {
            return Err(RecordingError::WrongLength { declared, bytes: data.len() });
        }
        let (pairs, _) = data.as_chunks::<2>();
        let samples = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
        let Fields { title, origin, licence, kind, rate_hz, zero, step, .. } = fields;
        Ok(Self { title, origin, licence, kind, rate_hz, zero, step, samples })
    }

    /// What it is a recording of.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// On what terms it may be passed on.
    #[must_use]
    pub fn licence(&self) -> &str {
        &self.licence
    }

    /// ECG or PPG.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Samples a second.
    #[must_use]
    pub const fn rate_hz(&self) -> u16 {
        self.rate_hz
    }

    /// Whole seconds recorded, at least 10.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.samples.len() / usize::from(self.rate_hz)).unwrap_or(u32::MAX)
    }

    /// Physical values from the start: microvolt for ECG.
    pub fn values(&self) -> impl Iterator<Item = i32> + Clone {
        self.samples.iter().map(|raw| (i32::from(*raw) - i32::from(self.zero)) * self.step)
    }

    /// Mean of all physical values.
    pub(super) fn mean(&self) -> i32 {
        let (sum, count) =
            self.values().fold((0_i64, 0), |(sum, count), value| (sum + i64::from(value), count + 1));
        i32::try_from(sum / count.max(1)).unwrap_or(0)
    }

    /// The physical value at a place, 0 past the end.
    pub(super) fn value(&self, place: u64) -> i32 {
        let raw = usize::try_from(place).ok().and_then(|place| self.samples.get(place));
        raw.map_or(0, |raw| (i32::from(*raw) - i32::from(self.zero)) * self.step)
    }
}

/// The header, complete and in range.
struct Fields {
    title: String,
    origin: String,
    licence: String,
    kind: Kind,
    rate_hz: u16,
    zero: i16,
    step: i32,
    samples: usize,
}

impl Fields {
    fn parse(header: &str) -> Result<Self, RecordingError> {
        let mut lines = header.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(RecordingError::NotARecording);
        }
        let (mut title, mut origin, mut licence) = (None, None, None);
        let (mut kind, mut rate_hz, mut zero, mut step, mut samples) = (None, None, None, None, None);
        for line in lines {
            let accepted = line.split_once(": ").is_some_and(|(name, value)| match name {
                "title" => set(&mut title, Some(value.to_owned())),
                "origin" => set(&mut origin, Some(value.to_owned())),
                "licence" => set(&mut licence, Some(value.to_owned())),
                "kind" => set(
                    &mut kind,
                    match value {
                        "ecg" => Some(Kind::Ecg),
                        "ppg" => Some(Kind::Ppg),
                        _ => None,
                    },
                ),
                "rate-hz" => set(&mut rate_hz, value.parse::<u16>().ok()),
                "zero" => set(&mut zero, value.parse::<i16>().ok()),
                "step" => set(&mut step, value.parse::<i32>().ok().filter(|step| (1..=1000).contains(step))),
                "samples" => {
                    set(&mut samples, value.parse::<usize>().ok().filter(|count| *count <= MAX_SAMPLES))
                }
                _ => false,
            });
            if !accepted {
                return Err(RecordingError::BadField { line: line.to_owned() });
            }
        }
        let kind = kind.ok_or(RecordingError::MissingField("kind"))?;
        let rate_hz = rate_hz.ok_or(RecordingError::MissingField("rate-hz"))?;
        let supported = match kind {
            Kind::Ecg => 100..=500,
            Kind::Ppg => 25..=125,
        };
        if !supported.contains(&rate_hz) {
            return Err(RecordingError::BadField { line: format!("rate-hz: {rate_hz}") });
        }
        Ok(Self {
            title: title.ok_or(RecordingError::MissingField("title"))?,
            origin: origin.ok_or(RecordingError::MissingField("origin"))?,
            licence: licence.ok_or(RecordingError::MissingField("licence"))?,
            kind,
            rate_hz,
            zero: zero.ok_or(RecordingError::MissingField("zero"))?,
            step: step.ok_or(RecordingError::MissingField("step"))?,
            samples: samples.ok_or(RecordingError::MissingField("samples"))?,
        })
    }
}

/// Fills `slot` once; false when it was filled or there is nothing to fill it with.
fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    slot.is_none() && {
        *slot = value;
        slot.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, samples: usize) -> Vec<u8> {
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend((0_u16..).take(samples).flat_map(u16::to_le_bytes));
        bytes
    }

    const GOOD: &str = "vitalward-recording 1\ntitle: t\norigin: o\nlicence: l\nkind: ppg\nrate-hz: 50\nzero: 3\nstep: 2\nsamples: 500\n\n";

    #[test]
    fn a_file_is_read_in_physical_units() {
        let recording = Recording::parse(&file(GOOD, 500)).unwrap();
        assert_eq!(recording.values().take(3).collect::<Vec<_>>(), [-6, -4, -2]);
        assert_eq!((recording.seconds(), recording.rate_hz(), recording.kind()), (10, 50, Kind::Ppg));
        assert_eq!((recording.value(499), recording.value(500), recording.value(u64::MAX)), (992, 0, 0));
    }

    #[test]
    fn shipped_recordings_say_what_they_are() {
        let (ecg, ppg) = (Recording::shipped_ecg().unwrap(), Recording::shipped_ppg().unwrap());
        assert_eq!((ecg.kind(), ecg.rate_hz(), ecg.seconds()), (Kind::Ecg, 360, 300));
        assert_eq!((ppg.kind(), ppg.rate_hz(), ppg.seconds()), (Kind::Ppg, 100, 684));
        assert!(
            ecg.licence().contains("ODC-By")
                && ecg.title().contains("208")
                && ecg.origin().contains("PhysioNet")
        );
        assert!(ppg.licence().contains("MIT"));
        // scipy documents the excerpt: starts -0.245, -0.215, -0.185 mV, mean -0.16510875 mV.
        assert_eq!(ecg.values().take(3).collect::<Vec<_>>(), [-245, -215, -185]);
        assert_eq!(ecg.values().map(i64::from).sum::<i64>(), -17_831_745);
    }

    #[test]
    fn hostile_files_are_refused_with_the_reason() {
        let refusal =
            |header: &str, samples| Recording::parse(&file(header, samples)).unwrap_err().to_string();
        assert!(refusal(GOOD, 499).contains("declares 500 samples"));
        assert!(refusal(GOOD, 501).contains("declares 500 samples"));
        assert!(refusal(&GOOD.replace("500\n", "499\n"), 499).contains("declares 499"), "below ten seconds");
        assert!(refusal(&GOOD.replace("500\n", "18446744073709551615\n"), 500).contains("out of range"));
        assert!(refusal(&GOOD.replace("step: 2", "step: 2000"), 500).contains("step: 2000"));
        assert!(refusal(&GOOD.replace("zero: 3", "zero: 3\nzero: 4"), 500).contains("zero: 4"));
        assert!(refusal(&GOOD.replace("rate-hz: 50", "rate-hz: 0"), 500).contains("rate-hz: 0"));
        assert!(refusal(&GOOD.replace("kind: ppg", "kind: ecg"), 500).contains("rate-hz: 50"));
        assert!(refusal(&GOOD.replace("origin: o\n", ""), 500).contains("`origin` is missing"));
        assert!(refusal(&GOOD.replace("title: t", "title: t\npath: /etc"), 500).contains("path: /etc"));
        assert!(refusal("vitalward-recording 2\n\n", 0).contains("not a recording"));
        assert!(refusal(&"x".repeat(5000), 0).contains("not a recording"));
        assert!(matches!(Recording::open(Path::new("/dev/zero")), Err(RecordingError::NotAFile(_))));
        assert!(matches!(Recording::open(Path::new("/no/such")), Err(RecordingError::Unreadable { .. })));
        assert!(matches!(Recording::parse(&vec![0; MAX_FILE + 1]), Err(RecordingError::TooLong)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Recording::parse(&tail).is_ok();
            let _ = Recording::parse(&[b"vitalward-recording 1\n", tail.as_slice()].concat()).is_ok();
        }
    }
}
