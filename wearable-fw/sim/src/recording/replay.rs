//! A simulated patient's signals: a recorded ECG and PPG, second by second, as sensors would feel them.
//!
//! Owns the synthesis of two wavelengths. The caller drives it, one [`Signals`] a second. Same recordings, same options,
//! same acts: same bytes.
//!
//! Semi-synthetic: SpO2 needs two wavelengths and the shipped PPG has one. The recorded waveform w (pulses,
//! breathing, artefacts) becomes the infrared absorbance, and R x w the red one, with R from the patient's SpO2
//! through the inverse of the firmware's calibration. So pulse timing and disturbances are real; SpO2 shows that
//! the chain recovers what was put in, not that the calibration holds for people. ECG and PPG are of two people
//! and not in step.

use std::sync::{Arc, OnceLock};

use wearable_core::dsp::{UnsupportedRate, ecg::Electrodes, spo2::Calibration};

use super::{
    course::{ACCELERATION_HZ, Contact, Course, Motion, Random, Temperatures},
    file::{Kind, Recording, RecordingError},
    player::Player,
};
use crate::act::Body;

/// Light through a finger without pulse, counts of an 18-bit sensor (typical of a MAX30102).
const RED_COUNTS: i64 = 60_000;
const INFRARED_COUNTS: i64 = 90_000;
/// Infrared absorbance in Q20 per 512 units of recorded amplitude: 3 %, so that the recorded pulses (150..850
/// units) have a perfusion index of 0.9..5 %, ordinary for a finger.
const ABSORBANCE_Q20: i64 = 31_457;
const AMPLITUDE: i64 = 512;
/// What an amplifier shows when an electrode is off: its rail, microvolt.
const RAIL: i32 = 2_400_000;

/// Which patient to simulate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Same seed, same patient: place in the recordings, SpO2 and temperature bases, noise.
    pub seed: u64,
    /// Start this many seconds into both recordings (modulo their length); `None` lets the seed choose.
    pub start: Option<u32>,
    /// Play only so many seconds from there, in a circle; `None` for all of the recording.
    pub length: Option<u32>,
}

/// Why no replay can be made.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A recording was refused.
    #[error("recording refused")]
    Recording(#[from] RecordingError),
    /// An ECG where a PPG belongs, or the other way round.
    #[error("{title:?} is not of kind {expected:?}")]
    WrongKind {
        /// The recording's title.
        title: String,
        /// The kind needed there.
        expected: Kind,
    },
    /// The signal processing does not take this sample rate.
    #[error("unsupported sample rate")]
    Rate(#[from] UnsupportedRate),
}

/// The two recordings of a patient; many patients share them.
#[derive(Clone, Debug)]
pub struct Recordings {
    /// One ECG lead.
    pub ecg: Arc<Recording>,
    /// One pulse wave.
    pub ppg: Arc<Recording>,
}

impl Recordings {
    /// The shipped ones; all patients of this process share them.
    ///
    /// # Errors
    /// None for the recordings as shipped.
    pub fn shipped() -> Result<Self, ReplayError> {
        static SHIPPED: OnceLock<Recordings> = OnceLock::new();
        if let Some(shipped) = SHIPPED.get() {
            return Ok(shipped.clone());
        }
        let (ecg, ppg) = (Recording::shipped_ecg()?, Recording::shipped_ppg()?);
        Ok(SHIPPED.get_or_init(|| Self { ecg: Arc::new(ecg), ppg: Arc::new(ppg) }).clone())
    }

    /// With `own` in place of the one of its kind.
    #[must_use]
    pub fn with(mut self, own: Recording) -> Self {
        match own.kind() {
            Kind::Ecg => self.ecg = Arc::new(own),
            Kind::Ppg => self.ppg = Arc::new(own),
        }
        self
    }
}

/// What sensors would feel in one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signals {
    /// Seconds since the replay began, 0 first.
    pub second: u32,
    /// Microvolt, at the ECG recording's rate.
    pub ecg: Vec<i32>,
    /// Whether all electrodes are in contact.
    pub electrodes: Electrodes,
    /// Red and infrared counts of 18 bits, at the PPG recording's rate.
    pub light: Vec<[i32; 2]>,
    /// mg, 100 Hz; each movement before the light that it disturbs. Synthetic.
    pub acceleration: Vec<Motion>,
    /// Synthetic.
    pub temperatures: Temperatures,
    /// What SpO2 was put into the light, 0.1 %.
    pub true_spo2: i32,
}

