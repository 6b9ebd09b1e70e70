//! Optical front end: contact, resampling and logarithm of a photoplethysmogram (PPG), and its pulse band.
//!
//! Owns what `pulse`, `spo2` and `respiration` share. Knows nothing of rates, calibration or movement.
//!
//! Chain: area resampling to 25 Hz, absorbance = -ln(counts), and for who wants it a Butterworth band of 0.5..5 Hz.

use super::filter::{Biquad, Resampler, ln};
use super::{Reason, UnsupportedRate};

/// Counts below this are ambient light: the finger is off. A MAX30102-class sensor reads about 50 000 through a
/// finger and about 1 000 of ambient light.
pub const FINGER_ON: u32 = 10_000;
/// Full scale of the 18-bit converter of a MAX30102-class sensor; input is limited to 0..=this.
pub const FULL_SCALE: u32 = (1 << 18) - 1;
/// Rate of [`Light`].
pub(super) const RATE_HZ: u32 = 25;

/// Natural logarithm of the light through the tissue, Q20, at 25 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Light {
    pub(super) red: i32,
    pub(super) infrared: i32,
}

/// Streaming optical front end.
#[derive(Clone, Debug)]
pub struct Optics {
    resampler: Resampler,
    /// Whether a sample of the output to come is at full scale.
    clipped: bool,
}

impl Optics {
    /// For samples at `rate_hz`, 25..=125 Hz.
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside that range.
    pub fn new(rate_hz: u16) -> Result<Self, UnsupportedRate> {
        if !(25..=125).contains(&rate_hz) {
            return Err(UnsupportedRate { signal: "PPG", hz: rate_hz, low: 25, high: 125 });
        }
        Ok(Self { resampler: Resampler::new(rate_hz.into(), RATE_HZ), clipped: false })
    }

    /// Forgets the samples of the output to come.
    pub(super) const fn restart(&mut self) {
        self.resampler.restart();
        self.clipped = false;
    }

    /// One sample of both wavelengths in ADC counts; more light is more counts. Limited to 0..=[`FULL_SCALE`].
    /// 25 times a second the light, or why it is of no use.
    pub(super) fn push(&mut self, red: i32, infrared: i32) -> Option<Result<Light, Reason>> {
        let counts = [red, infrared].map(|count| u32::try_from(count).unwrap_or(0).min(FULL_SCALE));
        self.clipped |= counts.contains(&FULL_SCALE);
        let [red, infrared] = self.resampler.push(counts)?;
        let clipped = core::mem::take(&mut self.clipped);
        if infrared >> Resampler::FRACTION < FINGER_ON {
            return Some(Err(Reason::FingerOff));
        }
        if clipped {
            return Some(Err(Reason::Saturated));
        }
        Some(Ok(Light { red: ln(red), infrared: ln(infrared) }))
    }
}

/// Band-pass of one wavelength: absorbance 0.5..5 Hz, Q20.
#[derive(Clone, Debug)]
pub(super) struct PulseBand {
    baseline: i32,
    high_pass: Biquad,
    low_pass: Biquad,
}

impl PulseBand {
    pub(super) const fn new(baseline: i32) -> Self {
        Self {
            baseline,
            // Butterworth of order 2 at 25 Hz in Q28: scipy.signal.butter(2, 0.5, "highpass", fs=25), 5 Hz "lowpass".
            high_pass: Biquad::new([245_610_159, -491_220_319, 245_610_159], [-489_275_943, 224_729_238]),
            low_pass: Biquad::new([55_451_272, 110_902_543, 55_451_272], [-99_194_250, 52_563_880]),
        }
    }

    /// Extra fraction bits keep the slow poles from stalling on rounding.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "below 2^27: ln(2^22) in Q20, amplified by less than 4"
    )]
    pub(super) const fn push(&mut self, logarithm: i32) -> i32 {
        let absorbance = (self.baseline - logarithm) as i64;
        (self.low_pass.push(self.high_pass.push(absorbance << 4)) >> 4) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_rates_are_refused() {
        assert_eq!(Optics::new(24).unwrap_err().hz, 24);
        assert!(Optics::new(126).is_err() && Optics::new(0).is_err());
    }
}
