//! HMAC-SHA256 (RFC 2104) over framed input, with its tags compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    error::VerificationFailed,
    framing,
    secret::{Purpose, Secret},
};

/// The 32-byte tag over `framed(purpose, parts)`.
#[must_use]
pub fn mac<P: Purpose>(key: &Secret<P>, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    public_mac(key.expose(), purpose, parts)
}

/// Checks a tag of exactly 32 bytes, in constant time.
///
/// # Errors
/// [`VerificationFailed`] if the tag has another length or value.
pub fn verify_mac<P: Purpose>(
    key: &Secret<P>,
    purpose: &str,
    parts: &[&[u8]],
    tag: &[u8],
) -> Result<(), VerificationFailed> {
    started(key.expose(), purpose, parts).verify_slice(tag).map_err(|_| VerificationFailed)
}

/// [`mac`] under a key that is *not* secret, such as a key id: a keyed hash, which authenticates nothing.
#[must_use]
pub fn public_mac(key: &[u8], purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    started(key, purpose, parts).finalize().into_bytes().into()
}

fn started(key: &[u8], purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = bare(key);
    framing::feed(purpose, parts, |piece| mac.update(piece));
    mac
}

/// HMAC-SHA256 that has absorbed nothing yet, framing included.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
pub(crate) fn bare(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::purpose::MacKey;

    #[test]
    fn only_the_whole_right_tag_passes() {
        let key = Secret::<MacKey>::new([9; 32]);
        let tag = mac(&key, "t", &[b"a", b"b"]);
        assert_eq!(verify_mac(&key, "t", &[b"a", b"b"], &tag), Ok(()));
        assert_eq!(verify_mac(&key, "t", &[b"ab"], &tag), Err(VerificationFailed));
        assert_eq!(verify_mac(&key, "u", &[b"a", b"b"], &tag), Err(VerificationFailed));
        assert_eq!(verify_mac(&key, "t", &[b"a", b"b"], &tag[..31]), Err(VerificationFailed));
        assert_eq!(verify_mac(&key, "t", &[b"a", b"b"], &[]), Err(VerificationFailed));
    }
}
