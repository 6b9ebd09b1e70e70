//! Scores of each record, and the figures that many records give together.
//!
//! Owns which scores a record gets and how they add up: errors are pooled over records, never averaged over averages.
//! Knows neither files nor how anything is shown.

use std::collections::BTreeMap;

use serde::Serialize;
use wearable_core::dsp::{Monitor, Reason, ecg::Ecg};

use super::{
    goals::{Metric, Set},
    play::{Played, Quantity},
    record::{Collection, Record},
    score::{Beats, DESATURATION, Episodes, Trend, mean, percent},
};

/// Trends count from here on: until then the device may settle.
const SETTLING_SECONDS: f64 = 30.0;

/// How a clip of a few seconds ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    /// With a value, this far from the truth.
    Value(f64),
    /// Without one, and it was said why.
    Flagged,
    /// It was too short to say anything.
    Unanswered,
}

/// What a record gave.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// All detections.
    pub beats: Option<Beats>,
    /// Only those that the device counts on.
    pub trusted: Option<Beats>,
    /// Values of each quantity that there is a truth for.
    pub trends: Vec<(Quantity, Trend)>,
    /// Falls of the saturation.
    pub episodes: Option<Episodes>,
    /// Of a clip.
    pub answer: Option<Answer>,
    /// Seconds with "no beat" from the ECG while the PPG had a pulse.
    pub contradicted_s: usize,
    /// Beats reported.
    pub counted: usize,
    /// For each quantity: seconds with a value, and seconds with each reason for none.
    pub said: Vec<(Quantity, usize, BTreeMap<String, usize>)>,
    /// Mean of the pulse rates.
    pub mean_pulse: Option<f64>,
    /// Seconds of signal.
    pub seconds: f64,
}

impl Scores {
    /// Compares what the device said with what is known.
    #[must_use]
    pub fn of(record: &Record, played: &Played) -> Self {
        let truth = &record.truth;
        let beats = |trusted: bool| {
            truth.beats.as_ref().map(|beats| Beats::score(&played.beat_times(trusted), beats))
        };
        let known = [
            (Quantity::HeartRate, &truth.heart_rate),
            (Quantity::PulseRate, &truth.pulse_rate),
            (Quantity::Respiration, &truth.respiration),
            (Quantity::Spo2, &truth.spo2),
        ];
        let skip = if record.collection == Collection::Clips { 0.0 } else { SETTLING_SECONDS };
        let trends = known
            .into_iter()
            .filter_map(|(quantity, truth)| {
                Some((quantity, Trend::score(&played.series(quantity), truth.as_ref()?, skip)))
            })
            .collect();
        let episodes = (record.collection == Collection::Desaturation).then(|| {
            let alarms = played.desaturation_alarms().into_iter().filter(|(_, on)| *on);
            let alarms: Vec<f64> = alarms.map(|(time, _)| time).collect();
            truth.spo2.as_ref().map(|spo2| Episodes::score(&alarms, spo2, DESATURATION))
        });
        Self {
            beats: beats(false),
            trusted: beats(true),
            trends,
            episodes: episodes.flatten(),
            answer: (record.collection == Collection::Clips).then(|| answer(record, played)).flatten(),
            contradicted_s: contradicted(played),
            counted: played.beats.len(),
            said: said(record, played),
            mean_pulse: mean(played.values(Quantity::PulseRate).into_iter().map(|value| value.value)),
            seconds: played.seconds,
        }
    }

    /// Whether anything was compared with a truth.
    #[must_use]
    pub const fn is_scored(&self) -> bool {
        self.beats.is_some() || !self.trends.is_empty() || self.episodes.is_some()
    }

    fn trend(&self, quantity: Quantity) -> Option<&Trend> {
        self.trends.iter().find(|(of, _)| *of == quantity).map(|(_, trend)| trend)
    }

