//! The person's console on UART1: tells what happens, takes lines that are typed. Owns the words; decides nothing.

use core::fmt::{self, Write as _};

use heapless::String;
use protocol::{firmware::FirmwareStatus, pairing::code::PairingCode};
use wearable_core::{device::Event, mode::Switch};

use crate::uart::Uart;

/// A line for the person.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::console::tell(format_args!($($text)*)) };
}

/// What [`say!`] does.
pub(crate) fn tell(text: fmt::Arguments<'_>) {
    // The line takes everything.
    write!(&mut Uart::CONSOLE.clone(), "{text}\r\n").ok();
}

const HELP: &str = "type: switch configuration | switch working | code CODE | confirm | retry";

/// Longest line that is understood.
const LINE: usize = 40;

/// What a person wants.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Command {
    /// The slide switch, which this board has not.
    Slide(Switch),
    /// A gateway's code.
    Code(PairingCode),
    /// Yes, erase everything.
    Confirm,
    /// Try again now.
    Retry,
}

/// The console.
#[derive(Debug, Default)]
pub(crate) struct Console {
    line: String<LINE>,
}

impl Console {
    /// What was typed since the last call, up to the first complete line.
    pub(crate) fn poll(&mut self) -> Option<Command> {
        while let Some(byte) = Uart::CONSOLE.receive() {
            match byte {
                b'\r' | b'\n' => {
                    let line = core::mem::take(&mut self.line);
                    if line.is_empty() {
                        continue;
                    }
                    let command = understood(&line).filter(|_| line.len() < LINE);
                    if command.is_none() {
                        say!("{HELP}");
                    }
                    return command;
                }
                // What is too long is no command either.
                byte => self.line.push(byte.into()).unwrap_or_default(),
            }
        }
        None
    }
}

fn understood(line: &str) -> Option<Command> {
    match line.trim().split_once(' ').unwrap_or((line.trim(), "")) {
        ("switch", "configuration") => Some(Command::Slide(Switch::Configuration)),
        ("switch", "working") => Some(Command::Slide(Switch::Working)),
        ("code", code) => code.parse().ok().map(Command::Code),
        ("confirm", "") => Some(Command::Confirm),
        ("retry", "") => Some(Command::Retry),
        _ => None,
    }
}

/// Tells what happened.
pub(crate) fn show(event: &Event) {
    match event {
        Event::Mode { to, .. } => say!("state: {to} [SIMULATED signals, TEST ONLY keys]"),
        Event::Code(code) => {
            say!("code: {code}");
            say!(
                "enter it at the gateway within 10 minutes: gateway pair --wearable --patient P001 --code {code}"
            );
        }
        Event::Granted { doctor, .. } => say!("granted by {doctor}; checking"),
        Event::Bound { doctor, .. } => say!("paired with {doctor}"),
        Event::Session { doctor, suite, resumed, .. } => {
            let again = if *resumed { ", resumed" } else { "" };
            say!("session with {doctor}, suite {}{again}", suite.number());
        }
        Event::Acknowledged(seq) => say!("acknowledged: {}", seq.0),
        Event::Lost(gap) => say!("no room: {} samples up to {} are lost", gap.samples, gap.last.0),
        Event::Disconnected(why) => say!("no connection: {why}"),
        Event::Refused(why) => say!("refused: {why}"),
        Event::Storage(why) => say!("storage: {why}"),
        Event::ResetAsked => say!("factory reset? press the button shortly or type confirm within 30 s"),
        Event::ResetDone => say!("factory reset done: keys, binding and samples are erased"),
        Event::Settings(settings) => {
            let cadence = settings.cadence();
            say!("a sample every {} ms, sent every {} ms", cadence.sample_ms, cadence.upload_ms);
        }
        Event::Waveform(request) => say!("waveform {} wanted for {} s", request.signal.0, request.seconds),
        Event::Update(FirmwareStatus { state, version, received, length, refusal: None }) => {
            say!("update: {state}, version {version}, {received} of {length} bytes");
        }
        Event::Update(FirmwareStatus { state, version, refusal: Some(why), .. }) => {
            say!("update: {state}, version {version} {why}");
        }
        Event::Restart => say!("starting again, for the loader to choose an image"),
        Event::Missed(count) => say!("{count} events were not shown"),
    }
}
