//! From a second to the quantities that travel. Owns the units, which quantity has which name and the numbers of methods and
//! reasons; knows neither numbers nor time of samples. What could not be measured says why.

use alloc::{vec, vec::Vec};

use protocol::{
    reading::{Measurement, Method, Reason},
    vitals::{Decimal, KnownQuantity, Quantity},
};

use super::{Celsius, Second};
use crate::dsp::{self, motion::Motion};

/// Counts of the light sensor's converter, as the voltage of one that ends at 1.8 V.
const CONVERTER_COUNTS: i64 = 1 << 18;
const REFERENCE_TENTH_MILLIVOLT: i64 = 18_000;

/// The quantities of a second, what matters most first. Each is there, with a value or the reason why there is none.
#[must_use]
pub fn quantities(second: &Second) -> Vec<Quantity> {
    use KnownQuantity as Known;
    let readings = &second.readings;
    let acceleration = |known: Known, axis: usize| {
        direct(known, second.acceleration.map(|axes| axes.get(axis).copied().unwrap_or(0).into()), -3)
    };
    vec![
        measured(Known::HEART_RATE, readings.heart_rate, -1, |rate| rate.tenths()),
        measured(Known::PULSE_RATE, readings.pulse_rate, -1, |rate| rate.tenths()),
        measured(Known::SPO2, readings.spo2, -1, |saturation| saturation.tenths()),
        measured(Known::RESPIRATION, readings.respiration, -1, |rate| rate.tenths()),
        celsius(Known::BODY_TEMPERATURE, second.body),
        measured(Known::PERFUSION_INDEX, readings.perfusion, -2, |index| index.hundredths()),
        motion(readings.motion, second.acceleration),
        measured(Known::SDNN, readings.variability, -1, |variability| variability.sdnn),
        measured(Known::RMSSD, readings.variability, -1, |variability| variability.rmssd),
        signal(Known::ECG_QUALITY, readings.ecg_quality, readings.heart_rate),
        signal(Known::PPG_QUALITY, readings.ppg_quality, readings.pulse_rate),
        celsius(Known::MCU_TEMPERATURE, second.mcu),
        celsius(Known::IMU_TEMPERATURE, second.imu),
        acceleration(Known::ACCELERATION_X, 0),
        acceleration(Known::ACCELERATION_Y, 1),
        acceleration(Known::ACCELERATION_Z, 2),
        direct(Known::RAW_PULSE, second.raw_pulse.map(tenth_millivolt), -4),
    ]
}

fn celsius(known: KnownQuantity, reading: Result<Celsius, dsp::Reason>) -> Quantity {
    direct(known, reading.map(|celsius| celsius.hundredths().into()), -2)
}

/// Straight from a sensor.
fn direct(known: KnownQuantity, reading: Result<i32, dsp::Reason>, exponent: i8) -> Quantity {
    match reading {
        Ok(mantissa) => known.measured(mantissa, exponent),
        Err(why) => known.reading(Err(reason(why))),
    }
}

fn tenth_millivolt(counts: u32) -> i32 {
    i32::try_from(i64::from(counts) * REFERENCE_TENTH_MILLIVOLT / CONVERTER_COUNTS).unwrap_or(i32::MAX)
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

/// Unknown for the reason that there is no acceleration, if that is so.
fn motion(state: Motion, acceleration: Result<[i16; 3], dsp::Reason>) -> Quantity {
    let moving = match state {
        Motion::Unknown => {
            return KnownQuantity::MOTION.reading(Err(acceleration.err().map_or(Reason::SETTLING, reason)));
        }
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
