//! Power spectra of the last 8 s over the rates a pulse can have.
//!
//! Owns decimation to 12.5 Hz, the window and the Fourier transform. Knows neither light nor movement.
//!
//! 100 samples under a Hann window, two real signals in one complex transform of 256: bins 2.93 /min apart, 30 /min
//! between the zeros of one line (Harris 1978, "On the use of windows for harmonic analysis").
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "positions are reduced modulo constant lengths, none comes from outside; values are bounded where they arise"
)]

/// Bins of a spectrum: [`tenths`] 293..=2402.
pub(super) const BINS: usize = 73;
const FIRST: usize = 10;
/// Values of a spectrum's window.
pub(super) const LENGTH: usize = 100;
const POINTS: usize = 256;

/// Powers of the bins.
pub(super) type Spectrum = [u32; BINS];

/// Rate of `bin`, 0.1 /min, the bin given in 1/256.
pub(super) const fn tenths(bin: u64) -> u64 {
    // 600 x 12.5 Hz / 256 points.
    (bin + FIRST as u64 * 256) * 1875 / (64 * 256)
}

/// The last `N` values of a signal, given at 25 Hz and kept at 12.5 Hz.
#[derive(Clone, Debug)]
pub(super) struct Span<const N: usize> {
    before: [i32; 2],
    odd: bool,
    next: u8,
    filled: u8,
    values: [i16; N],
}

impl<const N: usize> Span<N> {
    pub(super) const fn new() -> Self {
        Self { before: [0; 2], odd: false, next: 0, filled: 0, values: [0; N] }
    }

    /// One value; every second time a mean of three, weighted 1 2 1, is kept. Saturates at +-2^15.
    pub(super) fn push(&mut self, value: i32) {
        let value = value.clamp(i16::MIN.into(), i16::MAX.into());
        if self.odd {
            self.values[usize::from(self.next)] = ((self.before[0] + 2 * self.before[1] + value) / 4) as i16;
            self.next = ((usize::from(self.next) + 1) % N) as u8;
            self.filled = N.min(usize::from(self.filled) + 1) as u8;
        }
        self.before = [self.before[1], value];
        self.odd = !self.odd;
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.filled.into()
    }

    /// The newest `count` values, oldest first; zeros before the first.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = i32> + Clone {
        let (late, early) = self.values.split_at(self.next.into());
        early.iter().chain(late).skip(N - count).copied().map(i32::from)
    }

    /// The newest values of a spectrum, without their mean, under the window.
    fn windowed(&self) -> impl Iterator<Item = i32> {
        let mean = self.newest(LENGTH).sum::<i32>() / LENGTH as i32;
        self.newest(LENGTH).zip(HANN).map(move |(value, weight)| ((value - mean) * weight) >> 15)
    }
}

/// Spectra of two signals.
pub(super) fn spectra<const N: usize, const M: usize>(first: &Span<N>, second: &Span<M>) -> [Spectrum; 2] {
    let mut points = [[0; 2]; POINTS];
    for (point, (real, imaginary)) in points.iter_mut().zip(first.windowed().zip(second.windowed())) {
        *point = [real, imaginary];
    }
    transform(&mut points);
    let mut spectra = [[0; BINS]; 2];
    for bin in 0..BINS {
        let [real, imaginary] = points[FIRST + bin];
        let [mirrored_real, mirrored_imaginary] = points[POINTS - FIRST - bin];
        spectra[0][bin] = power(real + mirrored_real, imaginary - mirrored_imaginary);
        spectra[1][bin] = power(imaginary + mirrored_imaginary, mirrored_real - real);
    }
    spectra
}

/// Below 2^32 for any input: the transform of one signal is below 2^21.7.
fn power(real: i32, imaginary: i32) -> u32 {
    let power = i64::from(real).pow(2) + i64::from(imaginary).pow(2);
    u32::try_from(power >> 14).unwrap_or(u32::MAX)
}

