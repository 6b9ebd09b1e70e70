//! What became of a quantity: a value and what it is worth, or the reason why there is none. Owns the codes of methods and
//! reasons. Both sets are open: an unknown number is carried and shown as a number. What follows from a reading is the
//! ward's business.

use serde::{Deserialize, Serialize};

use crate::{open_set::open_set, vitals::Decimal};

/// A value that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Measurement {
    /// The value, in the quantity's unit.
    pub value: Decimal,
    /// How far it can be trusted, 0 (not at all) to 100 (clean signal); `None`: not assessed.
    pub quality: Option<u8>,
    /// How it was obtained.
    pub method: Method,
    /// Version of the calibration behind it; 0 where none is needed.
    pub calibration: u16,
}

open_set! {
    /// How a value was obtained.
    Method, "method":
    /// Read from a sensor as it is.
    DIRECT = 0, "direct";
    /// Counted from beats of the ECG.
    ECG_BEATS = 1, "ECG beats";
    /// Period of the optical pulse at rest.
    PULSE_PERIOD = 2, "pulse period";
    /// Spectrum of the optical pulse less that of the movement.
    PULSE_SPECTRUM = 3, "pulse spectrum";
    /// Red over infrared pulse, and a calibration.
    RATIO_OF_RATIOS = 4, "ratio of ratios";
    /// Strength of the optical pulse.
    PULSE_AMPLITUDE = 5, "pulse amplitude";
    /// Breathing's traces in the optical pulse.
    PULSE_MODULATION = 6, "pulse modulation";
    /// Breathing from the chest's impedance.
    IMPEDANCE = 7, "impedance";
    /// How much the accelerometer's readings vary.
    ACCELERATION = 8, "acceleration";
    /// How a signal looks to the detectors that use it.
    SIGNAL_INDEX = 9, "signal index";
}

open_set! {
    /// Why there is no value.
    Reason, "reason":
    /// Signal present, not enough of it yet.
    SETTLING = 0, "settling";
    /// Signal present, no trustworthy value in it.
    LOW_QUALITY = 1, "low quality";
    /// The body moves too much.
    MOTION = 2, "motion";
    /// The sensor is at the end of its range.
    SATURATED = 3, "saturated";
    /// No tissue in front of the optical sensor.
    FINGER_OFF = 4, "finger off";
    /// An ECG electrode is off.
    LEAD_OFF = 5, "lead off";
    /// The pulse is too weak.
    LOW_PERFUSION = 6, "low perfusion";
    /// Good electrodes and no beat for 4 s.
    NO_BEAT = 7, "no beat";
    /// No samples.
    NO_SIGNAL = 8, "no signal";
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn an_unknown_number_is_shown_as_one() {
        assert_eq!(
            (Method::ECG_BEATS.to_string(), Method(200).to_string()),
            ("ECG beats".into(), "method 200".into())
        );
        assert_eq!(
            (Reason::FINGER_OFF.to_string(), Reason(9).to_string()),
            ("finger off".into(), "reason 9".into())
        );
    }

    #[test]
    fn every_number_has_one_name() {
        for (at, method) in Method::ALL.iter().enumerate() {
            assert_eq!(usize::from(method.0), at);
        }
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(usize::from(reason.0), at);
        }
    }
}
