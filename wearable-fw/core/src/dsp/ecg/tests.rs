use super::super::synthetic;
use super::*;

fn after(ecg: &mut Ecg, seconds: u16, signal: impl Iterator<Item = i32>) -> Reading<Rate> {
    let samples = usize::from(seconds) * usize::from(ecg.rate_hz);
    signal.take(samples).for_each(|sample| {
        ecg.push(sample);
    });
    ecg.heart_rate()
}

#[test]
fn known_rates_are_measured_at_every_sample_rate() {
    for rate_hz in [100, 125, 250, 360, 500] {
        for bpm in [40_u16, 60, 75, 100, 140, 180] {
            let mut ecg = Ecg::new(rate_hz).unwrap();
            let reading = after(&mut ecg, 20, synthetic::ecg(bpm.into(), rate_hz));
            let tenths = reading.ok().map(|measurement| measurement.value.tenths());
            assert!(
                tenths.is_some_and(|tenths| tenths.abs_diff(10 * bpm) <= 10),
                "{bpm} at {rate_hz} Hz: {reading:?}"
            );
        }
    }
}

#[test]
fn beats_are_placed_on_their_qrs() {
    let mut ecg = Ecg::new(360).unwrap();
    let beats: std::vec::Vec<u32> = (0_u32..)
        .zip(synthetic::ecg(60.0, 360).take(30 * 360))
        .filter_map(|(now, sample)| ecg.push(sample).map(|beat| now - beat.samples_ago))
        .collect();
    assert!(beats.len() >= 20);
    for at in beats {
        assert!((at + 180) % 360 >= 170 && (at + 180) % 360 <= 190, "R at whole seconds, beat at {at}");
    }
}

#[test]
fn a_change_of_rate_is_followed() {
    let mut ecg = Ecg::new(250).unwrap();
    assert!(after(&mut ecg, 20, synthetic::ecg(60.0, 250)).is_ok());
    let rate = after(&mut ecg, 14, synthetic::ecg(120.0, 250)).unwrap().value;
    assert!(rate.tenths().abs_diff(1200) <= 10, "{rate:?}");
}

#[test]
fn a_flat_ecg_has_no_rate_and_never_the_last_one() {
    for level in [0, -300, i32::MAX, i32::MIN] {
        let mut ecg = Ecg::new(360).unwrap();
        assert!(after(&mut ecg, 20, synthetic::ecg(75.0, 360)).is_ok());
        assert!(after(&mut ecg, 4, core::iter::repeat(level)).is_err());
        for _ in 0..30 {
            let reading = after(&mut ecg, 1, core::iter::repeat(level));
            assert_eq!(reading, Err(Reason::LeadOff));
        }
        let back = after(&mut ecg, 14, synthetic::ecg(90.0, 360));
        assert!(back.is_ok_and(|back| back.value.tenths().abs_diff(900) <= 10), "{back:?}");
    }
}

#[test]
fn beats_that_cease_under_wandering_baseline_are_no_beat() {
    let mut ecg = Ecg::new(360).unwrap();
    assert!(after(&mut ecg, 20, synthetic::ecg(75.0, 360)).is_ok());
    let mut wander = (0..).map(|sample: i32| (sample % 720 - 360).abs());
    assert_eq!(after(&mut ecg, 5, wander.by_ref()), Err(Reason::NoBeat));
    for _ in 0..20 {
        assert!(after(&mut ecg, 1, wander.by_ref()).is_err());
    }
}

#[test]
fn noise_alone_is_not_a_heart() {
    for seed in 0..5 {
        let mut ecg = Ecg::new(360).unwrap();
        let mut noise = synthetic::noise(seed, 500);
        let published = (0..60).filter(|_| after(&mut ecg, 1, noise.by_ref()).is_ok()).count();
        assert_eq!(published, 0, "seed {seed}");
    }
}

#[test]
fn unsupported_rates_are_refused() {
    assert_eq!(Ecg::new(99).unwrap_err().hz, 99);
    assert!(Ecg::new(501).is_err() && Ecg::new(0).is_err());
}
