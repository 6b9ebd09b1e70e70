//! The gateway's side of a full login, in steps that the caller runs where it likes: the expensive ones ([`Login::answer`],
//! [`ClaimedProof::verify`]) off the I/O threads, the look-ups between them in its own roster.

use alloc::vec::Vec;
use core::time::Duration;

use crypto::{sha256, verify_mac};
use rand_core::CryptoRng;

use super::{
    Channel, ClientProof, Established, GatewayProof, HandshakeKeys, Hello, HelloReply, ONE_TIME_NONCE, Share,
    check_version, confirmation, gateway_hint, th2,
};
use crate::{
    codec,
    credential::{ClientKind, GatewayIdentity, PinnedClient},
    error::Fault,
    frame,
    id::{ClientId, GatewayId, KeyId},
    opcode::Opcode,
    session::{Session, Side},
    time::{ClockFlag, Now, UnixMillis},
};

/// A HELLO that is well formed and may be answered on this port.
#[derive(Debug)]
pub struct Login {
    kind: ClientKind,
    channel: Channel,
    hello: Hello,
    body: Vec<u8>,
}

impl Login {
    /// Reads the body of HELLO.
    ///
    /// # Errors
    /// Malformed bytes, another version, or a suite that this kind of client may not use on this channel.
    pub fn parse(body: Vec<u8>, kind: ClientKind, channel: Channel) -> Result<Self, Fault> {
        check_version(Opcode::Hello, &body)?;
        let hello: Hello = codec::decode(&body).map_err(|_| Fault::PeerMalformed(Opcode::Hello))?;
        let suite = kind.suite();
        if !hello.suites.contains(&suite.number()) || !channel.admits(suite) {
            return Err(Fault::PeerSuite);
        }
        if hello.clock == ClockFlag::None && kind == ClientKind::Patient {
            return Err(Fault::PeerLimit("a patient's client has a clock"));
        }
        Ok(Self { kind, channel, hello, body })
    }

    /// What a replay of this hello has in common with it.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256("hello seen", &[&self.hello.nonce, &self.hello.share])
    }

    /// Answers: the next state, and the HELLO_REPLY frame. Costs a key exchange and a signature.
    ///
    /// # Errors
    /// [`Fault::DeniedOtherGateway`], [`Fault::DeniedClock`], or a share that is no group element.
    pub fn answer(
        self,
        identity: &GatewayIdentity,
        clock_tolerance: Duration,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(AwaitProof, Vec<u8>), Fault> {
        let fingerprint = self.fingerprint();
        let Self { kind, channel, hello, body } = self;
        let login = identity.login_key(kind);
        let key = login.verifying_key().key_id();
        if hello.gateway_hint != gateway_hint(key, &hello.nonce) {
            return Err(Fault::DeniedOtherGateway);
        }
        if hello.clock != ClockFlag::None && now.wall.abs_diff(hello.timestamp) > clock_tolerance {
            return Err(Fault::DeniedClock {
                client: hello.timestamp,
                gateway: now.wall,
                tolerance: clock_tolerance,
            });
        }
        let suite = kind.suite();
        let share = Share::generate(suite, rng)?;
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let mut reply = codec::encode(&HelloReply {
            suite: suite.number(),
            nonce,
            share: share.public(),
            timestamp: now.wall,
        });
        let keys = HandshakeKeys::agree(share, &hello.share, suite, &channel, &body, &reply)?;
        let named: [&[u8]; 3] = [&keys.th1, identity.gateway.as_bytes(), key.as_bytes()];
        let plaintext = codec::encode(&GatewayProof {
            gateway: identity.gateway,
            key,
            signature: login.sign("login/gateway", &named, rng),
            mac: crypto::mac(&keys.mac_g, "login mac gateway", &named),
        });
        let sealed =
            keys.g2c.seal(&ONE_TIME_NONCE, &keys.th1, &plaintext).map_err(|_| Fault::LocalSessionSpent)?;
        let th2 = th2(&keys.th1, &sealed);
        reply.extend_from_slice(&sealed);
        let state = AwaitProof {
            kind,
            gateway: identity.gateway,
            decoy: login.verifying_key(),
            keys,
            th2,
            fingerprint,
            client_time: hello.timestamp,
        };
        Ok((state, frame::encode(Opcode::HelloReply, &reply)))
    }
}

