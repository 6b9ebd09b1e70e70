//! The device as a value: one test, one sentence.

use std::time::Duration;

use protocol::{
    cadence::Settings, error::Fault, id::Seq, opcode::Opcode, pairing::code::PairingCode, time::UnixMillis,
    vitals::Sample,
};
use wearable::{
    act::{Act, Wire},
    agent::{self, DeviceConfig, DeviceError, Ended, FlashSize, Pairing, Speed},
    flash::Durable,
};
use wearable_core::device::Event;

use crate::{
    home::{CODE, Home, STRANGER, ended, event, kill, refused, resumed, stop},
    ward::{Answer, Forged, Overheard, PATIENCE, Ward},
};

/// What a gateway of 1970 thinks of everybody's clock.
fn clock_fault() -> Fault {
    let client = host::Clock::start().now().wall;
    Fault::DeniedClock { client, gateway: UnixMillis(7), tolerance: Duration::from_secs(30) }
}

#[tokio::test]
async fn a_device_pairs_with_the_gateways_code_and_delivers() {
    let (ward, home) = (Ward::open().await, Home::new());
    let mut device = home.pair(&ward, Some(300));
    assert!(device.is_new);
    let doctor = event(&mut device, |event| match event {
        Event::Bound { doctor, .. } => Some(doctor.clone()),
        _ => None,
    });
    assert_eq!(doctor.await.as_str(), "D001");
    assert!(!event(&mut device, resumed).await);
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);

    assert_eq!(ward.numbers(), (1..=300).collect::<Vec<_>>());
    let memory = ward.memory();
    assert!(memory.batches.iter().all(|batch| batch.samples.len() <= 64));
    assert_eq!(memory.batches[0].previous, [0; 32]);
    assert!(memory.stored.iter().all(|sample| sample.simulated && sample.boot == memory.stored[0].boot));
    let status = &memory.statuses[0];
    assert_eq!((status.cadence, status.battery.unwrap().percent), (Settings::LIVE.cadence(), 100));
    assert!(status.firmware.name.starts_with("vitalward-sim "));
}

#[tokio::test]
async fn a_device_pairs_with_its_own_code_once_it_is_entered_at_the_gateway() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    let config = DeviceConfig { pairing: Some(Pairing::Show), samples: Some(5), ..home.config(&ward) };
    let mut device = agent::start(config).unwrap();
    let code = event(&mut device, |event| match event {
        Event::Code(code) => Some(*code),
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
    assert!(refused.to_string().contains("ask for a new one"), "{refused}");
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
    assert_eq!(ward.memory().unchained, 0);
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
    assert_eq!(memory.unchained, 0);
}

#[tokio::test]
async fn samples_taken_without_a_gateway_arrive_when_there_is_one() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    assert_eq!(ended(home.pair(&ward, Some(1))).await.unwrap(), Ended::Delivered);
    let mut device = home.restart(&ward, None);
    // The ticket came before the first acknowledgement.
    event(&mut device, |event| matches!(event, Event::Acknowledged(_)).then_some(())).await;
    device.order(Act::Wire(Wire::Network(false))).await;
    let offline =
        device.state.wait_for(|state| !state.condition.plugged && state.waiting >= 256).await.unwrap().taken;
    device.order(Act::Wire(Wire::Network(true))).await;
    assert!(event(&mut device, resumed).await);
    ward.wait_until(|memory| memory.stored.last().is_some_and(|sample| sample.seq > offline)).await;
    stop(device).await;
    let numbers = ward.numbers();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_sample_has_the_time_of_day_only_after_the_gateway_told_it() {
    let (ward, home) = (Ward::open().await, Home::new());
    assert_eq!(ended(home.pair(&ward, Some(1))).await.unwrap(), Ended::Delivered);
    let device = home.restart(&ward, Some(299));
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);
    let memory = ward.memory();
    // An unlimited device has taken a first lot before the connection is there.
    assert_eq!(memory.stored[1].taken.wall, None);
    let now = host::Clock::start().now().wall;
    for sample in [&memory.stored[0], &memory.stored[299]] {
        assert!(sample.taken.wall.unwrap().abs_diff(now).as_secs() < 60);
    }
    let mut restarted = memory.stored[1..].windows(2);
    assert!(restarted.all(|pair| pair[0].taken.since_boot_ms <= pair[1].taken.since_boot_ms));
}

