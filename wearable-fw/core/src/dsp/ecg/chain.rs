//! Which peaks are beats: the most plausible chain of them, decided 1.5 s late.
//!
//! Owns evidence, rhythm and the decision. Knows no samples. Every peak is worth its evidence (height and flanks
//! against those of recent beats; in movement also likeness to their shape), every interval costs what it deviates
//! from the usual one, and the chain of the largest total is found by dynamic programming (Viterbi 1967; for beats
//! after an idea of Ellis 2007, J New Music Res 36:51, who tracks musical ones). One rule thus does what
//! Pan and Tompkins 1985 and Hamilton 2002 do by many: blanking, T waves and P waves (two neighbours of unlike height
//! are not both beats), search-back (a gap costs more than a weak beat) and noise rejection. The evidence of a peak
//! is 0 at Hamilton's threshold and 1 at the usual height, in logarithms.
//!
//! Electrode movement is known by the baseline: it swings as far as a QRS is high. The more it does, the more a peak
//! must fit rhythm and shape, and neither is learnt.
#![expect(clippy::indexing_slicing, reason = "positions are below the number of pending peaks")]

use super::shapes::{ALIKE, Shapes};
use super::signal::{HZ, LEAST_HEIGHT, Peak, Signal};
use crate::dsp::filter::{Ring, eighths};

/// 1 in evidence, cost, octaves and disturbance.
pub(super) const ONE: i32 = 256;
/// A peak is decided when this old: two intervals at 80 bpm lie after it.
const DECIDED: u32 = 150;
/// Peaks of the first 3 s set the first thresholds, and are decided then.
const LEARNT: u32 = 3 * HZ;
/// Peaks are at least 100 ms apart: those of the learning time, and two.
const PENDING: usize = 32;
/// Hamilton's refractory time, 200 ms: no two beats are closer.
const REFRACTORY: u32 = 20;
/// Within 360 ms of a beat lies its T wave (Pan and Tompkins), and after a P wave its QRS.
const NEIGHBOUR: u32 = 36;
/// Interval before any is known, 75 bpm.
const FIRST_INTERVAL: i32 = 80;
/// Disturbance up to which rhythm and shapes are learnt.
const CALM: i32 = ONE / 5;
/// In disturbance, one interval of this many is learnt: the rate may have changed meanwhile.
const INTERVALS_SKIPPED: u8 = 4;

/// What the chain decided of a peak that is a beat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    pub(super) peak: Peak,
    /// How clear it is, 0 to [`ONE`]: the evidence for it, and against its strongest rival since the last beat.
    pub(super) clarity: i32,
    /// Likeness to what beats looked like before it, 127 at most; 0 while that is not known.
    pub(super) likeness: i32,
}

/// Peaks not yet decided, and what is known of beats.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pending: [Peak; PENDING],
    count: usize,
    last: Option<Peak>,
    /// Evidence of the strongest peak since that was no beat.
    rival: i32,
    heights: Ring<8>,
    flanks: Ring<8>,
    amplitudes: Ring<8>,
    other_heights: Ring<8>,
    other_flanks: Ring<8>,
    intervals: Ring<8>,
    skipped: u8,
    shapes: Shapes,
}

