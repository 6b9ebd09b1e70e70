//! The bytes on the wire, pinned. `tests/golden/NN-NAME.hex` holds one frame per opcode; `tests/golden/session.json`
//! holds whole conversations with every random draw, frame, key and hash, `suites.json` those of the wearables' suites 3 and
//! 4, so that a stranger can write a client in
//! another language and compare. The values are recomputed here from the frames and the draws alone, by the formulas of
//! `docs/protocol.md`, and not taken from the code under test.
//!
//! `BLESS=1 cargo test -p vitalward-protocol --test golden` rewrites the files; review the difference.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

mod common;

use std::{collections::BTreeMap, convert::Infallible, fs, path::PathBuf, sync::Arc, time::Duration};

use common::*;
use crypto::{
    AeadKey, Prk, Secret, elgamal, exchange, framed, identity::SigningKey, ml_kem, pake::Pake, purpose,
    sha256,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng},
};
use serde_json::{Value, json};
use vitalward_protocol::{
    VERSION,
    alert::{Audience, Draft, Priority, Receipt, Stage},
    cadence::{Cadence, Interval, Settings},
    credential::{ClientIdentity, ClientKind, GatewayIdentity, LoginKey, PinnedClient, Suite},
    endpoint::{
        client::{ClientEndpoint, Event},
        gateway::{self, GatewayEndpoint, Next, Work},
        pairing::PairingEndpoint,
    },
    error::Fault,
    firmware::{Firmware, FirmwareChunk, FirmwareOffer, FirmwareRequest, FirmwareStatus, UpdateState},
    frame::HEADER_LEN,
    group::GroupOwner,
    handshake::{
        Channel, Terms,
        resume::{ResumeRecord, TOKEN_LIFETIME, Ticket, token_hash},
    },
    id::{AlertId, ClientId, GatewayId, KeyId, PatientId, Seq, SessionId},
    image::Refusal,
    message::{Farewell, FromClient, FromGateway, Instruction},
    opcode::Opcode,
    pairing::{
        code::PairingCode,
        initiator::{Candidate, Granted},
        network::NetworkCredentials,
    },
    status::{Battery, DeviceStatus, LinkQuality},
    time::{ClockFlag, Monotonic, Now, UnixMillis},
    waveform::{Signal, WaveformRequest},
};

const START: Now = Now { wall: UnixMillis(1_790_000_000_000), mono: Monotonic(0) };
const EXPORTER: [u8; 32] = [0xe7; 32];
const TOLERANCE: Duration = Duration::from_secs(30);

// --- Fixed randomness ---

/// A generator that remembers every draw.
struct Tape {
    source: ChaCha20Rng,
    draws: Vec<Vec<u8>>,
}

impl Tape {
    fn new(seed: u64) -> Self {
        Self { source: ChaCha20Rng::seed_from_u64(seed), draws: Vec::new() }
    }
}

impl TryRng for Tape {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.source.fill_bytes(bytes);
        self.draws.push(bytes.to_vec());
        Ok(())
    }
}

impl TryCryptoRng for Tape {}

/// Gives one draw again, to whoever repeats the computation.
struct Again(Vec<u8>);

impl TryRng for Again {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("nothing draws numbers")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("nothing draws numbers")
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Again {}

// --- The conversation, played by the code under test ---

/// A frame as it was sent, with the scene it belongs to.
struct Sent {
    from: &'static str,
    bytes: Vec<u8>,
}

impl Sent {
    fn body(&self) -> &[u8] {
        &self.bytes[HEADER_LEN..]
    }
}

struct Studio {
    identity: GatewayIdentity,
    gateway_tape: Tape,
    client_tape: Tape,
    sent: Vec<Sent>,
    pinned: Option<PinnedClient>,
    now: Now,
}

/// What both ends have after a login.
struct InSession {
    client: ClientEndpoint,
    gateway: GatewayEndpoint,
    id: SessionId,
    wrap: Option<Secret<purpose::WrapKey>>,
    resume: Secret<purpose::ResumeKey>,
    key: KeyId,
}

/// What a gateway keeps of a login beside the session itself.
type Secrets = (SessionId, Secret<purpose::WrapKey>, Secret<purpose::ResumeKey>, KeyId);

fn gateway_identity() -> GatewayIdentity {
    GatewayIdentity {
        gateway: GatewayId::from_random([0x01; 16]),
        doctor: "D001".parse().unwrap(),
        patient_login: LoginKey::from_secret(ClientKind::Patient, [0x02; 32]).unwrap(),
        wearable_login: LoginKey::from_secret(ClientKind::Wearable, [0x03; 32]).unwrap(),
        alerts: SigningKey::from_secret(&Secret::new([0x04; 32])),
        tls_spki: [0x05; 32],
    }
}

fn client_login(kind: ClientKind) -> LoginKey {
    let secret = match kind {
        ClientKind::Patient => [0x11; 32],
        ClientKind::Wearable => [0x13; 32],
    };
    LoginKey::from_secret(kind, secret).unwrap()
}

fn receipt_key() -> SigningKey {
    SigningKey::from_secret(&Secret::new([0x12; 32]))
}

fn code() -> PairingCode {
    "ABC-DEF-GH2".parse().unwrap()
}

fn id_of(kind: ClientKind) -> ClientId {
    match kind {
        ClientKind::Patient => patient("P001"),
        ClientKind::Wearable => wearable(0x14),
    }
}

fn network_of(kind: ClientKind) -> Option<NetworkCredentials> {
    let given = || NetworkCredentials::new("ward-7".into(), "correct horse".to_owned().into()).unwrap();
    (kind == ClientKind::Wearable).then(given)
}

fn channel_of(kind: ClientKind) -> Channel {
    match kind {
        ClientKind::Patient => Channel::Tls { exporter: EXPORTER },
        ClientKind::Wearable => Channel::Plain,
    }
}

impl Studio {
    fn new(seed: u64) -> Self {
        Self {
            identity: gateway_identity(),
            gateway_tape: Tape::new(2 * seed),
            client_tape: Tape::new(2 * seed + 1),
            sent: Vec::new(),
            pinned: None,
            now: START,
        }
    }

