//! What scripts depend on: fields, exit codes, sentences.

use std::collections::BTreeSet;

use protocol::vitals::KnownQuantity;
use serde_json::{Value, json};

use crate::support::{Program, Spot, Ward};

/// Checks that an object has these fields and no others.
#[track_caller]
fn has_exactly(object: &Value, fields: &str) {
    let found: BTreeSet<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, fields.split_whitespace().collect(), "{object:#}");
}

#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no time"));
    assert!(text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T'), "{text} is no RFC 3339 time");
}

#[test]
fn the_main_job_a_newcomer_sees_vitals_arrive_and_a_broadcast_come_back_with_receipts() {
    let ward = Ward::open();
    let patient = ward.pair("P001", &["--acknowledge"]);
    let wearable = ward.pair_wearable("W1", "P001", &["--speed", "20"]);
    wearable.wait_for("20 samples acknowledged", |line| {
        line["event"] == "acknowledged" && line["seq"].as_u64() >= Some(20)
    });
    let event = ward.gateway().wait(&json!({"event": "vitals", "patient": "P001"}));
    assert_eq!(event["sample"]["simulated"], true);

    let (exit, report) = ward.alert(&["Leave by the east door"]);
    assert_eq!(exit, 0, "{report}");
    has_exactly(
        &report,
        "alert epoch recipients decrypted acknowledged missing p50_ms p99_ms last_ms
         text created expires cancels cancelled_by",
    );
    let counts = [&report["recipients"], &report["decrypted"], &report["missing"]];
    assert_eq!(counts, [&json!(1), &json!(1), &json!([])]);
    assert!(report["epoch"].is_string() && report["p50_ms"].is_u64() && report["p99_ms"].is_u64());
    let alert = &report["alert"];
    let seen = patient.wait(&json!({"event": "alert", "alert": alert, "text": "Leave by the east door"}));
    assert_eq!((&seen["epoch"], &seen["late"]), (&report["epoch"], &json!(false)));
    for stage in ["decrypted", "acknowledged"] {
        patient.wait(&json!({"event": "receipt", "alert": alert, "stage": stage}));
        ward.gateway().wait(&json!({"event": "receipt", "alert": alert, "patient": "P001", "stage": stage}));
    }
    let alerts = ward.ask(&["alerts"]);
    assert_eq!((&alerts[0]["alert"], &alerts[0]["acknowledged"]), (alert, &json!(1)));

    let vitals = ward.ask(&["vitals", "--patient", "P001", "--last", "5"]);
    let vitals = vitals.as_array().unwrap();
    let numbers: Vec<u64> = vitals.iter().map(|sample| sample["seq"].as_u64().unwrap()).collect();
    assert!(numbers.len() == 5 && numbers.is_sorted_by(|a, b| a > b), "newest first: {numbers:?}");
    for sample in vitals {
        has_exactly(sample, "time received device seq simulated quantities");
        is_time(&sample["time"]);
        is_time(&sample["received"]);
        assert_eq!(sample["simulated"], json!(true));
        for quantity in sample["quantities"].as_array().unwrap() {
            if quantity["reason"].is_null() {
                has_exactly(quantity, "code name unit value text plausible quality method calibration");
                assert!(quantity["value"].is_number() && quantity["method"].is_string());
            } else {
                has_exactly(quantity, "code name unit reason");
            }
        }
    }
    let names: Vec<&str> = vitals[0]["quantities"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|quantity| quantity["name"].as_str())
        .collect();
    for known in KnownQuantity::ALL {
        assert!(names.contains(&known.name), "{} is not in {names:?}", known.name);
    }

    let patients = ward.ask(&["patients"]);
    let row = &patients[0];
    for field in ["id", "connected", "since", "session", "epoch", "last_vitals"] {
        assert!(!row[field].is_null(), "{field} in {row:#}");
    }
    assert_eq!((&row["id"], &row["connected"], &row["away"]), (&json!("P001"), &json!(true), &json!(false)));
    is_time(&row["since"]);
    assert_eq!(row["session"], patient.all(&json!({"event": "session"}))[0]["session"]);
    let wearables = ward.ask(&["wearables"]);
    let found = [&wearables[0]["name"], &wearables[0]["patient"], &wearables[0]["connected"]];
    assert_eq!(found, [&json!("W1"), &json!("P001"), &json!(true)]);
    assert_eq!([&wearables[0]["suite"], &wearables[0]["post_quantum"]], [&json!(4), &json!(true)]);

    let status = ward.ask(&["status"]);
    let wanted = json!({
        "doctor": "D001", "patients_listen": ward.patients, "wearables_listen": ward.wearables,
        "patients_connected": 1, "patients_paired": 1, "wearables_connected": 1, "wearables_paired": 1,
        "storage": "ok", "refused": 0,
    });
    assert!(crate::support::fits(&status, &wanted), "{status:#}");
    assert!(status["samples_stored"].as_u64() >= Some(20) && !status["key_protection"].is_null());
    assert_eq!(ward.ask(&["refusals"]), json!([]));

    // People read the same.
    let said = ward.verb(&["alerts"]).text();
    assert!(said.contains("1 of 1 decrypted, 1 acknowledged"), "{said}");
    let said = ward.verb(&["patients"]).text();
    assert!(said.contains("P001") && said.contains("SIMULATED"), "{said}");
}

