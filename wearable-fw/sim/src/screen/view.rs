//! The picture: a pure function of what is known. A number is shown with its unit and quality, or `--` with the reason
//! why there is none; never an old number.

use protocol::{
    reading::{Measurement, Reason},
    time::Readable,
    vitals::{KnownQuantity, Quantity},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Paragraph, Wrap},
};

use super::trace::trace;
use crate::{
    agent::{DeviceState, LinkState},
    sampling::quantities,
};

/// Everything that the picture depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// The device.
    pub state: DeviceState,
    /// The last thing worth saying; empty for none.
    pub message: String,
    /// Whether colours are wanted.
    pub colours: bool,
}

/// A curve with fewer lines says nothing.
const LEAST_CURVE: u16 = 4;

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let state = &screen.state;
    let title = format!(" SIMULATED wearable {} - not a medical device ", state.name);
    let block = Block::bordered().title(Line::styled(title, screen.style(Color::Yellow)));
    let inner = block.inner(frame.area());
    frame.render_widget(block, frame.area());
    let heights = [Constraint::Length(7), Constraint::Length(9), Constraint::Min(0), Constraint::Length(4)];
    let [head, numbers, curve, foot] = Layout::vertical(heights).areas(inner);
    frame.render_widget(Paragraph::new(screen.head()).wrap(Wrap { trim: true }), head);
    let columns = Layout::horizontal([Constraint::Length(50), Constraint::Min(0)]).areas::<2>(numbers);
    for (area, lines) in columns.into_iter().zip(screen.numbers()) {
        frame.render_widget(Paragraph::new(lines), area);
    }
    if curve.height >= LEAST_CURVE && !state.trace.is_empty() {
        frame.render_widget(trace(&state.trace, screen.colour(Color::Green)), curve);
    }
    frame.render_widget(Paragraph::new(screen.foot()).wrap(Wrap { trim: true }), foot);
}

impl Screen {
    fn style(&self, colour: Color) -> Style {
        Style::new().add_modifier(Modifier::BOLD).fg(self.colour(colour))
    }

    const fn colour(&self, colour: Color) -> Color {
        if self.colours { colour } else { Color::Reset }
    }

    fn head(&self) -> Vec<Line<'static>> {
        let state = &self.state;
        let (link, colour) = link_in_words(&state.link);
        let mut lines = vec![
            Line::from(format!("device    {}", state.id)),
            Line::from(vec![Span::raw("link      "), Span::styled(link, self.style(colour))]),
        ];
        if let Some(refusal) = &state.refusal {
            lines.push(Line::styled(refusal.clone(), self.style(Color::Red)));
        }
        lines.push(Line::from(format!(
            "scenario  {} (starts anew when chosen)   battery {} % (simulated)",
            state.scenario.as_str(),
            state.battery
        )));
        if let Some(code) = state.code {
            let said = format!(
                "Enter this code at the gateway: gateway pair --wearable --patient P001 --code {code}"
            );
            lines.push(Line::styled(said, self.style(Color::Cyan)));
        }
        lines
    }

    /// The patient's numbers on the left, the device's on the right.
    fn numbers(&self) -> [Vec<Line<'static>>; 2] {
        let Some(step) = &self.state.step else { return [vec![Line::from("no sample yet")], Vec::new()] };
        let (device, patient): (Vec<_>, Vec<_>) = quantities(step).into_iter().partition(is_of_device);
        [
            patient.iter().map(|quantity| self.number(quantity, 17, 11)).collect(),
            device.iter().map(|quantity| self.number(quantity, 16, 9)).collect(),
        ]
    }

    fn number(&self, quantity: &Quantity, name: usize, value: usize) -> Line<'static> {
        let known = KnownQuantity::of(&quantity.code);
        let named = known.map_or_else(|| quantity.code.to_string(), |known| known.name.into());
        let (shown, note, colour) = match quantity.reading {
            Ok(measured) => (
                format!("{:>value$}", shown(quantity, &measured)),
                measured.quality.map_or_else(String::new, |quality| format!("  quality {quality} of 100")),
                known.map_or(Color::White, colour_of),
            ),
            Err(reason) => ("--".into(), format!(" {}", in_words(reason)), Color::Yellow),
        };
        Line::from(vec![
            Span::raw(format!("{named:<name$}")),
            Span::styled(shown, self.style(colour)),
            Span::raw(note),
        ])
    }

    fn foot(&self) -> Vec<Line<'static>> {
        let DeviceState { taken, acknowledged, waiting, lost, network, .. } = &self.state;
        let mut counts = vec![Span::raw(format!(
            "samples   {} taken, acknowledged up to {}, {waiting} waiting",
            taken.0, acknowledged.0
        ))];
        if *lost > 0 {
            counts.push(Span::styled(format!(", {lost} LOST"), self.style(Color::Red)));
        }
        let switch = if *network { "off" } else { "on" };
        let keys = "n normal  d desaturation  f fever  m motion  x finger off";
        vec![
            Line::from(counts),
            Line::from(format!("keys      {keys}  o network {switch}  r retry  q quit")),
            Line::styled(self.message.clone(), self.style(Color::Yellow)),
        ]
    }
}

