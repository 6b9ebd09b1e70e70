//! MPU-6050 as its register map (RM-MPU-6000A-00) tells: acceleration in a FIFO of 1024 bytes that writes over its oldest.

use alloc::collections::VecDeque;

use super::Registers;

const BYTES: usize = 1024;
const SLEEP: u8 = 1 << 6;
const FIFO_OVERFLOW: u8 = 1 << 4;
const FIFO_ON: u8 = 1 << 6;
const FIFO_RESET: u8 = 1 << 2;
const ACCELERATION: u8 = 1 << 3;

/// The chip.
#[derive(Clone, Debug)]
pub struct Mpu6050 {
    divider: u8,
    low_pass: u8,
    range: u8,
    fifo_enable: u8,
    status: u8,
    user_control: u8,
    power: [u8; 2],
    temperature: i16,
    fifo: VecDeque<u8>,
}

impl Default for Mpu6050 {
    fn default() -> Self {
        Self {
            divider: 0,
            low_pass: 0,
            range: 0,
            fifo_enable: 0,
            status: 0,
            user_control: 0,
            power: [SLEEP, 0],
            temperature: 0,
            fifo: VecDeque::new(),
        }
    }
}

impl Mpu6050 {
    /// Samples a second; 0 while it sleeps.
    #[must_use]
    pub fn hz(&self) -> u16 {
        // Without its low-pass the clock of the samples is 8 kHz.
        let clock = if matches!(self.low_pass & 0b111, 0 | 7) { 8000 } else { 1000 };
        if self.power[0] & SLEEP == 0 { clock / (1 + u16::from(self.divider)) } else { 0 }
    }

    /// Its own temperature from now on, 0.01 C.
    pub fn warm(&mut self, hundredths: i16) {
        let counts = ((i32::from(hundredths) - 3653) * 340 + 50).div_euclid(100);
        self.temperature = i16::try_from(counts).unwrap_or(i16::MAX);
    }

    /// One sample of x, y and z in mg.
    pub fn convert(&mut self, milli_g: [i32; 3]) {
        if self.user_control & FIFO_ON == 0 || self.fifo_enable & ACCELERATION == 0 {
            return;
        }
        let counts_per_g = 16_384 >> (self.range >> 3 & 0b11);
        for axis in milli_g {
            let counts = (axis * counts_per_g + 500).div_euclid(1000);
            let ends = [i16::MIN, i16::MAX].map(i32::from);
            let counts = i16::try_from(counts.clamp(ends[0], ends[1])).unwrap_or(0);
            self.fifo.extend(counts.to_be_bytes());
        }
        if self.fifo.len() > BYTES {
            self.fifo.drain(..self.fifo.len() - BYTES);
            self.status |= FIFO_OVERFLOW;
        }
    }
}

impl Registers for Mpu6050 {
    fn write(&mut self, pointer: u8, at: u8, value: u8) {
        match pointer.wrapping_add(at) {
            0x19 => self.divider = value,
            0x1a => self.low_pass = value,
            0x1c => self.range = value,
            0x23 => self.fifo_enable = value,
            0x6a => {
                if value & FIFO_RESET != 0 && value & FIFO_ON == 0 {
                    self.fifo.clear();
                }
                self.user_control = value & !FIFO_RESET;
            }
            0x6b => self.power[0] = value,
            0x6c => self.power[1] = value,
            _ => {}
        }
    }

    fn read(&mut self, pointer: u8, at: u8) -> u8 {
        let [count_high, count_low] = u16::try_from(self.fifo.len()).unwrap_or(0).to_be_bytes();
        let [temperature_high, temperature_low] = self.temperature.to_be_bytes();
        match (pointer, pointer.wrapping_add(at)) {
            (0x74, _) => self.fifo.pop_front().unwrap_or(0),
            (_, 0x3a) => core::mem::take(&mut self.status),
            (_, 0x41) => temperature_high,
            (_, 0x42) => temperature_low,
            (_, 0x6b) => self.power[0],
            (_, 0x6c) => self.power[1],
            (_, 0x72) => count_high,
            (_, 0x73) => count_low,
            (_, 0x75) => 0x68,
            _ => 0,
        }
    }
}
