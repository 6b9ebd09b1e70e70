//! Pulse rate at rest: beats of the last 16 s, if the signal repeats itself at their rate.
//!
//! Owns the two measures and their agreement. Knows neither sensors nor movement.
//!
//! Beats are maxima of the pulse band; their mean interval is the rate, as monitors count it (an autocorrelation alone
//! prefers the commonest interval and reads low where breathing modulates the heart). Independent of it, the
//! normalised autocorrelation of the last 8 s: the first local maximum of at least 0.85 of the greatest. Half or twice
//! the rate, and noise, show as disagreement.

use super::spectrum::{LENGTH, Span};

/// Values of the longest window, 16 s at 12.5 Hz.
pub(super) const REST: usize = 200;
/// 250..=29 /min.
const LAGS: core::ops::RangeInclusive<usize> = 3..=26;
const FIRST_MAXIMUM_PERCENT: i64 = 85;
/// Autocorrelation (per mille) below which the window is noise: clean pulses reach 600..900, artefacts 200..400.
const PERIODIC: i64 = 450;
/// Beats and autocorrelation may differ by a tenth: respiratory arrhythmia separates mean and commonest interval.
const AGREEMENT: i64 = 10;
/// Intervals below this many hundredths of the median, or above the second, hold a false beat, or miss one.
const REGULAR: [i64; 2] = [60, 160];
const MOST_BEATS: usize = 64;

/// The pulse at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// 0.1 /min.
    pub(super) tenths: u64,
    /// Likeness of one period to the next, percent.
    pub(super) percent: i64,
}

/// `None` where beats and autocorrelation disagree or there is no rhythm.
pub(super) fn rhythm(span: &Span<REST>) -> Option<Rhythm> {
    let (period, likeness) = period(span)?;
    let interval = interval_of_beats(span, period)?;
    if (interval - period).abs() * AGREEMENT > period {
        return None;
    }
    // 600 tenths of a minute x 12.5 Hz x 256 parts of a sample.
    Some(Rhythm { tenths: u64::try_from(600 * 25 * 128 / interval).ok()?, percent: likeness / 10 })
}

/// Period in 1/256 sample and its autocorrelation.
fn period(span: &Span<REST>) -> Option<(i64, i64)> {
    let mut correlations = [0; 28];
    for (lag, correlation) in correlations.iter_mut().enumerate().skip(LAGS.start() - 1) {
        *correlation = autocorrelation(span, lag);
    }
    let maxima = || {
        correlations.windows(3).zip(1_i64..).filter_map(|(near, lag)| match *near {
            [before, at, after] if before < at && at >= after && lag >= 3 => Some((lag, before, at, after)),
            _ => None,
        })
    };
    let greatest = maxima().map(|(_, _, at, _)| at).max()?;
    let (lag, before, at, after) = maxima()
        .find(|(_, _, at, _)| *at * 100 >= greatest * FIRST_MAXIMUM_PERCENT)
        .filter(|(_, _, at, _)| *at >= PERIODIC)?;
    // Vertex of the parabola through three points; `before < at >= after` keeps it between them.
    Some((lag * 256 + 128 * (after - before) / (2 * at - before - after), at))
}

/// Correlation of the last 8 s with themselves `lag` values earlier, per mille of the two parts' amplitudes.
fn autocorrelation(span: &Span<REST>, lag: usize) -> i64 {
    let (late, early) = (span.newest(LENGTH).skip(lag), span.newest(LENGTH).take(LENGTH - lag));
    let amplitude =
        |part: &mut dyn Iterator<Item = i32>| part.map(|value| i64::from(value).pow(2)).sum::<i64>().isqrt();
    let scale = amplitude(&mut late.clone()) * amplitude(&mut early.clone());
    let product: i64 = late.zip(early).map(|(late, early)| i64::from(late) * i64::from(early)).sum();
    product * 1000 / scale.max(1)
}

/// Mean interval of the beats in 1/256 sample: maxima that are the highest within two fifths of a period either side
/// (at least 0.16 s) and above 0.4 rms, which leaves out the second wave of a beat.
fn interval_of_beats(span: &Span<REST>, period: i64) -> Option<i64> {
    let reach = usize::try_from(period * 2 / (5 * 256)).ok()?.max(2);
    let count = span.len();
    let energy: i64 = span.newest(count).map(|value| i64::from(value).pow(2)).sum();
    let floor = (energy * 4 / (25 * i64::try_from(count).ok()?)).isqrt();
    let mut intervals = [0; MOST_BEATS];
    let mut filled = 0;
    let mut last = None;
    for at in reach..count.saturating_sub(reach) {
        let mut near = span.newest(count).skip(at - 1);
        let [before, centre, after] = core::array::from_fn(|_| i64::from(near.next().unwrap_or(0)));
        if centre <= floor || before >= centre || after > centre {
            continue;
        }
        if span.newest(count).skip(at - reach).take(2 * reach + 1).any(|value| i64::from(value) > centre) {
            continue;
        }
        let time = i64::try_from(at).ok()? * 256 + 128 * (after - before) / (2 * centre - before - after);
        if let (Some(last), Some(interval)) = (last.replace(time), intervals.get_mut(filled)) {
            *interval = time - last;
            filled += 1;
        }
    }
    let intervals = intervals.get_mut(..filled)?;
    intervals.sort_unstable();
    let median = *intervals.get(filled / 2)?;
    let regular = |interval: &&i64| (REGULAR[0]..=REGULAR[1]).contains(&(**interval * 100 / median));
    let (sum, accepted) =
        intervals.iter().filter(regular).fold((0, 0), |(sum, count), interval| (sum + interval, count + 1));
    (accepted >= 3 && accepted * 4 >= filled * 3).then(|| sum / i64::try_from(accepted).unwrap_or(1))
}
