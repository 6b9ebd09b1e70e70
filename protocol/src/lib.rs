//! The Vitalward conversation as values. `no_std` + alloc, deterministic: no socket, no clock, no randomness of its own;
//! bytes and `now` go in, bytes and events come out.
//!
//! Where to look:
//! - what is on the wire: [`opcode`], [`frame`], [`message`]; byte by byte in `docs/protocol.md`
//! - how a session begins: [`pairing`] once, then [`handshake`] (full login) or [`handshake::resume`]
//! - what a session does: [`session`] (records), [`vitals`] and their [`reading`]s, [`alert`] (alerts and receipts), [`group`] (broadcast key)
//! - what else a wearable hears and says: [`status`], [`cadence`], [`waveform`], [`firmware`]
//! - one connection put together: [`endpoint`]
//!
//! A vitals sample enters here as [`endpoint::gateway::Event::Vitals`] and leaves to the gateway's ward; an alert leaves
//! [`group::GroupOwner::seal`] and comes out of [`endpoint::client::Event::Alert`].
#![no_std]
extern crate alloc;
#[cfg(any(test, feature = "testkit"))]
extern crate std;

pub mod alert;
pub mod backoff;
pub mod cadence;
pub mod codec;
pub mod credential;
pub mod endpoint;
pub mod error;
pub mod firmware;
pub mod frame;
pub mod group;
pub mod handshake;
pub mod id;
pub mod image;
pub mod message;
pub mod opcode;
mod open_set;
pub mod pairing;
pub mod reading;
pub mod replay;
pub mod session;
pub mod status;
#[cfg(feature = "testkit")]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test's own machinery may stop the test"
)]
pub mod testkit;
pub mod time;
pub mod vitals;
pub mod waveform;

/// Version of the protocol; in every hello.
pub const VERSION: u8 = 1;
