//! What a device tells whoever looks on: a screen, a log, a UART. Nothing depends on its being read.

use alloc::{collections::VecDeque, string::String};

use protocol::{
    cadence::Settings,
    credential::Suite,
    firmware::FirmwareStatus,
    id::{DoctorId, GatewayId, Seq, SessionId},
    pairing::code::PairingCode,
    waveform::WaveformRequest,
};

use crate::{mode::Mode, uplink::Gap};

/// Most events that wait to be read; later ones are counted.
const MOST: usize = 32;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The state changed.
    Mode {
        /// From this.
        from: Mode,
        /// To this.
        to: Mode,
    },
    /// The pairing window is open: show this code, a person enters it at the gateway.
    Code(PairingCode),
    /// A gateway granted a binding; it counts when it has proved itself by a login.
    Granted {
        /// Its doctor.
        doctor: DoctorId,
        /// Its installation.
        gateway: GatewayId,
    },
    /// The new binding proved itself and is written down.
    Bound {
        /// Its doctor.
        doctor: DoctorId,
        /// Its installation.
        gateway: GatewayId,
    },
    /// A session.
    Session {
        /// Which.
        session: SessionId,
        /// Its suite.
        suite: Suite,
        /// Whether a ticket opened it.
        resumed: bool,
        /// With whom.
        doctor: DoctorId,
    },
    /// The gateway has everything up to here.
    Acknowledged(Seq),
    /// Samples were given up for want of room; or, behind [`Self::Storage`], because they cannot be read.
    Lost(Gap),
    /// No session any more, or no connection: why.
    Disconnected(String),
    /// Something was refused, by whom and what to do next. Who refused before a session is not proved.
    Refused(String),
    /// The flash failed, and what that means.
    Storage(String),
    /// The button was held for the factory reset: confirm it within 30 s.
    ResetAsked,
    /// Keys, bindings and samples are erased.
    ResetDone,
    /// The gateway changed the cadence.
    Settings(Settings),
    /// The gateway wants to see a signal, or no longer.
    Waveform(WaveformRequest),
    /// How far an update has come.
    Update(FirmwareStatus),
    /// An image is ready: start again, into the bootloader.
    Restart,
    /// So many events were not read in time.
    Missed(u32),
}

#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: VecDeque<Event>,
    missed: u32,
}

impl Events {
    pub(super) fn tell(&mut self, event: Event) {
        if self.waiting.len() < MOST {
            self.waiting.push_back(event);
        } else {
            self.missed = self.missed.saturating_add(1);
        }
    }

    pub(super) fn poll(&mut self) -> Option<Event> {
        if let Some(event) = self.waiting.pop_front() {
            return Some(event);
        }
        match core::mem::take(&mut self.missed) {
            0 => None,
            missed => Some(Event::Missed(missed)),
        }
    }
}
