//! Respiration from the optical pulse: breathing shifts its baseline, its amplitude and its interval.
//!
//! Owns the beats it samples these at, and the decision. Knows one wavelength and no accelerometer.
//!
//! Chain: absorbance at 25 Hz; beats at the steepest rise; baseline, amplitude and interval of each (Karlen 2013,
//! doi 10.1109/TBME.2013.2246160; Charlton 2018, doi 10.1109/RBME.2017.2763681), interpolated to 4 Hz and
//! differentiated, which levels the 1/f spectrum of vasomotion; over 48 s three rates of each (`rhythm`); the median
//! of the nine. Published when four of the nine agree (so at least two modulations do) and the spectra of the last
//! 80 s have more power there than chance would put.
//!
//! Beats sample the breathing, so a rate above half the pulse rate cannot be told from its mirror image below.
#![expect(clippy::indexing_slicing, reason = "constant positions, and one reduced modulo the length")]

use super::super::filter::{Ring, eighths, sort};
use super::super::optics::Light;
use super::super::{Measurement, Method, Quality, Rate, Reading, Reason};
use super::rhythm::{self, LONGEST, Spectrum, Trace};

/// A beat's rise is the steepest within 0.28 s either side: 214 beats per minute at most.
const REACH: usize = 7;
/// Without a beat for 3 s there is no pulse and no rate.
const NO_BEAT: i32 = 75;
/// A gap of a quarter of the window is bridged; after a longer one the window starts anew.
const BRIDGED: i32 = 300;
/// 32 s hold three breaths at the slowest rate; the window grows to 48 s.
const SHORTEST: usize = 32 * rhythm::RATE_HZ;
/// A new rate every 2 s.
const RENEWAL: usize = 2 * rhythm::RATE_HZ;
/// 25 Hz samples in Q8 between two values of a trace.
const SPACING: i32 = 25 * 256 / 4;
/// A change of 3 % of the light in 0.25 s is no breathing.
const CUT: i32 = i16::MAX as i32;
/// Median amplitude below which noise hides breathing: 0.1 % of the light, Q20.
const FAINT: i32 = (1 << 20) / 1000;
/// Least mean change in 0.25 s: of baseline and amplitude 1/200 of the amplitude (a breath that moves them by 2 %),
/// of the interval what 25 Hz resolve, 2 ms in Q8.
const LEAST_PART: i32 = 200;
const LEAST_INTERVAL: i32 = 13;
/// Greatest, as a part of amplitude and interval: more is artefact or arrhythmia.
const MOST_PART: i32 = 5;
const MOST_INTERVAL_PART: i32 = 20;
/// Share of intervals (per mille, over 16 beats) off their median by 30 %: noise has half of them there.
const IRREGULAR: i32 = 250;
/// Rates agree within the resolution of a window of 48 s, tenths per minute.
const AGREEMENT: i32 = 25;
/// Rates that agree: one modulation has three.
const VOTES: usize = 4;
/// Spectra that the evidence is a mean of: three every 2 s, 32 s of windows of 48 s.
const MEMORY: i32 = 48;
/// Share of the power near the rate beyond what an even spectrum has there, 1/10 000.
const ABOVE_CHANCE: i32 = 500;

/// Baseline, amplitude (absorbance, Q20) and interval (25 Hz samples, Q8) of a beat.
type Modulations = [i32; 3];

/// Finds beats and what they carry.
#[derive(Clone, Debug)]
struct Beats {
    absorbances: [i32; 3],
    /// Sums of three absorbances, newest last; the second is examined.
    smooth: [i32; REACH + 2],
    /// Rises of these over three samples, newest last; the centre is examined.
    rises: [i32; 2 * REACH + 1],
    heights: Ring<8>,
    /// Whether there was a beat within [`NO_BEAT`], and samples since it.
    beating: bool,
    since: i32,
    /// Place of the last beat between samples, Q8.
    fraction: i32,
    lowest: i32,
    highest: i32,
    sum: i64,
}

impl Beats {
    const fn new(absorbance: i32) -> Self {
        Self {
            absorbances: [absorbance; 3],
            smooth: [3 * absorbance; REACH + 2],
            rises: [0; 2 * REACH + 1],
            heights: Ring::new(),
            beating: false,
            since: 0,
            fraction: 0,
            lowest: 0,
            highest: 0,
            sum: 0,
        }
    }

