//! Authenticated encryption: AES-256-GCM (NIST SP 800-38D) and, with feature `ascon`, Ascon-AEAD128 (NIST SP
//! 800-232). Seals and opens bytes under a nonce that the caller must never repeat for a key. Sequence numbers and
//! associated data are the protocol's business.

use alloc::vec::Vec;
use core::fmt;

#[cfg(feature = "aws-lc")]
use aws_lc as aes_gcm;
#[cfg(not(feature = "aws-lc"))]
use portable as aes_gcm;

use crate::{
    error::{OpenFailed, SealFailed},
    kdf::Prk,
    secret::{Purpose, Secret},
};

#[cfg(feature = "ascon")]
mod ascon;
#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(test, not(feature = "aws-lc")))]
mod portable;

/// Bytes that sealing adds, with either cipher.
pub const TAG_LEN: usize = 16;
/// Bytes of the longest nonce.
pub const MAX_NONCE_LEN: usize = 16;

/// Which cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aead {
    /// 32-byte keys, 12-byte nonces.
    Aes256Gcm,
    /// 16-byte keys, 16-byte nonces.
    #[cfg(feature = "ascon")]
    AsconAead128,
}

impl Aead {
    /// Expands a key of this cipher's length under `label`.
    #[must_use]
    pub fn expand<P: Purpose>(self, prk: &Prk, label: &str, context: &[&[u8]]) -> AeadKey {
        match self {
            Self::Aes256Gcm => AeadKey::new::<P>(&prk.expand(label, context)),
            #[cfg(feature = "ascon")]
            Self::AsconAead128 => AeadKey::ascon::<P>(&prk.expand(label, context)),
        }
    }
}

/// A key ready to seal and open; wiped when it is dropped.
pub struct AeadKey(Cipher);

enum Cipher {
    Aes256Gcm(aes_gcm::Cipher),
    #[cfg(feature = "ascon")]
    AsconAead128(ascon::Cipher),
}

impl AeadKey {
    /// A key of AES-256-GCM.
    #[must_use]
    pub fn new<P: Purpose>(key: &Secret<P>) -> Self {
        Self(Cipher::Aes256Gcm(aes_gcm::Cipher::new(key.expose())))
    }

    /// A key of Ascon-AEAD128.
    #[cfg(feature = "ascon")]
    #[must_use]
    pub fn ascon<P: Purpose>(key: &Secret<P, 16>) -> Self {
        Self(Cipher::AsconAead128(ascon::Cipher::new(key.expose())))
    }

