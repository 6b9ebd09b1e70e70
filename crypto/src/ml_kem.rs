//! ML-KEM-768 (FIPS 203) with a fresh key for each exchange, by the crate `ml-kem`: one side sends an encapsulation key,
//! the other a ciphertext. It is used beside X25519, never alone, and authenticates nobody; the login signs both halves.

use core::fmt;

use ::ml_kem::{
    FromSeed, MlKem768,
    kem::{Decapsulate, Encapsulate, KeyExport, TryKeyInit},
    ml_kem_768,
};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::{
    error::InvalidShare,
    secret::{
        Secret,
        purpose::{KemSeed, SharedSecret},
    },
};

/// Bytes of an encapsulation key.
pub const ENCAPSULATION_KEY_LEN: usize = 1184;
/// Bytes of a ciphertext.
pub const CIPHERTEXT_LEN: usize = 1088;

/// The decapsulating side of one exchange: used once, then wiped. Kept as its seed and expanded twice (64 bytes instead of
/// about 7 KiB while the peer answers).
pub struct Ephemeral(Secret<KemSeed, 64>);

impl Ephemeral {
    /// A new key from 64 random bytes: the seed (d, z) of FIPS 203.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(Secret::generate(rng))
    }

    fn expand(&self) -> ml_kem_768::DecapsulationKey {
        MlKem768::from_seed(self.0.expose().into()).0
    }

    /// The encapsulation key for the peer.
    #[must_use]
    pub fn public(&self) -> [u8; ENCAPSULATION_KEY_LEN] {
        self.expand().encapsulation_key().to_bytes().into()
    }

    /// The secret in the peer's ciphertext. A ciphertext that was altered gives another secret, not an error (FIPS
    /// 203, implicit rejection).
    ///
    /// # Errors
    /// [`InvalidShare`] for another length.
    pub fn decapsulate(self, ciphertext: &[u8]) -> Result<Secret<SharedSecret>, InvalidShare> {
        let ciphertext = ciphertext.try_into().map_err(|_| InvalidShare)?;
        let mut shared = self.expand().decapsulate(ciphertext);
        Ok(taken(&mut shared))
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral(..)")
    }
}

/// The encapsulating side: the ciphertext for the holder of `peer`, and the secret in it.
///
/// # Errors
/// [`InvalidShare`] for another length, or for a key that is not in reduced form (FIPS 203, 7.2).
pub fn encapsulate(
    peer: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<([u8; CIPHERTEXT_LEN], Secret<SharedSecret>), InvalidShare> {
    let peer = ml_kem_768::EncapsulationKey::new_from_slice(peer).map_err(|_| InvalidShare)?;
    let (ciphertext, mut shared) = peer.encapsulate_with_rng(rng);
    Ok((ciphertext.into(), taken(&mut shared)))
}

fn taken(shared: &mut ::ml_kem::SharedKey) -> Secret<SharedSecret> {
    let secret = Secret::filled(|bytes| bytes.copy_from_slice(shared));
    shared.as_mut_slice().zeroize();
    secret
}
