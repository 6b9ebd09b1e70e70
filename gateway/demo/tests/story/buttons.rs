//! A wearable in somebody's hand: its button, its switch, its clumsy wire and its power, pressed and pulled over the
//! control socket while the real gateway looks on.

use serde_json::{Value, json};

use crate::{
    support::{Program, Said, Spot, Ward},
    vitals::{has_no_gap, numbers},
};

/// Does something to a wearable, and waits until it is done.
#[track_caller]
fn ctl(ward: &Ward, name: &str, words: &str) {
    let said = try_ctl(ward, name, words);
    assert_eq!(said.code, Some(0), "{words}: {said:?}");
}

fn try_ctl(ward: &Ward, name: &str, words: &str) -> Said {
    let words: Vec<&str> = words.split(' ').collect();
    ward.spot.run("wearable", &[&["ctl", "--name", name], &words[..]].concat())
}

#[track_caller]
fn status(ward: &Ward, name: &str) -> Value {
    ward.spot.run("wearable", &["ctl", "--name", name, "--json", "status"]).json().clone()
}

/// A wearable that nobody paired yet, with somebody beside it.
#[track_caller]
fn unpaired(ward: &Ward, name: &str) -> Program {
    let wearable = ward.wearable(name, &["--button", "--create"]);
    wearable.wait(&json!({"event": "started", "simulated": true}));
    wearable
}

fn vitals(ward: &Ward) -> Value {
    ward.ask(&["vitals", "--patient", "P001", "--last", "100000"])
}

#[test]
fn a_held_button_shows_a_code_that_pairs_at_the_gateway() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let wearable = unpaired(&ward, "W1");
    assert_eq!(status(&ward, "W1")["mode"], "Unprovisioned");
    let said = ward.spot.run("wearable", &["press", "--name", "W1", "--hold", "2.1"]).text();
    wearable.wait(&json!({"event": "mode", "from": "Unprovisioned", "to": "PairingOpen"}));
    let code = wearable.wait(&json!({"event": "code"}))["code"].as_str().unwrap().to_owned();
    assert!(said.starts_with("done") && said.ends_with(&code), "{said}");
    assert_eq!(status(&ward, "W1")["code"], code);
    ward.ask(&["pair", "--wearable", "--patient", "P001", "--code", &code]);
    wearable.wait(&json!({"event": "mode", "from": "PairingOpen", "to": "Validating"}));
    wearable.wait(&json!({"event": "paired", "doctor": "D001"}));
    wearable.wait(&json!({"event": "acknowledged", "seq": 1}));
    let status = status(&ward, "W1");
    assert_eq!((&status["mode"], &status["code"]), (&json!("Working/Online"), &Value::Null));
}

#[test]
fn without_a_window_on_both_sides_nobody_is_paired() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let wearable = unpaired(&ward, "W1");
    // A window at the gateway only: the device takes no code, a short press opens nothing.
    let code = ward.code(&["--wearable", "--patient", "P001"]);
    ctl(&ward, "W1", &format!("code {code}"));
    wearable.wait_for("no window", |line| {
        line["reason"].as_str().is_some_and(|why| why.contains("no pairing window"))
    });
    ctl(&ward, "W1", "button press");
    assert_eq!(status(&ward, "W1")["mode"], "Unprovisioned");
    // A window at the device only: its code is not open at the gateway.
    ctl(&ward, "W1", "button hold 2.1");
    wearable.wait(&json!({"event": "code"}));
    ward.gateway().wait_for("an unknown code", |line| {
        line["reason"].as_str().is_some_and(|why| why.contains("no open pairing offer"))
    });
    assert_eq!(status(&ward, "W1")["mode"], "PairingOpen");
    assert_eq!(ward.ask(&["wearables"]), json!([]));
    // Both: paired.
    ctl(&ward, "W1", &format!("code {code}"));
    wearable.wait(&json!({"event": "paired"}));
}

