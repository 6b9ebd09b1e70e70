//! A device in somebody's hands: its button, its power, its wire, its clock.

use protocol::id::Seq;
use wearable::agent::{self, DeviceConfig, Speed};
use wearable_core::{
    device::Event,
    mode::{Link, Mode},
};

use crate::{
    home::{CODE, Home, STRANGER, attended, does, event, ordered, refused, resumed, stop},
    ward::Ward,
};

#[tokio::test]
async fn a_power_cut_in_the_middle_of_any_write_loses_at_most_what_was_being_written() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    let mut device = attended(&ward, &home).await;
    for write in 1..=6 {
        does(&device, &format!("power-cut {write}")).await.unwrap();
        event(&mut device, resumed).await;
    }
    let taken = device.state.borrow().taken;
    ward.wait_until(|memory| memory.stored.last().is_some_and(|sample| sample.seq > taken)).await;
    stop(device).await;
    let memory = ward.memory();
    assert!(memory.stored.windows(2).all(|pair| pair[0].seq < pair[1].seq), "no number twice");
    let skipped: u64 = memory.stored.windows(2).map(|pair| pair[1].seq.0 - pair[0].seq.0 - 1).sum();
    assert!(skipped <= 12, "{skipped}");
    let boots: Vec<_> = memory.stored.iter().map(|sample| sample.boot).collect();
    assert!(boots.iter().collect::<std::collections::HashSet<_>>().len() >= 4, "it was off and on again");
}

#[tokio::test]
async fn a_reboot_loses_memory_and_keeps_flash() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    let mut device = attended(&ward, &home).await;
    does(&device, "network off").await.unwrap();
    device.state.wait_for(|state| state.waiting >= 5).await.unwrap();
    let before = device.state.borrow().taken;
    does(&device, "reboot").await.unwrap();
    assert!(device.state.borrow().taken >= before);
    does(&device, "network on").await.unwrap();
    assert!(!event(&mut device, resumed).await, "the ticket was in memory");
    ward.wait_until(|memory| memory.stored.last().is_some_and(|sample| sample.seq > before)).await;
    stop(device).await;
    let numbers = ward.numbers();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "nothing is missing");
}

#[tokio::test]
async fn a_stranger_a_late_wire_a_wrong_bit_and_a_wrong_clock_lose_nothing() {
    let (mut ward, home) = (Ward::open().await, Home::new());
    let mut device = attended(&ward, &home).await;
    does(&device, "gateway wrong").await.unwrap();
    assert!(event(&mut device, refused).await.starts_with(STRANGER));
    does(&device, "gateway right").await.unwrap();
    does(&device, "retry").await.unwrap();
    event(&mut device, resumed).await;
    does(&device, "network delay 20").await.unwrap();
    does(&device, "network corrupt").await.unwrap();
    event(&mut device, resumed).await;
    does(&device, "clock skew 90").await.unwrap();
    let differ = |event: &Event| refused(event).filter(|said| said.contains("the clocks differ by"));
    event(&mut device, differ).await;
    does(&device, "retry").await.unwrap();
    event(&mut device, resumed).await;
    let taken = device.state.borrow().taken;
    ward.wait_until(|memory| memory.stored.last().is_some_and(|sample| sample.seq > taken)).await;
    stop(device).await;
    let numbers = ward.numbers();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_button_opens_a_window_and_a_long_press_asks_for_the_reset() {
    let (ward, home) = (Ward::open().await, Home::new());
    let config = DeviceConfig { attended: true, speed: Speed::REAL, ..home.config(&ward) };
    let mut device = agent::start(config).unwrap();
    assert_eq!(device.state.borrow().mode, Mode::Unprovisioned);
    // A press too short opens nothing; a code without a window is refused.
    does(&device, "button press").await.unwrap();
    event(&mut device, refused).await;
    does(&device, &format!("code {CODE}")).await.unwrap();
    assert!(event(&mut device, refused).await.contains("no pairing window is open"));
    does(&device, "button hold 2.1").await.unwrap();
    ward.memory().offers.push(CODE.parse().unwrap());
    does(&device, &format!("code {CODE}")).await.unwrap();
    event(&mut device, resumed).await;
    let online = |state: &agent::DeviceState| state.mode == Mode::Working(Link::Online);
    device.state.wait_for(online).await.unwrap();
    does(&device, "slide configuration").await.unwrap();
    does(&device, "button hold 10.1").await.unwrap();
    event(&mut device, |event| (*event == Event::ResetAsked).then_some(())).await;
    does(&device, "confirm").await.unwrap();
    event(&mut device, |event| (*event == Event::ResetDone).then_some(())).await;
    assert_eq!((device.state.borrow().mode, device.state.borrow().waiting), (Mode::Unprovisioned, 0));
    stop(device).await;
}

#[tokio::test]
async fn whoever_holds_the_button_is_answered_whatever_else_is_done() {
    let (ward, home) = (Ward::open().await, Home::new());
    let device = agent::start(DeviceConfig { attended: true, ..home.config(&ward) }).unwrap();
    let held = ordered(&device, "button hold 60").await;
    let second = does(&device, "button press").await.unwrap_err();
    assert!(second.contains("down already"), "{second}");
    does(&device, "reboot").await.unwrap();
    let held = held.await.unwrap().unwrap_err();
    assert!(held.contains("went off (reboot) while its button was down"), "{held}");
    does(&device, "button press").await.unwrap();
    stop(device).await;
}

#[tokio::test]
async fn the_battery_falls_with_the_time_and_not_with_the_samples() {
    let (ward, home) = (Ward::open().await, Home::new());
    let speed = Speed::new(1_000.0).unwrap();
    let mut device = agent::start(DeviceConfig { attended: true, speed, ..home.config(&ward) }).unwrap();
    // Nobody paired it: it takes no samples.
    let state = device.state.wait_for(|state| state.battery < 100).await.unwrap().clone();
    assert_eq!((state.battery, state.taken), (99, Seq(0)));
    assert!((599..1_199).contains(&state.step.unwrap().second), "one percent in ten minutes");
    stop(device).await;
}
