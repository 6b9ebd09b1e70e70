//! Everything measured at once: the one door through which samples enter and readings leave.
//!
//! Owns the methods and notices a stream that stopped. Knows no clock: the other streams' samples time a stream's
//! silence. The caller stops asking when no stream brings samples.

use super::ecg::{Beat, Ecg, Electrodes};
use super::motion::{Accelerometer, Motion};
use super::optics::Optics;
use super::pulse::Pulse;
use super::respiration::{ImpedanceRespiration, PulseRespiration};
use super::spo2::{Calibration, Oximeter};
use super::variability::Variability;
use super::{PerfusionIndex, Quality, Rate, Reading, Reason, Saturation, UnsupportedRate};

/// A stream that is this far behind another has stopped.
const SILENT_SECONDS: u16 = 3;
/// Rates that differ by less than this part are of one origin: monitors count the heart to 5 %.
const SAME_ORIGIN: u16 = 20;

/// Samples per second of each stream. A stream that never brings samples has no readings; its rate is of no matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRates {
    /// 100..=500 Hz.
    pub ecg_hz: u16,
    /// 25..=400 Hz.
    pub ppg_hz: u16,
    /// 25..=200 Hz.
    pub acceleration_hz: u16,
    /// 25..=250 Hz.
    pub impedance_hz: u16,
}

impl Default for SampleRates {
    fn default() -> Self {
        Self { ecg_hz: 360, ppg_hz: 100, acceleration_hz: 100, impedance_hz: 100 }
    }
}

/// What the device knows about the body now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Readings {
    /// From the ECG, 20..=300 bpm, mean of the last 10 s.
    pub heart_rate: Reading<Rate>,
    /// Variability of the heart's intervals.
    pub variability: Reading<Variability>,
    /// From the PPG, 29..=220 bpm over up to 19 s at rest, ..=240 bpm in motion.
    pub pulse_rate: Reading<Rate>,
    /// From the PPG, 50..=100 %, over the last 8 s.
    pub spo2: Reading<Saturation>,
    /// From the PPG.
    pub perfusion: Reading<PerfusionIndex>,
    /// From the chest's impedance where it is measured, else from the PPG; breaths per minute.
    pub respiration: Reading<Rate>,
    /// From the accelerometer.
    pub motion: Motion,
    /// Of the ECG; `None` without one.
    pub ecg_quality: Option<Quality>,
    /// Of the PPG; `None` without one.
    pub ppg_quality: Option<Quality>,
}

/// What brings samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The ECG.
    Ecg,
    /// Red and infrared light.
    Ppg,
    /// The accelerometer.
    Acceleration,
    /// The chest's impedance.
    Impedance,
}

/// Streaming processing of everything that one patient wears.
#[derive(Clone, Debug)]
pub struct Monitor {
    ecg: Ecg,
    optics: Optics,
    pulse: Pulse,
    oximeter: Oximeter,
    pulse_respiration: PulseRespiration,
    accelerometer: Accelerometer,
    impedance: ImpedanceRespiration,
    silences: Silences,
}

impl Monitor {
    /// A monitor at rest.
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside the ranges of [`SampleRates`].
    // A board has no stack for two of it: it is made where it will lie.
    #[inline(always)]
    pub fn new(rates: SampleRates, calibration: Calibration) -> Result<Self, UnsupportedRate> {
        Ok(Self {
            ecg: Ecg::new(rates.ecg_hz)?,
            optics: Optics::new(rates.ppg_hz)?,
            pulse: Pulse::new(),
            oximeter: Oximeter::new(calibration),
            pulse_respiration: PulseRespiration::new(),
            accelerometer: Accelerometer::new(rates.acceleration_hz)?,
            impedance: ImpedanceRespiration::new(rates.impedance_hz)?,
            silences: Silences::new(rates),
        })
    }

    /// What the ECG front end knows of its electrodes.
    pub const fn set_electrodes(&mut self, electrodes: Electrodes) {
        self.ecg.set_electrodes(electrodes);
    }

    /// One ECG sample in microvolt; any value is taken, beyond +-1 V counts as the rail. Returns the beat it settles.
    pub fn push_ecg(&mut self, microvolt: i32) -> Option<Beat> {
        if self.silences.end(Stream::Ecg) {
            self.ecg.relearn();
        }
        self.ecg.push(microvolt)
    }

    /// One PPG sample in ADC counts of an 18-bit sensor; any value is taken.
    pub fn push_ppg(&mut self, red: i32, infrared: i32) {
        if self.silences.end(Stream::Ppg) {
            self.optics.restart();
            self.lose_light(Reason::NoSignal);
        }
        match self.optics.push(red, infrared) {
            None => {}
            Some(Err(reason)) => self.lose_light(reason),
            Some(Ok(light)) => {
                let accelerometer = self.heard(Stream::Acceleration).is_ok().then_some(&self.accelerometer);
                self.pulse.push(light, accelerometer);
                self.oximeter.push(light, accelerometer.is_some_and(Accelerometer::moves_much));
                self.pulse_respiration.push(light);
            }
        }
    }

