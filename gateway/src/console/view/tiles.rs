//! The wall of beds: equal tiles in a fixed order, as large as lets all of them be seen at once.

use protocol::time::{Now, Readable};
use ratatui::{
    Frame,
    layout::{Alignment, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, BorderType, Paragraph, Wrap},
};

use super::{
    fit::{broken, cut},
    glyphs,
    palette::{Palette, strong},
};
use crate::console::{
    bed::{Bed, Monitoring, Presence, Reading},
    state::State,
    when,
};

/// Tiles grow no wider than this.
const WIDEST: u16 = 48;
/// Columns that every tile has.
const LEAST: u16 = 32;
/// The least wide tiles, for the smallest screens and the fullest wards.
const LEAST_MINI: u16 = 30;

/// How much a tile shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// Four large numbers.
    Full,
    /// Two large numbers, two in a line.
    Half,
    /// All numbers in lines.
    Text,
    /// Numbers in one line.
    Mini,
}

impl Size {
    const ALL: [Self; 4] = [Self::Full, Self::Half, Self::Text, Self::Mini];

    const fn height(self) -> u16 {
        match self {
            Self::Full => 15,
            Self::Half => 11,
            Self::Text => 7,
            Self::Mini => 4,
        }
    }

    const fn least_width(self) -> u16 {
        if matches!(self, Self::Mini) { LEAST_MINI } else { LEAST }
    }

    fn columns(self, width: u16) -> usize {
        usize::from(width / self.least_width()).max(1)
    }

    fn rows(self, width: u16, beds: usize) -> usize {
        beds.div_ceil(self.columns(width))
    }
}

/// The largest size at which all beds fit.
fn all_fit(width: u16, height: u16, beds: usize) -> Option<Size> {
    let fits = |size: &Size| size.rows(width, beds) <= usize::from(height / size.height());
    Size::ALL.into_iter().find(fits)
}

/// How much of `height` the beds take.
pub(super) fn height(width: u16, height: u16, beds: usize) -> u16 {
    let rows = |size: Size| u16::try_from(size.rows(width, beds)).unwrap_or(u16::MAX);
    match all_fit(width, height, beds) {
        Some(size) if beds > 0 => size.height() * rows(size),
        _ => height,
    }
}

