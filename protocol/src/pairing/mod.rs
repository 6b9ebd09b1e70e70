//! First contact. A short code that a person carries authenticates both ends by SPAKE2; under the key that comes out,
//! they exchange and pin their long-term public keys, each proved by a signature over the conversation. The binding
//! counts only after a full login with the new keys.
//!
//! ```text
//! client                                             gateway
//!   PAIR_START: selector, PAKE message ->             (spends a guess, commits that)
//!                                      <- PAIR_REPLY: PAKE message
//!   PAIR_ENROL: confirmation, keys     ->             (keeps the binding as pending)
//!                                      <- PAIR_GRANT: gateway's keys, patient's id
//!   HELLO ... full login with the new keys; the pending binding becomes the binding
//! ```
//!
//! The client confirms first, by a MAC: AES-GCM alone does not commit to its key, and a ciphertext that opens under
//! many passwords' keys would test many passwords with one guess.

pub mod code;
pub mod initiator;
pub mod responder;

use alloc::vec::Vec;

use crypto::{AeadKey, Prk, Secret, framed, purpose, sha256};
use serde::{Deserialize, Serialize};

use crate::{
    credential::ClientKind,
    handshake::Channel,
    id::{ClientId, DoctorId, GatewayId, WearableName},
};

/// PAIR_START.
#[derive(Debug, Serialize, Deserialize)]
struct Start {
    version: u8,
    kind: ClientKind,
    selector: [u8; 3],
    pake: Vec<u8>,
}

/// PAIR_REPLY.
#[derive(Debug, Serialize, Deserialize)]
struct Reply {
    pake: Vec<u8>,
}

/// Sealed part of PAIR_ENROL.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Enrol {
    /// A wearable's own id; a patient's if its person named one.
    wanted: Option<ClientId>,
    name: Option<WearableName>,
    login: Vec<u8>,
    receipts: Option<[u8; 32]>,
}

/// Sealed part of PAIR_GRANT.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Grant {
    client: ClientId,
    gateway: GatewayId,
    doctor: DoctorId,
    login: Vec<u8>,
    alerts: [u8; 32],
    tls_spki: [u8; 32],
}

/// A sealed part with the signatures of every key in it.
#[derive(Debug, Serialize, Deserialize)]
struct Signed<T> {
    content: T,
    by_login: Vec<u8>,
    by_other: Option<Vec<u8>>,
}

/// What both ends know after the PAKE.
#[derive(Debug)]
struct PairingKeys {
    transcript: [u8; 32],
    confirm: Secret<purpose::MacKey>,
    c2g: AeadKey,
    g2c: AeadKey,
}

impl PairingKeys {
    fn derive(pake: &Secret<purpose::PakeKey>, start: &[u8], reply: &[u8], channel: &Channel) -> Self {
        let (number, exporter) = channel.binding();
        let transcript = sha256("pair th", &[start, reply, &exporter, &[number]]);
        let prk = Prk::extract(&transcript, &[pake.expose()]);
        let key = |label| -> Secret<purpose::TrafficKey> { prk.expand(label, &[&transcript]) };
        Self {
            transcript,
            confirm: prk.expand("pair confirm", &[&transcript]),
            c2g: AeadKey::new(&key("pair c2g")),
            g2c: AeadKey::new(&key("pair g2c")),
        }
    }
}

/// The identities of the PAKE: role, kind, selector. The gateway's own id is bound by its sealed and signed grant.
fn pake_identities(kind: ClientKind, selector: &[u8; 3]) -> (Vec<u8>, Vec<u8>) {
    let kind = [kind.suite().number()];
    (framed("pair client", &[&kind, selector]), framed("pair gateway", &[&kind, selector]))
}
