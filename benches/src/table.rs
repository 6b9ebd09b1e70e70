//! The timing table: what criterion measured last, with the figures that the source document printed beside ours. That
//! document names no machine, so no speed-up is claimed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Group and operation.
    pub operation: String,
    /// Median in nanoseconds.
    pub median_ns: f64,
    /// Median absolute deviation in nanoseconds.
    pub spread_ns: f64,
}

/// Figures of the laboratory protocol's report, in seconds, beside the operation that does the same job here.
const SOURCE_FIGURES: [(&str, &str); 4] = [
    ("ElGamal 3072/256/keygen", "0.053737 (ElGamal key generation)"),
    ("AES-256-GCM/seal/1024", "0.002555 (AES-256 encryption)"),
    ("AES-256-GCM/open/1024", "0.000337 (AES-256 decryption)"),
    ("broadcast/seal and hand out/10", "0.000845 (broadcast)"),
];

/// Cargo's target folder.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

/// Reads every `new/estimates.json` below criterion's folder, sorted by group and then as a person counts.
#[must_use]
pub fn read(criterion: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    collect(criterion, &mut rows);
    rows.sort_by_cached_key(|row: &Row| {
        let (name, size) = row.operation.rsplit_once('/').unwrap_or((&row.operation, ""));
        size.parse::<u64>().map_or_else(|_| (row.operation.clone(), 0), |size| (name.to_owned(), size))
    });
    rows
}

fn collect(folder: &Path, rows: &mut Vec<Row>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if path.ends_with("new") {
            rows.extend(row(&path));
        } else {
            collect(&path, rows);
        }
    }
}

fn row(measured: &Path) -> Option<Row> {
    let read = |name: &str| -> Option<Value> {
        let path: PathBuf = measured.join(name);
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    };
    let (names, estimates) = (read("benchmark.json")?, read("estimates.json")?);
    Some(Row {
        operation: names.get("full_id")?.as_str()?.to_owned(),
        median_ns: estimates.pointer("/median/point_estimate")?.as_f64()?,
        spread_ns: estimates.pointer("/median_abs_dev/point_estimate")?.as_f64()?,
    })
}

/// The table as Markdown.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "Nothing measured yet; run: cargo bench".into();
    }
    let mut text =
        String::from("| operation | median | spread | the source document, s |\n|---|---:|---:|---|\n");
    for row in rows {
        let source = source_figure(row).unwrap_or_default();
        let (median, spread) = (readable(row.median_ns), readable(row.spread_ns));
        text += &format!("| {} | {median} | {spread} | {source} |\n", row.operation);
    }
    text + "\nThe source document names no machine; its column is quoted, not compared."
}

/// The table as JSON.
#[must_use]
pub fn json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "operation": row.operation,
            "median_ns": row.median_ns,
            "spread_ns": row.spread_ns,
            "source_document_s": source_figure(row),
        })
    };
    rows.iter().map(row).collect()
}

fn source_figure(row: &Row) -> Option<&'static str> {
    SOURCE_FIGURES.iter().find(|(operation, _)| *operation == row.operation).map(|(_, figure)| *figure)
}

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
    use super::*;

    #[test]
    fn results_are_read_sorted_by_size_and_printed_with_the_source_figures() {
        let folder = std::env::temp_dir().join(format!("vitalward-table-{}", std::process::id()));
        for (id, median) in [("AES-256-GCM/seal/1024", 2_500.0), ("AES-256-GCM/seal/64", 300.0)] {
            let new = folder.join(id).join("new");
            fs::create_dir_all(&new).unwrap();
            fs::write(new.join("benchmark.json"), json!({ "full_id": id }).to_string()).unwrap();
            let estimate = json!({ "point_estimate": median });
            let estimates = json!({ "median": estimate, "median_abs_dev": { "point_estimate": 1.0 } });
            fs::write(new.join("estimates.json"), estimates.to_string()).unwrap();
        }
        let rows = read(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(rows.iter().map(|r| r.median_ns).collect::<Vec<_>>(), [300.0, 2_500.0]);
        assert!(markdown(&rows).contains("| AES-256-GCM/seal/1024 | 2.50 us | 1.0 ns | 0.002555"));
    }
}
