//! Portable core of the wearable firmware: signal processing and uplink.
//!
//! Owns what the device decides; knows no board, file, socket or clock. `wearable` (the simulator) and the
//! boards feed it samples and carry its output to the gateway.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "uplink")]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod dsp;
#[cfg(feature = "uplink")]
pub mod uplink;
