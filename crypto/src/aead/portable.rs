//! AES-256-GCM by the crate `aes-gcm`.

use alloc::{boxed::Box, vec::Vec};

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};

use super::TAG_LEN;
use crate::error::{OpenFailed, SealFailed};

pub(super) struct Cipher(Box<Aes256Gcm>);

impl Cipher {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Box::new(Aes256Gcm::new(key.into())))
    }

    pub(super) fn seal(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        body: &mut [u8],
    ) -> Result<[u8; TAG_LEN], SealFailed> {
        let tag = self.0.encrypt_inout_detached(nonce.into(), aad, body.into()).map_err(|_| SealFailed)?;
        Ok(tag.into())
    }

    pub(super) fn open(&self, nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenFailed> {
        let (body, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(OpenFailed)?;
        let mut plaintext = body.to_vec();
        self.0
            .decrypt_inout_detached(nonce.into(), aad, plaintext.as_mut_slice().into(), tag.into())
            .map_err(|_| OpenFailed)?;
        Ok(plaintext)
    }
}
