//! Pulse rate from a photoplethysmogram (PPG).
//!
//! Owns the optical front end (contact, resampling, logarithm, band-pass, window) and the pulse rate. `spo2`
//! reads the same window. Knows nothing of wavelength calibration and nothing of the accelerometer: motion as
//! regular as a heart is taken for one.
//!
//! Chain: area resampling to 25 Hz, absorbance = -ln(counts), Butterworth 0.5..5 Hz, 8 s window, normalised
//! autocorrelation, first local maximum of at least 0.85 of the greatest, parabolic refinement; published only
//! if the beats counted by peaks agree. Gates without a source of their own were chosen on the one shipped PPG
//! recording, so figures on that recording flatter.

use super::filter::{Biquad, Resampler, Ring, ln};
use super::{Measurement, Quality, Rate, Reading, Reason, UnsupportedRate};

/// Counts below this are ambient light: the finger is off. A MAX30102-class sensor reads about 50 000 through a
/// finger and about 1 000 of ambient light.
pub const FINGER_ON: u32 = 10_000;
/// Full scale of the 18-bit converter of a MAX30102-class sensor; input is limited to 0..=this.
pub const FULL_SCALE: u32 = (1 << 18) - 1;

const RATE_HZ: u32 = 25;
const WINDOW: usize = 200; // 8 s
const SETTLING: u8 = 50; // 2 s, four time constants of the high-pass
const LAGS: core::ops::RangeInclusive<usize> = 7..=50; // 214..30 bpm
const FIRST_MAXIMUM_PERCENT: i64 = 85;
const AGREEMENT_TENTHS: u16 = 50;
/// Autocorrelation (per mille) below which the window is noise: clean pulses reach 600..900, artefacts 200..400.
const PERIODIC: i64 = 450;
/// Perfusion index (peak-to-peak AC/DC, taken as 2 sqrt(2) rms) 0.3 % and 20 %, as energy of the Q20 window.
const FAINT: i64 = energy_at_perfusion(3);
const TOO_STRONG: i64 = energy_at_perfusion(200);

const fn energy_at_perfusion(per_mille: i64) -> i64 {
    per_mille * per_mille * (WINDOW as i64 / 8) * ((1 << 40) / 1_000_000)
}

/// The last 8 s of band-passed absorbance in Q20.
pub(super) type Band = Ring<WINDOW>;

#[derive(Clone, Debug)]
struct Channel {
    baseline: i32,
    high_pass: Biquad,
    low_pass: Biquad,
    band: Band,
}

impl Channel {
    const fn new(baseline: i32) -> Self {
        Self {
            baseline,
            // Butterworth of order 2 at 25 Hz in Q28: scipy.signal.butter(2, 0.5, "highpass", fs=25), 5 Hz "lowpass".
            high_pass: Biquad::new([245_610_159, -491_220_319, 245_610_159], [-489_275_943, 224_729_238]),
            low_pass: Biquad::new([55_451_272, 110_902_543, 55_451_272], [-99_194_250, 52_563_880]),
            band: Ring::new(),
        }
    }

    /// Extra fraction bits keep the slow poles from stalling on rounding.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "below 2^27: ln(2^22) in Q20, amplified by less than 4"
    )]
    const fn filter(&mut self, logarithm: i32) -> i32 {
        let absorbance = (self.baseline - logarithm) as i64;
        (self.low_pass.push(self.high_pass.push(absorbance << 4)) >> 4) as i32
    }
}

#[derive(Clone, Debug)]
struct Window {
    settling: u8,
    red: Channel,
    infrared: Channel,
}

impl Window {
    const fn new(red: i32, infrared: i32) -> Self {
        Self { settling: SETTLING, red: Channel::new(red), infrared: Channel::new(infrared) }
    }

    /// Logarithms of the two channels.
    const fn push(&mut self, red: i32, infrared: i32) {
        let (red, infrared) = (self.red.filter(red), self.infrared.filter(infrared));
        if self.settling > 0 {
            self.settling -= 1;
        } else {
            self.red.band.push(red);
            self.infrared.band.push(infrared);
        }
    }
}

/// Streaming optical front end and pulse rate.
#[derive(Clone, Debug)]
pub struct Ppg {
    resampler: Resampler,
    window: Result<Window, Reason>,
}

