//! One patient as a bed on the wall: which numbers may be shown as current, and what is wrong. A number past its age
//! limit is not shown, whatever it was.

use std::time::Duration;

use protocol::{
    time::{Monotonic, Now},
    vitals::Cadence,
};

use super::{state::State, when};
use crate::ward::{
    event::{QuantityView, SampleView},
    view::{PatientView, WearableView},
};

/// The age limit of a device that has not told its cadence: that of one sample a second.
const UNTOLD: Cadence = Cadence { interval_ms: 1_000 };
/// What clocks may differ; a sample that was longer on its way is an old one, sent late.
const LATE: Duration = Duration::from_secs(30);
/// Wearables need so long to come back to a gateway that has just started.
const COMING_BACK: Duration = Duration::from_secs(15);

/// The newest sample of a device.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) sample: SampleView,
    /// When it came.
    pub(super) at: Monotonic,
    /// The gateway says that it is past its limit.
    pub(super) ended: bool,
    /// How old it was then, if it came late.
    late: Duration,
}

impl Newest {
    pub(super) fn new(sample: SampleView, at: Monotonic, ended: bool) -> Self {
        let taken = sample.time.as_deref().and_then(when::parsed);
        let received = when::parsed(&sample.received);
        let on_its_way =
            taken.zip(received).map_or(Duration::ZERO, |(taken, received)| received.since(taken));
        let late = if on_its_way > LATE { on_its_way } else { Duration::ZERO };
        Self { sample, at, ended, late }
    }

    fn age(&self, now: Monotonic) -> Duration {
        now.since(self.at) + self.late
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
                .map_or(UNTOLD, |interval_ms| Cadence { interval_ms })
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