#[test]
fn a_replaced_gateway_is_refused_until_its_wearable_is_paired_again_and_no_sample_is_lost() {
    let mut ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    ward.pair_wearable("W1", "P001", &["--samples", "3", "--speed", "0"]).end().ended(0, &[]);
    ward.take_gateway().kill();
    // Another installation at the same addresses.
    let elsewhere = Spot::new();
    let folder = elsewhere.path().join("other").display().to_string();
    let line = ["--id", "D001", "--headless", "--data-dir", &folder, "--listen", &ward.patients];
    let other = elsewhere.start("gateway", &[&line[..], &["--wearable-listen", &ward.wearables]].concat());
    other.wait(&json!({"event": "listening"}));
    let there =
        |words: &[&str]| elsewhere.run("gateway", &[words, &["--data-dir", &folder, "--json"]].concat());
    let code = there(&["pair", "--patient", "P001"]).json()["code"].as_str().unwrap().to_owned();
    let _patient = ward.patient_at(&elsewhere, "P001", &["--pair", &code, "--create"]);
    other.wait(&json!({"event": "session", "kind": "patient"}));

    let wearable = ward.wearable("W1", &["--button", "--speed", "10"]);
    let refused = wearable.wait(&json!({"event": "refused"}));
    assert!(refused["reason"].as_str().unwrap().starts_with("This is NOT the gateway"), "{refused}");
    ctl(&ward, "W1", "slide configuration");
    ctl(&ward, "W1", "button hold 2.1");
    let code = wearable.wait(&json!({"event": "code"}))["code"].as_str().unwrap().to_owned();
    there(&["pair", "--wearable", "--patient", "P001", "--code", &code]).ended(0, &[]);
    wearable.wait(&json!({"event": "paired"}));
    wearable.wait(&json!({"event": "session"}));
    let taken = status(&ward, "W1")["taken"].as_u64().unwrap();
    wearable.wait_for("the samples so far", |line| line["seq"].as_u64() >= Some(taken));
    let stored = there(&["vitals", "--patient", "P001", "--last", "100000"]);
    let mut stored = numbers(stored.json());
    stored.reverse();
    assert!(stored[0] == 4 && *stored.last().unwrap() >= taken, "{stored:?}");
    assert!(stored.windows(2).all(|pair| pair[1] == pair[0] + 1), "{stored:?}");
}

#[test]
fn the_offline_scenario_keeps_everything_and_delivers_it_in_order() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    // The network is off from second 60 to 180.
    let limits = ["--scenario", "offline", "--speed", "60", "--samples", "240"];
    let said = ward.pair_wearable("W1", "P001", &limits).end();
    said.ended(0, &[]);
    for words in ["network off", "network on"] {
        assert!(said.lines.iter().any(|line| line["what"] == words), "{said:?}");
    }
    let stored = vitals(&ward);
    assert_eq!(has_no_gap(&stored), 240);
    let times: Vec<&str> =
        stored.as_array().unwrap().iter().map(|sample| sample["time"].as_str().unwrap_or_default()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "newest first: {times:?}");
}

#[test]
fn power_that_fails_in_the_middle_of_writes_loses_no_sample_that_was_kept() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let wearable = ward.pair_wearable("W1", "P001", &["--button", "--speed", "20"]);
    wearable.wait(&json!({"event": "acknowledged"}));
    for write in [1, 2, 3, 5] {
        ctl(&ward, "W1", &format!("power-cut {write}"));
        wearable.wait(&json!({"event": "boot", "reason": "power cut"}));
        wearable.wait(&json!({"event": "session", "resumed": false}));
    }
    ctl(&ward, "W1", "reboot");
    wearable.wait(&json!({"event": "boot", "reason": "reboot"}));
    ctl(&ward, "W1", "finish");
    let said = wearable.end();
    said.ended(0, &[]);
    let mut stored = numbers(&vitals(&ward));
    assert!(stored.is_sorted_by(|newer, older| newer > older), "nothing twice: {stored:?}");
    stored.reverse();
    // Numbers that a cut left in doubt are never used, and told; what was being written may be missing, too.
    let told = |number: u64| {
        let mut gaps = said.lines.iter().filter(|line| line["event"] == "gap" && line["reason"] == "restart");
        gaps.any(|gap| (gap["first"].as_u64()..=gap["last"].as_u64()).contains(&Some(number)))
    };
    let missing = (1..=*stored.last().unwrap()).filter(|n| stored.binary_search(n).is_err() && !told(*n));
    assert!(missing.clone().count() <= 4, "{:?}: {:#?}", missing.collect::<Vec<_>>(), said.lines);
}

