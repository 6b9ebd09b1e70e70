//! Pulse rate under movement: which rate is likely, given each second's spectra and all before.
//!
//! Owns the belief over rates. Knows neither sensors nor units.
//!
//! Per second: amplitude spectra of both lights less that of the accelerometer, each relative to its largest line
//! (spectral subtraction, Boll 1979), as likelihood of every rate in a forward filter over rates (Rabiner 1989); the
//! rate of a body drifts with a scale of 3 /min in a second. A lost track is found again by the evidence alone: any
//! rate keeps a small belief. Belief alone would follow an artefact, so an estimate also needs evidence over some
//! seconds: its line stands clear of the movement's lines, and stands out of what they leave.
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

/// A line of the movement this much weaker than its greatest (-10 dB) explains nothing.
const MOVES: u32 = 0xffff / 10;
/// The share of the lights' power that must stand at the rate, clear of the movement's lines, percent. Artefacts of
/// recorded running, the pulse replaced by functions of the acceleration, leave 0..2; running hearts 5..40.
const CLEAR_PERCENT: i32 = 5;
/// The share of what the movement leaves that must stand at the rate, percent: 10 of a flat spectrum, hardly 30 of the
/// greatest line of noise.
const LONE_PERCENT: i32 = 30;
/// The belief that must stand at the rate.
const BELIEVED_PERCENT: i32 = 60;

/// Belief over rates, and the evidence for the likeliest.
#[derive(Clone, Debug)]
pub(super) struct Tracker {
    belief: [u32; BINS],
    /// The likeliest bin, and means of about 8 s of the two shares there, percent in Q8.
    best: usize,
    clear: i32,
    lone: i32,
}

/// The likeliest rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    /// 0.1 /min.
    pub(super) tenths: u64,
    /// The weaker of belief and evidence.
    pub(super) percent: i32,
}

impl Tracker {
    pub(super) const fn new() -> Self {
        Self { belief: [ONE / BINS as u32; BINS], best: 0, clear: 0, lone: 0 }
    }

    /// A second later.
    pub(super) fn step(&mut self, lights: &[Spectrum; 2], movement: &Spectrum) {
        let (lights, movement) = (lights.each_ref().map(relative), relative(movement));
        let rests = lights.map(|light| rest(&light, &movement));
        self.update(&likelihood(&lights, &rests));
        let best = self.best();
        if best.abs_diff(self.best) > NEAR {
            // What spoke for another rate does not speak for this one.
            (self.clear, self.lone) = (0, 0);
        }
        self.best = best;
        let near = near(best);
        let [mut clear, mut lone] = [0; 2];
        for (light, rest) in lights.iter().zip(&rests) {
            let stands = near.clone().filter(|bin| movement[*bin] < MOVES).map(|bin| light[bin]).sum::<u32>();
            clear += share(stands, light) / 2;
            lone += share(rest[near.clone()].iter().sum(), rest) / 2;
        }
        self.clear += (clear - self.clear) / 8;
        self.lone += (lone - self.lone) / 8;
    }

    fn update(&mut self, likelihood: &[u32; BINS]) {
        let predicted = self.drifted();
        let mut sum = 0;
        for (belief, (predicted, likelihood)) in
            self.belief.iter_mut().zip(predicted.into_iter().zip(likelihood))
        {
            *belief = ((u64::from(predicted) * u64::from(*likelihood)) >> 14) as u32;
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

    /// The rate, if belief and evidence are enough.
    pub(super) fn estimate(&self) -> Option<Estimate> {
        let near = near(self.best);
        let belief = &self.belief[near.clone()];
        let weighted =
            belief.iter().zip(near.start as u64..).map(|(belief, bin)| u64::from(*belief) * bin).sum::<u64>();
        let mass = u64::from(belief.iter().sum::<u32>()).max(1);
        let believed = (mass * 100 / u64::from(ONE)) as i32;
        let (clear, lone) = (self.clear >> 8, self.lone >> 8);
        (believed >= BELIEVED_PERCENT && clear >= CLEAR_PERCENT && lone >= LONE_PERCENT)
            .then(|| Estimate { tenths: tenths(weighted * 256 / mass), percent: believed.min(lone) })
    }

    fn best(&self) -> usize {
        (0..BINS).max_by_key(|bin| self.belief[near(*bin)].iter().sum::<u32>()).unwrap_or(0)
    }
}

fn near(bin: usize) -> core::ops::Range<usize> {
    bin.saturating_sub(NEAR)..BINS.min(bin + NEAR + 1)
}

/// What the movement does not explain of a light: power of the difference of the amplitudes, each relative to its
/// largest line.
fn rest(light: &[u32; BINS], movement: &[u32; BINS]) -> [u32; BINS] {
    core::array::from_fn(|bin| less(light[bin], movement[bin]))
}

/// How well each rate explains what the movement does not, Q14 of at most 1.25.
fn likelihood(lights: &[[u32; BINS]; 2], rests: &[[u32; BINS]; 2]) -> [u32; BINS] {
    // The largest lines say little of the ratio of the amplitudes: a part of each line stays whatever moves.
    let stays = |light: usize, bin: usize| rests[light][bin].max(lights[light][bin] / 12);
    let powers: [u32; BINS] = core::array::from_fn(|bin| stays(0, bin) + stays(1, bin));
    let greatest = powers.iter().copied().max().unwrap_or(0).max(1);
    powers.map(|power| (power << 14) / greatest + (1 << 12))
}

/// Percent in Q8 that `part` is of all `powers`.
fn share(part: u32, powers: &[u32; BINS]) -> i32 {
    (u64::from(part) * 25_600 / u64::from(powers.iter().sum::<u32>().max(1))) as i32
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
