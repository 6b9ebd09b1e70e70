//! The button on port F, pin 1, pressed when low. Owns its debouncing; knows nothing of what it means.

use crate::registers::Block;

const PIN: u32 = 1 << 1;
/// So many equal readings, one a tick, settle a change.
const STEADY: u8 = 3;

/// The button.
#[derive(Debug)]
pub(crate) struct Button {
    pressed: bool,
    changing: u8,
}

impl Button {
    /// Makes the pin an input with a pull-up. Until it was seen released it counts as pressed, so that a button that sticks
    /// at the start does nothing.
    pub(crate) fn start() -> Self {
        let port = Block::GPIO_F;
        port.at(0x510).set(PIN); // pull-up
        port.at(0x51c).set(PIN); // digital
        Self { pressed: true, changing: 0 }
    }

    /// Call once a tick; gives the new state when it has changed.
    pub(crate) fn poll(&mut self) -> Option<bool> {
        // The address masks the pins.
        let low = Block::GPIO_F.at((PIN as usize) << 2).read() & PIN == 0;
        self.changing = if low == self.pressed { 0 } else { self.changing + 1 };
        if self.changing < STEADY {
            return None;
        }
        self.changing = 0;
        self.pressed = low;
        Some(low)
    }
}
