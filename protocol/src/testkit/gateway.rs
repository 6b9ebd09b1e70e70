//! The simulated gateway: what the real one does, in the fewest words. [`Store`] survives a crash, the rest does
//! not. Every answer follows the commit that it speaks of.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::ToString,
    vec::Vec,
};
use core::time::Duration;

use crypto::{Secret, identity};
use rand_chacha::ChaCha20Rng;
use rand_core::CryptoRng;

use super::{ConnId, SealedBroadcast};
use crate::{
    alert::{Alert, Audience, Draft, Priority, UnverifiedReceipt},
    credential::{ClientIdentity, ClientKind, GatewayIdentity, LoginKey, PinnedClient},
    endpoint::gateway::{Event, GatewayEndpoint},
    group::{Broadcast, GroupOwner, Rekey},
    handshake::{
        Channel,
        resume::{ResumeRecord, TOKEN_LIFETIME, Ticket, token_hash},
    },
    id::{AlertId, ClientId, GatewayId, PatientId, SessionId},
    message::{Farewell, FromGateway, Instruction},
    opcode::Opcode,
    pairing::{code::PairingCode, network::NetworkCredentials},
    replay::ReplayCache,
    time::{Monotonic, Now},
    vitals::VitalsBatch,
};

mod admission;
mod store;

pub use self::store::{Bed, Store, StoredAlert};
use self::{
    admission::Done,
    store::{Offer, TokenRow},
};

/// The default of `gateway --clock-tolerance`.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);
/// A lost link within this time is still an authorised member.
const GRACE: Duration = Duration::from_secs(30);
/// How often a missing receipt makes an alert go out again.
const RESEND_INTERVAL: Duration = Duration::from_secs(5);
/// Idle-time rekeys wait this long for company.
const REKEY_BATCH: Duration = Duration::from_millis(250);
const OFFER_LIFETIME: Duration = Duration::from_secs(600);
const ALERT_LIFETIME: Duration = Duration::from_secs(24 * 3_600);
const TRIES: u8 = 3;

#[derive(Debug)]
struct Line {
    endpoint: GatewayEndpoint,
    session: Option<(ClientId, SessionId)>,
}

/// What a gateway has in memory.
#[derive(Debug)]
struct Running {
    replay: ReplayCache,
    group: GroupOwner,
    lines: BTreeMap<ConnId, Line>,
    lost: BTreeMap<PatientId, (SessionId, Monotonic)>,
    resend_at: Monotonic,
    rekey_at: Option<Monotonic>,
}

/// A gateway in memory.
#[derive(Debug)]
pub struct SimGateway {
    /// Its keys.
    pub identity: GatewayIdentity,
    /// What survives a crash.
    pub store: Store,
    /// The network that wearables are given with their pairing.
    pub network: Option<NetworkCredentials>,
    running: Option<Running>,
    output: Vec<(ConnId, Option<Vec<u8>>)>,
}

impl SimGateway {
    /// A gateway with fresh keys and an empty roster, in service.
    pub fn new(now: Now, rng: &mut ChaCha20Rng) -> Self {
        let identity = GatewayIdentity {
            gateway: GatewayId::from_random(random(rng)),
            doctor: "D001".parse().unwrap(),
            patient_login: LoginKey::generate(ClientKind::Patient, rng).unwrap(),
            wearable_login: LoginKey::generate(ClientKind::Wearable, rng).unwrap(),
            alerts: identity::SigningKey::generate(rng),
            tls_spki: random(rng),
        };
        let (store, output) = (Store::default(), Vec::new());
        let mut gateway = Self { identity, store, network: None, running: None, output };
        gateway.start(now, rng);
        gateway
    }

    /// Whether it serves.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// The clients that are in session.
    #[must_use]
    pub fn in_session(&self) -> BTreeSet<ClientId> {
        let lines = self.running.iter().flat_map(|running| running.lines.values());
        lines.filter_map(|line| line.session.as_ref().map(|(client, _)| client.clone())).collect()
    }

    /// The members of the group.
    #[must_use]
    pub fn members(&self) -> BTreeSet<PatientId> {
        self.running.iter().flat_map(|r| r.group.members().map(|(patient, _)| patient.clone())).collect()
    }

