//! What happens in the ward, from all of its programs, in one stream.

use std::time::Duration;

use gateway::ward::{event::WardEvent, view::AlertReport};
use host::Clock;
use patient::agent::AgentEvent;
use protocol::{
    credential::ClientKind,
    id::{PatientId, WearableName},
    pairing::code::PairingCode,
    time::Monotonic,
};
use tokio::sync::broadcast;
use wearable::agent::DeviceEvent;

/// News that a slow reader may lag behind before it loses some.
const KEPT: usize = 16_384;

/// Something happened.
#[derive(Debug, Clone)]
pub struct News {
    /// When, since the ward was opened.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What {
    /// The gateway says.
    Gateway(WardEvent),
    /// A patient's client says.
    Patient(PatientId, AgentEvent),
    /// A wearable says.
    Wearable(WearableName, DeviceEvent),
    /// A code was carried from the gateway to a client.
    Invited {
        /// A patient's client or a wearable.
        kind: ClientKind,
        /// Whose.
        patient: PatientId,
        /// The code.
        code: PairingCode,
    },
    /// A patient's network cable was pulled.
    Pulled(PatientId),
    /// It was plugged in again.
    PluggedIn(PatientId),
    /// The receipts of an alert were counted.
    Counted(AlertReport),
}

/// Where news is posted; copies share it.
#[derive(Debug, Clone)]
pub struct Board {
    clock: Clock,
    sender: broadcast::Sender<News>,
}

impl Default for Board {
    fn default() -> Self {
        Self { clock: Clock::start(), sender: broadcast::channel(KEPT).0 }
    }
}

impl Board {
    /// News from now on; ends when the last copy of this board is gone.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<News> {
        self.sender.subscribe()
    }

    /// Since the board was put up.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.clock.now().mono.since(Monotonic(0))
    }

    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn post(&self, what: What) {
        // Nobody reading is no fault.
        self.sender.send(News { at: self.age(), what }).ok();
    }
}
