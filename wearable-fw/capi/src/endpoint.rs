//! What the C functions do, in Rust's terms. Knows no pointer.

use core::time::Duration;

use crypto::{Secret, purpose::StorageKey};
use protocol::{
    credential::ClientKind,
    firmware::Firmware,
    id::{DeviceId, WearableName},
    pairing::code::PairingCode,
    time::Monotonic,
    vitals::Quantity,
};
use rand_core::CryptoRng;
use wearable_core::{
    device::{BootError, Device, HOLD, LinkWish, RESET_HOLD, RecordError, Setup},
    flash::{Flash, Layout},
    mode::Switch,
    proximity::Label,
    uplink::Limits,
};

use crate::report::Report;

/// Bytes of a page of the caller's storage.
pub(crate) const PAGE: usize = 4096;
/// Fewest pages: 2 for the configuration, 3 for each queue of samples.
pub(crate) const LEAST_PAGES: u32 = 8;

/// Batches of this size keep a board's buffers at 2 KiB.
const LIMITS: Limits = Limits { in_flight: 4, samples_per_batch: 32, batch_bytes: 2_048 };
const REFUSED_WAIT: Duration = Duration::from_secs(60);

/// Who the device is.
pub(crate) struct Identity {
    pub(crate) id: DeviceId,
    pub(crate) name: WearableName,
    pub(crate) firmware: Firmware,
    pub(crate) storage_key: Secret<StorageKey>,
}

/// What a person wants of the device.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    /// Pair: with the gateway's code that they typed in, or with one that the device makes.
    Pair(Option<PairingCode>),
    /// The next try is now.
    Retry,
    /// Keys, binding and samples go.
    Reset,
    /// It is about to be switched off.
    Goodbye,
}

/// A device and the bytes that the caller has not taken yet.
pub(crate) struct Endpoint<F, R> {
    device: Device<F, Label, R>,
    sending: Vec<u8>,
}

impl<F: Flash, R: CryptoRng> Endpoint<F, R> {
    pub(crate) fn boot(flash: F, rng: R, identity: Identity, now_ms: u64) -> Result<Self, BootError> {
        let pages = u32::try_from(flash.capacity() / PAGE).unwrap_or(u32::MAX / 4096);
        let Identity { id, name, firmware, storage_key } = identity;
        let setup = Setup {
            id,
            name,
            firmware,
            storage_key,
            layout: layout(pages),
            limits: LIMITS,
            suites: ClientKind::Wearable.suites().to_vec(),
            switch: Switch::Working,
            tracks: Vec::new(),
            update: None,
            refused_wait: REFUSED_WAIT,
        };
        let (device, _) = Device::boot(flash, Label, rng, setup, time(now_ms))?;
        Ok(Self { device, sending: Vec::new() })
    }

    /// The person at the device did with its button what asks for this.
    pub(crate) fn act(&mut self, action: Action, now_ms: u64) {
        let now = time(now_ms);
        let pressed = |held: Duration| Monotonic(now.0.saturating_sub(millis(held)));
        match action {
            Action::Pair(code) => {
                self.device.slide(Switch::Configuration, now);
                self.device.button(true, pressed(HOLD));
                self.device.button(false, now);
                self.device.slide(Switch::Working, now);
                if let Some(code) = code {
                    self.device.enter_code(code, now);
                }
            }
            Action::Reset => {
                self.device.slide(Switch::Configuration, now);
                self.device.button(true, pressed(RESET_HOLD));
                // It asks, and whoever called has asked the person.
                self.device.handle_timeout(now);
                self.device.button(false, now);
                self.device.confirm(now);
                self.device.slide(Switch::Working, now);
            }
            Action::Retry => self.device.retry(now),
            Action::Goodbye => self.device.shut_down(now),
        }
    }

    pub(crate) fn link(&mut self, up: bool, now_ms: u64) {
        if up {
            self.sending.clear();
            self.device.handle_connected(time(now_ms));
        } else {
            self.device.handle_closed(time(now_ms));
        }
    }

    pub(crate) fn receive(&mut self, bytes: &[u8], now_ms: u64) {
        self.device.handle_bytes(bytes, time(now_ms));
    }

    /// Fills `buffer` as far as there is something to send.
    pub(crate) fn send(&mut self, buffer: &mut [u8]) -> usize {
        while self.sending.len() < buffer.len()
            && let Some(more) = self.device.poll_transmit()
        {
            self.sending.extend(more);
        }
        let count = buffer.len().min(self.sending.len());
        buffer.iter_mut().zip(self.sending.drain(..count)).for_each(|(byte, next)| *byte = next);
        count
    }

    /// Does what is due; what is wished of the connection, and when to come again.
    pub(crate) fn tick(&mut self, now_ms: u64) -> (LinkWish, Option<u64>) {
        let now = time(now_ms);
        if self.device.poll_timeout().is_some_and(|due| due <= now) {
            self.device.handle_timeout(now);
        }
        let wish = self.device.poll_link(now);
        (wish, self.device.poll_timeout().map(|due| due.0.saturating_sub(SHIFT)))
    }

    /// Keeps a sample; its number.
    pub(crate) fn push(
        &mut self,
        quantities: Vec<Quantity>,
        simulated: bool,
        now_ms: u64,
    ) -> Result<u64, RecordError> {
        self.device.record(quantities, simulated, time(now_ms))?;
        Ok(self.device.uplink().taken().0)
    }

    pub(crate) fn event(&mut self) -> Option<Report> {
        self.device.poll_event().map(Report::from)
    }
}

/// The caller's time begins so late that a button can have been held before it.
const SHIFT: u64 = millis(RESET_HOLD);

const fn millis(duration: Duration) -> u64 {
    duration.as_secs() * 1_000
}

const fn time(now_ms: u64) -> Monotonic {
    Monotonic(now_ms.saturating_add(SHIFT))
}

/// Two pages for the configuration, a quarter of the rest for thinned samples.
fn layout(pages: u32) -> Layout {
    const PAGE_U32: u32 = 4096;
    let thinned = (pages.saturating_sub(2) / 4).max(3);
    let [configuration, first, end] = [2, 2 + thinned, pages].map(|page| page.saturating_mul(PAGE_U32));
    Layout { config: 0..configuration, thinned: configuration..first, samples: first..end }
}
