//! Pulse rate at rest: beats of the last 19 s, with a second witness.
//!
//! Owns the count of beats and its witnesses. Knows neither sensors nor movement.
//!
//! Waves are the turning points of the pulse band (zigzag with a threshold), beats the waves that rise nearly as much as
//! the strong ones; their mean interval is the rate, as monitors count it (an autocorrelation alone prefers the
//! commonest interval and reads low where breathing modulates the heart). Published if one of two witnesses agrees:
//! the normalised autocorrelation of the last 8 s, whose first local maximum of at least 0.85 of the greatest tells half
//! and twice the rate; or waves that fall into beats and small ones with nothing between, which noise does not, but an
//! arrhythmic pulse, which has no period, does.
//!
//! Where every beat has a second wave nearly as strong, a clear period tells which waves are beats; but only of a wearer
//! who is known to be still, because a swinging arm has a clear period, too.

use super::filter::sort;
use super::spectrum::{LENGTH, Span};

/// Values of the window, 19.2 s at 12.5 Hz: oximeters average 8..20 s.
pub(super) const REST: usize = 240;
/// First and last lag that can be a maximum, 250..=29 /min.
const LAGS: [usize; 2] = [3, 26];
const FIRST_MAXIMUM_PERCENT: i64 = 85;
/// Autocorrelation (per mille) below which the window is noise: clean pulses reach 600..900, artefacts 200..400.
const PERIODIC: i64 = 450;
/// Beats and autocorrelation may differ by one part of this: respiratory arrhythmia separates mean and commonest.
const AGREEMENT: i64 = 10;
/// Intervals outside these hundredths of the median hold a false beat, or miss one.
const REGULAR: core::ops::RangeInclusive<i64> = 60..=160;
/// Rise of a beat, and of a wave that may or may not be one, percent of the rise of a strong wave.
const BEAT: i64 = 45;
const DOUBTFUL: core::ops::Range<i64> = 30..60;
/// A wave smaller than both its neighbours (percent) and within 0.45 s of the first may be that beat's second wave
/// (Millasseau 2002, Clin Sci 103:371: the reflected wave of a finger's pulse comes 0.2..0.4 s after the first).
const SECOND: i64 = 90;
const SECOND_WITHIN: i64 = 256 * 45 / 8;
/// Autocorrelation (per mille) from which it may tell beats from second waves, and the part of the period (percent) in
/// which there is one beat: a second wave comes within half of it.
const CLEARLY_PERIODIC: i64 = 550;
const ALONE: i64 = 60;
/// More waves than this in 19 s are noise.
const MOST_WAVES: usize = 80;

/// The pulse at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// 0.1 /min.
    pub(super) tenths: u64,
    /// Likeness of one period to the next, percent; 30 for an arrhythmic pulse.
    pub(super) percent: i64,
}

/// `None` where there is no rhythm or no witness to it.
/// `still` where an accelerometer says so: then what is periodic is no movement.
pub(super) fn rhythm(span: &Span<REST>, still: bool) -> Option<Rhythm> {
    let mut values = [0; REST];
    for (slot, value) in values.iter_mut().zip(span.newest(REST)) {
        *slot = value;
    }
    let values = values.split_at(REST - span.len()).1;
    let period = period(values.split_at(values.len() - LENGTH).1);
    let agreeing = |interval: i64| {
        period
            .filter(|(period, _)| (interval - period).abs() * AGREEMENT <= *period)
            .map(|(_, likeness)| likeness / 10)
    };
    let clear_period = period.filter(|(_, likeness)| *likeness >= CLEARLY_PERIODIC);
    let counted = beats(values, 0).and_then(|Beats { interval, clear }| {
        let doubled =
            interval < SECOND_WITHIN && clear_period.is_some_and(|(period, _)| period * 2 > interval * 3);
        Some((interval, agreeing(interval).or_else(|| (clear && !doubled).then_some(30))?))
    });
    let (interval, percent) = counted.or_else(|| {
        // Beats with a second wave as strong: what is left beside the stronger has to be regular.
        let (period, _) = clear_period.filter(|_| still)?;
        let Beats { interval, clear } = beats(values, SECOND_WITHIN.min(period * ALONE / 100))?;
        Some((interval, agreeing(interval).filter(|_| clear)?))
    })?;
    // 600 tenths of a minute x 12.5 Hz x 256 parts of a sample.
    Some(Rhythm { tenths: u64::try_from(600 * 25 * 128 / interval).ok()?, percent })
}

/// Period in 1/256 sample and its autocorrelation.
fn period(values: &[i32]) -> Option<(i64, i64)> {
    let mut correlations = [0; LAGS[1] + 2];
    for (lag, correlation) in correlations.iter_mut().enumerate().skip(LAGS[0] - 1) {
        *correlation = autocorrelation(values, lag);
    }
    let maxima = || {
        correlations.windows(3).zip(1_i64..).skip(LAGS[0] - 1).filter_map(|(near, lag)| match *near {
            [before, at, after] if before < at && at >= after => Some((lag, before, at, after)),
            _ => None,
        })
    };
    let greatest = maxima().map(|(_, _, at, _)| at).max()?;
    let (lag, before, at, after) = maxima()
        .find(|(_, _, at, _)| *at * 100 >= greatest * FIRST_MAXIMUM_PERCENT)
        .filter(|(_, _, at, _)| *at >= PERIODIC)?;
    Some((vertex(lag, before, at, after), at))
}

