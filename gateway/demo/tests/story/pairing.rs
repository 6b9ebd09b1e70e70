//! How computers and devices become known: codes, tries, and whose place is taken.

use serde_json::{Value, json};

use crate::support::{Program, Said, Spot, Ward, ward::in_group};

/// A code with the same selector and a wrong rest, as from a typing error.
fn mistyped(code: &str) -> String {
    let mut letters: Vec<char> = code.chars().collect();
    let last = letters.last_mut().unwrap();
    *last = if *last == '2' { '3' } else { '2' };
    letters.into_iter().collect()
}

/// A computer that tries a code once.
#[track_caller]
fn tries(ward: &Ward, id: &str, code: &str) -> Said {
    ward.patient_at(&Spot::new(), id, &["--pair", code]).end()
}

#[test]
fn a_wrong_code_tells_the_tries_left_and_the_third_closes_it() {
    let ward = Ward::open();
    let code = ward.code(&["--patient", "P001"]);
    let wrong = mistyped(&code);
    tries(&ward, "P001", &wrong).ended(78, &["Wrong code; 2 tries are left."]);
    tries(&ward, "P001", &wrong).ended(78, &["Wrong code; 1 try is left."]);
    tries(&ward, "P001", &wrong)
        .ended(78, &["Wrong code, and no tries are left.", "gateway pair --patient P001"]);
    tries(&ward, "P001", &code)
        .ended(78, &["This code is not open (mistyped, used or expired).", "gateway pair"]);
    let refusals = ward.ask(&["refusals"]).to_string();
    assert!(refusals.contains("wrong pairing code, 0 tries left"), "{refusals}");
    assert!(refusals.contains("no open pairing offer has this code"), "{refusals}");
    assert_eq!(ward.ask(&["patients"]), json!([]));
}

#[test]
fn a_code_serves_one_computer_and_only_its_patient() {
    let ward = Ward::open();
    let code = ward.code(&["--patient", "P001"]);
    tries(&ward, "P002", &code).ended(78, &["another patient"]);
    let code = ward.code(&["--patient", "P001"]);
    let patient = ward.patient("P001", &["--pair", &code]);
    let paired = patient.wait(&json!({"event": "paired"}));
    assert_eq!((&paired["patient"], &paired["doctor"]), (&json!("P001"), &json!("D001")));
    in_group(&patient);
    tries(&ward, "P001", &code).ended(78, &["This code is not open (mistyped, used or expired)."]);
    let for_wearable = ward.code(&["--wearable", "--patient", "P001"]);
    tries(&ward, "P001", &for_wearable).ended(78, &["another patient or kind of device"]);
}

#[test]
fn the_printed_line_pairs_a_computer_without_an_id_of_its_own() {
    let ward = Ward::open();
    let said = ward.verb(&["pair", "--patient", "P001"]).text();
    assert!(said.contains("good for 10 minutes and 3 tries"), "{said}");
    let line = said.split("machine:").nth(1).unwrap().trim();
    assert!(line.starts_with("patient --id P001 --doctor_id D001 --gateway "), "{line}");
    let words: Vec<&str> =
        line.split_whitespace().skip(1).filter(|w| !["--id", "P001"].contains(w)).collect();
    let computer = Spot::new();
    let patient = computer.start("patient", &[&words[..], &["--headless"]].concat());
    patient.wait(&json!({"event": "paired", "patient": "P001"}));
    in_group(&patient);
    patient.kill();
    // One identity is stored: it needs no id from then on.
    let line = ["--doctor-id", &format!("D001@{}", ward.patients), "--headless"];
    computer.start("patient", &line).wait(&json!({"event": "session"}));
}

