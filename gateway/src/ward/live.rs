//! The newest values of each patient, with their age. A value past its limit is not shown any more, whatever it was:
//! nothing is silently stale.

use std::{collections::BTreeMap, time::Duration};

use protocol::{id::PatientId, time::Monotonic, vitals::Cadence};

use super::event::SampleView;

/// The age limit of a device that has not told its cadence: that of one sample a second.
const UNTOLD: Cadence = Cadence { interval_ms: 1_000 };

/// The newest sample of a patient.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    pub(crate) sample: SampleView,
    at: Monotonic,
    limit: Duration,
}

impl Newest {
    pub(crate) fn age(&self, now: Monotonic) -> Duration {
        now.since(self.at)
    }

    pub(crate) fn is_current(&self, now: Monotonic) -> bool {
        self.age(now) <= self.limit
    }
}

/// The newest sample of every patient that has one since this start.
#[derive(Debug, Default)]
pub(crate) struct Live {
    newest: BTreeMap<PatientId, Newest>,
}

impl Live {
    pub(crate) fn update(
        &mut self,
        patient: PatientId,
        sample: SampleView,
        cadence: Option<Cadence>,
        at: Monotonic,
    ) {
        let limit = cadence.unwrap_or(UNTOLD).age_limit();
        self.newest.insert(patient, Newest { sample, at, limit });
    }

    pub(crate) fn of(&self, patient: &PatientId) -> Option<&Newest> {
        self.newest.get(patient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_past_its_age_limit_is_not_current() {
        let patient: PatientId = "P1".parse().unwrap();
        let sample = SampleView {
            time: None,
            received: String::new(),
            device: String::new(),
            seq: 1,
            simulated: true,
            quality: 100,
            quantities: Vec::new(),
        };
        let mut live = Live::default();
        live.update(patient.clone(), sample, Some(Cadence { interval_ms: 30_000 }), Monotonic(0));
        let newest = live.of(&patient).unwrap();
        assert!(newest.is_current(Monotonic(70_000)));
        assert!(!newest.is_current(Monotonic(70_001)));
    }
}
