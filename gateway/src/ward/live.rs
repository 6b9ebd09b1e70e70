//! The newest values of each patient, with their age. A value past its limit is not shown any more, whatever it was:
//! nothing is silently stale.

use std::{collections::BTreeMap, time::Duration};

use protocol::{
    cadence::Cadence,
    id::PatientId,
    time::{Monotonic, Now, UnixMillis},
};

use super::event::SampleView;

/// A sample that was taken so far ahead of this clock has no time that can be believed: some gateway's clock was wrong once.
pub(crate) const AHEAD: Duration = Duration::from_secs(60);

/// The newest sample of a patient.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    pub(crate) sample: SampleView,
    taken: Option<UnixMillis>,
    /// When it came.
    at: Monotonic,
    /// How old it was when it came.
    lag: Duration,
    limit: Duration,
}

impl Newest {
    /// How long ago it was taken; for a sample without a time, how long ago it came.
    pub(crate) fn age(&self, now: Monotonic) -> Duration {
        now.since(self.at).saturating_add(self.lag)
    }

    /// Whether it may be shown as what is so now. A sample that does not know when it was taken never may.
    pub(crate) fn is_current(&self, now: Monotonic) -> bool {
        self.taken.is_some() && self.age(now) <= self.limit
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
        taken: Option<UnixMillis>,
        cadence: Cadence,
        now: Now,
    ) {
        let limit = cadence.age_limit();
        let taken = taken.filter(|taken| taken.since(now.wall) <= AHEAD);
        let lag = taken.map_or(Duration::ZERO, |taken| now.wall.since(taken));
        let is_current = taken.is_some() && lag <= limit;
        // A backlog comes oldest first and after newer ones: it does not replace them. One that a fast clock dated ahead must
        // not hide what is so now.
        let gives_way = |newest: &Newest| {
            taken >= newest.taken || (is_current && newest.taken.is_some_and(|ahead| ahead > now.wall))
        };
        if self.newest.get(&patient).is_none_or(gives_way) {
            self.newest.insert(patient, Newest { sample, taken, at: now.mono, lag, limit });
        }
    }

    /// A device told that it measures and sends at other intervals from now on. What is stale already stays so.
    pub(crate) fn expect(&mut self, device: &str, cadence: Cadence, now: Monotonic) {
        let of_device = |newest: &&mut Newest| newest.sample.device == device && newest.is_current(now);
        for newest in self.newest.values_mut().filter(of_device) {
            newest.limit = cadence.age_limit();
        }
    }

    pub(crate) fn of(&self, patient: &PatientId) -> Option<&Newest> {
        self.newest.get(patient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SampleView {
        SampleView {
            time: None,
            received: String::new(),
            device: String::new(),
            seq: 1,
            simulated: true,
            quantities: Vec::new(),
        }
    }

    fn at(ms: u64) -> Now {
        Now { wall: UnixMillis(1_000_000 + ms), mono: Monotonic(ms) }
    }

    fn live(taken: Option<UnixMillis>, cadence: Cadence, now: Now) -> (Live, PatientId) {
        let patient: PatientId = "P1".parse().unwrap();
        let mut live = Live::default();
        live.update(patient.clone(), sample(), taken, cadence, now);
        (live, patient)
    }

    #[test]
    fn a_value_past_its_age_limit_is_not_current() {
        let (live, patient) = live(Some(at(0).wall), Cadence { sample_ms: 30_000, upload_ms: 30_000 }, at(0));
        let newest = live.of(&patient).unwrap();
        assert!(newest.is_current(Monotonic(70_000)));
        assert!(!newest.is_current(Monotonic(70_001)));
    }

    #[test]
    fn a_backlog_is_as_old_as_it_was_taken_and_replaces_nothing_newer() {
        let (mut live, patient) = live(Some(at(0).wall), Cadence::UNTOLD, at(600_000));
        assert_eq!(live.of(&patient).unwrap().age(Monotonic(600_000)), Duration::from_secs(600));
        assert!(!live.of(&patient).unwrap().is_current(Monotonic(600_000)));
        live.update(patient.clone(), sample(), Some(at(600_000).wall), Cadence::UNTOLD, at(600_000));
        live.update(patient.clone(), sample(), Some(at(1_000).wall), Cadence::UNTOLD, at(600_100));
        live.update(patient.clone(), sample(), None, Cadence::UNTOLD, at(600_100));
        assert!(live.of(&patient).unwrap().is_current(Monotonic(600_200)));
    }

    #[test]
    fn a_sample_without_a_time_is_never_current() {
        let (live, patient) = live(None, Cadence::UNTOLD, at(0));
        assert!(!live.of(&patient).unwrap().is_current(Monotonic(0)));
    }

    #[test]
    fn what_came_before_a_longer_interval_was_told_is_not_stale_before_the_first_upload() {
        let (mut live, patient) = live(Some(at(0).wall), Cadence::UNTOLD, at(0));
        let slower = Cadence { sample_ms: 1_000, upload_ms: 30_000 };
        live.expect("another", slower, Monotonic(2_000));
        assert!(!live.of(&patient).unwrap().is_current(Monotonic(18_000)));
        live.expect("", slower, Monotonic(18_000));
        assert!(!live.of(&patient).unwrap().is_current(Monotonic(18_000)), "stale stays stale");
        live.expect("", slower, Monotonic(2_000));
        assert!(live.of(&patient).unwrap().is_current(Monotonic(18_000)));
    }

    #[test]
    fn a_sample_from_the_future_is_not_current_and_does_not_stay_the_newest() {
        let (mut live, patient) = live(Some(at(3_600_000).wall), Cadence::UNTOLD, at(0));
        assert!(!live.of(&patient).unwrap().is_current(Monotonic(0)));
        live.update(patient.clone(), sample(), Some(at(1_000).wall), Cadence::UNTOLD, at(1_000));
        assert!(live.of(&patient).unwrap().is_current(Monotonic(1_000)));
    }

    #[test]
    fn a_sample_that_a_fast_clock_dated_ahead_does_not_hide_what_is_so_now() {
        let (mut live, patient) = live(Some(at(50_000).wall), Cadence::UNTOLD, at(0));
        assert!(live.of(&patient).unwrap().is_current(Monotonic(0)));
        let mut hear = |taken, seq, now| {
            let sample = SampleView { seq, ..sample() };
            live.update(patient.clone(), sample, Some(at(taken).wall), Cadence::UNTOLD, at(now));
            live.of(&patient).unwrap().sample.seq
        };
        assert_eq!(hear(1_000, 2, 15_000), 1, "a backlog is still none of it");
        assert_eq!(hear(15_000, 3, 16_000), 3);
        assert_eq!(hear(67_000, 4, 17_000), 4);
        assert_eq!(hear(18_000, 5, 18_000), 5);
        assert_eq!(hear(17_000, 6, 19_000), 5);
    }

    #[test]
    fn a_sample_that_waited_for_its_upload_is_current_until_the_next_upload_is_overdue() {
        let told = Cadence { sample_ms: 1_000, upload_ms: 300_000 };
        let (live, patient) = live(Some(at(0).wall), told, at(1_000));
        let newest = live.of(&patient).unwrap();
        assert!(newest.is_current(Monotonic(301_000)), "by design");
        assert!(!newest.is_current(Monotonic(612_001)));
    }
}
