//! HKDF-SHA256 (RFC 5869): one [`Prk`] per exchange, from which every key is expanded under its own label. It
//! does not know which labels the protocol has.

use core::fmt;

use hkdf::{Hkdf, HkdfExtract, InvalidLength};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::{
    framing::{self, framed},
    secret::{Purpose, Secret},
};

/// A pseudorandom key to expand further keys from.
pub struct Prk(pub(crate) Secret<Self>);

impl Purpose for Prk {
    const NAME: &'static str = "Prk";
}

impl Prk {
    /// HKDF-Extract over the parts of `ikm`, each with its length in front as in [`framed`], so that neighbours
    /// cannot trade bytes.
    #[must_use]
    pub fn extract(salt: &[u8], ikm: &[&[u8]]) -> Self {
        Self::extract_bare(salt, |absorb| framing::feed_parts(ikm, absorb))
    }

    /// HKDF-Extract over the pieces that `feed` gives, without any framing.
    pub(crate) fn extract_bare(salt: &[u8], feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Self {
        let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
        feed(&mut |piece| extract.input_ikm(piece));
        let (mut prk, _) = extract.finalize();
        let secret = Secret::filled(|bytes| bytes.copy_from_slice(&prk));
        prk.zeroize();
        Self(secret)
    }

    /// HKDF-Extract with this key as the only input: binds what is already agreed to a longer transcript.
    #[must_use]
    pub fn chain(&self, salt: &[u8]) -> Self {
        Self::extract(salt, &[self.0.expose()])
    }

    /// Uses an existing uniform key as the pseudorandom key (RFC 5869, 3.3), for ratchets.
    #[must_use]
    pub fn from_secret<P: Purpose>(secret: &Secret<P>) -> Self {
        Self(Secret::filled(|bytes| bytes.copy_from_slice(secret.expose())))
    }

    /// HKDF-Expand with `framed(label, context)` as its info.
    #[must_use]
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "the length is fixed at compile time")]
    pub fn expand<P: Purpose, const N: usize>(&self, label: &str, context: &[&[u8]]) -> Secret<P, N> {
        const { assert!(N <= 255 * 32, "RFC 5869 ends at 255 blocks") };
        let info = framed(label, context);
        Secret::filled(|bytes| self.expand_bare(&info, bytes).expect("N is at most 255 blocks"))
    }

    /// HKDF-Expand with `info` as it is; fails beyond 255 blocks.
    #[expect(clippy::expect_used, reason = "the length is fixed at compile time")]
    pub(crate) fn expand_bare(&self, info: &[u8], okm: &mut [u8]) -> Result<(), InvalidLength> {
        Hkdf::<Sha256>::from_prk(self.0.expose()).expect("32 bytes are one hash length").expand(info, okm)
    }
}

impl fmt::Debug for Prk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prk(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::purpose::TrafficKey;

    fn expand(prk: &Prk, label: &str, context: &[&[u8]]) -> Secret<TrafficKey> {
        prk.expand(label, context)
    }

    #[test]
    fn every_input_separates() {
        let prk = Prk::extract(b"salt", &[b"ab", b"c"]);
        let key = expand(&prk, "c2g", &[b"th"]);
        assert_eq!(key, expand(&prk, "c2g", &[b"th"]));
        assert_ne!(key, expand(&prk, "g2c", &[b"th"]));
        assert_ne!(key, expand(&prk, "c2g", &[b"t", b"h"]));
        assert_ne!(key, expand(&Prk::extract(b"salt", &[b"a", b"bc"]), "c2g", &[b"th"]));
        assert_ne!(key, expand(&Prk::extract(b"other", &[b"ab", b"c"]), "c2g", &[b"th"]));
        assert_ne!(key, expand(&prk.chain(b"salt"), "c2g", &[b"th"]));
    }

    #[test]
    fn a_ratchet_step_uses_the_key_itself() {
        let key = expand(&Prk::extract(b"salt", &[b"ikm"]), "group", &[]);
        assert_ne!(key, expand(&Prk::from_secret(&key), "group", &[]));
    }
}