    /// Frames of one scene, with the draws made meanwhile: the client's, then the gateway's.
    fn take(&mut self) -> (Vec<Sent>, Vec<Vec<u8>>, Vec<Vec<u8>>) {
        (
            std::mem::take(&mut self.sent),
            std::mem::take(&mut self.client_tape.draws),
            std::mem::take(&mut self.gateway_tape.draws),
        )
    }

    fn pair(&mut self, kind: ClientKind) -> (Arc<ClientIdentity>, GatewayEndpoint) {
        let channel = channel_of(kind);
        let candidate = Candidate {
            kind,
            wanted: (kind == ClientKind::Wearable).then(|| id_of(kind)),
            name: (kind == ClientKind::Wearable).then(|| "wrist-1".parse().unwrap()),
            login: client_login(kind),
            receipts: (kind == ClientKind::Patient).then(receipt_key),
        };
        let mut client = PairingEndpoint::start(candidate, code(), channel, self.now, &mut self.client_tape);
        let mut gateway = GatewayEndpoint::new(kind, channel, self.now);
        loop {
            while let Some(bytes) = client.poll_transmit() {
                gateway.handle_bytes(&bytes, self.now);
                self.sent.push(Sent { from: "client", bytes });
            }
            self.work(&mut gateway);
            while let Some(bytes) = gateway.poll_transmit() {
                client.handle_bytes(&bytes, self.now, &mut self.client_tape);
                self.sent.push(Sent { from: "gateway", bytes });
            }
            if let Some(outcome) = client.poll_outcome() {
                let Granted { identity, gateway: pinned, network } = outcome.unwrap();
                assert_eq!((pinned, network), (self.identity.pinned(kind), network_of(kind)));
                return (Arc::new(identity), gateway);
            }
        }
    }

    fn log_in(
        &mut self,
        identity: &Arc<ClientIdentity>,
        mut gateway: GatewayEndpoint,
        suites: &[Suite],
        ticket: Option<(Ticket, ResumeRecord)>,
    ) -> InSession {
        let kind = identity.id.kind();
        let clock = if kind == ClientKind::Patient { ClockFlag::Synced } else { ClockFlag::None };
        let (ticket, mut record) = ticket.unzip();
        let mut client = ClientEndpoint::connect(
            Arc::clone(identity),
            self.identity.pinned(kind),
            ticket,
            Terms { suites: suites.to_vec(), channel: channel_of(kind), clock },
            self.now,
            &mut self.client_tape,
        )
        .unwrap();
        loop {
            while let Some(bytes) = client.poll_transmit() {
                gateway.handle_bytes(&bytes, self.now);
                self.sent.push(Sent { from: "client", bytes });
            }
            let established = self.work_or_resume(&mut gateway, record.take());
            while let Some(bytes) = gateway.poll_transmit() {
                client.handle_bytes(&bytes, self.now, &mut self.client_tape);
                self.sent.push(Sent { from: "gateway", bytes });
            }
            if let Some((id, wrap, resume, key)) = established {
                assert!(client.is_established());
                while client.poll_event().is_some() {}
                return InSession { client, gateway, id, wrap: Some(wrap), resume, key };
            }
        }
    }

    fn work(&mut self, gateway: &mut GatewayEndpoint) {
        let none = self.work_or_resume(gateway, None);
        assert!(none.is_none());
    }

    fn work_or_resume(
        &mut self,
        gateway: &mut GatewayEndpoint,
        record: Option<ResumeRecord>,
    ) -> Option<Secrets> {
        let gateway::Event::Work(work) = gateway.poll_event()? else { panic!("only work is expected") };
        let (now, tape) = (self.now, &mut self.gateway_tape);
        let (next, frame, established) = match work {
            Work::Pair(pairing) => {
                let (state, frame) = pairing.answer(&code().password, 2, tape).unwrap();
                (Next::Enrol(state), frame, None)
            }
            Work::Enrol(enrolment) => {
                let id = id_of(enrolment.wanted().map_or(ClientKind::Patient, ClientId::kind));
                self.pinned = Some(enrolment.binding(id.clone()).unwrap());
                let network = network_of(id.kind());
                (Next::Login, enrolment.grant(id, &self.identity, network, tape).unwrap(), None)
            }
            Work::Login(login) => {
                let (state, frame) = login.answer(&self.identity, TOLERANCE, now, tape).unwrap();
                (Next::Proof(state), frame, None)
            }
            Work::Proof(claimed) => {
                let (established, frame) = claimed.verify(self.pinned.as_ref(), now).unwrap();
                let secrets =
                    (established.session.id(), established.wrap, established.resume, established.key);
                (Next::Session(established.session), frame, Some(secrets))
            }
            Work::Resume(resumption) => {
                let verified = resumption.verify(record, TOLERANCE, now).unwrap();
                let (established, frame) = verified.answer(now, tape).unwrap();
                let secrets =
                    (established.session.id(), established.wrap, established.resume, established.key);
                (Next::Session(established.session), frame, Some(secrets))
            }
        };
        gateway.proceed(next, frame, now);
        established
    }

