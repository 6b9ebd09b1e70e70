//! What the monitor keeps whatever is pushed, in which order, and for how long. Wrong signals: [`faults`].

mod faults;

use std::boxed::Box;
use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::synthetic;
use super::*;

const NO_SIGNAL: Reading<Rate> = Err(Reason::NoSignal);
const ALL: [Stream; 4] = [Stream::Ecg, Stream::Ppg, Stream::Acceleration, Stream::Impedance];
/// Unlike each other and unlike the rates that methods work at.
const RATES: SampleRates = SampleRates { ecg_hz: 250, ppg_hz: 64, acceleration_hz: 50, impedance_hz: 125 };

type Signal<T> = Box<dyn Iterator<Item = T>>;

/// Samples of somebody who wears everything.
struct Body {
    ecg: Signal<i32>,
    light: Signal<[i32; 2]>,
    acceleration: Signal<[i32; 3]>,
    impedance: Signal<i32>,
}

impl Body {
    /// At rest but for the seconds 20 to 35, which they walk; with noise, so that every bit of state has a part in
    /// the readings.
    fn new(bpm: f64, breaths: f64, rates: SampleRates) -> Self {
        let noise = || synthetic::noise(breaths.to_bits(), 40);
        let light = synthetic::ppg(bpm, rates.ppg_hz, 20.0, 0.5).zip(noise().zip(noise().skip(1)));
        Self {
            ecg: Box::new(
                synthetic::ecg(bpm, rates.ecg_hz).zip(noise()).map(|(signal, noise)| signal + noise),
            ),
            light: Box::new(light.map(|([red, infrared], noise)| [red + noise.0, infrared + noise.1])),
            acceleration: Box::new(synthetic::walk(rates.acceleration_hz, 20..35)),
            impedance: Box::new(synthetic::impedance(breaths, rates.impedance_hz)),
        }
    }
}

/// Every beat, and the readings of each stream after each second of its own samples.
#[derive(Debug, Default, PartialEq)]
struct Trace {
    beats: Vec<(usize, Beat)>,
    ecg: Vec<(Reading<Rate>, Reading<Variability>, Option<Quality>)>,
    pulse: Vec<(Reading<Rate>, Option<Quality>)>,
    oximetry: Vec<(Reading<Saturation>, Reading<PerfusionIndex>)>,
    motion: Vec<Motion>,
    /// With the impedance where that is measured, else with the light.
    respiration: Vec<Reading<Rate>>,
}

struct Session {
    monitor: Monitor,
    body: Body,
    rates: SampleRates,
    worn: Vec<Stream>,
    /// Samples of each stream so far.
    pushed: [usize; 4],
    trace: Trace,
}

impl Session {
    fn new(body: Body, rates: SampleRates, worn: &[Stream]) -> Self {
        Self::with(Monitor::new(rates, Calibration::V1).unwrap(), body, rates, worn)
    }

    fn with(monitor: Monitor, body: Body, rates: SampleRates, worn: &[Stream]) -> Self {
        Self { monitor, body, rates, worn: worn.into(), pushed: [0; 4], trace: Trace::default() }
    }

    fn rate(&self, stream: Stream) -> usize {
        let SampleRates { ecg_hz, ppg_hz, acceleration_hz, impedance_hz } = self.rates;
        [ecg_hz, ppg_hz, acceleration_hz, impedance_hz][stream as usize].into()
    }

    /// Microseconds of the stream so far.
    fn time(&self, stream: Stream) -> usize {
        self.pushed[stream as usize] * 1_000_000 / self.rate(stream)
    }

