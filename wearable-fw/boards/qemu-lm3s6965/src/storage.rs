//! The card and the EEPROMs behind it as one flash. Owns who answers for an address; knows nothing of what is stored.

use embedded_hal::i2c::I2c;
use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use crate::{
    card::{CARD_BYTES, Card, CardError},
    eeprom::{Eeprom, EepromError},
};

/// First address of the EEPROMs.
pub(crate) const EEPROM: u32 = CARD_BYTES;

/// All that outlives a pulled plug.
#[derive(Debug)]
pub(crate) struct Storage<I> {
    pub(crate) card: Card,
    pub(crate) eeprom: Eeprom<I>,
}

/// Why it could not be read or written.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(transparent)]
pub(crate) enum StorageError {
    /// The card.
    Card(#[from] CardError),
    /// The EEPROMs.
    Eeprom(#[from] EepromError),
}

impl NorFlashError for StorageError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Card(error) => error.kind(),
            Self::Eeprom(error) => error.kind(),
        }
    }
}

impl<I> ErrorType for Storage<I> {
    type Error = StorageError;
}

impl<I: I2c> ReadNorFlash for Storage<I> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), StorageError> {
        match offset.checked_sub(EEPROM) {
            None => Ok(self.card.read(offset, bytes)?),
            Some(offset) => Ok(self.eeprom.read(offset, bytes)?),
        }
    }

    fn capacity(&self) -> usize {
        self.card.capacity() + self.eeprom.capacity()
    }
}

impl<I: I2c> NorFlash for Storage<I> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = Card::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), StorageError> {
        match from.checked_sub(EEPROM) {
            None => Ok(self.card.erase(from, to)?),
            Some(from) => Ok(self.eeprom.erase(from, to.saturating_sub(EEPROM))?),
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), StorageError> {
        match offset.checked_sub(EEPROM) {
            None => Ok(self.card.write(offset, bytes)?),
            Some(offset) => Ok(self.eeprom.write(offset, bytes)?),
        }
    }
}

impl<I: I2c> MultiwriteNorFlash for Storage<I> {}
