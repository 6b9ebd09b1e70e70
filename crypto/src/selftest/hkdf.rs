//! HKDF-SHA256 below the framing.

use alloc::{vec, vec::Vec};

use super::case::{Case, Outcome, Verdict, Wrong, ensure};
use crate::Prk;

pub(super) fn wycheproof(case: &Case) -> Result<Outcome, Wrong> {
    let prk = extract(case, "ikm")?;
    let okm = expand(&prk, &case.bytes("info")?, case.number("size")?);
    if case.verdict()? == Verdict::Valid {
        ensure(okm == Some(case.bytes("okm")?), "another output")?;
    } else {
        ensure(okm.is_none(), "more than 255 blocks come out")?;
    }
    Ok(Outcome::Right)
}

pub(super) fn rfc_5869(case: &Case) -> Result<Outcome, Wrong> {
    let prk = extract(case, "IKM")?;
    ensure(prk.0.expose().as_slice() == case.bytes("PRK")?, "another pseudorandom key")?;
    let okm = expand(&prk, &case.bytes("info")?, case.number("L")?);
    ensure(okm == Some(case.bytes("OKM")?), "another output")?;
    Ok(Outcome::Right)
}

fn extract(case: &Case, ikm: &str) -> Result<Prk, Wrong> {
    let ikm = case.bytes(ikm)?;
    Ok(Prk::extract_bare(&case.bytes("salt")?, |absorb| absorb(&ikm)))
}

fn expand(prk: &Prk, info: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut okm = vec![0; length];
    prk.expand_bare(info, &mut okm).ok()?;
    Some(okm)
}
