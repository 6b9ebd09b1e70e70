//! A small gateway in memory, over real sockets: enough of a ward to pair a wearable, log it in and take its vitals, and
//! to fail in the ways that the tests ask for.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use host::{Clock, entropy::system_rng};
use protocol::{
    credential::{ClientKind, GatewayIdentity, LoginKey, PinnedClient},
    endpoint::gateway::{Event, GatewayEndpoint, Next, Work},
    error::Fault,
    frame,
    handshake::{
        Channel, Established,
        resume::{ResumeRecord, TOKEN_LIFETIME, token_hash},
    },
    id::{ClientId, GatewayId, Seq},
    message::{Farewell, FromGateway},
    opcode::Opcode,
    pairing::code::PairingCode,
    status::DeviceStatus,
    time::Now,
    vitals::{Sample, VitalsBatch},
};
use rand_core::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the gateway does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Stores and acknowledges it.
    Acknowledge,
    /// Stores it, and the connection breaks before the acknowledgement.
    StoreAndCut,
    /// The connection breaks before it is stored.
    Cut,
    /// Acknowledges what nobody sent.
    AcknowledgeTheFuture,
    /// Revokes the device.
    Revoke,
}

/// What somebody says who answers in the gateway's place, with nothing but a socket.
#[derive(Debug)]
pub(crate) enum Forged {
    /// An ERROR frame that tells this fault.
    Refusal(Fault),
    /// A HELLO_REPLY with a share of its own and a proof that is none.
    HelloReply,
    /// A HELLO_REPLY without a meaning.
    Garbage,
}

impl Forged {
    fn bytes(self, clock: Clock) -> Vec<u8> {
        let mut body = vec![];
        match self {
            Self::Refusal(fault) => {
                let mut endpoint = GatewayEndpoint::new(ClientKind::Wearable, Channel::Plain, clock.now());
                endpoint.refuse(fault, clock.now());
                return std::iter::from_fn(|| endpoint.poll_transmit()).flatten().collect();
            }
            Self::HelloReply => {
                // Suite 2, nonce, share (the base point), time, a ciphertext that is none.
                body.push(2);
                body.extend([7; 32]);
                body.extend([32, 9]);
                body.extend([0; 31]);
                body.push(0);
                body.extend([1; 200]);
            }
            Self::Garbage => body.extend([0xff; 90]),
        }
        frame::encode(Opcode::HelloReply, &body)
    }
}

/// What somebody heard who answered in the gateway's place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overheard {
    /// The opcode of the first frame.
    pub(crate) opcode: u8,
    /// How many bytes came after what was answered.
    pub(crate) bytes_after: usize,
}

/// All that the gateway remembers.
#[derive(Debug)]
pub(crate) struct Memory {
    identity: GatewayIdentity,
    /// Codes that are open.
    pub(crate) offers: Vec<PairingCode>,
    roster: HashMap<ClientId, PinnedClient>,
    tokens: HashMap<[u8; 32], ResumeRecord>,
    /// Each sample once.
    pub(crate) stored: Vec<Sample>,
    /// Batches that brought something new.
    pub(crate) batches: Vec<VitalsBatch>,
    /// Hashes that a batch may name as its predecessor: of what came, and of what that named.
    chain: HashSet<[u8; 32]>,
    /// Batches that named another one.
    pub(crate) unchained: usize,
    /// Sessions so far; whether each was resumed.
    pub(crate) sessions: Vec<bool>,
    pub(crate) statuses: Vec<DeviceStatus>,
    /// What to do with the next batches; afterwards they are acknowledged.
    pub(crate) script: VecDeque<Answer>,
    /// Logins and pairings that were refused.
    pub(crate) refused: Vec<Fault>,
    /// Who answers the next connections in the gateway's place, and what was said to them.
    pub(crate) forged: VecDeque<Forged>,
    pub(crate) overheard: Vec<Overheard>,
    /// How far the gateway's clock is ahead of everybody's.
    pub(crate) ahead: Duration,
}

impl Memory {
    /// What the gateway's clock says.
    fn now(&self, clock: Clock) -> Now {
        let now = clock.now();
        Now { wall: now.wall + self.ahead, ..now }
    }
}

/// A gateway out of service.
pub(crate) struct Closed(Arc<Mutex<Memory>>);

/// A gateway in service.
pub(crate) struct Ward {
    pub(crate) address: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    changed: watch::Receiver<u64>,
    tasks: JoinSet<()>,
}

struct Desk {
    memory: Arc<Mutex<Memory>>,
    changed: watch::Sender<u64>,
    clock: Clock,
}

