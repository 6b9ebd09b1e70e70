//! How long to wait before the next try of a connection: doubling from half a second to 15 seconds, with full jitter in
//! the upper half, so that a clinic that lost its network does not come back in one instant.

use core::time::Duration;

use rand_core::Rng;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// Waits of one connection that is tried again and again.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The next wait.
    pub fn wait(&mut self, rng: &mut impl Rng) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(LONGEST);
        let jitter = rng.next_u32() % 1_000;
        longest / 2 + longest / 2 * jitter / 1_000
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        for longest in [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000] {
            let wait = backoff.wait(&mut rng);
            let longest = Duration::from_millis(longest);
            assert!((longest / 2..=longest).contains(&wait), "{wait:?} of {longest:?}");
        }
        backoff.reset();
        assert!(backoff.wait(&mut rng) <= FIRST);
    }
}
