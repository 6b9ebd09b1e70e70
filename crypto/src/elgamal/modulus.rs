//! Multiplication and exponentiation modulo a prime of 3072 bits, by two backends that give the same numbers. They
//! know no group and no scheme.
//!
//! `AwsLc` is the faster one, where there is a C compiler (feature `aws-lc`); `Portable` is Rust, without std.
//! Both keep Montgomery form with R = 2^3072, so tables made by one serve the other.

use crypto_bigint::{Odd, U3072, Uint};

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(test, not(feature = "aws-lc")))]
mod portable;

#[cfg(feature = "aws-lc")]
pub(super) use aws_lc::AwsLc as Backend;
#[cfg(not(feature = "aws-lc"))]
pub(super) use portable::Portable as Backend;

const LIMBS: usize = U3072::LIMBS;

/// Arithmetic modulo one odd number of exactly 3072 bits. Constant time but for the modulus, unless a name says
/// otherwise.
pub(super) trait Modulus: Sized {
    fn new(modulus: &Odd<U3072>) -> Self;

    /// The product of two numbers in Montgomery form.
    fn mul(&self, a: &U3072, b: &U3072) -> U3072;

    /// The square of a number in Montgomery form.
    fn square(&self, a: &U3072) -> U3072 {
        self.mul(a, a)
    }

    /// `base ^ exponent` of an ordinary number below the modulus, as an ordinary number. The exponent's type, not its
    /// value, sets the time.
    fn pow<const E: usize>(&self, base: &U3072, exponent: &Uint<E>) -> U3072;

    fn to_montgomery(&self, ordinary: &U3072) -> U3072;

    fn to_ordinary(&self, montgomery: &U3072) -> U3072 {
        self.mul(montgomery, &U3072::ONE)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crypto_bigint::{U256, U320};
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::{portable::Portable, *};
    use crate::elgamal::{
        params,
        powers::{FixedBase, OddPowers, public_product},
    };

    /// Everything that a backend does and that is built on it, with numbers below p.
    fn answers<M: Modulus>(p: &Odd<U3072>, [a, b]: [&U3072; 2], e: &U256, f: &U320) -> [U3072; 6] {
        let modulus = M::new(p);
        let (x, y) = (modulus.to_montgomery(a), modulus.to_montgomery(b));
        let bases = [a, b].map(|base| OddPowers::new(&modulus, base, 5));
        [
            modulus.to_ordinary(&modulus.mul(&x, &y)),
            modulus.to_ordinary(&modulus.square(&x)),
            modulus.pow(a, e),
            modulus.pow(b, f),
            FixedBase::new(&modulus, a, U320::BITS).pow(&modulus, f),
            public_product(&modulus, [(&bases[0], e), (&bases[1], &f.resize())]),
        ]
    }

    /// The same by num-bigint, which shares no code with either.
    fn expected(p: &Odd<U3072>, [a, b]: [&U3072; 2], e: &U256, f: &U320) -> [U3072; 6] {
        fn big<const N: usize>(number: &Uint<N>) -> BigUint {
            BigUint::from_bytes_be(&number.to_be_bytes())
        }
        let low = big(&f.resize::<{ U256::LIMBS }>());
        let (p, a, b, e, f) = (big(p.as_ref()), big(a), big(b), big(e), big(f));
        [
            &a * &b % &p,
            &a * &a % &p,
            a.modpow(&e, &p),
            b.modpow(&f, &p),
            a.modpow(&f, &p),
            a.modpow(&e, &p) * b.modpow(&low, &p) % &p,
        ]
        .map(|number| U3072::from_be_hex(&alloc::format!("{number:0768x}")))
    }

    fn agree(p: &str, numbers: [U3072; 2], e: U256, f: U320) {
        let p = Odd::new(U3072::from_be_hex(p)).unwrap();
        let [a, b] = numbers.map(|number| number.rem(p.as_nz_ref()));
        let expected = expected(&p, [&a, &b], &e, &f);
        assert_eq!(answers::<Portable>(&p, [&a, &b], &e, &f), expected);
        #[cfg(feature = "aws-lc")]
        assert_eq!(answers::<Backend>(&p, [&a, &b], &e, &f), expected);
    }

    #[test]
    fn the_backends_agree_at_the_edges() {
        for p in [params::P, params::FFDHE3072] {
            for number in
                [U3072::ZERO, U3072::ONE, U3072::from_u8(2), U3072::from_be_hex(p).wrapping_sub(&U3072::ONE)]
            {
                for exponent in [U256::ZERO, U256::ONE, U256::from_u8(31), U256::from_u8(32), U256::MAX] {
                    agree(p, [number, U3072::from_u8(3)], exponent, exponent.resize());
                    agree(p, [U3072::MAX, number], exponent, U320::MAX);
                }
            }
        }
    }

    fn number<const N: usize>() -> impl Strategy<Value = Uint<N>> {
        proptest::collection::vec(any::<u8>(), Uint::<N>::BYTES)
            .prop_map(|bytes: Vec<u8>| Uint::from_be_slice(&bytes))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

        #[test]
        fn the_backends_agree(ours: bool, a in number(), b in number(), e in number(), f in number()) {
            agree(if ours { params::P } else { params::FFDHE3072 }, [a, b], e, f);
        }
    }
}
