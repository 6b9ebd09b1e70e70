//! Signals as they are sampled, on request: who asks for what, and batches of samples packed without loss. Owns the
//! packing: differences, then Rice codes, in blocks. Reading is bounded: at most [`MAX_SAMPLES`] samples come out of at
//! most [`MAX_PACKED`] bytes, whatever these say.
//!
//! ```text
//! bits, the highest of a byte first; up to 32 samples in a block, the last block has what is left
//! block:  order (2): 0 the value, 1 its difference, 2 the difference of its difference
//!         k (5): 0 to 24
//!         per sample: the residual r as zigzag z; z >> k ones, a zero, the low k bits of z;
//!                     or, where z >> k is 24 or more: 24 ones and the 32 bits of z
//! end:    zeros up to the next byte
//! ```
//! Differences wrap at 32 bits; before the first sample stand two zeros.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Fault, Malformed},
    id::BootId,
    open_set::open_set,
    vitals::{Decimal, SampleTime, is_short_text},
};

/// Longest request, in seconds.
pub const MAX_SECONDS: u16 = 600;
/// Most samples in one batch.
pub const MAX_SAMPLES: usize = 512;
/// Most bytes of packed samples in one batch.
pub const MAX_PACKED: usize = 1536;
/// Highest sampling rate, in samples per 1000 s.
pub const MAX_RATE_MILLIHERTZ: u32 = 10_000_000;
/// First number that no sample of a signal has: at the highest rate, 891 years after the device's reset.
pub const MAX_FIRST: u64 = 1 << 48;

const BLOCK: usize = 32;
const ORDERS: u32 = 3;
const MAX_K: u32 = 24;
/// This many ones say that 32 plain bits follow.
const ESCAPE: u32 = 24;

open_set! {
    /// What is sampled.
    Signal, "signal":
    /// The electrocardiogram.
    ECG = 0, "ecg";
    /// Infrared light through the finger.
    PPG_INFRARED = 1, "ppg-infrared";
    /// Red light through the finger.
    PPG_RED = 2, "ppg-red";
    /// Acceleration along x.
    ACCELERATION_X = 3, "acceleration-x";
    /// Acceleration along y.
    ACCELERATION_Y = 4, "acceleration-y";
    /// Acceleration along z.
    ACCELERATION_Z = 5, "acceleration-z";
}

/// Body of WAVEFORM_REQUEST: send this signal from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveformRequest {
    /// Which signal.
    pub signal: Signal,
    /// For how long, at most 600 s; 0: stop.
    pub seconds: u16,
}

impl WaveformRequest {
    pub(crate) fn check(self) -> Result<Self, Fault> {
        if self.seconds > MAX_SECONDS {
            return Err(Fault::PeerLimit("a waveform is asked for for at most 600 s"));
        }
        Ok(self)
    }
}

/// Body of WAVEFORM: samples of one signal, one after the other. Without samples: the device has no such signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waveform {
    /// Which signal.
    pub signal: Signal,
    /// The device's run that took them.
    pub boot: BootId,
    /// Number of the first sample among the signal's samples of this run, below 2^48; a gap in the numbers is a gap in the signal.
    pub first: u64,
    /// When the first was taken.
    pub taken: SampleTime,
    /// Samples per 1000 s, at most 10 kHz.
    pub rate_millihertz: u32,
    /// What 1 of a sample is worth, in `unit`.
    pub scale: Decimal,
    /// UCUM unit.
    pub unit: String,
    /// Whether it was played from a recording or made up, instead of measured.
    pub simulated: bool,
    /// The samples.
    pub samples: Packed,
}

impl Waveform {
    pub(crate) fn check(self) -> Result<Self, Fault> {
        let fits = (1..=MAX_RATE_MILLIHERTZ).contains(&self.rate_millihertz)
            && self.scale.exponent.unsigned_abs() <= 9
            && self.first < MAX_FIRST
            && is_short_text(&self.unit);
        if fits { Ok(self) } else { Err(Fault::PeerLimit("number, rate, scale or unit of a waveform")) }
    }
}

/// Samples, packed. Those that come from a wire were unpacked once to see that they can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u16, Vec<u8>)")]
pub struct Packed {
    count: u16,
    bytes: Vec<u8>,
}

