//! SSI0, SPI mode 0, with the card's select on port D, pin 0. Owns the bus and that pin; knows nothing of what is said.

use crate::registers::Block;

const RECEIVED: u32 = 1 << 2;
/// Clock, receive, transmit on port A.
const PINS: u32 = 1 << 5 | 1 << 4 | 1 << 2;
const SELECT: u32 = 1;

/// The bus and the one chip on it.
#[derive(Debug)]
pub(crate) struct Ssi {
    bytes_per_second: usize,
}

impl Ssi {
    /// Switches the bus on, at 200 kHz, nobody selected.
    pub(crate) fn start() -> Self {
        Block::GPIO_A.at(0x420).set(PINS); // alternate function
        Block::GPIO_A.at(0x51c).set(PINS); // digital
        Block::GPIO_D.at(0x400).set(SELECT); // output
        Block::GPIO_D.at(0x51c).set(SELECT);
        select(false);
        Block::SSI0.at(0x004).write(0);
        Block::SSI0.at(0x000).write(8 - 1); // 8 bits, mode 0
        Block::SSI0.at(0x010).write(250); // of 50 MHz
        Block::SSI0.at(0x004).write(1 << 1); // master, on
        Self { bytes_per_second: 200_000 / 8 }
    }

    /// Goes on at 12.5 MHz.
    pub(crate) fn hurry(&mut self) {
        Block::SSI0.at(0x010).write(4);
        self.bytes_per_second = 12_500_000 / 8;
    }

    /// At the speed that it has.
    pub(crate) const fn bytes_per_second(&self) -> usize {
        self.bytes_per_second
    }

    /// A conversation with the chip.
    pub(crate) fn selected<T>(&mut self, talk: impl FnOnce(&mut Self) -> T) -> T {
        select(true);
        let said = talk(self);
        select(false);
        said
    }

    /// One byte each way.
    pub(crate) fn exchange(&mut self, byte: u8) -> u8 {
        Block::SSI0.at(0x008).write(byte.into());
        while Block::SSI0.at(0x00c).read() & RECEIVED == 0 {}
        Block::SSI0.at(0x008).read().to_le_bytes()[0]
    }
}

fn select(on: bool) {
    // The address masks the pins; selected is low.
    Block::GPIO_D.at((SELECT as usize) << 2).write(if on { 0 } else { SELECT });
}
