//! The one place that names the codec. Values become bytes as postcard 1.x writes them
//! (<https://postcard.jamesmunns.com/wire-format>): little-endian varints, length-prefixed sequences, field order.

use alloc::vec::Vec;
use core::fmt;

use serde::{
    Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, SeqAccess, Visitor},
};
use zeroize::Zeroizing;

use crate::error::Malformed;

/// The bytes of a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Writing to a growing vector fails only for types that serde cannot size; none of ours is.
    postcard::to_allocvec(value).unwrap_or_default()
}

/// The bytes of a value that holds a secret, wiped when dropped. Room for the longest of ours is there from the start, so
/// that growing leaves no copy behind.
pub(crate) fn encode_secret<T: Serialize>(value: &T) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(postcard::to_extend(value, Vec::with_capacity(2048)).unwrap_or_default())
}

/// The value that takes up all of `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match decode_prefix(bytes)? {
        (value, []) => Ok(value),
        _ => Err(Malformed),
    }
}

/// The value at the start of `bytes`, and what follows it.
pub(crate) fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), Malformed> {
    postcard::take_from_bytes(bytes).map_err(|_| Malformed)
}

/// Reads an array of bytes, for fields: in a loop, where what serde has for arrays spells every byte out (1.4 KB of a board's
/// flash). On the wire it is the same.
///
/// # Errors
/// The deserializer's, if bytes are missing.
pub fn array<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; N], D::Error> {
    struct Bytes<const N: usize>;

    impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{N} bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
            let mut bytes = [0; N];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(at, &self))?;
            }
            Ok(bytes)
        }
    }

    deserializer.deserialize_tuple(N, Bytes)
}
