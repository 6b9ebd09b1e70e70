//! Heart-rate variability from accepted beats.
//!
//! Owns SDNN and RMSSD, as the Task Force of ESC and NASPE 1996 (Circulation 93:1043) defines them for short
//! recordings: over the last 5 min, from intervals between normal beats only. An interval is normal when both of its
//! beats lie in a trusted span and it is within 20 % of the one before (the filter that the Task Force names).
//! Knows no signal.
#![expect(clippy::indexing_slicing, reason = "a block is one of ten")]

use super::{Measurement, Method, Quality, Reading, Reason};

/// Intervals are in 1/16 of 10 ms.
const UNITS_PER_SECOND: u32 = 1600;
/// Blocks of 30 s; the oldest gives way.
const BLOCKS: usize = 10;
const BLOCK: u32 = 30 * UNITS_PER_SECOND;
/// Normal intervals must last this long in all.
const LEAST: u32 = 60 * UNITS_PER_SECOND;

/// Variability of the intervals between normal beats over the last 5 min.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variability {
    /// Standard deviation of the intervals, 0.1 ms.
    pub sdnn: u16,
    /// Root mean square of the differences of successive intervals, 0.1 ms.
    pub rmssd: u16,
}

/// Sums over the normal intervals of one block. No sum passes 2^32: intervals are below 3 s and last 33 s in all.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// Time that passed, normal or not.
    elapsed: u32,
    count: u16,
    pairs: u16,
    sum: u32,
    squares: u32,
    differences: u32,
}

/// The intervals of the last 5 min, as sums.
#[derive(Clone, Debug)]
pub(super) struct Tachogram {
    blocks: [Block; BLOCKS],
    current: usize,
    previous: Option<Previous>,
}

#[derive(Clone, Copy, Debug)]
struct Previous {
    interval: u32,
    /// Whether its second beat was trusted.
    trusted: bool,
    normal: bool,
}

impl Tachogram {
    pub(super) const fn new() -> Self {
        const EMPTY: Block = Block { elapsed: 0, count: 0, pairs: 0, sum: 0, squares: 0, differences: 0 };
        Self { blocks: [EMPTY; BLOCKS], current: 0, previous: None }
    }

    /// The next interval, below 3 s, and whether the beat that ends it is trusted.
    pub(super) fn push(&mut self, interval: u32, trusted: bool) {
        let previous = self.previous.filter(|previous| previous.trusted && trusted);
        let normal =
            previous.is_some_and(|previous| previous.interval.abs_diff(interval) <= previous.interval / 5);
        let block = &mut self.blocks[self.current];
        block.elapsed += interval;
        if normal {
            block.count += 1;
            block.sum += interval;
            block.squares += interval * interval;
            if let Some(previous) = previous.filter(|previous| previous.normal) {
                block.pairs += 1;
                block.differences += previous.interval.abs_diff(interval).pow(2);
            }
        }
        self.previous = Some(Previous { interval, trusted, normal });
        if let Some(beyond) = block.elapsed.checked_sub(BLOCK) {
            block.elapsed = BLOCK;
            self.current = (self.current + 1) % BLOCKS;
            self.blocks[self.current] = Block { elapsed: beyond, ..Block::default() };
        }
    }

    /// A pause: what follows does not succeed what was.
    pub(super) const fn interrupt(&mut self) {
        self.previous = None;
    }

    /// Needs a minute of normal intervals. Its quality is their share of the time.
    pub(super) fn variability(&self) -> Reading<Variability> {
        let total = |part: fn(&Block) -> u64| self.blocks.iter().map(part).sum::<u64>();
        let elapsed = total(|block| block.elapsed.into());
        let (count, sum) = (total(|block| block.count.into()), total(|block| block.sum.into()));
        if sum < LEAST.into() {
            return Err(if elapsed < 2 * u64::from(LEAST) { Reason::Settling } else { Reason::LowQuality });
        }
        let spread = (total(|block| block.squares.into()) * count).saturating_sub(sum * sum);
        // 6.25 is 1/16 of 10 ms in 0.1 ms; its square is 625/16.
        let root = |squares: u64| u16::try_from((squares * 625 / 16).isqrt()).unwrap_or(u16::MAX);
        let value = Variability {
            sdnn: root(spread / (count * count.saturating_sub(1)).max(1)),
            rmssd: root(total(|block| block.differences.into()) / total(|block| block.pairs.into()).max(1)),
        };
        Ok(Measurement {
            value,
            quality: Quality::clamped((100 * sum / elapsed.max(1)).cast_signed()),
            method: Method::EcgBeats,
            calibration: 0,
            delay_ms: u32::try_from(elapsed * 500 / u64::from(UNITS_PER_SECOND)).unwrap_or(u32::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alternates 800 and 800 + `difference` units for `beats` beats.
    fn alternating(beats: u32, difference: u32, trusted: impl Fn(u32) -> bool) -> Tachogram {
        let mut tachogram = Tachogram::new();
        (0..beats).for_each(|beat| tachogram.push(1280 + beat % 2 * difference, trusted(beat)));
        tachogram
    }

    #[test]
    fn known_intervals_give_known_variability() {
        // 800 and 850 ms in turn: deviation 25 ms, difference 50 ms.
        let value = alternating(400, 80, |_| true).variability().unwrap().value;
        assert!(value.sdnn.abs_diff(250) <= 1 && value.rmssd.abs_diff(500) <= 1, "{value:?}");
        let even = alternating(400, 0, |_| true).variability().unwrap().value;
        assert_eq!(even, Variability { sdnn: 0, rmssd: 0 });
    }

    #[test]
    fn early_and_untrusted_beats_do_not_count() {
        let mut tachogram = alternating(100, 0, |_| true);
        for _ in 0..20 {
            [700, 1860, 1280, 1280].into_iter().for_each(|interval| tachogram.push(interval, true));
        }
        assert_eq!(tachogram.variability().unwrap().value, Variability { sdnn: 0, rmssd: 0 });
        let noisy = alternating(400, 80, |beat| beat % 2 == 0);
        assert_eq!(noisy.variability(), Err(Reason::LowQuality));
    }

    #[test]
    fn a_minute_is_needed_and_five_are_remembered() {
        assert_eq!(alternating(60, 80, |_| true).variability(), Err(Reason::Settling));
        let mut tachogram = alternating(400, 80, |_| true);
        (0..420).for_each(|_| tachogram.push(1280, true));
        assert_eq!(tachogram.variability().unwrap().value.rmssd, 0);
    }
}
