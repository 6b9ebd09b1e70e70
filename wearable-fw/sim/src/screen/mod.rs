//! The device's face in a terminal. It owns the terminal while it runs and gives it back on every way out; what is drawn
//! is in `view`, what a key means in `input`.

mod input;
mod view;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

pub use self::{
    input::{Wish, wish_of},
    view::{Screen, draw},
};
use crate::{
    agent::{Device, DeviceCommand, DeviceError, DeviceEvent, DeviceState, Ended},
    headless,
};

/// How often the keyboard's thread looks whether it should end.
const KEYBOARD_TURN: Duration = Duration::from_millis(200);

/// Shows a device until its person quits or it ends by itself.
///
/// # Errors
/// The terminal's. What the device ended with is the inner result.
pub async fn show(device: Device) -> anyhow::Result<Result<Ended, DeviceError>> {
    let terminal = Terminal::take().context("cannot use this terminal; try --headless")?;
    let (keys, keyboard) = read_keyboard();
    let shown = run(device, terminal, keys).await;
    keyboard.store(true, Ordering::Relaxed);
    shown
}

/// The terminal, until it is dropped; a panic gives it back too.
struct Terminal(DefaultTerminal);

impl Terminal {
    fn take() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// A thread that reads keys until the flag is set.
fn read_keyboard() -> (mpsc::Receiver<Event>, Arc<AtomicBool>) {
    let (sender, receiver) = mpsc::channel(16);
    let over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&over);
    std::thread::spawn(move || {
        while !flag.load(Ordering::Relaxed) {
            match event::poll(KEYBOARD_TURN) {
                Ok(false) => {}
                Ok(true) => {
                    if !event::read().is_ok_and(|event| sender.blocking_send(event).is_ok()) {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    });
    (receiver, over)
}

async fn run(
    mut device: Device,
    mut terminal: Terminal,
    mut keys: mpsc::Receiver<Event>,
) -> anyhow::Result<Result<Ended, DeviceError>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for signals")?;
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut message = if device.is_new { "a new wearable was made".to_owned() } else { String::new() };
    let mut stopping = false;
    let mut events_open = true;
    loop {
        let state: DeviceState = device.state.borrow_and_update().clone();
        let (taken, network) = (state.taken, state.network);
        let screen = Screen { state, message: message.clone(), colours };
        terminal.0.draw(|frame| draw(frame, &screen)).context("cannot draw")?;
        tokio::select! {
            ended = &mut device.task => return ended.context("the device failed"),
            changed = device.state.changed() => if changed.is_err() {
                return device.task.await.context("the device failed");
            },
            event = device.events.recv(), if events_open => match event {
                Some(event) => {
                    let refusal = device.state.borrow().refusal.clone();
                    message = news(&event, refusal.as_deref()).unwrap_or(message);
                }
                None => events_open = false,
            },
            key = keys.recv(), if !stopping => match key.map(|key| wish_of(&key, network)) {
                Some(Wish::Command(DeviceCommand::Stop)) | None => stopping = true,
                Some(Wish::Command(command)) => {
                    message.clear();
                    device.commands.send(command).await.ok();
                }
                Some(Wish::Wrong(said)) => message = said,
                Some(Wish::Nothing) => {}
            },
            _ = terminate.recv() => stopping = true,
            _ = hangup.recv() => stopping = true,
        }
        if stopping {
            message = format!("stopping; {} samples taken are kept", taken.0);
            device.commands.send(DeviceCommand::Stop).await.ok();
        }
    }
}

/// What is worth a line beyond what the screen shows anyway; `refusal` is what it shows as long as it lasts.
fn news(event: &DeviceEvent, refusal: Option<&str>) -> Option<String> {
    match event {
        DeviceEvent::Refused(reason) if refusal == Some(reason) => None,
        DeviceEvent::Lost(gap) => {
            Some(format!("no room: {} samples given up ({} to {})", gap.samples, gap.first.0, gap.last.0))
        }
        DeviceEvent::Discarded { bytes } => Some(format!("{bytes} bytes of the journal could not be read")),
        DeviceEvent::NotStored(reason) => Some(format!("a sample could not be stored: {reason}")),
        DeviceEvent::Refused(reason) => Some(format!("refused: {reason}")),
        DeviceEvent::Paired { doctor, .. } => Some(format!("paired with {doctor}")),
        DeviceEvent::Missed(_) => Some(headless::line(event).to_string()),
        DeviceEvent::Code(_)
        | DeviceEvent::Session { .. }
        | DeviceEvent::Acknowledged(_)
        | DeviceEvent::Skipped { .. }
        | DeviceEvent::Disconnected(_) => None,
    }
}
