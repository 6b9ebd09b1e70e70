//! What a key means. It decides nothing that lasts.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Screen, Standing};
use crate::agent::AgentCommand;

const INVALID: &str = "Invalid choice: press 1, 2 or a";
/// Characters of a code with its dashes.
const CODE_LENGTH: usize = 11;

/// What a key leads to.
#[derive(Debug)]
pub(super) enum Act {
    Nothing,
    Tell(AgentCommand),
    Quit,
}

/// Takes a code that was pasted; pasted text presses no other keys.
pub(super) fn paste(screen: &mut Screen, text: &str) -> Act {
    if let Standing::Asking { typed, .. } = &mut screen.standing {
        for c in text.chars() {
            // Characters that no code has are left out, as when they are typed.
            type_code(typed, KeyCode::Char(c)).ok();
        }
    }
    Act::Nothing
}

/// Carries out a key as far as the screen can, and says what is left to do.
pub(super) fn press(screen: &mut Screen, key: KeyEvent) -> Act {
    screen.hint = None;
    if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return Act::Quit;
    }
    match &mut screen.standing {
        Standing::Asking { typed, .. } => match type_code(typed, key.code) {
            Ok(act) => act,
            Err(hint) => {
                screen.hint(hint);
                Act::Nothing
            }
        },
        _ => choose(screen, key.code),
    }
}

fn type_code(typed: &mut String, key: KeyCode) -> Result<Act, String> {
    match key {
        KeyCode::Esc => return Ok(Act::Quit),
        KeyCode::Backspace => {
            typed.pop();
        }
        KeyCode::Char(c) if c.is_ascii_alphanumeric() && typed.len() < CODE_LENGTH => {
            if matches!(typed.len(), 3 | 7) {
                typed.push('-');
            }
            typed.push(c.to_ascii_uppercase());
        }
        KeyCode::Enter => {
            return match typed.parse() {
                Ok(code) => Ok(Act::Tell(AgentCommand::Code(code))),
                Err(error) => Err(format!("{error}")),
            };
        }
        _ => {}
    }
    Ok(Act::Nothing)
}

fn choose(screen: &mut Screen, key: KeyCode) -> Act {
    let away = matches!(screen.standing, Standing::Out { .. } | Standing::Waiting { .. });
    let out = matches!(screen.standing, Standing::Out { .. });
    match key {
        KeyCode::Char('2') => return Act::Quit,
        _ if screen.is_stopped() => screen.hint("Press 2 to exit"),
        KeyCode::Char('a' | 'A') | KeyCode::Enter => match screen.unread().first() {
            Some(alert) => return Act::Tell(AgentCommand::Acknowledge(alert.id)),
            None => screen.hint("There is no new alert"),
        },
        KeyCode::Char('1') if out => screen.hint("You are out already; press r to return"),
        KeyCode::Char('1') => return Act::Tell(AgentCommand::Leave),
        KeyCode::Char('r' | 'R') if away => return Act::Tell(AgentCommand::Return),
        _ => screen.hint(INVALID),
    }
    Act::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::AgentEvent,
        console::view::tests::{NOW, connected, notice, screen},
    };

    fn key(screen: &mut Screen, code: KeyCode) -> Act {
        press(screen, KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn the_menu_does_what_it_says() {
        let mut screen = connected();
        assert!(matches!(key(&mut screen, KeyCode::Char('1')), Act::Tell(AgentCommand::Leave)));
        assert!(matches!(key(&mut screen, KeyCode::Char('2')), Act::Quit));
        assert!(matches!(key(&mut screen, KeyCode::Char('x')), Act::Nothing));
        assert_eq!(screen.hint.as_deref(), Some("Invalid choice: press 1, 2 or a"));
        assert!(matches!(key(&mut screen, KeyCode::Enter), Act::Nothing));
        assert_eq!(screen.hint.as_deref(), Some("There is no new alert"));
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(matches!(press(&mut screen, control_c), Act::Quit));
    }

    #[test]
    fn the_alert_on_the_banner_is_the_one_acknowledged() {
        let mut screen = connected();
        let (first, second) = (notice(1, "Fire"), notice(2, "All clear"));
        screen.see(&AgentEvent::Alert(first.clone()), NOW);
        screen.see(&AgentEvent::Alert(second.clone()), NOW);
        for expected in [second.id, first.id] {
            let Act::Tell(AgentCommand::Acknowledge(id)) = key(&mut screen, KeyCode::Char('a')) else {
                panic!("an acknowledgement")
            };
            assert_eq!(id, expected);
            screen.see(&AgentEvent::Acknowledged(id), NOW);
        }
    }

    #[test]
    fn a_person_returns_with_a_key_after_the_doctor_ended_the_session() {
        let mut screen = connected();
        assert!(matches!(key(&mut screen, KeyCode::Char('r')), Act::Nothing), "not out");
        let ended = AgentEvent::Disconnected { reason: "ended by the doctor".into(), stays_out: true };
        screen.see(&ended, NOW);
        assert!(matches!(key(&mut screen, KeyCode::Char('r')), Act::Tell(AgentCommand::Return)));
        assert!(matches!(key(&mut screen, KeyCode::Char('1')), Act::Nothing));
    }

    #[test]
    fn a_code_is_typed_with_or_without_dashes() {
        let mut screen = screen();
        screen.see(&AgentEvent::CodeWanted { why: None }, NOW);
        for c in "abc-defgh2".chars() {
            assert!(matches!(key(&mut screen, KeyCode::Char(c)), Act::Nothing));
        }
        let Act::Tell(AgentCommand::Code(code)) = key(&mut screen, KeyCode::Enter) else { panic!("a code") };
        assert_eq!(code, "ABC-DEF-GH2".parse().unwrap());
        key(&mut screen, KeyCode::Backspace);
        assert!(matches!(key(&mut screen, KeyCode::Enter), Act::Nothing));
        assert!(screen.hint.unwrap().contains("nine letters and digits"));
    }
}
