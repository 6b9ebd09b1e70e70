//! Respiration from the chest's impedance.
//!
//! Owns the window and the decision. Knows no unit: only relative amplitudes count.
//!
//! Chain: means over 0.25 s (4 Hz), 32 s; steps cut, a moving mean of 12 s removed; breaths counted, autocorrelation
//! and spectrum (`rhythm`). The median of the three is published when the count agrees with a clear period or a clear
//! line, no breath is overdue and the trace is not much fainter than usual (which leaves the heart's oscillation).
#![expect(clippy::indexing_slicing, reason = "a position reduced modulo the length")]

use super::super::filter::sort;
use super::super::{Measurement, Method, Quality, Rate, Reading, Reason, UnsupportedRate};
use super::rhythm::{self, Trace};

/// Breaths per minute.
const FASTEST: usize = *rhythm::BREATHS.end();
/// 32 s (Charlton 2021, doi 10.1016/j.bspc.2020.102339): three breaths at the slowest rate.
const WINDOW: usize = 32 * rhythm::RATE_HZ;
/// To the middle of the window.
const DELAY_MS: u32 = 16_000;
/// A new rate every 2 s.
const RENEWAL: usize = 2 * rhythm::RATE_HZ;
/// Breathing this many times fainter than usual may be the heart alone (cardiogenic oscillation).
const FAINTER: i64 = 5;
/// The usual strength is the greatest, forgotten by 1/128 every 2 s (half of it in 3 min).
const FORGETTING: i64 = 128;
/// In samples: no breath for 10 s (apnoea), or for two breaths where that is longer.
const OVERDUE: i32 = 10 * 4;
/// In samples times tenths of a breath per minute.
const OVERDUE_BREATHS: i32 = 2 * 600 * 4;
/// A change of this many mean changes is a step of the electrodes, not breathing (a sine reaches 1.6, fast inspiration 2).
const STEP: i64 = 2;
/// Samples of the slowest breath.
const SLOWEST: usize = 60 * rhythm::RATE_HZ / *rhythm::BREATHS.start();
/// Least autocorrelation, or share of the power, per mille: noise in 128 samples stays below 0.3.
const PERIODIC: i64 = 450;

/// Streaming respiration from impedance.
#[derive(Clone, Debug)]
pub struct ImpedanceRespiration {
    rate_hz: u16,
    /// Part of a quarter of a second that is in `sum`, in 1/`rate_hz`.
    filled: i64,
    sum: i64,
    values: [i32; WINDOW],
    next: usize,
    len: usize,
    fresh: usize,
    usual: i64,
    reading: Reading<Rate>,
    /// Samples since `reading`.
    age: u32,
}

impl ImpedanceRespiration {
    /// For samples at `rate_hz`, 25..=250 Hz.
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside that range.
    pub fn new(rate_hz: u16) -> Result<Self, UnsupportedRate> {
        if !(25..=250).contains(&rate_hz) {
            return Err(UnsupportedRate { signal: "impedance", hz: rate_hz, low: 25, high: 250 });
        }
        Ok(Self {
            rate_hz,
            filled: 0,
            sum: 0,
            values: [0; WINDOW],
            next: 0,
            len: 0,
            fresh: 0,
            usual: 0,
            reading: Err(Reason::NoSignal),
            age: 0,
        })
    }

    /// One sample, any unit.
    #[expect(clippy::cast_possible_truncation, reason = "a mean of i32 is an i32")]
    pub(in super::super) fn push(&mut self, impedance: i32) {
        if self.len == 0 {
            self.reading = Err(Reason::Settling);
        }
        self.age += 1;
        const RATE_HZ: i64 = rhythm::RATE_HZ as i64;
        let value = i64::from(impedance);
        let rate_hz = i64::from(self.rate_hz);
        let take = (rate_hz - self.filled).min(RATE_HZ);
        self.sum += value * take;
        self.filled += take;
        if self.filled < rate_hz {
            return;
        }
        self.values[self.next] = (self.sum / rate_hz) as i32;
        self.next = (self.next + 1) % WINDOW;
        self.len = (self.len + 1).min(WINDOW);
        self.fresh += 1;
        self.filled = RATE_HZ - take;
        self.sum = value * self.filled;
        if self.len == WINDOW && self.fresh >= RENEWAL {
            self.fresh = 0;
            self.age = 0;
            self.reading = self.renewed();
        }
    }

