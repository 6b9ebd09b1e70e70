//! Stories: the real programs on loopback, each test one sentence that a user may rely on. Nothing sleeps to wait:
//! event lines are awaited. Run them with `cargo stories`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "clippy.toml allows them in tests; these are the tests' helpers"
)]

mod authentication;
mod board;
mod broadcast;
mod buttons;
mod c_device;
mod conformance;
mod crowd;
mod firmware;
mod hostile;
mod pairing;
mod restart;
mod secrecy;
mod storage;
mod support;
mod verbs;
mod vitals;