    fn push(&mut self, stream: Stream) {
        let Self { monitor, body, trace, .. } = self;
        match stream {
            Stream::Ecg => {
                let beat = monitor.push_ecg(body.ecg.next().unwrap());
                trace.beats.extend(beat.map(|beat| (self.pushed[stream as usize], beat)));
            }
            Stream::Ppg => {
                let [red, infrared] = body.light.next().unwrap();
                monitor.push_ppg(red, infrared);
            }
            Stream::Acceleration => monitor.push_acceleration(body.acceleration.next().unwrap()),
            Stream::Impedance => monitor.push_impedance(body.impedance.next().unwrap()),
        }
        self.pushed[stream as usize] += 1;
        if self.pushed[stream as usize].is_multiple_of(self.rate(stream)) {
            self.record(stream);
        }
    }

    fn record(&mut self, stream: Stream) {
        let Self { monitor, trace, worn, .. } = self;
        let readings = monitor.readings();
        let breathes = if worn.contains(&Stream::Impedance) { Stream::Impedance } else { Stream::Ppg };
        if stream == breathes {
            trace.respiration.push(readings.respiration);
        }
        match stream {
            Stream::Ecg => {
                trace.ecg.push((readings.heart_rate, readings.variability, readings.ecg_quality));
            }
            Stream::Ppg => {
                trace.pulse.push((readings.pulse_rate, readings.ppg_quality));
                trace.oximetry.push((readings.spo2, readings.perfusion));
            }
            Stream::Acceleration => trace.motion.push(readings.motion),
            Stream::Impedance => {}
        }
    }

    fn slowest(&self) -> Stream {
        self.worn.iter().copied().min_by_key(|stream| self.time(*stream)).unwrap()
    }

    /// The samples of everything worn for `seconds`, in the order of time.
    fn run(&mut self, seconds: usize) {
        let end = self.time(self.slowest()) + seconds * 1_000_000;
        while self.time(self.slowest()) < end {
            self.push(self.slowest());
        }
    }
}

fn monitor() -> Monitor {
    Monitor::new(SampleRates::default(), Calibration::V1).unwrap()
}

/// `seconds` of ECG and PPG as far as present.
fn run(monitor: &mut Monitor, seconds: usize, ecg: bool, ppg: bool) -> Readings {
    let mut microvolts = synthetic::ecg(72.0, 360);
    let mut counts = synthetic::ppg(72.0, 100, 20.0, 0.5);
    for _ in 0..seconds {
        if ecg {
            microvolts.by_ref().take(360).for_each(|sample| {
                monitor.push_ecg(sample);
            });
        }
        if ppg {
            counts.by_ref().take(100).for_each(|[red, infrared]| monitor.push_ppg(red, infrared));
        }
    }
    monitor.readings()
}

#[test]
fn all_three_are_measured_together() {
    let readings = run(&mut monitor(), 20, true, true);
    let heart = readings.heart_rate.unwrap().value.tenths();
    let pulse = readings.pulse_rate.unwrap().value.tenths();
    let spo2 = readings.spo2.unwrap().value.tenths();
    assert!(heart.abs_diff(720) <= 10 && pulse.abs_diff(720) <= 10 && spo2.abs_diff(946) <= 5);
    assert_eq!(readings.spo2.unwrap().calibration, 1);
}

#[test]
fn a_stream_that_stops_loses_its_value_and_starts_anew() {
    let mut monitor = monitor();
    assert_eq!(monitor.readings().heart_rate, NO_SIGNAL);
    run(&mut monitor, 20, true, true);
    let without_ecg = run(&mut monitor, 4, false, true);
    assert!(without_ecg.heart_rate == NO_SIGNAL && without_ecg.pulse_rate.is_ok());
    let again = run(&mut monitor, 2, true, true);
    assert_eq!(again.heart_rate, Err(Reason::Settling));
    let without_ppg = run(&mut monitor, 14, true, false);
    assert!(without_ppg.pulse_rate == NO_SIGNAL && without_ppg.heart_rate.is_ok());
    assert_eq!(without_ppg.spo2, Err(Reason::NoSignal));
    assert_eq!(run(&mut monitor, 2, true, true).pulse_rate, Err(Reason::Settling));
}

#[test]
fn state_is_small_enough_for_the_board() {
    // The board has 64 KiB for everything.
    let bytes = size_of::<Monitor>();
    assert!(bytes < 8192, "{bytes}");
}

