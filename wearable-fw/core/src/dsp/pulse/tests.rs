//! Known rates, at rest and in motion, and what must not be taken for a pulse.

use super::super::motion::Motion;
use super::super::spo2::Calibration;
use super::super::synthetic;
use super::super::{Monitor, SampleRates};
use super::*;

fn monitor(ppg_hz: u16) -> Monitor {
    Monitor::new(SampleRates { ppg_hz, ..SampleRates::default() }, Calibration::V1).unwrap()
}

fn after(ppg: &mut Monitor, samples: usize, signal: impl Iterator<Item = [i32; 2]>) -> Reading<Rate> {
    signal.take(samples).for_each(|[red, infrared]| ppg.push_ppg(red, infrared));
    ppg.readings().pulse_rate
}

#[test]
fn known_rates_are_measured_at_every_sample_rate() {
    for rate_hz in [25_u16, 30, 50, 64, 100, 125] {
        for bpm in [40_u16, 60, 75, 100, 140, 180] {
            let mut ppg = monitor(rate_hz);
            let signal = synthetic::ppg(bpm.into(), rate_hz, 20.0, 0.5);
            let reading = after(&mut ppg, 12 * usize::from(rate_hz), signal);
            let tenths = reading.ok().map(|measurement| measurement.value.tenths());
            assert!(
                tenths.is_some_and(|tenths| tenths.abs_diff(10 * bpm) <= 15),
                "{bpm} at {rate_hz} Hz: {reading:?}"
            );
        }
    }
}

#[test]
fn no_finger_no_pulse_at_once_and_again_after_ten_seconds() {
    let mut ppg = monitor(100);
    assert_eq!(ppg.readings().pulse_rate, Err(Reason::NoSignal));
    let pulse = || synthetic::ppg(80.0, 100, 20.0, 0.5);
    assert_eq!(after(&mut ppg, 900, pulse()), Err(Reason::Settling));
    assert!(after(&mut ppg, 300, pulse()).is_ok());
    assert_eq!(after(&mut ppg, 10, core::iter::repeat([900, 1000])), Err(Reason::FingerOff));
    assert_eq!(after(&mut ppg, 900, pulse()), Err(Reason::Settling));
    assert!(after(&mut ppg, 200, pulse()).is_ok());
}

#[test]
fn a_faint_or_absent_pulse_is_low_perfusion() {
    for perfusion in [2.0, 0.0] {
        let mut ppg = monitor(100);
        let reading = after(&mut ppg, 1500, synthetic::ppg(80.0, 100, perfusion, 0.5));
        assert_eq!(reading, Err(Reason::LowPerfusion));
    }
}

#[test]
fn noise_alone_is_not_a_pulse() {
    for seed in 0..20 {
        let mut ppg = monitor(100);
        let signal = synthetic::noise(seed, 5000).map(|noise| [60_000 + noise, 90_000 + noise]);
        let reading = after(&mut ppg, 1500, signal);
        assert_eq!(reading, Err(Reason::LowQuality), "seed {seed}");
    }
}

/// Readings of each second of a wrist, with its time.
fn worn(
    monitor: &mut Monitor,
    seconds: u32,
    wrist: &mut impl Iterator<Item = ([i32; 2], [i32; 3])>,
    mut judge: impl FnMut(f64, Reading<Rate>),
) {
    for second in 1..=seconds {
        for (light, milli_g) in wrist.by_ref().take(100) {
            monitor.push_acceleration(milli_g);
            monitor.push_ppg(light[0], light[1]);
        }
        judge(f64::from(second), monitor.readings().pulse_rate);
    }
}

fn bpm(measurement: Measurement<Rate>) -> f64 {
    f64::from(measurement.value.tenths()) / 10.0
}

#[test]
fn arrhythmic_beats_are_counted() {
    // Intervals of 0.77 s and 1.07 s take turns: no period, 65.2 beats in a minute.
    let pulse = |time: f64| 60.0 / if time % 1.84 < 0.77 { 0.77 } else { 1.07 };
    let mut known = 0;
    worn(&mut monitor(100), 60, &mut synthetic::wrist(100, pulse, 0.0, 0.0), |_, reading| {
        if let Ok(measurement) = reading {
            assert!((bpm(measurement) - 65.2).abs() < 1.5, "{measurement:?}");
            known += 1;
        }
    });
    assert!(known > 45, "{known}");
}

#[test]
fn a_step_of_the_rate_is_followed_in_the_length_of_the_window() {
    let pulse = |time: f64| if time < 40.0 { 60.0 } else { 90.0 };
    worn(&mut monitor(100), 70, &mut synthetic::wrist(100, pulse, 0.0, 0.0), |time, reading| {
        let rate = reading.map(bpm);
        assert!(rate.is_err() || rate.is_ok_and(|rate| (59.0..91.0).contains(&rate)), "{time}: {rate:?}");
        assert!(time < 62.0 || rate.is_ok_and(|rate| (rate - 90.0).abs() < 1.0), "{time}: {rate:?}");
    });
}

#[test]
fn a_clock_off_by_200_ppm_moves_the_rate_by_as_much() {
    let mut reading = Err(Reason::NoSignal);
    worn(&mut monitor(100), 30, &mut synthetic::wrist(100, |_| 120.0 * 1.0002, 0.0, 0.0), |_, now| {
        reading = now;
    });
    assert!((bpm(reading.unwrap()) - 120.0).abs() < 0.3, "{reading:?}");
}

