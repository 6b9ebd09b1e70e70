//! What lies over the beds: lists, questions, typing, the code of an offer.

use protocol::time::{Now, Readable};
use ratatui::{
    Frame,
    layout::{Alignment, Flex, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use super::{
    fit::{broken, cut},
    glyphs,
    palette::{Palette, strong},
    panels,
};
use crate::{
    cli::pairing_line,
    console::{
        input, log,
        modal::{Field, Modal, Offered},
        state::{State, Tone},
        when,
    },
    ward::view::AlertReport,
};

/// Columns of a progress bar.
const BAR: usize = 24;

/// Draws it; returns how far its list can be scrolled.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    modal: &Modal,
    state: &State,
    palette: Palette,
    now: Now,
) -> usize {
    match modal {
        Modal::Connected { first } => list(frame, area, connected(state, now, area.width), *first),
        Modal::Refusals { first } => list(frame, area, refusals(state, now), *first),
        Modal::Alerts { chosen } => alerts(frame, area, state, *chosen, palette, now),
        Modal::Receipts { alert, first } => match state.alert(alert) {
            Some(report) => list(frame, area, receipts(report, palette, now), *first),
            None => list(frame, area, List::saying(" Receipts ", "This alert is no longer listed."), 0),
        },
        Modal::Ask(question) => {
            let (title, text) = input::wording(question, state);
            let lines: Vec<Line<'_>> = text.lines().map(|line| Line::from(line.to_owned())).collect();
            dialog(frame, area, &title, &lines)
        }
        Modal::Compose { field } => {
            let lines =
                vec![typed(field), Line::default(), Line::from("Everybody who is paired reads it in full.")];
            dialog(frame, area, "Broadcast: what should patients read?", &lines)
        }
        Modal::InviteWhat => {
            let lines = vec![
                choice("p", "the computer of a patient: shows alerts, returns receipts"),
                choice("w", "a wearable: sends vitals of a patient who is paired"),
            ];
            dialog(frame, area, "What is to be paired?", &lines)
        }
        Modal::InviteWhom { wearable, field } => {
            let (title, hint) = if *wearable {
                let known: Vec<&str> = state.patients.iter().map(|patient| patient.id.as_str()).collect();
                ("Who will wear it? (the patient's id)", cut(&format!("Paired: {}", known.join(", ")), 120))
            } else {
                ("Which patient? (an id, for example P001)", "1 to 32 of A-Z a-z 0-9 - _ .".into())
            };
            dialog(frame, area, title, &[typed(field), Line::default(), Line::from(hint)])
        }
        Modal::InviteSide { patient } => {
            let lines = vec![
                choice("g", "this gateway shows it, and it is typed into the device"),
                choice("d", "the device shows it, and it is typed in here"),
            ];
            dialog(frame, area, &format!("Which side shows the code of {patient}'s wearable?"), &lines)
        }
        Modal::InviteCode { patient, field } => {
            let hint = "Nine letters and digits; dashes come by themselves.";
            let lines = vec![typed(field), Line::default(), Line::from(hint)];
            dialog(frame, area, &format!("Which code does {patient}'s wearable show?"), &lines)
        }
        Modal::Offered(offered) => offer(frame, area, offered, state, palette, now),
    }
}

fn choice(key: &'static str, meaning: &'static str) -> Line<'static> {
    Line::from(vec![Span::styled(key, strong()), Span::raw("  "), Span::raw(meaning)])
}

fn typed(field: &Field) -> Line<'static> {
    let (before, after) = field.around_cursor();
    let mut rest = after.chars();
    let under = rest.next().unwrap_or(' ');
    Line::from(vec![
        Span::styled(format!("> {before}"), strong()),
        Span::styled(under.to_string(), Style::new().add_modifier(Modifier::REVERSED)),
        Span::styled(rest.collect::<String>(), strong()),
    ])
}

/// A box in the middle, as large as its words.
fn dialog(frame: &mut Frame<'_>, area: Rect, title: &str, lines: &[Line<'_>]) -> usize {
    let longest = lines.iter().map(Line::width).max().unwrap_or_default().max(title.chars().count() + 4);
    let width = u16::try_from(longest + 4).unwrap_or(u16::MAX).clamp(44, 100).min(area.width);
    let lines = wrapped(lines, width.saturating_sub(4));
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let block = Block::bordered()
        .title(Span::styled(format!(" {title} "), strong()))
        .padding(ratatui::widgets::Padding::new(1, 1, 1, 1));
    let place = centred(area, width, rows.saturating_add(4));
    frame.render_widget(Clear, place);
    // The end is what is being typed.
    let room = place.height.saturating_sub(4);
    let text = Paragraph::new(lines).scroll((rows.saturating_sub(room), 0)).block(block);
    frame.render_widget(text, place);
    0
}

