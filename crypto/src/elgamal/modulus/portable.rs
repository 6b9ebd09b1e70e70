//! crypto-bigint's Montgomery arithmetic.

use crypto_bigint::{
    Odd, U3072, Uint,
    modular::{FixedMontyForm, FixedMontyParams},
};

use super::{LIMBS, Modulus};

/// A modulus prepared by crypto-bigint.
pub(in crate::elgamal) struct Portable(FixedMontyParams<LIMBS>);

impl Portable {
    fn read(&self, montgomery: &U3072) -> FixedMontyForm<LIMBS> {
        FixedMontyForm::from_montgomery(*montgomery, &self.0)
    }
}

impl Modulus for Portable {
    fn new(modulus: &Odd<U3072>) -> Self {
        Self(FixedMontyParams::new_vartime(*modulus))
    }

    fn mul(&self, a: &U3072, b: &U3072) -> U3072 {
        self.read(a).mul(&self.read(b)).to_montgomery()
    }

    fn square(&self, a: &U3072) -> U3072 {
        self.read(a).square().to_montgomery()
    }

    fn pow<const E: usize>(&self, base: &U3072, exponent: &Uint<E>) -> U3072 {
        FixedMontyForm::new(base, &self.0).pow(exponent).retrieve()
    }

    fn to_montgomery(&self, ordinary: &U3072) -> U3072 {
        FixedMontyForm::new(ordinary, &self.0).to_montgomery()
    }
}
