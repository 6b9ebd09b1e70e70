//! The program `gateway`: parses the command line, runs a gateway or asks a running one, and ends with an exit code.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use gateway::{
    app::Gateway,
    cli::{Cli, RunArgs, Verb},
};
use host::{Clock, events::EventLines, exit::Exit, exit::Stop};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::broadcast::error::RecvError,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            error.print().ok();
            return code.into();
        }
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("VITALWARD_LOG").unwrap_or_else(|_| "warn".into()),
        )
        .init();
    let runtime = match tokio::runtime::Runtime::new().context("cannot start the runtime") {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(error)),
    };
    ended(runtime.block_on(async move {
        match cli.verb {
            Some(verb) => carry_out(verb).await,
            None => run(cli.run).await,
        }
    }))
}

async fn carry_out(verb: Verb) -> anyhow::Result<Exit> {
    Ok(verb.carry_out().await?)
}

async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    let config = args.config()?;
    let gateway = Gateway::start(&config, Clock::start()).await?;
    run_headless(&gateway).await?;
    gateway.stop().await;
    Ok(Exit::Done)
}

async fn run_headless(gateway: &Gateway) -> anyhow::Result<()> {
    let lines = EventLines::to_stdout();
    let mut events = gateway.ward().subscribe();
    lines.emit(&gateway.listening());
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => lines.emit(&event),
                Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "standard output is too slow for all events"),
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
    }
}

fn ended(result: anyhow::Result<Exit>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            // The last word of a program that cannot go on; nobody may be reading it.
            writeln!(std::io::stderr(), "gateway: {error:#}").ok();
            Stop::exit_of(error.as_ref()).into()
        }
    }
}
