//! Building blocks: ring, moving average, rank of eight, biquad, resampler, logarithm.
//!
//! Owns fixed-point arithmetic that neither ECG nor PPG should repeat. Knows no physiology. Callers bound their
//! input (stated at each item) so that nothing here can overflow.
#![expect(
    clippy::indexing_slicing,
    reason = "ring positions are reduced modulo the length when they change; no position comes from outside"
)]

/// The last `N` values, oldest first in [`Ring::iter`].
#[derive(Clone, Debug)]
pub(super) struct Ring<const N: usize> {
    values: [i32; N],
    next: usize,
    len: usize,
}

impl<const N: usize> Ring<N> {
    pub(super) const fn new() -> Self {
        Self { values: [0; N], next: 0, len: 0 }
    }

    pub(super) const fn push(&mut self, value: i32) {
        self.values[self.next] = value;
        self.next = (self.next + 1) % N;
        if self.len < N {
            self.len += 1;
        }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len == N
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = i32> + Clone {
        let (tail, head) = self.values[..self.len].split_at(if self.is_full() { self.next } else { 0 });
        head.iter().chain(tail).copied()
    }
}

/// Mean of the last `len <= N` values; the first value fills the window, so a constant has no transient.
///
/// Input within +-2^30.
#[derive(Clone, Debug)]
pub(super) struct Boxcar<const N: usize> {
    values: [i32; N],
    len: usize,
    next: usize,
    sum: i64,
    primed: bool,
}

impl<const N: usize> Boxcar<N> {
    /// A window of `milliseconds` at `rate_hz`, at least one sample and at most `N`.
    pub(super) fn new(milliseconds: usize, rate_hz: u16) -> Self {
        let len = (usize::from(rate_hz) * milliseconds / 1000).clamp(1, N);
        Self { values: [0; N], len, next: 0, sum: 0, primed: false }
    }

    /// The mean, and the value that left the window.
    #[expect(clippy::cast_possible_truncation, reason = "a mean of i32 is an i32")]
    #[expect(clippy::cast_possible_wrap, reason = "len is at most N, a small constant")]
    pub(super) fn push(&mut self, value: i32) -> (i32, i32) {
        if !self.primed {
            self.primed = true;
            self.values = [value; N];
            self.sum = i64::from(value) * self.len as i64;
        }
        let oldest = core::mem::replace(&mut self.values[self.next], value);
        self.next = (self.next + 1) % self.len;
        self.sum += i64::from(value) - i64::from(oldest);
        ((self.sum / self.len as i64) as i32, oldest)
    }