    fn measured_share(&self, quantity: Quantity) -> Option<f64> {
        let (_, measured, reasons) = self.said.iter().find(|(of, ..)| *of == quantity)?;
        percent(*measured, measured + reasons.values().sum::<usize>())
    }
}

/// What stands on the screen when the clip ends.
fn answer(record: &Record, played: &Played) -> Option<Answer> {
    let truth = record.truth.spo2.as_ref()?;
    Some(match played.moments.last().map(|moment| Quantity::Spo2.of(moment)) {
        Some(Ok(value)) => Answer::Value(value.value - truth.points().first()?.1),
        None | Some(Err(Reason::Settling | Reason::NoSignal)) => Answer::Unanswered,
        Some(Err(_)) => Answer::Flagged,
    })
}

fn contradicted(played: &Played) -> usize {
    let beatless = |moment: &&super::play::Moment| {
        Quantity::HeartRate.of(moment) == Err(Reason::NoBeat) && Quantity::PulseRate.of(moment).is_ok()
    };
    played.moments.iter().filter(beatless).count()
}

fn said(record: &Record, played: &Played) -> Vec<(Quantity, usize, BTreeMap<String, usize>)> {
    let signals = &record.signals;
    let breathes = signals.light.is_some() || signals.impedance.is_some();
    let present = [
        (Quantity::HeartRate, signals.ecg.is_some()),
        (Quantity::PulseRate, signals.light.is_some()),
        (Quantity::Spo2, signals.light.is_some()),
        (Quantity::Respiration, breathes),
    ];
    present
        .into_iter()
        .filter(|(_, present)| *present)
        .map(|(quantity, _)| {
            let (mut measured, mut reasons) = (0, BTreeMap::new());
            for moment in &played.moments {
                match quantity.of(moment) {
                    Ok(_) => measured += 1,
                    Err(reason) => *reasons.entry(snake_case(reason)).or_insert(0) += 1,
                }
            }
            (quantity, measured, reasons)
        })
        .collect()
}

/// `LowQuality` as `low_quality`.
#[must_use]
pub fn snake_case(reason: Reason) -> String {
    let mut words = String::new();
    for letter in format!("{reason:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// A record's name and kind with its scores.
#[derive(Debug, Clone)]
pub struct Scored {
    /// `folder/name`.
    pub name: String,
    /// What kind of.
    pub collection: Collection,
    /// What it gave.
    pub scores: Scores,
}

/// One line of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Which.
    pub metric: Metric,
    /// From so many records; 0 for what needs none.
    pub records: usize,
    /// Share of the reference that the value speaks of, percent.
    pub coverage: Option<f64>,
    /// Nothing if there was no record for it.
    pub value: Option<f64>,
    /// Which record it is, where one stands for all.
    pub record: Option<String>,
}

impl Figure {
    const fn new(metric: Metric, records: usize, coverage: Option<f64>, value: Option<f64>) -> Self {
        Self { metric, records, coverage, value, record: None }
    }

    fn of_record(mut self, name: &str) -> Self {
        self.record = Some(name.to_owned());
        self
    }

    /// Whether the goal is met, where there is a goal and a value.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        Some(self.metric.description().goal?.is_met(self.value?))
    }
}

/// The measured speed of the firmware here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Speed {
    /// Times real time.
    pub times_real_time: f64,
    /// Processor seconds for an hour of signal.
    pub cpu_s_per_hour: f64,
}

