//! Resuming: one round trip with a one-time token of an earlier session and a fresh X25519 exchange. No signature, so a
//! whole clinic can come back in a moment; forward secret, since the shares are always fresh.
//!
//! A resumed session keeps the suite of the full login that it descends from: its cipher, and, through the token's key, the
//! protection that a post-quantum exchange gave. The fresh exchange is X25519 in every suite.
//!
//! The token is consumed in the store **before** the gateway answers, so that it holds across restarts; a forgery
//! consumes nothing, because the MAC is checked first.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use crypto::{Prk, Secret, exchange, purpose, sha256, verify_mac};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::{Channel, Established, Terms, check_version};
use crate::{
    VERSION, codec,
    credential::{ClientIdentity, ClientKind, Suite},
    error::Fault,
    frame,
    id::{ClientId, KeyId},
    opcode::Opcode,
    session::{Session, SessionKeys, Side},
    time::{ClockFlag, Now, UnixMillis},
};

/// Life of a token.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// What a client keeps to resume: the token that the gateway gave it, and the key that goes with it.
#[derive(Debug)]
pub struct Ticket {
    /// Names the session to the gateway.
    pub token: [u8; 16],
    /// The suite of the session.
    pub suite: Suite,
    /// Never travels.
    pub key: Secret<purpose::ResumeKey>,
}

/// What a gateway keeps under [`token_hash`].
#[derive(Debug)]
pub struct ResumeRecord {
    /// Whose session it was.
    pub client: ClientId,
    /// Its suite.
    pub suite: Suite,
    /// The key that it logged in with.
    pub key_id: KeyId,
    /// Shared with the client.
    pub key: Secret<purpose::ResumeKey>,
}

