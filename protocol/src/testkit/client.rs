//! A simulated client: a patient's computer or a wearable. What it has stored survives a crash; its endpoint, and a
//! wearable's token, do not.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec,
    vec::Vec,
};

use crypto::identity;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::{ConnId, now_at};
use crate::{
    alert::{Alert, Receipt, Stage},
    credential::{ClientIdentity, LoginKey, PinnedGateway, Suite},
    endpoint::{
        client::{ClientEndpoint, Event},
        pairing::PairingEndpoint,
    },
    error::{Fault, Refusal},
    handshake::{Channel, Terms, resume::Ticket},
    id::{AlertId, BootId, ClientId, DeviceId, Seq, SessionId},
    message::{Farewell, FromClient},
    pairing::{
        code::PairingCode,
        initiator::{Candidate, Granted},
    },
    time::{ClockFlag, Now},
    vitals::{KnownQuantity, MAX_SAMPLES, Sample, SampleTime, VitalsBatch},
};

/// What a patient's computer keeps.
#[derive(Debug, Default)]
pub struct PatientMemory {
    /// Alerts that were shown to the person, in order.
    pub shown: Vec<AlertId>,
    /// How many alerts were opened under the group key.
    pub by_broadcast: usize,
    seen: BTreeMap<AlertId, Alert>,
}

/// What a wearable keeps.
#[derive(Debug)]
pub struct WearableMemory {
    /// The numbers of all samples that the gateway acknowledged.
    pub acked: BTreeSet<Seq>,
    unsent: VecDeque<Sample>,
    in_flight: Option<Seq>,
    next_seq: u64,
    boot: BootId,
    previous: [u8; 32],
}

impl WearableMemory {
    /// Samples that are not acknowledged.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }
}

/// What kind of client it is, with what that kind keeps.
#[derive(Debug)]
pub enum Role {
    /// A patient's computer.
    Patient(PatientMemory),
    /// A wearable.
    Wearable(WearableMemory),
}

#[derive(Debug)]
enum Phase {
    /// Not connected; connects at that time, if at all.
    Offline(Option<u64>),
    Pairing(PairingEndpoint),
    Online(ClientEndpoint),
}

#[derive(Debug)]
struct Paired {
    identity: Arc<ClientIdentity>,
    pinned: PinnedGateway,
}

/// A client in memory.
#[derive(Debug)]
pub struct SimClient {
    /// Who it is, or wants to be.
    pub id: ClientId,
    /// What its kind keeps.
    pub role: Role,
    /// The suites that it offers.
    pub suites: Vec<Suite>,
    /// How far its wall clock is off, in milliseconds.
    pub skew_ms: i64,
    /// Why its conversations ended, in order.
    pub faults: Vec<Fault>,
    /// Sessions so far: how many by a full login, how many by a token.
    pub logins: (u32, u32),
    code: Option<PairingCode>,
    paired: Option<Paired>,
    ticket: Option<Ticket>,
    phase: Phase,
    link: Option<(ConnId, Channel)>,
    session: Option<SessionId>,
    events: Vec<(Option<SessionId>, Event)>,
    output: Vec<Vec<u8>>,
    hangup: bool,
}

impl SimClient {
    fn new(id: ClientId, role: Role) -> Self {
        Self {
            suites: id.kind().suites().to_vec(),
            id,
            role,
            skew_ms: 0,
            faults: Vec::new(),
            logins: (0, 0),
            code: None,
            paired: None,
            ticket: None,
            phase: Phase::Offline(None),
            link: None,
            session: None,
            events: Vec::new(),
            output: Vec::new(),
            hangup: false,
        }
    }

    pub(super) fn patient(id: &str) -> Self {
        Self::new(ClientId::Patient(id.parse().unwrap()), Role::Patient(PatientMemory::default()))
    }

    pub(super) fn wearable(rng: &mut ChaCha20Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let memory = WearableMemory {
            acked: BTreeSet::new(),
            unsent: VecDeque::new(),
            in_flight: None,
            next_seq: 1,
            boot: BootId(rng.next_u64()),
            previous: [0; 32],
        };
        // Devices of all sorts: new ones, one without AES in hardware, one from before there were others.
        let suites: [&[Suite]; 3] =
            [&[Suite::Hybrid, Suite::Wearable, Suite::Ascon], &[Suite::Ascon], &[Suite::Wearable]];
        let suites = suites[usize::from(bytes[0]) % suites.len()].to_vec();
        let client = Self::new(ClientId::Wearable(DeviceId::from_random(bytes)), Role::Wearable(memory));
        Self { suites, ..client }
    }

