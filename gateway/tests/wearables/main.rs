//! What a person asks of a wearable, what it tells of itself, and what comes of both: the verbs of the gateway's program
//! against a running gateway and a device that follows a script.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

mod careless;
mod support;

use gateway::ward::event::WardEvent;
use protocol::{
    cadence::{Cadence, Interval, Settings},
    error::{Fault, Refusal},
    firmware::{FirmwareRequest, FirmwareStatus, UpdateState},
    image::{Header, Refusal as Unfit},
    message::{FromClient, Instruction},
    status::{Battery, DeviceStatus, LinkQuality},
    waveform::{Signal, WaveformRequest},
};
use serde_json::json;
use tokio::process::Command;

use crate::support::*;

#[tokio::test]
async fn a_wearable_is_told_its_intervals_at_once_and_after_each_login() {
    let clinic = Clinic::open().await;
    let mut device = clinic.pair("W001", &[]).await;
    assert_eq!(device.standing, Some(Instruction::Settings(Settings::LIVE)), "the default");
    let set = ["settings", "--wearable", "W001", "--sample", "1s", "--upload", "60s"];
    assert_eq!(clinic.json(&set).await["told"], true);
    let wanted = Settings::new(Interval::LIVE, 60_000.try_into().unwrap()).unwrap();
    assert_eq!(device.instruction().await, Instruction::Settings(wanted));
    let device = clinic.log_in_again(device).await;
    assert_eq!(device.standing, Some(Instruction::Settings(wanted)), "it is kept");
    let slow = ["settings", "--wearable", "W001", "--sample", "5m", "--upload", "30s"];
    assert_eq!(clinic.verb(&slow, "").await.0, 64, "no upload without a new sample");
    let odd = ["settings", "--wearable", "W001", "--sample", "2s", "--upload", "30s"];
    assert!(clinic.verb(&odd, "").await.2.contains("1s (live) or 30s to 5m"));
    let nobody = ["settings", "--wearable", "W009", "--sample", "1s", "--upload", "1s"];
    assert!(clinic.verb(&nobody, "").await.2.contains("no wearable called W009"));
}

