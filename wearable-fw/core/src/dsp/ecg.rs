//! Heart rate from one ECG lead: integer Pan-Tompkins in the form of Hamilton.
//!
//! Owns beat detection and the rate. Knows neither rhythm classes nor leads. Sources: Pan and Tompkins 1985
//! (IEEE Trans Biomed Eng 32:230) and Hamilton 2002 "Open source ECG analysis" (Computers in Cardiology 29:101),
//! which give every constant below unless it names another reason. Written from the papers, not from their code.
//!
//! Chain: two 25 ms means (low-pass), minus a 125 ms mean (high-pass), 10 ms difference, absolute value, 80 ms
//! mean. A peak counts when the chain has fallen to half of it; the highest within 200 ms stands. It is a beat
//! above a threshold between the last eight beats (upper quartile, not the median of the papers: it survives P
//! waves counted as beats) and the median of the last eight other peaks.

use super::filter::{Boxcar, Ring, eighths};
use super::variability::Variability;
use super::{Measurement, Method, Quality, Rate, Reading, Reason, UnsupportedRate};

/// Input limit, +-1 V in microvolt: beyond the input range of any ECG front end, and far from overflow.
const LIMIT: i32 = 1_000_000;
/// A second whose samples span less than this (microvolt) is flat; a QRS spans at least 100.
const FLAT: i32 = 50;
/// Two flat seconds are a lost lead: one may be a pause between slow beats.
const FLAT_SECONDS: u8 = 2;
/// Seconds that set the first thresholds.
const LEARNING_SECONDS: u32 = 8;
/// Rate over the beats of this many seconds, as bedside monitors average it; up to [`INTERVALS`] of them.
const AVERAGED_SECONDS: u32 = 10;
const INTERVALS: usize = 32;
/// Fewest intervals that make a rate.
const FEWEST: u32 = 3;
/// Without a beat for this long there is no heart rate (20 bpm is the slowest measured).
const SILENT_SECONDS: u32 = 3;
/// Least energy of a beat, microvolt per 10 ms over 80 ms: a QRS of 0.13 mV. IEC 60601-2-27 asks to detect 0.5 mV and
/// to ignore 0.15 mV and less. Without it, thresholds that adapt find a heart in any baseline.
const LEAST: i32 = 25;
/// Share of the distance from other peaks to beats where the threshold lies, in 1/16 (0.3125).
const THRESHOLD_16: i32 = 5;
/// Quality below which a rate is withheld. On MIT-BIH 106, 108, 208 and 228 and noise stress 118e06 the rates
/// below it were mostly wrong, above it mostly right; 118e06 still passes for half of its noise.
const TRUSTED: Quality = Quality(50);

/// A detected beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Samples between its R peak and the sample just pushed.
    pub samples_ago: u32,
    /// Whether the signal around it is clean enough to count on it.
    pub trusted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Peak {
    at: u32,
    height: i32,
    slope: i32,
}

/// What the front end's lead-off comparator says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Electrodes {
    /// There is no comparator: a flat signal is taken for a lost electrode.
    #[default]
    Unknown,
    /// All in contact: a flat signal is a heart that does not beat.
    On,
    /// At least one is off.
    Off,
}

/// Streaming beat detector and heart rate.
#[derive(Clone, Debug)]
pub struct Ecg {
    rate_hz: u16,
    electrodes: Electrodes,
    smooth: [Boxcar<13>; 2],
    /// Mean of what the first low-pass removes, over about 1 s, 1/256 microvolt.
    hiss: i32,
    drift: Boxcar<63>,
    difference: Boxcar<5>,
    energy: Boxcar<40>,
    /// Samples since start; wraps, and is only ever subtracted.
    now: u32,
    span: Option<[i32; 2]>,
    flat_seconds: u8,
    /// Seconds learnt so far, and the highest energy of the current one.
    learning: Option<(u32, i32)>,
    previous: i32,
    rising: Option<Peak>,
    candidate: Option<Peak>,
    missed: Option<Peak>,
    last: Option<Peak>,
    beats: Ring<8>,
    others: Ring<8>,
    intervals: Ring<INTERVALS>,
}

impl Ecg {
    /// For samples at `rate_hz`, 100..=500 Hz.
    ///
    /// # Errors
    /// [`UnsupportedRate`] outside that range.
    pub fn new(rate_hz: u16) -> Result<Self, UnsupportedRate> {
        if !(100..=500).contains(&rate_hz) {
            return Err(UnsupportedRate { signal: "ECG", hz: rate_hz, low: 100, high: 500 });
        }
        Ok(Self::start(rate_hz))
    }

    fn start(rate_hz: u16) -> Self {
        Self {
            rate_hz,
            electrodes: Electrodes::Unknown,
            smooth: [Boxcar::new(25, rate_hz), Boxcar::new(25, rate_hz)],
            hiss: 0,
            drift: Boxcar::new(125, rate_hz),
            difference: Boxcar::new(10, rate_hz),
            energy: Boxcar::new(80, rate_hz),
            now: 0,
            span: None,
            flat_seconds: 0,
            learning: Some((0, 0)),
            previous: 0,
            rising: None,
            candidate: None,
            missed: None,
            last: None,
            beats: Ring::new(),
            others: Ring::new(),
            intervals: Ring::new(),
        }
    }

