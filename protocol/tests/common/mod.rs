//! A gateway and one client's endpoint with the wire between them in the test's hands.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crypto::identity::SigningKey;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vitalward_protocol::{
    alert::{Audience, Draft, Priority},
    cadence::Cadence,
    credential::{ClientIdentity, ClientKind, LoginKey, PinnedGateway, Suite},
    endpoint::{
        client::{ClientEndpoint, Event},
        pairing::{Outcome, PairingEndpoint},
    },
    error::{Fault, Refusal},
    firmware::Firmware,
    frame::{self, Frame, FrameReader, MAX_BODY},
    handshake::{Channel, Terms, resume::Ticket},
    id::{AlertId, BootId, ClientId, DeviceId, Seq},
    message::FromClient,
    opcode::Opcode,
    pairing::{code::PairingCode, initiator::Candidate},
    reading::{Measurement, Method, Reason},
    status::{DeviceStatus, LinkQuality},
    testkit::{ConnId, SimGateway},
    time::{ClockFlag, Monotonic, Now, UnixMillis},
    vitals::{Decimal, KnownQuantity, Sample, SampleTime, VitalsBatch},
    waveform::{Packed, Signal, Waveform},
};

pub const TLS: Channel = Channel::Tls { exporter: [0x42; 32] };
pub const OTHER_TLS: Channel = Channel::Tls { exporter: [0x43; 32] };

/// Where a frame is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    Gateway,
    Client,
}

/// A wire that leaves everything as it is.
pub fn honest(_: To, frame: Vec<u8>) -> Vec<u8> {
    frame
}

pub struct Clinic {
    pub gateway: SimGateway,
    pub rng: ChaCha20Rng,
    pub now: Now,
    /// What clients offer, the preferred first.
    pub suites: Vec<Suite>,
    connections: u64,
}

/// A client's end of a connection, with what it has seen.
pub struct Talk {
    pub endpoint: ClientEndpoint,
    pub conn: ConnId,
    pub events: Vec<Event>,
    pub closed_by_gateway: bool,
}