    fn gateway_says(&mut self, session: &mut InSession, message: &FromGateway<'_>) -> Vec<Event> {
        session.gateway.say(message, self.now).unwrap();
        let bytes = session.gateway.poll_transmit().unwrap();
        self.gateway_sends(session, bytes)
    }

    fn gateway_sends(&mut self, session: &mut InSession, bytes: Vec<u8>) -> Vec<Event> {
        session.client.handle_bytes(&bytes, self.now, &mut self.client_tape);
        self.sent.push(Sent { from: "gateway", bytes });
        std::iter::from_fn(|| session.client.poll_event()).collect()
    }

    fn client_says(&mut self, session: &mut InSession, message: &FromClient<'_>) -> Vec<gateway::Event> {
        session.client.say(message, self.now).unwrap();
        let bytes = session.client.poll_transmit().unwrap();
        session.gateway.handle_bytes(&bytes, self.now);
        self.sent.push(Sent { from: "client", bytes });
        std::iter::from_fn(|| session.gateway.poll_event()).collect()
    }
}

// --- The same, computed again from draws and frames ---

/// One line of the vectors.
#[derive(Default)]
struct Scene(Vec<Value>);

impl Scene {
    fn value(&mut self, name: &str, bytes: &[u8]) {
        self.0.push(json!({ "name": name, "hex": hex::encode(bytes) }));
    }

    fn frame(&mut self, sent: &Sent) {
        let opcode = Opcode::from_number(sent.bytes[4]).unwrap();
        self.0.push(json!({
            "frame": format!("{opcode:?}"),
            "opcode": opcode as u8,
            "from": sent.from,
            "hex": hex::encode(&sent.bytes),
        }));
    }

    fn draws(&mut self, who: &str, draws: &[Vec<u8>]) {
        for (n, draw) in draws.iter().enumerate() {
            self.value(&format!("random {who} {}", n + 1), draw);
        }
    }
}

/// A postcard varint at the start of `bytes`, and what follows.
fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let (mut value, mut shift) = (0, 0);
    for (at, byte) in bytes.iter().enumerate() {
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return (value, &bytes[at + 1..]);
        }
    }
    panic!("no end of a varint");
}

/// Bytes with their length in front, as postcard writes them, and what follows.
fn sized(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = varint(bytes);
    rest.split_at(usize::try_from(length).unwrap())
}

fn expand<const N: usize>(prk: &Prk, label: &str, context: &[&[u8]]) -> [u8; N] {
    *prk.expand::<purpose::TrafficKey, N>(label, context).expose()
}

fn prk_of(key: &[u8; 32]) -> Prk {
    Prk::from_secret(&Secret::<purpose::TrafficKey>::new(*key))
}

