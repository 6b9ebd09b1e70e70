//! How the screen looks. It reads a [`Screen`] and draws it; colours only repeat what marks and words say.

use protocol::{
    alert::Priority,
    time::{Readable, UnixMillis},
};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Padding, Paragraph, Wrap},
};

use super::state::{Screen, Standing, ago, mark_of, state_of, when};
use crate::{agent::AlertNotice, wording};

/// Smallest screen on which everything fits.
const SMALLEST: (u16, u16) = (60, 15);

/// With colours, or without (<https://no-color.org>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Palette {
    Colours,
    Plain,
}

impl Palette {
    pub(super) fn of_environment() -> Self {
        let asked = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if asked { Self::Plain } else { Self::Colours }
    }

    fn coloured(self, colour: Color) -> Style {
        match self {
            Self::Colours => Style::new().fg(colour),
            Self::Plain => Style::new(),
        }
    }

    /// IEC 60601-1-8: red high, yellow medium, cyan low.
    fn banner(self, priority: Priority) -> Style {
        let (text, ground) = match priority {
            Priority::High => (Color::White, Color::Red),
            Priority::Medium => (Color::Black, Color::Yellow),
            Priority::Low => (Color::Black, Color::Cyan),
        };
        match self {
            Self::Colours => Style::new().fg(text).bg(ground).add_modifier(Modifier::BOLD),
            Self::Plain => Style::new().add_modifier(Modifier::BOLD),
        }
    }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen, palette: Palette, now: UnixMillis) {
    let area = frame.area();
    let (width, height) = SMALLEST;
    if area.width < width || area.height < height {
        return draw_small(frame, screen);
    }
    let unread = screen.unread();
    let message = message(screen);
    let banner_height = unread.first().map_or(0, |alert| banner_height(alert, area));
    let message_height = if unread.is_empty() || screen.is_away() {
        let lines = message.iter().map(ToString::to_string).collect::<Vec<_>>();
        rows(lines.iter().map(String::as_str), area).saturating_add(2).min(area.height / 2)
    } else {
        0
    };
    let log_height = if area.height >= 22 { 7 } else { 4 };
    let [head, banner, said, earlier, log, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(banner_height),
        Constraint::Length(message_height),
        Constraint::Fill(1),
        Constraint::Max(log_height),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_head(frame, head, screen, palette, now);
    if let Some(alert) = unread.first() {
        draw_alert(frame, banner, alert, unread.len(), screen, palette, now);
    }
    draw_message(frame, said, message, screen, palette);
    draw_earlier(frame, earlier, screen, palette, now);
    draw_log(frame, log, screen, palette);
    draw_foot(frame, foot, screen, palette);
}

fn draw_small(frame: &mut Frame<'_>, screen: &Screen) {
    let (width, height) = SMALLEST;
    let said = match screen.unread().first() {
        Some(alert) => format!("{} {}", mark_of(alert.priority), alert.text),
        None => format!("Please make this window larger: at least {width} x {height}."),
    };
    frame.render_widget(Paragraph::new(said).wrap(Wrap { trim: true }), frame.area());
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, screen: &Screen, palette: Palette, now: UnixMillis) {
    let who = screen.patient.as_deref().unwrap_or("not paired yet");
    let block = Block::bordered().title(format!(" Vitalward - patient {who} "));
    let (mark, colour, words) = standing(screen, now);
    let mut state = vec![
        Span::styled(format!(" {mark} "), palette.coloured(colour)),
        Span::styled(words, palette.coloured(colour).add_modifier(Modifier::BOLD)),
    ];
    if let Standing::Connected { protected, .. } = &screen.standing {
        let since = wording::time_of_day(screen.since);
        state.push(Span::raw(format!(" since {since} ({})", Readable(now.since(screen.since)))));
        state.push(if *protected {
            Span::styled(" - TLS post-quantum", palette.coloured(Color::Green))
        } else {
            Span::styled(" - TLS, NOT post-quantum", palette.coloured(Color::Yellow))
        });
    }
    let epoch = screen.epoch.as_deref().map(|epoch| format!(" - epoch {epoch}")).unwrap_or_default();
    let doctor = Line::from(format!(" Doctor {} at {}{epoch}", screen.doctor, screen.gateway));
    frame.render_widget(Paragraph::new(vec![doctor, Line::from(state)]).block(block), area);
}

/// Mark, colour and words for how it stands.
fn standing(screen: &Screen, now: UnixMillis) -> (&'static str, Color, String) {
    match &screen.standing {
        Standing::Starting => ("o", Color::Yellow, "starting".to_owned()),
        Standing::Asking { .. } => ("?", Color::Yellow, "waiting for a pairing code".to_owned()),
        Standing::Connecting => ("o", Color::Yellow, "connecting".to_owned()),
        Standing::Connected { .. } => ("*", Color::Green, "connected".to_owned()),
        Standing::Waiting { retry_at, .. } => {
            let retry = Readable(retry_at.since(now));
            (
                "x",
                Color::Red,
                format!("NOT connected for {}, next try in {retry}", Readable(now.since(screen.since))),
            )
        }
        Standing::Out { .. } => ("-", Color::Yellow, format!("left {}", ago(now.since(screen.since)))),
        Standing::Stopped { .. } => ("x", Color::Red, "stopped".to_owned()),
    }
}

/// Rows for an alert: text, two lines about it, a border; at most half of the screen.
fn banner_height(alert: &AlertNotice, area: Rect) -> u16 {
    rows(alert.text.lines(), area).saturating_add(4).min(area.height / 2)
}

/// Rows that lines of text take inside a full-width border.
fn rows<'a>(lines: impl Iterator<Item = &'a str>, area: Rect) -> u16 {
    let width = usize::from(area.width.saturating_sub(4)).max(1);
    // Words that do not fit move on to the next row, so a long line needs some more.
    let rows_of = |line: &str| {
        let rows = line.chars().count().div_ceil(width).max(1);
        rows + rows / 4
    };
    u16::try_from(lines.map(rows_of).sum::<usize>()).unwrap_or(u16::MAX)
}

