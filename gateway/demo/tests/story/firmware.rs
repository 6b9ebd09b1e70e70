//! New firmware from its maker's desk to a wearable that runs it, and what a wearable does not take.

use serde_json::{Value, json};

use crate::support::{Program, Ward};

/// A file below the story's home.
fn at(ward: &Ward, name: &str) -> String {
    ward.spot.path().join(name).to_str().unwrap().to_owned()
}

/// A signed image of version `version`, by a maker whose key is made here if it is not there.
#[track_caller]
fn image(ward: &Ward, maker: &str, hardware: &str, version: u32) -> String {
    let (key, body) = (at(ward, maker), at(ward, "body"));
    if !ward.spot.path().join(maker).exists() {
        ward.spot.run("wearable", &["firmware", "keygen", "--out", &key]).ended(0, &[]);
    }
    std::fs::write(&body, vec![u8::try_from(version).unwrap(); 40_000]).unwrap();
    let file = at(ward, &format!("{maker}-{hardware}-{version}.img"));
    let line = ["firmware", "sign", &body, "--key", &key, "--hardware", hardware];
    let more = ["--version", &version.to_string(), "--out", &file];
    ward.spot.run("wearable", &[&line[..], &more].concat()).ended(0, &[]);
    file
}

/// A wearable that the maker made, paired.
#[track_caller]
fn made(ward: &Ward) -> Program {
    let (key, label) = (at(ward, "maker"), at(ward, "label.svg"));
    let line = ["factory", "--serial", "SN-1", "--key", &key, "--label", &label];
    ward.spot.run("wearable", &line).ended(0, &[]);
    ward.pair_wearable("SN-1", "P001", &["--speed", "20"])
}

#[track_caller]
fn publish(ward: &Ward, file: &str) {
    ward.verb(&["firmware", "publish", file]).ended(0, &[]);
}

/// What the gateway knows of the wearable's firmware once its update has come to `state`.
#[track_caller]
fn told(ward: &Ward, version: u32) -> Value {
    let wearables = ward.ask(&["wearables"]);
    let status = &wearables[0]["status"];
    assert_eq!(status["firmware_version"], version, "{wearables}");
    status.clone()
}

#[test]
fn a_wearable_takes_its_makers_new_firmware_even_when_it_is_killed_half_way() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let second = image(&ward, "maker", "vitalward-sim", 2);
    let wearable = made(&ward);
    publish(&ward, &second);
    wearable.wait(&json!({"event": "update", "state": "receiving", "version": 2}));
    wearable.kill();

    let wearable = ward.wearable("SN-1", &["--speed", "20"]);
    wearable.wait(&json!({"event": "update", "state": "verified", "version": 2}));
    wearable.wait(&json!({"event": "boot", "reason": "update"}));
    wearable.wait(&json!({"event": "update", "state": "confirmed", "version": 2}));
    wearable.signal("TERM");
    wearable.end().ended(0, &[]);

    let wearable = ward.wearable("SN-1", &["--speed", "20"]);
    wearable.wait(&json!({"event": "acknowledged"}));
    told(&ward, 2);
    assert!(wearable.all(&json!({"event": "update"})).is_empty(), "what runs is not offered again");
}

#[test]
fn a_wearable_refuses_what_another_maker_signed_and_what_is_for_other_hardware() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    image(&ward, "maker", "lm3s6965", 9);
    let wearable = made(&ward);
    publish(&ward, &image(&ward, "stranger", "vitalward-sim", 3));
    let refused = wearable.wait(&json!({"event": "update", "state": "refused", "version": 3}));
    assert!(refused["refusal"].as_str().unwrap().contains("another maker"), "{refused}");
    let update = told(&ward, 1)["update"].clone();
    assert_eq!((&update["state"], &update["version"]), (&"refused".into(), &3.into()), "the clinic sees it");
    publish(&ward, &at(&ward, "maker-lm3s6965-9.img"));
    publish(&ward, &image(&ward, "maker", "vitalward-sim", 4));
    wearable.wait(&json!({"event": "update", "state": "confirmed", "version": 4}));
}
