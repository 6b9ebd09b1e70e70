//! The patient's client as a program: parse, log, run, exit code.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::{Parser, error::ErrorKind};
use host::exit::{Exit, Stop};
use patient::{cli::Args, program};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nobody reads it: the exit code still tells.
            let _unread = error.print().is_err();
            return if asked { Exit::Done } else { Exit::Usage }.into();
        }
    };
    // Log lines would run through the screen.
    if !(program::has_screen(&args) && io::stderr().is_terminal()) {
        log_to_stderr();
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("no runtime: {error}"), Exit::Failed),
    };
    match runtime.block_on(Box::pin(program::run(args))) {
        Ok(()) => Exit::Done.into(),
        Err(stop) => complain(&stop.to_string(), Stop::exit_of(&stop)),
    }
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

fn complain(message: &str, exit: Exit) -> ExitCode {
    // With standard error closed the exit code still tells.
    let _unread = writeln!(io::stderr(), "patient: {message}").is_err();
    exit.into()
}
