//! Known breathing in synthetic signals: both methods tell it, or say why not.

use core::ops::Range;
use std::f64::consts::PI;
use std::vec::Vec;

use super::super::optics::Light;
use super::super::synthetic::{integer, noise};
use super::super::{Measurement, Method, Rate, Reading, Reason};
use super::{ImpedanceRespiration, PulseRespiration};

const LOW_QUALITY: Reading<Rate> = Err(Reason::LowQuality);

/// A pulse whose baseline, amplitude and interval breathe.
#[derive(Clone)]
struct Pulse {
    bpm: f64,
    /// Breaths per minute of baseline, amplitude and interval.
    breaths: [f64; 3],
    /// How much each moves: of the amplitude, of the amplitude, of the interval.
    depths: [f64; 3],
    /// The same three at random from beat to beat.
    scatter: [f64; 3],
    /// Seconds without breathing.
    apnoea: Range<f64>,
    /// Of the light.
    amplitude: f64,
}

impl Pulse {
    fn breathing(breaths: f64, bpm: f64) -> Self {
        Self {
            bpm,
            breaths: [breaths; 3],
            depths: [0.15, 0.1, 0.04],
            scatter: [0.02, 0.03, 0.02],
            apnoea: 0.0..0.0,
            amplitude: 0.01,
        }
    }

    /// At 25 Hz times `clock`.
    fn light(self, clock: f64) -> impl Iterator<Item = Light> {
        let mut random = noise(5, 10_000).map(|value| f64::from(value) / 10_000.0);
        let (mut turn, mut offsets, mut baseline) = (0.0, [0.0; 3], 0.0);
        (0..).map(move |sample: u32| {
            let time = f64::from(sample) / (25.0 * clock);
            let breathes = !self.apnoea.contains(&time);
            let [shift, strength, pace] = core::array::from_fn(|which| {
                let wave = (2.0 * PI * self.breaths[which] / 60.0 * time).sin();
                offsets[which] + if breathes { self.depths[which] * wave } else { 0.0 }
            });
            turn += self.bpm / 60.0 / 25.0 / (1.0 + pace);
            if turn >= 1.0 {
                turn -= 1.0;
                offsets = self.scatter.map(|scatter| scatter * random.next().unwrap());
            }
            baseline += (shift - baseline) * 0.2;
            let pulse = 0.4 * (2.0 * PI * turn).sin() + 0.15 * (4.0 * PI * turn).sin();
            let absorbance = self.amplitude * ((1.0 + strength) * pulse + baseline);
            let logarithm = integer((11.0 - absorbance) * f64::from(1 << 20));
            Light { red: logarithm, infrared: logarithm }
        })
    }

    /// Each second's reading of `seconds`.
    fn readings(self, seconds: usize) -> Vec<Reading<Rate>> {
        readings(&mut PulseRespiration::new(), seconds, self.light(1.0))
    }
}

fn readings(
    respiration: &mut PulseRespiration,
    seconds: usize,
    mut light: impl Iterator<Item = Light>,
) -> Vec<Reading<Rate>> {
    (0..seconds)
        .map(|_| {
            light.by_ref().take(25).for_each(|light| respiration.push(light));
            respiration.rate()
        })
        .collect()
}

/// Share of readings that measured, percent, and the greatest error in tenths.
fn told(readings: &[Reading<Rate>], breaths: f64) -> (usize, u16) {
    let measured: Vec<_> = readings.iter().flatten().map(|measurement| measurement.value.tenths()).collect();
    let truth = u16::try_from(integer(breaths * 10.0)).unwrap();
    (
        100 * measured.len() / readings.len(),
        measured.iter().map(|rate| rate.abs_diff(truth)).max().unwrap_or(0),
    )
}

#[test]
fn the_pulse_tells_breathing_from_slow_to_fast() {
    for (breaths, bpm) in [(5.0, 60.0), (6.0, 60.0), (12.0, 70.0), (20.0, 80.0), (30.0, 90.0), (45.0, 140.0)]
    {
        let readings = Pulse::breathing(breaths, bpm).readings(200);
        let (percent, error) = told(&readings[60..], breaths);
        assert!(percent >= 90 && error <= 20, "{breaths} at {bpm}: {percent} %, {error}");
    }
}

#[test]
fn any_two_modulations_tell_it_and_one_alone_does_not_mislead() {
    let depths = [0.3, 0.2, 0.08];
    for which in 0..3 {
        let mut pulse = Pulse::breathing(16.0, 72.0);
        (pulse.depths, pulse.scatter) = (depths, [0.005; 3]);
        pulse.depths[which] = 0.0;
        let (percent, error) = told(&pulse.clone().readings(200)[60..], 16.0);
        assert!(percent >= 90 && error <= 10, "without {which}: {percent} %, {error}");
        pulse.depths = [0.0; 3];
        pulse.depths[which] = depths[which];
        let (_, error) = told(&pulse.readings(200)[60..], 16.0);
        assert!(error <= 20, "only {which}: {error}");
    }
}

