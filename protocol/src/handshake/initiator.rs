//! The client's side of a full login. It sends nothing that only its own gateway may see before the gateway has proved
//! itself with the pinned key.

use alloc::{sync::Arc, vec::Vec};

use crypto::verify_mac;
use rand_core::CryptoRng;

use super::{
    ClientProof, Established, GatewayProof, HandshakeKeys, Hello, HelloReply, Terms, confirmation,
    gateway_hint, open_only, seal_only, share::Offer, th2,
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
    terms: Terms,
    offer: Offer,
    hello: Vec<u8>,
}

impl AwaitReply {
    /// Begins a login: the state, and the body of HELLO.
    ///
    /// # Errors
    /// [`Fault::PeerSuite`] if the identity, its channel or this build does not have one of the suites, or there is none.
    pub fn start(
        identity: Arc<ClientIdentity>,
        pinned: PinnedGateway,
        terms: Terms,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Vec<u8>), Fault> {
        if !terms.suit(identity.id.kind()) {
            return Err(Fault::PeerSuite);
        }
        let offer = Offer::generate(&terms.suites, rng)?;
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let hello = codec::encode(&Hello {
            version: VERSION,
            suites: terms.suites.iter().map(|suite| suite.number()).collect(),
            nonce,
            share: offer.public(),
            timestamp: if terms.clock == ClockFlag::None { UnixMillis(0) } else { now.wall },
            clock: terms.clock,
            gateway_hint: gateway_hint(pinned.login.key_id(), &nonce),
            extensions: Vec::new(),
        });
        Ok((Self { identity, pinned, terms, offer, hello: hello.clone() }, hello))
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
        let Self { identity, pinned, terms, offer, hello } = self;
        let malformed = |_| Fault::PeerMalformed(Opcode::HelloReply);
        let (reply, sealed) = codec::decode_prefix::<HelloReply>(body).map_err(malformed)?;
        let offered = Suite::from_number(reply.suite).filter(|suite| terms.suites.contains(suite));
        let suite = offered.ok_or(Fault::PeerSuite)?;
        let clear = body.strip_suffix(sealed).unwrap_or_default();
        let shared = offer.agree(suite, &reply.share)?;
        let keys = HandshakeKeys::derive(&shared, suite, &terms.channel, &hello, clear)?;
        let proof = open_only(&keys.g2c, &keys.th1, sealed).map_err(|_| Fault::DeniedGateway)?;
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
        let sealed = seal_only(&keys.c2g, &th2, &plaintext)?;
        let (th3, session) = keys.session_keys(&th2, &sealed);
        Ok((AwaitConfirmation { identity, suite, keys: session, th3, gateway_time: reply.timestamp }, sealed))
    }
}

/// The proof is sent; the gateway's confirmation is next. No application data before it.
#[derive(Debug)]
pub struct AwaitConfirmation {
    identity: Arc<ClientIdentity>,
    suite: Suite,
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
        let Self { identity, suite, keys, th3, gateway_time } = self;
        let mut session = Session::new(&keys, Side::Client, now);
        let said = session.open(record, now).ok().flatten().ok_or(Fault::DeniedGateway)?;
        if record.opcode != Opcode::KeyVerification || said != confirmation(&keys, &th3) {
            return Err(Fault::DeniedGateway);
        }
        Ok(Established {
            client: identity.id.clone(),
            key: identity.login.verifying_key().key_id(),
            session,
            suite,
            wrap: keys.wrap,
            resume: keys.resume,
            resumed: false,
            peer_time: gateway_time,
        })
    }
}