impl Ward {
    /// A gateway of its own.
    pub(crate) async fn open() -> Self {
        Self::open_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// A gateway of its own at an address that another one left.
    pub(crate) async fn open_at(address: SocketAddr) -> Self {
        let mut random = [0; 16];
        system_rng().fill_bytes(&mut random);
        let identity = GatewayIdentity {
            gateway: GatewayId::from_random(random),
            doctor: "D001".parse().unwrap(),
            patient_login: LoginKey::generate(ClientKind::Patient, &mut system_rng()).unwrap(),
            wearable_login: LoginKey::generate(ClientKind::Wearable, &mut system_rng()).unwrap(),
            alerts: crypto::identity::SigningKey::generate(&mut system_rng()),
            tls_spki: [3; 32],
        };
        let memory = Arc::new(Mutex::new(Memory {
            identity,
            offers: vec![],
            roster: HashMap::new(),
            tokens: HashMap::new(),
            stored: vec![],
            batches: vec![],
            chain: HashSet::from([[0; 32]]),
            unchained: 0,
            sessions: vec![],
            statuses: vec![],
            script: VecDeque::new(),
            refused: vec![],
            forged: VecDeque::new(),
            overheard: vec![],
            ahead: Duration::ZERO,
        }));
        Self::serve_at(address, memory).await
    }

    /// The gateway that was closed, at an address that another one left.
    pub(crate) async fn reopen_at(address: SocketAddr, closed: Closed) -> Self {
        Self::serve_at(address, closed.0).await
    }

    async fn serve_at(address: SocketAddr, memory: Arc<Mutex<Memory>>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, changed) = watch::channel(0);
        let desk = Arc::new(Desk { memory: Arc::clone(&memory), changed: sender, clock: Clock::start() });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&desk)));
            }
        });
        Self { address, memory, changed, tasks }
    }

    /// What it remembers. Do not hold it across an await.
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// Waits until its memory is as `wanted`.
    pub(crate) async fn wait_until(&mut self, wanted: impl Fn(&Memory) -> bool) {
        let waiting = async {
            while !wanted(&self.memory.lock().unwrap()) {
                self.changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the gateway waited too long");
    }

    /// Goes away; its address is free when this returns.
    pub(crate) async fn close(mut self) -> Closed {
        self.tasks.shutdown().await;
        Closed(self.memory)
    }

    /// The numbers of the stored samples.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.memory().stored.iter().map(|sample| sample.seq.0).collect()
    }
}

async fn serve(mut stream: TcpStream, desk: Arc<Desk>) {
    let forged = desk.memory.lock().unwrap().forged.pop_front();
    if let Some(forged) = forged {
        let overheard = forge(stream, &forged.bytes(desk.clock)).await;
        desk.memory.lock().unwrap().overheard.push(overheard);
        desk.changed.send_modify(|changes| *changes += 1);
        return;
    }
    let mut endpoint = GatewayEndpoint::new(ClientKind::Wearable, Channel::Plain, desk.clock.now());
    let mut client = None;
    let mut buffer = [0; 4_096];
    loop {
        let mut cut = false;
        while let Some(event) = endpoint.poll_event() {
            cut = desk.handle(event, &mut endpoint, &mut client);
            desk.changed.send_modify(|changes| *changes += 1);
            if cut {
                break;
            }
        }
        if cut {
            return;
        }
        // In one piece: a connection that is cut resets, and what its client has not read by then is gone.
        let bytes: Vec<u8> = std::iter::from_fn(|| endpoint.poll_transmit()).flatten().collect();
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        if endpoint.is_closed() {
            return;
        }
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => endpoint.handle_bytes(&buffer[..count], desk.clock.now()),
            _ => return,
        }
    }
}

/// Answers the first frame and listens until the other side goes.
async fn forge(mut stream: TcpStream, answer: &[u8]) -> Overheard {
    let length = usize::try_from(stream.read_u32().await.unwrap()).unwrap();
    let mut heard = vec![0; length];
    stream.read_exact(&mut heard).await.unwrap();
    stream.write_all(answer).await.unwrap();
    let mut after = vec![];
    // A reset ends it as well as a close.
    stream.read_to_end(&mut after).await.ok();
    Overheard { opcode: heard[0], bytes_after: after.len() }
}