impl Packed {
    /// Packs the first of these samples, as many as a batch takes, and tells how many these are: all of them up to 128,
    /// whatever their values.
    #[must_use]
    pub fn pack(samples: &[i32]) -> (Self, usize) {
        let mut bits = BitWriter::default();
        let mut history = [0; 2];
        let mut count = 0;
        for block in samples.get(..MAX_SAMPLES).unwrap_or(samples).chunks(BLOCK) {
            let coding = Coding::best(history, block);
            if bits.len() + coding.cost(history, block) > MAX_PACKED * 8 {
                break;
            }
            coding.write(&mut history, block, &mut bits);
            count += block.len();
        }
        (Self { count: u16::try_from(count).unwrap_or(u16::MAX), bytes: bits.bytes }, count)
    }

    /// The samples.
    #[must_use]
    pub fn unpack(&self) -> Vec<i32> {
        unpack(usize::from(self.count), &self.bytes).unwrap_or_default()
    }

    /// How many samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes they take up.
    #[must_use]
    pub const fn packed_len(&self) -> usize {
        self.bytes.len()
    }
}

impl TryFrom<(u16, Vec<u8>)> for Packed {
    type Error = Malformed;
    fn try_from((count, bytes): (u16, Vec<u8>)) -> Result<Self, Malformed> {
        unpack(count.into(), &bytes)?;
        Ok(Self { count, bytes })
    }
}

fn unpack(count: usize, bytes: &[u8]) -> Result<Vec<i32>, Malformed> {
    if count > MAX_SAMPLES || bytes.len() > MAX_PACKED {
        return Err(Malformed);
    }
    let mut bits = BitReader { bytes, at: 0 };
    let mut samples = Vec::with_capacity(count);
    let mut history = [0; 2];
    while samples.len() < count {
        let coding = Coding { order: bits.take(2)?, k: bits.take(5)? };
        if coding.order >= ORDERS || coding.k > MAX_K {
            return Err(Malformed);
        }
        for _ in 0..BLOCK.min(count - samples.len()) {
            let sample = coding.expected(history).wrapping_add(unzigzag(coding.read(&mut bits)?));
            history = [sample, history[0]];
            samples.push(sample);
        }
    }
    bits.ends_with_zeros().then_some(samples).ok_or(Malformed)
}

/// How a block is coded.
#[derive(Debug, Clone, Copy)]
struct Coding {
    order: u32,
    k: u32,
}

impl Coding {
    /// The coding that takes the fewest bits.
    fn best(history: [i32; 2], block: &[i32]) -> Self {
        let all = (0..ORDERS).flat_map(|order| (0..=MAX_K).map(move |k| Self { order, k }));
        all.min_by_key(|coding| coding.cost(history, block)).unwrap_or(Self { order: 0, k: MAX_K })
    }

    fn expected(self, [last, before]: [i32; 2]) -> i32 {
        match self.order {
            0 => 0,
            1 => last,
            _ => last.wrapping_mul(2).wrapping_sub(before),
        }
    }

    /// The residuals of a block, zigzag, and at last the history after it.
    fn residuals(self, mut history: [i32; 2], block: &[i32]) -> impl Iterator<Item = u32> {
        block.iter().map(move |sample| {
            let residual = sample.wrapping_sub(self.expected(history));
            history = [*sample, history[0]];
            zigzag(residual)
        })
    }

    /// Bits of a block in this coding.
    fn cost(self, history: [i32; 2], block: &[i32]) -> usize {
        let bits = |z: u32| match z >> self.k {
            quotient if quotient < ESCAPE => quotient + 1 + self.k,
            _ => ESCAPE + 32,
        };
        self.residuals(history, block).map(|z| usize::try_from(bits(z)).unwrap_or_default()).sum::<usize>()
            + 7
    }

    fn write(self, history: &mut [i32; 2], block: &[i32], bits: &mut BitWriter) {
        bits.put(self.order, 2);
        bits.put(self.k, 5);
        for z in self.residuals(*history, block) {
            let quotient = z >> self.k;
            if quotient < ESCAPE {
                (0..quotient).for_each(|_| bits.put(1, 1));
                bits.put(0, 1);
                bits.put(z, self.k);
            } else {
                (0..ESCAPE).for_each(|_| bits.put(1, 1));
                bits.put(z, 32);
            }
        }
        for sample in block {
            *history = [*sample, history[0]];
        }
    }

    fn read(self, bits: &mut BitReader<'_>) -> Result<u32, Malformed> {
        let mut quotient = 0;
        while quotient < ESCAPE && bits.take(1)? == 1 {
            quotient += 1;
        }
        if quotient == ESCAPE { bits.take(32) } else { Ok(quotient << self.k | bits.take(self.k)?) }
    }
}

const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}

