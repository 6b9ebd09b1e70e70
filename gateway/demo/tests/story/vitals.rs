//! Samples: each stored once, none lost, whatever happens to the device and the wire.

use serde_json::{Value, json};

use crate::support::{Program, Proxy, Ward};

/// The numbers of samples, as `vitals --json` gives them.
pub(crate) fn numbers(vitals: &Value) -> Vec<u64> {
    vitals.as_array().unwrap().iter().map(|sample| sample["seq"].as_u64().unwrap()).collect()
}

/// Checks that every number from the first on is there once.
#[track_caller]
pub(crate) fn has_no_gap(vitals: &Value) -> u64 {
    let mut numbers = numbers(vitals);
    numbers.reverse();
    let newest = *numbers.last().expect("there are samples");
    let oldest = numbers[0];
    assert_eq!(numbers, (oldest..=newest).collect::<Vec<u64>>(), "no gap, nothing twice");
    assert!(oldest <= 1, "from the first on: {oldest}");
    newest
}

/// The highest number that a wearable saw acknowledged.
pub(crate) fn acknowledged(lines: &[Value]) -> u64 {
    lines
        .iter()
        .filter(|line| line["event"] == "acknowledged")
        .map(|line| line["seq"].as_u64().unwrap())
        .max()
        .unwrap()
}

/// Waits until a wearable saw `count` more acknowledgements than now.
#[track_caller]
pub(crate) fn more_acknowledgements(wearable: &Program, count: usize) {
    let before = wearable.all(&json!({"event": "acknowledged"})).len();
    wearable.wait_until("more acknowledgements", |lines| {
        let now = lines.iter().filter(|line| line["event"] == "acknowledged").count();
        (now >= before + count).then_some(())
    });
}

#[test]
fn a_wearable_that_is_killed_again_and_again_loses_nothing_acknowledged_and_numbers_go_on() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let mut wearable = ward.pair_wearable("W1", "P001", &["--speed", "50"]);
    let mut seen = 0;
    for _ in 0..3 {
        more_acknowledgements(&wearable, 3);
        let said = wearable.kill();
        let acknowledged = acknowledged(&said.lines);
        assert!(acknowledged > seen, "numbers go on: {acknowledged} after {seen}");
        seen = acknowledged;
        let stored = ward.ask(&["vitals", "--patient", "P001", "--last", "100000"]);
        assert!(numbers(&stored)[0] >= acknowledged);
        wearable = ward.wearable("W1", &["--speed", "50"]);
        wearable.wait(&json!({"event": "session"}));
    }
    more_acknowledgements(&wearable, 3);
    wearable.signal("TERM");
    let said = wearable.end();
    said.ended(0, &[]);
    let stored = ward.ask(&["vitals", "--patient", "P001", "--last", "100000"]);
    let mut all = numbers(&stored);
    assert!(all.is_sorted_by(|a, b| a > b), "nothing twice: {all:?}");
    assert!(all[0] >= acknowledged(&said.lines));
    // Numbers that a crash left unused are skipped, and said to be.
    all.reverse();
    let missing: Vec<u64> = (all[0]..=all[all.len() - 1]).filter(|n| all.binary_search(n).is_err()).collect();
    let gaps = ward.gateway().all(&json!({"event": "gap"}));
    for number in missing {
        let said = gaps
            .iter()
            .any(|gap| gap["first"].as_u64() <= Some(number) && Some(number) <= gap["last"].as_u64());
        assert!(said, "{number} is missing and no gap says so: {gaps:?}");
    }
}

#[test]
fn without_a_gateway_a_wearable_keeps_its_samples_and_delivers_them_in_order() {
    let mut ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let wearable = ward.pair_wearable("W1", "P001", &["--speed", "50", "--samples", "300"]);
    more_acknowledgements(&wearable, 1);
    ward.take_gateway().kill();
    wearable.wait(&json!({"event": "disconnected"}));
    // It goes on sampling meanwhile.
    wearable.wait(&json!({"event": "disconnected"}));
    ward.start();
    let said = wearable.end();
    said.ended(0, &[]);
    let stored = ward.ask(&["vitals", "--patient", "P001", "--last", "100000"]);
    assert_eq!(has_no_gap(&stored), acknowledged(&said.lines));
    assert_eq!(numbers(&stored).len(), 300);
}

