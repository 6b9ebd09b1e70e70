//! The laboratory protocol's ElGamal, as textbooks have it: full-size exponents in a safe-prime group, the bare hash of the
//! message, variable-time arithmetic. For comparison only; several of the attacks in `crypto/tests/attacks.rs` break it.

use num_bigint::BigUint;
use rand_chacha::{ChaCha20Rng, rand_core::Rng};
use sha2::{Digest, Sha256};

use crate::groups::ffdhe;

/// A key pair with its group.
#[derive(Debug)]
pub struct Textbook {
    p: BigUint,
    g: BigUint,
    x: BigUint,
    y: BigUint,
}

impl Textbook {
    /// A new key in RFC 7919's group of 2048, 3072 or 4096 bits, made at every call; see [`Self::renew`].
    #[must_use]
    pub fn generate(bits: u32, rng: &mut ChaCha20Rng) -> Self {
        let (p, g) = (ffdhe(bits), BigUint::from(2u32));
        let mut key = Self { x: BigUint::ZERO, y: BigUint::ZERO, p, g };
        key.renew(rng);
        key
    }

    /// Key generation: x, and y = g^x.
    pub fn renew(&mut self, rng: &mut ChaCha20Rng) {
        self.x = self.exponent(rng);
        self.y = self.g.modpow(&self.x, &self.p);
    }

    /// r = g^k and s = (h - x r) / k mod p - 1.
    pub fn sign(&self, message: &[u8], rng: &mut ChaCha20Rng) -> (BigUint, BigUint) {
        let order = &self.p - 1u32;
        loop {
            let k = self.exponent(rng);
            let Some(inverse) = k.modinv(&order) else { continue };
            let r = self.g.modpow(&k, &self.p);
            let s = (hash(message) + (&order - (&self.x * &r) % &order)) * inverse % &order;
            return (r, s);
        }
    }

    /// g^h = y^r r^s.
    #[must_use]
    pub fn verify(&self, message: &[u8], (r, s): &(BigUint, BigUint)) -> bool {
        let left = self.g.modpow(&hash(message), &self.p);
        left == self.y.modpow(r, &self.p) * r.modpow(s, &self.p) % &self.p
    }

    /// Bytes of an element.
    #[must_use]
    pub fn element_len(&self) -> u64 {
        self.p.bits().div_ceil(8)
    }

    fn exponent(&self, rng: &mut ChaCha20Rng) -> BigUint {
        let mut bytes = vec![0; self.p.to_bytes_be().len()];
        rng.fill_bytes(&mut bytes);
        BigUint::from_bytes_be(&bytes) % (&self.p - 2u32) + 1u32
    }
}

fn hash(message: &[u8]) -> BigUint {
    BigUint::from_bytes_be(&Sha256::digest(message))
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn only_what_was_signed_verifies() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = Textbook::generate(2048, &mut rng);
        let signature = key.sign(b"message", &mut rng);
        assert!(key.verify(b"message", &signature));
        assert!(!key.verify(b"other", &signature));
    }
}
