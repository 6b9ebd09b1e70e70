//! The I2C bus of the drivers' tests: what a chip is to be asked, in this order, and nothing else.

use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use std::vec;

/// Lets a driver act on a bus where exactly this is asked.
pub(crate) fn on<T>(expected: &[Transaction], act: impl FnOnce(Mock) -> T) -> T {
    let mut bus = Mock::new(expected);
    let done = act(bus.clone());
    bus.done();
    done
}

/// Registers of the chip at an address, from this one on.
pub(crate) fn read(address: u8, register: u8, bytes: &[u8]) -> Transaction {
    Transaction::write_read(address, vec![register], bytes.to_vec())
}

/// A register of the chip at an address.
pub(crate) fn write(address: u8, register: u8, value: u8) -> Transaction {
    Transaction::write(address, vec![register, value])
}