fn draw_alert(
    frame: &mut Frame<'_>,
    area: Rect,
    alert: &AlertNotice,
    unread: usize,
    screen: &Screen,
    palette: Palette,
    now: UnixMillis,
) {
    let style = palette.banner(alert.priority);
    let mark = mark_of(alert.priority);
    let urgency = match alert.priority {
        Priority::High => "EMERGENCY",
        Priority::Medium => "URGENT",
        Priority::Low => "NOTICE",
    };
    let title = format!(" {mark} {urgency} {mark} ");
    let late = if alert.late {
        format!(" - CAME LATE, {} after it was raised", Readable(alert.age))
    } else {
        String::new()
    };
    let more = if unread > 1 { format!(" {} more ", unread - 1) } else { String::new() };
    let todo = if screen.is_stopped() { "" } else { " press a to acknowledge " };
    let about = format!("From {} at {}{late}", screen.doctor, when(alert.created, now));
    let mut lines: Vec<Line<'_>> = alert.text.lines().map(Line::from).collect();
    lines.push(Line::default());
    lines.push(Line::from(about));
    let block = Block::bordered()
        .padding(Padding::horizontal(1))
        .title(title.clone())
        .title(Line::from(title).alignment(Alignment::Right))
        .title_bottom(format!("{todo}{more}"))
        .style(style);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }).block(block), area);
}

/// What the person should know or do.
fn message(screen: &Screen) -> Vec<Line<'_>> {
    match &screen.standing {
        Standing::Asking { typed, why } => {
            let patient = screen.patient.as_deref().unwrap_or("P001");
            let strong = Style::new().add_modifier(Modifier::BOLD);
            let mut lines: Vec<Line<'_>> = why.iter().map(|why| Line::from(why.as_str())).collect();
            lines.push(Line::from(vec![
                Span::raw("Pairing code: "),
                Span::styled(format!("{typed}_"), strong),
                Span::raw("   (Enter: pair, Esc: exit)"),
            ]));
            lines.push(Line::from(format!("The clinic makes one with: gateway pair --patient {patient}")));
            lines
        }
        Standing::Waiting { reason, .. } => {
            vec![Line::from(reason.as_str()), Line::from("No alerts come here now. Press r to try at once.")]
        }
        Standing::Out { reason } => vec![
            Line::from(format!("The session is over: {reason}.")),
            Line::from("No alerts come here until you press r to return."),
        ],
        Standing::Stopped { message } => vec![Line::from(message.as_str())],
        Standing::Starting | Standing::Connecting | Standing::Connected { .. } => {
            vec![Line::from("No new alerts.")]
        }
    }
}

fn draw_message(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>, screen: &Screen, palette: Palette) {
    let style = match &screen.standing {
        Standing::Asking { .. } | Standing::Out { .. } => palette.coloured(Color::Yellow),
        Standing::Waiting { .. } | Standing::Stopped { .. } => palette.coloured(Color::Red),
        Standing::Starting | Standing::Connecting | Standing::Connected { .. } => Style::new(),
    };
    let block = Block::bordered().padding(Padding::horizontal(1)).style(style);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }).block(block), area);
}

