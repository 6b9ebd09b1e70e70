//! The timing table: what criterion measured last, in the catalogue's order, each row with its ratio to the reference that
//! was measured in the same run, and with the figures that the source document printed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::catalogue::{FAMILIES, Family, Operation, Reference, source_figure};

/// Results further apart are not of one run.
const ONE_RUN: Duration = Duration::from_secs(3_600);

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    operation: String,
    by: String,
    size: String,
    bytes: Option<u64>,
    median_ns: f64,
    /// Median absolute deviation.
    spread_ns: f64,
    measured: SystemTime,
}

/// All results.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Row>,
}

/// Cargo's target folder.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

impl Row {
    /// Criterion's name of the row.
    fn id(&self) -> String {
        [&self.operation, &self.by, &self.size].map(String::as_str).join("/").trim_end_matches('/').into()
    }

    fn is_of_run(&self, time: SystemTime) -> bool {
        let apart = self.measured.duration_since(time).or_else(|_| time.duration_since(self.measured));
        apart.is_ok_and(|apart| apart < ONE_RUN)
    }

    /// Reads one result of criterion's: the folder `new`, which each run writes whatever its baseline is called.
    fn read(folder: &Path) -> Option<Self> {
        let estimates = folder.join("estimates.json");
        let measured = fs::metadata(&estimates).ok()?.modified().ok()?;
        let [names, estimates]: [Value; 2] = [
            serde_json::from_slice(&fs::read(folder.join("benchmark.json")).ok()?).ok()?,
            serde_json::from_slice(&fs::read(estimates).ok()?).ok()?,
        ];
        let text = |name: &str| names.get(name).and_then(Value::as_str).unwrap_or_default();
        let (by, size) = match text("function_id") {
            // A group whose rows differ in nothing but by whom.
            "" => (text("value_str"), ""),
            by => (by, text("value_str")),
        };
        Some(Self {
            operation: text("group_id").into(),
            by: by.into(),
            size: size.into(),
            bytes: names.pointer("/throughput/Bytes").and_then(Value::as_u64),
            median_ns: estimates.pointer("/median/point_estimate")?.as_f64()?,
            spread_ns: estimates.pointer("/median_abs_dev/point_estimate")?.as_f64()?,
            measured,
        })
    }
}

impl Table {
    /// Reads what lies in criterion's folder.
    #[must_use]
    pub fn read(criterion: &Path) -> Self {
        let mut rows = Vec::new();
        collect(criterion, &mut rows);
        rows.sort_by_cached_key(|row| (row.by.clone(), row.bytes, row.size.clone()));
        Self { rows }
    }

    /// When the newest result was measured.
    #[must_use]
    pub fn newest(&self) -> Option<SystemTime> {
        self.rows.iter().map(|row| row.measured).max()
    }

    /// The rows of an operation.
    fn of<'a>(&'a self, operation: &'a Operation) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(|row| row.operation == operation.name)
    }

    /// The row that this one is compared with, if it was measured in the same run and is another.
    fn reference(&self, row: &Row, reference: &Reference) -> Option<&Row> {
        let (operation, by, size) = match reference {
            Reference::By(by) => (row.operation.as_str(), *by, row.size.as_str()),
            Reference::Row { operation, by, size } => (*operation, *by, *size),
            Reference::Nothing => return None,
        };
        self.rows
            .iter()
            .find(|other| (&*other.operation, &*other.by, &*other.size) == (operation, by, size))
            .filter(|other| other.is_of_run(row.measured) && other.id() != row.id())
    }

    /// The table as Markdown, one part for each bench.
    #[must_use]
    pub fn markdown(&self) -> String {
        let parts = FAMILIES.iter().filter_map(|family| Some((family, self.part(family)?)));
        let text: Vec<String> = parts
            .map(|(family, part)| {
                format!("### {}\n\n`cargo bench -p benches --bench {}`\n\n{part}", family.title, family.bench)
            })
            .collect();
        if text.is_empty() {
            return "Nothing measured yet; run: cargo bench -p benches\n".into();
        }
        text.join("\n")
    }

    fn part(&self, family: &Family) -> Option<String> {
        let newest = self.newest()?;
        let rows = family
            .operations
            .iter()
            .flat_map(|operation| self.of(operation).map(move |row| (operation, row)));
        let lines: Vec<[String; 9]> = rows
            .map(|(operation, row)| {
                let reference = self.reference(row, &operation.reference);
                let earlier = if row.is_of_run(newest) { "" } else { " (earlier)" };
                [
                    row.operation.clone(),
                    row.by.clone(),
                    row.size.clone(),
                    row.bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
                    readable(row.median_ns) + earlier,
                    readable(row.spread_ns),
                    reference.map(|other| ratio(row, other)).unwrap_or_default(),
                    reference.map(|other| name_beside(other, row)).unwrap_or_default(),
                    source_figure(&row.id()).unwrap_or_default().into(),
                ]
            })
            .collect();
        (!lines.is_empty()).then(|| aligned(&lines))
    }

    /// The table as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let operations = FAMILIES.iter().flat_map(|family| family.operations);
        let rows = operations.flat_map(|operation| self.of(operation).map(move |row| (operation, row)));
        rows.map(|(operation, row)| {
            let reference = self.reference(row, &operation.reference);
            json!({
                "operation": row.operation,
                "by": row.by,
                "of": row.size,
                "bytes": row.bytes,
                "median_ns": row.median_ns,
                "spread_ns": row.spread_ns,
                "ratio": reference.map(|other| row.median_ns / other.median_ns),
                "reference": reference.map(Row::id),
                "source_document_s": source_figure(&row.id()).and_then(|figure| figure.parse::<f64>().ok()),
            })
        })
        .collect()
    }
}

