//! What a key means. It knows no device.

use host::terminal::Input;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::act::{Act, Name, Wire};

/// What its person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// This of the device.
    Command(Act),
    /// A key without a meaning, and what to say about it.
    Wrong(String),
    /// Nothing but perhaps a fresh picture.
    Nothing,
}

/// The wish behind an input; `network`: whether the network is on now.
#[must_use]
pub fn wish_of(input: &Input, network: bool) -> Wish {
    let Input::Key(KeyEvent { code, modifiers, .. }) = input else { return Wish::Nothing };
    let KeyCode::Char(letter) = code else { return wrong(&format!("{code}")) };
    if modifiers.contains(KeyModifiers::CONTROL) {
        return if matches!(letter, 'c' | 'd') {
            Wish::Command(Act::Stop)
        } else {
            wrong(&format!("Ctrl-{letter}"))
        };
    }
    Wish::Command(match letter.to_ascii_lowercase() {
        'n' => Act::Scenario(Name::of("normal")),
        'd' => Act::Scenario(Name::of("desaturation")),
        'f' => Act::Scenario(Name::of("fever")),
        'm' => Act::Scenario(Name::of("motion")),
        'x' => Act::Scenario(Name::of("finger-off")),
        'o' => Act::Wire(Wire::Network(!network)),
        'r' => Act::Retry,
        'q' => Act::Stop,
        _ => return wrong(&letter.to_string()),
    })
}

fn wrong(key: &str) -> Wish {
    Wish::Wrong(format!("{key} means nothing here; the keys are n d f m x o r q"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: char) -> Input {
        Input::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE))
    }

    #[test]
    fn every_key_on_the_screen_does_what_it_says() {
        let commands = "ndfmxrq".chars().map(|letter| match wish_of(&key(letter), true) {
            Wish::Command(command) => command,
            other => panic!("{letter}: {other:?}"),
        });
        let scenarios = ["normal", "desaturation", "fever", "motion", "finger-off"];
        let expected =
            scenarios.map(|name| Act::Scenario(Name::of(name))).into_iter().chain([Act::Retry, Act::Stop]);
        assert!(commands.eq(expected));
        for network in [true, false] {
            assert_eq!(wish_of(&key('O'), network), Wish::Command(Act::Wire(Wire::Network(!network))));
        }
    }

    #[test]
    fn a_wrong_key_is_told_so() {
        let Wish::Wrong(said) = wish_of(&key('z'), true) else { panic!() };
        assert!(said.starts_with("z means nothing"));
        let enter = Input::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
        assert!(matches!(wish_of(&enter, true), Wish::Wrong(_)));
        assert_eq!(wish_of(&Input::Resized, true), Wish::Nothing);
    }

    #[test]
    fn control_c_ends_the_device() {
        let interrupt = Input::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert_eq!(wish_of(&interrupt, true), Wish::Command(Act::Stop));
    }
}
