//! MAX30003 as its data sheet (19-8558) tells: a FIFO of 32 words of 18 bits with tags, that stops when it is full.

use alloc::collections::VecDeque;

const DEPTH: usize = 32;
const EN_ECG: u32 = 1 << 19;
const EN_DCLOFF: u32 = 0b01 << 12;
const EOVF: u32 = 1 << 22;
const DCLOFFINT: u32 = 1 << 20;
const LDOFF_PH: u32 = 1 << 3;
const LDOFF_NL: u32 = 1;
const INFORMATION: u32 = 0x51_0000;
const LAST: u32 = 0b010;
const EMPTY: u32 = 0b110;
const OVERFLOW: u32 = 0b111;
const ENDS: [i64; 2] = [-(1 << 17), (1 << 17) - 1];

/// The chip.
#[derive(Clone, Debug, Default)]
pub struct Max30003 {
    general: u32,
    multiplexer: u32,
    ecg: u32,
    fifo: VecDeque<u32>,
    has_overflowed: bool,
    leads_are_off: bool,
}

impl Max30003 {
    /// Samples a second with its 32.768 kHz clock; 0 while it is off.
    #[must_use]
    pub const fn hz(&self) -> u16 {
        match (self.general & EN_ECG, self.ecg >> 22) {
            (0, _) => 0,
            (_, 0) => 512,
            (_, 1) => 256,
            _ => 128,
        }
    }

    /// The electrodes from now on.
    pub const fn set_leads_off(&mut self, are_off: bool) {
        self.leads_are_off = are_off;
    }

    /// One sample in microvolt between the electrodes.
    pub fn convert(&mut self, microvolt: i32) {
        if self.fifo.len() == DEPTH {
            self.has_overflowed = true;
            return;
        }
        let gain = 20_i64 << (self.ecg >> 16 & 0b11);
        let counts = (i64::from(microvolt) * (gain << 17) + 500_000).div_euclid(1_000_000);
        let [lowest, highest] = ENDS;
        let counts = u32::try_from(counts.clamp(lowest, highest) & 0x3_ffff).unwrap_or(0);
        self.fifo.push_back(counts << 6);
    }

    /// Chip select goes low.
    #[must_use]
    pub const fn select(&mut self) -> Transfer<'_> {
        Transfer { chip: self, command: None, word: 0, bytes: 0 }
    }

    fn status(&self) -> u32 {
        let off = self.leads_are_off && self.general & (EN_ECG | 0b11 << 12) == EN_ECG | EN_DCLOFF;
        let leads = if off { DCLOFFINT | LDOFF_PH | LDOFF_NL } else { 0 };
        leads | if self.has_overflowed { EOVF } else { 0 }
    }

    fn empty(&mut self) {
        self.fifo.clear();
        self.has_overflowed = false;
    }

    fn write(&mut self, register: u8, value: u32) {
        match register {
            0x08 => *self = Self { leads_are_off: self.leads_are_off, ..Self::default() },
            0x09 | 0x0a => self.empty(),
            0x10 => self.general = value,
            0x14 => self.multiplexer = value,
            0x15 => self.ecg = value,
            _ => {}
        }
    }

    fn read(&mut self, register: u8) -> u32 {
        match register {
            0x01 => self.status(),
            0x0f => INFORMATION,
            0x10 => self.general,
            0x14 => self.multiplexer,
            0x15 => self.ecg,
            0x20 | 0x21 if self.has_overflowed => OVERFLOW << 3,
            0x20 | 0x21 => match self.fifo.pop_front() {
                Some(word) if self.fifo.is_empty() => word | LAST << 3,
                Some(word) => word,
                None => EMPTY << 3,
            },
            _ => 0,
        }
    }
}

/// One transfer: a command byte, then words of three bytes.
#[derive(Debug)]
pub struct Transfer<'a> {
    chip: &'a mut Max30003,
    command: Option<u8>,
    word: u32,
    bytes: u8,
}

impl Transfer<'_> {
    /// Shifts a byte in and one out.
    pub fn byte(&mut self, sent: u8) -> u8 {
        let Some(command) = self.command else {
            self.command = Some(sent);
            return 0xff;
        };
        let (register, is_reading) = (command >> 1, command & 1 == 1);
        if is_reading && self.bytes == 0 {
            self.word = self.chip.read(register) << 8;
        }
        let [out, ..] = self.word.to_be_bytes();
        self.word = self.word << 8 | if is_reading { 0 } else { sent.into() };
        self.bytes = (self.bytes + 1) % 3;
        if !is_reading && self.bytes == 0 {
            self.chip.write(register, self.word & 0xff_ffff);
        }
        out
    }
}
