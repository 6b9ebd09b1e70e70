//! An emergency alert from the doctor's word to the last receipt: recorded, then sealed once and sent, then counted. An
//! absent patient gets it after the next login; a missing receipt makes the ward send again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use host::entropy::system_rng;
use protocol::{
    alert::{Alert, Audience, Draft, Priority, UnverifiedReceipt},
    error::Fault,
    id::{AlertId, ClientId, PatientId},
};
use rand_core::Rng;
use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;

use super::{
    Admitted, Ward,
    event::{WardEvent, rfc3339},
    local,
    view::{AlertReport, Missing},
};
use crate::store::{StoreError, View, alerts::ReceiptOutcome, audit::AuditEvent, clients::Standing};

/// What the doctor asks for.
#[derive(Debug, Clone)]
pub struct AlertRequest {
    /// What people will read.
    pub text: String,
    /// Whom it is for; `None`: the whole ward.
    pub to: Option<BTreeSet<PatientId>>,
    /// How long it matters.
    pub expires_in: Duration,
    /// The alert that it calls off.
    pub cancels: Option<AlertId>,
    /// Who asked, for the audit.
    pub by: String,
}

/// Why an alert was not raised.
#[derive(Debug, Error)]
pub enum AlertError {
    /// The text is empty or too long.
    #[error("an alert's text has 1 to {} bytes", protocol::alert::MAX_ALERT_TEXT)]
    Text,
    /// No such patients are paired.
    #[error("not paired: {}", .0.join(", "))]
    Unknown(Vec<String>),
    /// There is no such alert.
    #[error("there is no alert {0}; `gateway alerts` lists them")]
    NoSuchAlert(AlertId),
    /// It could not be recorded, so it was not sent.
    #[error("the alert could not be recorded and was NOT sent")]
    Store(#[from] StoreError),
    /// It could not be sealed.
    #[error("the alert could not be sealed")]
    Seal,
}

impl Ward {
    /// Raises an alert: recorded with its recipients, sealed once, queued for every member; the others get it when
    /// they come. Returns its id as soon as that is done; [`Self::await_receipts`] waits for the proof.
    ///
    /// # Errors
    /// [`AlertError`]; then nothing was sent.
    pub async fn raise_alert(&self, request: AlertRequest) -> Result<AlertId, AlertError> {
        let AlertRequest { text, to, expires_in, cancels, by } = request;
        let now = self.now();
        let mut random = [0; 10];
        system_rng().fill_bytes(&mut random);
        let id = AlertId::new(now.wall, random);
        let identity = Arc::clone(&self.identity);
        let recorded = self.store.write(move |ledger| {
            let enrolled = enrolled_patients(ledger)?;
            let (audience, recipients): (Audience, Vec<PatientId>) = match (to, cancels) {
                (Some(chosen), _) => (Audience::Selected, chosen.into_iter().collect()),
                // Calling off concerns those whom the alert concerned, and nobody else may hear of it.
                (None, Some(cancelled)) => match (ledger.alert(cancelled)?, ledger.progress(cancelled)?) {
                    (Some(alert), Some(progress)) => {
                        let concerned = progress.recipients.into_iter().map(|recipient| recipient.patient);
                        (alert.audience(), concerned.filter(|patient| enrolled.contains(patient)).collect())
                    }
                    _ => return Ok(Err(AlertError::NoSuchAlert(cancelled))),
                },
                (None, None) => (Audience::Ward, enrolled.clone()),
            };
            let unknown: Vec<String> =
                recipients.iter().filter(|p| !enrolled.contains(p)).map(ToString::to_string).collect();
            if !unknown.is_empty() {
                return Ok(Err(AlertError::Unknown(unknown)));
            }
            let draft = Draft {
                id,
                sequence: ledger.next_alert_sequence()?,
                created: now.wall,
                expires: now.wall + expires_in.min(LONGEST_LIFE),
                priority: Priority::High,
                audience,
                cancels,
                text,
            };
            let Ok(alert) = draft.sign(&identity.alerts) else { return Ok(Err(AlertError::Text)) };
            ledger.record_alert(&alert, &recipients)?;
            let detail = format!("{} recipients", recipients.len());
            ledger.audit(AuditEvent::Alerted, &id.to_string(), &by, &detail, now.wall)?;
            Ok(Ok((Arc::new(alert), recipients)))
        });
        let (alert, recipients) = recorded.await??;
        self.send(&alert, &recipients)?;
        Ok(id)
    }

    fn send(&self, alert: &Arc<Alert>, recipients: &[PatientId]) -> Result<(), AlertError> {
        let now = self.now();
        let mut state = self.state();
        let (epoch, sent) = match alert.audience() {
            Audience::Ward => {
                let sent = state
                    .roster
                    .broadcast(alert, now.mono, &mut system_rng())
                    .map_err(|_| AlertError::Seal)?;
                (Some(sent.epoch), sent.members)
            }
            Audience::Selected => {
                let sent = recipients.iter().filter(|p| state.roster.direct(p, alert)).cloned().collect();
                (None, sent)
            }
        };
        state.deliveries.raise(Arc::clone(alert), recipients, &sent, epoch, now.mono);
        drop(state);
        self.publish(WardEvent::Alert {
            alert: alert.id().to_string(),
            text: alert.text().to_owned(),
            epoch: epoch.map(|epoch| epoch.to_string()),
            recipients: recipients.len(),
            sent: sent.len(),
            cancels: alert.cancels().map(|id| id.to_string()),
        });
        Ok(())
    }

