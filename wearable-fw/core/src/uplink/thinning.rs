//! Which of the oldest samples are kept when there is no room for all: one in ten, and every one at which a quantity
//! began or ceased to have a value, or has none for another reason. A course keeps its shape that way, and each event its
//! beginning and its end.

use crc::{CRC_32_ISO_HDLC, Crc};
use protocol::{
    id::Seq,
    vitals::{Code, Sample},
};

/// One in so many is kept however alike they are.
const KEEP_ONE_IN: u64 = 10;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The last sample that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thinning {
    kept: Seq,
    /// A checksum over which quantities had no value and why.
    states: u32,
}

impl Thinning {
    /// Before the first sample.
    pub(super) const START: Self = Self { kept: Seq(0), states: 0 };

    /// As it was after the sample of this number was kept.
    pub(super) fn after(kept: Seq, sample: Option<&Sample>) -> Self {
        Self { kept, states: sample.map_or(0, states) }
    }

    /// Whether the next sample, in the order of their numbers, is kept.
    pub(super) fn keeps(&self, sample: &Sample) -> bool {
        sample.seq.0 >= self.kept.0.saturating_add(KEEP_ONE_IN) || states(sample) != self.states
    }

    /// The number of the last sample that was kept.
    pub(super) const fn kept(&self) -> Seq {
        self.kept
    }
}

fn states(sample: &Sample) -> u32 {
    let mut digest = CRC.digest();
    for quantity in &sample.quantities {
        match &quantity.code {
            Code::Mdc(code) => digest.update(&code.to_le_bytes()),
            Code::Loinc(code) => digest.update(code.as_bytes()),
        }
        match quantity.reading {
            Ok(_) => digest.update(&[0]),
            Err(reason) => digest.update(&[1, reason.0]),
        }
    }
    digest.finalize()
}