/// Draws the beds; returns the last row that they can be scrolled to.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    beds: &[Bed<'_>],
    palette: Palette,
    now: Now,
) -> usize {
    if beds.is_empty() {
        draw_empty(frame, area, state);
        return 0;
    }
    let size = all_fit(area.width, area.height, beds.len());
    // Where not all fit, one line says which are shown.
    let (size, height) = match size {
        Some(size) => (size, area.height),
        None => (Size::Mini, area.height.saturating_sub(1)),
    };
    let columns = size.columns(area.width);
    let shown_rows = usize::from(height / size.height()).max(1);
    let last = beds.len().div_ceil(columns).saturating_sub(shown_rows);
    let first_row = state.scroll.min(last);
    let first = first_row * columns;
    let abreast = u16::try_from(columns.min(beds.len())).unwrap_or(1);
    let width = (area.width / abreast).min(WIDEST);
    for (index, bed) in beds.iter().skip(first).take(shown_rows * columns).enumerate() {
        let place = |cells: usize, each: u16| u16::try_from(cells).unwrap_or(u16::MAX).saturating_mul(each);
        let tile = Rect {
            x: area.x + place(index % columns, width),
            y: area.y + place(index / columns, size.height()),
            width,
            height: size.height(),
        };
        draw_tile(frame, tile.intersection(area), bed, size, palette, now);
    }
    if last > 0 {
        let until = (first + shown_rows * columns).min(beds.len());
        let hidden = |(index, bed): &(usize, &Bed<'_>)| bed.is_unwatched() && !(first..until).contains(index);
        let hidden: Vec<&str> =
            beds.iter().enumerate().filter(hidden).map(|(_, bed)| bed.patient.id.as_str()).collect();
        let mut spans = vec![Span::raw(format!(
            " beds {} to {until} of {}   up/down PgUp/PgDn   ",
            first + 1,
            beds.len()
        ))];
        if !hidden.is_empty() {
            spans.push(Span::styled(
                format!("!!! not on screen, without vitals: {}", hidden.join(" ")),
                palette.severe(),
            ));
        }
        let line = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
        frame.render_widget(Line::from(spans), line);
    }
    last
}

fn draw_empty(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let lines = if state.status.is_none() {
        vec![Line::from("Asking the gateway ...")]
    } else {
        vec![
            Line::styled("No patient is paired yet.", strong()),
            Line::default(),
            Line::from("Press n for a pairing code and the line to type on the patient's computer."),
        ]
    };
    let middle = Rect { y: area.y + area.height / 3, height: area.height - area.height / 3, ..area };
    frame.render_widget(Paragraph::new(lines).alignment(Alignment::Center).wrap(Wrap { trim: true }), middle);
}

fn draw_tile(frame: &mut Frame<'_>, area: Rect, bed: &Bed<'_>, size: Size, palette: Palette, now: Now) {
    let (border, kind) = if bed.is_unwatched() {
        (palette.severe(), BorderType::Thick)
    } else if bed.presence == Presence::Lost {
        (palette.coloured(Color::Yellow), BorderType::Plain)
    } else {
        (palette.faint(), BorderType::Plain)
    };
    let id = cut(&bed.patient.id, usize::from(area.width.saturating_sub(16)));
    let mut block = Block::bordered().border_type(kind).border_style(border).title(Span::styled(
        format!(" {id} "),
        Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
    ));
    let has_bar = matches!(size, Size::Full | Size::Half);
    if bed.simulated && !has_bar {
        block = block.title(Line::styled(" SIMULATED ", palette.simulated()).alignment(Alignment::Right));
    }
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width);
    let mut lines = Vec::new();
    if has_bar {
        lines.push(match bed.simulated {
            true => Line::styled(format!("{:^width$}", "S I M U L A T E D"), palette.simulated()),
            false => Line::default(),
        });
    }
    if size == Size::Mini {
        lines.push(short_numbers(bed, palette, width));
        lines.push(match bed.monitoring {
            Monitoring::Live(age) => {
                let age = format!("{}  ", Readable(age));
                let room = width.saturating_sub(age.len());
                let mut line = match missing(bed) {
                    missing if missing.is_empty() || bed.presence == Presence::Lost => {
                        presence(bed, palette, None, room)
                    }
                    missing => Line::styled(cut(&missing, room), palette.coloured(Color::Yellow)),
                };
                line.spans.insert(0, Span::styled(age, Style::reset()));
                line
            }
            Monitoring::NoWearable => presence(bed, palette, None, width),
            _ => data(bed, palette, width),
        });
        frame.render_widget(Paragraph::new(lines), inner);
        return;
    }
    lines.push(presence(bed, palette, Some(now), width));
    let [heart, oxygen, respiration, temperature] = &bed.readings;
    match size {
        Size::Full => {
            lines.extend(large_pair(heart, oxygen, palette, width));
            lines.extend(large_pair(respiration, temperature, palette, width));
        }
        Size::Half => {
            lines.extend(large_pair(heart, oxygen, palette, width));
            lines.push(pair(respiration, temperature, palette, width));
        }
        Size::Text | Size::Mini => {
            lines.push(pair(heart, oxygen, palette, width));
            lines.push(pair(respiration, temperature, palette, width));
        }
    }
    lines.push(data(bed, palette, width));
    lines.push(wearables(bed, palette, now, width));
    if size == Size::Full && !bed.others.is_empty() {
        lines.push(Line::styled(cut(&bed.others.join(", "), width), palette.faint()));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// How it stands with the patient's computer, and, where there is room, since when.
fn presence(bed: &Bed<'_>, palette: Palette, now: Option<Now>, width: usize) -> Line<'static> {
    let since = bed.patient.since.as_deref().zip(now);
    let since =
        since.map_or_else(String::new, |(since, now)| format!(" since {}", when::moment_of(since, now.wall)));
    let (said, style) = match bed.presence {
        Presence::Connected => (format!("* connected{since}"), palette.coloured(Color::Green)),
        Presence::Away => ("- away, on purpose".to_owned(), Style::new()),
        Presence::Lost => (format!("! not connected{since}"), palette.coloured(Color::Yellow)),
        Presence::Never => ("o never connected".to_owned(), palette.faint()),
    };
    Line::styled(cut(&said, width), style)
}

fn value(reading: &Reading) -> &str {
    reading.value.as_deref().unwrap_or("--")
}

fn style(reading: &Reading, palette: Palette) -> Style {
    match (&reading.value, reading.plausible) {
        (None, _) if reading.why_not.is_some() => palette.coloured(Color::Yellow),
        (None, _) => palette.faint(),
        (_, false) => palette.coloured(Color::Yellow).add_modifier(Modifier::BOLD),
        _ => palette.parameter(reading.parameter),
    }
}

/// Two numbers three lines high, each with a line of words above it.
fn large_pair(left: &Reading, right: &Reading, palette: Palette, width: usize) -> Vec<Line<'static>> {
    let half = width / 2;
    let label = |reading: &Reading| {
        let doubt = if reading.plausible { reading.unit } else { "implausible" };
        let said = cut(&format!("{} {doubt}", reading.label), half);
        Span::styled(format!("{said:<half$}"), style(reading, palette).remove_modifier(Modifier::BOLD))
    };
    let mut lines = vec![Line::from(vec![label(left), label(right)])];
    let digits = |reading: &Reading| {
        let shown =
            if reading.plausible { value(reading).to_owned() } else { format!("{}?", value(reading)) };
        let mut large = glyphs::number(&shown);
        if let Some(why_not) = &reading.why_not {
            // The dashes are in the middle; the words stand below them.
            large.rotate_left(1);
            large.truncate(1);
            let words = broken(&Line::from(why_not.as_str()), half.saturating_sub(1));
            large.extend(words.iter().map(Line::to_string));
            large.resize(3, String::new());
        }
        let fits = large.iter().all(|line| line.chars().count() <= half)
            && shown.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '?'));
        let drawn = if fits { large } else { vec![String::new(), cut(&shown, half), String::new()] };
        drawn
            .into_iter()
            .map(|line| Span::styled(format!("{line:<half$}"), style(reading, palette)))
            .collect::<Vec<_>>()
    };
    lines.extend(
        digits(left).into_iter().zip(digits(right)).map(|(left, right)| Line::from(vec![left, right])),
    );
    lines
}

