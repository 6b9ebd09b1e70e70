//! Which peaks are beats: the most likely sequence of them, decided 1.5 s late.
//!
//! Owns evidence, rhythm and the decision. Knows no samples. The evidence of a peak is a logarithm of odds (1/256
//! octave), summed over height, flanks and likeness: the distance from the middle between beats and other peaks, times
//! how far apart those two are (two normal distributions of logarithms), so that rhythm counts only where the signal
//! itself is ambiguous. An interval costs what it deviates from the usual one. The chain of the largest total is
//! found by dynamic programming (Viterbi 1967; for beats, Ellis 2007, J New Music Res 36:51, who tracks musical
//! ones), and a peak is a beat when the best chain with it is better than the best one without. One rule thus does
//! what Pan and Tompkins 1985 and Hamilton 2002 (Computers in Cardiology 29:101) do by many: blanking, T waves
//! (Hamilton's 360 ms) and P waves, search-back, noise rejection.
//!
//! Moving electrodes are known by the baseline: it swings as far as a QRS is high. Then neither rhythm nor shapes
//! are learnt, because movement comes in step with itself and would teach its own.
#![expect(clippy::indexing_slicing, reason = "positions are below the number of pending peaks")]

use super::shapes::{ALIKE, Shapes};
use super::signal::{HZ, LEAST_HEIGHT, Peak, Signal};
use crate::dsp::filter::{Ring, eighths, sort};

/// One octave, and 1 in what else is a fraction.
pub(super) const ONE: i32 = 256;
/// A peak is decided when this old: two intervals at 80 bpm lie after it.
const DECIDED: u32 = 150;
/// Peaks of the first 3 s set the first thresholds, and are decided then.
const LEARNT: u32 = 3 * HZ;
/// Peaks are at least 100 ms apart: those of the learning time, and two.
const PENDING: usize = 32;
/// No two beats are closer than 220 ms, the refractory time of the heart.
const REFRACTORY: u32 = 22;
/// Within 360 ms of a beat lies its T wave (Pan and Tompkins), and after a P wave its QRS.
const NEIGHBOUR: u32 = 36;
/// Interval before any is known, 75 bpm.
const FIRST_INTERVAL: i32 = 80;
/// Disturbance up to which rhythm and shapes are learnt.
const CALM: i32 = ONE / 5;
/// Swing without beats, microvolt per 100 ms: what is calm beside a QRS of 0.5 mV (IEC 60601-2-27).
const STILL: i32 = 500 * (ONE / 8 + CALM / 2) / ONE;
/// Evidence of height reaches 6 octaves, that of flanks and likeness a third of one: they tell apart what height cannot.
const HEIGHT_REACH: i32 = 6 * ONE;
const REACH: i32 = ONE / 3;
/// The middle between beats and others is 5/8 of their distance below the beats, but at least a factor of 0.8 and at
/// most one of 0.29 (Hamilton's threshold is 0.3).
const SHALLOWEST: i32 = 80;
const DEEPEST: i32 = 460;
/// Square of the spread of either class: a ventricular beat is 0.8 octaves higher or lower than a normal one.
const SPREAD: i32 = 350;
/// While fewer others than this are known, they are taken to be 2.5 octaves below the beats, above any T wave.
const FEW: usize = 4;
const OTHERS_BELOW: i32 = 5 * ONE / 2;
/// The same as a part.
const OTHERS_PART: i32 = 6;
/// The most that an interval costs: three octaves of evidence, so that a pause or an early beat remains possible.
const UNEVEN: i32 = 3 * ONE;
/// In disturbance, one interval of this many is learnt: the rate may have changed meanwhile.
const INTERVALS_SKIPPED: u8 = 4;

/// What the chain decided of a peak that is a beat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    pub(super) peak: Peak,
    /// Likeness to what beats looked like before it, 127 at most; `None` while that is not known.
    pub(super) likeness: Option<i32>,
}

/// Peaks not yet decided, and what is known of beats.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pending: [Peak; PENDING],
    count: usize,
    last: Option<Peak>,
    heights: Ring<8>,
    flanks: Ring<8>,
    amplitudes: Ring<8>,
    other_heights: Ring<8>,
    other_flanks: Ring<8>,
    intervals: Ring<16>,
    /// How much better than the other the last decisions were.
    margins: Ring<16>,
    skipped: u8,
    shapes: Shapes,
}

/// What one decision is based on.
struct Basis {
    /// Usual height of beats and of other peaks, octaves.
    height: [i32; 2],
    /// The same of their flanks.
    flank: [i32; 2],
    /// Usual interval, ticks.
    interval: i32,
    disturbance: i32,
}

