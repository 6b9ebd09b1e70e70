//! A gateway and its clients with the wires between them in the input's hands: login, resumption, vitals, alerts,
//! receipts, revocation and enrolment, while messages are held back, joined, cut, reordered, repeated, altered, dropped,
//! reflected, crossed and made up, by strangers and by members that keep no rule.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, LazyLock},
    time::Duration,
};

use arbitrary::{Arbitrary, Unstructured};
use crypto::{Secret, identity::SigningKey};
use protocol::{
    alert::{Alert, Receipt, Stage},
    credential::{ClientIdentity, ClientKind, LoginKey},
    endpoint::client::{ClientEndpoint, Event},
    frame::{self, HEADER_LEN, MAX_BODY, MAX_BODY_BEFORE_LOGIN},
    handshake::{Terms, resume::Ticket},
    id::{AlertId, BootId, ClientId, PatientId, Seq},
    message::{Farewell, FromClient},
    opcode::Opcode,
    testkit::{ConnId, SimGateway},
    time::{ClockFlag, Now},
    vitals::{KnownQuantity, MAX_SAMPLES, Sample, SampleTime, VitalsBatch},
};
use rand_chacha::ChaCha20Rng;

use crate::fixture::{NOW, PATIENT, WEARABLE, channel, rng};

const MAX_OPERATIONS: usize = 64;
/// Longest body of a message that the input makes up.
const MAX_MADE_UP: usize = 256;

/// The end that a message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum To {
    Gateway,
    Client,
}

/// A client's wire in one direction.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Wire {
    who: u8,
    to: To,
}

/// What happens. Numbers are reduced to what exists; a client is a number.
#[derive(Debug, Arbitrary)]
enum Operation {
    Connect(u8),
    LogIn(u8),
    Deliver(Wire, u8),
    DeliverPart(Wire, u8),
    Settle,
    Swap(Wire),
    Duplicate(Wire),
    Alter(Wire, u16, u8),
    Drop(Wire),
    Reflect(Wire),
    Cross(Wire, u8),
    Replay(Wire, u8),
    MakeUp(Wire, u8, Vec<u8>),
    Inject(Wire, Vec<u8>),
    /// The beginning of a frame, far longer than the input.
    Flood(Wire, u16, u8),
    /// Sealed with the session's own keys.
    Misuse(Wire, u8, Vec<u8>),
    Pass(u16),
    Cut(u8),
    Leave(u8),
    Measure(u8),
    Raise(Option<u8>),
    Acknowledge(u8),
    Revoke(u8),
    Enrol(u8),
    CrashGateway,
}

/// One connection: a client's endpoint, and what is under way.
struct Talk {
    endpoint: ClientEndpoint,
    conn: ConnId,
    to_gateway: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
    /// The gateway was made to say what it never would.
    misled: bool,
}

impl Talk {
    fn wire(&mut self, to: To) -> &mut VecDeque<Vec<u8>> {
        match to {
            To::Gateway => &mut self.to_gateway,
            To::Client => &mut self.to_client,
        }
    }
}

struct Client {
    identity: Arc<ClientIdentity>,
    ticket: Option<Ticket>,
    talk: Option<Talk>,
    shown: Vec<Alert>,
    unsent: VecDeque<Seq>,
    acknowledged: Option<Seq>,
}

struct World {
    gateway: SimGateway,
    clients: Vec<Client>,
    connections: u64,
    recorded: Vec<Vec<u8>>,
    last_seq: u64,
    now: Now,
    rng: ChaCha20Rng,
}

static SECOND: LazyLock<Arc<ClientIdentity>> = LazyLock::new(|| {
    Arc::new(ClientIdentity {
        id: ClientId::Patient("P002".parse().unwrap()),
        login: LoginKey::from_secret(ClientKind::Patient, [21; 32]).unwrap(),
        receipts: Some(SigningKey::from_secret(&Secret::new([22; 32]))),
    })
});

/// No alert is shown that the gateway did not make for this patient; nothing is acknowledged that is not stored, and
/// nothing stored twice; nobody is in session, or a member, who is not enrolled; no receipt is believed that the patient
/// did not give; nobody keeps more than a frame. After the noise an honest login, a measurement and an alert succeed.
pub fn conversation(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut world = World::new();
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let Ok(operation) = Operation::arbitrary(&mut input) else { break };
        world.apply(operation);
        world.check();
    }
    world.recover();
}

