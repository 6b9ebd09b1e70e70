//! A device at work on a host: the core's [`Device`](wearable_core::device::Device) with a file for its flash, a cable for
//! its network, a recording for its sensors, and a hand that can do to it whatever [`act`](crate::act) has words for.
//!
//! [`start`] gives a [`Device`]: events (bounded; see [`DeviceEvent::Missed`]), the newest [`DeviceState`], a channel for
//! orders, and the task. Decisions about connection, pairing and trust are the core's; screen, event lines and control
//! socket only look on and press buttons.

mod board;
mod clock;
mod run;
mod state;
mod wake;
mod wires;

use std::{io, path::PathBuf, time::Duration};

use host::{
    control::ControlSocket,
    datadir::{DataDir, DataDirError},
    exit::{Exit, Stop},
};
use protocol::{
    credential::{ClientKind, Suite},
    id::{DeviceId, InvalidId, WearableName},
    pairing::code::PairingCode,
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use wearable_core::{device::BootError, mode::Mode};

pub(crate) use self::board::install_first;
pub use self::{
    board::FlashSize,
    state::{DeviceEvent, DeviceState, Order},
};
use crate::{
    act::Act,
    identity::IdentityError,
    patient::Patient,
    recording::{Recording, ReplayError},
    sampling::Wearer,
    scenario::Scenario,
};

/// Between two tries after a refusal.
pub const REFUSED_WAIT: Duration = Duration::from_secs(60);

const EVENTS: usize = 1_024;
const ORDERS: usize = 16;

/// How fast record time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(f64);

impl Speed {
    /// One second a second.
    pub const REAL: Self = Self(1.0);
    /// As fast as the gateway acknowledges, for tests; without a gateway it stops after a few batches.
    pub const UNLIMITED: Self = Self(0.0);

    /// `factor` seconds a second, 0.1 to 1000, or 0 for [`Self::UNLIMITED`].
    #[must_use]
    pub fn new(factor: f64) -> Option<Self> {
        (factor == 0.0 || (0.1..=1_000.0).contains(&factor)).then_some(Self(factor))
    }

    /// Time between two samples; `None` if it is not time that decides.
    #[must_use]
    pub fn interval(self) -> Option<Duration> {
        (self.0 > 0.0).then(|| Duration::from_secs_f64(1.0 / self.0))
    }
}

/// How a device gets to know its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// The gateway showed this code.
    Enter(PairingCode),
    /// The device makes a code and shows it; its person enters it at the gateway.
    Show,
}

/// What a device is started with.
#[derive(Debug, Clone)]
pub struct DeviceConfig {
    /// What people call it.
    pub name: WearableName,
    /// `HOST:PORT` of the gateway's port for wearables.
    pub gateway: String,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Pair first, even if it is paired: the buttons are pressed at the start.
    pub pairing: Option<Pairing>,
    /// Whether somebody is there to press buttons: then it goes on without a gateway, and after a pairing that failed.
    pub attended: bool,
    /// Whether it answers on a control socket in its data folder.
    pub control: bool,
    /// A recording in place of the shipped one of its kind.
    pub recording: Option<Recording>,
    /// What happens to the simulated patient and the device.
    pub scenario: Scenario,
    /// Which simulated patient, unless the scenario's is right.
    pub seed: Option<u64>,
    /// Seconds that the patient has worn it when a scenario starts: the signal processing has settled and the scenario
    /// is so far along. None of them is sent.
    pub worn: u32,
    /// How fast.
    pub speed: Speed,
    /// End when so many samples were taken and everything is acknowledged.
    pub samples: Option<u64>,
    /// The suites that it offers, the preferred first.
    pub suites: Vec<Suite>,
    /// How much flash it has.
    pub flash: FlashSize,
    /// Between two tries after a refusal.
    pub refused_wait: Duration,
}

impl DeviceConfig {
    /// The usual device, not paired.
    #[must_use]
    pub fn new(name: WearableName, gateway: String, data_dir: PathBuf) -> Self {
        Self {
            name,
            gateway,
            data_dir,
            pairing: None,
            attended: false,
            control: false,
            recording: None,
            scenario: Scenario::default(),
            seed: None,
            worn: 0,
            speed: Speed::REAL,
            samples: None,
            suites: ClientKind::Wearable.suites().to_vec(),
            flash: FlashSize::default(),
            refused_wait: REFUSED_WAIT,
        }
    }
}

/// Why a device ended without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its person said so.
    Stopped,
    /// All samples asked for are acknowledged.
    Delivered,
}

