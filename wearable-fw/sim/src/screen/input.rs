//! What a key means: digits make a number, a letter acts at once, a colon begins a line of words. It knows no device.

use host::terminal::Input;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::menu;
use crate::{act::Act, agent::DeviceState};

/// Longest line of words.
const LONGEST: usize = 60;

/// What its person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// This of the device.
    Act(Act),
    /// Something without a meaning, and what to say about it.
    Wrong(String),
    /// Nothing but perhaps a fresh picture.
    Nothing,
}

/// What is being typed: digits, or words behind a colon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed(pub(super) String);

impl Typed {
    /// The wish behind an input.
    pub fn take(&mut self, input: &Input, state: &DeviceState) -> Wish {
        let Input::Key(KeyEvent { code, modifiers, .. }) = input else { return Wish::Nothing };
        if modifiers.contains(KeyModifiers::CONTROL) {
            return match code {
                KeyCode::Char('c' | 'd') => Wish::Act(Act::Stop),
                _ => wrong(&format!("Ctrl-{code}")),
            };
        }
        let words = self.0.starts_with(':');
        match code {
            KeyCode::Esc => self.0.clear(),
            KeyCode::Backspace => drop(self.0.pop()),
            KeyCode::Enter => return self.enter(state),
            KeyCode::Char(letter) if words && self.0.len() < LONGEST && letter.is_ascii() => {
                self.0.push(*letter);
            }
            KeyCode::Char(_) if words => {}
            KeyCode::Char(digit @ '0'..='9') if self.0.len() < 3 => self.0.push(*digit),
            KeyCode::Char(':') => self.0 = ":".into(),
            KeyCode::Char('q') => return Wish::Act(Act::Stop),
            KeyCode::Char(letter) => {
                self.0.clear();
                let option = menu::option(letter.to_ascii_lowercase(), state);
                return option.map_or_else(|| wrong(&letter.to_string()), |(_, act)| Wish::Act(act));
            }
            other => return wrong(&other.to_string()),
        }
        Wish::Nothing
    }

    fn enter(&mut self, state: &DeviceState) -> Wish {
        let typed = std::mem::take(&mut self.0);
        if let Some(words) = typed.strip_prefix(':') {
            return words.parse().map_or_else(|unclear| Wish::Wrong(format!("{unclear}")), Wish::Act);
        }
        if typed.is_empty() {
            return Wish::Nothing;
        }
        let act = typed.parse().ok().and_then(|number| menu::act_of_number(number, state));
        act.map_or_else(|| Wish::Wrong(format!("there is no option {typed}; there are 1 to 20")), Wish::Act)
    }
}

fn wrong(key: &str) -> Wish {
    Wish::Wrong(format!(
        "{key} means nothing here; type a number and Enter, a letter of the menu, or : and words"
    ))
}

#[cfg(test)]
mod tests {
    use protocol::id::DeviceId;
    use wearable_core::mode::Mode;

    use super::*;
    use crate::{act::Name, agent::Speed};

    fn unpaired() -> DeviceState {
        let (name, id) = ("W001".parse().unwrap(), DeviceId::from_random([5; 16]));
        DeviceState::new(name, id, Mode::Unprovisioned, Name::of("normal"), Speed::REAL)
    }

    fn type_in(text: &str) -> Wish {
        let state = unpaired();
        let mut typed = Typed::default();
        let keys = text.chars().map(|letter| match letter {
            '\n' => KeyCode::Enter,
            '<' => KeyCode::Backspace,
            '\u{1b}' => KeyCode::Esc,
            letter => KeyCode::Char(letter),
        });
        let wishes =
            keys.map(|code| typed.take(&Input::Key(KeyEvent::new(code, KeyModifiers::NONE)), &state));
        wishes.last().unwrap()
    }

    fn act(words: &str) -> Wish {
        Wish::Act(words.parse().unwrap())
    }

    #[test]
    fn numbers_letters_and_words_are_understood() {
        assert_eq!(type_in("1"), Wish::Nothing);
        assert_eq!(type_in("1\n"), act("temperature +0.5"));
        assert_eq!(type_in("12\n"), act("z -0.1"));
        assert_eq!(type_in("19<2\n"), act("z -0.1"));
        assert_eq!(type_in("1\u{1b}n"), act("network off"));
        assert_eq!(type_in("N"), act("network off"));
        assert_eq!(type_in(":spo2 84 over 60\n"), act("spo2 84 over 60"));
        assert_eq!(type_in("q"), act("stop"));
    }

    #[test]
    fn what_means_nothing_is_told_so() {
        for (text, said) in
            [("99\n", "no option 99"), ("?", "? means nothing"), (":fly\n", "nothing that can be done")]
        {
            let Wish::Wrong(told) = type_in(text) else { panic!("{text}") };
            assert!(told.contains(said), "{told}");
        }
        assert_eq!(type_in("\n"), Wish::Nothing);
        assert_eq!(type_in(&format!(":{}\u{1b}\n", "x".repeat(200))), Wish::Nothing);
    }

    #[test]
    fn control_c_ends_the_device() {
        let state = unpaired();
        let interrupt = Input::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert_eq!(Typed::default().take(&interrupt, &state), Wish::Act(Act::Stop));
    }
}