fn open(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Vec<u8> {
    AeadKey::new(&Secret::<purpose::TrafficKey>::new(*key)).open(nonce, aad, sealed).unwrap()
}

fn binding(kind: ClientKind) -> (u8, [u8; 32]) {
    match kind {
        ClientKind::Patient => (1, EXPORTER),
        ClientKind::Wearable => (0, [0; 32]),
    }
}

fn pairing_scene(
    kind: ClientKind,
    (sent, client, gateway): (Vec<Sent>, Vec<Vec<u8>>, Vec<Vec<u8>>),
) -> Scene {
    let [start, reply, enrol, grant] = &sent[..] else { panic!("a pairing has four frames") };
    let (number, exporter) = binding(kind);
    let mut scene = Scene::default();
    scene.value("code, as text", code().to_string().as_bytes());
    scene.value("channel", &[number]);
    scene.value("exporter", &exporter);
    scene.draws("client", &client);
    scene.draws("gateway", &gateway);
    let number_of_kind = [if kind == ClientKind::Patient { 1 } else { 2 }];
    let ids = ["pair client", "pair gateway"]
        .map(|role| framed(role, &[&number_of_kind, code().selector.as_bytes()]));
    scene.value("pake identity A", &ids[0]);
    scene.value("pake identity B", &ids[1]);
    let (pake, message) =
        Pake::start_a(&mut Again(client[0].clone()), code().password.expose(), &ids[0], &ids[1]);
    assert!(start.body().ends_with(&message));
    let key = pake.finish(sized(reply.body()).0).unwrap();
    scene.frame(start);
    scene.frame(reply);
    scene.value("pake key", key.expose());
    let th = sha256("pair th", &[start.body(), reply.body(), &exporter, &[number]]);
    scene.value("pair th", &th);
    let prk = Prk::extract(&th, &[key.expose()]);
    let confirm: [u8; 32] = expand(&prk, "pair confirm", &[&th]);
    let c2g: [u8; 32] = expand(&prk, "pair c2g", &[&th]);
    let g2c: [u8; 32] = expand(&prk, "pair g2c", &[&th]);
    scene.value("pair confirm", &confirm);
    scene.value("pair c2g", &c2g);
    scene.value("pair g2c", &g2c);
    scene.frame(enrol);
    let (tag, sealed) = enrol.body().split_at(32);
    let confirm = Secret::<purpose::MacKey>::new(confirm);
    assert_eq!(tag, crypto::mac(&confirm, "pair confirm c", &[&th, sealed]));
    scene.value("PAIR_ENROL opened", &open(&c2g, &[0; 12], &th, sealed));
    scene.frame(grant);
    scene.value("PAIR_GRANT opened", &open(&g2c, &[0; 12], &th, grant.body()));
    scene
}

/// The keys of a session, by name.
struct Keys {
    session: [u8; 16],
    confirm: [u8; 32],
    wrap: [u8; 32],
    resume: [u8; 32],
    c2g: [u8; 32],
    g2c: [u8; 32],
}

fn session_keys(scene: &mut Scene, prk: &Prk, th: &[u8; 32]) -> Keys {
    let keys = Keys {
        session: expand(prk, "session id", &[th]),
        confirm: expand(prk, "confirm g", &[th]),
        wrap: expand(prk, "group wrap", &[th]),
        resume: expand(prk, "resume", &[th]),
        c2g: expand(prk, "c2g", &[th]),
        g2c: expand(prk, "g2c", &[th]),
    };
    scene.value("session id", &keys.session);
    let named = [
        ("confirm g", &keys.confirm),
        ("group wrap", &keys.wrap),
        ("resume", &keys.resume),
        ("c2g", &keys.c2g),
        ("g2c", &keys.g2c),
    ];
    for (name, key) in named {
        scene.value(name, key);
    }
    keys
}

/// How a suite seals. Of a 32-byte expansion and a 16-byte nonce it takes the first bytes that its cipher wants, which are
/// what HKDF gives for that length.
#[derive(Clone, Copy)]
enum Sealing {
    AesGcm,
    Ascon,
}

impl Sealing {
    const fn of(suite: Suite) -> Self {
        match suite {
            Suite::Ascon => Self::Ascon,
            _ => Self::AesGcm,
        }
    }

    fn key(self, expanded: &[u8; 32]) -> &[u8] {
        match self {
            Self::AesGcm => expanded,
            Self::Ascon => &expanded[..16],
        }
    }

    fn open(self, expanded: &[u8; 32], nonce: &[u8; 16], aad: &[u8], sealed: &[u8]) -> Vec<u8> {
        match self {
            Self::AesGcm => open(expanded, nonce.first_chunk().unwrap(), aad, sealed),
            Self::Ascon => {
                let key = Secret::<purpose::TrafficKey, 16>::new(*expanded.first_chunk().unwrap());
                AeadKey::ascon(&key).open(nonce, aad, sealed).unwrap()
            }
        }
    }

    /// XORs the sequence number into the end of the nonce.
    fn count(self, nonce: &mut [u8; 16], sequence: u64) {
        let from = match self {
            Self::AesGcm => 4,
            Self::Ascon => 8,
        };
        for (byte, counted) in nonce[from..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= counted;
        }
    }
}

/// One direction of records, opened again.
struct Records {
    aead: Sealing,
    secret: [u8; 32],
    sequence: u64,
    session: [u8; 16],
}

impl Records {
    const fn new(aead: Sealing, secret: [u8; 32], session: [u8; 16]) -> Self {
        Self { aead, secret, sequence: 0, session }
    }

    fn open(&mut self, bytes: &[u8]) -> Vec<u8> {
        let prk = prk_of(&self.secret);
        let (key, mut nonce): ([u8; 32], [u8; 16]) =
            (expand(&prk, "record key", &[]), expand(&prk, "record iv", &[]));
        self.aead.count(&mut nonce, self.sequence);
        let aad = [&[VERSION, bytes[4]][..], &bytes[..4], &self.session].concat();
        let plaintext = self.aead.open(&key, &nonce, &aad, &bytes[HEADER_LEN..]);
        self.sequence += 1;
        if bytes[4] == Opcode::KeyUpdate as u8 {
            (self.secret, self.sequence) = (expand(&prk, "key update", &[]), 0);
        }
        plaintext
    }
}

fn login_scene(
    suite: Suite,
    (sent, client, gateway): (Vec<Sent>, Vec<Vec<u8>>, Vec<Vec<u8>>),
) -> (Scene, Keys, Records, Records) {
    let [hello, reply, proof, confirmation] = &sent[..] else { panic!("a login has four frames") };
    let (number, exporter) = binding(suite.kind());
    let mut scene = Scene::default();
    scene.value("channel", &[number]);
    scene.value("exporter", &exporter);
    scene.draws("client", &client);
    scene.draws("gateway", &gateway);
    scene.frame(hello);
    scene.frame(reply);
    let (share, rest) = sized(&reply.body()[33..]);
    let (_, sealed) = varint(rest);
    let clear = &reply.body()[..reply.body().len() - sealed.len()];
    let (point, ciphertext) = share.split_at_checked(32).unwrap();
    let shared = match suite {
        Suite::Patient => {
            let own = elgamal::kem::Ephemeral::generate(&mut Again(client[0].clone()));
            vec![own.agree(share).unwrap().expose().to_vec()]
        }
        Suite::Wearable | Suite::Ascon => {
            let own = exchange::Ephemeral::generate(&mut Again(client[0].clone()));
            vec![own.agree(share).unwrap().expose().to_vec()]
        }
        Suite::Hybrid => {
            let own = exchange::Ephemeral::generate(&mut Again(client[0].clone()));
            let seed = ml_kem::Ephemeral::generate(&mut Again(client[1].clone()));
            let secrets = [own.agree(point).unwrap(), seed.decapsulate(ciphertext).unwrap()];
            secrets.iter().map(|secret| secret.expose().to_vec()).collect()
        }
    };
    for secret in &shared {
        scene.value("shared secret", secret);
    }
    let th1 = sha256("th1", &[&[suite.number()], &[number], hello.body(), clear]);
    scene.value("TH1", &th1);
    let inputs: Vec<&[u8]> = shared.iter().map(Vec::as_slice).chain([&exporter[..]]).collect();
    let prk1 = Prk::extract(&th1, &inputs);
    let aead = Sealing::of(suite);
    let [g2c, c2g, mac_g, mac_c]: [[u8; 32]; 4] =
        ["hs g2c", "hs c2g", "mac g", "mac c"].map(|label| expand(&prk1, label, &[&th1]));
    for (name, key) in
        [("hs g2c", aead.key(&g2c)), ("hs c2g", aead.key(&c2g)), ("mac g", &mac_g), ("mac c", &mac_c)]
    {
        scene.value(name, key);
    }
    scene.value("HELLO_REPLY opened", &aead.open(&g2c, &[0; 16], &th1, sealed));
    let th2 = sha256("th2", &[&th1, sealed]);
    scene.value("TH2", &th2);
    scene.frame(proof);
    scene.value("KEY_VERIFICATION of the client opened", &aead.open(&c2g, &[0; 16], &th2, proof.body()));
    let th3 = sha256("th3", &[&th2, proof.body()]);
    scene.value("TH3", &th3);
    let keys = session_keys(&mut scene, &prk1.chain(&th3), &th3);
    let (from_client, mut from_gateway) =
        (Records::new(aead, keys.c2g, keys.session), Records::new(aead, keys.g2c, keys.session));
    scene.frame(confirmation);
    let said = from_gateway.open(&confirmation.bytes);
    let confirm = Secret::<purpose::ConfirmKey>::new(keys.confirm);
    assert_eq!(said, crypto::mac(&confirm, "confirm g", &[&th3]));
    scene.value("KEY_VERIFICATION of the gateway opened", &said);
    (scene, keys, from_client, from_gateway)
}

fn resume_scene(
    kind: ClientKind,
    ticket_key: &[u8; 32],
    (sent, client, gateway): (Vec<Sent>, Vec<Vec<u8>>, Vec<Vec<u8>>),
) -> (Scene, Keys) {
    let [resume, reply] = &sent[..] else { panic!("a resumption has two frames") };
    let (number, exporter) = binding(kind);
    let mut scene = Scene::default();
    scene.value("PSK", ticket_key);
    scene.draws("client", &client);
    scene.draws("gateway", &gateway);
    scene.frame(resume);
    scene.frame(reply);
    let psk = || Secret::<purpose::ResumeKey>::new(*ticket_key);
    let (said, tag) = resume.body().split_last_chunk::<32>().unwrap();
    assert_eq!(*tag, crypto::mac(&psk(), "resume c", &[said, &exporter]));
    let (clear, tag) = reply.body().split_last_chunk::<32>().unwrap();
    let th = sha256("resume th", &[&[number], resume.body(), clear]);
    scene.value("resume th", &th);
    assert_eq!(*tag, crypto::mac(&psk(), "resume g", &[&th]));
    let own = exchange::Ephemeral::generate(&mut Again(client[0].clone()));
    let shared = own.agree(&clear[32..64]).unwrap();
    scene.value("shared secret", shared.expose());
    let prk = Prk::extract(&th, &[ticket_key, shared.expose(), &exporter]);
    let keys = session_keys(&mut scene, &prk, &th);
    (scene, keys)
}

// --- Playing it all ---

struct Recording {
    json: Value,
    /// One frame per opcode, with its plaintext if it is a record.
    frames: BTreeMap<u8, (Vec<u8>, Option<Vec<u8>>)>,
}

fn alert_of(identity: &GatewayIdentity) -> vitalward_protocol::alert::Alert {
    let draft = Draft {
        id: AlertId::new(START.wall, [0x21; 10]),
        sequence: 1,
        created: START.wall,
        expires: START.wall + Duration::from_secs(24 * 3_600),
        priority: Priority::High,
        audience: Audience::Ward,
        cancels: None,
        text: "Leave the building by the stairs.".into(),
    };
    draft.sign(&identity.alerts).unwrap()
}

/// Adds the records of a scene, opened again.
fn records(scene: &mut Scene, sent: &[Sent], client: &mut Records, gateway: &mut Records, seen: &mut Frames) {
    for sent in sent {
        scene.frame(sent);
        for bytes in split(&sent.bytes) {
            let opcode = Opcode::from_number(bytes[4]).unwrap();
            if opcode == Opcode::EncMsg {
                seen.entry(bytes[4]).or_insert((bytes, None));
                continue;
            }
            let plaintext = if sent.from == "client" { client.open(&bytes) } else { gateway.open(&bytes) };
            scene.value(&format!("{opcode:?} opened"), &plaintext);
            seen.entry(bytes[4]).or_insert((bytes, Some(plaintext)));
        }
    }
}

type Frames = BTreeMap<u8, (Vec<u8>, Option<Vec<u8>>)>;

/// The single frames in the bytes of one transmission.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    frames(bytes).into_iter().map(|f| vitalward_protocol::frame::encode(f.opcode, &f.body)).collect()
}

