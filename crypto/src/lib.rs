//! Vitalward's cryptographic primitives. It knows primitives only: no opcode, clock, socket or storage, and it
//! draws no randomness of its own; every generator is the caller's.
//!
//! | for | use | which is |
//! |---|---|---|
//! | a patient's login | `elgamal` (feature `elgamal`) | ElGamal signatures, 3072-bit p, 256-bit q |
//! | a patient's session key | `elgamal::kem` (feature `elgamal`) | ElGamal KEM in ffdhe3072, ephemeral on both sides |
//! | a wearable's login, alerts, receipts | `identity` | Ed25519, strict |
//! | a wearable's session key, resumption | `exchange` | X25519, ephemeral |
//! | a wearable's session key, hybrid | `ml_kem` (feature `ml-kem`) | ML-KEM-768 beside X25519, ephemeral |
//! | a pairing code | `pake` (feature `pake`) | SPAKE2 over the Ed25519 group |
//! | keys from a secret | [`Prk`] | HKDF-SHA256 |
//! | records, broadcasts, wrapped keys | [`AeadKey`] | AES-256-GCM, or Ascon-AEAD128 (feature `ascon`) |
//! | proof of a shared key | [`mac()`], [`verify_mac`] | HMAC-SHA256 |
//! | transcripts, fingerprints | [`sha256`] | SHA-256 |
//!
//! Everything signed, MACed, hashed or expanded goes through [`framed`], so it starts with its purpose. Every
//! secret is a [`Secret`], whose type says what it is for.
#![no_std]
extern crate alloc;

pub mod aead;
#[cfg(feature = "elgamal")]
pub mod elgamal;
mod error;
pub mod exchange;
mod framing;
mod hash;
pub mod identity;
mod kdf;
pub mod mac;
#[cfg(feature = "ml-kem")]
pub mod ml_kem;
#[cfg(feature = "pake")]
pub mod pake;
mod secret;
#[cfg(feature = "selftest")]
pub mod selftest;

pub use aead::{Aead, AeadKey};
pub use error::{InvalidKey, InvalidShare, OpenFailed, PakeFailed, SealFailed, VerificationFailed};
pub use framing::framed;
pub use hash::{PartHash, sha256};
pub use kdf::Prk;
pub use mac::{mac, public_mac, verify_mac};
pub use secret::{Purpose, Secret, purpose};
