//! ElGamal, the patients' scheme: signatures at login, and the KEM that gives the session secret. It knows no
//! message of the login; the caller names the role and the keys that a signature binds.
//!
//! The signature is ElGamal's equation in a DSA group (short exponents are safe there and only there), with the
//! key, the role and the commitment inside the hash. [`VerifyingKey`] and [`Signature`] cannot be made without
//! the checks that keep the known attacks out; `tests/attacks.rs` runs those attacks against weaker variants.
//! Neither signatures nor KEM resist a quantum computer.
//!
//! Exponents, nonces and their inverses pass through constant-time code only and are wiped; crypto-bigint's
//! temporaries on the stack are not.

pub(crate) mod group;
pub mod kem;
mod modulus;
pub(crate) mod nonce;
pub mod params;
mod powers;
mod signature;

pub use group::prepare;
pub use signature::{Signature, SigningKey, VerifyingKey};
