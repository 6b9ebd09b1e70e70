//! One patient as a bed on the wall: which numbers may be shown as current, and what is wrong. A number past its age
//! limit is not shown, whatever it was.

use std::time::Duration;

use protocol::{
    cadence::Cadence,
    reading::Reason,
    time::{Monotonic, Now, UnixMillis},
    vitals::KnownQuantity,
};

use super::{state::State, when};
use crate::ward::{
    event::{NO_BEAT, QuantityView, SampleView},
    live::AHEAD,
    view::{PatientView, WearableView},
};

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
        let taken = believed(sample);
        let age = taken.zip(received).map_or(Duration::ZERO, |(taken, received)| received.since(taken));
        Self { sample: sample.clone(), taken, at: now, age, ended: taken.is_none() }
    }

    /// A sample with the gateway's word on its age.
    pub(super) fn told(sample: &SampleView, age: Duration, is_current: bool, now: Monotonic) -> Self {
        Self { sample: sample.clone(), taken: believed(sample), at: now, age, ended: !is_current }
    }

    /// Takes in what is heard of the same device: a newer sample, or that the same one is older than thought.
    pub(super) fn hear(&mut self, heard: Self, cadence: Cadence) {
        if heard.sample.seq == self.sample.seq {
            let age = self.age(heard.at).max(heard.age);
            *self = Self { age, ended: self.ended || heard.ended, ..heard };
        } else if heard.sample.received >= self.sample.received
            && (heard.taken >= self.taken
                || (heard.is_current(cadence, heard.at) && self.taken > when::parsed(&heard.sample.received)))
        {
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

/// How often a device says that it measures and sends.
pub(super) fn cadence(wearables: &[WearableView], device: &str) -> Cadence {
    let told = wearables.iter().find(|wearable| wearable.id == device);
    let intervals = told.and_then(|wearable| wearable.status.as_ref());
    intervals.map_or(Cadence::UNTOLD, |told| Cadence { sample_ms: told.sample_ms, upload_ms: told.upload_ms })
}

/// When a sample was taken, unless it says a time that had not come.
fn believed(sample: &SampleView) -> Option<UnixMillis> {
    let received = when::parsed(&sample.received);
    let taken = sample.time.as_deref().and_then(when::parsed);
    taken.filter(|taken| received.is_none_or(|received| taken.since(received) <= AHEAD))
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
    /// Why the device has no value; absent also where nothing is current.
    pub(super) why_not: Option<String>,
    pub(super) plausible: bool,
    pub(super) quality: Option<u8>,
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
    pub(super) simulated: bool,
    pub(super) wearables: Vec<&'a WearableView>,
}

impl<'a> Bed<'a> {
    /// The bed of a patient.
    pub(super) fn of(patient: &'a PatientView, state: &'a State, now: Now) -> Self {
        let wearables: Vec<_> = state.wearables.iter().filter(|w| w.patient == patient.id).collect();
        let mut all: Vec<&Newest> =
            state.vitals.get(&patient.id).into_iter().flat_map(|devices| devices.values()).collect();
        all.sort_by_key(|newest| newest.age(now.mono));
        let current: Vec<&Newest> = all
            .iter()
            .copied()
            .filter(|newest| newest.is_current(cadence(&state.wearables, &newest.sample.device), now.mono))
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
        let readings = readings(&current);
        Self {
            patient,
            presence,
            monitoring,
            others: others(&current, &readings),
            readings,
            simulated: all.iter().any(|newest| newest.sample.simulated),
            wearables,
        }
    }

    /// Of the least trustworthy number shown.
    pub(super) fn quality(&self) -> Option<u8> {
        self.readings.iter().filter_map(|reading| reading.quality).min()
    }

    /// Whether nobody watches over a patient who should be watched.
    pub(super) const fn is_unwatched(&self) -> bool {
        matches!(self.monitoring, Monitoring::Lost(_))
    }
}

/// A quantity among the newest samples of all devices: the newest value, else why the newest has none.
fn quantity<'a>(current: &[&'a Newest], name: &str) -> Option<&'a QuantityView> {
    let mut found =
        current.iter().flat_map(|newest| &newest.sample.quantities).filter(|quantity| quantity.name == name);
    found.clone().find(|quantity| quantity.measured().is_some()).or_else(|| found.next())
}