impl Clinic {
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let now = Now { wall: UnixMillis(1_790_000_000_000), mono: Monotonic(1_000_000) };
        let suites = vec![Suite::Patient, Suite::Hybrid, Suite::Wearable, Suite::Ascon];
        Self { gateway: SimGateway::new(now, &mut rng), rng, now, suites, connections: 0 }
    }

    /// One in which clients offer this suite only.
    pub fn of(suite: Suite, seed: u64) -> Self {
        Self { suites: vec![suite], ..Self::new(seed) }
    }

    pub fn terms(&self, kind: ClientKind, channel: Channel, clock: ClockFlag) -> Terms {
        let suites = self.suites.iter().copied().filter(|suite| suite.kind() == kind).collect();
        Terms { suites, channel, clock }
    }

    pub fn identity(&mut self, id: ClientId) -> Arc<ClientIdentity> {
        let login = LoginKey::generate(id.kind(), &mut self.rng).unwrap();
        let receipts = matches!(id, ClientId::Patient(_)).then(|| SigningKey::generate(&mut self.rng));
        Arc::new(ClientIdentity { id, login, receipts })
    }

    /// A client that is enrolled.
    pub fn enrolled(&mut self, id: ClientId) -> Arc<ClientIdentity> {
        let identity = self.identity(id);
        self.gateway.enrol(&identity, self.now);
        identity
    }

    pub fn pass(&mut self, duration: Duration) {
        self.now = later(self.now, duration);
    }

    pub fn pinned(&self, kind: ClientKind) -> PinnedGateway {
        self.gateway.identity.pinned(kind)
    }

    /// A connection on the port for this kind.
    pub fn open(&mut self, kind: ClientKind) -> ConnId {
        self.open_on(kind, channel(kind))
    }

    pub fn open_on(&mut self, kind: ClientKind, channel: Channel) -> ConnId {
        self.connections += 1;
        let conn = ConnId(self.connections);
        self.gateway.accept(conn, kind, channel, self.now);
        conn
    }

    /// Bytes to the gateway; the frames that it answers on that connection, and whether it closes it.
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) -> (Vec<Vec<u8>>, bool) {
        self.gateway.handle_bytes(conn, bytes, self.now, &mut self.rng);
        self.answers(conn)
    }

    pub fn answers(&mut self, conn: ConnId) -> (Vec<Vec<u8>>, bool) {
        let (mut frames, mut closed) = (Vec::new(), false);
        for (to, bytes) in self.gateway.take_output() {
            match bytes {
                _ if to != conn => {}
                Some(bytes) => frames.push(bytes),
                None => closed = true,
            }
        }
        (frames, closed)
    }

    pub fn connect(&mut self, identity: &Arc<ClientIdentity>, ticket: Option<Ticket>) -> Talk {
        let kind = identity.id.kind();
        let conn = self.open(kind);
        self.talk(identity, ticket, conn, self.pinned(kind), channel(kind), self.now)
    }

    pub fn talk(
        &mut self,
        identity: &Arc<ClientIdentity>,
        ticket: Option<Ticket>,
        conn: ConnId,
        pinned: PinnedGateway,
        channel: Channel,
        now: Now,
    ) -> Talk {
        let identity = Arc::clone(identity);
        let terms = self.terms(identity.id.kind(), channel, ClockFlag::Synced);
        let endpoint = ClientEndpoint::connect(identity, pinned, ticket, terms, now, &mut self.rng).unwrap();
        Talk { endpoint, conn, events: Vec::new(), closed_by_gateway: false }
    }

    /// Carries frames both ways, each through `wire`, until nothing moves.
    pub fn run(&mut self, talk: &mut Talk, mut wire: impl FnMut(To, Vec<u8>) -> Vec<u8>) {
        loop {
            talk.take_events();
            let outgoing: Vec<_> = std::iter::from_fn(|| talk.endpoint.poll_transmit()).collect();
            let mut moved = !outgoing.is_empty();
            for bytes in outgoing {
                let bytes = wire(To::Gateway, bytes);
                self.gateway.handle_bytes(talk.conn, &bytes, self.now, &mut self.rng);
            }
            let (frames, closed) = self.answers(talk.conn);
            talk.closed_by_gateway |= closed;
            moved |= !frames.is_empty();
            for bytes in frames {
                let bytes = wire(To::Client, bytes);
                talk.endpoint.handle_bytes(&bytes, self.now, &mut self.rng);
            }
            if !moved {
                return;
            }
        }
    }

    /// Connects and logs in or resumes over an honest wire.
    pub fn session(&mut self, identity: &Arc<ClientIdentity>, ticket: Option<Ticket>) -> Talk {
        let mut talk = self.connect(identity, ticket);
        self.run(&mut talk, honest);
        talk
    }

    /// A session, and the frames that began it.
    pub fn recorded(
        &mut self,
        identity: &Arc<ClientIdentity>,
        ticket: Option<Ticket>,
    ) -> (Talk, Vec<(To, Vec<u8>)>) {
        let mut talk = self.connect(identity, ticket);
        let mut frames = Vec::new();
        self.run(&mut talk, |to, frame| {
            frames.push((to, frame.clone()));
            frame
        });
        (talk, frames)
    }

    /// Pairs over `wire`; the connection is left for the login.
    pub fn pair(
        &mut self,
        id: &ClientId,
        code: PairingCode,
        wire: impl FnMut(To, Vec<u8>) -> Vec<u8>,
    ) -> (Outcome, ConnId) {
        let kind = id.kind();
        let conn = self.open(kind);
        (self.pair_on(id, code, conn, channel(kind), wire), conn)
    }

    pub fn pair_on(
        &mut self,
        id: &ClientId,
        code: PairingCode,
        conn: ConnId,
        channel: Channel,
        mut wire: impl FnMut(To, Vec<u8>) -> Vec<u8>,
    ) -> Outcome {
        let kind = id.kind();
        let candidate = Candidate {
            kind,
            wanted: Some(id.clone()),
            name: None,
            login: LoginKey::generate(kind, &mut self.rng).unwrap(),
            receipts: (kind == ClientKind::Patient).then(|| SigningKey::generate(&mut self.rng)),
        };
        let mut endpoint = PairingEndpoint::start(candidate, code, channel, self.now, &mut self.rng);
        let mut incoming = VecDeque::new();
        loop {
            if let Some(outcome) = endpoint.poll_outcome() {
                return outcome;
            }
            if let Some(frame) = endpoint.poll_transmit() {
                let bytes = wire(To::Gateway, frame);
                incoming.extend(self.send(conn, &bytes).0);
            } else if let Some(frame) = incoming.pop_front() {
                let bytes = wire(To::Client, frame);
                endpoint.handle_bytes(&bytes, self.now, &mut self.rng);
            } else {
                // Both wait for more: time ends it.
                let due = later(self.now, Duration::from_secs(11));
                self.gateway.handle_timeout(due, &mut self.rng);
                self.gateway.take_output();
                endpoint.handle_timeout(due);
            }
        }
    }

    /// The fault of the gateway's last refusal.
    pub fn last_refusal(&self) -> &Fault {
        self.gateway.store.refusals.last().expect("nothing was refused")
    }

    pub fn has_session(&self, id: &ClientId) -> bool {
        self.gateway.in_session().contains(id)
    }
}

