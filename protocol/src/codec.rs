//! The one place that names the codec. Values become bytes as postcard 1.x writes them
//! (<https://postcard.jamesmunns.com/wire-format>): little-endian varints, length-prefixed sequences, field order.

use alloc::vec::Vec;

use serde::{Serialize, de::DeserializeOwned};
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
