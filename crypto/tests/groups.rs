//! Makes both groups again from what `params` says about them, with other code, and that code against NIST's vectors.
#![cfg(feature = "elgamal")]
#![expect(clippy::unwrap_used, reason = "a broken vector file must fail the test")]

#[path = "common/derivation.rs"]
mod derivation;
#[path = "common/records.rs"]
mod records;

use derivation::{ffdhe, first_prime, generator, is_prime, order, prime_candidate};
use num_bigint::BigUint;
use records::{Record, records};
use vitalward_crypto::{elgamal::params, sha256};

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
    let p = ffdhe(3072, 2_625_351);
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

fn one() -> BigUint {
    BigUint::from(1u32)
}

fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap()
}

fn bytes(case: &Record<'_>, name: &str) -> Vec<u8> {
    hex::decode(case[name]).unwrap()
}
