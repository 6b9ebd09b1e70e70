//! Respiration rate: from breathing's traces in the optical pulse, and from the chest's impedance.
//!
//! Owns both methods. Knows neither wavelengths nor beats of the ECG.

use super::optics::Light;
use super::{Rate, Reading, Reason, UnsupportedRate};

/// Streaming respiration from the optical pulse.
#[derive(Clone, Debug)]
pub struct PulseRespiration {}

impl PulseRespiration {
    pub(super) const fn new() -> Self {
        Self {}
    }

    pub(super) const fn push(&mut self, _light: Light) {}

    /// Forgets everything: the light is of no use.
    pub(super) const fn lose(&mut self, _reason: Reason) {}

    pub(super) const fn rate(&self) -> Reading<Rate> {
        Err(Reason::NoSignal)
    }
}

/// Streaming respiration from impedance.
#[derive(Clone, Debug)]
pub struct ImpedanceRespiration {}

impl ImpedanceRespiration {
    /// For samples at `rate_hz`, 25..=250 Hz.
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside that range.
    pub fn new(rate_hz: u16) -> Result<Self, UnsupportedRate> {
        if !(25..=250).contains(&rate_hz) {
            return Err(UnsupportedRate { signal: "impedance", hz: rate_hz, low: 25, high: 250 });
        }
        Ok(Self {})
    }

    /// One sample, any unit.
    pub(super) const fn push(&mut self, _impedance: i32) {}

    pub(super) const fn restart(&mut self) {}

    pub(super) const fn rate(&self) -> Reading<Rate> {
        Err(Reason::NoSignal)
    }
}
