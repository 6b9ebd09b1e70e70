//! How the console looks: a pure drawing of a [`State`] into a frame. The header and banners, the beds (`tiles`), alerts and
//! events below them (`panels`), what lies over them (`overlays`), the keys at the foot.

mod fit;
mod glyphs;
mod overlays;
mod palette;
mod panels;
#[cfg(test)]
mod tests;
mod tiles;

use protocol::time::{Now, Readable};
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph, Wrap},
};

pub(super) use self::palette::Palette;
use self::palette::strong;
use super::{
    bed::Bed,
    log,
    modal::Modal,
    state::{Role, State},
    when,
};

/// Smallest screen on which everything fits.
const SMALLEST: (u16, u16) = (60, 15);
/// From here on alerts and events stand side by side.
const WIDE: u16 = 96;

/// Draws everything. Returns how far the tiles, or the list over them, can be scrolled.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, palette: Palette, now: Now) -> usize {
    let area = frame.area();
    if state.is_gone {
        draw_gone(frame, area, state);
        return 0;
    }
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        draw_small(frame, area, state, now);
        return 0;
    }
    let beds: Vec<Bed<'_>> = state.patients.iter().map(|patient| Bed::of(patient, state, now)).collect();
    let troubles = troubles(state, now);
    let banner_height = match state.running(now.wall).next() {
        None => 0,
        Some(_) if area.height < 20 => 1,
        Some(_) => 2,
    };
    let panel_height = match area.height {
        30.. => 8,
        24.. => 5,
        18.. => 4,
        _ => 3,
    };
    let foot_height = if area.height < 20 { 1 } else { 2 };
    let trouble_height = u16::try_from(troubles.len()).unwrap_or(1);
    let room = area.height.saturating_sub(1 + trouble_height + banner_height + panel_height + foot_height);
    // What the beds do not need, alerts and events do.
    let [head, trouble, banner, wall, panel, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(trouble_height),
        Constraint::Length(banner_height),
        Constraint::Length(tiles::height(area.width, room, beds.len())),
        Constraint::Min(0),
        Constraint::Length(foot_height),
    ])
    .areas(area);
    draw_head(frame, head, state, &beds, palette, now);
    let severe = troubles.into_iter().map(|text| Line::from(format!(" !!! {text}"))).collect::<Vec<_>>();
    frame.render_widget(Paragraph::new(severe).style(palette.severe_banner()), trouble);
    panels::draw_banner(frame, banner, state, palette, now);
    let last = tiles::draw(frame, wall, state, &beds, palette, now);
    panels::draw(frame, panel, state, palette, now);
    draw_foot(frame, foot, state, palette);
    match &state.modal {
        Some(modal) => {
            let over = Rect { y: head.bottom(), height: foot.y.saturating_sub(head.bottom()), ..area };
            overlays::draw(frame, over, modal, state, palette, now)
        }
        None => last,
    }
}

/// What must be seen at once, whatever else is shown.
fn troubles(state: &State, now: Now) -> Vec<String> {
    let mut troubles = Vec::new();
    if let Some(silence) = state.silence(now.mono) {
        troubles.push(format!("THE GATEWAY HAS NOT ANSWERED FOR {}", Readable(silence)));
    }
    if let Some(status) = state.status.as_ref().filter(|status| status.storage != "ok") {
        troubles.push(log::storage(&status.storage));
    }
    if let Some(trouble) = &state.trouble {
        troubles.push(format!("the lists below are old: {trouble}"));
    }
    troubles
}

fn draw_gone(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let lines = vec![
        Line::styled("the gateway went away", strong()),
        Line::default(),
        Line::from("Nobody is monitored from here. It was stopped, or it crashed."),
        Line::from(match state.role {
            Role::Attached => "Start it again with: gateway --id ID    then: gateway console",
            Role::Owner => "Start it again.",
        }),
        Line::default(),
        Line::from("Press any key to leave."),
    ];
    let [middle] = Layout::vertical([Constraint::Length(8)]).flex(ratatui::layout::Flex::Center).areas(area);
    frame.render_widget(Clear, area);
    frame.render_widget(
        Paragraph::new(lines).alignment(Alignment::Center).wrap(Wrap { trim: true }).block(Block::bordered()),
        middle,
    );
}

