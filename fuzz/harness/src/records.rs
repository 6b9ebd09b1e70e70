//! An established session under a hostile wire: each direction's records are taken once, in order, as they were said.

use std::collections::VecDeque;

use arbitrary::{Arbitrary, Unstructured};
use crypto::Secret;
use protocol::{
    credential::{ClientKind, Suite},
    endpoint::{
        client::{self, ClientEndpoint},
        gateway::{self, GatewayEndpoint, Next, Work},
    },
    frame::{self, HEADER_LEN, MAX_BODY},
    handshake::{
        Terms,
        resume::{ResumeRecord, Ticket},
    },
    id::{BootId, Seq},
    message::{FromClient, FromGateway},
    opcode::Opcode,
    time::{ClockFlag, Now},
    vitals::{KnownQuantity, Sample, SampleTime, VitalsBatch},
};
use rand_chacha::ChaCha20Rng;

use crate::fixture::{self, NOW, TOLERANCE, channel, rng};

const KIND: ClientKind = ClientKind::Wearable;
const MAX_OPERATIONS: usize = 64;

/// The end that a record goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum To {
    Gateway,
    Client,
}

/// What is said, what happens to it on the wire, and what arrives. Positions are reduced to what exists.
#[derive(Debug, Arbitrary)]
enum Operation {
    Say(To),
    SayBytes(To, u8, Vec<u8>),
    Pass {
        minutes: u8,
    },
    Alter(To, u8, u16, u8),
    Cut(To, u8, u16),
    Drop(To, u8),
    Duplicate(To, u8),
    Swap(To, u8, u8),
    Reflect(To, u8),
    Inject(To, Vec<u8>),
    /// The beginning of a frame, far longer than the input.
    Flood(To, u16, u8),
    Deliver(To, u8),
    DeliverIn(To, u8, u8),
}

/// One direction.
#[derive(Default)]
struct Direction {
    wire: VecDeque<Vec<u8>>,
    said: u64,
    accepted: Vec<u64>,
    /// Nobody touched the wire so far.
    honest: bool,
    /// Only messages with a number were said.
    numbered: bool,
    delivered: u64,
}

struct Session {
    client: ClientEndpoint,
    gateway: GatewayEndpoint,
    to_gateway: Direction,
    to_client: Direction,
    now: Now,
    rng: ChaCha20Rng,
}

/// However the wire loses, repeats, reorders, alters, reflects, cuts or adds: what an end accepts is what the other one
/// said, from the first on, without a gap or a repetition; an untouched direction loses nothing; a sealed message of any
/// content is refused or understood; nobody keeps more than a frame.
pub fn records(data: &[u8]) {
    let mut input = Unstructured::new(data);
    // By its length, so that an input keeps its meaning under either cipher.
    let mut session =
        Session::begin(if data.len().is_multiple_of(2) { Suite::Wearable } else { Suite::Ascon });
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let Ok(operation) = Operation::arbitrary(&mut input) else { break };
        session.apply(operation);
        session.check();
    }
}

impl Session {
    fn begin(suite: Suite) -> Self {
        let mut rng = rng(1);
        let (wearable, channel) = (fixture::client(KIND), channel(KIND));
        let ticket = Ticket { token: [7; 16], suite, key: Secret::new([8; 32]) };
        let key_id = wearable.login.verifying_key().key_id();
        let record = ResumeRecord { client: wearable.id.clone(), suite, key_id, key: ticket.key.duplicate() };
        let pinned = fixture::gateway(KIND);
        let terms = Terms { suites: vec![suite], channel, clock: ClockFlag::None };
        let mut client =
            ClientEndpoint::connect(wearable, pinned, Some(ticket), terms, NOW, &mut rng).unwrap();
        let mut gateway = GatewayEndpoint::new(KIND, channel, NOW);
        gateway.handle_bytes(&client.poll_transmit().unwrap(), NOW);
        let Some(gateway::Event::Work(Work::Resume(resumption))) = gateway.poll_event() else {
            unreachable!("a genuine RESUME")
        };
        let verified = resumption.verify(Some(record), TOLERANCE, NOW).unwrap();
        let (established, frame) = verified.answer(NOW, &mut rng).unwrap();
        gateway.proceed(Next::Session(established.session), frame, NOW);
        client.handle_bytes(&gateway.poll_transmit().unwrap(), NOW, &mut rng);
        assert!(matches!(client.poll_event(), Some(client::Event::Established { resumed: true, .. })));
        let fresh = || Direction { honest: true, numbered: true, ..Direction::default() };
        Self { client, gateway, to_gateway: fresh(), to_client: fresh(), now: NOW, rng }
    }

    fn direction(&mut self, to: To) -> &mut Direction {
        match to {
            To::Gateway => &mut self.to_gateway,
            To::Client => &mut self.to_client,
        }
    }

