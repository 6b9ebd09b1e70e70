//! The program `demo` as a newcomer or a script runs it: every promise of its story is kept, and it says so. And its
//! library, as other tests may use it.
#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in tests; these are the tests' helpers")]

use std::{
    process::{Command, Output},
    time::Duration,
};

use demo::Ward;
use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).env_remove("VITALWARD_LOG").output().unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(events: &[Value], of: impl Fn(&Value) -> bool) -> usize {
    events.iter().filter(|event| of(event)).count()
}

#[test]
fn three_patients_pair_log_in_send_vitals_and_receive_a_broadcast() {
    let output = demo(&["--seconds", "6", "--json"]);
    let events = events(&output);
    let is = |event: &Value, from: &str, name: &str| event["from"] == from && event["event"] == name;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{:?}\n{said}", output.status);
    assert!(events.iter().all(|event| event["simulated"] == true && event["at_ms"].is_u64()), "{said}");

    for number in 1..=3 {
        let (patient, wearable) = (format!("P00{number}"), format!("W00{number}"));
        for client in [&patient, &wearable] {
            assert_eq!(count(&events, |e| is(e, client, "paired")), 1, "{client}\n{said}");
            assert_eq!(count(&events, |e| is(e, client, "session")), 1, "{client}\n{said}");
        }
        let vitals = |e: &Value| is(e, "gateway", "vitals") && e["patient"] == *patient;
        assert!(count(&events, vitals) >= 2, "{patient}\n{said}");
        assert_eq!(count(&events, |e| is(e, &patient, "alert")), 1, "{patient}\n{said}");
        for stage in ["decrypted", "acknowledged"] {
            let receipt =
                |e: &Value| is(e, "gateway", "receipt") && e["patient"] == *patient && e["stage"] == stage;
            assert_eq!(count(&events, receipt), 1, "{patient} {stage}\n{said}");
        }
    }
    let hybrid =
        |e: &Value| is(e, "gateway", "session") && e["kind"] == "patient" && e["post_quantum"] == true;
    assert_eq!(count(&events, hybrid), 3, "{said}");

    let summary = events.last().unwrap();
    assert!(is(summary, "demo", "summary"), "{summary}");
    assert_eq!((&summary["ok"], &summary["interrupted"]), (&true.into(), &false.into()), "{summary}");
    for field in ["recipients", "decrypted", "acknowledged"] {
        assert_eq!(summary[field], 3, "{field} {summary}");
    }
    let samples = &summary["samples"];
    assert_eq!((&samples["lost"], &samples["twice"]), (&0.into(), &0.into()), "{summary}");
    assert!(samples["stored"].as_u64() >= Some(6), "{summary}");
    let folder = events.iter().find(|e| is(e, "gateway", "listening")).unwrap()["data_dir"].as_str().unwrap();
    assert!(!std::path::Path::new(folder).exists(), "{folder} is left behind");
}

#[test]
fn an_absent_patient_gets_the_broadcast_when_its_cable_is_back() {
    let output = demo(&["--seconds", "14", "--patients", "2"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{:?}\n{said}", output.status);
    for sentence in [
        "SIMULATED",
        "P001 logged in: ElGamal signatures verified both ways, TLS with post-quantum key exchange",
        "2 of 2 decrypted, 2 acknowledged",
        "1 of 2 decrypted, 1 acknowledged by a person; missing: P002",
        "P002 is back by itself",
        "P002 got the alert it had missed",
        "none lost, none twice",
        "Everything that was promised happened.",
    ] {
        assert!(said.contains(sentence), "{sentence:?} in\n{said}");
    }
    assert!(!said.contains("TROUBLE"), "{said}");
}

#[test]
fn a_mistake_on_the_command_line_is_exit_64_and_help_is_0() {
    assert_eq!(demo(&["--patients", "0"]).status.code(), Some(64));
    let help = demo(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Not a medical device"));
}

#[test]
fn without_a_place_for_data_it_says_what_to_do() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    let output = command.args(["--seconds", "3"]).env("TMPDIR", "/nonexistent").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("set TMPDIR"), "{:?} {said}", output.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ward_reaches_its_patients_and_is_gone_after_its_end() {
    let ward = Ward::start(2).await.unwrap();
    let folder = ward.data_dir().to_owned();
    let report = ward.broadcast("Please come to the desk.", Duration::from_secs(30)).await.unwrap();
    assert_eq!((report.recipients, report.decrypted, report.missing.len()), (2, 2, 0));
    let report = ward.count(&report.alert, Duration::from_secs(30)).await.unwrap();
    assert_eq!(report.acknowledged, 2);
    // Before they were paired they kept nothing.
    for bed in ward.beds() {
        bed.wearable.state.clone().wait_for(|state| state.taken.0 > 0).await.unwrap();
    }
    let stocks = ward.stop().await.unwrap();
    assert_eq!(stocks.len(), 2);
    assert!(stocks.iter().all(|stock| stock.lost == 0 && stock.twice == 0 && stock.stored > 0), "{stocks:?}");
    assert!(!folder.exists());
}