fn collect(folder: &Path, rows: &mut Vec<Row>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if path.ends_with("new") {
            rows.extend(Row::read(&path));
        } else {
            collect(&path, rows);
        }
    }
}

const HEADINGS: [&str; 9] =
    ["operation", "by", "of", "size, B", "median", "spread", "ratio", "to", "source document, s"];

fn aligned(lines: &[[String; 9]]) -> String {
    let headings = HEADINGS.map(String::from);
    let is_number = |column: usize| (3..=6).contains(&column);
    let widths: [usize; 9] = std::array::from_fn(|column| {
        let cells = lines.iter().chain([&headings]).map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    });
    let line = |cells: &[String; 9]| {
        let padded = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if is_number(column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let rule: [String; 9] = std::array::from_fn(|column| {
        let dashes = "-".repeat(widths[column].saturating_sub(1));
        if is_number(column) { dashes + ":" } else { dashes + "-" }
    });
    [&headings, &rule].into_iter().chain(lines).map(line).collect()
}

fn ratio(row: &Row, reference: &Row) -> String {
    let ratio = row.median_ns / reference.median_ns;
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

/// What of a reference differs from the row.
fn name_beside(reference: &Row, row: &Row) -> String {
    if reference.operation == row.operation {
        reference.by.clone()
    } else {
        format!("{}, {}", reference.by, reference.size)
    }
}

/// A time with its unit, to three or four digits.
#[must_use]
pub(crate) fn readable(ns: f64) -> String {
    match ns {
        ..1e3 => format!("{ns:.1} ns"),
        ..1e6 => format!("{:.2} us", ns / 1e3),
        ..1e9 => format!("{:.2} ms", ns / 1e6),
        _ => format!("{:.2} s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn measure(criterion: &Path, names: [&str; 3], bytes: u64, median: f64) -> PathBuf {
        let new = criterion.join(names.join("_")).join("new");
        fs::create_dir_all(&new).unwrap();
        let [group, function, value] = names;
        let benchmark = json!({
            "group_id": group, "function_id": function, "value_str": value, "throughput": { "Bytes": bytes },
        });
        fs::write(new.join("benchmark.json"), benchmark.to_string()).unwrap();
        let estimate = |value: f64| json!({ "point_estimate": value });
        let estimates = json!({ "median": estimate(median), "median_abs_dev": estimate(1.0) });
        fs::write(new.join("estimates.json"), estimates.to_string()).unwrap();
        new.join("estimates.json")
    }

    fn cells(markdown: &str, start: &str) -> Vec<Vec<String>> {
        let lines = markdown.lines().filter(|line| line.starts_with(start));
        lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().into()).collect()).collect()
    }

    #[test]
    fn rows_are_sorted_by_size_with_their_ratio_in_the_same_run_and_the_source_figure() {
        let folder = tempfile::tempdir().unwrap();
        let criterion = folder.path();
        measure(criterion, ["AES-256-GCM seal", "ours", "1024"], 1024, 600.0);
        measure(criterion, ["AES-256-GCM seal", "ours", "64"], 64, 300.0);
        measure(criterion, ["AES-256-GCM seal", "aws-lc-rs", "64"], 64, 200.0);
        measure(criterion, ["AES-256-CBC encrypt", "aes and cbc", "256"], 256, 2_500.0);
        let table = Table::read(criterion);
        let markdown = table.markdown();
        let expected = [
            ["AES-256-GCM seal", "aws-lc-rs", "64", "64", "200.0 ns", "1.0 ns", "", "", ""],
            ["AES-256-GCM seal", "ours", "64", "64", "300.0 ns", "1.0 ns", "1.50", "aws-lc-rs", ""],
            ["AES-256-GCM seal", "ours", "1024", "1024", "600.0 ns", "1.0 ns", "", "", ""],
        ];
        assert_eq!(cells(&markdown, "| AES-256-GCM"), expected);
        assert_eq!(cells(&markdown, "| AES-256-CBC")[0][8], "0.002555");
        assert_eq!(table.json()[1]["ratio"], 1.5);
    }

    #[test]
    fn results_of_different_runs_are_not_compared() {
        let folder = tempfile::tempdir().unwrap();
        measure(folder.path(), ["AES-256-GCM seal", "ours", "64"], 64, 300.0);
        let old = measure(folder.path(), ["AES-256-GCM seal", "aws-lc-rs", "64"], 64, 200.0);
        let newest = Table::read(folder.path()).newest().unwrap();
        File::options().write(true).open(old).unwrap().set_modified(newest - 2 * ONE_RUN).unwrap();
        let markdown = Table::read(folder.path()).markdown();
        let rows = cells(&markdown, "| AES-256-GCM");
        assert_eq!((&*rows[0][4], &*rows[1][6]), ("200.0 ns (earlier)", ""));
    }
}
