//! MAX30102: red and infrared light through a finger. Data sheet 19-7740 (Rev 1, 10/18), "Register Maps and Descriptions".
//!
//! Always converts 18 bits (pulses of 411 us) in SpO2 mode. A full FIFO stops (FIFO_ROLLOVER_EN = 0), so that what is in
//! it is without a hole and the hole comes after it.

use embedded_hal::i2c::I2c;

use crate::{Drained, Fault};

/// Its only address.
pub const ADDRESS: u8 = 0x57;
/// Samples that its FIFO holds.
pub const DEPTH: usize = 32;

const INTERRUPT_STATUS_1: u8 = 0x00;
const INTERRUPT_ENABLE_1: u8 = 0x02;
const FIFO_DATA: u8 = 0x07;
const FIFO_CONFIGURATION: u8 = 0x08;
const MODE_CONFIGURATION: u8 = 0x09;
const SPO2_CONFIGURATION: u8 = 0x0a;
const LED1_PULSE_AMPLITUDE: u8 = 0x0c;
const DIE_TEMPERATURE_INTEGER: u8 = 0x1f;
const DIE_TEMPERATURE_CONFIGURATION: u8 = 0x21;
const PART_ID: u8 = 0xff;

const MAX30102: u8 = 0x15;
const A_FULL: u8 = 1 << 7;
const SHUTDOWN: u8 = 1 << 7;
const RESET: u8 = 1 << 6;
const SPO2_MODE: u8 = 0b011;
const PULSE_411_US: u8 = 0b11;
const TEMPERATURE_ENABLE: u8 = 1;
/// Times that the reset bit is looked at; it clears in less than one transfer.
const PATIENCE: usize = 8;
const BYTES: usize = 6;
const AT_ONCE: usize = 8;

/// Samples a second (table "SpO2 Sample Rate Control"); faster ones do not go with 18 bits in SpO2 mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleRate {
    /// 50 a second.
    Hz50 = 0,
    /// 100 a second.
    #[default]
    Hz100 = 1,
    /// 200 a second.
    Hz200 = 2,
    /// 400 a second.
    Hz400 = 3,
}

impl SampleRate {
    /// Samples a second.
    #[must_use]
    pub const fn hz(self) -> u16 {
        50 << self as u8
    }
}

/// Photocurrent at the converter's end, nA (table "SpO2 ADC Range Control").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// 2048 nA.
    Na2048 = 0,
    /// 4096 nA.
    #[default]
    Na4096 = 1,
    /// 8192 nA.
    Na8192 = 2,
    /// 16384 nA.
    Na16384 = 3,
}

/// Current of a lamp, in steps of 0.2 mA (table "LED Current Control").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LampCurrent(u8);

impl LampCurrent {
    /// 0 to 51.0 mA, rounded down to 0.2 mA; `None` beyond.
    #[must_use]
    pub const fn from_microampere(microampere: u32) -> Option<Self> {
        let steps = microampere / 200;
        #[expect(clippy::cast_possible_truncation, reason = "at most 255")]
        if steps <= 0xff { Some(Self(steps as u8)) } else { None }
    }
}

/// How it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How often it measures.
    pub rate: SampleRate,
    /// How much light it takes.
    pub range: Range,
    /// Current of LED1.
    pub red: LampCurrent,
    /// Current of LED2.
    pub infrared: LampCurrent,
}

impl Default for Config {
    /// 100 Hz, 4096 nA, 7.2 mA: usual for a finger.
    fn default() -> Self {
        let lamp = LampCurrent(0x24);
        Self { rate: SampleRate::default(), range: Range::default(), red: lamp, infrared: lamp }
    }
}

/// Light through the tissue, 18-bit counts; more is more light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Light {
    /// LED1, 660 nm.
    pub red: u32,
    /// LED2, 880 nm.
    pub infrared: u32,
}

/// The chip on a bus.
#[derive(Debug)]
pub struct Max30102<I>(I);

impl<I: I2c> Max30102<I> {
    /// On this bus.
    pub const fn new(i2c: I) -> Self {
        Self(i2c)
    }

