//! Saturation and perfusion of signals with a known ratio, and of what must not be believed.

use super::super::optics::Optics;
use super::super::synthetic;
use super::*;
use std::vec::Vec;

type Counts = [i32; 2];

/// Front end and oximeter.
struct Chain {
    optics: Optics,
    oximeter: Oximeter,
}

impl Chain {
    fn new(rate_hz: u16) -> Self {
        Self { optics: Optics::new(rate_hz).unwrap(), oximeter: Oximeter::new(Calibration::V1) }
    }

    fn push(&mut self, [red, infrared]: Counts, moving: bool) {
        match self.optics.push(red, infrared) {
            None => {}
            Some(Ok(light)) => self.oximeter.push(light, moving),
            Some(Err(reason)) => self.oximeter.lose(reason),
        }
    }

    /// After these samples.
    fn after(&mut self, signal: impl IntoIterator<Item = Counts>) -> Reading<Saturation> {
        signal.into_iter().for_each(|counts| self.push(counts, false));
        self.oximeter.saturation()
    }

    /// Ten times a second while these samples arrive at 100 Hz.
    fn along(&mut self, signal: impl IntoIterator<Item = Counts>) -> Vec<Reading<Saturation>> {
        let mut signal = signal.into_iter().peekable();
        let mut readings = Vec::new();
        while signal.peek().is_some() {
            readings.push(self.after(signal.by_ref().take(10)));
        }
        readings
    }
}

/// 20 per mille at 100 Hz and 70 bpm.
fn pulse(ratio: f64) -> impl Iterator<Item = Counts> {
    synthetic::ppg(70.0, 100, 20.0, ratio)
}

/// Both lights times e^change.
fn dimmed(signal: impl Iterator<Item = Counts>, change: impl Fn(f64) -> f64) -> impl Iterator<Item = Counts> {
    signal.zip(0..).map(move |(counts, sample)| {
        let factor = change(f64::from(sample) / 100.0).exp();
        counts.map(|count| synthetic::integer(f64::from(count) * factor))
    })
}

#[track_caller]
fn assert_near(reading: Reading<Saturation>, tenths: u16, tolerance: u16) {
    let value = reading.map(|measured| measured.value.tenths());
    assert!(value.is_ok_and(|value| value.abs_diff(tenths) <= tolerance), "{reading:?}, expected {tenths}");
}

#[test]
fn the_calibration_line_is_followed() {
    for (ratio, tenths) in [(0.4, 979), (0.5, 946), (0.8, 845), (1.2, 711), (1.7, 544)] {
        for perfusion in [4.0, 20.0, 100.0] {
            let reading = Chain::new(100).after(synthetic::ppg(70.0, 100, perfusion, ratio).take(1200));
            assert_near(reading, tenths, 5);
            let quality = reading.unwrap().quality;
            assert!(
                if tenths < 700 { quality == EXTRAPOLATED } else { quality >= Quality(80) },
                "{quality:?}"
            );
        }
    }
}

#[test]
fn sample_rate_heart_rate_and_a_clock_200_ppm_wrong_change_nothing() {
    for rate_hz in [25, 30, 64, 100, 125, 400] {
        for bpm in [38.0, 70.0, 70.014, 120.0, 180.0] {
            let reading = Chain::new(rate_hz)
                .after(synthetic::ppg(bpm, rate_hz, 20.0, 0.8).take(20 * usize::from(rate_hz)));
            assert_near(reading, 845, 3);
        }
    }
}

#[test]
fn a_weak_pulse_in_noise_is_not_biased() {
    let mut errors = Vec::new();
    for seed in 0..20 {
        let noise = synthetic::noise(seed, 120).zip(synthetic::noise(seed + 100, 120));
        let signal = synthetic::ppg(70.0, 100, 6.0, 0.9)
            .zip(noise)
            .map(|([red, infrared], noise)| [red + noise.0, infrared + noise.1]);
        if let Ok(measured) = Chain::new(100).after(signal.take(1000)) {
            errors.push(i32::from(measured.value.tenths()) - 811);
        }
    }
    let bias = errors.iter().sum::<i32>() / i32::try_from(errors.len()).unwrap();
    assert!(
        errors.len() >= 15 && bias.abs() <= 8 && errors.iter().all(|error| error.abs() < 40),
        "{errors:?}"
    );
}

