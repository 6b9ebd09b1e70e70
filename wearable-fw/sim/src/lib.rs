//! The wearable on a host: replays recordings through the firmware core and sends vitals to a gateway. A simulator: it
//! marks every sample as simulated.
//!
//! A sample's way: [`patient`] and [`scenario`] play one second of [`recording`]s -> [`sampling`] measures it as the firmware
//! does -> the core's device, which [`agent`] carries, numbers it, dates it, keeps it on [`flash`] and sends it through the
//! cable -> the gateway's acknowledgement lets it go.
//!
//! Whatever can be done to a device or its patient is an [`act`], and comes from a scenario, the menu on the [`screen`],
//! or the [`control`] socket.
//!
//! [`evaluate`] is the other way of a recording: through the same `dsp`, against what is known to be true.
//!
//! Start a device with [`agent::start`]; [`cli`], [`headless`] and [`screen`] are the program around it. [`fleet`] is many
//! of them at once.

pub mod act;
pub mod agent;
mod cable;
pub mod chips;
pub mod cli;
pub mod control;
pub mod ctl;
pub mod evaluate;
pub mod factory;
pub mod firmware;
pub mod flash;
pub mod fleet;
pub mod headless;
pub mod identity;
pub mod label;
pub mod maker;
pub mod patient;
pub mod recording;
pub mod sampling;
pub mod scenario;
pub mod screen;
