//! What stands in the queues: samples, and marks of how far things are. Owns their bytes.

use alloc::vec::Vec;

use protocol::{id::Seq, vitals::Sample};
use serde::{Deserialize, Serialize};

const SAMPLE: u8 = 0;
const MARK: u8 = 1;
/// Longest mark: its tag, four numbers of at most 10 bytes, a hash.
pub(super) const MAX_MARK: usize = 1 + 4 * 10 + 32;

/// How far things were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Grows with each mark that is written.
    pub(super) serial: u64,
    /// The gateway has everything up to here.
    pub(super) acknowledged: Seq,
    /// The last number used.
    pub(super) taken: Seq,
    /// How many of the numbers up to `acknowledged` it never got.
    pub(super) lost: u64,
    /// What the next batch names as its predecessor.
    #[serde(deserialize_with = "protocol::codec::array")]
    pub(super) previous: [u8; 32],
}

impl Mark {
    /// Before the first sample.
    pub(super) const START: Self =
        Self { serial: 0, acknowledged: Seq(0), taken: Seq(0), lost: 0, previous: [0; 32] };

    pub(super) fn encode(&self) -> Vec<u8> {
        encode(MARK, self)
    }
}

/// The two newest marks on flash. The newest counts; the other is there should that be damaged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) newest: Option<Mark>,
    before: Option<Mark>,
}

impl Marks {
    /// A mark that was written or found. One may be found twice.
    pub(super) fn add(&mut self, mark: Mark) {
        let serial = |mark: Option<Mark>| mark.map_or(0, |mark| mark.serial);
        if mark.serial > serial(self.newest) {
            self.before = self.newest.replace(mark);
        } else if mark.serial > serial(self.before) && mark.serial < serial(self.newest) {
            self.before = Some(mark);
        }
    }

    /// Whether it is neither.
    pub(super) fn outdates(&self, mark: Mark) -> bool {
        [self.newest, self.before].iter().flatten().all(|kept| kept.serial != mark.serial)
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        [other.newest, other.before].into_iter().flatten().for_each(|mark| self.add(mark));
        self
    }
}

/// An item as it was read.
#[derive(Debug)]
pub(super) enum Item<'a> {
    Sample(Stored<'a>),
    Mark(Mark),
}

/// A sample of which only the number was read so far.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    pub(super) seq: Seq,
    bytes: &'a [u8],
}

impl<'a> Item<'a> {
    /// `None` for what no firmware of ours up to this one wrote.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (tag, bytes) = bytes.split_first()?;
        match *tag {
            SAMPLE => {
                let (seq, _) = postcard::take_from_bytes(bytes).ok()?;
                Some(Self::Sample(Stored { seq, bytes }))
            }
            MARK => postcard::from_bytes(bytes).ok().map(Self::Mark),
            _ => None,
        }
    }
}

impl Stored<'_> {
    /// Bytes of the sample, in a batch too.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn decode(&self) -> Option<Sample> {
        postcard::from_bytes(self.bytes).ok()
    }
}

pub(super) fn encode_sample(sample: &Sample) -> Vec<u8> {
    encode(SAMPLE, sample)
}

fn encode(tag: u8, value: &impl Serialize) -> Vec<u8> {
    // Writing to a growing vector fails only for types that serde cannot size; these are not.
    postcard::to_extend(value, [tag].to_vec()).unwrap_or_default()
}
