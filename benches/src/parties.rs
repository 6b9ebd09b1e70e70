//! Paired parties and what they do: log in, resume, share a group, send vitals, receive alerts.

use std::{sync::Arc, time::Duration};

use crypto::{Secret, identity::SigningKey, purpose::Ed25519Key};
use protocol::{
    alert::{Alert, Audience, Draft, Priority},
    credential::{ClientIdentity, ClientKind, GatewayIdentity, LoginKey, PinnedClient, PinnedGateway, Suite},
    frame::{Frame, FrameReader},
    group::GroupOwner,
    handshake::{
        Channel, Established, Terms,
        initiator::AwaitReply,
        responder::Login,
        resume::{AwaitResumeReply, ResumeRecord, Resumption, Ticket},
    },
    id::{AlertId, BootId, ClientId, DeviceId, GatewayId, Seq, SessionId},
    time::{ClockFlag, Monotonic, Now, UnixMillis},
    vitals::{KnownQuantity, Sample, SampleTime, VitalsBatch},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::cpu_time;

/// The time of everything that happens here.
pub const NOW: Now = Now { wall: UnixMillis(1_700_000_000_000), mono: Monotonic(0) };
const TOLERANCE: Duration = Duration::from_secs(30);

/// A gateway and a client that are paired.
#[derive(Debug)]
pub struct Parties {
    kind: ClientKind,
    terms: Terms,
    gateway: GatewayIdentity,
    client: Arc<ClientIdentity>,
    pinned_gateway: PinnedGateway,
    pinned_client: PinnedClient,
    rng: ChaCha20Rng,
}

/// A session that both sides have.
#[derive(Debug)]
pub struct LoggedIn {
    /// What the client keeps to resume.
    pub ticket: Ticket,
    /// What the gateway keeps.
    pub record: ResumeRecord,
    /// CPU time of the gateway's side alone.
    pub gateway: Duration,
    /// Bytes of all frames of the login.
    pub wire: usize,
}

impl Parties {
    /// A pair with a client of this suite; the same pair in every run.
    #[must_use]
    pub fn new(suite: Suite) -> Self {
        let kind = suite.kind();
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let login = |kind, rng: &mut ChaCha20Rng| LoginKey::generate(kind, rng).unwrap();
        let gateway = GatewayIdentity {
            gateway: GatewayId::from_bytes([1; 16]),
            doctor: "D001".parse().unwrap(),
            patient_login: login(ClientKind::Patient, &mut rng),
            wearable_login: login(ClientKind::Wearable, &mut rng),
            alerts: SigningKey::generate(&mut rng),
            tls_spki: [0; 32],
        };
        let (id, channel, receipts) = match kind {
            ClientKind::Patient => {
                let id = ClientId::Patient("P001".parse().unwrap());
                (id, Channel::Tls { exporter: [3; 32] }, Some(SigningKey::generate(&mut rng)))
            }
            ClientKind::Wearable => (ClientId::Wearable(DeviceId::from_bytes([2; 16])), Channel::Plain, None),
        };
        let client = ClientIdentity { id: id.clone(), login: login(kind, &mut rng), receipts };
        let pinned_client = PinnedClient {
            id,
            login: client.login.verifying_key(),
            receipts: client.receipts.as_ref().map(SigningKey::verifying_key),
        };
        let pinned_gateway = gateway.pinned(kind);
        let terms = Terms { suites: vec![suite], channel, clock: ClockFlag::Synced };
        Self { kind, terms, gateway, client: Arc::new(client), pinned_gateway, pinned_client, rng }
    }

    /// A full login of both sides, without sockets and TLS.
    pub fn log_in(&mut self) -> LoggedIn {
        let Self { kind, terms, gateway, client, pinned_gateway, pinned_client, rng } = self;
        let mut spent = Duration::ZERO;
        let (client_state, hello) =
            AwaitReply::start(Arc::clone(client), pinned_gateway.clone(), terms.clone(), NOW, rng).unwrap();
        let mut wire = frame_len(&hello);
        let (gateway_state, reply) = timed(&mut spent, || {
            Login::parse(hello, *kind, terms.channel).unwrap().answer(gateway, TOLERANCE, NOW, rng).unwrap()
        });
        let (client_state, proof) = client_state.handle_reply(&frame(&reply).body, rng).unwrap();
        wire += reply.len() + frame_len(&proof);
        let (at_gateway, confirmation) = timed(&mut spent, || {
            gateway_state.open(proof).unwrap().verify(Some(pinned_client), NOW).unwrap()
        });
        wire += confirmation.len();
        let at_client = client_state.handle_confirmation(&frame(&confirmation), NOW).unwrap();
        logged_in(at_client, at_gateway, spent, wire)
    }

    /// Resumes a session with a copy of its ticket, as no gateway would allow twice.
    pub fn resume(&mut self, LoggedIn { ticket, record, .. }: &LoggedIn) -> LoggedIn {
        let Self { kind, terms, client, rng, .. } = self;
        let ticket = Ticket { token: ticket.token, suite: ticket.suite, key: ticket.key.duplicate() };
        let record = ResumeRecord {
            client: record.client.clone(),
            suite: record.suite,
            key_id: record.key_id,
            key: record.key.duplicate(),
        };
        let mut spent = Duration::ZERO;
        let (client_state, resume) = AwaitResumeReply::start(Arc::clone(client), ticket, terms, NOW, rng);
        let mut wire = frame_len(&resume);
        let (at_gateway, reply) = timed(&mut spent, || {
            let request = Resumption::parse(resume, *kind, terms.channel).unwrap();
            request.verify(Some(record), TOLERANCE, NOW).unwrap().answer(NOW, rng).unwrap()
        });
        wire += reply.len();
        let at_client = client_state.handle_reply(&frame(&reply).body, NOW).unwrap();
        logged_in(at_client, at_gateway, spent, wire)
    }
}

fn logged_in(client: Established, gateway: Established, spent: Duration, wire: usize) -> LoggedIn {
    LoggedIn {
        ticket: Ticket { token: [1; 16], suite: client.suite, key: client.resume },
        record: ResumeRecord {
            client: gateway.client,
            suite: gateway.suite,
            key_id: gateway.key,
            key: gateway.resume,
        },
        gateway: spent,
        wire,
    }
}

fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begin = cpu_time::now();
    let done = work();
    *spent += cpu_time::now().saturating_sub(begin);
    done
}

