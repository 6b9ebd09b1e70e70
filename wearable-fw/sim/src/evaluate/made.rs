//! Records that are made and not read: the shipped excerpts, and patients whose saturation falls.
//!
//! Owns how they are made. The fall is semi-synthetic: waveform, breathing and disturbances are those of a real finger,
//! and the saturation that its owner's oximeters showed is put into two wavelengths through the inverse of the
//! firmware's calibration, as `recording::replay` does it. So it shows whether and how fast the chain follows; it
//! says nothing of how well the calibration holds for people.

use super::{
    record::{Collection, Record},
    score::Series,
    signals::{Channel, Signals},
    truth::Truth,
};
use crate::recording::{Recording, RecordingError, finger_counts};

/// Seconds of light whose mean counts as no pulse: longer than a breath, shorter than a change of posture.
const LEVEL_SECONDS: f64 = 10.0;

/// The ECG and PPG that the simulated wearable plays, on an arm that lies still as the simulated patient's does.
///
/// # Errors
/// None for the recordings as shipped.
pub fn shipped() -> Result<[Record; 2], RecordingError> {
    let (ecg, ppg) = (Recording::shipped_ecg()?, Recording::shipped_ppg()?);
    let ordinary = 970;
    let counts = ppg.absorbances().map(|absorbance| finger_counts(absorbance, ordinary, [0; 2]));
    let light = Channel::new(ppg.rate_hz().into(), counts);
    let acceleration = Some(Channel::new(light.rate_hz, light.samples.iter().map(|_| [0, 0, 1000])));
    let light = Some(light);
    let ecg = Some(Channel::new(ecg.rate_hz().into(), ecg.values()));
    Ok([
        record("shipped/mitdb-208", Collection::Shipped, Signals { ecg, ..Signals::default() }),
        record(
            "shipped/heartpy-data3",
            Collection::Shipped,
            Signals { light, acceleration, ..Signals::default() },
        ),
    ])
}

fn record(name: &str, collection: Collection, signals: Signals) -> Record {
    Record { name: name.into(), collection, signals, truth: Truth::default() }
}

/// The same finger with the saturation that its owner had, in light that shows it.
#[must_use]
pub fn desaturation(camera: &Record) -> Option<Record> {
    let truth = camera.truth.unseen_spo2.clone()?;
    let light = camera.signals.light.as_ref()?;
    let made = two_wavelengths(light, &truth)?;
    let signals = Signals { light: Some(made), ..Signals::default() };
    let mut record = record(&format!("{}.spo2", camera.name), Collection::Desaturation, signals);
    record.truth.spo2 = Some(truth);
    Some(record)
}

fn two_wavelengths(light: &Channel<[i32; 2]>, spo2: &Series) -> Option<Channel<[i32; 2]>> {
    let absorbance: Vec<f64> =
        light.samples.iter().map(|[_, infrared]| -f64::from((*infrared).max(1)).ln()).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
    let reach = (LEVEL_SECONDS / 2.0 * light.rate_hz) as usize;
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(absorbance.iter().scan(0.0, |sum, value| {
            *sum += value;
            Some(*sum)
        }))
        .collect();
    let mut known = spo2.points().first()?.1;
    let samples = absorbance.iter().enumerate().map(|(at, value)| {
        let (from, to) = (at.saturating_sub(reach), (at + reach).min(absorbance.len()));
        let level = (sums.get(to).unwrap_or(&0.0) - sums.get(from).unwrap_or(&0.0)) / (to - from) as f64;
        known = spo2.at(at as f64 / light.rate_hz).unwrap_or(known);
        #[expect(clippy::cast_possible_truncation, reason = "logarithms of 18-bit counts; percent")]
        let (pulse, tenths) = (((value - level) * f64::from(1 << 20)) as i64, (known * 10.0).round() as i32);
        finger_counts(pulse, tenths, [0; 2])
    });
    Some(Channel::new(light.rate_hz, samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_in_saturation_is_put_into_the_light_and_the_pulse_stays() {
        let pulse = |sample: u32| (f64::from(sample) / 30.0 * 7.5).sin() * 0.01 * f64::from(1 << 20);
        #[expect(clippy::cast_possible_truncation, reason = "a hundredth of 2^20")]
        let samples = (0..1800).map(|sample| finger_counts(pulse(sample) as i64, 970, [0; 2]));
        let truth = Series::new((0..60).map(|s| (f64::from(s), if s < 30 { 97.0 } else { 85.0 })).collect());
        let camera = Record {
            truth: Truth { unseen_spo2: truth, ..Truth::default() },
            ..record(
                "x/y",
                Collection::Camera,
                Signals { light: Some(Channel::new(30.0, samples)), ..Signals::default() },
            )
        };
        let made = desaturation(&camera).unwrap();
        let light = &made.signals.light.unwrap().samples;
        let ratio = |range: std::ops::Range<usize>| {
            let swing = |place: usize| {
                let values = light[range.clone()].iter().map(|counts| f64::from(counts[place]).ln());
                values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
            };
            swing(0) / swing(1)
        };
        assert!((swing_of(light) - 0.02).abs() < 0.001);
        assert!(ratio(1000..1700) > 1.3 * ratio(100..800), "{} {}", ratio(100..800), ratio(1000..1700));
        assert_eq!(desaturation(&record("x/z", Collection::Camera, Signals::default())).map(|_| ()), None);
    }

    fn swing_of(light: &[[i32; 2]]) -> f64 {
        let values = light[300..600].iter().map(|counts| f64::from(counts[1]).ln());
        values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
    }
}
