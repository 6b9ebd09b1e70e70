//! Vitalward's cryptographic primitives: ElGamal signatures and KEM, AEAD, key derivation, Ed25519, SPAKE2.
#![no_std]
extern crate alloc;
