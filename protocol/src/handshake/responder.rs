//! The gateway's side of a full login, in steps that the caller runs where it likes: the expensive ones ([`Login::answer`],
//! [`ClaimedProof::verify`]) off the I/O threads, the look-ups between them in its own roster.

use alloc::vec::Vec;
use core::time::Duration;

use crypto::{sha256, verify_mac};
use rand_core::CryptoRng;

use super::{
    Channel, ClientProof, Established, GatewayProof, HandshakeKeys, Hello, HelloReply, check_version,
    confirmation, gateway_hint, open_only, seal_only, share, th2,
};
use crate::{
    codec,
    credential::{ClientKind, GatewayIdentity, LoginKey, PinnedClient, Suite},
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
    suite: Suite,
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
        let suite = choose(kind, &hello.suites).filter(|_| channel.admits(kind)).ok_or(Fault::PeerSuite)?;
        if hello.clock == ClockFlag::None && kind == ClientKind::Patient {
            return Err(Fault::PeerLimit("a patient's client has a clock"));
        }
        Ok(Self { kind, suite, channel, hello, body })
    }

    /// The suite that the answer will choose.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// What a replay of this hello has in common with it.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256("hello seen", &[&self.hello.nonce, &self.hello.share])
    }

    /// Answers: the next state, and the HELLO_REPLY frame. Costs a key exchange and a signature.
    ///
    /// # Errors
    /// [`Fault::DeniedOtherGateway`], [`Fault::DeniedClock`], or a share that is not what the suites offered say.
    pub fn answer(
        self,
        identity: &GatewayIdentity,
        clock_tolerance: Duration,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(AwaitProof, Vec<u8>), Fault> {
        let (login, hello) = (identity.login_key(self.kind), &self.hello);
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
        self.answer_signed(identity, login, now, rng)
    }

    /// An impostor's answer, to test clients with: in the name of `identity`, signed by another key, whoever was meant and
    /// whatever the time.
    ///
    /// # Errors
    /// A share that is not what the suites offered say.
    #[cfg(feature = "conformance")]
    pub fn answer_as(
        self,
        identity: &GatewayIdentity,
        signer: &LoginKey,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(AwaitProof, Vec<u8>), Fault> {
        self.answer_signed(identity, signer, now, rng)
    }

    fn answer_signed(
        self,
        identity: &GatewayIdentity,
        login: &LoginKey,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(AwaitProof, Vec<u8>), Fault> {
        let fingerprint = self.fingerprint();
        let Self { kind, suite, channel, hello, body } = self;
        let named_login = identity.login_key(kind).verifying_key();
        let key = named_login.key_id();
        let (public, shared) = share::answer(suite, &hello.suites, &hello.share, rng)?;
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let mut reply =
            codec::encode(&HelloReply { suite: suite.number(), nonce, share: public, timestamp: now.wall });
        let keys = HandshakeKeys::derive(&shared, suite, &channel, &body, &reply)?;
        let named: [&[u8]; 3] = [&keys.th1, identity.gateway.as_bytes(), key.as_bytes()];
        let plaintext = codec::encode(&GatewayProof {
            gateway: identity.gateway,
            key,
            signature: login.sign("login/gateway", &named, rng),
            mac: crypto::mac(&keys.mac_g, "login mac gateway", &named),
        });
        let sealed = seal_only(&keys.g2c, &keys.th1, &plaintext)?;
        let th2 = th2(&keys.th1, &sealed);
        reply.extend_from_slice(&sealed);
        let state = AwaitProof {
            kind,
            suite,
            gateway: identity.gateway,
            decoy: named_login,
            keys,
            th2,
            fingerprint,
            client_time: hello.timestamp,
        };
        Ok((state, frame::encode(Opcode::HelloReply, &reply)))
    }
}

/// The first suite of `offered` that this build has for the kind of client, but one that a later quantum computer does not
/// open before all others.
fn choose(kind: ClientKind, offered: &[u8]) -> Option<Suite> {
    let known = offered.iter().filter_map(|number| Suite::from_number(*number));
    let mut admitted = known.filter(|suite| kind.suites().contains(suite));
    admitted.clone().find(|suite| suite.is_post_quantum()).or_else(|| admitted.next())
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
    suite: Suite,
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
        let plaintext = open_only(&self.keys.c2g, &self.th2, &body).map_err(|_| Fault::DeniedProof)?;
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
            suite: state.suite,
            wrap: keys.wrap,
            resume: keys.resume,
            resumed: false,
            peer_time: state.client_time,
        };
        Ok((established, record))
    }
}
