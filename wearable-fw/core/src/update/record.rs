//! Which slot runs and whether the other is tried: a record in two copies. Knows no image.

use core::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc};
use embedded_storage::nor_flash::NorFlash;

use super::{BLOCK, Layout, Slot};

const MAGIC: [u8; 4] = *b"VWUP";
const LENGTH: usize = 24;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What is remembered of updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// Grows with every copy written.
    pub(super) sequence: u32,
    /// The slot whose image is confirmed.
    pub(super) runs: Slot,
    /// The other slot is to be tried, and was started so often.
    pub(super) trial: Option<u8>,
    /// The highest version ever confirmed.
    pub(super) floor: u32,
    /// The highest version that was rolled back; 0: none.
    pub(super) rolled_back: u32,
}

impl Record {
    pub(super) const fn new(runs: Slot, trial: Option<u8>, floor: u32) -> Self {
        Self { sequence: 0, runs, trial, floor, rolled_back: 0 }
    }

    /// The newest valid copy. One that cannot be read is not valid.
    pub(super) fn load<F: NorFlash>(flash: &mut F, layout: &Layout) -> Option<Self> {
        let [first, second] = &layout.record;
        let (first, second) = (Self::read(flash, first), Self::read(flash, second));
        let (Some(one), Some(two)) = (first, second) else { return first.or(second) };
        Some(if two.sequence > one.sequence { two } else { one })
    }

    /// Writes the next copy over the older one.
    pub(super) fn save<F: NorFlash>(&mut self, flash: &mut F, layout: &Layout) -> Result<(), F::Error> {
        self.sequence = self.sequence.saturating_add(1);
        let [even, odd] = &layout.record;
        let range = if self.sequence.is_multiple_of(2) { even } else { odd };
        flash.erase(range.start, range.end)?;
        let mut block = [0xff; BLOCK];
        let fields: [&[u8]; 7] = [
            &MAGIC,
            &self.sequence.to_be_bytes(),
            &self.floor.to_be_bytes(),
            &self.rolled_back.to_be_bytes(),
            &[u8::from(self.runs == Slot::B)],
            &[self.trial.map_or(0, |attempts| attempts.saturating_add(1))],
            &[0; 2],
        ];
        block.iter_mut().zip(fields.into_iter().flatten()).for_each(|(byte, field)| *byte = *field);
        let (body, rest) = block.split_at_mut(LENGTH - 4);
        rest.iter_mut().zip(CRC.checksum(body).to_be_bytes()).for_each(|(byte, crc)| *byte = crc);
        flash.write(range.start, block.get(..LENGTH.next_multiple_of(F::WRITE_SIZE)).unwrap_or_default())
    }

    fn read<F: NorFlash>(flash: &mut F, range: &Range<u32>) -> Option<Self> {
        let mut block = [0; BLOCK];
        flash.read(range.start, &mut block).ok()?;
        let (body, rest) = block.split_at(LENGTH - 4);
        let valid = rest.starts_with(&CRC.checksum(body).to_be_bytes());
        let [b'V', b'W', b'U', b'P', s0, s1, s2, s3, f0, f1, f2, f3, r0, r1, r2, r3, runs, trial, 0, 0] =
            *body
        else {
            return None;
        };
        let runs = match runs {
            0 => Slot::A,
            1 => Slot::B,
            _ => return None,
        };
        valid.then_some(Self {
            sequence: u32::from_be_bytes([s0, s1, s2, s3]),
            floor: u32::from_be_bytes([f0, f1, f2, f3]),
            rolled_back: u32::from_be_bytes([r0, r1, r2, r3]),
            runs,
            trial: trial.checked_sub(1),
        })
    }
}