    fn renewed(&mut self) -> Reading<Rate> {
        self.usual -= self.usual / FORGETTING;
        let trace = Trace::new(self.levelled().into_iter()).ok_or(Reason::LowQuality)?;
        let count = trace.counted().ok_or(Reason::LowQuality)?;
        let overdue = count.silence > OVERDUE && count.silence * count.rate > OVERDUE_BREATHS;
        if overdue || trace.deviation() * FAINTER < self.usual {
            return Err(Reason::LowQuality);
        }
        let (period, correlation) = trace.period(FASTEST).ok_or(Reason::LowQuality)?;
        let spectrum = trace.spectrum(FASTEST);
        let line = spectrum.peak().ok_or(Reason::LowQuality)?;
        let mut rates = [count.rate, period, line];
        sort(&mut rates);
        let agrees = |rate: i32| (rate - count.rate).abs() <= (count.rate / 10).max(10);
        let correlation = if agrees(period) { correlation } else { 0 };
        let concentration = if agrees(line) { i64::from(spectrum.near(line) / 10) } else { 0 };
        if correlation.max(concentration) < PERIODIC {
            return Err(Reason::LowQuality);
        }
        let value = rhythm::rate(rates[1]).ok_or(Reason::LowQuality)?;
        self.usual = self.usual.max(trace.deviation());
        Ok(Measurement {
            value,
            quality: Quality::clamped((correlation + concentration) / 20),
            method: Method::Impedance,
            calibration: 0,
            delay_ms: DELAY_MS,
        })
    }

    /// The window, oldest first, with steps cut and without what is slower than the slowest breathing.
    #[expect(clippy::cast_possible_truncation, reason = "clamped")]
    fn levelled(&self) -> [i32; WINDOW] {
        let (tail, head) = self.values.split_at(self.next);
        let mut course = [0_i64; WINDOW];
        for (slot, value) in course.iter_mut().zip(head.iter().chain(tail)) {
            *slot = i64::from(*value);
        }
        let change = |pair: &[i64]| pair[1] - pair[0];
        let cut = STEP * course.windows(2).map(|pair| change(pair).abs()).sum::<i64>() / WINDOW as i64;
        let (mut before, mut level) = (course[0], 0);
        for value in &mut course {
            level += (*value - before).clamp(-cut, cut);
            before = core::mem::replace(value, level);
        }
        core::array::from_fn(|at| {
            let around = &course[at.saturating_sub(SLOWEST / 2)..WINDOW.min(at + SLOWEST / 2 + 1)];
            let mean = around.iter().sum::<i64>() / around.len() as i64;
            (course[at] - mean).clamp(i32::MIN.into(), i32::MAX.into()) as i32
        })
    }

    /// Forgets everything, as after a gap in the samples.
    pub(in super::super) const fn restart(&mut self) {
        (self.filled, self.sum, self.next, self.len, self.fresh, self.usual) = (0, 0, 0, 0, 0, 0);
        self.age = 0;
        self.reading = Err(Reason::NoSignal);
    }

    /// 5..=60 breaths per minute; first after 32 s, new every 2 s.
    pub(in super::super) fn rate(&self) -> Reading<Rate> {
        let age_ms = self.age * 1000 / u32::from(self.rate_hz);
        self.reading.map(|measurement| Measurement { delay_ms: measurement.delay_ms + age_ms, ..measurement })
    }
}
