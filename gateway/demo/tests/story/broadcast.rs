//! Whom an alert reaches, when, how often, and what is said of those whom it does not reach.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Program, Spot, Ward, ward::in_group};

/// The texts of the alerts that a patient's program showed as new.
fn shown(patient: &Program) -> Vec<String> {
    let new = patient.all(&json!({"event": "alert", "repeated": false}));
    new.iter().map(|alert| alert["text"].as_str().unwrap().to_owned()).collect()
}

fn alert_with(text: &str) -> Value {
    json!({"event": "alert", "text": text})
}

#[test]
fn an_alert_for_one_patient_reaches_no_other() {
    let ward = Ward::open();
    let [first, second] = ["P001", "P002"].map(|id| ward.pair(id, &[]));
    let (exit, report) = ward.alert(&["Your mother is here", "--to", "P002"]);
    assert_eq!((exit, &report["recipients"], &report["decrypted"]), (0, &json!(1), &json!(1)));
    assert_eq!(report["epoch"], Value::Null, "not under the group's key");
    second.wait(&alert_with("Your mother is here"));
    let (exit, _) = ward.alert(&["To all"]);
    assert_eq!(exit, 0);
    first.wait(&alert_with("To all"));
    assert_eq!(shown(&first), ["To all"]);
}

#[test]
fn an_alert_can_be_called_off_where_it_was_heard() {
    let ward = Ward::open();
    let [first, second] = ["P001", "P002"].map(|id| ward.pair(id, &[]));
    let (_, report) = ward.alert(&["Fire", "--to", "P001"]);
    let id = report["alert"].as_str().unwrap();
    let (exit, cancelling) = ward.alert(&["--cancel", id, "False alarm"]);
    assert_eq!((exit, &cancelling["recipients"], &cancelling["cancels"]), (0, &json!(1), &json!(id)));
    first.wait(&json!({"event": "alert", "text": "False alarm", "cancels": id}));
    let earlier =
        ward.ask(&["alerts"]).as_array().unwrap().iter().find(|a| a["alert"] == id).cloned().unwrap();
    assert_eq!(earlier["cancelled_by"], cancelling["alert"]);
    ward.alert(&["To all"]);
    second.wait(&alert_with("To all"));
    assert_eq!(shown(&second), ["To all"], "it was never told of the fire");
    let nobody = "0190a3c2-0000-7000-8000-000000000000";
    ward.verb(&["alert", "--cancel", nobody, "--yes"]).ended(1, &["there is no alert 0190a3c2"]);
    ward.verb(&["alert", "--cancel", "yesterday", "--yes"]).ended(64, &["an alert's id looks like"]);
}

#[test]
fn an_absent_patient_gets_what_it_missed_unless_it_expired() {
    let ward = Ward::open();
    let present = ward.pair("P001", &[]);
    let absent = ward.pair("P002", &[]);
    absent.kill();
    ward.gateway().wait(&json!({"event": "disconnected", "client": "P002"}));
    let (exit, report) = ward.alert(&["Gas", "--expires", "1s", "--wait", "1200ms"]);
    assert_eq!((exit, &report["decrypted"]), (3, &json!(1)));
    assert_eq!(report["missing"][0]["reason"], "expired before it was delivered");
    let (exit, _) = ward.alert(&["Water", "--wait", "0ms"]);
    assert_eq!(exit, 3);
    present.wait(&alert_with("Gas"));
    let absent = ward.patient("P002", &["--acknowledge"]);
    in_group(&absent);
    absent.wait(&alert_with("Water"));
    ward.gateway().wait(&json!({"event": "receipt", "patient": "P002", "stage": "acknowledged"}));
    let (exit, _) = ward.alert(&["Over"]);
    assert_eq!(exit, 0);
    absent.wait(&alert_with("Over"));
    assert_eq!(shown(&absent), ["Water", "Over"]);
    let alerts = ward.ask(&["alerts"]);
    let water = &alerts[1];
    assert_eq!(
        (&water["text"], &water["decrypted"], &water["missing"]),
        (&json!("Water"), &json!(2), &json!([]))
    );
}

#[test]
fn a_patient_who_missed_a_hundred_alerts_gets_them_all() {
    let ward = Ward::open();
    ward.pair("P001", &[]).kill();
    ward.gateway().wait(&json!({"event": "disconnected", "client": "P001"}));
    let count = 100;
    crate::crowd::raise_alerts(&ward, (0..count).map(|n| (format!("Number {n}"), None)).collect());
    let patient = ward.patient("P001", &[]);
    patient.wait_until("all alerts", |lines| {
        let shown = lines.iter().filter(|line| line["event"] == "alert" && line["repeated"] == false);
        (shown.count() == count).then_some(())
    });
    assert_eq!(patient.all(&json!({"event": "session"})).len(), 1, "in one session");
    let (exit, _) = ward.alert(&["And now"]);
    assert_eq!(exit, 0);
    let alerts = ward.ask(&["alerts", "--last", "200"]);
    assert!(alerts.as_array().unwrap().iter().all(|alert| alert["decrypted"] == 1), "{alerts:#}");
}

