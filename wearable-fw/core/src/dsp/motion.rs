//! Movement of the wearer, from the accelerometer.
//!
//! Owns the motion state. Knows nothing of light or pulse.

use super::UnsupportedRate;

/// How the wearer moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Motion {
    /// No accelerometer, or not enough of it yet.
    #[default]
    Unknown,
    /// At rest.
    Still,
    /// Moves; values at rest are not to be trusted.
    Moving,
}

/// Streaming motion state.
#[derive(Clone, Debug)]
pub struct Accelerometer {}

impl Accelerometer {
    /// For samples at `rate_hz`, 25..=200 Hz.
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside that range.
    pub fn new(rate_hz: u16) -> Result<Self, UnsupportedRate> {
        if !(25..=200).contains(&rate_hz) {
            return Err(UnsupportedRate { signal: "accelerometer", hz: rate_hz, low: 25, high: 200 });
        }
        Ok(Self {})
    }

    /// One sample of x, y, z in mg.
    pub(super) const fn push(&mut self, _milli_g: [i32; 3]) {}

    pub(super) const fn restart(&mut self) {}

    pub(super) const fn motion(&self) -> Motion {
        Motion::Unknown
    }
}
