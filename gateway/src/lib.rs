//! The doctor's gateway node: takes vitals without losing one and broadcasts alerts with proof of who received them.

pub mod store;
