//! Groups made on the spot, by the code that the tests of `crypto` use.

#[path = "../../crypto/tests/common/derivation.rs"]
mod derivation;

use crypto::{elgamal::params, sha256};
use num_bigint::BigUint;

/// Derives the signature group from its sentence until it is found: p, q and g.
#[must_use]
pub fn signature_group() -> [BigUint; 3] {
    (0_u32..)
        .find_map(|round| {
            let seed = sha256("elgamal/group", &[params::SENTENCE.as_bytes(), &round.to_be_bytes()]);
            let q = Some(derivation::order(&seed)).filter(derivation::is_prime)?;
            let (_, p) = derivation::first_prime(&seed, &q)?;
            let g = derivation::generator(&p, &q, &seed, 1);
            Some([p, q, g])
        })
        .unwrap()
}

/// Whether the prime that is shipped is the candidate of its counter: the check that anyone can repeat quickly.
#[must_use]
pub fn is_shipped_candidate() -> bool {
    let seed = sha256("elgamal/group", &[params::SENTENCE.as_bytes(), &params::ROUND.to_be_bytes()]);
    let q = derivation::order(&seed);
    let p = derivation::prime_candidate(&seed, &q, params::COUNTER);
    p.is_some_and(|p| derivation::is_prime(&q) && derivation::is_prime(&p))
}

/// RFC 7919's groups that are compared: bits of the prime, the number in its formula, bits of an exponent.
const FFDHE: [(u32, u32, u32); 3] = [(2048, 560_316, 225), (3072, 2_625_351, 275), (4096, 5_736_041, 325)];

fn rfc_7919(bits: u32) -> (u32, u32) {
    FFDHE.iter().find(|group| group.0 == bits).map(|group| (group.1, group.2)).unwrap()
}

/// RFC 7919's prime of 2048, 3072 or 4096 bits.
#[must_use]
pub fn ffdhe(bits: u32) -> BigUint {
    derivation::ffdhe(bits, rfc_7919(bits).0)
}

/// The exponent length that RFC 7919 gives for it, in bits.
#[must_use]
pub fn exponent_bits(bits: u32) -> u32 {
    rfc_7919(bits).1
}