#[test]
fn nineteen_samples_a_second_are_all_acknowledged() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let said = ward.pair_wearable("W1", "P001", &["--speed", "19", "--samples", "95"]).end();
    said.ended(0, &[]);
    assert!(
        said.lines.iter().all(|line| line["event"] != "gap" && line["event"] != "disconnected"),
        "{said:?}"
    );
    assert_eq!(has_no_gap(&vitals(&ward)), 95);
}

#[test]
fn a_change_of_the_intervals_at_the_gateway_reaches_the_wearable_and_stays() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let wearable = ward.pair_wearable("W1", "P001", &["--button"]);
    ward.ask(&["settings", "--wearable", "W1", "--sample", "30s", "--upload", "60s"]);
    wearable.wait(&json!({"event": "settings", "sample_ms": 30_000, "upload_ms": 60_000}));
    ctl(&ward, "W1", "reboot");
    wearable.wait(&json!({"event": "session", "resumed": false}));
    let status = status(&ward, "W1");
    assert_eq!((&status["sample_ms"], &status["upload_ms"]), (&json!(30_000), &json!(60_000)));
}

#[test]
fn a_wearable_without_post_quantum_suite_says_which_it_uses() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    for (name, suite) in [("W2", "2"), ("W3", "3"), ("W4", "4,2")] {
        let wearable = ward.pair_wearable(name, "P001", &["--suites", suite, "--samples", "1"]);
        let number: u64 = suite[..1].parse().unwrap();
        let session = wearable.all(&json!({"event": "session"}));
        assert_eq!(session[0]["suite"], number, "{session:?}");
    }
}

#[test]
fn a_wearable_that_is_told_to_stop_has_ended_when_the_verb_has() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let wearable = ward.pair_wearable("W1", "P001", &["--button", "--speed", "10"]);
    wearable.wait(&json!({"event": "acknowledged"}));
    ctl(&ward, "W1", "stop");
    // Its folder is free again, and its process ends as one whose person said so.
    let again = ward.wearable("W1", &["--button"]);
    again.wait(&json!({"event": "session", "resumed": false}));
    wearable.end().ended(0, &[]);
    ctl(&ward, "W1", "network off");
    ctl(&ward, "W1", "stop");
    again.end().ended(0, &[]);
}

#[test]
fn words_that_mean_nothing_and_a_wearable_that_does_not_run_are_told() {
    let ward = Ward::open();
    let _wearable = unpaired(&ward, "W1");
    try_ctl(&ward, "W1", "fly").ended(64, &["\"fly\" is nothing that can be done", "wearable ctl words"]);
    try_ctl(&ward, "W1", "scenario flood").ended(1, &["there is: normal, desaturation"]);
    std::fs::create_dir(ward.spot.path().join("wearable-W9")).unwrap();
    try_ctl(&ward, "W9", "status").ended(69, &["no wearable W9 runs here"]);
}

#[test]
fn a_fleet_is_paired_once_and_all_its_samples_are_acknowledged() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let codes = ward.spot.path().join("codes");
    let offers = ward.verb(&["pair", "--wearable", "--patient", "P001", "--count", "5", "--json"]).text();
    std::fs::write(&codes, offers).unwrap();
    let fleet = |count: &str, more: &[&str]| {
        let line = ["fleet", "--count", count, "--gateway", &ward.wearables, "--seconds", "2", "--json"];
        ward.spot.run("wearable", &[&line[..], more].concat())
    };
    let codes = codes.display().to_string();
    for more in [&["--codes", &codes][..], &[]] {
        let said = fleet("5", more);
        said.ended(0, &[]);
        let told = said.json();
        assert_eq!(
            (&told["paired"], &told["lost"], &told["waiting"]),
            (&json!(5), &json!(0), &json!(0)),
            "{told}"
        );
        assert!(told["acknowledged"].as_u64() >= Some(5) && told["acknowledged"] == told["taken"], "{told}");
    }
    let told = fleet("6", &[]);
    told.ended(3, &[]);
    assert!(told.json()["trouble"].as_str().unwrap().contains("no code is left"), "{told:?}");
    assert_eq!(ward.ask(&["wearables"]).as_array().unwrap().len(), 5);
}