fn wrapped(lines: &[Line<'_>], width: u16) -> Vec<Line<'static>> {
    lines.iter().flat_map(|line| broken(line, usize::from(width))).collect()
}

fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let [row] = Layout::vertical([height.min(area.height)]).flex(Flex::Center).areas(area);
    let [place] = Layout::horizontal([width.min(area.width)]).flex(Flex::Center).areas(row);
    place
}

/// Lines that may be more than fit.
struct List {
    title: String,
    lines: Vec<Line<'static>>,
}

impl List {
    fn saying(title: &str, sentence: &str) -> Self {
        Self { title: title.into(), lines: vec![Line::from(sentence.to_owned())] }
    }
}

fn list(frame: &mut Frame<'_>, area: Rect, list: List, first: usize) -> usize {
    let lines = wrapped(&list.lines, area.width.saturating_sub(4));
    let total = lines.len();
    let place = Rect { height: area.height.min(u16::try_from(total + 2).unwrap_or(u16::MAX)), ..area };
    let room = usize::from(place.height.saturating_sub(2));
    let last = total.saturating_sub(room);
    let more = if last > 0 { format!("{}/{} ", first.min(last) + room, total) } else { String::new() };
    let block = Block::bordered()
        .title(Span::styled(list.title, strong()))
        .title(Line::from(more).alignment(Alignment::Right))
        .padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Clear, place);
    let first = u16::try_from(first.min(last)).unwrap_or(u16::MAX);
    frame.render_widget(Paragraph::new(lines).scroll((first, 0)).block(block), place);
    last
}

fn connected(state: &State, now: Now, width: u16) -> List {
    if state.connected().next().is_none() {
        return List::saying(" Connected patients ", "no patient is connected");
    }
    let column = state.connected().map(|patient| patient.id.len()).max().unwrap_or(0).max(7);
    let is_wide = usize::from(width) >= column + 88;
    let mut lines = Vec::new();
    for patient in state.connected() {
        let since = patient.since.as_deref().unwrap_or_default();
        let ago = when::parsed(since).map(|since| Readable(now.wall.since(since)).to_string());
        let since = format!("{} ({})", when::moment_of(since, now.wall), ago.unwrap_or_default());
        let session = patient.session.as_deref().unwrap_or("-");
        let session: String = session.chars().take(if is_wide { 36 } else { 8 }).collect();
        let source = patient.source.as_deref().unwrap_or("-");
        lines.push((patient.id.clone(), since, session, source.to_owned()));
    }
    let session_column = if is_wide { 36 } else { 8 };
    let row = |id: &str, since: &str, session: &str, source: &str| {
        format!("{id:<column$}  {since:<20}  {session:<session_column$}  {source}")
    };
    let mut shown = vec![Line::styled(row("PATIENT", "SINCE", "SESSION", "FROM"), strong())];
    shown
        .extend(lines.iter().map(|(id, since, session, source)| Line::from(row(id, since, session, source))));
    List { title: format!(" Connected patients: {} of {} ", lines.len(), state.patients.len()), lines: shown }
}

fn refusals(state: &State, now: Now) -> List {
    if state.refusals.is_empty() {
        return List::saying(" Refusals ", "nothing was refused since the gateway started");
    }
    let line = |refusal: &crate::ward::view::RefusalView| {
        let client = if refusal.client.is_empty() { "-" } else { &refusal.client };
        Line::from(vec![
            Span::raw(format!("{}  ", when::moment_of(&refusal.time, now.wall))),
            Span::styled(format!("{client}  "), strong()),
            Span::raw(format!("{}  {}", refusal.source, when::localised(&refusal.reason, now.wall))),
        ])
    };
    List { title: " Refusals, the newest first ".into(), lines: state.refusals.iter().map(line).collect() }
}

fn alerts(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    chosen: usize,
    palette: Palette,
    now: Now,
) -> usize {
    if state.alerts.is_empty() {
        return list(
            frame,
            area,
            List::saying(" Alerts ", "no alert was raised yet; press 2 to broadcast"),
            0,
        );
    }
    let last = state.alerts.len() - 1;
    let chosen = chosen.min(last);
    let width = usize::from(area.width.saturating_sub(6));
    let room = usize::from(area.height.saturating_sub(2)) / 2;
    let first = (chosen + 1).saturating_sub(room);
    let mut lines = Vec::new();
    for (index, report) in state.alerts.iter().enumerate().skip(first).take(room) {
        for (half, mut line) in panels::alert_lines(report, state, palette, now).into_iter().enumerate() {
            let mark = if index == chosen && half == 0 { "> " } else { "  " };
            // One line each, so that the choice stays where it is.
            let mut left = width;
            for span in &mut line.spans {
                let shown = cut(&span.content, left);
                left = left.saturating_sub(shown.chars().count());
                span.content = shown.into();
            }
            line.spans.insert(0, Span::styled(mark, strong()));
            lines.push(line);
        }
    }
    let title = format!(" Alerts: {} of {} ", chosen + 1, state.alerts.len());
    list(frame, area, List { title, lines }, 0);
    last
}