    /// The value half a window ago: the centre of the mean [`Boxcar::push`] just returned.
    pub(super) const fn middle(&self) -> i32 {
        self.values[(self.next + self.len / 2) % self.len]
    }
}

/// Sorts at most some 100 values (4560 exchanges at worst for 96). The standard library's sort takes 3 to 5 KB of flash for each type.
pub(super) fn sort<T: Ord>(values: &mut [T]) {
    for mut at in 1..values.len() {
        while at > 0 && values[at - 1] > values[at] {
            values.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// The value that `part` eighths of the newest eight do not exceed (4 is the median); 0 when empty.
pub(super) fn eighths<const N: usize>(ring: &Ring<N>, part: usize) -> i32 {
    let mut sorted = [0; 8];
    let mut filled = 0;
    for (slot, value) in sorted.iter_mut().zip(ring.iter().rev()) {
        *slot = value;
        filled += 1;
    }
    let sorted = &mut sorted[..filled];
    sort(sorted);
    sorted.get((filled * part / 8).saturating_sub(1)).copied().unwrap_or(0)
}

/// Second-order section, direct form 1, coefficients in Q28, `a0 = 1`.
///
/// Input within +-2^30: with the coefficients of `optics` every product stays below 2^61.
#[derive(Clone, Debug)]
pub(super) struct Biquad {
    b: [i64; 3],
    a: [i64; 2],
    x: [i64; 2],
    y: [i64; 2],
}

impl Biquad {
    pub(super) const fn new(b: [i64; 3], a: [i64; 2]) -> Self {
        Self { b, a, x: [0; 2], y: [0; 2] }
    }

    pub(super) const fn push(&mut self, input: i64) -> i64 {
        let sum = self.b[0] * input + self.b[1] * self.x[0] + self.b[2] * self.x[1]
            - self.a[0] * self.y[0]
            - self.a[1] * self.y[1];
        self.x = [input, self.x[0]];
        self.y = [sum >> 28, self.y[0]];
        self.y[0]
    }
}

/// Area resampler to a lower or equal rate: each output is the mean over its own span of time, so no ratio of
/// rates drifts or jitters. Works on two channels that share a clock.
#[derive(Clone, Debug)]
pub(super) struct Resampler {
    from_hz: u32,
    to_hz: u32,
    filled: u32,
    sums: [u32; 2],
}

impl Resampler {
    /// Fraction bits of the output.
    pub(super) const FRACTION: u32 = 4;

    pub(super) const fn new(from_hz: u32, to_hz: u32) -> Self {
        Self { from_hz, to_hz, filled: 0, sums: [0; 2] }
    }

    /// Forgets the samples of the output to come.
    pub(super) const fn restart(&mut self) {
        *self = Self::new(self.from_hz, self.to_hz);
    }

    /// `values` below 2^18 (the ADC width of a MAX30102), rates at most 400 Hz: sums stay below 2^31.
    pub(super) fn push(&mut self, values: [u32; 2]) -> Option<[u32; 2]> {
        let take = self.to_hz.min(self.from_hz - self.filled);
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += (value * take) << Self::FRACTION;
        }
        self.filled += take;
        if self.filled < self.from_hz {
            return None;
        }
        let left = self.to_hz - take;
        let output = self.sums.map(|sum| sum / self.from_hz);
        self.filled = left;
        self.sums = values.map(|value| (value * left) << Self::FRACTION);
        Some(output)
    }
}

/// Natural logarithm in Q20, error below 2^-18; `ln(0)` counts as `ln(1)`.
#[expect(clippy::cast_possible_truncation, reason = "22.2 (ln of 2^32) in Q20 fits in 25 bits")]
pub(super) fn ln(value: u32) -> i32 {
    const LN_2: u64 = 744_261_118; // Q30
    let value = value.max(1);
    let mut mantissa = u64::from(value) << value.leading_zeros(); // Q31 in 1..2
    let mut log2 = u64::from(31 - value.leading_zeros());
    for _ in 0..20 {
        mantissa = (mantissa * mantissa) >> 31;
        let bit = mantissa >> 32;
        mantissa >>= bit;
        log2 = log2 << 1 | bit;
    }
    ((log2 * LN_2) >> 30) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_matches_floating_point() {
        for value in [1_u32, 2, 3, 10, 1000, 57_964, 262_143, u32::MAX] {
            let exact = f64::from(value).ln();
            assert!((f64::from(ln(value)) / f64::from(1 << 20) - exact).abs() < 4e-6, "{value}");
        }
    }

    #[test]
    fn resampler_keeps_time_and_level_at_an_odd_ratio() {
        let mut resampler = Resampler::new(64, 25);
        let outputs: usize = (0..64 * 60)
            .filter_map(|_| resampler.push([1000, 7]))
            .map(|out| assert_eq!(out, [16_000, 112]))
            .count();
        assert_eq!(outputs, 25 * 60);
    }

    #[test]
    fn boxcar_reports_mean_and_centre_without_a_start_transient() {
        let mut boxcar = Boxcar::<8>::new(5, 1000);
        assert_eq!(boxcar.push(10).0, 10);
        let means: [i32; 5] =
            core::array::from_fn(|step| boxcar.push(15 + 5 * i32::try_from(step).unwrap()).0);
        assert_eq!(means, [11, 13, 16, 20, 25]);
        assert_eq!(boxcar.middle(), 25);
    }

    #[test]
    fn ring_yields_oldest_first() {
        let mut ring = Ring::<3>::new();
        (1..=5).for_each(|value| ring.push(value));
        assert!(ring.iter().eq([3, 4, 5]));
    }
}
