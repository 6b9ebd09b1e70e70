//! The gateway's side of pairing, in steps between which the caller spends guesses and stores bindings.

use alloc::vec::Vec;

use crypto::{pake::Pake, verify_mac};
use rand_core::CryptoRng;

use super::{
    Enrol, Grant, PairingKeys, Reply, Signed, Start,
    code::{Password, Selector},
    network::NetworkCredentials,
    pake_identities,
};
use crate::{
    codec,
    credential::{ClientKind, GatewayIdentity, LoginVerifyingKey, PinnedClient},
    error::Fault,
    frame,
    handshake::{Channel, check_version},
    id::{ClientId, WearableName},
    opcode::Opcode,
};

const ONE_TIME_NONCE: [u8; 12] = [0; 12];

/// A PAIR_START that is well formed. Spend a guess of the offer that it selects, and commit that, before answering.
#[derive(Debug)]
pub struct Pairing {
    channel: Channel,
    kind: ClientKind,
    selector: Selector,
    pake: Vec<u8>,
    body: Vec<u8>,
}

impl Pairing {
    /// Reads the body of PAIR_START.
    ///
    /// # Errors
    /// Malformed bytes, another version, or a kind of client that has no business on this port.
    pub fn parse(body: Vec<u8>, kind: ClientKind, channel: Channel) -> Result<Self, Fault> {
        check_version(Opcode::PairStart, &body)?;
        let start: Start = codec::decode(&body).map_err(|_| Fault::PeerMalformed(Opcode::PairStart))?;
        if start.kind != kind || !channel.admits(kind) {
            return Err(Fault::PeerSuite);
        }
        let selector = Selector::from_bytes(start.selector).map_err(|_| Fault::DeniedCodeUnknown)?;
        Ok(Self { channel, kind, selector, pake: start.pake, body })
    }

    /// Which offer is meant.
    #[must_use]
    pub const fn selector(&self) -> Selector {
        self.selector
    }

    /// Its kind of client.
    #[must_use]
    pub const fn kind(&self) -> ClientKind {
        self.kind
    }

    /// Answers with the password of the offer, of which `tries_left` guesses remain: the next state, and the
    /// PAIR_REPLY frame.
    ///
    /// # Errors
    /// Malformed PAKE message.
    pub fn answer(
        self,
        password: &Password,
        tries_left: u8,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(AwaitEnrol, Vec<u8>), Fault> {
        let (client, gateway) = pake_identities(self.kind, self.selector.as_bytes());
        let (pake, message) = Pake::start_b(rng, password.expose(), &client, &gateway);
        let secret = pake.finish(&self.pake).map_err(|_| Fault::PeerMalformed(Opcode::PairStart))?;
        let reply = codec::encode(&Reply { pake: message });
        let keys = PairingKeys::derive(&secret, &self.body, &reply, &self.channel);
        let state = AwaitEnrol { kind: self.kind, selector: self.selector, keys, tries_left };
        Ok((state, frame::encode(Opcode::PairReply, &reply)))
    }
}

/// PAIR_REPLY is sent.
#[derive(Debug)]
pub struct AwaitEnrol {
    kind: ClientKind,
    selector: Selector,
    keys: PairingKeys,
    tries_left: u8,
}

impl AwaitEnrol {
    /// Opens the body of PAIR_ENROL: proves that the client knew the code and holds the keys it brings.
    ///
    /// # Errors
    /// [`Fault::DeniedCodeWrong`]; malformed content; keys that are none or were not proved.
    pub fn open(self, body: &[u8]) -> Result<Enrolment, Fault> {
        let Self { kind, selector, keys, tries_left } = self;
        let malformed = Fault::PeerMalformed(Opcode::PairEnrol);
        let (tag, sealed) = body.split_first_chunk::<32>().ok_or_else(|| malformed.clone())?;
        verify_mac(&keys.confirm, "pair confirm c", &[&keys.transcript, sealed], tag)
            .map_err(|_| Fault::DeniedCodeWrong { tries_left })?;
        let plaintext =
            keys.c2g.open(&ONE_TIME_NONCE, &keys.transcript, sealed).map_err(|_| Fault::DeniedProof)?;
        let Signed::<Enrol> { content, by_login, by_other } =
            codec::decode(&plaintext).map_err(|_| malformed.clone())?;
        let signed = codec::encode(&content);
        let parts: [&[u8]; 2] = [&keys.transcript, &signed];
        let login = LoginVerifyingKey::from_bytes(kind, &content.login)?;
        login.verify("pair enrol", &parts, &by_login)?;
        let receipts = match (content.receipts, by_other) {
            (Some(key), Some(signature)) => {
                let key = crypto::identity::VerifyingKey::from_bytes(&key).map_err(|_| Fault::DeniedKey)?;
                LoginVerifyingKey::Ed25519(key.clone()).verify("pair enrol", &parts, &signature)?;
                Some(key)
            }
            (None, None) => None,
            _ => return Err(malformed),
        };
        let complete = match kind {
            ClientKind::Patient => {
                receipts.is_some() && !matches!(content.wanted, Some(ClientId::Wearable(_)))
            }
            ClientKind::Wearable => {
                receipts.is_none() && matches!(content.wanted, Some(ClientId::Wearable(_)))
            }
        };
        if !complete {
            return Err(malformed);
        }
        Ok(Enrolment { selector, wanted: content.wanted, name: content.name, login, receipts, keys })
    }
}

/// A client that knew the code and proved its keys. Decide who it is, keep the binding as pending, then grant.
#[derive(Debug)]
pub struct Enrolment {
    selector: Selector,
    wanted: Option<ClientId>,
    name: Option<WearableName>,
    login: LoginVerifyingKey,
    receipts: Option<crypto::identity::VerifyingKey>,
    keys: PairingKeys,
}

impl Enrolment {
    /// The offer whose code it knew.
    #[must_use]
    pub const fn selector(&self) -> Selector {
        self.selector
    }

