//! The client's side of a full login. It sends nothing that only its own gateway may see before the gateway has proved
//! itself with the pinned key.

use alloc::{sync::Arc, vec, vec::Vec};

use crypto::verify_mac;
use rand_core::CryptoRng;

use super::{
    Channel, ClientProof, Established, GatewayProof, HandshakeKeys, Hello, HelloReply, ONE_TIME_NONCE, Share,
    confirmation, gateway_hint, th2,
};
use crate::{
    VERSION, codec,
    credential::{ClientIdentity, PinnedGateway, Suite},
    error::Fault,
    frame::Frame,
    opcode::Opcode,
    session::{Session, SessionKeys, Side},
    time::{ClockFlag, Now, UnixMillis},
};

/// HELLO is sent; the gateway's reply is next.
#[derive(Debug)]
pub struct AwaitReply {
    identity: Arc<ClientIdentity>,
    pinned: PinnedGateway,
    channel: Channel,
    share: Share,
    suite: Suite,
    hello: Vec<u8>,
}

impl AwaitReply {
    /// Begins a login: the state, and the body of HELLO.
    ///
    /// # Errors
    /// [`Fault::PeerSuite`] if this build or channel has no suite for the identity.
    pub fn start(
        identity: Arc<ClientIdentity>,
        pinned: PinnedGateway,
        channel: Channel,
        clock: ClockFlag,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Vec<u8>), Fault> {
        let suite = identity.id.kind().suite();
        if !channel.admits(suite) {
            return Err(Fault::PeerSuite);
        }
        let share = Share::generate(suite, rng)?;
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let hello = codec::encode(&Hello {
            version: VERSION,
            suites: vec![suite.number()],
            nonce,
            share: share.public(),
            timestamp: if clock == ClockFlag::None { UnixMillis(0) } else { now.wall },
            clock,
            gateway_hint: gateway_hint(pinned.login.key_id(), &nonce),
            extensions: Vec::new(),
        });
        Ok((Self { identity, pinned, channel, share, suite, hello: hello.clone() }, hello))
    }

    /// Takes the body of HELLO_REPLY: the next state, and the body of KEY_VERIFICATION.
    ///
    /// # Errors
    /// [`Fault::DeniedGateway`] unless the pinned gateway answered.
    pub fn handle_reply(
        self,
        body: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(AwaitConfirmation, Vec<u8>), Fault> {
        let Self { identity, pinned, channel, share, suite, hello } = self;
        let malformed = |_| Fault::PeerMalformed(Opcode::HelloReply);
        let (reply, sealed) = codec::decode_prefix::<HelloReply>(body).map_err(malformed)?;
        if reply.suite != suite.number() {
            return Err(Fault::PeerSuite);
        }
        let clear = body.strip_suffix(sealed).unwrap_or_default();
        let keys = HandshakeKeys::agree(share, &reply.share, suite, &channel, &hello, clear)?;
        let proof = keys.g2c.open(&ONE_TIME_NONCE, &keys.th1, sealed).map_err(|_| Fault::DeniedGateway)?;
        let proof: GatewayProof = codec::decode(&proof).map_err(malformed)?;
        let named: [&[u8]; 3] = [&keys.th1, proof.gateway.as_bytes(), proof.key.as_bytes()];
        verify_mac(&keys.mac_g, "login mac gateway", &named, &proof.mac).map_err(|_| Fault::DeniedGateway)?;
        if proof.gateway != pinned.gateway || proof.key != pinned.login.key_id() {
            return Err(Fault::DeniedGateway);
        }
        pinned.login.verify("login/gateway", &named, &proof.signature).map_err(|_| Fault::DeniedGateway)?;

        let th2 = th2(&keys.th1, sealed);
        let key = identity.login.verifying_key().key_id();
        let client = codec::encode(&identity.id);
        let named: [&[u8]; 4] = [&th2, &client, key.as_bytes(), pinned.gateway.as_bytes()];
        let plaintext = codec::encode(&ClientProof {
            client: identity.id.clone(),
            key,
            signature: identity.login.sign("login/client", &named, rng),
            mac: crypto::mac(&keys.mac_c, "login mac client", &named),
        });
        let sealed =
            keys.c2g.seal(&ONE_TIME_NONCE, &th2, &plaintext).map_err(|_| Fault::LocalSessionSpent)?;
        let (th3, session) = keys.session_keys(&th2, &sealed);
        Ok((AwaitConfirmation { identity, keys: session, th3, gateway_time: reply.timestamp }, sealed))
    }
}

/// The proof is sent; the gateway's confirmation is next. No application data before it.
#[derive(Debug)]
pub struct AwaitConfirmation {
    identity: Arc<ClientIdentity>,
    keys: SessionKeys,
    th3: [u8; 32],
    gateway_time: UnixMillis,
}

impl AwaitConfirmation {
    #[cfg(test)]
    pub(super) const fn keys(&self) -> &SessionKeys {
        &self.keys
    }

    /// Takes the gateway's KEY_VERIFICATION record.
    ///
    /// # Errors
    /// [`Fault::DeniedGateway`] unless it confirms this login's keys.
    pub fn handle_confirmation(self, record: &Frame, now: Now) -> Result<Established, Fault> {
        let Self { identity, keys, th3, gateway_time } = self;
        let mut session = Session::new(&keys, Side::Client, now);
        let said = session.open(record, now).ok().flatten().ok_or(Fault::DeniedGateway)?;
        if record.opcode != Opcode::KeyVerification || said != confirmation(&keys, &th3) {
            return Err(Fault::DeniedGateway);
        }
        Ok(Established {
            client: identity.id.clone(),
            key: identity.login.verifying_key().key_id(),
            session,
            wrap: keys.wrap,
            resume: keys.resume,
            resumed: false,
            peer_time: gateway_time,
        })
    }
}
