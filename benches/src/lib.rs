//! Criterion benches and the timing table.
