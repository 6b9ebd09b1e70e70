//! What is measured, how good it should be, and how good the best open software is on recordings of the same kinds.
//!
//! Owns the table of goals and peers. Knows no record and no measured figure.

use clap::ValueEnum;
use serde::Serialize;

/// A group of figures, as `--set` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Set {
    /// Beats and heart rate in half-hour and one-minute ECGs.
    Ecg,
    /// Beats in an ECG with electrode motion noise.
    Noise,
    /// Saturation in clips of a finger sensor.
    Spo2,
    /// Pulse rate at rest.
    Pulse,
    /// Pulse rate while running.
    Running,
    /// Breathing from the pulse and from impedance.
    Respiration,
    /// Falls of the saturation, semi-synthetic.
    Desaturation,
    /// What is said around a false alarm.
    Alarm,
    /// What it costs.
    Cost,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Beats found, half-hour set.
    EcgSensitivity,
    /// Detections that are beats, half-hour set.
    EcgPredictivity,
    /// Both in one, half-hour set.
    EcgF1,
    /// Misplacement of beats, half-hour set.
    EcgTiming,
    /// Mistakes in the record with most of them, half-hour set.
    EcgWorst,
    /// One-minute set.
    EcgMinuteF1,
    /// Against the rate of the reference beats.
    HeartRate,
    /// All records with noise.
    NoiseF1,
    /// Of the beats that the device counts on, in the record with most mistakes.
    NoiseGatedPredictivity,
    /// Share of the true beats that it finds and counts on, there.
    NoiseGatedCoverage,
    /// Error of the saturation.
    Spo2Arms,
    /// Clips with a value or a reason.
    Spo2Answered,
    /// At rest.
    PulseMae,
    /// At rest.
    PulseCoverage,
    /// Running.
    RunningMae,
    /// From the pulse.
    RespirationMae,
    /// From impedance.
    ImpedanceMae,
    /// Episodes found.
    DesaturationFound,
    /// The slowest alarm.
    DesaturationDelay,
    /// Alarms without an episode.
    DesaturationFalse,
    /// Beats counted in the shipped ECG.
    ShippedBeats,
    /// Mean pulse rate in the shipped PPG.
    ShippedPulse,
    /// Seconds in which an ECG with an alarm has no beat and the pulse goes on.
    ContradictedAsystole,
    /// Memory of the ECG.
    EcgState,
    /// Memory of everything.
    MonitorState,
    /// Times real time.
    Speed,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Goal {
    /// Whether a figure is as good.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

/// The best other software.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peer {
    /// Its figure on the same kind of recording.
    pub value: f64,
    /// Whose it is.
    pub source: &'static str,
}

/// What a metric is to people.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// In JSON; stable.
    pub id: &'static str,
    /// In the table.
    pub title: &'static str,
    /// Behind the value.
    pub unit: &'static str,
    /// Decimals shown.
    pub decimals: usize,
    /// If there is one.
    pub goal: Option<Goal>,
    /// If one is known.
    pub peer: Option<Peer>,
}

