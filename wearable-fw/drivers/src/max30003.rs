//! MAX30003: one ECG lead and whether its electrodes are on. Data sheet 19-8558 (Rev 1), "Register Map" and "ECG FIFO
//! Memory".
//!
//! Always runs from a 32.768 kHz clock (FMSTR = 00) and without its digital filters: `wearable_core::dsp` has its own. An
//! SPI part that is not there cannot refuse, so its identity is read before every drain: zeros on an open line would
//! otherwise pass for a heart that does not beat.

use embedded_hal::spi::{Operation, SpiDevice};

use crate::{Drained, Fault};

/// Samples that its FIFO holds.
pub const DEPTH: usize = 32;

const STATUS: u8 = 0x01;
const SOFTWARE_RESET: u8 = 0x08;
const SYNCHRONISE: u8 = 0x09;
const FIFO_RESET: u8 = 0x0a;
const INFORMATION: u8 = 0x0f;
const GENERAL_CONFIGURATION: u8 = 0x10;
const INPUT_MULTIPLEXER: u8 = 0x14;
const ECG_CONFIGURATION: u8 = 0x15;
const FIFO_BURST: u8 = 0x20;

/// High nibble of the information register; the low one is the revision.
const MAX30003: u8 = 0x50;
const FIFO_OVERFLOW: u32 = 1 << 22;
/// LDOFF_PH, PL, NH, NL: an input beyond a lead-off threshold.
const LEADS_OFF: u32 = 0b1111;
/// EN_ECG; EN_DCLOFF = 01 with 10 nA (pull-up on ECGP) and +-300 mV; resistive bias of 100 MOhm on both inputs.
const GENERAL: u32 = 1 << 19 | 0b01 << 12 | 0b010 << 8 | 0b01 << 4 | 0b01 << 2 | 0b11;
/// Counts of the reference voltage, 1 V (section "ECG Data").
const COUNTS_PER_VOLT: i64 = 1 << 17;
const MICROVOLT: i64 = 1_000_000;
const WORD: usize = 3;

/// Samples a second with FMSTR = 00 (table of CNFG_ECG).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleRate {
    /// 512 a second.
    Sps512 = 0,
    /// 256 a second.
    #[default]
    Sps256 = 1,
    /// 128 a second.
    Sps128 = 2,
}

impl SampleRate {
    /// Samples a second.
    #[must_use]
    pub const fn hz(self) -> u16 {
        512 >> self as u8
    }
}

/// Amplification (table of CNFG_ECG); the input takes 1 V over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gain {
    /// 20, +-50 mV: also takes what electrodes make of themselves.
    #[default]
    X20 = 0,
    /// 40, +-25 mV.
    X40 = 1,
    /// 80, +-12.5 mV.
    X80 = 2,
    /// 160, +-6.25 mV.
    X160 = 3,
}

impl Gain {
    /// The converter's ends, +- microvolt.
    #[must_use]
    pub const fn reach(self) -> i32 {
        50_000 >> self as u8
    }
}

/// How it is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How often it measures.
    pub rate: SampleRate,
    /// How much it amplifies.
    pub gain: Gain,
}

/// What was read: samples and whether an electrode is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecg {
    /// The samples. After an overflow there are none: the chip says which are lost only by resetting.
    pub drained: Drained,
    /// At least one electrode is off.
    pub leads_off: bool,
}

/// The chip on an SPI bus, mode 0, up to 12 MHz.
#[derive(Debug)]
pub struct Max30003<S> {
    spi: S,
    config: Config,
}

impl<S: SpiDevice> Max30003<S> {
    /// Behind this chip select.
    pub const fn new(spi: S, config: Config) -> Self {
        Self { spi, config }
    }

