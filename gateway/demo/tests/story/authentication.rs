//! Who gets in, and what everybody else is told.

use std::process::Command;

use serde_json::json;

use crate::support::{Spot, Ward, program::path_of, ward::in_group};

/// What every story of a wrong gateway must say.
const STRANGER: &str = "This is NOT the gateway that you paired with. Nothing was sent.";

#[test]
fn a_wrong_doctor_id_is_refused_and_nothing_is_stored() {
    let ward = Ward::open();
    let code = ward.code(&["--patient", "P001"]);
    let elsewhere = Spot::new();
    let line = ["--id", "P001", "--doctor_id", "D002", "--gateway", &ward.patients, "--headless"];
    let said = elsewhere.run("patient", &[&line[..], &["--pair", &code]].concat());
    said.ended(78, &["belongs to D001, not to D002. Nothing was stored."]);
    assert!(!elsewhere.path().join("patient-P001/identity.json").exists());
    assert_eq!(ward.ask(&["patients"]), json!([]), "who never logged in is not paired");

    let patient = ward.pair("P001", &[]);
    patient.signal("TERM");
    patient.end().ended(0, &[]);
    let said = ward.spot.run("patient", &line);
    said.ended(
        78,
        &["P001 on this computer is paired with D001's gateway, not with D002's. Check --doctor_id"],
    );
}

#[test]
fn an_unpaired_patient_is_told_how_to_pair() {
    let ward = Ward::open();
    let said = ward.patient("P001", &[]).end();
    said.ended(
        78,
        &["This computer is not paired with D001's gateway", "gateway pair --patient P001", "--pair CODE"],
    );
    assert!(!ward.spot.path().join("patient-P001").exists(), "nothing is left behind");
    let said = ward.wearable("W1", &[]).end();
    said.ended(78, &["not paired yet", "--pair CODE", "--show-code"]);
}

#[test]
fn a_patient_whom_the_gateway_forgot_is_told_how_to_pair_and_the_refusal_is_noted() {
    let ward = Ward::open();
    let patient = ward.pair("P001", &[]);
    patient.signal("TERM");
    patient.end().ended(0, &[]);
    ward.verb(&["revoke", "--patient", "P001"]).ended(0, &[]);
    let patient = ward.patient("P001", &[]);
    let refused = patient.wait_for("how to pair", |line| {
        line["event"] == "refused" && line["reason"].as_str().unwrap().contains("does not know this computer")
    });
    assert!(refused["reason"].as_str().unwrap().contains("gateway pair --patient P001"), "{refused}");
    ward.gateway().wait(&json!({"event": "refused", "client": "P001"}));
    let refusals = ward.ask(&["refusals"]);
    let reasons: Vec<&str> =
        refusals.as_array().unwrap().iter().map(|r| r["reason"].as_str().unwrap()).collect();
    assert!(reasons.contains(&"no client of this id is enrolled"), "{refusals:#}");
    for field in ["time", "source", "client", "reason"] {
        assert!(refusals[0][field].is_string(), "{refusals:#}");
    }
    assert_eq!(ward.ask(&["status"])["patients_connected"], 0);
}

#[test]
fn another_gateway_at_the_same_address_gets_nothing() {
    let mut ward = Ward::open();
    let patient = ward.pair("P001", &[]);
    let wearable = ward.pair_wearable("W1", "P001", &["--speed", "20"]);
    wearable.wait(&json!({"event": "acknowledged"}));
    ward.take_gateway().kill();

    // Same doctor, same ports, another data folder.
    let stranger = Spot::new();
    let line =
        ["--id", "D001", "--headless", "--listen", &ward.patients, "--wearable-listen", &ward.wearables];
    let gateway = stranger.start("gateway", &line);
    gateway.wait(&json!({"event": "listening"}));
    let refused = patient.wait(&json!({"event": "refused"}));
    assert!(refused["reason"].as_str().unwrap().starts_with(STRANGER), "{refused}");
    patient.end().ended(1, &[STRANGER]);
    let refused = wearable.wait(&json!({"event": "refused"}));
    assert!(refused["reason"].as_str().unwrap().starts_with(STRANGER), "{refused}");
    // Nobody on the network can end a wearable: it goes on sampling until its person stops it.
    wearable.signal("TERM");
    wearable.end().ended(0, &[]);

    let ask = |verb: &str| stranger.run("gateway", &[verb, "--json"]).json().clone();
    let status = ask("status");
    assert_eq!((&status["samples_stored"], &status["patients_paired"]), (&json!(0), &json!(0)));
    assert_eq!(ask("patients"), json!([]));
    gateway.kill();

    // With their own gateway back, nothing is missing.
    ward.start();
    in_group(&ward.patient("P001", &[]));
    let wearable = ward.wearable("W1", &["--samples", "1"]);
    assert_eq!(wearable.end().code, Some(0), "what was kept is delivered");
    let stored = ward.ask(&["vitals", "--patient", "P001", "--last", "100000"]);
    crate::vitals::has_no_gap(&stored);
}

