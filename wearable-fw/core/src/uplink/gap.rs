//! Numbers that are missing. Knows nothing of why.

use protocol::id::Seq;

/// Samples that were lost: so many of the numbers from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first one.
    pub first: Seq,
    /// The last one.
    pub last: Seq,
    /// How many.
    pub samples: u64,
}

/// Numbers that are lost, as they come up.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost(Option<Gap>);

impl Lost {
    /// Adds all from the first to the last.
    pub(super) fn add(&mut self, first: Seq, last: Seq) {
        let samples = (last.0 - first.0).saturating_add(1);
        let gap = self.0.get_or_insert(Gap { first, last, samples: 0 });
        *gap = Gap {
            first: gap.first.min(first),
            last: gap.last.max(last),
            samples: gap.samples.saturating_add(samples),
        };
    }

    pub(super) const fn gap(self) -> Option<Gap> {
        self.0
    }
}
