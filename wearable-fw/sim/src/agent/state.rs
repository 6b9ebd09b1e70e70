//! What a device tells and is told.

use std::time::Duration;

use protocol::{
    id::{DeviceId, DoctorId, GatewayId, Seq, SessionId, WearableName},
    pairing::code::PairingCode,
};
use wearable_core::uplink::Gap;

use super::Speed;
use crate::{act::Name, sampling::Step};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceEvent {
    /// Enter this code at the gateway.
    Code(PairingCode),
    /// A gateway was paired and pinned; the login follows.
    Paired {
        /// Its doctor.
        doctor: DoctorId,
        /// Its installation.
        gateway: GatewayId,
    },
    /// A session with the pinned gateway.
    Session {
        /// Which.
        session: SessionId,
        /// Whether a ticket opened it.
        resumed: bool,
        /// With whom.
        doctor: DoctorId,
    },
    /// The gateway has everything up to here.
    Acknowledged(Seq),
    /// Samples were given up for want of room.
    Lost(Gap),
    /// After a kill: numbers that will never be used. No sample is missing.
    Skipped {
        /// The first.
        first: Seq,
        /// The last.
        last: Seq,
    },
    /// The journal's end could not be read; samples in it are lost. Usually the one that was being written.
    Discarded {
        /// How many bytes.
        bytes: usize,
    },
    /// A sample could not be written down and is lost.
    NotStored(String),
    /// The gateway refused, or its word was not taken.
    Refused(String),
    /// No session any more, or no connection.
    Disconnected(String),
    /// Nobody read so many events in time.
    Missed(u64),
}

/// How the link is, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Switched off by its person.
    Off,
    /// No connection; the next try comes.
    Waiting {
        /// Why there is none.
        reason: String,
        /// The wait, from when it began.
        wait: Duration,
    },
    /// On the way to a connection.
    Connecting,
    /// Pairing.
    Pairing,
    /// Logging in.
    LoggingIn,
    /// In session.
    Online {
        /// With whom.
        doctor: DoctorId,
    },
}

/// How much of the ECG is shown, in samples: a heartbeat and a little more at 360 Hz.
pub(crate) const TRACE: usize = 400;

/// How things stand.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceState {
    /// What people call it.
    pub name: WearableName,
    /// Its UUID.
    pub id: DeviceId,
    /// The link.
    pub link: LinkState,
    /// How the last try was refused, until a try ends in another way. Nobody vouches for it.
    pub refusal: Option<String>,
    /// Whether its person lets it use the network.
    pub network: bool,
    /// What happens to the simulated patient.
    pub scenario: Name,
    /// How fast record time passes.
    pub speed: Speed,
    /// The code to enter at the gateway, while one is open.
    pub code: Option<PairingCode>,
    /// The last second.
    pub step: Option<Step>,
    /// The newest of the ECG, microvolt, at most 400 samples.
    pub trace: Vec<i32>,
    /// Its number.
    pub taken: Seq,
    /// Samples that the gateway does not have.
    pub waiting: usize,
    /// The gateway has everything up to here.
    pub acknowledged: Seq,
    /// Samples lost since the start.
    pub lost: u64,
    /// Simulated charge in percent.
    pub battery: u8,
}

impl DeviceState {
    pub(crate) const fn new(name: WearableName, id: DeviceId, scenario: Name, speed: Speed) -> Self {
        Self {
            name,
            id,
            link: LinkState::Connecting,
            refusal: None,
            network: true,
            scenario,
            speed,
            code: None,
            step: None,
            trace: Vec::new(),
            taken: Seq(0),
            waiting: 0,
            acknowledged: Seq(0),
            lost: 0,
            battery: 100,
        }
    }

    /// Another second was measured.
    pub(crate) fn pass(&mut self, step: Step) {
        self.trace.extend(&step.raw_ecg);
        self.trace.drain(..self.trace.len().saturating_sub(TRACE));
        self.step = Some(step);
    }
}
