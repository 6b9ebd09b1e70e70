//! kill -9 and orderly ends of the gateway: what was acknowledged is there, nothing twice, and clients come back by
//! themselves.

use std::{collections::BTreeMap, time::Duration};

use host::Clock;
use serde_json::{Value, json};

use crate::{
    support::{Program, Ward, ward::in_group},
    vitals::{acknowledged, has_no_gap, more_acknowledgements, numbers},
};

/// Longest time out of service.
const BACK_IN: Duration = Duration::from_secs(10);

/// Waits until a program has had so many sessions.
#[track_caller]
fn sessions(program: &Program, count: usize) {
    program.wait_until("another session", |lines| {
        (lines.iter().filter(|line| line["event"] == "session").count() >= count).then_some(())
    });
}

#[test]
fn kill_9_of_the_gateway_amid_vitals_and_broadcasts_loses_nothing_acknowledged() {
    let mut ward = Ward::open();
    let patients = ["P001", "P002", "P003"].map(|id| ward.pair(id, &["--acknowledge"]));
    let wearables = [("W1", "P001"), ("W2", "P002")]
        .map(|(name, patient)| ward.pair_wearable(name, patient, &["--speed", "40"]));
    let mut promised: BTreeMap<String, u64> = BTreeMap::new();
    let clock = Clock::start();
    for round in 0..3 {
        for wearable in &wearables {
            more_acknowledgements(wearable, 2);
        }
        // The gateway dies while broadcasts are on their way.
        let broadcasts: Vec<_> = (0..4)
            .map(|n| {
                let text = format!("Round {round}, number {n}");
                ward.spot.start("gateway", &["alert", &text, "--yes", "--json", "--wait", "5s"])
            })
            .collect();
        ward.gateway().wait_until("receipts of this round", |lines| {
            (lines.iter().filter(|line| line["event"] == "receipt").count() >= 3).then_some(())
        });
        ward.take_gateway().kill();
        for broadcast in broadcasts {
            let said = broadcast.end();
            if let Some(report) = said.lines.first() {
                let decrypted = report["decrypted"].as_u64().unwrap();
                promised.insert(report["alert"].as_str().unwrap().to_owned(), decrypted);
            } else {
                // It came too late, or its gateway went away.
                said.ended(69, &["gateway: "]);
            }
        }
        let down = clock.now().mono;
        ward.start();
        for client in patients.iter().chain(&wearables) {
            sessions(client, round + 2);
        }
        let out = clock.now().mono.since(down);
        assert!(out < BACK_IN, "back in service after {out:?}");
        let stored: BTreeMap<String, u64> = ward
            .ask(&["alerts", "--last", "100"])
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| (alert["alert"].as_str().unwrap().to_owned(), alert["decrypted"].as_u64().unwrap()))
            .collect();
        for (alert, decrypted) in &promised {
            assert!(
                stored.get(alert) >= Some(decrypted),
                "{alert} with its {decrypted} receipts is in {stored:?}"
            );
        }
    }
    for wearable in &wearables {
        more_acknowledgements(wearable, 3);
    }
    let (exit, report) = ward.alert(&["The end"]);
    assert_eq!((exit, &report["decrypted"]), (0, &json!(3)));

    for (wearable, patient) in wearables.into_iter().zip(["P001", "P002"]) {
        wearable.signal("TERM");
        let said = wearable.end();
        said.ended(0, &[]);
        let stored = ward.ask(&["vitals", "--patient", patient, "--last", "100000"]);
        assert!(has_no_gap(&stored) >= acknowledged(&said.lines));
    }
    // Every alert that was recorded is shown to every patient once, and all receipts are in.
    let recorded = ward.ask(&["alerts", "--last", "100"]);
    for patient in &patients {
        for alert in recorded.as_array().unwrap() {
            patient.wait(&json!({"event": "alert", "alert": alert["alert"], "repeated": false}));
        }
        let new = patient.all(&json!({"event": "alert", "repeated": false}));
        assert_eq!(new.len(), recorded.as_array().unwrap().len(), "nothing is shown twice");
    }
    ward.verb(&["alert", "Receipts?", "--yes"]).ended(0, &[]);
    let missing: Vec<&Value> =
        recorded.as_array().unwrap().iter().filter(|alert| alert["missing"] != json!([])).collect();
    for alert in missing {
        // It was still on its way when we asked.
        let id = &alert["alert"];
        let now = ward.ask(&["alerts", "--last", "100"]);
        let now = now.as_array().unwrap().iter().find(|alert| alert["alert"] == *id).unwrap().clone();
        assert_eq!(now["decrypted"], 3, "{now:#}");
    }
}