/// Fourier transform in place, radix 2, decimation in time. No scaling: 100 values of 16 bit stay below 2^23.
fn transform(points: &mut [[i32; 2]; POINTS]) {
    for at in 0..POINTS {
        let reversed = at.reverse_bits() >> (usize::BITS - POINTS.ilog2());
        if at < reversed {
            points.swap(at, reversed);
        }
    }
    let mut half = 1;
    while half < POINTS {
        for offset in 0..half {
            let [cosine, sine] = TURNS[offset * (POINTS / 2 / half)].map(i64::from);
            for upper in (offset..POINTS).step_by(2 * half) {
                let lower = upper + half;
                let [real, imaginary] = points[lower].map(i64::from);
                let turned = [real * cosine + imaginary * sine, imaginary * cosine - real * sine];
                let turned = turned.map(|part| (part >> 15) as i32);
                let [real, imaginary] = points[upper];
                points[upper] = [real + turned[0], imaginary + turned[1]];
                points[lower] = [real - turned[0], imaginary - turned[1]];
            }
        }
        half *= 2;
    }
}

/// Cosine and sine of `at / 256` of a turn, Q15.
const TURNS: [[i32; 2]; POINTS / 2] = {
    let mut turns = [[0; 2]; POINTS / 2];
    let mut point = [1 << 30, 0];
    let mut at = 0;
    while at < turns.len() {
        turns[at] = [((point[0] + (1 << 14)) >> 15) as i32, ((point[1] + (1 << 14)) >> 15) as i32];
        point = turn(point, [1_073_418_433, 26_350_943]); // 2 pi / 256
        at += 1;
    }
    turns
};

/// `(1 - cos(2 pi (at + 1/2) / 100)) / 2`, Q15.
const HANN: [i32; LENGTH] = {
    let mut hann = [0; LENGTH];
    let mut point = [1_073_211_997, 33_727_046]; // pi / 100
    let mut at = 0;
    while at < hann.len() {
        hann[at] = (((1 << 30) - point[0]) >> 16) as i32;
        point = turn(point, [1_071_623_040, 67_420_807]); // 2 pi / 100
        at += 1;
    }
    hann
};

/// `point` turned by the angle with these cosine and sine, all Q30.
const fn turn(point: [i64; 2], by: [i64; 2]) -> [i64; 2] {
    [(point[0] * by[0] - point[1] * by[1]) >> 30, (point[0] * by[1] + point[1] * by[0]) >> 30]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sines of these rates per minute and amplitudes.
    fn sines(parts: &[(f64, f64)]) -> Span<LENGTH> {
        let mut span = Span::new();
        for sample in 0..300 {
            let turns = f64::from(sample) / 1500.0 * std::f64::consts::TAU;
            let value: f64 = parts.iter().map(|(rate, amplitude)| amplitude * (turns * rate).sin()).sum();
            span.push(super::super::synthetic::integer(value));
        }
        span
    }

    fn strongest(spectrum: &Spectrum) -> u64 {
        let bin = (0..BINS).max_by_key(|bin| spectrum[*bin]).unwrap();
        tenths(bin as u64 * 256)
    }

    #[test]
    fn two_signals_in_one_transform_stay_apart() {
        for (one, other) in [(40.0, 200.0), (90.0, 95.0), (150.0, 60.0), (230.0, 32.0)] {
            let [first, second] = spectra(&sines(&[(one, 20_000.0)]), &sines(&[(other, 300.0)]));
            assert!((strongest(&first) as f64 - 10.0 * one).abs() < 20.0, "{one}");
            assert!((strongest(&second) as f64 - 10.0 * other).abs() < 20.0, "{other}");
        }
    }

    #[test]
    fn a_full_scale_signal_does_not_overflow() {
        let mut span = Span::<LENGTH>::new();
        (0..300).for_each(|sample| span.push(if sample % 12 < 6 { i32::MAX } else { i32::MIN }));
        for spectrum in spectra(&span, &span) {
            assert!(strongest(&spectrum).abs_diff(1250) < 20, "{spectrum:?}");
        }
    }
}
