//! The wires between firmware and chips. Owns who answers at which address, and what it looks like when nobody does.

use embedded_hal::{
    i2c::{self, I2c, NoAcknowledgeSource, Operation},
    spi::{self, SpiDevice},
};

use wearable_drivers::models::{
    Registers, max30003::Max30003, max30102::Max30102, mpu6050::Mpu6050, tmp105::Tmp105,
};

use super::Faults;

/// The I2C bus.
#[derive(Clone, Debug, Default)]
pub(super) struct Wires {
    pub(super) light: Max30102,
    pub(super) motion: Mpu6050,
    pub(super) thermometer: Tmp105,
    pub(super) faults: Faults,
    /// Of the three chips; each keeps its own when a transfer stops.
    pointers: [u8; 3],
}

impl i2c::ErrorType for Wires {
    type Error = i2c::ErrorKind;
}

impl I2c for Wires {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), i2c::ErrorKind> {
        if self.faults.stuck {
            return Err(i2c::ErrorKind::Bus);
        }
        let [light, motion, thermometer] = &mut self.pointers;
        let (chip, pointer, is_absent): (&mut dyn Registers, _, _) = match address {
            0x57 => (&mut self.light, light, self.faults.optical),
            0x68 => (&mut self.motion, motion, self.faults.motion),
            0x49 => (&mut self.thermometer, thermometer, self.faults.temperature),
            _ => return Err(i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address)),
        };
        if is_absent {
            return Err(i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        for operation in operations {
            match operation {
                Operation::Write(bytes) => {
                    let Some((first, values)) = bytes.split_first() else { continue };
                    *pointer = *first;
                    (0..).zip(values).for_each(|(at, value)| chip.write(*pointer, at, *value));
                }
                Operation::Read(bytes) => {
                    (0..).zip(bytes.iter_mut()).for_each(|(at, byte)| *byte = chip.read(*pointer, at));
                }
            }
        }
        Ok(())
    }
}

/// The SPI bus and the chip select of the ECG front end.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) chip: Max30003,
    /// Nobody drives it; it is pulled up.
    pub(super) is_open: bool,
}

impl spi::ErrorType for Line {
    type Error = spi::ErrorKind;
}

impl SpiDevice for Line {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), spi::ErrorKind> {
        let mut transfer = (!self.is_open).then(|| self.chip.select());
        let mut pass = |sent| transfer.as_mut().map_or(0xff, |transfer| transfer.byte(sent));
        for operation in operations {
            match operation {
                spi::Operation::Read(bytes) => bytes.iter_mut().for_each(|byte| *byte = pass(0)),
                spi::Operation::Write(bytes) => bytes.iter().for_each(|byte| _ = pass(*byte)),
                spi::Operation::Transfer(read, sent) => {
                    read.iter_mut().zip(sent.iter()).for_each(|(byte, sent)| *byte = pass(*sent));
                }
                spi::Operation::TransferInPlace(bytes) => {
                    bytes.iter_mut().for_each(|byte| *byte = pass(*byte));
                }
                spi::Operation::DelayNs(_) => {}
            }
        }
        Ok(())
    }
}
