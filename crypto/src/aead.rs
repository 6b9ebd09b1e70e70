//! AES-256-GCM (NIST SP 800-38D): seals and opens bytes under a nonce that the caller must never repeat for a
//! key. Nonces, sequence numbers and associated data are the protocol's business.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};

use crate::{
    error::{OpenFailed, SealFailed},
    secret::{Purpose, Secret},
};

/// Bytes that sealing adds.
pub const TAG_LEN: usize = 16;

/// A key schedule ready to seal and open; wiped when it is dropped.
pub struct AeadKey(Box<Aes256Gcm>);

impl AeadKey {
    /// Expands the key.
    #[must_use]
    pub fn new<P: Purpose>(key: &Secret<P>) -> Self {
        Self(Box::new(Aes256Gcm::new(key.expose().into())))
    }

    /// Encrypts and authenticates `plaintext`, and authenticates `aad`: the ciphertext, then the tag.
    ///
    /// # Errors
    /// [`SealFailed`] beyond the 64 GiB that GCM allows.
    pub fn seal(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealFailed> {
        let mut buffer = Vec::with_capacity(plaintext.len() + TAG_LEN);
        buffer.extend_from_slice(plaintext);
        self.seal_in_place(nonce, aad, &mut buffer, 0)?;
        Ok(buffer)
    }

    /// Encrypts `buffer[from..]` where it stands and appends the tag, so that a frame's clear head and its
    /// sealed body share one buffer.
    ///
    /// # Errors
    /// [`SealFailed`] if `from` is beyond the end, or beyond the 64 GiB that GCM allows. The buffer must then
    /// not be sent.
    pub fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut Vec<u8>,
        from: usize,
    ) -> Result<(), SealFailed> {
        let body = buffer.get_mut(from..).ok_or(SealFailed)?;
        let tag = self.0.encrypt_inout_detached(nonce.into(), aad, body.into()).map_err(|_| SealFailed)?;
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Checks the tag, then decrypts.
    ///
    /// # Errors
    /// [`OpenFailed`] if anything differs from what was sealed; nothing is decrypted then.
    pub fn open(&self, nonce: &[u8; 12], aad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, OpenFailed> {
        let (body, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(OpenFailed)?;
        let mut plaintext = body.to_vec();
        self.0
            .decrypt_inout_detached(nonce.into(), aad, plaintext.as_mut_slice().into(), tag.into())
            .map_err(|_| OpenFailed)?;
        Ok(plaintext)
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::purpose::TrafficKey;

    #[test]
    fn sealing_in_place_leaves_the_head_alone() {
        let key = AeadKey::new(&Secret::<TrafficKey>::new([1; 32]));
        let mut frame = b"head body".to_vec();
        key.seal_in_place(&[0; 12], b"aad", &mut frame, 5).unwrap();
        assert_eq!(&frame[..5], b"head ");
        assert_eq!(&frame[5..], key.seal(&[0; 12], b"aad", b"body").unwrap());
        assert_eq!(key.open(&[0; 12], b"aad", &frame[5..]).unwrap(), b"body");
    }

    #[test]
    fn a_start_beyond_the_end_and_a_short_ciphertext_are_refused() {
        let key = AeadKey::new(&Secret::<TrafficKey>::new([1; 32]));
        assert_eq!(key.seal_in_place(&[0; 12], b"", &mut b"ab".to_vec(), 3), Err(SealFailed));
        assert_eq!(key.open(&[0; 12], b"", &[0; TAG_LEN - 1]), Err(OpenFailed));
    }
}
