//! X25519 (RFC 7748) with a fresh key for each exchange: the suites without ElGamal, and every resumption. A
//! share authenticates nobody; the login signs it.

use alloc::boxed::Box;
use core::fmt;

use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, ReusableSecret};

use crate::{
    error::InvalidShare,
    secret::{Secret, purpose::SharedSecret},
};

/// One side of one exchange: used once, then wiped.
pub struct Ephemeral {
    secret: Box<ReusableSecret>,
    public: PublicKey,
}

impl Ephemeral {
    /// A new key from 32 random bytes.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let secret = Box::new(ReusableSecret::random_from_rng(rng));
        let public = PublicKey::from(&*secret);
        Self { secret, public }
    }

    /// The 32-byte share for the peer.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.public.to_bytes()
    }

    /// The 32-byte secret that both sides now have. It is not uniform: derive keys from it with a
    /// [`Prk`](crate::Prk).
    ///
    /// # Errors
    /// [`InvalidShare`] for another length, or for a point of small order, whose secret would be all zero
    /// (RFC 7748, 6.1).
    pub fn agree(self, peer: &[u8]) -> Result<Secret<SharedSecret>, InvalidShare> {
        let peer: [u8; 32] = peer.try_into().map_err(|_| InvalidShare)?;
        let shared = self.secret.diffie_hellman(&peer.into());
        if !shared.was_contributory() {
            return Err(InvalidShare);
        }
        Ok(Secret::filled(|bytes| bytes.copy_from_slice(shared.as_bytes())))
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral(..)")
    }
}
