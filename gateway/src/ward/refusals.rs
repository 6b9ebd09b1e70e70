//! What was refused since this start: the last of it for the `refusals` verb, and how much of it is worth an event line
//! and an audit row. A flood is counted, not written; and noise cannot hide those who claimed to be somebody.

use std::{collections::VecDeque, num::NonZeroU32};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use protocol::error::Fault;

use super::view::RefusalView;

/// Refusals kept in memory.
const KEPT: usize = 1_000;
/// Refusals told of per second, of each of the two sorts.
const TOLD_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).expect("20 is not zero");

/// The refusals of one start.
#[derive(Debug)]
pub(super) struct Refusals {
    last: VecDeque<RefusalView>,
    total: u64,
    untold: u64,
    noise: DefaultDirectRateLimiter,
    claims: DefaultDirectRateLimiter,
}

impl Default for Refusals {
    fn default() -> Self {
        let bucket = || RateLimiter::direct(Quota::per_second(TOLD_PER_SECOND));
        Self { last: VecDeque::new(), total: 0, untold: 0, noise: bucket(), claims: bucket() }
    }
}

impl Refusals {
    /// Takes note of one; whether it should be told and audited, too.
    pub(super) fn note(&mut self, refusal: RefusalView, fault: &Fault) -> bool {
        self.total += 1;
        if self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back(refusal);
        let bucket = if is_a_claim(fault) { &self.claims } else { &self.noise };
        let told = bucket.check().is_ok();
        self.untold += u64::from(!told);
        told
    }

    /// The last `limit`, the newest first.
    pub(super) fn last(&self, limit: usize) -> Vec<RefusalView> {
        self.last.iter().rev().take(limit).cloned().collect()
    }

    /// All of this start.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// How many were not told since the last call.
    pub(super) const fn take_untold(&mut self) -> u64 {
        std::mem::replace(&mut self.untold, 0)
    }
}

/// Whether somebody claimed to be a client or to know a code, rather than only breaking the protocol.
const fn is_a_claim(fault: &Fault) -> bool {
    !matches!(
        fault,
        Fault::PeerFrame(_)
            | Fault::PeerMalformed(_)
            | Fault::PeerOutOfOrder { .. }
            | Fault::PeerLimit(_)
            | Fault::PeerVersion(_)
            | Fault::PeerSuite
            | Fault::DeniedNotPostQuantum
            | Fault::PeerSlow
            | Fault::DeniedOtherGateway
            | Fault::DeniedBusy
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(n: usize) -> RefusalView {
        RefusalView {
            time: n.to_string(),
            source: String::new(),
            client: String::new(),
            reason: String::new(),
        }
    }

    #[test]
    fn a_flood_of_noise_is_counted_and_hides_no_claim() {
        let mut refusals = Refusals::default();
        let told = (0..KEPT + 500).filter(|n| refusals.note(refusal(*n), &Fault::PeerSlow)).count();
        assert!(told < KEPT, "{told}");
        assert!(refusals.note(refusal(9), &Fault::DeniedCodeWrong { tries_left: 1 }));
        assert_eq!(refusals.total(), u64::try_from(KEPT).unwrap() + 501);
        assert_eq!(refusals.take_untold(), refusals.total() - 1 - u64::try_from(told).unwrap());
        assert_eq!(refusals.take_untold(), 0);
        assert_eq!(refusals.last(usize::MAX).len(), KEPT);
        assert_eq!(refusals.last(1).first().unwrap().time, "9", "newest first");
    }
}
