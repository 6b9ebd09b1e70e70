//! SPAKE2 over the Ed25519 group: turns the short pairing code into a strong key, giving an active attacker one
//! guess per run and a passive one none. It knows neither codes nor tries; counting guesses and confirming the
//! key are the protocol's business.
//!
//! The crate `spake2` stays behind this one file. It is unaudited, older than RFC 9382 and not its protocol,
//! "probably not constant-time" by its own word, and does not wipe its scalar and its copy of the password.

use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;
use spake2::{Ed25519Group, Identity, Password, Spake2};
use zeroize::Zeroizing;

use crate::{
    error::PakeFailed,
    secret::{Secret, purpose::PakeKey},
};

/// One side of one run.
pub struct Pake(Spake2<Ed25519Group>);

impl Pake {
    /// Starts as side A; the bytes are the message for side B. Both sides must name the same two identities.
    #[must_use]
    pub fn start_a(
        rng: &mut (impl CryptoRng + ?Sized),
        password: &[u8],
        identity_a: &[u8],
        identity_b: &[u8],
    ) -> (Self, Vec<u8>) {
        let (a, b) = (Identity::new(identity_a), Identity::new(identity_b));
        let (state, message) = Spake2::start_a_with_rng(&Password::new(password), &a, &b, rng);
        (Self(state), message)
    }

    /// Starts as side B; the bytes are the message for side A.
    #[must_use]
    pub fn start_b(
        rng: &mut (impl CryptoRng + ?Sized),
        password: &[u8],
        identity_a: &[u8],
        identity_b: &[u8],
    ) -> (Self, Vec<u8>) {
        let (a, b) = (Identity::new(identity_a), Identity::new(identity_b));
        let (state, message) = Spake2::start_b_with_rng(&Password::new(password), &a, &b, rng);
        (Self(state), message)
    }

    /// The key, equal on both sides only if password and identities were; confirm it before trusting it.
    ///
    /// # Errors
    /// [`PakeFailed`] if the message is malformed or from the wrong side.
    pub fn finish(self, peer_message: &[u8]) -> Result<Secret<PakeKey>, PakeFailed> {
        let key = Zeroizing::new(self.0.finish(peer_message).map_err(|_| PakeFailed)?);
        Ok(Secret::new(key.as_slice().try_into().map_err(|_| PakeFailed)?))
    }
}

impl fmt::Debug for Pake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pake(..)")
    }
}
