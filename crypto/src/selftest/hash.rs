//! SHA-256 and SHA-512, which everything else here hashes with.

use alloc::vec::Vec;

use sha2::{Digest, Sha256, Sha512};

use super::case::{Case, Outcome, Wrong, ensure};

pub(super) fn sha256(case: &Case) -> Result<Outcome, Wrong> {
    check::<Sha256>(case)
}

pub(super) fn sha512(case: &Case) -> Result<Outcome, Wrong> {
    check::<Sha512>(case)
}

fn check<D: Digest>(case: &Case) -> Result<Outcome, Wrong> {
    let mut message: Vec<u8> = case.bytes("Msg")?;
    // The file writes the empty message as one zero byte.
    message.truncate(case.number("Len")? / 8);
    let mut in_pieces = D::new();
    message.chunks(7).for_each(|piece| in_pieces.update(piece));
    let digest = case.bytes("MD")?;
    ensure(D::digest(&message).as_slice() == digest, "another digest")?;
    ensure(in_pieces.finalize().as_slice() == digest, "another digest when hashed in pieces")?;
    Ok(Outcome::Right)
}
