//! The picture: a pure function of what is known. A number is shown with its unit and quality, or `--` with the reason
//! why there is none; never an old number.

use std::time::Duration;

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
use wearable_core::{
    mode::{Link, Mode, Switch},
    sensing::quantities,
};

use super::{input::Typed, menu, trace::trace};
use crate::agent::DeviceState;

/// Everything that the picture depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// The device.
    pub state: DeviceState,
    /// The last thing worth saying; empty for none.
    pub message: String,
    /// What is being typed.
    pub typed: Typed,
    /// Whether colours are wanted.
    pub colours: bool,
}

/// A curve with fewer lines says nothing.
const LEAST_CURVE: u16 = 6;
/// The column of numbers.
const NUMBERS: u16 = 34;
/// Lines of the menu.
const MENU: u16 = 13;

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let title = format!(" SIMULATED wearable {} - not a medical device ", screen.state.name);
    let block = Block::bordered().title(Line::styled(title, screen.style(Color::Yellow)));
    let inner = block.inner(frame.area());
    frame.render_widget(block, frame.area());
    let notice = screen.notice();
    let notice_height = notice.iter().map(|line| wrapped(&line.to_string(), inner.width)).sum();
    let notice = Paragraph::new(notice).wrap(Wrap { trim: true });
    // What is wrong comes before the menu where there is no room for both.
    let heights = [
        Constraint::Length(3),
        Constraint::Length(notice_height),
        Constraint::Max(MENU),
        Constraint::Min(0),
        Constraint::Length(2),
    ];
    let [head, middle, body, curve, foot] = Layout::vertical(heights).areas(inner);
    frame.render_widget(Paragraph::new(screen.head()), head);
    frame.render_widget(notice, middle);
    let [numbers, menu] = Layout::horizontal([Constraint::Length(NUMBERS), Constraint::Min(0)]).areas(body);
    frame.render_widget(Paragraph::new(screen.numbers()), numbers);
    let lines = menu::lines(&screen.state).into_iter().map(Line::from).collect::<Vec<_>>();
    frame.render_widget(Paragraph::new(lines), menu);
    if curve.height >= LEAST_CURVE && !screen.state.trace.is_empty() {
        frame.render_widget(trace(&screen.state.trace, screen.colour(Color::Green)), curve);
    }
    frame.render_widget(Paragraph::new(screen.foot()), foot);
}