impl Chain {
    pub(super) const fn new() -> Self {
        Self {
            pending: [Peak { middle: 0, main: 0, likeness: 0, amplitude: 0, height: 0, flank: 0 }; PENDING],
            count: 0,
            last: None,
            heights: Ring::new(),
            flanks: Ring::new(),
            amplitudes: Ring::new(),
            other_heights: Ring::new(),
            other_flanks: Ring::new(),
            intervals: Ring::new(),
            margins: Ring::new(),
            skipped: 0,
            shapes: Shapes::new(),
        }
    }

    /// Forgets what beats look like, but not how large they were: what is movement is measured by that.
    pub(super) fn relearn(&mut self) {
        *self = Self { amplitudes: self.amplitudes.clone(), ..Self::new() };
    }

    /// Whether the first thresholds are known.
    pub(super) fn has_learnt(&self) -> bool {
        eighths(&self.heights, 4) > 0
    }

    /// Tick up to which everything is decided.
    pub(super) const fn decided_until(&self, now: u32) -> u32 {
        if self.count == 0 { now } else { self.pending[0].middle }
    }

    pub(super) fn add(&mut self, mut peak: Peak, signal: &Signal) {
        let likeness = self.shapes.likeness(signal, peak.middle).unwrap_or(ALIKE);
        peak.likeness = i8::try_from(likeness).unwrap_or(0);
        if self.count == PENDING {
            self.forget_first();
        }
        self.pending[self.count] = peak;
        self.count += 1;
    }

    /// The next beat, if one is settled.
    pub(super) fn decide(&mut self, signal: &Signal, started: u32) -> Option<Decided> {
        let now = signal.now();
        if !self.has_learnt() {
            if now.wrapping_sub(started) < LEARNT {
                return None;
            }
            self.learn_heights(started);
        }
        while self.count > 0 && now.wrapping_sub(self.pending[0].middle) >= DECIDED {
            let basis = self.basis(signal);
            let odds = self.odds_of_first(&basis, now);
            let peak = self.pending[0];
            self.forget_first();
            self.margins.push(odds.abs());
            if odds > 0 {
                let likeness = signal
                    .remembers(peak.middle)
                    .then(|| self.shapes.likeness(signal, peak.middle))
                    .flatten();
                self.accept(peak, &basis, signal);
                return Some(Decided { peak, likeness });
            }
            // A peak like a beat in shape and height says nothing of what other peaks are like. If it did, a half of
            // the beats could be the other peaks of the other half. It makes what is known of others doubtful.
            let usual = [&self.heights, &self.flanks].map(|beats| eighths(beats, 4));
            let high = 2 * i32::from(peak.height) > usual[0];
            let [height, flank] = if high && i32::from(peak.likeness) >= ALIKE {
                usual.map(|usual| usual / OTHERS_PART)
            } else {
                [peak.height, peak.flank].map(i32::from)
            };
            self.other_heights.push(height);
            self.other_flanks.push(flank);
        }
        None
    }

    /// Whether the electrodes do not move. Before any beat, no swing is known to be the patient's own.
    pub(super) fn is_calm(&self, signal: &Signal) -> bool {
        if eighths(&self.amplitudes, 4) > 0 {
            self.disturbance(signal) <= CALM
        } else {
            signal.whole_swing() <= STILL
        }
    }

    /// How much the electrodes move, 0 to [`ONE`]: from a swing of an eighth of a QRS on, whole at five eighths.
    pub(super) fn disturbance(&self, signal: &Signal) -> i32 {
        let amplitude = eighths(&self.amplitudes, 4);
        if amplitude == 0 { 0 } else { (2 * (signal.swing() * ONE / amplitude - ONE / 8)).clamp(0, ONE) }
    }

    /// The highest peak of each second is the first guess of a beat.
    fn learn_heights(&mut self, started: u32) {
        for second in 0..LEARNT / HZ {
            let of_second = |peak: &&Peak| peak.middle.wrapping_sub(started) / HZ == second;
            let highest = self.pending[..self.count].iter().filter(of_second).max_by_key(|peak| peak.height);
            if let Some(peak) = highest {
                self.heights.push(peak.height.into());
                self.flanks.push(peak.flank.into());
            }
        }
    }

    fn forget_first(&mut self) {
        self.pending.copy_within(1..self.count, 0);
        self.count -= 1;
    }

    fn accept(&mut self, peak: Peak, basis: &Basis, signal: &Signal) {
        let calm = basis.disturbance <= CALM;
        if let Some(last) = self.last {
            if calm || self.skipped == INTERVALS_SKIPPED {
                self.intervals.push(peak.middle.wrapping_sub(last.middle).cast_signed());
                self.skipped = 0;
            } else {
                self.skipped += 1;
            }
        }
        self.heights.push(peak.height.into());
        self.flanks.push(peak.flank.into());
        self.amplitudes.push(peak.amplitude.into());
        if calm && signal.remembers(peak.middle) {
            self.shapes.learn(signal, peak.middle);
        }
        self.last = Some(peak);
    }

