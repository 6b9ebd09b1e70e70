//! The device's face in a terminal. It owns the terminal while it runs and gives it back on every way out; what is drawn
//! is in `view` and `trace`, what can be chosen in `menu`, what a key means in `input`.

mod input;
mod menu;
mod trace;
mod view;

use anyhow::Context;
use host::{
    signals::Signals,
    terminal::{Page, keys},
};
use tokio::sync::oneshot;
use wearable_core::device::Event;

pub use self::{
    input::{Typed, Wish},
    view::{Screen, draw},
};
use crate::{
    act::{Act, Person},
    agent::{Device, DeviceError, DeviceEvent, DeviceState, Ended, Order},
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
    let mut typed = Typed::default();
    let mut stopping = false;
    let mut events_open = true;
    loop {
        let state: DeviceState = device.state.borrow_and_update().clone();
        let screen = Screen { state, message: message.clone(), typed: typed.clone(), colours };
        page.terminal.draw(|frame| draw(frame, &screen)).context("cannot draw")?;
        tokio::select! {
            ended = &mut device.task => return ended.context("the device failed"),
            changed = device.state.changed() => if changed.is_err() {
                return device.task.await.context("the device failed");
            },
            event = device.events.recv(), if events_open => match event {
                Some(event) => message = news(&event, screen.state.refusal.as_deref()).unwrap_or(message),
                None => events_open = false,
            },
            key = keys.recv(), if !stopping => {
                let wish = key.map_or(Wish::Act(Act::Stop), |key| typed.take(&key, &screen.state));
                match wish {
                    Wish::Act(Act::Stop) => stopping = true,
                    Wish::Act(act) => message = order(&device, act).await,
                    Wish::Wrong(said) => message = said,
                    Wish::Nothing => {}
                }
            }
            () = signals.next(), if !stopping => stopping = true,
        }
        if stopping {
            message = format!("stopping; {} samples wait and are kept", screen.state.waiting);
            device.order(Act::Stop).await;
        }
    }
}

/// Has it done; a hand that holds a button is not waited for.
async fn order(device: &Device, act: Act) -> String {
    let holds = matches!(act, Act::Person(Person::Press(_)));
    let (done, outcome) = oneshot::channel();
    let said = act.to_string();
    if holds || device.orders.send(Order { act: act.clone(), done: Some(done) }).await.is_err() {
        device.order(act).await;
        return said;
    }
    match outcome.await {
        Ok(Err(why)) => why,
        Ok(Ok(())) | Err(_) => said,
    }
}

/// What is worth a line beyond what the screen shows anyway; `refusal` is what it shows as long as it lasts.
fn news(event: &DeviceEvent, refusal: Option<&str>) -> Option<String> {
    let DeviceEvent::Device(event) = event else {
        return match event {
            DeviceEvent::NotStored(reason) => Some(format!("a sample could not be stored: {reason}")),
            DeviceEvent::Booted { why, report } => Some(format!(
                "{why}: started again as {}, {} samples kept",
                report.mode, report.samples.waiting
            )),
            DeviceEvent::Found(report) if report.configuration_damaged => {
                Some("the configuration is damaged: pair again".into())
            }
            _ => None,
        };
    };
    match event {
        Event::Refused(reason) if refusal == Some(reason) => None,
        Event::Mode { from, to } => Some(format!("{from} -> {to}")),
        Event::Lost(gap) => {
            Some(format!("no room: {} samples given up ({} to {})", gap.samples, gap.first.0, gap.last.0))
        }
        Event::Refused(reason) => Some(format!("refused: {reason}")),
        Event::Storage(error) => Some(format!("the flash failed: {error}")),
        Event::Bound { doctor, .. } => Some(format!("paired with {doctor}")),
        Event::ResetAsked => {
            Some("erase keys, binding and samples? press the button (b) or y within 30 s".into())
        }
        Event::ResetDone => Some("keys, binding and samples are erased; the device's identity stays".into()),
        Event::Settings(settings) => {
            let cadence = settings.cadence();
            Some(format!(
                "the gateway set: measure every {} s, send every {} s",
                cadence.sample_ms / 1_000,
                cadence.upload_ms / 1_000
            ))
        }
        Event::Waveform(request) => {
            Some(format!("the gateway asks for {} for {} s", request.signal, request.seconds))
        }
        Event::Restart => Some("an update is ready: starting again".into()),
        _ => None,
    }
}