    /// Whether it is in session.
    #[must_use]
    pub fn is_in_session(&self) -> bool {
        matches!(&self.phase, Phase::Online(endpoint) if endpoint.is_established())
    }

    /// Whether it has an identity and a pinned gateway.
    #[must_use]
    pub const fn is_paired(&self) -> bool {
        self.paired.is_some()
    }

    /// Whether it neither works on something nor is about to: in session with everything acknowledged, or out.
    pub(super) fn is_settled(&self) -> bool {
        let delivered = !matches!(&self.role, Role::Wearable(memory) if !memory.unsent.is_empty());
        match &self.phase {
            Phase::Offline(retry) => retry.is_none(),
            Phase::Pairing(_) => false,
            Phase::Online(endpoint) => endpoint.is_established() && delivered,
        }
    }

    pub(super) fn connection(&self) -> Option<ConnId> {
        self.link.map(|(id, _)| id)
    }

    pub(super) fn enter_code(&mut self, code: PairingCode, time: u64) {
        (self.code, self.paired, self.ticket) = (Some(code), None, None);
        self.go_offline(Some(time));
    }

    pub(super) fn wants_connection(&self, time: u64) -> bool {
        matches!(self.phase, Phase::Offline(Some(at)) if at <= time)
    }

    pub(super) fn connected(&mut self, id: ConnId, channel: Channel, time: u64, rng: &mut ChaCha20Rng) {
        self.link = Some((id, channel));
        match self.code {
            Some(code) => {
                let now = self.now(time);
                let candidate = self.candidate(rng);
                self.phase = Phase::Pairing(PairingEndpoint::start(candidate, code, channel, now, rng));
            }
            None => self.log_in(channel, time, rng),
        }
        self.after(time, rng);
    }

    fn candidate(&self, rng: &mut ChaCha20Rng) -> Candidate {
        let kind = self.id.kind();
        Candidate {
            kind,
            wanted: Some(self.id.clone()),
            name: None,
            login: LoginKey::generate(kind, rng).unwrap(),
            receipts: matches!(self.role, Role::Patient(_)).then(|| identity::SigningKey::generate(rng)),
        }
    }

    fn log_in(&mut self, channel: Channel, time: u64, rng: &mut ChaCha20Rng) {
        let now = self.now(time);
        let Some(Paired { identity, pinned }) = &self.paired else { return self.go_offline(None) };
        let clock = match self.role {
            Role::Patient(_) => ClockFlag::Synced,
            Role::Wearable(_) => ClockFlag::None,
        };
        let (identity, pinned) = (Arc::clone(identity), pinned.clone());
        let terms = Terms { suites: self.suites.clone(), channel, clock };
        let endpoint =
            ClientEndpoint::connect(identity, pinned, self.ticket.take(), terms, now, rng).unwrap();
        self.phase = Phase::Online(endpoint);
    }

    pub(super) fn handle_bytes(&mut self, bytes: &[u8], time: u64, rng: &mut ChaCha20Rng) {
        let now = self.now(time);
        match &mut self.phase {
            Phase::Offline(_) => {}
            Phase::Pairing(endpoint) => endpoint.handle_bytes(bytes, now, rng),
            Phase::Online(endpoint) => endpoint.handle_bytes(bytes, now, rng),
        }
        self.after(time, rng);
    }

    pub(super) fn next_time(&self) -> Option<u64> {
        match &self.phase {
            Phase::Offline(at) => *at,
            Phase::Pairing(endpoint) => endpoint.poll_timeout().map(|at| at.0),
            Phase::Online(endpoint) => endpoint.poll_timeout().map(|at| at.0),
        }
    }

    pub(super) fn handle_timeout(&mut self, time: u64, rng: &mut ChaCha20Rng) {
        if self.next_time().is_none_or(|at| at > time) {
            return;
        }
        let now = self.now(time);
        match &mut self.phase {
            Phase::Offline(_) => {}
            Phase::Pairing(endpoint) => endpoint.handle_timeout(now),
            Phase::Online(endpoint) => endpoint.handle_timeout(now),
        }
        self.after(time, rng);
    }