/// A simulated patient. It never ends: a recording begins again at its end.
#[derive(Clone, Debug)]
pub struct Replay {
    ecg: Player,
    ppg: Player,
    second: u32,
    course: Course,
    /// The pulse wave's mean, what is left of it without a heart.
    mean_amplitude: i32,
}

impl Replay {
    /// A patient of any two recordings.
    ///
    /// # Errors
    /// [`ReplayError`] for swapped recordings.
    pub fn new(recordings: &Recordings, options: &ReplayOptions) -> Result<Self, ReplayError> {
        let Recordings { ecg, ppg } = recordings;
        for (recording, expected) in [(ecg, Kind::Ecg), (ppg, Kind::Ppg)] {
            if recording.kind() != expected {
                return Err(ReplayError::WrongKind { title: recording.title().to_owned(), expected });
            }
        }
        let mut random = Random::new(options.seed);
        let [ecg, ppg] = [ecg, ppg].map(|recording| {
            let chosen = random.up_to(i32::MAX).cast_unsigned();
            Player::new(Arc::clone(recording), options.start.unwrap_or(chosen), options.length)
        });
        let mean_amplitude = recordings.ppg.mean();
        Ok(Self { ecg, ppg, second: 0, course: Course::new(random), mean_amplitude })
    }

    /// Something is done to the patient at the start of the next second.
    pub fn act(&mut self, body: Body) {
        self.course.act(body, self.second);
    }

    /// How the body is, and what touches it.
    #[must_use]
    pub const fn contact(&self) -> Contact {
        self.course.contact()
    }

    /// The second that comes next.
    #[must_use]
    pub const fn second(&self) -> u32 {
        self.second
    }

    /// The next second.
    pub fn next_second(&mut self) -> Signals {
        let pace = self.course.heart_rate(self.second);
        let mut ecg = self.ecg.second(pace);
        let mut amplitudes = self.ppg.second(pace);
        let contact = self.course.contact();
        if !contact.beats {
            ecg.fill_with(|| self.course.hiss());
            amplitudes.fill(self.mean_amplitude);
        }
        let electrodes = if contact.leads { Electrodes::On } else { Electrodes::Off };
        if electrodes == Electrodes::Off {
            ecg.fill(RAIL);
        }
        let true_spo2 = self.course.spo2(self.second);
        let mut light = Vec::with_capacity(amplitudes.len());
        let mut acceleration = Vec::with_capacity(ACCELERATION_HZ.into());
        // Each movement is known before the light that it disturbs.
        let until = |light: usize| light * usize::from(ACCELERATION_HZ) / amplitudes.len();
        for (at, amplitude) in amplitudes.iter().copied().enumerate() {
            acceleration.extend((until(at)..until(at + 1)).map(|_| self.course.motion(self.second)));
            light.push(if contact.finger {
                finger_counts(absorbance(amplitude), true_spo2, self.course.artefact())
            } else {
                [self.course.ambient(), self.course.ambient()]
            });
        }
        let temperatures = self.course.temperatures(self.second);
        let signals =
            Signals { second: self.second, ecg, electrodes, light, acceleration, temperatures, true_spo2 };
        self.second = self.second.saturating_add(1);
        signals
    }
}

/// Infrared absorbance in Q20 of a recorded amplitude.
const fn absorbance(amplitude: i32) -> i64 {
    amplitude as i64 * ABSORBANCE_Q20 / AMPLITUDE
}

impl Recording {
    /// Infrared absorbance in Q20 of each sample of a PPG.
    pub(crate) fn absorbances(&self) -> impl Iterator<Item = i64> {
        self.values().map(absorbance)
    }
}

