//! How far detections are from the truth: beats as in ANSI/AAMI EC57, trends, and alarms for episodes.
//!
//! Owns the rules and nothing else: it knows neither files nor goals. The rules are those of the scorer `score.py`
//! that the project's figures are judged with; `tests/evaluate.rs` holds both against each other, figure by figure.

use serde::Serialize;

/// A reference beat within this many seconds of a detection is the same beat (EC57, 4.3.2).
pub const BEAT_WINDOW: f64 = 0.150;
/// A value older than this many seconds covers nothing.
pub const MAX_AGE: f64 = 5.0;
/// Reference values further apart than this many seconds have a gap between them.
const MAX_GAP: f64 = 10.0;

/// Values in order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series(Vec<(f64, f64)>);

impl Series {
    /// `None` if a time is before the one in front of it, or anything is not finite.
    #[must_use]
    pub fn new(points: Vec<(f64, f64)>) -> Option<Self> {
        let finite = points.iter().all(|(time, value)| time.is_finite() && value.is_finite());
        (finite && points.is_sorted_by(|a, b| a.0 <= b.0)).then_some(Self(points))
    }

    /// (second, value).
    #[must_use]
    pub fn points(&self) -> &[(f64, f64)] {
        &self.0
    }

    /// The value at a time, between two points by a straight line; none in a gap and none beyond a second of the ends.
    #[must_use]
    pub fn at(&self, time: f64) -> Option<f64> {
        let next = self.0.partition_point(|point| point.0 < time);
        match (next.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(next)) {
            (None, Some(first)) => (time >= first.0 - 1.0).then_some(first.1),
            (Some(last), None) => (time <= last.0 + 1.0).then_some(last.1),
            (Some(before), Some(after)) if after.0 - before.0 <= MAX_GAP => {
                Some(before.1 + (time - before.0) / (after.0 - before.0) * (after.1 - before.1))
            }
            _ => None,
        }
    }
}

/// Where the beats of a record truly are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrueBeats {
    /// Seconds, in order.
    pub beats: Vec<f64>,
    /// Ventricular flutter or fibrillation, from..to in seconds: there is no beat to find.
    pub excluded: Vec<(f64, f64)>,
}

impl TrueBeats {
    /// What is scored: from the first to the last reference beat, since nobody looked beyond them.
    #[must_use]
    pub fn span(&self) -> (f64, f64) {
        let first = self.beats.first().map_or(0.0, |first| (first - BEAT_WINDOW).max(0.0));
        (first, self.beats.last().map_or(0.0, |last| last + BEAT_WINDOW))
    }

    fn scores(&self, time: f64) -> bool {
        let (from, to) = self.span();
        (from..=to).contains(&time) && !self.excluded.iter().any(|(from, to)| (*from..=*to).contains(&time))
    }
}

/// Beats found, missed and invented.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beats {
    /// Reference beats found.
    pub found: usize,
    /// Times of reference beats without a detection.
    pub missed: Vec<f64>,
    /// Times of detections without a reference beat.
    pub invented: Vec<f64>,
    /// Detection minus reference of each pair, seconds.
    pub errors: Vec<f64>,
}

