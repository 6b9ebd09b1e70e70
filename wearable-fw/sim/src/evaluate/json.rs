//! The result for programs: one object whose keys stay what they are.
//!
//! ```text
//! format      "vitalward-evaluation 1"
//! recordings  the folder, or null
//! figures     [{id, set, title, unit, value|null, coverage_pct|null, records, record|null, goal|null, met|null, peer|null}]
//! records     [{name, seconds, scored, beats|null, trusted_beats|null, trends{}, episodes|null, answer|null, said{}}]
//! refused     [{file, why}]
//! speed       {times_real_time, cpu_s_per_hour} | null
//! ```

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    file::BadFile,
    play::Quantity,
    report::{Answer, Figure, Scored, Speed},
    score::{Beats, Trend},
};

/// What the keys above promise.
pub const FORMAT: &str = "vitalward-evaluation 1";

/// The whole result.
#[must_use]
pub fn document(
    root: Option<&Path>,
    figures: &[Figure],
    records: &[Scored],
    refused: &[BadFile],
    speed: Option<Speed>,
) -> Value {
    json!({
        "format": FORMAT,
        "recordings": root.map(|root| root.display().to_string()),
        "figures": figures.iter().map(figure).collect::<Vec<_>>(),
        "records": records.iter().map(record).collect::<Vec<_>>(),
        "refused": refused.iter().map(refusal).collect::<Vec<_>>(),
        "speed": speed,
    })
}

fn figure(figure: &Figure) -> Value {
    let about = figure.metric.description();
    json!({
        "id": about.id,
        "set": figure.metric.set(),
        "title": about.title,
        "unit": about.unit,
        "value": figure.value,
        "coverage_pct": figure.coverage,
        "records": figure.records,
        "record": figure.record,
        "goal": about.goal,
        "met": figure.is_met(),
        "peer": about.peer,
    })
}

fn record(record: &Scored) -> Value {
    let scores = &record.scores;
    let trends: Map<String, Value> = scores
        .trends
        .iter()
        .map(|(quantity, trend)| (key(*quantity).to_owned(), trend_value(trend)))
        .collect();
    let said = scores.said.iter().map(|(quantity, measured, reasons)| {
        (key(*quantity).to_owned(), json!({"measured_s": measured, "no_reading_s": reasons}))
    });
    json!({
        "name": record.name,
        "seconds": scores.seconds,
        "scored": scores.is_scored(),
        "beats": scores.beats.as_ref().map(beats_value),
        "trusted_beats": scores.trusted.as_ref().map(beats_value),
        "counted_beats": scores.counted,
        "trends": trends,
        "episodes": scores.episodes,
        "answer": scores.answer.map(|answer| match answer {
            Answer::Value(error) => json!({"spo2_error": error}),
            Answer::Flagged => json!("flagged"),
            Answer::Unanswered => json!("unanswered"),
        }),
        "contradicted_s": scores.contradicted_s,
        "said": said.collect::<Map<_, _>>(),
    })
}

fn beats_value(beats: &Beats) -> Value {
    json!({
        "found": beats.found,
        "missed": beats.missed.len(),
        "invented": beats.invented.len(),
        "sensitivity": beats.sensitivity(),
        "predictivity": beats.positive_predictivity(),
        "f1": beats.f1(),
        "bias_ms": beats.bias_ms(),
        "p95_ms": beats.p95_ms(),
        "missed_s": beats.missed,
        "invented_s": beats.invented,
    })
}

fn trend_value(trend: &Trend) -> Value {
    json!({
        "values": trend.errors.len(),
        "bias": trend.bias(),
        "sd": trend.deviation(),
        "mae": trend.mae(),
        "rmse": trend.rmse(),
        "p95": trend.p95(),
        "coverage_pct": trend.coverage(),
    })
}

fn refusal(bad: &BadFile) -> Value {
    json!({"file": bad.path.display().to_string(), "why": bad.what.to_string()})
}

const fn key(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::HeartRate => "heart_rate",
        Quantity::PulseRate => "pulse_rate",
        Quantity::Spo2 => "spo2",
        Quantity::Respiration => "respiration",
    }
}
