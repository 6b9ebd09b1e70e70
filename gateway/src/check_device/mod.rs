//! `gateway check-device`: plays one good gateway and many bad ones to a wearable and tells how it took them. For makers, who
//! run it against their own firmware. It needs no data folder; its keys live as long as it runs.
//!
//! [`mod@cases`] is the list of gateways, [`mod@bench`] the good one with a memory of every sample, [`mod@image`] what is offered and
//! how it may be refused, [`talk`] one connection. After each bad gateway the good one comes back and looks whether a sample is
//! missing.

mod bench;
mod cases;
mod image;
mod talk;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use host::exit::{Exit, Stop};
use protocol::pairing::code::PairingCode;
use serde::Serialize;
use tokio::net::TcpListener;

use self::{
    bench::{Bench, Outcome},
    cases::Case,
};

/// How to check a device.
#[derive(Debug, Args)]
#[command(
    after_help = "Open the device's pairing window and give it the code, or type its code here with --code. Then leave it alone:\n\
                  it has to find back by itself after every bad gateway, and every sample has to arrive.\n\
                  Exit code 0: passed; 1: failed; 69: no device came."
)]
pub struct CheckArgs {
    /// Where the device finds the gateway; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7301")]
    listen: SocketAddr,
    /// The code that the device shows [default: a new one, shown here].
    #[arg(long)]
    code: Option<PairingCode>,
    /// Only these, by name; may be given several times. The good one is always played.
    #[arg(long, value_name = "NAME", value_parser = Case::named)]
    only: Vec<Case>,
    /// An image that the maker signed, of the version that the device runs or an older one, to be refused [default: one that
    /// is newer and not signed].
    #[arg(long, value_name = "FILE")]
    old_image: Option<PathBuf>,
    /// Longest wait for the device to come (back).
    #[arg(long, default_value = "90s", value_parser = crate::config::parse_duration)]
    wait: Duration,
    /// Print JSON: a line with address and code, one for each gateway as it is done, one with the verdict.
    #[arg(long)]
    json: bool,
}

/// How the device took one gateway.
#[derive(Debug, Serialize)]
struct Row {
    /// The gateway.
    name: &'static str,
    /// What it did.
    gateway: &'static str,
    /// What a device must do.
    device_must: &'static str,
    /// Whether it did.
    passed: bool,
    /// What was seen.
    seen: String,
}

impl Row {
    fn of(case: Case, outcome: Outcome) -> Self {
        let (passed, seen) = outcome.map_or_else(|seen| (false, seen), |seen| (true, seen));
        Self { name: case.name(), gateway: case.gateway(), device_must: case.device_must(), passed, seen }
    }
}

/// What `--json` prints last.
#[derive(Debug, Serialize)]
struct Verdict {
    /// What the device said of itself.
    device: Option<String>,
    /// Gateways that it took well.
    passed: usize,
    /// Gateways that it did not.
    failed: usize,
}

/// What `--json` prints first.
#[derive(Debug, Serialize)]
struct Listening {
    listening: SocketAddr,
    code: String,
}

impl CheckArgs {
    /// Plays all gateways to the first device that comes.
    ///
    /// # Errors
    /// A [`Stop`]: the address is taken, the image cannot be read, or no device came.
    pub(crate) async fn carry_out(self) -> Result<Exit, Stop> {
        let image = self.old_image.as_deref().map(image::read).transpose();
        let image = image.map_err(|said| Stop::new(Exit::Usage, said))?;
        let listener = TcpListener::bind(self.listen).await;
        let listener = listener.map_err(|error| {
            let said = format!("cannot listen on {}: {error}; choose another with --listen", self.listen);
            Stop::new(Exit::Unavailable, said)
        })?;
        let address = listener.local_addr().unwrap_or(self.listen);
        let bench = Bench::new(listener, self.code, image, self.wait);
        let mut bench = bench.map_err(|said| Stop::new(Exit::Failed, said))?;
        self.introduce(address, &bench);

        let chosen = |case: &&Case| **case == Case::Good || self.only.is_empty() || self.only.contains(case);
        let mut rows = Vec::new();
        for case in Case::ALL.iter().filter(chosen) {
            self.tell(&format!("  {:<18} ", case.name()));
            let outcome = case.play(&mut bench).await;
            if *case == Case::Good && bench.no_show() {
                self.tell("no device\n");
                let said = format!("no device came in {} s", self.wait.as_secs());
                self.tell_json(&Row::of(*case, Err(said.clone())));
                self.tell_json(&Verdict { device: None, passed: 0, failed: 1 });
                return Err(Stop::new(Exit::Unavailable, said));
            }
            let row = Row::of(*case, outcome);
            self.tell(&format!("{}  {}\n", if row.passed { "pass" } else { "FAIL" }, row.seen));
            self.tell_json(&row);
            let passed = row.passed;
            rows.push(row);
            // Without a pairing there is nothing to play the others with.
            if *case == Case::Good && !passed {
                break;
            }
        }
        Ok(self.conclude(&rows, bench.device()))
    }

    fn introduce(&self, address: SocketAddr, bench: &Bench) {
        let code = bench.code().to_string();
        self.tell(&format!("Waiting for a wearable on {address}. Pair it with the code {code}.\n\n"));
        self.tell_json(&Listening { listening: address, code });
    }

    fn tell_json(&self, value: &impl Serialize) {
        if self.json {
            // Nobody reading it is no error of ours.
            writeln!(io::stdout(), "{}", serde_json::to_string(value).unwrap_or_default()).ok();
        }
    }

    fn tell(&self, text: &str) {
        if !self.json {
            let mut out = io::stdout().lock();
            write!(out, "{text}").and_then(|()| out.flush()).ok();
        }
    }

    fn conclude(&self, rows: &[Row], device: Option<String>) -> Exit {
        let failed: Vec<&Row> = rows.iter().filter(|row| !row.passed).collect();
        let passed = rows.len() - failed.len();
        let who = device.as_deref().unwrap_or("the device");
        self.tell(&format!("\n{who}: {passed} of {} passed\n", rows.len()));
        for Row { name, gateway, device_must, seen, .. } in &failed {
            self.tell(&format!(
                "\n{name}: the gateway {gateway}.\n  The device must {device_must}.\n  Seen: {seen}.\n"
            ));
        }
        self.tell_json(&Verdict { device, passed, failed: failed.len() });
        if failed.is_empty() { Exit::Done } else { Exit::Failed }
    }
}
