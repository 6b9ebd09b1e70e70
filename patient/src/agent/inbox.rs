//! Which alerts are new, which were seen, which come too late, and which receipts the gateway may not have. A value:
//! it knows no file, clock or connection.

use std::{collections::BTreeMap, time::Duration};

use protocol::{
    alert::{Alert, Stage},
    endpoint::{HEARTBEAT_INTERVAL, SILENCE_LIMIT},
    id::AlertId,
    time::{Monotonic, UnixMillis},
};

use crate::store::{self, KeptAlert, MEMORY};

/// From this age on an alert is called late.
const LATE: Duration = Duration::from_secs(10);

/// What an alert is to this patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    Repeated,
    /// It may not be shown any more.
    Refused(&'static str),
}

#[derive(Debug)]
struct Entry {
    kept: KeptAlert,
    /// Whether the data folder has it as it is here.
    stored: bool,
}

/// All alerts that are remembered.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    entries: BTreeMap<AlertId, Entry>,
    /// Acknowledgements that the gateway may not have, and when they were said in this session.
    unconfirmed: BTreeMap<AlertId, Option<Monotonic>>,
}

impl Inbox {
    /// What the data folder remembers. Whether acknowledgements of earlier arrived is not known, so those that still
    /// matter are said again.
    pub(super) fn new(kept: Vec<KeptAlert>, now: UnixMillis) -> Self {
        let mut inbox = Self::default();
        for kept in kept {
            if kept.stage == Stage::Acknowledged && kept.alert.expires() > now {
                inbox.unconfirmed.insert(kept.alert.id(), None);
            }
            inbox.put(kept, true);
        }
        inbox
    }

    pub(super) fn judge(&self, alert: &Alert, now: UnixMillis) -> Verdict {
        // Ids are forgotten by the time in them, so that time counts too: nothing forgotten may look new.
        let created = alert.created().min(store::created(alert.id()));
        if self.entries.contains_key(&alert.id()) {
            Verdict::Repeated
        } else if created + MEMORY < now {
            Verdict::Refused("it is older than 30 days")
        } else if alert.expires() <= now {
            Verdict::Refused("it has expired")
        } else {
            Verdict::New
        }
    }

    pub(super) fn is_late(age: Duration) -> bool {
        age >= LATE
    }

    pub(super) fn put(&mut self, kept: KeptAlert, stored: bool) {
        self.entries.insert(kept.alert.id(), Entry { kept, stored });
    }

    pub(super) fn get(&self, id: AlertId) -> Option<&KeptAlert> {
        self.entries.get(&id).map(|entry| &entry.kept)
    }

    pub(super) fn is_stored(&self, id: AlertId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.stored)
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &KeptAlert> {
        self.entries.values().map(|entry| &entry.kept)
    }

    pub(super) fn is_cancelled(&self, id: AlertId) -> bool {
        self.iter().any(|kept| kept.alert.cancels() == Some(id))
    }

    /// A receipt of acknowledgement is due, in this session or the next.
    pub(super) fn owe(&mut self, id: AlertId) {
        self.unconfirmed.insert(id, None);
    }

    /// Receipts to say now.
    pub(super) fn owed(&self) -> Vec<AlertId> {
        self.unconfirmed.iter().filter(|(_, said)| said.is_none()).map(|(id, _)| *id).collect()
    }

    pub(super) fn said(&mut self, id: AlertId, now: Monotonic) {
        if let Some(said) = self.unconfirmed.get_mut(&id) {
            *said = Some(now);
        }
    }

    /// The gateway was heard. It drops a client that it has not heard for [`SILENCE_LIMIT`], so what was said that
    /// long before (and a heartbeat, and some way) has arrived.
    pub(super) fn heard(&mut self, now: Monotonic) {
        let certain = SILENCE_LIMIT + HEARTBEAT_INTERVAL + HEARTBEAT_INTERVAL;
        self.unconfirmed.retain(|_, said| said.is_none_or(|said| now.since(said) < certain));
    }

    /// The session is over; what was said last may be lost.
    pub(super) fn lost(&mut self) {
        self.unconfirmed.values_mut().for_each(|said| *said = None);
    }

    /// Forgets what is too old to be accepted again.
    pub(super) fn forget(&mut self, now: UnixMillis) {
        self.entries.retain(|id, _| store::created(*id) + MEMORY >= now);
        let entries = &self.entries;
        self.unconfirmed.retain(|id, _| entries.contains_key(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{NOW, alert, kept};

    #[test]
    fn an_alert_is_new_once() {
        let mut inbox = Inbox::default();
        let alert = alert(NOW, 1, "Fire");
        assert_eq!(inbox.judge(&alert, NOW), Verdict::New);
        inbox.put(kept(NOW, 1), true);
        assert_eq!(inbox.judge(&alert, NOW), Verdict::Repeated);
        assert_eq!(
            inbox.judge(&alert, NOW + MEMORY),
            Verdict::Repeated,
            "seen, though expired: receipted again"
        );
    }

    #[test]
    fn expired_and_forgotten_ones_are_refused() {
        let inbox = Inbox::default();
        let alert = alert(NOW, 1, "Fire");
        let minute = Duration::from_secs(60);
        assert_eq!(inbox.judge(&alert, NOW + minute), Verdict::New);
        assert_eq!(inbox.judge(&alert, NOW + minute * 60), Verdict::Refused("it has expired"));
        assert_eq!(
            inbox.judge(&alert, NOW + MEMORY + minute),
            Verdict::Refused("it is older than 30 days"),
            "whatever it says about its expiry"
        );
    }

    #[test]
    fn what_is_forgotten_is_refused_from_then_on() {
        let mut inbox = Inbox::default();
        inbox.put(kept(NOW, 1), true);
        let alert = alert(NOW, 1, "Fire");
        for later in [MEMORY, MEMORY + Duration::from_millis(1)] {
            inbox.forget(NOW + later);
            assert_ne!(inbox.judge(&alert, NOW + later), Verdict::New, "{later:?}");
        }
    }

    #[test]
    fn an_acknowledgement_is_owed_until_the_gateway_has_surely_heard_it() {
        let mut inbox = Inbox::default();
        inbox.put(kept(NOW, 1), true);
        let id = alert(NOW, 1, "Fire").id();
        inbox.owe(id);
        assert_eq!(inbox.owed(), [id]);
        inbox.said(id, Monotonic(0));
        assert!(inbox.owed().is_empty());
        inbox.heard(Monotonic(5_000));
        inbox.lost();
        assert_eq!(inbox.owed(), [id], "lost with the session");
        inbox.said(id, Monotonic(10_000));
        inbox.heard(Monotonic(40_000));
        inbox.lost();
        assert!(inbox.owed().is_empty());
    }

    #[test]
    fn after_a_restart_acknowledgements_that_still_matter_are_owed() {
        let acknowledged = KeptAlert { stage: Stage::Acknowledged, ..kept(NOW, 1) };
        let id = acknowledged.alert.id();
        assert_eq!(Inbox::new(vec![acknowledged.clone(), kept(NOW, 2)], NOW).owed(), [id]);
        assert!(Inbox::new(vec![acknowledged], NOW + MEMORY).owed().is_empty());
    }
}