#[test]
fn a_revoked_patient_is_out_at_once_and_counts_no_more() {
    let ward = Ward::open();
    let stays = ward.pair("P001", &[]);
    let goes = ward.pair("P002", &[]);
    ward.verb(&["revoke", "--patient", "P002"]).ended(0, &[]);
    goes.wait(&json!({"event": "disconnected", "reason": "revoked"}));
    let (exit, report) = ward.alert(&["For those who belong here"]);
    assert_eq!((exit, &report["recipients"], &report["decrypted"]), (0, &json!(1), &json!(1)));
    stays.wait(&json!({"event": "alert", "text": "For those who belong here"}));
    let said = goes.end();
    said.ended(78, &["The clinic has taken this computer off its list", "gateway pair --patient P002"]);
    assert!(said.lines.iter().all(|line| line["event"] != "alert"), "{said:?}");
    ward.verb(&["revoke", "--patient", "P002"]).ended(1, &["no patient called P002 is paired"]);
}

#[test]
fn a_revoked_wearable_stops_and_keeps_its_samples() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    ward.pair_wearable("Watch", "P001", &["--speed", "0", "--samples", "1"]).end().ended(0, &[]);
    let copy = Spot::new();
    let from = ward.spot.path().join("wearable-Watch");
    assert!(Command::new("cp").arg("-a").arg(from).arg(copy.path()).status().unwrap().success());
    let wearable = ward.wearable("Watch", &["--speed", "10"]);
    wearable.wait(&json!({"event": "acknowledged"}));
    ward.verb(&["revoke", "--wearable", "Watch"]).ended(0, &[]);
    wearable
        .end()
        .ended(78, &["does not take this wearable (any more)", "The samples taken so far are kept."]);
    assert_eq!(ward.ask(&["wearables"]), json!([]));
    ward.wearable("Watch", &[]).end().ended(78, &["not paired yet"]);
    // Outside a session nobody vouches for a refusal, so it ends nothing.
    let line = ["--name", "Watch", "--gateway", &ward.wearables, "--headless"];
    let copied = copy.start("wearable", &line);
    let refused = copied.wait(&json!({"event": "refused"}));
    assert!(refused["reason"].as_str().unwrap().contains("not paired (any more)"), "{refused}");
    copied.signal("TERM");
    copied.end().ended(0, &[]);
}

#[test]
fn a_second_program_with_the_same_identity_is_kept_out() {
    let ward = Ward::open();
    let first = ward.pair("P001", &[]);
    ward.patient("P001", &[]).end().ended(69, &["in use by another running program"]);

    // A copy of the folder on another computer has the same keys: one of the two must go, and says so.
    let copy = Spot::new();
    let from = ward.spot.path().join("patient-P001");
    let copied = Command::new("cp").arg("-a").arg(from).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    let second = ward.patient_at(&copy, "P001", &[]);
    in_group(&second);
    first.wait(&json!({"event": "disconnected"}));
    first.end().ended(1, &["Another session of P001 was opened with the same keys"]);
    let (exit, report) = ward.alert(&["To one only"]);
    assert_eq!((exit, &report["decrypted"]), (0, &json!(1)));
}

/// Stands before the clock of a program: adds the seconds that stand in the file `STORY_CLOCK`.
const SKEWED_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    long seconds = 0;
    FILE *file = clock == CLOCK_REALTIME ? fopen(getenv("STORY_CLOCK"), "r") : NULL;
    if (file) {
        if (fscanf(file, "%ld", &seconds) == 1) time->tv_sec += seconds;
        fclose(file);
    }
    return result;
}
"#;

#[test]
fn a_clock_that_is_off_is_explained_and_tried_again_until_it_is_set() {
    let ward = Ward::open_with(&["--clock-tolerance", "20s"]);
    let patient = ward.pair("P001", &[]);
    patient.signal("TERM");
    patient.end().ended(0, &[]);

    let tools = tempfile::tempdir().unwrap();
    let [source, library, clock] = ["clock.c", "clock.so", "offset"].map(|name| tools.path().join(name));
    std::fs::write(&source, SKEWED_CLOCK).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert!(compiler.status().expect("a C compiler, as the build needs one").success());

    for (offset, off) in [("90", "90 s"), ("-90", "90 s")] {
        std::fs::write(&clock, offset).unwrap();
        let mut command = Command::new(path_of("patient"));
        command.args(ward.patient_line("P001", &[])).env("VITALWARD_HOME", ward.spot.path());
        command.env("LD_PRELOAD", &library).env("STORY_CLOCK", &clock);
        let patient = crate::support::Program::start(command, None);
        let refused = patient.wait_for("a refusal for the clock", |line| {
            line["event"] == "refused" && line["reason"].as_str().unwrap().contains("clocks differ")
        });
        let reason = refused["reason"].as_str().unwrap();
        for part in
            ["20 s are allowed", "This computer says 20", "the gateway 20", "timedatectl", "Trying again"]
        {
            assert!(reason.contains(part), "{part:?} is not in {reason}");
        }
        assert!(reason.contains(off) || reason.contains("89") || reason.contains("91"), "{reason}");
        ward.gateway().wait_for("the check that failed", |line| {
            line["event"] == "refused" && line["reason"].as_str().unwrap().contains("20 s are allowed")
        });
        std::fs::write(&clock, "0").unwrap();
        in_group(&patient);
        patient.signal("TERM");
        patient.end().ended(0, &[]);
    }
}
