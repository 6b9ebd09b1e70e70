//! Beats, heart rate and signal quality of one ECG lead.
//!
//! Owns what is published of the heart's electricity, and why something is not. Knows neither rhythm classes nor
//! leads. `signal` makes peaks of samples, `chain` decides 1.5 s later which of them are beats, `shapes` knows
//! what beats look like; this file counts them. Sources are named where they are used; written from the papers, not
//! from anybody's code.

mod chain;
mod shapes;
mod signal;
#[cfg(test)]
mod tests;

use super::filter::{Ring, eighths};
use super::variability::{Tachogram, Variability};
use super::{Measurement, Method, Quality, Rate, Reading, Reason, UnsupportedRate};
use chain::{Chain, Decided, ONE};
use signal::{HZ, PLACE, Peak, Signal};

/// Input limit, +-1 V in microvolt: beyond the input range of any ECG front end, and far from overflow.
const LIMIT: i32 = 1_000_000;
/// A second whose samples span less than this (microvolt) is flat; a QRS spans at least 100.
const FLAT: i32 = 50;
/// Two flat seconds are a lost lead: one may be a pause between slow beats.
const FLAT_SECONDS: u8 = 2;
/// A second of which more than one sample in this many is at the rail is clipped: wider than any QRS.
const RAILED: u16 = 8;
/// Fractions of ticks per second.
const UNITS_PER_SECOND: u32 = HZ << PLACE;
/// Beats of the first 600 ms are counted, but not told: the means are not full yet, and what the start cuts off looks
/// like a QRS.
const UNTOLD: u32 = 72;
/// Rate over the beats of the last 10 s, as bedside monitors average it; up to [`INTERVALS`] of them.
const AVERAGED: u32 = 10 * UNITS_PER_SECOND;
const INTERVALS: usize = 24;
/// Fewest intervals that make a rate.
const FEWEST: u64 = 3;
/// Without a beat for this long there is no heart rate (20 bpm is the slowest measured).
const PAUSE_SECONDS: u32 = 3;
/// Without a beat for this long the heart is reported not to beat.
const NO_BEAT_SECONDS: u32 = 4;
/// Without a beat for this long, what was learnt is not of use any more.
const RELEARN_SECONDS: u32 = 6;
/// Quality from which rate and beats are trusted.
const TRUSTED: u8 = 50;
/// Odds, in 1/256 octave, of a decision that is certain: about one octave.
const CERTAIN: i32 = 240;
/// Likeness (of 127) of peaks in white noise to shapes learnt in it, and of beats.
const CHANCE: i32 = 90;
const SAME: i32 = 110;

