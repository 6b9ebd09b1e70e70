//! ML-KEM-768 as the crate `ml-kem` computes it.

use alloc::vec::Vec;

use ml_kem::{
    FromSeed, MlKem768,
    kem::{Decapsulate, Encapsulate, KeyExport, TryKeyInit},
    ml_kem_768::{DecapsulationKey, EncapsulationKey},
};

use super::case::{Case, Given, Outcome, Verdict, Wrong, ensure};

/// From a seed and a ciphertext to the secret.
pub(super) fn decapsulation(case: &Case) -> Result<Outcome, Wrong> {
    let key = generate(&case.bytes("seed")?);
    let shared = key.and_then(|key| decapsulate(&key, &case.bytes("c").ok()?));
    let known = (case.verdict()? == Verdict::Valid).then(|| case.bytes("K")).transpose()?;
    ensure(shared == known, "another secret, or one from an invalid input")?;
    Ok(Outcome::Right)
}

/// From a public key and 32 random bytes to the ciphertext and the secret.
pub(super) fn encapsulation(case: &Case) -> Result<Outcome, Wrong> {
    let key = EncapsulationKey::new_from_slice(&case.bytes("ek")?);
    if case.verdict()? == Verdict::Valid {
        let key = key.map_err(|_| Wrong::new("the public key is refused"))?;
        let (ciphertext, shared) = key.encapsulate_with_rng(&mut Given(&case.bytes("m")?));
        ensure(ciphertext.as_slice() == case.bytes("c")?, "another ciphertext")?;
        ensure(shared.as_slice() == case.bytes("K")?, "another secret")?;
    } else {
        ensure(key.is_err(), "an invalid public key is accepted")?;
    }
    Ok(Outcome::Right)
}

/// From a seed to both keys.
#[expect(deprecated, reason = "Wycheproof gives private keys in their long form; we keep seeds")]
pub(super) fn key_generation(case: &Case) -> Result<Outcome, Wrong> {
    use ml_kem::ExpandedKeyEncoding;

    let key = generate(&case.bytes("seed")?).ok_or_else(|| Wrong::new("the seed is refused"))?;
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

fn generate(seed: &[u8]) -> Option<DecapsulationKey> {
    let (key, _) = MlKem768::from_seed(seed.try_into().ok()?);
    Some(key)
}

fn decapsulate(key: &DecapsulationKey, ciphertext: &[u8]) -> Option<Vec<u8>> {
    Some(key.decapsulate(ciphertext.try_into().ok()?).to_vec())
}
