//! The ward: what a connection, a verb or a timer may do, and in which order. Everything that must survive is committed
//! to the store first; only then is memory changed, somebody told, or an acknowledgement sent. It names no socket, no
//! SQL and no screen.
//!
//! - a client comes: `Ward::admit`, and on the way `Ward::enrolled`, `Ward::spend_guess`, `Ward::enrol`
//! - vitals come: `Ward::take_vitals`, in `vitals`
//! - an alert goes out and its receipts come back: [`alerts`]
//! - people: pairing, revoking, lists: [`people`]
//! - what wearables tell of themselves and are told: [`wearables`]

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

use crypto::{Secret, identity::VerifyingKey, purpose};
use host::{Clock, entropy::system_rng};
use protocol::{
    alert::UnverifiedReceipt,
    cadence::Settings,
    credential::{GatewayIdentity, Suite},
    error::Fault,
    handshake::{
        Established,
        resume::{ResumeRecord, TOKEN_LIFETIME, token_hash},
    },
    id::{ClientId, DeviceId, KeyId, PatientId, SessionId},
    message::Farewell,
    pairing::{code::Selector, responder::Enrolment},
    session::Session,
    time::{Monotonic, Now, UnixMillis},
};
use rand_core::Rng;
use tokio::sync::{broadcast, mpsc, watch};

use self::{
    delivery::Deliveries,
    device::Device,
    event::WardEvent,
    live::Live,
    refusals::Refusals,
    roster::{QUEUE, Roster, SessionHandle},
    view::RefusalView,
};
pub(crate) use self::{
    ending::{LeavingSession, SessionEnd},
    roster::{End, Outbound},
};
use crate::store::{
    Ledger, Store, StoreError, StoreHealth,
    audit::AuditEvent,
    clients::{EnrolledClient, Standing},
    offers::Offer,
    tokens::TokenRecord,
};

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

/// A client that is in: what its connection needs while it lasts.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) client: ClientId,
    pub(crate) receipt_key: Option<VerifyingKey>,
    pub(crate) patient: PatientId,
    pub(crate) session_id: SessionId,
    pub(crate) queue: mpsc::Receiver<Outbound>,
    pub(crate) end: watch::Receiver<Option<End>>,
}

/// What a client that is in is given at once.
pub(crate) struct Welcome {
    pub(crate) session: Session,
    pub(crate) token: [u8; 16],
    pub(crate) token_expires: UnixMillis,
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

    /// The binding with which a client of this id and key may log in: the active one, or the one that waits for its
    /// first login.
    ///
    /// # Errors
    /// [`Fault::LocalStorage`].
    pub(crate) async fn enrolled(&self, id: &ClientId, key: KeyId) -> Result<Option<EnrolledClient>, Fault> {
        let id = id.clone();
        let read = self.store.read(move |view| {
            let pending = view.pending_client(&id)?.filter(|client| client.key_id == key);
            Ok(match pending {
                Some(pending) => Some(pending),
                None => view.client(&id)?,
            })
        });
        read.await.map_err(|error| local(&error))
    }

    /// What a token stands for.
    ///
    /// # Errors
    /// [`Fault::LocalStorage`].
    pub(crate) async fn token(&self, hash: [u8; 32]) -> Result<Option<ResumeRecord>, Fault> {
        let now = self.now().wall;
        let record = self.store.read(move |view| view.token(&hash, now)).await.map_err(|e| local(&e))?;
        Ok(record.map(|token| ResumeRecord {
            client: token.client,
            suite: token.suite,
            key_id: token.key_id,
            key: token.psk,
        }))
    }

    /// Uses a token up; only then may its resumption be answered.
    ///
    /// # Errors
    /// [`Fault::DeniedToken`] if it was used or its client was revoked meanwhile, [`Fault::LocalStorage`].
    pub(crate) async fn consume_token(&self, hash: [u8; 32]) -> Result<(), Fault> {
        let now = self.now().wall;
        let used = self.store.write(move |ledger| ledger.consume_token(&hash, now)).await;
        if used.map_err(|error| local(&error))? { Ok(()) } else { Err(Fault::DeniedToken) }
    }

    /// Spends a guess of an open offer, committed when this returns.
    ///
    /// # Errors
    /// [`Fault::DeniedCodeUnknown`], [`Fault::LocalStorage`].
    pub(crate) async fn spend_guess(&self, selector: Selector) -> Result<Offer, Fault> {
        let now = self.now().wall;
        let offer = self.store.write(move |ledger| ledger.spend_guess(selector, now)).await;
        offer.map_err(|error| local(&error))?.ok_or(Fault::DeniedCodeUnknown)
    }

