//! Alerts on their way: who has not returned a receipt yet, and when to send again. The store holds the truth across
//! restarts; this is the part of it that is being waited for.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use protocol::{
    alert::{Alert, Stage},
    group::Epoch,
    id::{AlertId, PatientId},
    time::{Monotonic, UnixMillis},
};

/// A patient in session whose receipt is missing this long is sent the alert again, in its own session.
pub(crate) const RESEND_AFTER: Duration = Duration::from_millis(RESEND_AFTER_MS);
const RESEND_AFTER_MS: u64 = 3_000;

/// Alerts that are followed at once; beyond, those that everybody has are forgotten first.
const REMEMBERED: usize = 1_024;

#[derive(Debug)]
struct OnItsWay {
    alert: Arc<Alert>,
    epoch: Option<Epoch>,
    raised: Monotonic,
    /// Last sent to each who has not confirmed to have opened it.
    waiting: BTreeMap<PatientId, Option<Monotonic>>,
    /// Milliseconds from raising to the stored receipt.
    latencies: Vec<u64>,
}

/// Alerts that were raised since this start, or that a patient still waits for.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    alerts: BTreeMap<AlertId, OnItsWay>,
}

/// Latency figures of an alert, in milliseconds; `None` before the first receipt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Latencies {
    pub(crate) p50: Option<u64>,
    pub(crate) p99: Option<u64>,
    pub(crate) last: Option<u64>,
}

impl Deliveries {
    /// An alert is on its way: `sent` were sent it just now, the other `recipients` are absent.
    pub(crate) fn raise(
        &mut self,
        alert: Arc<Alert>,
        recipients: &[PatientId],
        sent: &[PatientId],
        epoch: Option<Epoch>,
        now: Monotonic,
    ) {
        while self.alerts.len() >= REMEMBERED
            && let Some(done) = self
                .alerts
                .iter()
                .find(|(_, on)| on.waiting.is_empty())
                .or_else(|| self.alerts.iter().next())
                .map(|(id, _)| *id)
        {
            self.alerts.remove(&done);
        }
        let waiting = recipients.iter().map(|p| (p.clone(), sent.contains(p).then_some(now))).collect();
        self.alerts
            .insert(alert.id(), OnItsWay { alert, epoch, raised: now, waiting, latencies: Vec::new() });
    }

    /// A patient that came back waits for an alert from the store: `sent` just now, or [`Self::send_due`] will.
    pub(crate) fn catch_up(&mut self, alert: &Arc<Alert>, patient: &PatientId, sent: bool, now: Monotonic) {
        let on_its_way = self.alerts.entry(alert.id()).or_insert_with(|| OnItsWay {
            alert: Arc::clone(alert),
            epoch: None,
            raised: now,
            waiting: BTreeMap::new(),
            latencies: Vec::new(),
        });
        let overdue = Monotonic(now.0.saturating_sub(RESEND_AFTER_MS));
        on_its_way.waiting.insert(patient.clone(), Some(if sent { now } else { overdue }));
    }

    /// A receipt is stored. Returns how long after the alert that was.
    pub(crate) fn confirm(
        &mut self,
        alert: AlertId,
        patient: &PatientId,
        stage: Stage,
        now: Monotonic,
    ) -> Duration {
        let Some(on_its_way) = self.alerts.get_mut(&alert) else { return Duration::ZERO };
        let after = now.since(on_its_way.raised);
        if on_its_way.waiting.remove(patient).is_some() && stage == Stage::Decrypted {
            on_its_way.latencies.push(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        }
        after
    }

    /// Sends again what is due, as far as `send` takes it: false where the patient is absent (it gets its alerts when
    /// it comes back) or has no room (it gets them when it has read others).
    pub(crate) fn send_due(
        &mut self,
        now: Monotonic,
        wall: UnixMillis,
        mut send: impl FnMut(&PatientId, &Arc<Alert>) -> bool,
    ) {
        for on_its_way in self.alerts.values_mut().filter(|on| on.alert.expires() > wall) {
            for (patient, last_sent) in &mut on_its_way.waiting {
                let overdue = last_sent.is_some_and(|sent| now.since(sent) >= RESEND_AFTER);
                if overdue && send(patient, &on_its_way.alert) {
                    *last_sent = Some(now);
                }
            }
        }
    }

    /// Whether every recipient's device is known to have opened it; an alert of an earlier start counts as such.
    pub(crate) fn is_complete(&self, alert: AlertId) -> bool {
        self.alerts.get(&alert).is_none_or(|on_its_way| on_its_way.waiting.is_empty())
    }

    /// The group epoch that it was broadcast under.
    pub(crate) fn epoch(&self, alert: AlertId) -> Option<Epoch> {
        self.alerts.get(&alert).and_then(|on_its_way| on_its_way.epoch)
    }

    pub(crate) fn latencies(&self, alert: AlertId) -> Latencies {
        let mut sorted = self.alerts.get(&alert).map(|on| on.latencies.clone()).unwrap_or_default();
        sorted.sort_unstable();
        let rank =
            |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Latencies { p50: rank(50), p99: rank(99), last: sorted.last().copied() }
    }
}

#[cfg(test)]
mod tests {
    use crypto::{Secret, identity::SigningKey};
    use protocol::alert::{Audience, Draft, Priority};

