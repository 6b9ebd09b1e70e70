//! The device as a value: one test, one sentence.

use std::path::PathBuf;

use protocol::{error::Fault, id::Seq, pairing::code::PairingCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wearable::agent::{
    self, Device, DeviceCommand, DeviceConfig, DeviceError, DeviceEvent, Ended, Pairing, Speed,
};

use crate::ward::{Answer, PATIENCE, Ward};

const CODE: &str = "ABC-DEF-GH2";

/// A place for one device, which may be started again and again.
struct Home {
    _parent: tempfile::TempDir,
    folder: PathBuf,
}

impl Home {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("wearable-W001");
        Self { _parent: parent, folder }
    }

    fn config(&self, ward: &Ward) -> DeviceConfig {
        let base = DeviceConfig::new("W001".parse().unwrap(), ward.address.to_string(), self.folder.clone());
        DeviceConfig { speed: Speed::UNLIMITED, ..base }
    }

    /// Starts with a pairing on a code that the gateway shows.
    fn pair(&self, ward: &Ward, samples: Option<u64>) -> Device {
        let code: PairingCode = CODE.parse().unwrap();
        ward.memory().offers.push(code);
        let pairing = Some(Pairing::Enter(code));
        agent::start(DeviceConfig { pairing, samples, ..self.config(ward) }).unwrap()
    }

    fn restart(&self, ward: &Ward, samples: Option<u64>) -> Device {
        agent::start(DeviceConfig { samples, ..self.config(ward) }).unwrap()
    }
}

async fn ended(device: Device) -> Result<Ended, DeviceError> {
    tokio::time::timeout(PATIENCE, device.task).await.expect("the device goes on").unwrap()
}

/// The first event that `wanted` knows.
async fn event<T>(device: &mut Device, wanted: impl Fn(&DeviceEvent) -> Option<T>) -> T {
    let waiting = async {
        loop {
            let event = device.events.recv().await.expect("the device ended");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the event did not come")
}

fn resumed(event: &DeviceEvent) -> Option<bool> {
    match event {
        DeviceEvent::Session { resumed, .. } => Some(*resumed),
        _ => None,
    }
}

async fn stop(device: Device) {
    device.commands.send(DeviceCommand::Stop).await.unwrap();
    assert_eq!(ended(device).await.unwrap(), Ended::Stopped);
}

/// Ends it in the middle of anything, without a farewell and without giving numbers back.
async fn kill(device: Device, home: &Home) {
    device.task.abort();
    assert!(device.task.await.unwrap_err().is_cancelled());
    // A write that was under way holds the folder until it is done, like a kernel that finishes a system call.
    while host::datadir::DataDir::open(&home.folder).is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_device_pairs_with_the_gateways_code_and_delivers() {
    let (ward, home) = (Ward::open().await, Home::new());
    let mut device = home.pair(&ward, Some(300));
    assert!(device.is_new);
    let doctor = event(&mut device, |event| match event {
        DeviceEvent::Paired { doctor, .. } => Some(doctor.clone()),
        _ => None,
    });
    assert_eq!(doctor.await.as_str(), "D001");
    assert!(!event(&mut device, resumed).await);
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);

    assert_eq!(ward.numbers(), (1..=300).collect::<Vec<_>>());
    let memory = ward.memory();
    assert!(memory.batches.iter().all(|batch| batch.samples.len() <= 64));
    assert_eq!(memory.batches[0].previous, [0; 32]);
    assert!(memory.batches.windows(2).all(|pair| pair[1].previous == pair[0].hash()));
    assert!(memory.stored.iter().all(|sample| sample.simulated && sample.boot == memory.stored[0].boot));
    let status = &memory.statuses[0];
    assert_eq!((status.cadence.interval_ms, status.battery), (1_000, Some(100)));
    assert!(status.firmware.starts_with("vitalward-sim "));
}

#[tokio::test]
async fn a_device_pairs_with_its_own_code_once_it_is_entered_at_the_gateway() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    let config = DeviceConfig { pairing: Some(Pairing::Show), samples: Some(5), ..home.config(&ward) };
    let mut device = agent::start(config).unwrap();
    let code = event(&mut device, |event| match event {
        DeviceEvent::Code(code) => Some(*code),
        _ => None,
    });
    let code = code.await;
    assert_eq!(device.state.borrow().code, Some(code));
    ward.wait_until(|memory| memory.refused.contains(&Fault::DeniedCodeUnknown)).await;
    ward.memory().offers.push(code);
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);
    assert_eq!(ward.numbers(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_code_that_is_not_open_ends_the_pairing_with_the_sentence() {
    let (ward, home) = (Ward::open().await, Home::new());
    let pairing = Some(Pairing::Enter(CODE.parse().unwrap()));
    let device = agent::start(DeviceConfig { pairing, ..home.config(&ward) }).unwrap();
    let refused = ended(device).await.unwrap_err();
    assert!(refused.to_string().contains("ask the clinic for a new one"), "{refused}");
    // It has an identity now, but no gateway.
    let unpaired = agent::start(home.config(&ward)).unwrap_err();
    assert!(matches!(unpaired, DeviceError::Unpaired) && unpaired.exit().code() == 78);
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_loses_nothing_and_keeps_the_order() {
    let (ward, home) = (Ward::open().await, Home::new());
    ward.memory().script =
        [Answer::Acknowledge, Answer::StoreAndCut, Answer::Acknowledge, Answer::Cut].into_iter().collect();
    let mut device = home.pair(&ward, Some(500));
    let mut sessions = vec![];
    for _ in 0..3 {
        sessions.push(event(&mut device, resumed).await);
    }
    assert_eq!(sessions, [false, true, true]);
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);
    assert_eq!(ward.numbers(), (1..=500).collect::<Vec<_>>());
    let memory = ward.memory();
    assert!(memory.batches.windows(2).all(|pair| pair[1].previous == pair[0].hash()));
}

#[tokio::test]
async fn a_restarted_device_goes_on_with_the_next_number_and_a_new_boot() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    let device = home.pair(&ward, Some(70));
    let id = device.id;
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);
    let device = home.restart(&ward, Some(30));
    assert_eq!((device.id, device.is_new), (id, false));
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);
    assert_eq!(ward.numbers(), (1..=100).collect::<Vec<_>>());
    assert_eq!(ward.memory().sessions, [false, false], "the ticket was in memory only");
    let boots = [0, 99].map(|at| ward.memory().stored[at].boot);
    assert_ne!(boots[0], boots[1]);

    // The process dies without a word: the samples and the chain go on, numbers are never used again.
    ward.memory().script = [Answer::StoreAndCut].into_iter().collect();
    let device = home.restart(&ward, None);
    ward.wait_until(|memory| memory.stored.len() > 100).await;
    kill(device, &home).await;
    let device = home.restart(&ward, Some(10));
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);
    let memory = ward.memory();
    assert!(memory.stored.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert!(memory.batches.windows(2).all(|pair| pair[1].previous == pair[0].hash()));
}