#[test]
fn an_alert_is_shown_once_though_the_patients_program_is_killed() {
    let ward = Ward::open();
    let patient = ward.pair("P001", &[]);
    let (exit, _) = ward.alert(&["Before the crash"]);
    assert_eq!(exit, 0);
    patient.wait(&alert_with("Before the crash"));
    patient.kill();
    let (exit, _) = ward.alert(&["During it", "--wait", "0ms"]);
    assert_eq!(exit, 3);
    let patient = ward.patient("P001", &[]);
    let session = patient.wait(&json!({"event": "session"}));
    assert_eq!(session["resumed"], true, "its ticket was on the disk");
    patient.wait(&alert_with("During it"));
    let (exit, _) = ward.alert(&["After it"]);
    assert_eq!(exit, 0);
    patient.wait(&alert_with("After it"));
    assert_eq!(shown(&patient), ["During it", "After it"]);
}

#[test]
fn a_patients_program_that_hangs_makes_nobody_wait_and_is_dropped_and_comes_back() {
    let ward = Ward::open();
    let others = ["P001", "P002", "P003"].map(|id| ward.pair(id, &[]));
    let hung = ward.pair("P004", &[]);
    hung.signal("STOP");
    let (exit, report) = ward.alert(&["Out, now", "--wait", "2s"]);
    assert_eq!((exit, &report["recipients"], &report["decrypted"]), (3, &json!(4), &json!(3)));
    assert_eq!(report["missing"], json!([{"patient": "P004", "reason": "connected, no receipt yet"}]));
    assert!(report["last_ms"].as_u64().unwrap() < 1_500, "the others did not wait: {report:#}");
    for patient in &others {
        patient.wait(&alert_with("Out, now"));
    }
    let gone = ward.gateway().wait(&json!({"event": "disconnected", "client": "P004"}));
    assert!(gone["reason"].as_str().unwrap().contains("silent"), "{gone}");
    hung.signal("CONT");
    hung.wait(&alert_with("Out, now"));
    hung.wait_until("a new session", |lines| {
        (lines.iter().filter(|line| line["event"] == "session").count() == 2).then_some(())
    });
    assert_eq!(shown(&hung), ["Out, now"]);
    ward.gateway().wait(&json!({"event": "receipt", "patient": "P004", "stage": "decrypted"}));
}

#[test]
fn a_session_that_the_doctor_ended_cannot_be_resumed_with_a_kept_token() {
    let ward = Ward::open();
    let patient = ward.pair("P001", &[]);
    // A thief's copy of the patient's folder, ticket included.
    let copy = Spot::new();
    let from = ward.spot.path().join("patient-P001");
    assert!(Command::new("cp").arg("-a").arg(from).arg(copy.path()).status().unwrap().success());
    assert_eq!(ward.ask(&["disconnect-all"]), 1);
    patient.end().ended(0, &[]);
    ward.gateway().wait(&json!({"event": "disconnected", "client": "P001"}));
    let returning = ward.patient_at(&copy, "P001", &[]);
    returning.wait(&json!({"event": "session", "resumed": false}));
    let refusals = ward.ask(&["refusals"]).to_string();
    assert!(refusals.contains("session token unknown, used, expired or revoked"), "{refusals}");
}

#[test]
fn ending_all_sessions_leaves_patients_out_and_wearables_in() {
    let ward = Ward::open();
    let patients = ["P001", "P002"].map(|id| ward.pair(id, &[]));
    let wearable = ward.pair_wearable("W1", "P001", &["--speed", "10"]);
    assert_eq!(ward.ask(&["disconnect-all"]), 2);
    for patient in patients {
        patient.wait(&json!({"event": "disconnected", "reason": "ended by the doctor"}));
        patient.end().ended(0, &[]);
    }
    crate::vitals::more_acknowledgements(&wearable, 3);
    assert!(wearable.all(&json!({"event": "disconnected"})).is_empty());
    let status = ward.ask(&["status"]);
    assert_eq!((&status["patients_connected"], &status["wearables_connected"]), (&json!(0), &json!(1)));
    let (exit, report) = ward.alert(&["Is anybody there", "--wait", "0ms"]);
    assert_eq!((exit, &report["recipients"], &report["decrypted"]), (3, &json!(2), &json!(0)));
    let patient = ward.patient("P001", &[]);
    let session = patient.wait(&json!({"event": "session"}));
    assert_eq!(session["resumed"], false, "the doctor ended that session for good");
    patient.wait(&alert_with("Is anybody there"));
}
