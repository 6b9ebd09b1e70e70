//! The ward: what a connection, a verb or a timer may do, and in which order. Everything that must survive is committed
//! to the store first; only then is memory changed, somebody told, or an acknowledgement sent. It names no socket, no
//! SQL and no screen.
//!
//! - a client comes and goes: `Ward::enrolled`, `Ward::spend_guess`, `Ward::enrol`, `Ward::admit`, `Ward::leave`, in `admission`
//! - vitals come: `Ward::take_vitals`, in `vitals`
//! - an alert goes out and its receipts come back: [`alerts`]
//! - people: pairing, revoking, lists: [`people`]
//! - what wearables tell of themselves and are told: [`wearables`]

mod admission;
pub mod alerts;
mod delivery;
mod device;
mod ending;
pub mod event;
pub(crate) mod live;
pub mod people;
mod refusals;
mod roster;
mod update;
pub mod view;
mod vitals;
mod waveforms;
pub mod wearables;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use host::{Clock, entropy::system_rng};
use protocol::{
    credential::GatewayIdentity,
    error::Fault,
    id::{ClientId, DeviceId, PatientId},
    time::{Monotonic, Now},
};
use tokio::sync::broadcast;

pub(crate) use self::{
    admission::Admitted,
    ending::{LeavingSession, SessionEnd},
    roster::{End, Outbound},
};
use self::{
    delivery::Deliveries, device::Device, event::WardEvent, live::Live, refusals::Refusals, roster::Roster,
    view::RefusalView,
};
use crate::store::{Store, StoreError, StoreHealth, audit::AuditEvent};

/// Events that a slow watcher may lag behind before it loses some.
const EVENTS: usize = 4_096;
/// How often grace, resends and rekeys are looked at. Merges idle-time rekeys only; no alert waits for it.
const TICK: Duration = Duration::from_millis(250);

/// One doctor's ward.
#[derive(Debug)]
pub struct Ward {
    identity: Arc<GatewayIdentity>,
    store: Store,
    clock: Clock,
    events: broadcast::Sender<WardEvent>,
    /// Held from keeping a wearable's settings until they are on their way: what is kept last is told last.
    setting: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    live: Live,
    deliveries: Deliveries,
    devices: BTreeMap<DeviceId, Device>,
    /// Those whose upload is overdue, and was told to be.
    overdue: BTreeSet<DeviceId>,
    /// Patients who left on purpose and are not back.
    away: BTreeSet<PatientId>,
    refusals: Refusals,
    /// Connections of clients that were admitted and have not ended yet; some may have left the roster before.
    conversations: usize,
    /// Nobody is admitted any more.
    stopping: bool,
    samples_stored: u64,
}

impl State {
    fn device(&mut self, id: DeviceId, now: Monotonic) -> &mut Device {
        self.devices.entry(id).or_insert_with(|| Device::new(now))
    }
}

impl Ward {
    /// A ward with nobody in session.
    #[must_use]
    pub fn new(identity: Arc<GatewayIdentity>, store: Store, clock: Clock) -> Arc<Self> {
        let now = clock.now();
        // Wall-clock milliseconds: above the generation of any earlier start.
        let roster = Roster::new(identity.gateway, now.wall.0, now.mono, &mut system_rng());
        let state = State {
            roster,
            live: Live::default(),
            deliveries: Deliveries::default(),
            devices: BTreeMap::new(),
            overdue: BTreeSet::new(),
            away: BTreeSet::new(),
            conversations: 0,
            stopping: false,
            refusals: Refusals::default(),
            samples_stored: 0,
        };
        Arc::new(Self {
            identity,
            store,
            clock,
            events: broadcast::channel(EVENTS).0,
            setting: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
        })
    }

    /// Who this gateway is.
    #[must_use]
    pub fn identity(&self) -> &GatewayIdentity {
        &self.identity
    }

