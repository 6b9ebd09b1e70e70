//! The messages of an established session, one enum per direction: a gateway cannot even parse what only a gateway
//! says. Each is one record; its opcode and body together are the message.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    alert::{Alert, Receipt, UnverifiedAlert, UnverifiedReceipt},
    codec,
    error::Fault,
    group::WrappedKey,
    id::Seq,
    opcode::Opcode,
    time::UnixMillis,
    vitals::{Cadence, UnverifiedBatch, VitalsBatch},
};

/// Longest name of a firmware, in bytes.
pub const MAX_FIRMWARE: usize = 32;

/// Why a session ends on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Farewell {
    /// The doctor ended it; the patient's client stays out until its person asks to return.
    EndedByDoctor,
    /// The patient left on purpose; no silence alarm.
    EndedByPatient,
    /// The program ends or restarts; reconnect.
    Shutdown,
    /// The same client opened a newer session.
    Displaced,
    /// The client was revoked.
    Revoked,
    /// The session has lived its time; resume.
    Spent,
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndedByDoctor => "ended by the doctor",
            Self::EndedByPatient => "ended by the patient",
            Self::Shutdown => "the other side shuts down",
            Self::Displaced => "a newer session of the same client",
            Self::Revoked => "revoked",
            Self::Spent => "the session has lived its time",
        })
    }
}

impl Farewell {
    /// Whether a client may end a session for this reason; the others are the gateway's.
    const fn may_come_from_client(self) -> bool {
        matches!(self, Self::EndedByPatient | Self::Shutdown | Self::Spent)
    }
}

/// What a wearable tells about itself, after login and when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// How often it measures and sends; the gateway sets its age limit by it.
    pub cadence: Cadence,
    /// Charge in percent, if it knows.
    pub battery: Option<u8>,
    /// Firmware name and version: at most 32 printable ASCII characters and spaces.
    pub firmware: String,
}

impl DeviceStatus {
    fn check(self) -> Result<Self, Fault> {
        let printable = self.firmware.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if self.firmware.len() > MAX_FIRMWARE
            || !printable
            || self.battery.is_some_and(|percent| percent > 100)
        {
            return Err(Fault::PeerLimit("firmware is at most 32 printable characters, a battery 0 to 100"));
        }
        Ok(self)
    }
}

/// From a client.
#[derive(Debug)]
pub enum ToGateway {
    /// VITALS.
    Vitals(UnverifiedBatch),
    /// DEVICE_STATUS.
    Status(DeviceStatus),
    /// DEC_MSG.
    Receipt(UnverifiedReceipt),
    /// HEARTBEAT.
    Heartbeat,
    /// DISCONNECT.
    Disconnect(Farewell),
}

impl ToGateway {
    pub(crate) fn decode(opcode: Opcode, body: &[u8]) -> Result<Self, Fault> {
        let malformed = |_| Fault::PeerMalformed(opcode);
        match opcode {
            Opcode::Vitals => UnverifiedBatch::decode(body).map(Self::Vitals).map_err(malformed),
            Opcode::DeviceStatus => {
                codec::decode::<DeviceStatus>(body).map_err(malformed)?.check().map(Self::Status)
            }
            Opcode::DecMsg => UnverifiedReceipt::decode(body).map(Self::Receipt).map_err(malformed),
            Opcode::Heartbeat if body.is_empty() => Ok(Self::Heartbeat),
            Opcode::Disconnect => match codec::decode::<Farewell>(body).map_err(malformed)? {
                farewell if farewell.may_come_from_client() => Ok(Self::Disconnect(farewell)),
                _ => Err(Fault::PeerLimit("a client ends its own session, for its own reasons")),
            },
            _ => Err(Fault::PeerOutOfOrder { opcode, state: "in session" }),
        }
    }
}

/// What a client says; the sending form of [`ToGateway`].
#[derive(Debug)]
pub enum FromClient<'a> {
    /// VITALS.
    Vitals(&'a VitalsBatch),
    /// DEVICE_STATUS.
    Status(&'a DeviceStatus),
    /// DEC_MSG.
    Receipt(&'a Receipt),
    /// HEARTBEAT.
    Heartbeat,
    /// DISCONNECT.
    Disconnect(Farewell),
}

impl FromClient<'_> {
    pub(crate) fn encode(&self) -> (Opcode, Vec<u8>) {
        match self {
            Self::Vitals(batch) => (Opcode::Vitals, batch.encode()),
            Self::Status(status) => (Opcode::DeviceStatus, codec::encode(status)),
            Self::Receipt(receipt) => (Opcode::DecMsg, receipt.encode()),
            Self::Heartbeat => (Opcode::Heartbeat, Vec::new()),
            Self::Disconnect(farewell) => (Opcode::Disconnect, codec::encode(farewell)),
        }
    }
}

/// Body of SESSION_TOKEN.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SessionToken {
    pub(crate) token: [u8; 16],
    pub(crate) expires: UnixMillis,
}

/// From a gateway.
#[derive(Debug)]
pub(crate) enum ToClient {
    Token(SessionToken),
    GroupKey(WrappedKey),
    DirectMsg(UnverifiedAlert),
    VitalsAck(Seq),
    Heartbeat(UnixMillis),
    Disconnect(Farewell),
}

impl ToClient {
    pub(crate) fn decode(opcode: Opcode, body: &[u8]) -> Result<Self, Fault> {
        let malformed = |_| Fault::PeerMalformed(opcode);
        match opcode {
            Opcode::SessionToken => codec::decode(body).map(Self::Token).map_err(malformed),
            Opcode::GroupKey => codec::decode(body).map(Self::GroupKey).map_err(malformed),
            Opcode::DirectMsg => UnverifiedAlert::decode(body).map(Self::DirectMsg).map_err(malformed),
            Opcode::VitalsAck => codec::decode(body).map(Self::VitalsAck).map_err(malformed),
            Opcode::Heartbeat => codec::decode(body).map(Self::Heartbeat).map_err(malformed),
            Opcode::Disconnect => codec::decode(body).map(Self::Disconnect).map_err(malformed),
            _ => Err(Fault::PeerOutOfOrder { opcode, state: "in session" }),
        }
    }
}

/// What a gateway says.
pub enum FromGateway<'a> {
    /// SESSION_TOKEN: the token, and when it expires.
    Token([u8; 16], UnixMillis),
    /// GROUP_KEY.
    GroupKey(&'a WrappedKey),
    /// DIRECT_MSG.
    DirectMsg(&'a Alert),
    /// VITALS_ACK: everything up to this number is committed.
    VitalsAck(Seq),
    /// HEARTBEAT, with the gateway's clock.
    Heartbeat(UnixMillis),
    /// DISCONNECT.
    Disconnect(Farewell),
}

// By hand: a token must not be printed.
impl fmt::Debug for FromGateway<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FromGateway({:?})", self.encode().0)
    }
}

impl FromGateway<'_> {
    pub(crate) fn encode(&self) -> (Opcode, Vec<u8>) {
        match self {
            Self::Token(token, expires) => {
                (Opcode::SessionToken, codec::encode(&SessionToken { token: *token, expires: *expires }))
            }
            Self::GroupKey(key) => (Opcode::GroupKey, codec::encode(key)),
            Self::DirectMsg(alert) => (Opcode::DirectMsg, alert.encode()),
            Self::VitalsAck(seq) => (Opcode::VitalsAck, codec::encode(seq)),
            Self::Heartbeat(time) => (Opcode::Heartbeat, codec::encode(time)),
            Self::Disconnect(farewell) => (Opcode::Disconnect, codec::encode(farewell)),
        }
    }
}
