//! AES-256-GCM (NIST SP 800-38D): seals and opens bytes under a nonce that the caller must never repeat for a
//! key. Nonces, sequence numbers and associated data are the protocol's business.

use alloc::vec::Vec;
use core::fmt;

#[cfg(feature = "aws-lc")]
use aws_lc::Cipher;
#[cfg(not(feature = "aws-lc"))]
use portable::Cipher;

use crate::{
    error::{OpenFailed, SealFailed},
    secret::{Purpose, Secret},
};

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(test, not(feature = "aws-lc")))]
mod portable;

/// Bytes that sealing adds.
pub const TAG_LEN: usize = 16;

/// A key schedule ready to seal and open; wiped when it is dropped.
pub struct AeadKey(Cipher);

impl AeadKey {
    /// Expands the key.
    #[must_use]
    pub fn new<P: Purpose>(key: &Secret<P>) -> Self {
        Self(Cipher::new(key.expose()))
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
        let tag = self.0.seal(nonce, aad, body)?;
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Decrypts, if the tag is right.
    ///
    /// # Errors
    /// [`OpenFailed`] if anything differs from what was sealed; no plaintext comes out then.
    pub fn open(&self, nonce: &[u8; 12], aad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, OpenFailed> {
        self.0.open(nonce, aad, ciphertext)
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

    #[cfg(feature = "aws-lc")]
    proptest::proptest! {
        #[test]
        fn the_backends_agree(key: [u8; 32], nonce: [u8; 12], aad: Vec<u8>, text: Vec<u8>) {
            let (ours, oracle) = (Cipher::new(&key), portable::Cipher::new(&key));
            let mut bodies = [text.clone(), text.clone()];
            let [one, other] = &mut bodies;
            let tags = [ours.seal(&nonce, &aad, one).unwrap(), oracle.seal(&nonce, &aad, other).unwrap()];
            proptest::prop_assert_eq!(&bodies[0], &bodies[1]);
            proptest::prop_assert_eq!(tags[0], tags[1]);
            let sealed = [bodies[0].as_slice(), &tags[0]].concat();
            proptest::prop_assert_eq!(ours.open(&nonce, &aad, &sealed).unwrap(), &text[..]);
            proptest::prop_assert_eq!(oracle.open(&nonce, &aad, &sealed).unwrap(), text);
        }
    }
}
