//! The device's flash as a file: a NOR flash of the size and pages of a W25Q64 (8 MiB, 4 KiB erased at once), durable
//! operation by operation, with the troubles that real flash has, on demand.
//!
//! Owns the file and how an operation fails. Knows nothing of what is kept. The file holds the complement of each byte,
//! so that a new, sparse file is an erased flash.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase,
    check_read, check_write,
};
use thiserror::Error;

/// Erased at once, bytes.
pub const PAGE: u32 = 4_096;
/// Read and written at once, bytes.
const WORD: usize = 4;

/// An operation that was not done.
#[derive(Debug, Error)]
pub enum FlashError {
    /// A fault of this program.
    #[error("outside the flash or not aligned: {0}")]
    Address(NorFlashErrorKind),
    /// A fault of this program: only an erase sets bits.
    #[error("a write at {0:#x} would set bits that are cleared")]
    BitsNotErased(u32),
    /// Power failed, as it was told to. It is back when the flash is opened again.
    #[error("the power is gone")]
    NoPower,
    /// The disk of this computer.
    #[error("the flash's file cannot be used: {0}")]
    File(#[from] io::Error),
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Address(kind) => *kind,
            Self::BitsNotErased(_) | Self::NoPower | Self::File(_) => NorFlashErrorKind::Other,
        }
    }
}

/// How safely operations are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// They survive a power cut of this computer.
    Disk,
    /// They survive the end of this program; for many devices at once.
    Program,
}

/// The flash.
#[derive(Debug)]
pub struct FileFlash {
    file: Arc<File>,
    capacity: u32,
    durable: Durable,
    trouble: Trouble,
}

/// The hand that makes trouble; it stays when the device is off.
#[derive(Debug, Clone)]
pub struct Trouble {
    file: Arc<File>,
    capacity: u32,
    power: Arc<Mutex<Power>>,
}

#[derive(Debug, Default)]
struct Power {
    /// Fails in the middle of the n-th write or erase from now, 1 the next.
    cut_in: Option<u32>,
    is_off: bool,
}

impl FileFlash {
    /// Opens a flash (mode 0600), making an erased one if there is none. `capacity` is a multiple of [`PAGE`].
    ///
    /// # Errors
    /// The file system's; a file of another size is no flash of this device.
    pub fn open(path: &Path, capacity: u32, durable: Durable) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.metadata()?.len() {
            // None yet, or a making that was cut off.
            0 => {
                file.set_len(capacity.into())?;
                file.sync_all()?;
            }
            length if length != u64::from(capacity) => {
                let said = format!(
                    "it has {length} bytes and this device's flash {capacity}; restore it, or start a new device with another --name"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, said));
            }
            _ => {}
        }
        let file = Arc::new(file);
        let trouble = Trouble { file: Arc::clone(&file), capacity, power: Arc::default() };
        Ok(Self { file, capacity, durable, trouble })
    }

    /// The same flash with power again, after its device was dropped.
    #[must_use]
    pub fn power_on(trouble: &Trouble, durable: Durable) -> Self {
        *trouble.power() = Power::default();
        let Trouble { file, capacity, .. } = trouble;
        Self { file: Arc::clone(file), capacity: *capacity, durable, trouble: trouble.clone() }
    }

    /// The hand that makes trouble.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    /// How many of `length` bytes are done before power goes.
    fn allowed(&self, length: usize) -> Result<usize, FlashError> {
        let mut power = self.trouble.power();
        if power.is_off {
            return Err(FlashError::NoPower);
        }
        match &mut power.cut_in {
            Some(1) => {
                power.is_off = true;
                Ok(length / 2)
            }
            Some(left) => {
                *left -= 1;
                Ok(length)
            }
            None => Ok(length),
        }
    }

    fn put(&self, offset: u32, complement: &[u8]) -> Result<(), FlashError> {
        let whole = complement.len();
        let done = self.allowed(whole)?;
        self.file.write_all_at(complement.get(..done).unwrap_or_default(), offset.into())?;
        if self.durable == Durable::Disk {
            self.file.sync_data()?;
        }
        if done < whole { Err(FlashError::NoPower) } else { Ok(()) }
    }
}

impl Trouble {
    fn power(&self) -> MutexGuard<'_, Power> {
        self.power.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Power fails in the middle of the `n`-th write or erase from now, 1 the next.
    pub fn cut_at(&self, n: u32) {
        self.power().cut_in = Some(n.max(1));
    }

