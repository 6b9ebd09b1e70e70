//! The signals that ask a program to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, and with a screen SIGHUP too.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Only with a screen: `nohup` must keep its meaning for programs without one.
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on these signals are heard here instead of ending the process. Call it before telling anybody that the
    /// program is ready: whoever reads that may end it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn listen(with_screen: bool) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: with_screen.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for the next of them. May be cancelled.
    pub async fn next(&mut self) {
        let hung_up = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hung_up => {}
        }
    }
}
