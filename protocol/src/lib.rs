//! stub
#![no_std]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;
pub mod alert;
mod codec;
pub mod credential;
pub mod error;
pub mod frame;
pub mod id;
pub mod opcode;
pub mod time;
pub mod vitals;

/// Version of the protocol; in every hello.
pub const VERSION: u8 = 1;