    /// Starts on what is stored, with a new generation of the group key.
    pub fn start(&mut self, now: Now, rng: &mut ChaCha20Rng) {
        let generation = now.wall.0.max(self.store.last_generation + 1);
        self.store.last_generation = generation;
        self.running = Some(Running {
            replay: ReplayCache::new(CLOCK_TOLERANCE),
            group: GroupOwner::new(self.identity.gateway, generation, now.mono, rng),
            lines: BTreeMap::new(),
            lost: BTreeMap::new(),
            resend_at: now.mono + RESEND_INTERVAL,
            rekey_at: None,
        });
    }

    /// Dies: all connections and everything in memory are gone.
    pub fn crash(&mut self) {
        self.running = None;
        self.output.clear();
    }

    /// Opens a pairing offer for `client`; `replace` lets it take the place of an earlier computer.
    pub fn offer(&mut self, client: ClientId, replace: bool, now: Now, rng: &mut ChaCha20Rng) -> PairingCode {
        let code = PairingCode::generate(rng);
        self.offer_code(client, code, replace, now);
        code
    }

    /// The same with a code that the client showed.
    pub fn offer_code(&mut self, client: ClientId, code: PairingCode, replace: bool, now: Now) {
        let expires = now.wall + OFFER_LIFETIME;
        let offer = Offer { client, password: code.password, tries_left: TRIES, expires, replace };
        self.store.offers.insert(code.selector, offer);
    }

    /// Tells a wearable in session what to do. False: it is in none.
    pub fn instruct(&mut self, client: &ClientId, instruction: &Instruction, now: Now) -> bool {
        let Some(id) = self.connection_of(client) else { return false };
        self.say(id, &FromGateway::Instruction(instruction), now);
        true
    }

    /// A connection comes in on the port of this kind.
    pub fn accept(&mut self, id: ConnId, kind: ClientKind, channel: Channel, now: Now) {
        if let Some(running) = &mut self.running {
            let line = Line { endpoint: GatewayEndpoint::new(kind, channel, now), session: None };
            running.lines.insert(id, line);
        }
    }

    /// What it has to say, in order; `None` closes the connection.
    pub fn take_output(&mut self) -> Vec<(ConnId, Option<Vec<u8>>)> {
        core::mem::take(&mut self.output)
    }

    /// Takes bytes of a connection.
    pub fn handle_bytes(&mut self, id: ConnId, bytes: &[u8], now: Now, rng: &mut ChaCha20Rng) {
        if let Some(line) = self.line(id) {
            line.endpoint.handle_bytes(bytes, now);
            self.pump(id, now, rng);
        }
    }

    /// The link of a connection is gone. A member keeps its place for a grace of 30 s.
    pub fn connection_lost(&mut self, id: ConnId, now: Now) {
        let Some(running) = &mut self.running else { return };
        if let Some(Line { session: Some((ClientId::Patient(patient), session)), .. }) =
            running.lines.remove(&id)
        {
            running.lost.insert(patient, (session, now.mono));
        }
    }

    /// When something is due next.
    #[must_use]
    pub fn next_time(&self) -> Option<u64> {
        let running = self.running.as_ref()?;
        let endpoints = running.lines.values().filter_map(|line| line.endpoint.poll_timeout());
        let graces = running.lost.values().map(|(_, since)| *since + GRACE);
        let own = [Some(running.resend_at), running.rekey_at].into_iter().flatten();
        endpoints.chain(graces).chain(own).map(|due| due.0).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut ChaCha20Rng) {
        let Some(running) = &mut self.running else { return };
        let ids: Vec<ConnId> = running.lines.keys().copied().collect();
        for id in ids {
            if let Some(line) = self.line(id)
                && line.endpoint.poll_timeout().is_some_and(|due| due <= now.mono)
            {
                line.endpoint.handle_timeout(now);
                self.pump(id, now, rng);
            }
        }
        self.end_graces(now);
        self.rekey_if_due(now, rng);
        self.resend(now);
    }

