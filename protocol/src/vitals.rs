//! Vitals as they travel: quantities with a code, a unit and a reading, in samples, in batches. The set of quantities is
//! open: an unknown code is carried like a known one. What a value means for the patient is the ward's business, not this
//! module's.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crypto::sha256;
use serde::{Deserialize, Serialize};

use crate::{
    codec,
    error::{Fault, Malformed},
    id::{BootId, Seq},
    opcode::Opcode,
    reading::{Measurement, Method, Reason},
    time::UnixMillis,
};

/// Most samples in one batch.
pub const MAX_SAMPLES: usize = 64;
/// Most quantities in one sample.
pub const MAX_QUANTITIES: usize = 32;
/// Longest unit or LOINC code, in bytes.
pub const MAX_TEXT: usize = 24;

/// The code of a quantity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Code {
    /// ISO/IEEE 11073-10101, context-free code (partition x 65536 + term).
    Mdc(u32),
    /// LOINC.
    Loinc(String),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mdc(code) => write!(f, "MDC {code}"),
            Self::Loinc(code) => write!(f, "LOINC {code}"),
        }
    }
}

/// A decimal number: `mantissa` x 10^`exponent`. No rounding happens between a sensor and the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decimal {
    /// The digits.
    pub mantissa: i32,
    /// Where the point stands; -9 to 9.
    pub exponent: i8,
}

impl Decimal {
    /// The nearest binary number, for display and comparison.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        let power = (0..self.exponent.unsigned_abs()).fold(1.0, |power, _| power * 10.0);
        let mantissa = f64::from(self.mantissa);
        if self.exponent < 0 { mantissa / power } else { mantissa * power }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.exponent.min(0).unsigned_abs());
        write!(f, "{:.digits$}", self.to_f64())
    }
}

/// One quantity and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Quantity {
    /// What it is.
    pub code: Code,
    /// Its unit in UCUM, such as `/min`, `%`, `Cel`.
    pub unit: String,
    /// Its value, or why there is none.
    pub reading: Result<Measurement, Reason>,
}

/// The code of a quantity that has a name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownCode {
    /// As [`Code::Mdc`].
    Mdc(u32),
    /// As [`Code::Loinc`].
    Loinc(&'static str),
}

impl From<KnownCode> for Code {
    fn from(code: KnownCode) -> Self {
        match code {
            KnownCode::Mdc(code) => Self::Mdc(code),
            KnownCode::Loinc(code) => Self::Loinc(code.into()),
        }
    }
}

impl PartialEq<KnownCode> for Code {
    fn eq(&self, known: &KnownCode) -> bool {
        match (self, known) {
            (Self::Mdc(code), KnownCode::Mdc(known)) => code == known,
            (Self::Loinc(code), KnownCode::Loinc(known)) => code == known,
            _ => false,
        }
    }
}

/// A quantity that has a name here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownQuantity {
    /// Its code.
    pub code: KnownCode,
    /// The name that people read.
    pub name: &'static str,
    /// UCUM unit.
    pub unit: &'static str,
    /// Physiologically possible values (Z Monitor limits); outside, the value is flagged, not believed.
    pub plausible: Option<(f64, f64)>,
}

