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
    console::{self, Role},
    control::client::Target,
    ward::event::WardEvent,
};
use host::{
    Clock,
    command_line::log_to_stderr,
    events::EventLines,
    exit::{Exit, Stop},
    signals::Signals,
};
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
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
    let has_screen = cli.wants_screen() && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    log_to_stderr(has_screen);
    let runtime = match tokio::runtime::Runtime::new().context("cannot start the runtime") {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(error)),
    };
    ended(runtime.block_on(async move {
        match cli.verb {
            Some(Verb::Console { common }) => attach(&common.target(), has_screen).await,
            Some(verb) => Ok(verb.carry_out().await?),
            None => run(cli.run, has_screen).await,
        }
    }))
}

async fn attach(target: &Target, has_screen: bool) -> anyhow::Result<Exit> {
    if !has_screen {
        let said =
            "the console needs a terminal; without one, ask with: gateway status, gateway patients --json";
        return Err(Stop::new(Exit::Usage, said).into());
    }
    Ok(console::run(target, Role::Attached, None).await?)
}

async fn run(args: RunArgs, has_screen: bool) -> anyhow::Result<Exit> {
    let config = args.config()?;
    let gateway = Gateway::start(&config, Clock::start()).await?;
    // Whatever ends the screen, a terminal that went away included: the gateway says goodbye and stops.
    if has_screen {
        let ended = show(&gateway).await;
        gateway.stop().await;
        return ended;
    }
    let lines = EventLines::to_stdout();
    let mut events = gateway.ward().subscribe();
    let ended = run_headless(&gateway, &lines, &mut events).await;
    gateway.stop().await;
    // What the end brought: who was told, and that it is over.
    loop {
        match events.try_recv() {
            Ok(event) => lines.emit(&event),
            Err(TryRecvError::Lagged(count)) => lines.emit(&WardEvent::LinesLost { count }),
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    ended.map(|()| Exit::Done)
}

async fn show(gateway: &Gateway) -> anyhow::Result<Exit> {
    let facts = gateway.facts();
    let target = Target { id: None, data_dir: Some(facts.data_dir.clone()) };
    let welcome = facts.is_new.then(|| {
        format!(
            "A new gateway of {} lives in {} now.",
            gateway.ward().identity().doctor,
            facts.data_dir.display()
        )
    });
    let ended = console::run(&target, Role::Owner, welcome).await;
    // Nobody reading it is no error of ours.
    writeln!(std::io::stdout(), "Monitoring stops; clients are told.").ok();
    Ok(ended?)
}

async fn run_headless(
    gateway: &Gateway,
    lines: &EventLines,
    events: &mut Receiver<WardEvent>,
) -> anyhow::Result<()> {
    // Whoever reads that it listens may end it.
    let mut signals = Signals::listen(false)?;
    lines.emit(&gateway.listening());
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => lines.emit(&event),
                Err(RecvError::Lagged(count)) => lines.emit(&WardEvent::LinesLost { count }),
                Err(RecvError::Closed) => return Ok(()),
            },
            () = signals.next() => return Ok(()),
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
