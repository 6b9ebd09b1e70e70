//! What a device tells and is told.

use protocol::{
    cadence::Settings,
    id::{DeviceId, DoctorId, Seq, WearableName},
    pairing::code::PairingCode,
};
use tokio::sync::oneshot;
use wearable_core::{
    device::{BootReport, Event},
    mode::{Mode, Switch},
};

use super::Speed;
use crate::{
    act::{Act, Name},
    cable::Condition,
    chips::Faults,
    recording::Contact,
    sampling::Step,
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceEvent {
    /// In the device.
    Device(Event),
    /// It was switched off and on again: why, and what it found.
    Booted {
        /// Why.
        why: &'static str,
        /// What it found.
        report: BootReport,
    },
    /// What the first start found, if it is worth a word.
    Found(BootReport),
    /// A sample is kept.
    Taken(Seq),
    /// A sample could not be written down and is lost.
    NotStored(String),
    /// Somebody did this to it.
    Did(Act),
    /// Nobody read so many events in time.
    Missed(u64),
}

/// How much of the ECG is shown, in samples: a heartbeat and a little more.
pub(crate) const TRACE: usize = 400;

/// How things stand.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceState {
    /// What people call it.
    pub name: WearableName,
    /// Its UUID.
    pub id: DeviceId,
    /// Its state.
    pub mode: Mode,
    /// The doctor of the gateway that it is bound to.
    pub doctor: Option<DoctorId>,
    /// The code to enter at the gateway, while a window is open.
    pub code: Option<PairingCode>,
    /// How the last try was refused, until a try ends in another way. Nobody vouches for it.
    pub refusal: Option<String>,
    /// Why there is no session, when there was one or a try.
    pub lost_because: Option<String>,
    /// Where the slide switch stands.
    pub switch: Switch,
    /// Whether the button is down.
    pub pressed: bool,
    /// How often it measures and sends.
    pub settings: Settings,
    /// The way to the gateway.
    pub condition: Condition,
    /// How the body is, and what touches it.
    pub contact: Contact,
    /// What is wrong with the sensors.
    pub faults: Faults,
    /// What happens to the simulated patient.
    pub scenario: Name,
    /// How fast record time passes.
    pub speed: Speed,
    /// The last second.
    pub step: Option<Step>,
    /// The newest of the ECG, microvolt, at most 400 samples.
    pub trace: Vec<i32>,
    /// Number of the last sample.
    pub taken: Seq,
    /// Samples that the gateway does not have.
    pub waiting: u64,
    /// The gateway has everything up to here.
    pub acknowledged: Seq,
    /// Samples given up or not stored, ever.
    pub lost: u64,
    /// Simulated charge in percent.
    pub battery: u8,
}

impl DeviceState {
    pub(crate) fn new(name: WearableName, id: DeviceId, mode: Mode, scenario: Name, speed: Speed) -> Self {
        Self {
            name,
            id,
            mode,
            doctor: None,
            code: None,
            refusal: None,
            lost_because: None,
            switch: Switch::Working,
            pressed: false,
            settings: Settings::LIVE,
            condition: Condition::GOOD,
            contact: Contact::GOOD,
            faults: Faults::default(),
            scenario,
            speed,
            step: None,
            trace: Vec::new(),
            taken: Seq(0),
            waiting: 0,
            acknowledged: Seq(0),
            lost: 0,
            battery: 100,
        }
    }

    /// Another second was measured.
    pub(crate) fn pass(&mut self, step: Step) {
        self.trace.extend(&step.sensed.ecg);
        self.trace.drain(..self.trace.len().saturating_sub(TRACE));
        self.step = Some(step);
    }
}

/// What a device is told to do.
#[derive(Debug)]
pub struct Order {
    /// What.
    pub act: Act,
    /// Told when it is done, or why not.
    pub done: Option<oneshot::Sender<Result<(), String>>>,
}

impl From<Act> for Order {
    fn from(act: Act) -> Self {
        Self { act, done: None }
    }
}