#[test]
fn modulations_that_disagree_are_hardly_ever_breathing() {
    let mut pulse = Pulse::breathing(0.0, 75.0);
    pulse.breaths = [9.0, 17.0, 27.0];
    let (percent, _) = told(&pulse.readings(300)[60..], 0.0);
    assert!(percent <= 20, "{percent} %");
}

#[test]
fn a_change_of_rate_is_followed_within_a_minute() {
    let mut respiration = PulseRespiration::new();
    readings(&mut respiration, 120, Pulse::breathing(12.0, 72.0).light(1.0));
    let after = readings(&mut respiration, 120, Pulse::breathing(22.0, 72.0).light(1.0));
    let (percent, error) = told(&after[60..], 22.0);
    assert!(percent >= 90 && error <= 10, "{percent} %, {error}");
}

#[test]
fn a_pulse_without_breathing_has_no_rate() {
    for bpm in [50.0, 72.0, 110.0, 140.0] {
        let mut pulse = Pulse::breathing(15.0, bpm);
        (pulse.depths, pulse.scatter) = ([0.0; 3], [0.0; 3]);
        assert!(pulse.readings(200)[60..].iter().all(|reading| *reading == LOW_QUALITY), "{bpm}");
    }
}

#[test]
fn apnoea_ends_the_rate_and_breathing_brings_it_back() {
    let mut pulse = Pulse::breathing(15.0, 72.0);
    (pulse.apnoea, pulse.scatter) = (100.0..220.0, [0.003; 3]);
    let readings = pulse.readings(320);
    assert!(readings[99].is_ok());
    let during = &readings[100 + 60..220];
    assert!(during.iter().all(Result::is_err), "{during:?}");
    let (percent, error) = told(&readings[220 + 60..], 15.0);
    assert!(percent >= 90 && error <= 10, "{percent} %, {error}");
}

#[test]
fn noise_is_neither_pulse_nor_breathing() {
    for seed in 0..20 {
        let light = noise(seed, 5000).map(|value| Light { red: 11 << 20, infrared: (11 << 20) + value });
        let readings = readings(&mut PulseRespiration::new(), 120, light);
        assert!(readings.iter().all(Result::is_err), "seed {seed}");
    }
}

#[test]
fn a_faint_or_absent_pulse_is_low_perfusion() {
    for amplitude in [0.0, 0.0008] {
        let mut pulse = Pulse::breathing(15.0, 72.0);
        pulse.amplitude = amplitude;
        assert_eq!(pulse.readings(60)[59], Err(Reason::LowPerfusion), "{amplitude}");
    }
}

#[test]
fn a_short_dropout_is_bridged_and_a_long_one_starts_anew() {
    for (gap, back_after) in [(8, 10), (20, 45)] {
        let mut respiration = PulseRespiration::new();
        let mut light = Pulse::breathing(15.0, 72.0).light(1.0);
        assert!(readings(&mut respiration, 100, light.by_ref())[99].is_ok());
        let held = light.next().unwrap();
        let during = readings(&mut respiration, gap, light.by_ref().map(|_| held));
        assert_eq!(during[gap - 1], Err(Reason::LowPerfusion));
        let after = readings(&mut respiration, 60, light);
        let (percent, error) = told(&after[back_after..], 15.0);
        assert!(percent >= 90 && error <= 15, "{gap} s: {percent} %, {error}");
    }
}

#[test]
fn lost_light_has_its_own_reason_and_leaves_nothing_behind() {
    let mut respiration = PulseRespiration::new();
    assert_eq!(respiration.rate(), Err(Reason::NoSignal));
    let first = readings(&mut respiration, 100, Pulse::breathing(15.0, 72.0).light(1.0));
    respiration.lose(Reason::FingerOff);
    assert_eq!(respiration.rate(), Err(Reason::FingerOff));
    let second = readings(&mut respiration, 100, Pulse::breathing(15.0, 72.0).light(1.0));
    assert_eq!(first[0], Err(Reason::Settling));
    assert!(first == second && first[99].is_ok());
}

#[test]
fn a_clock_200_ppm_off_changes_nothing() {
    for clock in [0.9998, 1.0002] {
        let light = Pulse::breathing(15.0, 72.0).light(clock);
        let readings = readings(&mut PulseRespiration::new(), 120, light);
        let (percent, error) = told(&readings[60..], 15.0);
        assert!(percent >= 90 && error <= 5, "{percent} %, {error}");
    }
}

#[test]
fn a_rate_states_method_and_the_middle_of_its_window() {
    let readings = Pulse::breathing(15.0, 72.0).readings(120);
    for pair in readings[100..].windows(2) {
        let [Ok(before), Ok(after)] = pair else { panic!("{pair:?}") };
        assert_eq!(after.method, Method::PulseModulation);
        assert!((24_000..31_000).contains(&after.delay_ms), "{after:?}");
        assert!(after.delay_ms == before.delay_ms + 1000 || after.delay_ms < before.delay_ms);
    }
}

/// Impedance of breathing with inspiration faster than expiration.
fn chest(breaths: f64, time: f64) -> f64 {
    let phase = (breaths / 60.0 * time).fract();
    1000.0 * if phase < 0.4 { -(PI * phase / 0.4).cos() } else { (PI * (phase - 0.4) / 0.6).cos() }
}

