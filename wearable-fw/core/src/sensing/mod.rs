//! From sensors to what the device knows each second: the one door between the drivers and [`crate::dsp`].
//!
//! Owns which sensor is asked when, what its fault means for a reading, and that one which comes back starts anew. Knows no
//! clock: the caller [`polls`](Sensors::poll) at least every 100 ms and takes a [`Second`] every second. Board and
//! simulator share all of it; they differ in the buses they hand in. `quantities` makes of a second what travels.

mod chip;
#[cfg(feature = "link")]
mod quantities;

use embedded_hal::{i2c::I2c, spi::SpiDevice};
use wearable_drivers::{
    Fault, Max30003, Max30102, Mpu6050, Tmp10x, max30003,
    max30102::{self, Light},
    mpu6050::{self, milli_g},
    tmp10x,
};

use self::chip::{Chip, Taken};
#[cfg(feature = "link")]
pub use self::quantities::quantities;
use crate::dsp::{
    Monitor, Readings, Reason, SampleRates, Stream, UnsupportedRate, ecg::Electrodes, spo2::Calibration,
};

/// Longest time between two polls, milliseconds: the ECG's FIFO is full after 125.
pub const POLL_MS: u32 = 100;
/// The motion sensor's FIFO in parts.
const PARTS: usize = 6;

/// Which sensors there are and how they are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Red and infrared light.
    pub light: max30102::Config,
    /// Acceleration.
    pub motion: mpu6050::Config,
    /// The motion sensor's address.
    pub motion_address: MotionAddress,
    /// Body temperature.
    pub temperature: tmp10x::Config,
    /// The ECG, up to 256 samples a second.
    pub ecg: max30003::Config,
}

/// How the motion sensor's pin AD0 is wired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MotionAddress {
    /// To ground.
    #[default]
    Low = mpu6050::ADDRESS as isize,
    /// To the supply.
    High = mpu6050::ADDRESS_AD0_HIGH as isize,
}

/// Why a sensor brings nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Trouble {
    /// It was not asked yet, or its first measurement is not done.
    #[error("the sensor starts")]
    Starting,
    /// It cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It answers, and measures nothing.
    #[error(
        "the sensor answers and brings no samples; check its clock and its supply. It is started again each second"
    )]
    Silent,
}

/// How each sensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// MAX30102.
    pub light: Result<(), Trouble>,
    /// MPU-6050.
    pub motion: Result<(), Trouble>,
    /// TMP10x.
    pub temperature: Result<(), Trouble>,
    /// MAX30003.
    pub ecg: Result<(), Trouble>,
    /// Times that a FIFO was full before it was read.
    pub overflows: u32,
}

/// A temperature in steps of 0.01 C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Celsius(i16);

impl Celsius {
    /// 3712 is 37.12 C.
    #[must_use]
    pub const fn from_hundredths(hundredths: i16) -> Self {
        Self(hundredths)
    }

    /// Hundredths of a degree: 3712 is 37.12 C.
    #[must_use]
    pub const fn hundredths(self) -> i16 {
        self.0
    }

    /// As the drivers tell it, to the nearest hundredth.
    #[must_use]
    pub fn from_sixteenths(sixteenths: i16) -> Self {
        let hundredths = (i32::from(sixteenths) * 25 + 2).div_euclid(4);
        Self(i16::try_from(hundredths).unwrap_or(if sixteenths < 0 { i16::MIN } else { i16::MAX }))
    }
}

/// What the device knows at the end of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// About the body.
    pub readings: Readings,
    /// Body temperature.
    pub body: Result<Celsius, Reason>,
    /// Temperature of the processor.
    pub mcu: Result<Celsius, Reason>,
    /// Temperature of the motion sensor.
    pub imu: Result<Celsius, Reason>,
    /// The newest acceleration, x, y, z in mg.
    pub acceleration: Result<[i16; 3], Reason>,
    /// The newest infrared light, counts of 18 bits.
    pub raw_pulse: Result<u32, Reason>,
}

