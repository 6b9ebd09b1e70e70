//! Says what happens: sentences with a time for a person, or JSON lines for a script, in which every program's line is
//! the one that it writes itself when it runs alone, with `from` and `at_ms` added.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    time::Duration,
};

use gateway::ward::{
    event::{QuantityView, SampleView, WardEvent},
    view::AlertReport,
};
use host::events::EventLines;
use patient::agent::AgentEvent;
use protocol::{
    credential::{ClientKind, Suite},
    vitals::KnownQuantity,
};
use serde_json::{Value, json};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::MissedTickBehavior,
};
use wearable::agent::DeviceEvent;
use wearable_core::device::Event;

use crate::{
    news::{News, What},
    ward::Stock,
};

/// Patients whose vitals have room in a line.
const IN_A_LINE: usize = 3;
/// Most patients whose logins are told one by one; of more, every tenth.
const FEW: usize = 6;

/// For whom it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines for a person.
    Lines,
    /// Lines for a script.
    Json,
    /// Nobody: a screen is shown.
    Silent,
}

/// Where it is told.
#[derive(Debug, Clone)]
pub struct Voice {
    form: Form,
    json: EventLines,
}

impl Voice {
    /// On standard output.
    #[must_use]
    pub fn new(form: Form) -> Self {
        let json = if form == Form::Json { EventLines::to_stdout() } else { EventLines::silent() };
        Self { form, json }
    }

    /// A sentence, for people only.
    pub fn say(&self, at: Duration, sentence: &str) {
        if self.form == Form::Lines {
            self.print(&format!("{:>5.1} s  {sentence}", at.as_secs_f32()));
        }
    }

    /// A line as it is, for people only.
    pub fn print(&self, line: &str) {
        if self.form != Form::Json {
            // A reader that went away ends the lines, not the demo.
            writeln!(std::io::stdout(), "{line}").ok();
        }
    }

    /// An event of one of the programs, for scripts only.
    fn emit(&self, at: Duration, from: &str, mut event: Value) {
        if let Some(fields) = event.as_object_mut() {
            fields.insert("from".into(), from.into());
            fields.insert("at_ms".into(), u64::try_from(at.as_millis()).unwrap_or(u64::MAX).into());
            fields.insert("simulated".into(), true.into());
        }
        self.json.emit(&event);
    }
}

/// What the teller knows to say more than one piece of news at a time.
#[derive(Debug)]
pub struct Teller {
    voice: Voice,
    patients: usize,
    /// When a client began what it is at.
    began: BTreeMap<String, Duration>,
    codes: BTreeMap<String, String>,
    newest: BTreeMap<String, SampleView>,
    stored: usize,
    /// Wearables that logged in.
    arrived: usize,
    absent: BTreeSet<String>,
    /// Alerts that somebody was absent for.
    missed: BTreeSet<(String, String)>,
    counted: BTreeSet<String>,
    /// Milliseconds until the receipt of a patient who was there.
    latencies: Vec<u64>,
    /// The gateway says goodbye: whoever comes now is refused, and that is as it should be.
    is_over: bool,
    troubles: Vec<String>,
}

/// What is left to say at the end.
#[derive(Debug, Default)]
pub struct Heard {
    /// Median of milliseconds from an alert to the receipt of a patient who was there.
    pub median_ms: Option<u64>,
    /// How many receipts that is the median of.
    pub receipts: usize,
    /// What should not have happened.
    pub troubles: Vec<String>,
}

impl Teller {
    /// A teller for so many patients.
    #[must_use]
    pub const fn new(voice: Voice, patients: usize) -> Self {
        Self {
            voice,
            patients,
            began: BTreeMap::new(),
            codes: BTreeMap::new(),
            newest: BTreeMap::new(),
            stored: 0,
            arrived: 0,
            absent: BTreeSet::new(),
            missed: BTreeSet::new(),
            counted: BTreeSet::new(),
            latencies: Vec::new(),
            is_over: false,
            troubles: Vec::new(),
        }
    }

