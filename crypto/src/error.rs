//! The crate's errors. Each says what was refused and never why: a reason would be an oracle for whoever
//! sent the input. It owns no context; the caller knows which peer and which message it was.

use thiserror::Error;

/// A signature or a MAC does not belong to this key and input, or it is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("verification failed")]
pub struct VerificationFailed;

/// A ciphertext did not open: wrong key, nonce or associated data, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("ciphertext does not open")]
pub struct OpenFailed;

/// A plaintext could not be sealed: it is longer than AES-GCM allows, or starts beyond its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("plaintext cannot be sealed")]
pub struct SealFailed;

/// Bytes that are no acceptable key of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid key")]
pub struct InvalidKey;

/// A peer's key-exchange share that is malformed or would give a predictable secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid key-exchange share")]
pub struct InvalidShare;

/// A peer's PAKE message that is malformed or comes from the wrong side. A wrong password is *not* seen here;
/// it only shows when the two keys differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("pairing message refused")]
pub struct PakeFailed;