    /// The direction, which is not honest any more, and a position in it.
    fn touch(&mut self, to: To, at: u8) -> Option<(&mut VecDeque<Vec<u8>>, usize)> {
        let direction = self.direction(to);
        direction.honest = false;
        let at = usize::from(at).checked_rem(direction.wire.len())?;
        Some((&mut direction.wire, at))
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Say(to) => self.say(to),
            Operation::SayBytes(to, opcode, body) => self.say_bytes(to, opcode, &body),
            Operation::Pass { minutes } => {
                let passed = std::time::Duration::from_secs(60 * u64::from(minutes));
                self.now = Now { wall: self.now.wall + passed, mono: self.now.mono + passed };
            }
            Operation::Alter(to, at, byte, mask) => {
                if let Some((wire, at)) = self.touch(to, at) {
                    let byte = usize::from(byte) % wire[at].len();
                    wire[at][byte] ^= mask;
                }
            }
            Operation::Cut(to, at, length) => {
                if let Some((wire, at)) = self.touch(to, at) {
                    let length = usize::from(length) % wire[at].len();
                    wire[at].truncate(length.max(1));
                }
            }
            Operation::Drop(to, at) => {
                if let Some((wire, at)) = self.touch(to, at) {
                    wire.remove(at);
                }
            }
            Operation::Duplicate(to, at) => {
                if let Some((wire, at)) = self.touch(to, at) {
                    let copy = wire[at].clone();
                    wire.insert(at, copy);
                }
            }
            Operation::Swap(to, one, other) => {
                if let Some((wire, one)) = self.touch(to, one) {
                    let other = usize::from(other) % wire.len();
                    wire.swap(one, other);
                }
            }
            Operation::Reflect(to, at) => {
                let other = if to == To::Gateway { To::Client } else { To::Gateway };
                if let Some(copy) = self.touch(to, at).map(|(wire, at)| wire[at].clone()) {
                    self.direction(other).honest = false;
                    self.direction(other).wire.push_back(copy);
                }
            }
            Operation::Inject(to, bytes) if !bytes.is_empty() => {
                self.direction(to).honest = false;
                self.direction(to).wire.push_back(bytes);
            }
            Operation::Inject(..) => {}
            Operation::Flood(to, announced, kib) => {
                let mut flood = frame::encode(Opcode::Vitals, &vec![0; usize::from(kib) * 1024]);
                flood.splice(..4, u32::from(announced).to_be_bytes());
                self.direction(to).honest = false;
                self.direction(to).wire.push_back(flood);
            }
            Operation::Deliver(to, messages) => self.deliver(to, messages, usize::MAX),
            Operation::DeliverIn(to, messages, piece) => {
                self.deliver(to, messages, usize::from(piece).max(1));
            }
        }
    }

    /// Says a message that carries its number.
    fn say(&mut self, to: To) {
        let direction = self.direction(to);
        direction.said += 1;
        let number = Seq(direction.said);
        match to {
            To::Gateway => self.client.say(&FromClient::Vitals(&batch(number)), self.now).unwrap(),
            To::Client => self.gateway.say(&FromGateway::VitalsAck(number), self.now).unwrap(),
        }
        self.transmit();
    }

    /// Says whatever the input wants under the session's own keys.
    fn say_bytes(&mut self, to: To, opcode: u8, body: &[u8]) {
        let opcode = Opcode::ALL[usize::from(opcode) % Opcode::ALL.len()];
        self.direction(to).numbered = false;
        match to {
            To::Gateway => self.client.say_bytes(opcode, body, self.now).unwrap(),
            To::Client => self.gateway.say_bytes(opcode, body, self.now).unwrap(),
        }
        self.transmit();
    }

    fn transmit(&mut self) {
        self.to_gateway.wire.extend(std::iter::from_fn(|| self.client.poll_transmit()));
        self.to_client.wire.extend(std::iter::from_fn(|| self.gateway.poll_transmit()));
    }

    /// Brings the next `messages` to their end in one read, or in pieces.
    fn deliver(&mut self, to: To, messages: u8, piece: usize) {
        let direction = self.direction(to);
        let count = (1 + usize::from(messages % 4)).min(direction.wire.len());
        let bytes: Vec<u8> = direction.wire.drain(..count).flatten().collect();
        direction.delivered += count as u64;
        for bytes in bytes.chunks(piece.min(bytes.len()).max(1)) {
            match to {
                To::Gateway => self.gateway.handle_bytes(bytes, self.now),
                To::Client => self.client.handle_bytes(bytes, self.now, &mut self.rng),
            }
        }
        while let Some(event) = self.gateway.poll_event() {
            match event {
                gateway::Event::Vitals(batch) => self.to_gateway.accepted.push(batch.last().unwrap().0),
                gateway::Event::Closed(_) | gateway::Event::Disconnected(_) => {
                    assert!(self.gateway.is_closed());
                }
                _ => assert!(!self.to_gateway.numbered, "something that nobody said"),
            }
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                client::Event::VitalsAcked(seq) => self.to_client.accepted.push(seq.0),
                client::Event::Closed(_) | client::Event::Disconnected(_) => assert!(self.client.is_closed()),
                client::Event::Alert { .. } => panic!("an alert that nobody signed"),
                _ => assert!(!self.to_client.numbered, "something that nobody said"),
            }
        }
        self.transmit();
    }

    fn check(&self) {
        for (direction, receiver_closed) in
            [(&self.to_gateway, self.gateway.is_closed()), (&self.to_client, self.client.is_closed())]
        {
            if direction.numbered {
                let in_order = direction.accepted.iter().copied().eq(1..=direction.accepted.len() as u64);
                assert!(
                    in_order && direction.accepted.len() as u64 <= direction.said,
                    "{:?}",
                    direction.accepted
                );
                if direction.honest && !receiver_closed {
                    assert_eq!(
                        direction.accepted.len() as u64,
                        direction.delivered,
                        "an untouched record was lost"
                    );
                }
            }
        }
        assert!(self.gateway.is_closed() || self.gateway.buffered() <= HEADER_LEN + MAX_BODY);
        assert!(self.client.is_closed() || self.client.buffered() <= HEADER_LEN + MAX_BODY);
    }
}

fn batch(seq: Seq) -> VitalsBatch {
    let sample = Sample {
        seq,
        boot: BootId(7),
        taken: SampleTime { since_boot_ms: 1_000, wall: None },
        simulated: true,
        quantities: vec![KnownQuantity::HEART_RATE.measured(72, 0)],
    };
    VitalsBatch { previous: [0; 32], samples: vec![sample] }
}
