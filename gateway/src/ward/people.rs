//! Who belongs to the ward: inviting, revoking, lists, ending sessions. What a person asked for is audited with who
//! asked.

use std::{collections::BTreeMap, time::Duration};

use host::entropy::system_rng;
use protocol::{
    credential::{ClientKind, Suite},
    id::{ClientId, PatientId},
    message::Farewell,
    pairing::{
        code::{PairingCode, Selector},
        network::NetworkCredentials,
    },
};
use thiserror::Error;

use super::{
    Ward, elapsed_ms,
    event::{SampleView, WardEvent, rfc3339},
    health_in_a_word,
    view::{OfferView, PatientView, RefusalView, Status, WearableView},
};
use crate::store::{
    StoreError,
    audit::AuditEvent,
    clients::{EnrolledClient, Standing},
    offers::Offer,
};

/// Life of an offer to pair.
pub const OFFER_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Guesses of an offer.
pub const OFFER_TRIES: u8 = 3;

/// What kind of client is invited, and whose it will be.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// A patient's client, or a wearable.
    pub kind: ClientKind,
    /// The patient.
    pub patient: PatientId,
    /// Whether it takes the place of the patient's present computer.
    pub replaces: bool,
    /// The code that a device shows; `None`: this side makes one.
    pub code: Option<PairingCode>,
    /// The network that a wearable is given with its grant.
    pub network: Option<NetworkCredentials>,
    /// Who asked, for the audit.
    pub by: String,
}

/// Why a person's wish was not carried out.
#[derive(Debug, Error)]
pub enum PeopleError {
    /// The patient has a computer, and the invitation does not replace it.
    #[error(
        "{patient} is paired with another computer (since {since}, {}). If it was replaced or lost, use: gateway pair --patient {patient} --replace",
        .last_seen.as_ref().map_or_else(|| "never seen".into(), |seen| format!("last seen {seen}"))
    )]
    AlreadyPaired {
        /// The patient.
        patient: PatientId,
        /// When that computer was paired, RFC 3339.
        since: String,
        /// When it was last connected, RFC 3339.
        last_seen: Option<String>,
    },
    /// The device's code starts like one that is open.
    #[error("another open offer starts with the same three characters; let the device show a new code")]
    SelectorTaken,
    /// A wearable belongs to a patient that is paired.
    #[error("patient {0} is not paired; pair the patient first: gateway pair --patient {0}")]
    NoSuchPatient(PatientId),
    /// Nothing by that name.
    #[error("no {kind} called {name} is paired; `gateway {kind}s` lists them")]
    NoSuchClient {
        /// `patient` or `wearable`.
        kind: ClientKind,
        /// What was asked for.
        name: String,
    },
    /// More than one wearable fits.
    #[error("{name} fits more than one wearable; give more of its UUID: {}", .found.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// UUIDs that fit.
        found: Vec<String>,
    },
    /// The store failed.
    #[error("not done")]
    Store(#[from] StoreError),
}