fn play() -> Recording {
    let mut seen = Frames::new();
    let mut scenes = Vec::new();
    let mut add = |title: &str, scene: Scene, seen: &mut Frames| {
        for entry in &scene.0 {
            if let (Some(opcode), Some(text)) = (entry["opcode"].as_u64(), entry["hex"].as_str()) {
                let bytes = hex::decode(text).unwrap();
                if split(&bytes).len() == 1 {
                    seen.entry(u8::try_from(opcode).unwrap()).or_insert((bytes, None));
                }
            }
        }
        scenes.push(json!({ "scene": title, "entries": scene.0 }));
    };

    let identity = gateway_identity();
    let mut keys = Scene::default();
    keys.value("gateway id", identity.gateway.as_bytes());
    keys.value("gateway's private ElGamal key x", &[0x02; 32]);
    keys.value("gateway's ElGamal key y", &identity.patient_login.verifying_key().to_bytes());
    keys.value("gateway's Ed25519 login seed", &[0x03; 32]);
    keys.value("gateway's Ed25519 login key", &identity.wearable_login.verifying_key().to_bytes());
    keys.value("gateway's alert seed", &[0x04; 32]);
    keys.value("gateway's alert key", &identity.alerts.verifying_key().to_bytes());
    keys.value("patient's private ElGamal key x", &[0x11; 32]);
    keys.value("patient's ElGamal key y", &client_login(ClientKind::Patient).verifying_key().to_bytes());
    keys.value("patient's receipt seed", &[0x12; 32]);
    keys.value("patient's receipt key", &receipt_key().verifying_key().to_bytes());
    keys.value("wearable's seed", &[0x13; 32]);
    keys.value("wearable's key", &client_login(ClientKind::Wearable).verifying_key().to_bytes());
    for (name, key) in [
        ("key id of the gateway's ElGamal key", identity.patient_login.verifying_key().key_id()),
        ("key id of the gateway's Ed25519 login key", identity.wearable_login.verifying_key().key_id()),
        (
            "key id of the gateway's alert key",
            vitalward_protocol::alert::key_id(&identity.alerts.verifying_key()),
        ),
    ] {
        keys.value(name, key.as_bytes());
    }
    add("keys", keys, &mut seen);

    // A patient: pairing, login, one alert, its receipt.
    let kind = ClientKind::Patient;
    let mut studio = Studio::new(1);
    let (identity, gateway) = studio.pair(kind);
    add("patient pairing", pairing_scene(kind, studio.take()), &mut seen);
    let mut session = studio.log_in(&identity, gateway, &[Suite::Patient], None);
    let (scene, keys, mut from_client, mut from_gateway) = login_scene(Suite::Patient, studio.take());
    assert_eq!((session.id.as_bytes(), session.resume.expose()), (&keys.session, &keys.resume));
    seen.insert(Opcode::KeyVerification as u8, proof_frame(&scene));
    add("patient login", scene, &mut seen);

    let mut scene = Scene::default();
    let patient_id: PatientId = "P001".parse().unwrap();
    let token = [0x22; 16];
    studio.gateway_says(&mut session, &FromGateway::Token(token, studio.now.wall + TOKEN_LIFETIME));
    let mut owner =
        GroupOwner::new(studio.identity.gateway, START.wall.0, START.mono, &mut Again([0x23; 32].to_vec()));
    let wrap = session.wrap.take().unwrap();
    let rekeys = owner.join(&patient_id, session.id, wrap, START.mono, &mut Again(Vec::new()));
    studio.gateway_says(&mut session, &FromGateway::GroupKey(&rekeys[0].key));
    let alert = alert_of(&studio.identity);
    let broadcast = owner.seal(&alert, START.mono, &mut Again(Vec::new())).unwrap();
    let events = studio.gateway_sends(&mut session, broadcast.frame.clone());
    assert!(matches!(&events[..], [Event::Alert { epoch: Some(_), .. }]));
    let alerts_key = studio.identity.alerts.verifying_key();
    let receipt =
        Receipt::sign(&alert, Stage::Decrypted, START.wall, &patient_id, &alerts_key, &receipt_key());
    studio.client_says(&mut session, &FromClient::Receipt(&receipt));
    studio.gateway_says(&mut session, &FromGateway::DirectMsg(&alert));
    scene.value("first group key of the generation", &[0x23; 32]);
    let epoch = [&START.wall.0.to_be_bytes()[..], &1_u32.to_be_bytes()].concat();
    let (generation, step) = epoch.split_at(8);
    let key: [u8; 32] = expand(&prk_of(&[0x23; 32]), "group step", &[generation, step]);
    scene.value("group key after the patient's join", &key);
    let wrapped = sized_key(&rekeys[0].key, &keys.wrap, &epoch, studio.identity.gateway.as_bytes());
    assert_eq!(wrapped, key);
    let aead: [u8; 32] = expand(&prk_of(&key), "group aead", &[]);
    scene.value("group aead", &aead);
    let body = &broadcast.frame[HEADER_LEN..];
    let (found_generation, rest) = varint(body);
    let (found_step, rest) = varint(rest);
    let (counter, sealed) = varint(rest);
    assert_eq!((found_generation, found_step, counter), (START.wall.0, 1, 0));
    let header = &body[..body.len() - sealed.len()];
    let aad = [&[Opcode::EncMsg as u8][..], studio.identity.gateway.as_bytes(), header].concat();
    let opened = open(&aead, &[0; 12], &aad, sealed);
    assert_eq!(opened, alert.encode());
    scene.value("EncMsg opened", &opened);
    scene.value("content hash", &alert.content_hash());
    records(&mut scene, &studio.take().0, &mut from_client, &mut from_gateway, &mut seen);
    add("patient session: token, group key, alert, receipt, alert again", scene, &mut seen);

    // A wearable: pairing, login, three vitals, the rest of the opcodes, resumption.
    let kind = ClientKind::Wearable;
    let mut studio = Studio::new(2);
    let (identity, gateway) = studio.pair(kind);
    add("wearable pairing", pairing_scene(kind, studio.take()), &mut seen);
    let mut session = studio.log_in(&identity, gateway, &[Suite::Wearable], None);
    let (scene, keys, mut from_client, mut from_gateway) = login_scene(Suite::Wearable, studio.take());
    add("wearable login", scene, &mut seen);

    let token = [0x32; 16];
    studio.gateway_says(&mut session, &FromGateway::Token(token, studio.now.wall + TOKEN_LIFETIME));
    let update = FirmwareStatus {
        state: UpdateState::REFUSED,
        version: 2,
        received: 0,
        length: 70_000,
        refusal: Some(Refusal::OTHER_HARDWARE),
    };
    let status = DeviceStatus {
        cadence: Cadence { sample_ms: 1_000, upload_ms: 60_000 },
        battery: Some(Battery { percent: 80, charging: Some(false) }),
        link: LinkQuality { signal_dbm: Some(-61), reconnects: 3 },
        waiting: 59,
        lost: 0,
        firmware: Firmware {
            name: "golden 1.0".into(),
            version: 1,
            hardware: "golden-board".parse().unwrap(),
        },
        update: Some(update),
    };
    studio.client_says(&mut session, &FromClient::Status(&status));
    let settings = Settings::new(Interval::LIVE, Interval::LONGEST).unwrap();
    let ecg = WaveformRequest { signal: Signal::ECG, seconds: 10 };
    let offer = FirmwareOffer { image: 1, header: b"a signed header".to_vec(), length: 70_000 };
    let chunk = FirmwareChunk { image: 1, offset: 1_024, bytes: b"a piece".to_vec() };
    for instruction in [
        Instruction::Settings(settings),
        Instruction::Waveform(ecg),
        Instruction::Offer(offer),
        Instruction::Chunk(chunk),
    ] {
        let events = studio.gateway_says(&mut session, &FromGateway::Instruction(&instruction));
        assert!(matches!(&events[..], [Event::Instruction(got)] if *got == instruction));
    }
    let wave = waveform(&[1_000, 1_001, 1_003, 1_002, 998, 990, 985, 983]);
    let events = studio.client_says(&mut session, &FromClient::Waveform(&wave));
    assert!(matches!(&events[..], [gateway::Event::Waveform(got)] if *got == wave));
    let piece = FirmwareRequest { image: 1, offset: 1_024, length: 1_024 };
    studio.client_says(&mut session, &FromClient::FirmwareRequest(piece));
    studio.client_says(&mut session, &FromClient::FirmwareStatus(update));
    let mut previous = [0; 32];
    for seq in 1..=3 {
        let mut batch = batch(seq..=seq);
        batch.previous = previous;
        previous = batch.hash();
        let events = studio.client_says(&mut session, &FromClient::Vitals(&batch));
        assert!(matches!(&events[..], [gateway::Event::Vitals(got)] if *got == batch));
        studio.gateway_says(&mut session, &FromGateway::VitalsAck(Seq(seq)));
    }
    studio.client_says(&mut session, &FromClient::Heartbeat);
    studio.gateway_says(&mut session, &FromGateway::Heartbeat(studio.now.wall));
    studio.now = later(studio.now, Duration::from_secs(3_600));
    studio.client_says(&mut session, &FromClient::Heartbeat);
    studio.gateway_says(&mut session, &FromGateway::Disconnect(Farewell::Shutdown));
    let mut scene = Scene::default();
    records(&mut scene, &studio.take().0, &mut from_client, &mut from_gateway, &mut seen);
    add(
        "wearable session: token, status, instructions, a waveform, an update refused, three vitals, heartbeats, an hour later key updates and the end",
        scene,
        &mut seen,
    );

    let suite = Suite::Wearable;
    let ticket = Ticket { token, suite, key: Secret::new(keys.resume) };
    let record = ResumeRecord {
        client: identity.id.clone(),
        suite,
        key_id: session.key,
        key: Secret::new(keys.resume),
    };
    let gateway = GatewayEndpoint::new(kind, channel_of(kind), studio.now);
    let resumed = studio.log_in(&identity, gateway, &[suite], Some((ticket, record)));
    let (mut scene, _) = resume_scene(kind, &keys.resume, studio.take());
    assert_eq!(
        scene.0.iter().find(|e| e["name"] == "session id").unwrap()["hex"],
        hex::encode(resumed.id.as_bytes())
    );
    scene.value("token hash in the store", &token_hash(&token));
    add("wearable resumption", scene, &mut seen);

    seen.insert(Opcode::Error as u8, (error_frame(Fault::DeniedCodeWrong { tries_left: 2 }), None));
    Recording { json: json!({ "protocol": VERSION, "now_ms": START.wall.0, "scenes": scenes }), frames: seen }
}