fn draw_earlier(frame: &mut Frame<'_>, area: Rect, screen: &Screen, palette: Palette, now: UnixMillis) {
    let block = Block::bordered().title(" Alerts ");
    let rows = usize::from(area.height.saturating_sub(2));
    let lines: Vec<Line<'_>> = screen
        .alerts
        .iter()
        .rev()
        .take(rows)
        .map(|alert| {
            let state = state_of(alert);
            let colour = match state {
                "new" => Color::Red,
                "acknowledged" => Color::Green,
                _ => Color::DarkGray,
            };
            Line::from(vec![
                Span::raw(format!(
                    " {} {:<3} ",
                    wording::time_of_day(alert.created),
                    mark_of(alert.priority)
                )),
                Span::styled(format!("{state:<12} "), palette.coloured(colour)),
                Span::raw(format!("{:>7}  ", ago(now.since(alert.created)))),
                Span::raw(alert.text.lines().collect::<Vec<_>>().join(" ")),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_log(frame: &mut Frame<'_>, area: Rect, screen: &Screen, palette: Palette) {
    let block = Block::bordered().title(" Events ");
    let rows = usize::from(area.height.saturating_sub(2));
    let first = screen.log.len().saturating_sub(rows);
    let lines: Vec<Line<'_>> = screen
        .log
        .iter()
        .skip(first)
        .map(|(time, text)| Line::from(format!(" {} {text}", wording::time_of_day(*time))))
        .collect();
    let style = palette.coloured(Color::Gray);
    frame.render_widget(Paragraph::new(lines).style(style).block(block), area);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, screen: &Screen, palette: Palette) {
    let keys = match &screen.standing {
        Standing::Asking { .. } => " Type the code, then Enter.  Esc exit",
        Standing::Out { .. } => " r return   2 exit   a acknowledge",
        Standing::Waiting { .. } => " r try now   2 exit   a acknowledge",
        Standing::Stopped { .. } => " 2 exit",
        _ => " a acknowledge   1 send disconnect request   2 exit",
    };
    let hint = screen.hint.as_deref().unwrap_or_default();
    let style = palette.coloured(Color::Yellow).add_modifier(Modifier::BOLD);
    let line = match hint {
        "" => Line::from(keys),
        hint => Line::from(Span::styled(format!(" {hint}"), style)),
    };
    frame.render_widget(Paragraph::new(line), area);
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use protocol::{
        group::Epoch,
        id::{AlertId, SessionId},
    };
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::{agent::AgentEvent, console::Opening};

    pub(in crate::console) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    pub(in crate::console) fn screen() -> Screen {
        let opening =
            Opening { patient: None, doctor: "D001".parse().unwrap(), gateway: "127.0.0.1:7300".to_owned() };
        Screen::new(opening, NOW)
    }

    pub(in crate::console) fn connected() -> Screen {
        let mut screen = screen();
        let identified = AgentEvent::Identified {
            patient: "P001".parse().unwrap(),
            doctor: "D001".parse().unwrap(),
            kept: Vec::new(),
        };
        let session = SessionId::from_bytes([1; 16]);
        for event in [
            identified,
            AgentEvent::Session { session, resumed: false, protected: true },
            AgentEvent::Group(Epoch { generation: 7, step: 2 }),
        ] {
            screen.see(&event, NOW);
        }
        screen
    }

    pub(in crate::console) fn notice(number: u8, text: &str) -> AlertNotice {
        AlertNotice {
            id: AlertId::from_bytes([number; 16]),
            text: text.to_owned(),
            priority: Priority::High,
            created: NOW,
            age: Duration::ZERO,
            epoch: Some(Epoch { generation: 7, step: 2 }),
            late: false,
            repeated: false,
            acknowledged: false,
            cancelled: false,
            cancels: None,
        }
    }

    fn drawn(screen: &Screen, (width, height): (u16, u16), palette: Palette, now: UnixMillis) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, screen, palette, now)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(width));
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
    }

    fn assert_shows(said: &str, parts: &[&str]) {
        for part in parts {
            assert!(said.contains(part), "{part:?} in\n{said}");
        }
    }

    #[test]
    fn the_head_says_who_where_since_when_and_how_safe() {
        let said = drawn(&connected(), (100, 30), Palette::Colours, NOW + Duration::from_secs(185));
        assert_shows(
            &said,
            &[
                "patient P001",
                "Doctor D001",
                "127.0.0.1:7300",
                "epoch 7.2",
                "connected",
                "(3 min)",
                "TLS post-quantum",
                "1 send disconnect request",
                "2 exit",
            ],
        );
    }

    #[test]
    fn an_alert_is_full_width_with_sender_time_age_and_marks() {
        let mut screen = connected();
        assert!(screen.see(&AgentEvent::Alert(notice(1, "Leave the building\nby the west stairs")), NOW));
        for size in [(60, 15), (100, 30), (200, 60)] {
            let said = drawn(&screen, size, Palette::Plain, NOW + Duration::from_secs(12));
            let parts = [
                "!!! EMERGENCY !!!",
                "Leave the building",
                "by the west stairs",
                "From D001",
                "12 s ago",
                "press a to acknowledge",
            ];
            assert_shows(&said, &parts);
        }
    }

    #[test]
    fn late_cancelled_and_repeated_alerts_look_like_what_they_are() {
        let mut screen = connected();
        let late = AlertNotice { late: true, age: Duration::from_secs(240), ..notice(1, "Fire") };
        screen.see(&AgentEvent::Alert(late), NOW);
        assert_shows(&drawn(&screen, (100, 30), Palette::Colours, NOW), &["CAME LATE, 4 min"]);
        assert!(!screen.see(&AgentEvent::Alert(AlertNotice { repeated: true, ..notice(1, "Fire") }), NOW));
        assert_eq!(screen.alerts.len(), 1, "not shown again");
        let cancel = AlertNotice { cancels: Some(AlertId::from_bytes([1; 16])), ..notice(2, "False alarm") };
        screen.see(&AgentEvent::Alert(cancel), NOW);
        let said = drawn(&screen, (100, 30), Palette::Colours, NOW);
        assert_shows(&said, &["cancelled", "False alarm"]);
        screen.see(&AgentEvent::Acknowledged(AlertId::from_bytes([2; 16])), NOW);
        assert_shows(&drawn(&screen, (100, 30), Palette::Colours, NOW), &["acknowledged", "No new alerts."]);
    }

    #[test]
    fn colours_are_left_out_on_request() {
        let mut screen = connected();
        screen.see(&AgentEvent::Alert(notice(1, "Fire")), NOW);
        let colours = |palette| {
            let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
            terminal.draw(|frame| draw(frame, &screen, palette, NOW)).unwrap();
            let is_plain = |colour| colour == Color::Reset;
            terminal.backend().buffer().content().iter().any(|cell| !is_plain(cell.fg) || !is_plain(cell.bg))
        };
        assert!(colours(Palette::Colours));
        assert!(!colours(Palette::Plain));
    }

    #[test]
    fn whoever_is_out_or_stopped_is_told_what_to_do() {
        let mut screen = connected();
        screen.see(&AgentEvent::Disconnected { reason: "ended by the doctor".into(), stays_out: true }, NOW);
        assert_shows(
            &drawn(&screen, (60, 15), Palette::Plain, NOW),
            &["ended by the doctor", "press r to return"],
        );
        screen.see(&AgentEvent::Stopped { message: "This is NOT the gateway".into() }, NOW);
        assert_shows(&drawn(&screen, (60, 15), Palette::Plain, NOW), &["This is NOT the gateway", "2 exit"]);
    }

    #[test]
    fn an_unread_alert_does_not_hide_that_there_is_no_connection() {
        let mut screen = connected();
        screen.see(&AgentEvent::Alert(notice(1, "Fire")), NOW);
        let reason = "No connection to 127.0.0.1:7300: connection refused.";
        let retry = Duration::from_secs(4);
        screen.see(&AgentEvent::Waiting { reason: reason.to_owned(), retry }, NOW);
        for size in [(60, 15), (100, 30)] {
            let said = drawn(&screen, size, Palette::Plain, NOW);
            assert_shows(
                &said,
                &["!!! EMERGENCY !!!", "Fire", "NOT connected", "next try in 4.0 s", "refused."],
            );
        }
    }

    #[test]
    fn the_log_says_a_thing_once() {
        let mut screen = connected();
        let before = screen.log.len();
        for n in 0..5 {
            let reason = format!("The clocks differ by a lot. This computer says {n}.");
            screen.see(&AgentEvent::Refused { reason: reason.clone() }, NOW);
            screen.see(&AgentEvent::Waiting { reason, retry: Duration::ZERO }, NOW);
            screen.see(&AgentEvent::Connecting { gateway: String::new() }, NOW);
        }
        assert_eq!(screen.log.len(), before + 1);
        assert!(screen.log.back().unwrap().1.ends_with("says 4."));
    }

    #[test]
    fn the_code_is_asked_for_with_where_to_get_it() {
        let mut screen = screen();
        screen.see(&AgentEvent::CodeWanted { why: Some("Wrong code; 2 tries are left.".into()) }, NOW);
        let said = drawn(&screen, (80, 20), Palette::Plain, NOW);
        assert_shows(&said, &["Pairing code: _", "gateway pair --patient P001", "2 tries are left"]);
    }

    #[test]
    fn no_size_and_no_text_breaks_it() {
        let mut screen = connected();
        let text = format!("{}\u{1b}[31m \u{7} {}", "Äöü 漢字 ".repeat(100), "x".repeat(500));
        screen.see(&AgentEvent::Alert(notice(1, &text)), NOW);
        for width in [1, 10, 59, 60, 61, 120] {
            for height in [1, 5, 14, 15, 16, 40] {
                let said = drawn(&screen, (width, height), Palette::Colours, NOW);
                assert!(!said.contains('\u{1b}') && !said.contains('\u{7}'));
            }
        }
    }
}