fn receipts(report: &AlertReport, palette: Palette, now: Now) -> List {
    let bar = |label: &str, count: usize| {
        let filled = (count * BAR).checked_div(report.recipients).unwrap_or_default().min(BAR);
        let (done, open) = ("#".repeat(filled), ".".repeat(BAR - filled));
        let is_whole = count >= report.recipients && report.recipients > 0;
        let tone = if is_whole { Tone::Good } else { Tone::Plain };
        Line::from(vec![
            Span::raw(format!("{label:<13}[")),
            Span::styled(format!("{done}{open}"), palette.tone(tone)),
            Span::styled(format!("] {count} of {}", report.recipients), strong()),
        ])
    };
    let created = when::parsed(&report.created);
    let age =
        created.map_or_else(String::new, |created| format!(", {} ago", Readable(now.wall.since(created))));
    let mut lines = vec![
        Line::styled(log::quoted(&report.text), strong()),
        Line::from(format!(
            "sent at {}{age}; it matters until {}",
            when::moment_of(&report.created, now.wall),
            when::moment_of(&report.expires, now.wall)
        )),
    ];
    if report.cancels.is_some() {
        lines.push(Line::from("It calls off an earlier alert."));
    }
    if report.cancelled_by.is_some() {
        lines.push(Line::styled("It was called off.", palette.tone(Tone::Warning)));
    }
    lines.push(Line::default());
    if report.recipients == 0 {
        lines.push(Line::from("Nobody was enrolled; nobody received it."));
        return List { title: " Receipts ".into(), lines };
    }
    lines.push(bar("decrypted", report.decrypted));
    lines.push(bar("acknowledged", report.acknowledged));
    if let (Some(p50), Some(last)) = (report.p50_ms, report.last_ms) {
        lines.push(Line::from(format!("until the receipt was stored: median {p50} ms, last {last} ms")));
    }
    if report.missing.is_empty() {
        lines.push(Line::styled("Everybody's device has opened it.", palette.tone(Tone::Good)));
    }
    for missing in &report.missing {
        lines.push(Line::from(vec![
            Span::styled(
                format!("missing: {}  ", missing.patient),
                palette.tone(Tone::Warning).patch(strong()),
            ),
            Span::raw(when::localised(&missing.reason, now.wall)),
        ]));
    }
    List { title: " Receipts ".into(), lines }
}

fn offer(
    frame: &mut Frame<'_>,
    area: Rect,
    offered: &Offered,
    state: &State,
    palette: Palette,
    now: Now,
) -> usize {
    let Offered { offer, shown_here, expires, is_open } = offered;
    let what = if offer.kind == "patient" { "computer" } else { "wearable" };
    let left = expires.since(now.mono).as_secs();
    let mut lines = Vec::new();
    if *shown_here && area.width >= 74 && area.height >= 14 {
        lines.extend(glyphs::code(&offer.code).into_iter().map(|line| Line::styled(line, strong())));
        lines.push(Line::default());
    }
    if *shown_here {
        lines.push(Line::from(vec![Span::raw("The code is  "), Span::styled(offer.code.clone(), strong())]));
    } else {
        let said = format!("A wearable that shows {} may pair for {} now.", offer.code, offer.patient);
        lines.push(Line::styled(said, strong()));
    }
    lines.push(Line::default());
    if let Some(status) = state.status.as_ref().filter(|_| *shown_here) {
        lines.push(Line::from(match offer.kind.as_str() {
            "patient" => format!("Type on {}'s computer:", offer.patient),
            _ => "Type where the wearable runs:".into(),
        }));
        lines.push(Line::styled(format!("  {}", pairing_line(status, offer)), strong()));
        let listens =
            if offer.kind == "patient" { &status.patients_listen } else { &status.wearables_listen };
        if let Some(hint) = reach(listens) {
            lines.push(Line::styled(format!("  ({hint})"), palette.faint()));
        }
        lines.push(Line::default());
    }
    lines.push(if *is_open {
        let tries = if offer.tries_left == 1 { "try" } else { "tries" };
        Line::from(format!("good for {}:{:02} min and {} {tries}", left / 60, left % 60, offer.tries_left))
    } else {
        let said = "The code is spent: it was used, guessed wrong too often, or taken back.";
        Line::styled(said, palette.tone(Tone::Warning))
    });
    dialog(frame, area, &format!("Pair {}'s {what}", offer.patient), &lines)
}

/// What to know about an address that other machines do not reach as it stands.
fn reach(listens: &str) -> Option<&'static str> {
    let address: std::net::SocketAddr = listens.parse().ok()?;
    if address.ip().is_loopback() {
        Some("on this machine only: the gateway does not listen for others, see --listen")
    } else if address.ip().is_unspecified() {
        Some("put this machine's own address in place of the zeros")
    } else {
        None
    }
}
