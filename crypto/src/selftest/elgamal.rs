//! ElGamal signatures and KEM against Python integers.

use alloc::vec::Vec;

use super::case::{Case, Given, Outcome, Wrong, ensure, objects};
use crate::{
    Secret,
    elgamal::{Signature, SigningKey, VerifyingKey, kem::Ephemeral},
};

pub(super) fn signatures(json: &str) -> Result<Vec<Case>, Wrong> {
    objects(json, "/signatures")
}

pub(super) fn exchanges(json: &str) -> Result<Vec<Case>, Wrong> {
    objects(json, "/kem")
}

pub(super) fn signature(case: &Case) -> Result<Outcome, Wrong> {
    let key = SigningKey::from_secret(&Secret::new(case.array("x")?));
    let key = key.map_err(|_| Wrong::new("the private key is refused"))?;
    let y = case.bytes("y")?;
    ensure(key.verifying_key().to_bytes().as_slice() == y, "another public key")?;
    let public = VerifyingKey::from_bytes(&y).map_err(|_| Wrong::new("the public key is refused"))?;

    let (role, key_ids, message) = (case.text("role")?, case.bytes("key_ids")?, case.bytes("message")?);
    let known = case.bytes("signature")?;
    let made = key.sign(role, &key_ids, &message, &mut Given(&case.bytes("fresh")?));
    ensure(made.to_bytes().as_slice() == known, "another signature")?;
    let read = Signature::from_bytes(&known).map_err(|_| Wrong::new("its signature cannot be read"))?;
    ensure(public.verify(role, &key_ids, &message, &read).is_ok(), "its signature is refused")?;
    Ok(Outcome::Right)
}

pub(super) fn kem(case: &Case) -> Result<Outcome, Wrong> {
    let a = Ephemeral::generate(&mut Given(&case.bytes("random/0")?));
    let b = Ephemeral::generate(&mut Given(&case.bytes("random/1")?));
    let (to_b, to_a) = (a.public(), b.public());
    ensure(to_b.as_slice() == case.bytes("public/0")?, "another share of the first side")?;
    ensure(to_a.as_slice() == case.bytes("public/1")?, "another share of the second side")?;
    for shared in [a.agree(&to_a), b.agree(&to_b)] {
        let shared = shared.map_err(|_| Wrong::new("a share is refused"))?;
        ensure(shared.expose().as_slice() == case.bytes("shared")?, "another secret")?;
    }
    Ok(Outcome::Right)
}
