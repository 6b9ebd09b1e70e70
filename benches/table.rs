//! Not a bench: prints what the others measured last, as Markdown or, with `--json`, as JSON. Cargo passes it the
//! arguments of criterion, which it ignores.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::path::{Path, PathBuf};

fn main() {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let rows = benches::table::read(&target.join("criterion"));
    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", benches::table::json(&rows));
    } else {
        println!("{}", benches::table::markdown(&rows));
    }
}