fn is_of_device(quantity: &Quantity) -> bool {
    let device = [
        KnownQuantity::ECG_QUALITY,
        KnownQuantity::PPG_QUALITY,
        KnownQuantity::MCU_TEMPERATURE,
        KnownQuantity::IMU_TEMPERATURE,
        KnownQuantity::ACCELERATION_X,
        KnownQuantity::ACCELERATION_Y,
        KnownQuantity::ACCELERATION_Z,
        KnownQuantity::RAW_PULSE,
    ];
    device.iter().any(|known| quantity.code == known.code)
}

/// As people write it, not as UCUM does.
fn shown(quantity: &Quantity, measured: &Measurement) -> String {
    let unit = match quantity.unit.as_str() {
        "Cel" => "C",
        "[g]" => "g",
        _ if quantity.code == KnownQuantity::MOTION.code => {
            return if measured.value.mantissa == 0 { "still" } else { "moving" }.into();
        }
        unit => unit,
    };
    format!("{} {unit}", measured.value)
}

fn colour_of(known: &KnownQuantity) -> Color {
    match *known {
        KnownQuantity::HEART_RATE | KnownQuantity::PULSE_RATE => Color::Green,
        KnownQuantity::SPO2 => Color::Cyan,
        _ => Color::White,
    }
}

fn in_words(reason: Reason) -> String {
    match reason {
        Reason::NO_BEAT => "NO BEAT 4 s".into(),
        reason => reason.to_string(),
    }
}

