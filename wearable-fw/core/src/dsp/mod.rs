//! Signal processing: samples in, measurements or an explicit "no reading" out.
//!
//! Owns every number the device publishes about a body. Streaming, integer only, no allocation, deterministic;
//! time is the count of samples pushed. Must not know sensors, files or the network. `wearable::recording` and
//! the boards push samples into [`Monitor`]; its [`Readings`] become the uplink's vitals.

pub mod ecg;
mod filter;
mod monitor;
pub mod motion;
pub mod optics;
mod period;
pub mod pulse;
pub mod respiration;
mod spectrum;
pub mod spo2;
#[cfg(test)]
mod synthetic;
mod tracker;
pub mod variability;

pub use monitor::{Monitor, Readings, SampleRates, Stream};

/// How far a measurement can be trusted, 0 (not at all) to 100 (clean signal).
///
/// A ranking within one kind of measurement, not a probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quality(u8);

impl Quality {
    /// Limits `percent` to 0..=100.
    #[must_use]
    pub fn clamped(percent: i64) -> Self {
        Self(u8::try_from(percent.clamp(0, 100)).unwrap_or(0))
    }

    /// 0..=100.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.0
    }
}

/// A rate per minute (of beats or breaths) in steps of 0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u16);

impl Rate {
    /// Tenths per minute: 723 is 72.3 /min.
    #[must_use]
    pub const fn tenths(self) -> u16 {
        self.0
    }

    /// `None` outside `tenths`: a rate this method cannot measure is not a rate.
    pub(crate) fn within(rate: u64, tenths: core::ops::RangeInclusive<u16>) -> Option<Self> {
        u16::try_from(rate).ok().filter(|rate| tenths.contains(rate)).map(Self)
    }
}

/// Oxygen saturation (SpO2) in steps of 0.1 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Saturation(u16);

impl Saturation {
    /// Tenths of a percent, 500..=1000: 974 is 97.4 %.
    #[must_use]
    pub const fn tenths(self) -> u16 {
        self.0
    }
}

/// Strength of the pulse in the infrared light, AC over DC, in steps of 0.01 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerfusionIndex(u16);

impl PerfusionIndex {
    /// Hundredths of a percent: 215 is 2.15 %.
    #[must_use]
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

/// How a value was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Counted from beats of the ECG.
    EcgBeats,
    /// Period of the optical pulse at rest.
    PulsePeriod,
    /// Spectrum of the optical pulse less that of the movement.
    PulseSpectrum,
    /// Red over infrared pulse, and a calibration.
    RatioOfRatios,
    /// Strength of the optical pulse.
    PulseAmplitude,
    /// Breathing's traces in the optical pulse.
    PulseModulation,
    /// Breathing from the chest's impedance.
    Impedance,
}

/// A value the signal supports now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Measurement<T> {
    /// The value, in the unit of its type.
    pub value: T,
    /// How far to trust it.
    pub quality: Quality,
    /// How it was obtained.
    pub method: Method,
    /// Version of the calibration behind it; 0 where none is needed.
    pub calibration: u16,
    /// It describes the signal this long before the newest sample (the middle of its window), milliseconds.
    pub delay_ms: u32,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Signal present, not enough of it yet.
    Settling,
    /// Signal present, no trustworthy value in it (noise, or outside the measured range).
    LowQuality,
    /// The body moves too much for this quantity.
    Motion,
    /// The converter is at its end: too much light, or the amplifier at its rail.
    Saturated,
    /// No tissue in front of the optical sensor.
    FingerOff,
    /// An ECG electrode is off.
    LeadOff,
    /// The pulse is too weak.
    LowPerfusion,
    /// Good electrodes and no beat for 4 s.
    NoBeat,
    /// No samples.
    NoSignal,
}

/// A measurement, or why there is none. Never a held or invented value.
pub type Reading<T> = Result<Measurement<T>, Reason>;

/// A sample rate outside what the filters are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{signal} sample rate {hz} Hz is outside {low}..={high} Hz")]
pub struct UnsupportedRate {
    /// Which signal.
    pub signal: &'static str,
    /// The rate asked for, Hz.
    pub hz: u16,
    /// Lowest supported rate, Hz.
    pub low: u16,
    /// Highest supported rate, Hz.
    pub high: u16,
}
