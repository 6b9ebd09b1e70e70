//! Portable core of the wearable firmware: signal processing, storage and uplink.
//!
//! Owns what the device decides; knows no board, file, socket or clock. `wearable` (the simulator) and the
//! boards feed it samples and carry its output to the gateway.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "link")]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(feature = "link")]
pub mod clock;
#[cfg(feature = "link")]
pub mod config;
#[cfg(feature = "link")]
pub mod device;
pub mod dsp;
pub mod flash;
pub mod mode;
#[cfg(feature = "link")]
pub mod proximity;
pub mod sensing;
#[cfg(feature = "link")]
pub mod update;
#[cfg(feature = "link")]
pub mod uplink;
