//! From what was measured in a second to the quantities that travel. Owns the units and which quantity has which name;
//! knows neither numbers nor time. What could not be measured is absent, never zero.

use protocol::vitals::{KnownQuantity, Quantity};
use wearable_core::dsp::Reading;

use crate::recording::{Celsius, Recording, Replay, ReplayError, ReplayOptions, Scenario, Step};

/// Full scale and reference of the simulated 18-bit converter: counts become 0.1 mV of 1.8 V.
const CONVERTER_COUNTS: i32 = 1 << 18;
const REFERENCE_TENTH_MILLIVOLT: i32 = 18_000;

/// The quantities of a second.
#[must_use]
pub fn quantities(step: &Step) -> Vec<Quantity> {
    let readings = &step.readings;
    let rate = |reading: Reading<_>, known: KnownQuantity| {
        let reading: Reading<wearable_core::dsp::Rate> = reading;
        reading.ok().map(|measured| known.measured(measured.value.tenths().into(), -1))
    };
    let celsius = |known: KnownQuantity, value: Celsius| known.measured(value.hundredths().into(), -2);
    let gravity = |known: KnownQuantity, thousandths: i16| known.measured(thousandths.into(), -3);
    let spo2 = readings.spo2.ok().map(|m| KnownQuantity::SPO2.measured(m.value.tenths().into(), -1));
    let pulse = step.raw_pulse.last().map(|counts| {
        let volts = i64::from(*counts) * i64::from(REFERENCE_TENTH_MILLIVOLT) / i64::from(CONVERTER_COUNTS);
        KnownQuantity::RAW_PULSE.measured(i32::try_from(volts).unwrap_or(i32::MAX), -4)
    });
    let measured = [
        rate(readings.heart_rate, KnownQuantity::HEART_RATE),
        rate(readings.pulse_rate, KnownQuantity::PULSE_RATE),
        spo2,
        pulse,
    ];
    let always = [
        celsius(KnownQuantity::BODY_TEMPERATURE, step.temperatures.body),
        celsius(KnownQuantity::MCU_TEMPERATURE, step.temperatures.mcu),
        celsius(KnownQuantity::IMU_TEMPERATURE, step.temperatures.imu),
        gravity(KnownQuantity::ACCELERATION_X, step.acceleration.x),
        gravity(KnownQuantity::ACCELERATION_Y, step.acceleration.y),
        gravity(KnownQuantity::ACCELERATION_Z, step.acceleration.z),
    ];
    measured.into_iter().flatten().chain(always).collect()
}

/// The quality of a second: that of its least trustworthy measurement; 0 if nothing was measured from a signal.
#[must_use]
pub fn quality(step: &Step) -> u8 {
    let readings = &step.readings;
    let rates = [readings.heart_rate, readings.pulse_rate].map(|rate| rate.ok().map(|m| m.quality));
    let spo2 = readings.spo2.ok().map(|m| m.quality);
    rates.into_iter().chain([spo2]).flatten().map(|quality| quality.percent()).min().unwrap_or(0)
}

/// The simulated patient, whose scenario may be changed while it runs.
#[derive(Debug, Clone)]
pub struct Patient {
    ecg: Recording,
    ppg: Recording,
    options: ReplayOptions,
    worn: u32,
    replay: Replay,
}

impl Patient {
    /// A patient of the shipped recordings, or with `own` in place of the shipped one of its kind.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn new(own: Option<Recording>, scenario: Scenario, seed: u64) -> Result<Self, ReplayError> {
        let (mut ecg, mut ppg) = (Recording::shipped_ecg()?, Recording::shipped_ppg()?);
        match own {
            Some(own) if own.kind() == crate::recording::Kind::Ecg => ecg = own,
            Some(own) => ppg = own,
            None => {}
        }
        let options = ReplayOptions { seed, scenario, start: None, repeat: true };
        let replay = Replay::new(ecg.clone(), ppg.clone(), &options)?;
        Ok(Self { ecg, ppg, options, worn: 0, replay })
    }

    /// The same patient `seconds` later, and so after every [`Self::set_scenario`]: as if the device had been on for so
    /// long.
    #[must_use]
    pub fn worn_for(mut self, seconds: u32) -> Self {
        self.worn = seconds;
        self.pass(seconds);
        self
    }

    fn pass(&mut self, seconds: u32) {
        (0..seconds).map_while(|_| self.replay.next()).for_each(drop);
    }

    /// The scenario that runs.
    #[must_use]
    pub const fn scenario(&self) -> Scenario {
        self.options.scenario
    }

    /// Starts a scenario from its first second, or as many later as the device was [worn](Self::worn_for). The signal
    /// processing starts anew, as after putting the device on.
    ///
    /// # Errors
    /// [`ReplayError`]; the running scenario then goes on.
    pub fn set_scenario(&mut self, scenario: Scenario) -> Result<(), ReplayError> {
        let options = ReplayOptions { scenario, ..self.options.clone() };
        self.replay = Replay::new(self.ecg.clone(), self.ppg.clone(), &options)?;
        self.options = options;
        self.pass(self.worn);
        Ok(())
    }

    /// The next second. A repeating replay has no last one.
    pub fn next_second(&mut self) -> Option<Step> {
        self.replay.next()
    }
}

#[cfg(test)]
mod tests {
    use protocol::vitals::Code;

    use super::*;

    fn value(quantities: &[Quantity], known: KnownQuantity) -> Option<f64> {
        let found = quantities.iter().find(|quantity| quantity.code == Code::Mdc(known.mdc));
        found.map(|quantity| {
            assert_eq!(quantity.unit, known.unit);
            quantity.value.to_f64()
        })
    }

    #[test]
    fn a_settled_second_has_every_quantity_in_its_unit() {
        let mut patient = Patient::new(None, Scenario::Normal, 3).unwrap();
        let settled = std::iter::from_fn(|| patient.next_second())
            .take(120)
            .find(|step| quantities(step).len() == 10)
            .unwrap();
        let all = quantities(&settled);
        assert!(all.iter().all(Quantity::is_plausible), "{all:?}");
        assert!((36.0..38.0).contains(&value(&all, KnownQuantity::BODY_TEMPERATURE).unwrap()));
        assert!((0.9..1.1).contains(&value(&all, KnownQuantity::ACCELERATION_Z).unwrap()));
        assert!((94.0..=100.0).contains(&value(&all, KnownQuantity::SPO2).unwrap()));
        assert!((0.3..1.0).contains(&value(&all, KnownQuantity::RAW_PULSE).unwrap()));
        assert!(quality(&settled) > 0);
    }

    #[test]
    fn a_device_worn_for_a_while_continues_where_it_would_be() {
        let mut from_start = Patient::new(None, Scenario::Desaturation, 3).unwrap();
        let late = std::iter::from_fn(|| from_start.next_second()).nth(75).unwrap();
        let mut worn = Patient::new(None, Scenario::Normal, 3).unwrap().worn_for(75);
        assert_eq!(worn.next_second().map(|step| step.second), Some(75));
        worn.set_scenario(Scenario::Desaturation).unwrap();
        assert_eq!(worn.next_second(), Some(late));
    }

    #[test]
    fn what_was_not_measured_is_absent() {
        let mut patient = Patient::new(None, Scenario::Normal, 3).unwrap();
        let first = patient.next_second().unwrap();
        let all = quantities(&first);
        for known in [KnownQuantity::HEART_RATE, KnownQuantity::PULSE_RATE, KnownQuantity::SPO2] {
            assert_eq!(value(&all, known), None);
        }
        assert_eq!(quality(&first), 0);
    }
}
