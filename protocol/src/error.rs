//! What can go wrong in the conversation, by blame, and the single place that decides how much of it the peer is
//! told. A [`Fault`] stays on this machine (log, audit, `gateway refusals`); a [`Refusal`] crosses the wire.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    frame::FrameError,
    opcode::Opcode,
    time::{Readable, UnixMillis},
};

/// Bytes that are not the value they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed bytes")]
pub struct Malformed;

/// Which check failed. Any of these ends the conversation, except those that a client may answer with a full login.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The peer's bytes are no frame.
    #[error("peer sent bytes that are no frame: {0}")]
    PeerFrame(#[from] FrameError),
    /// A frame's body is not what its opcode says.
    #[error("peer sent a malformed {0:?}")]
    PeerMalformed(Opcode),
    /// A known opcode that has no place in this state.
    #[error("peer sent {opcode:?} while {state}")]
    PeerOutOfOrder {
        /// What came.
        opcode: Opcode,
        /// What this side was doing.
        state: &'static str,
    },
    /// A record did not open: altered, replayed, reordered, or under another key.
    #[error("a {0:?} record did not open under the session's key")]
    PeerRecord(Opcode),
    /// A value is outside its documented bounds.
    #[error("peer broke a limit: {0}")]
    PeerLimit(&'static str),
    /// Another version of the protocol.
    #[error("peer speaks version {0}")]
    PeerVersion(u8),
    /// None of the peer's suites may be used by its kind of client on this channel.
    #[error("no suite offered may be used on this port")]
    PeerSuite,
    /// The gateway takes only wearables whose recordings stay closed to a later quantum computer.
    #[error("wearable's key exchange is not post-quantum, which this gateway requires")]
    DeniedNotPostQuantum,
    /// The peer was silent too long.
    #[error("peer was silent for {}", Readable(*.0))]
    PeerSilent(Duration),
    /// The login was not complete in time.
    #[error("login not complete in time")]
    PeerSlow,
    /// The client looks for another gateway (a wrong doctor id).
    #[error("client looks for another gateway")]
    DeniedOtherGateway,
    /// The client's clock differs too much from ours.
    #[error("client clock differs by {}, {} are allowed", Readable(.client.abs_diff(*.gateway)), Readable(*.tolerance))]
    DeniedClock {
        /// The client's timestamp.
        client: UnixMillis,
        /// Our time when it came.
        gateway: UnixMillis,
        /// The largest difference allowed.
        tolerance: Duration,
    },
    /// A login message that was used before.
    #[error("login message replayed")]
    DeniedReplay,
    /// No client of this id is enrolled.
    #[error("no client of this id is enrolled")]
    DeniedUnknown,
    /// The client's key is not the enrolled one.
    #[error("client key is not the enrolled one")]
    DeniedKey,
    /// A signature or a confirmation failed. Nothing tells more.
    #[error("proof failed")]
    DeniedProof,
    /// The token is unknown, used, expired or revoked.
    #[error("session token unknown, used, expired or revoked")]
    DeniedToken,
    /// No open offer has this code.
    #[error("no open pairing offer has this code")]
    DeniedCodeUnknown,
    /// The code is wrong.
    #[error("wrong pairing code, {tries_left} tries left")]
    DeniedCodeWrong {
        /// Guesses that remain for this offer.
        tries_left: u8,
    },
    /// The code was made for another patient or another kind of client.
    #[error("pairing code was made for another patient or kind of client")]
    DeniedCodeForAnother,
    /// The patient is paired with another computer and the offer does not replace it.
    #[error("patient is paired with another computer")]
    DeniedPairedElsewhere {
        /// When that computer was paired.
        since: UnixMillis,
        /// When it was last connected.
        last_seen: Option<UnixMillis>,
    },
    /// Too many logins at once, or from this source.
    #[error("too many logins")]
    DeniedBusy,
    /// The gateway does not prove to be the pinned one.
    #[error("this is not the gateway that was paired")]
    DeniedGateway,
    /// A record counter or the life of a session came to its end.
    #[error("session has lived its time")]
    LocalSessionSpent,
    /// What this side wants to say does not fit into a record.
    #[error("a message is longer than a record may be")]
    LocalTooLong,
    /// This side cannot store what it must store before it may answer.
    #[error("storage is not available")]
    LocalStorage,
    /// The peer does not read, and its queue is full.
    #[error("peer does not read; its queue is full")]
    PeerNotReading,
    /// The gateway refused; it told this much.
    #[error("{0}")]
    Refused(Refusal),
}

/// What the gateway tells a client that it refuses. Each says what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Refusal {
    /// The client speaks another version.
    #[error("the gateway speaks protocol version {supported}; install the matching version of this program")]
    Version {
        /// The version that the gateway speaks.
        supported: u8,
    },
    /// No common suite, or the wrong port for this kind of client.
    #[error("the gateway does not take this kind of login here; patients and wearables have different ports")]
    Suite,
    /// Another gateway was asked for.
    #[error("another gateway answers at this address; check --doctor_id and --gateway")]
    OtherGateway,
    /// Not enrolled, or with another key, or revoked; these look the same on purpose.
    #[error(
        "this computer is not paired with the gateway; ask the clinic for a code and start with --pair CODE"
    )]
    NotPaired,
    /// The clocks differ too much.
    #[error(
        "the clocks differ by {} and {} are allowed; set this computer's clock (sudo timedatectl set-ntp true)",
        Readable(.client.abs_diff(*.gateway)), Readable(Duration::from_millis(u64::from(*.tolerance_ms)))
    )]
    Clock {
        /// What the client said.
        client: UnixMillis,
        /// The gateway's time.
        gateway: UnixMillis,
        /// The largest difference allowed, in milliseconds.
        tolerance_ms: u32,
    },
    /// The token cannot be used; a full login can.
    #[error("the session cannot be resumed; a full login follows")]
    Token,
    /// No open offer has this code.
    #[error("this code is not open: wrong, used or expired; ask the clinic for a new one")]
    CodeUnknown,
    /// Wrong code.
    #[error("wrong code; {tries_left} tries left{}", if *.tries_left == 0 { "; ask the clinic for a new one" } else { "" })]
    CodeWrong {
        /// Guesses that remain.
        tries_left: u8,
    },
    /// A code for somebody else.
    #[error(
        "this code was made for another patient or kind of device; leave --id out, or ask the clinic for the right code"
    )]
    CodeForAnother,
    /// Another computer holds this patient's place.
    #[error(
        "this patient is paired with another computer; if it was replaced or lost, ask the clinic for: gateway pair --patient ID --replace"
    )]
    PairedElsewhere {
        /// When that computer was paired.
        since: UnixMillis,
        /// When it was last connected.
        last_seen: Option<UnixMillis>,
    },
    /// Come back later.
    #[error("the gateway is busy; trying again soon")]
    Busy,
    /// The gateway cannot store anything now.
    #[error("the gateway cannot store anything now; trying again soon")]
    Storage,
    /// The client broke the protocol.
    #[error("the gateway did not understand this program; both should have the same version")]
    Protocol,
    /// The wearable does not offer suite 4.
    #[error(
        "the gateway takes only wearables with post-quantum key exchange (suite 4); update this device's firmware, or start the gateway without require_post_quantum"
    )]
    NotPostQuantum,
}

