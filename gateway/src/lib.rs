//! The doctor's gateway node: takes vitals without losing one, and gets an emergency message to every patient with proof
//! that it arrived.
//!
//! A sample comes in through [`net::connection`], is opened by `protocol::endpoint::gateway`, stored by
//! `ward::Ward::take_vitals`, and only then acknowledged. An alert goes out from [`control`] through
//! [`ward::Ward::raise_alert`] to every session's queue; its receipts come back the way of the samples.

pub mod app;
mod check_device;
pub mod cli;
pub mod config;
pub mod console;
pub mod control;
pub mod keyfile;
pub mod net;
mod selftest;
pub mod store;
pub mod ward;
