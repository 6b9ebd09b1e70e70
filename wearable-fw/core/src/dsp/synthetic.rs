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