    pub(super) const fn set_electrodes(&mut self, electrodes: Electrodes) {
        self.electrodes = electrodes;
    }

    /// Variability of the accepted beats' intervals.
    pub(super) fn variability(&self) -> Reading<Variability> {
        Err(Reason::Settling)
    }

    /// How clean the signal is; `None` before enough of it was seen.
    pub(super) fn signal_quality(&self) -> Option<Quality> {
        (self.learning.is_none()).then(|| self.quality())
    }

    /// One sample in microvolt, limited to +-1 V. Returns the beat this sample settles, 0.3..2 s after it happened.
    pub fn push(&mut self, microvolt: i32) -> Option<Beat> {
        let sample = microvolt.clamp(-LIMIT, LIMIT);
        self.now = self.now.wrapping_add(1);
        if self.lead_is_lost(sample) {
            self.relearn();
            return None;
        }
        let [first, second] = &mut self.smooth;
        let low = first.push(sample).0;
        let residue = (first.middle() - low).abs() * 256;
        self.hiss += (residue - self.hiss) / i32::from(self.rate_hz);
        let smooth = second.push(low).0;
        let drift = self.drift.push(smooth).0;
        let band = self.drift.middle() - drift;
        let slope = (band - self.difference.push(band).1).abs();
        let energy = self.energy.push(slope).0;
        let peak = self.follow(energy);
        if let Some((seconds, highest)) = self.learning {
            self.learning = self.learn(seconds, highest.max(energy));
            return None;
        }
        let settled = self.settle(peak);
        let beat = settled.and_then(|peak| self.judge(peak)).or_else(|| self.search_back());
        if let Some(peak) = beat {
            self.accept(peak);
        } else if self.silence() > 2 * SILENT_SECONDS * u32::from(self.rate_hz) {
            self.relearn();
        }
        beat.map(|peak| Beat {
            samples_ago: self.now.wrapping_sub(peak.at) + self.delay(),
            trusted: self.quality() >= TRUSTED,
        })
    }

    /// Heart rate over the last 10 s, 20..=300 bpm. First value about 11 s after the lead is on.
    #[must_use]
    pub fn heart_rate(&self) -> Reading<Rate> {
        if self.flat_seconds >= FLAT_SECONDS {
            return Err(Reason::LeadOff);
        }
        if self.now == 0 {
            return Err(Reason::NoSignal);
        }
        if self.learning.is_some() {
            return Err(Reason::Settling);
        }
        let second = u32::from(self.rate_hz);
        if self.silence() > SILENT_SECONDS * second {
            return Err(Reason::NoSignal);
        }
        let (mut count, mut sum) = (0, 0);
        for interval in self.intervals.iter().rev().map(i32::unsigned_abs) {
            if count >= FEWEST && sum + interval > AVERAGED_SECONDS * second {
                break;
            }
            (count, sum) = (count + 1, sum + interval);
        }
        if count < FEWEST {
            return Err(Reason::Settling);
        }
        let quality = self.quality();
        Rate::within(600 * u64::from(second) * u64::from(count) / u64::from(sum.max(1)), 200..=3000)
            .filter(|_| quality >= TRUSTED)
            .map(|value| Measurement {
                value,
                quality,
                method: Method::EcgBeats,
                calibration: 0,
                delay_ms: sum * 500 / second,
            })
            .ok_or(Reason::LowQuality)
    }

    /// Half from the heights of the last eight beats (lower quartile above the other peaks, over the upper
    /// quartile), half from their intervals (lower over upper quartile); both less the share of high-frequency
    /// noise. Slow noise taken for beats is uneven in both halves; ventricular beats mostly in the first, atrial
    /// fibrillation in the second.
    fn quality(&self) -> Quality {
        let other = i64::from(eighths(&self.others, 4));
        let [low, high] = [2, 6].map(|part| i64::from(eighths(&self.beats, part)).max(1));
        let [short, long] = [2, 6].map(|part| i64::from(eighths(&self.intervals, part)).max(1));
        let even = 50 * (low - other) / high + 50 * short / long;
        Quality::clamped(even * (high - i64::from(self.hiss) / 256) / high)
    }

    const fn samples(&self, milliseconds: u32) -> u32 {
        self.rate_hz as u32 * milliseconds / 1000
    }

    /// Samples since the last beat, or since learning ended.
    fn silence(&self) -> u32 {
        let learnt = self.samples(1000 * LEARNING_SECONDS);
        let since = self.last.map_or(learnt, |peak| peak.at);
        self.now.wrapping_sub(since)
    }

    /// Delay of the chain from the middle of a QRS to the top of its peak: half of every window.
    #[expect(clippy::cast_possible_truncation, reason = "the windows hold at most 63 samples")]
    const fn delay(&self) -> u32 {
        let [first, second] = &self.smooth;
        ((first.len() + second.len() + self.drift.len() + self.difference.len() + self.energy.len()) / 2)
            as u32
    }

