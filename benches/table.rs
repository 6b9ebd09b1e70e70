//! Not a bench: prints what the others measured last.
//!
//! ```text
//! cargo bench -p benches --bench table                     the table, as Markdown
//! cargo bench -p benches --bench table -- --json           as JSON
//! cargo bench -p benches --bench table -- --write          as docs/benchmarks.md
//! cargo bench -p benches --bench table -- --check [WORD]   measures the goals that contain WORD; exit code 1: a miss
//! cargo bench -p benches --bench table -- --accept-instructions
//!                                                          makes the instructions counted last the budget
//! ```
//! Cargo passes it the arguments of criterion too, which it ignores.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::process::ExitCode;

use benches::{
    budget,
    check::{self, Outcome},
    report,
    table::{self, Table},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--check") {
        let filter = arguments.iter().skip_while(|argument| *argument != "--check").nth(1);
        let filter = filter.filter(|word| !word.starts_with("--")).map_or("", String::as_str);
        return check_goals(filter, has("--json"));
    }
    if has("--accept-instructions") {
        print!("{}", budget::accept());
        return ExitCode::SUCCESS;
    }
    let table = Table::read(&table::target().join("criterion"));
    if has("--json") {
        println!("{}", table.json());
    } else if has("--write") {
        println!("{}", report::write(&table));
    } else {
        println!("{}", table.markdown());
    }
    ExitCode::SUCCESS
}

fn check_goals(filter: &str, as_json: bool) -> ExitCode {
    let outcomes = check::run(filter, |outcome| {
        if !as_json {
            println!("{outcome}");
        }
    });
    if as_json {
        println!("{}", check::json(&outcomes));
    }
    if filter.is_empty() {
        check::save(&outcomes);
    }
    let met = !outcomes.is_empty() && outcomes.iter().all(Outcome::is_met);
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
