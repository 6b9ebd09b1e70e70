//! What a device tells about itself: after each login, and when something of it changes.

use protocol::{
    message::FromClient,
    status::{Battery, DeviceStatus, LinkQuality},
    time::Monotonic,
};
use rand_core::CryptoRng;

use super::Device;
use crate::{flash::Flash, proximity::Proximity};

/// With so many frames unsent a change of the status waits.
const MOST_WAITING: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Status {
    battery: Option<Battery>,
    signal_dbm: Option<i8>,
    sessions: u32,
    /// What the gateway was told last in this session.
    told: Option<DeviceStatus>,
}

impl Status {
    pub(super) fn begin_session(&mut self) {
        self.sessions = self.sessions.saturating_add(1);
        self.told = None;
    }
}

impl<F: Flash, P: Proximity, R: CryptoRng> Device<F, P, R> {
    /// The battery, as the board sees it.
    pub fn set_battery(&mut self, battery: Option<Battery>, now: Monotonic) {
        self.status.battery = battery;
        self.say_change(now);
    }

    /// Signal strength of the radio in dBm, if it is one.
    pub fn set_link_quality(&mut self, signal_dbm: Option<i8>, now: Monotonic) {
        self.status.signal_dbm = signal_dbm;
        self.say_change(now);
    }

    /// What it would tell now.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        let Status { battery, signal_dbm, sessions, .. } = self.status;
        DeviceStatus {
            cadence: self.settings().cadence(),
            battery,
            link: LinkQuality { signal_dbm, reconnects: sessions.saturating_sub(1) },
            waiting: self.uplink.waiting(),
            lost: self.uplink.lost(),
            firmware: self.setup.firmware.clone(),
            update: self.updates.status(),
        }
    }

    pub(super) const fn battery(&self) -> Option<Battery> {
        self.status.battery
    }

    pub(super) fn say_status(&mut self, now: Monotonic) {
        let status = self.status();
        self.say(&FromClient::Status(&status), now);
        self.status.told = Some(status);
    }

    /// Tells what changed, unless so much waits to be sent that it would only add to it. How many samples wait changes all
    /// the time and goes along.
    pub(super) fn say_change(&mut self, now: Monotonic) {
        self.drain();
        if !self.line.is_established() || self.outbox.len() >= MOST_WAITING {
            return;
        }
        let status = self.status();
        let told = self.status.told.as_ref();
        if told.is_none_or(|told| *told != DeviceStatus { waiting: told.waiting, ..status }) {
            self.say_status(now);
        }
    }
}