/// All figures of the chosen sets that the records allow; without a choice, of all.
#[must_use]
pub fn figures(records: &[Scored], speed: Option<Speed>, sets: &[Set]) -> Vec<Figure> {
    let of = |collection: Collection| -> Vec<&Scored> {
        records.iter().filter(|record| record.collection == collection).collect()
    };
    let mut figures = beat_figures(&of(Collection::Ecg), &of(Collection::EcgMinute));
    figures.extend(noise_figures(&of(Collection::Noise)));
    figures.extend(clip_figures(&of(Collection::Clips)));
    let [mae, coverage] = trend_figures(
        &of(Collection::Camera),
        Quantity::PulseRate,
        [Metric::PulseMae, Metric::PulseCoverage],
    );
    figures.extend([mae, coverage]);
    for (collection, quantity, metric) in [
        (Collection::Running, Quantity::PulseRate, Metric::RunningMae),
        (Collection::Camera, Quantity::Respiration, Metric::RespirationMae),
        (Collection::Breathing, Quantity::Respiration, Metric::ImpedanceMae),
    ] {
        let [mae, _] = trend_figures(&of(collection), quantity, [metric, metric]);
        figures.push(mae);
    }
    figures.extend(episode_figures(&of(Collection::Desaturation)));
    figures.push(contradiction_figure(&of(Collection::Alarm)));
    figures.extend(shipped_figures(&of(Collection::Shipped)));
    figures.push(Figure::new(Metric::EcgState, 0, None, Some(size_of::<Ecg>() as f64)));
    figures.push(Figure::new(Metric::MonitorState, 0, None, Some(size_of::<Monitor>() as f64)));
    figures.push(Figure::new(Metric::Speed, 0, None, speed.map(|speed| speed.times_real_time)));
    let is_shipped = |metric| matches!(metric, Metric::ShippedBeats | Metric::ShippedPulse);
    figures
        .retain(|figure| sets.is_empty() || sets.contains(&figure.metric.set()) || is_shipped(figure.metric));
    figures.sort_by_key(|figure| figure.metric.set());
    figures
}

fn pooled<'a>(beats: impl Iterator<Item = &'a Beats>) -> Option<Beats> {
    beats.fold(None, |sum: Option<Beats>, beats| {
        let mut sum = sum.unwrap_or_default();
        sum.add(beats);
        Some(sum)
    })
}

fn all_beats<'a>(records: &[&'a Scored]) -> impl Iterator<Item = &'a Beats> {
    records.iter().filter_map(|record| record.scores.beats.as_ref())
}

fn beat_figures(long: &[&Scored], short: &[&Scored]) -> Vec<Figure> {
    let (count, gross) = (all_beats(long).count(), pooled(all_beats(long)));
    let figure = |metric, value: fn(&Beats) -> Option<f64>| {
        let value = gross.as_ref().and_then(value);
        Figure::new(metric, count, value.map(|_| 100.0), value)
    };
    let worst = most_mistakes(long);
    let mistakes = worst.map(|(_, beats)| beats.mistakes() as f64);
    let worst = Figure::new(Metric::EcgWorst, count, mistakes.map(|_| 100.0), mistakes)
        .of_record(worst.map_or("", |(record, _)| &record.name));
    let minute = pooled(all_beats(short)).and_then(|beats| beats.f1());
    let [rate, _] = trend_figures(long, Quantity::HeartRate, [Metric::HeartRate; 2]);
    vec![
        figure(Metric::EcgSensitivity, Beats::sensitivity),
        figure(Metric::EcgPredictivity, Beats::positive_predictivity),
        figure(Metric::EcgF1, Beats::f1),
        figure(Metric::EcgTiming, Beats::p95_ms),
        worst,
        Figure::new(Metric::EcgMinuteF1, all_beats(short).count(), minute.map(|_| 100.0), minute),
        rate,
    ]
}

fn most_mistakes<'a>(records: &[&'a Scored]) -> Option<(&'a Scored, &'a Beats)> {
    let scored = records.iter().filter_map(|record| Some((*record, record.scores.beats.as_ref()?)));
    scored.max_by_key(|(_, beats)| beats.mistakes())
}

