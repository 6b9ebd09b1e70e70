//! What makers' devices are held to, our own wearable first.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};
use wearable::agent::{self, DeviceConfig, Pairing};

use crate::support::{
    Spot,
    program::{Program, path_of},
};

/// `gateway check-device` on a free port, its address and code.
fn check_device(more: &[&str]) -> (Program, String, Pairing) {
    let mut command = Command::new(path_of("gateway"));
    command.args(["check-device", "--listen", "127.0.0.1:0", "--json"]).args(more);
    let checking = Program::start(command, None);
    let listening = checking.wait_for("where it listens", |line| line.get("listening").is_some());
    let code = listening["code"].as_str().unwrap().parse().unwrap();
    (checking, listening["listening"].as_str().unwrap().to_owned(), Pairing::Enter(code))
}

#[test]
fn our_wearable_passes_every_gateway_that_check_device_plays() {
    let (checking, gateway, code) = check_device(&[]);
    // A maker's, so that it takes images at all.
    let spot = Spot::new();
    let at = |name: &str| spot.path().join(name).to_str().unwrap().to_owned();
    spot.run("wearable", &["firmware", "keygen", "--out", &at("maker")]).ended(0, &[]);
    let line = ["factory", "--serial", "SN-1", "--key", &at("maker"), "--label", &at("label.svg")];
    let more = ["--data-dir", &at("wearable")];
    spot.run("wearable", &[&line[..], &more].concat()).ended(0, &[]);
    let config = DeviceConfig {
        pairing: Some(code),
        // A minute in the field.
        refused_wait: Duration::from_millis(200),
        ..DeviceConfig::new("W001".parse().unwrap(), gateway, spot.path().join("wearable"))
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let device = runtime.block_on(async { agent::start(config) }).unwrap();
    let names = [
        "good",
        "wrong-key",
        "other-gateway",
        "other-suite",
        "old-reply",
        "unconfirmed",
        "silent",
        "refusal",
        "no-gateway",
        "oversize",
        "cut-short",
        "lost-ack",
        "two-acks",
        "future-ack",
        "twice-sent",
        "altered",
        "old-image",
    ];
    for name in names {
        let row = checking.wait(&json!({ "name": name }));
        assert_eq!(row["passed"], true, "{row}");
        if name == "old-image" {
            assert!(
                row["seen"].as_str().unwrap().contains("is not signed"),
                "it looked at the signature: {row}"
            );
        }
    }
    let said = checking.end();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.lines.last().map(|line| &line["failed"]), Some(&Value::from(0)), "{said:?}");
    drop(device);
}
