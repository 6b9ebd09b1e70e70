//! The program around the agent: where the code comes from, screen or lines, signals, exit code.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use host::{
    command_line::GivenCode,
    events::EventLines,
    exit::{Exit, Stop},
    signals::Signals,
};
use tokio::task::JoinHandle;

use crate::{
    agent::{Agent, AgentCommand, AgentError, AgentEvent, AgentHandle},
    cli::Args,
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
        Some(given) => {
            if given == GivenCode::FromStdin && io::stdin().is_terminal() {
                // Where the question cannot be shown it can still be answered.
                let _unseen = write!(io::stderr(), "Pairing code: ").is_err();
            }
            Some(given.read(&mut io::stdin().lock())?)
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
