//! The wearable's signal processing, by operations: any samples of any streams in any order, at any rate.

use core::ops::RangeInclusive;

use arbitrary::{Arbitrary, Unstructured};
use wearable_core::dsp::{
    Monitor, Rate, Reading, Readings, Reason, SampleRates,
    ecg::Electrodes,
    motion::Motion,
    spo2::{Calibration, Point},
};

const MAX_OPERATIONS: usize = 128;
/// Of all streams together: some minutes of the slow ones.
const MAX_SAMPLES: usize = 16_000;

#[derive(Debug, Arbitrary)]
enum Operation {
    Ecg(Signal, u16),
    Light {
        red: Signal,
        infrared: Signal,
        samples: u16,
    },
    Acceleration {
        axes: [Signal; 3],
        samples: u16,
    },
    Impedance(Signal, u16),
    /// All of these for some seconds, in the order of time.
    Everything {
        ecg: Signal,
        light: [Signal; 2],
        acceleration: Signal,
        impedance: Signal,
        seconds: u8,
    },
    Electrodes(u8),
    /// A new monitor, so a new record.
    Restart,
}

/// A shape with any height anywhere.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Signal {
    shape: Shape,
    offset: i32,
    height: i32,
    period: u16,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Shape {
    /// What a finger or an electrode without a body gives.
    Flat,
    Alternating,
    /// A triangle in the first eighth of a period, as a QRS is one.
    Spikes,
    /// Rises in the first quarter of a period and falls in the rest, as a pulse does.
    Pulses,
    Noise,
    /// Near what a body has: 18-bit counts, microvolt, mg.
    Body,
}

impl Signal {
    fn at(self, sample: usize) -> i32 {
        let Self { shape, offset, height, period } = self;
        let period = i64::from(period.max(2));
        let sample = i64::try_from(sample).unwrap();
        let phase = sample % period;
        let slopes = |rise: i64, fall: i64, height: i64| match phase {
            _ if phase < rise => height * phase / rise,
            _ if phase < rise + fall => height * (rise + fall - phase) / fall,
            _ => 0,
        };
        let height = i64::from(height);
        let value = i64::from(offset)
            + match shape {
                Shape::Flat => 0,
                Shape::Alternating if sample % 2 == 0 => height,
                Shape::Alternating => -height,
                Shape::Spikes => slopes((period / 16).max(1), (period / 16).max(1), height),
                Shape::Pulses => slopes((period / 4).max(1), (period * 3 / 4).max(1), height),
                Shape::Noise => {
                    // Knuth's multiplicative hash of the position.
                    ((sample.wrapping_mul(2_654_435_761) & 0xffff_ffff) * (height >> 16)) >> 16
                }
                Shape::Body => {
                    return i32::try_from(90_000 + slopes(period / 4 + 1, period / 2 + 1, height % 8192))
                        .unwrap();
                }
            };
        i32::try_from(value.clamp(i32::MIN.into(), i32::MAX.into())).unwrap()
    }
}

#[derive(Debug, Arbitrary)]
struct Device {
    rates: [u16; 4],
    table: Option<Table>,
}

#[derive(Debug, Arbitrary)]
struct Table {
    version: u16,
    validated_from: u16,
    points: Vec<(u16, u16)>,
}

impl Device {
    fn calibration(&self) -> Calibration {
        let Some(Table { version, validated_from, points }) = &self.table else { return Calibration::V1 };
        let points: Vec<Point> =
            points.iter().map(|&(ratio, saturation)| Point { ratio, saturation }).collect();
        let table = Calibration::table(*version, *validated_from, &points);
        let falls = points
            .windows(2)
            .all(|pair| pair[0].ratio < pair[1].ratio && pair[0].saturation > pair[1].saturation);
        let good = *version != 0 && (2..=Calibration::MOST_POINTS).contains(&points.len()) && falls;
        assert_eq!(table.is_some(), good, "{points:?}");
        let table = table.unwrap_or(Calibration::V1);
        for saturation in [0, 500, 700, 1000, u16::MAX] {
            let _ = table.ratio(saturation);
        }
        table
    }

