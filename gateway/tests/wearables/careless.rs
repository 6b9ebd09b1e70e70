//! What `gateway check-device` must not pass: a careless device, and none.

use std::{process::Stdio, sync::Arc};

use host::{
    Clock,
    drive::{self, ClientLink},
    entropy::system_rng,
};
use protocol::{
    credential::{ClientKind, LoginKey},
    endpoint::{
        client::{ClientEndpoint, Event},
        pairing::PairingEndpoint,
    },
    firmware::FirmwareRequest,
    handshake::{Channel, Terms},
    id::{BootId, ClientId, DeviceId, Seq},
    message::{FromClient, Instruction},
    pairing::initiator::Candidate,
    time::ClockFlag,
    vitals::{KnownQuantity, Sample, SampleTime, VitalsBatch},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
};

use crate::support::status;

/// After so many connections it forgets what was not acknowledged: two with the good gateway, one with the bad one.
const CARELESS_AFTER: u32 = 3;
/// So many samples after an offer it asks for the image, whoever signed it.
const ASKS_AFTER: u64 = 12;

fn batch(number: u64) -> VitalsBatch {
    let sample = Sample {
        seq: Seq(number),
        boot: BootId(1),
        taken: SampleTime { since_boot_ms: number * 1_000, wall: None },
        simulated: true,
        quantities: vec![KnownQuantity::HEART_RATE.measured(72, 0)],
    };
    VitalsBatch { previous: [0; 32], samples: vec![sample] }
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    serde_json::from_str(&lines.next_line().await.unwrap().expect("another line")).unwrap()
}

/// Lives until nobody listens any more.
async fn careless_device(address: String, code: String) {
    let clock = Clock::start();
    let candidate = Candidate {
        kind: ClientKind::Wearable,
        wanted: Some(ClientId::Wearable(DeviceId::from_random([7; 16]))),
        name: None,
        login: LoginKey::generate(ClientKind::Wearable, &mut system_rng()).unwrap(),
        receipts: None,
    };
    let code = code.parse().unwrap();
    let endpoint = PairingEndpoint::start(candidate, code, Channel::Plain, clock.now(), &mut system_rng());
    let stream = TcpStream::connect(&address).await.unwrap();
    let (stream, granted) = drive::pair(stream, endpoint, clock).await.unwrap();
    let granted = granted.unwrap();
    let identity = Arc::new(granted.identity);
    let (mut next, mut connections) = (1, 0);
    let mut open = Some(stream);
    while let Some(stream) = open {
        connections += 1;
        let terms = Terms::of(ClientKind::Wearable, Channel::Plain, ClockFlag::None);
        let (known, pinned) = (Arc::clone(&identity), granted.gateway.clone());
        let endpoint =
            ClientEndpoint::connect(known, pinned, None, terms, clock.now(), &mut system_rng()).unwrap();
        let mut link = ClientLink::new(stream, endpoint, clock);
        let mut offered = None;
        loop {
            match link.next_event().await {
                Ok(Event::Established { .. }) => {
                    link.say(&FromClient::Status(&status(1))).unwrap();
                    link.say(&FromClient::Vitals(&batch(next))).unwrap();
                }
                Ok(Event::VitalsAcked(acknowledged)) => {
                    next = acknowledged.0 + 1;
                    if let Some((_, image)) = offered.take_if(|(at, _)| next >= *at + ASKS_AFTER) {
                        let request = FirmwareRequest { image, offset: 0, length: 64 };
                        link.say(&FromClient::FirmwareRequest(request)).unwrap();
                    }
                    link.say(&FromClient::Vitals(&batch(next))).unwrap();
                }
                Ok(Event::Instruction(Instruction::Offer(offer))) => offered = Some((next, offer.image)),
                Ok(Event::Closed(_) | Event::Disconnected(_)) | Err(_) => break,
                Ok(_) => {}
            }
        }
        next += u64::from(connections >= CARELESS_AFTER);
        open = TcpStream::connect(&address).await.ok();
    }
}

/// `gateway check-device`, and what it prints.
fn check_device(more: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_gateway"));
    check.args(["check-device", "--listen", "127.0.0.1:0", "--json"]).args(more);
    let mut check = check.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let lines = BufReader::new(check.stdout.take().unwrap()).lines();
    (check, lines)
}

/// The careless device with one bad gateway, which has to see this.
async fn fails(case: &str, seen: &str) {
    let (mut check, mut lines) = check_device(&["--only", case, "--wait", "20s"]);
    let listening = line(&mut lines).await;
    let [address, code] = ["listening", "code"].map(|field| listening[field].as_str().unwrap().to_owned());
    let device = tokio::spawn(careless_device(address, code));
    let good = line(&mut lines).await;
    assert_eq!(good["passed"], true, "{good}");
    let bad = line(&mut lines).await;
    assert_eq!((&bad["name"], &bad["passed"]), (&case.into(), &false.into()), "{bad}");
    assert!(bad["seen"].as_str().unwrap().contains(seen), "{bad}");
    assert_eq!(line(&mut lines).await["failed"], 1);
    assert_eq!(check.wait().await.unwrap().code(), Some(1));
    device.await.unwrap();
}

#[tokio::test]
async fn a_device_that_forgets_what_was_not_acknowledged_fails_its_check() {
    fails("lost-ack", "is missing").await;
}

/// It answers each acknowledgement with what follows that number.
#[tokio::test]
async fn a_device_that_repeats_for_a_repeated_acknowledgement_fails_its_check() {
    fails("two-acks", "came again").await;
}

#[tokio::test]
async fn a_device_that_says_much_before_it_asks_for_a_bad_image_fails_its_check() {
    fails("old-image", "asked for the image").await;
}

#[tokio::test]
async fn a_check_without_a_device_has_a_verdict_too() {
    let (mut check, mut lines) = check_device(&["--wait", "1s"]);
    assert!(line(&mut lines).await.get("listening").is_some());
    let good = line(&mut lines).await;
    assert_eq!((&good["name"], &good["passed"]), (&"good".into(), &false.into()), "{good}");
    assert_eq!(line(&mut lines).await["failed"], 1);
    assert_eq!(check.wait().await.unwrap().code(), Some(69));
}
