//! What the console shows, as a plain value: events and answers go in, `view` reads it. It knows no terminal, no socket
//! and no clock.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use protocol::time::{Monotonic, Now, UnixMillis};

use super::{
    bed::{self, Newest},
    link::{Answer, Polled},
    log::{self, Entry},
    modal::{Modal, Offered},
    when,
};
use crate::ward::{
    event::WardEvent,
    view::{AlertReport, PatientView, RefusalView, Status, WearableView},
};

/// Events that the log keeps.
const LOG: usize = 200;
/// A gateway that has not answered for so long is said not to answer.
const SILENCE: Duration = Duration::from_secs(5);
/// How long good news stays.
const NOTICE: Duration = Duration::from_secs(10);

/// Whose gateway the console shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One of another process: closing the console leaves it alone.
    Attached,
    /// This process's own: closing the console stops it.
    Owner,
}

/// How loudly something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    /// A wish that was not carried out, a link that is lost.
    Warning,
    /// Storage, or a patient without monitoring.
    Severe,
}

/// A sentence for the person at the keys.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) tone: Tone,
    until: Option<Monotonic>,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct State {
    pub(super) role: Role,
    pub(super) status: Option<Status>,
    /// By id: a bed never moves.
    pub(super) patients: Vec<PatientView>,
    pub(super) wearables: Vec<WearableView>,
    /// Newest first.
    pub(super) alerts: Vec<AlertReport>,
    /// Newest first.
    pub(super) refusals: Vec<RefusalView>,
    /// By patient and device.
    pub(super) vitals: BTreeMap<String, BTreeMap<String, Newest>>,
    /// Oldest first.
    pub(super) log: VecDeque<Entry>,
    pub(super) modal: Option<Modal>,
    pub(super) notice: Option<Notice>,
    /// Rows of tiles above the screen.
    pub(super) scroll: usize,
    /// Why the lists could not be read.
    pub(super) trouble: Option<String>,
    /// Whether the gateway is gone.
    pub(super) is_gone: bool,
    heard: Monotonic,
}

impl State {
    pub(super) const fn new(role: Role, now: Now) -> Self {
        Self {
            role,
            status: None,
            patients: Vec::new(),
            wearables: Vec::new(),
            alerts: Vec::new(),
            refusals: Vec::new(),
            vitals: BTreeMap::new(),
            log: VecDeque::new(),
            modal: None,
            notice: None,
            scroll: 0,
            trouble: None,
            is_gone: false,
            heard: now.mono,
        }
    }

    /// Takes an event in; whether the lists should be asked for at once.
    pub(super) fn see(&mut self, event: &WardEvent, now: Now) -> bool {
        if let Some(entry) = log::entry(event, now) {
            self.note(entry);
        }
        match event {
            WardEvent::Vitals { patient, sample, .. } => {
                self.measured(patient, Newest::stored(sample, now.mono));
                return false;
            }
            WardEvent::Waveform { .. } => return false,
            WardEvent::Storage { health } => {
                if let Some(status) = &mut self.status {
                    status.storage.clone_from(health);
                }
            }
            WardEvent::Pairing { step, kind, patient } if step == "enrolled" => {
                self.enrolled(kind, patient, now);
            }
            WardEvent::Stopping {} => self.is_gone = self.role == Role::Attached,
            _ => {}
        }
        true
    }

    /// Takes an answer in.
    pub(super) fn hear(&mut self, answer: Answer, now: Now) {
        self.heard = now.mono;
        match answer {
            Answer::Polled(polled) => self.polled(*polled, now),
            Answer::NotPolled(why) => self.trouble = Some(when::localised(&why, now.wall)),
            Answer::Raised(report) => {
                self.notice = None;
                self.modal = Some(Modal::Receipts { alert: report.alert.clone(), first: 0 });
                self.alerts.retain(|alert| alert.alert != report.alert);
                self.alerts.insert(0, *report);
            }
            Answer::Disconnected(0) => self.say(Tone::Plain, "No patient was connected.", now),
            Answer::Disconnected(count) => self.say(
                Tone::Good,
                format!("{}. Their people return with a key; wearables go on.", sessions_ended(count)),
                now,
            ),
            Answer::Offered { offer, shown_here } => {
                self.notice = None;
                let left =
                    when::parsed(&offer.expires).map_or(Duration::ZERO, |expires| expires.since(now.wall));
                let expires = now.mono + left;
                self.modal = Some(Modal::Offered(Offered { offer, shown_here, expires, is_open: true }));
            }
            Answer::OfferCancelled { code, was_open: true } => {
                self.say(Tone::Plain, format!("The code {code} is good for nothing any more."), now);
            }
            Answer::OfferCancelled { code, was_open: false } => {
                self.say(Tone::Plain, format!("The code {code} was closed already."), now);
            }
            Answer::Refused(why) => self.say(Tone::Warning, when::localised(&why, now.wall), now),
            Answer::Gone => self.is_gone = true,
        }
    }