/// Two numbers in one line.
fn pair(left: &Reading, right: &Reading, palette: Palette, width: usize) -> Line<'static> {
    let half = width / 2;
    let cell = |reading: &Reading| {
        let doubt = if reading.plausible { "" } else { "? implausible" };
        let unit = if reading.plausible { format!(" {}", reading.unit) } else { String::new() };
        let label = format!("{} ", reading.label);
        let said = match &reading.why_not {
            Some(why_not) => format!("-- {why_not}"),
            None => format!("{}{doubt}{unit}", value(reading)),
        };
        let said = cut(&said, half.saturating_sub(label.len() + 1));
        let room = half.saturating_sub(label.len());
        [Span::raw(label), Span::styled(format!("{said:<room$}"), style(reading, palette))]
    };
    Line::from([cell(left), cell(right)].concat())
}

/// All four numbers in one line.
fn short_numbers(bed: &Bed<'_>, palette: Palette, width: usize) -> Line<'static> {
    let mut spans = Vec::new();
    let mut used = 0;
    for (reading, label) in bed.readings.iter().zip(["HR", "SpO2", "RR", "T"]) {
        let doubt = if reading.plausible { "" } else { "?" };
        let label = if reading.label == "PR" { "PR" } else { label };
        let said = format!("{}{doubt} ", value(reading));
        let needed = label.len() + 1 + said.chars().count();
        if used + needed > width + 1 {
            break;
        }
        used += needed;
        spans.push(Span::raw(format!("{label} ")));
        spans.push(Span::styled(said, style(reading, palette)));
    }
    Line::from(spans)
}

/// Which of the four numbers there are not, and why.
fn missing(bed: &Bed<'_>) -> String {
    let said = |reading: &Reading| Some(format!("{} {}", reading.label, reading.why_not.as_ref()?));
    bed.readings.iter().filter_map(said).collect::<Vec<_>>().join(", ")
}

/// How old the numbers are, or why there are none.
fn data(bed: &Bed<'_>, palette: Palette, width: usize) -> Line<'static> {
    let every = bed
        .wearables
        .iter()
        .filter_map(|w| w.status.as_ref().map(|told| told.sample_ms.max(told.upload_ms)))
        .max();
    let every = every
        .filter(|interval| *interval > 1_000)
        .map(|interval| format!("  every {}", Readable(std::time::Duration::from_millis(interval.into()))));
    let (said, style) = match bed.monitoring {
        Monitoring::Live(age) => {
            let quality = bed.quality().map_or_else(String::new, |quality| format!("  quality {quality} %"));
            (format!("{} ago{quality}{}", Readable(age), every.unwrap_or_default()), Style::new())
        }
        Monitoring::Lost(Some(age)) => (format!("!!! NO VITALS for {}", Readable(age)), palette.severe()),
        Monitoring::Lost(None) => ("!!! NO VITALS since the start".to_owned(), palette.severe()),
        Monitoring::Away(age) => (format!("no vitals for {}", Readable(age)), Style::new()),
        Monitoring::Waiting => ("waiting for vitals".to_owned(), palette.coloured(Color::Yellow)),
        Monitoring::NoWearable => ("no wearable paired (press n)".to_owned(), palette.faint()),
    };
    Line::styled(cut(&said, width), style)
}

/// Who measures, and how it is.
fn wearables(bed: &Bed<'_>, palette: Palette, now: Now, width: usize) -> Line<'static> {
    let mut spans = Vec::new();
    for wearable in &bed.wearables {
        if !spans.is_empty() {
            spans.push(Span::raw(", "));
        }
        let name = wearable.name.clone().unwrap_or_else(|| wearable.id.chars().take(8).collect());
        spans.push(Span::raw(format!("{name} ")));
        spans.push(match (wearable.connected, &wearable.since) {
            (true, _) => Span::styled("connected", palette.coloured(Color::Green)),
            (false, Some(since)) => Span::styled(
                format!("not connected since {}", when::shortly(since, now.wall)),
                palette.coloured(Color::Yellow),
            ),
            (false, None) => Span::styled("never connected", palette.faint()),
        });
        if let Some(percent) =
            wearable.status.as_ref().and_then(|told| told.battery).filter(|_| wearable.connected)
        {
            let low = percent <= 20;
            let style = if low { palette.coloured(Color::Yellow) } else { Style::new() };
            let word = if low { "  battery LOW" } else { "  battery" };
            spans.push(Span::styled(format!("{word} {percent} %"), style));
        }
    }
    let fits = spans.iter().map(|span| span.content.chars().count()).sum::<usize>() <= width;
    if fits {
        return Line::from(spans);
    }
    let connected = bed.wearables.iter().filter(|wearable| wearable.connected).count();
    match bed.wearables.as_slice() {
        [_] => Line::from(spans),
        all => Line::from(format!("{connected} of {} wearables connected", all.len())),
    }
}
