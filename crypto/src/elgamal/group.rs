//! The two groups: parsing with the range check that every element needs, and the exponentiations that the schemes
//! ask for, with the tables that make them fast. It knows no scheme.

use alloc::boxed::Box;

use crypto_bigint::{
    NonZero, Odd, U256, U320, U3072, const_monty_params,
    modular::{ConstMontyForm, ConstMontyParams},
};
use once_cell::race::OnceBox;

use super::{
    modulus::{Backend, Modulus},
    params,
    powers::{FixedBase, OddPowers, public_product},
};

/// Bytes of an element of either group on the wire, big-endian, leading zeros kept.
pub(super) const ELEMENT_LEN: usize = 384;
/// Bytes of a scalar of the signature group.
pub(super) const SCALAR_LEN: usize = 32;

const_monty_params!(Order, U256, params::Q, "Scalars modulo the signature group's q.");

/// The order q.
pub(super) const Q: &NonZero<U256> = Order::PARAMS.modulus().as_nz_ref();

/// A scalar modulo q.
pub(super) type Scalar = ConstMontyForm<Order, { U256::LIMBS }>;

/// Bits of y's exponent that one multiplication of a verification takes care of, and of g's, whose table is made
/// once.
const KEY_WINDOW: u32 = 5;
const GENERATOR_WINDOW: u32 = 8;

/// The group of the signatures.
pub(crate) struct SignatureGroup {
    field: Field,
    generator: FixedBase,
    public_generator: OddPowers,
}

impl SignatureGroup {
    /// The one instance; its tables of 672 KiB and 48 KiB are made by the first caller.
    pub(super) fn get() -> &'static Self {
        static GROUP: OnceBox<SignatureGroup> = OnceBox::new();
        GROUP
            .get_or_init(|| Box::new(Self::new(&Odd::from_be_hex(params::P), &U3072::from_be_hex(params::G))))
    }

    /// The group that g generates modulo p, which has exactly 3072 bits.
    pub(crate) fn new(p: &Odd<U3072>, g: &U3072) -> Self {
        let field = Field::new(p);
        Self {
            generator: FixedBase::new(&field.modulus, g, U256::BITS),
            public_generator: OddPowers::new(&field.modulus, g, GENERATOR_WINDOW),
            field,
        }
    }

    pub(super) fn element(&self, bytes: &[u8]) -> Option<U3072> {
        self.field.element(bytes)
    }

    /// `g ^ exponent`, in constant time.
    pub(crate) fn pow_generator(&self, exponent: &U256) -> U3072 {
        self.generator.pow(&self.field.modulus, exponent)
    }

    /// `g ^ e * y ^ f`, in a time that depends on all of them.
    pub(crate) fn public_product(&self, e: &U256, (y, f): (&U3072, &U256)) -> U3072 {
        let y = OddPowers::new(&self.field.modulus, y, KEY_WINDOW);
        public_product(&self.field.modulus, [(&self.public_generator, e), (&y, f)])
    }

    /// Whether an element's order divides q; in a time that depends on it.
    pub(super) fn has_order_q(&self, element: &U3072) -> bool {
        let powers = OddPowers::new(&self.field.modulus, element, KEY_WINDOW);
        public_product(&self.field.modulus, [(&powers, Q)]) == U3072::ONE
    }
}

/// The group of the KEM, whose generator is 2.
pub(super) struct KemGroup {
    field: Field,
    generator: FixedBase,
}

impl KemGroup {
    /// The one instance; its table of 768 KiB is made by the first caller.
    pub(super) fn get() -> &'static Self {
        static GROUP: OnceBox<KemGroup> = OnceBox::new();
        GROUP.get_or_init(|| {
            let field = Field::new(&Odd::from_be_hex(params::FFDHE3072));
            let generator = FixedBase::new(&field.modulus, &U3072::from_u8(2), U320::BITS);
            Box::new(Self { field, generator })
        })
    }

    pub(super) fn element(&self, bytes: &[u8]) -> Option<U3072> {
        self.field.element(bytes)
    }

    /// `2 ^ exponent`, in constant time.
    pub(super) fn pow_generator(&self, exponent: &U320) -> U3072 {
        self.generator.pow(&self.field.modulus, exponent)
    }

    /// `base ^ exponent`, in constant time.
    pub(super) fn pow(&self, base: &U3072, exponent: &U320) -> U3072 {
        self.field.modulus.pow(base, exponent)
    }
}

/// Makes the tables of both groups (1.5 MiB, kept for good) now rather than during the first login.
pub fn prepare() {
    SignatureGroup::get();
    KemGroup::get();
}

/// The integers modulo one of the two primes.
struct Field {
    modulus: Backend,
    minus_one: U3072,
}

impl Field {
    fn new(prime: &Odd<U3072>) -> Self {
        Self { modulus: Backend::new(prime), minus_one: prime.wrapping_sub(&U3072::ONE) }
    }

    /// Reads an element: exactly 384 bytes, and 1 < value < p - 1.
    fn element(&self, bytes: &[u8]) -> Option<U3072> {
        let bytes: &[u8; ELEMENT_LEN] = bytes.try_into().ok()?;
        let value = U3072::from_be_slice(bytes);
        (value > U3072::ONE && value < self.minus_one).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_lie_strictly_between_one_and_p_minus_one() {
        let p = U3072::from_be_hex(params::P);
        let parse = |value: U3072| SignatureGroup::get().element(value.to_be_bytes().as_slice());
        for outside in
            [U3072::ZERO, U3072::ONE, p.wrapping_sub(&U3072::ONE), p, p.wrapping_add(&U3072::ONE), U3072::MAX]
        {
            assert_eq!(parse(outside), None);
        }
        for inside in [U3072::from_u8(2), p.wrapping_sub(&U3072::from_u8(2))] {
            assert_eq!(parse(inside), Some(inside));
        }
        assert_eq!(SignatureGroup::get().element(&[1; ELEMENT_LEN - 1]), None);
        assert_eq!(SignatureGroup::get().element(&[1; ELEMENT_LEN + 1]), None);
    }
}