/// How many lines words take.
fn wrapped(text: &str, width: u16) -> u16 {
    let mut column = 0;
    text.split(' ').fold(1, |lines: u16, word| {
        let begins = column + word.chars().count() > usize::from(width) && column > 0;
        column = if begins { 0 } else { column } + word.chars().count() + 1;
        lines.saturating_add(begins.into())
    })
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
        let colour = match state.mode {
            Mode::Working(Link::Online) => Color::Green,
            Mode::Error => Color::Red,
            _ => Color::Yellow,
        };
        let with = state.doctor.as_ref().map_or_else(String::new, |doctor| format!(" with {doctor}"));
        let switch = if state.switch == Switch::Configuration { "Configuration" } else { "Working" };
        let button = if state.pressed { ", button DOWN" } else { "" };
        let mut counts = vec![Span::raw(format!(
            "taken {}  acknowledged {}  waiting {}",
            state.taken.0, state.acknowledged.0, state.waiting
        ))];
        let lost = format!("  {} LOST", state.lost);
        counts.push(if state.lost > 0 {
            Span::styled(lost, self.style(Color::Red))
        } else {
            "  lost 0".into()
        });
        let cadence = state.settings.cadence();
        counts.push(Span::raw(format!(
            "  every {} s, sent every {} s",
            cadence.sample_ms / 1_000,
            cadence.upload_ms / 1_000
        )));
        let battery = format!("battery {} %", state.battery);
        let battery_style = if state.battery < 15 { self.style(Color::Red) } else { Style::new() };
        vec![
            Line::from(vec![
                Span::styled(format!("{}{with}", state.mode), self.style(colour)),
                Span::raw(format!("  slide {switch}{button}  ")),
                Span::styled(battery, battery_style),
                Span::raw(format!("  course {}", state.scenario.as_str())),
            ]),
            Line::from(counts),
            Line::from(format!("device  {}{}", state.id, self.wire())),
        ]
    }

    /// What is done to the way to the gateway.
    fn wire(&self) -> String {
        let condition = self.state.condition;
        let mut said = String::new();
        if !condition.plugged {
            said += "  NETWORK OFF";
        }
        if condition.delay > Duration::ZERO {
            said += &format!("  LATE {}", Readable(condition.delay));
        }
        if condition.wrong_gateway {
            said += "  FAKE GATEWAY";
        }
        for sensor in self.state.faults.mute() {
            said += &format!("  {} NACKS", sensor.word());
        }
        if self.state.faults.stuck {
            said += "  BUS STUCK";
        }
        if self.state.faults.late {
            said += "  READS LATE";
        }
        said
    }

    /// What its person should know or do.
    fn notice(&self) -> Vec<Line<'static>> {
        let state = &self.state;
        let code = state.code.map(|code| {
            let said = format!(
                "Enter this code at the gateway: gateway pair --wearable --patient P001 --code {code}"
            );
            Line::styled(said, self.style(Color::Cyan))
        });
        let refusal = state.refusal.clone().map(|refusal| Line::styled(refusal, self.style(Color::Red)));
        let todo = (state.mode == Mode::Unprovisioned && state.refusal.is_none()).then(|| {
            Line::styled(
                "Not paired: hold the button (j) to open a pairing window.",
                self.style(Color::Yellow),
            )
        });
        let lost = state
            .lost_because
            .as_ref()
            .filter(|_| state.refusal.is_none())
            .map(|why| Line::styled(format!("{why}; samples are kept"), self.style(Color::Yellow)));
        [code, refusal, todo, lost].into_iter().flatten().collect()
    }

    /// The patient's numbers one by one, the device's together.
    fn numbers(&self) -> Vec<Line<'static>> {
        let Some(step) = &self.state.step else { return vec![Line::from("no sample yet")] };
        let all = quantities(&step.sensed.second);
        let (device, patient): (Vec<_>, Vec<_>) = all.iter().partition(|quantity| is_of_device(quantity));
        let mut lines: Vec<Line<'static>> = patient.iter().map(|quantity| self.number(quantity)).collect();
        let value = |known: KnownQuantity| {
            let found = device.iter().find(|quantity| quantity.code == known.code);
            found
                .and_then(|quantity| quantity.reading.ok())
                .map_or_else(|| "--".into(), |at| at.value.to_string())
        };
        use KnownQuantity as Known;
        lines.push(Line::from(format!(
            "MCU {} C  MPU {} C",
            value(Known::MCU_TEMPERATURE),
            value(Known::IMU_TEMPERATURE)
        )));
        lines.push(Line::from(format!(
            "x {}  y {}  z {} g",
            value(Known::ACCELERATION_X),
            value(Known::ACCELERATION_Y),
            value(Known::ACCELERATION_Z)
        )));
        lines.push(Line::from(format!(
            "quality ECG {}  PPG {}",
            value(Known::ECG_QUALITY),
            value(Known::PPG_QUALITY)
        )));
        lines.push(Line::from(format!("raw pulse {} V", value(Known::RAW_PULSE))));
        lines
    }

    fn number(&self, quantity: &Quantity) -> Line<'static> {
        let known = KnownQuantity::of(&quantity.code);
        let named = known.map_or_else(|| quantity.code.to_string(), |known| known.name.into());
        let (shown, note, colour) = match quantity.reading {
            Ok(measured) => (
                format!("{:>10}", shown(quantity, &measured)),
                measured.quality.map_or_else(String::new, |quality| format!(" q{quality}")),
                known.map_or(Color::White, colour_of),
            ),
            Err(reason) => ("--".into(), format!(" {}", in_words(reason)), Color::Yellow),
        };
        Line::from(vec![
            Span::raw(format!("{named:<17}")),
            Span::styled(shown, self.style(colour)),
            Span::raw(note),
        ])
    }

    fn foot(&self) -> Vec<Line<'static>> {
        let Typed(typed) = &self.typed;
        vec![
            Line::from(vec![
                Span::raw("Insert your option (number, Enter; letter; : and words): "),
                Span::styled(format!("{typed}_"), self.style(Color::Cyan)),
            ]),
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

#[cfg(test)]
mod tests {
    use protocol::id::{DeviceId, Seq};
    use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

    use super::*;
    use crate::{act::Name, agent::Speed, patient::Patient, sampling::Wearer, scenario::Scenario};

    fn screen(scenario: &str, seconds: usize) -> Screen {
        let scenario = Scenario::load(scenario).unwrap();
        let mut wearer = Wearer::new(Patient::new(None, scenario, Some(3)).unwrap()).unwrap();
        let id = DeviceId::from_random([5; 16]);
        let mode = Mode::Working(Link::Online);
        let mut state = DeviceState {
            taken: Seq(120),
            acknowledged: Seq(118),
            waiting: 2,
            doctor: Some("D001".parse().unwrap()),
            ..DeviceState::new("W001".parse().unwrap(), id, mode, Name::of("normal"), Speed::REAL)
        };
        (0..seconds).for_each(|_| state.pass(wearer.next_second().1));
        Screen { state, message: String::new(), typed: Typed::default(), colours: true }
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
    fn everything_that_matters_has_room_on_the_smallest_terminal() {
        let (text, _) = drawn(&screen("normal", 60), 80, 24);
        for expected in [
            "SIMULATED wearable W001",
            "05050505-0505-4505-8505-050505050505",
            "Working/Online with D001",
            "slide Working",
            "battery 100 %",
            "course normal",
            "taken 120  acknowledged 118  waiting 2  lost 0  every 1 s, sent every 1 s",
            "/min",
            "body temperature",
            "raw pulse",
            "1/2 body  +/- 0.5 C",
            "11/12 Z     +/- 0.1 g",
            "q quit",
            "Insert your option",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
    }

    #[test]
    fn what_was_not_measured_is_two_dashes_and_the_reason() {
        let (text, _) = drawn(&screen("finger-off", 36), 90, 24);
        let line = text.lines().find(|line| line.contains("SpO2 ")).unwrap();
        assert!(line.contains("-- finger off"), "{line}");
        let (text, _) = drawn(&screen("normal", 1), 90, 24);
        assert!(text.lines().any(|line| line.contains("heart rate") && line.contains("settling")), "{text}");
    }

    #[test]
    fn the_last_400_samples_of_the_ecg_are_a_curve_where_there_is_room() {
        let screen = screen("normal", 3);
        assert_eq!(screen.state.trace.len(), 400);
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
        assert!(!low.contains("ECG, the last"), "{low}");
    }

    #[test]
    fn trouble_is_said_in_words() {
        let mut screen = screen("normal", 1);
        screen.state.mode = Mode::Working(Link::Offline);
        screen.state.lost_because = Some("no gateway there".into());
        screen.state.lost = 64;
        screen.state.condition.plugged = false;
        screen.state.condition.delay = Duration::from_millis(500);
        screen.state.condition.wrong_gateway = true;
        screen.state.faults.nack(crate::act::Sensor::Ecg, true);
        screen.state.pressed = true;
        screen.state.code = Some("ABC-DEF-GH2".parse().unwrap());
        screen.message = "z means nothing here".into();
        screen.typed = Typed("12".into());
        let (text, _) = drawn(&screen, 100, 24);
        for expected in [
            "no gateway there; samples are kept",
            "64 LOST",
            "NETWORK OFF",
            "LATE 0.5 s",
            "FAKE GATEWAY  ecg NACKS",
            "button DOWN",
            "n network on",
            "--code ABC-DEF-GH2",
            "z means nothing",
            ": 12_",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
        screen.state.condition = crate::cable::Condition::GOOD;
        (screen.state.faults.stuck, screen.state.faults.late) = (true, true);
        let (text, _) = drawn(&screen, 100, 24);
        assert!(text.contains("ecg NACKS  BUS STUCK  READS LATE"), "{text}");
    }

    #[test]
    fn a_refusal_stands_whole_and_the_vital_numbers_with_it() {
        let mut screen = screen("normal", 60);
        let sentence = "This is NOT the gateway that you paired with. Nothing was sent. ".repeat(4);
        screen.state.refusal = Some(sentence.trim_end().into());
        let (text, _) = drawn(&screen, 80, 24);
        let words = text.replace(['\n', '\u{2502}'], " ");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [sentence.trim_end(), "heart rate", "SpO2", "body temperature", "q quit"] {
            assert!(words.contains(expected), "{expected:?} in\n{text}");
        }
    }

    #[test]
    fn who_is_not_paired_is_told_how_to() {
        let mut screen = screen("normal", 1);
        screen.state.mode = Mode::Unprovisioned;
        screen.state.doctor = None;
        let (text, _) = drawn(&screen, 80, 24);
        assert!(text.contains("Unprovisioned") && text.contains("hold the button (j)"), "{text}");
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