    fn basis(&self, signal: &Signal) -> Basis {
        let usual = |beats: &Ring<8>, others: &Ring<8>| {
            // Above the middle, resp. the highest but one: P or T waves taken for beats must not become the measure.
            let beat = octaves(eighths(beats, 5));
            let known = others.iter().count() >= FEW;
            [beat, if known { octaves(eighths(others, 7)) } else { beat - OTHERS_BELOW }]
        };
        let interval = eighths(&self.intervals, 4);
        Basis {
            height: usual(&self.heights, &self.other_heights),
            flank: usual(&self.flanks, &self.other_flanks),
            interval: if interval == 0 { FIRST_INTERVAL } else { interval },
            disturbance: self.disturbance(signal),
        }
    }

    /// By how much the best chain with the oldest pending peak is better than the best one without.
    fn odds_of_first(&self, basis: &Basis, now: u32) -> i32 {
        const NEVER: i32 = i32::MIN / 4;
        let pending = &self.pending[..self.count];
        // Totals of the best chains that end with each peak: with and without the oldest.
        let mut totals = [[NEVER; 2]; PENDING];
        let mut best = [NEVER, self.last.map_or(0, |last| -basis.ending(&last, now))];
        for (position, peak) in pending.iter().enumerate() {
            let after = |earlier: &Peak| basis.step(earlier, peak).map_or(NEVER, |cost| -cost);
            let start = self.last.as_ref().map_or(0, after);
            let mut chains = if position == 0 { [start, NEVER] } else { [NEVER, start] };
            for (earlier, reached) in pending[..position].iter().zip(&totals) {
                let step = after(earlier);
                for (chain, total) in chains.iter_mut().zip(reached) {
                    *chain = (total + step).max(*chain);
                }
            }
            let evidence = basis.evidence(peak);
            let ending = basis.ending(peak, now);
            totals[position] = chains.map(|chain| (chain + evidence).max(NEVER));
            for (best, total) in best.iter_mut().zip(totals[position]) {
                *best = (total - ending).max(*best);
            }
        }
        best[0] - best[1]
    }

    /// How sure the least sure of the last decisions were: the fourth of sixteen.
    pub(super) fn certainty(&self) -> i32 {
        let mut margins = [i32::MAX; 16];
        for (slot, margin) in margins.iter_mut().zip(self.margins.iter()) {
            *slot = margin;
        }
        sort(&mut margins);
        margins[3].min(16 * ONE)
    }
}

impl Basis {
    /// Evidence that `peak` is a beat: positive for, negative against.
    fn evidence(&self, peak: &Peak) -> i32 {
        if i32::from(peak.height) < LEAST_HEIGHT {
            return -HEIGHT_REACH;
        }
        let odds = |value: u16, [beat, other]: [i32; 2]| {
            let apart = beat - other;
            let middle = beat - (apart * 5 / 8).clamp(SHALLOWEST, DEEPEST);
            (octaves(value.into()) - middle) * apart.clamp(ONE / 4, 5 * ONE) / SPREAD
        };
        let likeness = 3 * (i32::from(peak.likeness) - ALIKE);
        odds(peak.height, self.height).clamp(-HEIGHT_REACH, HEIGHT_REACH)
            + odds(peak.flank, self.flank).clamp(-REACH, REACH)
            + likeness.clamp(-REACH, REACH)
    }

    /// Cost of two beats in succession; `None` if they cannot be.
    fn step(&self, from: &Peak, to: &Peak) -> Option<i32> {
        let gap = to.middle.wrapping_sub(from.middle);
        if gap < REFRACTORY {
            return None;
        }
        let unlike = if gap < NEIGHBOUR {
            (octaves(from.height.into()) - octaves(to.height.into())).abs() - ONE / 2
        } else {
            0
        };
        Some(self.interval(gap) + unlike.max(0))
    }

    /// Grows with the square of how many octaves the interval is from the usual one.
    fn interval(&self, gap: u32) -> i32 {
        let deviation = octaves(gap.cast_signed()) - octaves(self.interval);
        (deviation * deviation / ONE * 5 / 4).min(UNEVEN)
    }

    /// Cost of no beat from `last` until the newest peak there can be.
    fn ending(&self, last: &Peak, now: u32) -> i32 {
        let gap = now.wrapping_sub(last.middle).saturating_sub(18);
        if gap.cast_signed() > self.interval.max(30) { self.interval(gap) } else { 0 }
    }
}

/// Binary logarithm in 1/256, error below 1/100 octave; of 0 as of 1.
fn octaves(value: i32) -> i32 {
    let value = value.max(1).unsigned_abs();
    let fraction = (((value << value.leading_zeros()) >> 23) & 0xff).cast_signed();
    let bulge = (fraction * (256 - fraction) * 88) >> 16;
    (31 - value.leading_zeros().cast_signed()) * 256 + fraction + bulge
}
