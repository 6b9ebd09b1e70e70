//! From what was measured in a second to the quantities that travel. Owns the units, which quantity has which name and the
//! numbers of methods and reasons; knows neither numbers nor time of samples. What could not be measured says why.

use protocol::{
    reading::{Measurement, Method, Reason},
    vitals::{Decimal, KnownQuantity, Quantity},
};
use wearable_core::dsp::{self, Monitor, Readings, SampleRates, motion::Motion, spo2::Calibration};

use crate::{
    act::{Act, Body},
    patient::{Patient, Second},
    recording::{Celsius, Motion as Acceleration, ReplayError, Signals, Temperatures},
    scenario::Scenario,
};

/// Full scale and reference of the simulated 18-bit converter: counts become 0.1 mV of 1.8 V.
const CONVERTER_COUNTS: i32 = 1 << 18;
const REFERENCE_TENTH_MILLIVOLT: i32 = 18_000;

/// The quantities of a second, what matters most first.
#[must_use]
pub fn quantities(step: &Step) -> Vec<Quantity> {
    use KnownQuantity as Known;
    let readings = &step.readings;
    let celsius = |known: Known, value: Celsius| known.measured(value.hundredths().into(), -2);
    let gravity = |known: Known, thousandths: i16| known.measured(thousandths.into(), -3);
    let mut quantities = vec![
        measured(Known::HEART_RATE, readings.heart_rate, -1, |rate| rate.tenths()),
        measured(Known::PULSE_RATE, readings.pulse_rate, -1, |rate| rate.tenths()),
        measured(Known::SPO2, readings.spo2, -1, |saturation| saturation.tenths()),
        measured(Known::RESPIRATION, readings.respiration, -1, |rate| rate.tenths()),
        celsius(Known::BODY_TEMPERATURE, step.temperatures.body),
        measured(Known::PERFUSION_INDEX, readings.perfusion, -2, |index| index.hundredths()),
        motion(readings.motion),
        measured(Known::SDNN, readings.variability, -1, |variability| variability.sdnn),
        measured(Known::RMSSD, readings.variability, -1, |variability| variability.rmssd),
        signal(Known::ECG_QUALITY, readings.ecg_quality, readings.heart_rate),
        signal(Known::PPG_QUALITY, readings.ppg_quality, readings.pulse_rate),
        celsius(Known::MCU_TEMPERATURE, step.temperatures.mcu),
        celsius(Known::IMU_TEMPERATURE, step.temperatures.imu),
        gravity(Known::ACCELERATION_X, step.acceleration.x),
        gravity(Known::ACCELERATION_Y, step.acceleration.y),
        gravity(Known::ACCELERATION_Z, step.acceleration.z),
    ];
    quantities.extend(step.raw_pulse.last().map(|counts| {
        let volts = i64::from(*counts) * i64::from(REFERENCE_TENTH_MILLIVOLT) / i64::from(CONVERTER_COUNTS);
        Known::RAW_PULSE.measured(i32::try_from(volts).unwrap_or(i32::MAX), -4)
    }));
    quantities
}

fn measured<T: Copy>(
    known: KnownQuantity,
    reading: dsp::Reading<T>,
    exponent: i8,
    mantissa: impl Fn(T) -> u16,
) -> Quantity {
    known.reading(match reading {
        Ok(measured) => Ok(Measurement {
            value: Decimal { mantissa: mantissa(measured.value).into(), exponent },
            quality: Some(measured.quality.percent()),
            method: method(measured.method),
            calibration: measured.calibration,
        }),
        Err(why) => Err(reason(why)),
    })
}

/// Neither the motion state nor a signal's quality is itself assessed.
fn unassessed(known: KnownQuantity, mantissa: i32, method: Method) -> Quantity {
    let value = Decimal { mantissa, exponent: 0 };
    known.reading(Ok(Measurement { value, quality: None, method, calibration: 0 }))
}

fn motion(state: Motion) -> Quantity {
    let moving = match state {
        Motion::Unknown => return KnownQuantity::MOTION.reading(Err(Reason::SETTLING)),
        Motion::Still => 0,
        Motion::Moving => 1,
    };
    unassessed(KnownQuantity::MOTION, moving, Method::ACCELERATION)
}

