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
    /// From the PPG, 29..=220 bpm, over the last 8 s.
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

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use proptest::prelude::*;

    const NO_SIGNAL: Reading<Rate> = Reading::NoReading(Reason::NoSignal);

    /// `seconds` of ECG and PPG as far as present.
    fn run(monitor: &mut Monitor, seconds: usize, ecg: bool, ppg: bool) -> Readings {
        let mut microvolts = synthetic::ecg(72.0, 360);
        let mut counts = synthetic::ppg(72.0, 100, 20.0, 0.5);
        for _ in 0..seconds {
            if ecg {
                microvolts.by_ref().take(360).for_each(|sample| monitor.push_ecg(sample));
            }
            if ppg {
                counts.by_ref().take(100).for_each(|[red, infrared]| monitor.push_ppg(red, infrared));
            }
        }
        monitor.readings()
    }

    #[test]
    fn all_three_are_measured_together() {
        let readings = run(&mut Monitor::new(360, 100).unwrap(), 20, true, true);
        let heart = readings.heart_rate.measured().unwrap().value.tenths();
        let pulse = readings.pulse_rate.measured().unwrap().value.tenths();
        let spo2 = readings.spo2.measured().unwrap().value.tenths();
        assert!(heart.abs_diff(720) <= 10 && pulse.abs_diff(720) <= 10 && spo2.abs_diff(946) <= 5);
        assert_eq!(readings.spo2_calibration, 1);
    }

    #[test]
    fn a_stream_that_stops_loses_its_value_and_starts_anew() {
        let mut monitor = Monitor::new(360, 100).unwrap();
        assert_eq!(monitor.readings().heart_rate, NO_SIGNAL);
        run(&mut monitor, 20, true, true);
        let without_ecg = run(&mut monitor, 4, false, true);
        assert!(without_ecg.heart_rate == NO_SIGNAL && without_ecg.pulse_rate.measured().is_some());
        let again = run(&mut monitor, 2, true, true);
        assert_eq!(again.heart_rate, Reading::NoReading(Reason::Settling));
        let without_ppg = run(&mut monitor, 14, true, false);
        assert!(without_ppg.pulse_rate == NO_SIGNAL && without_ppg.heart_rate.measured().is_some());
        assert_eq!(without_ppg.spo2, Reading::NoReading(Reason::NoSignal));
        assert_eq!(run(&mut monitor, 2, true, true).pulse_rate, Reading::NoReading(Reason::Settling));
    }

    #[test]
    fn state_is_small_enough_for_the_board() {
        // 3.0 KB on a 64-bit host; the budget is 64 KiB for everything.
        let bytes = size_of::<Monitor>();
        assert!(bytes < 4096, "{bytes}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_samples_make_it_panic(
            ecg_rate in 100_u16..=500,
            ppg_rate in 25_u16..=125,
            values in proptest::collection::vec((any::<i32>(), any::<i32>(), any::<i32>(), 1_usize..2000), 1..40),
        ) {
            let mut monitor = Monitor::new(ecg_rate, ppg_rate).unwrap();
            for (microvolt, red, infrared, repeats) in values {
                for step in 0..repeats {
                    // Finger counts, so that the window fills, with the raw value now and then.
                    let flip = if step % 7 == 0 { -1 } else { 1 };
                    monitor.push_ecg(microvolt.wrapping_mul(flip));
                    monitor.push_ppg(red.wrapping_mul(flip), infrared | 0x4000);
                }
                let Readings { heart_rate, pulse_rate, spo2, .. } = monitor.readings();
                if let Some(rate) = heart_rate.measured() {
                    prop_assert!((200..=3000).contains(&rate.value.tenths()));
                }
                if let Some(rate) = pulse_rate.measured() {
                    prop_assert!((290..=2200).contains(&rate.value.tenths()));
                }
                if let Some(spo2) = spo2.measured() {
                    prop_assert!((500..=1000).contains(&spo2.value.tenths()));
                }
            }
        }
    }
}