/// Why a device cannot go on. Its samples are kept.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] DataDirError),
    /// Its identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its flash's file.
    #[error("the flash's file cannot be used")]
    Flash(#[source] io::Error),
    /// A fault of this program.
    #[error("no hardware has this id: {0}")]
    Hardware(InvalidId),
    /// What is on its flash.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// Neither slot has an image that verifies.
    #[error(
        "no firmware image in this wearable's flash is its maker's; make a new device with wearable factory"
    )]
    NoImage,
    /// The control socket.
    #[error(transparent)]
    Control(Stop),
    /// The recording.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// It was never paired, and nobody is there to press its button.
    #[error(
        "this wearable is not paired yet; ask the clinic for a code and start with --pair CODE, or start with --show-code and enter the code at the gateway"
    )]
    Unpaired,
    /// The gateway revoked this device, and said so in a session.
    #[error(
        "the gateway does not take this wearable (any more); ask the clinic for a code and start with --pair CODE or --show-code. The samples taken so far are kept."
    )]
    Revoked,
    /// Pairing was refused.
    #[error("pairing failed: {0}")]
    PairingRefused(String),
    /// Nobody entered the code, or no gateway answered, in ten minutes; or three wrong guesses were made.
    #[error(
        "pairing ended without a gateway: a code is good for ten minutes and three tries; start again with a new code"
    )]
    PairingOver,
}

impl DeviceError {
    /// How the program ends for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Folder(error) => error.exit(),
            Self::Control(stop) => Stop::exit_of(stop),
            Self::Identity(_) | Self::Boot(_) | Self::NoImage | Self::Unpaired | Self::Revoked => {
                Exit::Configuration
            }
            Self::Replay(_) => Exit::Usage,
            Self::Flash(_) | Self::Hardware(_) | Self::PairingRefused(_) | Self::PairingOver => Exit::Failed,
        }
    }
}

/// A running device.
#[derive(Debug)]
pub struct Device {
    /// Its UUID.
    pub id: DeviceId,
    /// Whether this start made it.
    pub is_new: bool,
    /// What happens, in order. When nobody reads, the device goes on and the events are counted, not kept.
    pub events: mpsc::Receiver<DeviceEvent>,
    /// How things stand now.
    pub state: watch::Receiver<DeviceState>,
    /// What its person wants. The device ends when nobody holds this any more.
    pub orders: mpsc::Sender<Order>,
    /// Ends when the device ends.
    pub task: JoinHandle<Result<Ended, DeviceError>>,
}

impl Device {
    /// Asks it to do something, without waiting for the outcome. It fails only if the device has ended by itself.
    pub async fn order(&self, act: Act) {
        self.orders.send(act.into()).await.ok();
    }
}

/// Opens the device's folder and sets it to work on the current runtime.
///
/// # Errors
/// [`DeviceError`]: a folder that cannot be used, a recording that does not fit, or no pairing.
pub fn start(config: DeviceConfig) -> Result<Device, DeviceError> {
    let patient = Patient::new(config.recording, config.scenario, config.seed)?.worn_for(config.worn);
    let wearer = Wearer::new(patient)?;
    let dir = DataDir::open(&config.data_dir)?;
    let is_new = dir.is_new();
    let (clock, name, speed) = (clock::BoardClock::start(), config.name.clone(), config.speed);
    let made = board::Made {
        name: config.name,
        size: config.flash,
        suites: config.suites,
        refused_wait: config.refused_wait,
    };
    let board = board::Board::open(dir, made)?;
    let (device, report) = board.boot(run::SWITCH, clock.now())?;
    if report.mode == Mode::Unprovisioned && config.pairing.is_none() && !config.attended {
        return Err(DeviceError::Unpaired);
    }
    let socket = config.control.then(|| ControlSocket::bind(&config.data_dir)).transpose();
    let socket = socket.map_err(DeviceError::Control)?;
    let (events, receiver) = mpsc::channel(EVENTS);
    let (orders, taken) = mpsc::channel(ORDERS);
    let id = device.id();
    let scenario = wearer.patient().scenario().name.clone();
    let (publisher, state) = watch::channel(DeviceState::new(name, id, report.mode, scenario, speed));
    let wires = wires::Wires::new(events, publisher);
    let counter = wires.counter(orders.downgrade(), state.clone());
    let settings = run::Settings {
        gateway: config.gateway,
        speed,
        samples: config.samples,
        pairing: config.pairing,
        attended: config.attended,
    };
    let runner = run::Runner::new(settings, board, device, wearer, wires, clock);
    let task = tokio::spawn(Box::pin(async move {
        let serving = async {
            match socket {
                Some(socket) => socket.serve(counter).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = runner.run(report, taken) => ended,
            () = serving => Ok(Ended::Stopped),
        }
    }));
    Ok(Device { id, is_new, events: receiver, state, orders, task })
}
