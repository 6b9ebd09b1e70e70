//! The terminal itself: raw mode and second page while a screen is shown, as it was on every way out, and the thread
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
use tokio::sync::mpsc;

/// How long the thread waits for a key before it looks whether anybody still wants one.
const POLL: Duration = Duration::from_millis(200);

/// From the terminal.
#[derive(Debug, Clone)]
pub enum Input {
    /// A key was pressed or repeats.
    Key(KeyEvent),
    /// Several characters at once; a line end in it is no Enter key.
    Pasted(String),
    /// Draw again.
    Resized,
}

/// The terminal in raw mode and on its second page, until dropped.
#[derive(Debug)]
pub struct Page {
    /// To draw on.
    pub terminal: DefaultTerminal,
    faults: Receiver<String>,
}

impl Page {
    /// Takes the terminal. A panic of this thread restores it before it is reported; one of another thread, which the
    /// screen survives, is kept for [`Self::fault`] instead of being printed across the screen.
    ///
    /// # Errors
    /// The terminal's.
    pub fn open() -> io::Result<Self> {
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
    #[must_use]
    pub fn fault(&self) -> Option<String> {
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
#[must_use]
pub fn keys() -> mpsc::Receiver<Input> {
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