    fn end_graces(&mut self, now: Now) {
        let Some(running) = &mut self.running else { return };
        let over = |since: &Monotonic| now.mono.since(*since) >= GRACE;
        let gone: Vec<_> = running
            .lost
            .iter()
            .filter(|(_, (_, since))| over(since))
            .map(|(p, (s, _))| (p.clone(), *s))
            .collect();
        for (patient, session) in gone {
            running.lost.remove(&patient);
            if running.group.remove(&patient, session) {
                running.rekey_at.get_or_insert(now.mono + REKEY_BATCH);
            }
        }
    }

    fn rekey_if_due(&mut self, now: Now, rng: &mut ChaCha20Rng) {
        let Some(running) = &mut self.running else { return };
        if running.rekey_at.is_some_and(|at| at <= now.mono) {
            running.rekey_at = None;
            if running.group.is_due(now.mono) {
                let rekeys = running.group.rekey(now.mono, rng);
                self.store.last_generation = running.group.epoch().generation;
                self.distribute(&rekeys, now);
            }
        }
    }

    fn resend(&mut self, now: Now) {
        let Some(running) = &mut self.running else { return };
        if running.resend_at <= now.mono {
            running.resend_at = now.mono + RESEND_INTERVAL;
            for client in self.in_session() {
                self.catch_up(&client, now);
            }
        }
    }

    /// Sends what this patient has not confirmed to have, in its own session.
    fn catch_up(&mut self, client: &ClientId, now: Now) {
        let ClientId::Patient(patient) = client else { return };
        let Some(id) = self.connection_of(client) else { return };
        let missing = |stored: &&StoredAlert| {
            stored.recipients.contains(patient)
                && !stored.receipts.contains_key(patient)
                && stored.alert.expires() > now.wall
        };
        let alerts: Vec<Alert> =
            self.store.alerts.values().filter(missing).map(|s| s.alert.clone()).collect();
        for alert in alerts {
            self.say(id, &FromGateway::DirectMsg(&alert), now);
        }
    }

    /// Raises an alert for the ward, or for these patients in their own sessions.
    pub fn raise(
        &mut self,
        text: &str,
        selected: Option<&[PatientId]>,
        cancels: Option<AlertId>,
        now: Now,
        rng: &mut ChaCha20Rng,
    ) -> (AlertId, Option<SealedBroadcast>) {
        let enrolled = self.store.roster.keys().filter_map(|client| match client {
            ClientId::Patient(patient) => Some(patient),
            ClientId::Wearable(_) => None,
        });
        let recipients: BTreeSet<PatientId> =
            enrolled.filter(|p| selected.is_none_or(|selected| selected.contains(p))).cloned().collect();
        let draft = Draft {
            id: AlertId::new(now.wall, random(rng)),
            sequence: self.store.alerts.len() as u64 + 1,
            created: now.wall,
            expires: now.wall + ALERT_LIFETIME,
            priority: Priority::High,
            audience: if selected.is_some() { Audience::Selected } else { Audience::Ward },
            cancels,
            text: text.to_string(),
        };
        let alert = draft.sign(&self.identity.alerts).unwrap();
        let id = alert.id();
        let stored = StoredAlert { alert: alert.clone(), recipients, receipts: BTreeMap::new() };
        self.store.alerts.insert(id, stored);
        if selected.is_some() {
            for client in self.in_session() {
                self.catch_up(&client, now);
            }
            return (id, None);
        }
        let Some(running) = &mut self.running else { return (id, None) };
        let Broadcast { rekeys, frame, epoch, members } = running.group.seal(&alert, now.mono, rng).unwrap();
        self.store.last_generation = epoch.generation;
        self.distribute(&rekeys, now);
        for (patient, session) in &members {
            let client = ClientId::Patient(patient.clone());
            if let Some(conn) = self.connection_of(&client)
                && let Some(line) = self.line(conn)
                && line.session.as_ref().is_some_and(|(_, current)| current == session)
            {
                line.endpoint.note_sent(now);
                self.output.push((conn, Some(frame.clone())));
            }
        }
        let members = members.into_iter().map(|(_, session)| session).collect();
        (id, Some(SealedBroadcast { epoch, frame, members }))
    }