macro_rules! known {
    ($($(#[$doc:meta])* $constant:ident = $system:ident $code:expr, $name:literal, $unit:literal, $plausible:expr;)+) => {
        impl KnownQuantity {
            $($(#[$doc])* pub const $constant: Self =
                Self { code: KnownCode::$system($code), name: $name, unit: $unit, plausible: $plausible };)+

            /// All quantities that have a name here.
            pub const ALL: &[Self] = &[$(Self::$constant),+];
        }
    };
}

/// First code of the private range of MDC partition 2 (ISO/IEEE 11073-10101, 0xF000 and up): quantities of the
/// device itself, for which the nomenclature has no term.
const MDC_PRIVATE: u32 = (2 << 16) + 0xf000;

known! {
    /// Heart rate from the ECG (MDC_ECG_HEART_RATE).
    HEART_RATE = Mdc 147_842, "heart rate", "/min", Some((30.0, 250.0));
    /// Pulse rate from the oximeter (MDC_PULS_OXIM_PULS_RATE).
    PULSE_RATE = Mdc 149_530, "pulse rate", "/min", Some((30.0, 250.0));
    /// Oxygen saturation from the oximeter (MDC_PULS_OXIM_SAT_O2).
    SPO2 = Mdc 150_456, "SpO2", "%", Some((50.0, 100.0));
    /// Strength of the pulse at the oximeter, AC over DC of the infrared light (MDC_BLD_PERF_INDEX).
    PERFUSION_INDEX = Mdc 150_488, "perfusion index", "%", None;
    /// Respiration rate (MDC_TTHOR_RESP_RATE).
    RESPIRATION = Mdc 151_562, "respiration", "/min", Some((5.0, 60.0));
    /// Standard deviation of the intervals between normal beats (LOINC: R-R interval.standard deviation).
    SDNN = Loinc "80404-7", "SDNN", "ms", None;
    /// Root mean square of the differences of successive intervals between normal beats.
    RMSSD = Mdc MDC_PRIVATE + 7, "RMSSD", "ms", None;
    /// Body temperature (MDC_TEMP_BODY).
    BODY_TEMPERATURE = Mdc 150_364, "body temperature", "Cel", Some((25.0, 45.0));
    /// Whether the wearer moves: 0 still, 1 moving.
    MOTION = Mdc MDC_PRIVATE + 8, "motion", "{0:still,1:moving}", Some((0.0, 1.0));
    /// Quality of the ECG as a signal, 0 to 100.
    ECG_QUALITY = Mdc MDC_PRIVATE + 9, "ECG quality", "%", Some((0.0, 100.0));
    /// Quality of the light through the finger as a signal, 0 to 100.
    PPG_QUALITY = Mdc MDC_PRIVATE + 10, "PPG quality", "%", Some((0.0, 100.0));
    /// Temperature of the device's processor.
    MCU_TEMPERATURE = Mdc MDC_PRIVATE + 1, "MCU temperature", "Cel", None;
    /// Temperature of the motion sensor.
    IMU_TEMPERATURE = Mdc MDC_PRIVATE + 2, "IMU temperature", "Cel", None;
    /// Acceleration along x, gravity included.
    ACCELERATION_X = Mdc MDC_PRIVATE + 3, "acceleration x", "[g]", None;
    /// Acceleration along y, gravity included.
    ACCELERATION_Y = Mdc MDC_PRIVATE + 4, "acceleration y", "[g]", None;
    /// Acceleration along z, gravity included.
    ACCELERATION_Z = Mdc MDC_PRIVATE + 5, "acceleration z", "[g]", None;
    /// The pulse sensor's voltage as it came.
    RAW_PULSE = Mdc MDC_PRIVATE + 6, "raw pulse", "V", None;
}

impl KnownQuantity {
    /// The known quantity of a code, if it has a name here.
    #[must_use]
    pub fn of(code: &Code) -> Option<&'static Self> {
        Self::ALL.iter().find(|known| *code == known.code)
    }

    /// This quantity with a reading.
    #[must_use]
    pub fn reading(&self, reading: Result<Measurement, Reason>) -> Quantity {
        Quantity { code: self.code.into(), unit: self.unit.into(), reading }
    }

    /// A value of this quantity straight from a sensor, `mantissa` x 10^`exponent` in its unit.
    #[must_use]
    pub fn measured(&self, mantissa: i32, exponent: i8) -> Quantity {
        let value = Decimal { mantissa, exponent };
        self.reading(Ok(Measurement { value, quality: None, method: Method::DIRECT, calibration: 0 }))
    }
}

impl Quantity {
    /// Whether the value can be true. An unknown quantity is believed; without a value there is nothing to doubt.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        let value = self.reading.map(|measured| measured.value.to_f64());
        let range = KnownQuantity::of(&self.code).and_then(|known| known.plausible);
        value.ok().zip(range).is_none_or(|(value, (low, high))| (low..=high).contains(&value))
    }
}

/// When a sample was taken. A device without a clock never guesses: `wall` is then absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SampleTime {
    /// Milliseconds since the device's reset.
    pub since_boot_ms: u64,
    /// Wall-clock time, once this boot has learnt it from a verified gateway.
    pub wall: Option<UnixMillis>,
}