    /// Follows up on whatever the endpoint has to say.
    fn after(&mut self, time: u64, rng: &mut ChaCha20Rng) {
        self.transmit();
        if let Phase::Pairing(endpoint) = &mut self.phase
            && let Some(outcome) = endpoint.poll_outcome()
        {
            self.code = None;
            match (outcome, self.link) {
                (Ok(Granted { identity, gateway: pinned, .. }), Some((_, channel))) => {
                    self.paired = Some(Paired { identity: Arc::new(identity), pinned });
                    self.log_in(channel, time, rng);
                }
                (outcome, _) => {
                    self.faults.extend(outcome.err());
                    self.hangup = true;
                    self.go_offline(None);
                }
            }
        }
        while let Phase::Online(endpoint) = &mut self.phase
            && let Some(event) = endpoint.poll_event()
        {
            self.handle_event(event, time, rng);
        }
        self.send_vitals(time);
        self.transmit();
    }

    fn handle_event(&mut self, event: Event, time: u64, rng: &mut ChaCha20Rng) {
        if let Event::Established { session, suite, resumed, .. } = &event {
            self.session = Some(*session);
            assert_eq!(*suite, self.suites[0], "the best or the first of those offered");
            let (full, by_token) = self.logins;
            self.logins = if *resumed { (full, by_token + 1) } else { (full + 1, by_token) };
        }
        match &event {
            Event::Alert { alert, epoch } => {
                if let (Role::Patient(memory), Some(_)) = (&mut self.role, epoch) {
                    memory.by_broadcast += 1;
                }
                self.take_alert(alert, time);
            }
            Event::VitalsAcked(seq) => {
                if let Role::Wearable(memory) = &mut self.role {
                    memory.in_flight = None;
                    while let Some(sample) = memory.unsent.pop_front_if(|sample| sample.seq <= *seq) {
                        memory.acked.insert(sample.seq);
                    }
                }
            }
            Event::Disconnected(farewell) => {
                self.transmit();
                self.hangup = true;
                let retry =
                    matches!(farewell, Farewell::Shutdown | Farewell::Spent).then(|| backoff(time, rng));
                self.go_offline(retry);
            }
            Event::Closed(fault) => {
                self.transmit();
                self.faults.push(fault.clone());
                self.hangup = true;
                let is_final = matches!(
                    fault,
                    Fault::DeniedGateway | Fault::Refused(Refusal::NotPaired | Refusal::OtherGateway)
                );
                self.go_offline((!is_final).then(|| backoff(time, rng)));
            }
            _ => {}
        }
        if let Event::Ticket { ticket, .. } = event {
            self.ticket = Some(ticket);
        } else {
            self.events.push((self.session, event));
        }
    }

    fn take_alert(&mut self, alert: &Alert, time: u64) {
        let now = self.now(time);
        let Role::Patient(memory) = &mut self.role else { return };
        if alert.expires() <= now.wall {
            return;
        }
        if memory.seen.insert(alert.id(), alert.clone()).is_none() {
            memory.shown.push(alert.id());
        }
        self.send_receipt(alert, Stage::Decrypted, now);
    }

    pub(super) fn acknowledge(&mut self, alert: AlertId, time: u64) {
        let Role::Patient(memory) = &self.role else { return };
        if let Some(alert) = memory.seen.get(&alert).cloned() {
            self.send_receipt(&alert, Stage::Acknowledged, self.now(time));
            self.transmit();
        }
    }

    fn send_receipt(&mut self, alert: &Alert, stage: Stage, now: Now) {
        let (Some(Paired { identity, pinned }), ClientId::Patient(patient)) = (&self.paired, &self.id) else {
            return;
        };
        let (Some(key), Phase::Online(endpoint)) = (&identity.receipts, &mut self.phase) else { return };
        let receipt = Receipt::sign(alert, stage, now.wall, patient, &pinned.alerts, key);
        endpoint.say(&FromClient::Receipt(&receipt), now).unwrap();
    }

