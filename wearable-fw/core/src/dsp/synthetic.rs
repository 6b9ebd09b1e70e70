//! Signals of known rate and saturation for the tests of this room.
//!
//! Owns no rule; only tests read it.

use std::f64::consts::PI;

/// ECG in microvolt from t = 0: R at each whole beat (1 mV, 80 ms), T 300 ms later or sooner (0.3 mV), baseline wander.
pub(super) fn ecg(bpm: f64, rate_hz: u16) -> impl Iterator<Item = i32> {
    let hump = |t: f64, width: f64| if (0.0..width).contains(&t) { (PI * t / width).sin() } else { 0.0 };
    (0..).map(move |sample: u32| {
        let time = f64::from(sample) / f64::from(rate_hz);
        let period = 60.0 / bpm;
        let phase = (time + 0.04) % period;
        let t_wave = hump(phase - f64::min(0.3, 0.5 * period), 0.16);
        integer(1000.0 * hump(phase, 0.08) + 300.0 * t_wave + 200.0 * (2.0 * PI * 0.2 * time).sin() + 5000.0)
    })
}

/// Red and infrared counts: pulse with a second wave, `perfusion` per mille, ratio of ratios `ratio`.
pub(super) fn ppg(bpm: f64, rate_hz: u16, perfusion: f64, ratio: f64) -> impl Iterator<Item = [i32; 2]> {
    (0..).map(move |sample: u32| {
        let turn = 2.0 * PI * bpm / 60.0 * f64::from(sample) / f64::from(rate_hz);
        let pulse = 0.4 * turn.sin() + 0.15 * (2.0 * turn).sin();
        [(60_000.0, ratio), (90_000.0, 1.0)]
            .map(|(counts, gain)| integer(counts * (-gain * perfusion / 1000.0 * pulse).exp()))
    })
}

/// Impedance of a chest, milliohm: breathing, and the heart on top of it.
pub(super) fn impedance(breaths: f64, rate_hz: u16) -> impl Iterator<Item = i32> {
    (0..).map(move |sample: u32| {
        let time = f64::from(sample) / f64::from(rate_hz);
        let wave = |per_minute: f64| (2.0 * PI * per_minute / 60.0 * time).sin();
        integer(25_000.0 + 400.0 * wave(breaths) + 30.0 * wave(75.0))
    })
}

/// Acceleration in mg of somebody who lies still but for some seconds of walking at 2 steps/s.
pub(super) fn walk(rate_hz: u16, seconds: core::ops::Range<u32>) -> impl Iterator<Item = [i32; 3]> {
    (0..).map(move |sample: u32| {
        let time = f64::from(sample) / f64::from(rate_hz);
        let walks = seconds.contains(&(sample / u32::from(rate_hz)));
        let step = if walks { (2.0 * PI * 2.0 * time).sin() } else { 0.0 };
        [100.0 + 150.0 * step, 80.0 * step, 990.0 + 300.0 * step].map(integer)
    })
}

/// A wrist in motion: both lights, and the acceleration in mg. `pulse` tells the heart's rate at each second (0: none),
/// the arm swings `swing` times a minute and is shaken by two steps each time (0: at rest), and both appear in the light
/// at `artefact` per mille.
pub(super) fn wrist(
    rate_hz: u16,
    pulse: impl Fn(f64) -> f64,
    swing: f64,
    artefact: f64,
) -> impl Iterator<Item = ([i32; 2], [i32; 3])> {
    let mut turn = 0.0;
    (0..).zip(noise(7, 100)).map(move |(sample, noise): (u32, i32)| {
        let time = f64::from(sample) / f64::from(rate_hz);
        let bpm = pulse(time);
        turn += 2.0 * PI * bpm / 60.0 / f64::from(rate_hz);
        let beat = if bpm > 0.0 { 0.4 * turn.sin() + 0.15 * (2.0 * turn).sin() } else { 0.0 };
        let arm =
            |times: f64, phase: f64| (2.0 * PI * times * swing / 60.0 * time + phase).sin() - phase.sin();
        let moved = artefact * (arm(1.0, 0.8) + 0.6 * arm(2.0, 1.2)) / 1000.0;
        let light = [(60_000.0, 0.6), (90_000.0, 1.0)]
            .map(|(counts, gain): (f64, f64)| integer(counts * (-gain * 0.02 * beat - moved).exp()) + noise);
        let shaken = [400.0 * arm(1.0, 0.0), 300.0 * arm(2.0, 0.5), 990.0 + 200.0 * arm(2.0, 2.0)];
        (light, shaken.map(|axis| integer(axis) + noise / 20))
    })
}

/// Reproducible noise in -reach..reach.
pub(super) fn noise(seed: u64, reach: i32) -> impl Iterator<Item = i32> {
    let mut state = seed;
    core::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i32::try_from(state >> 40).unwrap() % (2 * reach) - reach
    })
}

#[expect(clippy::cast_possible_truncation, reason = "test signals are far below 2^31")]
pub(super) fn integer(value: f64) -> i32 {
    value.round() as i32
}
