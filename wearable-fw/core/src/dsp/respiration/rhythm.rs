//! The rhythm of a trace sampled four times a second: three independent ways to read it.
//!
//! Owns no sensor and no decision. `modulation` and `impedance` hand over their traces and weigh the answers.
//!
//! - autocorrelation: first maximum close to the greatest (Schrumpf 2016, doi 10.1515/cdbme-2016-0054)
//! - spectrum: greatest power (Karlen 2013, doi 10.1109/TBME.2013.2246160)
//! - breaths counted: "count-orig" (Schaefer & Kratky 2008, doi 10.1007/s10439-007-9428-1)
#![expect(
    clippy::indexing_slicing,
    reason = "lags and positions are bounded by the length of the trace, turns by the modulus of the table"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "samples are cut to 12 bits, so a sum of 192 products stays below 2^30 and energies are positive"
)]

use core::ops::RangeInclusive;

use super::super::Rate;
use super::super::filter::sort;

/// Samples per second of every trace: twice the fastest breathing (1 Hz) and room for the count.
pub(super) const RATE_HZ: usize = 4;
/// Longest trace.
pub(super) const LONGEST: usize = 48 * RATE_HZ;
/// Breaths per minute this product tells.
pub(super) const BREATHS: RangeInclusive<usize> = 5..=60;

/// `None` outside [`BREATHS`].
pub(super) fn rate(tenths: i32) -> Option<Rate> {
    Rate::within(u64::try_from(tenths).ok()?, 50..=600)
}

/// A maximum of this share of the greatest is the period; a later, greater one is its multiple.
const FIRST_MAXIMUM_PERCENT: i64 = 80;
/// Deviations beyond this many mean deviations are artefacts (a sine reaches 1.6) and are cut.
const CUT: i64 = 3;
const SCALE: i32 = 2047;

/// A trace without its mean, in multiples of its mean deviation: `SCALE` is the cut.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    values: [i32; LONGEST],
    len: usize,
    deviation: i64,
}

impl Trace {
    /// The first [`LONGEST`] of `samples`. `None` without any change.
    pub(super) fn new(samples: impl Iterator<Item = i32> + Clone) -> Option<Self> {
        let samples = samples.take(LONGEST).map(i64::from);
        let len = samples.clone().count();
        let count = i64::try_from(len).ok().filter(|count| *count >= 8)?;
        let mean = samples.clone().sum::<i64>() / count;
        let deviation = samples.clone().map(|value| (value - mean).abs()).sum::<i64>() / count;
        // 20 bits are left of the cut, so that the quotient needs only 32.
        let cut = CUT * deviation;
        let shift = (44 - cut.leading_zeros() as i32).max(0);
        let unit = (cut >> shift) as i32;
        let mut values = [0; LONGEST];
        for (slot, value) in values.iter_mut().zip(samples) {
            *slot = (((value - mean).clamp(-cut, cut) >> shift) as i32 * SCALE).checked_div(unit)?;
        }
        Some(Self { values, len, deviation })
    }

    /// Mean deviation in the unit of the samples.
    pub(super) const fn deviation(&self) -> i64 {
        self.deviation
    }

    fn values(&self) -> &[i32] {
        &self.values[..self.len]
    }

    /// Rate in tenths per minute and correlation in per mille of the period below `fastest` breaths per minute.
    pub(super) fn period(&self, fastest: usize) -> Option<(i32, i64)> {
        const LAGS: usize = 60 * RATE_HZ / *BREATHS.start() + 2;
        let shortest = (60 * RATE_HZ).div_ceil(fastest.max(1)).max(2);
        let last = LAGS.min(self.len / 2);
        let values = self.values();
        let product =
            |left: &[i32], right: &[i32]| -> i32 { left.iter().zip(right).map(|(l, r)| l * r).sum() };
        // Energy of the trace without its first, and without its last samples.
        let mut energies = [product(values, values); 2];
        let mut correlations = [0; LAGS];
        for (lag, slot) in correlations.iter_mut().enumerate().take(last).skip(1) {
            energies[0] -= values[lag - 1] * values[lag - 1];
            energies[1] -= values[self.len - lag] * values[self.len - lag];
            if lag >= shortest - 1 {
                let scale = (energies[0] as u64 * energies[1] as u64).isqrt() as i64;
                *slot = i64::from(product(&values[lag..], values)) * 1000 / scale.max(1);
            }
        }
        let maxima = || {
            (shortest..last.saturating_sub(1)).filter(|lag| {
                correlations[lag - 1] < correlations[*lag] && correlations[*lag] >= correlations[lag + 1]
            })
        };
        let greatest = maxima().map(|lag| correlations[lag]).max().filter(|greatest| *greatest > 0)?;
        let lag = maxima().find(|lag| correlations[*lag] * 100 >= greatest * FIRST_MAXIMUM_PERCENT)?;
        let period = vertex(lag, &correlations);
        Some(((60 * 10 * 256 * RATE_HZ as i64 / period) as i32, correlations[lag]))
    }