impl Beats {
    /// Pairs detections (in order) with reference beats, one to one.
    #[must_use]
    pub fn score(detected: &[f64], truth: &TrueBeats) -> Self {
        let (mut missed, mut invented, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        let (mut detections, mut references) = (detected, truth.beats.as_slice());
        while let ([detection, later @ ..], [reference, others @ ..]) = (detections, references) {
            let error = detection - reference;
            if error < -BEAT_WINDOW {
                invented.push(*detection);
                detections = later;
            } else if error > BEAT_WINDOW {
                missed.push(*reference);
                references = others;
            } else if later.first().is_some_and(|next| {
                // The closer of two, unless the next reference beat can have it.
                (next - reference).abs() < error.abs()
                    && !others.first().is_some_and(|other| (next - other).abs() <= BEAT_WINDOW)
            }) {
                invented.push(*detection);
                detections = later;
            } else {
                errors.push(error);
                (detections, references) = (later, others);
            }
        }
        invented.extend(detections);
        missed.extend(references);
        // Matched first and cut afterwards, so that the cut makes no errors of its own.
        for times in [&mut missed, &mut invented] {
            times.retain(|time| truth.scores(*time));
        }
        let scored = truth.beats.iter().filter(|beat| truth.scores(**beat)).count();
        Self { found: scored - missed.len(), missed, invented, errors }
    }

    /// Adds what another record gave.
    pub fn add(&mut self, other: &Self) {
        self.found += other.found;
        self.missed.extend(&other.missed);
        self.invented.extend(&other.invented);
        self.errors.extend(&other.errors);
    }

    /// Missed and invented.
    #[must_use]
    pub const fn mistakes(&self) -> usize {
        self.missed.len() + self.invented.len()
    }

    /// Share of the reference beats that were found, percent.
    #[must_use]
    pub fn sensitivity(&self) -> Option<f64> {
        percent(self.found, self.found + self.missed.len())
    }

    /// Share of the detections that are beats, percent.
    #[must_use]
    pub fn positive_predictivity(&self) -> Option<f64> {
        percent(self.found, self.found + self.invented.len())
    }

    /// Harmonic mean of the two, percent.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        percent(2 * self.found, 2 * self.found + self.mistakes())
    }

    /// Median error, milliseconds.
    #[must_use]
    pub fn bias_ms(&self) -> Option<f64> {
        quantile(self.errors.iter().copied(), 0.5).map(|seconds| seconds * 1000.0)
    }

    /// 95th percentile of the absolute error, milliseconds.
    #[must_use]
    pub fn p95_ms(&self) -> Option<f64> {
        quantile(self.errors.iter().map(|error| error.abs() * 1000.0), 0.95)
    }
}

/// Measured values against reference values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trend {
    /// Measured minus reference, where there is a reference.
    pub errors: Vec<f64>,
    /// Reference values with a fresh measurement.
    pub covered: usize,
    /// Reference values.
    pub asked: usize,
}

impl Trend {
    /// Compares from `skip` seconds on; before, the device settles.
    #[must_use]
    pub fn score(measured: &Series, truth: &Series, skip: f64) -> Self {
        let compared = measured.0.iter().filter(|point| point.0 >= skip);
        let errors = compared.filter_map(|(time, value)| Some(value - truth.at(*time)?)).collect();
        let asked = truth.0.iter().map(|point| point.0).filter(|time| *time >= skip);
        let covered = asked.clone().filter(|time| {
            let after = measured.0.partition_point(|point| point.0 <= *time);
            let last = after.checked_sub(1).and_then(|last| measured.0.get(last));
            last.is_some_and(|point| time - point.0 <= MAX_AGE)
        });
        Self { errors, covered: covered.count(), asked: asked.count() }
    }

    /// Adds what another record gave.
    pub fn add(&mut self, other: &Self) {
        self.errors.extend(&other.errors);
        self.covered += other.covered;
        self.asked += other.asked;
    }

    /// Mean error.
    #[must_use]
    pub fn bias(&self) -> Option<f64> {
        mean(self.errors.iter().copied())
    }

    /// Standard deviation of the error.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        let bias = self.bias()?;
        mean(self.errors.iter().map(|error| (error - bias).powi(2))).map(f64::sqrt)
    }

    /// Mean absolute error.
    #[must_use]
    pub fn mae(&self) -> Option<f64> {
        mean(self.errors.iter().map(|error| error.abs()))
    }

    /// Root mean square error (Arms).
    #[must_use]
    pub fn rmse(&self) -> Option<f64> {
        mean(self.errors.iter().map(|error| error.powi(2))).map(f64::sqrt)
    }

    /// 95th percentile of the absolute error.
    #[must_use]
    pub fn p95(&self) -> Option<f64> {
        quantile(self.errors.iter().map(|error| error.abs()), 0.95)
    }

    /// Share of the reference values with a fresh measurement, percent.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        percent(self.covered, self.asked)
    }
}

/// What counts as an episode, and what as having noticed it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpisodeRule {
    /// It is one while the truth is below this.
    pub below: f64,
    /// Until it has reached this.
    pub clear: f64,
    /// At least this many seconds.
    pub hold: f64,
    /// An alarm belongs to it up to this many seconds before and after.
    pub within: f64,
}

