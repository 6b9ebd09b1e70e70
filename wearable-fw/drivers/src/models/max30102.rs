//! MAX30102 as its data sheet (19-7740) tells: FIFO of 32 samples of red and infrared, 18 bits, that stops or rolls over.

use alloc::collections::VecDeque;

use super::Registers;

const DEPTH: usize = 32;
const POWER_READY: u8 = 1;
const A_FULL: u8 = 1 << 7;
const RESET: u8 = 1 << 6;
const SHUTDOWN: u8 = 1 << 7;
const ROLLS_OVER: u8 = 1 << 4;
const FULL_SCALE: i32 = (1 << 18) - 1;
const RATES: [u16; 8] = [50, 100, 200, 400, 800, 1000, 1600, 3200];

/// The chip.
#[derive(Clone, Debug)]
pub struct Max30102 {
    status: u8,
    enabled: u8,
    write_pointer: u8,
    lost: u8,
    read_pointer: u8,
    fifo_configuration: u8,
    mode: u8,
    spo2: u8,
    lamps: [u8; 2],
    fifo: VecDeque<[u8; 6]>,
    /// Bytes of the oldest sample that were read.
    bytes_read: usize,
}

impl Default for Max30102 {
    fn default() -> Self {
        Self {
            status: POWER_READY,
            enabled: 0,
            write_pointer: 0,
            lost: 0,
            read_pointer: 0,
            fifo_configuration: 0,
            mode: 0,
            spo2: 0,
            lamps: [0; 2],
            fifo: VecDeque::with_capacity(DEPTH),
            bytes_read: 0,
        }
    }
}

impl Max30102 {
    /// Samples a second; 0 when it does not measure both lights, or its lamps are off.
    #[must_use]
    pub fn hz(&self) -> u16 {
        let is_on = self.mode & (SHUTDOWN | 0b111) == 0b011 && self.lamps.iter().all(|lamp| *lamp > 0);
        let hz = || RATES.get(usize::from(self.spo2 >> 2 & 0b111)).copied();
        is_on.then(hz).flatten().unwrap_or(0)
    }

    /// One sample of red and infrared light.
    pub fn convert(&mut self, counts: [i32; 2]) {
        // The converter leaves the lowest bits at 0 for shorter pulses.
        let unused = 3 - u32::from(self.spo2 & 0b11);
        let [[_, r2, r1, r0], [_, i2, i1, i0]] =
            counts.map(|counts| (counts.clamp(0, FULL_SCALE) >> unused << unused).to_be_bytes());
        if self.fifo.len() == DEPTH {
            if self.fifo_configuration & ROLLS_OVER == 0 {
                self.lost = (self.lost + 1).min(0x1f);
                return;
            }
            self.pop();
        }
        self.fifo.push_back([r2, r1, r0, i2, i1, i0]);
        self.write_pointer = (self.write_pointer + 1) & 0x1f;
        if self.fifo.len() == DEPTH - usize::from(self.fifo_configuration & 0xf) {
            self.status |= A_FULL & self.enabled;
        }
    }

    fn pop(&mut self) {
        self.fifo.pop_front();
        self.read_pointer = (self.read_pointer + 1) & 0x1f;
        (self.bytes_read, self.lost) = (0, 0);
    }

    /// FIFO_DATA; an empty FIFO gives zeros.
    fn data(&mut self) -> u8 {
        let byte = self.fifo.front().and_then(|sample| sample.get(self.bytes_read)).copied();
        self.bytes_read += 1;
        if self.bytes_read == 6 {
            self.pop();
        }
        byte.unwrap_or(0)
    }
}

impl Registers for Max30102 {
    fn write(&mut self, pointer: u8, at: u8, value: u8) {
        match pointer.wrapping_add(at) {
            0x02 => self.enabled = value,
            0x08 => self.fifo_configuration = value,
            0x09 if value & RESET != 0 => *self = Self::default(),
            0x09 => self.mode = value,
            0x0a => self.spo2 = value,
            0x0c => self.lamps[0] = value,
            0x0d => self.lamps[1] = value,
            _ => {}
        }
    }

    fn read(&mut self, pointer: u8, at: u8) -> u8 {
        match (pointer, pointer.wrapping_add(at)) {
            (0x07, _) => self.data(),
            (_, 0x00) => core::mem::take(&mut self.status),
            (_, 0x02) => self.enabled,
            (_, 0x04) => self.write_pointer,
            (_, 0x05) => self.lost,
            (_, 0x06) => self.read_pointer,
            (_, 0x08) => self.fifo_configuration,
            (_, 0x09) => self.mode,
            (_, 0x0a) => self.spo2,
            (_, 0x0c) => self.lamps[0],
            (_, 0x0d) => self.lamps[1],
            (_, 0xff) => 0x15,
            _ => 0,
        }
    }
}
