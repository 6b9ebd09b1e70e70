//! The container of the MIT-BIH records: a header line per signal, and two 12-bit values in three bytes.
//!
//! Owns the part of the WFDB header and of format 212 that those records use: signals in one file, gain, baseline,
//! checksum. Source: WFDB Applications Guide, header(5) and signal(5). Anything else is refused, not guessed.

use std::path::{Component, Path};

use super::file::Fault;

const MAX_SIGNALS: usize = 8;

/// A header that can be followed.
#[derive(Debug, PartialEq)]
pub struct Header {
    /// Samples a second of each signal.
    pub rate_hz: f64,
    /// Name of the file beside it that holds the samples.
    pub file: String,
    signals: usize,
    samples: Option<usize>,
    gain: f64,
    baseline: i32,
    checksum: Option<i16>,
}

impl Header {
    /// Reads what the first signal needs.
    ///
    /// # Errors
    /// [`Fault::Line`], [`Fault::Header`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut lines =
            (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
        let (line, record) = lines.next().ok_or_else(|| Fault::Header("is an empty header".into()))?;
        let wrong = |line: usize, what: &str| Fault::Line { line, what: what.into() };
        let mut fields = record.split_whitespace().skip(1);
        let signals = fields.next().and_then(|field| field.parse().ok());
        let signals: usize = signals
            .filter(|signals| (1..=MAX_SIGNALS).contains(signals))
            .ok_or_else(|| wrong(line, "the number of signals is not 1 to 8"))?;
        // Frequency, perhaps with a counter frequency that does not matter here; 250 Hz if not said.
        let rate = fields.next().map_or(Some(250.0), |field| field.split(['/', '(']).next()?.parse().ok());
        let rate_hz = rate
            .filter(|rate: &f64| (1.0..=10_000.0).contains(rate))
            .ok_or_else(|| wrong(line, "the sample rate is not 1 to 10000 Hz"))?;
        let samples = match fields.next() {
            None | Some("0") => None,
            Some(field) => Some(field.parse().map_err(|_| wrong(line, "the number of samples is none"))?),
        };
        let described: Vec<(usize, &str)> = lines.take(signals).collect();
        let [(line, first), ..] = described.as_slice() else {
            return Err(Fault::Header("describes no signal".into()));
        };
        let mut files = described.iter().map(|(_, line)| line.split_whitespace().take(2));
        if described.len() < signals || !files.all(|file| file.eq(first.split_whitespace().take(2))) {
            return Err(Fault::Header(format!("does not describe {signals} signals of one file")));
        }
        let field = |place| first.split_whitespace().nth(place);
        let file = field(0).filter(|file| is_plain_name(file));
        let file = file.ok_or_else(|| wrong(*line, "the signal file is no plain file name"))?.to_owned();
        if field(1) != Some("212") {
            return Err(wrong(*line, "the signal is not in format 212"));
        }
        let integer = |place| field(place).and_then(|field| field.parse::<i32>().ok());
        let (gain, baseline) =
            gain_and_baseline(field(2)).ok_or_else(|| wrong(*line, "the gain is none in mV"))?;
        let baseline = baseline.or_else(|| integer(4)).unwrap_or(0);
        if baseline.unsigned_abs() > 1 << 16 {
            return Err(wrong(*line, "the zero is beyond 16 bits"));
        }
        let checksum = field(6).and_then(|field| field.parse().ok());
        Ok(Self { rate_hz, file, signals, samples, gain, baseline, checksum })
    }

