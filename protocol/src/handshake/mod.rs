//! The full login: four messages, one type per state, on either side. Owns the transcript and the key schedule; looks
//! nothing up (the caller does) and knows no socket.
//!
//! ```text
//! client                                             gateway
//!   HELLO (clear)                     ->
//!                                     <-  HELLO_REPLY: share in clear, proof sealed
//!   KEY_VERIFICATION: proof sealed    ->
//!                                     <-  KEY_VERIFICATION: first record, confirms the keys
//! ```
//!
//! TH1 = H(suite, channel, HELLO, clear part of HELLO_REPLY), TH2 = H(TH1, sealed part), TH3 = H(TH2, client's sealed
//! proof). PRK1 = Extract(TH1, shared secret || TLS exporter), PRK2 = Extract(TH3, PRK1). Both signatures and both MACs
//! are over the transcript so far and over who speaks to whom, so nothing said before can be altered, replayed,
//! reflected or moved to another connection.

pub mod initiator;
pub mod responder;
pub mod resume;

use alloc::vec::Vec;

use crypto::{AeadKey, Prk, Secret, exchange, purpose, sha256};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    VERSION,
    credential::Suite,
    error::Fault,
    id::{ClientId, GatewayId, KeyId},
    opcode::Opcode,
    session::{Session, SessionKeys},
    time::{ClockFlag, UnixMillis},
};

/// What the bytes travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// TLS 1.3, with its `EXPORTER-Channel-Binding` value (RFC 9266): both logins end in the same TLS session or fail.
    Tls {
        /// 32 bytes of exported keying material.
        exporter: [u8; 32],
    },
    /// A plain byte stream (wearables).
    Plain,
}

impl Channel {
    const fn number(&self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Tls { .. } => 1,
        }
    }

    const fn exporter(&self) -> [u8; 32] {
        match self {
            Self::Plain => [0; 32],
            Self::Tls { exporter } => *exporter,
        }
    }

    /// The channel as it enters every key and transcript: its number, then the exporter value.
    pub(crate) const fn binding(&self) -> (u8, [u8; 32]) {
        (self.number(), self.exporter())
    }

    /// Whether a suite may be used here: ElGamal only inside TLS, the small suites only outside.
    pub(crate) const fn admits(&self, suite: Suite) -> bool {
        matches!((self, suite), (Self::Tls { .. }, Suite::Patient) | (Self::Plain, Suite::Wearable))
    }
}

/// A login that succeeded, on either side.
#[derive(Debug)]
pub struct Established {
    /// The other end, verified: for a gateway the client, for a client itself.
    pub client: ClientId,
    /// Its records.
    pub session: Session,
    /// Wraps group keys for this member.
    pub wrap: Secret<purpose::WrapKey>,
    /// Authenticates a resumption.
    pub resume: Secret<purpose::ResumeKey>,
    /// The key that this client logged in with.
    pub key: KeyId,
    /// Whether a token opened it instead of a full login.
    pub resumed: bool,
    /// The other side's clock, from a verified message.
    pub peer_time: UnixMillis,
}

/// HELLO. Receivers ignore extensions they do not know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) version: u8,
    pub(crate) suites: Vec<u8>,
    pub(crate) nonce: [u8; 32],
    pub(crate) share: Vec<u8>,
    pub(crate) timestamp: UnixMillis,
    pub(crate) clock: ClockFlag,
    pub(crate) gateway_hint: [u8; 8],
    pub(crate) extensions: Vec<Extension>,
}

/// A field of HELLO that a later version may define.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Extension {
    pub(crate) kind: u16,
    pub(crate) data: Vec<u8>,
}

/// The clear part of HELLO_REPLY.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HelloReply {
    pub(crate) suite: u8,
    pub(crate) nonce: [u8; 32],
    pub(crate) share: Vec<u8>,
    pub(crate) timestamp: UnixMillis,
}

/// The sealed part of HELLO_REPLY.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GatewayProof {
    pub(crate) gateway: GatewayId,
    pub(crate) key: KeyId,
    pub(crate) signature: Vec<u8>,
    pub(crate) mac: [u8; 32],
}

/// The client's KEY_VERIFICATION.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClientProof {
    pub(crate) client: ClientId,
    pub(crate) key: KeyId,
    pub(crate) signature: Vec<u8>,
    pub(crate) mac: [u8; 32],
}

