//! The event log: what happens in the ward, each as a sentence.

use std::time::Duration;

use protocol::time::{Now, Readable, UnixMillis};

use super::{
    state::{State, Tone},
    when,
};
use crate::ward::{
    event::WardEvent,
    view::{AlertReport, UpdateView},
};

/// Names of missing patients in one line.
const NAMED: usize = 4;

/// A line of the log.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: UnixMillis,
    pub(super) tone: Tone,
    pub(super) text: String,
    /// The UUID in it that stands for a device; shown by its name as soon as that is known.
    pub(super) device: Option<String>,
}

impl Entry {
    /// The sentence as people read it.
    pub(super) fn said(&self, state: &State) -> String {
        match &self.device {
            Some(uuid) => self.text.replace(uuid, &state.device_name(uuid)),
            None => self.text.clone(),
        }
    }
}

/// What an event says, if it is worth a line.
pub(super) fn entry(event: &WardEvent, now: Now) -> Option<Entry> {
    let who = |kind: &str, client: &str, patient: &str| {
        if kind == "patient" { patient.to_owned() } else { format!("{patient}'s wearable {client}") }
    };
    let (tone, text) = match event {
        WardEvent::Vitals { .. } | WardEvent::Waveform { .. } | WardEvent::Listening { .. } => return None,
        WardEvent::Session { kind, client, patient, resumed, post_quantum, .. } => {
            let how = if *resumed { "is back, session resumed" } else { "logged in" };
            let quantum = if *post_quantum { "" } else { " (NOT post-quantum)" };
            (Tone::Good, format!("{} {how}{quantum}", who(kind, client, patient)))
        }
        WardEvent::Refused { source, client, reason } => {
            let who = client.as_deref().map_or_else(String::new, |client| format!(" as {client}"));
            (Tone::Warning, format!("refused {source}{who}: {}", when::localised(reason, now.wall)))
        }
        WardEvent::Pairing { step, kind, patient } => {
            let what = if kind == "patient" { "computer" } else { "wearable" };
            match step.as_str() {
                "enrolled" => (Tone::Good, format!("{patient}'s {what} is paired")),
                "offered" => (Tone::Plain, format!("a code for {patient}'s {what} is open")),
                "revoked" => (Tone::Plain, format!("{patient}'s {what} is revoked")),
                other => (Tone::Plain, format!("{patient}'s {what}: {other}")),
            }
        }
        WardEvent::Gap { patient, device, first, last } => {
            (Tone::Warning, format!("{patient}: samples {first} to {last} of {device} never came"))
        }
        WardEvent::NobodysSamples { patient, device, count } => {
            let said = format!(
                "{count} samples of {device} NOT stored: without a time, and worn by others than {patient}"
            );
            (Tone::Severe, said)
        }
        WardEvent::LateSamples { patient, device, count } => {
            let said = format!("{count} late samples of {device} are stored for {patient}, who wore it then");
            (Tone::Warning, said)
        }
        WardEvent::Conflict { patient, device, count } => {
            let said = format!("{patient}: {count} samples of {device} NOT stored, their numbers are taken");
            (Tone::Severe, said)
        }
        WardEvent::Alert { text, recipients, sent, cancels, .. } => {
            let what = if cancels.is_some() { "calling off" } else { "alert" };
            let said =
                format!("{what} to {}, {sent} reached at once: {}", patients(*recipients), quoted(text));
            (Tone::Plain, said)
        }
        WardEvent::Receipt { patient, stage, after_ms, .. } => {
            let after = Duration::from_millis(*after_ms);
            let after =
                if *after_ms < 1_000 { format!("{after_ms} ms") } else { Readable(after).to_string() };
            (Tone::Good, format!("{patient} {stage} the alert after {after}"))
        }
        WardEvent::Disconnected { kind, client, patient, reason } => {
            let tone = if reason == "away, on purpose" { Tone::Plain } else { Tone::Warning };
            (tone, format!("{} disconnected: {reason}", who(kind, client, patient)))
        }
        WardEvent::Overdue { device } => (Tone::Warning, format!("the upload of {device} is overdue")),
        WardEvent::Firmware { device, update } => {
            let UpdateView { state, version, refusal, .. } = update;
            let tone = if refusal.is_some() || state == "rolled back" { Tone::Warning } else { Tone::Plain };
            let why = refusal.as_ref().map_or_else(String::new, |why| format!(": the image {why}"));
            (tone, format!("{device}: firmware {version} {state}{why}"))
        }
        WardEvent::Storage { health } if health == "ok" => (Tone::Good, "storage works again".into()),
        WardEvent::Storage { health } => (Tone::Severe, storage(health)),
        WardEvent::LinesLost { count } => {
            (Tone::Warning, format!("{count} events came too fast to be shown; the lists are complete"))
        }
        WardEvent::Stopping {} => (Tone::Warning, "the gateway stops".into()),
    };
    let device = match event {
        WardEvent::Session { kind, client, .. } | WardEvent::Disconnected { kind, client, .. }
            if kind == "wearable" =>
        {
            Some(client.clone())
        }
        WardEvent::Gap { device, .. }
        | WardEvent::Conflict { device, .. }
        | WardEvent::NobodysSamples { device, .. }
        | WardEvent::LateSamples { device, .. }
        | WardEvent::Overdue { device }
        | WardEvent::Firmware { device, .. } => Some(device.clone()),
        _ => None,
    };
    Some(Entry { at: now.wall, tone, text, device })
}

/// What a storage that does not work means.
pub(super) fn storage(health: &str) -> String {
    let what = if health == "full" { "IS FULL" } else { "FAILS" };
    format!("STORAGE {what}: nothing new is stored or acknowledged; wearables keep their samples")
}

/// How far an alert has come, in a sentence.
pub(super) fn progress(report: &AlertReport, now: UnixMillis) -> String {
    let AlertReport { recipients, decrypted, acknowledged, missing, .. } = report;
    if *recipients == 0 {
        return "nobody was enrolled; nobody received it".into();
    }
    let mut said = format!("{decrypted} of {recipients} decrypted, {acknowledged} acknowledged");
    if !missing.is_empty() {
        let named = missing.iter().take(NAMED);
        let named: Vec<String> =
            named.map(|m| format!("{} ({})", m.patient, when::localised(&m.reason, now))).collect();
        said += &format!("; missing: {}", named.join(", "));
        if missing.len() > NAMED {
            said += &format!(" and {} more", missing.len() - NAMED);
        }
    }
    said
}

/// `1 patient`, `3 patients`.
pub(super) fn patients(count: usize) -> String {
    if count == 1 { "1 patient".into() } else { format!("{count} patients") }
}

/// A text in quotes, on one line.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.split_whitespace().collect::<Vec<_>>().join(" "))
}
