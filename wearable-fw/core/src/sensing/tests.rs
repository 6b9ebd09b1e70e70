//! Sensors that fail, return and come late: each second says what is known, and why the rest is not.

use embedded_hal::{i2c, spi};
use std::vec::Vec;

use super::*;

/// A bus with a TMP105 alone, as the emulated board has it; without, nobody acknowledges.
#[derive(Default)]
struct Bus {
    thermometer: Option<Thermometer>,
    sleeper: Option<Sleeper>,
    held: bool,
}

/// An MPU-6050 that answers and takes no samples, as after a dip of its supply.
#[derive(Default)]
struct Sleeper {
    register: u8,
    starts: u32,
}

impl Sleeper {
    fn answer(&mut self, operation: &mut i2c::Operation<'_>) {
        match operation {
            i2c::Operation::Write([register, values @ ..]) => {
                self.register = *register;
                self.starts += u32::from(*register == 0x6b && !values.is_empty());
            }
            i2c::Operation::Read(bytes) => bytes.fill(if self.register == 0x75 { 0x68 } else { 0 }),
            i2c::Operation::Write([]) => panic!("no register"),
        }
    }
}

struct Thermometer {
    pointer: u8,
    settings: u8,
    word: u16,
}

impl Thermometer {
    const fn at(sixteenths: u16) -> Self {
        Self { pointer: 0, settings: 0, word: sixteenths << 4 }
    }
}

impl i2c::ErrorType for Bus {
    type Error = i2c::ErrorKind;
}

impl I2c for Bus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        if self.held {
            return Err(i2c::ErrorKind::Bus);
        }
        if let Some(sleeper) = self.sleeper.as_mut().filter(|_| address == 0x68) {
            operations.iter_mut().for_each(|operation| sleeper.answer(operation));
            return Ok(());
        }
        let nobody = i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Address);
        let chip = self.thermometer.as_mut().filter(|_| address == 0x49).ok_or(nobody)?;
        assert_eq!(operations.len(), 1, "a repeated start, which the emulated controller does not have");
        match &mut operations[0] {
            i2c::Operation::Write([pointer, settings @ ..]) => {
                chip.pointer = *pointer;
                chip.settings = settings.first().copied().unwrap_or(chip.settings);
            }
            i2c::Operation::Read(bytes) if chip.pointer == 0 => {
                bytes.copy_from_slice(&chip.word.to_be_bytes());
            }
            i2c::Operation::Read(bytes) => bytes.fill(chip.settings),
            i2c::Operation::Write([]) => panic!("no pointer"),
        }
        Ok(())
    }
}

/// An SPI line that nobody drives.
struct OpenLine;

impl spi::ErrorType for OpenLine {
    type Error = spi::ErrorKind;
}

impl SpiDevice for OpenLine {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), spi::ErrorKind> {
        for operation in operations {
            if let spi::Operation::Read(bytes) = operation {
                bytes.fill(0xff);
            }
        }
        Ok(())
    }
}

fn sensors() -> Sensors {
    Sensors::new(Config::default(), Calibration::V1).unwrap()
}

fn seconds(sensors: &mut Sensors, bus: &mut Bus, count: usize) -> Vec<Second> {
    let mut second = || {
        for _ in 0..10 {
            assert_eq!(
                sensors.poll(bus, &mut OpenLine),
                Waves { ecg_gap: true, light_gap: true, ..Waves::default() }
            );
        }
        sensors.second(None)
    };
    (0..count).map(|_| second()).collect()
}

#[test]
fn a_board_without_sensors_says_so_and_gives_no_number() {
    let mut sensors = sensors();
    let second = seconds(&mut sensors, &mut Bus::default(), 5)[4];
    let Readings { heart_rate, variability, pulse_rate, spo2, perfusion, respiration, .. } = second.readings;
    let none = Err(Reason::NoSignal);
    assert_eq!(heart_rate.map(|_| ()), none);
    assert_eq!(variability.map(|_| ()), none);
    assert_eq!(pulse_rate.map(|_| ()), none);
    assert_eq!(spo2.map(|_| ()), none);
    assert_eq!(perfusion.map(|_| ()), none);
    assert_eq!(respiration.map(|_| ()), none);
    assert_eq!(
        (second.body, second.mcu, second.imu),
        (Err(Reason::NoSignal), Err(Reason::NoSignal), Err(Reason::NoSignal))
    );
    assert_eq!((second.acceleration, second.raw_pulse), (Err(Reason::NoSignal), Err(Reason::NoSignal)));
    let absent = Err(Trouble::Fault(Fault::Absent));
    let expected = Health { light: absent, motion: absent, temperature: absent, ecg: absent, overflows: 0 };
    assert_eq!(sensors.health(), expected);
}

#[test]
fn a_thermometer_alone_is_read_each_second_and_comes_back() {
    let mut sensors = sensors();
    let mut bus = Bus { thermometer: Some(Thermometer::at(38 * 16 + 8)), ..Bus::default() };
    let warm = Ok(Celsius::from_hundredths(3850));
    let body = |seconds: Vec<Second>| seconds.into_iter().map(|second| second.body).collect::<Vec<_>>();
    assert_eq!(body(seconds(&mut sensors, &mut bus, 3)), [Err(Reason::Settling), warm, warm]);
    assert_eq!(sensors.health().temperature, Ok(()));
    bus.held = true;
    assert_eq!(body(seconds(&mut sensors, &mut bus, 2)), [Err(Reason::NoSignal); 2]);
    let held = Err(Trouble::Fault(Fault::I2c(i2c::ErrorKind::Bus)));
    assert_eq!(sensors.health().temperature, held);
    bus.held = false;
    assert_eq!(body(seconds(&mut sensors, &mut bus, 2)), [Err(Reason::Settling), warm]);
    bus.thermometer = None;
    assert_eq!(body(seconds(&mut sensors, &mut bus, 1)), [Err(Reason::NoSignal)]);
}

