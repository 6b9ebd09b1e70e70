//! The program around the agent: where the code comes from, screen or lines, signals, exit code.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    time::Duration,
};

use host::{
    events::EventLines,
    exit::{Exit, Stop},
};
use protocol::pairing::code::PairingCode;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};

use crate::{
    agent::{Agent, AgentCommand, AgentError, AgentEvent, AgentHandle},
    cli::{Args, GivenCode},
    console, report,
};

/// Longest wait for a goodbye once the program was told to end.
const GOODBYE: Duration = Duration::from_secs(2);

/// A running agent's task.
pub(crate) type Task = JoinHandle<Result<(), AgentError>>;

/// Whether there is a person: a terminal on both sides, and no `--headless`.
#[must_use]
pub fn has_screen(args: &Args) -> bool {
    !args.headless && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Runs until the person, a signal or the agent ends it.
///
/// # Errors
/// [`Stop`] with the exit code and a sentence for the person.
pub async fn run(args: Args) -> Result<(), Stop> {
    let screen = has_screen(&args);
    let code = match args.pair {
        None => None,
        Some(GivenCode::Code(code)) => Some(code),
        Some(GivenCode::FromStdin) => {
            if io::stdin().is_terminal() {
                // Where the question cannot be shown it can still be answered.
                let _unseen = write!(io::stderr(), "Pairing code: ").is_err();
            }
            Some(read_code(&mut io::stdin().lock())?)
        }
    };
    let (config, place, link) = args.into_parts(code, screen)?;
    let signals = Signals::listen(screen).map_err(|error| failed(&error))?;
    let (handle, task) = if screen {
        let view = console::Opening::of(&config, &link);
        let (handle, task) = Agent::start(config, place, link);
        return Box::pin(console::run(view, handle, task, signals)).await;
    } else {
        Agent::start(config, place, link)
    };
    Box::pin(headless(handle, task, signals)).await
}

/// Reads a code from a line of `input`.
///
/// # Errors
/// [`Stop`] with [`Exit::Usage`] if it is none.
pub fn read_code(input: &mut impl BufRead) -> Result<PairingCode, Stop> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| failed(&error))?;
    line.trim().parse().map_err(|error| Stop::new(Exit::Usage, format!("{error}")))
}

async fn headless(mut handle: AgentHandle, task: Task, mut signals: Signals) -> Result<(), Stop> {
    let lines = EventLines::to_stdout();
    loop {
        let event = tokio::select! {
            event = handle.events.recv() => event,
            () = signals.next() => return end(handle, task, |event| emit(&lines, event)).await,
        };
        let Some(event) = event else { return outcome(task).await };
        emit(&lines, &event);
        if let AgentEvent::Disconnected { stays_out: true, .. } = event {
            // Nobody is here who could ask to return.
            return end(handle, task, |event| emit(&lines, event)).await;
        }
    }
}

fn emit(lines: &EventLines, event: &AgentEvent) {
    if let Some(line) = report::line(event) {
        lines.emit(&line);
    }
}

/// Tells the agent to end and waits for its goodbye, at most two seconds.
pub(crate) async fn end(
    mut handle: AgentHandle,
    task: Task,
    mut see: impl FnMut(&AgentEvent),
) -> Result<(), Stop> {
    let abort = task.abort_handle();
    let goodbye = async {
        // A full queue of commands means that the agent is busy; it ends when the last sender is gone.
        let _asked = handle.commands.try_send(AgentCommand::Stop).is_ok();
        drop(handle.commands);
        while let Some(event) = handle.events.recv().await {
            see(&event);
        }
        outcome(task).await
    };
    tokio::time::timeout(GOODBYE, goodbye).await.unwrap_or_else(|_| {
        abort.abort();
        Ok(())
    })
}

/// How the agent ended.
pub(crate) async fn outcome(task: Task) -> Result<(), Stop> {
    match task.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Stop::new(error.exit(), error.to_string())),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &dyn std::error::Error) -> Stop {
    Stop::new(Exit::Failed, error.to_string())
}

/// The signals that end the program.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Only with a screen: `nohup` must keep its meaning for the others.
    hangup: Option<Signal>,
}

impl Signals {
    fn listen(screen: bool) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: screen.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    pub(crate) async fn next(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_from_a_line() {
        let code = read_code(&mut &b" abc-def-gh2 \nmore"[..]).unwrap();
        assert_eq!(code, "ABC-DEF-GH2".parse().unwrap());
        assert_eq!(Stop::exit_of(&read_code(&mut &b""[..]).unwrap_err()), Exit::Usage);
    }
}
