//! The device's face in a terminal. It owns the terminal while it runs and gives it back on every way out; what is drawn
//! is in `view` and `trace`, what a key means in `input`.

mod input;
mod trace;
mod view;

use anyhow::Context;
use host::{
    signals::Signals,
    terminal::{Page, keys},
};

pub use self::{
    input::{Wish, wish_of},
    view::{Screen, draw},
};
use crate::{
    act::Act,
    agent::{Device, DeviceError, DeviceEvent, DeviceState, Ended},
    headless,
};

/// Shows a device until its person quits or it ends by itself.
///
/// # Errors
/// The terminal's. What the device ended with is the inner result.
pub async fn show(device: Device) -> anyhow::Result<Result<Ended, DeviceError>> {
    let page = Page::open().context("cannot use this terminal; try --headless")?;
    run(device, page).await
}

async fn run(mut device: Device, mut page: Page) -> anyhow::Result<Result<Ended, DeviceError>> {
    let mut keys = keys();
    let mut signals = Signals::listen(true).context("cannot wait for signals")?;
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut message = if device.is_new { "a new wearable was made".to_owned() } else { String::new() };
    let mut stopping = false;
    let mut events_open = true;
    loop {
        let state: DeviceState = device.state.borrow_and_update().clone();
        let (taken, network) = (state.taken, state.network);
        let screen = Screen { state, message: message.clone(), colours };
        page.terminal.draw(|frame| draw(frame, &screen)).context("cannot draw")?;
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
                Some(Wish::Command(Act::Stop)) | None => stopping = true,
                Some(Wish::Command(command)) => {
                    message.clear();
                    device.commands.send(command).await.ok();
                }
                Some(Wish::Wrong(said)) => message = said,
                Some(Wish::Nothing) => {}
            },
            () = signals.next(), if !stopping => stopping = true,
        }
        if stopping {
            message = format!("stopping; {} samples taken are kept", taken.0);
            device.commands.send(Act::Stop).await.ok();
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