    /// What happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<WardEvent> {
        self.events.subscribe()
    }

    /// Tells whoever watches.
    pub fn publish(&self, event: WardEvent) {
        // Nobody watching is no fault.
        self.events.send(event).ok();
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps grace periods, resends and rekeys going, and writes down what is due, until dropped; never returns.
    pub async fn run(&self) {
        tokio::join!(self.keep_time(), self.keep_books());
    }

    /// Waits for nothing but the clock: a disk that is slow must not keep anybody in the group.
    async fn keep_time(&self) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            self.tick();
        }
    }

    async fn keep_books(&self) {
        let mut tick = tokio::time::interval(TICK);
        // The first at once.
        let mut minute = tokio::time::interval(Duration::from_secs(60));
        let mut health = self.store.health();
        loop {
            tokio::select! {
                _ = tick.tick() => self.tell_updates(self.now().mono).await,
                _ = minute.tick() => self.each_minute().await,
                Ok(()) = health.changed() => {
                    let health = *health.borrow_and_update();
                    tracing::warn!(?health, "storage");
                    self.publish(WardEvent::Storage { health: health_in_a_word(health).into() });
                    if health == StoreHealth::Ok {
                        self.audit(AuditEvent::Storage, "", "", "works again").await;
                    }
                }
            }
        }
    }

    async fn each_minute(&self) {
        let now = self.now();
        self.audit_flood().await;
        self.offer_again(now.mono).await;
        let closed = self.store.write(move |ledger| ledger.close_expired_offers(now.wall)).await;
        if let Err(error) = closed {
            tracing::warn!(%error, "expired offers could not be closed");
        }
    }

    fn tick(&self) {
        let now = self.now();
        let mut state = self.state();
        let State { roster, deliveries, .. } = &mut *state;
        roster.tick(now.mono, &mut system_rng());
        deliveries.send_due(now.mono, now.wall, |patient, alert| roster.direct_if_room(patient, alert));
        drop(state);
        self.find_overdue(now.mono);
    }

    /// Notes a refusal: for the `refusals` verb, the event lines, and, unless they flood, the audit.
    pub(crate) async fn refused(&self, source: &str, client: Option<&ClientId>, fault: &Fault) {
        let now = self.now().wall;
        let client = client.map(ToString::to_string);
        let reason = fault.to_string();
        let view = RefusalView {
            time: event::rfc3339(now),
            source: source.to_owned(),
            client: client.clone().unwrap_or_default(),
            reason: reason.clone(),
        };
        if !self.state().refusals.note(view, fault) {
            return;
        }
        self.publish(WardEvent::Refused {
            source: source.to_owned(),
            client: client.clone(),
            reason: reason.clone(),
        });
        self.audit(AuditEvent::Refused, &client.unwrap_or_default(), source, &reason).await;
    }

    /// Adds an audit row that goes with no other change.
    async fn audit(&self, event: AuditEvent, subject: &str, source: &str, detail: &str) {
        let now = self.now().wall;
        let (subject, source, detail) = (subject.to_owned(), source.to_owned(), detail.to_owned());
        let noted =
            self.store.write(move |ledger| ledger.audit(event, &subject, &source, &detail, now)).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "an audit row could not be written");
        }
    }

    /// One audit row for the refusals that had none.
    async fn audit_flood(&self) {
        let untold = self.state().refusals.take_untold();
        if untold > 0 {
            self.audit(AuditEvent::Refused, "", "", &format!("{untold} more refusals in a flood")).await;
        }
    }
}

/// What a peer's conversation makes of a failure of the store.
fn local(error: &StoreError) -> Fault {
    match error {
        StoreError::AlreadyPaired { since, last_seen } => {
            Fault::DeniedPairedElsewhere { since: *since, last_seen: *last_seen }
        }
        StoreError::NoOpenOffer => Fault::DeniedCodeForAnother,
        StoreError::NotPending | StoreError::UnknownClient => Fault::DeniedUnknown,
        StoreError::OtherContent => Fault::DeniedProof,
        StoreError::SequenceRange => Fault::PeerLimit("sample numbers are below 2^63"),
        _ => {
            tracing::error!(%error, "storage");
            Fault::LocalStorage
        }
    }
}

fn health_in_a_word(health: StoreHealth) -> &'static str {
    match health {
        StoreHealth::Ok => "ok",
        StoreHealth::Full => "full",
        StoreHealth::Failing => "failing",
    }
}

/// Milliseconds between two monotonic times.
fn elapsed_ms(now: Monotonic, since: Monotonic) -> u64 {
    u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
