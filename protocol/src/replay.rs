//! Hellos that were used: a bounded memory of fingerprints, twice as long as a timestamp may be off. Freshness itself
//! comes from the signed nonces of both sides; this only makes a replay visible early.

use alloc::collections::{BTreeSet, VecDeque};
use core::time::Duration;

use crate::time::Monotonic;

/// Fingerprints kept at most.
pub const MAX_REMEMBERED: usize = 65_536;

/// The fingerprints of logins that succeeded lately.
#[derive(Debug)]
pub struct ReplayCache {
    window: Duration,
    order: VecDeque<(Monotonic, [u8; 32])>,
    seen: BTreeSet<[u8; 32]>,
}

impl ReplayCache {
    /// A cache for hellos whose timestamps may be off by `clock_tolerance`.
    #[must_use]
    pub const fn new(clock_tolerance: Duration) -> Self {
        Self { window: clock_tolerance.saturating_mul(2), order: VecDeque::new(), seen: BTreeSet::new() }
    }

    /// Whether this fingerprint was used.
    #[must_use]
    pub fn contains(&self, fingerprint: &[u8; 32]) -> bool {
        self.seen.contains(fingerprint)
    }

    /// Remembers a fingerprint after its login was verified; `false` if it was used before.
    pub fn insert(&mut self, fingerprint: [u8; 32], now: Monotonic) -> bool {
        while let Some((since, oldest)) = self.order.front()
            && (now.since(*since) > self.window || self.order.len() >= MAX_REMEMBERED)
        {
            self.seen.remove(oldest);
            self.order.pop_front();
        }
        let fresh = self.seen.insert(fingerprint);
        if fresh {
            self.order.push_back((now, fingerprint));
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_counts_once_within_the_window_and_memory_is_bounded() {
        let mut cache = ReplayCache::new(Duration::from_secs(30));
        assert!(cache.insert([1; 32], Monotonic(0)));
        assert!(!cache.insert([1; 32], Monotonic(60_000)));
        assert!(cache.contains(&[1; 32]));
        assert!(cache.insert([2; 32], Monotonic(60_001)));
        assert!(!cache.contains(&[1; 32]), "forgotten after twice the tolerance");
        for n in 0..=MAX_REMEMBERED {
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&n.to_be_bytes());
            cache.insert(fingerprint, Monotonic(60_002));
        }
        assert_eq!(cache.seen.len(), MAX_REMEMBERED);
    }
}