fn frame(bytes: &[u8]) -> Frame {
    let mut reader = FrameReader::new(bytes.len());
    reader.push(bytes);
    reader.next_frame().unwrap().unwrap()
}

fn frame_len(body: &[u8]) -> usize {
    protocol::frame::HEADER_LEN + body.len()
}

/// A group owner with this many members.
#[must_use]
pub fn group_of(members: usize, rng: &mut ChaCha20Rng) -> GroupOwner {
    let mut owner = GroupOwner::new(GatewayId::from_bytes([1; 16]), 1, NOW.mono, rng);
    for n in 0..members {
        let patient = format!("P{n}").parse().unwrap();
        owner.join(&patient, SessionId::from_bytes([0; 16]), Secret::generate(rng), NOW.mono, rng);
    }
    owner
}

/// What a wearable sends: this many samples of five quantities each, 5 s apart.
#[must_use]
pub fn vitals(samples: u64) -> VitalsBatch {
    let sample = |seq| Sample {
        seq: Seq(seq),
        boot: BootId(7),
        taken: SampleTime { since_boot_ms: 5_000 * seq, wall: Some(UnixMillis(NOW.wall.0 + 5_000 * seq)) },
        simulated: false,
        quantities: vec![
            KnownQuantity::HEART_RATE.measured(72, 0),
            KnownQuantity::PULSE_RATE.measured(72, 0),
            KnownQuantity::SPO2.measured(975, -1),
            KnownQuantity::RESPIRATION.measured(14, 0),
            KnownQuantity::BODY_TEMPERATURE.measured(368, -1),
        ],
    };
    VitalsBatch { previous: [4; 32], samples: (100..100 + samples).map(sample).collect() }
}

/// An alert of ordinary length.
#[must_use]
pub fn alert() -> Alert {
    let draft = Draft {
        id: AlertId::from_bytes([9; 16]),
        sequence: 1,
        created: NOW.wall,
        expires: UnixMillis(NOW.wall.0 + 86_400_000),
        priority: Priority::High,
        audience: Audience::Ward,
        cancels: None,
        text: "Fire in the east wing. Leave by the west stairs. Nurses will meet you at the door.".into(),
    };
    draft.sign(&SigningKey::from_secret(&Secret::<Ed25519Key>::new([5; 32]))).unwrap()
}