    /// Tells the news until there is no more, and vitals every so often.
    pub async fn listen(mut self, mut news: Receiver<News>, vitals_every: Duration) -> Heard {
        let mut tick = tokio::time::interval(vitals_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                heard = news.recv() => match heard {
                    Ok(News { at, what }) => {
                        last = at;
                        self.hear(at, &what);
                    }
                    Err(RecvError::Lagged(missed)) => {
                        self.voice.say(last, &format!("({missed} pieces of news went by too fast to tell)"));
                    }
                    Err(RecvError::Closed) => return self.heard(),
                },
                _ = tick.tick() => self.tell_vitals(last),
            }
        }
    }

    fn heard(mut self) -> Heard {
        self.latencies.sort_unstable();
        Heard {
            median_ms: self.latencies.get(self.latencies.len() / 2).copied(),
            receipts: self.latencies.len(),
            troubles: self.troubles,
        }
    }

    fn hear(&mut self, at: Duration, what: &What) {
        match what {
            What::Gateway(event) => {
                if let Ok(line) = serde_json::to_value(event) {
                    self.voice.emit(at, "gateway", line);
                }
                self.hear_gateway(at, event);
            }
            What::Patient(patient, event) => {
                if let Some(line) = patient::report::line(event) {
                    self.voice.emit(at, patient.as_str(), line);
                }
                self.hear_patient(at, patient.as_str(), event);
            }
            What::Wearable(name, event) => {
                for line in wearable::headless::lines(event) {
                    self.voice.emit(at, name.as_str(), line);
                }
                self.hear_wearable(at, name.as_str(), event);
            }
            What::Invited { kind, patient, code } => {
                let line = json!({"event": "invited", "kind": kind.to_string(), "patient": patient.as_str(), "code": code.to_string()});
                self.voice.emit(at, "demo", line);
                if *kind == ClientKind::Patient {
                    self.began.insert(patient.to_string(), at);
                    self.codes.insert(patient.to_string(), code.to_string());
                }
            }
            What::Pulled(patient) => {
                self.voice.emit(at, "demo", json!({"event": "cable_pulled", "patient": patient.as_str()}));
                self.absent.insert(patient.to_string());
                self.voice.say(at, &format!("Somebody pulls the network cable of {patient}'s computer"));
            }
            What::PluggedIn(patient) => {
                self.voice.emit(
                    at,
                    "demo",
                    json!({"event": "cable_plugged_in", "patient": patient.as_str()}),
                );
                self.voice.say(at, &format!("The cable of {patient} is plugged in again"));
            }
            What::Counted(report) => self.count(at, report),
        }
    }

    fn hear_gateway(&mut self, at: Duration, event: &WardEvent) {
        let sentence = match event {
            WardEvent::Listening { patients, wearables, doctor, data_dir, .. } => format!(
                "Gateway {doctor} is up: patients over TLS 1.3 on {patients}, wearables on {wearables}\n\
                 {:9}its encrypted database is in {data_dir}",
                ""
            ),
            WardEvent::Vitals { patient, sample, count, .. } => {
                self.stored += count;
                self.newest.insert(patient.clone(), sample.clone());
                return;
            }
            WardEvent::Alert { alert, text, recipients, sent, cancels, .. } => {
                self.missed.extend(self.absent.iter().map(|absent| (alert.clone(), absent.clone())));
                let what = if cancels.is_some() { "calls it off" } else { "broadcasts" };
                format!("The doctor {what}: {text:?} (encrypted once, sent to {sent} of {recipients})")
            }
            WardEvent::Receipt { alert, patient, stage, after_ms } => {
                let was_there = !self.missed.contains(&(alert.clone(), patient.clone()));
                match (stage.as_str(), was_there) {
                    ("decrypted", true) => {
                        self.latencies.push(*after_ms);
                        return;
                    }
                    ("decrypted", false) => format!(
                        "{patient} got the alert it had missed, {:.1} s after it was sent, and returned the receipt",
                        Duration::from_millis(*after_ms).as_secs_f32()
                    ),
                    _ => return,
                }
            }
            WardEvent::Disconnected { client, reason, .. } if reason.starts_with("link lost") => {
                format!("The gateway notices: {client} is gone ({reason})")
            }
            WardEvent::Stopping {} => {
                self.tell_vitals(at);
                self.is_over = true;
                "Everybody says goodbye; clients would reconnect by themselves".into()
            }
            WardEvent::Refused { source, reason, .. } => {
                return self.trouble(at, format!("the gateway refused {source}: {reason}"));
            }
            WardEvent::Gap { device, first, last, .. } => {
                return self.trouble(at, format!("samples {first} to {last} of {device} never came"));
            }
            WardEvent::NobodysSamples { device, count, .. } => {
                return self
                    .trouble(at, format!("{count} samples of {device} have no time and no certain wearer"));
            }
            WardEvent::Conflict { device, count, .. } => {
                return self.trouble(at, format!("{device} used {count} sample numbers twice"));
            }
            WardEvent::Storage { health } => {
                return self.trouble(
                    at,
                    format!("the gateway's storage: {health}; is there room in the temporary folder?"),
                );
            }
            WardEvent::LinesLost { count } => {
                format!("({count} events of the gateway went by too fast to tell)")
            }
            WardEvent::Session { .. }
            | WardEvent::Pairing { .. }
            | WardEvent::Disconnected { .. }
            | WardEvent::LateSamples { .. }
            | WardEvent::Overdue { .. }
            | WardEvent::Firmware { .. }
            | WardEvent::Waveform { .. } => return,
        };
        self.voice.say(at, &sentence);
    }

    fn hear_patient(&mut self, at: Duration, patient: &str, event: &AgentEvent) {
        match event {
            AgentEvent::Paired { .. } => {
                let took = self.since_it_began(patient, at);
                let code = self.codes.get(patient).map(String::as_str).unwrap_or_default();
                self.say_of_few(
                    at,
                    &format!("{patient} paired: code {code} typed in, keys exchanged and pinned on both sides, {took} ms"),
                );
            }
            AgentEvent::Connecting { .. } => {
                self.began.insert(patient.to_owned(), at);
            }
            AgentEvent::Session { resumed: false, protected, .. } => {
                let took = self.since_it_began(patient, at);
                let exchange = if *protected { "post-quantum" } else { "classical" };
                self.say_of_few(
                    at,
                    &format!("{patient} logged in: ElGamal signatures verified both ways, TLS with {exchange} key exchange, {took} ms"),
                );
            }
            AgentEvent::Session { resumed: true, .. } => {
                let took = self.since_it_began(patient, at);
                self.absent.remove(patient);
                self.voice.say(
                    at,
                    &format!(
                        "{patient} is back by itself: its single-use ticket opened the session, {took} ms"
                    ),
                );
            }
            AgentEvent::AlertRefused { reason } | AgentEvent::Refused { reason } => {
                self.trouble(at, format!("{patient}: {reason}"));
            }
            AgentEvent::Stopped { message } => self.trouble(at, format!("{patient} gave up: {message}")),
            _ => {}
        }
    }

    fn hear_wearable(&mut self, at: Duration, name: &str, event: &DeviceEvent) {
        let event = match event {
            DeviceEvent::Device(event) => event,
            DeviceEvent::NotStored(reason) => return self.trouble(at, format!("{name}: {reason}")),
            _ => return,
        };
        match event {
            Event::Session { resumed: false, suite, .. } => {
                self.arrived += 1;
                let exchange = match suite {
                    Suite::Hybrid => "X25519 and ML-KEM-768 together",
                    _ => "X25519",
                };
                self.say_of_few(
                    at,
                    &format!("{name} paired and logged in: Ed25519 signatures, key exchange by {exchange}; one sample a second"),
                );
                let is_told = self.arrived.is_multiple_of(10) || self.arrived == self.patients;
                if self.patients > FEW && is_told {
                    let sentence =
                        format!("{} of {} patients and their wearables are in", self.arrived, self.patients);
                    self.voice.say(at, &sentence);
                }
            }
            Event::Session { resumed: true, .. } => self.voice.say(at, &format!("{name} is back")),
            Event::Lost(gap) => self.trouble(at, format!("{name} gave up {} samples", gap.samples)),
            Event::Storage(reason) | Event::Refused(reason) => {
                self.trouble(at, format!("{name}: {reason}"));
            }
            _ => {}
        }
    }

    fn say_of_few(&self, at: Duration, sentence: &str) {
        if self.patients <= FEW {
            self.voice.say(at, sentence);
        }
    }

    fn since_it_began(&mut self, client: &str, at: Duration) -> u128 {
        let began = self.began.insert(client.to_owned(), at).unwrap_or(at);
        at.saturating_sub(began).as_millis()
    }

    fn trouble(&mut self, at: Duration, sentence: String) {
        if self.is_over {
            return;
        }
        self.voice.say(at, &format!("TROUBLE: {sentence}"));
        self.troubles.push(sentence);
    }

    fn count(&mut self, at: Duration, report: &AlertReport) {
        if let Ok(mut line) = serde_json::to_value(report) {
            if let Some(fields) = line.as_object_mut() {
                fields.insert("event".into(), "counted".into());
            }
            self.voice.emit(at, "demo", line);
        }
        let AlertReport { alert, recipients, decrypted, acknowledged, missing, p50_ms, last_ms, .. } = report;
        let mut said =
            format!("{decrypted} of {recipients} decrypted, {acknowledged} acknowledged by a person");
        let is_first = self.counted.insert(alert.clone());
        if let (true, true, Some(p50), Some(last)) = (is_first, missing.is_empty(), p50_ms, last_ms) {
            // Writing to a string cannot fail.
            write!(said, "; receipts after {p50} ms (median), the last after {last} ms").ok();
        }
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(|missing| missing.patient.as_str()).collect();
            write!(said, "; missing: {} (kept for it until it is back)", names.join(", ")).ok();
        }
        self.voice.say(at, &said);
    }

    fn tell_vitals(&mut self, at: Duration) {
        if self.newest.is_empty() {
            return;
        }
        let cells: Vec<String> =
            self.newest.iter().take(IN_A_LINE).map(|(patient, sample)| cell(patient, sample)).collect();
        let more = match self.newest.len().saturating_sub(IN_A_LINE) {
            0 => String::new(),
            more => format!("   and {more} more"),
        };
        self.newest.clear();
        self.voice.say(at, &format!("{}{more}   [{} samples stored]", cells.join("   "), self.stored));
    }
}

