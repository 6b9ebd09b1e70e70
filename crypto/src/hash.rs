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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_hashes_the_framed_input() {
        let plain: [u8; 32] = Sha256::digest(framing::framed("t", &[b"a", b"bc"])).into();
        assert_eq!(sha256("t", &[b"a", b"bc"]), plain);
    }
}