fn link_in_words(link: &LinkState) -> (String, Color) {
    match link {
        LinkState::Off => ("network switched off; samples are kept".into(), Color::Yellow),
        LinkState::Waiting { reason, wait } => {
            (format!("{reason}; samples are kept, next try within {}", Readable(*wait)), Color::Yellow)
        }
        LinkState::Connecting => ("connecting".into(), Color::White),
        LinkState::Pairing => ("pairing".into(), Color::White),
        LinkState::LoggingIn => ("logging in".into(), Color::White),
        LinkState::Online { doctor } => (format!("in session with {doctor}"), Color::Green),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::id::{DeviceId, Seq};
    use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

    use super::*;
    use crate::{agent::Speed, patient::Patient, recording::Recording, sampling::Wearer, scenario::Scenario};

    fn screen(scenario: &str, seconds: usize) -> Screen {
        let scenario = Scenario::load(scenario).unwrap();
        let mut wearer = Wearer::new(Patient::new(None, scenario.clone(), Some(3)).unwrap()).unwrap();
        let name = "W001".parse().unwrap();
        let mut state = DeviceState {
            taken: Seq(120),
            acknowledged: Seq(118),
            waiting: 2,
            ..DeviceState::new(name, DeviceId::from_random([5; 16]), scenario.name, Speed::REAL)
        };
        (0..seconds).for_each(|_| state.pass(wearer.next_second().1));
        Screen { state, message: String::new(), colours: true }
    }

    fn drawn(screen: &Screen, width: u16, height: u16) -> (String, Buffer) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, screen)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let text: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
        let lines = text.chunks(usize::from(width)).map(|row| row.concat());
        (lines.collect::<Vec<_>>().join("\n"), buffer)
    }

    #[test]
    fn a_settled_second_shows_numbers_with_units_and_quality() {
        let mut screen = screen("normal", 60);
        screen.state.link = LinkState::Online { doctor: "D001".parse().unwrap() };
        let (text, _) = drawn(&screen, 90, 24);
        for expected in [
            "SIMULATED wearable W001",
            "05050505-0505-4505-8505-050505050505",
            "in session with D001",
            "battery 100 %",
            "/min",
            "quality",
            "body temperature",
            "120 taken, acknowledged up to 118, 2 waiting",
            "o network off",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
    }

    #[test]
    fn what_was_not_measured_is_two_dashes_and_the_reason() {
        let (text, _) = drawn(&screen("finger-off", 36), 90, 24);
        let line = text.lines().find(|line| line.contains("SpO2")).unwrap();
        assert!(line.contains("--") && line.contains("finger off"), "{line}");
        let (text, _) = drawn(&screen("normal", 1), 90, 24);
        assert!(text.lines().any(|line| line.contains("heart rate") && line.contains("settling")), "{text}");
    }

    #[test]
    fn the_last_400_samples_of_the_ecg_are_a_curve_where_there_is_room() {
        let screen = screen("normal", 3);
        let shown: Vec<i32> = Recording::shipped_ecg().unwrap().values().collect();
        let at = shown.windows(400).position(|part| part == screen.state.trace);
        assert!(at.is_some(), "400 samples in a row of the record");
        let (tall, _) = drawn(&screen, 100, 40);
        assert!(tall.contains("ECG, the last 400 samples"), "{tall}");
        let dots: Vec<usize> = (0..100)
            .map(|column| {
                let cells = tall.lines().filter_map(|line| line.chars().nth(column));
                cells.filter(|cell| ('\u{2801}'..='\u{28ff}').contains(cell)).count()
            })
            .collect();
        assert!(dots[1..99].iter().all(|dots| *dots > 0), "without a gap: {dots:?}");
        assert!(dots.iter().any(|dots| *dots >= 5), "an R wave stands out: {dots:?}");
        let (low, _) = drawn(&screen, 80, 24);
        assert!(!low.contains("ECG, the last") && low.contains("IMU temperature"), "{low}");
    }

    #[test]
    fn trouble_is_said_in_words() {
        let mut screen = screen("normal", 1);
        screen.state.link =
            LinkState::Waiting { reason: "no gateway there".into(), wait: Duration::from_secs(4) };
        screen.state.lost = 64;
        screen.state.network = false;
        screen.state.code = Some("ABC-DEF-GH2".parse().unwrap());
        screen.message = "z means nothing here".into();
        let (text, _) = drawn(&screen, 100, 24);
        for expected in [
            "no gateway there; samples are kept, next try within 4.0 s",
            "64 LOST",
            "o network on",
            "--code ABC-DEF-GH2",
            "z means nothing",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
    }

    #[test]
    fn a_refusal_stands_whole_beside_the_numbers() {
        let mut screen = screen("normal", 60);
        let sentence = "This is NOT the gateway that you paired with. Nothing was sent. ".repeat(3);
        screen.state.refusal = Some(sentence.trim_end().into());
        screen.state.link = LinkState::Waiting { reason: "refused".into(), wait: Duration::from_secs(60) };
        let (text, _) = drawn(&screen, 80, 24);
        let words = text.replace(['\n', '│'], " ");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [
            sentence.trim_end(),
            "refused; samples are kept, next try within 60 s",
            "scenario normal",
            "r retry",
        ] {
            assert!(words.contains(expected), "{expected:?} in\n{text}");
        }
        for quantity in quantities(screen.state.step.as_ref().unwrap()) {
            let name = KnownQuantity::of(&quantity.code).unwrap().name;
            assert!(text.contains(name), "{name} in\n{text}");
        }
    }

    #[test]
    fn without_colours_there_are_none() {
        let mut screen = screen("normal", 60);
        screen.colours = false;
        let (_, buffer) = drawn(&screen, 90, 24);
        assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    }

    #[test]
    fn a_tiny_terminal_is_no_reason_to_panic() {
        for (width, height) in [(1, 1), (5, 3), (20, 8)] {
            drawn(&screen("normal", 3), width, height);
        }
    }
}