    pub(super) fn measure(&mut self, samples: usize, time: u64) {
        let Role::Wearable(memory) = &mut self.role else { return };
        for _ in 0..samples {
            memory.unsent.push_back(Sample {
                seq: Seq(memory.next_seq),
                boot: memory.boot,
                taken: SampleTime { since_boot_ms: time, wall: None },
                simulated: true,
                quantities: vec![KnownQuantity::HEART_RATE.measured(72, 0)],
            });
            memory.next_seq += 1;
        }
        self.send_vitals(time);
        self.transmit();
    }

    /// Sends the oldest samples, one batch at a time; what is sent stays until it is acknowledged.
    fn send_vitals(&mut self, time: u64) {
        let now = self.now(time);
        let (Role::Wearable(memory), Phase::Online(endpoint)) = (&mut self.role, &mut self.phase) else {
            return;
        };
        if !endpoint.is_established() || memory.in_flight.is_some() || memory.unsent.is_empty() {
            return;
        }
        let samples = memory.unsent.iter().take(MAX_SAMPLES).cloned().collect();
        let batch = VitalsBatch { previous: memory.previous, samples };
        endpoint.say(&FromClient::Vitals(&batch), now).unwrap();
        memory.in_flight = batch.last();
        memory.previous = batch.hash();
    }

    pub(super) fn disconnect(&mut self, farewell: Farewell, time: u64) {
        let now = self.now(time);
        if let Phase::Online(endpoint) = &mut self.phase {
            endpoint.disconnect(farewell, now);
            self.transmit();
            self.hangup = true;
        }
        self.ticket = None;
        self.go_offline(None);
    }

    /// The client turns against the ward: its endpoint goes on without it.
    pub(super) fn defect(&mut self) -> Option<ClientEndpoint> {
        match core::mem::replace(&mut self.phase, Phase::Offline(None)) {
            Phase::Online(endpoint) if endpoint.is_established() => Some(endpoint),
            _ => None,
        }
    }

    pub(super) fn stay_out(&mut self) {
        self.go_offline(None);
    }

    pub(super) fn come_back(&mut self, time: u64) {
        if matches!(self.phase, Phase::Offline(None)) && (self.is_paired() || self.code.is_some()) {
            self.phase = Phase::Offline(Some(time));
        }
    }

    pub(super) fn connection_lost(&mut self, time: u64, rng: &mut ChaCha20Rng) {
        let stays_out = matches!(self.phase, Phase::Offline(None));
        // A code is good for one try; whether it was used up, the person must find out.
        let lost_while_pairing = matches!(self.phase, Phase::Pairing(_));
        if lost_while_pairing {
            self.code = None;
        }
        let retry = !stays_out && (self.is_paired() || self.code.is_some());
        self.go_offline(retry.then(|| backoff(time, rng)));
    }

    pub(super) fn crash(&mut self, time: u64, rng: &mut ChaCha20Rng) {
        if let Role::Wearable(memory) = &mut self.role {
            memory.boot = BootId(rng.next_u64());
            self.ticket = None;
        }
        self.events.clear();
        self.connection_lost(time, rng);
    }

    fn go_offline(&mut self, retry: Option<u64>) {
        if let Role::Wearable(memory) = &mut self.role {
            memory.in_flight = None;
        }
        self.phase = Phase::Offline(retry);
        self.session = None;
        if !self.hangup {
            self.link = None;
            self.output.clear();
        }
    }

    fn transmit(&mut self) {
        match &mut self.phase {
            Phase::Offline(_) => {}
            Phase::Pairing(endpoint) => self.output.extend(core::iter::from_fn(|| endpoint.poll_transmit())),
            Phase::Online(endpoint) => self.output.extend(core::iter::from_fn(|| endpoint.poll_transmit())),
        }
    }

    pub(super) fn take_output(&mut self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.output)
    }

    pub(super) fn take_events(&mut self) -> Vec<(Option<SessionId>, Event)> {
        core::mem::take(&mut self.events)
    }

    /// Whether it has closed its connection, once.
    pub(super) fn take_hangup(&mut self) -> bool {
        let hangup = core::mem::take(&mut self.hangup);
        if hangup {
            self.link = None;
        }
        hangup
    }

    fn now(&self, time: u64) -> Now {
        now_at(time, self.skew_ms)
    }
}

/// Half a second and some jitter.
fn backoff(time: u64, rng: &mut ChaCha20Rng) -> u64 {
    time + 500 + rng.next_u64() % 500
}