fn wave(per_minute: f64, time: f64) -> f64 {
    (2.0 * PI * per_minute / 60.0 * time).sin()
}

fn of_impedance(rate_hz: u16, seconds: u32, signal: impl Fn(f64) -> f64) -> Vec<Reading<Rate>> {
    let mut respiration = ImpedanceRespiration::new(rate_hz).unwrap();
    let rate = u32::from(rate_hz);
    (0..seconds)
        .map(|second| {
            for sample in second * rate..(second + 1) * rate {
                respiration.push(integer(signal(f64::from(sample) / f64::from(rate_hz))));
            }
            respiration.rate()
        })
        .collect()
}

#[test]
fn the_chest_tells_breathing_at_every_sample_rate_and_scale() {
    for breaths in [5.0, 12.0, 30.0, 45.0, 58.0] {
        for (rate_hz, scale) in [(25, 0.01), (125, 1.0), (250, 2_000_000.0)] {
            let readings = of_impedance(rate_hz, 80, |time| scale * chest(breaths, time));
            let (percent, error) = told(&readings[40..], breaths);
            assert!(percent == 100 && error <= 5, "{breaths} at {rate_hz} Hz: {percent} %, {error}");
        }
    }
}

#[test]
fn heart_sighs_and_steps_do_not_break_the_chest() {
    for breaths in [8.0, 12.0, 20.0, 30.0] {
        let with_heart = of_impedance(125, 200, |time| chest(breaths, time) + 250.0 * wave(75.0, time));
        let with_sighs = of_impedance(125, 200, |time| {
            chest(breaths, time) * if time % 40.0 < 60.0 / breaths { 4.0 } else { 1.0 }
        });
        let with_steps = of_impedance(125, 200, |time| {
            chest(breaths, time) + if time % 60.0 < 30.0 { 3000.0 } else { 0.0 }
        });
        let weaker =
            of_impedance(125, 200, |time| chest(breaths, time) * if time < 100.0 { 1.0 } else { 0.3 });
        for (what, readings) in
            [("heart", with_heart), ("sighs", with_sighs), ("steps", with_steps), ("weaker", weaker)]
        {
            let (percent, error) = told(&readings[40..], breaths);
            assert!(percent >= 85 && error <= 10, "{what}, {breaths}: {percent} %, {error}");
        }
    }
}

#[test]
fn apnoea_leaves_the_heart_in_the_chest_and_no_rate() {
    for (breaths, heart) in [(12.0, 50.0), (25.0, 50.0), (16.0, 75.0)] {
        let readings = of_impedance(125, 240, |time| {
            100.0 * wave(heart, time)
                + if (100.0..180.0).contains(&time) { 0.0 } else { chest(breaths, time) }
        });
        assert!(readings[99].is_ok());
        assert!(readings[100 + 14..180].iter().all(|reading| *reading == LOW_QUALITY), "{breaths}, {heart}");
        assert!(readings[180 + 40..].iter().all(Result::is_ok));
    }
}

#[test]
fn a_flat_chest_and_a_noisy_one_have_no_rate() {
    assert_eq!(of_impedance(125, 60, |_| 25_000.0)[59], LOW_QUALITY);
    let mut told = 0;
    for seed in 0..20 {
        let mut respiration = ImpedanceRespiration::new(125).unwrap();
        for (sample, value) in noise(seed, 500).take(125 * 120).enumerate() {
            respiration.push(value);
            told += usize::from(sample % 125 == 0 && respiration.rate().is_ok());
        }
    }
    assert!(told <= 24, "{told} of 2400 s");
}

#[test]
fn impedance_settles_states_its_delay_and_restarts() {
    let mut respiration = ImpedanceRespiration::new(50).unwrap();
    assert_eq!(respiration.rate(), Err(Reason::NoSignal));
    let push = |respiration: &mut ImpedanceRespiration, samples: Range<i32>| {
        samples.for_each(|sample| respiration.push(integer(chest(15.0, f64::from(sample) / 50.0))));
    };
    push(&mut respiration, 0..1500);
    assert_eq!(respiration.rate(), Err(Reason::Settling));
    push(&mut respiration, 1500..2050);
    let Ok(Measurement { method, delay_ms, .. }) = respiration.rate() else { panic!("{respiration:?}") };
    assert!(method == Method::Impedance && (16_000..18_000).contains(&delay_ms), "{delay_ms}");
    respiration.restart();
    assert_eq!(respiration.rate(), Err(Reason::NoSignal));
    push(&mut respiration, 0..1500);
    assert_eq!(respiration.rate(), Err(Reason::Settling));
    assert!(ImpedanceRespiration::new(24).is_err() && ImpedanceRespiration::new(251).is_err());
}

#[test]
fn state_is_small() {
    let bytes = [size_of::<PulseRespiration>(), size_of::<ImpedanceRespiration>()];
    assert!(bytes[0] <= 2048 && bytes[1] <= 1024, "{bytes:?}");
}
