//! A ward in memory: real endpoints, a made-up gateway and clients around them, a network with a seed and a clock that
//! only moves when told. For tests and benches; it decides nothing that the gateway or the clients do not decide too.
//!
//! [`Sim`] owns the time and the wires. [`SimGateway`] carries out the endpoints' work, commit first, then answer.
//! [`SimClient`] is a patient's computer or a wearable. What [`Sim`] sees go wrong it writes into
//! [`Sim::violations`]; a test asserts that this stays empty.

mod client;
mod gateway;
pub mod ledger;
mod network;
pub mod wire;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::time::Duration;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rand_core::Rng;

pub use self::{
    client::{PatientMemory, Role, SimClient, WearableMemory},
    gateway::{Bed, SimGateway, Store, StoredAlert},
    network::ConnId,
};
use crate::{
    alert::Stage,
    endpoint::client::{ClientEndpoint, Event},
    group::Epoch,
    handshake::Channel,
    id::{AlertId, ClientId, PatientId, SessionId},
    message::Farewell,
    pairing::code::PairingCode,
    time::{Monotonic, Now, UnixMillis},
};
use network::{Connection, End};

/// Wall-clock time at the start of every simulation.
pub const WALL_START: u64 = 1_790_000_000_000;
/// A time by which everything that was going on has come to rest.
const QUIET_LIMIT: Duration = Duration::from_secs(120);

/// A broadcast as it was sealed, and who was a member then.
#[derive(Debug, Clone)]
pub struct SealedBroadcast {
    /// Its epoch.
    pub epoch: Epoch,
    /// The ENC_MSG frame.
    pub frame: Vec<u8>,
    /// The sessions of the members.
    pub members: BTreeSet<SessionId>,
}

/// A client's number in [`Sim::clients`].
pub type Index = usize;

/// The ward, its clock and its wires.
#[derive(Debug)]
pub struct Sim {
    /// The doctor's node.
    pub gateway: SimGateway,
    /// Patients and wearables.
    pub clients: Vec<SimClient>,
    /// Every broadcast that was sealed.
    pub broadcasts: Vec<SealedBroadcast>,
    /// Rules that were broken; a test asserts that there is none.
    pub violations: Vec<String>,
    /// Longest delay of a segment on the network, in milliseconds.
    pub max_delay_ms: u64,
    /// Bytes that crossed the wires, per connection and direction, if [`Self::record`] is set.
    pub wire: Vec<(ConnId, End, Vec<u8>)>,
    /// Whether to keep [`Self::wire`].
    pub record: bool,
    /// Endpoints of clients that were thrown out or left: they hold old keys and listen on.
    outsiders: Vec<ClientEndpoint>,
    connections: BTreeMap<ConnId, Connection>,
    next_connection: u64,
    time: u64,
    rng: ChaCha20Rng,
}