/// A signal that cannot be judged has no quality for the reason that its rate is not measured, but for a finding.
fn signal<T: Copy>(known: KnownQuantity, quality: Option<dsp::Quality>, rate: dsp::Reading<T>) -> Quantity {
    match quality {
        Some(quality) => unassessed(known, quality.percent().into(), Method::SIGNAL_INDEX),
        None => known.reading(Err(match rate {
            Ok(_) | Err(dsp::Reason::NoBeat) => Reason::SETTLING,
            Err(why) => reason(why),
        })),
    }
}

const fn method(method: dsp::Method) -> Method {
    match method {
        dsp::Method::EcgBeats => Method::ECG_BEATS,
        dsp::Method::PulsePeriod => Method::PULSE_PERIOD,
        dsp::Method::PulseSpectrum => Method::PULSE_SPECTRUM,
        dsp::Method::RatioOfRatios => Method::RATIO_OF_RATIOS,
        dsp::Method::PulseAmplitude => Method::PULSE_AMPLITUDE,
        dsp::Method::PulseModulation => Method::PULSE_MODULATION,
        dsp::Method::Impedance => Method::IMPEDANCE,
    }
}

const fn reason(reason: dsp::Reason) -> Reason {
    match reason {
        dsp::Reason::Settling => Reason::SETTLING,
        dsp::Reason::LowQuality => Reason::LOW_QUALITY,
        dsp::Reason::Motion => Reason::MOTION,
        dsp::Reason::Saturated => Reason::SATURATED,
        dsp::Reason::FingerOff => Reason::FINGER_OFF,
        dsp::Reason::LeadOff => Reason::LEAD_OFF,
        dsp::Reason::LowPerfusion => Reason::LOW_PERFUSION,
        dsp::Reason::NoBeat => Reason::NO_BEAT,
        dsp::Reason::NoSignal => Reason::NO_SIGNAL,
    }
}

/// What the device makes of one second of its patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Seconds since the replay began, 0 first; the readings hold at the end of this second.
    pub second: u32,
    /// What the firmware measures.
    pub readings: Readings,
    /// Synthetic.
    pub temperatures: Temperatures,
    /// Synthetic, the newest of this second.
    pub acceleration: Acceleration,
    /// ECG of this second, microvolt.
    pub raw_ecg: Vec<i32>,
    /// Infrared light of this second, counts: the raw pulse.
    pub raw_pulse: Vec<i32>,
}

/// A patient and the firmware's signal processing that is worn.
#[derive(Clone, Debug)]
pub struct Wearer {
    patient: Patient,
    /// Ten kilobytes are too much for the futures that hold a patient.
    monitor: Box<Monitor>,
}

impl Wearer {
    /// Puts the device on, for as long as the patient is said to have worn it.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn new(patient: Patient) -> Result<Self, ReplayError> {
        let monitor = monitor(&patient)?;
        let mut wearer = Self { patient, monitor };
        wearer.settle();
        Ok(wearer)
    }

    fn settle(&mut self) {
        (0..self.patient.unsettled()).map(|_| self.next_second()).for_each(drop);
    }

    /// The patient.
    #[must_use]
    pub const fn patient(&self) -> &Patient {
        &self.patient
    }

    /// Starts a scenario from its first second, or as many later as the device was worn. The signal processing starts
    /// anew, as after putting the device on.
    ///
    /// # Errors
    /// [`ReplayError`]; the running scenario then goes on.
    pub fn set_scenario(&mut self, scenario: Scenario) -> Result<(), ReplayError> {
        self.patient.set_scenario(scenario)?;
        self.monitor = monitor(&self.patient)?;
        self.settle();
        Ok(())
    }

    /// Something is done to the patient now.
    pub fn act(&mut self, body: Body) {
        self.patient.act(body);
    }

    /// The next second, and what the scenario does to everything else than the patient.
    pub fn next_second(&mut self) -> (Vec<Act>, Step) {
        let Second { acts, signals } = self.patient.next_second();
        self.monitor.set_electrodes(signals.electrodes);
        let Signals { second, ecg, light, acceleration, temperatures, .. } = signals;
        let until = |at: usize| at * acceleration.len() / light.len();
        for (at, [red, infrared]) in light.iter().enumerate() {
            for Acceleration { x, y, z } in acceleration.get(until(at)..until(at + 1)).unwrap_or_default() {
                self.monitor.push_acceleration([*x, *y, *z].map(i32::from));
            }
            self.monitor.push_ppg(*red, *infrared);
        }
        for sample in &ecg {
            self.monitor.push_ecg(*sample);
        }
        let step = Step {
            second,
            readings: self.monitor.readings(),
            temperatures,
            acceleration: acceleration.last().copied().unwrap_or_default(),
            raw_ecg: ecg,
            raw_pulse: light.into_iter().map(|[_, infrared]| infrared).collect(),
        };
        (acts, step)
    }
}

