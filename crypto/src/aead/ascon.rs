//! Ascon-AEAD128 by the crate `ascon-aead`. Its own key type is not wiped (its feature `zeroize` does not compile), so the
//! key stays in a [`Secret`] and its cipher lives for one call.

use alloc::vec::Vec;

use ascon_aead::{
    AsconAead128,
    aead::{AeadInOut, KeyInit},
};

use super::TAG_LEN;
use crate::{
    error::{OpenFailed, SealFailed},
    secret::{Secret, purpose::TrafficKey},
};

pub(super) struct Cipher(Secret<TrafficKey, 16>);

impl Cipher {
    pub(super) fn new(key: &[u8; 16]) -> Self {
        Self(Secret::filled(|bytes| bytes.copy_from_slice(key)))
    }

    fn cipher(&self) -> AsconAead128 {
        AsconAead128::new(self.0.expose().into())
    }

    pub(super) fn seal(
        &self,
        nonce: &[u8; 16],
        aad: &[u8],
        body: &mut [u8],
    ) -> Result<[u8; TAG_LEN], SealFailed> {
        let tag =
            self.cipher().encrypt_inout_detached(nonce.into(), aad, body.into()).map_err(|_| SealFailed)?;
        Ok(tag.into())
    }

    pub(super) fn open(&self, nonce: &[u8; 16], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenFailed> {
        let (body, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(OpenFailed)?;
        let mut plaintext = body.to_vec();
        self.cipher()
            .decrypt_inout_detached(nonce.into(), aad, plaintext.as_mut_slice().into(), tag.into())
            .map_err(|_| OpenFailed)?;
        Ok(plaintext)
    }
}
