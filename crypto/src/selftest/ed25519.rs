//! Ed25519 below the framing. Verification is strict: every signature that Wycheproof calls valid is accepted, and
//! nothing else.

use alloc::vec::Vec;

use super::case::{Case, Outcome, Verdict, Wrong, columns, ensure};
use crate::{
    Secret,
    identity::{Signature, SigningKey, VerifyingKey},
};

pub(super) fn wycheproof(case: &Case) -> Result<Outcome, Wrong> {
    let accepted = accepts(&case.bytes("publicKey/pk")?, &case.bytes("msg")?, &case.bytes("sig")?);
    ensure(accepted == (case.verdict()? == Verdict::Valid), "another verdict")?;
    Ok(Outcome::Right)
}

/// The format of ed25519.cr.yp.to's `sign.input`.
pub(super) fn lines(text: &str) -> Result<Vec<Case>, Wrong> {
    columns(text, &["pair", "public", "message", "signed"])
}

pub(super) fn rfc_8032(case: &Case) -> Result<Outcome, Wrong> {
    // The seed stands before its public key, the signature before its message.
    let (pair, public, message) = (case.bytes("pair")?, case.bytes("public")?, case.bytes("message")?);
    let signed = case.bytes("signed")?;
    let (seed, signature) = (pair.first_chunk().copied(), signed.first_chunk::<64>());
    let (seed, signature) = seed.zip(signature).ok_or_else(|| Wrong::new("a column is too short"))?;
    let key = SigningKey::from_secret(&Secret::new(seed));
    ensure(key.verifying_key().to_bytes().as_slice() == public, "another public key")?;
    ensure(key.sign_bare(&message).to_bytes() == *signature, "another signature")?;
    ensure(accepts(&public, &message, signature), "its signature is refused")?;
    Ok(Outcome::Right)
}

fn accepts(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::from_bytes(public).ok();
    let signature = Signature::from_bytes(signature).ok();
    key.zip(signature).is_some_and(|(key, signature)| key.verify_bare(message, &signature).is_ok())
}
