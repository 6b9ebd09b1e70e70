//! TMP105 as its data sheet (SBOS648) tells: 9 to 12 bits, measuring all the time or when it is told to.

use super::Registers;

const SHUTDOWN: u8 = 1;
const ONE_SHOT: u8 = 1 << 7;

/// The chip.
#[derive(Clone, Debug, Default)]
pub struct Tmp105 {
    configuration: u8,
    /// Of its surroundings, 1/16 C.
    felt: i16,
    measured: i16,
}

impl Tmp105 {
    /// The temperature of its surroundings from now on, 0.01 C.
    pub fn feel(&mut self, hundredths: i16) {
        let sixteenths = (i32::from(hundredths) * 16 + 50).div_euclid(100);
        self.felt = i16::try_from(sixteenths.clamp(-2048, 2047)).unwrap_or(0);
        if self.configuration & SHUTDOWN == 0 {
            self.measured = self.felt;
        }
    }
}

impl Registers for Tmp105 {
    fn write(&mut self, pointer: u8, _: u8, value: u8) {
        if pointer & 0b11 == 1 {
            if value & (SHUTDOWN | ONE_SHOT) != SHUTDOWN {
                self.measured = self.felt;
            }
            self.configuration = value & !ONE_SHOT;
        }
    }

    fn read(&mut self, pointer: u8, at: u8) -> u8 {
        let unused = 3 - (self.configuration >> 5 & 0b11);
        let word = (self.measured >> unused << unused << 4).to_be_bytes();
        match pointer & 0b11 {
            0 => word.get(usize::from(at)).copied().unwrap_or(0xff),
            1 => self.configuration,
            _ => 0,
        }
    }
}
