//! Identifiers as newtypes, parsed once. Owns their alphabet and length; knows nothing of what they name.

use alloc::string::{String, ToString};
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use thiserror::Error;

/// Longest text id, in characters.
pub const MAX_TEXT_ID: usize = 32;

/// A text id that is empty, too long, or has a character outside `A-Z a-z 0-9 - _ .`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an id has 1 to 32 characters of A-Z a-z 0-9 - _ . (for example P001)")]
pub struct InvalidId;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        /// 1 to 32 characters of `A-Z a-z 0-9 - _ .`, and neither `.` nor `..` (ids name folders).
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether it is such an id.
            #[must_use]
            pub fn is_valid(text: &str) -> bool {
                let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                let dots_only = text.chars().all(|c| c == '.');
                !dots_only && text.len() <= MAX_TEXT_ID && text.chars().all(allowed)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if Self::is_valid(text) { Ok(Self(text.to_string())) } else { Err(InvalidId) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

text_id! {
    /// The doctor whose gateway this is, such as `D001`.
    DoctorId
}
text_id! {
    /// A patient enrolled at a gateway, such as `P001`.
    PatientId
}
text_id! {
    /// The name that a person gave to a wearable.
    WearableName
}
text_id! {
    /// A kind of hardware that firmware is made for, such as `lm3s6965`.
    HardwareId
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(#[serde(deserialize_with = "crate::codec::array")] [u8; 16]);

        impl $name {
            /// The id of these 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The id as 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(uuid::Uuid::from_bytes(self.0).hyphenated().encode_lower(&mut [0; 36]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                uuid::Uuid::try_parse(text).map(|id| Self(id.into_bytes())).map_err(|_| InvalidId)
            }
        }
    };
}

byte_id! {
    /// One installation of a gateway: a version 4 UUID made at its first start.
    GatewayId
}
byte_id! {
    /// One wearable: a version 4 UUID made at its first start.
    DeviceId
}
byte_id! {
    /// One session between a client and a gateway, derived from its keys.
    SessionId
}
byte_id! {
    /// One alert: a version 7 UUID, so that ids sort by time.
    AlertId
}
byte_id! {
    /// The fingerprint of a public key: the first 16 bytes of its hash.
    KeyId
}

impl DeviceId {
    /// A fresh version 4 UUID out of 16 random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
    }
}

impl GatewayId {
    /// A fresh version 4 UUID out of 16 random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
    }
}

impl AlertId {
    /// A version 7 UUID: the time of creation in its first 48 bits, then randomness.
    #[must_use]
    pub const fn new(created: crate::time::UnixMillis, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(created.0, &random).into_uuid().into_bytes())
    }
}

/// Who a client says it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClientId {
    /// A patient's client.
    Patient(PatientId),
    /// A wearable.
    Wearable(DeviceId),
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patient(id) => id.fmt(f),
            Self::Wearable(id) => id.fmt(f),
        }
    }
}

/// The number of a wearable's sample: it grows by one for each sample over the life of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

/// One run of a wearable between two resets; random, so that two runs never share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ids_take_what_the_documents_promise_and_nothing_else() {
        for good in ["1", "P001", "a-b_c.d", &"x".repeat(32)] {
            assert_eq!(good.parse::<PatientId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a b", "../x", "ä", "P001\n", &"x".repeat(33)] {
            assert_eq!(bad.parse::<PatientId>(), Err(InvalidId), "{bad:?}");
        }
    }

    #[test]
    fn a_hostile_text_id_does_not_deserialise() {
        let wire = postcard::to_allocvec("../../etc").unwrap();
        assert!(postcard::from_bytes::<DoctorId>(&wire).is_err());
    }

    #[test]
    fn alert_ids_sort_by_time() {
        let early = AlertId::new(crate::time::UnixMillis(1_000), [0xff; 10]);
        let late = AlertId::new(crate::time::UnixMillis(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse::<AlertId>().unwrap(), early);
    }
}