    /// The nonce of a key that seals only one message: zeros, as many as the cipher wants.
    #[must_use]
    pub const fn only_nonce(&self) -> &'static [u8] {
        match self.0 {
            Cipher::Aes256Gcm(_) => &[0; 12],
            #[cfg(feature = "ascon")]
            Cipher::AsconAead128(_) => &[0; 16],
        }
    }

    /// Encrypts and authenticates `plaintext`, and authenticates `aad`: the ciphertext, then the tag.
    ///
    /// # Errors
    /// [`SealFailed`] for a nonce of another length than [`Self::only_nonce`] has, and beyond the 64 GiB that GCM
    /// allows.
    pub fn seal(&self, nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealFailed> {
        let mut buffer = Vec::with_capacity(plaintext.len() + TAG_LEN);
        buffer.extend_from_slice(plaintext);
        self.seal_in_place(nonce, aad, &mut buffer, 0)?;
        Ok(buffer)
    }

    /// Encrypts `buffer[from..]` where it stands and appends the tag, so that a frame's clear head and its
    /// sealed body share one buffer.
    ///
    /// # Errors
    /// As [`Self::seal`], and [`SealFailed`] if `from` is beyond the end. The buffer must then not be sent.
    pub fn seal_in_place(
        &self,
        nonce: &[u8],
        aad: &[u8],
        buffer: &mut Vec<u8>,
        from: usize,
    ) -> Result<(), SealFailed> {
        let body = buffer.get_mut(from..).ok_or(SealFailed)?;
        let tag = match &self.0 {
            Cipher::Aes256Gcm(cipher) => cipher.seal(nonce.try_into().map_err(|_| SealFailed)?, aad, body)?,
            #[cfg(feature = "ascon")]
            Cipher::AsconAead128(cipher) => {
                cipher.seal(nonce.try_into().map_err(|_| SealFailed)?, aad, body)?
            }
        };
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Decrypts, if the tag is right.
    ///
    /// # Errors
    /// [`OpenFailed`] if anything differs from what was sealed; no plaintext comes out then.
    pub fn open(&self, nonce: &[u8], aad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, OpenFailed> {
        match &self.0 {
            Cipher::Aes256Gcm(cipher) => {
                cipher.open(nonce.try_into().map_err(|_| OpenFailed)?, aad, ciphertext)
            }
            #[cfg(feature = "ascon")]
            Cipher::AsconAead128(cipher) => {
                cipher.open(nonce.try_into().map_err(|_| OpenFailed)?, aad, ciphertext)
            }
        }
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::secret::purpose::TrafficKey;

    fn keys() -> Vec<AeadKey> {
        vec![
            AeadKey::new(&Secret::<TrafficKey>::new([1; 32])),
            #[cfg(feature = "ascon")]
            AeadKey::ascon(&Secret::<TrafficKey, 16>::new([1; 16])),
        ]
    }

    #[test]
    fn sealing_in_place_leaves_the_head_alone() {
        for key in keys() {
            let nonce = key.only_nonce();
            let mut frame = b"head body".to_vec();
            key.seal_in_place(nonce, b"aad", &mut frame, 5).unwrap();
            assert_eq!(&frame[..5], b"head ");
            assert_eq!(&frame[5..], key.seal(nonce, b"aad", b"body").unwrap());
            assert_eq!(key.open(nonce, b"aad", &frame[5..]).unwrap(), b"body");
        }
    }

    #[test]
    fn a_start_beyond_the_end_a_short_ciphertext_and_a_foreign_nonce_are_refused() {
        for key in keys() {
            let nonce = key.only_nonce();
            assert_eq!(key.seal_in_place(nonce, b"", &mut b"ab".to_vec(), 3), Err(SealFailed));
            assert_eq!(key.open(nonce, b"", &[0; TAG_LEN - 1]), Err(OpenFailed));
            let longer = [nonce, &[0]].concat();
            for other in [&nonce[1..], &longer, &[]] {
                assert_eq!(key.seal(other, b"", b"ab"), Err(SealFailed));
                assert_eq!(key.open(other, b"", &key.seal(nonce, b"", b"ab").unwrap()), Err(OpenFailed));
            }
        }
    }

    #[cfg(feature = "ascon")]
    #[test]
    fn each_cipher_expands_its_own_key() {
        let prk = Prk::extract(b"salt", &[b"ikm"]);
        let key = |aead: Aead| aead.expand::<TrafficKey>(&prk, "record key", &[b"context"]);
        let sealed = |key: &AeadKey| key.seal(key.only_nonce(), b"", b"text").unwrap();
        let aes = AeadKey::new::<TrafficKey>(&prk.expand("record key", &[b"context"]));
        let ascon = AeadKey::ascon::<TrafficKey>(&prk.expand("record key", &[b"context"]));
        assert_eq!(sealed(&key(Aead::Aes256Gcm)), sealed(&aes));
        assert_eq!(sealed(&key(Aead::AsconAead128)), sealed(&ascon));
        assert_ne!(sealed(&aes), sealed(&ascon));
    }

    #[cfg(feature = "aws-lc")]
    proptest::proptest! {
        #[test]
        fn the_backends_agree(key: [u8; 32], nonce: [u8; 12], aad: Vec<u8>, text: Vec<u8>) {
            let (ours, oracle) = (aws_lc::Cipher::new(&key), portable::Cipher::new(&key));
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
