//! Colours. They only repeat what marks and words say; with `NO_COLOR` there are none.

use ratatui::style::{Color, Modifier, Style};

use crate::console::{bed::Parameter, state::Tone};

/// With colours, or without (<https://no-color.org>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Palette {
    Colours,
    Plain,
}

impl Palette {
    pub(in crate::console) fn of_environment() -> Self {
        let asked = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if asked { Self::Plain } else { Self::Colours }
    }

    pub(super) fn coloured(self, colour: Color) -> Style {
        match self {
            Self::Colours => Style::new().fg(colour),
            Self::Plain => Style::new(),
        }
    }

    fn filled(self, text: Color, ground: Color) -> Style {
        match self {
            Self::Colours => Style::new().fg(text).bg(ground).add_modifier(Modifier::BOLD),
            Self::Plain => Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
        }
    }

    /// The fixed colours of central stations.
    pub(super) fn parameter(self, parameter: Parameter) -> Style {
        self.coloured(match parameter {
            Parameter::Heart => Color::Green,
            Parameter::Oxygen => Color::Cyan,
            Parameter::Respiration => Color::Yellow,
            Parameter::Temperature => Color::White,
        })
        .add_modifier(Modifier::BOLD)
    }

    pub(super) fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Good => self.coloured(Color::Green),
            Tone::Warning => self.coloured(Color::Yellow),
            Tone::Severe => self.severe(),
        }
    }

    /// Red: a HIGH condition, or storage that does not work. For nothing else.
    pub(super) fn severe(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A banner in red.
    pub(super) fn severe_banner(self) -> Style {
        self.filled(Color::White, Color::Red)
    }

    /// A banner of an alert that all devices have opened.
    pub(super) fn calm_banner(self) -> Style {
        self.filled(Color::Black, Color::Cyan)
    }

    /// `SIMULATED`.
    pub(super) fn simulated(self) -> Style {
        self.filled(Color::Black, Color::Magenta)
    }

    pub(super) fn header(self) -> Style {
        self.filled(Color::White, Color::Blue)
    }

    pub(super) fn faint(self) -> Style {
        self.coloured(Color::DarkGray)
    }
}

/// Bold.
pub(super) fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}
