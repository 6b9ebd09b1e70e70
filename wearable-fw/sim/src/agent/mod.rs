//! One device at work: it samples whether or not there is a gateway, keeps what it sampled, and sends it when there is
//! one. Owns the decisions about connection, pairing and trust; the screen and the event lines only look on.
//!
//! [`start`] gives a [`Device`]: events (bounded; see [`DeviceEvent::Missed`]), the newest [`DeviceState`], a channel for
//! commands, and the task. The session's ticket is kept in memory only, as on a board: after a restart the device logs in
//! fully.
//!
//! Over plain TCP anybody on the network can answer in the gateway's place, so what is said before a login is complete
//! ends nothing: a refusal, or a gateway that does not prove to be the pinned one, is reported and shown, no sample is
//! sent, sampling goes on, the clock stays as it is, and the device tries again after [`REFUSED_WAIT`] or when its
//! person says so. Only what the pinned gateway says in a session ([`DeviceError::Revoked`]) ends the device. A pairing
//! has its person beside it and ends with its refusal.

mod link;
mod refusal;
mod run;
mod state;

use std::{path::PathBuf, time::Duration};

use host::{
    datadir::{DataDir, DataDirError},
    exit::Exit,
};
use protocol::{
    error::Fault,
    id::{DeviceId, WearableName},
    pairing::code::PairingCode,
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

pub use self::state::{DeviceEvent, DeviceState, LinkState};
use crate::{
    act::Act,
    clock::DeviceClock,
    journal::{Journal, JournalError},
    keys::{self, Keys, KeysError},
    outbox::{Outbox, OutboxError},
    patient::Patient,
    recording::{Recording, ReplayError},
    sampling::Wearer,
    scenario::Scenario,
};

/// Six hours at one sample a second.
pub const DEFAULT_CAPACITY: usize = 6 * 3_600;
/// How long a code is tried.
pub const PAIRING_LIMIT: Duration = Duration::from_secs(600);
/// Between two tries after a refusal.
pub const REFUSED_WAIT: Duration = Duration::from_secs(60);
/// What the device says that it runs.
pub const FIRMWARE: &str = concat!("vitalward-sim ", env!("CARGO_PKG_VERSION"));
/// What it says that it runs on.
pub const HARDWARE: &str = "host";

const EVENTS: usize = 1_024;
const COMMANDS: usize = 16;

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
#[derive(Debug)]
pub struct DeviceConfig {
    /// What people call it.
    pub name: WearableName,
    /// `HOST:PORT` of the gateway's port for wearables.
    pub gateway: String,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Pair first, even if it is paired.
    pub pairing: Option<Pairing>,
    /// A recording in place of the shipped one of its kind.
    pub recording: Option<Recording>,
    /// What happens to the simulated patient.
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
    /// Most samples that are kept.
    pub capacity: usize,
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
            recording: None,
            scenario: Scenario::default(),
            seed: None,
            worn: 0,
            speed: Speed::REAL,
            samples: None,
            capacity: DEFAULT_CAPACITY,
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
    /// Its keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Its journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its journal, while it ran.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The recording.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// It was never paired.
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
    PairingRefused(Fault),
    /// Whatever listens at that address does not speak as a wearables' port does.
    #[error(
        "what answers at this address is no gateway's port for wearables (usually 7301); check --gateway"
    )]
    NoWearablesPort,
    /// Nobody entered the code, or no gateway answered, in ten minutes; or three wrong guesses were made.
    #[error(
        "pairing ended without a gateway: a code is good for ten minutes and three tries; start again with a new code"
    )]
    PairingOver,
    /// This build cannot log in.
    #[error("this program cannot log in: {0}")]
    Login(Fault),
}

impl DeviceError {
    /// How the program ends for it.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Folder(error) => error.exit(),
            Self::Keys(_)
            | Self::Journal(JournalError::Foreign(_) | JournalError::Folder(_))
            | Self::Unpaired
            | Self::Revoked => Exit::Configuration,
            Self::Replay(_) => Exit::Usage,
            Self::Journal(JournalError::Write(_))
            | Self::Outbox(_)
            | Self::PairingRefused(_)
            | Self::NoWearablesPort
            | Self::PairingOver
            | Self::Login(_) => Exit::Failed,
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
    pub commands: mpsc::Sender<Act>,
    /// Ends when the device ends.
    pub task: JoinHandle<Result<Ended, DeviceError>>,
}

/// Opens the device's folder and sets it to work on the current runtime.
///
/// # Errors
/// [`DeviceError`]: a folder that cannot be used, a recording that does not fit, or no pairing.
pub fn start(config: DeviceConfig) -> Result<Device, DeviceError> {
    let patient = Patient::new(config.recording, config.scenario, config.seed)?.worn_for(config.worn);
    let scenario = patient.scenario().name.clone();
    let wearer = Wearer::new(patient)?;
    let dir = DataDir::open(&config.data_dir)?;
    let is_new = dir.is_new();
    let keys = Keys::open(&dir)?;
    let pinned = keys::read_gateway(&dir)?;
    if pinned.is_none() && config.pairing.is_none() {
        return Err(DeviceError::Unpaired);
    }
    let (journal, uplink, recovery) = Journal::open(dir, config.capacity)?;
    let (events, receiver) = mpsc::channel(EVENTS);
    let (commands, orders) = mpsc::channel(COMMANDS);
    let id = keys.device();
    let state = DeviceState::new(config.name.clone(), id, scenario, config.speed);
    let (publisher, state) = watch::channel(state);
    let settings = run::Settings {
        name: config.name,
        gateway: config.gateway,
        speed: config.speed,
        samples: config.samples,
        refused_wait: config.refused_wait,
    };
    let runner = run::Runner::new(
        settings,
        run::Memory { keys, pinned, outbox: Outbox::new(journal, uplink), next: recovery.next },
        wearer,
        run::Wires { events, missed: 0, state: publisher },
        DeviceClock::start(),
    );
    let task = tokio::spawn(Box::pin(runner.run(config.pairing, recovery, orders)));
    Ok(Device { id, is_new, events: receiver, state, commands, task })
}