    /// The first signal in microvolt.
    ///
    /// # Errors
    /// [`Fault::Header`] where the bytes are not as many or not those that the header describes.
    pub fn microvolts(&self, bytes: &[u8]) -> Result<Vec<i32>, Fault> {
        let values = bytes.len() / 3 * 2 + bytes.len() % 3 / 2;
        let samples = self.samples.unwrap_or(values / self.signals);
        let needed = samples.checked_mul(self.signals).and_then(|values| values.checked_mul(3));
        if needed.is_none_or(|thirds| thirds.div_ceil(2) != bytes.len()) {
            let length = bytes.len();
            return Err(Fault::Header(format!("{length} bytes are not the {samples} samples of the header")));
        }
        let raw: Vec<i32> = format_212(bytes).step_by(self.signals).take(samples).collect();
        let sum = raw.iter().fold(0_i32, |sum, value| sum.wrapping_add(*value));
        if self.checksum.is_some_and(|checksum| i32::from(checksum) != (sum << 16) >> 16) {
            return Err(Fault::Header("the samples do not add up to the header's checksum".into()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and beyond +-1 V is the rail")]
        let microvolt = |value: i32| (f64::from(value - self.baseline) * 1000.0 / self.gain).round() as i32;
        Ok(raw.into_iter().map(microvolt).collect())
    }
}

/// `200(1024)/mV`: counts per mV and the count that means 0. Without a gain, 200.
fn gain_and_baseline(field: Option<&str>) -> Option<(f64, Option<i32>)> {
    let field = field.unwrap_or("200");
    let (number, unit) = field.split_once('/').unwrap_or((field, "mV"));
    let (gain, baseline) = match number.split_once('(') {
        Some((gain, rest)) => (gain, Some(rest.strip_suffix(')')?.parse().ok()?)),
        None => (number, None),
    };
    let gain = gain.parse().ok().map(|gain: f64| if gain == 0.0 { 200.0 } else { gain })?;
    let plausible = (1.0..=1e6).contains(&gain);
    (plausible && unit == "mV").then_some((gain, baseline))
}

fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

/// Pairs of 12-bit two's complement values: low byte, both high nibbles, low byte.
fn format_212(bytes: &[u8]) -> impl Iterator<Item = i32> {
    let signed = |value: i32| (value << 20) >> 20;
    bytes.chunks(3).flat_map(move |group| {
        let [low, nibbles, second] = [0, 1, 2].map(|place| i32::from(group.get(place).copied().unwrap_or(0)));
        [signed((nibbles & 0x0f) << 8 | low), signed((nibbles & 0xf0) << 4 | second)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "100 1 360 3\n100.dat 212 200(1024)/mV 12 0 995 6 0 MLII\n# comment\n";

    fn refused(text: &str) -> String {
        Header::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_header_and_its_samples_become_microvolts() {
        let header = Header::parse(HEADER).unwrap();
        assert_eq!((header.rate_hz, header.file.as_str()), (360.0, "100.dat"));
        // 1024 and -1, then 1024 - 2041 = -1017 alone in two bytes.
        let bytes = [0x00, 0xf4, 0xff, 0x07, 0x0c];
        let header = Header { checksum: Some(1024 - 1 - 1017), ..header };
        assert_eq!(header.microvolts(&bytes).unwrap(), [0, -5125, -10205]);
    }

    #[test]
    fn of_two_signals_the_first_is_taken() {
        let text = "r 2 360/1(0) 2\nr.dat 212 100 12 10 0 0\nr.dat 212 100 12 10 0 0\n";
        let header = Header { checksum: None, ..Header::parse(text).unwrap() };
        assert_eq!(header.microvolts(&[20, 0, 99, 10, 0, 99]).unwrap(), [100, 0]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let header = Header::parse(HEADER).unwrap();
        for wrong in [&[][..], &[0; 4], &[0; 6], &[0; 7]] {
            assert!(header.microvolts(wrong).unwrap_err().to_string().contains("3 samples"), "{wrong:?}");
        }
        assert!(header.microvolts(&[0; 5]).unwrap_err().to_string().contains("checksum"));
        let huge = Header { samples: Some(usize::MAX), ..Header::parse(HEADER).unwrap() };
        assert!(huge.microvolts(&[0; 5]).is_err());
    }

    #[test]
    fn headers_of_other_things_are_refused() {
        assert!(refused("").contains("empty"));
        assert!(refused("100 0 360 9\n").contains("1 to 8"));
        assert!(refused("100 99999999999999999999 360 9\n").contains("1 to 8"));
        assert!(refused("100 1 NaN 9\n").contains("rate"));
        assert!(refused("100 1 -5 9\n").contains("rate"));
        assert!(refused("100 1 360 x\n").contains("samples"));
        assert!(refused("100 1 360 9\n").contains("no signal"));
        assert!(refused("100 2 360 9\na.dat 212\n").contains("2 signals"));
        assert!(refused("100 2 360 9\na.dat 212\nb.dat 212\n").contains("one file"));
        assert!(refused("100 1 360 9\n../a.dat 212\n").contains("plain"));
        assert!(refused("100 1 360 9\n/etc/passwd 212\n").contains("plain"));
        assert!(refused("100 1 360 9\na.dat 16\n").contains("212"));
        for gain in ["x", "200(1024", "NaN", "-1", "200/mmHg", "1e-9"] {
            assert!(refused(&format!("100 1 360 9\na.dat 212 {gain}\n")).contains("gain"), "{gain}");
        }
        for zero in ["200(99999999)", "200(-2147483648)", "200 12 2147483647", "200 12 -2147483648"] {
            assert!(refused(&format!("100 1 360 9\na.dat 212 {zero}\n")).contains("zero"), "{zero}");
        }
    }
}
