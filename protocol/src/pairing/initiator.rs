//! The client's side of pairing.

use alloc::vec::Vec;

use crypto::pake::Pake;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    Enrol, Grant, PairingKeys, Reply, Signed, Start, code::PairingCode, network::NetworkCredentials,
    pake_identities,
};
use crate::{
    VERSION, codec,
    credential::{ClientIdentity, ClientKind, LoginKey, LoginVerifyingKey, PinnedGateway},
    error::Fault,
    handshake::Channel,
    id::{ClientId, WearableName},
    opcode::Opcode,
};

const ONE_TIME_NONCE: [u8; 12] = [0; 12];

/// What a client brings to its pairing: keys that it made itself.
#[derive(Debug)]
pub struct Candidate {
    /// Its kind.
    pub kind: ClientKind,
    /// A wearable's id; the patient id that its person typed, if any.
    pub wanted: Option<ClientId>,
    /// A wearable's name.
    pub name: Option<WearableName>,
    /// Its login key.
    pub login: LoginKey,
    /// A patient's receipt key.
    pub receipts: Option<crypto::identity::SigningKey>,
}

/// What a pairing gives a client.
#[derive(Debug)]
pub struct Granted {
    /// Who it is from now on.
    pub identity: ClientIdentity,
    /// The gateway to pin.
    pub gateway: PinnedGateway,
    /// A wearable's own network, if it was given one.
    pub network: Option<NetworkCredentials>,
}

/// PAIR_START is sent.
#[derive(Debug)]
pub struct AwaitPairReply {
    candidate: Candidate,
    channel: Channel,
    pake: Pake,
    start: Vec<u8>,
}

impl AwaitPairReply {
    /// Begins: the state, and the body of PAIR_START.
    pub fn start(
        candidate: Candidate,
        code: PairingCode,
        channel: Channel,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> (Self, Vec<u8>) {
        let selector = *code.selector.as_bytes();
        let (client, gateway) = pake_identities(candidate.kind, &selector);
        let (pake, message) = Pake::start_a(rng, code.password.expose(), &client, &gateway);
        let start = codec::encode(&Start { version: VERSION, kind: candidate.kind, selector, pake: message });
        (Self { candidate, channel, pake, start: start.clone() }, start)
    }

    /// Takes the body of PAIR_REPLY: the next state, and the body of PAIR_ENROL.
    ///
    /// # Errors
    /// Malformed bytes.
    pub fn handle_reply(
        self,
        body: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(AwaitGrant, Vec<u8>), Fault> {
        let Self { candidate, channel, pake, start } = self;
        let malformed = Fault::PeerMalformed(Opcode::PairReply);
        let reply: Reply = codec::decode(body).map_err(|_| malformed.clone())?;
        let keys =
            PairingKeys::derive(&pake.finish(&reply.pake).map_err(|_| malformed)?, &start, body, &channel);
        let content = Enrol {
            wanted: candidate.wanted.clone(),
            name: candidate.name.clone(),
            login: candidate.login.verifying_key().to_bytes(),
            receipts: candidate.receipts.as_ref().map(|key| key.verifying_key().to_bytes()),
        };
        let signed = codec::encode(&content);
        let parts: [&[u8]; 2] = [&keys.transcript, &signed];
        let by_login = candidate.login.sign("pair enrol", &parts, rng);
        let by_other =
            candidate.receipts.as_ref().map(|key| key.sign("pair enrol", &parts).to_bytes().to_vec());
        let plaintext = codec::encode(&Signed { content, by_login, by_other });
        let sealed = keys
            .c2g
            .seal(&ONE_TIME_NONCE, &keys.transcript, &plaintext)
            .map_err(|_| Fault::LocalSessionSpent)?;
        let mut enrol = crypto::mac(&keys.confirm, "pair confirm c", &[&keys.transcript, &sealed]).to_vec();
        enrol.extend_from_slice(&sealed);
        Ok((AwaitGrant { candidate, keys }, enrol))
    }
}

/// PAIR_ENROL is sent.
#[derive(Debug)]
pub struct AwaitGrant {
    candidate: Candidate,
    keys: PairingKeys,
}

impl AwaitGrant {
    /// Takes the body of PAIR_GRANT. Store what it gives, then log in.
    ///
    /// # Errors
    /// [`Fault::DeniedGateway`] if the other end did not know the code or does not hold its keys;
    /// [`Fault::DeniedCodeForAnother`] if the grant is for another id than the one wanted.
    pub fn handle_grant(self, body: &[u8]) -> Result<Granted, Fault> {
        let Self { candidate, keys } = self;
        let plaintext = Zeroizing::new(
            keys.g2c.open(&ONE_TIME_NONCE, &keys.transcript, body).map_err(|_| Fault::DeniedGateway)?,
        );
        let Signed::<Grant> { content, by_login, by_other } =
            codec::decode(&plaintext).map_err(|_| Fault::PeerMalformed(Opcode::PairGrant))?;
        let login = LoginVerifyingKey::from_bytes(candidate.kind, &content.login)?;
        let alerts =
            crypto::identity::VerifyingKey::from_bytes(&content.alerts).map_err(|_| Fault::DeniedGateway)?;
        let signed = codec::encode_secret(&content);
        let parts: [&[u8]; 2] = [&keys.transcript, &signed];
        login.verify("pair grant", &parts, &by_login).map_err(|_| Fault::DeniedGateway)?;
        let by_alerts = by_other.ok_or(Fault::DeniedGateway)?;
        LoginVerifyingKey::Ed25519(alerts.clone())
            .verify("pair grant", &parts, &by_alerts)
            .map_err(|_| Fault::DeniedGateway)?;
        let as_wanted = candidate.wanted.as_ref().is_none_or(|wanted| *wanted == content.client);
        if !as_wanted || content.client.kind() != candidate.kind {
            return Err(Fault::DeniedCodeForAnother);
        }
        if candidate.kind == ClientKind::Patient && content.network.is_some() {
            return Err(Fault::PeerMalformed(Opcode::PairGrant));
        }
        let identity =
            ClientIdentity { id: content.client, login: candidate.login, receipts: candidate.receipts };
        let gateway = PinnedGateway {
            gateway: content.gateway,
            doctor: content.doctor,
            login,
            alerts,
            tls_spki: content.tls_spki,
        };
        Ok(Granted { identity, gateway, network: content.network })
    }
}