impl Ppg {
    /// For samples at `rate_hz`, 25..=125 Hz.
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside that range.
    pub fn new(rate_hz: u16) -> Result<Self, UnsupportedRate> {
        if !(25..=125).contains(&rate_hz) {
            return Err(UnsupportedRate { signal: "PPG", hz: rate_hz, low: 25, high: 125 });
        }
        Ok(Self { resampler: Resampler::new(rate_hz.into(), RATE_HZ), window: Err(Reason::NoSignal) })
    }

    /// One sample of both wavelengths in ADC counts; more light is more counts. Limited to 0..=[`FULL_SCALE`].
    pub fn push(&mut self, red: i32, infrared: i32) {
        let counts = [red, infrared].map(|count| u32::try_from(count).unwrap_or(0).min(FULL_SCALE));
        let Some([red, infrared]) = self.resampler.push(counts) else { return };
        if infrared >> Resampler::FRACTION < FINGER_ON {
            self.window = Err(Reason::FingerOff);
            return;
        }
        let (red, infrared) = (ln(red), ln(infrared));
        match &mut self.window {
            Ok(window) => window.push(red, infrared),
            Err(_) => self.window = Ok(Window::new(red, infrared)),
        }
    }

    /// Pulse rate over the last 8 s, 29..=220 bpm. First value 10 s after the finger is on. Computed on call (some 10^4
    /// multiplications), so call it about once a second.
    #[must_use]
    pub fn pulse_rate(&self) -> Reading<Rate> {
        match self.bands().and_then(|(_, infrared)| rate(infrared)) {
            Ok(measurement) => Reading::Measured(measurement),
            Err(reason) => Reading::NoReading(reason),
        }
    }

    /// Forgets everything, as after a gap in the samples.
    pub(super) const fn restart(&mut self) {
        self.window = Err(Reason::NoSignal);
    }

    /// Full windows (red, infrared) with contact and a plausible pulse amplitude.
    pub(super) fn bands(&self) -> Result<(&Band, &Band), Reason> {
        let window = self.window.as_ref().map_err(|reason| *reason)?;
        let (red, infrared) = (&window.red.band, &window.infrared.band);
        if !infrared.is_full() {
            return Err(Reason::Settling);
        }
        match product(infrared.iter(), infrared.iter()) {
            energy if energy < FAINT => Err(Reason::LowPerfusion),
            energy if energy > TOO_STRONG => Err(Reason::LowQuality),
            _ => Ok((red, infrared)),
        }
    }
}

/// Sum of products; below 200 x 2^54.
pub(super) fn product(left: impl Iterator<Item = i32>, right: impl Iterator<Item = i32>) -> i64 {
    left.zip(right).map(|(left, right)| i64::from(left) * i64::from(right)).sum()
}

fn rate(band: &Band) -> Result<Measurement<Rate>, Reason> {
    let maxima = || {
        LAGS.map(|lag| (lag, [lag - 1, lag, lag + 1].map(|lag| correlation(band, lag))))
            .filter(|(_, [before, at, after])| before < at && at >= after)
    };
    let greatest = maxima().map(|(_, [_, at, _])| at).max().unwrap_or(0);
    let (lag, [before, at, after]) = maxima()
        .find(|(_, [_, at, _])| at * 100 >= greatest * FIRST_MAXIMUM_PERCENT)
        .filter(|(_, [_, at, _])| *at >= PERIODIC)
        .ok_or(Reason::LowQuality)?;
    // Vertex of the parabola through three points, in 1/256 sample; `before < at >= after` keeps it above 0.
    let vertex = lag as i64 * 256 + 128 * (after - before) / (2 * at - before - after);
    let rate = per_minute(256, vertex).ok_or(Reason::LowQuality)?;
    let counted = rate_of_peaks(band).ok_or(Reason::LowQuality)?;
    if rate.0.abs_diff(counted.0) > AGREEMENT_TENTHS {
        return Err(Reason::LowQuality);
    }
    Ok(Measurement { value: rate, quality: Quality::clamped(at / 10) })
}

/// `beats` in `samples`.
fn per_minute(beats: i64, samples: i64) -> Option<Rate> {
    let tenths = (i64::from(RATE_HZ) * 600 * beats).checked_div(samples)?;
    Rate::within(u64::try_from(tenths).ok()?, 290..=2200)
}