    /// Commits the end of a client's place, drops its session and its tokens, changes the group key.
    pub fn revoke(&mut self, client: &ClientId, now: Now, rng: &mut ChaCha20Rng) {
        self.store.roster.remove(client);
        self.store.pending.remove(client);
        self.store.forget_tokens(client);
        self.end_session(client, Farewell::Revoked, now);
        if let Some(running) = &mut self.running {
            running.rekey_at = Some(now.mono);
        }
        self.rekey_if_due(now, rng);
    }

    /// Enrols a client as if it had paired, with the keys of this identity.
    pub fn enrol(&mut self, identity: &ClientIdentity, now: Now) {
        let pinned = PinnedClient {
            id: identity.id.clone(),
            login: identity.login.verifying_key(),
            receipts: identity.receipts.as_ref().map(identity::SigningKey::verifying_key),
        };
        self.store.roster.insert(identity.id.clone(), Bed { pinned, since: now.wall });
    }

    /// A ticket as an earlier session would have left it: a simulation can begin with a resumption, which is cheap.
    pub fn ticket(&mut self, client: &ClientIdentity, now: Now, rng: &mut ChaCha20Rng) -> Ticket {
        let suite = client.id.kind().suites()[0];
        let ticket = Ticket { token: random(rng), suite, key: Secret::generate(rng) };
        let key_id = client.login.verifying_key().key_id();
        let record = ResumeRecord { client: client.id.clone(), suite, key_id, key: ticket.key.duplicate() };
        let row = TokenRow { record, expires: now.wall + TOKEN_LIFETIME };
        self.store.tokens.insert(token_hash(&ticket.token), row);
        ticket
    }

    /// [`GatewayEndpoint::say_bytes`] on a connection.
    pub fn say_bytes(&mut self, id: ConnId, opcode: Opcode, body: &[u8], now: Now) {
        if let Some(line) = self.line(id) {
            line.endpoint.say_bytes(opcode, body, now).unwrap();
        }
        self.transmit(id);
    }

    /// For each connection: whether a session is established on it, and how many bytes its endpoint keeps.
    pub fn buffered(&self) -> impl Iterator<Item = (bool, usize)> {
        let lines = self.running.iter().flat_map(|running| running.lines.values());
        lines.map(|line| (line.endpoint.is_established(), line.endpoint.buffered()))
    }

    /// The ENC_MSG frame that any member could make, since it holds the group key: the seal is right, whoever signed
    /// the alert.
    pub fn seal_as_member(&mut self, alert: &Alert, now: Now, rng: &mut ChaCha20Rng) -> Vec<u8> {
        self.running.as_mut().unwrap().group.seal(alert, now.mono, rng).unwrap().frame
    }

    /// Ends whatever session or grace a client has; it is no member afterwards.
    fn end_session(&mut self, client: &ClientId, farewell: Farewell, now: Now) {
        let connection = self.connection_of(client);
        if let Some(line) = connection.and_then(|id| self.line(id)) {
            line.endpoint.disconnect(farewell, now);
        }
        if let Some(id) = connection {
            self.transmit(id);
            self.output.push((id, None));
        }
        let Some(running) = &mut self.running else { return };
        let session =
            connection.and_then(|id| running.lines.remove(&id)?.session.map(|(_, session)| session));
        if let ClientId::Patient(patient) = client {
            let lost = running.lost.remove(patient).map(|(session, _)| session);
            for session in session.into_iter().chain(lost) {
                if running.group.remove(patient, session) {
                    running.rekey_at.get_or_insert(now.mono + REKEY_BATCH);
                }
            }
        }
    }

