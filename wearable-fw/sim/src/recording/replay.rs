//! A simulated patient: a recorded ECG and PPG, second by second, through the firmware's signal processing.
//!
//! Owns the synthesis of two wavelengths and the position in the recordings. The caller drives it, one [`Step`]
//! a second. Same recordings, same options: same bytes.
//!
//! Semi-synthetic: SpO2 needs two wavelengths and the shipped PPG has one. The recorded waveform w (pulses,
//! breathing, artefacts) becomes the infrared absorbance, and R x w the red one, with R from the scenario's SpO2
//! through the inverse of the firmware's calibration. So pulse timing and disturbances are real; SpO2 shows that
//! the chain recovers what was put in, not that the calibration holds for people. ECG and PPG are of two people
//! and not in step.

use super::file::{Kind, Recording, RecordingError};
use super::scenario::{Course, Motion, Random, Scenario, Temperatures};
use wearable_core::dsp::spo2::Calibration;
use wearable_core::dsp::{Monitor, Readings, UnsupportedRate};

/// Light through a finger without pulse, counts of an 18-bit sensor (typical of a MAX30102).
const RED_COUNTS: i64 = 60_000;
const INFRARED_COUNTS: i64 = 90_000;
/// Infrared absorbance in Q20 per 512 units of recorded amplitude: 3 %, so that the recorded pulses (150..850
/// units) have a perfusion index of 0.9..5 %, ordinary for a finger.
const ABSORBANCE_Q20: i64 = 31_457;
const AMPLITUDE: i64 = 512;

/// Which patient to simulate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Same seed, same patient: place in the recordings, SpO2 and temperature bases, noise.
    pub seed: u64,
    /// What happens.
    pub scenario: Scenario,
    /// Start this many seconds into both recordings (modulo their length); `None` lets the seed choose.
    pub start: Option<u32>,
    /// Begin a recording again at its end; otherwise the replay ends with the shorter one.
    pub repeat: bool,
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

/// One second of a simulated patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Seconds since the replay began, 0 first; the readings hold at the end of this second.
    pub second: u32,
    /// What the firmware measures.
    pub readings: Readings,
    /// Synthetic.
    pub temperatures: Temperatures,
    /// Synthetic.
    pub acceleration: Motion,
    /// ECG of this second, microvolt.
    pub raw_ecg: Vec<i32>,
    /// Red light of this second, counts.
    pub raw_red: Vec<i32>,
    /// Infrared light of this second, counts: the raw pulse.
    pub raw_pulse: Vec<i32>,
    /// What SpO2 was put into the signal, 0.1 %.
    pub true_spo2: i32,
}

/// Iterator over the seconds of a simulated patient.
#[derive(Clone, Debug)]
pub struct Replay {
    ecg: Recording,
    ppg: Recording,
    at: [u32; 2],
    repeat: bool,
    second: u32,
    course: Course,
    artefact: [i32; 2],
    monitor: Monitor,
}

impl Replay {
    /// A patient of the shipped recordings.
    ///
    /// # Errors
    /// None for the recordings as shipped.
    pub fn shipped(options: &ReplayOptions) -> Result<Self, ReplayError> {
        Self::new(Recording::shipped_ecg()?, Recording::shipped_ppg()?, options)
    }

    /// A patient of any two recordings.
    ///
    /// # Errors
    /// [`ReplayError`] for swapped recordings or a sample rate the firmware does not take.
    pub fn new(ecg: Recording, ppg: Recording, options: &ReplayOptions) -> Result<Self, ReplayError> {
        for (recording, expected) in [(&ecg, Kind::Ecg), (&ppg, Kind::Ppg)] {
            if recording.kind() != expected {
                return Err(ReplayError::WrongKind { title: recording.title().to_owned(), expected });
            }
        }
        let mut random = Random::new(options.seed);
        let at = [&ecg, &ppg].map(|recording| {
            let chosen = random.up_to(i32::MAX).cast_unsigned();
            options.start.unwrap_or(chosen) % recording.seconds()
        });
        Ok(Self {
            monitor: Monitor::new(ecg.rate_hz(), ppg.rate_hz())?,
            course: Course::new(options.scenario, random),
            at,
            repeat: options.repeat,
            second: 0,
            artefact: [0; 2],
            ecg,
            ppg,
        })
    }

    /// Red and infrared counts that a sensor would give for a recorded amplitude.
    fn wavelengths(&mut self, amplitude: i32, true_spo2: i32) -> [i32; 2] {
        let Calibration { intercept, slope, .. } = Calibration::V1;
        let infrared = i64::from(amplitude) * ABSORBANCE_Q20 / AMPLITUDE;
        let red = infrared * (i64::from(intercept) - i64::from(true_spo2)) / i64::from(slope);
        self.artefact = self.course.artefact(self.second, self.artefact);
        let [red_artefact, infrared_artefact] = self.artefact.map(i64::from);
        [
            transmitted(RED_COUNTS, red + red_artefact),
            transmitted(INFRARED_COUNTS, infrared + infrared_artefact),
        ]
    }
}

/// `counts` x exp(-absorbance) by its series to the third order (error below 10^-5 up to 12 %).
fn transmitted(counts: i64, absorbance: i64) -> i32 {
    const ONE: i64 = 1 << 20;
    let a = absorbance.clamp(-ONE / 4, ONE / 4);
    let fraction = ONE - a + a * a / ONE / 2 - a * a / ONE * a / ONE / 6;
    i32::try_from((counts * fraction) >> 20).unwrap_or(i32::MAX)
}

impl Iterator for Replay {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        for (at, recording) in self.at.iter_mut().zip([&self.ecg, &self.ppg]) {
            if *at >= recording.seconds() {
                if !self.repeat {
                    return None;
                }
                *at = 0;
            }
        }
        let [ecg_at, ppg_at] = self.at;
        let raw_ecg: Vec<i32> = self.ecg.second(ecg_at).collect();
        let amplitudes: Vec<i32> = self.ppg.second(ppg_at).collect();
        let true_spo2 = self.course.spo2(self.second);
        let finger_is_on = self.course.finger_is_on(self.second);
        let (mut raw_red, mut raw_pulse) = (Vec::new(), Vec::new());
        for amplitude in amplitudes {
            let [red, infrared] = if finger_is_on {
                self.wavelengths(amplitude, true_spo2)
            } else {
                [self.course.ambient(), self.course.ambient()]
            };
            self.monitor.push_ppg(red, infrared);
            raw_red.push(red);
            raw_pulse.push(infrared);
        }
        for sample in &raw_ecg {
            self.monitor.push_ecg(*sample);
        }
        let step = Step {
            second: self.second,
            readings: self.monitor.readings(),
            temperatures: self.course.temperatures(self.second),
            acceleration: self.course.motion(self.second),
            raw_ecg,
            raw_red,
            raw_pulse,
            true_spo2,
        };
        self.at = self.at.map(|at| at + 1);
        self.second = self.second.saturating_add(1);
        Some(step)
    }
}
