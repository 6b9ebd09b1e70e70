//! Ed25519 signatures (RFC 8032) over framed input: wearables' logins, alerts, receipts, possession at pairing.
//! Verification is strict, so a signature has one meaning everywhere and no key of small order passes. It does
//! not know whose key it is.

use alloc::boxed::Box;
use core::fmt;

use ed25519_dalek::Signer;
use rand_core::CryptoRng;

use crate::{
    error::{InvalidKey, VerificationFailed},
    framing::{framed, framed_within},
    secret::{Secret, purpose::Ed25519Key},
};

/// A private signing key; wiped when it is dropped.
pub struct SigningKey(Box<ed25519_dalek::SigningKey>);

impl SigningKey {
    /// A new key from 32 random bytes.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_secret(&Secret::generate(rng))
    }

    /// The key of this 32-byte seed.
    #[must_use]
    pub fn from_secret(seed: &Secret<Ed25519Key>) -> Self {
        Self(Box::new(ed25519_dalek::SigningKey::from_bytes(seed.expose())))
    }

    /// The 32-byte seed, for the key store.
    #[must_use]
    pub fn to_secret(&self) -> Secret<Ed25519Key> {
        Secret::filled(|seed| seed.copy_from_slice(self.0.as_bytes()))
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// Signs `framed(purpose, parts)`.
    #[must_use]
    pub fn sign(&self, purpose: &str, parts: &[&[u8]]) -> Signature {
        self.sign_bare(&framed(purpose, parts))
    }

    /// Signs a message as it is.
    pub(crate) fn sign_bare(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, ..)", self.verifying_key())
    }
}

/// A public key that is a canonically encoded point outside the small subgroup.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Reads the 32-byte encoding.
    ///
    /// # Errors
    /// [`InvalidKey`] for another length, no point, a point of small order, or an encoding that is not the
    /// canonical one (it would give one key two names).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidKey> {
        let bytes = bytes.try_into().map_err(|_| InvalidKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| InvalidKey)?;
        if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
            return Err(InvalidKey);
        }
        Ok(Self(key))
    }

    /// The 32-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Checks a signature over `framed(purpose, parts)`, strictly: canonical encodings, no small order. Nothing is
    /// allocated for up to 256 framed bytes: a bootloader has no heap.
    ///
    /// # Errors
    /// [`VerificationFailed`], whatever the reason.
    pub fn verify(
        &self,
        purpose: &str,
        parts: &[&[u8]],
        signature: &Signature,
    ) -> Result<(), VerificationFailed> {
        match framed_within(&mut [0; 256], purpose, parts) {
            Some(short) => self.verify_bare(short, signature),
            None => self.verify_bare(&framed(purpose, parts), signature),
        }
    }

    /// Checks a signature over a message as it is, as strictly.
    pub(crate) fn verify_bare(
        &self,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), VerificationFailed> {
        self.0.verify_strict(message, &signature.0).map_err(|_| VerificationFailed)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:02x?})", self.0.as_bytes().first_chunk::<4>())
    }
}

/// A signature of 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(ed25519_dalek::Signature);

impl Signature {
    /// Reads the 64-byte encoding; its value is only judged by [`VerifyingKey::verify`].
    ///
    /// # Errors
    /// [`VerificationFailed`] for another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VerificationFailed> {
        ed25519_dalek::Signature::from_slice(bytes).map(Self).map_err(|_| VerificationFailed)
    }

    /// The 64-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        self.0.to_bytes()
    }
}