#[test]
fn the_first_value_needs_two_seconds_even_when_lamps_and_finger_settle() {
    let lamps = |sample: usize| [0.6, 0.8, 0.95].get(sample / 2).copied().unwrap_or(1.0);
    let contact = dimmed(pulse(0.5), |time| 0.05 * (-time / 1.0).exp());
    let signal = contact
        .zip(0..)
        .map(|(counts, sample)| counts.map(|count| synthetic::integer(f64::from(count) * lamps(sample))));
    let readings = Chain::new(100).along(signal.take(500));
    let first = readings.iter().position(Result::is_ok).unwrap();
    assert!((16..=20).contains(&first), "{first}");
    assert!(readings[..first].iter().all(|reading| *reading == Err(Reason::Settling)));
    readings[first..].iter().for_each(|reading| assert_near(*reading, 946, 10));
}

#[test]
fn a_step_arrives_within_a_window_and_nothing_beyond_it_is_shown() {
    let mut chain = Chain::new(100);
    assert_near(chain.after(pulse(0.5).take(2000)), 946, 3);
    let readings = chain.along(pulse(0.8).take(1000));
    for reading in readings.iter().flatten() {
        assert!((840..=950).contains(&reading.value.tenths()), "{reading:?}");
    }
    assert_near(readings[80], 845, 5);
}

#[test]
fn breathing_that_moves_both_lights_alike_does_not_pull_towards_one() {
    let breathing = |time: f64| 0.03 * (2.0 * std::f64::consts::PI * 0.25 * time).sin();
    for reading in &Chain::new(100).along(dimmed(pulse(0.5), breathing).take(2000))[30..] {
        assert_near(*reading, 946, 10);
    }
}

#[test]
fn a_burst_with_a_ratio_of_one_is_never_shown() {
    for seconds in 1..=4 {
        let mut chain = Chain::new(100);
        let _ = chain.after(pulse(0.5).take(1500));
        let shaking = |time: f64| {
            let on = time < f64::from(seconds);
            if on { 0.04 * (17.0 * time).sin() + 0.03 * (31.0 * time).sin() } else { 0.0 }
        };
        let readings = chain.along(dimmed(pulse(0.5).skip(1500), shaking).take(1500));
        readings.iter().filter(|reading| reading.is_ok()).for_each(|reading| assert_near(*reading, 946, 25));
        assert_near(readings[149], 946, 5);
    }
}

#[test]
fn a_lamp_that_changes_its_current_costs_no_wrong_value() {
    let mut chain = Chain::new(100);
    let _ = chain.after(pulse(0.5).take(1500));
    let brighter = pulse(0.5).skip(1500).map(|[red, infrared]| [red * 3 / 2, infrared]);
    chain.along(brighter.take(1000)).into_iter().for_each(|reading| assert_near(reading, 946, 10));
}

#[test]
fn lost_samples_cost_no_wrong_value() {
    let mut chain = Chain::new(100);
    let lossy = pulse(0.5).zip(0..).filter(|(_, sample)| sample % 300 > 30).map(|(counts, _)| counts);
    let readings = chain.along(lossy.take(2000));
    readings.iter().flatten().for_each(|measured| assert_near(Ok(*measured), 946, 15));
    assert!(readings.iter().flatten().count() > 100);
}

#[test]
fn a_saturated_converter_is_told_until_a_clean_pulse_is_seen() {
    let mut chain = Chain::new(100);
    let _ = chain.after(pulse(0.5).take(1000));
    assert_eq!(chain.after([[60_000, 262_143]; 8]), Err(Reason::Saturated));
    assert_eq!(chain.after(pulse(0.5).take(100)), Err(Reason::Saturated));
    assert_near(chain.after(pulse(0.5).skip(100).take(110)), 946, 10);
}

#[test]
fn no_finger_no_value_at_once() {
    let mut chain = Chain::new(100);
    let _ = chain.after(pulse(0.5).take(1000));
    assert_eq!(chain.after([[900, 1000]; 8]), Err(Reason::FingerOff));
    assert_eq!(chain.oximeter.perfusion(), Err(Reason::FingerOff));
    assert_eq!(chain.after(pulse(0.5).take(100)), Err(Reason::Settling));
}

#[test]
fn movement_withholds_at_once_and_its_seconds_have_no_vote() {
    let mut chain = Chain::new(100);
    let _ = chain.after(pulse(0.5).take(1000));
    for counts in pulse(1.0).take(300) {
        chain.push(counts, true);
        assert!(matches!(chain.oximeter.saturation(), Err(Reason::Motion) | Ok(_)));
    }
    assert_eq!(chain.oximeter.saturation(), Err(Reason::Motion));
    let readings = chain.along(pulse(0.5).take(500));
    assert_eq!(readings[0], Err(Reason::Motion));
    readings.iter().flatten().for_each(|measured| assert_near(Ok(*measured), 946, 5));
    assert!(readings[30].is_ok());
}