/// HELLO_REPLY is sent; the client's proof is next. A state is used up by its step, so none can be taken twice:
/// ```compile_fail,E0382
/// fn twice(state: vitalward_protocol::handshake::responder::AwaitProof) {
///     let first = state.open(vec![]);
///     let second = state.open(vec![]);
/// }
/// ```
/// and none can be skipped: only a verified proof has a session.
/// ```compile_fail,E0599
/// fn skip(login: vitalward_protocol::handshake::responder::Login) {
///     login.verify(None);
/// }
/// ```
#[derive(Debug)]
pub struct AwaitProof {
    kind: ClientKind,
    gateway: GatewayId,
    decoy: crate::credential::LoginVerifyingKey,
    keys: HandshakeKeys,
    th2: [u8; 32],
    fingerprint: [u8; 32],
    client_time: UnixMillis,
}

impl AwaitProof {
    /// Opens the body of the client's KEY_VERIFICATION. What it claims is not believed yet.
    ///
    /// # Errors
    /// [`Fault::DeniedProof`] if it does not open; malformed; a kind that has no business on this port.
    pub fn open(self, body: Vec<u8>) -> Result<ClaimedProof, Fault> {
        let plaintext =
            self.keys.c2g.open(&ONE_TIME_NONCE, &self.th2, &body).map_err(|_| Fault::DeniedProof)?;
        let proof: ClientProof =
            codec::decode(&plaintext).map_err(|_| Fault::PeerMalformed(Opcode::KeyVerification))?;
        if proof.client.kind() != self.kind {
            return Err(Fault::PeerSuite);
        }
        Ok(ClaimedProof { state: self, proof, ciphertext: body })
    }
}

/// A proof that opened and waits for the roster to say whose key should have made it.
#[derive(Debug)]
pub struct ClaimedProof {
    state: AwaitProof,
    proof: ClientProof,
    ciphertext: Vec<u8>,
}

impl ClaimedProof {
    /// Who the client says it is; look it up.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.proof.client
    }

    /// The key that it says it has.
    #[must_use]
    pub const fn key(&self) -> KeyId {
        self.proof.key
    }

    /// See [`Login::fingerprint`].
    #[must_use]
    pub const fn fingerprint(&self) -> [u8; 32] {
        self.state.fingerprint
    }

    /// Verifies the proof with the key that is pinned for the client, or `None` if there is none: the work is the
    /// same, so that timing does not tell who is enrolled. Returns the session and the gateway's confirmation record.
    ///
    /// # Errors
    /// [`Fault::DeniedUnknown`], [`Fault::DeniedKey`] or [`Fault::DeniedProof`]; the peer sees the same for all.
    pub fn verify(self, pinned: Option<&PinnedClient>, now: Now) -> Result<(Established, Vec<u8>), Fault> {
        let Self { state, proof, ciphertext } = self;
        let client = codec::encode(&proof.client);
        let named: [&[u8]; 4] = [&state.th2, &client, proof.key.as_bytes(), state.gateway.as_bytes()];
        let matching =
            pinned.filter(|pinned| pinned.id == proof.client && pinned.login.key_id() == proof.key);
        let verifier = matching.map_or(&state.decoy, |pinned| &pinned.login);
        let signed = verifier.verify("login/client", &named, &proof.signature);
        let confirmed = verify_mac(&state.keys.mac_c, "login mac client", &named, &proof.mac);
        match (pinned, matching) {
            (None, _) => return Err(Fault::DeniedUnknown),
            (Some(_), None) => return Err(Fault::DeniedKey),
            _ => {}
        }
        signed?;
        confirmed.map_err(|_| Fault::DeniedProof)?;

        let (th3, keys) = state.keys.session_keys(&state.th2, &ciphertext);
        let mut session = Session::new(&keys, Side::Gateway, now);
        let record = session.seal(Opcode::KeyVerification, &confirmation(&keys, &th3), now)?;
        let established = Established {
            client: proof.client,
            key: proof.key,
            session,
            wrap: keys.wrap,
            resume: keys.resume,
            resumed: false,
            peer_time: state.client_time,
        };
        Ok((established, record))
    }
}
