//! AES-256-GCM, Ascon-AEAD128 and Ascon-128 v1.2: sealing gives the known bytes, opening takes only those.

use alloc::vec::Vec;

use ascon_aead::{
    AsconAead128,
    aead::{AeadInOut, KeyInit},
};
use ascon_v1::{Ascon128, aead::AeadInPlace};

use super::case::{Case, Outcome, Verdict, Wrong, ensure};
use crate::{AeadKey, Secret, purpose::TrafficKey};

/// The part of a cipher that vectors ask for.
trait Cipher: Sized {
    const KEY_BITS: usize;
    const NONCE_BITS: usize;

    /// The cipher under a key, unless the key has another length.
    fn new(key: &[u8]) -> Option<Self>;
    fn seal(&self, nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>>;
    fn open(&self, nonce: &[u8], aad: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>>;
}

impl Cipher for AeadKey {
    const KEY_BITS: usize = 256;
    const NONCE_BITS: usize = 96;

    fn new(key: &[u8]) -> Option<Self> {
        Some(Self::new(&Secret::<TrafficKey>::new(key.try_into().ok()?)))
    }

    fn seal(&self, nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
        self.seal(nonce.try_into().ok()?, aad, plaintext).ok()
    }

    fn open(&self, nonce: &[u8], aad: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        self.open(nonce.try_into().ok()?, aad, ciphertext).ok()
    }
}

impl Cipher for AsconAead128 {
    const KEY_BITS: usize = 128;
    const NONCE_BITS: usize = 128;

    fn new(key: &[u8]) -> Option<Self> {
        Some(KeyInit::new(key.try_into().ok()?))
    }

    fn seal(&self, nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plaintext.to_vec();
        let tag =
            self.encrypt_inout_detached(nonce.try_into().ok()?, aad, sealed.as_mut_slice().into()).ok()?;
        sealed.extend_from_slice(&tag);
        Some(sealed)
    }

    fn open(&self, nonce: &[u8], aad: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        let (body, tag) = ciphertext.split_last_chunk::<16>()?;
        let mut opened = body.to_vec();
        let buffer = opened.as_mut_slice().into();
        self.decrypt_inout_detached(nonce.try_into().ok()?, aad, buffer, tag.into()).ok()?;
        Some(opened)
    }
}

impl Cipher for Ascon128 {
    const KEY_BITS: usize = 128;
    const NONCE_BITS: usize = 128;

    fn new(key: &[u8]) -> Option<Self> {
        ascon_v1::aead::KeyInit::new_from_slice(key).ok()
    }

    fn seal(&self, nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
        let nonce: [u8; 16] = nonce.try_into().ok()?;
        let mut sealed = plaintext.to_vec();
        let tag = self.encrypt_in_place_detached(&nonce.into(), aad, &mut sealed).ok()?;
        sealed.extend_from_slice(&tag);
        Some(sealed)
    }

    fn open(&self, nonce: &[u8], aad: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        let nonce: [u8; 16] = nonce.try_into().ok()?;
        let (body, tag) = ciphertext.split_last_chunk::<16>()?;
        let mut opened = body.to_vec();
        self.decrypt_in_place_detached(&nonce.into(), aad, &mut opened, tag.into()).ok()?;
        Some(opened)
    }
}

pub(super) fn aes_gcm(case: &Case) -> Result<Outcome, Wrong> {
    wycheproof::<AeadKey>(case)
}

pub(super) fn ascon_aead128(case: &Case) -> Result<Outcome, Wrong> {
    wycheproof::<AsconAead128>(case)
}

pub(super) fn ascon128(case: &Case) -> Result<Outcome, Wrong> {
    wycheproof::<Ascon128>(case)
}

pub(super) fn aes_gcm_known(case: &Case) -> Result<Outcome, Wrong> {
    known::<AeadKey>(case)
}

pub(super) fn ascon128_known(case: &Case) -> Result<Outcome, Wrong> {
    known::<Ascon128>(case)
}

fn wycheproof<C: Cipher>(case: &Case) -> Result<Outcome, Wrong> {
    if case.number("keySize")? != C::KEY_BITS {
        return Ok(Outcome::Skipped("key of another length"));
    }
    if case.number("ivSize")? != C::NONCE_BITS {
        return Ok(Outcome::Skipped("nonce of another length"));
    }
    if case.number("tagSize")? != 128 {
        return Ok(Outcome::Skipped("truncated tag"));
    }
    let valid = case.verdict()? == Verdict::Valid;
    judge::<C>(case, ["key", "iv", "aad", "msg", "ct", "tag"], valid)
}

fn known<C: Cipher>(case: &Case) -> Result<Outcome, Wrong> {
    judge::<C>(case, ["Key", "IV", "AAD", "PT", "CT", "Tag"], true)
}

fn judge<C: Cipher>(case: &Case, names: [&str; 6], valid: bool) -> Result<Outcome, Wrong> {
    let [key, nonce, aad, plaintext, body, tag] = names;
    let cipher = C::new(&case.bytes(key)?).ok_or_else(|| Wrong::new("the key is refused"))?;
    let (nonce, aad, plaintext) = (case.bytes(nonce)?, case.bytes(aad)?, case.bytes(plaintext)?);
    let ciphertext = [case.bytes(body)?, case.bytes(tag)?].concat();
    let sealed = cipher.seal(&nonce, &aad, &plaintext).ok_or_else(|| Wrong::new("sealing is refused"))?;
    let opened = cipher.open(&nonce, &aad, &ciphertext);
    if valid {
        ensure(sealed == ciphertext, "sealing gives another ciphertext")?;
        ensure(opened == Some(plaintext), "it does not open to its plaintext")?;
        let cut = ciphertext.split_last().map_or(&[][..], |(_, cut)| cut);
        ensure(cipher.open(&nonce, &aad, cut).is_none(), "it opens with a byte missing")?;
    } else {
        ensure(sealed != ciphertext, "sealing gives an invalid ciphertext")?;
        ensure(opened.is_none(), "an invalid ciphertext opens")?;
    }
    Ok(Outcome::Right)
}
