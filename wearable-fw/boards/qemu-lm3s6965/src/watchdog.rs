//! The watchdog: a loop that hangs for 40 s is reset. Owns its registers; only the loop feeds it.

use crate::{clock::CORE_HZ, registers::Block};

/// It resets when it has run out twice. Longer than a start with all its EEPROM pages, or an image's verification, takes.
const HALF_SECONDS: u32 = 40;

/// Starts it; it cannot be stopped again.
pub(crate) fn start() {
    Block::WATCHDOG.at(0x000).write(HALF_SECONDS * (CORE_HZ / 2));
    Block::WATCHDOG.at(0x008).write(1 << 1 | 1); // reset, count
}

/// All is well.
pub(crate) fn feed() {
    Block::WATCHDOG.at(0x00c).write(0);
}