    /// Whether power has failed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.power().is_off
    }

    /// How many bits there are.
    #[must_use]
    pub const fn bits(&self) -> u32 {
        self.capacity * 8
    }

    /// Turns one bit over, as radiation or wear would.
    ///
    /// # Errors
    /// The file system's.
    pub fn flip(&self, bit: u32) -> io::Result<()> {
        let (place, mut byte) = (u64::from(bit % self.bits() / 8), [0]);
        self.file.read_exact_at(&mut byte, place)?;
        self.file.write_all_at(&byte.map(|byte| byte ^ 1 << (bit % 8)), place)
    }
}

impl ErrorType for FileFlash {
    type Error = FlashError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        if self.trouble.is_off() {
            return Err(FlashError::NoPower);
        }
        check_read(self, offset, bytes.len()).map_err(FlashError::Address)?;
        self.file.read_exact_at(bytes, offset.into())?;
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.capacity as usize
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to).map_err(FlashError::Address)?;
        (from..to).step_by(Self::ERASE_SIZE).try_for_each(|page| self.put(page, &[0; PAGE as usize]))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len()).map_err(FlashError::Address)?;
        let mut there = vec![0; bytes.len()];
        self.read(offset, &mut there)?;
        if there.iter().zip(bytes).any(|(old, new)| new & !old != 0) {
            return Err(FlashError::BitsNotErased(offset));
        }
        let complement: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        self.put(offset, &complement)
    }
}

impl MultiwriteNorFlash for FileFlash {}

#[cfg(test)]
mod tests {
    use super::*;

    fn flash() -> (tempfile::TempDir, FileFlash) {
        let folder = tempfile::tempdir().unwrap();
        let flash = FileFlash::open(&folder.path().join("flash"), 4 * PAGE, Durable::Disk).unwrap();
        (folder, flash)
    }

    fn read(flash: &mut FileFlash, offset: u32) -> [u8; 4] {
        let mut bytes = [0; 4];
        flash.read(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn it_is_a_nor_flash_and_stays_when_the_program_ends() {
        let (folder, mut flash) = flash();
        assert_eq!(read(&mut flash, 4 * PAGE - 4), [0xff; 4]);
        flash.write(8, &[0xf0, 1, 2, 3]).unwrap();
        assert!(matches!(flash.write(8, &[0xff, 0, 0, 0]), Err(FlashError::BitsNotErased(8))));
        flash.write(8, &[0x30, 1, 0, 3]).unwrap();
        drop(flash);
        let path = folder.path().join("flash");
        let mut flash = FileFlash::open(&path, 4 * PAGE, Durable::Disk).unwrap();
        assert_eq!(read(&mut flash, 8), [0x30, 1, 0, 3]);
        flash.erase(0, PAGE).unwrap();
        assert_eq!(read(&mut flash, 8), [0xff; 4]);
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(flash.write(2, &[0; 4]).is_err() && flash.write(4 * PAGE, &[0; 4]).is_err());
        assert!(flash.erase(0, 5).is_err());
    }

    #[test]
    fn a_file_of_another_size_is_refused_and_stays_as_it_is() {
        let (folder, flash) = flash();
        drop(flash);
        let path = folder.path().join("flash");
        for capacity in [3 * PAGE, 5 * PAGE] {
            let refused = FileFlash::open(&path, capacity, Durable::Disk).unwrap_err().to_string();
            assert!(refused.contains("it has 16384 bytes"), "{refused}");
        }
        assert_eq!(path.metadata().unwrap().len(), u64::from(4 * PAGE));
    }

    #[test]
    fn power_is_cut_in_the_middle_of_the_write_it_was_told_and_nothing_works_until_it_is_back() {
        let (_folder, mut flash) = flash();
        let trouble = flash.trouble();
        trouble.cut_at(2);
        flash.write(0, &[0; 4]).unwrap();
        assert!(!trouble.is_off());
        assert!(matches!(flash.write(4, &[0; 4]), Err(FlashError::NoPower)));
        assert!(trouble.is_off());
        assert!(matches!(flash.read(0, &mut [0; 4]), Err(FlashError::NoPower)));
        drop(flash);
        let mut flash = FileFlash::power_on(&trouble, Durable::Disk);
        assert_eq!((read(&mut flash, 0), read(&mut flash, 4)), ([0; 4], [0, 0, 0xff, 0xff]));
    }

    #[test]
    fn a_bit_flips() {
        let (_folder, mut flash) = flash();
        flash.trouble().flip(8 * 5 + 1).unwrap();
        assert_eq!(read(&mut flash, 4), [0xff, 0xfd, 0xff, 0xff]);
        flash.trouble().flip(u32::MAX).unwrap();
    }
}