impl Talk {
    fn take_events(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.endpoint.poll_event()));
    }

    /// The ticket that came last.
    pub fn ticket(&mut self) -> Ticket {
        self.take_events();
        let found = self.events.iter().rposition(|event| matches!(event, Event::Ticket { .. }));
        match self.events.remove(found.expect("no ticket came")) {
            Event::Ticket { ticket, .. } => ticket,
            _ => unreachable!(),
        }
    }

    pub fn is_resumed(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Established { resumed: true, .. }))
    }

    /// Why it ended.
    pub fn fault(&mut self) -> Option<&Fault> {
        self.take_events();
        self.events.iter().find_map(|event| match event {
            Event::Closed(fault) => Some(fault),
            _ => None,
        })
    }

    /// What the gateway said when it refused.
    pub fn refusal(&mut self) -> Option<&Refusal> {
        match self.fault() {
            Some(Fault::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }

    pub fn alerts(&mut self) -> Vec<&vitalward_protocol::alert::Alert> {
        self.take_events();
        let mut alerts = Vec::new();
        for event in &self.events {
            if let Event::Alert { alert, .. } = event {
                alerts.push(alert);
            }
        }
        alerts
    }

    /// Seals a batch with these sample numbers.
    pub fn vitals(&mut self, seqs: std::ops::RangeInclusive<u64>, now: Now) -> Vec<u8> {
        self.endpoint.say(&FromClient::Vitals(&batch(seqs)), now).unwrap();
        self.endpoint.poll_transmit().expect("a session is established")
    }
}

pub const SUITES: [Suite; 4] = [Suite::Patient, Suite::Wearable, Suite::Ascon, Suite::Hybrid];

pub fn somebody(kind: ClientKind) -> ClientId {
    match kind {
        ClientKind::Patient => patient("P001"),
        ClientKind::Wearable => wearable(1),
    }
}

/// Where the key share of a HELLO begins, after the frame's header: version, one suite, nonce, length.
pub fn share_at(kind: ClientKind) -> std::ops::Range<usize> {
    let before = frame::HEADER_LEN + 1 + 2 + 32;
    match kind {
        ClientKind::Patient => before + 2..before + 2 + 384,
        ClientKind::Wearable => before + 1..before + 1 + 32,
    }
}

pub const fn channel(kind: ClientKind) -> Channel {
    match kind {
        ClientKind::Patient => TLS,
        ClientKind::Wearable => Channel::Plain,
    }
}

pub fn later(now: Now, duration: Duration) -> Now {
    Now { wall: now.wall + duration, mono: now.mono + duration }
}

pub fn patient(id: &str) -> ClientId {
    ClientId::Patient(id.parse().unwrap())
}

pub fn wearable(n: u8) -> ClientId {
    ClientId::Wearable(DeviceId::from_random([n; 16]))
}

pub fn batch(seqs: std::ops::RangeInclusive<u64>) -> VitalsBatch {
    let sample = |seq| Sample {
        seq: Seq(seq),
        boot: BootId(7),
        taken: SampleTime { since_boot_ms: 1_000 * seq, wall: None },
        simulated: true,
        quantities: vec![
            KnownQuantity::HEART_RATE.reading(Ok(Measurement {
                value: Decimal { mantissa: 72, exponent: 0 },
                quality: Some(95),
                method: Method::ECG_BEATS,
                calibration: 0,
            })),
            KnownQuantity::SPO2.reading(Err(Reason::FINGER_OFF)),
            KnownQuantity::SDNN.reading(Err(Reason::SETTLING)),
            KnownQuantity::BODY_TEMPERATURE.measured(3683, -2),
        ],
    };
    VitalsBatch { previous: [0; 32], samples: seqs.map(sample).collect() }
}

/// The frames in a stream of bytes.
pub fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut reader = FrameReader::new(MAX_BODY);
    reader.push(bytes);
    std::iter::from_fn(|| reader.next_frame().unwrap()).collect()
}

pub fn opcode_of(frame: &[u8]) -> Opcode {
    Opcode::from_number(frame[4]).unwrap()
}

pub fn draft(text: &str) -> Draft {
    Draft {
        id: AlertId::from_bytes([7; 16]),
        sequence: 1,
        created: UnixMillis(1_790_000_000_000),
        expires: UnixMillis(1_790_000_600_000),
        priority: Priority::High,
        audience: Audience::Ward,
        cancels: None,
        text: text.into(),
    }
}

/// What a wearable tells about itself.
pub fn status() -> DeviceStatus {
    DeviceStatus {
        cadence: Cadence { sample_ms: 1_000, upload_ms: 1_000 },
        battery: None,
        link: LinkQuality::default(),
        waiting: 0,
        lost: 0,
        firmware: Firmware { name: "fw 1".into(), version: 1, hardware: "board".parse().unwrap() },
        update: None,
    }
}

/// An ECG of these samples.
pub fn waveform(samples: &[i32]) -> Waveform {
    Waveform {
        signal: Signal::ECG,
        boot: BootId(7),
        first: 360,
        taken: SampleTime { since_boot_ms: 1_000, wall: None },
        rate_millihertz: 360_000,
        scale: Decimal { mantissa: 5, exponent: -3 },
        unit: "mV".into(),
        simulated: true,
        samples: Packed::pack(samples).0,
    }
}