#[test]
fn vitals_of_two_wearables_and_two_patients_stay_apart() {
    let ward = Ward::open();
    let _patients = ["P001", "P002"].map(|id| ward.pair(id, &[]));
    let limits = ["--speed", "0", "--samples", "40"];
    let devices = [("W1", "P001"), ("W2", "P001"), ("W3", "P002")].map(|(name, patient)| {
        let wearable = ward.pair_wearable(name, patient, &limits);
        wearable.end().ended(0, &[]);
    });
    let of = |patient: &str| ward.ask(&["vitals", "--patient", patient, "--last", "1000"]);
    assert_eq!((of("P001").as_array().unwrap().len(), of("P002").as_array().unwrap().len()), (80, 40));
    let mut names: Vec<String> =
        of("P001").as_array().unwrap().iter().map(|s| s["device"].to_string()).collect();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), devices.len()), (2, 3));
}

#[test]
fn a_finger_that_leaves_the_sensor_replaces_the_value_by_the_reason_and_comes_back() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    // The finger is off from second 30 to 45.
    let limits = ["--scenario", "finger-off", "--speed", "0", "--samples", "60", "--seed", "1"];
    ward.pair_wearable("W1", "P001", &limits).end().ended(0, &[]);
    let mut samples = ward.ask(&["vitals", "--patient", "P001", "--last", "100"]).as_array().unwrap().clone();
    samples.reverse();
    let course = |name: &str| -> Vec<Value> {
        let of = |sample: &Value| {
            let all = sample["quantities"].as_array().unwrap();
            all.iter().find(|quantity| quantity["name"] == name).expect("it is in every sample").clone()
        };
        samples.iter().map(of).collect()
    };
    for name in ["SpO2", "pulse rate", "perfusion index"] {
        let course = course(name);
        for (second, quantity) in course.iter().enumerate().take(45).skip(31) {
            let said = (&quantity["value"], &quantity["reason"]);
            assert_eq!(said, (&Value::Null, &json!("finger off")), "{name} in second {second}");
        }
    }
    let spo2 = &course("SpO2")[29];
    assert_eq!((&spo2["method"], &spo2["calibration"]), (&json!("ratio of ratios"), &json!(1)));
    assert!(spo2["quality"].as_u64() > Some(0), "{spo2}");
    assert!(course("heart rate")[40]["value"].is_number(), "the electrodes are not the finger's business");
    let said = ward.verb(&["vitals", "--patient", "P001", "--last", "20"]).text();
    assert!(said.contains("SpO2 -- finger off") && said.contains("body temperature 3"), "{said}");
}

#[test]
fn a_stuck_bus_and_late_reads_are_reasons_at_the_gateway_and_never_a_held_value() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let scenario = ward.spot.path().join("stuck.toml");
    let at = |second: u32, what: &str| format!("[[timeline]]\nat = {second}\ndo = \"{what}\"\n");
    let head = "format = \"vitalward-scenario 1\"\ntitle = \"A bus that is held low\"\nseed = 1\n".to_owned();
    let timeline = [at(40, "bus stuck"), at(50, "bus free"), at(80, "reads late"), at(90, "reads prompt")];
    std::fs::write(&scenario, head + &timeline.concat()).unwrap();
    let limits = ["--scenario", scenario.to_str().unwrap(), "--speed", "0", "--samples", "130"];
    ward.pair_wearable("W1", "P001", &limits).end().ended(0, &[]);
    let mut samples = ward.ask(&["vitals", "--patient", "P001", "--last", "200"]).as_array().unwrap().clone();
    samples.reverse();
    let said = |name: &str, second: usize| -> (Value, Value) {
        let all = samples[second]["quantities"].as_array().unwrap();
        let found = all.iter().find(|quantity| quantity["name"] == name).expect("it is in every sample");
        (found["value"].clone(), found["reason"].clone())
    };
    let no_signal = (Value::Null, json!("no signal"));
    // What is done in a second is felt from the next one on.
    for second in 41..=50 {
        for name in ["SpO2", "pulse rate", "body temperature", "acceleration x"] {
            assert_eq!(said(name, second), no_signal, "{name} in second {second}");
        }
        assert!(said("heart rate", second).0.is_number(), "the ECG has a bus of its own: {second}");
    }
    for second in 81..=90 {
        for name in ["SpO2", "pulse rate", "heart rate"] {
            assert_eq!(said(name, second), no_signal, "{name} in second {second}");
        }
        assert!(said("acceleration x", second).0.is_number(), "its FIFO is long enough: {second}");
    }
    for name in ["SpO2", "heart rate", "body temperature"] {
        assert!(said(name, 75).0.is_number() && said(name, 129).0.is_number(), "{name} comes back");
    }
}

