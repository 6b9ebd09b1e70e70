//! A simulated device on its patient: each second of signals through the chips and the firmware that reads them. Owns both;
//! knows neither numbers nor time of samples.

use wearable_core::dsp::Readings;

use crate::{
    act::{Act, Body},
    chips::{Bench, Faults, Sensed},
    patient::{Patient, Second},
    recording::{ACCELERATION_HZ, ReplayError},
    scenario::Scenario,
};

/// What the device makes of one second of its patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Seconds since the replay began, 0 first; the readings hold at the end of this second.
    pub second: u32,
    /// As the firmware had it.
    pub sensed: Sensed,
}

impl Step {
    /// What the firmware knows of the body.
    #[must_use]
    pub const fn readings(&self) -> &Readings {
        &self.sensed.second.readings
    }
}

/// A patient and the device that is worn.
#[derive(Clone, Debug)]
pub struct Wearer {
    patient: Patient,
    bench: Bench,
}

impl Wearer {
    /// Puts the device on, for as long as the patient is said to have worn it.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn new(patient: Patient) -> Result<Self, ReplayError> {
        let bench = bench(&patient)?;
        let mut wearer = Self { patient, bench };
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

    /// Starts a scenario from its first second, or as many later as the device was worn. The device is switched off and on,
    /// so that the signal processing starts anew; what is wrong with its sensors stays.
    ///
    /// # Errors
    /// [`ReplayError`]; the running scenario then goes on.
    pub fn set_scenario(&mut self, scenario: Scenario) -> Result<(), ReplayError> {
        self.patient.set_scenario(scenario)?;
        self.restart()?;
        self.settle();
        Ok(())
    }

    /// Something is done to the patient now.
    pub fn act(&mut self, body: Body) {
        self.patient.act(body);
    }

    /// What is wrong with the sensors, to be changed from now on.
    pub const fn faults(&mut self) -> &mut Faults {
        &mut self.bench.faults
    }

    /// The device lost its memory: sensors and signal processing start anew; what is wrong with the sensors stays.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn restart(&mut self) -> Result<(), ReplayError> {
        let faults = self.bench.faults;
        self.bench = bench(&self.patient)?;
        self.bench.faults = faults;
        Ok(())
    }

    /// The next second, and what the scenario does to everything else than the patient.
    pub fn next_second(&mut self) -> (Vec<Act>, Step) {
        let Second { acts, signals } = self.patient.next_second();
        (acts, Step { second: signals.second, sensed: self.bench.next_second(&signals) })
    }
}

fn bench(patient: &Patient) -> Result<Bench, ReplayError> {
    let [ecg_hz, ppg_hz] = patient.rates_hz();
    Ok(Bench::new(ecg_hz, ppg_hz, ACCELERATION_HZ)?)
}

#[cfg(test)]
mod tests {
    use protocol::{
        reading::{Method, Reason},
        vitals::{KnownQuantity, Quantity},
    };
    use wearable_core::sensing;

    use super::*;

    fn quantities(step: &Step) -> Vec<Quantity> {
        sensing::quantities(&step.sensed.second)
    }

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
