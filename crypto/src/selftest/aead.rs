//! AES-256-GCM, Ascon-AEAD128 and Ascon-128 v1.2: sealing gives the known bytes, opening takes only those.

use alloc::vec::Vec;

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

/// Our keys, by the length that tells their cipher.
struct Ours<const KEY_BITS: usize>(AeadKey);

type AesGcm = Ours<256>;
type AsconAead = Ours<128>;

impl<const BITS: usize> Cipher for Ours<BITS> {
    const KEY_BITS: usize = BITS;
    const NONCE_BITS: usize = if BITS == 256 { 96 } else { 128 };

    fn new(key: &[u8]) -> Option<Self> {
        let aes = || Some(AeadKey::new(&Secret::<TrafficKey>::new(key.try_into().ok()?)));
        let ascon = || Some(AeadKey::ascon(&Secret::<TrafficKey, 16>::new(key.try_into().ok()?)));
        if BITS == 256 { aes() } else { ascon() }.map(Self)
    }

    fn seal(&self, nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
        self.0.seal(nonce, aad, plaintext).ok()
    }

    fn open(&self, nonce: &[u8], aad: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        self.0.open(nonce, aad, ciphertext).ok()
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
    wycheproof::<AesGcm>(case)
}

pub(super) fn ascon_aead128(case: &Case) -> Result<Outcome, Wrong> {
    wycheproof::<AsconAead>(case)
}

pub(super) fn ascon128(case: &Case) -> Result<Outcome, Wrong> {
    wycheproof::<Ascon128>(case)
}

pub(super) fn aes_gcm_known(case: &Case) -> Result<Outcome, Wrong> {
    known::<AesGcm>(case)
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
