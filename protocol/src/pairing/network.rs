//! The credentials of a radio network that a wearable is given with its pairing. The passphrase is wiped when it is
//! dropped and never shown.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest name of a network, in bytes (IEEE 802.11).
pub const MAX_SSID: usize = 32;
/// Longest passphrase, in bytes (WPA2).
pub const MAX_PASSPHRASE: usize = 63;
/// Shortest passphrase, in bytes (WPA2).
pub const MIN_PASSPHRASE: usize = 8;

/// Credentials that no network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// The name.
    #[error("a network's name has 1 to 32 bytes and no control characters")]
    Ssid,
    /// The passphrase.
    #[error(
        "a network's passphrase has 8 to 63 printable ASCII characters, or none where the network is open"
    )]
    Passphrase,
}

/// A network's name and passphrase.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(String, String)")]
pub struct NetworkCredentials {
    ssid: String,
    #[serde(serialize_with = "expose")]
    passphrase: Zeroizing<String>,
}

impl NetworkCredentials {
    /// Credentials of a network; an open one has an empty passphrase.
    ///
    /// # Errors
    /// [`NetworkError`] if there can be no such network.
    pub fn new(ssid: String, passphrase: Zeroizing<String>) -> Result<Self, NetworkError> {
        if ssid.is_empty() || ssid.len() > MAX_SSID || ssid.chars().any(char::is_control) {
            return Err(NetworkError::Ssid);
        }
        let length = passphrase.len();
        let printable = passphrase.chars().all(|c| matches!(c, ' '..='~'));
        if !printable || !(length == 0 || (MIN_PASSPHRASE..=MAX_PASSPHRASE).contains(&length)) {
            return Err(NetworkError::Passphrase);
        }
        Ok(Self { ssid, passphrase })
    }

    /// The network's name.
    #[must_use]
    pub fn ssid(&self) -> &str {
        &self.ssid
    }

    /// The passphrase itself: for the radio or a sealed record, never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.passphrase
    }
}

impl TryFrom<(String, String)> for NetworkCredentials {
    type Error = NetworkError;
    fn try_from((ssid, passphrase): (String, String)) -> Result<Self, NetworkError> {
        Self::new(ssid, Zeroizing::new(passphrase))
    }
}

fn expose<S: serde::Serializer>(passphrase: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(passphrase)
}

impl fmt::Debug for NetworkCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkCredentials({:?}, passphrase hidden)", self.ssid)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;
    use crate::codec;

    fn credentials(ssid: &str, passphrase: &str) -> Result<NetworkCredentials, NetworkError> {
        NetworkCredentials::new(ssid.into(), Zeroizing::new(passphrase.into()))
    }

    #[test]
    fn only_what_a_network_can_have_is_taken() {
        let (name, phrase) = ("x".repeat(32), "p".repeat(63));
        for (ssid, passphrase) in [("ward", "correct horse"), ("ward", ""), (&name, &phrase)] {
            let good = credentials(ssid, passphrase).unwrap();
            assert_eq!(codec::decode::<NetworkCredentials>(&codec::encode(&good)).unwrap(), good);
            assert!(!format!("{good:?}").contains("horse"));
        }
        for ssid in ["", "a\nb", &"x".repeat(33)] {
            assert_eq!(credentials(ssid, ""), Err(NetworkError::Ssid));
        }
        for passphrase in ["short12", "tabs\tare out", "übermäßig", &"p".repeat(64)] {
            assert_eq!(credentials("ward", passphrase), Err(NetworkError::Passphrase));
            let bytes = codec::encode(&("ward".to_string(), passphrase.to_string()));
            assert!(codec::decode::<NetworkCredentials>(&bytes).is_err());
        }
    }
}
