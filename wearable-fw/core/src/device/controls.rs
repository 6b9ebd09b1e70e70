//! The button and the slide switch as a person uses them. Owns what counts as short, held and very long; knows not what
//! follows from it.

use core::time::Duration;

use protocol::time::Monotonic;

use crate::mode::Switch;

/// The button, held so long and then let go, asks for a pairing window.
pub const HOLD: Duration = Duration::from_secs(2);
/// Held so long with the switch in Configuration, it asks for the factory reset instead.
pub const RESET_HOLD: Duration = Duration::from_secs(10);
/// How long the question for the factory reset stands.
pub const RESET_QUESTION: Duration = Duration::from_secs(30);

/// What a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gesture {
    /// Pressed and let go at once.
    Short,
    /// Held for [`HOLD`].
    Held,
    /// Pressed while the question for the factory reset stood, with the switch still in Configuration.
    ResetConfirmed,
}

#[derive(Debug)]
pub(super) struct Controls {
    pub(super) switch: Switch,
    pressed: Option<Monotonic>,
    /// Until when the factory reset may be confirmed.
    question: Option<Monotonic>,
}

impl Controls {
    pub(super) const fn new(switch: Switch) -> Self {
        Self { switch, pressed: None, question: None }
    }

    /// Moving the switch takes the question for the factory reset back; a button that is down counts from now.
    pub(super) fn slide(&mut self, switch: Switch, now: Monotonic) {
        self.switch = switch;
        self.question = None;
        self.pressed = self.pressed.map(|_| now);
    }

    pub(super) const fn press(&mut self, now: Monotonic) {
        if self.pressed.is_none() {
            self.pressed = Some(now);
        }
    }

    /// The button is let go: what it meant, if it was pressed and did not just ask for the factory reset.
    pub(super) fn release(&mut self, now: Monotonic) -> Option<Gesture> {
        let held = now.since(self.pressed.take()?);
        if held >= RESET_HOLD && self.switch == Switch::Configuration {
            None
        } else if held >= HOLD {
            Some(Gesture::Held)
        } else if self.confirm(now) {
            Some(Gesture::ResetConfirmed)
        } else {
            Some(Gesture::Short)
        }
    }

    /// Whether the factory reset was asked for in time; the question is answered then.
    pub(super) fn confirm(&mut self, now: Monotonic) -> bool {
        self.question.take().is_some_and(|until| now < until)
    }

    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        let asks = match (self.pressed, self.switch, self.question) {
            (Some(pressed), Switch::Configuration, None) => Some(pressed + RESET_HOLD),
            _ => None,
        };
        asks.into_iter().chain(self.question).min()
    }

    /// Whether the factory reset is asked for just now.
    pub(super) fn handle_timeout(&mut self, now: Monotonic) -> bool {
        self.question = self.question.filter(|until| now < *until);
        let asked = self.question.is_none() && self.poll_timeout().is_some_and(|due| now >= due);
        if asked {
            self.question = Some(now + RESET_QUESTION);
        }
        asked
    }
}