/// A wearable's login, a record, a key update and a resumption under one suite.
fn play_suite(suite: Suite, offered: &[Suite]) -> Vec<Value> {
    let number = suite.number();
    let mut scenes = Vec::new();
    let mut add = |title: &str, scene: Scene| {
        scenes.push(json!({ "scene": title, "suite": number, "entries": scene.0 }));
    };
    let kind = ClientKind::Wearable;
    let mut studio = Studio::new(u64::from(number));
    let identity = Arc::new(ClientIdentity { id: id_of(kind), login: client_login(kind), receipts: None });
    studio.pinned =
        Some(PinnedClient { id: identity.id.clone(), login: identity.login.verifying_key(), receipts: None });
    let gateway = GatewayEndpoint::new(kind, channel_of(kind), studio.now);
    let mut session = studio.log_in(&identity, gateway, offered, None);
    let (scene, keys, mut from_client, mut from_gateway) = login_scene(suite, studio.take());
    assert_eq!((session.id.as_bytes(), session.resume.expose()), (&keys.session, &keys.resume));
    add("login", scene);

    let token = [0x42; 16];
    studio.gateway_says(&mut session, &FromGateway::Token(token, studio.now.wall + TOKEN_LIFETIME));
    studio.client_says(&mut session, &FromClient::Vitals(&batch(1..=1)));
    studio.gateway_says(&mut session, &FromGateway::VitalsAck(Seq(1)));
    studio.now = later(studio.now, Duration::from_secs(3_600));
    studio.client_says(&mut session, &FromClient::Heartbeat);
    let mut scene = Scene::default();
    let sent = studio.take().0;
    records(&mut scene, &sent, &mut from_client, &mut from_gateway, &mut Frames::new());
    add("session", scene);

    let ticket = Ticket { token, suite, key: Secret::new(keys.resume) };
    let record = ResumeRecord {
        client: identity.id.clone(),
        suite,
        key_id: session.key,
        key: Secret::new(keys.resume),
    };
    let gateway = GatewayEndpoint::new(kind, channel_of(kind), studio.now);
    let mut resumed = studio.log_in(&identity, gateway, offered, Some((ticket, record)));
    let (mut scene, keys) = resume_scene(kind, &keys.resume, studio.take());
    assert_eq!(resumed.id.as_bytes(), &keys.session);
    studio.client_says(&mut resumed, &FromClient::Heartbeat);
    let mut from_client = Records::new(Sealing::of(suite), keys.c2g, keys.session);
    let mut from_gateway = Records::new(Sealing::of(suite), keys.g2c, keys.session);
    let sent = studio.take().0;
    records(&mut scene, &sent, &mut from_client, &mut from_gateway, &mut Frames::new());
    add("resumption, and a heartbeat", scene);
    scenes
}

