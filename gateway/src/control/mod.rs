//! How verbs and consoles talk to the running gateway of this machine: one JSON request per line over a Unix socket, one
//! JSON reply per line back. Only the gateway's own user and root are let in.

pub mod client;
pub mod server;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest path that a Unix socket can have on Linux, in bytes (`sun_path` less its terminator).
const MAX_SOCKET_PATH: usize = 107;

/// What can be asked of a running gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// [`Status`](crate::ward::view::Status).
    Status {},
    /// List of [`PatientView`](crate::ward::view::PatientView).
    Patients {},
    /// List of [`WearableView`](crate::ward::view::WearableView).
    Wearables {},
    /// List of [`AlertReport`](crate::ward::view::AlertReport), newest first.
    Alerts {
        /// How many at most.
        limit: u32,
    },
    /// List of [`RefusalView`](crate::ward::view::RefusalView), newest first.
    Refusals {
        /// How many at most.
        limit: usize,
    },
    /// List of [`OfferView`](crate::ward::view::OfferView).
    Offers {},
    /// Number of sessions ended.
    DisconnectAll {},
    /// [`OfferView`](crate::ward::view::OfferView).
    Pair {
        /// `patient` or `wearable`.
        kind: String,
        /// The patient.
        patient: String,
        /// Take the place of the patient's present computer.
        replace: bool,
        /// The code that a device shows.
        code: Option<String>,
    },
    /// Whether an offer was open.
    CancelOffer {
        /// Its code.
        code: String,
    },
    /// [`AlertReport`](crate::ward::view::AlertReport) after the wait.
    Alert {
        /// What people will read.
        text: String,
        /// Patients; absent: the whole ward.
        to: Option<Vec<String>>,
        /// Longest wait for receipts.
        wait_ms: u64,
        /// How long it matters.
        expires_ms: u64,
        /// The alert that it calls off.
        cancels: Option<String>,
    },
    /// List of [`SampleView`](crate::ward::event::SampleView), newest first.
    Vitals {
        /// Whose.
        patient: String,
        /// How many at most.
        last: u32,
    },
    /// Id of the client that was revoked.
    Revoke {
        /// `patient` or `wearable`.
        kind: String,
        /// Its id, name or start of UUID.
        name: String,
    },
    /// From now on every event, one per line, until the connection closes.
    Watch {},
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// What was asked for.
    Done(Value),
    /// Why not, with the exit code of the verb.
    Refused {
        /// Exit code.
        exit: u8,
        /// The sentence.
        message: String,
    },
}

/// Where the socket of the gateway with this data folder lies: in the folder, or, where that path is too long for a
/// socket, in the user's runtime folder.
#[must_use]
pub fn socket_path(data_dir: &Path) -> PathBuf {
    let beside = data_dir.join("control.sock");
    if beside.as_os_str().as_bytes().len() <= MAX_SOCKET_PATH {
        return beside;
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let mut hasher = DefaultHasher::new();
    data_dir.hash(&mut hasher);
    runtime.join(format!("vitalward-{:016x}", hasher.finish())).join("control.sock")
}
