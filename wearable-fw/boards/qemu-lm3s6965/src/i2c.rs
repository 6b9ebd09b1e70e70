//! I2C master 0 at 400 kHz, as `embedded_hal` has it. Owns the bus; knows no chip on it.
//!
//! QEMU's model of this master has no repeated start: where the direction changes there is a STOP and a START. The chips on
//! this board allow it, and nobody else is on the bus.

use embedded_hal::i2c::{Error, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation, SevenBitAddress};

use crate::registers::{Block, Register};

const RUN: u32 = 1;
const START: u32 = 1 << 1;
const STOP: u32 = 1 << 2;
const ACKNOWLEDGE: u32 = 1 << 3;

const BUSY: u32 = 1;
const ERROR: u32 = 1 << 1;
const NO_ADDRESS: u32 = 1 << 2;
const NO_DATA: u32 = 1 << 3;
const LOST: u32 = 1 << 4;

/// A byte takes 25 us or 1125 cycles; a chip that stretches the clock for longer is broken.
const PATIENCE: u32 = 100_000;

/// The master.
#[derive(Debug)]
pub(crate) struct Master {
    target: Register,
    control: Register,
    data: Register,
}

/// Why a transfer failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure(ErrorKind);

impl Error for Failure {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

impl Master {
    /// Switches the master on.
    pub(crate) fn start() -> Self {
        let block = Block::I2C0;
        block.at(0x020).write(1 << 4); // MCR: master
        block.at(0x00c).write(6); // MTPR: 50 MHz / (20 * (1 + 6)) = 357 kHz
        Self { target: block.at(0x000), control: block.at(0x004), data: block.at(0x008) }
    }

    fn command(&self, command: u32) -> Result<(), Failure> {
        self.control.write(command);
        let status = (0..PATIENCE).map(|_| self.control.read()).find(|status| status & BUSY == 0);
        let failure = match status {
            None => ErrorKind::Bus,
            Some(status) if status & LOST != 0 => ErrorKind::ArbitrationLoss,
            Some(status) if status & ERROR == 0 => return Ok(()),
            Some(status) if status & NO_ADDRESS != 0 => {
                ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address)
            }
            Some(status) if status & NO_DATA != 0 => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data),
            Some(_) => ErrorKind::Other,
        };
        if command & STOP == 0 {
            self.control.write(STOP);
        }
        Err(Failure(failure))
    }

    fn write_bytes<'a>(&self, address: u8, bytes: impl Iterator<Item = &'a u8>) -> Result<(), Failure> {
        self.target.write(u32::from(address) << 1);
        let mut bytes = bytes.peekable();
        let mut start = START;
        while let Some(byte) = bytes.next() {
            self.data.write(u32::from(*byte));
            let stop = if bytes.peek().is_none() { STOP } else { 0 };
            self.command(RUN | start | stop)?;
            start = 0;
        }
        Ok(())
    }

    fn read_bytes<'a>(&self, address: u8, slots: impl Iterator<Item = &'a mut u8>) -> Result<(), Failure> {
        self.target.write(u32::from(address) << 1 | 1);
        let mut slots = slots.peekable();
        let mut start = START;
        while let Some(slot) = slots.next() {
            let end = if slots.peek().is_none() { STOP } else { ACKNOWLEDGE };
            self.command(RUN | start | end)?;
            *slot = self.data.read().to_le_bytes()[0];
            start = 0;
        }
        Ok(())
    }
}

impl ErrorType for Master {
    type Error = Failure;
}

impl I2c<SevenBitAddress> for Master {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Failure> {
        let is_write = |operation: &Operation<'_>| matches!(operation, Operation::Write(_));
        for run in operations.chunk_by_mut(|one, next| is_write(one) == is_write(next)) {
            if run.first().is_some_and(is_write) {
                let written = run.iter().filter_map(|operation| match operation {
                    Operation::Write(bytes) => Some(bytes.iter()),
                    Operation::Read(_) => None,
                });
                self.write_bytes(address, written.flatten())?;
            } else {
                let read = run.iter_mut().filter_map(|operation| match operation {
                    Operation::Read(slots) => Some(slots.iter_mut()),
                    Operation::Write(_) => None,
                });
                self.read_bytes(address, read.flatten())?;
            }
        }
        Ok(())
    }
}
