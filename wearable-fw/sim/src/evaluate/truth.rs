//! References: what is known to be true of a record, and rates made of annotated beats and breaths.
//!
//! Owns the formats of the references and the windows of those rates. Knows no signal.

use super::{
    file::{Fault, Table, finite},
    score::{Series, TrueBeats},
};

const MAX_ANNOTATORS: usize = 8;
/// Beat codes of the MIT-BIH annotations (PhysioNet, "Annotation codes").
const BEAT_CODES: &str = "NLRBAaJSVrFejnE/fQ?";
/// Seconds over which reference beats become a heart rate.
const BEATS_WINDOW: f64 = 10.0;
/// Seconds over which breaths become a respiration rate.
const BREATHS_WINDOW: f64 = 40.0;

/// What is known of a record, as far as its files are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Truth {
    /// Of the ECG.
    pub beats: Option<TrueBeats>,
    /// Made of the beats.
    pub heart_rate: Option<Series>,
    /// Beats per minute.
    pub pulse_rate: Option<Series>,
    /// Breaths per minute.
    pub respiration: Option<Series>,
    /// Percent, that the record's light shows.
    pub spo2: Option<Series>,
    /// Percent, that the patient had and one wavelength cannot show.
    pub unseen_spo2: Option<Series>,
}

pub(super) fn beats(text: &str) -> Result<Truth, Fault> {
    let (mut truth, mut flutter, mut last) = (TrueBeats::default(), None, f64::NEG_INFINITY);
    for (line, [time, code]) in Table::parse(text, ["time_s", "symbol"])?.rows() {
        let time = finite(line, time)?;
        if time < last {
            return Err(Fault::Line { line, what: "is earlier than the line above".into() });
        }
        last = time;
        match code {
            "[" => flutter = Some(time),
            "]" => truth.excluded.extend(flutter.take().map(|from| (from, time))),
            code if code.len() == 1 && BEAT_CODES.contains(code) => truth.beats.push(time),
            _ => {}
        }
    }
    let heart_rate = rates(&truth.beats, BEATS_WINDOW, |time| {
        let half = BEATS_WINDOW / 2.0;
        !truth.excluded.iter().any(|(from, to)| time + half > *from && time - half < *to)
    });
    Ok(Truth { heart_rate: Some(heart_rate), beats: Some(truth), ..Truth::default() })
}

/// Events per minute, each second, over the `window` seconds around it.
fn rates(events: &[f64], window: f64, counts: impl Fn(f64) -> bool) -> Series {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Series::default() };
    let seconds = (0_u32..=1 << 20).map(f64::from);
    let whole = |time: &f64| time - window / 2.0 >= *first && time + window / 2.0 <= *last;
    let times = seconds.take_while(|time| time <= last).filter(whole).filter(|time| counts(*time));
    let rate = |time: f64| {
        let from = events.partition_point(|event| *event < time - window / 2.0);
        let to = events.partition_point(|event| *event <= time + window / 2.0);
        match events.get(from..to)? {
            [first, between @ .., last] if last > first => {
                Some((time, 60.0 * (between.len() + 1) as f64 / (last - first)))
            }
            _ => None,
        }
    };
    Series::new(times.filter_map(rate).collect()).unwrap_or_default()
}

fn column(text: &str, time: &'static str, value: &'static str) -> Result<Series, Fault> {
    let mut points = Vec::new();
    for (line, [time, value]) in Table::parse(text, [time, value])?.rows() {
        // The oximeters' and the capnometer's way to say nothing.
        if value.is_empty() || value.eq_ignore_ascii_case("nan") {
            continue;
        }
        let (time, value) = (finite(line, time)?, finite(line, value)?);
        if value > 0.0 {
            points.push((time, value));
        }
    }
    Series::new(points).ok_or_else(|| Fault::Header("is not in the order of time".into()))
}

pub(super) fn oximeters(text: &str) -> Result<Truth, Fault> {
    Ok(Truth {
        pulse_rate: Some(column(text, "t_s", "pr_med")?),
        respiration: Some(column(text, "t_s", "rr_co2")?),
        unseen_spo2: Some(column(text, "t_s", "spo2_med")?),
        ..Truth::default()
    })
}

/// The rate of a window is that of its middle.
pub(super) fn windows(text: &str) -> Result<Truth, Fault> {
    let numbers = Table::parse(text, ["t_start_s", "t_end_s", "hr_bpm"])?;
    let points: Result<Vec<_>, Fault> =
        numbers.numbers().map(|row| row.map(|[from, to, rate]| (f64::midpoint(from, to), rate))).collect();
    let series = Series::new(points?).ok_or_else(|| Fault::Header("is not in the order of time".into()))?;
    Ok(Truth { pulse_rate: Some(series), ..Truth::default() })
}

