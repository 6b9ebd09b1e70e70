//! The messages of an established session, one enum per direction: a gateway cannot even parse what only a gateway
//! says. Each is one record; its opcode and body together are the message.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    alert::{Alert, Receipt, UnverifiedAlert, UnverifiedReceipt},
    cadence::Settings,
    codec,
    error::Fault,
    firmware::{FirmwareChunk, FirmwareOffer, FirmwareRequest, FirmwareStatus},
    group::WrappedKey,
    id::Seq,
    opcode::Opcode,
    status::DeviceStatus,
    time::UnixMillis,
    vitals::{UnverifiedBatch, VitalsBatch},
    waveform::{Waveform, WaveformRequest},
};

/// Whether this build is a patient's, to whom alerts are sent. One without their login is a wearable's: it refuses them, and
/// its image is 3 KB smaller for it.
pub(crate) const PATIENTS: bool = cfg!(feature = "elgamal");

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

/// From a client.
#[derive(Debug)]
pub enum ToGateway {
    /// VITALS.
    Vitals(UnverifiedBatch),
    /// DEVICE_STATUS.
    Status(DeviceStatus),
    /// WAVEFORM.
    Waveform(Waveform),
    /// FIRMWARE_REQUEST.
    FirmwareRequest(FirmwareRequest),
    /// FIRMWARE_STATUS.
    FirmwareStatus(FirmwareStatus),
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
            Opcode::Waveform => {
                codec::decode::<Waveform>(body).map_err(malformed)?.check().map(Self::Waveform)
            }
            Opcode::FirmwareRequest => {
                codec::decode::<FirmwareRequest>(body).map_err(malformed)?.check().map(Self::FirmwareRequest)
            }
            Opcode::FirmwareStatus => codec::decode(body).map(Self::FirmwareStatus).map_err(malformed),
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
    /// WAVEFORM.
    Waveform(&'a Waveform),
    /// FIRMWARE_REQUEST.
    FirmwareRequest(FirmwareRequest),
    /// FIRMWARE_STATUS.
    FirmwareStatus(FirmwareStatus),
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
            Self::Waveform(waveform) => (Opcode::Waveform, codec::encode(waveform)),
            Self::FirmwareRequest(request) => (Opcode::FirmwareRequest, codec::encode(request)),
            Self::FirmwareStatus(status) => (Opcode::FirmwareStatus, codec::encode(status)),
            Self::Receipt(receipt) => (Opcode::DecMsg, receipt.encode()),
            Self::Heartbeat => (Opcode::Heartbeat, Vec::new()),
            Self::Disconnect(farewell) => (Opcode::Disconnect, codec::encode(farewell)),
        }
    }
}

/// Body of SESSION_TOKEN.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SessionToken {
    #[serde(deserialize_with = "crate::codec::array")]
    pub(crate) token: [u8; 16],
    pub(crate) expires: UnixMillis,
}

/// What a gateway wants of a wearable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// SETTINGS: store them, obey, and answer with DEVICE_STATUS.
    Settings(Settings),
    /// WAVEFORM_REQUEST: send the signal, or stop.
    Waveform(WaveformRequest),
    /// FIRMWARE_OFFER: fetch the image if it is for this device and newer, else say why not.
    Offer(FirmwareOffer),
    /// FIRMWARE_CHUNK: a piece that was asked for.
    Chunk(FirmwareChunk),
}

impl Instruction {
    fn decode(opcode: Opcode, body: &[u8]) -> Result<Option<Self>, Fault> {
        let malformed = |_| Fault::PeerMalformed(opcode);
        Ok(Some(match opcode {
            Opcode::Settings => Self::Settings(codec::decode(body).map_err(malformed)?),
            Opcode::WaveformRequest => {
                Self::Waveform(codec::decode::<WaveformRequest>(body).map_err(malformed)?.check()?)
            }
            Opcode::FirmwareOffer => {
                Self::Offer(codec::decode::<FirmwareOffer>(body).map_err(malformed)?.check()?)
            }
            Opcode::FirmwareChunk => {
                Self::Chunk(codec::decode::<FirmwareChunk>(body).map_err(malformed)?.check()?)
            }
            _ => return Ok(None),
        }))
    }

    fn encode(&self) -> (Opcode, Vec<u8>) {
        match self {
            Self::Settings(settings) => (Opcode::Settings, codec::encode(settings)),
            Self::Waveform(request) => (Opcode::WaveformRequest, codec::encode(request)),
            Self::Offer(offer) => (Opcode::FirmwareOffer, codec::encode(offer)),
            Self::Chunk(chunk) => (Opcode::FirmwareChunk, codec::encode(chunk)),
        }
    }
}

/// From a gateway.
#[derive(Debug)]
pub(crate) enum ToClient {
    Token(SessionToken),
    GroupKey(WrappedKey),
    DirectMsg(UnverifiedAlert),
    VitalsAck(Seq),
    Instruction(Instruction),
    Heartbeat(UnixMillis),
    Disconnect(Farewell),
}

impl ToClient {
    pub(crate) fn decode(opcode: Opcode, body: &[u8]) -> Result<Self, Fault> {
        let malformed = |_| Fault::PeerMalformed(opcode);
        if let Some(instruction) = Instruction::decode(opcode, body)? {
            return Ok(Self::Instruction(instruction));
        }
        match opcode {
            Opcode::SessionToken => codec::decode(body).map(Self::Token).map_err(malformed),
            Opcode::GroupKey if PATIENTS => codec::decode(body).map(Self::GroupKey).map_err(malformed),
            Opcode::DirectMsg if PATIENTS => {
                UnverifiedAlert::decode(body).map(Self::DirectMsg).map_err(malformed)
            }
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
    /// SETTINGS, WAVEFORM_REQUEST, FIRMWARE_OFFER or FIRMWARE_CHUNK, to a wearable.
    Instruction(&'a Instruction),
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
            Self::Instruction(instruction) => instruction.encode(),
            Self::Heartbeat(time) => (Opcode::Heartbeat, codec::encode(time)),
            Self::Disconnect(farewell) => (Opcode::Disconnect, codec::encode(farewell)),
        }
    }
}
