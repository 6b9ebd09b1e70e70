//! A recording played second by second, slower or faster, from a place on and round again.
//!
//! Owns the place in the recording. Integer: the same pace gives the same bytes everywhere.

use std::sync::Arc;

use super::file::Recording;

/// Parts of a sample.
const PARTS: u64 = 100;

/// A recording and the place in it.
#[derive(Clone, Debug)]
pub(super) struct Player {
    recording: Arc<Recording>,
    /// Place at which a pass begins, and where the next one does, in samples.
    begin: u64,
    end: u64,
    /// In 1/100 sample.
    at: u64,
}

impl Player {
    /// From second `start` on, all of it in a circle, or the `length` seconds from there.
    pub(super) fn new(recording: Arc<Recording>, start: u32, length: Option<u32>) -> Self {
        let rate = u64::from(recording.rate_hz());
        let samples = u64::from(recording.seconds()) * rate;
        let start = u64::from(start % recording.seconds()) * rate;
        let (begin, end) = match length {
            Some(length) => (start, (start + u64::from(length.max(1)) * rate).min(samples)),
            None => (0, samples),
        };
        Self { recording, begin, end, at: start * PARTS }
    }

    /// The next second at `percent` of the recorded pace.
    pub(super) fn second(&mut self, percent: u32) -> Vec<i32> {
        (0..self.recording.rate_hz()).map(|_| self.sample(percent)).collect()
    }

    fn sample(&mut self, percent: u32) -> i32 {
        let (place, part) = (self.at / PARTS, self.at % PARTS);
        let after = if place + 1 < self.end { place + 1 } else { self.begin };
        let [from, to] = [place, after].map(|place| i64::from(self.recording.value(place)));
        let between = from + (to - from) * part.cast_signed() / PARTS.cast_signed();
        self.at += u64::from(percent);
        let (begin, end) = (self.begin * PARTS, self.end * PARTS);
        if self.at >= end {
            self.at = begin + (self.at - end) % (end - begin);
        }
        i32::try_from(between).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up from 0, 100 a second, for 10 s.
    fn ramp() -> Arc<Recording> {
        let mut bytes = b"vitalward-recording 1\ntitle: t\norigin: o\nlicence: l\nkind: ppg\nrate-hz: 100\nzero: 0\nstep: 10\nsamples: 1000\n\n".to_vec();
        bytes.extend((0_u16..1_000).flat_map(u16::to_le_bytes));
        Arc::new(Recording::parse(&bytes).unwrap())
    }

    #[test]
    fn at_the_recorded_pace_it_is_the_recording() {
        let mut player = Player::new(ramp(), 9, None);
        assert_eq!(player.second(100), (900..1_000).map(|value| value * 10).collect::<Vec<_>>());
        assert_eq!(player.second(100), (0..100).map(|value| value * 10).collect::<Vec<_>>());
    }

    #[test]
    fn another_pace_passes_as_much_more_of_it() {
        let mut player = Player::new(ramp(), 0, None);
        let fast = player.second(150);
        assert_eq!((fast[1], fast[2], fast[99]), (15, 30, 1_485));
        let slow = player.second(50);
        assert_eq!((slow[0], slow[1]), (1_500, 1_505));
    }

    #[test]
    fn a_part_goes_round() {
        let mut player = Player::new(ramp(), 2, Some(1));
        assert_eq!(player.second(100), player.second(100));
        assert_eq!(
            Player::new(ramp(), 12, Some(1)).second(100)[0],
            2_000,
            "a start past the end is taken round"
        );
    }
}
