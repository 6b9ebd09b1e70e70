//! ElGamal: the patients' signatures and key encapsulation.
#![allow(
    missing_docs,
    clippy::unimplemented,
    unused,
    clippy::missing_errors_doc,
    reason = "signatures first; bodies follow"
)]
pub mod kem;
use crate::{
    error::{InvalidKey, VerificationFailed},
    secret::{Secret, purpose::ElGamalKey},
};
use rand_core::CryptoRng;
#[derive(Debug)]
pub struct SigningKey(());
impl SigningKey {
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        unimplemented!()
    }
    pub fn from_secret(x: &Secret<ElGamalKey>) -> Result<Self, InvalidKey> {
        unimplemented!()
    }
    pub fn to_secret(&self) -> Secret<ElGamalKey> {
        unimplemented!()
    }
    pub fn verifying_key(&self) -> &VerifyingKey {
        unimplemented!()
    }
    pub fn sign(
        &self,
        role: &str,
        key_ids: &[u8],
        message: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Signature {
        unimplemented!()
    }
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey(());
impl VerifyingKey {
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidKey> {
        unimplemented!()
    }
    pub fn to_bytes(&self) -> [u8; 384] {
        unimplemented!()
    }
    pub fn verify(
        &self,
        role: &str,
        key_ids: &[u8],
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), VerificationFailed> {
        unimplemented!()
    }
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(());
impl Signature {
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VerificationFailed> {
        unimplemented!()
    }
    pub fn to_bytes(&self) -> [u8; 416] {
        unimplemented!()
    }
}
