//! Measures a body without an allocator: sensors, drivers and monitor are really used, so they are really linked.
#![no_std]

use embedded_hal::{i2c, spi};
use wearable_core::{
    dsp::{Monitor, Readings, ecg::Beat, ecg::Electrodes},
    sensing::{Celsius, Second, Sensors},
};
use wearable_drivers::{Fault, Max30102, max30102::Config};

// If any dependency brought std, this would be the second panic handler, and the build would fail.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// One sample of everything worn.
pub fn measure(monitor: &mut Monitor, sample: i32) -> (Option<Beat>, Readings) {
    monitor.set_electrodes(Electrodes::On);
    monitor.push_acceleration([sample; 3]);
    monitor.push_impedance(sample);
    monitor.push_ppg(sample, sample);
    let beat = monitor.push_ecg(sample);
    (beat, monitor.readings())
}

/// A board with two buses.
#[derive(Debug)]
pub struct Bus;

impl i2c::ErrorType for Bus {
    type Error = i2c::ErrorKind;
}

impl i2c::I2c for Bus {
    fn transaction(&mut self, _: u8, _: &mut [i2c::Operation<'_>]) -> Result<(), i2c::ErrorKind> {
        Err(i2c::ErrorKind::Other)
    }
}

impl spi::ErrorType for Bus {
    type Error = spi::ErrorKind;
}

impl spi::SpiDevice for Bus {
    fn transaction(&mut self, _: &mut [spi::Operation<'_, u8>]) -> Result<(), spi::ErrorKind> {
        Err(spi::ErrorKind::Other)
    }
}

/// One second of all sensors.
pub fn sense(sensors: &mut Sensors, mcu: Option<Celsius>) -> Second {
    sensors.poll(&mut Bus, &mut Bus);
    sensors.second(mcu)
}

/// A driver alone.
pub fn start(config: &Config) -> Result<(), Fault> {
    Max30102::new(Bus).start(config)
}
