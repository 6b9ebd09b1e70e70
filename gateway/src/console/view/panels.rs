//! Below the beds: the last alerts with their receipts, and the event log. Above them: the running alert.

use protocol::time::{Now, Readable};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::{
    WIDE,
    fit::{broken, cut},
    palette::{Palette, strong},
};
use crate::{
    console::{
        log,
        state::{State, Tone},
        when,
    },
    ward::view::AlertReport,
};

/// The running alert over the full width.
pub(super) fn draw_banner(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette, now: Now) {
    let mut running = state.running(now.wall);
    let Some(alert) = running.next() else { return };
    let others = running.count();
    let is_calm = alert.missing.is_empty() || alert.cancels.is_some();
    let (mark, style) = if is_calm { ("!", palette.calm_banner()) } else { ("!!!", palette.severe_banner()) };
    let text = state.meant(alert);
    let age = when::parsed(&alert.created).map(|created| Readable(now.wall.since(created)));
    let age = age.map_or_else(String::new, |age| format!(", {age} ago"));
    let more = if others > 0 { format!("   (+{others} running)") } else { String::new() };
    let what = if alert.cancels.is_some() { "CALLED OFF" } else { "ALERT" };
    let progress = log::progress(alert, now.wall);
    let width = usize::from(area.width);
    let lines = if area.height < 2 {
        let said = format!(" {mark} {what} {}: {progress}{more}", log::quoted(&cut(text, 20)));
        vec![Line::from(cut(&said, width))]
    } else {
        let tail = format!("{age}{more}");
        let room = width.saturating_sub(tail.chars().count() + what.len() + mark.len() + 3);
        vec![
            Line::from(format!(" {mark} {what} {}{tail}", cut(&log::quoted(text), room))),
            Line::from(cut(&format!(" {:width$} {progress}", "", width = mark.len()), width)),
        ]
    };
    frame.render_widget(Paragraph::new(lines).style(style), area);
}

/// Alerts and events, side by side where there is room.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette, now: Now) {
    if area.width >= WIDE {
        let [left, right] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1).areas(area);
        draw_alerts(frame, left, state, palette, now);
        draw_log(frame, right, state, palette, now);
    } else if area.height >= 5 {
        let [above, below] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        draw_alerts(frame, above, state, palette, now);
        draw_log(frame, below, state, palette, now);
    } else if state.alerts.is_empty() {
        draw_log(frame, area, state, palette, now);
    } else {
        draw_alerts(frame, area, state, palette, now);
    }
}

fn titled(title: &'static str, palette: Palette) -> Block<'static> {
    Block::new().borders(Borders::TOP).border_style(palette.faint()).title(Span::styled(title, strong()))
}

fn draw_alerts(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette, now: Now) {
    let lines: Vec<Line<'_>> = if state.alerts.is_empty() {
        vec![Line::styled("none yet", palette.faint())]
    } else {
        state
            .alerts
            .iter()
            .take(usize::from(area.height))
            .flat_map(|report| {
                let width = usize::from(area.width);
                let [what, progress] = alert_lines(report, state, palette, now);
                let mut lines = broken(&what, width);
                lines.truncate(1);
                lines.extend(broken(&progress, width));
                lines
            })
            .collect()
    };
    frame.render_widget(Paragraph::new(lines).block(titled(" Alerts ", palette)), area);
}

/// An alert in two lines.
pub(super) fn alert_lines(
    report: &AlertReport,
    state: &State,
    palette: Palette,
    now: Now,
) -> [Line<'static>; 2] {
    let (mark, tone) = standing(report);
    let time = when::moment_of(&report.created, now.wall);
    let what = match (&report.cancels, &report.cancelled_by) {
        (Some(_), _) => "called off: ",
        (_, Some(_)) => "(called off) ",
        _ => "",
    };
    [
        Line::from(vec![
            Span::raw(format!("{time} ")),
            Span::styled(format!("{mark:<3} "), palette.tone(tone)),
            Span::styled(format!("{what}{}", log::quoted(state.meant(report))), strong()),
        ]),
        Line::styled(format!("  {}", log::progress(report, now.wall)), palette.tone(tone)),
    ]
}

/// Mark and tone: who does not have it stands out, who has not read it less.
fn standing(report: &AlertReport) -> (&'static str, Tone) {
    if report.cancelled_by.is_some() {
        ("-", Tone::Plain)
    } else if !report.missing.is_empty() || report.recipients == 0 {
        ("!!", Tone::Warning)
    } else if report.acknowledged < report.recipients && report.cancels.is_none() {
        ("!", Tone::Plain)
    } else {
        ("ok", Tone::Good)
    }
}

fn draw_log(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette, now: Now) {
    let rows = usize::from(area.height.saturating_sub(1));
    let width = usize::from(area.width);
    let first = state.log.len().saturating_sub(rows);
    let lines: Vec<Line<'_>> = if state.log.is_empty() {
        vec![Line::styled("nothing happened since this console was opened", palette.faint())]
    } else {
        let line = |entry: &log::Entry| {
            let time = when::moment(entry.at, now.wall);
            let mark = match entry.tone {
                Tone::Plain => "-",
                Tone::Good => "+",
                Tone::Warning => "!",
                Tone::Severe => "!!!",
            };
            let room = width.saturating_sub(time.chars().count() + mark.len() + 2);
            let text =
                Span::styled(format!("{mark} {}", cut(&entry.said(state), room)), palette.tone(entry.tone));
            Line::from(vec![Span::raw(format!("{time} ")), text])
        };
        state.log.iter().skip(first).map(line).collect()
    };
    frame.render_widget(Paragraph::new(lines).block(titled(" Events ", palette)), area);
}
