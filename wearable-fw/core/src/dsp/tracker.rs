//! Pulse rate under movement: which rate is likely, given each second's spectra and all before.
//!
//! Owns the belief over rates. Knows neither sensors nor units.
//!
//! Per second: amplitude spectra of both lights less that of the accelerometer, each relative to its largest line
//! (spectral subtraction, Boll 1979), as likelihood of every rate in a forward filter over rates (Rabiner 1989); the
//! rate of a body drifts with a scale of 3 /min in a second. A lost track is found again by the evidence alone: any
//! rate keeps a small belief.
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::needless_range_loop,
    reason = "bins are counted by constants; beliefs add up to at most ONE and products are shifted back"
)]

use super::spectrum::{BINS, Spectrum, tenths};

/// The sum of a belief.
const ONE: u32 = 1 << 20;
/// Bins either side that count as the same rate: 8.8 /min, the half width of a spectral line.
const NEAR: usize = 3;

/// Belief over rates.
#[derive(Clone, Debug)]
pub(super) struct Tracker {
    belief: [u32; BINS],
}

/// The likeliest rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    /// 0.1 /min.
    pub(super) tenths: u64,
    /// Belief in it, percent.
    pub(super) percent: i64,
}

impl Tracker {
    pub(super) const fn new() -> Self {
        Self { belief: [ONE / BINS as u32; BINS] }
    }

    /// A second later.
    pub(super) fn step(&mut self, lights: &[Spectrum; 2], movement: &Spectrum) {
        let likelihood = likelihood(lights, movement);
        let predicted = self.drifted();
        let mut sum = 0;
        for (belief, (predicted, likelihood)) in
            self.belief.iter_mut().zip(predicted.into_iter().zip(likelihood))
        {
            *belief = ((u64::from(predicted) * u64::from(likelihood)) >> 14) as u32;
            sum += *belief;
        }
        let share = (u64::from(ONE) << 24) / u64::from(sum.max(1));
        for belief in &mut self.belief {
            *belief = ((u64::from(*belief) * share) >> 24) as u32;
        }
    }

    /// The belief after a second of drift: a two-sided exponential, 3/8 from bin to bin, and a thousandth anywhere.
    fn drifted(&self) -> [u32; BINS] {
        let mut drifted = self.belief;
        let mut carried = 0;
        for bin in 0..BINS {
            drifted[bin] += carried;
            carried = (carried + self.belief[bin]) * 3 / 8;
        }
        carried = 0;
        for bin in (0..BINS).rev() {
            drifted[bin] += carried + ONE / 1024 / BINS as u32;
            carried = (carried + self.belief[bin]) * 3 / 8;
        }
        drifted
    }

    pub(super) fn estimate(&self) -> Estimate {
        let around = |bin: usize| &self.belief[bin.saturating_sub(NEAR)..BINS.min(bin + NEAR + 1)];
        let mass = |bin: &usize| around(*bin).iter().sum::<u32>();
        let best = (0..BINS).max_by_key(mass).unwrap_or(0);
        let first = best.saturating_sub(NEAR) as u64;
        let weighted =
            around(best).iter().zip(first..).map(|(belief, bin)| u64::from(*belief) * bin).sum::<u64>();
        let mass = u64::from(mass(&best)).max(1);
        Estimate { tenths: tenths(weighted * 256 / mass), percent: (mass * 100 / u64::from(ONE)) as i64 }
    }
}

/// How well each rate explains what the movement does not, Q14 of at most 1.25.
fn likelihood(lights: &[Spectrum; 2], movement: &Spectrum) -> [u32; BINS] {
    let movement = relative(movement);
    let mut unexplained = [0; BINS];
    for light in lights {
        for (sum, (light, movement)) in unexplained.iter_mut().zip(relative(light).into_iter().zip(movement))
        {
            // Amplitudes differ by their normalisation only: the rest of a line under a line of the movement stays.
            *sum += less(light, movement).max(light / 12);
        }
    }
    let greatest = unexplained.iter().copied().max().unwrap_or(0).max(1);
    unexplained.map(|power| (power << 14) / greatest + (1 << 12))
}

/// Power of the difference of two amplitudes.
const fn less(light: u32, movement: u32) -> u32 {
    if light <= movement { 0 } else { light + movement - 2 * (light * movement).isqrt() }
}

/// Powers relative to the greatest, Q16 (below 2^16).
fn relative(spectrum: &Spectrum) -> [u32; BINS] {
    let greatest = spectrum.iter().copied().max().unwrap_or(0);
    let shift = (u32::BITS - greatest.leading_zeros()).saturating_sub(16);
    let greatest = (greatest >> shift).max(1);
    spectrum.map(|power| ((power >> shift) * 0xffff) / greatest)
}