/// What a wearable measured at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// Its number.
    pub seq: Seq,
    /// The device's run that took it.
    pub boot: BootId,
    /// When.
    pub taken: SampleTime,
    /// Whether it was played from a recording or made up, instead of measured.
    pub simulated: bool,
    /// What the device measures, each once; one that could not be measured now says why.
    pub quantities: Vec<Quantity>,
}

/// Samples that travel together. Only [`UnverifiedBatch`] is read from the wire:
/// ```compile_fail,E0277
/// fn read_from_wire<T: serde::de::DeserializeOwned>() {}
/// read_from_wire::<vitalward_protocol::vitals::VitalsBatch>();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VitalsBatch {
    /// Hash of the device's previous batch (zeros for its first): a chain that an auditor can follow.
    pub previous: [u8; 32],
    /// The samples, their numbers growing.
    pub samples: Vec<Sample>,
}

impl VitalsBatch {
    /// This batch's link in the chain.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256("batch", &[&self.encode()])
    }

    /// The batch as its opcode's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The last number of the batch.
    #[must_use]
    pub fn last(&self) -> Option<Seq> {
        self.samples.last().map(|sample| sample.seq)
    }
}

/// A batch as it came, limits unchecked.
#[derive(Debug)]
pub struct UnverifiedBatch(WireBatch);

#[derive(Debug, Deserialize)]
struct WireBatch {
    previous: [u8; 32],
    samples: Vec<Sample>,
}

impl UnverifiedBatch {
    /// A device's own sample, before it is kept: what breaks a limit would never be taken.
    #[must_use]
    pub fn of(sample: Sample) -> Self {
        Self(WireBatch { previous: [0; 32], samples: [sample].into() })
    }

    /// Reads the body of a VITALS frame.
    ///
    /// # Errors
    /// [`Malformed`] if it is none.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        codec::decode(body).map(Self)
    }

    /// The batch, if it keeps the limits of this module.
    ///
    /// # Errors
    /// [`Fault::PeerLimit`] naming the limit.
    pub fn verify(self) -> Result<VitalsBatch, Fault> {
        let Self(WireBatch { previous, samples }) = self;
        let limit = |kept: bool, name| if kept { Ok(()) } else { Err(Fault::PeerLimit(name)) };
        limit(!samples.is_empty() && samples.len() <= MAX_SAMPLES, "1 to 64 samples in a batch")?;
        let growing = samples.iter().zip(samples.iter().skip(1)).all(|(a, b)| a.seq < b.seq);
        limit(growing, "sample numbers grow")?;
        for sample in &samples {
            limit(sample.quantities.len() <= MAX_QUANTITIES, "at most 32 quantities in a sample")?;
            for (at, quantity) in sample.quantities.iter().enumerate() {
                let is_new = sample.quantities.iter().take(at).all(|other| other.code != quantity.code);
                limit(is_new, "each quantity once in a sample")?;
                let code_fits = !matches!(&quantity.code, Code::Loinc(code) if !is_short_text(code));
                limit(
                    code_fits && is_short_text(&quantity.unit),
                    "codes and units have 1 to 24 printable characters",
                )?;
                if let Ok(measured) = &quantity.reading {
                    limit(measured.value.exponent.unsigned_abs() <= 9, "decimal exponents are -9 to 9")?;
                    limit(measured.quality.is_none_or(|quality| quality <= 100), "quality is 0 to 100")?;
                }
            }
        }
        Ok(VitalsBatch { previous, samples })
    }
}