#[tokio::test]
async fn what_a_wearable_tells_of_itself_is_shown() {
    let clinic = Clinic::open().await;
    let mut device = clinic.pair("W001", &[]).await;
    assert_eq!(clinic.json(&["wearables"]).await[0]["status"], json!(null));
    let told = DeviceStatus {
        cadence: Cadence { sample_ms: 1_000, upload_ms: 60_000 },
        battery: Some(Battery { percent: 42, charging: Some(true) }),
        link: LinkQuality { signal_dbm: Some(-61), reconnects: 3 },
        waiting: 59,
        lost: 7,
        ..status(5)
    };
    device.say(&FromClient::Status(&told));
    device.settle().await;
    let shown = &clinic.json(&["wearables"]).await[0];
    for (field, value) in [
        ("sample_ms", json!(1_000)),
        ("upload_ms", json!(60_000)),
        ("battery", json!(42)),
        ("charging", json!(true)),
        ("signal_dbm", json!(-61)),
        ("reconnects", json!(3)),
        ("waiting", json!(59)),
        ("lost", json!(7)),
        ("firmware_version", json!(5)),
        ("hardware", json!(BOARD)),
    ] {
        assert_eq!(shown["status"][field], value, "{field}");
    }
    let (_, text, _) = clinic.verb(&["wearables"], "").await;
    for part in ["1.0 s/60 s*", "42 % up", "-61/3", "59/7", "  5  "] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[tokio::test]
async fn a_waveform_is_shown_as_it_comes_and_marked_as_simulated() {
    let clinic = Clinic::open().await;
    let mut device = clinic.pair("W001", &[]).await;
    let ask = ["waveform", "--wearable", "W001", "--signal", "ecg", "--seconds", "2", "--csv"];
    let (asked, said) =
        tokio::join!(device.instruction_then_waves(&[(0, 100), (100, 100)]), clinic.verb(&ask, ""));
    assert_eq!(asked, Instruction::Waveform(WaveformRequest { signal: Signal::ECG, seconds: 2 }));
    let (code, text, _) = said;
    assert_eq!(code, 0);
    assert!(text.starts_with("# ecg, 100 Hz, mV SIMULATED\nnumber,value\n0,0\n1,0.005\n"), "{text}");
    assert_eq!(text.lines().count(), 202);
}

#[tokio::test]
async fn whoever_interrupts_a_waveform_stops_it_on_the_device() {
    let clinic = Clinic::open().await;
    let mut device = clinic.pair("W001", &[]).await;
    let watching = clinic.start(&["waveform", "--wearable", "W001", "--signal", "ecg", "--seconds", "600"]);
    let request = |seconds| Instruction::Waveform(WaveformRequest { signal: Signal::ECG, seconds });
    assert_eq!(device.instruction().await, request(600));
    let pid = watching.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    assert_eq!(device.instruction().await, request(0));
    let (code, _, said) = ended(watching).await;
    assert_eq!((code, said.contains("stopped; missing: everything: nothing came")), (3, true), "{said}");
}

#[tokio::test]
async fn a_waveform_with_a_gap_says_which_part_is_missing() {
    let clinic = Clinic::open().await;
    let mut device = clinic.pair("W001", &[]).await;
    let ask = ["waveform", "--wearable", "W001", "--signal", "ppg-red", "--seconds", "2", "--json"];
    let (_, said) =
        tokio::join!(device.instruction_then_waves(&[(0, 100), (150, 50)]), clinic.verb(&ask, ""));
    let (code, text, _) = said;
    assert_eq!(code, 3);
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({ "complete": false, "missing": ["samples 100 to 149"] }));
    let (_, said) = tokio::join!(device.instruction_then_waves(&[(0, 0)]), clinic.verb(&ask, ""));
    assert!((said.0, said.2.contains("the device has no ppg-red now")) == (1, true), "{said:?}");
    drop(device);
    clinic.wait_until_gone().await;
    assert!(clinic.verb(&ask, "").await.2.contains("W001 is not connected"));
}

#[tokio::test]
async fn a_signal_that_nobody_asked_for_is_dropped_and_told_of_once_in_a_session() {
    let clinic = Clinic::open().await;
    let mut device = clinic.pair("W001", &[]).await;
    let mut events = clinic.watch();
    for first in [0, 100, 200] {
        device.wave(Signal::ECG, first, 100);
    }
    device.settle().await;
    let ask = ["waveform", "--wearable", "W001", "--signal", "ppg-red", "--seconds", "2"];
    let (_, said) = tokio::join!(device.instruction_then_waves(&[(0, 200)]), clinic.verb(&ask, ""));
    assert_eq!(said.0, 0, "what was asked for is shown: {}", said.2);
    // A second of ten was asked for; no more than five come ahead of it.
    let asked = tokio::join!(device.instruction(), clinic.ask_waveform("ppg-infrared", 1)).0;
    assert!(matches!(asked, Instruction::Waveform(_)));
    for first in 0..10 {
        device.wave(Signal::PPG_INFRARED, first * 100, 100);
    }
    device.settle().await;
    let mut shown = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let WardEvent::Waveform { signal, .. } = event {
            shown.push(signal);
        }
    }
    assert!(!shown.contains(&"ecg".to_owned()));
    assert_eq!(shown.iter().filter(|signal| *signal == "ppg-infrared").count(), 5);
    let refusals = clinic.json(&["refusals"]).await;
    assert_eq!(refusals.as_array().unwrap().len(), 1, "{refusals}");
    assert!(refusals[0]["reason"].as_str().unwrap().contains("nobody asked"), "{refusals}");
}