#[test]
fn codes_can_come_on_standard_input() {
    let ward = Ward::open();
    let code = ward.code(&["--patient", "P001"]);
    let command = ward.spot.command("patient", &ward.patient_line("P001", &["--pair", "-"]));
    let patient = Program::start(command, Some(&format!("{}\n", code.to_lowercase())));
    in_group(&patient);
    let code = ward.code(&["--wearable", "--patient", "P001"]);
    let line = ["--name", "W1", "--gateway", &ward.wearables, "--headless", "--pair", "-"];
    let wearable = Program::start(ward.spot.command("wearable", &line), Some(&format!("{code}\n")));
    wearable.wait(&json!({"event": "paired", "doctor": "D001"}));
    wearable.wait(&json!({"event": "session"}));
    let nonsense = ward.spot.command("patient", &ward.patient_line("P009", &["--pair", "-", "--create"]));
    assert_eq!(Program::start(nonsense, Some("no code\n")).end().code, Some(64));
}

#[test]
fn a_wearable_that_shows_its_own_code_is_paired_from_the_gateway() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let wearable = ward.wearable("W1", &["--show-code"]);
    let code = wearable.wait(&json!({"event": "code"}));
    let offer =
        ward.ask(&["pair", "--wearable", "--patient", "P001", "--code", code["code"].as_str().unwrap()]);
    assert_eq!(
        (&offer["kind"], &offer["patient"], &offer["tries_left"]),
        (&json!("wearable"), &json!("P001"), &json!(3))
    );
    wearable.wait(&json!({"event": "paired"}));
    wearable.wait(&json!({"event": "session"}));
    wearable.wait(&json!({"event": "acknowledged"}));
    assert_eq!(ward.ask(&["wearables"])[0]["patient"], "P001");
}

#[test]
fn a_paired_patient_is_not_paired_again_silently() {
    let ward = Ward::open();
    // Two codes were given out before the first was used.
    let [early, late] = [(); 2].map(|()| ward.code(&["--patient", "P001"]));
    let first = ward.patient("P001", &["--pair", &early]);
    in_group(&first);
    let said = tries(&ward, "P001", &late);
    said.ended(
        78,
        &[
            "P001 is paired with another computer (since 20",
            "If it was replaced or lost, ask the clinic for: gateway pair --patient P001 --replace",
        ],
    );
    ward.verb(&["pair", "--patient", "P001"]).ended(
        1,
        &["P001 is paired with another computer (since 20", "gateway pair --patient P001 --replace"],
    );
    let (exit, report) = ward.alert(&["Still here"]);
    assert_eq!((exit, &report["decrypted"]), (0, &json!(1)));
    first.wait(&json!({"event": "alert", "text": "Still here"}));
}

#[test]
fn replacing_a_computer_shuts_the_old_one_out() {
    let ward = Ward::open();
    let old = ward.pair("P001", &[]);
    let code = ward.code(&["--patient", "P001", "--replace"]);
    let (exit, _) = ward.alert(&["Before"]);
    assert_eq!(exit, 0, "an invitation alone changes nothing");
    let new_computer = Spot::new();
    let new = ward.patient_at(&new_computer, "P001", &["--pair", &code]);
    in_group(&new);
    old.wait(&json!({"event": "alert", "text": "Before"}));
    old.wait(&json!({"event": "disconnected"}));
    let (exit, report) = ward.alert(&["After"]);
    assert_eq!((exit, &report["recipients"], &report["decrypted"]), (0, &json!(1), &json!(1)));
    new.wait(&json!({"event": "alert", "text": "After"}));
    let said = old.end();
    let shown: Vec<&Value> = said.lines.iter().filter(|line| line["event"] == "alert").collect();
    assert_eq!(shown.len(), 1, "{said:?}");
    // It does not come back either, by token or by key.
    let old = ward.patient("P001", &[]);
    let refused = old.wait_for("how to pair", |line| {
        line["event"] == "refused" && line["reason"].as_str().unwrap().contains("gateway pair --patient P001")
    });
    assert!(refused["reason"].as_str().unwrap().contains("does not know this computer"), "{refused}");
    assert!(old.all(&json!({"event": "session"})).is_empty());
    let (exit, _) = ward.alert(&["And still"]);
    assert_eq!(exit, 0);
}