#[tokio::test]
async fn an_acknowledgement_of_the_future_deletes_nothing() {
    let (ward, home) = (Ward::open().await, Home::new());
    ward.memory().script = [Answer::AcknowledgeTheFuture, Answer::Cut].into_iter().collect();
    assert_eq!(ended(home.pair(&ward, Some(400))).await.unwrap(), Ended::Delivered);
    assert_eq!(ward.numbers(), (1..=400).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_gateway_at_the_address_is_sent_nothing_and_ends_nothing() {
    let (ward, home) = (Ward::open().await, Home::new());
    let address = ward.address;
    let mut device = home.pair(&ward, None);
    event(&mut device, |event| matches!(event, Event::Acknowledged(_)).then_some(())).await;
    let own = ward.close().await;
    let mut other = Ward::open_at(address).await;
    let reason = event(&mut device, refused).await;
    assert!(reason.starts_with(STRANGER), "{reason}");
    // It goes on sampling, and shows why it sends nothing.
    let state = device.state.wait_for(|state| state.waiting >= 256).await.unwrap().clone();
    assert_eq!(state.refusal, Some(reason));
    other.wait_until(|memory| memory.refused.contains(&Fault::DeniedOtherGateway)).await;
    assert!(other.memory().stored.is_empty() && other.memory().sessions.is_empty());
    other.close().await;

    let mut ward = Ward::reopen_at(address, own).await;
    device.order(Act::Retry).await;
    event(&mut device, resumed).await;
    assert_eq!(device.state.borrow().refusal, None);
    ward.wait_until(|memory| memory.stored.last().is_some_and(|sample| sample.seq > state.taken)).await;
    stop(device).await;
    let numbers = ward.numbers();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn samples_are_kept_for_the_gateway_that_it_is_paired_with_again() {
    let (ward, home) = (Ward::open().await, Home::new());
    assert_eq!(ended(home.pair(&ward, Some(3))).await.unwrap(), Ended::Delivered);
    let address = ward.address;
    ward.close().await;
    let other = Ward::open_at(address).await;
    let mut device = home.restart(&other, Some(20));
    assert!(event(&mut device, refused).await.starts_with(STRANGER));
    device.state.wait_for(|state| state.waiting == 20).await.unwrap();
    stop(device).await;
    assert_eq!(ended(home.pair(&other, Some(1))).await.unwrap(), Ended::Delivered);
    assert_eq!(other.numbers(), (4..=24).collect::<Vec<_>>());
}

#[tokio::test]
async fn forged_words_before_a_login_end_nothing_and_lose_nothing() {
    let (ward, home) = (Ward::open().await, Home::new());
    assert_eq!(ended(home.pair(&ward, Some(1))).await.unwrap(), Ended::Delivered);
    let faults = [Fault::DeniedUnknown, Fault::DeniedOtherGateway, clock_fault(), Fault::PeerVersion(9)];
    ward.memory().forged = [Forged::Garbage, Forged::HelloReply].into();
    ward.memory().forged.extend(faults.map(Forged::Refusal));
    let refused_wait = Duration::from_millis(1);
    let mut device =
        agent::start(DeviceConfig { samples: Some(499), refused_wait, ..home.config(&ward) }).unwrap();
    let mut said = vec![];
    while said.len() < 5 {
        said.push(event(&mut device, refused).await);
    }
    let parts = [STRANGER, "not paired", STRANGER, "1970-01-01 00:00:00 UTC", "version"];
    assert!(said.iter().zip(parts).all(|(said, part)| said.contains(part)), "{said:?}");
    event(&mut device, resumed).await;
    assert_eq!(ended(device).await.unwrap(), Ended::Delivered);

    assert_eq!(ward.numbers(), (1..=500).collect::<Vec<_>>());
    let memory = ward.memory();
    assert_eq!(memory.overheard.len(), 6);
    let only_hello = Overheard { opcode: Opcode::Hello as u8, bytes_after: 0 };
    assert!(memory.overheard.iter().all(|heard| *heard == only_hello), "{:?}", memory.overheard);
}

#[tokio::test]
async fn a_forged_refusal_of_the_clock_takes_no_time_away() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    let mut device = home.pair(&ward, None);
    event(&mut device, |event| matches!(event, Event::Acknowledged(_)).then_some(())).await;
    {
        let mut memory = ward.memory();
        memory.forged.push_back(Forged::Refusal(clock_fault()));
        memory.script.push_back(Answer::Cut);
    }
    let said = event(&mut device, refused).await;
    assert!(said.contains("1970-01-01 00:00:00 UTC") && said.contains("30 s are allowed"), "{said}");
    let taken = device.state.wait_for(|state| state.waiting >= 256).await.unwrap().taken;
    device.order(Act::Retry).await;
    assert!(!event(&mut device, resumed).await, "the ticket was spent on the forger");
    ward.wait_until(|memory| memory.stored.last().is_some_and(|sample| sample.seq > taken)).await;
    stop(device).await;
    let memory = ward.memory();
    let now = host::Clock::start().now().wall;
    let mut dated = memory.stored.iter().map(|sample| sample.taken.wall).skip_while(Option::is_none);
    assert!(dated.all(|wall| wall.is_some_and(|wall| wall.abs_diff(now) < PATIENCE)));
    assert_eq!(memory.overheard, [Overheard { opcode: Opcode::Resume as u8, bytes_after: 0 }]);
}

#[tokio::test]
async fn a_gateway_whose_clock_was_set_teaches_the_device_at_the_next_login() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    let mut device = home.pair(&ward, None);
    event(&mut device, |event| matches!(event, Event::Acknowledged(_)).then_some(())).await;
    let hour = Duration::from_secs(3_600);
    {
        let mut memory = ward.memory();
        memory.ahead = hour;
        memory.script.push_back(Answer::Cut);
    }
    let said = event(&mut device, refused).await;
    assert!(said.contains("differ by"), "{said}");
    device.state.wait_for(|state| state.waiting >= 256).await.unwrap();
    device.order(Act::Retry).await;
    event(&mut device, resumed).await;
    let now = host::Clock::start().now().wall + hour;
    let is_set = |sample: &Sample| sample.taken.wall.is_some_and(|wall| wall.abs_diff(now) < PATIENCE);
    ward.wait_until(|memory| memory.stored.last().is_some_and(is_set)).await;
    stop(device).await;
}

#[tokio::test]
async fn a_revoked_device_stops_and_says_what_to_do() {
    let (ward, home) = (Ward::open().await, Home::new());
    ward.memory().script = [Answer::Revoke].into_iter().collect();
    let revoked = ended(home.pair(&ward, Some(3))).await.unwrap_err();
    assert!(matches!(revoked, DeviceError::Revoked) && revoked.to_string().contains("--pair CODE"));
    assert_eq!(revoked.exit().code(), 78);
    assert!(ward.numbers().is_empty());
    // What it took is still there.
    assert_eq!(ended(home.pair(&ward, Some(1))).await.unwrap(), Ended::Delivered);
    assert_eq!(ward.numbers(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_full_flash_gives_up_the_oldest_and_reports_it() {
    let (ward, home) = (Ward::open().await, Home::new());
    let flash = FlashSize { samples: 3, thinned: 3, durable: Durable::Program };
    let code: PairingCode = CODE.parse().unwrap();
    ward.memory().offers.push(code);
    let pairing = Some(Pairing::Enter(code));
    let paired = agent::start(DeviceConfig { pairing, flash, samples: Some(1), ..home.config(&ward) });
    assert_eq!(ended(paired.unwrap()).await.unwrap(), Ended::Delivered);
    let config = DeviceConfig { flash, speed: Speed::new(1_000.0).unwrap(), ..home.config(&ward) };
    ward.close().await;
    let mut device = agent::start(config).unwrap();
    let gap = event(&mut device, |event| match event {
        Event::Lost(gap) => Some(*gap),
        _ => None,
    });
    let gap = gap.await;
    assert!(gap.first >= Seq(2) && gap.samples > 0 && gap.last >= gap.first, "{gap:?}");
    device.state.wait_for(|state| state.lost >= gap.samples).await.unwrap();
    stop(device).await;
}

#[tokio::test]
async fn one_folder_serves_one_device_at_a_time() {
    let (ward, home) = (Ward::open().await, Home::new());
    let device = home.pair(&ward, None);
    let second = agent::start(home.config(&ward)).unwrap_err();
    assert_eq!(second.exit().code(), 69, "{second}");
    stop(device).await;
}