#[test]
fn exit_codes_say_whether_everybody_received_it() {
    let ward = Ward::open();
    let (exit, report) = ward.alert(&["Nobody hears this"]);
    assert_eq!((exit, &report["recipients"], &report["missing"]), (3, &json!(0), &json!([])));

    let present = ward.pair("P001", &[]);
    let absent = ward.pair("P002", &[]);
    absent.signal("TERM");
    absent.end().ended(0, &[]);
    ward.gateway().wait(&json!({"event": "disconnected", "client": "P002"}));
    let (exit, report) = ward.alert(&["Fire", "--wait", "500ms"]);
    assert_eq!((exit, &report["recipients"], &report["decrypted"]), (3, &json!(2), &json!(1)));
    assert_eq!(report["missing"][0]["patient"], "P002");
    let reason = report["missing"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("not connected since 20"), "{reason}");
    present.wait(&json!({"event": "alert", "text": "Fire"}));

    let said = ward.verb(&["alert", "Only you", "--to", "P001", "--yes"]);
    assert_eq!(said.code, Some(0));
    assert!(said.text().contains("1 of 1 decrypted"), "{said:?}");
    ward.verb(&["alert", "x", "--to", "P001,P009", "--yes"]).ended(1, &["not paired: P009"]);
    ward.verb(&["alert", "", "--yes"]).ended(64, &["an alert's text has 1 to"]);
    ward.verb(&["alert", &"x".repeat(5_000), "--yes"]).ended(64, &["an alert's text has 1 to"]);
    for wrong in [&["alert"][..], &["pair"], &["vitals"], &["alert", "x", "--wait", "soon"], &["dance"]] {
        assert_eq!(ward.verb(wrong).code, Some(64), "{wrong:?}");
    }
    ward.verb(&["vitals", "--patient", "P009"]).ended(1, &["no patient called P009 is paired"]);
    ward.verb(&["pair", "--wearable", "--patient", "P009"])
        .ended(1, &["patient P009 is not paired", "gateway pair --patient P009"]);
}

