//! One patient as a bed on the wall: which numbers may be shown as current, and what is wrong. A number past its age
//! limit is not shown, whatever it was.

use std::time::Duration;

use protocol::{
    time::{Monotonic, Now, UnixMillis},
    vitals::Cadence,
};

use super::{state::State, when};
use crate::ward::{
    event::{QuantityView, SampleView},
    view::{PatientView, WearableView},
};

/// The age limit of a device that has not told its cadence: that of one sample a second.
const UNTOLD: Cadence = Cadence { interval_ms: 1_000 };
/// The longest interval that is believed, as by the ward.
const LONGEST_INTERVAL_MS: u32 = 600_000;
/// Wearables need so long to come back to a gateway that has just started.
const COMING_BACK: Duration = Duration::from_secs(15);

/// The newest sample of a device. The rules are the ward's (`ward::live`): they hold here too while nobody answers.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) sample: SampleView,
    taken: Option<UnixMillis>,
    /// When it was heard of here.
    at: Monotonic,
    /// How old it was then.
    age: Duration,
    /// It may not be shown as current, whatever its age.
    ended: bool,
}

impl Newest {
    /// A sample that has just been stored. One that does not know when it was taken is never current.
    pub(super) fn stored(sample: &SampleView, now: Monotonic) -> Self {
        let received = when::parsed(&sample.received);
        let taken = sample.time.as_deref().and_then(when::parsed);
        let age = taken.zip(received).map_or(Duration::ZERO, |(taken, received)| received.since(taken));
        Self { sample: sample.clone(), taken, at: now, age, ended: taken.is_none() }
    }

    /// A sample with the gateway's word on its age.
    pub(super) fn told(sample: &SampleView, age: Duration, is_current: bool, now: Monotonic) -> Self {
        let taken = sample.time.as_deref().and_then(when::parsed);
        Self { sample: sample.clone(), taken, at: now, age, ended: !is_current }
    }

    /// Takes in what is heard of the same device: a newer sample, or that the same one is older than thought.
    pub(super) fn hear(&mut self, heard: Self) {
        if heard.sample.seq == self.sample.seq {
            let age = self.age(heard.at).max(heard.age);
            *self = Self { age, ended: self.ended || heard.ended, ..heard };
        } else if heard.taken >= self.taken && heard.sample.received >= self.sample.received {
            *self = heard;
        }
    }

    fn age(&self, now: Monotonic) -> Duration {
        self.age.saturating_add(now.since(self.at))
    }

    fn is_current(&self, cadence: Cadence, now: Monotonic) -> bool {
        !self.ended && self.age(now) <= cadence.age_limit()
    }
}

/// The four numbers of a tile; each has its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Heart,
    Oxygen,
    Respiration,
    Temperature,
}

/// A number of a tile.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) parameter: Parameter,
    /// `HR`, or `PR` where it is the oximeter's pulse rate.
    pub(super) label: &'static str,
    pub(super) unit: &'static str,
    /// To the digit that rules and people go by; absent: nothing current.
    pub(super) value: Option<String>,
    pub(super) plausible: bool,
}

/// How it stands with the patient's own computer, which shows alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Connected,
    Away,
    Lost,
    Never,
}

/// How it stands with the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Monitoring {
    /// Current; how old the oldest number shown is.
    Live(Duration),
    /// There should be numbers; how old the last ones are.
    Lost(Option<Duration>),
    /// There are none, and that is so on purpose.
    Away(Duration),
    /// The wearable is there, or not yet there for the first time.
    Waiting,
    NoWearable,
}

/// A patient as a bed.
#[derive(Debug)]
pub(super) struct Bed<'a> {
    pub(super) patient: &'a PatientView,
    pub(super) presence: Presence,
    pub(super) monitoring: Monitoring,
    pub(super) readings: [Reading; 4],
    /// Other current quantities, such as `pulse rate 72 /min`.
    pub(super) others: Vec<String>,
    /// Of the newest sample, if it is current.
    pub(super) quality: Option<u8>,
    pub(super) simulated: bool,
    pub(super) wearables: Vec<&'a WearableView>,
}

