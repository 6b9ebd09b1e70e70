//! The patient's client as a program: parse, log, run, exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, error::ErrorKind};
use host::{
    command_line::log_to_stderr,
    exit::{Exit, Stop},
};
use patient::{cli::Args, program};

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
    log_to_stderr(program::has_screen(&args));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("no runtime: {error}"), Exit::Failed),
    };
    match runtime.block_on(Box::pin(program::run(args))) {
        Ok(()) => Exit::Done.into(),
        Err(stop) => complain(&stop.to_string(), Stop::exit_of(&stop)),
    }
}

fn complain(message: &str, exit: Exit) -> ExitCode {
    // With standard error closed the exit code still tells.
    let _unread = writeln!(io::stderr(), "patient: {message}").is_err();
    exit.into()
}
