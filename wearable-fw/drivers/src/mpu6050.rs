//! MPU-6050: acceleration and its own temperature. Register map RM-MPU-6000A-00 (Rev 4.2), section 4.
//!
//! Always measures +-2 g (16384 counts per g) on its own 8 MHz oscillator; the gyroscopes stand by, which saves most of
//! its current. A full FIFO writes over the oldest bytes, samples no longer begin where they should, so it is thrown away.

use embedded_hal::i2c::I2c;

use crate::{Drained, Fault};

/// Where it answers with AD0 low.
pub const ADDRESS: u8 = 0x68;
/// Where it answers with AD0 high.
pub const ADDRESS_AD0_HIGH: u8 = 0x69;
/// Most samples that [`Mpu6050::drain`] takes at once; its FIFO holds 170.
pub const AT_ONCE: usize = 32;

const SAMPLE_RATE_DIVIDER: u8 = 0x19;
const CONFIGURATION: u8 = 0x1a;
const ACCELEROMETER_CONFIGURATION: u8 = 0x1c;
const FIFO_ENABLE: u8 = 0x23;
const INTERRUPT_STATUS: u8 = 0x3a;
const TEMPERATURE_OUT: u8 = 0x41;
const USER_CONTROL: u8 = 0x6a;
const POWER_MANAGEMENT_1: u8 = 0x6b;
const POWER_MANAGEMENT_2: u8 = 0x6c;
const FIFO_COUNT: u8 = 0x72;
const FIFO_READ_WRITE: u8 = 0x74;
const WHO_AM_I: u8 = 0x75;

const MPU6050: u8 = 0x68;
const SLEEP: u8 = 1 << 6;
const GYROSCOPES_STAND_BY: u8 = 0b111;
const FIFO_ACCELERATION: u8 = 1 << 3;
const USE_FIFO: u8 = 1 << 6;
const RESET_FIFO: u8 = 1 << 2;
const FIFO_OVERFLOW: u8 = 1 << 4;
const BYTES: usize = 6;

/// Bandwidth of the accelerometer's low-pass (table of register 26; all of them sample at 1 kHz before the divider).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bandwidth {
    /// 184 Hz, for 400 samples a second and more.
    Hz184 = 1,
    /// 94 Hz.
    Hz94 = 2,
    /// 44 Hz, for 100 samples a second.
    #[default]
    Hz44 = 3,
    /// 21 Hz, for 50 samples a second.
    Hz21 = 4,
}

/// How it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Samples a second are 1000 / (1 + divider).
    pub divider: u8,
    /// Less than half of the samples a second.
    pub bandwidth: Bandwidth,
}

impl Config {
    /// Samples a second.
    #[must_use]
    pub const fn hz(self) -> u16 {
        1000 / (1 + self.divider as u16)
    }
}

impl Default for Config {
    /// 100 Hz.
    fn default() -> Self {
        Self { divider: 9, bandwidth: Bandwidth::default() }
    }
}

/// Acceleration along x, y and z, 16384 counts per g.
pub type Counts = [i16; 3];

/// Thousandths of a g, to the nearest.
#[must_use]
pub fn milli_g(counts: i16) -> i16 {
    let milli_g = (i32::from(counts) * 1000 + 8192) >> 14;
    i16::try_from(milli_g).unwrap_or(if counts < 0 { i16::MIN } else { i16::MAX })
}

/// The chip on a bus.
#[derive(Debug)]
pub struct Mpu6050<I> {
    i2c: I,
    address: u8,
}

impl<I: I2c> Mpu6050<I> {
    /// On this bus at [`ADDRESS`] or [`ADDRESS_AD0_HIGH`].
    pub const fn new(i2c: I, address: u8) -> Self {
        Self { i2c, address }
    }

