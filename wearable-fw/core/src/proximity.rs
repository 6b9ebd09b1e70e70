//! Whether whoever wants to pair is beside the device. Asked before a pairing window opens: without it, a held button
//! (stuck, or pressed in a drawer) opens nothing. A board says how it knows.

use protocol::pairing::code::PairingCode;

/// What a board knows of the place where it is.
pub trait Proximity {
    /// Whether a person, or the gateway's tag, is within reach now.
    fn is_near(&self) -> bool;

    /// A gateway's code that came over a short-range channel since the last call. It is used in an open window only.
    fn poll_code(&mut self) -> Option<PairingCode> {
        None
    }
}

/// The plain way: the code is shown by the device or printed on it, so who reads it is beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Label;

impl Proximity for Label {
    fn is_near(&self) -> bool {
        true
    }
}

/// SIMULATED short-range channel (such as NFC): its range and the code that it carries are set by hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShortRange {
    /// Whether the other end is within reach.
    pub near: bool,
    /// What it says next, if it is within reach.
    pub code: Option<PairingCode>,
}

impl Proximity for ShortRange {
    fn is_near(&self) -> bool {
        self.near
    }

    fn poll_code(&mut self) -> Option<PairingCode> {
        if self.near { self.code.take() } else { None }
    }
}
