//! How verbs and consoles talk to the running gateway of this machine: one JSON request per line over a Unix socket, one
//! JSON reply per line back. Only the gateway's own user and root are let in.

pub mod client;
pub mod server;

use std::fmt;

pub use host::control::Reply;
use serde::{Deserialize, Serialize};

/// What can be asked of a running gateway.
#[derive(Clone, Serialize, Deserialize)]
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
        /// Name and passphrase of the network that a wearable is given.
        #[serde(default)]
        network: Option<(String, String)>,
    },
    /// [`SettingsView`](crate::ward::view::SettingsView).
    Settings {
        /// The wearable, by name or start of UUID.
        name: String,
        /// How often it shall measure, in milliseconds.
        sample_ms: u32,
        /// How often it shall send, in milliseconds.
        upload_ms: u32,
    },
    /// [`WaveformAsked`](crate::ward::view::WaveformAsked); the samples come as events.
    Waveform {
        /// The wearable, by name or start of UUID.
        name: String,
        /// The signal, by name.
        signal: String,
        /// For how long; 0: stop.
        seconds: u16,
    },
    /// [`ImageView`](crate::ward::view::ImageView).
    PublishFirmware {
        /// Header and body, in hexadecimal.
        image: String,
        /// The maker's public key, in hexadecimal.
        key: Option<String>,
    },
    /// List of [`ImageView`](crate::ward::view::ImageView).
    Firmware {},
    /// Number of the image that was withdrawn.
    WithdrawFirmware {
        /// Its number.
        image: u32,
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

// By hand: requests carry pairing codes and passphrases, which must not reach a log.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_pairing_code() {
        let code = "ABC-DEF-GH2";
        let request = Request::CancelOffer { code: code.into() };
        assert!(!format!("{request:?}").contains("DEF"));
    }
}