/// Red and infrared counts of a finger that is fuller by an infrared absorbance in Q20, at a saturation in 0.1 %, and
/// with artefacts (red, infrared) that have no common ratio.
pub(crate) fn finger_counts(infrared: i64, true_spo2: i32, artefact: [i32; 2]) -> [i32; 2] {
    let ratio = Calibration::V1.ratio(u16::try_from(true_spo2).unwrap_or(0));
    let red = infrared * i64::from(ratio) / 1000;
    let [red_artefact, infrared_artefact] = artefact.map(i64::from);
    sensor_counts([red + red_artefact, infrared + infrared_artefact])
}

/// Counts of red and infrared light for their absorbances in Q20.
pub(crate) fn sensor_counts([red, infrared]: [i64; 2]) -> [i32; 2] {
    [transmitted(RED_COUNTS, red), transmitted(INFRARED_COUNTS, infrared)]
}

/// `counts` x exp(-absorbance) by its series to the third order (error below 10^-5 up to 12 %).
fn transmitted(counts: i64, absorbance: i64) -> i32 {
    const ONE: i64 = 1 << 20;
    let a = absorbance.clamp(-ONE / 4, ONE / 4);
    let fraction = ONE - a + a * a / ONE / 2 - a * a / ONE * a / ONE / 6;
    i32::try_from((counts * fraction) >> 20).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(seed: u64, start: Option<u32>) -> Replay {
        let options = ReplayOptions { seed, start, ..ReplayOptions::default() };
        Replay::new(&Recordings::shipped().unwrap(), &options).unwrap()
    }

    fn seconds(mut replay: Replay, seconds: usize) -> Vec<Signals> {
        std::iter::repeat_with(|| replay.next_second()).take(seconds).collect()
    }

    #[test]
    fn same_seed_same_bytes_other_seed_other_patient() {
        let shaken = |seed| {
            let mut replay = patient(seed, None);
            replay.act(Body::Shake(true));
            seconds(replay, 90)
        };
        let [first, again, other] = [7, 7, 8].map(shaken);
        assert_eq!(first, again);
        assert_ne!(first[0].ecg, other[0].ecg);
        assert_ne!(first[0].temperatures.body, other[0].temperatures.body);
    }

    #[test]
    fn a_recording_begins_again_at_its_end() {
        let steps = seconds(patient(0, Some(290)), 30);
        assert_eq!(steps[10].ecg, seconds(patient(0, Some(0)), 1)[0].ecg);
        let options = ReplayOptions { start: Some(100), length: Some(2), ..ReplayOptions::default() };
        let part = seconds(Replay::new(&Recordings::shipped().unwrap(), &options).unwrap(), 4);
        assert_eq!((&part[0].ecg, &part[1].light), (&part[2].ecg, &part[3].light));
    }

    #[test]
    fn a_stopped_heart_is_a_flat_line_with_the_electrodes_on_and_no_pulse() {
        let mut replay = patient(3, None);
        replay.act(Body::Heart(false));
        let stopped = replay.next_second();
        assert_eq!(stopped.electrodes, Electrodes::On);
        assert!(stopped.ecg.iter().all(|microvolt| microvolt.abs() <= 4));
        assert!(stopped.light.windows(2).all(|pair| pair[0] == pair[1]));
        replay.act(Body::Leads(false));
        replay.act(Body::Heart(true));
        let off = replay.next_second();
        assert_eq!((off.electrodes, off.ecg[0]), (Electrodes::Off, RAIL));
    }

    #[test]
    fn an_uncovered_sensor_sees_the_room() {
        let mut replay = patient(4, None);
        replay.act(Body::Finger(false));
        assert!(replay.next_second().light.iter().flatten().all(|counts| *counts < 2_000));
    }

    #[test]
    fn swapped_recordings_are_refused() {
        let Recordings { ecg, ppg } = Recordings::shipped().unwrap();
        let refused = Replay::new(&Recordings { ecg: ppg, ppg: ecg }, &ReplayOptions::default());
        assert!(matches!(refused, Err(ReplayError::WrongKind { expected: Kind::Ecg, .. })));
    }
}
