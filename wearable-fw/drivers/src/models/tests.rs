//! The models answer as the chips do that the drivers were written for.

use embedded_hal::{
    i2c::{self, I2c},
    spi::{self, SpiDevice},
};

use super::*;
use crate::{Drained, Max30003, Max30102, Mpu6050, Tmp10x, max30102::Light, tmp10x};

/// One chip and its pointer, at every address.
struct Alone<C>(C, u8);

impl<C> i2c::ErrorType for Alone<C> {
    type Error = i2c::ErrorKind;
}

impl<C: Registers> I2c for Alone<C> {
    fn transaction(&mut self, _: u8, operations: &mut [i2c::Operation<'_>]) -> Result<(), i2c::ErrorKind> {
        for operation in operations {
            match operation {
                i2c::Operation::Write(bytes) => {
                    self.1 = bytes[0];
                    (0..).zip(&bytes[1..]).for_each(|(at, byte)| self.0.write(self.1, at, *byte));
                }
                i2c::Operation::Read(bytes) => {
                    (0..).zip(bytes.iter_mut()).for_each(|(at, byte)| *byte = self.0.read(self.1, at));
                }
            }
        }
        Ok(())
    }
}

struct Selected(max30003::Max30003);

impl spi::ErrorType for Selected {
    type Error = spi::ErrorKind;
}

impl SpiDevice for Selected {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), spi::ErrorKind> {
        let mut transfer = self.0.select();
        for operation in operations {
            match operation {
                spi::Operation::Read(bytes) => bytes.iter_mut().for_each(|byte| *byte = transfer.byte(0)),
                spi::Operation::Write(bytes) => bytes.iter().for_each(|byte| _ = transfer.byte(*byte)),
                _ => panic!("the driver does neither"),
            }
        }
        Ok(())
    }
}

#[test]
fn a_light_fifo_that_stops_keeps_the_oldest_and_one_that_rolls_over_the_newest() {
    for (configuration, first, lost) in [(0x00, 0, 8), (0x10, 8, 0)] {
        let mut bus = Alone(max30102::Max30102::default(), 0);
        Max30102::new(&mut bus).start(&crate::max30102::Config::default()).unwrap();
        bus.write(0x57, &[0x08, configuration]).unwrap();
        assert_eq!(bus.0.hz(), 100);
        (0..40).for_each(|at| bus.0.convert([at, i32::MAX]));
        let mut lights = [Light::default(); 32];
        let drained = Max30102::new(&mut bus).drain(&mut lights).unwrap();
        assert_eq!((drained.count, drained.lost), (32, lost));
        assert!((first..).zip(lights).all(|(at, light)| light == Light { red: at, infrared: 0x3_ffff }));
        assert_eq!(Max30102::new(&mut bus).drain(&mut lights), Ok(Drained::default()));
    }
}

#[test]
fn a_light_sensor_that_is_off_measures_nothing() {
    let mut bus = Alone(max30102::Max30102::default(), 0);
    assert_eq!(bus.0.hz(), 0);
    Max30102::new(&mut bus).start(&crate::max30102::Config::default()).unwrap();
    Max30102::new(&mut bus).shut_down().unwrap();
    assert_eq!(bus.0.hz(), 0);
}

#[test]
fn a_motion_fifo_that_wrote_over_itself_is_thrown_away() {
    let mut bus = Alone(mpu6050::Mpu6050::default(), 0);
    assert_eq!(bus.0.hz(), 0, "it sleeps after power-up");
    Mpu6050::new(&mut bus, 0x68).start(&crate::mpu6050::Config::default()).unwrap();
    assert_eq!(bus.0.hz(), 100);
    let mut counts = [[0; 3]; 32];
    let mut drain = |bus: &mut Alone<_>| Mpu6050::new(bus, 0x68).drain(&mut counts).unwrap();
    (0..170).for_each(|_| bus.0.convert([0, -500, 1000]));
    assert_eq!((drain(&mut bus).count, drain(&mut bus).count), (32, 32));
    (0..200).for_each(|_| bus.0.convert([0, -500, 1000]));
    assert_eq!((drain(&mut bus).lost, drain(&mut bus).count), (1, 0));
    bus.0.convert([0, -500, 1000]);
    assert_eq!(drain(&mut bus).count, 1);
    assert_eq!(counts[0], [0, -8192, 16_384]);
}

#[test]
fn every_temperature_of_the_motion_sensor_comes_back() {
    let mut bus = Alone(mpu6050::Mpu6050::default(), 0);
    for hundredths in -4000..=8500 {
        bus.0.warm(hundredths);
        assert_eq!(Mpu6050::new(&mut bus, 0x68).temperature(), Ok(hundredths));
    }
}

#[test]
fn a_thermometer_measures_all_the_time_or_when_told() {
    let mut bus = Alone(tmp105::Tmp105::default(), 0);
    let mut run = |conversion| {
        let config = tmp10x::Config { conversion, ..tmp10x::Config::default() };
        bus.0.feel(2500);
        Tmp10x::new(&mut bus, config).start().unwrap();
        [3_710, -250].map(|hundredths| {
            bus.0.feel(hundredths);
            Tmp10x::new(&mut bus, config).temperature().unwrap()
        })
    };
    assert_eq!(run(tmp10x::Conversion::Continuous), [594, -40]);
    assert_eq!(run(tmp10x::Conversion::OneShot), [400, 594]);
}

#[test]
fn an_ecg_fifo_stops_until_it_is_reset() {
    let mut bus = Selected(max30003::Max30003::default());
    let config = crate::max30003::Config::default();
    Max30003::new(&mut bus, config).start().unwrap();
    assert_eq!(bus.0.hz(), 256);
    (0..33).for_each(|_| bus.0.convert(1000));
    let mut samples = [0; 32];
    let overflow = Max30003::new(&mut bus, config).drain(&mut samples).unwrap();
    assert_eq!((overflow.drained.count, overflow.drained.lost), (0, 1));
    (0..32).for_each(|_| bus.0.convert(-1000));
    bus.0.set_leads_off(true);
    let full = Max30003::new(&mut bus, config).drain(&mut samples).unwrap();
    assert_eq!((full.drained.count, full.drained.lost, samples), (32, 0, [-1000; 32]));
    assert!(full.leads_off);
    Max30003::new(&mut bus, config).shut_down().unwrap();
    assert_eq!(bus.0.hz(), 0);
}