    /// Checks that it is one, resets it and sets it to work; its FIFO is empty then.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn start(&mut self, config: &Config) -> Result<(), Fault> {
        self.identify()?;
        self.write(MODE_CONFIGURATION, RESET)?;
        self.await_reset()?;
        self.write(INTERRUPT_ENABLE_1, A_FULL)?;
        self.write(FIFO_CONFIGURATION, 0)?;
        let spo2 = (config.range as u8) << 5 | (config.rate as u8) << 2 | PULSE_411_US;
        self.write(SPO2_CONFIGURATION, spo2)?;
        self.write(LED1_PULSE_AMPLITUDE, config.red.0)?;
        self.write(LED1_PULSE_AMPLITUDE + 1, config.infrared.0)?;
        self.write(MODE_CONFIGURATION, SPO2_MODE)
    }

    /// Checks the part number.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn identify(&mut self) -> Result<(), Fault> {
        match self.read(PART_ID)? {
            [MAX30102] => Ok(()),
            [found] => Err(Fault::WrongPart { expected: MAX30102, found }),
        }
    }

    /// Takes everything out of the FIFO.
    ///
    /// # Errors
    /// [`Fault`]; what was taken by then is lost.
    pub fn drain(&mut self, into: &mut [Light; DEPTH]) -> Result<Drained, Fault> {
        let [status, _, _, _, write, lost, read] = self.read(INTERRUPT_STATUS_1)?;
        let waiting = write.wrapping_sub(read) & 0x1f;
        // Equal pointers are an empty FIFO or a full one; the flag comes with the 32nd sample and went with the last
        // reading of the status.
        let is_full = waiting == 0 && (lost & 0x1f > 0 || status & A_FULL != 0);
        let count = if is_full { DEPTH } else { waiting.into() };
        let (filled, _) = into.split_at_mut(count);
        for samples in filled.chunks_mut(AT_ONCE) {
            let mut bytes = [0; BYTES * AT_ONCE];
            let length = samples.len() * BYTES;
            let Some(bytes) = bytes.get_mut(..length) else { continue };
            self.0.write_read(ADDRESS, &[FIFO_DATA], bytes).map_err(|error| Fault::of_i2c(&error))?;
            for (sample, bytes) in samples.iter_mut().zip(bytes.as_chunks().0) {
                *sample = light(*bytes);
            }
        }
        Ok(Drained { count, lost: lost & 0x1f })
    }

    /// Starts a measurement of the die's temperature, 29 ms long.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn start_temperature(&mut self) -> Result<(), Fault> {
        self.write(DIE_TEMPERATURE_CONFIGURATION, TEMPERATURE_ENABLE)
    }

    /// The die's temperature in 1/16 C; `None` while it is being measured.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn temperature(&mut self) -> Result<Option<i16>, Fault> {
        let [integer, fraction, busy] = self.read(DIE_TEMPERATURE_INTEGER)?;
        let sixteenths = i16::from(integer.cast_signed()) * 16 + i16::from(fraction & 0xf);
        Ok((busy & TEMPERATURE_ENABLE == 0).then_some(sixteenths))
    }

    /// Lamps and converter off (0.7 uA); its settings stay, and [`Self::start`] wakes it.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn shut_down(&mut self) -> Result<(), Fault> {
        self.write(MODE_CONFIGURATION, SHUTDOWN | SPO2_MODE)
    }

    fn await_reset(&mut self) -> Result<(), Fault> {
        for _ in 0..PATIENCE {
            let [mode] = self.read(MODE_CONFIGURATION)?;
            if mode & RESET == 0 {
                return Ok(());
            }
        }
        Err(Fault::Stuck)
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), Fault> {
        self.0.write(ADDRESS, &[register, value]).map_err(|error| Fault::of_i2c(&error))
    }

    /// Registers that follow each other.
    fn read<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.0.write_read(ADDRESS, &[register], &mut bytes).map_err(|error| Fault::of_i2c(&error))?;
        Ok(bytes)
    }
}