#[test]
fn the_selftest_checks_every_primitive_without_a_gateway() {
    let spot = Spot::new();
    let said = spot.run("gateway", &["selftest", "--json"]);
    said.ended(0, &[]);
    let report = said.json();
    has_exactly(report, "passed run skipped ms suites operations");
    assert_eq!(report["passed"], true);
    let suites = report["suites"].as_array().unwrap();
    let (mut run, mut skipped, mut names) = (0, 0, BTreeSet::new());
    for suite in suites {
        has_exactly(suite, "name origin used_for sizes run skipped ms failure");
        assert!(suite["run"].as_u64() > Some(0) && suite["failure"].is_null(), "{suite:#}");
        run += suite["run"].as_u64().unwrap();
        skipped += suite["skipped"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
        names.insert(suite["name"].as_str().unwrap());
    }
    assert_eq!((report["run"].as_u64(), report["skipped"].as_u64()), (Some(run), Some(skipped)));
    assert!(run > 2000, "{run} vectors");
    for primitive in ["AES-256-GCM", "Ascon-AEAD128", "Ed25519", "X25519", "ElGamal signatures", "SPAKE2"] {
        assert!(names.contains(primitive), "{primitive} is not in {names:?}");
    }
    for operation in report["operations"].as_array().unwrap() {
        has_exactly(operation, "name bytes us");
        assert!(operation["us"].as_f64() > Some(0.0), "{operation}");
    }
    assert!(report["operations"].as_array().is_some_and(|operations| operations.len() > 10));
    assert_eq!(std::fs::read_dir(spot.path()).unwrap().count(), 0, "it leaves nothing behind");

    // People read a line for each suite and the sums.
    let text = spot.run("gateway", &["selftest"]);
    let lines: Vec<&str> = text.lines.iter().filter_map(Value::as_str).collect();
    let total = lines.iter().position(|line| line.starts_with("total")).unwrap();
    assert_eq!((text.code, total), (Some(0), suites.len() + 1), "{text:?}");
    let sums: Vec<&str> = lines[total].split_whitespace().skip(1).take(2).collect();
    assert_eq!(sums, [run.to_string(), skipped.to_string()]);
}

#[test]
fn verbs_without_a_gateway_say_how_to_start_one() {
    let spot = Spot::new();
    let verbs: [&[&str]; 9] = [
        &["status"],
        &["patients"],
        &["wearables"],
        &["alerts"],
        &["refusals"],
        &["disconnect-all"],
        &["pair", "--patient", "P001"],
        &["alert", "Fire", "--yes"],
        &["vitals", "--patient", "P001"],
    ];
    for verb in verbs {
        spot.run("gateway", verb).ended(69, &["no gateway runs here; start one with: gateway --id D001"]);
    }
    spot.run("gateway", &["status", "--id", "D007"]).ended(69, &["no gateway runs for D007"]);
    // Nor after a crash, whose socket is still there.
    let mut ward = Ward::open();
    ward.take_gateway().kill();
    ward.verb(&["status"]).ended(69, &["no gateway runs here"]);
}

#[test]
fn a_verb_finds_the_only_gateway_and_asks_which_of_two() {
    let first = Ward::open();
    assert_eq!(first.ask(&["status"])["doctor"], "D001");
    let port = ["--headless", "--listen", "127.0.0.1:0", "--wearable-listen", "127.0.0.1:0"];
    let typo = [&["--id", "D0O1"][..], &port].concat();
    first.spot.run("gateway", &typo).ended(64, &["there is no D0O1 here; there is: D001", "--create"]);
    assert!(!first.spot.path().join("gateway-D0O1").exists(), "a typing error makes no clinic");
    let second: Program = first.spot.start("gateway", &[&["--id", "D002", "--create"][..], &port].concat());
    second.wait(&json!({"event": "listening", "doctor": "D002"}));
    first.verb(&["status"]).ended(64, &["several gateways run; add --id: D001, D002"]);
    assert_eq!(first.ask(&["status", "--id", "D002"])["doctor"], "D002");
}

#[test]
fn the_settings_file_is_read_and_flags_win_over_it() {
    let spot = Spot::new();
    let file = spot.path().join("settings.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:1\"\nwearable_listen = \"127.0.0.1:0\"\n").unwrap();
    let file = file.to_str().unwrap();
    let line = ["--id", "D001", "--headless", "--config", file];
    let gateway = spot.start("gateway", &[&line[..], &["--listen", "127.0.0.1:0"]].concat());
    let listening = gateway.wait(&json!({"event": "listening"}));
    assert_ne!(listening["patients"], "127.0.0.1:1");
    assert!(!listening["wearables"].as_str().unwrap().ends_with(":7301"), "{listening}");
    std::fs::write(file, "lisen = \"127.0.0.1:0\"").unwrap();
    spot.run("gateway", &line).ended(78, &["settings.toml", "lisen"]);
}
