//! The parts of a board that stay when the device goes: its flash chip, and where it is.

use std::{cell::RefCell, rc::Rc};

use embedded_storage::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash, ReadNorFlash};
use protocol::pairing::code::PairingCode;
use wearable_core::{
    flash::ram::{RamFlash, RamFlashError},
    proximity::{Proximity, ShortRange},
};

pub(crate) type Chip = RamFlash<4096, 4>;

/// The chip, which stays when the device goes.
#[derive(Debug, Clone)]
pub(crate) struct SharedFlash(pub(crate) Rc<RefCell<Chip>>);

impl ErrorType for SharedFlash {
    type Error = RamFlashError;
}

impl ReadNorFlash for SharedFlash {
    const READ_SIZE: usize = Chip::READ_SIZE;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), RamFlashError> {
        self.0.borrow_mut().read(offset, bytes)
    }
    fn capacity(&self) -> usize {
        self.0.borrow().capacity()
    }
}

impl NorFlash for SharedFlash {
    const WRITE_SIZE: usize = Chip::WRITE_SIZE;
    const ERASE_SIZE: usize = Chip::ERASE_SIZE;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamFlashError> {
        self.0.borrow_mut().erase(from, to)
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamFlashError> {
        self.0.borrow_mut().write(offset, bytes)
    }
}

impl MultiwriteNorFlash for SharedFlash {}

/// What the test sets while the device asks.
#[derive(Debug, Clone)]
pub(crate) struct Near(pub(crate) Rc<RefCell<ShortRange>>);

impl Proximity for Near {
    fn is_near(&self) -> bool {
        self.0.borrow().is_near()
    }
    fn poll_code(&mut self) -> Option<PairingCode> {
        self.0.borrow_mut().poll_code()
    }
}
