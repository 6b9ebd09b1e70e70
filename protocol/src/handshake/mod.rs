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
mod share;

use alloc::vec::Vec;

use crypto::{Aead, AeadKey, OpenFailed, Prk, Secret, purpose, sha256};
use serde::{Deserialize, Serialize};

use self::share::Shared;

use crate::{
    VERSION,
    credential::{ClientKind, Suite},
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

    /// Whether this kind of client may speak here: patients only inside TLS, wearables only outside.
    pub(crate) const fn admits(&self, kind: ClientKind) -> bool {
        matches!((self, kind), (Self::Tls { .. }, ClientKind::Patient) | (Self::Plain, ClientKind::Wearable))
    }
}

/// On what terms a client connects.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The suites that it takes, the preferred first; suite 4 is preferred by every gateway, wherever it stands. A
    /// session of another suite is not resumed.
    pub suites: Vec<Suite>,
    /// What the bytes travel in.
    pub channel: Channel,
    /// What its clock is worth.
    pub clock: ClockFlag,
}

impl Terms {
    /// With all suites of this build for a kind of client.
    #[must_use]
    pub fn of(kind: ClientKind, channel: Channel, clock: ClockFlag) -> Self {
        Self { suites: kind.suites().to_vec(), channel, clock }
    }

    /// Whether a client of this kind can offer this.
    fn suit(&self, kind: ClientKind) -> bool {
        let has = |suite| kind.suites().contains(suite);
        self.channel.admits(kind) && !self.suites.is_empty() && self.suites.iter().all(has)
    }
}

/// A login that succeeded, on either side.
#[derive(Debug)]
pub struct Established {
    /// The other end, verified: for a gateway the client, for a client itself.
    pub client: ClientId,
    /// Its records.
    pub session: Session,
    /// The suite of the full login that it began with.
    pub suite: Suite,
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
    #[serde(deserialize_with = "crate::codec::array")]
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
    #[serde(deserialize_with = "crate::codec::array")]
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

/// Everything between the shares and the proofs.
#[derive(Debug)]
struct HandshakeKeys {
    aead: Aead,
    th1: [u8; 32],
    prk1: Prk,
    g2c: AeadKey,
    c2g: AeadKey,
    mac_g: Secret<purpose::MacKey>,
    mac_c: Secret<purpose::MacKey>,
}

impl HandshakeKeys {
    fn derive(
        shared: &Shared,
        suite: Suite,
        channel: &Channel,
        hello: &[u8],
        reply_clear: &[u8],
    ) -> Result<Self, Fault> {
        let aead = suite.aead()?;
        let th1 = sha256("th1", &[&[suite.number()], &[channel.number()], hello, reply_clear]);
        let prk1 = shared.extract(&th1, &channel.exporter());
        let key = |label| aead.expand::<purpose::TrafficKey>(&prk1, label, &[&th1]);
        let (g2c, c2g) = (key("hs g2c"), key("hs c2g"));
        let (mac_g, mac_c) = (prk1.expand("mac g", &[&th1]), prk1.expand("mac c", &[&th1]));
        Ok(Self { aead, th1, prk1, g2c, c2g, mac_g, mac_c })
    }

    fn session_keys(&self, th2: &[u8; 32], client_ciphertext: &[u8]) -> ([u8; 32], SessionKeys) {
        let th3 = sha256("th3", &[th2, client_ciphertext]);
        (th3, SessionKeys::derive(&self.prk1.chain(&th3), &th3, self.aead))
    }
}

/// A handshake key seals one message.
fn seal_only(key: &AeadKey, aad: &[u8; 32], plaintext: &[u8]) -> Result<Vec<u8>, Fault> {
    key.seal(key.only_nonce(), aad, plaintext).map_err(|_| Fault::LocalSessionSpent)
}

fn open_only(key: &AeadKey, aad: &[u8; 32], sealed: &[u8]) -> Result<Vec<u8>, OpenFailed> {
    key.open(key.only_nonce(), aad, sealed)
}

fn th2(th1: &[u8; 32], gateway_ciphertext: &[u8]) -> [u8; 32] {
    sha256("th2", &[th1, gateway_ciphertext])
}

/// What the gateway's confirmation record says.
fn confirmation(keys: &SessionKeys, th3: &[u8; 32]) -> [u8; 32] {
    crypto::mac(&keys.confirm, "confirm g", &[th3])
}

#[cfg(test)]
mod tests {
    //! What a peer can forge that speaks the protocol well but lacks one thing. Altered bytes never get this far: the
    //! AEAD stops them.