    /// Counts flat seconds. A lost lead makes everything learnt worthless: the next contact has another amplitude.
    fn lead_is_lost(&mut self, sample: i32) -> bool {
        let [low, high] = self.span.unwrap_or([sample; 2]);
        let span = [low.min(sample), high.max(sample)];
        self.span = Some(span);
        if !self.now.is_multiple_of(self.rate_hz.into()) {
            return false;
        }
        self.span = None;
        let flat = span[1] - span[0] < FLAT;
        self.flat_seconds = if flat { self.flat_seconds.saturating_add(1) } else { 0 };
        self.flat_seconds >= FLAT_SECONDS
    }

    /// Eight seconds of highest energies, one each, are the first guess of a beat; noise starts at zero.
    fn learn(&mut self, seconds: u32, highest: i32) -> Option<(u32, i32)> {
        if !self.now.is_multiple_of(self.rate_hz.into()) {
            return Some((seconds, highest));
        }
        self.beats.push(highest);
        (seconds + 1 < LEARNING_SECONDS).then_some((seconds + 1, 0))
    }

    /// Forgets everything but the time already flat.
    pub(super) fn relearn(&mut self) {
        *self = Self {
            flat_seconds: self.flat_seconds,
            electrodes: self.electrodes,
            ..Self::start(self.rate_hz)
        };
    }

    /// The energy's peak, once it has fallen to half or 95 ms have passed.
    fn follow(&mut self, energy: i32) -> Option<Peak> {
        let rising = energy > self.previous;
        self.previous = energy;
        let top = self.rising.map_or(0, |peak| peak.height);
        if rising && energy > top {
            self.rising = Some(Peak { at: self.now, height: energy, slope: self.energy.max() });
            return None;
        }
        let fallen = |peak: &mut Peak| {
            energy < peak.height / 2 || self.now.wrapping_sub(peak.at) > self.rate_hz as u32 * 95 / 1000
        };
        self.rising.take_if(fallen)
    }

    /// The highest peak of any 200 ms, once they have passed.
    fn settle(&mut self, peak: Option<Peak>) -> Option<Peak> {
        if let Some(peak) = peak
            && self.candidate.is_none_or(|candidate| peak.height > candidate.height)
        {
            self.candidate = Some(peak);
        }
        let blanking = self.samples(200);
        self.candidate.take_if(|peak| self.now.wrapping_sub(peak.at) > blanking)
    }

    fn threshold(&self) -> i32 {
        let (beat, other) = (eighths(&self.beats, 6), eighths(&self.others, 4));
        (other + (beat - other) / 16 * THRESHOLD_16).max(LEAST)
    }

    /// Beat or not. Within 360 ms of a beat a peak of less than half its slope is its T wave.
    fn judge(&mut self, peak: Peak) -> Option<Peak> {
        let refractory = self.samples(360);
        let early = self.last.filter(|last| peak.at.wrapping_sub(last.at) < refractory);
        if peak.height > self.threshold() && early.is_none_or(|last| peak.slope >= last.slope / 2) {
            return Some(peak);
        }
        self.others.push(peak.height);
        if early.is_none() && self.missed.is_none_or(|missed| peak.height > missed.height) {
            self.missed = Some(peak);
        }
        None
    }

    /// After 1.5 usual intervals without a beat, the highest other peak is one if it reaches half the threshold.
    /// "Usual" is the upper quartile: the mean, once P waves count as beats, would go on asking for them.
    fn search_back(&mut self) -> Option<Peak> {
        let usual = eighths(&self.intervals, 6).unsigned_abs();
        let overdue = usual > 0 && self.silence() > usual / 2 * 3 + self.samples(200);
        let half = (self.threshold() / 2).max(LEAST);
        self.missed.take_if(|peak| overdue && peak.height > half)
    }

    fn accept(&mut self, peak: Peak) {
        if let Some(last) = self.last {
            let interval = peak.at.wrapping_sub(last.at);
            self.intervals.push(i32::try_from(interval).unwrap_or(i32::MAX));
        }
        self.beats.push(peak.height);
        self.last = Some(peak);
        self.missed = None;
    }
}

#[cfg(test)]
mod tests {
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
            after(&mut ecg, 4, core::iter::repeat(level));
            for _ in 0..30 {
                let reading = after(&mut ecg, 1, core::iter::repeat(level));
                assert_eq!(reading, Err(Reason::LeadOff));
            }
            let back = after(&mut ecg, 14, synthetic::ecg(90.0, 360));
            assert!(back.is_ok_and(|back| back.value.tenths().abs_diff(900) <= 10), "{back:?}");
        }
    }

    #[test]
    fn beats_that_cease_under_wandering_baseline_are_no_signal() {
        let mut ecg = Ecg::new(360).unwrap();
        assert!(after(&mut ecg, 20, synthetic::ecg(75.0, 360)).is_ok());
        let mut wander = (0..).map(|sample: i32| (sample % 720 - 360).abs());
        assert_eq!(after(&mut ecg, 5, wander.by_ref()), Err(Reason::NoSignal));
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
}