fn draw_small(frame: &mut Frame<'_>, area: Rect, state: &State, now: Now) {
    let (width, height) = SMALLEST;
    let said = match (troubles(state, now).into_iter().next(), state.running(now.wall).next()) {
        (Some(trouble), _) => format!("!!! {trouble}"),
        (None, Some(alert)) => {
            format!("!!! {} {}", log::quoted(&alert.text), log::progress(alert, now.wall))
        }
        (None, None) => format!("Please make this window larger: at least {width} x {height}."),
    };
    frame.render_widget(Paragraph::new(said).wrap(Wrap { trim: true }), area);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, state: &State, beds: &[Bed<'_>], palette: Palette, now: Now) {
    let style = palette.header();
    frame.render_widget(Block::new().style(style), area);
    let is_wide = area.width >= 90;
    let mut parts = Vec::new();
    match &state.status {
        Some(status) => {
            parts.push(Span::from(if is_wide { " Vitalward gateway  " } else { " " }));
            parts.push(Span::from(format!("{}  ", status.doctor)));
            let mut severe = |said: String| {
                parts.push(Span::styled(said, palette.severe_banner()));
                parts.push(Span::from("  "));
            };
            if status.storage != "ok" {
                severe(format!(" STORAGE {} ", status.storage.to_uppercase()));
            }
            let unwatched = beds.iter().filter(|bed| bed.is_unwatched()).count();
            if unwatched > 0 {
                severe(format!(" !!! {unwatched} without vitals "));
            }
            let (paired, all_worn) = (state.patients.len(), state.wearables.len());
            let (connected, worn) =
                (state.connected().count(), state.wearables.iter().filter(|w| w.connected).count());
            parts.push(Span::from(if is_wide {
                format!(" patients {connected} of {paired}   wearables {worn} of {all_worn}")
            } else {
                format!("patients {connected}/{paired}  wearables {worn}/{all_worn}")
            }));
            if is_wide && status.storage == "ok" {
                parts.push(Span::from("   storage ok"));
            }
        }
        None => parts.push(Span::from(" Vitalward gateway   connecting ...")),
    }
    frame.render_widget(Line::from(parts).style(style), area);
    let clock = Line::from(format!(" {} ", when::clock(now.wall))).style(style);
    let [right] = Layout::horizontal([Constraint::Length(10)]).flex(ratatui::layout::Flex::End).areas(area);
    frame.render_widget(clock, right);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let notice = state
        .notice
        .as_ref()
        .map(|notice| Line::styled(format!(" {}", notice.text), palette.tone(notice.tone).patch(strong())));
    let keys = keys(state, area.width);
    let lines = match (area.height, notice) {
        (1, Some(notice)) => vec![notice],
        (1, None) => vec![keys],
        (_, notice) => vec![notice.unwrap_or_default(), keys],
    };
    frame.render_widget(Paragraph::new(lines), area);
}

/// The keys that mean something now.
fn keys(state: &State, width: u16) -> Line<'static> {
    let exit = match state.role {
        Role::Attached => "leave",
        Role::Owner => "exit",
    };
    let keys: &[(&str, &str)] = match &state.modal {
        None if width >= 104 => &[
            ("1", "list patients"),
            ("2", "broadcast"),
            ("3", "disconnect all"),
            ("4", exit),
            ("n", "new patient or device"),
            ("r", "refusals"),
            ("a", "alerts"),
        ],
        None if width >= 74 => &[
            ("1", "list"),
            ("2", "broadcast"),
            ("3", "disconnect all"),
            ("4", exit),
            ("n", "new"),
            ("r", "refusals"),
            ("a", "alerts"),
        ],
        None => &[
            ("1", "list"),
            ("2", "send"),
            ("3", "end"),
            ("4", exit),
            ("n", "new"),
            ("r", "refused"),
            ("a", "alerts"),
        ],
        Some(Modal::Connected { .. } | Modal::Refusals { .. }) => &[("up/down", "scroll"), ("Esc", "back")],
        Some(Modal::Alerts { .. }) => {
            &[("up/down", "choose"), ("Enter", "receipts"), ("c", "call off"), ("Esc", "back")]
        }
        Some(Modal::Receipts { .. }) => &[("up/down", "scroll"), ("c", "call off"), ("Esc", "back")],
        Some(Modal::Ask(_)) => &[("y", "yes"), ("any other key", "no")],
        Some(Modal::InviteWhat) => &[("p", "patient's computer"), ("w", "wearable"), ("Esc", "back")],
        Some(Modal::InviteSide { .. }) => {
            &[("g", "code shown here"), ("d", "code shown by the device"), ("Esc", "back")]
        }
        Some(Modal::Compose { .. } | Modal::InviteWhom { .. } | Modal::InviteCode { .. }) => {
            &[("Enter", "go on"), ("Esc", "leave")]
        }
        Some(Modal::Offered(_)) => &[("Esc", "take the code back")],
    };
    let mut spans = vec![Span::from(" ")];
    for (key, meaning) in keys {
        spans.push(Span::styled((*key).to_owned(), strong()));
        spans.push(Span::from(format!(" {meaning}  ")));
    }
    Line::from(spans)
}