/// Low saturation, as the default limits of the gateway have it.
pub const DESATURATION: EpisodeRule = EpisodeRule { below: 90.0, clear: 92.0, hold: 10.0, within: 30.0 };

/// Episodes noticed and alarms without one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Episodes {
    /// In the truth.
    pub episodes: usize,
    /// With an alarm.
    pub found: usize,
    /// Alarms of no episode.
    pub false_alarms: usize,
    /// Seconds from the beginning of each found episode to its first alarm.
    pub delays_s: Vec<f64>,
    /// Hours of truth.
    pub hours: f64,
}

impl Episodes {
    /// Compares the times of alarms with the episodes of a 1 Hz reference.
    #[must_use]
    pub fn score(alarms: &[f64], truth: &Series, rule: EpisodeRule) -> Self {
        let spans = episodes(truth, rule);
        let belongs =
            |alarm: f64, (from, to): (f64, f64)| (from - rule.within..=to + rule.within).contains(&alarm);
        let delays_s: Vec<f64> = spans
            .iter()
            .filter_map(|span| {
                alarms.iter().find(|alarm| belongs(**alarm, *span)).map(|alarm| alarm - span.0)
            })
            .collect();
        let false_alarms =
            alarms.iter().filter(|alarm| !spans.iter().any(|span| belongs(**alarm, *span))).count();
        let hours = match (truth.0.first(), truth.0.last()) {
            (Some(first), Some(last)) => (last.0 - first.0) / 3600.0,
            _ => 0.0,
        };
        Self { episodes: spans.len(), found: delays_s.len(), false_alarms, delays_s, hours }
    }

    /// Adds what another record gave.
    pub fn add(&mut self, other: &Self) {
        self.episodes += other.episodes;
        self.found += other.found;
        self.false_alarms += other.false_alarms;
        self.delays_s.extend(&other.delays_s);
        self.hours += other.hours;
    }

    /// The slowest alarm, seconds.
    #[must_use]
    pub fn slowest_s(&self) -> Option<f64> {
        self.delays_s.iter().copied().max_by(f64::total_cmp)
    }
}

/// From..to of each episode, seconds.
#[must_use]
pub fn episodes(truth: &Series, rule: EpisodeRule) -> Vec<(f64, f64)> {
    let (mut spans, mut open, mut low_since) = (Vec::new(), None, None);
    for &(time, value) in &truth.0 {
        match open {
            None if value < rule.below => {
                let since = *low_since.get_or_insert(time);
                // A value stands for its second.
                if time - since >= rule.hold - 1.0 {
                    open = Some(since);
                }
            }
            None => low_since = None,
            Some(since) if value >= rule.clear => {
                spans.push((since, time));
                (open, low_since) = (None, None);
            }
            Some(_) => {}
        }
    }
    spans.extend(open.zip(truth.0.last()).map(|(since, last)| (since, last.0)));
    spans
}