/// What one poll brought, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waves<'a> {
    /// Microvolt.
    pub ecg: &'a [i32],
    /// Counts of 18 bits.
    pub red: &'a [i32],
    /// Counts of 18 bits, one for each of `red`.
    pub infrared: &'a [i32],
    /// ECG samples are missing after these.
    pub ecg_gap: bool,
    /// Light is missing after these.
    pub light_gap: bool,
}

/// All sensors of a device and the signal processing behind them.
#[derive(Clone, Debug)]
pub struct Sensors {
    config: Config,
    monitor: Monitor,
    light: Chip,
    motion: Chip,
    temperature: Chip,
    ecg: Chip,
    /// A second began: what is slow is read, and what is off is started.
    fresh: bool,
    newest: Newest,
    microvolts: [i32; max30003::DEPTH],
    red: [i32; max30102::DEPTH],
    infrared: [i32; max30102::DEPTH],
}

/// Of this second.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    body: Option<Celsius>,
    imu: Option<Celsius>,
    acceleration: Option<[i16; 3]>,
    infrared: Option<u32>,
}

impl Sensors {
    /// Sensors that were not asked yet.
    ///
    /// # Errors
    /// [`UnsupportedRate`] for sample rates that the signal processing does not take.
    pub fn new(config: Config, calibration: Calibration) -> Result<Self, UnsupportedRate> {
        let rates = SampleRates {
            ecg_hz: config.ecg.rate.hz(),
            ppg_hz: config.light.rate.hz(),
            acceleration_hz: config.motion.hz(),
            ..SampleRates::default()
        };
        Ok(Self {
            config,
            monitor: Monitor::new(rates, calibration)?,
            light: Chip::new(),
            motion: Chip::new(),
            temperature: Chip::new(),
            ecg: Chip::new(),
            fresh: true,
            newest: Newest::default(),
            microvolts: [0; max30003::DEPTH],
            red: [0; max30102::DEPTH],
            infrared: [0; max30102::DEPTH],
        })
    }

