//! The store, from outside: what it promises about the disk (`at_rest`, `group_commit`, `durability`) and what each of
//! its rooms promises.
#![cfg(test)]

mod alerts;
mod at_rest;
mod audit;
#[cfg(target_os = "linux")]
mod durability;
mod group_commit;
mod migration;
mod pairing;
mod support;
mod vitals;
mod wearables;