/// Correlation of the window with itself `lag` samples earlier, per mille of the two parts' energy.
#[expect(clippy::cast_possible_truncation, reason = "the root of a product of two i64 is below 2^63")]
fn correlation(band: &Band, lag: usize) -> i64 {
    let (late, early) = (band.iter().skip(lag), band.iter().take(WINDOW - lag));
    let energy = u128::from(product(late.clone(), late.clone()).unsigned_abs())
        * u128::from(product(early.clone(), early.clone()).unsigned_abs());
    let scale = (energy.isqrt() as i64).max(1);
    (i128::from(product(late, early)) * 1000 / i128::from(scale)) as i64
}

/// Rate by counting maxima that are the highest within 0.24 s either side and above 0.8 rms, which leaves out the
/// second wave of a beat. Independent of the correlation, so that half or twice the rate is found out.
fn rate_of_peaks(band: &Band) -> Option<Rate> {
    const REACH: usize = 6;
    let energy = product(band.iter(), band.iter());
    let is_peak = |at: usize| {
        let centre = band.iter().nth(at).unwrap_or(0);
        let mut near = band.iter().skip(at - REACH).take(2 * REACH + 1);
        let high = centre > 0 && i64::from(centre).pow(2) * 25 * WINDOW as i64 > energy * 16;
        high && near.all(|value| value <= centre)
    };
    let mut peaks = (REACH..WINDOW - REACH).filter(|at| is_peak(*at));
    let first = peaks.next()?;
    let (count, last) = peaks.fold((0, first), |(count, _), at| (count + 1, at));
    (count >= 2).then(|| per_minute(count, (last - first) as i64)).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;

    fn after(ppg: &mut Ppg, samples: usize, signal: impl Iterator<Item = [i32; 2]>) -> Reading<Rate> {
        signal.take(samples).for_each(|[red, infrared]| ppg.push(red, infrared));
        ppg.pulse_rate()
    }

    #[test]
    fn known_rates_are_measured_at_every_sample_rate() {
        for rate_hz in [25_u16, 30, 50, 64, 100, 125] {
            for bpm in [40_u16, 60, 75, 100, 140, 180] {
                let mut ppg = Ppg::new(rate_hz).unwrap();
                let signal = synthetic::ppg(bpm.into(), rate_hz, 20.0, 0.5);
                let reading = after(&mut ppg, 12 * usize::from(rate_hz), signal).measured();
                let tenths = reading.map(|measurement| measurement.value.tenths());
                assert!(
                    tenths.is_some_and(|tenths| tenths.abs_diff(10 * bpm) <= 15),
                    "{bpm} at {rate_hz} Hz: {reading:?}"
                );
            }
        }
    }

    #[test]
    fn no_finger_no_pulse_at_once_and_again_after_ten_seconds() {
        let mut ppg = Ppg::new(100).unwrap();
        assert_eq!(ppg.pulse_rate(), Reading::NoReading(Reason::NoSignal));
        let pulse = || synthetic::ppg(80.0, 100, 20.0, 0.5);
        assert_eq!(after(&mut ppg, 900, pulse()), Reading::NoReading(Reason::Settling));
        assert!(after(&mut ppg, 300, pulse()).measured().is_some());
        assert_eq!(
            after(&mut ppg, 10, core::iter::repeat([900, 1000])),
            Reading::NoReading(Reason::FingerOff)
        );
        assert_eq!(after(&mut ppg, 900, pulse()), Reading::NoReading(Reason::Settling));
        assert!(after(&mut ppg, 200, pulse()).measured().is_some());
    }

    #[test]
    fn a_faint_or_absent_pulse_is_low_perfusion() {
        for perfusion in [2.0, 0.0] {
            let mut ppg = Ppg::new(100).unwrap();
            let reading = after(&mut ppg, 1500, synthetic::ppg(80.0, 100, perfusion, 0.5));
            assert_eq!(reading, Reading::NoReading(Reason::LowPerfusion));
        }
    }

    #[test]
    fn noise_alone_is_not_a_pulse() {
        for seed in 0..20 {
            let mut ppg = Ppg::new(100).unwrap();
            let signal = synthetic::noise(seed, 5000).map(|noise| [60_000 + noise, 90_000 + noise]);
            let reading = after(&mut ppg, 1500, signal);
            assert_eq!(reading, Reading::NoReading(Reason::LowQuality), "seed {seed}");
        }
    }

    #[test]
    fn unsupported_rates_are_refused() {
        assert_eq!(Ppg::new(24).unwrap_err().hz, 24);
        assert!(Ppg::new(126).is_err() && Ppg::new(0).is_err());
    }
}
