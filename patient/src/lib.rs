//! The patient's client: logs in with ElGamal signatures, receives encrypted alerts and returns receipts.
//!
//! An alert's way through here: [`link`] (TLS to the pinned gateway, [`trust`]) -> the endpoint of `protocol`, which
//! opens it and checks its signature -> [`agent`], whose inbox says whether it is new -> [`store`] (kept, synced) ->
//! shown by [`console`] or printed by [`report`] -> receipt. What a person is told when something is refused stands
//! in [`wording`].

pub mod agent;
pub mod cli;
pub mod console;
pub mod link;
pub mod program;
pub mod report;
pub mod store;
pub mod trust;
pub mod wording;
