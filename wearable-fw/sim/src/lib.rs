//! The wearable on a host: replays recordings through the firmware core and sends vitals to a gateway. A simulator: it
//! marks every sample as simulated.
//!
//! A sample's way: [`recording`] plays one second of signals through the firmware's `dsp` -> [`sampling`] makes the
//! quantities -> [`agent`] numbers and dates them -> [`outbox`] writes them to the [`journal`] before they count ->
//! the core's `uplink` batches them -> the gateway's acknowledgement lets them go.
//!
//! [`evaluate`] is the other way of a recording: through the same `dsp`, against what is known to be true.
//!
//! Start a device with [`agent::start`]; [`cli`], [`headless`] and [`screen`] are the program around it.

pub mod act;
pub mod agent;
pub mod cli;
pub mod clock;
pub mod evaluate;
pub mod factory;
pub mod firmware;
pub mod headless;
pub mod journal;
pub mod keys;
pub mod label;
pub mod maker;
pub mod outbox;
pub mod patient;
pub mod recording;
pub mod sampling;
pub mod scenario;
pub mod screen;