    /// Checks that it is one, resets it and sets it to work; its FIFO is empty then.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn start(&mut self) -> Result<(), Fault> {
        self.identify()?;
        self.write(SOFTWARE_RESET, 0)?;
        self.write(GENERAL_CONFIGURATION, GENERAL)?;
        self.write(INPUT_MULTIPLEXER, 0)?;
        let ecg = (self.config.rate as u32) << 22 | (self.config.gain as u32) << 16;
        self.write(ECG_CONFIGURATION, ecg)?;
        if self.read(ECG_CONFIGURATION)? != ecg {
            return Err(Fault::Stuck);
        }
        self.write(SYNCHRONISE, 0)
    }

    /// Checks the part's identity.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn identify(&mut self) -> Result<(), Fault> {
        let [_, found, _, _] = self.read(INFORMATION)?.to_be_bytes();
        match found {
            0x00 | 0xff => Err(Fault::Absent),
            found if found & 0xf0 != MAX30003 => Err(Fault::WrongPart { expected: MAX30003, found }),
            _ => Ok(()),
        }
    }

    /// Takes everything out of the FIFO, in microvolt between the electrodes.
    ///
    /// # Errors
    /// [`Fault`]; what was taken by then is lost.
    pub fn drain(&mut self, into: &mut [i32; DEPTH]) -> Result<Ecg, Fault> {
        self.identify()?;
        let status = self.read(STATUS)?;
        let leads_off = status & LEADS_OFF != 0;
        if status & FIFO_OVERFLOW != 0 {
            return self.overflow(leads_off);
        }
        let mut bytes = [0; WORD * DEPTH];
        self.transfer(&mut [Operation::Write(&[FIFO_BURST << 1 | 1]), Operation::Read(&mut bytes)])?;
        let mut count = 0;
        for (sample, [high, middle, low]) in into.iter_mut().zip(bytes.as_chunks().0) {
            let word = i32::from_be_bytes([*high, *middle, *low, 0]);
            // ETAG (table "ECG FIFO Tags"): the lowest bit is fast recovery, which is never switched on.
            match low >> 3 & 0b111 {
                0b000 | 0b001 => {}
                0b010 | 0b011 => {
                    *sample = self.microvolt(word >> 14);
                    count += 1;
                    break;
                }
                0b111 => return self.overflow(leads_off),
                _ => break,
            }
            *sample = self.microvolt(word >> 14);
            count += 1;
        }
        Ok(Ecg { drained: Drained { count, lost: 0 }, leads_off })
    }

    /// Everything off but the registers.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn shut_down(&mut self) -> Result<(), Fault> {
        self.write(GENERAL_CONFIGURATION, 0)
    }

    fn overflow(&mut self, leads_off: bool) -> Result<Ecg, Fault> {
        self.write(FIFO_RESET, 0)?;
        Ok(Ecg { drained: Drained { count: 0, lost: 1 }, leads_off })
    }

    /// V = counts x VREF / (2^17 x gain), to the nearest microvolt.
    fn microvolt(&self, counts: i32) -> i32 {
        let counts_per_volt = COUNTS_PER_VOLT * (20 << self.config.gain as u8);
        let nearest = (i64::from(counts) * MICROVOLT + counts_per_volt / 2).div_euclid(counts_per_volt);
        i32::try_from(nearest).unwrap_or(i32::MAX)
    }

    fn write(&mut self, register: u8, value: u32) -> Result<(), Fault> {
        let [_, high, middle, low] = value.to_be_bytes();
        self.transfer(&mut [Operation::Write(&[register << 1, high, middle, low])])
    }

    fn read(&mut self, register: u8) -> Result<u32, Fault> {
        let mut bytes = [0; WORD];
        self.transfer(&mut [Operation::Write(&[register << 1 | 1]), Operation::Read(&mut bytes)])?;
        let [high, middle, low] = bytes;
        Ok(u32::from_be_bytes([0, high, middle, low]))
    }

    fn transfer(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Fault> {
        self.spi.transaction(operations).map_err(|error| Fault::of_spi(&error))
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal::spi::ErrorKind;
    use embedded_hal_mock::eh1::spi::{Mock, Transaction};
    use std::{vec, vec::Vec};

    use super::*;

    const EMPTY: u32 = 0b110 << 3;

    fn run<T>(
        config: Config,
        expected: impl IntoIterator<Item = Vec<Transaction<u8>>>,
        act: impl FnOnce(&mut Max30003<Mock<u8>>) -> T,
    ) -> T {
        let mut bus = Mock::new(&expected.into_iter().flatten().collect::<Vec<_>>());
        let done = act(&mut Max30003::new(bus.clone(), config));
        bus.done();
        done
    }

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()[1..].to_vec()).collect()
    }

    fn read(register: u8, words: &[u32]) -> Vec<Transaction<u8>> {
        vec![
            Transaction::transaction_start(),
            Transaction::write_vec(vec![register << 1 | 1]),
            Transaction::read_vec(bytes(words)),
            Transaction::transaction_end(),
        ]
    }

    fn write(register: u8, value: u32) -> Vec<Transaction<u8>> {
        let mut sent = vec![register << 1];
        sent.extend(bytes(&[value]));
        vec![Transaction::transaction_start(), Transaction::write_vec(sent), Transaction::transaction_end()]
    }

    /// The 32 words of a burst: as given, then empty ones.
    fn burst(words: &[u32]) -> Vec<Transaction<u8>> {
        let words: Vec<u32> = words.iter().copied().chain([EMPTY; DEPTH]).take(DEPTH).collect();
        read(0x20, &words)
    }

    /// A FIFO word: 18 bits, tag.
    fn word(counts: i32, tag: u32) -> u32 {
        (counts.cast_unsigned() & 0x3_ffff) << 6 | tag << 3
    }

    /// 19-8558, "Register Map": INFO 0x0F, SW_RST 0x08, CNFG_GEN 0x10, CNFG_EMUX 0x14, CNFG_ECG 0x15, SYNCH 0x09.
    #[test]
    fn starts_as_the_register_map_says() {
        let expected = |ecg| {
            [
                read(0x0f, &[0x51_0000]),
                write(0x08, 0),
                write(0x10, 0x08_1217),
                write(0x14, 0),
                write(0x15, ecg),
                read(0x15, &[ecg]),
                write(0x09, 0),
            ]
        };
        assert_eq!(run(Config::default(), expected(0x40_0000), Max30003::start), Ok(()));
        let config = Config { rate: SampleRate::Sps128, gain: Gain::X160 };
        assert_eq!(run(config, expected(0x83_0000), Max30003::start), Ok(()));
        let rates = [SampleRate::Sps512, SampleRate::Sps256, SampleRate::Sps128];
        assert_eq!(rates.map(SampleRate::hz), [512, 256, 128]);
    }

    #[test]
    fn an_open_line_is_no_heart_without_beats() {
        for line in [0x00_0000, 0xff_ffff] {
            let drained = run(Config::default(), [read(0x0f, &[line])], |chip| chip.drain(&mut [0; DEPTH]));
            assert_eq!(drained, Err(Fault::Absent));
        }
        let other = run(Config::default(), [read(0x0f, &[0x23_0000])], Max30003::start);
        assert_eq!(other, Err(Fault::WrongPart { expected: 0x50, found: 0x23 }));
        let forgetful = [
            read(0x0f, &[0x51_0000]),
            write(0x08, 0),
            write(0x10, 0x08_1217),
            write(0x14, 0),
            write(0x15, 0x40_0000),
            read(0x15, &[0x80_5000]),
        ];
        assert_eq!(run(Config::default(), forgetful, Max30003::start), Err(Fault::Stuck));
    }

    struct Broken;

    impl embedded_hal::spi::ErrorType for Broken {
        type Error = ErrorKind;
    }

    impl SpiDevice for Broken {
        fn transaction(&mut self, _: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
            Err(ErrorKind::ModeFault)
        }
    }

    #[test]
    fn a_failed_bus_is_told() {
        let started = Max30003::new(Broken, Config::default()).start();
        assert_eq!(started, Err(Fault::Spi(ErrorKind::ModeFault)));
    }

    /// "ECG FIFO Tags": 000 valid, 010 the last one, 110 empty; "ECG Data": two's complement, 0.381 uV at a gain of 20.
    #[test]
    fn samples_come_with_their_signs_up_to_the_last_one() {
        let words = [word(0, 0), word(1, 0), word(-1, 1), word(2621, 0), word(-131_072, 0), word(131_071, 2)];
        let expected = [read(0x0f, &[0x51_0000]), read(0x01, &[0x80_0000]), burst(&words)];
        let mut samples = [7; DEPTH];
        let ecg = run(Config::default(), expected, |chip| chip.drain(&mut samples));
        assert_eq!(ecg, Ok(Ecg { drained: Drained { count: 6, lost: 0 }, leads_off: false }));
        assert_eq!(samples[..7], [0, 0, 0, 1000, -50_000, 50_000, 7]);
        let config = Config { gain: Gain::X160, ..Config::default() };
        let expected = [read(0x0f, &[0x51_0000]), read(0x01, &[0]), burst(&[word(-131_072, 2)])];
        run(config, expected, |chip| chip.drain(&mut samples)).unwrap();
        assert_eq!(samples[0], -config.gain.reach());
    }

    #[test]
    fn an_empty_and_a_full_fifo() {
        let mut samples = [0; DEPTH];
        let expected = [read(0x0f, &[0x51_0000]), read(0x01, &[0]), burst(&[])];
        let ecg = run(Config::default(), expected, |chip| chip.drain(&mut samples)).unwrap();
        assert_eq!(ecg.drained, Drained::default());
        let expected = [read(0x0f, &[0x51_0000]), read(0x01, &[0]), burst(&[word(131_072 / 50, 0); DEPTH])];
        let ecg = run(Config::default(), expected, |chip| chip.drain(&mut samples)).unwrap();
        assert_eq!((ecg.drained.count, samples), (DEPTH, [1000; DEPTH]));
    }

    /// "ECG FIFO Overflow": EOVF in STATUS or the tag 111; only a FIFO_RST ends it.
    #[test]
    fn an_overflow_resets_the_fifo_and_is_told() {
        let lost = Ecg { drained: Drained { count: 0, lost: 1 }, leads_off: false };
        let in_status = [read(0x0f, &[0x51_0000]), read(0x01, &[1 << 22]), write(0x0a, 0)];
        let in_tag =
            [read(0x0f, &[0x51_0000]), read(0x01, &[0]), burst(&[word(5, 0), 0b111 << 3]), write(0x0a, 0)];
        let drain = |chip: &mut Max30003<_>| chip.drain(&mut [0; DEPTH]);
        assert_eq!(run(Config::default(), in_status, drain), Ok(lost));
        assert_eq!(run(Config::default(), in_tag, drain), Ok(lost));
    }

    /// STATUS bits 3 to 0: LDOFF_PH, LDOFF_PL, LDOFF_NH, LDOFF_NL.
    #[test]
    fn every_electrode_that_is_off_is_told() {
        for bit in 0..4 {
            let expected =
                [read(0x0f, &[0x51_0000]), read(0x01, &[1 << bit | 1 << 20]), burst(&[word(0, 2)])];
            let ecg = run(Config::default(), expected, |chip| chip.drain(&mut [0; DEPTH])).unwrap();
            assert!(ecg.leads_off && ecg.drained.count == 1);
        }
    }

    #[test]
    fn shuts_down() {
        assert_eq!(run(Config::default(), [write(0x10, 0)], Max30003::shut_down), Ok(()));
    }
}
