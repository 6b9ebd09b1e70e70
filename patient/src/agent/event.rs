//! What the agent tells and what it can be told.

use std::{path::PathBuf, time::Duration};

use host::exit::Exit;
use protocol::{
    alert::{Priority, Stage},
    group::Epoch,
    id::{AlertId, DoctorId, GatewayId, PatientId, SessionId},
    pairing::code::PairingCode,
    time::UnixMillis,
};
use thiserror::Error;

use crate::store::StoreError;

/// What happened. Reasons are sentences for a person.
#[derive(Debug, Clone)]
pub enum AgentEvent {
    /// A code is needed; answer with [`AgentCommand::Code`].
    CodeWanted {
        /// Why the code before was refused.
        why: Option<String>,
    },
    /// This computer has a stored identity.
    Identified {
        /// Who it is.
        patient: PatientId,
        /// For whom.
        doctor: DoctorId,
        /// Alerts of the last 30 days, oldest first.
        kept: Vec<AlertNotice>,
    },
    /// The gateway is dialled.
    Connecting {
        /// Where.
        gateway: String,
    },
    /// Paired, and that is stored.
    Paired {
        /// Who this computer now is.
        patient: PatientId,
        /// For whom.
        doctor: DoctorId,
        /// The installation.
        gateway: GatewayId,
        /// Where the keys are.
        folder: PathBuf,
    },
    /// Logged in.
    Session {
        /// The session.
        session: SessionId,
        /// Whether a ticket opened it.
        resumed: bool,
        /// Whether recorded traffic stays closed to a later quantum computer.
        protected: bool,
    },
    /// Broadcasts of this epoch can be opened.
    Group(Epoch),
    /// An alert came, or came again.
    Alert(AlertNotice),
    /// An alert came that is not shown.
    AlertRefused {
        /// Why not.
        reason: String,
    },
    /// The person has read it, and that is stored.
    Acknowledged(AlertId),
    /// A receipt was sent.
    Receipt {
        /// Of what.
        alert: AlertId,
        /// How far it came.
        stage: Stage,
    },
    /// The gateway, or this program, said no.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// The session is over.
    Disconnected {
        /// Why.
        reason: String,
        /// Whether nothing is tried until [`AgentCommand::Return`].
        stays_out: bool,
    },
    /// The next try comes by itself.
    Waiting {
        /// Why there is no session.
        reason: String,
        /// After how long.
        retry: Duration,
    },
    /// The agent has ended, not because it was asked to.
    Stopped {
        /// Why, and what to do.
        message: String,
    },
}

/// An alert as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertNotice {
    /// Its id.
    pub id: AlertId,
    /// What it says.
    pub text: String,
    /// How urgent it is.
    pub priority: Priority,
    /// When it was raised, by the gateway's clock.
    pub created: UnixMillis,
    /// How old it was when it came.
    pub age: Duration,
    /// The group epoch it came under; `None` if it came in this patient's own session.
    pub epoch: Option<Epoch>,
    /// Whether it came long after it was raised.
    pub late: bool,
    /// Whether it was seen before; it is not to be shown again.
    pub repeated: bool,
    /// Whether a person has acknowledged it.
    pub acknowledged: bool,
    /// Whether another alert calls it off.
    pub cancelled: bool,
    /// The alert that it calls off.
    pub cancels: Option<AlertId>,
}

/// What the agent can be told.
#[derive(Debug, Clone, Copy)]
pub enum AgentCommand {
    /// The code that was asked for.
    Code(PairingCode),
    /// A person has read this alert.
    Acknowledge(AlertId),
    /// The person leaves: tell the gateway and stay out.
    Leave,
    /// The person wants back in; while waiting for the next try: try now.
    Return,
    /// The program ends: say goodbye and end.
    Stop,
}

/// Why an agent ended by itself. Each is a sentence that says what to do.
#[derive(Debug, Error)]
pub enum AgentError {
    /// No identity is stored, there is no code, and nobody to ask.
    #[error("{0}")]
    NotPaired(String),
    /// The code was refused and there is nobody to ask for another.
    #[error("{0}")]
    Code(String),
    /// The stored identity, or the gateway that answers, is another one than was asked for.
    #[error("{0}")]
    Another(String),
    /// Somebody else than the pinned gateway answers.
    #[error("{0}")]
    NotTheGateway(String),
    /// Another session of this identity is open.
    #[error("{0}")]
    Displaced(String),
    /// The clinic took this computer off its list.
    #[error("{0}")]
    Revoked(String),
    /// The data folder cannot be used.
    #[error("{0}")]
    Store(StoreError),
    /// Gateway and program do not fit together.
    #[error("{0}")]
    Protocol(String),
}

impl From<StoreError> for AgentError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl AgentError {
    /// The exit code of a program that ends with this.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NotPaired(_) | Self::Code(_) | Self::Another(_) | Self::Revoked(_) => Exit::Configuration,
            Self::Store(StoreError::Folder { source, .. }) => source.exit(),
            Self::Store(_) => Exit::Configuration,
            Self::NotTheGateway(_) | Self::Displaced(_) | Self::Protocol(_) => Exit::Failed,
        }
    }
}
