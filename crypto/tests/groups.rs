//! Makes both groups again from what `params` says about them, with other code (num-bigint, crypto-primes), and
//! that code against NIST's vectors.
#![cfg(feature = "elgamal")]
#![expect(clippy::unwrap_used, reason = "a broken vector file must fail the test")]

#[path = "common/records.rs"]
mod records;

use crypto_bigint::{RandomMod, U256, U3072, UnsignedWithMontyForm};
use crypto_primes::{
    Flavor,
    fips::{self, FipsOptions},
};
use num_bigint::BigUint;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use records::{Record, records};
use sha2::{Digest, Sha256};
use vitalward_crypto::{elgamal::params, sha256};

const L: u32 = 3072;
const N: u32 = 256;

#[test]
fn the_shipped_group_is_what_its_round_and_counter_give() {
    let seed = seed(params::ROUND);
    assert_eq!(hex::encode(seed), params::SEED);
    let (p, q, g) = (number(params::P), number(params::Q), number(params::G));
    assert_eq!(order(&seed), q);
    assert_eq!(prime_candidate(&seed, &q, params::COUNTER), Some(p.clone()));
    assert!(is_prime(&q) && is_prime(&p));
    assert_eq!(generator(&p, &q, &seed, 1), g);
    assert_eq!((g > one(), g.modpow(&q, &p)), (true, one()));
}

#[test]
#[ignore = "about 3 s in release; .ci/run runs it with --release -- --ignored"]
fn the_sentence_gives_the_shipped_group_and_no_earlier_one() {
    let found = (0..).find_map(|round| {
        let seed = seed(round);
        let q = Some(order(&seed)).filter(is_prime)?;
        first_prime(&seed, &q).map(|(counter, p)| (round, counter, p, q))
    });
    assert_eq!(found, Some((params::ROUND, params::COUNTER, number(params::P), number(params::Q))));
}

#[test]
fn ffdhe3072_is_the_prime_of_its_formula() {
    // e to 2942 binary places, from its series, with 100 more for the sum of rounding errors.
    let mut e = BigUint::ZERO;
    let mut term = one() << 3042;
    for k in 1u32.. {
        if term == BigUint::ZERO {
            break;
        }
        e += &term;
        term /= k;
    }
    let p = (one() << 3072) - (one() << 3008) + (((e >> 100) + 2_625_351u32) << 64) - 1u32;
    assert_eq!(number(params::FFDHE3072), p);
    assert!(is_prime(&p) && is_prime(&(&p >> 1)));
    // 2 is a square modulo p, so it generates the subgroup of prime order (p - 1) / 2.
    assert_eq!(BigUint::from(2u32).modpow(&(&p >> 1), &p), one());
}

#[test]
fn nist_primes_come_out_at_their_counter() {
    for case in records(include_str!("vectors/pqg_primes.rsp")) {
        let (seed, q) = (bytes(&case, "domain_parameter_seed"), number(case["Q"]));
        assert_eq!(order(&seed), q);
        let counter = case["counter"].parse().unwrap();
        assert_eq!(prime_candidate(&seed, &q, counter), Some(number(case["P"])));
    }
}

#[test]
#[ignore = "about 20 s in release; .ci/run runs it with --release -- --ignored"]
fn nist_primes_are_the_first_of_their_seed() {
    for case in records(include_str!("vectors/pqg_primes.rsp")) {
        let first = first_prime(&bytes(&case, "domain_parameter_seed"), &number(case["Q"]));
        assert_eq!(first, Some((case["counter"].parse().unwrap(), number(case["P"]))));
    }
}

#[test]
fn nist_verdicts_on_primes_are_ours() {
    for case in records(include_str!("vectors/pqg_verify.rsp")) {
        let (seed, p, q) = (bytes(&case, "Seed"), number(case["P"]), number(case["Q"]));
        let candidate = prime_candidate(&seed, &q, case["c"].parse().unwrap());
        let accepted = order(&seed) == q && candidate.as_ref() == Some(&p) && is_prime(&q) && is_prime(&p);
        assert_eq!(accepted, case["Result"].starts_with('P'), "{}", case["Result"]);
    }
}

#[test]
fn nist_generators_come_out() {
    for case in records(include_str!("vectors/pqg_generator.rsp")) {
        // Primes made the other way (Shawe-Taylor) have three seeds, which stand one after the other.
        let names = ["domain_parameter_seed", "firstseed", "pseed", "qseed"];
        let seeds: Vec<_> = names.iter().filter_map(|name| case.get(name)).copied().collect();
        let seed = hex::decode(seeds.concat()).unwrap();
        let index = u8::from_str_radix(case["index"], 16).unwrap();
        assert_eq!(generator(&number(case["P"]), &number(case["Q"]), &seed, index), number(case["G"]));
    }
}

fn seed(round: u32) -> [u8; 32] {
    sha256("elgamal/group", &[params::SENTENCE.as_bytes(), &round.to_be_bytes()])
}

/// FIPS 186-4 A.1.1.2, steps 6 and 7.
fn order(seed: &[u8]) -> BigUint {
    let u = hash(seed) % (one() << (N - 1));
    let even = one() - (&u & one());
    (one() << (N - 1)) + u + even
}

/// Steps 10 and 11: the first counter with a prime, and that prime.
fn first_prime(seed: &[u8], q: &BigUint) -> Option<(u32, BigUint)> {
    (0..4 * L).find_map(|counter| prime_candidate(seed, q, counter).filter(is_prime).map(|p| (counter, p)))
}

/// Steps 11.1 to 11.6 for one counter, whose offset is 1 + counter * (n + 1).
fn prime_candidate(seed: &[u8], q: &BigUint, counter: u32) -> Option<BigUint> {
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
fn generator(p: &BigUint, q: &BigUint, seed: &[u8], index: u8) -> BigUint {
    let e = (p - 1u32) / q;
    (1u16..)
        .map(|count| hash(&[seed, b"ggen", &[index], &count.to_be_bytes()].concat()).modpow(&e, p))
        .find(|g| *g >= BigUint::from(2u32))
        .unwrap()
}

fn is_prime(n: &BigUint) -> bool {
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

fn hash(bytes: &[u8]) -> BigUint {
    BigUint::from_bytes_be(&Sha256::digest(bytes))
}

fn one() -> BigUint {
    BigUint::from(1u32)
}

fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap()
}

fn bytes(case: &Record<'_>, name: &str) -> Vec<u8> {
    hex::decode(case[name]).unwrap()
}