/// `P001 HR  98 SpO2 97 %`; two dashes and the reason for what was not measured.
fn cell(patient: &str, sample: &SampleView) -> String {
    let shown = |known: KnownQuantity, unit: &str| {
        let found = sample.quantities.iter().find(|quantity| quantity.name == known.name);
        match (found.and_then(QuantityView::measured), found.and_then(QuantityView::why_not)) {
            (Some(measured), _) if measured.plausible => format!("{:>3.0}{unit}", measured.value),
            (Some(_), _) => " -- implausible".into(),
            (None, why_not) => format!(" -- {}", why_not.unwrap_or("not measured")),
        }
    };
    format!("{patient} HR {} SpO2 {}", shown(KnownQuantity::HEART_RATE, ""), shown(KnownQuantity::SPO2, " %"))
}

/// How it went.
#[derive(Debug)]
pub struct Summary {
    /// What became of the samples.
    pub stocks: Vec<Stock>,
    /// The alerts, newest first.
    pub alerts: Vec<AlertReport>,
    /// What the teller has left to say.
    pub heard: Heard,
    /// Promises that were not kept.
    pub broken: Vec<String>,
    /// Whether somebody ended it early.
    pub interrupted: bool,
}

impl Summary {
    /// Adds what the numbers say about promises.
    pub fn judge(&mut self) {
        for Stock { wearable, lost, twice, .. } in self.stocks.iter().filter(|s| s.lost + s.twice > 0) {
            self.broken.push(format!("{wearable}: {lost} samples are lost, {twice} are stored twice"));
        }
        self.broken.append(&mut self.heard.troubles);
    }