    fn rates(&self) -> SampleRates {
        let ranges: [RangeInclusive<u16>; 4] = [100..=500, 25..=400, 25..=200, 25..=250];
        let mut rates = self.rates;
        let supported = rates.iter().zip(&ranges).all(|(rate, range)| range.contains(rate));
        let [ecg_hz, ppg_hz, acceleration_hz, impedance_hz] = rates;
        let asked = SampleRates { ecg_hz, ppg_hz, acceleration_hz, impedance_hz };
        assert_eq!(Monitor::new(asked, Calibration::V1).is_ok(), supported, "{asked:?}");
        for (rate, range) in rates.iter_mut().zip(ranges) {
            *rate = range.start() + *rate % (range.end() - range.start() + 1);
        }
        let [ecg_hz, ppg_hz, acceleration_hz, impedance_hz] = rates;
        if supported { asked } else { SampleRates { ecg_hz, ppg_hz, acceleration_hz, impedance_hz } }
    }
}

/// A body at rest, one that walks, one with a weak pulse, one beyond the converter; put on, taken off, put on again.
pub(crate) fn genuine() -> Vec<Vec<u8>> {
    let everything = |beat: u16, step: i32, counts: i32, pulse: i32| {
        let signals = [
            (3, 5_000, 1_000, beat),
            (4, counts * 2 / 3, pulse / 3, beat),
            (4, counts, pulse, beat),
            (4, 1_000, step, 180),
            (4, 25_000, 400, 1_440),
        ];
        let bytes = signals.map(|(shape, offset, height, period)| {
            [
                &variant(shape - 1, 6),
                &i32::to_le_bytes(offset)[..],
                &i32::to_le_bytes(height),
                &period.to_le_bytes(),
            ]
            .concat()
        });
        [&variant(4, 7), &bytes.concat()[..], &[40]].concat()
    };
    let device: Vec<u8> =
        [360_u16, 100, 100, 100].iter().flat_map(|rate| rate.to_le_bytes()).chain([0]).collect();
    let lives = [
        vec![everything(360, 0, 90_000, -2_000)],
        vec![everything(300, 0, 90_000, -2_000), everything(250, 300, 90_000, -4_000)],
        vec![everything(400, 0, 90_000, -300)],
        vec![everything(400, 0, 262_000, 3_000)],
        vec![
            everything(360, 0, 90_000, -2_000),
            everything(360, 0, 900, -10),
            everything(300, 0, 90_000, -2_000),
        ],
        vec![everything(360, 0, 90_000, -2_000), variant(6, 7).into(), everything(240, 0, 90_000, -2_000)],
    ];
    lives.map(|operations| [&device[..], &operations.concat()].concat()).into()
}

/// How the crate `arbitrary` reads one variant of `count`.
fn variant(index: u32, count: u32) -> [u8; 4] {
    (u32::MAX / count * index + count).to_le_bytes()
}

struct Worn {
    monitor: Monitor,
    rates: SampleRates,
    /// ECG, light, acceleration, impedance.
    pushed: [usize; 4],
    left: usize,
}

/// Nothing panics; a reading is in its range, belongs to a stream that was heard, and asking does not change it; what
/// cannot be measured is refused at the start.
pub fn monitor(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(device) = Device::arbitrary(&mut input) else { return };
    let (rates, calibration) = (device.rates(), device.calibration());
    let fresh = Monitor::new(rates, calibration).unwrap();
    let mut worn = Worn { monitor: fresh.clone(), rates, pushed: [0; 4], left: MAX_SAMPLES };
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() || worn.left == 0 {
            break;
        }
        let Ok(operation) = Operation::arbitrary(&mut input) else { break };
        if matches!(operation, Operation::Restart) {
            (worn.monitor, worn.pushed) = (fresh.clone(), [0; 4]);
        } else {
            worn.apply(&operation);
        }
        worn.check();
    }
}