/// The version comes first in every message that opens a conversation, so that even one of another shape is told which
/// version is spoken here.
pub(crate) fn check_version(opcode: Opcode, body: &[u8]) -> Result<(), Fault> {
    match body.first() {
        Some(&VERSION) => Ok(()),
        Some(version) => Err(Fault::PeerVersion(*version)),
        None => Err(Fault::PeerMalformed(opcode)),
    }
}

/// First eight bytes of a MAC over the nonce under the gateway key's id: tells a gateway that it is meant, and
/// a listener nothing that it could link.
pub(crate) fn gateway_hint(key: KeyId, nonce: &[u8; 32]) -> [u8; 8] {
    let tag = crypto::public_mac(key.as_bytes(), "gateway hint", &[nonce]);
    tag.first_chunk().copied().unwrap_or_default()
}

/// An ephemeral half of the key exchange of a suite.
pub(crate) enum Share {
    #[cfg(feature = "elgamal")]
    ElGamal(crypto::elgamal::kem::Ephemeral),
    X25519(exchange::Ephemeral),
}

impl core::fmt::Debug for Share {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Share(..)")
    }
}

impl Share {
    pub(crate) fn generate(suite: Suite, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, Fault> {
        match suite {
            #[cfg(feature = "elgamal")]
            Suite::Patient => Ok(Self::ElGamal(crypto::elgamal::kem::Ephemeral::generate(rng))),
            #[cfg(not(feature = "elgamal"))]
            Suite::Patient => Err(Fault::PeerSuite),
            Suite::Wearable => Ok(Self::X25519(exchange::Ephemeral::generate(rng))),
        }
    }

    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(share) => share.public().to_vec(),
            Self::X25519(share) => share.public().to_vec(),
        }
    }

    /// PRK1 of the peer's share, or a fault if that is no valid share.
    fn agree(self, peer: &[u8], transcript: &[u8; 32], channel: &Channel) -> Result<Prk, Fault> {
        let exporter = channel.exporter();
        let prk = match self {
            #[cfg(feature = "elgamal")]
            Self::ElGamal(share) => {
                share.agree(peer).map(|secret| Prk::extract(transcript, &[secret.expose(), &exporter]))
            }
            Self::X25519(share) => peer
                .try_into()
                .map_err(|_| crypto::InvalidShare)
                .and_then(|peer: &[u8; 32]| share.agree(peer))
                .map(|secret| Prk::extract(transcript, &[secret.expose(), &exporter])),
        };
        prk.map_err(|_| Fault::PeerLimit("a key share is a valid group element"))
    }
}

/// Everything between the shares and the proofs.
#[derive(Debug)]
struct HandshakeKeys {
    th1: [u8; 32],
    prk1: Prk,
    g2c: AeadKey,
    c2g: AeadKey,
    mac_g: Secret<purpose::MacKey>,
    mac_c: Secret<purpose::MacKey>,
}

/// Handshake keys seal one message each, so their nonce is constant.
const ONE_TIME_NONCE: [u8; 12] = [0; 12];

impl HandshakeKeys {
    fn agree(
        own: Share,
        peer: &[u8],
        suite: Suite,
        channel: &Channel,
        hello: &[u8],
        reply_clear: &[u8],
    ) -> Result<Self, Fault> {
        let th1 = sha256("th1", &[&[suite.number()], &[channel.number()], hello, reply_clear]);
        let prk1 = own.agree(peer, &th1, channel)?;
        let key = |label| -> Secret<purpose::TrafficKey> { prk1.expand(label, &[&th1]) };
        let (g2c, c2g) = (AeadKey::new(&key("hs g2c")), AeadKey::new(&key("hs c2g")));
        let (mac_g, mac_c) = (prk1.expand("mac g", &[&th1]), prk1.expand("mac c", &[&th1]));
        Ok(Self { th1, prk1, g2c, c2g, mac_g, mac_c })
    }

    fn session_keys(&self, th2: &[u8; 32], client_ciphertext: &[u8]) -> ([u8; 32], SessionKeys) {
        let th3 = sha256("th3", &[th2, client_ciphertext]);
        (th3, SessionKeys::derive(&self.prk1.chain(&th3), &th3))
    }
}

fn th2(th1: &[u8; 32], gateway_ciphertext: &[u8]) -> [u8; 32] {
    sha256("th2", &[th1, gateway_ciphertext])
}

/// What the gateway's confirmation record says.
fn confirmation(keys: &SessionKeys, th3: &[u8; 32]) -> [u8; 32] {
    crypto::mac(&keys.confirm, "confirm g", &[th3])
}