    fn polled(&mut self, polled: Polled, now: Now) {
        let Polled { status, mut patients, wearables, alerts, offers, refusals } = polled;
        self.trouble = None;
        patients.sort_by(|a, b| a.id.cmp(&b.id));
        self.vitals.retain(|patient, _| patients.iter().any(|paired| paired.id == *patient));
        self.wearables = wearables;
        for patient in &patients {
            if let Some(sample) = &patient.last_vitals {
                let age = Duration::from_millis(patient.vitals_age_ms.unwrap_or_default());
                let told = Newest::told(sample, age, patient.vitals_current, now.mono);
                self.measured(&patient.id, told);
            }
        }
        self.patients = patients;
        self.status = Some(status);
        self.alerts = alerts;
        if let Some(refusals) = refusals {
            self.refusals = refusals;
        }
        if let Some(Modal::Offered(offered)) = &mut self.modal {
            let listed = offers.into_iter().find(|offer| offer.code == offered.offer.code);
            offered.is_open = listed.is_some();
            offered.offer.tries_left = listed.map_or(offered.offer.tries_left, |offer| offer.tries_left);
        }
    }

    fn measured(&mut self, patient: &str, heard: Newest) {
        let cadence = bed::cadence(&self.wearables, &heard.sample.device);
        let devices = self.vitals.entry(patient.to_owned()).or_default();
        match devices.get_mut(&heard.sample.device) {
            Some(known) => known.hear(heard, cadence),
            None => drop(devices.insert(heard.sample.device.clone(), heard)),
        }
    }

    fn enrolled(&mut self, kind: &str, patient: &str, now: Now) {
        let is_awaited = matches!(
            &self.modal,
            Some(Modal::Offered(waiting)) if waiting.offer.kind == kind && waiting.offer.patient == patient
        );
        if is_awaited {
            self.modal = None;
        }
        let said = if kind == "patient" {
            format!("{patient} is paired.")
        } else {
            format!("The wearable of {patient} is paired.")
        };
        self.say(Tone::Good, said, now);
    }

    /// Says something at the foot of the screen; good news for a while, the rest until the next key.
    pub(super) fn say(&mut self, tone: Tone, text: impl Into<String>, now: Now) {
        let until = matches!(tone, Tone::Plain | Tone::Good).then(|| now.mono + NOTICE);
        self.notice = Some(Notice { text: text.into(), tone, until });
    }

    /// Takes note of the time.
    pub(super) fn tick(&mut self, now: Now) {
        if self.notice.as_ref().and_then(|notice| notice.until).is_some_and(|until| until <= now.mono) {
            self.notice = None;
        }
        if let Some(Modal::Offered(offered)) = &self.modal
            && offered.expires <= now.mono
        {
            let said = format!("The code {} has expired; press n for a new one.", offered.offer.code);
            self.modal = None;
            self.say(Tone::Warning, said, now);
        }
    }

    /// Keeps what is scrolled within `last`.
    pub(super) fn clamp(&mut self, last: usize) {
        let place = match &mut self.modal {
            None => &mut self.scroll,
            Some(Modal::Connected { first } | Modal::Refusals { first } | Modal::Receipts { first, .. }) => {
                first
            }
            Some(Modal::Alerts { chosen }) => chosen,
            Some(_) => return,
        };
        *place = (*place).min(last);
    }

    pub(super) fn note(&mut self, entry: Entry) {
        if self.log.len() >= LOG {
            self.log.pop_front();
        }
        self.log.push_back(entry);
    }

    /// How long the gateway has not answered, if that is too long.
    pub(super) fn silence(&self, now: Monotonic) -> Option<Duration> {
        Some(now.since(self.heard)).filter(|silence| *silence > SILENCE)
    }

    /// Patients in session.
    pub(super) fn connected(&self) -> impl Iterator<Item = &PatientView> {
        self.patients.iter().filter(|patient| patient.connected)
    }

    /// Patients of whom somebody is in session: their computer or a wearable.
    pub(super) fn monitored(&self) -> usize {
        let worn =
            |id: &str| self.wearables.iter().any(|wearable| wearable.connected && wearable.patient == id);
        self.patients.iter().filter(|patient| patient.connected || worn(&patient.id)).count()
    }

    /// What people call a device.
    pub(super) fn device_name(&self, uuid: &str) -> String {
        let named = self.wearables.iter().find(|wearable| wearable.id == uuid);
        named.and_then(|wearable| wearable.name.clone()).unwrap_or_else(|| uuid.chars().take(8).collect())
    }

    /// The alert of an id.
    pub(super) fn alert(&self, id: &str) -> Option<&AlertReport> {
        self.alerts.iter().find(|report| report.alert == id)
    }

    /// The text by which people know an alert: of the one that it calls off, if it does.
    pub(super) fn meant<'a>(&'a self, report: &'a AlertReport) -> &'a str {
        let earlier = report.cancels.as_deref().and_then(|cancelled| self.alert(cancelled));
        &earlier.unwrap_or(report).text
    }

    /// The alerts that still need something, newest first: a device that has not opened it, or, unless it calls another
    /// off, a person who has not confirmed it.
    pub(super) fn running(&self, now: UnixMillis) -> impl Iterator<Item = &AlertReport> {
        self.alerts.iter().filter(move |report| {
            let is_over = report.cancelled_by.is_some()
                || when::parsed(&report.expires).is_some_and(|expires| expires <= now);
            let unread = report.cancels.is_none() && report.acknowledged < report.recipients;
            !is_over && (!report.missing.is_empty() || unread)
        })
    }
}

fn sessions_ended(count: usize) -> String {
    if count == 1 { "1 session ended".into() } else { format!("{count} sessions ended") }
}
