//! The program `demo`: parses the command line, opens a ward, has the story told on a screen or in lines, and ends with
//! an exit code.

use std::{
    io::{self, IsTerminal, Write},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::Parser;
use demo::{
    Ward,
    cli::Args,
    news::Board,
    story::Story,
    telling::{Form, Summary, Teller, Voice},
};
use gateway::{
    console::{self, Role},
    control::client::Target,
};
use host::exit::{Exit, Stop};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How much longer than asked for a slow machine may take to do what was promised.
const OVERTIME: Duration = Duration::from_secs(30);
/// Alerts that the summary looks back on.
const ALERTS: u32 = 10_000;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Nobody reads it: the exit code still tells.
            error.print().ok();
            return exit.into();
        }
    };
    let form = args.form(io::stdin().is_terminal() && io::stdout().is_terminal());
    if form != Form::Silent {
        let filter = EnvFilter::try_from_env("VITALWARD_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    }
    let ended = tokio::runtime::Runtime::new()
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(Box::pin(run(&args, form))));
    ended.map_or_else(
        |error| {
            // With standard error closed the exit code still tells.
            writeln!(io::stderr(), "demo: {error:#}").ok();
            Stop::exit_of(error.as_ref()).into()
        },
        ExitCode::from,
    )
}

async fn run(args: &Args, form: Form) -> anyhow::Result<Exit> {
    let patients = usize::from(args.patients);
    let (voice, board) = (Voice::new(form), Board::default());
    if form == Form::Lines {
        voice.print("SIMULATED: invented patients, recorded signals. Not a medical device.\n");
    }
    let vitals_every = (args.length() / 5).clamp(Duration::from_secs(2), Duration::from_secs(10));
    let telling = tokio::spawn(Teller::new(voice.clone(), patients).listen(board.subscribe(), vitals_every));
    let mut ward = Ward::open(board.clone()).await?;
    let told = match form {
        Form::Silent => on_screen(&mut ward, patients).await?,
        Form::Lines | Form::Json => in_lines(&mut ward, patients, args.length()).await?,
    };
    let alerts = ward.gateway().alerts(ALERTS).await?;
    let stocks = ward.stop().await;

    let at = board.age();
    drop(board);
    let heard = telling.await?;
    let mut summary =
        Summary { stocks: Vec::new(), alerts, heard, broken: Vec::new(), interrupted: told.interrupted };
    summary.broken.extend(told.broken.map(|broken| format!("{broken:#}")));
    match stocks {
        Ok(stocks) => summary.stocks = stocks,
        Err(error) => summary.broken.push(format!("{error:#}")),
    }
    summary.judge();
    summary.tell(&voice, at);
    Ok(if summary.broken.is_empty() { Exit::Done } else { Exit::Failed })
}

/// How the story ended.
#[derive(Debug, Default)]
struct Told {
    broken: Option<anyhow::Error>,
    interrupted: bool,
}

async fn in_lines(ward: &mut Ward, patients: usize, length: Duration) -> anyhow::Result<Told> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let story = Story { patients, length: Some(length) }.tell(ward);
    let told = tokio::select! {
        told = tokio::time::timeout(length + OVERTIME, story) => told,
        _ = interrupt.recv() => return Ok(Told { broken: None, interrupted: true }),
        _ = terminate.recv() => return Ok(Told { broken: None, interrupted: true }),
    };
    let late =
        || format!("this machine was too slow to tell the story in {} s", (length + OVERTIME).as_secs());
    Ok(Told { broken: told.with_context(late).and_then(|told| told).err(), interrupted: false })
}

/// The doctor's console, while the story is told behind it.
async fn on_screen(ward: &mut Ward, patients: usize) -> anyhow::Result<Told> {
    let target = Target { id: None, data_dir: Some(ward.data_dir().to_owned()) };
    let welcome =
        "A SIMULATED ward; its patients come in now. Sit back and watch, or broadcast with 2; q ends it.";
    let mut console = pin!(console::run(&target, Role::Attached, Some(welcome.into())));
    let mut story = pin!(Story { patients, length: None }.tell(ward));
    let mut told = Told::default();
    let mut is_told = false;
    loop {
        tokio::select! {
            ended = &mut story, if !is_told => {
                is_told = true;
                told.broken = ended.err();
            }
            closed = &mut console => {
                closed?;
                return Ok(Told { interrupted: !is_told, ..told });
            }
        }
    }
}
