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
pub mod network;
pub mod responder;

use alloc::vec::Vec;

use crypto::{AeadKey, Prk, Secret, framed, purpose, sha256};
use serde::{Deserialize, Serialize};

use self::network::NetworkCredentials;
use crate::{
    credential::ClientKind,
    handshake::Channel,
    id::{ClientId, DoctorId, GatewayId, WearableName},
};

/// PAIR_START.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    version: u8,
    kind: ClientKind,
    selector: [u8; 3],
    pake: Vec<u8>,
}

/// PAIR_REPLY.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pake: Vec<u8>,
}

/// Sealed part of PAIR_ENROL.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Enrol {
    /// A wearable's own id; a patient's if its person named one.
    wanted: Option<ClientId>,
    name: Option<WearableName>,
    login: Vec<u8>,
    receipts: Option<[u8; 32]>,
}

/// Sealed part of PAIR_GRANT.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Grant {
    client: ClientId,
    gateway: GatewayId,
    doctor: DoctorId,
    login: Vec<u8>,
    #[serde(deserialize_with = "crate::codec::array")]
    alerts: [u8; 32],
    #[serde(deserialize_with = "crate::codec::array")]
    tls_spki: [u8; 32],
    /// A wearable's own network, if it is given one.
    network: Option<NetworkCredentials>,
}

/// A sealed part with the signatures of every key in it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Signed<T> {
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
    let kind = [kind.number()];
    (framed("pair client", &[&kind, selector]), framed("pair gateway", &[&kind, selector]))
}

#[cfg(test)]
mod tests {
    //! What somebody who knows the code can still not do: enrol or grant a key that is not theirs.

    use crypto::{identity::SigningKey, pake::Pake};
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::{
        code::PairingCode,
        initiator::{AwaitPairReply, Candidate},
        responder::Pairing,
        *,
    };
    use crate::{VERSION, codec, credential::LoginKey, error::Fault, frame::HEADER_LEN, id::DeviceId};

    const KIND: ClientKind = ClientKind::Wearable;

    fn key(seed: u8) -> LoginKey {
        LoginKey::from_secret(KIND, [seed; 32]).unwrap()
    }

    fn code() -> PairingCode {
        "ABC-DEF-GH2".parse().unwrap()
    }

    fn device() -> ClientId {
        ClientId::Wearable(DeviceId::from_bytes([6; 16]))
    }

    fn seal<T: Serialize>(key: &AeadKey, keys: &PairingKeys, signed: &Signed<T>) -> Vec<u8> {
        key.seal(&[0; 12], &keys.transcript, &codec::encode(signed)).unwrap()
    }

    /// A client that knows the code, brings this public key and signs with that key.
    fn enrol(brought: &LoginKey, signed_with: &LoginKey) -> Result<(), Fault> {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let selector = *code().selector.as_bytes();
        let (client, gateway) = pake_identities(KIND, &selector);
        let (pake, message) = Pake::start_a(&mut rng, code().password.expose(), &client, &gateway);
        let start = codec::encode(&Start { version: VERSION, kind: KIND, selector, pake: message });
        let pairing = Pairing::parse(start.clone(), KIND, Channel::Plain)?;
        let (state, frame) = pairing.answer(&code().password, 2, &mut rng)?;
        let reply: Reply = codec::decode(&frame[HEADER_LEN..]).unwrap();
        let secret = pake.finish(&reply.pake).unwrap();
        let keys = PairingKeys::derive(&secret, &start, &frame[HEADER_LEN..], &Channel::Plain);
        let content = Enrol {
            wanted: Some(device()),
            name: None,
            login: brought.verifying_key().to_bytes(),
            receipts: None,
        };
        let parts: [&[u8]; 2] = [&keys.transcript, &codec::encode(&content)];
        let by_login = signed_with.sign("pair enrol", &parts, &mut rng);
        let sealed = seal(&keys.c2g, &keys, &Signed { content, by_login, by_other: None });
        let mut body = crypto::mac(&keys.confirm, "pair confirm c", &[&keys.transcript, &sealed]).to_vec();
        body.extend(sealed);
        state.open(&body).map(|_| ())
    }

    #[test]
    fn a_client_enrols_only_a_key_that_it_holds() {
        assert_eq!(enrol(&key(7), &key(7)), Ok(()));
        assert_eq!(enrol(&key(7), &key(8)), Err(Fault::DeniedProof));
    }

    /// A gateway that knows the code, grants these public keys and signs with those.
    fn grant(login_signer: u8, alert_signer: u8) -> Result<(), Fault> {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let candidate =
            Candidate { kind: KIND, wanted: Some(device()), name: None, login: key(7), receipts: None };
        let (state, start) = AwaitPairReply::start(candidate, code(), Channel::Plain, &mut rng);
        let said: Start = codec::decode(&start).unwrap();
        let (client, gateway) = pake_identities(KIND, code().selector.as_bytes());
        let (pake, message) = Pake::start_b(&mut rng, code().password.expose(), &client, &gateway);
        let reply = codec::encode(&Reply { pake: message });
        let keys = PairingKeys::derive(&pake.finish(&said.pake).unwrap(), &start, &reply, &Channel::Plain);
        let (state, _) = state.handle_reply(&reply, &mut rng)?;
        let alerts = |seed| SigningKey::from_secret(&Secret::new([seed; 32]));
        let content = Grant {
            client: device(),
            gateway: GatewayId::from_bytes([1; 16]),
            doctor: "D001".parse().unwrap(),
            login: key(3).verifying_key().to_bytes(),
            alerts: alerts(4).verifying_key().to_bytes(),
            tls_spki: [5; 32],
            network: None,
        };
        let parts: [&[u8]; 2] = [&keys.transcript, &codec::encode(&content)];
        let by_login = key(login_signer).sign("pair grant", &parts, &mut rng);
        let by_other = Some(alerts(alert_signer).sign("pair grant", &parts).to_bytes().to_vec());
        let sealed = seal(&keys.g2c, &keys, &Signed { content, by_login, by_other });
        state.handle_grant(&sealed).map(|_| ())
    }

    #[test]
    fn a_gateway_grants_only_keys_that_it_holds() {
        assert_eq!(grant(3, 4), Ok(()));
        assert_eq!(grant(9, 4), Err(Fault::DeniedGateway));
        assert_eq!(grant(3, 9), Err(Fault::DeniedGateway));
    }
}