    fn pump(&mut self, id: ConnId, now: Now, rng: &mut ChaCha20Rng) {
        while let Some(event) = self.line(id).and_then(|line| line.endpoint.poll_event()) {
            match event {
                Event::Work(work) => match self.carry_out(work, now, rng) {
                    Ok(Done { next, frame, established }) => {
                        if let Some((client, _)) = &established
                            && self.connection_of(client).is_some_and(|other| other != id)
                        {
                            self.displace(client, now);
                        }
                        let Some(line) = self.line(id) else { return };
                        line.endpoint.proceed(next, frame, now);
                        if let Some((client, keys)) = established {
                            self.begin_session(id, &client, keys, now, rng);
                        }
                    }
                    Err(fault) => {
                        self.store.refusals.push(fault.clone());
                        if let Some(line) = self.line(id) {
                            line.endpoint.refuse(fault, now);
                        }
                    }
                },
                Event::Vitals(batch) => self.take_vitals(id, &batch, now),
                Event::Receipt(receipt) => self.take_receipt(id, receipt),
                Event::Status(status) => self.store.statuses.push(status),
                Event::Waveform(waveform) => self.store.waveforms.push(waveform),
                Event::FirmwareRequest(request) => self.store.firmware_requests.push(request),
                Event::FirmwareStatus(status) => self.store.firmware.push(status),
                Event::Disconnected(farewell) => {
                    if let Some((client, _)) = self.session_of(id) {
                        if farewell == Farewell::EndedByPatient {
                            self.store.forget_tokens(&client);
                            self.end_session(&client, farewell, now);
                        } else {
                            self.connection_lost(id, now);
                            self.output.push((id, None));
                        }
                    }
                    return;
                }
                Event::Closed(fault) => {
                    self.store.refusals.push(fault);
                    self.transmit(id);
                    self.output.push((id, None));
                    self.connection_lost(id, now);
                    return;
                }
            }
        }
        self.transmit(id);
    }

    fn take_vitals(&mut self, id: ConnId, batch: &VitalsBatch, now: Now) {
        let Some((ClientId::Wearable(device), _)) = self.session_of(id) else { return };
        self.store.batches.push(batch.clone());
        for sample in &batch.samples {
            let is_new = self.store.high_water.get(&device).is_none_or(|high| *high < sample.seq);
            if is_new {
                *self.store.rows.entry((device, sample.seq)).or_default() += 1;
                self.store.high_water.insert(device, sample.seq);
            }
        }
        if let Some(last) = batch.last() {
            self.say(id, &FromGateway::VitalsAck(last), now);
        }
    }

    fn take_receipt(&mut self, id: ConnId, receipt: UnverifiedReceipt) {
        let Some((client @ ClientId::Patient(_), _)) = self.session_of(id) else { return };
        let ClientId::Patient(patient) = &client else { return };
        let Some(key) = self.store.roster.get(&client).and_then(|bed| bed.pinned.receipts.as_ref()) else {
            return;
        };
        match receipt.verify(patient, key, &self.identity.alerts.verifying_key()) {
            Ok(receipt) => {
                if let Some(stored) = self.store.alerts.get_mut(&receipt.alert())
                    && stored.alert.content_hash() == receipt.content_hash()
                {
                    let stage = stored.receipts.entry(patient.clone()).or_insert_with(|| receipt.stage());
                    *stage = receipt.stage().max(*stage);
                }
            }
            Err(fault) => self.store.refusals.push(fault),
        }
    }

    fn distribute(&mut self, rekeys: &[Rekey], now: Now) {
        for rekey in rekeys {
            let client = ClientId::Patient(rekey.patient.clone());
            if let Some(id) = self.connection_of(&client)
                && self.session_of(id).is_some_and(|(_, session)| session == rekey.session)
            {
                self.say(id, &FromGateway::GroupKey(&rekey.key), now);
            }
        }
    }

    fn say(&mut self, id: ConnId, message: &FromGateway<'_>, now: Now) {
        if let Some(line) = self.line(id) {
            line.endpoint.say(message, now).unwrap();
        }
        self.transmit(id);
    }

    fn transmit(&mut self, id: ConnId) {
        while let Some(bytes) = self.line(id).and_then(|line| line.endpoint.poll_transmit()) {
            self.output.push((id, Some(bytes)));
        }
    }

    fn line(&mut self, id: ConnId) -> Option<&mut Line> {
        self.running.as_mut()?.lines.get_mut(&id)
    }

    fn session_of(&self, id: ConnId) -> Option<(ClientId, SessionId)> {
        self.running.as_ref()?.lines.get(&id)?.session.clone()
    }

    fn connection_of(&self, client: &ClientId) -> Option<ConnId> {
        let lines = &self.running.as_ref()?.lines;
        let is_theirs = |line: &Line| line.session.as_ref().is_some_and(|(theirs, _)| theirs == client);
        lines.iter().find(|(_, line)| is_theirs(line)).map(|(id, _)| *id)
    }
}

fn random<const N: usize>(rng: &mut impl CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
