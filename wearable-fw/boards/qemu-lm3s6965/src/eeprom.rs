//! Persistent memory: two AT24C512 on the I2C bus, shown as the one NOR flash that the core expects. Owns the page size and
//! the wait for a page to be written; knows nothing of what is stored.
//!
//! An EEPROM can set bits without erasing; this one does not, so that the core's storage meets the rules of a real chip's
//! flash.

use core::ops::Range;

use embedded_hal::i2c::{I2c, Operation};
use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase,
    check_read, check_write,
};

/// Of the first chip, address pins at ground; the second follows.
const ADDRESS: u8 = 0x50;
/// The end of the last chip is no part of the flash: there the starts are counted.
const STARTS_AT: u32 = 0x1_ff00;
/// Bytes that the chip writes at once; they must not cross a multiple of it.
const PAGE: usize = 128;
/// A page takes 5 ms, and so long the chip does not answer: 5 ms are 200 tries of 25 us.
const TRIES: u32 = 400;

/// The EEPROM.
#[derive(Debug)]
pub(crate) struct Eeprom<I>(I);

/// Why it could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EepromError {
    /// Outside the chip or its units.
    #[error("outside the EEPROM")]
    Range(NorFlashErrorKind),
    /// It does not answer.
    #[error("the EEPROM does not answer")]
    Bus,
}

impl NorFlashError for EepromError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Range(kind) => *kind,
            Self::Bus => NorFlashErrorKind::Other,
        }
    }
}

impl<I: I2c> Eeprom<I> {
    pub(crate) const fn new(bus: I) -> Self {
        Self(bus)
    }

    /// Patiently: a chip that is writing does not answer.
    fn transfer(&mut self, at: u32, data: Operation<'_>) -> Result<(), EepromError> {
        let [_, chip, high, low] = at.to_be_bytes();
        let operations = &mut [Operation::Write(&[high, low]), data];
        let mut tries = (0..TRIES).map(|_| self.0.transaction(ADDRESS + chip, operations));
        tries.find_map(Result::ok).ok_or(EepromError::Bus)
    }

    /// Reads what lies in one page.
    fn fetch(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), EepromError> {
        self.transfer(at, Operation::Read(bytes))
    }

    /// Writes what lies in one page.
    fn store(&mut self, at: u32, bytes: &[u8]) -> Result<(), EepromError> {
        self.transfer(at, Operation::Write(bytes))
    }

    /// How often the board was started, this time included: from one of two places, written in turn, a page each: a cut can
    /// spoil the page that is being written.
    pub(crate) fn count_start(&mut self) -> Result<u32, EepromError> {
        let place = |starts: u32| STARTS_AT + starts % 2 * 0x80;
        let mut before = 0;
        for at in [place(0), place(1)] {
            let (mut count, mut check) = ([0; 4], [0; 4]);
            self.fetch(at, &mut count)?;
            self.fetch(at + 4, &mut check)?;
            let [count, check] = [count, check].map(u32::from_le_bytes);
            if count == !check {
                before = before.max(count);
            }
        }
        let starts = before.wrapping_add(1);
        let [count, check] = [starts, !starts].map(u32::to_le_bytes);
        self.store(place(starts), &count)?;
        self.store(place(starts) + 4, &check)?;
        Ok(starts)
    }
}

/// Pieces of a range that lie in one page each: where, and which part of the data.
fn pages(offset: u32, length: usize) -> impl Iterator<Item = (u32, Range<usize>)> {
    let mut part = 0..0;
    core::iter::from_fn(move || {
        let at = offset + u32::try_from(part.end).ok()?;
        let room = PAGE - at as usize % PAGE;
        part = part.end..length.min(part.end + room);
        (!part.is_empty()).then(|| (at, part.clone()))
    })
}

impl<I> ErrorType for Eeprom<I> {
    type Error = EepromError;
}

impl<I: I2c> ReadNorFlash for Eeprom<I> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), EepromError> {
        check_read(self, offset, bytes.len()).map_err(EepromError::Range)?;
        pages(offset, bytes.len())
            .try_for_each(|(at, part)| self.fetch(at, bytes.get_mut(part).unwrap_or_default()))
    }

    fn capacity(&self) -> usize {
        STARTS_AT as usize / Self::ERASE_SIZE * Self::ERASE_SIZE
    }
}

impl<I: I2c> NorFlash for Eeprom<I> {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1_024;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), EepromError> {
        check_erase(self, from, to).map_err(EepromError::Range)?;
        pages(from, (to - from) as usize).try_for_each(|(at, _)| self.store(at, &[0xff; PAGE]))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), EepromError> {
        check_write(self, offset, bytes.len()).map_err(EepromError::Range)?;
        pages(offset, bytes.len()).try_for_each(|(at, part)| {
            let (mut page, new) = ([0; PAGE], bytes.get(part).unwrap_or_default());
            let page = page.get_mut(..new.len()).unwrap_or_default();
            self.fetch(at, page)?;
            page.iter_mut().zip(new).for_each(|(old, new)| *old &= new);
            self.store(at, page)
        })
    }
}

impl<I: I2c> MultiwriteNorFlash for Eeprom<I> {}
