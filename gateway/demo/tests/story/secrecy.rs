//! Logs and event lines hold no secret, however much the programs are asked to log.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use crypto::Secret;
use gateway::store::Store;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Spot, Ward, program::path_of, ward::in_group};

/// What to look for, and its name.
type Named = (&'static str, Vec<u8>);

const LOG_EVERYTHING: [&str; 2] = ["env", "VITALWARD_LOG=trace"];

#[test]
fn logs_hold_no_key_no_token_no_code_and_no_alert() {
    let mut ward = Ward::launched(Spot::new(), &LOG_EVERYTHING, &[]);
    // A quiet day gives an empty log, and that would prove nothing.
    let mut stranger = TcpStream::connect(&ward.patients).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    stranger.read_to_end(&mut Vec::new()).unwrap();
    let start = |program: &str, line: &[&str]| {
        let program = path_of(program);
        let [env, variable] = LOG_EVERYTHING;
        ward.spot.start(env, &[&[variable, program.to_str().unwrap()], line].concat())
    };

    let patient_code = ward.code(&["--patient", "P001"]);
    let paired = start("patient", &ward.patient_line("P001", &["--pair", &patient_code]));
    in_group(&paired);
    let text = "Leave by the west stairs";
    assert_eq!(ward.alert(&[text]).0, 0);
    let paired = paired.kill();
    let used_ticket = ticket(&ward);
    let resumed = start("patient", &ward.patient_line("P001", &[]));
    resumed.wait(&json!({"event": "session", "resumed": true}));
    resumed.wait(&json!({"event": "group"}));
    let wearable_code = ward.code(&["--wearable", "--patient", "P001"]);
    let line = ["--name", "W1", "--gateway", &ward.wearables, "--headless", "--pair", &wearable_code];
    let wearable = start("wearable", &line);
    wearable.wait(&json!({"event": "acknowledged"}));

    let gateway = ward.take_gateway();
    gateway.signal("TERM");
    let gateway = gateway.end();
    assert!(gateway.err.contains("TLS handshake failed"), "{gateway:?}");
    let codes = [patient_code, wearable_code];
    let secrets: Vec<Named> = [
        vec![("an alert", text.into())],
        codes.iter().map(|code| ("a code", code[4..].into())).collect(),
        codes.iter().map(|code| ("a code", code[4..].replace('-', "").into())).collect(),
        used_ticket.into(),
        ticket(&ward).into(),
        patient_keys(&ward).into(),
        vec![("the wearable's key", fs::read(ward.spot.path().join("wearable-W1/storage-key")).unwrap())],
        gateway_keys(&ward).into(),
    ]
    .concat();
    for program in [gateway, paired, resumed.kill(), wearable.kill()] {
        for (name, secret) in &secrets {
            assert!(!shows(&program.err, secret), "{name} is in a log: {program:?}");
            // A patient's event lines are where alerts are read.
            let expected = *name == "an alert";
            assert!(expected || !shows(&program.text(), secret), "{name} is in an event line: {program:?}");
        }
    }
}

#[test]
fn the_search_finds_secrets_however_they_are_logged() {
    let secret: Vec<u8> = (0..32).map(|n| 200 - 7 * n / 3).collect();
    for log in [
        format!("{:?}", &secret[5..]),
        format!("{secret:x?}"),
        format!("{:#04x?}", &secret[..20]),
        hex::encode_upper(&secret[..9]),
        BASE64_STANDARD_NO_PAD.encode(&secret),
        String::from_utf8_lossy(b"text DEF-GH2 text").into_owned(),
    ] {
        assert!(shows(&log, if log.contains("text") { b"DEF-GH2" } else { &secret }), "{log}");
    }
    assert!(!shows("0, 1, 2, 3, 4, 5, 6, 7, 8", &secret));
}

/// Whether a log has eight neighbours of a secret, or all of a shorter one, as text or in a notation of bytes.
fn shows(log: &str, secret: &[u8]) -> bool {
    let log: String = log.to_lowercase().replace("0x", "").split_whitespace().collect();
    let list = |bytes: &[u8], print: fn(&u8) -> String| bytes.iter().map(print).collect::<Vec<_>>().join(",");
    let base64 = BASE64_STANDARD_NO_PAD.encode(secret).to_lowercase();
    let bytes = secret.windows(secret.len().min(8)).flat_map(|bytes| {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        [
            text,
            hex::encode(bytes),
            list(bytes, u8::to_string),
            list(bytes, |byte| format!("{byte:x}")),
            list(bytes, |byte| format!("{byte:02x}")),
        ]
    });
    bytes.chain([base64.get(..12).unwrap_or(&base64).to_owned()]).any(|shown| log.contains(&shown))
}

fn read(ward: &Ward, file: &str) -> Value {
    serde_json::from_slice(&fs::read(ward.spot.path().join("patient-P001").join(file)).unwrap()).unwrap()
}

fn bytes(file: &Value, field: &str) -> Vec<u8> {
    hex::decode(file[field].as_str().unwrap()).unwrap()
}

fn ticket(ward: &Ward) -> [Named; 2] {
    let file = read(ward, "ticket.json");
    [("a token", bytes(&file, "token")), ("a token's key", bytes(&file, "key"))]
}

fn patient_keys(ward: &Ward) -> [Named; 2] {
    let file = read(ward, "identity.json");
    [("the patient's key", bytes(&file, "login_key")), ("its receipt key", bytes(&file, "receipt_key"))]
}

/// The gateway has ended.
fn gateway_keys(ward: &Ward) -> [Named; 5] {
    let folder = ward.folder();
    let database = hex::decode(fs::read_to_string(folder.join("database.key")).unwrap().trim()).unwrap();
    let key = Secret::new(database.clone().try_into().unwrap());
    let store = Store::open(&folder.join(gateway::app::DATABASE), &key, &"D001".parse().unwrap()).unwrap();
    let stored = Runtime::new().unwrap().block_on(store.read(|view| view.identity())).unwrap().unwrap();
    let keys = stored.keys;
    [
        ("the database's key", database),
        ("the gateway's key for patients", keys.patient_login.to_secret().expose().into()),
        ("the gateway's key for wearables", keys.wearable_login.to_secret().expose().into()),
        ("the gateway's key for alerts", keys.alerts.to_secret().expose().into()),
        ("the gateway's TLS key", stored.tls_key.to_vec()),
    ]
}
