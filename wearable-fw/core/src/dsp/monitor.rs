//! Everything measured at once: the one door through which samples enter and readings leave.
//!
//! Owns the three methods and notices a stream that stopped. Knows no clock: one stream's samples time the other's
//! silence. The caller stops asking when neither stream brings samples.

use super::ecg::Ecg;
use super::ppg::Ppg;
use super::spo2::{Calibration, saturation};
use super::{Measurement, Rate, Reading, Reason, Saturation, UnsupportedRate};

/// A stream that is this far behind the other has stopped.
const SILENT_SECONDS: u32 = 3;

/// What the device knows about the body now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Readings {
    /// From the ECG, 20..=300 bpm, mean of the last 10 s.
    pub heart_rate: Reading<Rate>,
    /// From the PPG, 30..=214 bpm, over the last 8 s.
    pub pulse_rate: Reading<Rate>,
    /// From the PPG, 50..100 %, over the last 8 s.
    pub spo2: Reading<Saturation>,
    /// [`Calibration::version`] behind `spo2`.
    pub spo2_calibration: u16,
}

/// Streaming ECG and PPG processing of one patient.
#[derive(Clone, Debug)]
pub struct Monitor {
    ecg: Ecg,
    ppg: Ppg,
    rates_hz: [u16; 2],
    /// Samples of the other stream since the last ECG, PPG sample.
    ecg_silence: u32,
    ppg_silence: u32,
    calibration: Calibration,
}

impl Monitor {
    /// ECG at 100..=500 Hz, PPG at 25..=125 Hz, [`Calibration::V1`].
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside these ranges.
    pub fn new(ecg_rate_hz: u16, ppg_rate_hz: u16) -> Result<Self, UnsupportedRate> {
        Ok(Self {
            ecg: Ecg::new(ecg_rate_hz)?,
            ppg: Ppg::new(ppg_rate_hz)?,
            rates_hz: [ecg_rate_hz, ppg_rate_hz],
            ecg_silence: 0,
            ppg_silence: 0,
            calibration: Calibration::V1,
        })
    }

    /// One ECG sample in microvolt; any value is taken, beyond +-1 V counts as the rail.
    pub fn push_ecg(&mut self, microvolt: i32) {
        if self.ecg_is_silent() {
            self.ecg.relearn();
        }
        self.ecg_silence = 0;
        self.ppg_silence = self.ppg_silence.saturating_add(1);
        self.ecg.push(microvolt);
    }

    /// One PPG sample in ADC counts of an 18-bit sensor; any value is taken.
    pub fn push_ppg(&mut self, red: i32, infrared: i32) {
        if self.ppg_is_silent() {
            self.ppg.restart();
        }
        self.ppg_silence = 0;
        self.ecg_silence = self.ecg_silence.saturating_add(1);
        self.ppg.push(red, infrared);
    }

    /// The readings the samples so far support. Call about once a second: PPG values are computed here.
    #[must_use]
    pub fn readings(&self) -> Readings {
        let heart_rate =
            if self.ecg_is_silent() { Reading::NoReading(Reason::NoSignal) } else { self.ecg.heart_rate() };
        let (pulse_rate, spo2) = if self.ppg_is_silent() {
            (Reading::NoReading(Reason::NoSignal), Reading::NoReading(Reason::NoSignal))
        } else {
            self.pulse()
        };
        Readings { heart_rate, pulse_rate, spo2, spo2_calibration: self.calibration.version }
    }

    fn pulse(&self) -> (Reading<Rate>, Reading<Saturation>) {
        let pulse_rate = self.ppg.pulse_rate();
        let spo2 = match (pulse_rate, self.ppg.bands()) {
            (Reading::NoReading(reason), _) | (_, Err(reason)) => Reading::NoReading(reason),
            (Reading::Measured(Measurement { quality, .. }), Ok((red, infrared))) => {
                saturation(red, infrared, self.calibration, quality)
            }
        };
        (pulse_rate, spo2)
    }

    fn ecg_is_silent(&self) -> bool {
        self.ecg_silence > SILENT_SECONDS * u32::from(self.rates_hz[1])
    }

    fn ppg_is_silent(&self) -> bool {
        self.ppg_silence > SILENT_SECONDS * u32::from(self.rates_hz[0])
    }
}