    /// Queues for a patient that came in what it missed.
    ///
    /// # Errors
    /// [`Fault::LocalStorage`]: then it must not stay in session as if it had missed nothing.
    pub(super) async fn catch_up(&self, patient: &PatientId) -> Result<(), Fault> {
        let (id, now) = (patient.clone(), self.now());
        let missed = self.store.read(move |view| view.undelivered(&id, now.wall)).await;
        let missed = missed.map_err(|error| local(&error))?;
        let mut state = self.state();
        for alert in missed.into_iter().map(Arc::new) {
            let sent = state.roster.direct_if_room(patient, &alert);
            state.deliveries.catch_up(&alert, patient, sent, now.mono);
        }
        Ok(())
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
        if outcome == ReceiptOutcome::New {
            self.publish(WardEvent::receipt(alert, patient, stage, after));
        }
        Ok(())
    }

    /// Waits until every recipient's device has opened the alert, at most `wait`, and reports.
    ///
    /// # Errors
    /// [`AlertError::NoSuchAlert`], [`AlertError::Store`].
    pub async fn await_receipts(&self, id: AlertId, wait: Duration) -> Result<AlertReport, AlertError> {
        let mut events = self.subscribe();
        let complete = async {
            loop {
                if self.state().deliveries.is_complete(id) {
                    return;
                }
                // Whatever happened, a receipt may have been among it.
                if let Err(RecvError::Closed) = events.recv().await {
                    return;
                }
            }
        };
        // Late or complete, the report says which.
        tokio::time::timeout(wait, complete).await.ok();
        self.report(id).await
    }

    /// How far an alert has come.
    ///
    /// # Errors
    /// [`AlertError::NoSuchAlert`], [`AlertError::Store`].
    pub async fn report(&self, id: AlertId) -> Result<AlertReport, AlertError> {
        let mut reports = self.reports(move |view| Ok(view.alert(id)?.into_iter().collect())).await?;
        reports.pop().ok_or(AlertError::NoSuchAlert(id))
    }

    /// The last `limit` alerts, the newest first.
    ///
    /// # Errors
    /// [`AlertError::Store`].
    pub async fn alerts(&self, limit: u32) -> Result<Vec<AlertReport>, AlertError> {
        self.reports(move |view| view.alerts(limit)).await
    }

    async fn reports(
        &self,
        which: impl FnOnce(&View<'_>) -> Result<Vec<Alert>, StoreError> + Send + 'static,
    ) -> Result<Vec<AlertReport>, AlertError> {
        let now = self.now().wall;
        let read = self.store.read(move |view| {
            which(view)?
                .into_iter()
                .map(|alert| {
                    let progress = view.progress(alert.id())?.map(|p| p.recipients).unwrap_or_default();
                    let cancelled_by = view.cancelled_by(alert.id())?;
                    let standing = progress
                        .into_iter()
                        .map(|recipient| {
                            let client = view.client(&ClientId::Patient(recipient.patient.clone()))?;
                            Ok((recipient, client))
                        })
                        .collect::<Result<Vec<_>, StoreError>>()?;
                    Ok((alert, standing, cancelled_by))
                })
                .collect::<Result<Vec<_>, StoreError>>()
        });
        let found = read.await?;
        let state = self.state();
        let reports = found.into_iter().map(|(alert, standing, cancelled_by)| {
            let latencies = state.deliveries.latencies(alert.id());
            let missing = standing.iter().filter(|(recipient, _)| recipient.decrypted.is_none()).map(
                |(recipient, client)| Missing {
                    patient: recipient.patient.to_string(),
                    reason: if alert.expires() <= now {
                        "expired before it was delivered".into()
                    } else if client.as_ref().is_none_or(|client| client.standing != Standing::Active) {
                        "no longer paired".into()
                    } else if state.roster.session(&ClientId::Patient(recipient.patient.clone())).is_some() {
                        "connected, no receipt yet".into()
                    } else {
                        let seen = client.as_ref().and_then(|client| client.last_seen);
                        seen.map_or_else(
                            || "never connected".into(),
                            |seen| format!("not connected since {}", rfc3339(seen)),
                        )
                    },
                },
            );
            AlertReport {
                alert: alert.id().to_string(),
                text: alert.text().to_owned(),
                created: rfc3339(alert.created()),
                expires: rfc3339(alert.expires()),
                epoch: state.deliveries.epoch(alert.id()).map(|epoch| epoch.to_string()),
                recipients: standing.len(),
                decrypted: standing.iter().filter(|(r, _)| r.decrypted.is_some()).count(),
                acknowledged: standing.iter().filter(|(r, _)| r.acknowledged.is_some()).count(),
                missing: missing.collect(),
                p50_ms: latencies.p50,
                p99_ms: latencies.p99,
                last_ms: latencies.last,
                cancels: alert.cancels().map(|id| id.to_string()),
                cancelled_by: cancelled_by.map(|id| id.to_string()),
            }
        });
        Ok(reports.collect())
    }
}

/// The patients that are paired now, by id.
pub(super) fn enrolled_patients(view: &View<'_>) -> Result<Vec<PatientId>, StoreError> {
    let clients = view.clients()?.into_iter();
    let active = clients.filter(|client| client.standing == Standing::Active);
    Ok(active
        .filter_map(|client| match client.id {
            ClientId::Patient(patient) => Some(patient),
            ClientId::Wearable(_) => None,
        })
        .collect())
}

/// A time limit that no alert exceeds, so that no client has forgotten its id by then: 30 days.
pub const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 3_600);
