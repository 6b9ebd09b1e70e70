//! The one encoding of every signed, MACed, hashed or derived-from input: a purpose, then its parts, each with
//! its length in front. So no two lists of parts share an encoding and no input of one purpose passes as
//! another's. It does not know any purpose by name.

use alloc::vec::Vec;

/// In front of every purpose: the project and the version of its cryptographic design.
const DOMAIN: &str = "vitalward/1/";

/// `lp("vitalward/1/" + purpose)`, then `lp(part)` for each part, where `lp` puts the length in bytes in front,
/// as a big-endian `u32`.
///
/// # Panics
/// If a part is 4 GiB or longer; frames are bounded far below that before anything is framed.
#[must_use]
pub fn framed(purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    feed(purpose, parts, |piece| bytes.extend_from_slice(piece));
    bytes
}

/// [`framed`] within `buffer`, where nothing may be allocated; `None` if it is too long for it.
pub(crate) fn framed_within<'a>(buffer: &'a mut [u8], purpose: &str, parts: &[&[u8]]) -> Option<&'a [u8]> {
    let mut end = 0;
    feed(purpose, parts, |piece| {
        let begin = end;
        end += piece.len();
        if let Some(room) = buffer.get_mut(begin..end) {
            room.copy_from_slice(piece);
        }
    });
    buffer.get(..end)
}

/// Gives the pieces of [`framed`] one by one to a hash or MAC, without building the whole.
pub(crate) fn feed(purpose: &str, parts: &[&[u8]], mut absorb: impl FnMut(&[u8])) {
    absorb(&length(DOMAIN.len() + purpose.len()));
    absorb(DOMAIN.as_bytes());
    absorb(purpose.as_bytes());
    feed_parts(parts, absorb);
}

/// The parts alone, each with its length in front.
pub(crate) fn feed_parts(parts: &[&[u8]], mut absorb: impl FnMut(&[u8])) {
    for part in parts {
        absorb(&length(part.len()));
        absorb(part);
    }
}

#[expect(
    clippy::expect_used,
    reason = "a part of 4 GiB cannot come off the wire, and cutting its length would be worse"
)]
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("parts are shorter than 4 GiB").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_length_prefixed_and_domain_separated() {
        assert_eq!(framed("t", &[b"ab", b""]), b"\0\0\0\x0dvitalward/1/t\0\0\0\x02ab\0\0\0\0");
    }

    #[test]
    fn within_a_buffer_it_is_the_same_or_nothing() {
        let whole = framed("t", &[b"ab", b""]);
        let mut buffer = [0xff; 64];
        assert_eq!(framed_within(&mut buffer, "t", &[b"ab", b""]), Some(whole.as_slice()));
        assert_eq!(framed_within(&mut buffer[..whole.len()], "t", &[b"ab", b""]), Some(whole.as_slice()));
        assert_eq!(framed_within(&mut buffer[..whole.len() - 1], "t", &[b"ab", b""]), None);
    }

    #[test]
    fn moving_a_boundary_changes_the_encoding() {
        assert_ne!(framed("t", &[b"ab", b"c"]), framed("t", &[b"a", b"bc"]));
        assert_ne!(framed("t", &[b"ab"]), framed("t", &[b"ab", b""]));
        assert_ne!(framed("ta", &[b"b"]), framed("t", &[b"ab"]));
    }
}