#[test]
fn a_sensor_without_samples_is_given_up_after_two_seconds_and_started_again() {
    let mut chip = Chip::new();
    let mut starts = 0;
    for _ in 0..9 {
        chip.start(|| {
            starts += 1;
            Ok(())
        });
        chip.drain(|| Ok(wearable_drivers::Drained::default()));
        chip.end_second();
    }
    assert_eq!((starts, chip.state()), (3, Err(Trouble::Silent)));
}

#[test]
fn a_motion_sensor_that_tells_its_temperature_and_no_motion_is_started_again() {
    let mut sensors = sensors();
    let mut bus = Bus { sleeper: Some(Sleeper::default()), ..Bus::default() };
    let last = seconds(&mut sensors, &mut bus, 9)[8];
    assert_eq!(bus.sleeper.unwrap().starts, 3);
    assert_eq!(sensors.health().motion, Err(Trouble::Silent));
    assert_eq!(last.acceleration, Err(Reason::NoSignal));
}

#[test]
fn sixteenths_become_the_nearest_hundredth() {
    let table = [(0, 0), (1, 6), (2, 13), (3, 19), (-1, -6), (-2, -12), (592, 3700), (-880, -5500)];
    for (sixteenths, hundredths) in table {
        assert_eq!(Celsius::from_sixteenths(sixteenths).hundredths(), hundredths, "{sixteenths}");
    }
}

#[test]
fn rates_beyond_the_signal_processing_are_refused() {
    let ecg = max30003::Config { rate: max30003::SampleRate::Sps512, ..max30003::Config::default() };
    let refused = Sensors::new(Config { ecg, ..Config::default() }, Calibration::V1);
    assert_eq!(refused.unwrap_err().hz, 512);
}

#[cfg(feature = "link")]
mod travelling {
    use protocol::{
        reading::{Method as Means, Reason as Why},
        vitals::{KnownQuantity, Quantity},
    };

    use super::*;
    use crate::dsp::{Measurement, Method, Quality, motion::Motion};

    fn of(quantities: &[Quantity], known: KnownQuantity) -> Quantity {
        let found = quantities.iter().find(|quantity| quantity.code == known.code).unwrap();
        assert_eq!(found.unit, known.unit);
        found.clone()
    }

    fn absent() -> Second {
        sensors().second(None)
    }

    #[test]
    fn every_quantity_is_there_and_says_why_it_has_no_value() {
        let all = quantities(&absent());
        assert_eq!(all.len(), 17);
        assert!(all.iter().all(|quantity| quantity.reading == Err(Why::NO_SIGNAL)), "{all:?}");
    }

    #[test]
    fn values_come_in_their_units() {
        let celsius = |hundredths| Ok(Celsius::from_hundredths(hundredths));
        let measured = |value, method, calibration| {
            Ok(Measurement { value, quality: Quality::clamped(80), method, calibration, delay_ms: 4000 })
        };
        let mut second = Second {
            body: celsius(3712),
            mcu: celsius(4001),
            imu: celsius(-5),
            acceleration: Ok([-20, 7, 1003]),
            raw_pulse: Ok(90_000),
            ..absent()
        };
        let rate = crate::dsp::Rate::within(723, 0..=3000).unwrap();
        second.readings.heart_rate = measured(rate, Method::EcgBeats, 0);
        second.readings.motion = Motion::Still;
        second.readings.pulse_rate = Err(Reason::FingerOff);
        let all = quantities(&second);
        let value = |known| of(&all, known).reading.unwrap().value.to_f64();
        assert_eq!(value(KnownQuantity::BODY_TEMPERATURE), 37.12);
        assert_eq!(value(KnownQuantity::MCU_TEMPERATURE), 40.01);
        assert_eq!(value(KnownQuantity::IMU_TEMPERATURE), -0.05);
        assert_eq!(value(KnownQuantity::ACCELERATION_X), -0.02);
        assert_eq!(value(KnownQuantity::ACCELERATION_Y), 0.007);
        assert_eq!(value(KnownQuantity::ACCELERATION_Z), 1.003);
        assert_eq!(value(KnownQuantity::RAW_PULSE), 0.6179);
        assert_eq!(value(KnownQuantity::MOTION), 0.0);
        assert_eq!(value(KnownQuantity::HEART_RATE), 72.3);
        let heart = of(&all, KnownQuantity::HEART_RATE).reading.unwrap();
        assert_eq!((heart.method, heart.quality, heart.calibration), (Means::ECG_BEATS, Some(80), 0));
        let body = of(&all, KnownQuantity::BODY_TEMPERATURE).reading.unwrap();
        assert_eq!((body.quality, body.method), (None, Means::DIRECT));
        let quality = |known| of(&all, known).reading;
        assert_eq!(quality(KnownQuantity::ECG_QUALITY), Err(Why::SETTLING));
        assert_eq!(quality(KnownQuantity::PPG_QUALITY), Err(Why::FINGER_OFF));
    }

    #[test]
    fn motion_unknown_is_settling_or_no_accelerometer() {
        let settling = Second { acceleration: Ok([0, 0, 1000]), ..absent() };
        let motion = |second: &Second| of(&quantities(second), KnownQuantity::MOTION).reading;
        assert_eq!([motion(&settling), motion(&absent())], [Err(Why::SETTLING), Err(Why::NO_SIGNAL)]);
    }
}
