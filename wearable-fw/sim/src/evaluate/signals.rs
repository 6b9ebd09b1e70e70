//! Samples of a file in the units of the firmware: microvolt, counts of 18 bits, mg.
//!
//! Owns what the channels of each format mean. Knows neither folders nor names. A pulse that was recorded without its
//! light becomes counts as an ordinary finger would give them.

use super::{
    file::{self, Fault, Table, finite},
    score::Series,
    truth::Truth,
};
use crate::recording::{finger_counts, sensor_counts};

/// Saturation given to a pulse that was recorded in one wavelength, 0.1 %: ordinary, and never scored.
const NO_SPO2: i32 = 970;

/// Samples at a constant rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel<T> {
    /// Samples a second, as exactly as the source says.
    pub rate_hz: f64,
    /// In order.
    pub samples: Vec<T>,
}

impl<T> Channel<T> {
    /// Of these samples.
    pub fn new(rate_hz: f64, samples: impl IntoIterator<Item = T>) -> Self {
        Self { rate_hz, samples: samples.into_iter().collect() }
    }

    /// How long it is.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / self.rate_hz
    }
}

/// What the firmware's sensors would have brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signals {
    /// Microvolt.
    pub ecg: Option<Channel<i32>>,
    /// Red, infrared; counts of 18 bits.
    pub light: Option<Channel<[i32; 2]>>,
    /// x, y, z in mg.
    pub acceleration: Option<Channel<[i32; 3]>>,
    /// Any unit.
    pub impedance: Option<Channel<i32>>,
}

impl Signals {
    /// How long the longest channel is.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let [ecg, impedance] =
            [&self.ecg, &self.impedance].map(|channel| channel.as_ref().map_or(0.0, Channel::seconds));
        let light = self.light.as_ref().map_or(0.0, Channel::seconds);
        let acceleration = self.acceleration.as_ref().map_or(0.0, Channel::seconds);
        ecg.max(light).max(acceleration).max(impedance)
    }
}

/// A channel of at least a second.
pub(super) fn channel<T>(rate_hz: f64, samples: impl IntoIterator<Item = T>) -> Result<Channel<T>, Fault> {
    let channel = Channel::new(rate_hz, samples);
    if channel.seconds() < 1.0 { Err(Fault::Empty) } else { Ok(channel) }
}

fn int(value: [u8; 2]) -> i32 {
    i16::from_le_bytes(value).into()
}

/// 5 microvolt per count.
pub(super) fn noise(bytes: &[u8]) -> Result<Signals, Fault> {
    let samples = file::interleaved::<1>(bytes)?.into_iter().map(|[value]| 5 * int(value));
    Ok(Signals { ecg: Some(channel(360.0, samples)?), ..Signals::default() })
}

/// Red and, as the colour with the strongest pulse, green in place of infrared; 16 bits spread to 18.
pub(super) fn camera(bytes: &[u8]) -> Result<Signals, Fault> {
    let counts = |value| 3 * i32::from(u16::from_le_bytes(value));
    let samples =
        file::interleaved::<3>(bytes)?.into_iter().map(|[red, green, _]| [counts(red), counts(green)]);
    Ok(Signals { light: Some(channel(30.0, samples)?), ..Signals::default() })
}

/// Two lights of one colour stand for red and infrared.
pub(super) fn running(bytes: &[u8]) -> Result<Signals, Fault> {
    let rows: Vec<[i32; 5]> = file::interleaved::<5>(bytes)?.into_iter().map(|row| row.map(int)).collect();
    let first = absorbances(rows.iter().map(|[first, ..]| f64::from(*first)));
    let second = absorbances(rows.iter().map(|[_, second, ..]| f64::from(*second)));
    let light =
        channel(125.0, first.into_iter().zip(second).map(|(first, second)| sensor_counts([first, second])))?;
    let acceleration = channel(125.0, rows.iter().map(|[_, _, x, y, z]| [*x, *y, *z]))?;
    Ok(Signals { light: Some(light), acceleration: Some(acceleration), ..Signals::default() })
}

/// ECG in 0.1 microvolt.
pub(super) fn breathing(bytes: &[u8]) -> Result<Signals, Fault> {
    let rows: Vec<[i32; 3]> = file::interleaved::<3>(bytes)?.into_iter().map(|row| row.map(int)).collect();
    Ok(Signals {
        ecg: Some(channel(125.0, rows.iter().map(|[ecg, ..]| ecg / 10))?),
        light: Some(channel(125.0, one_wavelength(rows.iter().map(|[_, pleth, _]| f64::from(*pleth))))?),
        impedance: Some(channel(125.0, rows.iter().map(|[.., resp]| *resp))?),
        ..Signals::default()
    })
}

/// A pulse of unknown scale, more is more blood, as a sensor would see it in two wavelengths.
fn one_wavelength(pulse: impl Iterator<Item = f64> + Clone) -> Vec<[i32; 2]> {
    absorbances(pulse).into_iter().map(|pulse| finger_counts(pulse, NO_SPO2, [0; 2])).collect()
}