fn proof_frame(scene: &Scene) -> (Vec<u8>, Option<Vec<u8>>) {
    let find =
        |key: &str, name: &str| scene.0.iter().find(|e| e[key] == name).unwrap()["hex"].as_str().unwrap();
    let bytes = hex::decode(find("frame", "KeyVerification")).unwrap();
    let opened = hex::decode(find("name", "KEY_VERIFICATION of the client opened")).unwrap();
    (bytes, Some(opened))
}

fn sized_key(
    key: &vitalward_protocol::group::WrappedKey,
    wrap: &[u8; 32],
    epoch: &[u8],
    aad: &[u8],
) -> Vec<u8> {
    let bytes = postcard::to_allocvec(key).unwrap();
    let (_, rest) = varint(&bytes);
    let (_, rest) = varint(rest);
    open(wrap, epoch.try_into().unwrap(), aad, sized(rest).0)
}

/// The ERROR frame with which a gateway refuses for this fault.
fn error_frame(fault: Fault) -> Vec<u8> {
    let mut endpoint = GatewayEndpoint::new(ClientKind::Wearable, Channel::Plain, START);
    endpoint.refuse(fault, START);
    endpoint.poll_transmit().unwrap()
}

// --- Files ---

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn matches_golden(file: &str, text: &str) {
    let path = folder().join(file);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{} differs; BLESS=1 rewrites it", path.display());
}

