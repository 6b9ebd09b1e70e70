//! The program `wearable`: reads the command line, starts the device, and shows it on a screen or in event lines.

use std::{
    io::{self, IsTerminal, Write},
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
    ctl::{self, CtlArgs},
    evaluate, factory, firmware,
    fleet::{self, FleetArgs},
    headless,
    scenario::{self, Scenario},
    screen,
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
        Some(Verb::Ctl(ctl)) => run_ctl(&ctl),
        Some(Verb::Press(press)) => run_ctl(&press.into()),
        Some(Verb::Scenarios) => list_scenarios(),
        Some(Verb::Fleet(fleet)) => run_fleet(fleet),
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

fn run_ctl(args: &CtlArgs) -> anyhow::Result<Exit> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(ctl::run(args, &mut io::stdout()))?;
    Ok(Exit::Done)
}

fn list_scenarios() -> anyhow::Result<Exit> {
    let line =
        |text: String, Scenario { name, title, .. }| text + &format!("{:<14} {title}\n", name.as_str());
    // A reader that had enough is no failure.
    io::stdout().write_all(scenario::built_in().fold(String::new(), line).as_bytes()).ok();
    Ok(Exit::Done)
}

fn run_fleet(args: FleetArgs) -> anyhow::Result<Exit> {
    log_to_stderr(false);
    let (count, as_json) = (args.count.into(), args.json);
    let config = args.into_config(&mut io::stdin().lock())?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    let (tally, ran) = runtime.block_on(Box::pin(fleet::run(config, &mut io::stderr())))?;
    io::stdout().write_all(fleet::summary(count, &tally, ran, as_json).as_bytes())?;
    Ok(fleet::exit_of(count, &tally))
}

fn run(args: Args) -> anyhow::Result<()> {
    let headless = args.headless || !io::stdin().is_terminal() || !io::stdout().is_terminal();
    log_to_stderr(!headless);
    let data_dir = args.data_dir()?;
    let pairing = match &args.pair {
        Some(given) => Some(Pairing::Enter(given.read(&mut io::stdin().lock())?)),
        None => args.show_code.then_some(Pairing::Show),
    };
    let mut config = args.into_config(data_dir, pairing)?;
    // Somebody in front of a screen can press the button.
    config.attended |= !headless;
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
                Some(event) => headless::lines(&event).iter().for_each(|line| lines.emit(line)),
                None => break,
            },
            () = signals.next() => device.order(Act::Stop).await,
        }
    }
    let (Ended::Stopped | Ended::Delivered) =
        device.task.await.context("the device failed")?.map_err(explain)?;
    Ok(())
}

/// The sentence with its causes, and the exit code.
fn explain(error: DeviceError) -> anyhow::Error {
    let exit = error.exit();
    let said = format!("{:#}", anyhow::Error::new(error));
    Stop::new(exit, said).into()
}