fn monitor(patient: &Patient) -> Result<Box<Monitor>, ReplayError> {
    let [ecg_hz, ppg_hz] = patient.rates_hz();
    let rates = SampleRates { ecg_hz, ppg_hz, ..SampleRates::default() };
    Ok(Box::new(Monitor::new(rates, Calibration::V1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wearer(scenario: &str, worn: u32) -> Wearer {
        let scenario = Scenario::load(scenario).unwrap();
        Wearer::new(Patient::new(None, scenario, Some(3)).unwrap().worn_for(worn)).unwrap()
    }

    fn of(quantities: &[Quantity], known: KnownQuantity) -> Quantity {
        let found = quantities.iter().find(|quantity| quantity.code == known.code).unwrap();
        assert_eq!(found.unit, known.unit);
        found.clone()
    }

    fn value(quantities: &[Quantity], known: KnownQuantity) -> f64 {
        of(quantities, known).reading.unwrap().value.to_f64()
    }

    #[test]
    fn a_settled_second_has_every_quantity_in_its_unit() {
        let mut wearer = wearer("normal", 0);
        let seconds = (0..120).map(|_| quantities(&wearer.next_second().1));
        let is_settled = |all: &Vec<Quantity>| {
            let vital = [KnownQuantity::HEART_RATE, KnownQuantity::PULSE_RATE, KnownQuantity::SPO2];
            vital.into_iter().all(|known| of(all, known).reading.is_ok())
        };
        let all = seconds.into_iter().find(is_settled).unwrap();
        assert!(all.iter().all(Quantity::is_plausible), "{all:?}");
        assert!((36.0..38.0).contains(&value(&all, KnownQuantity::BODY_TEMPERATURE)));
        assert!((0.9..1.1).contains(&value(&all, KnownQuantity::ACCELERATION_Z)));
        assert!((94.0..=100.0).contains(&value(&all, KnownQuantity::SPO2)));
        assert!((0.3..1.0).contains(&value(&all, KnownQuantity::RAW_PULSE)));
        let spo2 = of(&all, KnownQuantity::SPO2).reading.unwrap();
        assert_eq!((spo2.method, spo2.calibration), (Method::RATIO_OF_RATIOS, 1));
        assert!(spo2.quality > Some(0));
        let heart_rate = of(&all, KnownQuantity::HEART_RATE).reading.unwrap();
        assert_eq!((heart_rate.method, heart_rate.calibration), (Method::ECG_BEATS, 0));
        let temperature = of(&all, KnownQuantity::BODY_TEMPERATURE).reading.unwrap();
        assert_eq!((temperature.quality, temperature.method), (None, Method::DIRECT));
    }

    #[test]
    fn a_device_worn_for_a_while_continues_where_it_would_be() {
        let mut from_start = wearer("desaturation", 0);
        let late = (0..=75).map(|_| from_start.next_second()).last();
        let mut worn = wearer("normal", 75);
        assert_eq!(worn.next_second().1.second, 75);
        worn.set_scenario(Scenario::load("desaturation").unwrap()).unwrap();
        assert_eq!(Some(worn.next_second()), late);
    }

    #[test]
    fn what_was_not_measured_says_why() {
        let mut wearer = wearer("finger-off", 0);
        let first = quantities(&wearer.next_second().1);
        (0..39).for_each(|_| drop(wearer.next_second()));
        let uncovered = quantities(&wearer.next_second().1);
        for known in [KnownQuantity::HEART_RATE, KnownQuantity::PULSE_RATE, KnownQuantity::SPO2] {
            assert_eq!(of(&first, known).reading, Err(Reason::SETTLING));
        }
        for known in [KnownQuantity::PULSE_RATE, KnownQuantity::SPO2, KnownQuantity::PPG_QUALITY] {
            assert_eq!(of(&uncovered, known).reading, Err(Reason::FINGER_OFF));
        }
        assert_eq!(first.len(), uncovered.len(), "nothing is silently left out");
    }
}
