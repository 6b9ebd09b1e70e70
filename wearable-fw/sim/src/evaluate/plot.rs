//! A picture of a part of a record that a person can judge: signals, beats found, missed and invented, what the device
//! withheld and why, and its values beside the truth.
//!
//! Owns the layout. Knows no file.

use wearable_core::dsp::Reason;

use super::{
    play::{Played, Quantity},
    record::Record,
    report::snake_case,
    score::{Beats, Series},
    signals::Channel,
    svg::{Anchor, Svg},
    table,
};

const WIDTH: f64 = 1600.0;
const LEFT: f64 = 140.0;
const MARGIN: f64 = 16.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 78.0;
const GAP: f64 = 14.0;
const ECG_HEIGHT: f64 = 250.0;
const SIGNAL_HEIGHT: f64 = 150.0;
const VALUE_HEIGHT: f64 = 92.0;
const FOOT: f64 = 44.0;

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Second it begins with.
    pub from: f64,
    /// How many.
    pub seconds: f64,
}

impl Span {
    fn to(self) -> f64 {
        self.from + self.seconds
    }

    fn holds(self, time: f64) -> bool {
        (self.from..=self.to()).contains(&time)
    }

    fn x(self, time: f64) -> f64 {
        LEFT + (time - self.from) / self.seconds * (WIDTH - LEFT - RIGHT)
    }
}

/// What a picture shows, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// Beats found.
    pub found: usize,
    /// Reference beats without a detection.
    pub missed: usize,
    /// Detections without a reference beat.
    pub invented: usize,
}

/// Draws a part of a record.
#[must_use]
pub fn draw(record: &Record, played: &Played, span: Span) -> (String, Marks) {
    let panels = panels(record);
    let height = TOP + panels.iter().map(|panel| panel.height() + GAP).sum::<f64>() + FOOT;
    let mut picture = Picture { svg: Svg::new(WIDTH, height), record, played, span, marks: Marks::default() };
    let mut top = TOP;
    for panel in &panels {
        picture.panel(*panel, top);
        top += panel.height() + GAP;
    }
    picture.time_axis(top - GAP);
    picture.heading();
    (picture.svg.finish(), picture.marks)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Panel {
    Ecg,
    Light,
    Acceleration,
    Impedance,
    Values(Quantity),
}

impl Panel {
    const fn height(self) -> f64 {
        match self {
            Self::Ecg => ECG_HEIGHT,
            Self::Light | Self::Acceleration | Self::Impedance => SIGNAL_HEIGHT,
            Self::Values(_) => VALUE_HEIGHT,
        }
    }

    const fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Ecg => ("ECG", "mV"),
            Self::Light => ("PPG", "% absorbed"),
            Self::Acceleration => ("motion", "g"),
            Self::Impedance => ("impedance", "counts"),
            Self::Values(Quantity::Spo2) => ("SpO2", "%"),
            Self::Values(quantity) => (table::name(quantity), "/min"),
        }
    }

    /// The quantity that is withheld where this panel is shaded.
    const fn withheld(self) -> Option<Quantity> {
        match self {
            Self::Ecg => Some(Quantity::HeartRate),
            Self::Light => Some(Quantity::PulseRate),
            Self::Acceleration | Self::Impedance => None,
            Self::Values(quantity) => Some(quantity),
        }
    }
}

fn panels(record: &Record) -> Vec<Panel> {
    let signals = &record.signals;
    let (ecg, light) = (signals.ecg.is_some(), signals.light.is_some());
    let (moves, impedance) = (signals.acceleration.is_some(), signals.impedance.is_some());
    [
        (Panel::Ecg, ecg),
        (Panel::Light, light),
        (Panel::Acceleration, moves),
        (Panel::Impedance, impedance),
        (Panel::Values(Quantity::HeartRate), ecg),
        (Panel::Values(Quantity::PulseRate), light),
        // One wavelength shows no saturation.
        (Panel::Values(Quantity::Spo2), record.truth.spo2.is_some()),
        (Panel::Values(Quantity::Respiration), light || impedance),
    ]
    .into_iter()
    .filter(|(_, present)| *present)
    .map(|(panel, _)| panel)
    .collect()
}