    /// Checks that it is one, wakes it and sets it to work; its FIFO is empty then.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn start(&mut self, config: &Config) -> Result<(), Fault> {
        match self.read(WHO_AM_I)? {
            [MPU6050] => {}
            [found] => return Err(Fault::WrongPart { expected: MPU6050, found }),
        }
        self.write(POWER_MANAGEMENT_1, 0)?;
        self.write(POWER_MANAGEMENT_2, GYROSCOPES_STAND_BY)?;
        self.write(CONFIGURATION, config.bandwidth as u8)?;
        self.write(SAMPLE_RATE_DIVIDER, config.divider)?;
        self.write(ACCELEROMETER_CONFIGURATION, 0)?;
        match self.read(POWER_MANAGEMENT_1)? {
            [0] => {}
            [_] => return Err(Fault::Stuck),
        }
        self.write(FIFO_ENABLE, FIFO_ACCELERATION)?;
        self.reset_fifo()
    }

    /// Takes up to [`AT_ONCE`] samples out of the FIFO, and tells whether there may be more by filling `into`.
    ///
    /// # Errors
    /// [`Fault`]; what was taken by then is lost.
    pub fn drain(&mut self, into: &mut [Counts; AT_ONCE]) -> Result<Drained, Fault> {
        let [status] = self.read(INTERRUPT_STATUS)?;
        if status & FIFO_OVERFLOW != 0 {
            self.reset_fifo()?;
            return Ok(Drained { count: 0, lost: 1 });
        }
        let waiting = usize::from(u16::from_be_bytes(self.read(FIFO_COUNT)?)) / BYTES;
        let count = waiting.min(AT_ONCE);
        let mut bytes = [0; BYTES * AT_ONCE];
        let (bytes, _) = bytes.split_at_mut(count * BYTES);
        if count > 0 {
            self.i2c
                .write_read(self.address, &[FIFO_READ_WRITE], bytes)
                .map_err(|error| Fault::of_i2c(&error))?;
        }
        for (sample, [x1, x0, y1, y0, z1, z0]) in into.iter_mut().zip(bytes.as_chunks().0) {
            *sample = [[*x1, *x0], [*y1, *y0], [*z1, *z0]].map(i16::from_be_bytes);
        }
        Ok(Drained { count, lost: 0 })
    }

    /// The chip's temperature, to the nearest 0.01 C: counts / 340 + 36.53 (register 65, "Temperature Measurement").
    ///
    /// # Errors
    /// [`Fault`].
    pub fn temperature(&mut self) -> Result<i16, Fault> {
        let counts = i16::from_be_bytes(self.read(TEMPERATURE_OUT)?);
        let hundredths = (i32::from(counts) * 100 + 170).div_euclid(340) + 3653;
        Ok(i16::try_from(hundredths).unwrap_or(i16::MAX))
    }

    /// Stops measuring (5 uA); [`Self::start`] wakes it.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn sleep(&mut self) -> Result<(), Fault> {
        self.write(POWER_MANAGEMENT_1, SLEEP)
    }

    /// The reset bit works while the FIFO is off (register 106).
    fn reset_fifo(&mut self) -> Result<(), Fault> {
        self.write(USER_CONTROL, RESET_FIFO)?;
        self.write(USER_CONTROL, USE_FIFO)
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), Fault> {
        self.i2c.write(self.address, &[register, value]).map_err(|error| Fault::of_i2c(&error))
    }

    /// Registers that follow each other.
    fn read<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.i2c.write_read(self.address, &[register], &mut bytes).map_err(|error| Fault::of_i2c(&error))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
    use std::vec::Vec;

    use super::*;
    use crate::bus;

    fn run<T>(expected: &[Transaction], act: impl FnOnce(&mut Mpu6050<Mock>) -> T) -> T {
        bus::on(expected, |bus| act(&mut Mpu6050::new(bus, ADDRESS)))
    }

    fn read(register: u8, bytes: &[u8]) -> Transaction {
        bus::read(ADDRESS, register, bytes)
    }

    fn write(register: u8, value: u8) -> Transaction {
        bus::write(ADDRESS, register, value)
    }

    /// RM-MPU-6000A-00, section 3 "Register Map" and registers 25, 26, 28, 35, 106 to 108, 117.
    #[test]
    fn starts_as_the_register_map_says() {
        let expected = [
            read(0x75, &[0x68]),
            write(0x6b, 0x00),
            write(0x6c, 0x07),
            write(0x1a, 0x03),
            write(0x19, 9),
            write(0x1c, 0x00),
            read(0x6b, &[0x00]),
            write(0x23, 0x08),
            write(0x6a, 0x04),
            write(0x6a, 0x40),
        ];
        assert_eq!(run(&expected, |chip| chip.start(&Config::default())), Ok(()));
    }

    #[test]
    fn another_part_a_sleeper_and_silence_are_refused() {
        let start = |chip: &mut Mpu6050<_>| chip.start(&Config { divider: 4, bandwidth: Bandwidth::Hz94 });
        let other = run(&[read(0x75, &[0x71])], start);
        assert_eq!(other, Err(Fault::WrongPart { expected: 0x68, found: 0x71 }));
        let asleep = [
            read(0x75, &[0x68]),
            write(0x6b, 0x00),
            write(0x6c, 0x07),
            write(0x1a, 0x02),
            write(0x19, 4),
            write(0x1c, 0x00),
            read(0x6b, &[0x40]),
        ];
        assert_eq!(run(&asleep, start), Err(Fault::Stuck));
        let nack = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown);
        assert_eq!(run(&[read(0x75, &[0]).with_error(nack)], start), Err(Fault::Absent));
    }

    /// Registers 114 to 116: the count is in bytes; a sample that is not whole yet stays.
    #[test]
    fn whole_samples_come_with_their_signs() {
        let expected = [
            read(0x3a, &[0x01]),
            read(0x72, &[0, 15]),
            read(0x74, &[0x40, 0x00, 0xc0, 0x00, 0xff, 0xff, 0x7f, 0xff, 0x80, 0x00, 0x00, 0x10]),
        ];
        let mut counts = [[0; 3]; AT_ONCE];
        assert_eq!(run(&expected, |chip| chip.drain(&mut counts)), Ok(Drained { count: 2, lost: 0 }));
        assert_eq!(counts[..2], [[16_384, -16_384, -1], [32_767, -32_768, 16]]);
        let nothing = [read(0x3a, &[0x01]), read(0x72, &[0, 5])];
        assert_eq!(run(&nothing, |chip| chip.drain(&mut counts)), Ok(Drained::default()));
    }

    #[test]
    fn a_long_fifo_is_taken_in_parts() {
        let expected = [read(0x3a, &[0x01]), read(0x72, &[3, 0xfc]), read(0x74, &[1; 6 * AT_ONCE])];
        let mut counts = [[0; 3]; AT_ONCE];
        let drained = run(&expected, |chip| chip.drain(&mut counts));
        assert_eq!(drained, Ok(Drained { count: AT_ONCE, lost: 0 }));
        assert_eq!(counts, [[0x0101; 3]; AT_ONCE]);
    }

    /// Registers 58 (FIFO_OFLOW_INT) and 116: a full FIFO loses its oldest bytes.
    #[test]
    fn an_overflow_throws_the_fifo_away_and_is_told() {
        let expected = [read(0x3a, &[0x11]), write(0x6a, 0x04), write(0x6a, 0x40)];
        let drained = run(&expected, |chip| chip.drain(&mut [[0; 3]; AT_ONCE]));
        assert_eq!(drained, Ok(Drained { count: 0, lost: 1 }));
    }

    /// Registers 65 and 66: counts / 340 + 36.53.
    #[test]
    fn temperature_follows_the_formula() {
        for (counts, hundredths) in [(0_i16, 3653), (340, 3753), (-340, 3553), (-12_420, 0), (-521, 3500)] {
            let expected = [read(0x41, &counts.to_be_bytes())];
            assert_eq!(run(&expected, Mpu6050::temperature), Ok(hundredths));
        }
    }

    /// Table of register 28: 16384 LSB/g at +-2 g.
    #[test]
    fn counts_become_the_nearest_thousandth_of_a_g() {
        let counts = [0, 16_384, -16_384, 8, 9, -8, -9, i16::MAX, i16::MIN];
        assert_eq!(counts.map(milli_g), [0, 1000, -1000, 0, 1, 0, -1, 2000, -2000]);
        let through = |thousandths: i32| milli_g(i16::try_from(thousandths * 16_384 / 1000).unwrap());
        assert!((-1999..=1999).all(|thousandths| i32::from(through(thousandths)) == thousandths));
    }

    #[test]
    fn sleeps() {
        assert_eq!(run(&[write(0x6b, 0x40)], Mpu6050::sleep), Ok(()));
        assert_eq!(Vec::from([ADDRESS, ADDRESS_AD0_HIGH]), [0x68, 0x69]);
    }
}
