//! The terminal itself: raw mode and second page while the console is shown, as it was on every way out, and the thread
//! that reads keys.

use std::{
    io::{self, stdout},
    panic,
    sync::{
        Mutex,
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::Duration,
};

use crossterm::{
    event::{self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyEvent, KeyEventKind},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{DefaultTerminal, Terminal, backend::CrosstermBackend};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

/// How long the thread waits for a key before it looks whether anybody still wants one.
const POLL: Duration = Duration::from_millis(200);

/// From the terminal.
#[derive(Debug, Clone)]
pub(super) enum Input {
    Key(KeyEvent),
    /// Several characters at once; a line end in it is no Enter key.
    Pasted(String),
    Resized,
}

/// The terminal in raw mode and on its second page, until dropped.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) terminal: DefaultTerminal,
    faults: Receiver<String>,
}

impl Page {
    /// Takes the terminal. A panic of this thread restores it before it is reported; one of another thread, which the
    /// console survives, is kept for [`Self::fault`] instead of being printed across the screen.
    pub(super) fn open() -> io::Result<Self> {
        let (report, faults) = sync_channel(4);
        let report = Mutex::new(report);
        let (own, earlier) = (thread::current().id(), panic::take_hook());
        panic::set_hook(Box::new(move |fault| {
            if thread::current().id() == own {
                restore();
                earlier(fault);
            } else if let Ok(report) = report.lock() {
                // A full queue: the first faults are the ones that matter.
                report.try_send(fault.to_string()).ok();
            }
        }));
        enable_raw_mode()?;
        let entered = execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
            .and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        match entered {
            Ok(terminal) => Ok(Self { terminal, faults }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// A panic elsewhere in this process since the last call.
    pub(super) fn fault(&self) -> Option<String> {
        self.faults.try_recv().ok()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // In a panic the hook has done it; a second time would put the cursor over its report.
        if !thread::panicking() {
            restore();
            // Back to the standard hook: the page that ours protected is gone.
            drop(panic::take_hook());
        }
    }
}

fn restore() {
    // A terminal that went away needs no restoring.
    disable_raw_mode().ok();
    execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, crossterm::cursor::Show).ok();
}

/// Keys as they are pressed, until the receiver is dropped; closed when the terminal is gone.
pub(super) fn keys() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(16);
    thread::spawn(move || {
        while !sender.is_closed() {
            let event = match event::poll(POLL) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let input = match event {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
                Ok(Event::Paste(text)) => Input::Pasted(text),
                Ok(Event::Resize(..)) => Input::Resized,
                Ok(_) => continue,
                Err(_) => return,
            };
            if sender.blocking_send(input).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The signals that ask a program to end.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next of them.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