#[test]
fn after_kill_9_sessions_are_resumed_without_a_new_login() {
    let mut ward = Ward::open();
    let patient = ward.pair("P001", &[]);
    let wearable = ward.pair_wearable("W1", "P001", &[]);
    more_acknowledgements(&wearable, 1);
    ward.crash_and_restart();
    for client in [&patient, &wearable] {
        client.wait(&json!({"event": "session", "resumed": true}));
    }
    ward.gateway().wait(&json!({"event": "session", "client": "P001", "resumed": true}));
    patient.wait(&json!({"event": "group"}));
    let (exit, _) = ward.alert(&["We are back"]);
    assert_eq!(exit, 0);
    more_acknowledgements(&wearable, 1);
}

#[test]
fn an_alert_raised_before_a_crash_reaches_an_absent_patient_after_it() {
    let mut ward = Ward::open();
    ward.pair("P001", &[]).kill();
    ward.gateway().wait(&json!({"event": "disconnected", "client": "P001"}));
    let (exit, report) = ward.alert(&["Remember me", "--wait", "0ms"]);
    assert_eq!((exit, report["missing"].as_array().unwrap().len()), (3, 1));
    ward.crash_and_restart();
    let patient = ward.patient("P001", &["--acknowledge"]);
    let alert = patient.wait(&json!({"event": "alert", "text": "Remember me", "repeated": false}));
    assert_eq!(alert["alert"], report["alert"]);
    ward.gateway().wait(&json!({"event": "receipt", "patient": "P001", "stage": "acknowledged"}));
    let now = &ward.ask(&["alerts"])[0];
    assert_eq!(
        (&now["decrypted"], &now["acknowledged"], &now["missing"]),
        (&json!(1), &json!(1), &json!([]))
    );
}

#[test]
fn a_gateway_that_is_told_to_stop_says_goodbye_and_clients_come_back_when_it_does() {
    let mut ward = Ward::open();
    let patient = ward.pair("P001", &[]);
    let wearable = ward.pair_wearable("W1", "P001", &["--speed", "10"]);
    more_acknowledgements(&wearable, 1);
    ward.gateway().signal("TERM");
    let said = ward.take_gateway().end();
    said.ended(0, &[]);
    assert!(said.lines.contains(&json!({"event": "stopping"})), "{said:?}");
    for client in [&patient, &wearable] {
        let gone = client.wait(&json!({"event": "disconnected"}));
        assert!(gone["reason"].as_str().unwrap().contains("shut"), "{gone}");
    }
    ward.verb(&["status"]).ended(69, &["start one with"]);
    ward.start();
    in_group(&patient);
    sessions(&patient, 2);
    sessions(&wearable, 2);
    let (exit, _) = ward.alert(&["Good morning"]);
    assert_eq!(exit, 0);
    more_acknowledgements(&wearable, 1);
    let stored = ward.ask(&["vitals", "--patient", "P001", "--last", "100000"]);
    has_no_gap(&stored);
    assert!(!numbers(&stored).is_empty());
    // And the same at Ctrl-C.
    ward.gateway().signal("INT");
    ward.take_gateway().end().ended(0, &[]);
}

#[test]
fn pairings_alerts_and_vitals_are_there_after_every_kind_of_end() {
    let mut ward = Ward::open();
    let patient = ward.pair("P001", &[]);
    ward.pair_wearable("W1", "P001", &["--samples", "30", "--speed", "0"]).end().ended(0, &[]);
    ward.alert(&["Written down"]);
    let lists = |ward: &Ward| {
        let alert = ward.ask(&["alerts"])[0].clone();
        let fields = ["alert", "text", "created", "expires", "recipients", "decrypted"];
        let alert: Vec<Value> = fields.iter().map(|field| alert[field].clone()).collect();
        let vitals = ward.ask(&["vitals", "--patient", "P001", "--last", "100"]);
        let wearable = ward.ask(&["wearables"])[0]["id"].clone();
        (alert, vitals, wearable, ward.ask(&["patients"])[0]["id"].clone())
    };
    let before = lists(&ward);
    assert_eq!(before.1.as_array().unwrap().len(), 30);
    ward.crash_and_restart();
    assert_eq!(lists(&ward), before);
    ward.gateway().signal("TERM");
    ward.take_gateway().end().ended(0, &[]);
    ward.start();
    assert_eq!(lists(&ward), before);
    sessions(&patient, 2);
}
