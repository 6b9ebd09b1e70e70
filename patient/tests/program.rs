//! The program itself: its lines, its signals, its exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "clippy.toml allows them in tests"
)]

mod support;

use std::{path::Path, process::Stdio};

use protocol::message::Farewell;
use serde_json::Value;
use support::{PATIENCE, Ward, client, ending};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// A running `patient --headless`.
struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    told: Vec<Value>,
}

impl Program {
    fn start(home: &Path, arguments: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_patient"))
            .args(arguments.split_whitespace())
            .env("VITALWARD_HOME", home)
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, told: Vec::new() }
    }

    /// The next line of this event.
    async fn next(&mut self, event: &str) -> Value {
        let waiting = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).expect("every line is JSON");
                self.told.push(line.clone());
                if line["event"] == event {
                    return Some(line);
                }
            }
            None
        };
        let found = timeout(PATIENCE, waiting).await.ok().flatten();
        found.unwrap_or_else(|| panic!("no {event}; told {:#?}", self.told))
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
    }

    /// Exit code and what it said on standard error.
    async fn end(mut self) -> (i32, String) {
        let ending = async {
            while self.lines.next_line().await.unwrap().is_some() {}
            let mut said = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
            (self.child.wait().await.unwrap().code().unwrap(), said)
        };
        timeout(PATIENCE, ending).await.expect("it never ended")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headless_patient_tells_its_story_in_lines_and_says_goodbye() {
    let ward = Ward::start().await;
    let home = tempfile::tempdir().unwrap();
    let arguments = format!("--doctor_id D001@{} --pair - --headless --acknowledge", ward.address);
    let mut program = Program::start(home.path(), &arguments);
    let code = format!("{}\n", ward.code_for("P001"));
    program.child.stdin.as_mut().unwrap().write_all(code.as_bytes()).await.unwrap();
    let paired = program.next("paired").await;
    assert_eq!((&paired["patient"], &paired["doctor"]), (&"P001".into(), &"D001".into()));
    assert!(home.path().join("patient-P001/identity.json").exists(), "named after the granted id");
    let session = program.next("session").await;
    assert_eq!((&session["resumed"], &session["protected"]), (&false.into(), &true.into()));
    program.next("group").await;
    let (id, _) = ward.act(|sim, now, rng| sim.raise("Leave", None, None, now, rng));
    let alert = program.next("alert").await;
    assert_eq!(alert["alert"], id.to_string());
    assert_eq!((&alert["text"], &alert["priority"]), (&"Leave".into(), &"high".into()));
    assert_eq!((&alert["late"], &alert["repeated"]), (&false.into(), &false.into()));
    assert!(alert["epoch"].is_string() && alert["created"].is_u64() && alert["age_ms"].is_u64());
    for stage in ["decrypted", "acknowledged"] {
        assert_eq!(program.next("receipt").await["stage"], stage);
    }
    program.signal("-TERM").await;
    assert_eq!(program.end().await, (0, String::new()));
    ward.until("the goodbye", |sim| sim.in_session().is_empty()).await;

    let mut again =
        Program::start(home.path(), &format!("--doctor-id D001 --gateway {} --headless", ward.address));
    assert_eq!(again.next("session").await["resumed"], true);
    again.signal("-INT").await;
    assert_eq!(again.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_exit_code_and_a_sentence() {
    let (ward, other) = (Ward::start().await, Ward::start().await);
    let home = tempfile::tempdir().unwrap();
    let at = |ward: &Ward| format!("--doctor_id D001@{} --headless", ward.address);

    let (code, said) = Program::start(home.path(), "--headless").end().await;
    assert_eq!(code, 64);
    assert!(said.contains("--doctor_id"), "{said}");
    let (code, said) =
        Program::start(home.path(), "--doctor_id D001@a:1 --gateway b:2 --headless").end().await;
    assert_eq!((code, said.contains("once")), (64, true), "{said}");

    let (code, said) = Program::start(home.path(), &at(&ward)).end().await;
    assert_eq!(code, 78);
    assert!(said.contains("gateway pair --patient P001") && said.contains("--pair CODE"), "{said}");

    let unknown = Program::start(home.path(), &format!("{} --pair 222-222-222", at(&ward))).end().await;
    assert_eq!(unknown.0, 78);
    assert!(unknown.1.contains("not open"), "{}", unknown.1);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left behind");

    let mut program = Program::start(home.path(), &format!("{} --pair {}", at(&ward), ward.code_for("P001")));
    program.next("group").await;
    let (code, said) = Program::start(home.path(), &at(&ward)).end().await;
    assert_eq!((code, said.contains("in use")), (69, true), "{said}");
    let (code, said) = Program::start(home.path(), &format!("{} --id P010", at(&ward))).end().await;
    assert_eq!((code, said.contains("there is: P001")), (64, true), "{said}");
    ward.act(|sim, now, rng| sim.revoke(&client("P001"), now, rng));
    assert_eq!(program.next("disconnected").await["reason"], "revoked");
    let (code, said) = program.end().await;
    assert_eq!((code, said.contains("gateway pair --patient P001")), (78, true), "{said}");

    let mut stranger = Program::start(home.path(), &at(&other));
    let refused = stranger.next("refused").await;
    let sentence = "This is NOT the gateway that you paired with. Nothing was sent.";
    assert!(refused["reason"].as_str().unwrap().starts_with(sentence));
    let (code, said) = stranger.end().await;
    assert_eq!((code, said.contains(sentence)), (1, true), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headless_patient_that_the_doctor_sent_away_ends_because_nobody_can_ask_to_return() {
    let ward = Ward::start().await;
    let home = tempfile::tempdir().unwrap();
    let pair = format!("--doctor_id D001@{} --headless --pair {}", ward.address, ward.code_for("P001"));
    let mut program = Program::start(home.path(), &pair);
    program.next("group").await;
    program.signal("-TERM").await;
    assert_eq!(program.end().await.0, 0);
    let address = ending(&ward, &[Farewell::Shutdown, Farewell::EndedByDoctor]).await;
    let mut program = Program::start(home.path(), &format!("--doctor_id D001@{address} --headless"));
    assert_eq!(program.next("disconnected").await["reason"], "the other side shuts down");
    assert_eq!(program.next("disconnected").await["reason"], "ended by the doctor");
    assert_eq!(program.end().await, (0, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_version_are_no_mistakes() {
    let home = tempfile::tempdir().unwrap();
    for argument in ["--help", "--version"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_patient"));
        let output = child.arg(argument).env("VITALWARD_HOME", home.path()).output().await.unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("patient"));
    }
}