/// A detected beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Samples between its R peak and the sample just pushed.
    pub samples_ago: u32,
    /// Whether the signal around it is clean enough to count on it.
    pub trusted: bool,
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
    level: Level,
    /// The electrodes are off, or seem so: nothing learnt is of use.
    lost: bool,
    /// Seconds since the electrodes last moved.
    calm_seconds: u8,
    signal: Signal,
    /// Tick at which learning started.
    started: u32,
    chain: Chain,
    last: Option<Peak>,
    /// Intervals between the last beats, 1/16 tick.
    intervals: Ring<INTERVALS>,
    /// Likeness of the last beats to known shapes, 127 at most.
    likeness: Ring<8>,
    tachogram: Tachogram,
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
            level: Level::default(),
            lost: false,
            calm_seconds: 0,
            signal: Signal::new(rate_hz),
            started: 0,
            chain: Chain::new(),
            last: None,
            intervals: Ring::new(),
            likeness: Ring::new(),
            tachogram: Tachogram::new(),
        }
    }

    /// As if it had run since `tick` was 0.
    #[cfg(test)]
    pub(super) const fn wake_at(&mut self, tick: u32) {
        self.signal.wake_at(tick);
        self.started = tick;
    }

    pub(super) const fn set_electrodes(&mut self, electrodes: Electrodes) {
        self.electrodes = electrodes;
    }

    /// Forgets everything but the electrodes and whether the signal is flat.
    pub(super) fn relearn(&mut self) {
        *self = Self { electrodes: self.electrodes, level: self.level.clone(), ..Self::start(self.rate_hz) };
    }

    /// One sample in microvolt, limited to +-1 V. Returns the beat that is settled now, 1.5 s (after the start up to
    /// 3 s) after it happened.
    pub fn push(&mut self, microvolt: i32) -> Option<Beat> {
        let sample = microvolt.clamp(-LIMIT, LIMIT);
        self.level.push(sample, self.rate_hz);
        if self.is_lead_off() {
            self.lost = true;
            return None;
        }
        if self.lost {
            self.relearn();
        }
        if !self.signal.push(sample) {
            return None;
        }
        if let Some(peak) = self.signal.peak() {
            self.chain.add(peak, &self.signal);
        }
        let now = self.signal.now();
        if now.is_multiple_of(HZ) {
            let calm = self.chain.is_calm(&self.signal);
            self.calm_seconds = if calm { self.calm_seconds.saturating_add(1) } else { 0 };
        }
        if self.silence() > RELEARN_SECONDS * HZ && now.wrapping_sub(self.started) > RELEARN_SECONDS * HZ {
            self.chain.relearn();
            self.tachogram = Tachogram::new();
            self.started = now;
        }
        self.decide()
    }

    fn decide(&mut self) -> Option<Beat> {
        let Decided { peak, likeness } = self.chain.decide(&self.signal, self.started)?;
        if let Some(likeness) = likeness {
            self.likeness.push(likeness);
        }
        let trusted = self.quality().percent() >= TRUSTED;
        if let Some(last) = self.last.replace(peak) {
            let interval = peak.place().wrapping_sub(last.place());
            if interval < PAUSE_SECONDS * UNITS_PER_SECOND {
                self.intervals.push(interval.cast_signed());
                self.tachogram.push(interval, trusted);
            } else {
                self.intervals = Ring::new();
                self.tachogram.interrupt();
            }
        }
        (peak.middle > UNTOLD).then(|| Beat { samples_ago: self.signal.samples_since(peak.place()), trusted })
    }

    /// Heart rate over the last 10 s, 20..=300 bpm. First value about 5 s after the lead is on.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn heart_rate(&self) -> Reading<Rate> {
        let (mut count, mut sum) = (0, 0);
        let quality = self.state()?;
        for interval in self.intervals.iter().rev().map(i32::unsigned_abs) {
            if count >= FEWEST && sum + interval > AVERAGED {
                break;
            }
            (count, sum) = (count + 1, sum + interval);
        }
        if count < FEWEST {
            return Err(Reason::Settling);
        }
        let since = self.last.map_or(0, |last| (self.signal.now() << PLACE).wrapping_sub(last.place()));
        Rate::within(u64::from(600 * UNITS_PER_SECOND) * count / u64::from(sum.max(1)), 200..=3000)
            .map(|value| Measurement {
                value,
                quality,
                method: Method::EcgBeats,
                calibration: 0,
                delay_ms: (since + sum / 2) * 1000 / UNITS_PER_SECOND,
            })
            .ok_or(Reason::LowQuality)
    }

    /// Variability of the accepted beats' intervals.
    pub(super) fn variability(&self) -> Reading<Variability> {
        self.state()?;
        self.tachogram.variability()
    }

    /// How clean the signal is; `None` before enough of it was seen.
    pub(super) fn signal_quality(&self) -> Option<Quality> {
        self.chain.has_learnt().then(|| self.quality())
    }

    /// Why nothing can be said now, else how well it can.
    fn state(&self) -> Result<Quality, Reason> {
        if self.electrodes != Electrodes::Off && self.level.is_unknown() {
            return Err(Reason::NoSignal);
        }
        if self.is_lead_off() {
            return Err(Reason::LeadOff);
        }
        if self.level.saturated {
            return Err(Reason::Saturated);
        }
        let silence = self.silence();
        if silence > NO_BEAT_SECONDS * HZ {
            // Where electrodes move, and while the front end recovers, beats may be there unseen.
            let calm = u32::from(self.calm_seconds) >= NO_BEAT_SECONDS;
            return Err(if calm { Reason::NoBeat } else { Reason::LowQuality });
        }
        if self.last.is_none() {
            return Err(Reason::Settling);
        }
        let quality = self.quality();
        if silence > PAUSE_SECONDS * HZ || quality.percent() < TRUSTED {
            return Err(Reason::LowQuality);
        }
        Ok(quality)
    }

    /// Ticks from the last beat (or the start) to what is decided.
    fn silence(&self) -> u32 {
        let last = self.last.map_or(0, |last| last.middle);
        self.chain.decided_until(self.signal.now()).wrapping_sub(last)
    }

    fn is_lead_off(&self) -> bool {
        match self.electrodes {
            Electrodes::Off => true,
            Electrodes::Unknown => self.level.flat_seconds >= FLAT_SECONDS,
            Electrodes::On => false,
        }
    }

    /// The lesser of how certain the last decisions and how alike the last beats were, less the movement of the
    /// electrodes.
    fn quality(&self) -> Quality {
        let certain = self.chain.certainty() * 100 / CERTAIN;
        let alike = (eighths(&self.likeness, 4) - CHANCE) * 100 / (SAME - CHANCE);
        let disturbed = self.chain.disturbance(&self.signal) * 2 / 3;
        Quality::clamped((certain.clamp(0, 100).min(alike) * (ONE - disturbed) / ONE).into())
    }
}

/// What the samples of the last second say of the front end.
#[derive(Clone, Debug, Default)]
struct Level {
    samples: u16,
    span: Option<[i32; 2]>,
    railed: u16,
    flat_seconds: u8,
    saturated: bool,
}

impl Level {
    fn push(&mut self, sample: i32, rate_hz: u16) {
        let [low, high] = self.span.unwrap_or([sample; 2]);
        let [low, high] = [low.min(sample), high.max(sample)];
        self.span = Some([low, high]);
        self.railed += u16::from(sample.abs() == LIMIT);
        self.samples += 1;
        if self.samples >= rate_hz {
            let flat = high - low < FLAT;
            *self = Self {
                samples: 0,
                span: Some([sample; 2]),
                railed: 0,
                flat_seconds: if flat { self.flat_seconds.saturating_add(1) } else { 0 },
                saturated: self.railed > rate_hz / RAILED,
            };
        }
    }

    const fn is_unknown(&self) -> bool {
        self.span.is_none()
    }
}
