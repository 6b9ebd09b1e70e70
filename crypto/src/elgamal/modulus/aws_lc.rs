//! AWS-LC's Montgomery arithmetic: the one place in Vitalward with `unsafe`. It keeps to a few functions of
//! `openssl/bn.h` and to numbers of fixed width.
#![expect(unsafe_code, reason = "AWS-LC is C; every block says why it is sound")]

use core::{ffi::c_int, marker::PhantomData, ptr::NonNull};

use aws_lc_sys::{
    BIGNUM, BN_CTX, BN_CTX_free, BN_CTX_new, BN_FLG_STATIC_DATA, BN_MONT_CTX, BN_MONT_CTX_free,
    BN_MONT_CTX_new_for_modulus, BN_mod_exp_mont_consttime, BN_mod_mul_montgomery, bignum_st,
};
use crypto_bigint::{Odd, U3072, Uint, modular::FixedMontyParams};

use super::{LIMBS, Modulus};

/// A modulus prepared by AWS-LC.
pub(in crate::elgamal) struct AwsLc {
    modulus: U3072,
    montgomery: NonNull<BN_MONT_CTX>,
    r_squared: U3072,
}

// SAFETY: `montgomery` is owned by this value alone, is never changed after `new`, and AWS-LC documents a `BN_MONT_CTX`
// as safe for concurrent use through `const` pointers, which is all that the methods here make of it.
unsafe impl Send for AwsLc {}
// SAFETY: as above.
unsafe impl Sync for AwsLc {}

impl Modulus for AwsLc {
    fn new(modulus: &Odd<U3072>) -> Self {
        let scratch = Scratch::new();
        // SAFETY: `Number` is a valid `BIGNUM` for the whole call and `scratch` a valid context; the callee copies.
        let montgomery =
            unsafe { BN_MONT_CTX_new_for_modulus(Number::read(modulus.as_ref()).as_ptr(), scratch.as_ptr()) };
        let parameters = FixedMontyParams::new_vartime(*modulus);
        Self { modulus: *modulus.as_ref(), montgomery: allocated(montgomery), r_squared: *parameters.r2() }
    }

    fn mul(&self, a: &U3072, b: &U3072) -> U3072 {
        let scratch = Scratch::new();
        let mut product = U3072::ZERO;
        // SAFETY: the three numbers are valid and of the modulus's width, only `product` is written to and nothing else
        // refers to it; both contexts are valid, and `montgomery` is only read.
        let done = unsafe {
            BN_mod_mul_montgomery(
                Number::write(&mut product).as_mut_ptr(),
                Number::read(a).as_ptr(),
                Number::read(b).as_ptr(),
                self.montgomery.as_ptr(),
                scratch.as_ptr(),
            )
        };
        succeeded(done);
        product
    }

    fn pow<const E: usize>(&self, base: &U3072, exponent: &Uint<E>) -> U3072 {
        let scratch = Scratch::new();
        let mut power = U3072::ZERO;
        // SAFETY: as in `mul`; `base` is below the modulus or the callee refuses. The callee clears its own table.
        let done = unsafe {
            BN_mod_exp_mont_consttime(
                Number::write(&mut power).as_mut_ptr(),
                Number::read(base).as_ptr(),
                Number::read(exponent).as_ptr(),
                Number::read(&self.modulus).as_ptr(),
                scratch.as_ptr(),
                self.montgomery.as_ptr(),
            )
        };
        succeeded(done);
        power
    }

    fn to_montgomery(&self, ordinary: &U3072) -> U3072 {
        self.mul(ordinary, &self.r_squared)
    }
}

impl Drop for AwsLc {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it, nobody else has it, and it is not used again.
        unsafe { BN_MONT_CTX_free(self.montgomery.as_ptr()) }
    }
}

/// A `BIGNUM` over borrowed words. `BN_FLG_STATIC_DATA` forbids AWS-LC to move or free them, and `dmax` to write beyond
/// them; a result that did not fit would be an error, never an overflow.
struct Number<'words> {
    bignum: BIGNUM,
    words: PhantomData<&'words mut [u64]>,
}

impl<'words> Number<'words> {
    /// For a parameter that AWS-LC takes as `const`, and so does not write to.
    fn read<const N: usize>(number: &'words Uint<N>) -> Self {
        Self::over::<N>(number.as_words().as_ptr().cast_mut())
    }

    fn write(number: &'words mut U3072) -> Self {
        Self::over::<LIMBS>(number.as_mut_words().as_mut_ptr())
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "48 words, and fewer")]
    fn over<const N: usize>(words: *mut u64) -> Self {
        let bignum = bignum_st {
            d: words,
            width: N as c_int,
            dmax: N as c_int,
            neg: 0,
            flags: BN_FLG_STATIC_DATA as c_int,
        };
        Self { bignum, words: PhantomData }
    }

    fn as_ptr(&self) -> *const BIGNUM {
        &raw const self.bignum
    }

    fn as_mut_ptr(&mut self) -> *mut BIGNUM {
        &raw mut self.bignum
    }
}

/// AWS-LC's place for temporaries; it clears them when it frees them.
struct Scratch(NonNull<BN_CTX>);

impl Scratch {
    fn new() -> Self {
        // SAFETY: no preconditions.
        Self(allocated(unsafe { BN_CTX_new() }))
    }

    fn as_ptr(&self) -> *mut BN_CTX {
        self.0.as_ptr()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it, nobody else has it, and it is not used again.
        unsafe { BN_CTX_free(self.0.as_ptr()) }
    }
}

/// Out of memory ends the program, as it does in Rust.
fn allocated<T>(pointer: *mut T) -> NonNull<T> {
    #[expect(clippy::expect_used, reason = "as Rust's own allocations")]
    NonNull::new(pointer).expect("AWS-LC has memory")
}

/// With numbers in range, the only failure is an allocation's.
fn succeeded(done: c_int) {
    assert_eq!(done, 1, "AWS-LC has memory, and numbers are below their modulus");
}