    use alloc::{sync::Arc, vec};
    use core::time::Duration;

    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::{
        initiator::AwaitReply,
        responder::{ClaimedProof, Login},
        share::Offer,
        *,
    };
    use crate::{
        codec,
        credential::{ClientIdentity, GatewayIdentity, LoginKey, PinnedClient},
        frame::{Frame, HEADER_LEN},
        id::DeviceId,
        session::Side,
        time::{Monotonic, Now},
    };

    const NOW: Now = Now { wall: UnixMillis(1_790_000_000_000), mono: Monotonic(0) };
    const SUITE: Suite = Suite::Wearable;
    const KIND: ClientKind = ClientKind::Wearable;

    fn key(seed: u8) -> LoginKey {
        LoginKey::from_secret(KIND, [seed; 32]).unwrap()
    }

    fn terms() -> Terms {
        Terms { suites: vec![SUITE], channel: Channel::Plain, clock: ClockFlag::Synced }
    }

    fn gateway() -> GatewayIdentity {
        GatewayIdentity {
            gateway: GatewayId::from_bytes([1; 16]),
            doctor: "D001".parse().unwrap(),
            #[cfg(feature = "elgamal")]
            patient_login: LoginKey::from_secret(ClientKind::Patient, [2; 32]).unwrap(),
            wearable_login: key(3),
            alerts: crypto::identity::SigningKey::from_secret(&Secret::new([4; 32])),
            tls_spki: [5; 32],
        }
    }

    fn client() -> ClientIdentity {
        ClientIdentity {
            id: ClientId::Wearable(DeviceId::from_bytes([6; 16])),
            login: key(7),
            receipts: None,
        }
    }

    /// What an impostor of either side has to get right; each test leaves one out.
    struct Forgery {
        signed_with: LoginKey,
        mac_with: Option<Secret<purpose::MacKey>>,
        gateway: GatewayId,
    }

    impl Forgery {
        fn mac(&self, key: &Secret<purpose::MacKey>, label: &str, named: &[&[u8]]) -> [u8; 32] {
            crypto::mac(self.mac_with.as_ref().unwrap_or(key), label, named)
        }
    }

    /// A gateway's HELLO_REPLY, forged, as the client takes it.
    fn reply_with(forgery: &Forgery) -> Result<(), Fault> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let pinned = gateway().pinned(ClientKind::Wearable);
        let key = pinned.login.key_id();
        let identity = Arc::new(client());
        let (state, hello) = AwaitReply::start(identity, pinned, terms(), NOW, &mut rng)?;
        let theirs: Hello = codec::decode(&hello).unwrap();
        let (share, shared) = share::answer(SUITE, &theirs.suites, &theirs.share, &mut rng)?;
        let reply = HelloReply { suite: SUITE.number(), nonce: [8; 32], share, timestamp: NOW.wall };
        let mut body = codec::encode(&reply);
        let keys = HandshakeKeys::derive(&shared, SUITE, &Channel::Plain, &hello, &body)?;
        let named: [&[u8]; 3] = [&keys.th1, forgery.gateway.as_bytes(), key.as_bytes()];
        let proof = codec::encode(&GatewayProof {
            gateway: forgery.gateway,
            key,
            signature: forgery.signed_with.sign("login/gateway", &named, &mut rng),
            mac: forgery.mac(&keys.mac_g, "login mac gateway", &named),
        });
        body.extend(seal_only(&keys.g2c, &keys.th1, &proof)?);
        state.handle_reply(&body, &mut rng).map(|_| ())
    }

