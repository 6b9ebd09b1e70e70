//! Optical front end: contact, resampling and logarithm of a photoplethysmogram (PPG), and its pulse band.
//!
//! Owns what `pulse`, `spo2` and `respiration` share. Knows nothing of rates, calibration or movement.
//!
//! Chain: area resampling to 25 Hz, absorbance = -ln(counts), and for who wants it a Butterworth band of 0.5..5 Hz.

use super::filter::{Biquad, Resampler, ln};
use super::{Reason, UnsupportedRate};

/// Counts below this are ambient light: the finger is off. A MAX30102-class sensor reads about 50 000 through a
/// finger and about 1 000 of ambient light.
const FINGER_ON: u32 = 10_000;
/// Full scale of the 18-bit converter of a MAX30102-class sensor; input is limited to 0..=this.
const FULL_SCALE: u32 = (1 << 18) - 1;
/// Counts from here on are at the end of the converter; a MAX30102 that converts 15 bits leaves the last 3 at 0.
const CLIPPED: u32 = FULL_SCALE - 7;
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
    /// Whether a sample of the output to come is at the end of the converter.
    clipped: bool,
}

impl Optics {
    /// For samples at `rate_hz`, 25..=400 Hz.
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside that range.
    pub fn new(rate_hz: u16) -> Result<Self, UnsupportedRate> {
        if !(25..=400).contains(&rate_hz) {
            return Err(UnsupportedRate { signal: "PPG", hz: rate_hz, low: 25, high: 400 });
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
        self.clipped |= counts.iter().any(|count| *count >= CLIPPED);
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
        assert!(Optics::new(401).is_err() && Optics::new(0).is_err());
    }

    #[test]
    fn light_keeps_its_time_and_level_at_every_rate() {
        for rate_hz in [25_u16, 30, 64, 100, 125, 400] {
            let mut optics = Optics::new(rate_hz).unwrap();
            let lights: std::vec::Vec<Light> = (0..u32::from(rate_hz) * 60)
                .filter_map(|_| optics.push(60_000, 250_000))
                .map(Result::unwrap)
                .collect();
            assert_eq!(lights.len(), 25 * 60);
            let level = Light { red: ln(60_000 << 4), infrared: ln(250_000 << 4) };
            assert!(lights.iter().all(|light| *light == level), "{rate_hz} Hz");
        }
    }

    #[test]
    fn the_end_of_the_converter_and_a_missing_finger_are_told_within_two_outputs() {
        let mut optics = Optics::new(100).unwrap();
        let mut after = |red, infrared| (0..8).filter_map(|_| optics.push(red, infrared)).last().unwrap();
        assert!(after(60_000, 90_000).is_ok());
        assert_eq!(after(262_136, 90_000), Err(Reason::Saturated));
        assert_eq!(after(60_000, i32::MAX), Err(Reason::Saturated));
        assert_eq!(after(700, 900), Err(Reason::FingerOff));
        assert_eq!(after(i32::MIN, i32::MIN), Err(Reason::FingerOff));
        assert!(after(60_000, 90_000).is_ok());
    }
}