/// What the store knows a token by.
#[must_use]
pub fn token_hash(token: &[u8; 16]) -> [u8; 32] {
    sha256("token", &[token])
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Resume {
    version: u8,
    token: [u8; 16],
    nonce: [u8; 32],
    share: [u8; 32],
    timestamp: UnixMillis,
    clock: ClockFlag,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ResumeReply {
    #[serde(deserialize_with = "crate::codec::array")]
    nonce: [u8; 32],
    #[serde(deserialize_with = "crate::codec::array")]
    share: [u8; 32],
    timestamp: UnixMillis,
}

/// RESUME is sent; the gateway's reply, or its refusal, is next.
#[derive(Debug)]
pub struct AwaitResumeReply {
    identity: Arc<ClientIdentity>,
    channel: Channel,
    suite: Suite,
    share: exchange::Ephemeral,
    key: Secret<purpose::ResumeKey>,
    resume: Vec<u8>,
}

impl AwaitResumeReply {
    /// Begins: the state, and the body of RESUME.
    pub fn start(
        identity: Arc<ClientIdentity>,
        ticket: Ticket,
        terms: &Terms,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> (Self, Vec<u8>) {
        let Terms { channel, clock, .. } = *terms;
        let share = exchange::Ephemeral::generate(rng);
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let mut resume = codec::encode(&Resume {
            version: VERSION,
            token: ticket.token,
            nonce,
            share: share.public(),
            timestamp: if clock == ClockFlag::None { UnixMillis(0) } else { now.wall },
            clock,
        });
        let mac = crypto::mac(&ticket.key, "resume c", &[&resume, &channel.binding().1]);
        resume.extend_from_slice(&mac);
        (
            Self { identity, channel, suite: ticket.suite, share, key: ticket.key, resume: resume.clone() },
            resume,
        )
    }

    /// Takes the body of RESUME_REPLY.
    ///
    /// # Errors
    /// [`Fault::DeniedGateway`] unless it comes from the holder of the token's key.
    pub fn handle_reply(self, body: &[u8], now: Now) -> Result<Established, Fault> {
        let Self { identity, channel, suite, share, key, resume } = self;
        let (reply, mac) = codec::decode_prefix::<ResumeReply>(body)
            .map_err(|_| Fault::PeerMalformed(Opcode::ResumeReply))?;
        let transcript = transcript(&channel, &resume, body.strip_suffix(mac).unwrap_or_default());
        verify_mac(&key, "resume g", &[&transcript], mac).map_err(|_| Fault::DeniedGateway)?;
        let keys = session_keys(share, &reply.share, (suite, &key), &channel, &transcript)?;
        Ok(Established {
            client: identity.id.clone(),
            key: identity.login.verifying_key().key_id(),
            session: Session::new(&keys, Side::Client, now),
            suite,
            wrap: keys.wrap,
            resume: keys.resume,
            resumed: true,
            peer_time: reply.timestamp,
        })
    }
}

/// A RESUME that is well formed. The store says whose token it is.
#[derive(Debug)]
pub struct Resumption {
    kind: ClientKind,
    channel: Channel,
    message: Resume,
    body: Vec<u8>,
}

impl Resumption {
    /// Reads the body of RESUME.
    ///
    /// # Errors
    /// Malformed bytes, another version, or a kind of client that has no business on this channel.
    pub fn parse(body: Vec<u8>, kind: ClientKind, channel: Channel) -> Result<Self, Fault> {
        check_version(Opcode::Resume, &body)?;
        let (message, mac) =
            codec::decode_prefix::<Resume>(&body).map_err(|_| Fault::PeerMalformed(Opcode::Resume))?;
        if mac.len() != 32 {
            return Err(Fault::PeerMalformed(Opcode::Resume));
        }
        if !channel.admits(kind) {
            return Err(Fault::PeerSuite);
        }
        if message.clock == ClockFlag::None && kind == ClientKind::Patient {
            return Err(Fault::PeerLimit("a patient's client has a clock"));
        }
        Ok(Self { kind, channel, message, body })
    }

    /// What to look up.
    #[must_use]
    pub fn token_hash(&self) -> [u8; 32] {
        token_hash(&self.message.token)
    }

    /// Checks the client's MAC with what the store has under the hash.
    ///
    /// # Errors
    /// [`Fault::DeniedToken`] for an unknown token or a wrong MAC, [`Fault::DeniedClock`]. The client may then log in
    /// fully on the same connection.
    pub fn verify(
        self,
        record: Option<ResumeRecord>,
        clock_tolerance: Duration,
        now: Now,
    ) -> Result<VerifiedResumption, Fault> {
        let record = record
            .filter(|record| record.client.kind() == self.kind && record.suite.kind() == self.kind)
            .ok_or(Fault::DeniedToken)?;
        let (said, mac) = self.body.split_last_chunk::<32>().ok_or(Fault::PeerMalformed(Opcode::Resume))?;
        verify_mac(&record.key, "resume c", &[said, &self.channel.binding().1], mac)
            .map_err(|_| Fault::DeniedToken)?;
        let message = &self.message;
        if message.clock != ClockFlag::None && now.wall.abs_diff(message.timestamp) > clock_tolerance {
            return Err(Fault::DeniedClock {
                client: message.timestamp,
                gateway: now.wall,
                tolerance: clock_tolerance,
            });
        }
        Ok(VerifiedResumption { request: self, record })
    }
}

/// A resumption by the token's owner. Consume the token in the store, then answer.
#[derive(Debug)]
pub struct VerifiedResumption {
    request: Resumption,
    record: ResumeRecord,
}

impl VerifiedResumption {
    /// Whose session is resumed.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.record.client
    }

    /// The key that the session was logged in with; it must still be the enrolled one.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.record.key_id
    }

    /// The suite of the session.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.record.suite
    }

    /// What to consume.
    #[must_use]
    pub fn token_hash(&self) -> [u8; 32] {
        self.request.token_hash()
    }

    /// The session, and the RESUME_REPLY frame. Call it only after the token is consumed and that is committed.
    ///
    /// # Errors
    /// [`Fault::PeerLimit`] for a share that is no group element.
    pub fn answer(
        self,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Established, Vec<u8>), Fault> {
        let Self { request, record } = self;
        let share = exchange::Ephemeral::generate(rng);
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let mut reply = codec::encode(&ResumeReply { nonce, share: share.public(), timestamp: now.wall });
        let transcript = transcript(&request.channel, &request.body, &reply);
        let mac = crypto::mac(&record.key, "resume g", &[&transcript]);
        reply.extend_from_slice(&mac);
        let keys = session_keys(
            share,
            &request.message.share,
            (record.suite, &record.key),
            &request.channel,
            &transcript,
        )?;
        let established = Established {
            client: record.client,
            key: record.key_id,
            session: Session::new(&keys, Side::Gateway, now),
            suite: record.suite,
            wrap: keys.wrap,
            resume: keys.resume,
            resumed: true,
            peer_time: request.message.timestamp,
        };
        Ok((established, frame::encode(Opcode::ResumeReply, &reply)))
    }
}

fn transcript(channel: &Channel, resume: &[u8], reply_clear: &[u8]) -> [u8; 32] {
    sha256("resume th", &[&[channel.binding().0], resume, reply_clear])
}

fn session_keys(
    own: exchange::Ephemeral,
    peer: &[u8; 32],
    (suite, key): (Suite, &Secret<purpose::ResumeKey>),
    channel: &Channel,
    transcript: &[u8; 32],
) -> Result<SessionKeys, Fault> {
    let shared = own.agree(peer).map_err(|_| Fault::PeerLimit("a key share is a valid group element"))?;
    let prk = Prk::extract(transcript, &[key.expose(), shared.expose(), &channel.binding().1]);
    Ok(SessionKeys::derive(&prk, transcript, suite.aead()?))
}