/// Correlation of the values with themselves `lag` earlier, per mille of the two parts' amplitudes.
fn autocorrelation(values: &[i32], lag: usize) -> i64 {
    let (late, early) = (values.split_at(lag).1, values.split_at(values.len() - lag).0);
    let scale = energy(late).isqrt() * energy(early).isqrt();
    let product: i64 = late.iter().zip(early).map(|(late, early)| i64::from(*late) * i64::from(*early)).sum();
    product * 1000 / scale.max(1)
}

struct Beats {
    /// Mean, in 1/256 sample.
    interval: i64,
    /// No doubt which waves are beats.
    clear: bool,
}

/// Waves with a stronger one closer than `alone` (1/256 sample) are none.
fn beats(values: &[i32], alone: i64) -> Option<Beats> {
    let mut waves = [Wave::default(); MOST_WAVES];
    let waves = find_waves(values, &mut waves)?;
    let mut rises = [0; MOST_WAVES];
    let rises = rises.get_mut(..waves.len())?;
    for (rise, wave) in rises.iter_mut().zip(waves.iter()) {
        *rise = wave.rise;
    }
    sort(rises);
    let strong = *rises.get(waves.len() * 3 / 4)?;
    let share = |wave: &Wave| wave.rise * 100 / strong;
    let doubtful = waves.iter().filter(|wave| DOUBTFUL.contains(&share(wave))).count();

    let mut intervals = [0; MOST_WAVES];
    let mut count = 0;
    let mut last = None;
    let (mut near, mut small) = ([Wave::default(); 3], 0);
    let hidden = |wave: &Wave| {
        waves.iter().any(|other| other.rise > wave.rise && (other.time - wave.time).abs() < alone)
    };
    for wave in waves.iter().filter(|wave| share(wave) >= BEAT && !hidden(wave)) {
        near = [near[1], near[2], *wave];
        let [before, middle, after] = near;
        let smaller = middle.rise * 100 < before.rise.min(after.rise) * SECOND;
        small += usize::from(smaller && middle.time - before.time < SECOND_WITHIN);
        if let (Some(last), Some(interval)) = (last.replace(wave.time), intervals.get_mut(count)) {
            *interval = wave.time - last;
            count += 1;
        }
    }
    // Second waves among the beats: twice the rate.
    if small * 4 > count {
        return None;
    }
    let intervals = intervals.get_mut(..count)?;
    sort(intervals);
    let median = *intervals.get(count / 2)?;
    let (sum, regular) = intervals
        .iter()
        .filter(|interval| REGULAR.contains(&(**interval * 100 / median)))
        .fold((0, 0), |(sum, count), interval| (sum + interval, count + 1));
    let clear = (alone > 0 || doubtful * 8 <= count) && regular * 10 >= count * 9 && regular >= 6;
    (regular >= 3 && regular * 4 >= count * 3)
        .then(|| Beats { interval: sum / i64::try_from(regular).unwrap_or(1), clear })
}

#[derive(Clone, Copy, Debug, Default)]
struct Wave {
    /// Of the maximum, in 1/256 sample.
    time: i64,
    /// From the minimum before.
    rise: i64,
}

/// Maxima that rise by more than 0.4 rms and fall by as much after; `None` when there are too many.
fn find_waves<'a>(values: &[i32], waves: &'a mut [Wave; MOST_WAVES]) -> Option<&'a [Wave]> {
    let least = (energy(values) * 4 / (25 * i64::try_from(values.len()).ok()?)).isqrt();
    let mut found = 0;
    let mut lowest = i64::MAX;
    let mut top: Option<(i64, i64)> = None;
    let mut near = [0; 3];
    for (value, middle) in values.iter().copied().map(i64::from).zip(-1..) {
        near = [near[1], near[2], value];
        let [before, at, after] = near;
        if top.is_none() {
            lowest = lowest.min(value);
        }
        let highest = top.is_none_or(|(highest, _)| at > highest);
        if middle > 0 && before < at && at >= after && at - lowest > least && highest {
            top = Some((at, vertex(middle, before, at, after)));
        }
        if let Some((highest, time)) = top.filter(|(highest, _)| highest - value > least) {
            *waves.get_mut(found)? = Wave { time, rise: highest - lowest };
            found += 1;
            (lowest, top) = (value, None);
        }
    }
    waves.get(..found)
}

/// Place of the top of a parabola through three neighbours, the middle one the highest, in 1/256.
const fn vertex(middle: i64, before: i64, at: i64, after: i64) -> i64 {
    middle * 256 + 128 * (after - before) / (2 * at - before - after)
}

/// Sum of squares; below 240 x 2^30.
fn energy(values: &[i32]) -> i64 {
    values.iter().map(|value| i64::from(*value).pow(2)).sum()
}
