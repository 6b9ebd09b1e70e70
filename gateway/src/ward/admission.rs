//! Who comes and goes: from a code or a claim to a session, and what its end leaves behind. A proof is judged elsewhere; here is
//! what must be true in the store when it is answered.

use crypto::{Secret, identity::VerifyingKey, purpose};
use host::entropy::system_rng;
use protocol::{
    cadence::Settings,
    credential::Suite,
    error::Fault,
    handshake::{
        Established,
        resume::{ResumeRecord, TOKEN_LIFETIME, token_hash},
    },
    id::{ClientId, KeyId, PatientId, SessionId},
    message::Farewell,
    pairing::{code::Selector, responder::Enrolment},
    session::Session,
    time::UnixMillis,
};
use rand_core::Rng;
use tokio::sync::{mpsc, watch};

use super::{
    Ward,
    ending::{LeavingSession, SessionEnd},
    event::WardEvent,
    local,
    roster::{End, Outbound, QUEUE, SessionHandle},
};
use crate::store::{
    Ledger, StoreError,
    audit::AuditEvent,
    clients::{EnrolledClient, Standing},
    offers::Offer,
    tokens::TokenRecord,
};

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
}

/// What a wearable was set to for one patient, here or at another gateway, is not carried over to the next: a new pairing begins with
/// the default, and the device, which may have kept other intervals, is told so after each login.
fn begin_with_defaults(ledger: &Ledger<'_>, client: &ClientId, now: UnixMillis) -> Result<(), StoreError> {
    let ClientId::Wearable(device) = client else { return Ok(()) };
    let before = ledger.settings(*device)?;
    ledger.set(*device, Settings::LIVE)?;
    if before.is_none_or(|before| before == Settings::LIVE) {
        return Ok(());
    }
    let said = format!("{} again, after a new pairing", Settings::LIVE);
    ledger.audit(AuditEvent::Controlled, &device.to_string(), "", &said, now)
}