#[tokio::test]
async fn samples_taken_without_a_gateway_arrive_when_there_is_one() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    assert_eq!(ended(home.pair(&ward, Some(1))).await.unwrap(), Ended::Delivered);
    let mut device = home.restart(&ward, None);
    // The ticket came before the first acknowledgement.
    event(&mut device, |event| matches!(event, DeviceEvent::Acknowledged(_)).then_some(())).await;
    device.commands.send(DeviceCommand::Network(false)).await.unwrap();
    let offline = device.state.wait_for(|state| !state.network && state.waiting >= 256).await.unwrap().taken;
    device.commands.send(DeviceCommand::Network(true)).await.unwrap();
    assert!(event(&mut device, resumed).await);
    ward.wait_until(|memory| memory.stored.last().is_some_and(|sample| sample.seq > offline)).await;
    stop(device).await;
    let numbers = ward.numbers();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_sample_has_the_time_of_day_only_after_the_gateway_told_it() {
    let (ward, home) = (Ward::open().await, Home::new());
    let device = home.pair(&ward, Some(300));
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);
    let memory = ward.memory();
    // An unlimited device has taken a first lot before the connection is there.
    assert_eq!(memory.stored[0].taken.wall, None);
    let last = memory.stored[299].taken;
    let now = host::Clock::start().now().wall;
    assert!(last.wall.unwrap().abs_diff(now).as_secs() < 60);
    assert!(memory.stored.windows(2).all(|pair| pair[0].taken.since_boot_ms <= pair[1].taken.since_boot_ms));
}

