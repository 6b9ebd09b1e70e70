//! Signal processing: samples in, measurements or an explicit "no reading" out.
//!
//! Owns every number the device publishes about a body. Streaming, integer only, no allocation, deterministic;
//! time is the count of samples pushed. Must not know sensors, files or the network. `wearable::recording` and
//! the boards push samples into [`Monitor`]; its [`Readings`] become the uplink's vitals.

pub mod ecg;
mod filter;
mod monitor;
pub mod ppg;
pub mod spo2;
#[cfg(test)]
mod synthetic;

pub use monitor::{Monitor, Readings};

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

/// Beats per minute in steps of 0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u16);

impl Rate {
    /// Tenths of a beat per minute: 723 is 72.3 bpm.
    #[must_use]
    pub const fn tenths(self) -> u16 {
        self.0
    }

    /// `None` outside `tenths`: a rate this method cannot measure is not a rate.
    fn within(rate: u64, tenths: core::ops::RangeInclusive<u16>) -> Option<Self> {
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

/// A value the signal supports now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Measurement<T> {
    /// The value, in the unit of its type.
    pub value: T,
    /// How far to trust it.
    pub quality: Quality,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Signal present, not enough of it yet.
    Settling,
    /// Signal present, no trustworthy value in it (noise, motion, or outside the measured range).
    LowQuality,
    /// No tissue in front of the optical sensor.
    FingerOff,
    /// The ECG is flat: electrode off, or the amplifier at its rail.
    LeadOff,
    /// The pulse is too weak.
    LowPerfusion,
    /// No samples, or an ECG without a beat for longer than 3 s.
    NoSignal,
}

/// A measurement, or why there is none. Never a held or invented value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reading<T> {
    /// The signal of the last seconds supports this value.
    Measured(Measurement<T>),
    /// It supports none.
    NoReading(Reason),
}

impl<T> Reading<T> {
    /// The measurement, if there is one.
    #[must_use]
    pub fn measured(self) -> Option<Measurement<T>> {
        match self {
            Self::Measured(measurement) => Some(measurement),
            Self::NoReading(_) => None,
        }
    }
}

/// A sample rate outside what the filters are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{signal} sample rate {hz} Hz is outside {low}..={high} Hz")]
pub struct UnsupportedRate {
    /// "ECG" or "PPG".
    pub signal: &'static str,
    /// The rate asked for, Hz.
    pub hz: u16,
    /// Lowest supported rate, Hz.
    pub low: u16,
    /// Highest supported rate, Hz.
    pub high: u16,
}
