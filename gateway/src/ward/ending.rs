//! How a session ends, as the ward and its watchers see it. What follows from it is decided in [`Ward::leave`](super::Ward::leave).

use std::fmt;

use protocol::{
    id::{ClientId, PatientId, SessionId},
    message::Farewell,
};

/// Names a session that is over.
#[derive(Debug)]
pub(crate) struct LeavingSession {
    pub(crate) client: ClientId,
    pub(crate) patient: PatientId,
    pub(crate) session: SessionId,
}

/// Why a session is over.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// The client said so.
    ByClient(Farewell),
    /// The ward said so.
    ByWard(Farewell),
    /// The link broke, fell silent, or misbehaved.
    Lost(String),
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByClient(Farewell::EndedByPatient) => f.write_str("away, on purpose"),
            Self::ByClient(Farewell::Shutdown) => f.write_str("the client shut down"),
            Self::ByClient(farewell) | Self::ByWard(farewell) => farewell.fmt(f),
            Self::Lost(why) => write!(f, "link lost: {why}"),
        }
    }
}
