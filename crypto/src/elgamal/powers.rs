//! Powers of a base that is known beforehand, from tables, and products of powers of public numbers. It knows no
//! group and no scheme.

use alloc::{boxed::Box, vec::Vec};
use core::array;

use crypto_bigint::{U256, U3072, Uint, Word};
use subtle::ConstantTimeEq;

use super::modulus::Modulus;

/// Bits of the exponent that one multiplication takes care of.
const WINDOW: u32 = 5;
const ROW: usize = 1 << WINDOW;

/// Every power `base ^ (d * 32^i)` with d < 32, in Montgomery form: raising the base to a secret costs one
/// multiplication for 5 bits and no squaring. One row of 12 KiB for each 5 bits of the exponent.
pub(super) struct FixedBase {
    rows: Box<[[U3072; ROW]]>,
}

impl FixedBase {
    /// The table of `base`, an ordinary number, for exponents of as many bits.
    pub(super) fn new(modulus: &impl Modulus, base: &U3072, exponent_bits: u32) -> Self {
        let one = modulus.to_montgomery(&U3072::ONE);
        let mut base = modulus.to_montgomery(base);
        let row = |_| {
            let mut power = one;
            let row = array::from_fn(|_| {
                let this = power;
                power = modulus.mul(&power, &base);
                this
            });
            base = power;
            row
        };
        Self { rows: (0..exponent_bits.div_ceil(WINDOW)).map(row).collect() }
    }

    /// `base ^ exponent` as an ordinary number, in constant time: every entry of every row is read.
    pub(super) fn pow<const E: usize>(&self, modulus: &impl Modulus, exponent: &Uint<E>) -> U3072 {
        let mut shift = 0;
        let factors = self.rows.iter().map(|row| {
            let digit = exponent.shr_vartime(shift).as_words().first().copied().unwrap_or(0) % ROW as Word;
            shift += WINDOW;
            select(row, digit)
        });
        let power = factors.reduce(|power, factor| modulus.mul(&power, &factor)).unwrap_or(U3072::ONE);
        modulus.to_ordinary(&power)
    }
}

/// `row[digit]`, without the digit deciding on a branch or an address.
fn select(row: &[U3072; ROW], digit: Word) -> U3072 {
    let mut selected = U3072::ZERO;
    for (index, entry) in (0..).zip(row) {
        let mask = Word::from(digit.ct_eq(&index).unwrap_u8()).wrapping_neg();
        for (word, entry) in selected.as_mut_words().iter_mut().zip(entry.as_words()) {
            *word |= entry & mask;
        }
    }
    selected
}

/// The odd powers `base ^ 1, 3, 5, ..` below 2^window, in Montgomery form. For public exponents only.
pub(super) struct OddPowers {
    powers: Vec<U3072>,
    window: u32,
}

impl OddPowers {
    /// The 2^(window - 1) powers of `base`, an ordinary number.
    pub(super) fn new(modulus: &impl Modulus, base: &U3072, window: u32) -> Self {
        let base = modulus.to_montgomery(base);
        let square = modulus.square(&base);
        let next = |power: &U3072| Some(modulus.mul(power, &square));
        Self { powers: core::iter::successors(Some(base), next).take(1 << (window - 1)).collect(), window }
    }
}

/// The product of all `base ^ exponent` in one pass of squarings (Straus), as an ordinary number. For public numbers
/// only: time and addresses follow the exponents.
pub(super) fn public_product<const N: usize>(
    modulus: &impl Modulus,
    factors: [(&OddPowers, &U256); N],
) -> U3072 {
    let steps = factors.map(|(base, exponent)| sliding_windows(base, exponent));
    let mut product: Option<U3072> = None;
    for position in (0..U256::BITS as usize).rev() {
        product = product.map(|product| modulus.square(&product));
        for factor in steps.iter().filter_map(|steps| *steps.get(position)?) {
            product = Some(product.map_or(*factor, |product| modulus.mul(&product, factor)));
        }
    }
    product.map_or(U3072::ONE, |product| modulus.to_ordinary(&product))
}

/// What to multiply by at each bit of the exponent, so that each window ends in a one.
fn sliding_windows<'a>(base: &'a OddPowers, exponent: &U256) -> Vec<Option<&'a U3072>> {
    let mut steps = alloc::vec![None; U256::BITS as usize];
    let mut position = 0;
    while let Some(step) = steps.get_mut(position as usize) {
        let rest = exponent.shr_vartime(position);
        if rest.bit_vartime(0) {
            let digit = rest.as_words().first().copied().unwrap_or(0) % (1 << base.window);
            *step = usize::try_from(digit / 2).ok().and_then(|index| base.powers.get(index));
            position += base.window;
        } else {
            position += 1;
        }
    }
    steps
}
