//! The goals, as ratios in one run. A ratio needs both sides measured at the same time: after a warm-up, subject and
//! reference take turns in slices of some milliseconds of CPU time, so that whatever slows the machine slows both; the
//! median slice of each counts, and the median of three such repeats.

mod goals;
mod signals;
mod start;

use std::{
    fmt, fs,
    hint::black_box,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    cpu_time,
    table::{self, readable},
};

/// CPU time of one slice.
const SLICE: Duration = Duration::from_millis(6);
/// Slices of each side in a repeat.
const SLICES: usize = 25;
const REPEATS: usize = 3;

/// A goal and what was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// What is asked.
    pub goal: String,
    /// What was measured: a ratio, or a time.
    pub measured: f64,
    /// What it may be at most.
    pub limit: f64,
    /// `x` for a ratio, `ms`, `us`.
    pub unit: String,
    /// Both times behind a ratio.
    pub detail: String,
}

impl Outcome {
    /// Whether the goal is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.measured <= self.limit
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { goal, measured, limit, unit, detail } = self;
        let verdict = if self.is_met() { "PASS" } else { "MISS" };
        write!(f, "{verdict}  {measured:>7.3} {unit:<2} <= {limit:<5} {goal}: {detail}")
    }
}

/// The outcomes with their verdicts, for programs.
#[must_use]
pub fn json(outcomes: &[Outcome]) -> Value {
    let row = |Outcome { goal, measured, limit, unit, detail }: &Outcome| {
        json!({
            "goal": goal, "measured": measured, "limit": limit, "unit": unit, "detail": detail, "met": measured <= limit,
        })
    };
    outcomes.iter().map(row).collect()
}

fn file() -> PathBuf {
    table::target().join("benches/goals.json")
}

/// Keeps the outcomes for the document.
pub fn save(outcomes: &[Outcome]) {
    fs::create_dir_all(file().parent().unwrap()).unwrap();
    fs::write(file(), serde_json::to_vec(outcomes).unwrap()).unwrap();
}

/// What was kept last, and when.
#[must_use]
pub fn saved() -> Option<(Vec<Outcome>, SystemTime)> {
    let outcomes = serde_json::from_slice(&fs::read(file()).ok()?).ok()?;
    Some((outcomes, fs::metadata(file()).ok()?.modified().ok()?))
}

/// Measures all goals whose names contain `filter`, telling each as it is known.
pub fn run(filter: &str, mut tell: impl FnMut(&Outcome)) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for goal in goals::ratios().into_iter().filter(|goal| goal.name.contains(filter)) {
        let outcome = goal.measure();
        tell(&outcome);
        outcomes.push(outcome);
    }
    if signals::NAME.contains(filter) {
        let outcome = signals::measure();
        tell(&outcome);
        outcomes.push(outcome);
    }
    if start::NAME.contains(filter) {
        for outcome in start::measure() {
            tell(&outcome);
            outcomes.push(outcome);
        }
    }
    outcomes
}

/// Something that can be done a number of times, and the CPU time that it took.
struct Operation(Box<dyn FnMut(u32) -> Duration>);

impl Operation {
    fn new<T>(mut work: impl FnMut() -> T + 'static) -> Self {
        Self(Box::new(move |times| {
            let begin = cpu_time::now();
            for _ in 0..times {
                black_box(work());
            }
            cpu_time::now().saturating_sub(begin)
        }))
    }

    /// Work that uses up what must be prepared for it; the preparation is not counted.
    fn prepared<S, T>(
        mut prepare: impl FnMut() -> S + 'static,
        mut work: impl FnMut(S) -> T + 'static,
    ) -> Self {
        Self(Box::new(move |times| {
            let inputs: Vec<S> = (0..times).map(|_| prepare()).collect();
            let begin = cpu_time::now();
            for input in inputs {
                black_box(work(input));
            }
            cpu_time::now().saturating_sub(begin)
        }))
    }

    /// Work that says itself how much of it counts.
    fn self_timed(mut work: impl FnMut() -> Duration + 'static) -> Self {
        Self(Box::new(move |times| (0..times).map(|_| work()).sum()))
    }

    /// How often it fits into a slice; warms it up on the way.
    fn times_in_a_slice(&mut self) -> u32 {
        (0..20).map(|power| 1 << power).find(|times| (self.0)(*times) >= SLICE).unwrap_or(1 << 20)
    }
}

/// A subject that may cost at most `limit` times its reference, plus what is allowed on top.
struct Ratio {
    name: &'static str,
    limit: f64,
    sides: fn() -> Sides,
}

struct Sides {
    subject: Operation,
    reference: Operation,
    reference_name: &'static str,
    on_top: Option<(&'static str, Operation)>,
}

impl Ratio {
    fn measure(&self) -> Outcome {
        let Sides { subject, reference, reference_name, on_top } = (self.sides)();
        let (on_top_name, on_top) = on_top.unzip();
        let mut sides: Vec<(u32, Operation)> = [Some(subject), Some(reference), on_top]
            .into_iter()
            .flatten()
            .map(|mut operation| (operation.times_in_a_slice(), operation))
            .collect();
        let repeats: Vec<Vec<f64>> = (0..REPEATS).map(|_| medians(&mut sides)).collect();
        let measured = median(repeats.iter().map(|times| match times[..] {
            [subject, reference] => subject / reference,
            [subject, reference, on_top] => (subject - on_top) / reference,
            _ => f64::NAN,
        }));
        let time = |side: usize| readable(median(repeats.iter().map(|times| times[side])));
        let less = on_top_name.map(|name| format!(" less {} of {name}", time(2))).unwrap_or_default();
        let detail = format!("{}{less}, against {} of {reference_name}", time(0), time(1));
        Outcome { goal: self.name.into(), measured, limit: self.limit, unit: "x".into(), detail }
    }
}

/// The median time of one execution for each side, in nanoseconds, the sides taking turns.
fn medians(sides: &mut [(u32, Operation)]) -> Vec<f64> {
    let mut slices = vec![Vec::new(); sides.len()];
    for _ in 0..SLICES {
        for ((times, operation), slices) in sides.iter_mut().zip(&mut slices) {
            slices.push(nanoseconds((operation.0)(*times)) / f64::from(*times));
        }
    }
    slices.into_iter().map(median).collect()
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}