impl Ward {
    /// Opens an offer to pair and shows its code.
    ///
    /// # Errors
    /// [`PeopleError`]; then no offer is open.
    pub async fn invite(&self, invitation: Invitation) -> Result<OfferView, PeopleError> {
        let Invitation { kind, patient, replaces, code, network, by } = invitation;
        let now = self.now().wall;
        for _ in 0..8 {
            let offer = Offer {
                code: code.unwrap_or_else(|| PairingCode::generate(&mut system_rng())),
                kind,
                patient: patient.clone(),
                replaces,
                created: now,
                expires: now + OFFER_LIFETIME,
                tries_left: OFFER_TRIES,
                network: network.clone(),
            };
            let (kept, by) = (offer.clone(), by.clone());
            let created = self.store.write(move |ledger| {
                let wearer = ClientId::Patient(kept.patient.clone());
                let is_paired = ledger.client(&wearer)?.is_some_and(|c| c.standing == Standing::Active);
                if kept.kind == ClientKind::Wearable && !is_paired {
                    return Err(StoreError::UnknownClient);
                }
                ledger.create_offer(&kept)?;
                let network = kept
                    .network
                    .as_ref()
                    .map_or_else(String::new, |network| format!(", with the network {}", network.ssid()));
                let detail = format!("{} for 10 min{network}", kept.kind);
                ledger.audit(AuditEvent::Offered, kept.patient.as_str(), &by, &detail, now)
            });
            match created.await {
                Ok(()) => {
                    self.publish(WardEvent::Pairing {
                        step: "offered".into(),
                        kind: kind.to_string(),
                        patient: patient.to_string(),
                    });
                    return Ok(offer_view(&offer));
                }
                Err(StoreError::SelectorTaken) if code.is_none() => {}
                Err(StoreError::SelectorTaken) => return Err(PeopleError::SelectorTaken),
                Err(StoreError::UnknownClient) => return Err(PeopleError::NoSuchPatient(patient)),
                Err(StoreError::AlreadyPaired { since, last_seen }) => {
                    let last_seen = last_seen.map(rfc3339);
                    return Err(PeopleError::AlreadyPaired { patient, since: rfc3339(since), last_seen });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(PeopleError::SelectorTaken)
    }

    /// Offers that wait for a client.
    ///
    /// # Errors
    /// [`PeopleError::Store`].
    pub async fn offers(&self) -> Result<Vec<OfferView>, PeopleError> {
        let now = self.now().wall;
        let offers = self.store.read(move |view| view.open_offers(now)).await?;
        Ok(offers.iter().map(offer_view).collect())
    }

    /// Closes an open offer; false if there is none.
    ///
    /// # Errors
    /// [`PeopleError::Store`].
    pub async fn cancel_offer(&self, selector: Selector, by: &str) -> Result<bool, PeopleError> {
        let (now, by) = (self.now().wall, by.to_owned());
        let cancelled = self.store.write(move |ledger| {
            let was_open = ledger.cancel_offer(selector, now)?;
            if was_open {
                ledger.audit(AuditEvent::Controlled, &selector.to_string(), &by, "offer called off", now)?;
            }
            Ok(was_open)
        });
        Ok(cancelled.await?)
    }

    /// Takes back a client's right to log in: committed first, then its session ends and the group key changes before
    /// anything else is sealed. A wearable is named by its name or the start of its UUID.
    ///
    /// # Errors
    /// [`PeopleError::NoSuchClient`], [`PeopleError::Ambiguous`], [`PeopleError::Store`].
    pub async fn revoke(&self, kind: ClientKind, name: &str, by: &str) -> Result<ClientId, PeopleError> {
        let client = self.find(kind, name).await?;
        let (id, patient) = (client.id, client.patient);
        let (now, by, revoked) = (self.now().wall, by.to_owned(), id.clone());
        let committed = self.store.write(move |ledger| {
            ledger.revoke(&revoked, now)?;
            ledger.audit(AuditEvent::Revoked, &revoked.to_string(), &by, "", now)
        });
        committed.await?;
        self.state().roster.expel(&id, Farewell::Revoked);
        self.publish(WardEvent::Pairing {
            step: "revoked".into(),
            kind: kind.to_string(),
            patient: patient.to_string(),
        });
        Ok(id)
    }

    pub(super) async fn find(&self, kind: ClientKind, name: &str) -> Result<EnrolledClient, PeopleError> {
        let fits = |client: &EnrolledClient| match &client.id {
            ClientId::Patient(patient) => kind == ClientKind::Patient && patient.as_str() == name,
            ClientId::Wearable(device) => {
                let named = client.name.as_ref().is_some_and(|given| given.as_str() == name);
                let by_uuid = name.len() >= 4 && device.to_string().starts_with(&name.to_ascii_lowercase());
                kind == ClientKind::Wearable && (named || by_uuid)
            }
        };
        let clients = self.store.read(|view| view.clients()).await?;
        let mut found: Vec<EnrolledClient> =
            clients.into_iter().filter(|c| c.standing == Standing::Active && fits(c)).collect();
        match found.len() {
            0 => Err(PeopleError::NoSuchClient { kind, name: name.to_owned() }),
            1 => Ok(found.remove(0)),
            _ => {
                let found = found.iter().map(|client| client.id.to_string()).collect();
                Err(PeopleError::Ambiguous { name: name.to_owned(), found })
            }
        }
    }

    /// Ends the sessions of all patients; their clients stay out until their people ask to return. Wearables go on.
    pub async fn disconnect_all(&self, by: &str) -> usize {
        self.audit(AuditEvent::Controlled, "", by, "all patients disconnected").await;
        self.state().roster.end_all(Farewell::EndedByDoctor, |client| matches!(client, ClientId::Patient(_)))
    }

    /// Ends all sessions because this program ends; clients reconnect by themselves.
    pub(crate) fn shut_down(&self) -> usize {
        self.publish(WardEvent::Stopping {});
        let mut state = self.state();
        state.stopping = true;
        state.roster.end_all(Farewell::Shutdown, |_| true)
    }

    /// Whether everybody has gone and was told what had to be told.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().conversations == 0
    }

    /// The paired patients, by id.
    ///
    /// # Errors
    /// [`PeopleError::Store`].
    pub async fn patients(&self) -> Result<Vec<PatientView>, PeopleError> {
        let clients = self.active(ClientKind::Patient).await?;
        let now = self.now().mono;
        let state = self.state();
        let view = |client: EnrolledClient| {
            let handle = state.roster.session(&client.id);
            let newest = state.live.of(&client.patient);
            PatientView {
                id: client.patient.to_string(),
                connected: handle.is_some(),
                since: handle.map(|h| h.since).or(client.last_seen).map(rfc3339),
                session: handle.map(|h| h.session.to_string()),
                source: handle.map(|h| h.source.clone()),
                epoch: handle.map(|_| state.roster.epoch().to_string()),
                last_vitals: newest.map(|newest| newest.sample.clone()),
                vitals_age_ms: newest
                    .map(|newest| u64::try_from(newest.age(now).as_millis()).unwrap_or(u64::MAX)),
                vitals_current: newest.is_some_and(|newest| newest.is_current(now)),
                post_quantum: handle.map(|h| h.post_quantum),
                away: state.away.contains(&client.patient),
            }
        };
        Ok(clients.into_iter().map(view).collect())
    }

    /// The paired wearables.
    ///
    /// # Errors
    /// [`PeopleError::Store`].
    pub async fn wearables(&self) -> Result<Vec<WearableView>, PeopleError> {
        let clients = self.active(ClientKind::Wearable).await?;
        let devices: Vec<ClientId> = clients.iter().map(|client| client.id.clone()).collect();
        let settings = self.store.read(move |view| {
            let of = |id: ClientId| match &id {
                ClientId::Wearable(device) => {
                    view.settings(*device).map(|settings| settings.map(|settings| (id, settings))).transpose()
                }
                ClientId::Patient(_) => None,
            };
            devices.into_iter().filter_map(of).collect::<Result<BTreeMap<_, _>, _>>()
        });
        let settings = settings.await?;
        let now = self.now().mono;
        let state = self.state();
        let view = |client: EnrolledClient| {
            let handle = state.roster.session(&client.id);
            let device = match &client.id {
                ClientId::Wearable(device) => state.devices.get(device),
                ClientId::Patient(_) => None,
            };
            WearableView {
                id: client.id.to_string(),
                name: client.name.map(|name| name.to_string()),
                patient: client.patient.to_string(),
                connected: handle.is_some(),
                since: handle.map(|h| h.since).or(client.last_seen).map(rfc3339),
                overdue: handle.is_some() && device.is_some_and(|device| device.is_overdue(now)),
                status: device.and_then(|device| device.view(now)),
                set: settings.get(&client.id).map(|set| (set.cadence().sample_ms, set.cadence().upload_ms)),
                suite: client.suite.map(Suite::number),
                post_quantum: client.suite.map(Suite::is_post_quantum),
            }
        };
        Ok(clients.into_iter().map(view).collect())
    }

    async fn active(&self, kind: ClientKind) -> Result<Vec<EnrolledClient>, PeopleError> {
        let clients = self.store.read(|view| view.clients()).await?.into_iter();
        Ok(clients.filter(|c| c.standing == Standing::Active && c.id.kind() == kind).collect())
    }

    /// The last samples of a patient, the newest first.
    ///
    /// # Errors
    /// [`PeopleError::NoSuchClient`], [`PeopleError::Store`].
    pub async fn vitals(&self, patient: &PatientId, last: u32) -> Result<Vec<SampleView>, PeopleError> {
        let id = patient.clone();
        let read = self.store.read(move |view| {
            let known = view.client(&ClientId::Patient(id.clone()))?.is_some();
            Ok((known, view.last_vitals(&id, last)?))
        });
        let (known, samples) = read.await?;
        if !known && samples.is_empty() {
            return Err(PeopleError::NoSuchClient { kind: ClientKind::Patient, name: patient.to_string() });
        }
        Ok(samples.iter().map(|s| SampleView::new(&s.device.to_string(), s.received, &s.sample)).collect())
    }

    /// The last refusals of this start, the newest first.
    #[must_use]
    pub fn refusals(&self, limit: usize) -> Vec<RefusalView> {
        self.state().refusals.last(limit)
    }

    /// The gateway as a whole; the caller adds what the ward does not know (addresses, folder, key protection).
    ///
    /// # Errors
    /// [`PeopleError::Store`].
    pub async fn status(&self) -> Result<Status, PeopleError> {
        let patients_paired = self.active(ClientKind::Patient).await?.len();
        let wearables_paired = self.active(ClientKind::Wearable).await?.len();
        let now = self.now().mono;
        let state = self.state();
        let connected = |kind| state.roster.sessions().filter(|(client, _)| client.kind() == kind).count();
        Ok(Status {
            doctor: self.identity.doctor.to_string(),
            gateway: self.identity.gateway.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            patients_listen: String::new(),
            wearables_listen: String::new(),
            data_dir: String::new(),
            uptime_ms: elapsed_ms(now, protocol::time::Monotonic(0)),
            patients_connected: connected(ClientKind::Patient),
            patients_paired,
            wearables_connected: connected(ClientKind::Wearable),
            wearables_paired,
            epoch: state.roster.epoch().to_string(),
            storage: health_in_a_word(*self.store.health().borrow()).into(),
            key_protection: String::new(),
            samples_stored: state.samples_stored,
            refused: state.refusals.total(),
        })
    }
}

fn offer_view(offer: &Offer) -> OfferView {
    OfferView {
        code: offer.code.to_string(),
        kind: offer.kind.to_string(),
        patient: offer.patient.to_string(),
        expires: rfc3339(offer.expires),
        tries_left: offer.tries_left,
    }
}
