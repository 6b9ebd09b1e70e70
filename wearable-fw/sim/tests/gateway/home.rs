//! A device in a folder of its own, what is done to it, and what it tells.

use std::path::PathBuf;

use protocol::pairing::code::PairingCode;
use tokio::sync::oneshot;
use wearable::{
    act::Act,
    agent::{self, Device, DeviceConfig, DeviceError, DeviceEvent, Ended, Order, Pairing, Speed},
};
use wearable_core::device::Event;

use crate::ward::{PATIENCE, Ward};

pub(crate) const CODE: &str = "ABC-DEF-GH2";
pub(crate) const STRANGER: &str = "This is NOT the gateway that you paired with. Nothing was sent.";

/// A place for one device, which may be started again and again.
pub(crate) struct Home {
    _parent: tempfile::TempDir,
    pub(crate) folder: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("wearable-W001");
        Self { _parent: parent, folder }
    }

    pub(crate) fn config(&self, ward: &Ward) -> DeviceConfig {
        let base = DeviceConfig::new("W001".parse().unwrap(), ward.address.to_string(), self.folder.clone());
        DeviceConfig { speed: Speed::UNLIMITED, ..base }
    }

    /// Starts with a pairing on a code that the gateway shows.
    pub(crate) fn pair(&self, ward: &Ward, samples: Option<u64>) -> Device {
        let code: PairingCode = CODE.parse().unwrap();
        ward.memory().offers.push(code);
        let pairing = Some(Pairing::Enter(code));
        agent::start(DeviceConfig { pairing, samples, ..self.config(ward) }).unwrap()
    }

    pub(crate) fn restart(&self, ward: &Ward, samples: Option<u64>) -> Device {
        agent::start(DeviceConfig { samples, ..self.config(ward) }).unwrap()
    }
}

pub(crate) async fn ended(device: Device) -> Result<Ended, DeviceError> {
    tokio::time::timeout(PATIENCE, device.task).await.expect("the device goes on").unwrap()
}

/// The first event that `wanted` knows.
pub(crate) async fn event<T>(device: &mut Device, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let mut seen = vec![];
    let waiting = async {
        loop {
            let event = device.events.recv().await.expect("the device ended");
            if let DeviceEvent::Device(event) = &event
                && let Some(found) = wanted(event)
            {
                return found;
            }
            if !matches!(event, DeviceEvent::Taken(_)) {
                seen.push(event);
            }
        }
    };
    let came = tokio::time::timeout(PATIENCE, waiting).await;
    came.unwrap_or_else(|_| panic!("the event did not come, but: {seen:#?}"))
}

pub(crate) fn resumed(event: &Event) -> Option<bool> {
    match event {
        Event::Session { resumed, .. } => Some(*resumed),
        _ => None,
    }
}

pub(crate) fn refused(event: &Event) -> Option<String> {
    match event {
        Event::Refused(reason) => Some(reason.clone()),
        _ => None,
    }
}

pub(crate) async fn stop(device: Device) {
    device.order(Act::Stop).await;
    assert_eq!(ended(device).await.unwrap(), Ended::Stopped);
}

/// Ends it in the middle of anything, without a farewell and without giving numbers back.
pub(crate) async fn kill(device: Device, home: &Home) {
    device.task.abort();
    assert!(device.task.await.unwrap_err().is_cancelled());
    // A write that was under way holds the folder until it is done, like a kernel that finishes a system call.
    while host::datadir::DataDir::open(&home.folder).is_err() {
        tokio::task::yield_now().await;
    }
}

/// Does something and waits until it is done.
pub(crate) async fn does(device: &Device, words: &str) -> Result<(), String> {
    let outcome = ordered(device, words).await;
    tokio::time::timeout(PATIENCE, outcome).await.expect(words).expect("everybody is answered")
}

/// Does something; the answer comes when it is done.
pub(crate) async fn ordered(device: &Device, words: &str) -> oneshot::Receiver<Result<(), String>> {
    let (done, outcome) = oneshot::channel();
    let order = Order { act: words.parse().unwrap(), done: Some(done) };
    device.orders.send(order).await.unwrap();
    outcome
}

/// A device that is online, with somebody beside it.
pub(crate) async fn attended(ward: &Ward, home: &Home) -> Device {
    assert_eq!(ended(home.pair(ward, Some(1))).await.unwrap(), Ended::Delivered);
    let config = DeviceConfig { attended: true, speed: Speed::new(50.0).unwrap(), ..home.config(ward) };
    let mut device = agent::start(config).unwrap();
    event(&mut device, resumed).await;
    device
}
