//! Arithmetic in the two groups: parsing with the range check that every element needs, and exponentiation. It
//! knows no scheme. A faster backend only has to replace [`pow`] and [`pow_product`].

use crypto_bigint::{
    MultiExponentiate, NonZero, U256, U3072, Uint, const_monty_params,
    modular::{ConstMontyForm, ConstMontyParams},
};

use super::params;

/// Bytes of an element of either group on the wire, big-endian, leading zeros kept.
pub(super) const ELEMENT_LEN: usize = 384;
/// Bytes of a scalar of the signature group.
pub(super) const SCALAR_LEN: usize = 32;

const LIMBS: usize = U3072::LIMBS;

const_monty_params!(Signatures, U3072, params::P, "Integers modulo the signature group's p.");
const_monty_params!(Ffdhe, U3072, params::FFDHE3072, "Integers modulo ffdhe3072's p.");
const_monty_params!(Order, U256, params::Q, "Scalars modulo the signature group's q.");

/// The order q.
pub(super) const Q: &NonZero<U256> = Order::PARAMS.modulus().as_nz_ref();
/// The generator of order q.
pub(super) const G: U3072 = U3072::from_be_hex(params::G);

/// A scalar modulo q.
pub(super) type Scalar = ConstMontyForm<Order, { U256::LIMBS }>;

/// Reads an element: exactly 384 bytes, and 1 < value < p - 1.
pub(super) fn element<M: ConstMontyParams<LIMBS>>(bytes: &[u8]) -> Option<U3072> {
    let bytes: &[u8; ELEMENT_LEN] = bytes.try_into().ok()?;
    let value = U3072::from_be_slice(bytes);
    let minus_one = M::PARAMS.modulus().wrapping_sub(&U3072::ONE);
    (value > U3072::ONE && value < minus_one).then_some(value)
}

/// `base ^ exponent mod p`, in constant time for a given length of the exponent.
pub(super) fn pow<M: ConstMontyParams<LIMBS>, const E: usize>(base: &U3072, exponent: &Uint<E>) -> U3072 {
    ConstMontyForm::<M, LIMBS>::new(base).pow(exponent).retrieve()
}

/// `a ^ e * b ^ f mod p` in one pass (Straus).
pub(super) fn pow_product<M: ConstMontyParams<LIMBS>>(powers: [(&U3072, U256); 2]) -> U3072 {
    let powers = powers.map(|(base, exponent)| (ConstMontyForm::<M, LIMBS>::new(base), exponent));
    ConstMontyForm::multi_exponentiate(&powers).retrieve()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_exponentiations_agree() {
        let (e, f) = (U256::from_u64(0xfedc_ba98), Q.wrapping_sub(&U256::ONE));
        let base = U3072::from_u64(3);
        let product = ConstMontyForm::<Signatures, LIMBS>::new(&pow::<Signatures, _>(&G, &e))
            * ConstMontyForm::new(&pow::<Signatures, _>(&base, &f));
        assert_eq!(pow_product::<Signatures>([(&G, e), (&base, f)]), product.retrieve());
    }

    #[test]
    fn elements_lie_strictly_between_one_and_p_minus_one() {
        let p = U3072::from_be_hex(params::P);
        let parse = |value: U3072| element::<Signatures>(value.to_be_bytes().as_slice());
        for outside in
            [U3072::ZERO, U3072::ONE, p.wrapping_sub(&U3072::ONE), p, p.wrapping_add(&U3072::ONE), U3072::MAX]
        {
            assert_eq!(parse(outside), None);
        }
        for inside in [U3072::from_u8(2), p.wrapping_sub(&U3072::from_u8(2))] {
            assert_eq!(parse(inside), Some(inside));
        }
        assert_eq!(element::<Signatures>(&[1; ELEMENT_LEN - 1]), None);
        assert_eq!(element::<Signatures>(&[1; ELEMENT_LEN + 1]), None);
    }
}