impl World {
    /// Two patients and a wearable, enrolled and in session.
    fn new() -> Self {
        let mut rng = rng(1);
        let client = |identity: &Arc<ClientIdentity>| Client {
            identity: Arc::clone(identity),
            ticket: None,
            talk: None,
            shown: Vec::new(),
            unsent: VecDeque::new(),
            acknowledged: None,
        };
        let clients = [&*PATIENT, &*SECOND, &*WEARABLE].map(client).into();
        let gateway = SimGateway::new(NOW, &mut rng);
        let mut world =
            Self { gateway, clients, connections: 0, recorded: Vec::new(), last_seq: 0, now: NOW, rng };
        for who in 0..world.clients.len() {
            world.enrol(who);
            world.hand_ticket(who);
            world.connect(who);
        }
        world.settle();
        world
    }

    fn who(&self, number: u8) -> usize {
        usize::from(number) % self.clients.len()
    }

    /// A wire with something on it.
    fn wire(&mut self, Wire { who, to }: Wire) -> Option<&mut VecDeque<Vec<u8>>> {
        let who = self.who(who);
        self.clients[who].talk.as_mut().map(|talk| talk.wire(to)).filter(|wire| !wire.is_empty())
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Connect(who) => self.connect(self.who(who)),
            Operation::LogIn(who) => {
                let who = self.who(who);
                self.clients[who].ticket = None;
                self.connect(who);
            }
            Operation::Deliver(wire, messages) => {
                self.deliver(self.who(wire.who), wire.to, 1 + usize::from(messages % 4));
            }
            Operation::DeliverPart(wire, bytes) => {
                if let Some(messages) = self.wire(wire) {
                    let first = messages.pop_front().unwrap_or_default();
                    let (part, rest) = first.split_at(usize::from(bytes) % first.len().max(1));
                    messages.push_front(rest.to_vec());
                    messages.push_front(part.to_vec());
                    self.deliver(self.who(wire.who), wire.to, 1);
                }
            }
            Operation::Settle => self.settle(),
            Operation::Swap(wire) => {
                if let Some(messages) = self.wire(wire).filter(|messages| messages.len() > 1) {
                    messages.swap(0, 1);
                }
            }
            Operation::Duplicate(wire) => {
                if let Some(messages) = self.wire(wire) {
                    messages.push_front(messages[0].clone());
                }
            }
            Operation::Alter(wire, byte, mask) => {
                if let Some(messages) = self.wire(wire) {
                    let at = usize::from(byte) % messages[0].len();
                    messages[0][at] ^= mask;
                }
            }
            Operation::Drop(wire) => drop(self.wire(wire).and_then(VecDeque::pop_front)),
            Operation::Reflect(wire) => {
                let back = if wire.to == To::Gateway { To::Client } else { To::Gateway };
                if let Some(message) = self.wire(wire).map(|messages| messages[0].clone()) {
                    self.put(Wire { to: back, ..wire }, message);
                }
            }
            Operation::Cross(wire, who) => {
                if let Some(message) = self.wire(wire).map(|messages| messages[0].clone()) {
                    self.put(Wire { who, ..wire }, message);
                }
            }
            Operation::Replay(wire, which) => {
                if let Some(which) = usize::from(which).checked_rem(self.recorded.len()) {
                    self.put(wire, self.recorded[which].clone());
                }
            }
            Operation::MakeUp(wire, opcode, body) => {
                let body = &body[..body.len().min(MAX_MADE_UP)];
                self.put(wire, frame::encode(any_opcode(opcode), body));
            }
            Operation::Inject(wire, bytes) => self.put(wire, bytes),
            Operation::Flood(wire, announced, kib) => {
                let mut flood = frame::encode(Opcode::Heartbeat, &vec![0; usize::from(kib) * 1024]);
                flood.splice(..4, u32::from(announced).to_be_bytes());
                self.put(wire, flood);
            }
            Operation::Misuse(wire, opcode, body) => {
                self.misuse(wire, any_opcode(opcode), &body[..body.len().min(MAX_MADE_UP)]);
            }
            Operation::Pass(ms) => self.pass(Duration::from_millis(ms.into())),
            Operation::Cut(who) => self.cut(self.who(who)),
            Operation::Leave(who) => {
                let (who, now) = (self.who(who), self.now);
                if let Some(talk) = &mut self.clients[who].talk {
                    talk.endpoint.disconnect(Farewell::EndedByPatient, now);
                }
            }
            Operation::Measure(samples) => self.measure(usize::from(samples % 8) + 1),
            Operation::Raise(selected) => drop(self.raise(selected)),
            Operation::Acknowledge(who) => self.acknowledge(self.who(who)),
            Operation::Revoke(who) => {
                let id = self.clients[self.who(who)].identity.id.clone();
                self.gateway.revoke(&id, self.now, &mut self.rng);
            }
            Operation::Enrol(who) => self.enrol(self.who(who)),
            Operation::CrashGateway => {
                self.gateway.crash();
                (0..self.clients.len()).for_each(|who| self.clients[who].talk = None);
                self.gateway.start(self.now, &mut self.rng);
            }
        }
        self.carry();
    }

    fn enrol(&mut self, who: usize) {
        self.gateway.enrol(&self.clients[who].identity, self.now);
    }

    fn hand_ticket(&mut self, who: usize) {
        let client = &mut self.clients[who];
        client.ticket = Some(self.gateway.ticket(&client.identity, self.now, &mut self.rng));
    }

    /// A new connection, with the ticket if there is one.
    fn connect(&mut self, who: usize) {
        self.cut(who);
        self.connections += 1;
        let conn = ConnId(self.connections);
        let client = &mut self.clients[who];
        let (identity, kind) = (Arc::clone(&client.identity), client.identity.id.kind());
        self.gateway.accept(conn, kind, channel(kind), self.now);
        let (pinned, ticket) = (self.gateway.identity.pinned(kind), client.ticket.take());
        let terms = Terms::of(kind, channel(kind), ClockFlag::Synced);
        let endpoint = ClientEndpoint::connect(identity, pinned, ticket, terms, self.now, &mut self.rng);
        let (to_gateway, to_client) = (VecDeque::new(), VecDeque::new());
        client.talk = Some(Talk { endpoint: endpoint.unwrap(), conn, to_gateway, to_client, misled: false });
        self.carry();
    }

    fn cut(&mut self, who: usize) {
        if let Some(talk) = self.clients[who].talk.take() {
            self.gateway.connection_lost(talk.conn, self.now);
        }
    }

    /// Takes what both ends want to say onto the wires, and what the clients have to tell.
    fn carry(&mut self) {
        for (conn, bytes) in self.gateway.take_output() {
            let talk =
                self.clients.iter_mut().filter_map(|client| client.talk.as_mut()).find(|t| t.conn == conn);
            if let (Some(talk), Some(bytes)) = (talk, bytes) {
                record(&mut self.recorded, &bytes);
                talk.to_client.push_back(bytes);
            }
        }
        for who in 0..self.clients.len() {
            while let Some(event) =
                self.clients[who].talk.as_mut().and_then(|talk| talk.endpoint.poll_event())
            {
                self.tell(who, event);
            }
            if let Some(talk) = &mut self.clients[who].talk {
                while let Some(bytes) = talk.endpoint.poll_transmit() {
                    record(&mut self.recorded, &bytes);
                    talk.to_gateway.push_back(bytes);
                }
            }
        }
    }

    fn tell(&mut self, who: usize, event: Event) {
        let client = &mut self.clients[who];
        match event {
            Event::Ticket { ticket, .. } => client.ticket = Some(ticket),
            Event::Alert { alert, .. } => {
                let ClientId::Patient(patient) = &client.identity.id else {
                    panic!("an alert was shown by a wearable");
                };
                let stored = self
                    .gateway
                    .store
                    .alerts
                    .get(&alert.id())
                    .expect("an alert that the gateway did not make");
                assert_eq!(stored.alert, alert, "an alert that differs from what the gateway made");
                assert!(stored.recipients.contains(patient), "an alert for somebody else");
                if !client.shown.contains(&alert) {
                    client.shown.push(alert.clone());
                }
                self.give_receipt(who, &alert, Stage::Decrypted);
            }
            Event::VitalsAcked(seq) if !client.talk.as_ref().is_some_and(|talk| talk.misled) => {
                client.unsent.retain(|unsent| *unsent > seq);
                client.acknowledged = client.acknowledged.max(Some(seq));
                self.send_vitals(who);
            }
            Event::Established { .. } => self.send_vitals(who),
            Event::Closed(_) | Event::Disconnected(_) => {
                assert!(client.talk.as_ref().is_some_and(|talk| talk.endpoint.is_closed()));
            }
            _ => {}
        }
    }

    fn put(&mut self, Wire { who, to }: Wire, message: Vec<u8>) {
        let who = self.who(who);
        if let Some(talk) = &mut self.clients[who].talk
            && !message.is_empty()
        {
            talk.wire(to).push_front(message);
        }
    }

    /// Brings the next messages of a wire to their end in one read.
    fn deliver(&mut self, who: usize, to: To, messages: usize) {
        let Some(talk) = &mut self.clients[who].talk else { return };
        let wire = talk.wire(to);
        let bytes: Vec<u8> = wire.drain(..messages.min(wire.len())).flatten().collect();
        match to {
            To::Gateway => self.gateway.handle_bytes(talk.conn, &bytes, self.now, &mut self.rng),
            To::Client => talk.endpoint.handle_bytes(&bytes, self.now, &mut self.rng),
        }
        self.carry();
    }

    /// Delivers all that is under way, in order, until nothing moves.
    fn settle(&mut self) {
        self.carry();
        loop {
            let mut moved = false;
            for who in 0..self.clients.len() {
                for to in [To::Gateway, To::Client] {
                    let waits = self.clients[who].talk.as_mut().is_some_and(|talk| !talk.wire(to).is_empty());
                    if waits {
                        moved = true;
                        self.deliver(who, to, usize::MAX);
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn misuse(&mut self, Wire { who, to }: Wire, opcode: Opcode, body: &[u8]) {
        let who = self.who(who);
        let Some(talk) = &mut self.clients[who].talk else { return };
        match to {
            To::Gateway => talk.endpoint.say_bytes(opcode, body, self.now).unwrap(),
            To::Client => {
                talk.misled = true;
                self.gateway.say_bytes(talk.conn, opcode, body, self.now);
            }
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now = Now { wall: self.now.wall + duration, mono: self.now.mono + duration };
        if self.gateway.next_time().is_some_and(|due| due <= self.now.mono.0) {
            self.gateway.handle_timeout(self.now, &mut self.rng);
        }
        for client in &mut self.clients {
            if let Some(talk) = &mut client.talk {
                talk.endpoint.handle_timeout(self.now);
            }
        }
        self.carry();
    }

    fn wearable(&self) -> usize {
        self.clients.iter().position(|client| client.identity.id.kind() == ClientKind::Wearable).unwrap()
    }

    fn measure(&mut self, samples: usize) {
        let wearable = self.wearable();
        for _ in 0..samples {
            self.last_seq += 1;
            self.clients[wearable].unsent.push_back(Seq(self.last_seq));
        }
        self.send_vitals(wearable);
        self.carry();
    }

    /// Everything that is not acknowledged, oldest first.
    fn send_vitals(&mut self, who: usize) {
        let client = &mut self.clients[who];
        let Some(talk) = client.talk.as_mut().filter(|talk| talk.endpoint.is_established()) else { return };
        if !client.unsent.is_empty() {
            let samples = client.unsent.iter().take(MAX_SAMPLES).copied().map(sample).collect();
            let batch = VitalsBatch { previous: [0; 32], samples };
            talk.endpoint.say(&FromClient::Vitals(&batch), self.now).unwrap();
        }
    }

    fn raise(&mut self, selected: Option<u8>) -> AlertId {
        let chosen: Option<Vec<PatientId>> =
            selected.map(|number| match &self.clients[self.who(number)].identity.id {
                ClientId::Patient(patient) => vec![patient.clone()],
                ClientId::Wearable(_) => Vec::new(),
            });
        let raised = self.gateway.raise("evacuate", chosen.as_deref(), None, self.now, &mut self.rng);
        self.carry();
        raised.0
    }

    fn acknowledge(&mut self, who: usize) {
        if let Some(alert) = self.clients[who].shown.last().cloned() {
            self.give_receipt(who, &alert, Stage::Acknowledged);
        }
    }

    fn give_receipt(&mut self, who: usize, alert: &Alert, stage: Stage) {
        let gateway = self.gateway.identity.alerts.verifying_key();
        let client = &mut self.clients[who];
        if let (Some(talk), Some(key), ClientId::Patient(patient)) =
            (&mut client.talk, &client.identity.receipts, &client.identity.id)
        {
            let receipt = Receipt::sign(alert, stage, self.now.wall, patient, &gateway, key);
            talk.endpoint.say(&FromClient::Receipt(&receipt), self.now).unwrap();
        }
    }

    fn check(&self) {
        let store = &self.gateway.store;
        assert!(
            self.gateway.in_session().iter().all(|id| store.roster.contains_key(id)),
            "a stranger in session"
        );
        let members = self.gateway.members();
        assert!(
            members.into_iter().all(|id| store.roster.contains_key(&ClientId::Patient(id))),
            "a stranger is a member"
        );
        assert!(self.gateway.buffered().all(is_bounded), "a client makes the gateway keep more than a frame");
        assert!(store.rows.values().all(|stored| *stored == 1), "a sample stored twice");
        for client in &self.clients {
            match &client.identity.id {
                ClientId::Wearable(device) => {
                    let acknowledged = (1..=client.acknowledged.map_or(0, |seq| seq.0)).map(Seq);
                    let mut lost = acknowledged.filter(|seq| !store.rows.contains_key(&(*device, *seq)));
                    assert_eq!(lost.next(), None, "acknowledged and not stored");
                }
                ClientId::Patient(patient) => {
                    let shown: BTreeSet<AlertId> = client.shown.iter().map(Alert::id).collect();
                    let mut confirmed =
                        store.alerts.iter().filter(|(_, stored)| stored.receipts.contains_key(patient));
                    assert!(
                        confirmed.all(|(id, _)| shown.contains(id)),
                        "a receipt that the patient did not give"
                    );
                }
            }
            if let Some(talk) = client.talk.as_ref().filter(|talk| !talk.endpoint.is_closed()) {
                let kept = (talk.endpoint.is_established(), talk.endpoint.buffered());
                assert!(is_bounded(kept), "the gateway makes a client keep more than a frame");
            }
        }
    }

    /// The noise is over: whoever is enrolled comes in, and everything works.
    fn recover(&mut self) {
        (0..self.clients.len()).for_each(|who| self.cut(who));
        self.pass(Duration::from_secs(60));
        for who in 0..self.clients.len() {
            self.enrol(who);
            match self.clients[who].identity.id.kind() {
                ClientKind::Wearable => self.clients[who].ticket = None,
                // A full login with ElGamal in each run would leave few runs.
                ClientKind::Patient => self.hand_ticket(who),
            }
            self.connect(who);
        }
        self.measure(1);
        self.settle();
        let alert = self.raise(None);
        self.settle();
        self.check();
        for client in &self.clients {
            let id = &client.identity.id;
            assert!(
                client.talk.as_ref().is_some_and(|talk| talk.endpoint.is_established()),
                "{id} does not come in"
            );
            assert!(self.gateway.in_session().contains(id), "{id} is not in session");
            assert!(client.unsent.is_empty(), "{id} cannot deliver");
            let sees = client.shown.iter().any(|shown| shown.id() == alert);
            assert_eq!(sees, id.kind() == ClientKind::Patient, "{id} is not alerted");
        }
    }
}

fn is_bounded((is_established, kept): (bool, usize)) -> bool {
    kept <= HEADER_LEN + if is_established { MAX_BODY } else { MAX_BODY_BEFORE_LOGIN }
}

fn record(recorded: &mut Vec<Vec<u8>>, bytes: &[u8]) {
    if recorded.len() < 64 {
        recorded.push(bytes.to_vec());
    }
}

fn any_opcode(number: u8) -> Opcode {
    Opcode::ALL[usize::from(number) % Opcode::ALL.len()]
}

fn sample(seq: Seq) -> Sample {
    Sample {
        seq,
        boot: BootId(7),
        taken: SampleTime { since_boot_ms: 1_000, wall: None },
        simulated: true,
        quantities: vec![KnownQuantity::HEART_RATE.measured(72, 0)],
    }
}