impl Worn {
    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Ecg(signal, samples) => {
                (0..samples.into()).for_each(|at| self.ecg(signal.at(at)));
            }
            Operation::Light { red, infrared, samples } => {
                (0..samples.into()).for_each(|at| self.light([red, infrared].map(|signal| signal.at(at))));
            }
            Operation::Acceleration { axes, samples } => {
                (0..samples.into()).for_each(|at| self.acceleration(axes.map(|signal| signal.at(at))));
            }
            Operation::Impedance(signal, samples) => {
                (0..samples.into()).for_each(|at| self.impedance(signal.at(at)));
            }
            Operation::Everything { ecg, light, acceleration, impedance, seconds } => {
                let SampleRates { ecg_hz, ppg_hz, acceleration_hz, impedance_hz } = self.rates;
                let mut due = [0_u32; 3];
                for at in 0..usize::from(seconds) * usize::from(ecg_hz) {
                    self.ecg(ecg.at(at));
                    for (which, rate) in [ppg_hz, acceleration_hz, impedance_hz].into_iter().enumerate() {
                        due[which] += u32::from(rate);
                        while due[which] >= ecg_hz.into() {
                            due[which] -= u32::from(ecg_hz);
                            match which {
                                0 => self.light(light.map(|signal| signal.at(at))),
                                1 => self.acceleration([acceleration.at(at); 3]),
                                _ => self.impedance(impedance.at(at)),
                            }
                        }
                    }
                }
            }
            Operation::Electrodes(which) => self.monitor.set_electrodes(match which % 3 {
                0 => Electrodes::Unknown,
                1 => Electrodes::On,
                _ => Electrodes::Off,
            }),
            Operation::Restart => {}
        }
    }

    /// Whether one more sample may be pushed.
    fn count(&mut self, stream: usize) -> bool {
        self.pushed[stream] += usize::from(self.left > 0);
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        more
    }

    fn ecg(&mut self, microvolt: i32) {
        if self.count(0)
            && let Some(beat) = self.monitor.push_ecg(microvolt)
        {
            assert!(beat.samples_ago <= 5 * u32::from(self.rates.ecg_hz), "{beat:?}");
            assert!(usize::try_from(beat.samples_ago).unwrap() < self.pushed[0], "{beat:?}");
        }
    }

    fn light(&mut self, [red, infrared]: [i32; 2]) {
        if self.count(1) {
            self.monitor.push_ppg(red, infrared);
        }
    }

    fn acceleration(&mut self, milli_g: [i32; 3]) {
        if self.count(2) {
            self.monitor.push_acceleration(milli_g);
        }
    }

    fn impedance(&mut self, impedance: i32) {
        if self.count(3) {
            self.monitor.push_impedance(impedance);
        }
    }

    fn check(&self) {
        let readings = self.monitor.readings();
        assert_eq!(readings, self.monitor.clone().readings());
        let Readings { heart_rate, pulse_rate, respiration, spo2, perfusion, .. } = readings;
        within(heart_rate, 200..=3000);
        within(pulse_rate, 290..=2200);
        within(respiration, 30..=700);
        assert!(spo2.is_err() || spo2.is_ok_and(|spo2| (500..=1000).contains(&spo2.value.tenths())));
        assert!(perfusion.is_err() || perfusion.is_ok_and(|perfusion| perfusion.value.hundredths() <= 2000));

        let [ecg, light, acceleration, impedance] = self.pushed.map(|samples| samples > 0);
        let silent = Some(Reason::NoSignal);
        let of_ecg = [heart_rate.err(), readings.variability.err()];
        assert!(ecg || of_ecg == [silent; 2] && readings.ecg_quality.is_none());
        let of_light = [pulse_rate.err(), spo2.err(), perfusion.err()];
        assert!(light || of_light == [silent; 3] && readings.ppg_quality.is_none());
        assert!(acceleration || readings.motion == Motion::Unknown);
        assert!(light || impedance || respiration.err() == silent);
    }
}

fn within(rate: Reading<Rate>, tenths: RangeInclusive<u16>) {
    assert!(rate.is_err() || rate.is_ok_and(|rate| tenths.contains(&rate.value.tenths())), "{rate:?}");
}