impl<'a> Bed<'a> {
    /// The bed of a patient.
    pub(super) fn of(patient: &'a PatientView, state: &'a State, now: Now) -> Self {
        let wearables: Vec<_> = state.wearables.iter().filter(|w| w.patient == patient.id).collect();
        let cadence = |device: &str| {
            let told = wearables.iter().find(|wearable| wearable.id == device);
            told.and_then(|wearable| wearable.interval_ms)
                .map_or(UNTOLD, |told| Cadence { interval_ms: told.min(LONGEST_INTERVAL_MS) })
        };
        let mut all: Vec<&Newest> =
            state.vitals.get(&patient.id).into_iter().flat_map(|devices| devices.values()).collect();
        all.sort_by_key(|newest| newest.age(now.mono));
        let current: Vec<&Newest> = all
            .iter()
            .copied()
            .filter(|newest| newest.is_current(cadence(&newest.sample.device), now.mono))
            .collect();

        let presence = match patient {
            PatientView { connected: true, .. } => Presence::Connected,
            PatientView { away: true, .. } => Presence::Away,
            PatientView { since: Some(_), .. } => Presence::Lost,
            _ => Presence::Never,
        };
        let last = all.first().map(|newest| newest.age(now.mono));
        let uptime = state.status.as_ref().map(|status| Duration::from_millis(status.uptime_ms));
        let monitoring = if let Some(oldest) = current.last() {
            Monitoring::Live(oldest.age(now.mono))
        } else if wearables.is_empty() {
            Monitoring::NoWearable
        } else if presence == Presence::Away {
            Monitoring::Away(last.unwrap_or_default())
        } else if last.is_none()
            && (uptime.is_none_or(|uptime| uptime < COMING_BACK)
                || wearables.iter().any(|w| w.connected || w.since.is_none()))
        {
            Monitoring::Waiting
        } else {
            Monitoring::Lost(last)
        };
        Self {
            patient,
            presence,
            monitoring,
            readings: readings(&current),
            others: others(&current),
            quality: current.first().map(|newest| newest.sample.quality),
            simulated: all.iter().any(|newest| newest.sample.simulated),
            wearables,
        }
    }

    /// Whether nobody watches over a patient who should be watched.
    pub(super) const fn is_unwatched(&self) -> bool {
        matches!(self.monitoring, Monitoring::Lost(_))
    }
}

fn quantity<'a>(current: &[&'a Newest], name: &str) -> Option<&'a QuantityView> {
    current.iter().flat_map(|newest| &newest.sample.quantities).find(|quantity| quantity.name == name)
}

fn readings(current: &[&Newest]) -> [Reading; 4] {
    let heart = quantity(current, "heart rate");
    let pulse = quantity(current, "pulse rate");
    let reading = |parameter, label, unit, found: Option<&QuantityView>| Reading {
        parameter,
        label,
        unit,
        value: found.map(|quantity| match parameter {
            Parameter::Temperature => format!("{:.1}", quantity.value),
            _ => format!("{:.0}", quantity.value),
        }),
        plausible: found.is_none_or(|quantity| quantity.plausible),
    };
    [
        match (heart, pulse) {
            (None, Some(_)) => reading(Parameter::Heart, "PR", "/min", pulse),
            _ => reading(Parameter::Heart, "HR", "/min", heart),
        },
        reading(Parameter::Oxygen, "SpO2", "%", quantity(current, "SpO2")),
        reading(Parameter::Respiration, "RESP", "/min", quantity(current, "respiration")),
        reading(Parameter::Temperature, "TEMP", "°C", quantity(current, "body temperature")),
    ]
}

fn others(current: &[&Newest]) -> Vec<String> {
    const SHOWN: [&str; 4] = ["heart rate", "SpO2", "respiration", "body temperature"];
    let has_heart_rate = quantity(current, "heart rate").is_some();
    let mut others: Vec<&QuantityView> = Vec::new();
    for quantity in current.iter().flat_map(|newest| &newest.sample.quantities) {
        let is_shown =
            SHOWN.contains(&quantity.name.as_str()) || (quantity.name == "pulse rate" && !has_heart_rate);
        if !is_shown && !others.iter().any(|known| known.code == quantity.code) {
            others.push(quantity);
        }
    }
    let said = |quantity: &&QuantityView| {
        let doubt = if quantity.plausible { "" } else { " (implausible)" };
        let unit = if quantity.unit == "Cel" { "°C" } else { &quantity.unit };
        format!("{} {} {unit}{doubt}", quantity.name, quantity.text)
    };
    others.iter().map(said).collect()
}