#[test]
fn a_running_heart_is_found_beside_the_arm() {
    for (rate, swing) in [(100.0, 75.0), (120.0, 80.0), (135.0, 82.0), (180.0, 80.0), (125.0, 50.0)] {
        let mut known = 0;
        worn(&mut monitor(100), 60, &mut synthetic::wrist(100, |_| rate, swing, 8.0), |time, reading| {
            if let Ok(measurement) = reading {
                assert!((bpm(measurement) - rate).abs() < 3.0, "{rate}, {swing}, {time}: {measurement:?}");
                assert_eq!(measurement.method, Method::PulseSpectrum);
                known += 1;
            }
        });
        assert!(known >= 40, "{rate} {swing}: {known}");
    }
}

#[test]
fn a_rising_rate_is_as_old_as_stated() {
    let pulse = |time: f64| (90.0 + 0.5 * time).min(150.0);
    let (mut sum, mut count) = (0.0, 0.0);
    worn(&mut monitor(100), 115, &mut synthetic::wrist(100, pulse, 78.0, 5.0), |time, reading| {
        if let Ok(measurement) = reading.as_ref().copied()
            && time > 30.0
        {
            let error = bpm(measurement) - pulse(time - f64::from(measurement.delay_ms) / 1000.0);
            assert!(error.abs() < 4.0, "{time}: {error}");
            (sum, count) = (sum + error, count + 1.0);
        }
    });
    assert!(count > 60.0 && f64::abs(sum / count) < 0.75, "{sum} {count}");
}

#[test]
fn motion_alone_is_not_a_pulse() {
    for swing in [45.0, 60.0, 75.0, 90.0] {
        for artefact in [3.0, 10.0, 40.0] {
            worn(
                &mut monitor(100),
                60,
                &mut synthetic::wrist(100, |_| 0.0, swing, artefact),
                |time, reading| {
                    assert!(reading.is_err(), "{swing}, {artefact}, {time}: {reading:?}");
                },
            );
        }
    }
}

#[test]
fn an_arm_in_time_with_the_heart_never_makes_a_wrong_rate() {
    for (rate, swing) in [(80.0, 80.0), (140.0, 70.0), (80.0, 160.0), (60.0, 60.0), (90.0, 45.0)] {
        worn(&mut monitor(100), 90, &mut synthetic::wrist(100, |_| rate, swing, 8.0), |time, reading| {
            let rate_or_none = reading.is_err() || reading.is_ok_and(|found| (bpm(found) - rate).abs() < 3.0);
            assert!(rate_or_none, "{rate}, {swing}, {time}: {reading:?}");
        });
    }
}

#[test]
fn a_lost_track_is_found_again() {
    // The pulse vanishes for half a minute and comes back elsewhere.
    let pulse = |time: f64| {
        if time < 40.0 {
            110.0
        } else if time < 70.0 {
            0.0
        } else {
            145.0
        }
    };
    let mut again = None;
    worn(&mut monitor(100), 110, &mut synthetic::wrist(100, pulse, 82.0, 5.0), |time, reading| {
        if let Ok(measurement) = reading {
            // The window and the evidence of some seconds outlast the pulse.
            let before = time < 58.0 && (bpm(measurement) - 110.0).abs() < 3.0;
            let after = time > 70.0 && (bpm(measurement) - 145.0).abs() < 4.0;
            assert!(before || after, "{time}: {measurement:?}");
            again = if again.is_none() && after { Some(time) } else { again };
        }
    });
    assert!(again.is_some_and(|time| time < 90.0), "{again:?}");
}

#[test]
fn only_an_accelerometer_makes_the_spectrum_trustworthy() {
    let mut monitor = monitor(100);
    let mut wrist = synthetic::wrist(100, |_| 120.0, 80.0, 8.0);
    worn(&mut monitor, 30, &mut wrist, |_, _| {});
    assert_eq!(monitor.readings().pulse_rate.unwrap().method, Method::PulseSpectrum);
    for ([red, infrared], _) in wrist.take(2000) {
        monitor.push_ppg(red, infrared);
    }
    assert_eq!(monitor.readings().motion, Motion::Unknown);
    assert!(monitor.readings().pulse_rate.is_err());
}

#[test]
fn state_is_small() {
    // The budget of pulse and motion together.
    let bytes = size_of::<Pulse>() + size_of::<Accelerometer>();
    assert!(bytes <= 3072, "{bytes}");
}

#[test]
fn a_strong_second_wave_is_not_a_second_beat() {
    // What a sensor that differentiates makes of 80 beats a minute.
    let mut monitor = monitor(100);
    for sample in 0..4000 {
        let turn = std::f64::consts::TAU * 80.0 / 60.0 * f64::from(sample) / 100.0;
        let infrared = 90_000.0 - 900.0 * (2.0 * turn).sin() - 150.0 * turn.sin();
        monitor.push_ppg(60_000, synthetic::integer(infrared));
        let rate = monitor.readings().pulse_rate.map(bpm);
        assert!(rate.is_err() || rate.is_ok_and(|rate| (rate - 80.0).abs() < 2.0), "{sample}: {rate:?}");
    }
}
