//! What the crate hashes, MACs and derives, framing included, against Python.

use alloc::vec::Vec;

use super::case::{Case, Outcome, Wrong, ensure};
use crate::{
    Prk, Secret, framed, mac, public_mac,
    purpose::{MacKey, TrafficKey},
    sha256, verify_mac,
};

pub(super) fn check(case: &Case) -> Result<Outcome, Wrong> {
    let purpose = case.text("purpose")?;
    let parts = case.list("parts")?;
    let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
    let (key, salt) = (Secret::<MacKey>::new(case.array("key")?), case.bytes("salt")?);
    ensure(framed(purpose, &parts) == case.bytes("framed")?, "another encoding")?;
    ensure(sha256(purpose, &parts).as_slice() == case.bytes("sha256")?, "another digest")?;

    let tag = case.bytes("mac")?;
    ensure(mac(&key, purpose, &parts).as_slice() == tag, "another tag")?;
    ensure(public_mac(key.expose(), purpose, &parts).as_slice() == tag, "another tag under a public key")?;
    ensure(verify_mac(&key, purpose, &parts, &tag).is_ok(), "its tag is refused")?;

    let prk = Prk::extract(&salt, &parts);
    let expands = |prk: &Prk, to: &str| -> Result<bool, Wrong> {
        Ok(prk.expand::<TrafficKey, 80>(purpose, &parts).expose().as_slice() == case.bytes(to)?)
    };
    ensure(expands(&prk, "expanded")?, "another derived key")?;
    ensure(expands(&prk.chain(&salt), "chained")?, "another key after chaining")?;
    ensure(expands(&Prk::from_secret(&key), "ratcheted")?, "another key after a ratchet step")?;
    Ok(Outcome::Right)
}