/// Silence is the boundary between two records: after it, nothing of the first is left.
#[test]
fn a_stream_after_silence_gives_what_a_new_monitor_gives() {
    for stream in ALL {
        let clock = if stream == Stream::Ecg { Stream::Impedance } else { Stream::Ecg };
        let mut first = Session::new(Body::new(95.0, 22.0, RATES), RATES, &[stream, clock]);
        first.run(40);
        // Neither a whole second nor a whole sample of 25 Hz.
        (0..19).for_each(|_| first.push(stream));
        first.worn = [clock].into();
        first.run(usize::from(SILENT_SECONDS) + 2);

        let fresh = Monitor::new(RATES, Calibration::V1).unwrap();
        let [second, alone] = [first.monitor, fresh].map(|monitor| {
            let mut session = Session::with(monitor, Body::new(70.0, 14.0, RATES), RATES, &[stream, clock]);
            session.run(60);
            match (stream, session.trace) {
                (Stream::Ecg, trace) => Trace { beats: trace.beats, ecg: trace.ecg, ..Trace::default() },
                // The clock goes on.
                (_, trace) => Trace { beats: Vec::new(), ecg: Vec::new(), ..trace },
            }
        });
        assert_eq!(second, alone, "{stream:?}");
    }
}

/// So is a sensor taken off and put on again, to the bit if all that was a whole number of seconds.
#[test]
fn a_stream_after_its_sensor_was_off_gives_what_a_new_monitor_gives() {
    const WORN: [Stream; 2] = [Stream::Ecg, Stream::Ppg];
    let off = |monitor: &mut Monitor| {
        monitor.set_electrodes(Electrodes::Off);
        for _ in 0..10 {
            for _ in 0..RATES.ecg_hz {
                monitor.push_ecg(0);
            }
            (0..RATES.ppg_hz).for_each(|_| monitor.push_ppg(700, 900));
        }
        monitor.set_electrodes(Electrodes::On);
    };
    let mut first = Session::new(Body::new(95.0, 22.0, RATES), RATES, &WORN);
    first.run(40);
    let fresh = Monitor::new(RATES, Calibration::V1).unwrap();
    let [second, alone] = [first.monitor, fresh].map(|mut monitor| {
        off(&mut monitor);
        let mut session = Session::with(monitor, Body::new(70.0, 14.0, RATES), RATES, &WORN);
        session.run(60);
        session.trace
    });
    assert_eq!(second, alone);
}

/// Every quantity in hour 24 as in hour 1, to the bit, for a body whose signals repeat every 20 s.
#[test]
fn a_day_changes_nothing() {
    const RATES: SampleRates = SampleRates { ecg_hz: 100, ppg_hz: 25, acceleration_hz: 25, impedance_hz: 25 };
    let repeated = Body::new(60.0, 15.0, RATES);
    let microvolts: Vec<i32> = repeated.ecg.take(20 * 100).collect();
    let counts: Vec<[i32; 2]> = repeated.light.take(20 * 25).collect();
    let impedance: Vec<i32> = repeated.impedance.take(20 * 25).collect();
    let mut monitor = Monitor::new(RATES, Calibration::V1).unwrap();
    let hours: Vec<Readings> = (0..24)
        .map(|_| {
            for second in (0..20).cycle().take(3600) {
                for microvolt in &microvolts[second * 100..][..100] {
                    monitor.push_ecg(*microvolt);
                }
                for at in second * 25..(second + 1) * 25 {
                    let [red, infrared] = counts[at];
                    monitor.push_acceleration([0, 0, 1000]);
                    monitor.push_ppg(red, infrared);
                    monitor.push_impedance(impedance[at]);
                }
            }
            monitor.readings()
        })
        .collect();
    let first = hours[0];
    let tenths = [first.heart_rate, first.pulse_rate].map(|rate| rate.unwrap().value.tenths());
    assert!(tenths.iter().all(|tenths| tenths.abs_diff(600) <= 5) && first.spo2.is_ok(), "{first:?}");
    for (hour, readings) in hours.into_iter().enumerate() {
        assert_eq!(readings, first, "hour {}", hour + 1);
    }
}

