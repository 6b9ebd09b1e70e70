//! Respiration from the chest's impedance.
//!
//! Owns the window and the decision. Knows no unit: only relative amplitudes count.
//!
//! Chain: means over 0.25 s (4 Hz), 32 s, linear trend removed, deviations cut (sighs, steps); breaths counted,
//! autocorrelation and spectrum (`rhythm`); published when two of them agree, no breath is overdue and the trace is
//! not much fainter than the breathing before (which would leave the heart's own oscillation).
#![expect(clippy::indexing_slicing, reason = "a position reduced modulo the length")]

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
/// Breathing this many times fainter than usual is the heart (cardiogenic oscillation).
const FAINTER: i64 = 8;

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
        let (tail, head) = self.values.split_at(self.next);
        let trace = Trace::new(head.iter().chain(tail).copied()).ok_or(Reason::LowQuality)?;
        if trace.deviation() * FAINTER < self.usual {
            self.usual -= self.usual / 32;
            return Err(Reason::LowQuality);
        }
        let counted = trace.counted().ok_or(Reason::LowQuality)?;
        let period = trace.period(FASTEST);
        let line = trace.spectrum(FASTEST).peak();
        let agree = |rate: i32| (rate - counted).abs() <= (counted / 10).max(10);
        let supporters =
            [period.map(|(rate, _)| rate), line].into_iter().flatten().filter(|rate| agree(*rate));
        let support = supporters.count();
        let value = rhythm::rate(counted);
        let (Some(value), 1..) = (value, support) else { return Err(Reason::LowQuality) };
        self.usual += (trace.deviation() - self.usual) / 8;
        Ok(Measurement {
            value,
            quality: Quality::clamped(
                period.map_or(0, |(_, correlation)| correlation / 10) * support as i64 / 2,
            ),
            method: Method::Impedance,
            calibration: 0,
            delay_ms: DELAY_MS,
        })
    }

    /// Forgets everything, as after a gap in the samples.
    pub(in super::super) const fn restart(&mut self) {
        (self.filled, self.sum, self.next, self.len, self.fresh, self.usual) = (0, 0, 0, 0, 0, 0);
        self.reading = Err(Reason::NoSignal);
    }

    /// 5..=60 breaths per minute; first after 32 s, new every 2 s.
    pub(in super::super) fn rate(&self) -> Reading<Rate> {
        let age_ms = self.age * 1000 / u32::from(self.rate_hz);
        self.reading.map(|measurement| Measurement { delay_ms: measurement.delay_ms + age_ms, ..measurement })
    }
}
