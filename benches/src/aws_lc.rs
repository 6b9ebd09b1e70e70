//! The reference of every exponentiation: AWS-LC's `BN_mod_exp_mont_consttime`, called as its own RSA and DH code call it,
//! with the modulus prepared.

#![expect(unsafe_code, reason = "AWS-LC is C, and aws-lc-rs does not offer bare exponentiation")]

use aws_lc_sys::{
    BIGNUM, BN_CTX, BN_CTX_free, BN_CTX_new, BN_MONT_CTX, BN_MONT_CTX_free, BN_MONT_CTX_new_for_modulus,
    BN_bin2bn, BN_bn2bin_padded, BN_clear_free, BN_mod_exp_mont_consttime,
};

/// One exponentiation, to be run again and again. All pointers are its own, valid until it is dropped, and not shared.
#[derive(Debug)]
pub struct ModExp {
    base: *mut BIGNUM,
    exponent: *mut BIGNUM,
    modulus: *mut BIGNUM,
    power: *mut BIGNUM,
    prepared: *mut BN_MONT_CTX,
    scratch: *mut BN_CTX,
    length: usize,
}

impl ModExp {
    /// `base ^ exponent` modulo an odd `modulus`, all big-endian, with `base < modulus`.
    ///
    /// # Panics
    /// If memory ends or a number is out of range.
    #[must_use]
    pub fn new(base: &[u8], exponent: &[u8], modulus: &[u8]) -> Self {
        let number = |bytes: &[u8]| {
            // SAFETY: the pointer and length are one slice's; null asks for a new number, which this value then owns.
            let number = unsafe { BN_bin2bn(bytes.as_ptr(), bytes.len(), std::ptr::null_mut()) };
            assert!(!number.is_null());
            number
        };
        let modulus_number = number(modulus);
        // SAFETY: takes nothing; the result is owned here.
        let scratch = unsafe { BN_CTX_new() };
        assert!(!scratch.is_null());
        // SAFETY: both are valid (checked above) and only read or used as scratch; the result is owned here.
        let prepared = unsafe { BN_MONT_CTX_new_for_modulus(modulus_number, scratch) };
        assert!(!prepared.is_null());
        Self {
            base: number(base),
            exponent: number(exponent),
            modulus: modulus_number,
            power: number(&[]),
            prepared,
            scratch,
            length: modulus.len(),
        }
    }

    /// Computes the power once; it stays inside, as it does in AWS-LC's own protocols.
    ///
    /// # Panics
    /// If AWS-LC refuses, which it does only when memory ends.
    pub fn run(&mut self) {
        // SAFETY: all six are valid and owned by this value, which is borrowed exclusively; `prepared` belongs to `modulus`.
        let done = unsafe {
            BN_mod_exp_mont_consttime(
                self.power,
                self.base,
                self.exponent,
                self.modulus,
                self.scratch,
                self.prepared,
            )
        };
        assert_eq!(done, 1);
    }

    /// The power that was computed last, big-endian, as long as the modulus.
    ///
    /// # Panics
    /// Never: a power is shorter than the modulus.
    #[must_use]
    pub fn power(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        // SAFETY: the pointer and length are one vector's, and `power` is valid.
        let done = unsafe { BN_bn2bin_padded(bytes.as_mut_ptr(), bytes.len(), self.power) };
        assert_eq!(done, 1);
        bytes
    }
}

impl Drop for ModExp {
    fn drop(&mut self) {
        // SAFETY: each was made by the matching function in `new`, is freed once and not used afterwards.
        unsafe {
            for number in [self.base, self.exponent, self.modulus, self.power] {
                BN_clear_free(number);
            }
            BN_MONT_CTX_free(self.prepared);
            BN_CTX_free(self.scratch);
        }
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;

    #[test]
    fn it_is_the_power_that_num_bigint_computes() {
        let [base, exponent, modulus] = [[0x31_u8; 48], [0xa5; 48], [0xc7; 48]];
        let mut power = ModExp::new(&base, &exponent[..32], &modulus);
        power.run();
        let expected = BigUint::from_bytes_be(&base)
            .modpow(&BigUint::from_bytes_be(&exponent[..32]), &BigUint::from_bytes_be(&modulus));
        assert_eq!(BigUint::from_bytes_be(&power.power()), expected);
    }
}