/// Mean of the annotators, where all of them have a rate.
pub(super) fn breaths(text: &str) -> Result<Truth, Fault> {
    let mut annotators: Vec<(String, Vec<f64>)> = Vec::new();
    for (line, [annotator, time]) in Table::parse(text, ["annotator", "time_s"])?.rows() {
        let time = finite(line, time)?;
        if let Some((_, times)) = annotators.iter_mut().find(|(name, _)| name == annotator) {
            times.push(time);
        } else if annotators.len() < MAX_ANNOTATORS {
            annotators.push((annotator.to_owned(), vec![time]));
        } else {
            return Err(Fault::Line { line, what: format!("is of more than {MAX_ANNOTATORS} annotators") });
        }
    }
    let rates: Vec<Series> = annotators
        .iter_mut()
        .map(|(_, times)| {
            times.sort_by(f64::total_cmp);
            rates(times, BREATHS_WINDOW, |_| true)
        })
        .collect();
    let points = rates.first().map(Series::points).unwrap_or_default().iter().filter_map(|(time, _)| {
        let at: Option<Vec<f64>> = rates.iter().map(|series| series.at(*time)).collect();
        at.map(|at| (*time, at.iter().sum::<f64>() / at.len() as f64))
    });
    let respiration = Series::new(points.collect()).unwrap_or_default();
    Ok(Truth { respiration: Some(respiration), ..Truth::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(series: Option<Series>) -> Vec<(f64, f64)> {
        series.unwrap().points().to_vec()
    }

    #[test]
    fn beat_codes_become_beats_and_flutter_is_excluded() {
        let text = "sample,time_s,symbol\n1,0.5,N\n2,1.5,V\n3,2,+\n4,2.5,[\n5,3,!\n6,4.5,]\n7,5.5,/\n";
        let truth = beats(text).unwrap().beats.unwrap();
        assert_eq!(truth.beats, [0.5, 1.5, 5.5]);
        assert_eq!(truth.excluded, [(2.5, 4.5)]);
        for hostile in ["1,2,N\n1,1,N", "1,NaN,N", "1,,N", "1,1"] {
            let fault = beats(&format!("sample,time_s,symbol\n{hostile}\n")).unwrap_err().to_string();
            assert!(fault.starts_with("line "), "{hostile}: {fault}");
        }
        assert!(beats("").is_err() && beats("sample,time_s,symbol\n").unwrap().beats.is_some());
    }

    #[test]
    fn reference_beats_become_a_heart_rate_but_not_across_flutter() {
        let steady: Vec<f64> = (0..40).map(|beat| f64::from(beat) * 0.8).collect();
        let rate = rates(&steady, 10.0, |_| true);
        assert_eq!((rate.points()[0].0, rate.points().last().unwrap().0), (5.0, 26.0));
        assert!(rate.points().iter().all(|point| (point.1 - 75.0).abs() < 1e-9));
        let lines: String = steady.iter().map(|time| format!("{time},N\n")).collect();
        let text = format!("time_s,symbol\n{lines}31.3,[\n31.5,]\n");
        let truth = points(beats(&text).unwrap().heart_rate);
        assert_eq!(truth.last().unwrap().0, 26.0);
        assert_eq!(rates(&[], 10.0, |_| true).points(), []);
        assert_eq!(rates(&[1e300, 2e300], 10.0, |_| true).points(), [], "bounded for hostile times");
    }

    #[test]
    fn two_annotators_of_breaths_are_averaged_where_both_have_a_rate() {
        let lines: String = (0..60)
            .flat_map(|breath| [(1, f64::from(breath) * 2.0), (2, f64::from(breath) * 2.5)])
            .map(|(annotator, time)| format!("{annotator},0,{time}\n"))
            .collect();
        let truth = points(breaths(&format!("annotator,sample,time_s\n{lines}")).unwrap().respiration);
        assert!(truth.iter().all(|point| (point.1 - 27.0).abs() < 1e-9), "{truth:?}");
        assert_eq!((truth[0].0, truth.last().unwrap().0), (20.0, 98.0));
        let many: String = (0..20).map(|annotator| format!("{annotator},0,1\n")).collect();
        assert!(breaths(&format!("annotator,sample,time_s\n{many}")).is_err());
    }

    #[test]
    fn oximeters_may_be_silent_but_not_absurd() {
        let head = "t_s,spo2_med,pr_med,rr_co2\n";
        let truth = oximeters(&format!("{head}0,97.5,60,\n1,,61,nan\n2,98,0,14\n")).unwrap();
        assert_eq!(points(truth.unseen_spo2), [(0.0, 97.5), (2.0, 98.0)]);
        assert_eq!(points(truth.pulse_rate), [(0.0, 60.0), (1.0, 61.0)]);
        assert_eq!(points(truth.respiration), [(2.0, 14.0)]);
        assert!(oximeters(&format!("{head}0,x,60,1\n")).unwrap_err().to_string().contains("\"x\""));
        assert!(oximeters(&format!("{head}1,97,60,9\n0,97,60,9\n")).is_err());
        assert!(oximeters("t_s,pr_med\n").unwrap_err().to_string().contains("rr_co2"));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(
            head in "(annotator|sample|time_s|symbol|t_s|pr_med|rr_co2|spo2_med|t_start_s|t_end_s|hr_bpm|,){0,9}\n",
            rows in "([0-9eE.-]{0,5}|NaN|N|\\[|\\]|,|\n){0,60}",
        ) {
            let text = format!("{head}{rows}");
            for parse in [beats, oximeters, windows, breaths] {
                parse(&text).ok();
            }
        }
    }
}
