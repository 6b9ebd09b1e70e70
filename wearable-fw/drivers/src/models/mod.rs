//! The chips as their data sheets tell, register by register, for a simulator or a board without them.
//!
//! Owns what a chip does when it is written to, read, read late or not read at all. Knows no driver and no bus; whoever has
//! one passes its bytes on ([`Registers`], [`max30003::Transfer`]). Not modelled: what lamp current, range and filters do to
//! a signal, the noise of the converters, and the time that a conversion takes. They keep their FIFOs on the heap.

pub mod max30003;
pub mod max30102;
pub mod mpu6050;
#[cfg(test)]
mod tests;
pub mod tmp105;

/// A chip on an I2C bus. A write gives it the pointer first; `at` counts the bytes of a transfer after it.
pub trait Registers {
    /// A byte comes.
    fn write(&mut self, pointer: u8, at: u8, value: u8);

    /// A byte is asked for.
    fn read(&mut self, pointer: u8, at: u8) -> u8;
}