/// The ECG counts ticks of 100 Hz: their sixteenths wrap after 31 days, they themselves after 497. Nothing else counts
/// for longer than a window.
#[test]
fn counters_that_wrap_change_nothing() {
    let waking_at = |tick: u32| {
        let mut session = Session::new(Body::new(72.0, 15.0, RATES), RATES, &[Stream::Ecg]);
        session.monitor.ecg.wake_at(tick);
        session.run(90);
        let beats = session.trace.beats.iter().filter(|(at, _)| *at > 60 * usize::from(RATES.ecg_hz));
        (
            beats.copied().collect::<Vec<_>>(),
            session.trace.ecg[60..].iter().map(|of| of.0).collect::<Vec<_>>(),
        )
    };
    let usual = waking_at(0);
    assert!(usual.0.len() > 30 && usual.1.iter().all(Result::is_ok));
    // At second 30 of 90.
    for wrap in [1 << 28, 2 << 28, 15 << 28, 0_u32] {
        assert_eq!(waking_at(wrap.wrapping_sub(3000)), usual, "{wrap}");
    }
}

/// The longest that one stream may be pushed ahead of another: two streams that take turns so are each silent for
/// twice as long, and [`SILENT_SECONDS`] is more.
const AHEAD: usize = 1_000_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The light is judged with the movement at that time, so these two go together.
    #[test]
    fn blocks_of_any_size_in_any_order_give_the_same_readings(
        blocks in vec((0..3_usize, 1..700_usize), 8..64),
        impedance: bool,
    ) {
        const END: usize = 60_000_000;
        let groups = [&[Stream::Ecg][..], &[Stream::Ppg, Stream::Acceleration], &[Stream::Impedance]];
        let groups = &groups[..if impedance { 3 } else { 2 }];
        let [mut expected, mut session] =
            [(); 2].map(|()| Session::new(Body::new(72.0, 15.0, RATES), RATES, &groups.concat()));
        expected.run(60);

        let mut blocks = blocks.into_iter().cycle();
        while session.time(session.slowest()) < END {
            let (group, samples) = blocks.next().unwrap();
            let _ = session.monitor.readings();
            for _ in 0..samples {
                let group = groups[group % groups.len()].iter().copied();
                let next = group.min_by_key(|stream| session.time(*stream)).unwrap();
                let time = session.time(next);
                // Where a block would come too far ahead, the slowest stream goes on instead.
                let next = if time < END && time <= session.time(session.slowest()) + AHEAD {
                    next
                } else {
                    session.slowest()
                };
                if session.time(next) < END {
                    session.push(next);
                }
            }
        }
        prop_assert_eq!(session.trace, expected.trace);
        prop_assert_eq!(session.monitor.readings(), expected.monitor.readings());
    }

}

proptest! {
    #[test]
    fn no_samples_make_it_panic_or_leave_the_range_of_a_reading(
        rates in (100_u16..=500, 25_u16..=400, 25_u16..=200, 25_u16..=250),
        pieces in vec(piece(), 1..40),
    ) {
        let (ecg_hz, ppg_hz, acceleration_hz, impedance_hz) = rates;
        let rates = SampleRates { ecg_hz, ppg_hz, acceleration_hz, impedance_hz };
        let mut monitor = Monitor::new(rates, Calibration::V1).unwrap();
        let mut body = Body::new(80.0, 18.0, rates);
        for piece in pieces {
            piece.push(&mut monitor, &mut body, rates)?;
        }
    }
}

/// Some samples of some streams, good or bad.
#[derive(Clone, Debug)]
struct Piece {
    streams: [bool; 4],
    electrodes: Electrodes,
    milliseconds: usize,
    /// Instead of the body's, or on top of it.
    value: i32,
    fault: Fault,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Constant,
    Alternating,
    Every(usize),
    Added,
    Scaled,
}

