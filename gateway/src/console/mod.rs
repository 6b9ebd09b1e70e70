//! The doctor's console. It always talks to a running gateway over the control socket, also to the one of its own
//! process: there is one way to see and to ask. What is shown is `state`, how it looks `view`, what a key means `input`; this
//! file only carries events, answers, keys and time between them.

mod bed;
#[cfg(test)]
mod fixtures;
mod input;
mod link;
mod log;
mod modal;
mod state;
#[cfg(test)]
mod tests;
mod view;
mod when;

use std::{io, time::Duration};

use host::{
    Clock,
    exit::{Exit, Stop},
    signals::Signals,
    terminal::{Input, Page, keys},
};
use protocol::time::Monotonic;
use tokio::time::MissedTickBehavior;

pub use self::state::Role;
use self::{
    input::Act,
    link::{Ask, Link},
    modal::Modal,
    state::{State, Tone},
    view::Palette,
};
use crate::control::client::Target;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(50);
/// How often ages are counted on.
const REDRAW: Duration = Duration::from_millis(200);
/// How often the lists are asked for when nothing happens.
const POLL: Duration = Duration::from_secs(1);
/// How often they are asked for when much happens.
const POLL_AT_MOST: Duration = Duration::from_millis(100);

/// Shows the console until the person or a signal closes it. `welcome` is said first.
///
/// # Errors
/// A [`Stop`]: nobody answers, the gateway went away, the terminal cannot be used.
pub async fn run(target: &Target, role: Role, welcome: Option<String>) -> Result<Exit, Stop> {
    let clock = Clock::start();
    let mut link = Link::open(target).await?;
    let mut signals = Signals::listen(true).map_err(|error| broken(&error))?;
    let mut page = Page::open().map_err(|error| broken(&error))?;
    let mut keys = keys();
    let palette = Palette::of_environment();
    let mut state = State::new(role, clock.now());
    if let Some(welcome) = welcome {
        state.say(Tone::Good, welcome, clock.now());
    }
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut polls = Polls::default();
    let (mut drawn, mut is_stale) = (None::<Monotonic>, true);
    loop {
        let now = clock.now();
        let act = tokio::select! {
            biased;
            input = keys.recv() => {
                is_stale = true;
                drawn = None;
                match input {
                    Some(Input::Key(key)) => input::press(&mut state, key, now),
                    Some(Input::Pasted(text)) => {
                        input::paste(&mut state, &text, now);
                        Act::Nothing
                    }
                    Some(Input::Resized) => Act::Nothing,
                    // The terminal is gone.
                    None => Act::Close,
                }
            }
            () = signals.next() => Act::Close,
            _ = tick.tick() => Act::Nothing,
            Some(answer) = link.answers.recv() => {
                polls.answered(&answer);
                state.hear(answer, now);
                is_stale = true;
                Act::Nothing
            }
            event = link.events.next(), if !state.is_gone => {
                match event {
                    Some(event) => polls.is_wanted |= state.see(&event, now),
                    None => state.is_gone = true,
                }
                is_stale = true;
                Act::Nothing
            }
        };
        match act {
            Act::Nothing => {}
            Act::Close if state.is_gone => {
                return Err(Stop::new(Exit::Unavailable, "the gateway went away"));
            }
            Act::Close => return Ok(Exit::Done),
            Act::Ask(Ask::Poll { .. }) => polls.is_wanted = true,
            Act::Ask(ask) => {
                if link.asks.try_send(ask).is_err() {
                    state.say(Tone::Warning, "The gateway does not answer; nothing was done.", now);
                }
            }
        }
        if let Some(fault) = page.fault() {
            state.say(Tone::Severe, format!("internal fault: {fault}"), now);
        }
        state.tick(now);
        if polls.is_due(now.mono) && !state.is_gone {
            let refusals = matches!(state.modal, Some(Modal::Refusals { .. }));
            polls.sent(link.asks.try_send(Ask::Poll { refusals }).is_ok(), now.mono);
        }
        let since = drawn.map_or(REDRAW, |drawn| now.mono.since(drawn));
        if since >= REDRAW || (is_stale && since >= TICK) {
            let mut last = 0;
            page.terminal
                .draw(|frame| last = view::draw(frame, &state, palette, now))
                .map_err(|error| broken(&error))?;
            state.clamp(last);
            (drawn, is_stale) = (Some(now.mono), false);
        }
    }
}

/// When to ask for the lists.
#[derive(Debug, Default)]
struct Polls {
    is_wanted: bool,
    is_under_way: bool,
    last: Option<Monotonic>,
}

impl Polls {
    fn is_due(&self, now: Monotonic) -> bool {
        let since = self.last.map(|last| now.since(last));
        let least = if self.is_wanted { POLL_AT_MOST } else { POLL };
        !self.is_under_way && since.is_none_or(|since| since >= least)
    }

    const fn sent(&mut self, was_sent: bool, now: Monotonic) {
        if was_sent {
            *self = Self { is_wanted: false, is_under_way: true, last: Some(now) };
        }
    }

    const fn answered(&mut self, answer: &link::Answer) {
        match answer {
            link::Answer::Polled(_) | link::Answer::NotPolled(_) => self.is_under_way = false,
            // What a person asked for has changed something.
            _ => self.is_wanted = true,
        }
    }
}

fn broken(error: &io::Error) -> Stop {
    Stop::new(Exit::Failed, format!("the terminal cannot be used: {error}; --headless needs none"))
}