#[test]
fn slightly_above_the_line_is_full_and_far_off_it_is_nothing() {
    assert_near(Chain::new(100).after(pulse(0.27).take(1200)), 1000, 0);
    for ratio in [0.0, 0.1, 2.0, 3.0] {
        assert_eq!(Chain::new(100).after(pulse(ratio).take(1200)), Err(Reason::LowQuality), "R {ratio}");
    }
}

#[test]
fn wavelengths_that_disagree_have_no_saturation() {
    let other = synthetic::ppg(85.0, 100, 20.0, 0.5);
    let mixed = pulse(0.5).zip(other).map(|([_, infrared], [red, _])| [red, infrared]);
    assert_eq!(Chain::new(100).after(mixed.take(1200)), Err(Reason::LowQuality));
}

#[test]
fn perfusion_is_the_height_of_the_pulse() {
    for (bpm, tolerance) in [(45.0, 20), (60.0, 5), (75.0, 5), (120.0, 5)] {
        for perfusion in [5.0, 20.0, 100.0] {
            let mut chain = Chain::new(100);
            let saturation = chain.after(synthetic::ppg(bpm, 100, perfusion, 0.5).take(1200));
            let index = chain.oximeter.perfusion().unwrap().value.hundredths();
            // 2 sqrt(2) rms of the synthetic pulse.
            let expected = synthetic::integer(8.54 * perfusion);
            assert!(
                (i32::from(index) - expected).abs() * 100 <= expected * tolerance,
                "{bpm}: {index}, {expected}"
            );
            assert!(saturation.is_ok());
        }
    }
}

#[test]
fn too_weak_a_pulse_has_a_perfusion_and_no_saturation() {
    let mut chain = Chain::new(100);
    let reading = chain.after(synthetic::ppg(70.0, 100, 3.0, 0.5).take(1200));
    assert_eq!(reading, Err(Reason::LowPerfusion));
    assert!((22..30).contains(&chain.oximeter.perfusion().unwrap().value.hundredths()));
}

#[test]
fn a_makers_table_is_followed_and_its_version_travels() {
    let points = [(400, 1000), (800, 880), (1000, 800), (1600, 500)]
        .map(|(ratio, saturation)| Point { ratio, saturation });
    let table = Calibration::table(7, 800, &points).unwrap();
    for (ratio, tenths, quality) in [(0.6, 940, 80), (0.9, 840, 80), (1.3, 650, 0)] {
        let mut chain = Chain { oximeter: Oximeter::new(table), ..Chain::new(100) };
        let reading = chain.after(pulse(ratio).take(1200));
        assert_near(reading, tenths, 5);
        let measured = reading.unwrap();
        assert_eq!(measured.calibration, 7);
        assert!(if quality == 0 {
            measured.quality <= EXTRAPOLATED
        } else {
            measured.quality >= Quality(quality)
        });
        assert!(f64::from(table.ratio(tenths)) / 1000.0 - ratio < 0.001);
    }
    let mut chain = Chain { oximeter: Oximeter::new(table), ..Chain::new(100) };
    assert_eq!(chain.after(pulse(0.3).take(1200)), Err(Reason::LowQuality), "beyond the table");
}

#[test]
fn a_table_that_does_not_fall_is_refused() {
    let [low, high] = [Point { ratio: 400, saturation: 1000 }, Point { ratio: 1600, saturation: 500 }];
    assert!(Calibration::table(1, 700, &[low, high]).is_some());
    assert_eq!(Calibration::table(0, 700, &[low, high]), None);
    assert_eq!(Calibration::table(1, 700, &[low]), None);
    assert_eq!(Calibration::table(1, 700, &[high, low]), None);
    assert_eq!(Calibration::table(1, 700, &[low, Point { ratio: 1600, saturation: 1000 }]), None);
    assert_eq!(Calibration::table(1, 700, &[low; 9]), None);
    assert_eq!(Calibration::V1.ratio(946), 498);
    assert_eq!([Calibration::V1.ratio(u16::MAX), Calibration::V1.ratio(0)], [0, 2000]);
}

#[test]
fn a_light_that_only_jumps_keeps_no_value() {
    let mut chain = Chain::new(100);
    assert!(chain.after(pulse(0.5).take(2000)).is_ok());
    // A lamp that flickers: a jump every 0.2 s, and no slope in between.
    let flicker = |time: f64| if (time * 5.0) % 2.0 < 1.0 { 0.0 } else { -0.3 };
    let readings = chain.along(dimmed(pulse(0.9), flicker).take(3000));
    assert!(readings[90..].iter().all(Result::is_err), "{:?}", readings.last());
    assert!(chain.oximeter.perfusion().is_err());
}