    /// Examines the sample [`REACH`] ago: if a beat begins there, what the beat before it carried.
    #[expect(clippy::cast_possible_truncation, reason = "a mean of i32 is an i32")]
    fn push(&mut self, absorbance: i32) -> Option<Modulations> {
        self.absorbances = [self.absorbances[1], self.absorbances[2], absorbance];
        self.smooth.rotate_left(1);
        self.smooth[REACH + 1] = self.absorbances.iter().sum();
        self.rises.rotate_left(1);
        self.rises[2 * REACH] = self.smooth[REACH + 1] - self.smooth[REACH - 2];

        let smooth = self.smooth[1];
        let extreme = extreme(self.smooth[0], smooth, self.smooth[2]);
        self.lowest = self.lowest.min(extreme);
        self.highest = self.highest.max(extreme);
        self.sum += i64::from(smooth);
        self.since += 1;
        if self.since > NO_BEAT {
            (self.beating, self.heights, self.since) = (false, Ring::new(), 0);
        }

        let (before, [rise, after @ ..]) = self.rises.split_at(REACH) else { return None };
        let steepest = before.iter().all(|other| other < rise) && after.iter().all(|other| other <= rise);
        if !steepest || *rise <= 0 || *rise < eighths(&self.heights, 4) / 2 {
            return None;
        }
        self.heights.push(*rise);
        let [before, after] = [before[REACH - 1], after[0]];
        let fraction = (128 * i64::from(after - before) / i64::from(2 * rise - before - after)) as i32;
        // What `smooth` adds to the sum's integral up to `fraction` after it.
        let edge = i64::from(smooth) * i64::from(fraction - 128);
        let beat = self.beating.then(|| {
            let interval = self.since * 256 + fraction - self.fraction;
            let baseline = (self.sum * 256 + edge) / (3 * i64::from(interval));
            [baseline as i32, (self.highest - self.lowest) / 3, interval]
        });
        (self.beating, self.since, self.fraction) = (true, 0, fraction);
        (self.lowest, self.highest, self.sum) = (extreme, extreme, -edge / 256);
        beat
    }
}

/// The middle of three values or, where it is the largest or the smallest, the vertex of the parabola through them.
fn extreme(before: i32, middle: i32, after: i32) -> i32 {
    if (middle > before) == (middle > after) && 2 * middle != before + after {
        let [slope, bend] = [after - before, 2 * middle - before - after].map(i64::from);
        middle + i32::try_from(slope * slope / (8 * bend)).unwrap_or(0)
    } else {
        middle
    }
}

/// The three modulations on a common clock of 4 Hz.
#[derive(Clone, Debug)]
struct Window {
    beats: Beats,
    amplitudes: Ring<8>,
    intervals: Ring<8>,
    irregular: i32,
    /// The last beat's, and 25 Hz samples in Q8 since its middle.
    modulations: Option<Modulations>,
    since: i32,
    /// 25 Hz samples in Q8 from the middle of the last beat to the next value.
    next_in: i32,
    values: Modulations,
    /// From one value to the next, cut to 16 bits.
    changes: [[i16; 3]; LONGEST],
    next: usize,
    len: usize,
    fresh: usize,
    /// Mean of the last spectra, and how many it holds.
    evidence: Spectrum,
    spectra: i32,
}

impl Window {
    const fn new(absorbance: i32) -> Self {
        Self {
            beats: Beats::new(absorbance),
            amplitudes: Ring::new(),
            intervals: Ring::new(),
            irregular: 0,
            modulations: None,
            since: 0,
            next_in: 0,
            values: [0; 3],
            changes: [[0; 3]; LONGEST],
            next: 0,
            len: 0,
            fresh: 0,
            evidence: Spectrum::new(),
            spectra: 0,
        }
    }

    /// A new reading when there is one.
    fn push(&mut self, absorbance: i32) -> Option<Reading<Rate>> {
        let beat = self.beats.push(absorbance);
        self.since += 256;
        if self.since > BRIDGED * 256 {
            *self = Self::new(absorbance);
        }
        if !self.beats.beating && self.since > NO_BEAT * 256 {
            return Some(Err(Reason::LowPerfusion));
        }
        let [baseline, amplitude, interval] = beat?;
        let distance = self.since - interval / 2;
        self.since = interval / 2;
        self.amplitudes.push(amplitude);
        self.intervals.push(interval);
        let Some(last) = self.modulations else {
            self.modulations = beat;
            self.values = [baseline, amplitude, interval];
            self.next_in = SPACING;
            return Some(Err(Reason::Settling));
        };
        let usual = |value: i32, others: &Ring<8>, percent: i32, instead: i32| {
            let median = eighths(others, 4);
            if i64::from(value - median).abs() * 100 <= i64::from(median) * i64::from(percent) {
                value
            } else {
                instead
            }
        };
        let kept = [
            baseline,
            usual(amplitude, &self.amplitudes, 50, last[1]),
            usual(interval, &self.intervals, 30, last[2]),
        ];
        self.irregular += (if kept[2] == interval { 0 } else { 1000 } - self.irregular) / 16;
        self.interpolate(last, kept, distance);
        self.modulations = Some(kept);
        if self.fresh < RENEWAL || self.len < SHORTEST {
            return None;
        }
        self.fresh = 0;
        Some(self.rate())
    }