    /// Keeps a client that knew the code of `offer` as pending until its first login, and returns who it is.
    ///
    /// # Errors
    /// [`Fault::DeniedCodeForAnother`], [`Fault::DeniedPairedElsewhere`], [`Fault::LocalStorage`].
    pub(crate) async fn enrol(&self, enrolment: &Enrolment, offer: &Offer) -> Result<ClientId, Fault> {
        let id = match enrolment.wanted() {
            Some(ClientId::Wearable(device)) => ClientId::Wearable(*device),
            _ => ClientId::Patient(offer.patient.clone()),
        };
        let pinned = enrolment.binding(id.clone())?;
        let (name, selector, now) = (enrolment.name().cloned(), enrolment.selector(), self.now().wall);
        let (replaces, wanted) = (offer.replaces, id.clone());
        let kept = self.store.write(move |ledger| {
            if let Some(active) = ledger.client(&wanted)?
                && active.standing == Standing::Active
                && matches!(wanted, ClientId::Patient(_))
                && !replaces
            {
                return Err(StoreError::AlreadyPaired {
                    since: active.paired_at,
                    last_seen: active.last_seen,
                });
            }
            ledger.enrol_pending(&pinned, name.as_ref(), selector, now)
        });
        kept.await.map_err(|error| local(&error))?;
        Ok(id)
    }

    /// Takes a verified client in: confirms a first login, keeps its token, then lets it into the roster. What it
    /// missed is queued for it.
    ///
    /// # Errors
    /// [`Fault::DeniedUnknown`] if it was revoked meanwhile, [`Fault::LocalStorage`].
    pub(crate) async fn admit(
        &self,
        established: Established,
        source: &str,
        post_quantum: bool,
    ) -> Result<(Admitted, Welcome), Fault> {
        let Established { client, session, suite, wrap, resume, key, resumed, .. } = established;
        // A patient's session has it from TLS, a wearable's from its own key exchange.
        let post_quantum = post_quantum || suite.is_post_quantum();
        let now = self.now();
        let mut token = [0; 16];
        system_rng().fill_bytes(&mut token);
        let token_expires = now.wall + TOKEN_LIFETIME;
        let (enrolled, first_login) = self
            .commit_login(&client, suite, key, resume, resumed, token, source.to_owned(), now.wall)
            .await?;
        let receipt_key = enrolled.receipt_key().map_err(|error| local(&error))?;
        let patient = enrolled.patient;

        let (queue, inbox) = mpsc::channel(QUEUE);
        let (end, ended) = watch::channel(None);
        let handle = SessionHandle {
            session: session.id(),
            since: now.wall,
            source: source.to_owned(),
            post_quantum,
            queue,
            end,
        };
        let session_id = session.id();
        {
            let mut state = self.state();
            if state.stopping {
                return Err(Fault::DeniedBusy);
            }
            if first_login {
                // A computer that was replaced may be in other hands: out before the newcomer is in.
                state.roster.expel(&client, Farewell::Revoked);
            }
            state.roster.enter(client.clone(), handle, wrap, now.mono, &mut system_rng());
            match &client {
                ClientId::Patient(_) => drop(state.away.remove(&patient)),
                ClientId::Wearable(device) => state.device(*device, now.mono).enter(now.mono),
            }
        }
        self.refuse_if_ended_meanwhile(&client, key).await?;
        self.publish(WardEvent::session(&client, &patient, session_id, resumed, post_quantum));
        if let ClientId::Patient(patient) = &client {
            let caught_up = self.catch_up(patient).await;
            if let Err(fault) = caught_up {
                self.state().roster.leave(&client, session_id, true, now.mono);
                return Err(fault);
            }
        }
        self.state().conversations += 1;
        let admitted = Admitted { client, receipt_key, patient, session_id, queue: inbox, end: ended };
        Ok((admitted, Welcome { session, token, token_expires }))
    }

    /// A revocation or replacement that was committed after the login was, but looked into the roster before the client
    /// was in it, is carried out here. Nothing of its queue has been sent yet.
    async fn refuse_if_ended_meanwhile(&self, client: &ClientId, key: KeyId) -> Result<(), Fault> {
        let id = client.clone();
        let read = self.store.read(move |view| view.client(&id)).await;
        let still = read.map(|found| found.is_some_and(|found| found.key_id == key));
        if matches!(still, Ok(true)) {
            return Ok(());
        }
        self.state().roster.expel(client, Farewell::Revoked);
        Err(still.map_or_else(|error| local(&error), |_| Fault::DeniedUnknown))
    }

