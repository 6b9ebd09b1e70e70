//! Somebody who wears sensors: what the signal processing costs for each second of signal.

use std::f64::consts::TAU;

use wearable_core::dsp::{Monitor, Readings, SampleRates, spo2::Calibration};

/// What is worn.
#[derive(Debug, Clone, Copy)]
pub struct Worn {
    /// At 360 Hz.
    pub ecg: bool,
    /// Red and infrared at 100 Hz.
    pub ppg: bool,
    /// At 100 Hz.
    pub acceleration: bool,
    /// At 100 Hz.
    pub impedance: bool,
}

const NOTHING: Worn = Worn { ecg: false, ppg: false, acceleration: false, impedance: false };

impl Worn {
    /// ECG alone.
    pub const ECG: Self = Self { ecg: true, ..NOTHING };
    /// PPG alone.
    pub const PPG: Self = Self { ppg: true, ..NOTHING };
    /// PPG and accelerometer, in motion.
    pub const PPG_MOVING: Self = Self { acceleration: true, ..Self::PPG };
    /// Impedance alone.
    pub const IMPEDANCE: Self = Self { impedance: true, ..NOTHING };
    /// What the goals are about.
    pub const ECG_PPG: Self = Self { ecg: true, ..Self::PPG };
    /// All of it, in motion.
    pub const ALL: Self = Self { ecg: true, ppg: true, acceleration: true, impedance: true };

    /// Each by its name.
    pub const EACH: [(&str, Self); 6] = [
        ("ECG 360 Hz", Self::ECG),
        ("PPG 100 Hz", Self::PPG),
        ("PPG and acceleration 100 Hz, running", Self::PPG_MOVING),
        ("impedance 100 Hz", Self::IMPEDANCE),
        ("ECG 360 Hz and PPG 100 Hz", Self::ECG_PPG),
        ("all, running", Self::ALL),
    ];
}

const ECG_HZ: usize = 360;
const OTHERS_HZ: usize = 100;
/// The signals repeat after this; 72 bpm, 15 breaths/min and 150 steps/min all fit.
const LOOP_SECONDS: usize = 20;
/// Longer than every window of the signal processing.
const SETTLED_SECONDS: u32 = 400;

/// A monitor with everything worn, after its windows are full.
#[derive(Debug, Clone)]
pub struct Wearer {
    worn: Worn,
    monitor: Monitor,
    second: usize,
    ecg: Vec<i32>,
    light: Vec<[i32; 2]>,
    acceleration: Vec<[i32; 3]>,
    impedance: Vec<i32>,
}

impl Wearer {
    /// Measured for so long that the next second costs what any other does.
    #[must_use]
    pub fn new(worn: Worn) -> Self {
        let rates = SampleRates { ecg_hz: 360, ppg_hz: 100, acceleration_hz: 100, impedance_hz: 100 };
        let mut wearer = Self {
            worn,
            monitor: Monitor::new(rates, Calibration::V1).unwrap(),
            second: 0,
            ecg: signal(ECG_HZ, |time| {
                let beat = (time * 1.2).fract();
                let wave = |at: f64, width: f64, height: f64| height * (-((beat - at) / width).powi(2)).exp();
                wave(0.2, 0.03, 120.0) + wave(0.35, 0.015, 1_000.0) + wave(0.6, 0.06, 250.0)
                    - wave(0.38, 0.015, 200.0)
                    + 150.0 * (TAU * time * 0.25).sin()
            }),
            // Absorbance in millionths, then counts by the law of Lambert and Beer; breathing changes the pulse's
            // strength, its time and the level.
            light: signal(OTHERS_HZ, |time| {
                let breath = (TAU * time * 0.25).sin();
                let turn = TAU * 1.2 * time + 0.15 * breath;
                20_000.0 * (0.4 * turn.sin() + 0.15 * (2.0 * turn).sin()) * (1.0 + 0.15 * breath)
                    + 3_000.0 * breath
            })
            .into_iter()
            .map(|absorbance| {
                [(60_000.0, 0.5), (90_000.0, 1.0)]
                    .map(|(counts, gain)| rounded(counts * (-gain * f64::from(absorbance) / 1e6).exp()))
            })
            .collect(),
            acceleration: signal(OTHERS_HZ, |time| 400.0 * (TAU * time * 2.5).sin())
                .into_iter()
                .map(|step| [step / 2, step / 3, 1000 + step])
                .collect(),
            impedance: signal(OTHERS_HZ, |time| 25_000.0 + 400.0 * (TAU * time * 0.25).sin()),
        };
        wearer.seconds(SETTLED_SECONDS);
        wearer
    }

    /// What it says after `count` more seconds, whose samples come in the order of time.
    pub fn seconds(&mut self, count: u32) -> Readings {
        for _ in 0..count {
            let second = self.second % LOOP_SECONDS;
            self.second += 1;
            let mut others = second * OTHERS_HZ..(second + 1) * OTHERS_HZ;
            for (tick, microvolt) in self.ecg[second * ECG_HZ..][..ECG_HZ].iter().enumerate() {
                if self.worn.ecg {
                    self.monitor.push_ecg(*microvolt);
                }
                if tick * OTHERS_HZ % ECG_HZ < OTHERS_HZ
                    && let Some(at) = others.next()
                {
                    if self.worn.acceleration {
                        self.monitor.push_acceleration(self.acceleration[at]);
                    }
                    if self.worn.ppg {
                        let [red, infrared] = self.light[at];
                        self.monitor.push_ppg(red, infrared);
                    }
                    if self.worn.impedance {
                        self.monitor.push_impedance(self.impedance[at]);
                    }
                }
            }
        }
        self.monitor.readings()
    }
}

/// One loop of a function of seconds.
fn signal(hz: usize, at: impl Fn(f64) -> f64) -> Vec<i32> {
    let samples = u32::try_from(hz * LOOP_SECONDS).unwrap();
    let hz = f64::from(u32::try_from(hz).unwrap());
    (0..samples).map(|sample| rounded(at(f64::from(sample) / hz))).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "signals are far below 2^31")]
fn rounded(value: f64) -> i32 {
    value.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise it would be the cost of refusing.
    #[test]
    fn what_is_worn_is_measured() {
        let readings = Wearer::new(Worn::ALL).seconds(1);
        assert!(readings.heart_rate.is_ok() && readings.respiration.is_ok(), "{readings:?}");
        let resting = Wearer::new(Worn::ECG_PPG).seconds(1);
        assert!(resting.heart_rate.is_ok() && resting.pulse_rate.is_ok(), "{resting:?}");
        assert!(resting.spo2.is_ok() && resting.respiration.is_ok(), "{resting:?}");
    }
}
