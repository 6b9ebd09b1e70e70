//! What the caller gave the device: its storage and its generator, as the core wants them. Only the caller's functions see
//! the contexts.

use core::ffi::{c_int, c_void};

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase,
    check_read, check_write,
};
use rand_core::{TryCryptoRng, TryRng};

use crate::endpoint::PAGE;

/// The caller's storage, complete.
pub(crate) struct Storage {
    pub(super) context: *mut c_void,
    pub(super) capacity: usize,
    pub(super) read: extern "C" fn(*mut c_void, u32, *mut u8, usize) -> c_int,
    pub(super) write: extern "C" fn(*mut c_void, u32, *const u8, usize) -> c_int,
    pub(super) erase: extern "C" fn(*mut c_void, u32) -> c_int,
}

/// A function of the caller's said no, or was asked for nonsense.
#[derive(Debug)]
pub(crate) struct StorageFailed(NorFlashErrorKind);

impl NorFlashError for StorageFailed {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

impl From<c_int> for StorageFailed {
    fn from(_: c_int) -> Self {
        Self(NorFlashErrorKind::Other)
    }
}

fn done(code: c_int) -> Result<(), StorageFailed> {
    if code == 0 { Ok(()) } else { Err(code.into()) }
}

impl ErrorType for Storage {
    type Error = StorageFailed;
}

impl ReadNorFlash for Storage {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), StorageFailed> {
        check_read(self, offset, bytes.len()).map_err(StorageFailed)?;
        done((self.read)(self.context, offset, bytes.as_mut_ptr(), bytes.len()))
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl NorFlash for Storage {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), StorageFailed> {
        check_erase(self, from, to).map_err(StorageFailed)?;
        (from..to).step_by(PAGE).try_for_each(|page| done((self.erase)(self.context, page)))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), StorageFailed> {
        check_write(self, offset, bytes.len()).map_err(StorageFailed)?;
        done((self.write)(self.context, offset, bytes.as_ptr(), bytes.len()))
    }
}

impl MultiwriteNorFlash for Storage {}

/// The caller's generator.
pub(crate) struct Random {
    pub(super) context: *mut c_void,
    pub(super) fill: extern "C" fn(*mut c_void, *mut u8, usize) -> c_int,
}

impl TryRng for Random {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let code = (self.fill)(self.context, bytes.as_mut_ptr(), bytes.len());
        // No key may be made of nothing. It ends in `guarded`, which breaks the handle.
        assert!(code == 0, "no randomness");
        Ok(())
    }
}

impl TryCryptoRng for Random {}