/// Three bytes each, left of 18 bits undefined (table "FIFO Data").
fn light([r2, r1, r0, i2, i1, i0]: [u8; BYTES]) -> Light {
    let word = |high: u8, middle: u8, low: u8| u32::from_be_bytes([0, high & 0b11, middle, low]);
    Light { red: word(r2, r1, r0), infrared: word(i2, i1, i0) }
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
    use std::{vec, vec::Vec};

    use super::*;
    use crate::bus;

    fn run<T>(expected: &[Transaction], act: impl FnOnce(&mut Max30102<Mock>) -> T) -> T {
        bus::on(expected, |bus| act(&mut Max30102::new(bus)))
    }

    fn read(register: u8, bytes: &[u8]) -> Transaction {
        bus::read(ADDRESS, register, bytes)
    }

    fn write(register: u8, value: u8) -> Transaction {
        bus::write(ADDRESS, register, value)
    }

    /// 19-7740, table 1 "Register Maps and Descriptions": PART_ID 0x15; MODE 0x40 resets, 0x03 is SpO2; SPO2_CONFIG
    /// 0x27 is 4096 nA, 100 samples a second, 18 bits; 0x24 is 7.2 mA.
    #[test]
    fn starts_as_the_register_map_says() {
        let expected = [
            read(0xff, &[0x15]),
            write(0x09, 0x40),
            read(0x09, &[0x40]),
            read(0x09, &[0x00]),
            write(0x02, 0x80),
            write(0x08, 0x00),
            write(0x0a, 0x27),
            write(0x0c, 0x24),
            write(0x0d, 0x24),
            write(0x09, 0x03),
        ];
        assert_eq!(run(&expected, |chip| chip.start(&Config::default())), Ok(()));
    }

    /// Tables "SpO2 ADC Range Control", "SpO2 Sample Rate Control" and "LED Current Control".
    #[test]
    fn settings_reach_their_bits() {
        let config = Config {
            rate: SampleRate::Hz400,
            range: Range::Na16384,
            red: LampCurrent::from_microampere(51_000).unwrap(),
            infrared: LampCurrent::from_microampere(399).unwrap(),
        };
        let expected = [
            read(0xff, &[0x15]),
            write(0x09, 0x40),
            read(0x09, &[0x00]),
            write(0x02, 0x80),
            write(0x08, 0x00),
            write(0x0a, 0x6f),
            write(0x0c, 0xff),
            write(0x0d, 0x01),
            write(0x09, 0x03),
        ];
        assert_eq!(run(&expected, |chip| chip.start(&config)), Ok(()));
        assert_eq!(LampCurrent::from_microampere(51_200), None);
    }

    #[test]
    fn another_part_and_a_chip_in_reset_are_refused() {
        let other = run(&[read(0xff, &[0x11])], |chip| chip.start(&Config::default()));
        assert_eq!(other, Err(Fault::WrongPart { expected: 0x15, found: 0x11 }));
        let mut expected = vec![read(0xff, &[0x15]), write(0x09, 0x40)];
        expected.extend((0..8).map(|_| read(0x09, &[0x40])));
        assert_eq!(run(&expected, |chip| chip.start(&Config::default())), Err(Fault::Stuck));
    }

    #[test]
    fn silence_and_a_held_line_are_told_apart() {
        let faults = [
            (ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address), Fault::Absent),
            (ErrorKind::ArbitrationLoss, Fault::I2c(ErrorKind::ArbitrationLoss)),
        ];
        for (error, fault) in faults {
            let expected = [read(0x00, &[0; 7]).with_error(error)];
            assert_eq!(run(&expected, |chip| chip.drain(&mut [Light::default(); DEPTH])), Err(fault));
        }
    }

    /// Table "FIFO Data": six bytes a sample, red first, the upper six bits of 24 undefined.
    #[test]
    fn samples_come_oldest_first_over_the_pointers_wrap() {
        let expected = [
            read(0x00, &[0, 0, 0, 0, 1, 0, 31]),
            read(0x07, &[0xff, 0xff, 0xff, 0xfd, 0x00, 0x01, 0x00, 0xea, 0x60, 0x01, 0x5f, 0x90]),
        ];
        let mut lights = [Light::default(); DEPTH];
        assert_eq!(run(&expected, |chip| chip.drain(&mut lights)), Ok(Drained { count: 2, lost: 0 }));
        assert_eq!(lights[0], Light { red: 0x3_ffff, infrared: 0x1_0001 });
        assert_eq!(lights[1], Light { red: 60_000, infrared: 90_000 });
    }

    /// Text of FIFO_WR_PTR, OVF_COUNTER and A_FULL: equal pointers are nothing or everything.
    #[test]
    fn full_and_empty_are_told_apart_and_the_overflow_counter_is_told() {
        let whole = |status, lost| {
            let mut expected = vec![read(0x00, &[status, 0, 0x80, 0, 9, lost, 9])];
            for chunk in 0..4 {
                let samples = (0..8_u8).flat_map(|at| [0, 0, chunk * 8 + at, 0, 1, 0]);
                expected.push(read(0x07, &samples.collect::<Vec<u8>>()));
            }
            let mut lights = [Light::default(); DEPTH];
            let drained = run(&expected, |chip| chip.drain(&mut lights)).unwrap();
            assert!(lights.iter().zip(0..).all(|(light, at)| *light == Light { red: at, infrared: 256 }));
            drained
        };
        assert_eq!(whole(0x80, 0), Drained { count: 32, lost: 0 });
        assert_eq!(whole(0x00, 31), Drained { count: 32, lost: 31 });
        let empty = run(&[read(0x00, &[0x01, 0, 0x80, 0, 9, 0, 9])], |chip| {
            chip.drain(&mut [Light::default(); DEPTH])
        });
        assert_eq!(empty, Ok(Drained::default()));
    }

    /// Section "Temperature Data": T = TINT (two's complement) + TFRAC x 0.0625.
    #[test]
    fn die_temperature_is_signed_and_waits_for_its_measurement() {
        let expected =
            [write(0x21, 1), read(0x1f, &[0, 0, 1]), read(0x1f, &[0xff, 0x08, 0]), read(0x1f, &[0x25, 1, 0])];
        let read = run(&expected, |chip| {
            chip.start_temperature().unwrap();
            [(); 3].map(|()| chip.temperature().unwrap())
        });
        assert_eq!(read, [None, Some(-8), Some(37 * 16 + 1)]);
    }

    #[test]
    fn shut_down_keeps_the_mode() {
        assert_eq!(run(&[write(0x09, 0x83)], Max30102::shut_down), Ok(()));
    }
}
