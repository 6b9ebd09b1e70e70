//! The program `wearable`: reads the command line, starts the device, and shows it on a screen or in event lines.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use host::{
    command_line::log_to_stderr,
    events::EventLines,
    exit::{Exit, Stop},
    signals::Signals,
};
use wearable::{
    act::Act,
    agent::{self, Device, DeviceError, Ended, Pairing},
    cli::{Args, EvaluateArgs, Verb},
    evaluate, factory, firmware, headless, screen,
};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Nobody is left to tell if that fails.
            drop(error.print());
            return exit.into();
        }
    };
    let ended = match args.verb {
        Some(Verb::Evaluate(evaluate)) => run_evaluate(evaluate),
        Some(Verb::Firmware(firmware)) => firmware::run(&firmware, &mut io::stdout()).map(|()| Exit::Done),
        Some(Verb::Factory(factory)) => factory::run(&factory, &mut io::stdout()).map(|()| Exit::Done),
        None => run(args).map(|()| Exit::Done),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            drop(writeln!(io::stderr(), "wearable: {error:#}"));
            Stop::exit_of(error.as_ref()).into()
        }
    }
}

fn run_evaluate(args: EvaluateArgs) -> anyhow::Result<Exit> {
    let coloured =
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut out = io::BufWriter::new(io::stdout().lock());
    let exit = evaluate::run(&args.into_options(coloured), &mut out, &mut io::stderr())?;
    out.flush().context("cannot write the result")?;
    Ok(exit)
}

fn run(args: Args) -> anyhow::Result<()> {
    let headless = args.headless || !io::stdin().is_terminal() || !io::stdout().is_terminal();
    log_to_stderr(!headless);
    let data_dir = args.data_dir()?;
    let mut pairing = match args.pair {
        Some(given) => Some(Pairing::Enter(given.read(&mut io::stdin().lock())?)),
        None => args.show_code.then_some(Pairing::Show),
    };
    if pairing.is_none() && !headless && !data_dir.join("gateway.json").exists() {
        pairing = Some(ask_for_code()?);
    }
    let config = args.into_config(data_dir, pairing)?;
    let name = config.name.clone();
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    runtime.block_on(async {
        let device = agent::start(config).map_err(explain)?;
        if headless {
            let lines = EventLines::to_stdout();
            lines.emit(&headless::started(&name, device.id, device.is_new));
            follow(device, &lines).await
        } else {
            let (Ended::Stopped | Ended::Delivered) = screen::show(device).await?.map_err(explain)?;
            Ok(())
        }
    })
}

/// Events to lines until the device ends; signals end it.
async fn follow(mut device: Device, lines: &EventLines) -> anyhow::Result<()> {
    let mut signals = Signals::listen(false).context("cannot wait for signals")?;
    loop {
        tokio::select! {
            event = device.events.recv() => match event {
                Some(event) => lines.emit(&headless::line(&event)),
                None => break,
            },
            () = signals.next() => stop(&device).await,
        }
    }
    let (Ended::Stopped | Ended::Delivered) =
        device.task.await.context("the device failed")?.map_err(explain)?;
    Ok(())
}

async fn stop(device: &Device) {
    // It fails only if the device has ended by itself.
    device.commands.send(Act::Stop).await.ok();
}

/// The sentence with its causes, and the exit code.
fn explain(error: DeviceError) -> anyhow::Error {
    let exit = error.exit();
    let said = format!("{:#}", anyhow::Error::new(error));
    Stop::new(exit, said).into()
}

/// Asks until the answer is a code, or nothing: then the device shows one.
fn ask_for_code() -> anyhow::Result<Pairing> {
    let mut out = io::stdout();
    writeln!(out, "This SIMULATED wearable is not paired yet.")?;
    loop {
        write!(
            out,
            "Code from the clinic (or Enter, to show a code to enter at the gateway; Ctrl-C to leave): "
        )?;
        out.flush()?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Err(explain(DeviceError::Unpaired));
        }
        match line.trim() {
            "" => return Ok(Pairing::Show),
            text => match text.parse() {
                Ok(code) => return Ok(Pairing::Enter(code)),
                Err(error) => writeln!(out, "{error}")?,
            },
        }
    }
}