fn piece() -> impl Strategy<Value = Piece> {
    let value = prop_oneof![
        any::<i32>(),
        Just(i32::MIN),
        Just(i32::MAX),
        Just(-1),
        Just(0),
        -300_000..300_000,
        -20..20
    ];
    let fault = prop_oneof![
        2 => Just(Fault::None),
        1 => Just(Fault::Constant),
        1 => Just(Fault::Alternating),
        1 => (1..500_usize).prop_map(Fault::Every),
        1 => Just(Fault::Added),
        1 => Just(Fault::Scaled),
    ];
    let electrodes =
        prop_oneof![4 => Just(Electrodes::Unknown), 2 => Just(Electrodes::On), 1 => Just(Electrodes::Off)];
    (any::<[bool; 4]>(), electrodes, 1..6000_usize, value, fault).prop_map(
        |(streams, electrodes, milliseconds, value, fault)| Piece {
            streams,
            electrodes,
            milliseconds,
            value,
            fault,
        },
    )
}

impl Piece {
    fn sample(&self, good: i32, at: usize) -> i32 {
        match self.fault {
            Fault::None => good,
            Fault::Constant => self.value,
            Fault::Alternating if at.is_multiple_of(2) => self.value,
            Fault::Alternating => self.value.wrapping_neg(),
            Fault::Every(period) if at.is_multiple_of(period) => self.value,
            Fault::Every(_) => good,
            Fault::Added => good.wrapping_add(self.value),
            Fault::Scaled => good.wrapping_mul(self.value),
        }
    }

    fn push(&self, monitor: &mut Monitor, body: &mut Body, rates: SampleRates) -> Result<(), TestCaseError> {
        let samples = |rate: u16| 0..self.milliseconds * usize::from(rate) / 1000;
        monitor.set_electrodes(self.electrodes);
        let [ecg, light, acceleration, impedance] = self.streams;
        if ecg {
            for at in samples(rates.ecg_hz) {
                let beat = monitor.push_ecg(self.sample(body.ecg.next().unwrap(), at));
                prop_assert!(beat.is_none_or(|beat| beat.samples_ago <= 5 * u32::from(rates.ecg_hz)));
            }
        }
        if light {
            for at in samples(rates.ppg_hz) {
                let [red, infrared] = body.light.next().unwrap();
                monitor.push_ppg(self.sample(red, at), self.sample(infrared, at + 1));
            }
        }
        if acceleration {
            for at in samples(rates.acceleration_hz) {
                let axes = body.acceleration.next().unwrap();
                monitor.push_acceleration(axes.map(|axis| self.sample(axis, at)));
            }
        }
        if impedance {
            for at in samples(rates.impedance_hz) {
                monitor.push_impedance(self.sample(body.impedance.next().unwrap(), at));
            }
        }
        possible(&monitor.readings())
    }
}

/// What the types and the documentation of [`Readings`] promise.
fn possible(readings: &Readings) -> Result<(), TestCaseError> {
    let within = |rate: Reading<Rate>, tenths: core::ops::RangeInclusive<u16>| {
        rate.is_err()
            || rate.is_ok_and(|rate| tenths.contains(&rate.value.tenths()) && rate.delay_ms <= 60_000)
    };
    prop_assert!(within(readings.heart_rate, 200..=3000), "{readings:?}");
    prop_assert!(within(readings.pulse_rate, 290..=2200), "{readings:?}");
    prop_assert!(within(readings.respiration, 30..=700), "{readings:?}");
    if let Ok(spo2) = readings.spo2 {
        prop_assert!((500..=1000).contains(&spo2.value.tenths()) && spo2.delay_ms <= 60_000, "{readings:?}");
    }
    if let Ok(perfusion) = readings.perfusion {
        prop_assert!(perfusion.value.hundredths() <= 2000, "{readings:?}");
    }
    Ok(())
}