/// What one decision is based on.
struct Basis {
    /// Usual value and threshold of height and flank, octaves.
    height: [i32; 2],
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
            rival: -ONE,
            heights: Ring::new(),
            flanks: Ring::new(),
            amplitudes: Ring::new(),
            other_heights: Ring::new(),
            other_flanks: Ring::new(),
            intervals: Ring::new(),
            skipped: 0,
            shapes: Shapes::new(),
        }
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

    /// The next beat, if one is settled: by what follows it, or, when nothing will (`ended`), by what there is.
    pub(super) fn decide(&mut self, signal: &Signal, started: u32, ended: bool) -> Option<Decided> {
        let now = signal.now();
        if !self.has_learnt() {
            if now.wrapping_sub(started) < LEARNT && !ended {
                return None;
            }
            self.learn_heights(started);
        }
        while self.count > 0 && (ended || now.wrapping_sub(self.pending[0].middle) >= DECIDED) {
            let basis = self.basis(signal);
            let is_beat = self.first_is_on_best_chain(&basis, now);
            let peak = self.pending[0];
            let evidence = basis.evidence(&peak);
            self.forget_first();
            if is_beat {
                let clarity = ((evidence.min(ONE) - self.rival) / 2).clamp(0, ONE);
                let likeness = if signal.remembers(peak.middle) {
                    self.shapes.likeness(signal, peak.middle)
                } else {
                    None
                };
                self.accept(peak, &basis, signal);
                return Some(Decided { peak, clarity, likeness: likeness.unwrap_or(0) });
            }
            self.rival = self.rival.max(evidence);
            self.other_heights.push(peak.height.into());
            self.other_flanks.push(peak.flank.into());
        }
        None
    }

    /// How much the electrodes move, 0 to [`ONE`]: from a swing of a quarter of a QRS on, whole at three quarters.
    pub(super) fn disturbance(&self, signal: &Signal) -> i32 {
        let amplitude = eighths(&self.amplitudes, 4);
        if amplitude == 0 { 0 } else { (2 * (signal.swing() * ONE / amplitude - ONE / 4)).clamp(0, ONE) }
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
        self.rival = -ONE;
        self.last = Some(peak);
    }

    fn basis(&self, signal: &Signal) -> Basis {
        let usual = |beats: &Ring<8>, others: &Ring<8>, least: i32| {
            let beat = eighths(beats, 4).max(least);
            let other = eighths(others, 4).min(beat / 2);
            [octaves(beat), octaves(other + (beat - other) * 5 / 16)]
        };
        let interval = eighths(&self.intervals, 4);
        Basis {
            height: usual(&self.heights, &self.other_heights, LEAST_HEIGHT),
            flank: usual(&self.flanks, &self.other_flanks, 1),
            interval: if interval == 0 { FIRST_INTERVAL } else { interval },
            disturbance: self.disturbance(signal),
        }
    }

    /// Whether the oldest pending peak belongs to the chain of the largest total.
    fn first_is_on_best_chain(&self, basis: &Basis, now: u32) -> bool {
        const NEVER: i32 = i32::MIN / 2;
        let pending = &self.pending[..self.count];
        let mut totals = [(NEVER, false); PENDING];
        let mut best = self.last.map_or((0, false), |last| (-basis.ending(&last, now), false));
        for (position, peak) in pending.iter().enumerate() {
            let is_first = position == 0;
            let mut chain = match &self.last {
                None => (0, is_first),
                Some(last) => (basis.step(last, peak).map_or(NEVER, |cost| -cost), is_first),
            };
            for (earlier, &(total, through_first)) in pending[..position].iter().zip(&totals) {
                let total = basis.step(earlier, peak).map_or(NEVER, |cost| total - cost);
                if total > chain.0 {
                    chain = (total, through_first);
                }
            }
            chain.0 = (chain.0 + basis.evidence(peak)).max(NEVER);
            totals[position] = chain;
            let total = chain.0 - basis.ending(peak, now);
            if total > best.0 {
                best = (total, chain.1);
            }
        }
        best.1
    }
}

impl Basis {
    /// Evidence that `peak` is a beat: positive for, negative against.
    fn evidence(&self, peak: &Peak) -> i32 {
        let above = |value: u16, [usual, threshold]: [i32; 2]| {
            (octaves(value.into()) - threshold) * ONE / (usual - threshold).max(1)
        };
        let size = i32::midpoint(above(peak.height, self.height), above(peak.flank, self.flank));
        let shape = (10 * (i32::from(peak.likeness) - ALIKE)).clamp(-ONE, ONE) * self.disturbance / ONE;
        size.clamp(-2 * ONE, ONE * 5 / 4) + ONE / 4 + shape
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

    /// Half a unit per squared octave between an interval and the usual one; too short ones cost up to thrice that
    /// in disturbance.
    fn interval(&self, gap: u32) -> i32 {
        let deviation = octaves(gap.cast_signed()) - octaves(self.interval);
        let cost = deviation * deviation / (2 * ONE);
        if deviation > 0 {
            cost.min(3 * ONE)
        } else {
            (cost * (ONE + 2 * self.disturbance) / ONE).min(4 * ONE)
        }
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