    /// Rate in tenths per minute by counting breaths: maxima above a fifth of their third quartile, with the trace
    /// below its mean between them.
    pub(super) fn counted(&self) -> Option<Count> {
        let smooth = |at: usize| self.values[at - 1] + self.values[at] + self.values[at + 1];
        let inner = 2..self.len - 2;
        let is_maximum = |at: &usize| smooth(at - 1) < smooth(*at) && smooth(*at) >= smooth(at + 1);
        let mut heights = [0; LONGEST / 2];
        let mut maxima = 0;
        for (slot, at) in
            heights.iter_mut().zip(inner.clone().filter(is_maximum).filter(|at| smooth(*at) > 0))
        {
            *slot = smooth(at);
            maxima += 1;
        }
        let heights = &mut heights[..maxima];
        sort(heights);
        let threshold = heights.get(maxima * 3 / 4)? / 5;
        let (mut first, mut last, mut breaths, mut below) = (0, 0, 0, true);
        for at in inner {
            if smooth(at) < 0 {
                below = true;
            } else if below && smooth(at) > threshold && is_maximum(&at) {
                below = false;
                first = if breaths == 0 { at } else { first };
                last = at;
                breaths += 1;
            }
        }
        let rate = (60 * 10 * RATE_HZ * (breaths.max(1) - 1)).checked_div(last - first)?;
        Some(Count { rate: rate as i32, silence: (self.len - last) as i32 })
    }

    /// Share of the power at each whole rate per minute up to `fastest`, in 1/10 000.
    pub(super) fn spectrum(&self, fastest: usize) -> Spectrum {
        // Even and odd part around the middle: the one has only cosines, the other only sines.
        let half = self.len / 2;
        let mut parts = [(0, 0); LONGEST / 2];
        for (at, part) in parts.iter_mut().enumerate().take(half) {
            // (1 - u^2)^2 with u from 0 to 1: Hann's window but for 4 %.
            let u = ((2 * at + 1) * 128 / half) as i32;
            let bell = (65_536 - u * u) >> 6;
            let windowed = |value: i32| (((value * bell) >> 10) * bell) >> 10;
            let [after, before] = [half + at, half - 1 - at].map(|at| windowed(self.values[at]));
            *part = (after + before, after - before);
        }
        let mut power = [0; Spectrum::LINES];
        for rate in BREATHS.take_while(|rate| *rate <= fastest) {
            let mut turn = rate;
            let (mut cosine, mut sine) = (0, 0);
            for (even, odd) in &parts[..half] {
                cosine += even * COSINES[turn];
                sine += odd * COSINES[(turn + TURN * 3 / 4) % TURN];
                turn = (turn + 2 * rate) % TURN;
            }
            let square = |sum: i32| i64::from(sum >> 10).pow(2);
            power[rate] = square(cosine) + square(sine);
        }
        let whole = power.iter().sum::<i64>().max(1);
        Spectrum { shares: power.map(|power| (power * 10_000 / whole) as i32) }
    }
}

/// Breaths counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    /// Tenths per minute, from the first breath to the last.
    pub(super) rate: i32,
    /// Samples since the last.
    pub(super) silence: i32,
}

/// Power at each rate per minute.
#[derive(Clone, Debug)]
pub(super) struct Spectrum {
    shares: [i32; Self::LINES],
}

impl Spectrum {
    const LINES: usize = *BREATHS.end() + 1;

    pub(super) const fn new() -> Self {
        Self { shares: [0; Self::LINES] }
    }

    /// Moves by `part` of the way towards another spectrum.
    pub(super) fn approach(&mut self, other: &Self, part: i32) {
        for (share, other) in self.shares.iter_mut().zip(other.shares) {
            *share += (other - *share) / part;
        }
    }

    /// Rate of the greatest share, tenths per minute.
    pub(super) fn peak(&self) -> Option<i32> {
        let (line, share) = (0..).zip(&self.shares).max_by_key(|(_, share)| **share)?;
        let inside = (BREATHS.start() + 1..*BREATHS.end()).contains(&line) && *share > 0;
        let lines: [i64; Self::LINES] = self.shares.map(i64::from);
        Some((if inside { vertex(line, &lines) } else { line as i64 * 256 } * 10 / 256) as i32)
    }

    /// Share within 2.5 per minute (the resolution of a window of 48 s) of `tenths`, in 1/10 000.
    pub(super) fn near(&self, tenths: i32) -> i32 {
        (0..)
            .zip(&self.shares)
            .filter(|(line, _)| (line * 10 - tenths).abs() <= 25)
            .map(|(_, share)| share)
            .sum()
    }

    /// What [`Spectrum::near`] is when the power is spread evenly up to `fastest`.
    pub(super) fn chance(tenths: i32, fastest: usize) -> i32 {
        let mut even = Self::new();
        let lines = BREATHS.take_while(|rate| *rate <= fastest);
        let share = 10_000 / (lines.clone().count().max(1) as i32);
        lines.for_each(|line| even.shares[line] = share);
        even.near(tenths)
    }
}

/// Position of the parabola's vertex through three values around a maximum, in 1/256.
fn vertex(at: usize, values: &[i64]) -> i64 {
    let [before, top, after] = [values[at - 1], values[at], values[at + 1]];
    at as i64 * 256 + (128 * (after - before)).checked_div(2 * top - before - after).unwrap_or(0)
}

/// Half samples in a minute: a rate of `n` per minute turns by `n` entries of the table in half a sample.
const TURN: usize = 2 * 60 * RATE_HZ;

/// Cosine of one turn in Q12.
const COSINES: [i32; TURN] = {
    // cos(2 pi / 480) in Q30; cos((n + 1) a) = 2 cos(a) cos(n a) - cos((n - 1) a).
    const STEP: i64 = 1_073_649_834;
    let mut table = [0; TURN];
    let (mut before, mut now) = (STEP, 1 << 30);
    let mut at = 0;
    while at < TURN {
        table[at] = ((now + (1 << 17)) >> 18) as i32;
        (before, now) = (now, ((STEP * now) >> 29) - before);
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_a_cosine() {
        for (at, entry) in (0..).zip(COSINES) {
            let exact = (f64::from(at) / 240.0 * std::f64::consts::PI).cos() * 4096.0;
            assert!((f64::from(entry) - exact).abs() < 1.0, "{at}: {entry} {exact}");
        }
    }
}