    /// One sample of the accelerometer, x, y and z in mg; any value is taken.
    pub fn push_acceleration(&mut self, milli_g: [i32; 3]) {
        if self.silences.end(Stream::Acceleration) {
            self.accelerometer.restart();
        }
        self.accelerometer.push(milli_g);
    }

    /// One sample of the chest's impedance, any unit.
    pub fn push_impedance(&mut self, impedance: i32) {
        if self.silences.end(Stream::Impedance) {
            self.impedance.restart();
        }
        self.impedance.push(impedance);
    }

    /// Samples of `stream` are missing from here on: there is no signal until the next one, and what comes then is
    /// measured anew.
    pub const fn interrupt(&mut self, stream: Stream) {
        self.silences.begin(stream);
    }

    /// The readings that the samples so far support.
    #[must_use]
    pub fn readings(&self) -> Readings {
        let ecg = self.heard(Stream::Ecg);
        let light = self.heard(Stream::Ppg);
        let heart_rate = ecg.and_then(|()| self.ecg.heart_rate());
        let impedance =
            self.heard(Stream::Impedance).and_then(|()| self.impedance.rate()).and_then(|breaths| {
                let from_heart = heart_rate.is_ok_and(|heart| is_near(breaths.value, heart.value));
                if from_heart { Err(Reason::LowQuality) } else { Ok(breaths) }
            });
        Readings {
            heart_rate,
            variability: ecg.and_then(|()| self.ecg.variability()),
            pulse_rate: light.and_then(|()| self.pulse.rate()),
            spo2: light.and_then(|()| self.oximeter.saturation()),
            perfusion: light.and_then(|()| self.oximeter.perfusion()),
            respiration: match impedance {
                Err(Reason::NoSignal) => light.and_then(|()| self.pulse_respiration.rate()),
                reading => reading,
            },
            motion: match self.heard(Stream::Acceleration) {
                Ok(()) => self.accelerometer.motion(),
                Err(_) => Motion::Unknown,
            },
            ecg_quality: ecg.ok().and_then(|()| self.ecg.signal_quality()),
            ppg_quality: light.ok().and_then(|()| self.pulse.signal_quality()),
        }
    }

    fn lose_light(&mut self, reason: Reason) {
        self.pulse.lose(reason);
        self.oximeter.lose(reason);
        self.pulse_respiration.lose(reason);
    }

    const fn heard(&self, stream: Stream) -> Result<(), Reason> {
        if self.silences.is_silent(stream) { Err(Reason::NoSignal) } else { Ok(()) }
    }
}

/// Whether the chest's impedance swings with the heart (cardiogenic oscillation) and not with breath.
const fn is_near(breaths: Rate, heart: Rate) -> bool {
    breaths.tenths().abs_diff(heart.tenths()) <= heart.tenths() / SAME_ORIGIN
}

/// How long each stream has been silent, by the samples of every other.
#[derive(Clone, Debug)]
struct Silences {
    rates_hz: [u16; 4],
    /// `since[stream][other]`: samples of `other` since the last one of `stream`.
    since: [[u16; 4]; 4],
}

#[expect(clippy::indexing_slicing, reason = "a stream is 0..=3")]
impl Silences {
    const fn new(rates: SampleRates) -> Self {
        let SampleRates { ecg_hz, ppg_hz, acceleration_hz, impedance_hz } = rates;
        // Nothing was heard yet.
        Self { rates_hz: [ecg_hz, ppg_hz, acceleration_hz, impedance_hz], since: [[u16::MAX; 4]; 4] }
    }

    /// A sample of `stream`; whether it had been silent.
    const fn end(&mut self, stream: Stream) -> bool {
        let silent = self.is_silent(stream);
        let this = stream as usize;
        let mut other = 0;
        while other < 4 {
            self.since[other][this] = self.since[other][this].saturating_add(1);
            other += 1;
        }
        self.since[this] = [0; 4];
        silent
    }

    /// As if `stream` had never been heard.
    const fn begin(&mut self, stream: Stream) {
        self.since[stream as usize] = [u16::MAX; 4];
    }

    const fn is_silent(&self, stream: Stream) -> bool {
        let mut other = 0;
        while other < 4 {
            if self.since[stream as usize][other] > SILENT_SECONDS * self.rates_hz[other] {
                return true;
            }
            other += 1;
        }
        false
    }
}

#[cfg(test)]
mod tests;
