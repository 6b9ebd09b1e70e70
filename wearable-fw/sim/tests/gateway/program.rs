//! The program `wearable` as scripts run it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;

use crate::ward::Ward;

const CODE: &str = "ABC-DEF-GH2";

fn wearable(home: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wearable"));
    command
        .args(arguments.split(' '))
        .env("VITALWARD_HOME", home)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(json).collect()
}

fn json(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

/// A running program whose lines are read one by one.
struct Running(Child, BufReader<ChildStdout>);

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self(child, lines)
    }

    /// Reads on to a line with this event.
    async fn line(mut self, event: &'static str) -> (Self, Value) {
        let reading = tokio::task::spawn_blocking(move || {
            loop {
                let mut line = String::new();
                assert!(self.1.read_line(&mut line).unwrap() > 0, "it ended before {event}");
                let value: Value = serde_json::from_str(&line).unwrap();
                if value["event"] == event {
                    return (self, value);
                }
            }
        });
        tokio::time::timeout(crate::ward::PATIENCE, reading).await.expect(event).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn an_unpaired_device_without_a_terminal_ends_with_78_and_the_sentence() {
    let home = tempfile::tempdir().unwrap();
    let output = output(wearable(home.path(), "--headless")).await;
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("not paired yet") && said.contains("--pair CODE"), "{said}");
    assert!(home.path().join("wearable-W001/device-id").exists());
}

#[tokio::test]
async fn a_wrong_line_ends_with_64_and_an_unknown_name_with_the_known_ones() {
    let home = tempfile::tempdir().unwrap();
    for line in ["--speed fast", "--pair ABC", "--nonsense"] {
        assert_eq!(output(wearable(home.path(), line)).await.status.code(), Some(64), "{line}");
    }
    assert_eq!(output(wearable(home.path(), "--help")).await.status.code(), Some(0));
    std::fs::create_dir(home.path().join("wearable-W001")).unwrap();
    let output = output(wearable(home.path(), "--name W01 --headless")).await;
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("W001") && said.contains("--create"), "{said}");
}

#[tokio::test]
async fn a_script_sees_pairing_session_and_acknowledgements() {
    let (ward, home) = (Ward::open().await, tempfile::tempdir().unwrap());
    ward.memory().offers.push(CODE.parse().unwrap());
    let line = format!("--gateway {} --pair {CODE} --speed 0 --samples 100 --headless", ward.address);
    let output = output(wearable(home.path(), &line)).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = lines(&output);
    assert!(lines.iter().any(|line| line["event"] == "mode" && line["to"] == "PairingOpen"), "{lines:?}");
    let lines: Vec<&Value> = lines
        .iter()
        .filter(|line| !["mode", "code", "granted"].contains(&line["event"].as_str().unwrap()))
        .collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events[..3], ["started", "paired", "session"]);
    assert!(lines[0]["new"] == true && lines[0]["simulated"] == true && lines[0]["name"] == "W001");
    assert!(lines[1]["doctor"] == "D001" && lines[2]["resumed"] == false);
    let last = lines.last().unwrap();
    assert!(last["event"] == "acknowledged" && last["seq"] == 100, "{last}");
}

#[tokio::test]
async fn a_device_shows_its_code_to_scripts() {
    let (ward, home) = (Ward::open().await, tempfile::tempdir().unwrap());
    let line = format!("--gateway {} --show-code --speed 0 --headless", ward.address);
    let (device, shown) = Running::start(wearable(home.path(), &line)).line("code").await;
    ward.memory().offers.push(shown["code"].as_str().unwrap().parse().unwrap());
    device.line("paired").await.0.line("acknowledged").await;
}

#[tokio::test]
async fn killed_again_and_again_it_loses_nothing_it_took_and_repeats_no_number() {
    let (mut ward, home) = (Ward::open().await, tempfile::tempdir().unwrap());
    ward.memory().offers.push(CODE.parse().unwrap());
    let plain = format!("--gateway {} --speed 0 --headless", ward.address);
    let mut arguments = format!("{plain} --pair {CODE}");
    let mut enough = 0;
    for _ in 0..5 {
        let device = Running::start(wearable(home.path(), &arguments));
        enough += 50;
        ward.wait_until(|memory| memory.stored.len() > enough).await;
        enough = ward.memory().stored.len();
        drop(device); // SIGKILL
        arguments.clone_from(&plain);
    }
    let output = output(wearable(home.path(), &format!("{plain} --samples 10"))).await;
    assert_eq!(output.status.code(), Some(0));
    let memory = ward.memory();
    let mut boots = vec![];
    for pair in memory.stored.windows(2) {
        let [before, after] = [&pair[0], &pair[1]];
        assert!(before.seq < after.seq);
        if before.boot == after.boot {
            assert_eq!(after.seq.0, before.seq.0 + 1, "numbers are skipped at a restart only");
        } else {
            boots.push(after.boot);
        }
    }
    // What waits from earlier runs goes first, so a run may end before it takes a sample.
    assert!(boots.len() >= 2 && memory.unchained == 0, "{boots:?}");
}
