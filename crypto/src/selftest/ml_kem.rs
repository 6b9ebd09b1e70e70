//! ML-KEM-768 as the crate `ml-kem` computes it.

use alloc::vec::Vec;

use ::ml_kem::{
    FromSeed, MlKem768,
    kem::{Decapsulate, KeyExport},
    ml_kem_768::DecapsulationKey,
};

use super::case::{Case, Given, Outcome, Verdict, Wrong, ensure};
use crate::ml_kem::{Ephemeral, encapsulate};

/// From a seed and a ciphertext to the secret.
pub(super) fn decapsulation(case: &Case) -> Result<Outcome, Wrong> {
    let seed = case.bytes("seed")?;
    let key = (seed.len() == 64).then(|| Ephemeral::generate(&mut Given(&seed)));
    let shared = key.and_then(|key| key.decapsulate(&case.bytes("c").ok()?).ok());
    let known = (case.verdict()? == Verdict::Valid).then(|| case.bytes("K")).transpose()?;
    ensure(
        shared.map(|shared| shared.expose().to_vec()) == known,
        "another secret, or one from an invalid input",
    )?;
    Ok(Outcome::Right)
}

/// From a public key and 32 random bytes to the ciphertext and the secret.
pub(super) fn encapsulation(case: &Case) -> Result<Outcome, Wrong> {
    let answer = encapsulate(&case.bytes("ek")?, &mut Given(&case.bytes("m")?));
    if case.verdict()? == Verdict::Valid {
        let (ciphertext, shared) = answer.map_err(|_| Wrong::new("the public key is refused"))?;
        ensure(ciphertext == *case.bytes("c")?, "another ciphertext")?;
        ensure(shared.expose() == case.bytes("K")?.as_slice(), "another secret")?;
    } else {
        ensure(answer.is_err(), "an invalid public key is accepted")?;
    }
    Ok(Outcome::Right)
}

/// From a seed to both keys.
#[expect(deprecated, reason = "Wycheproof gives private keys in their long form; we keep seeds")]
pub(super) fn key_generation(case: &Case) -> Result<Outcome, Wrong> {
    use ::ml_kem::ExpandedKeyEncoding;

    let seed = case.bytes("seed")?;
    let ours = Ephemeral::generate(&mut Given(&seed));
    ensure(ours.public() == *case.bytes("ek")?, "another public key")?;
    let seed = seed.as_slice().try_into().map_err(|_| Wrong::new("the seed is refused"))?;
    let (key, _) = MlKem768::from_seed(seed);
    ensure(key.encapsulation_key().to_bytes().as_slice() == case.bytes("ek")?, "another public key")?;
    ensure(key.to_expanded_bytes().as_slice() == case.bytes("dk")?, "another private key")?;
    Ok(Outcome::Right)
}

/// From a private key in its long form, which carries its own check, and a ciphertext to the secret.
#[expect(deprecated, reason = "Wycheproof gives private keys in their long form; we keep seeds")]
pub(super) fn long_key(case: &Case) -> Result<Outcome, Wrong> {
    let key = case.bytes("dk")?;
    let key = key.as_slice().try_into().ok();
    let shared = key.and_then(|key| DecapsulationKey::from_expanded(key).ok());
    let shared = shared.and_then(|key| decapsulate(&key, &case.bytes("c").ok()?));
    let known = (case.verdict()? == Verdict::Valid).then(|| case.bytes("K")).transpose()?;
    ensure(shared == known, "another secret, or one from an invalid input")?;
    Ok(Outcome::Right)
}

fn decapsulate(key: &DecapsulationKey, ciphertext: &[u8]) -> Option<Vec<u8>> {
    Some(key.decapsulate(ciphertext.try_into().ok()?).to_vec())
}
