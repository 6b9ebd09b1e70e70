//! Every message codec by name, for fuzzers. They reach those of sealed parts, too, where no stranger's bytes come.

use alloc::vec::Vec;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    alert::{Claim, Content},
    cadence::Settings,
    codec,
    error::Refusal,
    firmware::{FirmwareChunk, FirmwareOffer, FirmwareRequest, FirmwareStatus},
    group::{Header, WrappedKey},
    handshake::{
        ClientProof, GatewayProof, Hello, HelloReply,
        resume::{Resume, ResumeReply},
    },
    id::Seq,
    message::{Farewell, SessionToken},
    pairing::{Enrol, Grant, Reply, Signed, Start},
    status::DeviceStatus,
    time::UnixMillis,
    vitals::UnverifiedBatch,
    waveform::{Waveform, WaveformRequest},
};

/// Decodes bytes that are wholly one value, and encodes it again.
pub type Recode = fn(&[u8]) -> Option<Vec<u8>>;

/// What crosses the wire, with the bodies of sealed parts.
pub const CODECS: &[(&str, Recode)] = &[
    ("HELLO", recode::<Hello>),
    ("HELLO_REPLY, clear part", recode::<HelloReply>),
    ("HELLO_REPLY, sealed part", recode::<GatewayProof>),
    ("KEY_VERIFICATION", recode::<ClientProof>),
    ("RESUME without its MAC", recode::<Resume>),
    ("RESUME_REPLY without its MAC", recode::<ResumeReply>),
    ("PAIR_START", recode::<Start>),
    ("PAIR_REPLY", recode::<Reply>),
    ("PAIR_ENROL, sealed part", recode::<Signed<Enrol>>),
    ("PAIR_GRANT, sealed part", recode::<Signed<Grant>>),
    ("SESSION_TOKEN", recode::<SessionToken>),
    ("GROUP_KEY", recode::<WrappedKey>),
    ("ENC_MSG, header", recode::<Header>),
    ("alert without its signature", recode::<Content>),
    ("receipt without its signature", recode::<Claim>),
    ("DISCONNECT", recode::<Farewell>),
    ("VITALS", |bytes| Some(UnverifiedBatch::decode(bytes).ok()?.verify().ok()?.encode())),
    ("VITALS_ACK", recode::<Seq>),
    ("DEVICE_STATUS", recode::<DeviceStatus>),
    ("SETTINGS", recode::<Settings>),
    ("WAVEFORM_REQUEST", recode::<WaveformRequest>),
    ("WAVEFORM", recode::<Waveform>),
    ("FIRMWARE_OFFER", recode::<FirmwareOffer>),
    ("FIRMWARE_REQUEST", recode::<FirmwareRequest>),
    ("FIRMWARE_CHUNK", recode::<FirmwareChunk>),
    ("FIRMWARE_STATUS", recode::<FirmwareStatus>),
    ("HEARTBEAT", recode::<UnixMillis>),
    ("ERROR", recode::<Refusal>),
];

fn recode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    codec::decode::<T>(bytes).ok().map(|value| codec::encode(&value))
}
