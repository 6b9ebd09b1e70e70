//! An open pairing window: ten minutes, one code, three tries. Knows no connection.

use core::time::Duration;

use protocol::{pairing::code::PairingCode, time::Monotonic};
use rand_core::CryptoRng;

/// How long a window is open.
pub const WINDOW: Duration = Duration::from_secs(600);
/// Between two tries in a window: a person is on the way with the code.
pub const CODE_INTERVAL: Duration = Duration::from_secs(2);
/// Tries that told whoever answered enough to test one guess of the code.
pub const TRIES: u8 = 3;

#[derive(Debug)]
pub(super) struct Window {
    /// Made and shown here.
    own: PairingCode,
    /// The gateway's, entered here; goes before the own one.
    entered: Option<PairingCode>,
    pub(super) until: Monotonic,
    pub(super) tries_left: u8,
}

impl Window {
    pub(super) fn open(now: Monotonic, rng: &mut impl CryptoRng) -> Self {
        Self { own: PairingCode::generate(rng), entered: None, until: now + WINDOW, tries_left: TRIES }
    }

    pub(super) const fn own(&self) -> PairingCode {
        self.own
    }

    pub(super) fn code(&self) -> PairingCode {
        self.entered.unwrap_or(self.own)
    }

    pub(super) const fn enter(&mut self, code: PairingCode) {
        self.entered = Some(code);
    }

    /// This code is no good. If it was the entered one, the own one is tried again; tells so.
    pub(super) fn forget(&mut self, code: PairingCode) -> bool {
        self.entered.take_if(|entered| *entered == code).is_some()
    }

    pub(super) fn is_over(&self, now: Monotonic) -> bool {
        now >= self.until || self.tries_left == 0
    }
}