impl Fault {
    /// What the peer may know of this fault; `None`: nothing is sent.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        Some(match self {
            Self::PeerFrame(_)
            | Self::PeerMalformed(_)
            | Self::PeerOutOfOrder { .. }
            | Self::PeerLimit(_) => Refusal::Protocol,
            Self::PeerVersion(_) => Refusal::Version { supported: crate::VERSION },
            Self::PeerSuite => Refusal::Suite,
            Self::DeniedOtherGateway => Refusal::OtherGateway,
            Self::DeniedClock { client, gateway, tolerance } => Refusal::Clock {
                client: *client,
                gateway: *gateway,
                tolerance_ms: u32::try_from(tolerance.as_millis()).unwrap_or(u32::MAX),
            },
            Self::DeniedReplay | Self::DeniedUnknown | Self::DeniedKey | Self::DeniedProof => {
                Refusal::NotPaired
            }
            Self::DeniedNotPostQuantum => Refusal::NotPostQuantum,
            Self::DeniedToken => Refusal::Token,
            Self::DeniedCodeUnknown => Refusal::CodeUnknown,
            Self::DeniedCodeWrong { tries_left } => Refusal::CodeWrong { tries_left: *tries_left },
            Self::DeniedCodeForAnother => Refusal::CodeForAnother,
            Self::DeniedPairedElsewhere { since, last_seen } => {
                Refusal::PairedElsewhere { since: *since, last_seen: *last_seen }
            }
            Self::DeniedBusy => Refusal::Busy,
            Self::LocalStorage => Refusal::Storage,
            Self::PeerRecord(_)
            | Self::PeerSilent(_)
            | Self::PeerSlow
            | Self::PeerNotReading
            | Self::DeniedGateway
            | Self::LocalSessionSpent
            | Self::LocalTooLong
            | Self::Refused(_) => return None,
        })
    }
}