fn readings(current: &[&Newest]) -> [Reading; 4] {
    let of = |known: KnownQuantity| quantity(current, known.name);
    let reading = |parameter, label, unit, found: Option<&QuantityView>| {
        let measured = found.and_then(QuantityView::measured);
        Reading {
            parameter,
            label,
            unit,
            value: measured.map(|measured| match parameter {
                Parameter::Temperature => format!("{:.1}", measured.value),
                _ => format!("{:.0}", measured.value),
            }),
            why_not: found.and_then(QuantityView::why_not).map(str::to_owned),
            plausible: measured.is_none_or(|measured| measured.plausible),
            quality: measured.and_then(|measured| measured.quality),
        }
    };
    let (heart, pulse) = (of(KnownQuantity::HEART_RATE), of(KnownQuantity::PULSE_RATE));
    [
        match pulse {
            Some(pulse) if stands_in(pulse, heart) => reading(Parameter::Heart, "PR", "/min", Some(pulse)),
            _ => reading(Parameter::Heart, "HR", "/min", heart),
        },
        reading(Parameter::Oxygen, "SpO2", "%", of(KnownQuantity::SPO2)),
        reading(Parameter::Respiration, "RESP", "/min", of(KnownQuantity::RESPIRATION)),
        reading(Parameter::Temperature, "TEMP", "°C", of(KnownQuantity::BODY_TEMPERATURE)),
    ]
}

/// Whether the pulse is shown in the place of a heart rate that is not known. A heart that does not beat is.
fn stands_in(pulse: &QuantityView, heart: Option<&QuantityView>) -> bool {
    let Some(heart) = heart else { return true };
    match heart.why_not() {
        None | Some(NO_BEAT) => false,
        Some(why) => pulse.measured().is_some() || *why == Reason::NO_SIGNAL.to_string(),
    }
}

fn others(current: &[&Newest], readings: &[Reading; 4]) -> Vec<String> {
    let [heart, ..] = readings;
    let heart = if heart.label == "PR" { KnownQuantity::PULSE_RATE } else { KnownQuantity::HEART_RATE };
    let shown = [heart, KnownQuantity::SPO2, KnownQuantity::RESPIRATION, KnownQuantity::BODY_TEMPERATURE];
    let mut names: Vec<&str> = shown.map(|known| known.name).into();
    let mut others = Vec::new();
    for QuantityView { name, .. } in current.iter().flat_map(|newest| &newest.sample.quantities) {
        if !names.contains(&name.as_str()) {
            names.push(name);
            others.extend(quantity(current, name).map(QuantityView::said));
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seq: u64, time: &str) -> SampleView {
        SampleView {
            time: Some(time.into()),
            received: "2026-11-21T20:00:00.000Z".into(),
            device: "device".into(),
            seq,
            simulated: true,
            quantities: Vec::new(),
        }
    }

    #[test]
    fn a_sample_from_the_future_is_not_shown_and_does_not_hide_what_comes_after() {
        let mut newest = Newest::stored(&sample(1, "2026-11-21T21:00:00.000Z"), Monotonic(0));
        assert!(!newest.is_current(Cadence::UNTOLD, Monotonic(0)));
        newest
            .hear(Newest::stored(&sample(2, "2026-11-21T20:00:00.000Z"), Monotonic(1_000)), Cadence::UNTOLD);
        assert!(newest.sample.seq == 2 && newest.is_current(Cadence::UNTOLD, Monotonic(1_000)));
    }

    #[test]
    fn a_sample_that_a_fast_clock_dated_ahead_does_not_hide_what_comes_after() {
        let mut newest = Newest::stored(&sample(1, "2026-11-21T20:00:50.000Z"), Monotonic(0));
        assert!(newest.is_current(Cadence::UNTOLD, Monotonic(0)));
        newest.hear(Newest::stored(&sample(9, "2026-11-21T19:50:00.000Z"), Monotonic(900)), Cadence::UNTOLD);
        assert_eq!(newest.sample.seq, 1, "a backlog is still none of it");
        newest
            .hear(Newest::stored(&sample(2, "2026-11-21T20:00:00.000Z"), Monotonic(1_000)), Cadence::UNTOLD);
        assert_eq!(newest.sample.seq, 2);
        newest
            .hear(Newest::stored(&sample(3, "2026-11-21T19:59:59.000Z"), Monotonic(1_100)), Cadence::UNTOLD);
        assert_eq!(newest.sample.seq, 2, "what is older stays out");
    }
}