    /// A client's proof, forged, as the gateway has opened it.
    fn proof_with(forgery: &Forgery) -> Result<ClaimedProof, Fault> {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let offer = Offer::generate(&[SUITE], &mut rng)?;
        let nonce = [9; 32];
        let hello = codec::encode(&Hello {
            version: VERSION,
            suites: vec![SUITE.number()],
            nonce,
            share: offer.public(),
            timestamp: NOW.wall,
            clock: ClockFlag::Synced,
            gateway_hint: gateway_hint(key(3).verifying_key().key_id(), &nonce),
            extensions: vec![],
        });
        let login = Login::parse(hello.clone(), ClientKind::Wearable, Channel::Plain)?;
        let (state, frame) = login.answer(&gateway(), Duration::from_secs(30), NOW, &mut rng)?;
        let (reply, sealed) = codec::decode_prefix::<HelloReply>(&frame[HEADER_LEN..]).unwrap();
        let clear = codec::encode(&reply);
        let shared = offer.agree(SUITE, &reply.share)?;
        let keys = HandshakeKeys::derive(&shared, SUITE, &Channel::Plain, &hello, &clear)?;
        let th2 = th2(&keys.th1, sealed);
        let (id, key) = (client().id, client().login.verifying_key().key_id());
        let encoded = codec::encode(&id);
        let named: [&[u8]; 4] = [&th2, &encoded, key.as_bytes(), forgery.gateway.as_bytes()];
        let proof = codec::encode(&ClientProof {
            client: id,
            key,
            signature: forgery.signed_with.sign("login/client", &named, &mut rng),
            mac: forgery.mac(&keys.mac_c, "login mac client", &named),
        });
        state.open(seal_only(&keys.c2g, &th2, &proof)?)
    }

    fn verified(forgery: &Forgery) -> Result<(), Fault> {
        let pinned = PinnedClient { id: client().id, login: client().login.verifying_key(), receipts: None };
        proof_with(forgery)?.verify(Some(&pinned), NOW).map(|_| ())
    }

    const OURS: GatewayId = GatewayId::from_bytes([1; 16]);

    #[test]
    fn a_client_believes_a_gateway_only_with_its_signature_its_mac_and_its_id() {
        let honest = Forgery { signed_with: key(3), mac_with: None, gateway: OURS };
        assert_eq!(reply_with(&honest), Ok(()));
        // The key id of the true gateway, the signature of the impostor.
        assert_eq!(reply_with(&Forgery { signed_with: key(99), ..honest }), Err(Fault::DeniedGateway));
        let wrong_mac = Some(Secret::new([0; 32]));
        let without_mac = Forgery { signed_with: key(3), mac_with: wrong_mac, gateway: OURS };
        assert_eq!(reply_with(&without_mac), Err(Fault::DeniedGateway));
        let elsewhere =
            Forgery { signed_with: key(3), mac_with: None, gateway: GatewayId::from_bytes([0; 16]) };
        assert_eq!(reply_with(&elsewhere), Err(Fault::DeniedGateway));
    }

    #[test]
    fn a_gateway_believes_a_client_only_with_its_signature_and_its_mac_for_this_gateway() {
        let honest = Forgery { signed_with: key(7), mac_with: None, gateway: OURS };
        assert_eq!(verified(&honest), Ok(()));
        // The victim's id and key id, the thief's signature.
        assert_eq!(verified(&Forgery { signed_with: key(99), ..honest }), Err(Fault::DeniedProof));
        let wrong_mac = Some(Secret::new([0; 32]));
        let without_mac = Forgery { signed_with: key(7), mac_with: wrong_mac, gateway: OURS };
        assert_eq!(verified(&without_mac), Err(Fault::DeniedProof));
        // A proof that was made for another gateway and is passed on.
        let relayed =
            Forgery { signed_with: key(7), mac_with: None, gateway: GatewayId::from_bytes([0; 16]) };
        assert_eq!(verified(&relayed), Err(Fault::DeniedProof));
    }

    #[test]
    fn a_session_begins_only_with_the_gateways_confirmation() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let pinned = gateway().pinned(ClientKind::Wearable);
        let identity = Arc::new(client());
        let (state, hello) = AwaitReply::start(identity, pinned, terms(), NOW, &mut rng).unwrap();
        let login = Login::parse(hello, ClientKind::Wearable, Channel::Plain).unwrap();
        let (gateway_state, frame) =
            login.answer(&gateway(), Duration::from_secs(30), NOW, &mut rng).unwrap();
        let (state, proof) = state.handle_reply(&frame[HEADER_LEN..], &mut rng).unwrap();
        drop(gateway_state);
        // A record under the right key that says something else.
        let keys = state.keys();
        let record =
            Session::new(keys, Side::Gateway, NOW).seal(Opcode::KeyVerification, &[0; 32], NOW).unwrap();
        let record = Frame { opcode: Opcode::KeyVerification, body: record[HEADER_LEN..].to_vec() };
        assert!(!proof.is_empty());
        assert_eq!(state.handle_confirmation(&record, NOW).unwrap_err(), Fault::DeniedGateway);
    }
}
