//! How the signature group was made (FIPS 186-4, L = 3072, N = 256, SHA-256), against NIST's vectors: primes from a
//! seed (A.1.1.2), the verdict on such primes (A.1.1.3), a generator from a seed (A.2.3). And the primality test in it,
//! Baillie-PSW, against numbers that were built to pass weaker ones. `tests/groups.rs` makes the shipped group with
//! other code.

use alloc::vec::Vec;

use crypto_bigint::{
    NonZero, Odd, U256, U3072,
    modular::{FixedMontyForm, FixedMontyParams},
};
use crypto_primes::{Flavor, is_prime};
use sha2::{Digest, Sha256};

use super::case::{Case, Outcome, Verdict, Wrong, ensure};

pub(super) fn primes(case: &Case) -> Result<Outcome, Wrong> {
    let (p, q) = primes_of(&case.integer("domain_parameter_seed")?, case.number("counter")?);
    ensure(q == case.integer("Q")?, "another q")?;
    ensure(p == case.integer("P")?, "another p")?;
    ensure(is_prime(Flavor::Any, &q) && is_prime(Flavor::Any, &p), "no primes")?;
    Ok(Outcome::Right)
}

pub(super) fn verdict(case: &Case) -> Result<Outcome, Wrong> {
    let (p, q) = (case.integer("P")?, case.integer("Q")?);
    let derived = primes_of(&case.integer("Seed")?, case.number("c")?) == (p, q);
    let accepted = derived && is_prime(Flavor::Any, &q) && is_prime(Flavor::Any, &p);
    ensure(accepted == case.text("Result")?.starts_with('P'), "another verdict")?;
    Ok(Outcome::Right)
}

pub(super) fn generator(case: &Case) -> Result<Outcome, Wrong> {
    let seed = match case.bytes("domain_parameter_seed") {
        Ok(seed) => seed,
        // Primes made the other way (Shawe-Taylor) have three seeds, which stand one after the other.
        Err(_) => [case.bytes("firstseed")?, case.bytes("pseed")?, case.bytes("qseed")?].concat(),
    };
    let (p, q) = (case.integer("P")?, case.integer::<{ U256::LIMBS }>("Q")?);
    let (p, q) = (Odd::new(p).into_option(), NonZero::new(q.resize::<{ U3072::LIMBS }>()).into_option());
    let (p, q) = p.zip(q).ok_or_else(|| Wrong::new("p is even or q is 0"))?;
    let cofactor = p.wrapping_sub(&U3072::ONE).wrapping_div(&q);
    let p = FixedMontyParams::new_vartime(p);
    let index = case.bytes("index")?;
    let power = |count: u16| {
        let digest = Sha256::digest([&seed, b"ggen".as_slice(), &index, &count.to_be_bytes()].concat());
        FixedMontyForm::new(&U256::from_be_slice(&digest).resize(), &p).pow(&cofactor).retrieve()
    };
    let generator = (1..).map(power).find(|power| *power > U3072::ONE);
    ensure(generator == Some(case.integer("G")?), "another generator")?;
    Ok(Outcome::Right)
}

pub(super) fn primality(case: &Case) -> Result<Outcome, Wrong> {
    // Two's complement.
    if case.bytes("value")?.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Ok(Outcome::Skipped("negative number"));
    }
    const Q: usize = U256::LIMBS;
    let widths = [in_width::<Q>, in_width::<{ 5 * Q }>, in_width::<{ 9 * Q }>, in_width::<{ 12 * Q }>];
    let prime =
        widths.iter().find_map(|is_prime| is_prime(case)).ok_or_else(|| Wrong::new("it is too long"))?;
    ensure(prime == (case.verdict()? == Verdict::Valid), "another verdict")?;
    Ok(Outcome::Right)
}

/// Whether the number is prime, if it has as many limbs: narrow ones need not take the time of p.
fn in_width<const LIMBS: usize>(case: &Case) -> Option<bool> {
    case.integer::<LIMBS>("value").ok().map(|number| is_prime(Flavor::Any, &number))
}

/// A.1.1.2, steps 6 to 11.6: what a seed and a counter give, whether or not it is prime.
fn primes_of(seed: &U256, counter: usize) -> (U3072, U256) {
    let digest_of = |number: U256| Sha256::digest(number.to_be_bytes());
    let top_and_one = U256::ONE.shl(U256::BITS - 1) | U256::ONE;
    let q = U256::from_be_slice(&digest_of(*seed)) | top_and_one;
    // Each counter takes the digests of the next 12 numbers; they stand in x from the right to the left.
    let number = |j: usize| seed.wrapping_add(&U256::from_u64((12 * counter + j) as u64));
    let digests: Vec<_> = (1..=12).rev().map(|j| digest_of(number(j))).collect();
    let x = U3072::from_be_slice(&digests.concat()) | U3072::ONE.shl(U3072::BITS - 1);
    let twice_q = NonZero::new(q.resize::<{ U3072::LIMBS }>().shl(1)).expect("q is odd");
    (x.wrapping_sub(&x.rem(&twice_q)).wrapping_add(&U3072::ONE), q)
}
