//! What the screen shows, as a plain value: events go in, `view` reads it. It knows no terminal.

use std::{collections::VecDeque, time::Duration};

use protocol::{alert::Priority, id::AlertId, time::UnixMillis};

use super::Opening;
use crate::{
    agent::{AgentEvent, AlertNotice},
    wording,
};

/// Events that the log keeps.
const LOG: usize = 50;

/// How it stands with the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Starting,
    /// The person types a code.
    Asking {
        typed: String,
        why: Option<String>,
    },
    Connecting,
    Connected {
        protected: bool,
    },
    Waiting {
        reason: String,
        retry_at: UnixMillis,
    },
    Out {
        reason: String,
    },
    Stopped {
        message: String,
    },
}

/// Everything on the screen.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) patient: Option<String>,
    pub(super) doctor: String,
    pub(super) gateway: String,
    pub(super) standing: Standing,
    pub(super) since: UnixMillis,
    pub(super) epoch: Option<String>,
    /// Oldest first.
    pub(super) alerts: Vec<AlertNotice>,
    /// Oldest first.
    pub(super) log: VecDeque<(UnixMillis, String)>,
    pub(super) hint: Option<String>,
}

impl Screen {
    pub(super) fn new(opening: Opening, now: UnixMillis) -> Self {
        Self {
            patient: opening.patient.map(|id| id.to_string()),
            doctor: opening.doctor.to_string(),
            gateway: opening.gateway,
            standing: Standing::Starting,
            since: now,
            epoch: None,
            alerts: Vec::new(),
            log: VecDeque::new(),
            hint: None,
        }
    }

    /// Takes an event in; whether it should be heard as well as seen.
    pub(super) fn see(&mut self, event: &AgentEvent, now: UnixMillis) -> bool {
        match event {
            AgentEvent::CodeWanted { why } => {
                self.stand(Standing::Asking { typed: String::new(), why: why.clone() }, now);
            }
            AgentEvent::Identified { patient, doctor, kept } => {
                self.patient = Some(patient.to_string());
                self.doctor = doctor.to_string();
                self.alerts.clone_from(kept);
            }
            AgentEvent::Connecting { .. } => self.stand(Standing::Connecting, now),
            AgentEvent::Paired { patient, doctor, folder, .. } => {
                self.patient = Some(patient.to_string());
                self.note(
                    now,
                    format!("Paired: this computer is {patient} of {doctor} now. Keys: {}", folder.display()),
                );
            }
            AgentEvent::Session { resumed, protected, .. } => {
                let how = if *resumed { "Session resumed" } else { "Logged in" };
                self.note(now, how);
                self.stand(Standing::Connected { protected: *protected }, now);
            }
            AgentEvent::Group(epoch) => {
                self.epoch = Some(epoch.to_string());
                self.note(now, format!("Broadcasts can be opened, epoch {epoch}"));
            }
            AgentEvent::Alert(alert) => return self.see_alert(alert, now),
            AgentEvent::AlertRefused { reason } | AgentEvent::Refused { reason } => {
                self.note(now, reason.clone());
            }
            AgentEvent::Acknowledged(id) => {
                if let Some(alert) = self.alert_mut(*id) {
                    alert.acknowledged = true;
                }
            }
            AgentEvent::Receipt { stage, .. } => self.note(now, format!("Receipt sent: {stage}")),
            AgentEvent::Disconnected { reason, stays_out } => {
                self.note(now, format!("Disconnected: {reason}"));
                self.epoch = None;
                if *stays_out {
                    self.stand(Standing::Out { reason: reason.clone() }, now);
                }
            }
            AgentEvent::Waiting { reason, retry } => {
                self.epoch = None;
                let since = self.since;
                let was_waiting = matches!(self.standing, Standing::Waiting { .. } | Standing::Connecting);
                // The end of a session was noted as such.
                if !matches!(self.standing, Standing::Connected { .. }) {
                    self.note(now, reason.clone());
                }
                self.stand(Standing::Waiting { reason: reason.clone(), retry_at: now + *retry }, now);
                if was_waiting {
                    self.since = since;
                }
            }
            AgentEvent::Stopped { message } => {
                self.stand(Standing::Stopped { message: message.clone() }, now);
            }
        }
        false
    }

    fn see_alert(&mut self, alert: &AlertNotice, now: UnixMillis) -> bool {
        if alert.repeated {
            self.note(now, "An alert came again; its receipt was sent again");
            return false;
        }
        self.epoch = alert.epoch.map(|epoch| epoch.to_string()).or_else(|| self.epoch.take());
        if let Some(called_off) = alert.cancels.and_then(|id| self.alert_mut(id)) {
            called_off.cancelled = true;
        }
        self.alerts.push(alert.clone());
        self.note(now, "An alert came");
        !alert.cancelled
    }

    fn alert_mut(&mut self, id: AlertId) -> Option<&mut AlertNotice> {
        self.alerts.iter_mut().find(|alert| alert.id == id)
    }

    fn stand(&mut self, standing: Standing, now: UnixMillis) {
        // Connecting again and again is one wait, as long as it lasts.
        let goes_on = matches!((&self.standing, &standing), (Standing::Waiting { .. }, Standing::Connecting));
        if !goes_on {
            self.since = now;
        }
        self.standing = standing;
        self.hint = None;
    }

    /// Adds to the log; what begins like the last line takes its place, so that many tries do not fill it.
    fn note(&mut self, now: UnixMillis, text: impl Into<String>) {
        const ALIKE: usize = 24;
        let text = text.into();
        let is_like =
            |last: &str| last == text || last.get(..ALIKE).is_some_and(|start| text.starts_with(start));
        if self.log.back().is_some_and(|(_, last)| is_like(last)) {
            self.log.pop_back();
        }
        self.log.push_back((now, text));
        if self.log.len() > LOG {
            self.log.pop_front();
        }
    }

    /// Says something in the bottom line until the next key.
    pub(super) fn hint(&mut self, text: impl Into<String>) {
        self.hint = Some(text.into());
    }

    pub(super) const fn is_stopped(&self) -> bool {
        matches!(self.standing, Standing::Stopped { .. })
    }

    /// Whether alerts cannot come now, and the person should know why.
    pub(super) const fn is_away(&self) -> bool {
        !matches!(self.standing, Standing::Starting | Standing::Connecting | Standing::Connected { .. })
    }

    /// Alerts that want to be read, the most urgent first, the newest of these first.
    pub(super) fn unread(&self) -> Vec<&AlertNotice> {
        let mut unread: Vec<_> =
            self.alerts.iter().rev().filter(|alert| !alert.acknowledged && !alert.cancelled).collect();
        unread.sort_by_key(|alert| std::cmp::Reverse(alert.priority));
        unread
    }
}

/// What an alert is to the person now.
pub(super) const fn state_of(alert: &AlertNotice) -> &'static str {
    match (alert.cancelled, alert.acknowledged) {
        (true, _) => "cancelled",
        (false, true) => "acknowledged",
        (false, false) => "new",
    }
}

/// The mark of a priority, readable without colour.
pub(super) const fn mark_of(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "!!!",
        Priority::Medium => "!!",
        Priority::Low => "!",
    }
}

/// A line about an age: `12 s ago`.
pub(super) fn ago(age: Duration) -> String {
    format!("{} ago", protocol::time::Readable(age))
}

/// Time of day, and age.
pub(super) fn when(time: UnixMillis, now: UnixMillis) -> String {
    format!("{} ({})", wording::time_of_day(time), ago(now.since(time)))
}