    /// The id that it asked for.
    #[must_use]
    pub const fn wanted(&self) -> Option<&ClientId> {
        self.wanted.as_ref()
    }

    /// The name that it gave itself.
    #[must_use]
    pub const fn name(&self) -> Option<&WearableName> {
        self.name.as_ref()
    }

    /// The binding to keep, if this client is `id`.
    ///
    /// # Errors
    /// [`Fault::DeniedCodeForAnother`] if it asked for another id, or is of another kind.
    pub fn binding(&self, id: ClientId) -> Result<PinnedClient, Fault> {
        let is_wanted = self.wanted.as_ref().is_none_or(|wanted| *wanted == id);
        if !is_wanted || id.kind() != self.login.kind() {
            return Err(Fault::DeniedCodeForAnother);
        }
        Ok(PinnedClient { id, login: self.login.clone(), receipts: self.receipts.clone() })
    }

    /// The PAIR_GRANT frame, with a wearable's own network if it is given one. Call it only after the binding is
    /// committed as pending.
    ///
    /// # Errors
    /// [`Fault::LocalSessionSpent`] if the cipher refuses, which no reachable length makes it do.
    pub fn grant(
        &self,
        client: ClientId,
        identity: &GatewayIdentity,
        network: Option<NetworkCredentials>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, Fault> {
        let login = identity.login_key(client.kind());
        let content = Grant {
            client,
            gateway: identity.gateway,
            doctor: identity.doctor.clone(),
            login: login.verifying_key().to_bytes(),
            alerts: identity.alerts.verifying_key().to_bytes(),
            tls_spki: identity.tls_spki,
            network,
        };
        let signed = codec::encode_secret(&content);
        let parts: [&[u8]; 2] = [&self.keys.transcript, &signed];
        let by_login = login.sign("pair grant", &parts, rng);
        let by_other = Some(identity.alerts.sign("pair grant", &parts).to_bytes().to_vec());
        let plaintext = codec::encode_secret(&Signed { content, by_login, by_other });
        let sealed = self
            .keys
            .g2c
            .seal(&ONE_TIME_NONCE, &self.keys.transcript, &plaintext)
            .map_err(|_| Fault::LocalSessionSpent)?;
        Ok(frame::encode(Opcode::PairGrant, &sealed))
    }
}