    use super::*;

    fn alert(n: u8) -> Arc<Alert> {
        let draft = Draft {
            id: AlertId::from_bytes([n; 16]),
            sequence: u64::from(n),
            created: UnixMillis(0),
            expires: UnixMillis(60_000),
            priority: Priority::High,
            audience: Audience::Ward,
            cancels: None,
            text: "x".into(),
        };
        Arc::new(draft.sign(&SigningKey::from_secret(&Secret::new([3; 32]))).unwrap())
    }

    fn patients() -> [PatientId; 2] {
        ["P1", "P2"].map(|id| id.parse().unwrap())
    }

    #[test]
    fn only_who_was_sent_it_and_has_not_confirmed_is_sent_it_again() {
        let [present, absent] = patients();
        let mut deliveries = Deliveries::default();
        deliveries.raise(
            alert(1),
            &[present.clone(), absent.clone()],
            std::slice::from_ref(&present),
            None,
            Monotonic(0),
        );
        let at = |ms| (Monotonic(ms), UnixMillis(ms));
        let due = |deliveries: &mut Deliveries, (mono, wall)| {
            let mut sent = Vec::new();
            deliveries.send_due(mono, wall, |patient, _| {
                sent.push(patient.clone());
                true
            });
            sent
        };
        assert_eq!(due(&mut deliveries, at(2_999)), []);
        assert_eq!(due(&mut deliveries, at(3_000)), std::slice::from_ref(&present));
        assert_eq!(due(&mut deliveries, at(3_001)), [], "not before it is overdue again");
        deliveries.catch_up(&alert(1), &absent, true, Monotonic(4_000));
        deliveries.confirm(AlertId::from_bytes([1; 16]), &present, Stage::Decrypted, Monotonic(5_000));
        assert_eq!(due(&mut deliveries, at(9_000)), [absent]);
        assert_eq!(due(&mut deliveries, at(60_000)), [], "expired");
    }

    #[test]
    fn what_found_no_room_is_tried_again_until_it_does() {
        let [patient, _] = patients();
        let mut deliveries = Deliveries::default();
        for n in 1..=3 {
            deliveries.catch_up(&alert(n), &patient, n == 1, Monotonic(10_000));
        }
        let mut sent = |room: usize| {
            let mut count = 0;
            deliveries.send_due(Monotonic(10_000), UnixMillis(10_000), |_, _| {
                count += 1;
                count <= room
            });
            count.min(room)
        };
        assert_eq!([sent(0), sent(1), sent(9), sent(9)], [0, 1, 1, 0]);
    }

    #[test]
    fn latencies_are_ranked() {
        let ids: Vec<PatientId> = (0..100).map(|n| format!("P{n}").parse().unwrap()).collect();
        let mut deliveries = Deliveries::default();
        deliveries.raise(alert(1), &ids, &ids, None, Monotonic(0));
        for (n, id) in ids.iter().enumerate() {
            let now = Monotonic(u64::try_from(n).unwrap() + 1);
            deliveries.confirm(AlertId::from_bytes([1; 16]), id, Stage::Decrypted, now);
        }
        let latencies = deliveries.latencies(AlertId::from_bytes([1; 16]));
        assert_eq!((latencies.p50, latencies.p99, latencies.last), (Some(50), Some(99), Some(100)));
    }
}
