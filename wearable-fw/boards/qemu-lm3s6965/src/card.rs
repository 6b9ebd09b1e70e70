//! The card shown as the NOR flash that the core expects. Owns NOR's rules, which a card does not have: a page is erased to
//! ones, a write only clears bits. Knows nothing of what is stored.

use core::ops::Range;

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase,
    check_read, check_write,
};

use crate::sd::{BLOCK, CardFailed, SdCard};

/// What is used of the card; it may be larger.
pub(crate) const CARD_BYTES: u32 = 1 << 20;

const BLOCK_BYTES: u32 = 512;

/// The card.
#[derive(Debug)]
pub(crate) struct Card(SdCard);

/// Why it could not be read or written.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum CardError {
    /// Outside what is used of it, or of its units.
    #[error("outside the card")]
    Range(NorFlashErrorKind),
    /// It does not do it.
    #[error(transparent)]
    Failed(#[from] CardFailed),
}

impl NorFlashError for CardError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Range(kind) => *kind,
            Self::Failed(_) => NorFlashErrorKind::Other,
        }
    }
}

impl Card {
    pub(crate) const fn new(card: SdCard) -> Self {
        Self(card)
    }
}

/// Which block `offset` lies in, and which part of it belongs to `length` bytes from there.
fn place(offset: u32, length: usize) -> (u32, Range<usize>) {
    let start = (offset % BLOCK_BYTES) as usize;
    (offset / BLOCK_BYTES, start..BLOCK.min(start + length))
}

impl ErrorType for Card {
    type Error = CardError;
}

impl ReadNorFlash for Card {
    const READ_SIZE: usize = 1;

    fn read(&mut self, mut offset: u32, mut bytes: &mut [u8]) -> Result<(), CardError> {
        check_read(self, offset, bytes.len()).map_err(CardError::Range)?;
        while !bytes.is_empty() {
            let (number, part) = place(offset, bytes.len());
            let block = self.0.read(number)?;
            let found = block.get(part).unwrap_or_default();
            let (now, rest) = bytes.split_at_mut(found.len());
            now.copy_from_slice(found);
            (bytes, offset) = (rest, (number + 1) * BLOCK_BYTES);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        CARD_BYTES as usize
    }
}

impl NorFlash for Card {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1_024;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), CardError> {
        check_erase(self, from, to).map_err(CardError::Range)?;
        let mut blocks = from / BLOCK_BYTES..to / BLOCK_BYTES;
        Ok(blocks.try_for_each(|number| self.0.write(number, &[0xff; BLOCK]))?)
    }

    fn write(&mut self, mut offset: u32, mut bytes: &[u8]) -> Result<(), CardError> {
        check_write(self, offset, bytes.len()).map_err(CardError::Range)?;
        while !bytes.is_empty() {
            let (number, part) = place(offset, bytes.len());
            let mut block = self.0.read(number)?;
            let old = block.get_mut(part).unwrap_or_default();
            let (now, rest) = bytes.split_at(old.len());
            old.iter_mut().zip(now).for_each(|(old, new)| *old &= new);
            self.0.write(number, &block)?;
            (bytes, offset) = (rest, (number + 1) * BLOCK_BYTES);
        }
        Ok(())
    }
}

impl MultiwriteNorFlash for Card {}