impl Metric {
    /// Name, unit, goal and peer.
    #[must_use]
    pub const fn description(self) -> Description {
        use Goal::{AtLeast, AtMost};
        const fn row(
            id: &'static str,
            title: &'static str,
            unit: &'static str,
            decimals: usize,
        ) -> Description {
            Description { id, title, unit, decimals, goal: None, peer: None }
        }
        match self {
            Self::EcgSensitivity => {
                row("ecg.sensitivity", "Beats found (Se), 30-min records", "%", 2).goal(AtLeast(99.3))
            }
            Self::EcgPredictivity => {
                row("ecg.predictivity", "Detections that are beats (PPV)", "%", 2).goal(AtLeast(99.3))
            }
            Self::EcgF1 => row("ecg.f1", "Both (F1)", "%", 2).goal(AtLeast(99.4)).peer(99.38, "best tried"),
            Self::EcgTiming => row("ecg.timing_p95", "Timing error, p95", "ms", 1).goal(AtMost(40.0)),
            Self::EcgWorst => {
                row("ecg.worst_mistakes", "Mistakes in the worst record", "", 0).goal(AtMost(197.0))
            }
            Self::EcgMinuteF1 => row("ecg.minute_f1", "F1, 60-s records", "%", 2).goal(AtLeast(99.8)),
            Self::HeartRate => row("ecg.heart_rate_mae", "Heart rate, MAE", "/min", 2),
            Self::NoiseF1 => row("noise.f1", "F1, all noise levels", "%", 2).goal(AtLeast(95.1)),
            Self::NoiseGatedPredictivity => {
                row("noise.gated_predictivity", "PPV of trusted beats, noisiest", "%", 2).goal(AtLeast(97.0))
            }
            Self::NoiseGatedCoverage => {
                row("noise.gated_coverage", "Beats found and trusted, noisiest", "%", 1).goal(AtLeast(50.0))
            }
            Self::Spo2Arms => row("spo2.arms", "SpO2, Arms", "%", 2).goal(AtMost(3.3)).peer(4.5, "Maxim"),
            Self::Spo2Answered => {
                row("spo2.answered", "Clips answered or flagged", "%", 1).goal(AtLeast(95.0))
            }
            Self::PulseMae => {
                row("pulse.mae", "Pulse at rest, MAE", "/min", 2).goal(AtMost(1.2)).peer(2.86, "HeartPy")
            }
            Self::PulseCoverage => {
                row("pulse.coverage", "Pulse at rest, coverage", "%", 1).goal(AtLeast(99.0))
            }
            Self::RunningMae => row("running.mae", "Pulse while running, MAE", "/min", 2)
                .goal(AtMost(2.4))
                .peer(17.0, "FFT peak"),
            Self::RespirationMae => {
                row("respiration.pulse_mae", "Respiration from PPG, MAE", "/min", 2).goal(AtMost(1.6))
            }
            Self::ImpedanceMae => {
                row("respiration.impedance_mae", "Respiration from impedance, MAE", "/min", 2)
                    .goal(AtMost(0.7))
            }
            Self::DesaturationFound => {
                row("desaturation.found", "Falls below 90 % found *", "%", 1).goal(AtLeast(100.0))
            }
            Self::DesaturationDelay => {
                row("desaturation.slowest", "Slowest alarm *", "s", 1).goal(AtMost(20.0))
            }
            Self::DesaturationFalse => row("desaturation.false", "False alarms *", "", 0).goal(AtMost(0.0)),
            Self::ShippedBeats => row("shipped.beats", "Beats, shipped ECG (true: 508)", "", 0),
            Self::ShippedPulse => row("shipped.pulse_mean", "Mean pulse, shipped PPG (about 97)", "/min", 1),
            Self::ContradictedAsystole => {
                row("alarm.contradicted", "No beat in the ECG, but a pulse", "s", 0)
            }
            Self::EcgState => row("cost.ecg_state", "State of the ECG", "B", 0).goal(AtMost(2048.0)),
            Self::MonitorState => row("cost.state", "State of everything", "B", 0),
            Self::Speed => {
                row("cost.speed", "ECG 360 Hz + PPG 100 Hz, real time", "x", 0).goal(AtLeast(5000.0))
            }
        }
    }

    /// Where it belongs.
    #[must_use]
    pub const fn set(self) -> Set {
        match self {
            Self::EcgSensitivity
            | Self::EcgPredictivity
            | Self::EcgF1
            | Self::EcgTiming
            | Self::EcgWorst
            | Self::EcgMinuteF1
            | Self::ShippedBeats
            | Self::HeartRate => Set::Ecg,
            Self::NoiseF1 | Self::NoiseGatedPredictivity | Self::NoiseGatedCoverage => Set::Noise,
            Self::Spo2Arms | Self::Spo2Answered => Set::Spo2,
            Self::PulseMae | Self::PulseCoverage | Self::ShippedPulse => Set::Pulse,
            Self::RunningMae => Set::Running,
            Self::RespirationMae | Self::ImpedanceMae => Set::Respiration,
            Self::DesaturationFound | Self::DesaturationDelay | Self::DesaturationFalse => Set::Desaturation,
            Self::ContradictedAsystole => Set::Alarm,
            Self::EcgState | Self::MonitorState | Self::Speed => Set::Cost,
        }
    }
}

impl Description {
    const fn goal(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }

    const fn peer(self, value: f64, source: &'static str) -> Self {
        Self { peer: Some(Peer { value, source }), ..self }
    }
}
