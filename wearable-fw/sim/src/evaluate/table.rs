//! The result for people: a table that fits into 100 columns, and a line per record if asked for.
//!
//! Owns its looks. Colour only repeats what a word says.

use std::io::{self, Write};

use super::{
    goals::{Description, Goal, Set},
    play::Quantity,
    report::{Answer, Figure, Scored},
    score::percent,
};

/// Whether and how colours are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours(pub bool);

impl Colours {
    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
}

const fn title(set: Set) -> &'static str {
    match set {
        Set::Ecg => "ECG",
        Set::Noise => "ECG with electrode noise",
        Set::Spo2 => "Oxygen saturation",
        Set::Pulse => "Pulse at rest",
        Set::Running => "Pulse in motion",
        Set::Respiration => "Respiration",
        Set::Desaturation => "Desaturation (* semi-synthetic: real pulses, saturation put in)",
        Set::Alarm => "Around an alarm",
        Set::Cost => "Cost on this machine",
    }
}

/// Where the peers' figures come from.
const FOOTNOTE: &str = "\
Peers: other open software, run offline over recordings of these kinds; see docs/signals.md.
Coverage: share of the reference that the figure speaks of. Not a medical device.";

/// All figures, grouped.
///
/// # Errors
/// The output's.
pub fn write(out: &mut impl Write, figures: &[Figure], colours: Colours) -> io::Result<()> {
    let head = format!(
        "{:<36}{:>5}{:>9}{:>12}  {:<9}{:<8}{}",
        "", "recs", "coverage", "ours", "goal", "", "best open peer"
    );
    writeln!(out, "{}", colours.bold(head.trim_end()))?;
    let mut last = None;
    for figure in figures {
        let set = figure.metric.set();
        if last.replace(set) != Some(set) {
            writeln!(out, "{}", colours.bold(title(set)))?;
        }
        writeln!(out, "{}", line(figure, colours))?;
    }
    writeln!(out, "{}", colours.dim(FOOTNOTE))
}

fn line(figure: &Figure, colours: Colours) -> String {
    let about = figure.metric.description();
    let Description { title, unit, decimals, goal, peer, .. } = about;
    let number = |value: f64| format!("{value:.decimals$}");
    let records = if figure.records > 0 { figure.records.to_string() } else { String::new() };
    let coverage = figure.coverage.map_or_else(String::new, |share| format!("{share:.1} %"));
    let ours = figure.value.map_or_else(
        || colours.dim(&format!("{:>12}", "no record")),
        |value| format!("{:>12}", format!("{} {unit}", number(value)).trim_end()),
    );
    let wanted = goal.map_or_else(String::new, |goal| match goal {
        Goal::AtMost(limit) => format!("<= {}", short(limit)),
        Goal::AtLeast(limit) => format!(">= {}", short(limit)),
    });
    let verdict = match figure.is_met() {
        Some(true) => colours.paint("32", &format!("{:<8}", "met")),
        Some(false) => colours.paint("1;31", &format!("{:<8}", "MISSED")),
        None => format!("{:<8}", ""),
    };
    let peer =
        peer.map_or_else(String::new, |peer| format!("{} {}", short(peer.value), colours.dim(peer.source)));
    format!("  {title:<34}{records:>5}{coverage:>9}{ours}  {wanted:<9}{verdict}{peer}").trim_end().to_owned()
}

fn short(number: f64) -> String {
    format!("{number}")
}

/// A line for each record.
///
/// # Errors
/// The output's.
pub fn write_records(out: &mut impl Write, records: &[Scored], colours: Colours) -> io::Result<()> {
    let note = colours.dim("(unscored: share of the time with a value)");
    writeln!(out, "\n{} {note}", colours.bold("Records"))?;
    let width = records.iter().map(|record| record.name.len()).max().unwrap_or(0).clamp(20, 30);
    for record in records {
        writeln!(out, "  {:<width$} {}", record.name, details(record, colours))?;
    }
    Ok(())
}

fn details(record: &Scored, colours: Colours) -> String {
    let scores = &record.scores;
    let mut parts = Vec::new();
    if let Some(beats) = &scores.beats {
        let [se, ppv] =
            [beats.sensitivity(), beats.positive_predictivity()].map(|share| share.unwrap_or(0.0));
        let (missed, invented) = (beats.missed.len(), beats.invented.len());
        parts.push(format!("Se {se:.2} PPV {ppv:.2}, {missed} missed, {invented} invented"));
    }
    for (quantity, trend) in &scores.trends {
        // A clip has one value; it says more than its mean.
        if let (None, Some(mae)) = (scores.answer, trend.mae()) {
            let coverage = trend.coverage().unwrap_or(0.0);
            parts.push(format!("{} {mae:.2} off ({coverage:.0} %)", name(*quantity)));
        }
    }
    if let Some(episodes) = &scores.episodes {
        let slowest = episodes.slowest_s().map_or_else(String::new, |delay| format!(", {delay:.0} s"));
        parts.push(format!(
            "{} of {} falls found{slowest}, {} false",
            episodes.found, episodes.episodes, episodes.false_alarms
        ));
    }
    match scores.answer {
        Some(Answer::Value(error)) => parts.push(format!("SpO2 {error:+.1}")),
        Some(Answer::Flagged) => parts.push("SpO2 flagged".into()),
        Some(Answer::Unanswered) => parts.push(colours.paint("33", "SpO2 unanswered")),
        None => {}
    }
    if !scores.is_scored() {
        let said = scores.said.iter().map(|(quantity, measured, reasons)| {
            let share = percent(*measured, measured + reasons.values().sum::<usize>()).unwrap_or(0.0);
            format!("{} {share:.0} %", name(*quantity))
        });
        let said: Vec<String> = said.collect();
        parts.push(format!("{} {}", colours.dim("unscored:"), said.join(", ")));
    }
    parts.join("; ")
}

/// A quantity as people say it.
#[must_use]
pub const fn name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::HeartRate => "heart rate",
        Quantity::PulseRate => "pulse",
        Quantity::Spo2 => "SpO2",
        Quantity::Respiration => "respiration",
    }
}
