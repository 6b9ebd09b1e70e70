//! The budgets of the instruction counts: `instructions.toml` holds what was measured when somebody last decided that it is
//! right.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::table::target;

/// How far a count may be over its budget before the run fails.
pub const TOLERANCE_PERCENT: u64 = 5;

/// Seconds of signal behind a count whose name begins with `signals`.
pub const SIGNAL_SECONDS: u32 = 10;

/// Instructions by name.
pub type Counts = BTreeMap<String, u64>;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

/// The budgets as they are committed.
#[must_use]
pub fn committed() -> Counts {
    toml::from_str(&fs::read_to_string(file()).unwrap()).unwrap()
}

/// The count from which the run fails; without a budget, any count does.
#[must_use]
pub fn limit(name: &str) -> u64 {
    committed().get(name).map_or(0, |budget| budget * (100 + TOLERANCE_PERCENT) / 100)
}

/// What the last run of the bench `instructions` counted.
#[must_use]
pub fn measured() -> Counts {
    let runs = target().join("gungraun/benches/instructions/counts");
    let counts = fs::read_dir(runs).into_iter().flatten().flatten();
    counts.filter_map(|run| counted(&run.path())).collect()
}

/// Reads `sign.of/callgrind.sign.of.out`, whose line `summary:` has the instructions.
fn counted(run: &Path) -> Option<(String, u64)> {
    let folder = run.file_name()?.to_str()?;
    let output = fs::read_to_string(run.join(format!("callgrind.{folder}.out"))).ok()?;
    let count = output.lines().find_map(|line| line.strip_prefix("summary: "))?;
    Some((folder.strip_suffix(".of")?.into(), count.split(' ').next()?.parse().ok()?))
}

/// Makes what was measured the budget, and says what that changes.
#[must_use]
pub fn accept() -> String {
    let (before, after) = (committed(), measured());
    assert!(!after.is_empty(), "nothing counted yet; run: {COMMAND}");
    let head =
        format!("# Instructions of one operation; a count more than {TOLERANCE_PERCENT} % over fails CI.\n");
    let head = head + "# Written by: cargo bench -p benches --bench table -- --accept-instructions\n";
    fs::write(file(), head + &toml::to_string(&after).unwrap()).unwrap();
    after
        .iter()
        .map(|(name, count)| match before.get(name) {
            Some(before) => format!("{name}: {before} -> {count}\n"),
            None => format!("{name}: {count}\n"),
        })
        .collect()
}

/// Counts again.
pub const COMMAND: &str = "cargo bench -p benches --features instructions --bench instructions";
