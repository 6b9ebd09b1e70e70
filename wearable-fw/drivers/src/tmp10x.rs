//! TMP102 and TMP105: temperature in steps of 1/16 C. Data sheets SBOS397 (TMP102) and SBOS648 (TMP105), "Pointer
//! Register", "Temperature Register", "Configuration Register".
//!
//! Both have no identity register; one that keeps its settings is taken for the part. A register is read in two transfers,
//! pointer then value, each with its own stop: there are controllers without a repeated start.

use embedded_hal::i2c::I2c;

use crate::Fault;

const TEMPERATURE: u8 = 0;
const CONFIGURATION: u8 = 1;

const ONE_SHOT: u8 = 1 << 7;
const TWELVE_BITS: u8 = 0b11 << 5;
const SHUTDOWN: u8 = 1;
/// Second byte of the TMP102: 4 conversions a second, alert inactive, no extended mode (its value at power-up).
const TMP102_RATE: u8 = 0xa0;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// 16-bit settings; a conversion takes up to 35 ms.
    Tmp102,
    /// 8-bit settings; a conversion takes up to 300 ms.
    Tmp105,
}

/// When it measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conversion {
    /// All the time, several times a second.
    #[default]
    Continuous,
    /// Once after each reading, and it sleeps until the next, which tells of that time.
    OneShot,
}

/// How it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which chip.
    pub part: Part,
    /// Its I2C address, 0x48..=0x4b, of a TMP105 up to 0x4f.
    pub address: u8,
    /// When it measures.
    pub conversion: Conversion,
}

impl Default for Config {
    /// A TMP105 at 0x49 that measures all the time.
    fn default() -> Self {
        Self { part: Part::Tmp105, address: 0x49, conversion: Conversion::default() }
    }
}

/// The chip on a bus.
#[derive(Debug)]
pub struct Tmp10x<I> {
    i2c: I,
    config: Config,
}

impl<I: I2c> Tmp10x<I> {
    /// On this bus.
    pub const fn new(i2c: I, config: Config) -> Self {
        Self { i2c, config }
    }

    /// Sets it to 12 bits and to work, and checks that it took it. The first value is there after one conversion.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn start(&mut self) -> Result<(), Fault> {
        self.configure()?;
        let expected = self.settings() & !ONE_SHOT;
        let [kept] = self.read(CONFIGURATION)?;
        let found = kept & (TWELVE_BITS | SHUTDOWN);
        if found == expected { Ok(()) } else { Err(Fault::WrongPart { expected, found }) }
    }

    /// What it measured last, in 1/16 C.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn temperature(&mut self) -> Result<i16, Fault> {
        let sixteenths = i16::from_be_bytes(self.read(TEMPERATURE)?) >> 4;
        if self.config.conversion == Conversion::OneShot {
            self.configure()?;
        }
        Ok(sixteenths)
    }

    const fn settings(&self) -> u8 {
        match self.config.conversion {
            Conversion::Continuous => TWELVE_BITS,
            Conversion::OneShot => ONE_SHOT | TWELVE_BITS | SHUTDOWN,
        }
    }

    fn configure(&mut self) -> Result<(), Fault> {
        let settings = self.settings();
        let bytes: &[u8] = match self.config.part {
            Part::Tmp102 => &[CONFIGURATION, settings, TMP102_RATE],
            Part::Tmp105 => &[CONFIGURATION, settings],
        };
        self.i2c.write(self.config.address, bytes).map_err(|error| Fault::of_i2c(&error))
    }

    fn read<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.i2c.write(self.config.address, &[register]).map_err(|error| Fault::of_i2c(&error))?;
        self.i2c.read(self.config.address, &mut bytes).map_err(|error| Fault::of_i2c(&error))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
    use std::vec;

    use super::*;
    use crate::bus;

    const CONTINUOUS: Config =
        Config { part: Part::Tmp102, address: 0x48, conversion: Conversion::Continuous };
    const ONE: Config = Config { part: Part::Tmp105, address: 0x49, conversion: Conversion::OneShot };

    fn run<T>(config: Config, expected: &[Transaction], act: impl FnOnce(&mut Tmp10x<Mock>) -> T) -> T {
        bus::on(expected, |bus| act(&mut Tmp10x::new(bus, config)))
    }

    /// SBOS397, table "Configuration Register" (R1, R0 always read 1), SBOS648 the same byte with R1, R0 = 11 for 12 bits.
    #[test]
    fn starts_with_twelve_bits_and_stops_between_pointer_and_value() {
        let tmp102 = [
            Transaction::write(0x48, vec![1, 0x60, 0xa0]),
            Transaction::write(0x48, vec![1]),
            Transaction::read(0x48, vec![0x60]),
        ];
        assert_eq!(run(CONTINUOUS, &tmp102, Tmp10x::start), Ok(()));
        let tmp105 = [
            Transaction::write(0x49, vec![1, 0xe1]),
            Transaction::write(0x49, vec![1]),
            Transaction::read(0x49, vec![0x61]),
            Transaction::write(0x49, vec![0]),
            Transaction::read(0x49, vec![0x19, 0x10]),
            Transaction::write(0x49, vec![1, 0xe1]),
        ];
        let read = run(ONE, &tmp105, |chip| chip.start().and_then(|()| chip.temperature()));
        assert_eq!(read, Ok(25 * 16 + 1));
    }

    #[test]
    fn a_part_that_keeps_no_settings_and_silence_are_refused() {
        let other = [
            Transaction::write(0x49, vec![1, 0xe1]),
            Transaction::write(0x49, vec![1]),
            Transaction::read(0x49, vec![0x00]),
        ];
        assert_eq!(run(ONE, &other, Tmp10x::start), Err(Fault::WrongPart { expected: 0x61, found: 0 }));
        let nack = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
        let nobody = [Transaction::write(0x49, vec![0]).with_error(nack)];
        assert_eq!(run(ONE, &nobody, Tmp10x::temperature), Err(Fault::Absent));
        let held = [Transaction::write(0x49, vec![0]), {
            Transaction::read(0x49, vec![0, 0]).with_error(ErrorKind::Bus)
        }];
        assert_eq!(run(ONE, &held, Tmp10x::temperature), Err(Fault::I2c(ErrorKind::Bus)));
    }

    /// SBOS397, table "Temperature Data Format (12 bits)": hexadecimal digits and degrees.
    #[test]
    fn the_table_of_temperatures() {
        let table = [
            (0x7ff, 127.9375),
            (0x640, 100.0),
            (0x500, 80.0),
            (0x4b0, 75.0),
            (0x320, 50.0),
            (0x190, 25.0),
            (0x004, 0.25),
            (0x000, 0.0),
            (0xffc, -0.25),
            (0xe70, -25.0),
            (0xc90, -55.0),
        ];
        for (digits, degrees) in table {
            let [high, low] = u16::to_be_bytes(digits << 4);
            let expected = [Transaction::write(0x48, vec![0]), Transaction::read(0x48, vec![high, low])];
            let sixteenths = run(CONTINUOUS, &expected, Tmp10x::temperature).unwrap();
            assert_eq!(f64::from(sixteenths) / 16.0, degrees);
        }
    }
}
