//! Drivers of the wearable's sensors on embedded-hal 1.0: what a register means, and nothing else.
//!
//! Owns addresses, register sequences and the conversion of words to units. Knows neither signal processing nor when it is
//! called. A driver keeps no state of the chip and borrows its bus: make one for a call, `Max30102::new(bus.clone())`, so that
//! several chips share a bus without a lock. Nothing waits, nothing allocates. `wearable_core::sensing` calls the drivers
//! and decides what a fault means for a reading.
//!
//! | chip | measures | bus | data sheet |
//! |---|---|---|---|
//! | [`max30102`] | red and infrared light | I2C 0x57 | Maxim 19-7740 |
//! | [`mpu6050`] | acceleration, its own temperature | I2C 0x68, 0x69 | InvenSense RM-MPU-6000A-00 |
//! | [`tmp10x`] | temperature | I2C 0x48 to 0x4b (TMP105 to 0x4f) | TI SBOS397 (TMP102), SBOS648 (TMP105) |
//! | [`max30003`] | one ECG lead, whether its electrodes are on | SPI mode 0 | Maxim 19-8558 |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "models"))]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(test)]
mod bus;
mod fault;
pub mod max30003;
pub mod max30102;
#[cfg(any(test, feature = "models"))]
pub mod models;
pub mod mpu6050;
pub mod tmp10x;

pub use fault::Fault;
pub use max30003::Max30003;
pub use max30102::Max30102;
pub use mpu6050::Mpu6050;
pub use tmp10x::Tmp10x;

/// What was read out of a chip's FIFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Samples written to the front of the caller's array, oldest first.
    pub count: usize,
    /// At least so many samples are missing after these: the FIFO was full before it was read. 0: none.
    pub lost: u8,
}