impl Sim {
    /// An empty ward. The same seed gives the same run.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let time = 1_000_000;
        let gateway = SimGateway::new(now_at(time, 0), &mut rng);
        Self {
            gateway,
            clients: Vec::new(),
            broadcasts: Vec::new(),
            violations: Vec::new(),
            max_delay_ms: 40,
            wire: Vec::new(),
            record: false,
            outsiders: Vec::new(),
            connections: BTreeMap::new(),
            next_connection: 1,
            time,
            rng,
        }
    }

    /// A random number below `bound`, from the seed.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound.max(1)
    }

    /// Milliseconds of virtual time.
    #[must_use]
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// The gateway's clocks.
    #[must_use]
    pub const fn now(&self) -> Now {
        now_at(self.time, 0)
    }

    /// A patient that is not paired yet.
    pub fn add_patient(&mut self, id: &str) -> Index {
        self.clients.push(SimClient::patient(id));
        self.clients.len() - 1
    }

    /// A wearable that is not paired yet.
    pub fn add_wearable(&mut self) -> Index {
        self.clients.push(SimClient::wearable(&mut self.rng));
        self.clients.len() - 1
    }

    /// Opens an offer for this client and returns the code.
    pub fn invite(&mut self, client: Index, replace: bool) -> PairingCode {
        let id = self.clients[client].id.clone();
        self.gateway.offer(id, replace, now_at(self.time, 0), &mut self.rng)
    }

    /// A client with fresh keys types the code of an offer and connects.
    pub fn enter_code(&mut self, client: Index, code: PairingCode) {
        self.drop_connection_of(client);
        self.clients[client].enter_code(code, self.time);
    }

    /// Pairs a client and brings it into session.
    ///
    /// # Panics
    /// If that does not work.
    pub fn pair(&mut self, client: Index) {
        let code = self.invite(client, false);
        self.enter_code(client, code);
        self.run_until_quiet();
        let paired = &self.clients[client];
        assert!(paired.is_in_session(), "{} did not pair: {:?}", paired.id, paired.faults);
    }

    /// A ward of `patients` and `wearables`, paired and in session.
    #[must_use]
    pub fn ward(seed: u64, patients: usize, wearables: usize) -> Self {
        let mut sim = Self::new(seed);
        for n in 1..=patients {
            sim.add_patient(&format!("P{n:03}"));
        }
        for _ in 0..wearables {
            sim.add_wearable();
        }
        for client in 0..sim.clients.len() {
            sim.pair(client);
        }
        sim
    }

    /// The connection of a client breaks; both ends notice at once.
    pub fn cut(&mut self, client: Index) {
        self.drop_connection_of(client);
        let time = self.time;
        self.clients[client].connection_lost(time, &mut self.rng);
    }

    /// The connection of a client swallows everything from now on; both ends have to notice by themselves.
    pub fn swallow(&mut self, client: Index) {
        if let Some(wire) = self.clients[client].connection().and_then(|id| self.connections.get_mut(&id)) {
            wire.swallow();
        }
    }

    /// A client's program dies and starts again: what it stored stays, the rest goes.
    pub fn crash_client(&mut self, client: Index) {
        self.drop_connection_of(client);
        self.clients[client].crash(self.time, &mut self.rng);
    }

    /// The gateway's program dies. It serves again after [`Self::restart_gateway`].
    pub fn crash_gateway(&mut self) {
        self.gateway.crash();
        self.connections.clear();
        for client in &mut self.clients {
            client.connection_lost(self.time, &mut self.rng);
        }
    }

    /// Starts the gateway again on what it had stored.
    pub fn restart_gateway(&mut self) {
        self.gateway.start(now_at(self.time, 0), &mut self.rng);
    }

    /// Takes a client's place away. Its endpoint is kept as an eavesdropper that never hears of its end.
    pub fn revoke(&mut self, client: Index) {
        let id = self.clients[client].id.clone();
        self.outsiders.extend(self.clients[client].defect());
        let now = now_at(self.time, 0);
        self.gateway.revoke(&id, now, &mut self.rng);
        self.collect();
        self.clients[client].stay_out();
    }

    /// The person at the patient's computer leaves; the endpoint is kept as an eavesdropper.
    pub fn leave(&mut self, client: Index) {
        let time = self.time;
        self.clients[client].disconnect(Farewell::EndedByPatient, time);
        self.collect();
    }

    /// A client that stayed out comes back.
    pub fn come_back(&mut self, client: Index) {
        let time = self.time;
        self.clients[client].come_back(time);
    }

    /// The doctor raises an alert for the whole ward, or for these patients.
    pub fn raise(&mut self, text: &str, selected: Option<&[PatientId]>, cancels: Option<AlertId>) -> AlertId {
        let now = now_at(self.time, 0);
        let (id, sealed) = self.gateway.raise(text, selected, cancels, now, &mut self.rng);
        if let Some(sealed) = sealed {
            self.eavesdrop(&sealed.frame, now);
            self.broadcasts.push(sealed);
        }
        self.collect();
        id
    }

    /// A wearable measures `samples` more values.
    pub fn measure(&mut self, client: Index, samples: usize) {
        let time = self.time;
        self.clients[client].measure(samples, time);
        self.collect();
    }

    /// Sets how far a client's clock is off, in milliseconds.
    pub fn skew(&mut self, client: Index, skew_ms: i64) {
        self.clients[client].skew_ms = skew_ms;
    }

    /// The person at the patient's computer confirms having read an alert.
    pub fn acknowledge(&mut self, client: Index, alert: AlertId) {
        let time = self.time;
        self.clients[client].acknowledge(alert, time);
        self.collect();
    }

    /// Lets everything happen that is next. `false` if nothing ever will.
    pub fn step(&mut self) -> bool {
        let Some(next) = self.next_time() else { return false };
        self.time = self.time.max(next);
        self.deliver();
        self.wake();
        self.collect();
        true
    }

    /// Lets `duration` pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.time + u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        while self.next_time().is_some_and(|next| next <= end) {
            self.step();
        }
        self.time = end;
    }

    /// Runs until nothing is under way: no bytes on a wire, nobody logging in or about to.
    ///
    /// # Panics
    /// If the ward does not come to rest.
    pub fn run_until_quiet(&mut self) {
        let limit = self.time + u64::try_from(QUIET_LIMIT.as_millis()).unwrap_or(u64::MAX);
        self.collect();
        while !self.is_quiet() {
            assert!(self.time < limit, "the ward does not come to rest");
            if !self.step() {
                break;
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.connections.values().all(Connection::is_empty) && self.clients.iter().all(SimClient::is_settled)
    }

    fn next_time(&self) -> Option<u64> {
        let wires = self.connections.values().filter_map(Connection::next_arrival);
        let clients = self.clients.iter().filter_map(SimClient::next_time);
        wires.chain(clients).chain(self.gateway.next_time()).min()
    }

    /// Brings what has arrived to the ends.
    fn deliver(&mut self) {
        let ids: Vec<ConnId> = self.connections.keys().copied().collect();
        for id in ids {
            while let Some((end, bytes)) = self.connections.get_mut(&id).and_then(|c| c.arrived(self.time)) {
                let now = now_at(self.time, 0);
                match end {
                    End::Gateway => self.gateway.handle_bytes(id, &bytes, now, &mut self.rng),
                    End::Client => {
                        if let Some(client) = self.clients.iter_mut().find(|c| c.connection() == Some(id)) {
                            client.handle_bytes(&bytes, self.time, &mut self.rng);
                        }
                    }
                }
                self.collect();
            }
        }
    }

    /// Does what is due by time: heartbeats, silence, reconnects, resends, rekeys.
    fn wake(&mut self) {
        self.gateway.handle_timeout(now_at(self.time, 0), &mut self.rng);
        self.collect();
        for index in 0..self.clients.len() {
            self.clients[index].handle_timeout(self.time, &mut self.rng);
            if self.clients[index].wants_connection(self.time) {
                self.open_connection(index);
            }
        }
    }

    fn open_connection(&mut self, index: Index) {
        if !self.gateway.is_up() {
            return self.clients[index].connection_lost(self.time, &mut self.rng);
        }
        let id = ConnId(self.next_connection);
        self.next_connection += 1;
        let kind = self.clients[index].id.kind();
        let channel = match &self.clients[index].role {
            Role::Patient(_) => {
                let mut exporter = [0; 32];
                self.rng.fill_bytes(&mut exporter);
                Channel::Tls { exporter }
            }
            Role::Wearable(_) => Channel::Plain,
        };
        self.connections.insert(id, Connection::default());
        self.gateway.accept(id, kind, channel, now_at(self.time, 0));
        self.clients[index].connected(id, channel, self.time, &mut self.rng);
    }

    /// Takes what the ends want to say and puts it on the wires; judges what the clients saw.
    fn collect(&mut self) {
        loop {
            let mut moved = false;
            for (id, bytes) in self.gateway.take_output() {
                moved = true;
                match bytes {
                    Some(bytes) => self.transmit(id, End::Client, bytes),
                    None => {
                        if let Some(connection) = self.connections.get_mut(&id) {
                            connection.close(End::Gateway);
                        }
                    }
                }
            }
            for index in 0..self.clients.len() {
                let id = self.clients[index].connection();
                for bytes in self.clients[index].take_output() {
                    moved = true;
                    if let Some(id) = id {
                        self.transmit(id, End::Gateway, bytes);
                    }
                }
                for (session, event) in self.clients[index].take_events() {
                    self.judge(index, session, &event);
                }
                if self.clients[index].take_hangup()
                    && let Some(id) = id
                    && let Some(connection) = self.connections.get_mut(&id)
                {
                    moved = true;
                    connection.close(End::Client);
                }
            }
            moved |= self.hang_up();
            if !moved {
                return;
            }
        }
    }

    /// Connections that one end closed and whose last bytes have arrived end for the other one too.
    fn hang_up(&mut self) -> bool {
        let over: Vec<(ConnId, End)> =
            self.connections.iter().filter_map(|(id, c)| c.is_over().map(|end| (*id, end))).collect();
        for (id, closed_by) in &over {
            self.connections.remove(id);
            match closed_by {
                End::Client => self.gateway.connection_lost(*id, now_at(self.time, 0)),
                End::Gateway => {
                    if let Some(client) = self.clients.iter_mut().find(|c| c.connection() == Some(*id)) {
                        client.connection_lost(self.time, &mut self.rng);
                    }
                }
            }
        }
        !over.is_empty()
    }

    fn transmit(&mut self, id: ConnId, to: End, bytes: Vec<u8>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send(to, &bytes, self.time, self.max_delay_ms, &mut self.rng);
            if self.record {
                self.wire.push((id, to, bytes));
            }
        }
    }

    fn drop_connection_of(&mut self, client: Index) {
        if let Some(id) = self.clients[client].connection() {
            self.connections.remove(&id);
            self.gateway.connection_lost(id, now_at(self.time, 0));
            self.collect();
        }
    }

    /// Shows a broadcast to everyone who must not be able to open it.
    fn eavesdrop(&mut self, frame: &[u8], now: Now) {
        for outsider in &mut self.outsiders {
            outsider.handle_bytes(frame, now, &mut self.rng);
            while let Some(event) = outsider.poll_event() {
                if let Event::Alert { alert, epoch } = event {
                    self.violations.push(format!("an outsider opened {} of epoch {epoch:?}", alert.id()));
                }
            }
        }
    }

    /// Shows a newcomer the latest broadcasts of the time before it; `judge` sees what it can open.
    fn try_the_past(&mut self, index: Index, session: Option<SessionId>) {
        let is_new_to = |sealed: &&SealedBroadcast| session.is_some_and(|s| !sealed.members.contains(&s));
        let past: Vec<Vec<u8>> = self
            .broadcasts
            .iter()
            .rev()
            .take(3)
            .filter(is_new_to)
            .map(|sealed| sealed.frame.clone())
            .collect();
        for frame in past {
            self.clients[index].handle_bytes(&frame, self.time, &mut self.rng);
        }
    }

    fn judge(&mut self, index: Index, session: Option<SessionId>, event: &Event) {
        if let Event::GroupKey(_) = event {
            self.try_the_past(index, session);
        }
        if let Event::Alert { alert, epoch: Some(epoch) } = event {
            let was_member = self
                .broadcasts
                .iter()
                .any(|sealed| sealed.epoch == *epoch && session.is_some_and(|s| sealed.members.contains(&s)));
            if !was_member {
                let id = &self.clients[index].id;
                self.violations.push(format!("{id} opened {} of {epoch} without membership", alert.id()));
            }
        }
    }

    /// Checks everything that must hold at any moment, and returns all that was ever broken.
    pub fn check(&mut self) -> &[String] {
        for client in &self.clients {
            match &client.role {
                Role::Patient(memory) => {
                    let distinct: BTreeSet<&AlertId> = memory.shown.iter().collect();
                    if distinct.len() != memory.shown.len() {
                        self.violations.push(format!("{} was shown an alert twice", client.id));
                    }
                }
                Role::Wearable(memory) => {
                    let ClientId::Wearable(device) = &client.id else { continue };
                    for seq in &memory.acked {
                        if self.gateway.store.rows.get(&(*device, *seq)) != Some(&1) {
                            self.violations.push(format!("acknowledged {seq:?} is not stored exactly once"));
                        }
                    }
                }
            }
        }
        self.violations.extend(ledger::take_violations());
        &self.violations
    }

    /// Whether every enrolled patient of an alert's audience has decrypted it, and said so.
    #[must_use]
    pub fn is_received_by_all(&self, alert: AlertId) -> bool {
        self.gateway.store.alerts.get(&alert).is_some_and(|stored| {
            stored
                .recipients
                .iter()
                .filter(|patient| {
                    self.gateway.store.roster.contains_key(&ClientId::Patient((*patient).clone()))
                })
                .all(|patient| stored.receipts.get(patient).is_some_and(|stage| *stage >= Stage::Decrypted))
        })
    }

    /// What a person would want to see of a failure.
    #[must_use]
    pub fn story(&self) -> String {
        let mut story = String::new();
        for client in &self.clients {
            story.push_str(&format!("{client:?}\n"));
        }
        story.push_str(&self.violations.join("\n"));
        story
    }
}

/// Both clocks at a virtual time, for a machine whose wall clock is `skew_ms` off.
const fn now_at(time: u64, skew_ms: i64) -> Now {
    Now { wall: UnixMillis((WALL_START + time).saturating_add_signed(skew_ms)), mono: Monotonic(time) }
}
