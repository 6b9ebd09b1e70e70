//! X25519. Wycheproof calls results on the twist and on odd encodings "acceptable"; they are computed as RFC 7748
//! says. Only a secret of zeros is refused, whatever point it comes from.

use super::case::{Case, Given, Outcome, Wrong, ensure};
use crate::exchange::Ephemeral;

pub(super) fn wycheproof(case: &Case) -> Result<Outcome, Wrong> {
    let shared = case.array("shared")?;
    let agreed = agree(case.array("private")?, &case.bytes("public")?);
    if shared == [0; 32] {
        ensure(agreed.is_none(), "a predictable secret is accepted")?;
    } else {
        ensure(agreed == Some(shared), "another secret")?;
    }
    Ok(Outcome::Right)
}

pub(super) fn rfc_7748(case: &Case) -> Result<Outcome, Wrong> {
    let (mut scalar, mut u): ([u8; 32], [u8; 32]) = (case.array("INPUT_SCALAR")?, case.array("INPUT_U")?);
    for _ in 0..case.number("ITERATIONS").unwrap_or(1) {
        let output = agree(scalar, &u).ok_or_else(|| Wrong::new("the point is refused"))?;
        (scalar, u) = (output, scalar);
    }
    ensure(scalar == case.array("OUTPUT_U")?, "another secret")?;
    Ok(Outcome::Right)
}

fn agree(scalar: [u8; 32], u: &[u8]) -> Option<[u8; 32]> {
    Ephemeral::generate(&mut Given(&scalar)).agree(u).ok().map(|shared| *shared.expose())
}
