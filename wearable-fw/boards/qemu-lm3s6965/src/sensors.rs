//! What this board measures: the temperature with a real driver over its bus, all else from the SIMULATED signals. Owns the
//! signal processing; knows nothing of what becomes of a second.

use core::cell::RefCell;

use embedded_hal::i2c::I2c;
use wearable_core::{
    dsp::{Monitor, Reason, SampleRates, UnsupportedRate, spo2::Calibration},
    sensing::{Celsius, Second},
};
use wearable_drivers::{Fault, Tmp10x, tmp10x};

use crate::{clock::TICKS_PER_SECOND, signals::Signals};

/// It lies still, face up, mg.
const AT_REST: [i16; 3] = [0, 0, 1_000];

/// The sensors.
#[derive(Debug)]
pub(crate) struct Sensors<I: 'static> {
    bus: &'static RefCell<I>,
    monitor: Monitor,
    signals: Signals,
    infrared: i32,
    ticks: u32,
    /// Whether the thermometer took its settings.
    measures: bool,
}

impl<I: I2c> Sensors<I> {
    /// Sensors that have measured nothing yet.
    ///
    /// # Errors
    /// None for the rates of the shipped recordings.
    #[inline(always)]
    pub(crate) fn new(bus: &'static RefCell<I>) -> Result<Self, UnsupportedRate> {
        Ok(Self {
            bus,
            monitor: Monitor::new(SampleRates::default(), Calibration::V1)?,
            signals: Signals::default(),
            infrared: 0,
            ticks: 0,
            measures: false,
        })
    }

    /// A tick has passed; at the end of a second, what was measured in it.
    pub(crate) fn tick(&mut self) -> Option<Second> {
        self.monitor.push_acceleration(AT_REST.map(i32::from));
        let [red, infrared] = self.signals.light();
        self.monitor.push_ppg(red, infrared);
        self.infrared = infrared;
        for microvolt in self.signals.ecg() {
            // The beat is counted by the monitor.
            let _: Option<_> = self.monitor.push_ecg(microvolt);
        }
        self.ticks += 1;
        self.ticks.is_multiple_of(TICKS_PER_SECOND).then(|| self.second())
    }

    fn second(&mut self) -> Second {
        Second {
            readings: self.monitor.readings(),
            body: self.temperature().map_err(|_| Reason::NoSignal),
            mcu: Err(Reason::NoSignal),
            imu: Err(Reason::NoSignal),
            acceleration: Ok(AT_REST),
            raw_pulse: u32::try_from(self.infrared).map_err(|_| Reason::NoSignal),
        }
    }

    /// A chip that did not answer is set up again.
    fn temperature(&mut self) -> Result<Celsius, Fault> {
        let mut bus = self.bus.borrow_mut();
        let mut chip = Tmp10x::new(&mut *bus, tmp10x::Config::default());
        if !self.measures {
            chip.start()?;
        }
        let sixteenths = chip.temperature();
        self.measures = sixteenths.is_ok();
        Ok(Celsius::from_sixteenths(sixteenths?))
    }
}
