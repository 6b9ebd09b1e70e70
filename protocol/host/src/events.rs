//! Event lines: what a headless program tells scripts, one JSON object per line on standard output.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;

/// Where event lines go; copies share it. Silent when no script listens.
#[derive(Debug, Clone)]
pub struct EventLines {
    enabled: bool,
    closed: Arc<AtomicBool>,
}

impl EventLines {
    /// Lines on standard output.
    #[must_use]
    pub fn to_stdout() -> Self {
        Self { enabled: true, closed: Arc::default() }
    }

    /// No lines (a screen is shown instead).
    #[must_use]
    pub fn silent() -> Self {
        Self { enabled: false, closed: Arc::default() }
    }

    /// Writes one line. A reader that went away stops the lines, not the program.
    pub fn emit(&self, event: &impl Serialize) {
        if !self.enabled || self.closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut line) = serde_json::to_vec(event) else { return };
        line.push(b'\n');
        let mut out = io::stdout().lock();
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }
}