/// The noisiest is the one with most mistakes per beat.
fn noise_figures(records: &[&Scored]) -> [Figure; 3] {
    let count = all_beats(records).count();
    let f1 = pooled(all_beats(records)).and_then(|beats| beats.f1());
    let scored = records.iter().filter_map(|record| Some((*record, record.scores.beats.as_ref()?.f1()?)));
    let noisiest = scored.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(record, _)| record);
    let trusted = noisiest.and_then(|record| record.scores.trusted.as_ref());
    let coverage = trusted.and_then(Beats::sensitivity);
    let name = noisiest.map_or("", |record| &record.name);
    let predictivity = trusted.and_then(Beats::positive_predictivity);
    let alone = usize::from(noisiest.is_some());
    [
        Figure::new(Metric::NoiseF1, count, f1.map(|_| 100.0), f1),
        Figure::new(Metric::NoiseGatedPredictivity, alone, coverage, predictivity).of_record(name),
        Figure::new(Metric::NoiseGatedCoverage, alone, coverage, coverage).of_record(name),
    ]
}

fn clip_figures(records: &[&Scored]) -> [Figure; 2] {
    let answers: Vec<Answer> = records.iter().filter_map(|record| record.scores.answer).collect();
    let values = answers.iter().filter_map(|answer| match answer {
        Answer::Value(error) => Some(*error),
        Answer::Flagged | Answer::Unanswered => None,
    });
    let errors = Trend { errors: values.collect(), covered: 0, asked: 0 };
    let answered = percent(errors.errors.len(), answers.len());
    let silent = answers.iter().filter(|answer| **answer == Answer::Unanswered).count();
    let judged = percent(answers.len() - silent, answers.len());
    [
        Figure::new(Metric::Spo2Arms, answers.len(), answered, errors.rmse()),
        Figure::new(Metric::Spo2Answered, answers.len(), answered, judged),
    ]
}

fn trend_figures(records: &[&Scored], quantity: Quantity, [mae, coverage]: [Metric; 2]) -> [Figure; 2] {
    let trends: Vec<&Trend> = records.iter().filter_map(|record| record.scores.trend(quantity)).collect();
    let mut sum = Trend::default();
    trends.iter().for_each(|trend| sum.add(trend));
    let count = trends.len();
    [
        Figure::new(mae, count, sum.coverage(), sum.mae()),
        Figure::new(coverage, count, sum.coverage(), sum.coverage()),
    ]
}

fn episode_figures(records: &[&Scored]) -> [Figure; 3] {
    let scored: Vec<&Scored> =
        records.iter().filter(|record| record.scores.episodes.is_some()).copied().collect();
    let mut sum = Episodes::default();
    scored.iter().filter_map(|record| record.scores.episodes.as_ref()).for_each(|episodes| sum.add(episodes));
    let [spo2, _] = trend_figures(records, Quantity::Spo2, [Metric::DesaturationFound; 2]);
    let figure = |metric, value| Figure::new(metric, scored.len(), spo2.coverage, value);
    let any = !scored.is_empty();
    [
        figure(Metric::DesaturationFound, percent(sum.found, sum.episodes)),
        figure(Metric::DesaturationDelay, sum.slowest_s()),
        figure(Metric::DesaturationFalse, any.then_some(sum.false_alarms as f64)),
    ]
}

fn contradiction_figure(records: &[&Scored]) -> Figure {
    let seconds: usize = records.iter().map(|record| record.scores.contradicted_s).sum();
    let shares: Vec<f64> =
        records.iter().filter_map(|record| record.scores.measured_share(Quantity::HeartRate)).collect();
    let coverage = (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64);
    let value = (!records.is_empty()).then_some(seconds as f64);
    Figure::new(Metric::ContradictedAsystole, records.len(), coverage, value)
}

fn shipped_figures(records: &[&Scored]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for record in records {
        let scores = &record.scores;
        if let Some(share) = scores.measured_share(Quantity::HeartRate) {
            figures.push(Figure::new(Metric::ShippedBeats, 1, Some(share), Some(scores.counted as f64)));
        }
        if let Some(share) = scores.measured_share(Quantity::PulseRate) {
            figures.push(Figure::new(Metric::ShippedPulse, 1, Some(share), scores.mean_pulse));
        }
    }
    figures
}
