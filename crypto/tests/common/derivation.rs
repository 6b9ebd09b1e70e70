//! How the groups are made, with other code than the product's (num-bigint, crypto-primes): FIPS 186-4 A.1.1.2 and A.2.3
//! with SHA-256, and the formula of RFC 7919. Tests compare, benches time it.

use crypto_bigint::{RandomMod, U256, U3072, UnsignedWithMontyForm};
use crypto_primes::{
    Flavor,
    fips::{self, FipsOptions},
};
use num_bigint::BigUint;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use sha2::{Digest, Sha256};

const L: u32 = 3072;
const N: u32 = 256;

/// FIPS 186-4 A.1.1.2, steps 6 and 7.
pub(crate) fn order(seed: &[u8]) -> BigUint {
    let u = hash(seed) % (one() << (N - 1));
    let even = one() - (&u & one());
    (one() << (N - 1)) + u + even
}

/// Steps 10 and 11: the first counter with a prime, and that prime.
pub(crate) fn first_prime(seed: &[u8], q: &BigUint) -> Option<(u32, BigUint)> {
    (0..4 * L).find_map(|counter| prime_candidate(seed, q, counter).filter(is_prime).map(|p| (counter, p)))
}

/// Steps 11.1 to 11.6 for one counter, whose offset is 1 + counter * (n + 1).
pub(crate) fn prime_candidate(seed: &[u8], q: &BigUint, counter: u32) -> Option<BigUint> {
    let n = L.div_ceil(N) - 1;
    let start = BigUint::from_bytes_be(seed) + 1u32 + counter * (n + 1);
    let modulus = one() << (8 * seed.len());
    let w = (0..=n).fold(BigUint::ZERO, |w, j| {
        let block = ((&start + j) % &modulus).to_bytes_be();
        let padded = [vec![0; seed.len() - block.len()], block].concat();
        w + (hash(&padded) << (j * N))
    });
    let x = w % (one() << (L - 1)) + (one() << (L - 1));
    let c = &x % (q * 2u32);
    let p = x + 1u32 - c;
    (p.bits() == u64::from(L)).then_some(p)
}

/// FIPS 186-4 A.2.3.
pub(crate) fn generator(p: &BigUint, q: &BigUint, seed: &[u8], index: u8) -> BigUint {
    let e = (p - 1u32) / q;
    (1u16..)
        .map(|count| hash(&[seed, b"ggen", &[index], &count.to_be_bytes()].concat()).modpow(&e, p))
        .find(|g| *g >= BigUint::from(2u32))
        .unwrap()
}

/// 64 Miller-Rabin rounds, for numbers of at most 3072 bits.
pub(crate) fn is_prime(n: &BigUint) -> bool {
    fn miller_rabin<T: UnsignedWithMontyForm + RandomMod>(n: &T) -> bool {
        let options = FipsOptions::with_mr_iterations(64).with_trial_division_test();
        fips::is_prime(&mut ChaCha20Rng::seed_from_u64(1), Flavor::Any, n, options)
    }
    if n.bits() > u64::from(N) {
        miller_rabin(&U3072::from_be_hex(&format!("{n:0768x}")))
    } else {
        miller_rabin(&U256::from_be_hex(&format!("{n:064x}")))
    }
}

/// RFC 7919's safe prime of `bits` bits, 2^b - 2^(b-64) + (floor(2^(b-130) e) + x) 2^64 - 1; x is its table's.
pub(crate) fn ffdhe(bits: u32, x: u32) -> BigUint {
    // e to b - 130 binary places, from its series, with 100 more for the sum of rounding errors.
    let mut e = BigUint::ZERO;
    let mut term = one() << (bits - 30);
    for k in 1u32.. {
        if term == BigUint::ZERO {
            break;
        }
        e += &term;
        term /= k;
    }
    (one() << bits) - (one() << (bits - 64)) + (((e >> 100) + x) << 64) - 1u32
}

fn hash(bytes: &[u8]) -> BigUint {
    BigUint::from_bytes_be(&Sha256::digest(bytes))
}

fn one() -> BigUint {
    BigUint::from(1u32)
}