    #[expect(clippy::too_many_arguments, reason = "one transaction with all that a login leaves behind")]
    async fn commit_login(
        &self,
        client: &ClientId,
        suite: Suite,
        key: KeyId,
        resume: Secret<purpose::ResumeKey>,
        resumed: bool,
        token: [u8; 16],
        source: String,
        now: UnixMillis,
    ) -> Result<(EnrolledClient, bool), Fault> {
        let id = client.clone();
        let paired = self.store.write(move |ledger| {
            let first_login =
                ledger.pending_client(&id)?.is_some_and(|pending| !resumed && pending.key_id == key);
            if first_login {
                ledger.confirm_enrolment(&id, key, now)?;
                ledger.audit(AuditEvent::Paired, &id.to_string(), &source, &format!("key {key}"), now)?;
                begin_with_defaults(ledger, &id, now)?;
            }
            // It may have been replaced or revoked while its proof was being checked.
            let enrolled = ledger.client(&id)?.filter(|client| client.key_id == key);
            let enrolled = enrolled.ok_or(StoreError::UnknownClient)?;
            ledger.seen(&id, Some(suite), now)?;
            let expires = now + TOKEN_LIFETIME;
            // One token at a time: a RESUME that somebody held back must not displace a newer session.
            ledger.delete_tokens(&id)?;
            let record = TokenRecord { client: id.clone(), suite, key_id: key, psk: resume, expires };
            ledger.save_token(&token_hash(&token), &record, now)?;
            let how = if resumed { "resumed" } else { "full login" };
            ledger.audit(AuditEvent::LoggedIn, &id.to_string(), &source, how, now)?;
            Ok((enrolled, first_login))
        });
        let (enrolled, first_login) = paired.await.map_err(|error| local(&error))?;
        if first_login {
            self.publish(WardEvent::Pairing {
                step: "enrolled".into(),
                kind: client.kind().to_string(),
                patient: enrolled.patient.to_string(),
            });
        }
        Ok((enrolled, first_login))
    }

    /// A session is over.
    pub(crate) async fn leave(&self, admitted: &LeavingSession, reason: &SessionEnd) {
        let now = self.now();
        let deliberate = !matches!(reason, SessionEnd::Lost(_));
        let (was_current, is_back) = {
            let mut state = self.state();
            let current = state.roster.leave(&admitted.client, admitted.session, deliberate, now.mono);
            let left = matches!(reason, SessionEnd::ByClient(Farewell::EndedByPatient));
            if current && left && matches!(admitted.client, ClientId::Patient(_)) {
                state.away.insert(admitted.patient.clone());
            }
            (current, state.roster.session(&admitted.client).is_some())
        };
        let said = reason.to_string();
        if was_current || !matches!(reason, SessionEnd::ByWard(Farewell::Displaced)) {
            self.publish(WardEvent::disconnected(&admitted.client, &admitted.patient, said.clone()));
        }
        let (id, ends_resumption) = (
            admitted.client.clone(),
            // The token of a newer session is not this one's to take.
            !is_back
                && matches!(
                    reason,
                    SessionEnd::ByClient(Farewell::EndedByPatient)
                        | SessionEnd::ByWard(Farewell::EndedByDoctor)
                ),
        );
        let noted = self.store.write(move |ledger| {
            if ends_resumption {
                ledger.delete_tokens(&id)?;
            }
            match ledger.seen(&id, None, now.wall) {
                Ok(()) | Err(StoreError::UnknownClient) => {}
                Err(error) => return Err(error),
            }
            ledger.audit(AuditEvent::Disconnected, &id.to_string(), "", &said, now.wall)
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "the end of a session could not be noted");
        }
        self.state().conversations -= 1;
    }

    /// Stores a receipt if it is the patient's.
    ///
    /// # Errors
    /// [`Fault::DeniedProof`], [`Fault::LocalStorage`].
    pub(crate) async fn take_receipt(
        &self,
        admitted: &Admitted,
        receipt: UnverifiedReceipt,
    ) -> Result<(), Fault> {
        let (ClientId::Patient(patient), Some(key)) = (&admitted.client, &admitted.receipt_key) else {
            return Err(Fault::DeniedProof);
        };
        let receipt = receipt.verify(patient, key, &self.identity.alerts.verifying_key())?;
        let (alert, stage) = (receipt.alert(), receipt.stage());
        let (id, now) = (patient.clone(), self.now());
        let stored = self.store.write(move |ledger| ledger.record_receipt(&id, &receipt, now.wall)).await;
        let outcome = match stored {
            Ok(outcome) => outcome,
            // Somebody who came into the ward between recording and sending, or whom a cancellation reached who had
            // not been meant by the alert: nothing is expected of it.
            Err(StoreError::UnknownAlert) => return Ok(()),
            Err(error) => return Err(local(&error)),
        };
        let after = self.state().deliveries.confirm(alert, patient, stage, now.mono);
        if outcome == crate::store::alerts::ReceiptOutcome::New {
            self.publish(WardEvent::receipt(alert, patient, stage, after));
        }
        Ok(())
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

/// What a wearable was set to for one patient is not carried over to the next: a new pairing begins with the default, and the
/// device, which may have kept the old intervals, is told so after each login.
fn begin_with_defaults(ledger: &Ledger<'_>, client: &ClientId, now: UnixMillis) -> Result<(), StoreError> {
    let ClientId::Wearable(device) = client else { return Ok(()) };
    if ledger.settings(*device)?.is_none_or(|settings| settings == Settings::LIVE) {
        return Ok(());
    }
    ledger.set(*device, Settings::LIVE)?;
    let said = format!("{} again, after a new pairing", Settings::LIVE);
    ledger.audit(AuditEvent::Controlled, &device.to_string(), "", &said, now)
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