#[test]
fn the_session_vectors_are_these_bytes() {
    let text = serde_json::to_string_pretty(&play().json).unwrap();
    matches_golden("session.json", &(text + "\n"));
}

#[test]
fn the_vectors_of_suites_3_and_4_are_these_bytes() {
    let hybrid = [Suite::Hybrid, Suite::Wearable, Suite::Ascon];
    let scenes = [play_suite(Suite::Ascon, &[Suite::Ascon]), play_suite(Suite::Hybrid, &hybrid)].concat();
    let json = json!({ "protocol": VERSION, "now_ms": START.wall.0, "scenes": scenes });
    matches_golden("suites.json", &(serde_json::to_string_pretty(&json).unwrap() + "\n"));
}

#[test]
fn every_opcode_has_a_golden_frame() {
    let recording = play();
    for opcode in Opcode::ALL {
        let number = *opcode as u8;
        let (frame, plaintext) =
            recording.frames.get(&number).unwrap_or_else(|| panic!("no {opcode:?} was played"));
        let mut text = format!("frame {}\n", hex::encode(frame));
        if let Some(plaintext) = plaintext {
            text.push_str(&format!("plain {}\n", hex::encode(plaintext)));
        }
        matches_golden(&format!("{number:02}-{opcode:?}.hex"), &text);
    }
}

#[test]
fn every_refusal_and_farewell_keeps_its_number() {
    let since = UnixMillis(1);
    let clock = Fault::DeniedClock { client: since, gateway: UnixMillis(2), tolerance: TOLERANCE };
    let refusals = [
        (Fault::PeerVersion(9), "0001"),
        (Fault::PeerSuite, "01"),
        (Fault::DeniedOtherGateway, "02"),
        (Fault::DeniedUnknown, "03"),
        (clock, "040102b0ea01"),
        (Fault::DeniedToken, "05"),
        (Fault::DeniedCodeUnknown, "06"),
        (Fault::DeniedCodeWrong { tries_left: 2 }, "0702"),
        (Fault::DeniedCodeForAnother, "08"),
        (Fault::DeniedPairedElsewhere { since, last_seen: Some(since) }, "09010101"),
        (Fault::DeniedBusy, "0a"),
        (Fault::LocalStorage, "0b"),
        (Fault::PeerLimit("x"), "0c"),
        (Fault::DeniedNotPostQuantum, "0d"),
    ];
    for (fault, body) in refusals {
        assert_eq!(hex::encode(&error_frame(fault.clone())[HEADER_LEN..]), body, "{fault:?}");
    }
    let farewells = [
        Farewell::EndedByDoctor,
        Farewell::EndedByPatient,
        Farewell::Shutdown,
        Farewell::Displaced,
        Farewell::Revoked,
        Farewell::Spent,
    ];
    for (number, farewell) in farewells.into_iter().enumerate() {
        assert_eq!(postcard::to_allocvec(&farewell).unwrap(), [u8::try_from(number).unwrap()]);
    }
}