/// Whether a unit or code is one that may travel.
pub(crate) fn is_short_text(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Self::PeerMalformed(Opcode::Vitals)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use super::*;

    fn sample(seq: u64) -> Sample {
        Sample {
            seq: Seq(seq),
            boot: BootId(1),
            taken: SampleTime { since_boot_ms: 1_000, wall: None },
            simulated: true,
            quantities: vec![
                KnownQuantity::HEART_RATE.measured(72, 0),
                KnownQuantity::SPO2.measured(975, -1),
            ],
        }
    }

    fn nameless(term: u32) -> Quantity {
        Quantity { code: Code::Mdc(term), ..KnownQuantity::SPO2.measured(1, 0) }
    }

    fn of_quality(quality: u8) -> Measurement {
        let value = Decimal { mantissa: 975, exponent: -1 };
        Measurement { value, quality: Some(quality), method: Method::RATIO_OF_RATIOS, calibration: 3 }
    }

    fn received(samples: Vec<Sample>) -> Result<VitalsBatch, Fault> {
        let body = VitalsBatch { previous: [0; 32], samples }.encode();
        UnverifiedBatch::decode(&body)?.verify()
    }

    #[test]
    fn a_good_batch_arrives_as_it_was_sent() {
        let samples = vec![sample(7), sample(8)];
        assert_eq!(received(samples.clone()).unwrap().samples, samples);
    }

    #[test]
    fn every_limit_is_enforced() {
        let bad_unit = |unit: &str| {
            let mut one = sample(1);
            one.quantities[0].unit = unit.into();
            vec![one]
        };
        let refused = [
            vec![],
            (0..65).map(sample).collect(),
            vec![sample(8), sample(8)],
            vec![sample(8), sample(7)],
            vec![Sample { quantities: (0..33).map(nameless).collect(), ..sample(1) }],
            vec![Sample { quantities: vec![nameless(1), nameless(2), nameless(1)], ..sample(1) }],
            vec![Sample { quantities: vec![KnownQuantity::SPO2.measured(1, 10)], ..sample(1) }],
            vec![Sample { quantities: vec![KnownQuantity::SPO2.reading(Ok(of_quality(101)))], ..sample(1) }],
            bad_unit(""),
            bad_unit("a b"),
            bad_unit(&"x".repeat(25)),
        ];
        for samples in refused {
            assert!(matches!(received(samples), Err(Fault::PeerLimit(_))));
        }
        let kept = Sample { quantities: (0..32).map(nameless).collect(), ..sample(1) };
        assert!(received(vec![kept]).is_ok());
    }

    #[test]
    fn every_quantity_travels_with_its_truth() {
        let quantities = vec![
            KnownQuantity::SPO2.reading(Ok(of_quality(100))),
            KnownQuantity::HEART_RATE.reading(Err(Reason::NO_BEAT)),
            KnownQuantity::BODY_TEMPERATURE.measured(3683, -2),
        ];
        let batch = received(vec![Sample { quantities: quantities.clone(), ..sample(1) }]).unwrap();
        assert_eq!(batch.samples[0].quantities, quantities);
    }

    #[test]
    fn what_is_unknown_is_carried() {
        let value = Decimal { mantissa: 11, exponent: -1 };
        let measured = Measurement { value, quality: Some(0), method: Method(255), calibration: u16::MAX };
        let lactate =
            |reading| Quantity { code: Code::Loinc("2524-7".into()), unit: "mmol/L".into(), reading };
        for unknown in [lactate(Ok(measured)), lactate(Err(Reason(255)))] {
            assert!(unknown.is_plausible());
            let batch = received(vec![Sample { quantities: vec![unknown.clone()], ..sample(1) }]).unwrap();
            assert_eq!(batch.samples[0].quantities, [unknown]);
        }
    }

    #[test]
    fn known_quantities_are_found_by_their_code() {
        for known in KnownQuantity::ALL {
            assert_eq!(KnownQuantity::of(&known.code.into()), Some(known));
        }
        assert_eq!(KnownQuantity::of(&Code::Mdc(80_404)), None);
    }

    #[test]
    fn decimals_keep_their_digits() {
        assert_eq!(Decimal { mantissa: 370, exponent: -1 }.to_string(), "37.0");
        assert_eq!(Decimal { mantissa: -105, exponent: -2 }.to_string(), "-1.05");
        assert_eq!(Decimal { mantissa: 72, exponent: 0 }.to_string(), "72");
    }

    #[test]
    fn impossible_values_are_told_apart() {
        assert!(KnownQuantity::SPO2.measured(84, 0).is_plausible());
        assert!(!KnownQuantity::SPO2.measured(101, 0).is_plausible());
        assert!(!KnownQuantity::HEART_RATE.measured(0, 0).is_plausible());
        assert!(KnownQuantity::HEART_RATE.reading(Err(Reason::NO_BEAT)).is_plausible());
    }
}
