//! What ours is compared with, called as the same job would be done with it.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    signature::{ED25519, ParsedPublicKey},
};
use crypto::{aead::TAG_LEN, elgamal::params};

use crate::aws_lc::ModExp;

/// The number of a hexadecimal constant, big-endian.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn bytes(hex: &str) -> Vec<u8> {
    num_bigint::BigUint::parse_bytes(hex.as_bytes(), 16).unwrap().to_bytes_be()
}

/// AWS-LC's exponentiation modulo the signature group's p, with a full-size base and 256-bit exponent: the unit in which
/// ElGamal's costs are given.
#[must_use]
pub fn exponentiation_256() -> ModExp {
    ModExp::new(&[0x5a; 384], &[0xa5; 32], &bytes(params::P))
}

/// AWS-LC's exponentiation modulo ffdhe3072, with a full-size base and an exponent as long as the KEM's.
#[must_use]
pub fn exponentiation_320() -> ModExp {
    ModExp::new(&[0x5a; 384], &[0xa5; 40], &bytes(params::FFDHE3072))
}

/// AES-256-GCM of aws-lc-rs.
#[derive(Debug)]
pub struct Gcm(LessSafeKey);

impl Gcm {
    /// Expands the key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap()))
    }

    /// Ciphertext and tag, in a new vector.
    #[must_use]
    pub fn seal(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(plaintext.len() + TAG_LEN);
        buffer.extend_from_slice(plaintext);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.seal_in_place_append_tag(nonce, Aad::from(aad), &mut buffer).unwrap();
        buffer
    }

    /// The plaintext, in a new vector.
    #[must_use]
    pub fn open(&self, nonce: &[u8; 12], aad: &[u8], ciphertext: &[u8]) -> Vec<u8> {
        let mut buffer = ciphertext.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(nonce, Aad::from(aad), &mut buffer).unwrap().len();
        buffer.truncate(length);
        buffer
    }
}

/// HKDF-SHA256 of aws-lc-rs: extract, then expand to 32 bytes.
#[must_use]
pub fn hkdf(salt: &[u8], ikm: &[u8], info: &[u8]) -> [u8; 32] {
    let mut okm = [0; 32];
    Salt::new(HKDF_SHA256, salt)
        .extract(ikm)
        .expand(&[info], HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut okm))
        .unwrap();
    okm
}

/// The Ed25519 key of aws-lc-rs, parsed beforehand.
#[must_use]
pub fn ed25519(public: &[u8; 32]) -> ParsedPublicKey {
    ParsedPublicKey::new(&ED25519, public).unwrap()
}
