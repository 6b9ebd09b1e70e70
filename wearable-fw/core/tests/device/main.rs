//! A whole device against the protocol's gateway in memory: pairing, trust, delivery, whatever network and power do.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

mod anything;
mod board;
mod delivery;
mod pairing;
mod power;
mod trust;
mod updates;
mod world;