/// `part` of `whole` in percent.
#[must_use]
pub fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// `None` of nothing.
#[must_use]
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// Linear between order statistics.
#[must_use]
pub fn quantile(values: impl Iterator<Item = f64>, share: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let place = values.len().checked_sub(1)? as f64 * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ..= len - 1")]
    let below = place as usize;
    let low = values.get(below)?;
    let high = values.get(below + 1).unwrap_or(low);
    Some(low + (high - low) * (place - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(beats: &[f64]) -> TrueBeats {
        TrueBeats { beats: beats.to_vec(), excluded: Vec::new() }
    }

    fn series(points: &[(f64, f64)]) -> Series {
        Series::new(points.to_vec()).unwrap()
    }

    #[test]
    fn beats_are_paired_one_to_one_within_the_window() {
        let score = Beats::score(&[1.02, 1.10, 2.2, 2.95, 4.0], &truth(&[1.0, 2.0, 3.0, 4.0]));
        assert_eq!((score.found, score.missed.as_slice()), (3, &[2.0][..]));
        assert_eq!(score.invented, [1.10, 2.2], "a second detection of a beat is an invented beat");
        assert_eq!(score.sensitivity(), Some(75.0));
        assert_eq!(score.positive_predictivity(), Some(60.0));
        assert!((score.f1().unwrap() - 66.666).abs() < 0.001);
        assert!((score.p95_ms().unwrap() - 47.0).abs() < 1e-6 && score.bias_ms().unwrap().abs() < 1e-6);
        assert_eq!(Beats::score(&[1.1, 1.01], &truth(&[1.0])).mistakes(), 1);
    }

    #[test]
    fn the_closer_of_two_detections_is_the_beat_unless_the_next_beat_needs_it() {
        let closer = Beats::score(&[0.9, 1.0], &truth(&[1.0]));
        assert_eq!((closer.errors.as_slice(), closer.invented.as_slice()), (&[0.0][..], &[0.9][..]));
        let needed = Beats::score(&[0.9, 1.05], &truth(&[1.0, 1.15]));
        assert_eq!((needed.found, needed.mistakes()), (2, 0));
    }

    #[test]
    fn nothing_is_scored_outside_the_reference_and_in_flutter() {
        let mut truth = truth(&[10.0, 11.0, 15.0, 16.0]);
        truth.excluded.push((11.5, 15.5));
        let score = Beats::score(&[2.0, 9.0, 10.0, 11.0, 12.0, 13.0, 16.0, 17.0], &truth);
        assert_eq!((score.found, score.mistakes()), (3, 0));
        assert_eq!(Beats::score(&[1.0], &TrueBeats::default()).f1(), None);
        assert_eq!(Beats::score(&[], &truth).sensitivity(), Some(0.0));
        assert_eq!(Beats::score(&[], &truth).f1(), Some(0.0));
    }

    #[test]
    fn a_trend_is_compared_between_reference_values_but_not_across_a_gap() {
        let truth = series(&[(0.0, 60.0), (1.0, 62.0), (30.0, 80.0)]);
        assert_eq!(
            [0.5, -0.5, -2.0, 15.0, 30.5, 32.0].map(|time| truth.at(time)),
            [Some(61.0), Some(60.0), None, None, Some(80.0), None]
        );
        let score =
            Trend::score(&series(&[(0.0, 61.0), (0.5, 60.0), (29.0, 0.0), (30.5, 83.0)]), &truth, 0.0);
        assert_eq!(score.errors, [1.0, -1.0, 3.0]);
        assert_eq!((score.mae(), score.bias()), (Some(5.0 / 3.0), Some(1.0)));
        assert!((score.rmse().unwrap() - (11.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((score.deviation().unwrap() - (8.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(score.coverage(), Some(100.0));
    }

    #[test]
    fn an_old_value_covers_nothing() {
        let truth = series(&(0..20).map(|second| (f64::from(second), 60.0)).collect::<Vec<_>>());
        let score = Trend::score(&series(&[(2.0, 60.0)]), &truth, 0.0);
        assert_eq!((score.covered, score.asked), (6, 20));
        assert!(Trend::score(&series(&[(2.0, 60.0)]), &truth, 5.0).errors.is_empty());
        assert_eq!(Trend::score(&Series::default(), &truth, 5.0).mae(), None);
    }

    #[test]
    fn an_episode_lasts_and_an_alarm_belongs_to_it_or_is_false() {
        let low = |second: i32| match second {
            50..55 | 100..130 | 400..=420 => 85.0,
            130..135 => 91.0,
            _ => 97.0,
        };
        let truth = series(&(0..=420).map(|second| (second.into(), low(second))).collect::<Vec<_>>());
        assert_eq!(episodes(&truth, DESATURATION), [(100.0, 135.0), (400.0, 420.0)]);
        let score = Episodes::score(&[52.0, 112.0, 300.0], &truth, DESATURATION);
        assert_eq!((score.episodes, score.found, score.false_alarms), (2, 1, 2));
        assert_eq!((score.delays_s.as_slice(), score.slowest_s()), (&[12.0][..], Some(12.0)));
    }

    #[test]
    fn a_series_is_in_order_and_finite() {
        assert_eq!(Series::new(vec![(1.0, 1.0), (0.0, 1.0)]), None);
        assert_eq!(Series::new(vec![(0.0, f64::NAN)]), None);
        assert_eq!(Series::new(vec![(f64::INFINITY, 1.0)]), None);
    }
}
