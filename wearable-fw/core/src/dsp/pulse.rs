//! Pulse rate from the optical pulse.
//!
//! Owns the pulse rate and the choice of its method. Knows no calibration.
//!
//! At rest: [`super::optics`], 8 s window of infrared, normalised autocorrelation, first local maximum of at least 0.85
//! of the greatest, parabolic refinement; published only if the beats counted by peaks agree.
//! In motion: spectra of both lights and of the accelerometer once a second into [`super::tracker`]. Without an
//! accelerometer movement is not known of: motion as regular as a heart is taken for one.

use super::filter::Ring;
use super::motion::{Accelerometer, Motion};
use super::optics::{Light, PulseBand, RATE_HZ};
use super::spectrum::{Span, spectra};
use super::tracker::Tracker;
use super::{Measurement, Method, Quality, Rate, Reading, Reason};

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

/// From Q20 to the 16 bits of a [`Span`]: 20 % of perfusion fits.
const SPAN_SHIFT: u32 = 2;
/// Belief below which no rate is likelier than the rest together.
const BELIEVED_PERCENT: i64 = 50;

const fn energy_at_perfusion(per_mille: i64) -> i64 {
    per_mille * per_mille * (WINDOW as i64 / 8) * ((1 << 40) / 1_000_000)
}

/// The last 8 s of band-passed absorbance in Q20.
type Band = Ring<WINDOW>;

#[derive(Clone, Debug)]
struct Window {
    settling: u8,
    red: PulseBand,
    infrared: PulseBand,
    band: Band,
    spans: [Span; 2],
    /// Samples since the last step of the tracker.
    samples: u32,
    tracker: Tracker,
    motion: Motion,
}

impl Window {
    const fn new(light: Light) -> Self {
        Self {
            settling: SETTLING,
            red: PulseBand::new(light.red),
            infrared: PulseBand::new(light.infrared),
            band: Ring::new(),
            spans: [Span::new(), Span::new()],
            samples: 0,
            tracker: Tracker::new(),
            motion: Motion::Unknown,
        }
    }

    fn push(&mut self, light: Light, accelerometer: Option<&Accelerometer>) {
        let lights = [self.red.push(light.red), self.infrared.push(light.infrared)];
        if self.settling > 0 {
            self.settling -= 1;
            return;
        }
        self.band.push(lights[1]);
        for (span, light) in self.spans.iter_mut().zip(lights) {
            span.push(light >> SPAN_SHIFT);
        }
        self.samples += 1;
        if self.samples == RATE_HZ {
            self.samples = 0;
            self.follow(accelerometer);
        }
    }

    /// A step of the tracker; it starts anew where the accelerometer is silent.
    fn follow(&mut self, accelerometer: Option<&Accelerometer>) {
        self.motion = accelerometer.map_or(Motion::Unknown, Accelerometer::motion);
        let [red, infrared] = &self.spans;
        match accelerometer.and_then(Accelerometer::spectrum) {
            Some(movement) if infrared.is_full() => self.tracker.step(&spectra([red, infrared]), &movement),
            _ => self.tracker = Tracker::new(),
        }
    }

    /// In motion.
    fn tracked(&self) -> Reading<Rate> {
        let estimate = self.tracker.estimate();
        let value = Rate::within(estimate.tenths, 290..=2400).ok_or(Reason::Motion)?;
        if estimate.percent < BELIEVED_PERCENT {
            return Err(Reason::Motion);
        }
        let quality = Quality::clamped(estimate.percent);
        Ok(Measurement { value, quality, method: Method::PulseSpectrum, calibration: 0, delay_ms: 4000 })
    }
}

/// Streaming pulse rate.
#[derive(Clone, Debug)]
pub struct Pulse {
    window: Result<Window, Reason>,
}

impl Pulse {
    pub(super) const fn new() -> Self {
        Self { window: Err(Reason::NoSignal) }
    }

    /// `accelerometer` where it is heard.
    pub(super) fn push(&mut self, light: Light, accelerometer: Option<&Accelerometer>) {
        match &mut self.window {
            Ok(window) => window.push(light, accelerometer),
            Err(_) => self.window = Ok(Window::new(light)),
        }
    }

    /// Forgets everything: the light is of no use.
    pub(super) const fn lose(&mut self, reason: Reason) {
        self.window = Err(reason);
    }

