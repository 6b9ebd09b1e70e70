//! Signals with a known truth and something wrong with them: no value may be wrong, and most have to be there.
//!
//! Wrong is a heart rate more than 10 % off (IEC 60601-2-27), a pulse rate more than 5 bpm, a saturation more than 2 %.

use super::super::super::Method;
use super::*;

const BPM: f64 = 72.0;
const SETTLED: usize = 20;

/// `None` is a sample that the sensor lost.
struct Ticks {
    ecg: Signal<Option<i32>>,
    light: Signal<Option<[i32; 2]>>,
}

impl Ticks {
    /// Of a body at rest; `ecg` and `light` spoil it, by the number of the sample.
    fn new(
        mut ecg: impl FnMut(usize, i32) -> Option<i32> + 'static,
        mut light: impl FnMut(usize, [i32; 2]) -> Option<[i32; 2]> + 'static,
    ) -> Self {
        let microvolts = (0..).zip(synthetic::ecg(BPM, 360));
        let counts = (0..).zip(synthetic::ppg(BPM, 100, 20.0, 0.5));
        Self {
            ecg: Box::new(microvolts.map(move |(at, sample)| ecg(at, sample))),
            light: Box::new(counts.map(move |(at, sample)| light(at, sample))),
        }
    }
}

/// The values of one quantity, one for each second after it settled, in its tenths.
#[derive(Debug, Default)]
struct Values {
    seconds: usize,
    values: Vec<u16>,
    reasons: Vec<Reason>,
}

impl Values {
    fn take<T>(&mut self, reading: Reading<T>, tenths: impl Fn(T) -> u16) {
        self.seconds += 1;
        match reading {
            Ok(measurement) => self.values.push(tenths(measurement.value)),
            Err(reason) => self.reasons.push(reason),
        }
    }

    /// Whether all are within `reach` of `truth`, and this share of the seconds has one.
    fn are(&self, truth: u16, reach: u16, percent: usize) -> bool {
        self.values.iter().all(|value| value.abs_diff(truth) <= reach)
            && 100 * self.values.len() >= percent * self.seconds
    }
}

/// Heart rate, pulse rate and saturation of `seconds`, each second with its number of ECG samples and of PPG samples.
fn measure(ticks: Ticks, seconds: usize, mut samples: impl FnMut(usize) -> [usize; 2]) -> [Values; 3] {
    let Ticks { mut ecg, mut light } = ticks;
    let mut monitor = monitor();
    let mut values = [(); 3].map(|()| Values::default());
    for second in 0..seconds {
        let [microvolts, counts] = samples(second);
        for microvolt in ecg.by_ref().take(microvolts).flatten() {
            monitor.push_ecg(microvolt);
        }
        for [red, infrared] in light.by_ref().take(counts).flatten() {
            monitor.push_ppg(red, infrared);
        }
        if second >= SETTLED {
            let readings = monitor.readings();
            values[0].take(readings.heart_rate, |rate| rate.tenths());
            values[1].take(readings.pulse_rate, |rate| rate.tenths());
            values[2].take(readings.spo2, |spo2| spo2.tenths());
        }
    }
    values
}

fn whole(_: usize) -> [usize; 2] {
    [360, 100]
}

#[test]
fn lost_samples_shorten_time_by_their_share_and_do_no_more_harm() {
    for seed in 0..4 {
        // One of a hundred, at random.
        let [mut first, mut second] = [seed, seed + 100].map(|seed| synthetic::noise(seed, 50));
        let ticks = Ticks::new(
            move |_, sample| (first.next() != Some(0)).then_some(sample),
            move |_, sample| (second.next() != Some(0)).then_some(sample),
        );
        let [heart, pulse, spo2] = measure(ticks, 120, whole);
        assert!(heart.are(727, 20, 95), "{heart:?}");
        assert!(pulse.are(727, 25, 90), "{pulse:?}");
        assert!(spo2.are(946, 15, 90), "{spo2:?}");
    }
}

#[test]
fn clocks_that_drift_apart_by_400_ppm_are_no_silence() {
    let samples = |second: usize| {
        let until = |seconds: usize, hz: usize, ppm: usize| seconds * hz * (1_000_000 + ppm) / 1_000_000;
        [(360, 400), (100, 0)].map(|(hz, ppm)| until(second + 1, hz, ppm) - until(second, hz, ppm))
    };
    let ticks = Ticks::new(|_, sample| Some(sample), |_, sample| Some(sample));
    let [heart, pulse, spo2] = measure(ticks, 3600, samples);
    assert!(heart.are(720, 2, 100) && pulse.are(720, 2, 100) && spo2.are(946, 3, 100));
}

