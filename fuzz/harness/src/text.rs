//! Text that people, programs and neighbours write: the configuration file, durations, addresses, ids, codes, requests on
//! the control socket and the answers to them, recordings.

use std::{path::PathBuf, time::Duration};

use gateway::{
    config::{Config, ConfigFile, parse_duration},
    control::{Reply, Request},
    ward::event::WardEvent,
};
use host::command_line::{GivenCode, parse_address, read_code};
use protocol::{
    id::{AlertId, BootId, ClientId, DeviceId, DoctorId, PatientId, Seq},
    vitals::{Sample, SampleTime, UnverifiedBatch, VitalsBatch},
};
use serde::{Serialize, de::DeserializeOwned};
use wearable::{
    patient::Patient,
    recording::{Kind, Recording},
    sampling::Wearer,
    scenario::Scenario,
};
use wearable_core::sensing::quantities;

use crate::fixture::select;

/// What is read is within its documented limits, and what has a written form reads back from it.
pub fn text(data: &[u8]) {
    let (which, bytes) = select(data);
    let text = String::from_utf8_lossy(bytes);
    match which % 9 {
        0 => config(&text),
        1 => duration(&text),
        2 => address(&text),
        3 => ids(&text),
        4 => code(bytes, &text),
        5 => json::<Request>(&text),
        6 => json::<Reply>(&text),
        7 => json::<WardEvent>(&text),
        _ => recording(bytes),
    }
}

fn config(text: &str) {
    let Ok(file) = toml::from_str::<ConfigFile>(text) else { return };
    let defaults = || Config::new("D001".parse().unwrap(), PathBuf::new());
    let (mut config, before) = (defaults(), defaults());
    match file.apply(&mut config) {
        Ok(()) => {
            assert_eq!(config.listen, file.listen.unwrap_or(before.listen));
            assert_eq!(config.wearable_listen, file.wearable_listen.unwrap_or(before.wearable_listen));
            assert_eq!(config.require_post_quantum, file.require_post_quantum.unwrap_or(false));
        }
        Err(_) => assert!(parse_duration(file.clock_tolerance.as_deref().unwrap_or_default()).is_err()),
    }
}

fn duration(text: &str) {
    if let Ok(duration) = parse_duration(text) {
        let millis = u64::try_from(duration.as_millis()).unwrap();
        assert_eq!(parse_duration(&format!("{millis}ms")), Ok(Duration::from_millis(millis)));
    }
}

fn address(text: &str) {
    if let Ok(address) = parse_address(text) {
        assert_eq!(address, text);
        let (host, port) = address.rsplit_once(':').unwrap();
        assert!(!host.is_empty() && port.parse::<u16>().is_ok());
    }
}

fn ids(text: &str) {
    if let Ok(id) = text.parse::<PatientId>() {
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse::<DoctorId>().unwrap().as_str(), text);
        let is_file_name =
            !text.contains('/') && text != "." && text != ".." && (1..=32).contains(&text.len());
        assert!(is_file_name, "an id that names another folder");
        assert_eq!(ClientId::Patient(id).to_string(), text);
    }
    if let Ok(id) = text.parse::<DeviceId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(text.parse::<AlertId>().unwrap().to_string(), id.to_string());
    }
}

fn code(bytes: &[u8], text: &str) {
    if let Ok(GivenCode::Code(code)) = text.parse() {
        assert_eq!(read_code(&mut format!(" {code}\n").as_bytes()).unwrap(), code);
    }
    if let Ok(code) = read_code(&mut &*bytes) {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
}

/// Reads a line of JSON as the socket's ends do; what was read reads back from what it is written as.
fn json<T: DeserializeOwned + Serialize>(text: &str) {
    let Ok(value) = serde_json::from_str::<T>(text) else { return };
    let written = serde_json::to_value(&value).unwrap();
    assert!(!written.to_string().contains('\n'), "one line each");
    let again: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), written);
}

fn recording(bytes: &[u8]) {
    let Ok(recording) = Recording::parse(bytes) else { return };
    let rates = match recording.kind() {
        Kind::Ecg => 100..=500,
        Kind::Ppg => 25..=125,
    };
    assert!(rates.contains(&recording.rate_hz()) && recording.seconds() >= 10);
    let samples = recording.values().count();
    assert!(samples >= 10 * usize::from(recording.rate_hz()) && 2 * samples < bytes.len());
    let text = String::from_utf8_lossy(bytes);
    for field in [recording.title(), recording.origin(), recording.licence()] {
        assert!(text.contains(field));
    }
    // What the firmware makes of any signal, the gateway takes.
    let patient = Patient::new(Some(recording), Scenario::default(), Some(1)).unwrap();
    let mut wearer = Wearer::new(patient).unwrap();
    for second in 1..=12 {
        let (_, step) = wearer.next_second();
        let sample = Sample {
            seq: Seq(second),
            boot: BootId(1),
            taken: SampleTime { since_boot_ms: 1_000 * second, wall: None },
            simulated: true,
            quantities: quantities(&step.sensed.second),
        };
        let batch = VitalsBatch { previous: [0; 32], samples: vec![sample] };
        assert_eq!(UnverifiedBatch::decode(&batch.encode()).unwrap().verify(), Ok(batch));
    }
}

/// One example of each, with its selector: seeds.
pub(crate) fn genuine() -> Vec<Vec<u8>> {
    let config = "listen = \"127.0.0.1:7300\"\nwearable_listen = \"[::1]:7301\"\nclock_tolerance = \"30s\"\n\
                  require_post_quantum = true\n";
    let recording = |kind: &str, rate: usize, signal: [u8; 4]| {
        let header = format!(
            "vitalward-recording 1\ntitle: a\norigin: b\nlicence: c\nkind: {kind}\nrate-hz: {rate}\nzero: 0\nstep: 1\n\
             samples: {}\n\n",
            10 * rate
        );
        [header.as_bytes(), &signal.repeat(5 * rate)].concat()
    };
    let requests = [
        r#"{"verb":"status"}"#,
        r#"{"verb":"alerts","limit":3}"#,
        r#"{"verb":"pair","kind":"patient","patient":"P001","replace":false,"code":null}"#,
        r#"{"verb":"cancel_offer","code":"ABC-DEF-GH2"}"#,
        r#"{"verb":"alert","text":"evacuate","to":["P001"],"wait_ms":1000,"expires_ms":60000,"cancels":null}"#,
        r#"{"verb":"vitals","patient":"P001","last":10}"#,
        r#"{"verb":"revoke","kind":"wearable","name":"W001"}"#,
    ];
    let texts =
        [(0, config), (1, "500ms"), (1, "24h"), (2, "127.0.0.1:7300"), (2, "[::1]:7300"), (3, "P001")];
    let more = [(3, "f47ac10b-58cc-4372-a567-0e02b2c3d479"), (4, "abc-def-gh2"), (4, "-")];
    let replies = [r#"{"done":{"a":1}}"#, r#"{"refused":{"exit":1,"message":"no"}}"#];
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    let mut add = |which: u8, text: &[u8]| seeds.push([&[which], text].concat());
    texts.iter().chain(&more).for_each(|(which, text)| add(*which, text.as_bytes()));
    requests.iter().for_each(|text| add(5, text.as_bytes()));
    replies.iter().for_each(|text| add(6, text.as_bytes()));
    add(
        7,
        br#"{"event":"listening","patients":"a","wearables":"b","doctor":"c","gateway":"d","data_dir":"e"}"#,
    );
    add(8, &recording("ppg", 26, [1, 1, 9, 0]));
    add(8, &recording("ecg", 100, [1, 0, 255, 127]));
    seeds
}
