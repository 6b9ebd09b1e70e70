//! What the benches share: the clock, the references, parties that can log in to each other, the table of results and
//! the goals.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a bench that cannot set itself up has nothing to measure"
)]

pub mod aws_lc;
pub mod budget;
mod catalogue;
pub mod check;
pub mod cpu_time;
pub mod groups;
pub mod lab;
pub mod parties;
pub mod reference;
pub mod report;
pub mod table;
pub mod wearer;