#[tokio::test]
async fn an_acknowledgement_of_the_future_is_refused_and_deletes_nothing() {
    let (ward, home) = (Ward::open().await, Home::new());
    ward.memory().script = [Answer::AcknowledgeTheFuture, Answer::Cut].into_iter().collect();
    let mut device = home.pair(&ward, Some(400));
    let refused = event(&mut device, |event| match event {
        DeviceEvent::Refused(reason) => Some(reason.clone()),
        _ => None,
    });
    assert!(refused.await.contains("only"));
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);
    assert_eq!(ward.numbers(), (1..=400).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_gateway_at_the_address_is_sent_nothing() {
    let (ward, home) = (Ward::open().await, Home::new());
    assert_eq!(ended(home.pair(&ward, Some(3))).await.unwrap(), Ended::Delivered);
    let address = ward.address;
    ward.close().await;
    let other = Ward::open_at(address).await;
    let device = home.restart(&other, Some(20));
    let refused = ended(device).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("This is NOT the gateway that you paired with. Nothing was sent.")
    );
    assert_eq!(refused.exit().code(), 78);
    assert_eq!(other.memory().refused, [Fault::DeniedOtherGateway]);
    assert!(other.memory().stored.is_empty() && other.memory().sessions.is_empty());

    // Its samples are kept for the gateway that it is paired with again.
    assert_eq!(ended(home.pair(&other, Some(1))).await.unwrap(), Ended::Delivered);
    let numbers = other.numbers();
    assert_eq!(numbers[0], 4);
    assert_eq!(numbers, (4..4 + numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_impostor_without_the_pinned_key_hears_only_the_hello() {
    let (ward, home) = (Ward::open().await, Home::new());
    assert_eq!(ended(home.pair(&ward, Some(3))).await.unwrap(), Ended::Delivered);
    let address = ward.address;
    ward.close().await;
    let listener = TcpListener::bind(address).await.unwrap();
    let impostor = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = usize::try_from(stream.read_u32().await.unwrap()).unwrap();
        let mut hello = vec![0; length];
        stream.read_exact(&mut hello).await.unwrap();
        // HELLO_REPLY with a share of its own: suite 2, nonce, share (the base point), time, a ciphertext that is none.
        let mut body = vec![protocol::opcode::Opcode::HelloReply as u8, 2];
        body.extend([7; 32]);
        body.extend([32, 9]);
        body.extend([0; 31]);
        body.push(0);
        body.extend([1; 200]);
        stream.write_u32(u32::try_from(body.len()).unwrap()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut rest = vec![];
        stream.read_to_end(&mut rest).await.unwrap();
        (hello[0], rest)
    });
    let base = DeviceConfig::new("W001".parse().unwrap(), address.to_string(), home.folder.clone());
    let device = agent::start(DeviceConfig { speed: Speed::UNLIMITED, ..base }).unwrap();
    assert!(matches!(ended(device).await, Err(DeviceError::OtherGateway)));
    let (opcode, rest) = impostor.await.unwrap();
    assert_eq!(opcode, protocol::opcode::Opcode::Hello as u8);
    assert!(rest.is_empty(), "{} bytes followed", rest.len());
}

#[tokio::test]
async fn a_revoked_device_stops_and_says_what_to_do() {
    let (ward, home) = (Ward::open().await, Home::new());
    ward.memory().script = [Answer::Revoke].into_iter().collect();
    let refused = ended(home.pair(&ward, Some(3))).await.unwrap_err();
    assert!(matches!(refused, DeviceError::NotPaired) && refused.to_string().contains("--pair CODE"));
}

#[tokio::test]
async fn a_full_store_drops_the_oldest_and_reports_it() {
    let (ward, home) = (Ward::open().await, Home::new());
    assert_eq!(ended(home.pair(&ward, Some(1))).await.unwrap(), Ended::Delivered);
    let config = DeviceConfig { capacity: 100, ..home.config(&ward) };
    ward.close().await;
    let mut device = agent::start(config).unwrap();
    let gap = event(&mut device, |event| match event {
        DeviceEvent::Lost(gap) => Some(*gap),
        _ => None,
    });
    let gap = gap.await;
    assert_eq!((gap.first, gap.last, gap.samples), (Seq(2), Seq(26), 25));
    device.state.wait_for(|state| state.lost >= 25).await.unwrap();
    device.commands.send(DeviceCommand::Stop).await.unwrap();
    assert_eq!(ended(device).await.unwrap(), Ended::Stopped);
}

#[tokio::test]
async fn one_folder_serves_one_device_at_a_time() {
    let (ward, home) = (Ward::open().await, Home::new());
    let device = home.pair(&ward, None);
    let second = agent::start(home.config(&ward)).unwrap_err();
    assert_eq!(second.exit().code(), 69, "{second}");
    stop(device).await;
}