    /// Reads what the sensors have. Once a second also the temperatures, and it starts what is not at work. Waits for
    /// nothing but the buses, some 10 ms of I2C at 400 kHz.
    pub fn poll(&mut self, i2c: &mut impl I2c, spi: &mut impl SpiDevice) -> Waves<'_> {
        if core::mem::take(&mut self.fresh) {
            self.read_temperatures(i2c);
            self.start(i2c, spi);
        }
        let light = self.read_motion_and_light(i2c);
        let ecg = self.read_ecg(spi);
        Waves {
            ecg: self.microvolts.split_at(ecg.count).0,
            red: self.red.split_at(light.count).0,
            infrared: self.infrared.split_at(light.count).0,
            ecg_gap: ecg.gap,
            light_gap: light.gap,
        }
    }

    /// Ends a second. The processor's temperature comes from the board, if it has one.
    pub fn second(&mut self, mcu: Option<Celsius>) -> Second {
        self.fresh = true;
        for (chip, stream) in [
            (&mut self.light, Stream::Ppg),
            (&mut self.motion, Stream::Acceleration),
            (&mut self.ecg, Stream::Ecg),
        ] {
            if chip.end_second() {
                self.monitor.interrupt(stream);
            }
        }
        let Newest { body, imu, acceleration, infrared } = core::mem::take(&mut self.newest);
        Second {
            readings: self.monitor.readings(),
            body: body.ok_or_else(|| self.temperature.reason()),
            mcu: mcu.ok_or(Reason::NoSignal),
            imu: imu.ok_or_else(|| self.motion.reason()),
            acceleration: acceleration.ok_or_else(|| self.motion.reason()),
            raw_pulse: infrared.ok_or_else(|| self.light.reason()),
        }
    }

    /// How each sensor is now.
    #[must_use]
    pub const fn health(&self) -> Health {
        Health {
            light: self.light.state(),
            motion: self.motion.state(),
            temperature: self.temperature.state(),
            ecg: self.ecg.state(),
            overflows: self.light.overflows() + self.motion.overflows() + self.ecg.overflows(),
        }
    }

    fn start(&mut self, i2c: &mut impl I2c, spi: &mut impl SpiDevice) {
        let Config { light, motion, temperature, ecg, .. } = self.config;
        self.light.start(|| Max30102::new(&mut *i2c).start(&light));
        let address = self.config.motion_address;
        self.motion.start(|| Mpu6050::new(&mut *i2c, address as u8).start(&motion));
        self.temperature.start(|| Tmp10x::new(i2c, temperature).start());
        self.ecg.start(|| Max30003::new(spi, ecg).start());
    }

    fn read_temperatures(&mut self, i2c: &mut impl I2c) {
        let Config { motion_address, temperature, .. } = self.config;
        let body = self.temperature.read(|| Tmp10x::new(&mut *i2c, temperature).temperature());
        self.newest.body = body.map(Celsius::from_sixteenths);
        let imu = self.motion.ask(|| Mpu6050::new(i2c, motion_address as u8).temperature());
        self.newest.imu = imu.map(Celsius);
    }

    /// Each movement before the light that it disturbs.
    fn read_motion_and_light(&mut self, i2c: &mut impl I2c) -> Taken {
        let mut lights = [Light::default(); max30102::DEPTH];
        let light = self.light.drain(|| Max30102::new(&mut *i2c).drain(&mut lights));
        let mut counts = [mpu6050::Counts::default(); mpu6050::AT_ONCE];
        let mut motion = self.read_motion(i2c, &mut counts);
        let mut moves = counts.into_iter().take(motion.count);
        let places = self.red.iter_mut().zip(&mut self.infrared);
        for (at, (sample, place)) in lights.into_iter().zip(places).take(light.count).enumerate() {
            let until = |light_at: usize| light_at * motion.count / light.count;
            for counts in moves.by_ref().take(until(at + 1) - until(at)) {
                push_acceleration(&mut self.monitor, &mut self.newest, counts);
            }
            let [red, infrared] = [sample.red, sample.infrared].map(u32::cast_signed);
            (*place.0, *place.1) = (red, infrared);
            self.monitor.push_ppg(red, infrared);
            self.newest.infrared = Some(sample.infrared);
        }
        moves.for_each(|counts| push_acceleration(&mut self.monitor, &mut self.newest, counts));
        for _ in 1..PARTS {
            if motion.count < mpu6050::AT_ONCE {
                break;
            }
            motion = self.read_motion(i2c, &mut counts);
            let more = counts.into_iter().take(motion.count);
            more.for_each(|counts| push_acceleration(&mut self.monitor, &mut self.newest, counts));
        }
        if light.gap {
            self.monitor.interrupt(Stream::Ppg);
        }
        light
    }

    fn read_motion(&mut self, i2c: &mut impl I2c, into: &mut [mpu6050::Counts; mpu6050::AT_ONCE]) -> Taken {
        let address = self.config.motion_address;
        let taken = self.motion.drain(|| Mpu6050::new(i2c, address as u8).drain(into));
        if taken.gap {
            self.monitor.interrupt(Stream::Acceleration);
        }
        taken
    }

    fn read_ecg(&mut self, spi: &mut impl SpiDevice) -> Taken {
        let config = self.config.ecg;
        let mut leads_off = false;
        let taken = self.ecg.drain(|| {
            let ecg = Max30003::new(spi, config).drain(&mut self.microvolts)?;
            leads_off = ecg.leads_off;
            Ok(ecg.drained)
        });
        self.monitor.set_electrodes(if leads_off { Electrodes::Off } else { Electrodes::On });
        for microvolt in self.microvolts.iter().take(taken.count).copied() {
            // The converter ends long before the rail of `dsp`.
            let is_railed = microvolt.abs() >= config.gain.reach();
            self.monitor.push_ecg(if is_railed { microvolt.signum() * i32::MAX } else { microvolt });
        }
        if taken.gap {
            self.monitor.interrupt(Stream::Ecg);
        }
        taken
    }
}

fn push_acceleration(monitor: &mut Monitor, newest: &mut Newest, counts: mpu6050::Counts) {
    let acceleration = counts.map(milli_g);
    monitor.push_acceleration(acceleration.map(i32::from));
    newest.acceleration = Some(acceleration);
}

#[cfg(test)]
mod tests;