    /// How clean the signal is; `None` before enough of it was seen.
    pub(super) fn signal_quality(&self) -> Option<Quality> {
        self.rate().ok().map(|rate| rate.quality)
    }

    /// Pulse rate over the last 8 s, 29..=220 bpm. First value 10 s after the finger is on.
    pub(super) fn rate(&self) -> Reading<Rate> {
        let window = self.window.as_ref().map_err(|reason| *reason)?;
        if !window.band.is_full() {
            return Err(Reason::Settling);
        }
        match product(window.band.iter(), window.band.iter()) {
            energy if energy < FAINT => Err(Reason::LowPerfusion),
            energy if energy > TOO_STRONG => Err(Reason::LowQuality),
            _ if window.motion == Motion::Moving => window.tracked(),
            _ => rate(&window.band),
        }
    }
}

/// Sum of products; below 200 x 2^54.
fn product(left: impl Iterator<Item = i32>, right: impl Iterator<Item = i32>) -> i64 {
    left.zip(right).map(|(left, right)| i64::from(left) * i64::from(right)).sum()
}

fn rate(band: &Band) -> Reading<Rate> {
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
    let quality = Quality::clamped(at / 10);
    Ok(Measurement { value: rate, quality, method: Method::PulsePeriod, calibration: 0, delay_ms: 4000 })
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
    use super::super::spo2::Calibration;
    use super::super::synthetic;
    use super::super::{Monitor, SampleRates};
    use super::*;

    fn monitor(ppg_hz: u16) -> Monitor {
        Monitor::new(SampleRates { ppg_hz, ..SampleRates::default() }, Calibration::V1).unwrap()
    }

    fn after(ppg: &mut Monitor, samples: usize, signal: impl Iterator<Item = [i32; 2]>) -> Reading<Rate> {
        signal.take(samples).for_each(|[red, infrared]| ppg.push_ppg(red, infrared));
        ppg.readings().pulse_rate
    }

    #[test]
    fn known_rates_are_measured_at_every_sample_rate() {
        for rate_hz in [25_u16, 30, 50, 64, 100, 125] {
            for bpm in [40_u16, 60, 75, 100, 140, 180] {
                let mut ppg = monitor(rate_hz);
                let signal = synthetic::ppg(bpm.into(), rate_hz, 20.0, 0.5);
                let reading = after(&mut ppg, 12 * usize::from(rate_hz), signal);
                let tenths = reading.ok().map(|measurement| measurement.value.tenths());
                assert!(
                    tenths.is_some_and(|tenths| tenths.abs_diff(10 * bpm) <= 15),
                    "{bpm} at {rate_hz} Hz: {reading:?}"
                );
            }
        }
    }

    #[test]
    fn no_finger_no_pulse_at_once_and_again_after_ten_seconds() {
        let mut ppg = monitor(100);
        assert_eq!(ppg.readings().pulse_rate, Err(Reason::NoSignal));
        let pulse = || synthetic::ppg(80.0, 100, 20.0, 0.5);
        assert_eq!(after(&mut ppg, 900, pulse()), Err(Reason::Settling));
        assert!(after(&mut ppg, 300, pulse()).is_ok());
        assert_eq!(after(&mut ppg, 10, core::iter::repeat([900, 1000])), Err(Reason::FingerOff));
        assert_eq!(after(&mut ppg, 900, pulse()), Err(Reason::Settling));
        assert!(after(&mut ppg, 200, pulse()).is_ok());
    }

    #[test]
    fn a_faint_or_absent_pulse_is_low_perfusion() {
        for perfusion in [2.0, 0.0] {
            let mut ppg = monitor(100);
            let reading = after(&mut ppg, 1500, synthetic::ppg(80.0, 100, perfusion, 0.5));
            assert_eq!(reading, Err(Reason::LowPerfusion));
        }
    }

    #[test]
    fn noise_alone_is_not_a_pulse() {
        for seed in 0..20 {
            let mut ppg = monitor(100);
            let signal = synthetic::noise(seed, 5000).map(|noise| [60_000 + noise, 90_000 + noise]);
            let reading = after(&mut ppg, 1500, signal);
            assert_eq!(reading, Err(Reason::LowQuality), "seed {seed}");
        }
    }
}
