//! Oxygen saturation (SpO2) from red and infrared pulses: ratio of ratios and a linear calibration.
//!
//! Owns the calibration and the gates. Takes the windows of [`super::ppg`]; publishes only beside a pulse rate,
//! because a window without a rhythm has no ratio either. Holds nothing: no window, no value.

use super::ppg::{Band, product};
use super::{Measurement, Quality, Reading, Reason, Saturation};

/// SpO2 = intercept - slope x R, with R = (AC/DC of red) / (AC/DC of infrared).
///
/// A calibration belongs to one optical design; `version` travels with every value so that it can be told later
/// which line produced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Calibration {
    /// Identifies the line; never reused for other numbers.
    pub version: u16,
    /// SpO2 at R = 0 in 0.1 %.
    pub intercept: u16,
    /// Fall of SpO2 per unit of R in 0.1 %.
    pub slope: u16,
}

impl Calibration {
    /// 111.3 - 33.5 R: fitted by the project to finger clips of a MAXM86161 (one seated subject, 70..98 %). Not
    /// clinically validated; other sensors need their own line.
    pub const V1: Self = Self { version: 1, intercept: 1113, slope: 335 };
}

/// Correlation of red and infrared (percent) below which they do not show the same pulse.
const SAME_PULSE: i128 = 90;

/// Saturation of the window, 50..100 %. `pulse` is the quality of the pulse rate over the same window.
pub(super) fn saturation(
    red: &Band,
    infrared: &Band,
    calibration: Calibration,
    pulse: Quality,
) -> Reading<Saturation> {
    let common = product(red.iter(), infrared.iter());
    let energy = product(infrared.iter(), infrared.iter()).max(1);
    let both = i128::from(product(red.iter(), red.iter())) * i128::from(energy);
    // Squared correlation in 1/100 percent; both products are below 2^62.
    let correlation = i128::from(common).pow(2) / (both / 10_000).max(1);
    // Least-squares slope of red over infrared, which is R; negative is no pulse at all.
    let fall = i128::from(common) * i128::from(calibration.slope) / i128::from(energy);
    let tenths = i128::from(calibration.intercept) - fall;
    // Up to 3 % above the line's 100 % is calibration error; more is a wrong signal.
    let value = u16::try_from(tenths).ok().filter(|tenths| (500..=1030).contains(tenths));
    match value {
        Some(tenths) if common > 0 && correlation >= SAME_PULSE * SAME_PULSE => {
            let agreement = Quality::clamped(i64::try_from((correlation - 8100) / 19).unwrap_or(0));
            Reading::Measured(Measurement {
                value: Saturation(tenths.min(1000)),
                quality: pulse.min(agreement),
            })
        }
        _ => Reading::NoReading(Reason::LowQuality),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ppg::Ppg;
    use super::super::synthetic;
    use super::*;

    fn spo2(signal: impl Iterator<Item = [i32; 2]>) -> Reading<Saturation> {
        let mut ppg = Ppg::new(100).unwrap();
        signal.take(1200).for_each(|[red, infrared]| ppg.push(red, infrared));
        let (red, infrared) = ppg.bands().unwrap();
        saturation(red, infrared, Calibration::V1, Quality::clamped(80))
    }

    #[test]
    fn the_calibration_line_is_followed() {
        for (ratio, tenths) in [(0.4, 979), (0.5, 946), (0.8, 845), (1.2, 711), (1.7, 544)] {
            for perfusion in [4.0, 20.0, 100.0] {
                let measured = spo2(synthetic::ppg(70.0, 100, perfusion, ratio)).measured().unwrap();
                assert!(
                    measured.value.tenths().abs_diff(tenths) <= 5,
                    "R {ratio}, {perfusion}: {measured:?}"
                );
                assert_eq!(measured.quality, Quality::clamped(80), "limited by the pulse");
            }
        }
    }

    #[test]
    fn slightly_above_the_line_is_full_and_far_off_it_is_nothing() {
        let full = spo2(synthetic::ppg(70.0, 100, 20.0, 0.27)).measured().unwrap();
        assert_eq!(full.value.tenths(), 1000);
        for ratio in [0.0, 0.1, 2.0, 3.0] {
            let reading = spo2(synthetic::ppg(70.0, 100, 20.0, ratio));
            assert_eq!(reading, Reading::NoReading(Reason::LowQuality), "R {ratio}");
        }
    }

    #[test]
    fn wavelengths_that_disagree_have_no_saturation() {
        let infrared = synthetic::ppg(70.0, 100, 20.0, 0.5);
        let red = synthetic::ppg(85.0, 100, 20.0, 0.5);
        let mixed = infrared.zip(red).map(|([_, infrared], [red, _])| [red, infrared]);
        assert_eq!(spo2(mixed), Reading::NoReading(Reason::LowQuality));
    }
}
