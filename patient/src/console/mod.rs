//! The terminal screen: takes the agent's events and the person's keys, and draws. What is shown is decided in
//! `state`, how it looks in `view`, what a key means in `input`. The terminal is restored on every way out.

mod input;
mod state;
mod view;

use std::{
    io::{self, Write},
    time::Duration,
};

use host::{
    Clock,
    exit::{Exit, Stop},
    signals::Signals,
    terminal::{Input, Page, keys},
};
use protocol::id::{DoctorId, PatientId};

use self::{input::Act, state::Screen, view::Palette};
use crate::{
    agent::{AgentConfig, AgentHandle},
    link::LinkSettings,
    program::{Task, end, outcome},
};

/// How often ages are counted on.
const TICK: Duration = Duration::from_millis(500);

/// What the screen shows before the first event.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) patient: Option<PatientId>,
    pub(crate) doctor: DoctorId,
    pub(crate) gateway: String,
}

impl Opening {
    pub(crate) fn of(config: &AgentConfig, link: &LinkSettings) -> Self {
        Self { patient: config.id.clone(), doctor: config.doctor.clone(), gateway: link.gateway.clone() }
    }
}

/// Shows the screen until the person or a signal ends it.
pub(crate) async fn run(
    opening: Opening,
    mut handle: AgentHandle,
    task: Task,
    mut signals: Signals,
) -> Result<(), Stop> {
    let clock = Clock::start();
    let palette = Palette::of_environment();
    let mut screen = Screen::new(opening, clock.now().wall);
    let mut page = Page::open().map_err(|error| broken(&error))?;
    let mut keys = keys();
    let mut tick = tokio::time::interval(TICK);
    // `None` once the agent has ended; its message stays on the screen until the person has read it.
    let mut task = Some(task);
    let mut ended = Ok(());
    loop {
        let now = clock.now().wall;
        page.terminal
            .draw(|frame| view::draw(frame, &screen, palette, now))
            .map_err(|error| broken(&error))?;
        let act = tokio::select! {
            event = handle.events.recv(), if task.is_some() => match event {
                Some(event) => {
                    if screen.see(&event, clock.now().wall) {
                        ring();
                    }
                    continue;
                }
                None => {
                    if let Some(task) = task.take() {
                        ended = outcome(task).await;
                    }
                    if screen.is_stopped() { continue } else { Act::Quit }
                }
            },
            key = keys.recv() => match key {
                Some(Input::Key(key)) => input::press(&mut screen, key),
                Some(Input::Pasted(text)) => input::paste(&mut screen, &text),
                Some(Input::Resized) => continue,
                None => Act::Quit,
            },
            _ = tick.tick() => continue,
            () = signals.next() => Act::Quit,
        };
        match act {
            Act::Nothing => {}
            Act::Tell(command) => {
                if handle.commands.try_send(command).is_err() {
                    screen.hint("Busy; press the key again in a moment.");
                }
            }
            Act::Quit => break,
        }
    }
    drop(page);
    match task {
        Some(task) => end(handle, task, |_| {}).await,
        None => ended,
    }
}

fn broken(error: &io::Error) -> Stop {
    Stop::new(Exit::Failed, format!("the terminal cannot be used: {error}; --headless needs none"))
}

/// A sound, for whoever does not look at the screen.
fn ring() {
    let mut out = io::stdout();
    // Without sound the banner remains.
    let _silent = out.write_all(b"\x07").and_then(|()| out.flush()).is_err();
}