const fn unzigzag(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[derive(Debug, Default)]
struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are used; 0 where there is none or it is full.
    used: u32,
}

impl BitWriter {
    const fn len(&self) -> usize {
        let spare = if self.used == 0 { 0 } else { 8 - self.used as usize };
        self.bytes.len() * 8 - spare
    }

    /// Appends the low `count` bits of `value`, the highest first.
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev().map(|at| value >> at & 1 != 0) {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let (true, Some(last)) = (bit, self.bytes.last_mut()) {
                *last |= 0x80 >> self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits that were taken.
    at: usize,
}

impl BitReader<'_> {
    fn take(&mut self, count: u32) -> Result<u32, Malformed> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(Malformed)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    /// Whether nothing is left but the zeros that fill the last byte.
    fn ends_with_zeros(mut self) -> bool {
        let left = self.bytes.len() * 8 - self.at;
        left < 8 && (0..left).all(|_| self.take(1) == Ok(0))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;

    fn round_trip(samples: &[i32]) -> usize {
        let (packed, count) = Packed::pack(samples);
        assert_eq!(packed.unpack(), samples[..count]);
        assert!(packed.packed_len() <= MAX_PACKED);
        count
    }

    #[test]
    fn whatever_was_sampled_comes_back() {
        let ramp: Vec<i32> = (0..MAX_SAMPLES).map(|n| 100_000 + 3 * i32::try_from(n).unwrap()).collect();
        let jumps: Vec<i32> =
            (0..MAX_SAMPLES).map(|n| if n % 2 == 0 { i32::MIN } else { i32::MAX }).collect();
        assert_eq!(round_trip(&[]), 0);
        assert_eq!(round_trip(&[i32::MIN]), 1);
        assert_eq!(round_trip(&ramp), MAX_SAMPLES);
        assert_eq!(round_trip(&[0; MAX_SAMPLES + 1]), MAX_SAMPLES, "a batch ends at its most samples");
        assert!(round_trip(&jumps) >= 128, "at least this many fit, whatever they are");
    }

    #[test]
    fn what_changes_evenly_takes_a_bit_a_sample() {
        let ramp: Vec<i32> = (0..MAX_SAMPLES).map(|n| 100_000 + 3 * i32::try_from(n).unwrap()).collect();
        let (packed, _) = Packed::pack(&ramp);
        assert!(packed.packed_len() < MAX_SAMPLES / 8 + 32, "{}", packed.packed_len());
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let (Packed { count, bytes }, _) = Packed::pack(&[5, 6, 7]);
        let read = |count: u16, bytes: &[u8]| Packed::try_from((count, bytes.to_vec()));
        assert!(read(count, &bytes).is_ok());
        assert!(read(u16::MAX, &bytes).is_err(), "more samples than a batch has");
        assert!(read(count + 33, &bytes).is_err(), "samples that are not there");
        assert!(read(count, &[&bytes[..], &[0]].concat()).is_err(), "a byte too many");
        assert!(read(0, &[0]).is_err(), "bytes without samples");
        assert!(read(count, &bytes[..bytes.len() - 1]).is_err(), "a byte too few");
        assert!(read(1, &[0xc0, 0]).is_err(), "an order that there is not");
        assert!(read(1, &[0x3e, 0]).is_err(), "a k that there is not");
        assert!(read(512, &vec![0; MAX_PACKED + 1]).is_err(), "more bytes than a batch has");
        let mut unclean = bytes;
        *unclean.last_mut().unwrap() |= 1;
        assert!(read(count, &unclean).is_err(), "ones after the end");
    }

    #[test]
    fn a_sample_number_that_no_device_reaches_is_refused() {
        let wave = |first| Waveform {
            signal: Signal::ECG,
            boot: BootId(1),
            first,
            taken: SampleTime { since_boot_ms: 0, wall: None },
            rate_millihertz: 360_000,
            scale: Decimal { mantissa: 1, exponent: 0 },
            unit: "mV".into(),
            simulated: true,
            samples: Packed::pack(&[1]).0,
        };
        assert!(wave(MAX_FIRST - 1).check().is_ok());
        assert!(wave(MAX_FIRST).check().is_err());
        assert!(wave(u64::MAX).check().is_err());
    }

    #[test]
    fn an_outlier_costs_itself_alone() {
        let mut samples = vec![1_000; 64];
        samples[40] = i32::MAX;
        let (packed, _) = Packed::pack(&samples);
        assert!(packed.packed_len() < 48, "{}", packed.packed_len());
        assert_eq!(packed.unpack(), samples);
    }
}