/// Lowest and highest of what a panel shows, and where on the paper that is.
#[derive(Debug, Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    top: f64,
    height: f64,
    is_empty: bool,
}

impl Scale {
    /// A little wider than the values, and never of no height.
    fn around(values: impl IntoIterator<Item = f64>, least: f64, top: f64, height: f64) -> Self {
        let (low, high) = values
            .into_iter()
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let is_empty = low > high;
        let (low, high) = if is_empty { (0.0, 1.0) } else { (low, high) };
        let room = (least - (high - low)).max(0.0) / 2.0 + (high - low) * 0.12;
        Self { low: low - room, high: high + room, top, height, is_empty }
    }

    fn y(self, value: f64) -> f64 {
        self.top + self.height * (1.0 - (value - self.low) / (self.high - self.low))
    }
}

struct Picture<'a> {
    svg: Svg,
    record: &'a Record,
    played: &'a Played,
    span: Span,
    marks: Marks,
}

impl Picture<'_> {
    fn panel(&mut self, panel: Panel, top: f64) {
        let height = panel.height();
        let right = WIDTH - RIGHT;
        self.svg.rectangle((LEFT, top), (right - LEFT, height), "panel");
        self.grid(top, height);
        if let Some(quantity) = panel.withheld() {
            self.withheld(quantity, top, height);
        }
        let (title, unit) = panel.title();
        self.svg.text((MARGIN, top + 16.0), Anchor::Start, "label", title);
        self.svg.text((MARGIN, top + 31.0), Anchor::Start, "note", unit);
        let signals = &self.record.signals;
        let scale = match panel {
            Panel::Ecg => signals
                .ecg
                .as_ref()
                .map(|ecg| self.trace(ecg, |sample| f64::from(sample) / 1000.0, "signal", top, height)),
            Panel::Light => {
                let absorbed = |[_, infrared]: [i32; 2]| -100.0 * f64::from(infrared.max(1)).ln();
                signals.light.as_ref().map(|light| self.trace(light, absorbed, "signal", top, height))
            }
            Panel::Acceleration => signals.acceleration.as_ref().map(|acceleration| {
                let length = |axes: [i32; 3]| {
                    axes.iter().map(|axis| f64::from(*axis).powi(2)).sum::<f64>().sqrt() / 1000.0
                };
                self.trace(acceleration, length, "motion", top, height)
            }),
            Panel::Impedance => signals
                .impedance
                .as_ref()
                .map(|impedance| self.trace(impedance, f64::from, "signal", top, height)),
            Panel::Values(quantity) => Some(self.values(quantity, top, height)),
        };
        if let Some(scale) = scale {
            self.value_axis(panel, scale);
            if panel == Panel::Ecg {
                self.beats(scale);
            }
        }
    }

    fn grid(&mut self, top: f64, height: f64) {
        for second in self.seconds() {
            let class = if second % 5 == 0 { "five" } else { "second" };
            let x = self.span.x(f64::from(second));
            self.svg.line((x, top), (x, top + height), class);
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a record")]
    fn seconds(&self) -> impl Iterator<Item = u32> + use<> {
        let (from, to) = (self.span.from.ceil() as u32, self.span.to().floor() as u32);
        let step = if self.span.seconds > 120.0 { 5 } else { 1 };
        (from..=to).filter(move |second| second % step == 0)
    }

    /// Where there is no reading it is shaded, with the reason where that begins.
    fn withheld(&mut self, quantity: Quantity, top: f64, height: f64) {
        let mut silences: Vec<(f64, f64, Reason)> = Vec::new();
        let mut before = 0.0;
        for moment in &self.played.moments {
            let (from, to) = (f64::max(before, self.span.from), moment.now.min(self.span.to()));
            before = moment.now;
            match (quantity.of(moment).err(), silences.last_mut()) {
                (Some(reason), Some(last)) if last.2 == reason && last.1 >= from => last.1 = to,
                (Some(reason), _) if from < to => silences.push((from, to, reason)),
                _ => {}
            }
        }
        for (from, to, reason) in silences {
            let (left, right) = (self.span.x(from), self.span.x(to));
            self.svg.rectangle((left, top), (right - left, height), "rejected");
            let words = snake_case(reason).replace('_', " ");
            // A word that does not fit would run into the next.
            if right - left > 7.0 * words.len() as f64 {
                self.svg.text((left + 4.0, top + height - 6.0), Anchor::Start, "why", &words);
            }
        }
    }

    /// At most four points for each pixel: first, lowest, highest, last.
    fn trace<T: Copy>(
        &mut self,
        channel: &Channel<T>,
        value: impl Fn(T) -> f64,
        class: &str,
        top: f64,
        height: f64,
    ) -> Scale {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates; get() takes any"
        )]
        let place = |time: f64| (time * channel.rate_hz).max(0.0) as usize;
        let (first, end) = (place(self.span.from), place(self.span.to()).min(channel.samples.len()));
        let samples = channel.samples.get(first..end).unwrap_or_default();
        let values: Vec<f64> = samples.iter().map(|sample| value(*sample)).collect();
        let scale = Scale::around(values.iter().copied(), 1e-3, top, height);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "samples for a pixel")]
        let group = (values.len() as f64 / (WIDTH - LEFT - RIGHT)).ceil().max(1.0) as usize;
        let span = self.span;
        let points = values.chunks(group).enumerate().flat_map(|(number, chunk)| {
            let x = span.x((first + number * group) as f64 / channel.rate_hz);
            let extremes =
                chunk.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
            let ends = [chunk.first().copied(), Some(extremes.0), Some(extremes.1), chunk.last().copied()];
            let kept = if group == 1 { 1 } else { 4 };
            ends.into_iter().flatten().take(kept).map(move |value| (x, scale.y(value)))
        });
        self.svg.polyline(points.collect::<Vec<_>>(), class);
        scale
    }

    /// Measured dots, and the truth as a dashed line.
    fn values(&mut self, quantity: Quantity, top: f64, height: f64) -> Scale {
        let span = self.span;
        let inside = |time: f64| (span.from - 1.0..=span.to() + 1.0).contains(&time);
        let measured: Vec<(f64, f64)> = self
            .played
            .values(quantity)
            .into_iter()
            .filter(|value| inside(value.time))
            .map(|value| (value.time, value.value))
            .collect();
        let truth: Vec<(f64, f64)> = self
            .truth(quantity)
            .map(Series::points)
            .unwrap_or_default()
            .iter()
            .filter(|point| inside(point.0))
            .copied()
            .collect();
        let least = if quantity == Quantity::Spo2 { 6.0 } else { 10.0 };
        let scale = Scale::around(measured.iter().chain(&truth).map(|point| point.1), least, top, height);
        let clamped = |time: f64| span.x(time.clamp(span.from, span.to()));
        self.svg.polyline(truth.iter().map(|(time, value)| (clamped(*time), scale.y(*value))), "truth");
        for (time, value) in measured.iter().filter(|point| span.holds(point.0)) {
            self.svg.circle((span.x(*time), scale.y(*value)), 3.0, "value");
        }
        if quantity == Quantity::Spo2 {
            for (time, on) in self.played.desaturation_alarms() {
                if on && span.holds(time) {
                    self.svg.line((span.x(time), top), (span.x(time), top + height), "alarm");
                    self.svg.text((span.x(time) + 4.0, top + 14.0), Anchor::Start, "why", "alarm");
                }
            }
        }
        scale
    }

    const fn truth(&self, quantity: Quantity) -> Option<&Series> {
        let truth = &self.record.truth;
        match quantity {
            Quantity::HeartRate => truth.heart_rate.as_ref(),
            Quantity::PulseRate => truth.pulse_rate.as_ref(),
            Quantity::Spo2 => truth.spo2.as_ref(),
            Quantity::Respiration => truth.respiration.as_ref(),
        }
    }

    /// A few round numbers.
    fn value_axis(&mut self, panel: Panel, scale: Scale) {
        // Absorption and impedance have no zero of their own, and what is empty has no scale.
        if scale.is_empty || panel == Panel::Light || panel == Panel::Impedance {
            return;
        }
        let raw = (scale.high - scale.low) / 3.0;
        let magnitude = 10_f64.powf(raw.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= raw);
        let step = step.unwrap_or(raw);
        let decimals = if step < 0.1 { 2 } else { usize::from(step < 1.0) };
        let mut tick = (scale.low / step).ceil() * step;
        while tick <= scale.high {
            let y = scale.y(tick);
            // Adding zero takes the sign from a zero.
            let label = format!("{:.decimals$}", (tick / step).round() * step + 0.0);
            self.svg.text((LEFT - 8.0, y + 4.0), Anchor::End, "note", &label);
            self.svg.line((LEFT - 4.0, y), (LEFT, y), "five");
            tick += step;
        }
    }

    fn beats(&mut self, scale: Scale) {
        let (top, bottom) = (scale.top, scale.top + scale.height);
        let (span, lane) = (self.span, top + 14.0);
        let score =
            self.record.truth.beats.as_ref().map(|truth| Beats::score(&self.played.beat_times(false), truth));
        let invented = score.as_ref().map(|score| score.invented.as_slice()).unwrap_or_default();
        for beat in self.played.beats.iter().filter(|beat| span.holds(beat.time)) {
            let x = span.x(beat.time);
            if invented.contains(&beat.time) {
                self.svg.line((x, top), (x, bottom), "inventedline");
                self.svg.cross((x, lane), 5.0, "invented");
                self.marks.invented += 1;
            } else {
                self.svg.circle((x, lane), 4.5, if beat.trusted { "hit" } else { "untrusted" });
                self.marks.found += 1;
            }
        }
        for time in score.iter().flat_map(|score| &score.missed).filter(|time| span.holds(**time)) {
            let x = span.x(*time);
            self.svg.line((x, top), (x, bottom), "missedline");
            self.svg.circle((x, lane), 5.5, "missed");
            self.marks.missed += 1;
        }
    }

    fn time_axis(&mut self, bottom: f64) {
        let step = [1_u32, 2, 5, 10, 30, 60, 300]
            .into_iter()
            .find(|step| self.span.seconds / f64::from(*step) <= 24.0);
        for second in self.seconds().filter(|second| second % step.unwrap_or(600) == 0) {
            let label = format!("{}:{:02}", second / 60, second % 60);
            self.svg.text((self.span.x(f64::from(second)), bottom + 18.0), Anchor::Middle, "note", &label);
        }
    }

    fn heading(&mut self) {
        let Span { from, seconds } = self.span;
        let title = format!("{}, {from} s to {} s", self.record.name, from + seconds);
        self.svg.text((LEFT, 28.0), Anchor::Start, "title", &title);
        let mut x = LEFT + 8.0;
        let y = 54.0;
        let mut next = |svg: &mut Svg, text: &str, mark: &dyn Fn(&mut Svg, (f64, f64))| {
            mark(svg, (x, y - 4.0));
            svg.text((x + 12.0, y), Anchor::Start, "note", text);
            x += 40.0 + 7.0 * text.len() as f64;
        };
        let svg = &mut self.svg;
        if self.record.signals.ecg.is_some() {
            let Marks { found, missed, invented } = self.marks;
            if self.record.truth.beats.is_some() {
                next(svg, &format!("{found} beats found"), &|svg, at| svg.circle(at, 4.5, "hit"));
                next(svg, &format!("{missed} missed"), &|svg, at| svg.circle(at, 5.5, "missed"));
                next(svg, &format!("{invented} invented"), &|svg, at| svg.cross(at, 5.0, "invented"));
            } else {
                next(svg, &format!("{found} beats, no reference"), &|svg, at| svg.circle(at, 4.5, "hit"));
            }
            next(svg, "not trusted", &|svg, at| svg.circle(at, 4.5, "untrusted"));
        }
        next(svg, "no reading (why)", &|svg, (x, y)| {
            svg.rectangle((x - 7.0, y - 6.0), (14.0, 12.0), "rejected");
        });
        next(svg, "measured", &|svg, at| svg.circle(at, 3.0, "value"));
        next(svg, "reference", &|svg, (x, y)| svg.line((x - 9.0, y), (x + 9.0, y), "truth"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{play::Beat, record::Collection, score::TrueBeats, signals::Signals, truth::Truth};

    fn record() -> Record {
        let ecg =
            Some(Channel::new(100.0, (0..3000).map(|sample| if sample % 100 == 50 { 1000 } else { 0 })));
        let beats = (0..30).map(|second| f64::from(second) + 0.5).collect();
        let truth = Truth { beats: Some(TrueBeats { beats, excluded: Vec::new() }), ..Truth::default() };
        let signals = Signals { ecg, ..Signals::default() };
        Record { name: "mitdb/<x>".into(), collection: Collection::Ecg, signals, truth }
    }

    fn played(record: &Record) -> Played {
        let beats = [10.5, 11.5, 12.9, 13.5].map(|time| Beat { time, trusted: time < 12.0 });
        Played { beats: beats.to_vec(), ..crate::evaluate::play::play(record).unwrap() }
    }

    #[test]
    fn found_missed_and_invented_beats_are_marked_and_counted() {
        let record = record();
        let (svg, marks) = draw(&record, &played(&record), Span { from: 10.0, seconds: 5.0 });
        assert_eq!(marks, Marks { found: 3, missed: 2, invented: 1 });
        let count = |what: &str| svg.matches(what).count();
        // One more of each in the legend.
        assert_eq!((count("class=\"hit\""), count("class=\"untrusted\"")), (3, 2));
        assert_eq!((count("class=\"missed\""), count("class=\"inventedline\"")), (3, 1));
        assert!(svg.contains("mitdb/&lt;x&gt;, 10 s to 15 s") && svg.contains("2 missed"), "{svg}");
    }

    #[test]
    fn what_was_withheld_is_shaded_with_the_reason() {
        let mut record = record();
        record.signals.ecg = Some(Channel::new(100.0, std::iter::repeat_n(0, 3000)));
        let played = crate::evaluate::play::play(&record).unwrap();
        let (svg, _) = draw(&record, &played, Span { from: 10.0, seconds: 10.0 });
        assert!(svg.contains("class=\"rejected\""), "{svg}");
        assert!(svg.contains(">lead off</text>"), "{svg}");
    }

    #[test]
    fn a_long_span_stays_a_small_picture_and_a_span_beyond_the_end_is_empty() {
        let mut record = record();
        record.signals.ecg = Some(Channel::new(500.0, (0..900_000).map(|sample| sample % 777)));
        let played = Played { seconds: 1800.0, ..Played::default() };
        let (svg, _) = draw(&record, &played, Span { from: 0.0, seconds: 1800.0 });
        assert!(svg.len() < 400_000, "{}", svg.len());
        let (svg, marks) = draw(&record, &played, Span { from: 5000.0, seconds: 20.0 });
        assert!(svg.contains("points=\"\"") && marks == Marks::default());
    }
}