#[tokio::test]
async fn firmware_is_offered_to_whom_it_fits_and_handed_over_on_request() {
    let clinic = Clinic::open().await;
    let mut device = clinic.pair("W001", &[]).await;
    device.say(&FromClient::Status(&status(1)));
    device.settle().await;
    let body: Vec<u8> = (0..2_500_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let file = clinic.image(&body, BOARD, 2);
    let published = clinic.json(&["firmware", "publish", &file, "--key", &clinic.maker()]).await;
    assert_eq!((&published["version"], &published["verified"]), (&json!(2), &json!(true)));
    let Instruction::Offer(offer) = device.instruction().await else { panic!("no offer") };
    assert_eq!(Header::parse(&offer.header).unwrap().version(), 2);
    let mut fetched = Vec::new();
    while fetched.len() < body.len() {
        let offset = u32::try_from(fetched.len()).unwrap();
        device.say(&FromClient::FirmwareRequest(FirmwareRequest {
            image: offer.image,
            offset,
            length: 1_024,
        }));
        let Instruction::Chunk(chunk) = device.instruction().await else { panic!("no piece") };
        assert_eq!((chunk.image, chunk.offset), (offer.image, offset));
        fetched.extend(chunk.bytes);
    }
    assert_eq!(fetched, body);
    let refused = FirmwareStatus {
        state: UpdateState::REFUSED,
        version: 2,
        received: 2_500,
        length: 2_500,
        refusal: Some(Unfit::OTHER_MAKER),
    };
    device.say(&FromClient::FirmwareStatus(refused));
    device.settle().await;
    let update = &clinic.json(&["wearables"]).await[0]["status"]["update"];
    assert_eq!((&update["state"], &update["version"]), (&json!("refused"), &json!(2)));
    assert_eq!(update["refusal"], json!(Unfit::OTHER_MAKER.to_string()));

    // Told again and again, it is offered once in a session; one that runs it, or is other hardware, is offered nothing.
    device.say(&FromClient::Status(&status(1)));
    device.settle().await;
    let mut device = clinic.log_in_again(device).await;
    device.say(&FromClient::Status(&status(2)));
    device.settle().await;
    let mut other = status(1);
    other.firmware.hardware = "other".parse().unwrap();
    device.say(&FromClient::Status(&other));
    device.settle().await;

    let image = offer.image.to_string();
    assert_eq!(clinic.json(&["firmware", "list"]).await.as_array().unwrap().len(), 1);
    assert_eq!(clinic.verb(&["firmware", "withdraw", &image], "").await.0, 0);
    device.say(&FromClient::FirmwareRequest(FirmwareRequest { image: offer.image, offset: 0, length: 1 }));
    let Instruction::Chunk(chunk) = device.instruction().await else { panic!("no answer") };
    assert_eq!(chunk.bytes, [0; 0], "there is no such image any more");
    assert!(clinic.verb(&["firmware", "withdraw", &image], "").await.2.contains("no image"));
}

#[tokio::test]
async fn an_image_is_handed_only_to_a_device_that_it_may_be_offered_to() {
    let clinic = Clinic::open().await;
    let mut device = clinic.pair("W001", &[]).await;
    let file = clinic.image(&[7; 99], BOARD, 2);
    let image =
        u32::try_from(clinic.json(&["firmware", "publish", &file]).await["image"].as_u64().unwrap()).unwrap();
    let mut fetch = async |told: Option<DeviceStatus>, offered: bool| {
        if let Some(told) = told {
            device.say(&FromClient::Status(&told));
        }
        if offered {
            assert!(matches!(device.instruction().await, Instruction::Offer(_)));
        }
        device.say(&FromClient::FirmwareRequest(FirmwareRequest { image, offset: 0, length: 99 }));
        let Instruction::Chunk(chunk) = device.instruction().await else { panic!("no answer") };
        chunk.bytes.len()
    };
    let mut other = status(1);
    other.firmware.hardware = "other".parse().unwrap();
    assert_eq!(fetch(None, false).await, 0, "nobody knows what it runs");
    assert_eq!(fetch(Some(other), false).await, 0, "it is for other hardware");
    assert_eq!(fetch(Some(status(2)), false).await, 0, "it runs that already");
    assert_eq!(fetch(Some(status(1)), true).await, 99);
}

#[tokio::test]
async fn no_image_is_published_that_is_none_or_that_the_key_did_not_sign() {
    let clinic = Clinic::open().await;
    let good = clinic.image(&[1, 2, 3], BOARD, 7);
    let publish = |file: &str| ["firmware", "publish", file].map(str::to_owned);
    let refused = async |arguments: &[&str]| {
        let (code, _, said) = clinic.verb(arguments, "").await;
        assert_eq!(code, 1, "{said}");
        said
    };
    let altered = clinic.file("altered", &[&std::fs::read(&good).unwrap()[..154], &[9][..]].concat());
    for bad in [altered, clinic.file("nonsense", b"not an image"), clinic.file("empty", b"")] {
        let arguments = publish(&bad);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert!(refused(&arguments).await.contains("not published: the image"));
    }
    let stranger = clinic.file("stranger.pub", hex::encode(maker(9).verifying_key().to_bytes()).as_bytes());
    assert!(refused(&["firmware", "publish", &good, "--key", &stranger]).await.contains("maker"));
    assert_eq!(clinic.json(&["firmware", "publish", &good]).await["verified"], false, "no key was given");
    let other = clinic.image(&[9], BOARD, 7);
    assert!(refused(&["firmware", "publish", &other]).await.contains("withdraw it first"));
    assert_eq!(clinic.json(&["firmware", "list"]).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_image_published_again_with_the_key_is_checked_and_marked_so() {
    let clinic = Clinic::open().await;
    let (file, key) = (clinic.image(&[1, 2, 3], BOARD, 7), clinic.maker());
    let publish = ["firmware", "publish", &file];
    assert_eq!(clinic.json(&publish).await["verified"], false);
    assert_eq!(clinic.json(&["firmware", "publish", &file, "--key", &key]).await["verified"], true);
    assert_eq!(clinic.json(&publish).await["verified"], true, "it was checked once");
    assert_eq!(clinic.json(&["firmware", "list"]).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_pairing_may_give_the_wearable_its_network() {
    let clinic = Clinic::open().await;
    let pair = ["pair", "--wearable", "--patient", PATIENT, "--network", "Ward 7", "--json"];
    let (code, text, _) = clinic.verb(&pair, "correct horse\n").await;
    assert_eq!(code, 0);
    assert!(!text.contains("horse"), "{text}");
    let offer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let granted = clinic.try_pair("W001", offer["code"].as_str().unwrap()).await.unwrap();
    let network = granted.network.as_ref().unwrap();
    assert_eq!((network.ssid(), network.expose()), ("Ward 7", "correct horse"));
    let (code, _, said) = clinic.verb(&pair, "short\n").await;
    assert!(code == 64 && said.contains("8 to 63"), "{said}");
}

#[tokio::test]
async fn without_an_open_offer_no_wearable_is_paired() {
    let clinic = Clinic::open().await;
    let refused = clinic.try_pair("W001", "ABC-DEF-GH2").await.err();
    assert_eq!(refused, Some(Fault::Refused(Refusal::CodeUnknown)));
    assert_eq!(clinic.json(&["wearables"]).await, json!([]));
}

#[tokio::test]
async fn many_codes_for_a_load_test_are_all_different_and_good() {
    let clinic = Clinic::open().await;
    let (_, text, _) =
        clinic.verb(&["pair", "--wearable", "--patient", PATIENT, "--count", "40", "--json"], "").await;
    let code = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["code"].to_string();
    let mut codes: Vec<String> = text.lines().map(code).collect();
    let last = codes[39].trim_matches('"').to_owned();
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 40);
    assert!(clinic.try_pair("W001", &last).await.is_ok());
}