/// A pulse of unknown scale in Q20 of the light: an rms of 0.7 %, which is a perfusion index of 2 % (ordinary).
fn absorbances(pulse: impl Iterator<Item = f64> + Clone) -> Vec<i64> {
    const RMS_Q20: f64 = 0.007 * (1 << 20) as f64;
    let count = pulse.clone().count().max(1) as f64;
    let mean = pulse.clone().sum::<f64>() / count;
    let rms = (pulse.clone().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt().max(1.0);
    #[expect(clippy::cast_possible_truncation, reason = "16-bit values over an rms of at least 1")]
    let absorbance = |value: f64| ((value - mean) / rms * RMS_Q20) as i64;
    pulse.map(absorbance).collect()
}

/// `# fs_hz=64.1 ref_spo2=95 ref_hr=73`, then a table.
pub(super) fn clip(text: &str) -> Result<(Signals, Truth), Fault> {
    let first = text.lines().next().unwrap_or_default();
    let said = |name: &str| {
        let field = first.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        field.map(|field| finite(1, field)).transpose()
    };
    let rate_hz = said("fs_hz")?.ok_or_else(|| Fault::Header("does not begin with # fs_hz=".into()))?;
    if !(1.0..=1000.0).contains(&rate_hz) {
        return Err(Fault::Line { line: 1, what: format!("{rate_hz} Hz is not 1 to 1000 Hz") });
    }
    let table = Table::parse(text, ["red", "ir", "ax_mg", "ay_mg", "az_mg"])?;
    let rows: Vec<[f64; 5]> = table.numbers().collect::<Result<_, _>>()?;
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let rows: Vec<[i32; 5]> = rows.into_iter().map(|row| row.map(|value| value.round() as i32)).collect();
    let light = channel(rate_hz, rows.iter().map(|[red, infrared, ..]| [*red, *infrared]))?;
    let acceleration = channel(rate_hz, rows.iter().map(|[_, _, x, y, z]| [*x, *y, *z]))?;
    let seconds = light.seconds();
    let throughout = |value: f64| {
        let times = (0_u32..).map(f64::from).take_while(|time| *time <= seconds);
        Series::new(times.map(|time| (time, value)).collect())
    };
    let truth = Truth {
        spo2: said("ref_spo2")?.and_then(throughout),
        pulse_rate: said("ref_hr")?.and_then(throughout),
        ..Truth::default()
    };
    Ok((Signals { light: Some(light), acceleration: Some(acceleration), ..Signals::default() }, truth))
}

/// `fs=250 channels=['II', 'V', 'PLETH'] scale=1000/unit n=82500 ...`
pub(super) struct Layout {
    rate_hz: f64,
    per_unit: f64,
    ecg: Option<usize>,
    pleth: Option<usize>,
    samples: usize,
}

impl Layout {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |what: &str| Fault::Header(format!("does not say {what}"));
        let field = |name: &str| {
            let (_, rest) = text.split_once(name)?;
            rest.split([' ', '/', '\n']).next()?.parse::<f64>().ok().filter(|value| value.is_finite())
        };
        let rate = field("fs=").filter(|rate| (1.0..=10_000.0).contains(rate));
        let scale = field("scale=").filter(|scale| (1.0..=1e6).contains(scale));
        let count = field("n=").filter(|count| (1.0..=1e9).contains(count));
        let listed = text.split_once("channels=[").and_then(|(_, rest)| rest.split(']').next());
        let names: Vec<&str> = listed
            .ok_or_else(|| wrong("channels=[...]"))?
            .split(',')
            .map(|name| name.trim_matches([' ', '\'', '"']))
            .collect();
        if names.len() != 3 {
            return Err(Fault::Header(format!("lists {} channels, not 3", names.len())));
        }
        let place = |wanted: &[&str]| names.iter().position(|name| wanted.contains(name));
        Ok(Self {
            rate_hz: rate.ok_or_else(|| wrong("fs= of 1 to 10000"))?,
            per_unit: scale.ok_or_else(|| wrong("scale= of 1 to 1000000"))?,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 ..= 10^9")]
            samples: count.ok_or_else(|| wrong("n= of 1 to 10^9"))? as usize,
            ecg: place(&["I", "II", "III", "V", "MCL", "MLII", "ECG"]),
            pleth: place(&["PLETH", "PPG"]),
        })
    }

    pub(super) fn signals(&self, bytes: &[u8]) -> Result<Signals, Fault> {
        let rows: Vec<[i32; 3]> =
            file::interleaved::<3>(bytes)?.into_iter().map(|row| row.map(int)).collect();
        if rows.len() != self.samples {
            let (held, said) = (rows.len(), self.samples);
            return Err(Fault::Header(format!("holds {held} samples, not the {said} of its .txt")));
        }
        let column = |place: usize| rows.iter().map(move |row| row.get(place).copied().unwrap_or(0));
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and beyond +-1 V is the rail")]
        let microvolt = |value: i32| (f64::from(value) * 1000.0 / self.per_unit).round() as i32;
        let ecg = self.ecg.map(|place| channel(self.rate_hz, column(place).map(microvolt))).transpose()?;
        let light = self.pleth.map(|place| one_wavelength(column(place).map(f64::from)));
        let light = light.map(|samples| channel(self.rate_hz, samples)).transpose()?;
        Ok(Signals { ecg, light, ..Signals::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(series: Option<Series>) -> Vec<(f64, f64)> {
        series.unwrap().points().to_vec()
    }

    #[test]
    fn a_clip_has_its_truth_in_its_first_line() {
        let rows: String = (0..64).map(|row| format!("{row},90000,80000,1,2,3,-1000\n")).collect();
        let table = format!("t_ms,ir,red,ambient,ax_mg,ay_mg,az_mg\n{rows}");
        let (signals, truth) = clip(&format!("# fs_hz=32 ref_spo2=95 ref_hr=73\n{table}")).unwrap();
        assert_eq!(signals.light.unwrap().samples[0], [80_000, 90_000]);
        assert_eq!(signals.acceleration.unwrap().samples[9], [2, 3, -1000]);
        assert_eq!(points(truth.spo2), [(0.0, 95.0), (1.0, 95.0), (2.0, 95.0)]);
        assert_eq!(clip(&format!("# fs_hz=32\n{table}")).unwrap().1, Truth::default());
        for hostile in
            ["", "#", "# fs_hz=0", "# fs_hz=NaN", "# fs_hz=1e9", "# fs_hz=32 ref_spo2=x", "# fs_hz=900"]
        {
            assert!(clip(&format!("{hostile}\n{table}")).is_err(), "{hostile}");
        }
    }

    #[test]
    fn interleaved_channels_come_apart_in_their_units() {
        let bytes = |row: &[i16]| -> Vec<u8> {
            row.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().repeat(400)
        };
        assert_eq!(noise(&bytes(&[-3])).unwrap().ecg.unwrap().samples[0], -15);
        assert_eq!(camera(&bytes(&[7, -1, 5])).unwrap().light.unwrap().samples[0], [21, 3 * 65_535]);
        let worn = running(&bytes(&[1, 2, 30, 40, -1000])).unwrap();
        assert_eq!(worn.acceleration.unwrap().samples[0], [30, 40, -1000]);
        let bed = breathing(&bytes(&[10_000, 5, -7])).unwrap();
        assert_eq!((bed.ecg.unwrap().samples[0], bed.impedance.unwrap().samples[0]), (1000, -7));
        for torn in [&[0_u8; 1][..], &[0; 7], &[0; 999]] {
            assert!(camera(torn).is_err() && running(torn).is_err() && breathing(torn).is_err());
        }
        assert!(matches!(noise(&[0; 100]), Err(Fault::Empty)));
    }

    #[test]
    fn a_layout_names_its_channels() {
        let text = "fs=250 channels=['II', 'V', 'PLETH'] scale=1000/unit n=500 comments=[]";
        let layout = Layout::parse(text).unwrap();
        let bytes: Vec<u8> = [500_i16, 1, 2].iter().flat_map(|value| value.to_le_bytes()).collect();
        let signals = layout.signals(&bytes.repeat(500)).unwrap();
        assert_eq!(signals.ecg.unwrap().samples[0], 500);
        let light = signals.light.unwrap();
        assert_eq!((light.rate_hz, light.samples.len()), (250.0, 500));
        assert!(layout.signals(&bytes.repeat(499)).unwrap_err().to_string().contains("499"));
        for hostile in [
            "",
            "fs=250 scale=1 n=5",
            "fs=0 channels=['II','V','PLETH'] scale=1 n=5",
            "fs=250 channels=['II'] scale=1 n=5",
            "fs=250 channels=['II','V','PLETH'] scale=NaN n=5",
            "fs=250 channels=['II','V','PLETH'] scale=1 n=1e300",
        ] {
            assert!(Layout::parse(hostile).is_err(), "{hostile}");
        }
    }

    #[test]
    fn a_pulse_of_any_scale_becomes_an_ordinary_finger() {
        for scale in [1.0, 30_000.0] {
            let pulse = (0..500).map(|sample| scale * (f64::from(sample) / 10.0).sin());
            let counts = one_wavelength(pulse);
            let swing = |place: usize| {
                let values = counts.iter().map(|sample| f64::from(sample[place]).ln());
                values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
            };
            assert!((0.012..0.030).contains(&swing(1)), "{scale}: {}", swing(1));
        }
        assert_eq!(one_wavelength(std::iter::repeat_n(5.0, 3)), vec![finger_counts(0, NO_SPO2, [0; 2]); 3]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..3000),
            words in "(fs=|scale=|n=|channels=\\[|'PLETH'|,|\\]|[0-9e.-]{1,4}| |#|fs_hz=|red,ir,ax_mg,ay_mg,az_mg|\n){0,40}",
        ) {
            for parse in [noise, camera, running, breathing] {
                parse(&bytes).ok();
            }
            clip(&words).ok();
            if let Ok(layout) = Layout::parse(&words) {
                layout.signals(&bytes).ok();
            }
        }
    }
}
