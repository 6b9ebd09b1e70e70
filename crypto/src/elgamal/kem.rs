//! The ElGamal KEM with a fresh key on both sides: ephemeral Diffie-Hellman in ElGamal's form, in RFC 7919's
//! group ffdhe3072. A share authenticates nobody; the login signs it.
//!
//! The exponents have 320 bits, which is safe because p is a safe prime and each is used once.

use core::fmt;

use crypto_bigint::{U320, U3072};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::group::{ELEMENT_LEN, KemGroup};
use crate::{
    error::InvalidShare,
    secret::{Purpose, Secret, purpose::SharedSecret},
};

const EXPONENT_LEN: usize = 40;

/// One side of one exchange: used once, then wiped.
pub struct Ephemeral {
    exponent: Secret<Self, EXPONENT_LEN>,
    share: U3072,
}

impl Purpose for Ephemeral {
    const NAME: &'static str = "KemExponent";
}

impl Ephemeral {
    /// A new exponent of 320 random bits, of which the top one is set.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let exponent = Secret::filled(|bytes: &mut [u8; EXPONENT_LEN]| {
            rng.fill_bytes(bytes);
            let [top, ..] = bytes;
            *top |= 0x80;
        });
        let share = KemGroup::get().pow_generator(&number(&exponent));
        Self { exponent, share }
    }

    /// The 384-byte share for the peer, big-endian, leading zeros kept.
    #[must_use]
    pub fn public(&self) -> [u8; ELEMENT_LEN] {
        self.share.to_be_bytes().into()
    }

    /// The secret that both sides now have, always 384 bytes. It is not uniform: derive keys from it with a
    /// [`Prk`](crate::Prk).
    ///
    /// # Errors
    /// [`InvalidShare`] unless the length is exact and 1 < c < p - 1; the group has no other small subgroup.
    pub fn agree(self, peer: &[u8]) -> Result<Secret<SharedSecret, ELEMENT_LEN>, InvalidShare> {
        let group = KemGroup::get();
        let peer = group.element(peer).ok_or(InvalidShare)?;
        let shared = Zeroizing::new(Zeroizing::new(group.pow(&peer, &number(&self.exponent))).to_be_bytes());
        Ok(Secret::filled(|bytes| bytes.copy_from_slice(shared.as_slice())))
    }
}

fn number(exponent: &Secret<Ephemeral, EXPONENT_LEN>) -> Zeroizing<U320> {
    Zeroizing::new(U320::from_be_slice(exponent.expose()))
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("kem::Ephemeral(..)")
    }
}