    #[expect(clippy::cast_possible_truncation, reason = "between two i32; cut to 16 bits")]
    fn interpolate(&mut self, from: Modulations, to: Modulations, distance: i32) {
        while self.next_in <= distance {
            let part = |(from, to): (i32, i32)| {
                from + (i64::from(to - from) * i64::from(self.next_in) / i64::from(distance)) as i32
            };
            let values = [0, 1, 2].map(|which| part((from[which], to[which])));
            self.changes[self.next] =
                [0, 1, 2].map(|which| (values[which] - self.values[which]).clamp(-CUT, CUT) as i16);
            self.values = values;
            self.next = (self.next + 1) % LONGEST;
            self.len = (self.len + 1).min(LONGEST);
            self.fresh += 1;
            self.next_in += SPACING;
        }
        self.next_in -= distance;
    }

    fn changes(&self, which: usize) -> impl Iterator<Item = i32> + Clone {
        let (tail, head) = self.changes[..self.len].split_at(if self.len == LONGEST { self.next } else { 0 });
        head.iter().chain(tail).map(move |changes| i32::from(changes[which]))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "lengths and times of a window: small and positive"
    )]
    fn rate(&mut self) -> Reading<Rate> {
        let amplitude = eighths(&self.amplitudes, 4);
        if amplitude < FAINT {
            return Err(Reason::LowPerfusion);
        }
        // Half the pulse rate, in breaths per minute.
        let interval = eighths(&self.intervals, 4);
        if self.irregular > IRREGULAR {
            return Err(Reason::LowQuality);
        }
        let fastest = (60 * 25 * 256 / 2 / interval.max(1)).clamp(0, 60) as usize;
        let mut rates = [0; 9];
        let mut count = 0;
        let limits = [
            (amplitude / LEAST_PART, amplitude / MOST_PART),
            (amplitude / LEAST_PART, amplitude / MOST_PART),
            (LEAST_INTERVAL, interval / MOST_INTERVAL_PART),
        ];
        for (which, (least, most)) in limits.into_iter().enumerate() {
            let Some(trace) = Trace::new(self.changes(which)) else { continue };
            if !(i64::from(least)..=i64::from(most)).contains(&trace.deviation()) {
                continue;
            }
            let spectrum = trace.spectrum(fastest);
            let found = [
                trace.period(fastest).map(|(rate, _)| rate),
                spectrum.peak(),
                trace.counted().map(|count| count.rate),
            ];
            for rate in found.into_iter().flatten() {
                rates[count] = rate;
                count += 1;
            }
            self.spectra = (self.spectra + 1).min(MEMORY);
            self.evidence.approach(&spectrum, self.spectra);
        }
        let rates = &mut rates[..count];
        sort(rates);
        let median = *rates.get(count / 2).ok_or(Reason::LowQuality)?;
        let votes = rates.iter().filter(|rate| (*rate - median).abs() <= AGREEMENT).count();
        let power = self.evidence.near(median);
        let chance = Spectrum::chance(median, fastest);
        // Close to half the beats is what alternates (bigeminy, beats counted twice): tenths, four fifths of `fastest`.
        let alternates = median > fastest as i32 * 8;
        if alternates || votes < VOTES || power < chance + ABOVE_CHANCE {
            return Err(Reason::LowQuality);
        }
        let value = rhythm::rate(median).ok_or(Reason::LowQuality)?;
        let lag = (REACH as i32 + 3) * 256 + interval / 2 + SPACING - self.next_in;
        Ok(Measurement {
            value,
            quality: Quality::clamped((votes as i64 * 100 / 9 + i64::from(power) / 100) / 2),
            method: Method::PulseModulation,
            calibration: 0,
            delay_ms: self.len as u32 * 500 / rhythm::RATE_HZ as u32 + lag as u32 * 40 / 256,
        })
    }
}

/// Streaming respiration from the optical pulse.
#[derive(Clone, Debug)]
pub struct PulseRespiration {
    window: Option<Window>,
    reading: Reading<Rate>,
    /// 25 Hz samples since `reading`.
    age: u32,
}

impl PulseRespiration {
    pub(in super::super) const fn new() -> Self {
        Self { window: None, reading: Err(Reason::NoSignal), age: 0 }
    }

    pub(in super::super) fn push(&mut self, light: Light) {
        let absorbance = -light.infrared;
        let window = self.window.get_or_insert_with(|| {
            self.reading = Err(Reason::Settling);
            Window::new(absorbance)
        });
        self.age += 1;
        if let Some(reading) = window.push(absorbance) {
            (self.reading, self.age) = (reading, 0);
        }
    }

    /// Forgets everything: the light is of no use.
    pub(in super::super) const fn lose(&mut self, reason: Reason) {
        (self.window, self.reading) = (None, Err(reason));
    }

    /// 5..=60 breaths per minute and at most two fifths of the pulse rate; first after some 35 s of pulse, new every 2 s.
    pub(in super::super) fn rate(&self) -> Reading<Rate> {
        self.reading
            .map(|measurement| Measurement { delay_ms: measurement.delay_ms + 40 * self.age, ..measurement })
    }
}
