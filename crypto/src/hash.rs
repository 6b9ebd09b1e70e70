//! SHA-256 over framed input: transcripts, fingerprints, token hashes. No bare hash leaves this module.

use sha2::{Digest, Sha256};

use crate::framing;

/// SHA-256 (FIPS 180-4) of `framed(purpose, parts)`, streamed.
#[must_use]
pub fn sha256(purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    framing::feed(purpose, parts, |piece| hash.update(piece));
    hash.finalize().into()
}

/// [`sha256`] of one part of known length whose bytes come in pieces: a firmware image off a flash. Allocates nothing.
#[derive(Debug, Clone)]
pub struct PartHash {
    hash: Sha256,
    missing: Option<u32>,
}

impl PartHash {
    /// Before the first byte of a part of `length` bytes.
    #[must_use]
    pub fn new(purpose: &str, length: u32) -> Self {
        let mut hash = Sha256::new();
        framing::feed(purpose, &[], |piece| hash.update(piece));
        hash.update(length.to_be_bytes());
        Self { hash, missing: Some(length) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        let taken = u32::try_from(piece.len()).ok();
        self.missing = self.missing.and_then(|missing| missing.checked_sub(taken?));
    }

    /// The hash; `None` if it was not exactly that many bytes.
    #[must_use]
    pub fn finish(self) -> Option<[u8; 32]> {
        (self.missing == Some(0)).then(|| self.hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_pieces_it_is_the_same() {
        let mut hash = PartHash::new("t", 5);
        for piece in [&b"ab"[..], b"", b"cde"] {
            assert_eq!(hash.clone().finish(), None);
            hash.update(piece);
        }
        assert_eq!(hash.clone().finish(), Some(sha256("t", &[b"abcde"])));
        hash.update(b"f");
        assert_eq!(hash.finish(), None);
    }

    #[test]
    fn it_hashes_the_framed_input() {
        let plain: [u8; 32] = Sha256::digest(framing::framed("t", &[b"a", b"bc"])).into();
        assert_eq!(sha256("t", &[b"a", b"bc"]), plain);
    }
}
