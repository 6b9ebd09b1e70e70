//! The wearable's device as a C library: pairing, login, samples kept until they are acknowledged, for makers who have their
//! own firmware. It opens no socket, reads no clock and keeps no file: bytes, the time, randomness and storage come
//! from the caller.
//!
//! The interface is `include/vitalward_device.h`. [`ffi`] is its one door and the one place with `unsafe`; behind it
//! `endpoint` speaks to [`wearable_core::device`], whose rules hold here as on our own boards.

mod endpoint;
pub mod ffi;
mod report;