impl Desk {
    /// Whether the connection breaks now.
    fn handle(&self, event: Event, endpoint: &mut GatewayEndpoint, client: &mut Option<ClientId>) -> bool {
        let mut memory = self.memory.lock().unwrap();
        let now = memory.now(self.clock);
        match event {
            Event::Work(work) => {
                if let Err(fault) = self.work(work, &mut memory, endpoint, client) {
                    memory.refused.push(fault.clone());
                    endpoint.refuse(fault, now);
                }
            }
            // What was said before the goodbye was heard.
            Event::Vitals(_) if endpoint.is_closed() => {}
            Event::Vitals(batch) => {
                let answer = memory.script.pop_front().unwrap_or(Answer::Acknowledge);
                if !matches!(answer, Answer::Cut | Answer::Revoke) {
                    store(&mut memory, batch);
                }
                let high = memory.stored.last().map_or(Seq(0), |sample| sample.seq);
                match answer {
                    Answer::Acknowledge => endpoint.say(&FromGateway::VitalsAck(high), now).unwrap(),
                    Answer::AcknowledgeTheFuture => {
                        endpoint.say(&FromGateway::VitalsAck(Seq(high.0 + 1_000_000)), now).unwrap();
                        endpoint.say(&FromGateway::VitalsAck(high), now).unwrap();
                    }
                    Answer::Revoke => endpoint.disconnect(Farewell::Revoked, now),
                    Answer::StoreAndCut | Answer::Cut => return true,
                }
            }
            Event::Waveform(_) | Event::FirmwareRequest(_) | Event::FirmwareStatus(_) => {}
            Event::Status(status) => memory.statuses.push(status),
            Event::Receipt(_) | Event::Disconnected(_) | Event::Closed(_) => {}
        }
        false
    }

    fn work(
        &self,
        work: Work,
        memory: &mut Memory,
        endpoint: &mut GatewayEndpoint,
        client: &mut Option<ClientId>,
    ) -> Result<(), Fault> {
        let (now, tolerance, rng) = (memory.now(self.clock), Duration::from_secs(30), &mut system_rng());
        match work {
            Work::Login(login) => {
                let (state, frame) = login.answer(&memory.identity, tolerance, now, rng)?;
                endpoint.proceed(Next::Proof(state), frame, now);
            }
            Work::Proof(proof) => {
                let pinned = memory.roster.get(proof.client()).cloned();
                let (established, frame) = proof.verify(pinned.as_ref(), now)?;
                *client = Some(established.client.clone());
                establish(established, frame, memory, endpoint, self.clock);
            }
            Work::Resume(resumption) => {
                let record = memory.tokens.remove(&resumption.token_hash());
                let (established, frame) = resumption.verify(record, tolerance, now)?.answer(now, rng)?;
                *client = Some(established.client.clone());
                establish(established, frame, memory, endpoint, self.clock);
            }
            Work::Pair(pairing) => {
                let selected = memory.offers.iter().find(|offer| offer.selector == pairing.selector());
                let offer = selected.ok_or(Fault::DeniedCodeUnknown)?;
                let (state, frame) = pairing.answer(&offer.password, 2, rng)?;
                endpoint.proceed(Next::Enrol(state), frame, now);
            }
            Work::Enrol(enrolment) => {
                let id = enrolment.wanted().cloned().unwrap();
                memory.roster.insert(id.clone(), enrolment.binding(id.clone())?);
                memory.offers.retain(|offer| offer.selector != enrolment.selector());
                let frame = enrolment.grant(id, &memory.identity, None, rng)?;
                endpoint.proceed(Next::Login, frame, now);
            }
        }
        Ok(())
    }
}

fn establish(
    established: Established,
    frame: Vec<u8>,
    memory: &mut Memory,
    endpoint: &mut GatewayEndpoint,
    clock: Clock,
) {
    let now = memory.now(clock);
    let Established { client, session, suite, resume, resumed, key, .. } = established;
    let mut token = [0; 16];
    system_rng().fill_bytes(&mut token);
    memory.tokens.insert(token_hash(&token), ResumeRecord { client, suite, key_id: key, key: resume });
    memory.sessions.push(resumed);
    endpoint.proceed(Next::Session(session), frame, now);
    endpoint.say(&FromGateway::Token(token, now.wall + TOKEN_LIFETIME), now).unwrap();
}

/// Each sample once, in order. A batch names one that came before, or the one that such a batch named: a device that lost
/// its memory cuts what it sends again in another way.
fn store(memory: &mut Memory, batch: VitalsBatch) {
    memory.unchained += usize::from(!memory.chain.contains(&batch.previous));
    memory.chain.extend([batch.previous, batch.hash()]);
    let high = memory.stored.last().map_or(Seq(0), |sample| sample.seq);
    let fresh: Vec<Sample> = batch.samples.iter().filter(|sample| sample.seq > high).cloned().collect();
    if !fresh.is_empty() {
        memory.stored.extend(fresh);
        memory.batches.push(batch);
    }
}
