//! The wearable's sensors as chips on buses: signals become registers and FIFOs, which the firmware's drivers read.
//!
//! Owns the buses, what is wrong with them and the chips' sample rates; the chips themselves are the drivers'
//! [`models`](wearable_drivers::models). Knows no recording and no signal processing: the [`Bench`] puts [`Signals`] into
//! the chips and lets the firmware's own [`Sensors`] read them, the same way as on a board. Deterministic: the same
//! signals, the same bytes.
//!
//! The ECG is resampled from the recording's rate to the chip's 256 Hz, the light to 100 Hz where it was recorded otherwise:
//! linear between two samples, and one recorded sample late.

mod bus;
mod resample;
#[cfg(test)]
mod tests;

use wearable_core::{
    dsp::{UnsupportedRate, ecg::Electrodes, spo2::Calibration},
    sensing::{Config, Health, Second, Sensors, Waves},
};

use self::{
    bus::{Line, Wires},
    resample::Resampler,
};
use crate::{act::Sensor, recording::Signals};

/// Polls in a second.
const POLLS: usize = 10;

/// What is wrong with the sensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// No light sensor answers.
    pub optical: bool,
    /// No motion sensor answers.
    pub motion: bool,
    /// No thermometer answers.
    pub temperature: bool,
    /// No ECG front end drives its line.
    pub ecg: bool,
    /// The firmware reads once a second only: the FIFOs of light and ECG overflow.
    pub late: bool,
    /// A line of the I2C bus is held low: light, motion and temperature cannot be read.
    pub stuck: bool,
}

impl Faults {
    /// Sensors that do not answer.
    pub fn mute(self) -> impl Iterator<Item = Sensor> {
        let Self { optical, motion, temperature, ecg, .. } = self;
        let all = Sensor::ALL.into_iter().zip([optical, motion, temperature, ecg]);
        all.filter_map(|(sensor, is_mute)| is_mute.then_some(sensor))
    }

    /// A sensor stops answering, or answers again.
    pub const fn nack(&mut self, sensor: Sensor, on: bool) {
        *match sensor {
            Sensor::Optical => &mut self.optical,
            Sensor::Motion => &mut self.motion,
            Sensor::Temperature => &mut self.temperature,
            Sensor::Ecg => &mut self.ecg,
        } = on;
    }
}

/// One second as the firmware had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensed {
    /// What it knows.
    pub second: Second,
    /// How its sensors are.
    pub health: Health,
    /// The ECG that it read, microvolt, 256 Hz.
    pub ecg: Vec<i32>,
    /// Red light that it read, counts, 100 Hz.
    pub red: Vec<i32>,
    /// Infrared light that it read, counts, 100 Hz.
    pub infrared: Vec<i32>,
}

/// Chips on their buses, and the firmware that reads them.
#[derive(Clone, Debug)]
pub struct Bench {
    /// What is wrong from now on.
    pub faults: Faults,
    /// Ten kilobytes are too much for the futures that hold a patient.
    sensors: Box<Sensors>,
    wires: Wires,
    line: Line,
    ecg: Resampler<1>,
    light: Resampler<2>,
    motion: Resampler<3>,
}

impl Bench {
    /// A device that was just switched on, for signals at these rates.
    ///
    /// # Errors
    /// [`UnsupportedRate`]: none for the sensors as they are run.
    pub fn new(ecg_hz: u16, ppg_hz: u16, acceleration_hz: u16) -> Result<Self, UnsupportedRate> {
        let mut bench = Self {
            faults: Faults::default(),
            sensors: Box::new(Sensors::new(Config::default(), Calibration::V1)?),
            wires: Wires::default(),
            line: Line::default(),
            ecg: Resampler::new(ecg_hz),
            light: Resampler::new(ppg_hz),
            motion: Resampler::new(acceleration_hz),
        };
        bench.poll();
        Ok(bench)
    }

    /// One second of the device's life.
    pub fn next_second(&mut self, signals: &Signals) -> Sensed {
        (self.wires.faults, self.line.is_open) = (self.faults, self.faults.ecg);
        let temperatures = signals.temperatures;
        self.wires.thermometer.feel(temperatures.body.hundredths());
        self.wires.motion.warm(temperatures.imu.hundredths());
        self.line.chip.set_leads_off(signals.electrodes == Electrodes::Off);
        self.ecg.load(signals.ecg.iter().map(|microvolt| [*microvolt]));
        self.light.load(signals.light.iter().copied());
        self.motion
            .load(signals.acceleration.iter().map(|motion| [motion.x, motion.y, motion.z].map(i32::from)));
        let (mut ecg, mut red, mut infrared) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..POLLS {
            self.pass(step);
            if self.faults.late && step + 1 < POLLS {
                continue;
            }
            let waves = self.poll();
            ecg.extend_from_slice(waves.ecg);
            red.extend_from_slice(waves.red);
            infrared.extend_from_slice(waves.infrared);
        }
        let second = self.sensors.second(Some(temperatures.mcu));
        Sensed { second, health: self.sensors.health(), ecg, red, infrared }
    }

    /// A tenth of a second in the chips.
    fn pass(&mut self, step: usize) {
        for [microvolt] in self.ecg.part(self.line.chip.hz(), step, POLLS) {
            self.line.chip.convert(microvolt);
        }
        for counts in self.light.part(self.wires.light.hz(), step, POLLS) {
            self.wires.light.convert(counts);
        }
        for milli_g in self.motion.part(self.wires.motion.hz(), step, POLLS) {
            self.wires.motion.convert(milli_g);
        }
    }

    fn poll(&mut self) -> Waves<'_> {
        self.sensors.poll(&mut self.wires, &mut self.line)
    }
}
