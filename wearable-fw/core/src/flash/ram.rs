//! A flash in memory for tests: a write only clears bits, power can fail at any write or erase or in the middle of one,
//! bits can flip, and wear is counted.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase,
    check_read, check_write,
};

/// `PAGE` bytes are erased at once, `WORD` bytes are read or written at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RamFlash<const PAGE: usize = 4096, const WORD: usize = 4> {
    bytes: Vec<u8>,
    erases: Vec<u32>,
    operations: u64,
    cut: Option<Cut>,
    off: bool,
}

/// Where power fails: at this write or erase, counted from 0 at the flash's making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing of it is done.
    Before(u64),
    /// So many 256ths of its bytes are done, and the next byte is half done.
    Within(u64, u8),
}

/// An operation that was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RamFlashError {
    /// The caller's fault.
    #[error("outside the flash or not aligned: {0:?}")]
    Address(NorFlashErrorKind),
    /// Power failed. Until [`RamFlash::power_on`] nothing works.
    #[error("the flash has no power")]
    NoPower,
}

impl NorFlashError for RamFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Address(kind) => *kind,
            Self::NoPower => NorFlashErrorKind::Other,
        }
    }
}

impl<const PAGE: usize, const WORD: usize> RamFlash<PAGE, WORD> {
    /// Erased pages.
    #[must_use]
    pub fn new(pages: usize) -> Self {
        Self { bytes: vec![0xff; pages * PAGE], erases: vec![0; pages], operations: 0, cut: None, off: false }
    }

    /// Lets power fail there.
    pub const fn cut_at(&mut self, cut: Cut) {
        self.cut = Some(cut);
    }

    /// Power is back; the next cut is off.
    pub const fn power_on(&mut self) {
        self.cut = None;
        self.off = false;
    }

    /// Writes and erases so far.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// How often each page was erased.
    #[must_use]
    pub fn erases(&self) -> &[u32] {
        &self.erases
    }

    /// What stands there, for a test to look at.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Turns these bits of a byte over, as radiation or wear would. Nothing happens outside the flash.
    pub fn flip(&mut self, address: usize, bits: u8) {
        if let Some(byte) = self.bytes.get_mut(address) {
            *byte ^= bits;
        }
    }

    /// How many of `len` bytes are to be done.
    fn allowed(&mut self, len: usize) -> Result<usize, RamFlashError> {
        self.powered()?;
        let now = self.operations;
        self.operations += 1;
        match self.cut {
            Some(Cut::Before(operation)) if operation == now => {
                self.off = true;
                Err(RamFlashError::NoPower)
            }
            Some(Cut::Within(operation, done)) if operation == now => {
                self.off = true;
                Ok(len * usize::from(done) / 256)
            }
            _ => Ok(len),
        }
    }

    const fn powered(&self) -> Result<(), RamFlashError> {
        if self.off { Err(RamFlashError::NoPower) } else { Ok(()) }
    }

    fn at(&mut self, range: Range<usize>) -> Result<&mut [u8], RamFlashError> {
        self.bytes.get_mut(range).ok_or(RamFlashError::Address(NorFlashErrorKind::OutOfBounds))
    }
}

impl<const PAGE: usize, const WORD: usize> ErrorType for RamFlash<PAGE, WORD> {
    type Error = RamFlashError;
}

impl<const PAGE: usize, const WORD: usize> ReadNorFlash for RamFlash<PAGE, WORD> {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), RamFlashError> {
        self.powered()?;
        check_read(self, offset, bytes.len()).map_err(RamFlashError::Address)?;
        let from = offset as usize;
        bytes.copy_from_slice(self.at(from..from + bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const PAGE: usize, const WORD: usize> NorFlash for RamFlash<PAGE, WORD> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamFlashError> {
        check_erase(self, from, to).map_err(RamFlashError::Address)?;
        for page in from as usize / PAGE..to as usize / PAGE {
            let done = self.allowed(PAGE)?;
            let start = page * PAGE;
            self.at(start..start + done)?.fill(0xff);
            if done < PAGE {
                self.at(start + done..start + done + 1)?.iter_mut().for_each(|byte| *byte |= 0x55);
            }
            self.erases.iter_mut().skip(page).take(1).for_each(|erases| *erases += 1);
            self.powered()?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamFlashError> {
        check_write(self, offset, bytes.len()).map_err(RamFlashError::Address)?;
        let from = offset as usize;
        let done = self.allowed(bytes.len())?;
        let old = self.at(from..from + bytes.len())?;
        for (at, (old, new)) in old.iter_mut().zip(bytes).take(done + 1).enumerate() {
            *old &= if at < done { *new } else { *new | 0x55 };
        }
        self.powered()
    }
}

impl<const PAGE: usize, const WORD: usize> MultiwriteNorFlash for RamFlash<PAGE, WORD> {}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = RamFlash<16, 4>;

    #[test]
    fn a_write_only_clears_bits_and_an_erase_sets_a_page() {
        let mut flash = Small::new(2);
        flash.write(4, &[0xf0; 4]).unwrap();
        flash.write(4, &[0x3f; 4]).unwrap();
        assert_eq!(flash.bytes()[3..9], [0xff, 0x30, 0x30, 0x30, 0x30, 0xff]);
        flash.erase(0, 16).unwrap();
        assert_eq!((flash.bytes(), flash.erases()), (&[0xff; 32][..], &[1, 0][..]));
        assert!(matches!(flash.write(2, &[0; 4]), Err(RamFlashError::Address(_))));
    }

    #[test]
    fn power_fails_in_the_middle() {
        let mut flash = Small::new(1);
        flash.cut_at(Cut::Within(1, 128));
        flash.write(0, &[0; 4]).unwrap();
        assert_eq!(flash.write(4, &[0; 4]), Err(RamFlashError::NoPower));
        assert_eq!(flash.read(0, &mut [0; 4]), Err(RamFlashError::NoPower));
        flash.power_on();
        assert_eq!(flash.bytes()[..8], [0, 0, 0, 0, 0, 0, 0x55, 0xff]);
        flash.cut_at(Cut::Within(2, 128));
        assert_eq!(flash.erase(0, 16), Err(RamFlashError::NoPower));
        assert_eq!(flash.bytes()[..8], [0xff; 8]);
    }
}
