//! Nonces for signatures: the HMAC-DRBG of RFC 6979 with SHA-256, fed with the private key, the message's digest
//! and fresh randomness (its variant 3.6). A broken generator then costs nothing, and neither does a fault
//! attack that wants the same nonce twice. It does not know what the digest covers.

use crypto_bigint::{NonZero, U256};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

type Block = Zeroizing<[u8; 32]>;

/// The generator's state, K and V in RFC 6979's letters.
pub(crate) struct Nonces {
    k: Block,
    v: Block,
    order: NonZero<U256>,
}

impl Nonces {
    /// Steps b to g, with `fresh` as k': 32 random bytes, or none for RFC 6979's deterministic nonces.
    pub(crate) fn new(order: &NonZero<U256>, private: &[u8; 32], digest: &[u8; 32], fresh: &[u8]) -> Self {
        let octets = U256::from_be_slice(digest).rem(order).to_be_bytes(); // bits2octets
        let mut nonces = Self { k: Zeroizing::new([0; 32]), v: Zeroizing::new([1; 32]), order: *order };
        for separator in [0, 1] {
            nonces.update(&[&[separator], private, octets.as_slice(), fresh]);
        }
        nonces
    }

    /// The next k with 0 < k < q, uniform because others are rejected, not reduced (step h).
    pub(crate) fn draw(&mut self) -> Zeroizing<U256> {
        loop {
            self.v = hmac(&self.k, &[self.v.as_slice()]);
            let k = Zeroizing::new(U256::from_be_slice(self.v.as_slice()));
            self.update(&[&[0]]);
            if *k != U256::ZERO && *k < *self.order {
                return k;
            }
        }
    }

    /// K = HMAC_K(V || parts), then V = HMAC_K(V).
    fn update(&mut self, parts: &[&[u8]]) {
        self.k = hmac(&self.k, &[&[self.v.as_slice()], parts].concat());
        self.v = hmac(&self.k, &[self.v.as_slice()]);
    }
}

/// Bare HMAC-SHA256 without this crate's framing, as the RFC wants it.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &Block, parts: &[&[u8]]) -> Block {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use sha2::Digest;

    use super::*;

    /// RFC 6979, A.2.5: the nonces for P-256 with SHA-256 do not depend on the curve, only on its order.
    #[test]
    fn without_fresh_bytes_these_are_the_nonces_of_rfc_6979() {
        let order =
            NonZero::<U256>::from_be_hex("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
        let private = U256::from_be_hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        for (message, k) in [
            ("sample", "A6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60"),
            ("test", "D16B6AE827F17175E040871A1C7EC3500192C4C92677336EC2537ACAEE0008E0"),
        ] {
            let digest = Sha256::digest(message).into();
            let mut nonces = Nonces::new(&order, &private.to_be_bytes().into(), &digest, &[]);
            assert_eq!(*nonces.draw(), U256::from_be_hex(k));
        }
    }

    /// The order decides what is taken and nothing else: the same draws, those out of range left out, none reduced.
    #[test]
    fn a_nonce_is_at_most_the_order_less_one_and_others_are_drawn_again() {
        let draws = |order: U256, count| -> Vec<U256> {
            let order = NonZero::new(order).unwrap();
            let mut nonces = Nonces::new(&order, &[1; 32], &[0; 32], &[3; 32]);
            (0..count).map(|_| *nonces.draw()).collect()
        };
        let all = draws(U256::MAX, 64);
        let largest = *all.iter().max().unwrap();
        assert_eq!(draws(largest.wrapping_add(&U256::ONE), 64), all, "the order less one is taken");
        let below: Vec<U256> = all.iter().copied().filter(|k| *k < largest).collect();
        assert_eq!(draws(largest, 63), below, "the order is not");
        assert!(below.iter().any(|k| k.bit_vartime(255)), "the top bit is used");
    }

    #[test]
    fn fresh_bytes_change_the_nonce_and_draws_differ() {
        let order = super::super::group::Q;
        let mut one = Nonces::new(order, &[1; 32], &[2; 32], &[3; 32]);
        let first = one.draw();
        assert_ne!(first, one.draw());
        assert_ne!(first, Nonces::new(order, &[1; 32], &[2; 32], &[4; 32]).draw());
        assert_eq!(first, Nonces::new(order, &[1; 32], &[2; 32], &[3; 32]).draw());
    }
}