#[test]
fn a_clipped_ecg_still_shows_its_beats() {
    // Rails 0.6 mV around the baseline: where it wanders up, R loses more than half.
    let ticks = Ticks::new(|_, sample| Some(sample.clamp(4_400, 5_600)), |_, sample| Some(sample));
    let [heart, ..] = measure(ticks, 60, whole);
    assert!(heart.are(720, 10, 95), "{heart:?}");
}

#[test]
fn clipped_light_is_no_reading_and_says_why() {
    // The upper half of the infrared pulse is beyond full scale.
    let gain = |[red, infrared]: [i32; 2]| [red, infrared * 291 / 100];
    let ticks = Ticks::new(|_, sample| Some(sample), move |_, sample| Some(gain(sample)));
    let [_, pulse, spo2] = measure(ticks, 60, whole);
    for light in [pulse, spo2] {
        assert!(light.values.is_empty() && light.reasons.contains(&Reason::Saturated), "{light:?}");
    }
}

#[test]
fn dropouts_cost_values_and_falsify_none() {
    // Every 30 s the electrode and the finger are off for 1 s.
    let off = |at: usize, hz: usize| at / hz % 30 == 29;
    let ticks = Ticks::new(
        move |at, sample| Some(if off(at, 360) { 5_000 } else { sample }),
        move |at, sample| Some(if off(at, 100) { [700, 900] } else { sample }),
    );
    let [heart, pulse, spo2] = measure(ticks, 300, whole);
    assert!(heart.are(720, 72, 70), "{heart:?}");
    assert!(pulse.are(720, 50, 50) && pulse.reasons.contains(&Reason::FingerOff), "{pulse:?}");
    assert!(spo2.are(946, 20, 50), "{spo2:?}");
}

#[test]
fn steps_of_the_baseline_cost_values_and_falsify_none() {
    // Every 30 s the amplifier's offset and the lamps' currents change.
    let changed = |at: usize, hz: usize| at / hz / 30 % 2 == 1;
    let ticks = Ticks::new(
        move |at, sample| Some(if changed(at, 360) { sample + 3_000 } else { sample }),
        move |at, sample| Some(if changed(at, 100) { sample.map(|counts| counts * 7 / 10) } else { sample }),
    );
    let [heart, pulse, spo2] = measure(ticks, 300, whole);
    assert!(heart.are(720, 72, 70), "{heart:?}");
    assert!(pulse.are(720, 50, 50), "{pulse:?}");
    assert!(spo2.are(946, 20, 50), "{spo2:?}");
}

#[test]
fn an_impedance_that_swings_with_the_heart_is_no_breathing() {
    let respiration = |bpm: f64| {
        let mut monitor = monitor();
        let (mut ecg, mut impedance) = (synthetic::ecg(bpm, 360), synthetic::impedance(50.0, 100));
        for _ in 0..40 {
            ecg.by_ref().take(360).for_each(|sample| {
                monitor.push_ecg(sample);
            });
            impedance.by_ref().take(100).for_each(|sample| monitor.push_impedance(sample));
        }
        monitor.readings().respiration
    };
    let breathing = respiration(72.0).unwrap();
    assert!(breathing.method == Method::Impedance && breathing.value.tenths().abs_diff(500) <= 5);
    assert_eq!(respiration(50.0), Err(Reason::LowQuality));
    assert_eq!(respiration(52.0), Err(Reason::LowQuality));
}

#[test]
fn an_interrupted_stream_has_no_signal_and_starts_anew() {
    let mut monitor = monitor();
    let (mut ecg, mut light) = (synthetic::ecg(BPM, 360), synthetic::ppg(BPM, 100, 20.0, 0.5));
    for _ in 0..30 {
        ecg.by_ref().take(360).for_each(|microvolt| _ = monitor.push_ecg(microvolt));
        light.by_ref().take(100).for_each(|[red, infrared]| monitor.push_ppg(red, infrared));
    }
    let told = |monitor: &Monitor| {
        let readings = monitor.readings();
        [readings.heart_rate.map(|_| ()), readings.pulse_rate.map(|_| ()), readings.spo2.map(|_| ())]
    };
    assert_eq!(told(&monitor), [Ok(()); 3]);
    monitor.interrupt(Stream::Ppg);
    assert_eq!(told(&monitor), [Ok(()), Err(Reason::NoSignal), Err(Reason::NoSignal)]);
    monitor.interrupt(Stream::Ecg);
    monitor.push_ecg(ecg.next().unwrap());
    light.take(100).for_each(|[red, infrared]| monitor.push_ppg(red, infrared));
    assert_eq!(told(&monitor), [Err(Reason::Settling); 3]);
}