    /// Says it.
    pub fn tell(&self, voice: &Voice, at: Duration) {
        let total = |of: fn(&Stock) -> u64| self.stocks.iter().map(of).sum::<u64>();
        let count = |of: fn(&AlertReport) -> usize| self.alerts.iter().map(of).sum::<usize>();
        let (taken, stored, waiting) = (total(|s| s.taken), total(|s| s.stored), total(|s| s.waiting));
        let (lost, twice) = (total(|s| s.lost), total(|s| s.twice));
        let (recipients, decrypted) = (count(|a| a.recipients), count(|a| a.decrypted));
        let acknowledged = count(|a| a.acknowledged);
        let line = json!({
            "event": "summary",
            "ok": self.broken.is_empty(),
            "broken": self.broken,
            "interrupted": self.interrupted,
            "samples": {"taken": taken, "stored": stored, "waiting": waiting, "lost": lost, "twice": twice},
            "wearables": self.stocks,
            "broadcasts": self.alerts.len(),
            "recipients": recipients,
            "decrypted": decrypted,
            "acknowledged": acknowledged,
            "p50_ms": self.heard.median_ms,
        });
        voice.emit(at, "demo", line);

        let kept = match waiting {
            0 => String::new(),
            _ => format!(", {waiting} kept by the wearables until the next connection"),
        };
        let none = |count: u64| if count == 0 { "none".to_owned() } else { count.to_string() };
        let (lost, twice) = (none(lost), none(twice));
        voice.print("\nSummary (SIMULATED patients and signals)");
        voice.print(&format!(
            "  samples     {taken} taken, {stored} stored, {lost} lost, {twice} twice{kept}"
        ));
        voice.print(&format!(
            "  broadcasts  {} to {} patients: {decrypted} of {recipients} receipts, {acknowledged} acknowledged",
            self.alerts.len(),
            self.stocks.len()
        ));
        if let Some(median) = self.heard.median_ms {
            voice.print(&format!(
                "  latency     {median} ms from the doctor's word to a stored receipt (median of {} that were there)",
                self.heard.receipts
            ));
        }
        voice.print("  data        the temporary folder is removed");
        for broken in &self.broken {
            voice.print(&format!("  BROKEN      {broken}"));
        }
        voice.print(match (self.broken.is_empty(), self.interrupted) {
            (true, true) => "  Ended early, as asked; until then everything that was promised happened.",
            (true, false) => "  Everything that was promised happened.",
            (false, _) => "  NOT everything that was promised happened.",
        });
    }
}