#[test]
fn a_listener_on_the_wire_between_wearable_and_gateway_reads_nothing() {
    let patient_id = "Quokka-of-room-9";
    let ward = Ward::open();
    let _patient = ward.pair(patient_id, &[]);
    let wire = Proxy::to(&ward.wearables);
    let code = ward.code(&["--wearable", "--patient", patient_id]);
    let address = wire.address();
    let line = ["--name", "Zanzibar-77", "--gateway", &address, "--headless", "--pair", &code];
    let wearable = ward.spot.start("wearable", &[&line[..], &["--speed", "0", "--samples", "200"]].concat());
    let started = wearable.wait(&json!({"event": "started"}));
    let session = wearable.wait(&json!({"event": "session"}));
    let gateway = wearable.wait(&json!({"event": "paired"}));
    wearable.end().ended(0, &[]);
    let heard = wire.heard();
    let (up, down): (Vec<u8>, Vec<u8>) =
        heard.into_iter().fold(Default::default(), |(mut up, mut down), one| {
            up.extend(one.to_gateway);
            down.extend(one.to_client);
            (up, down)
        });
    assert!(up.len() > 5_000 && down.len() > 500, "pairing, login and vitals went this way");
    let hex = |id: &Value| -> Vec<u8> {
        let digits: Vec<u8> = id.as_str().unwrap().bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    };
    let text = |id: &Value| id.as_str().unwrap().as_bytes().to_vec();
    let mut secrets: Vec<Vec<u8>> =
        [patient_id, "Zanzibar-77", "D001", "vitalward-sim", "heart", "SpO2", "temperature", "/min"]
            .iter()
            .map(|word| word.as_bytes().to_vec())
            .collect();
    secrets.push(code.as_bytes()[4..].to_vec());
    secrets.push(code.replace('-', "").as_bytes()[3..].to_vec());
    secrets.extend([
        hex(&started["device"]),
        text(&started["device"]),
        hex(&gateway["gateway"]),
        hex(&session["session"]),
    ]);
    for secret in &secrets {
        let found = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_slice());
        assert!(!found(&up) && !found(&down), "{:?} is on the wire", String::from_utf8_lossy(secret));
    }
    // Equal plaintexts do not look alike: no 16 bytes come twice, as keystream used twice would make them.
    let mut pieces: Vec<&[u8]> = up.windows(16).collect();
    pieces.sort_unstable();
    assert!(pieces.windows(2).all(|pair| pair[0] != pair[1]), "16 bytes came twice");
}

#[test]
fn an_altered_bit_on_the_wire_ends_the_session_and_loses_no_sample() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    ward.pair_wearable("W1", "P001", &["--samples", "1"]).end().ended(0, &[]);
    // One bit of the 40 001st byte that the wearable sends over all connections: in the middle of vitals.
    let mut flipped = false;
    let wire = Proxy::tampering(&ward.wearables, move |way, before, bytes| {
        if way == crate::support::proxy::Way::ToGateway && !flipped && before > 20_000 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            flipped = true;
        }
    });
    let address = wire.address();
    let line = ["--name", "W1", "--gateway", &address, "--headless", "--speed", "0", "--samples", "600"];
    let said = ward.spot.start("wearable", &line).end();
    said.ended(0, &[]);
    assert!(wire.heard().len() >= 2, "it had to connect again");
    let refusals = ward.ask(&["refusals"]);
    let reason = refusals[0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("did not open") || reason.contains("frame"), "{refusals:#}");
    let stored = ward.ask(&["vitals", "--patient", "P001", "--last", "100000"]);
    assert_eq!(numbers(&stored).len(), 601);
    has_no_gap(&stored);
}
