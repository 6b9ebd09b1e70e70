//! The arithmetic of ElGamal signatures against vectors for DSA, which differs in one equation: DSA keeps only
//! r = g^k mod p mod q, and s = (h + x r) / k. Powers in a 3072-bit group, scalars, the nonces of RFC 6979 and the
//! range checks are the same; DSA's equation itself is here only.

use crypto_bigint::{
    NonZero, Odd, U256, U3072,
    modular::{FixedMontyForm, FixedMontyParams},
};
use sha2::{Digest, Sha256};

use super::case::{Case, Outcome, Verdict, Wrong, ensure};
use crate::elgamal::nonce::Nonces;

const SCALAR: usize = U256::LIMBS;
const ELEMENT: usize = U3072::LIMBS;

/// p, q, g and y.
struct Key {
    p: FixedMontyParams<ELEMENT>,
    q: FixedMontyParams<SCALAR>,
    g: U3072,
    y: U3072,
}

impl Key {
    fn read(case: &Case, [p, q, g, y]: [&str; 4]) -> Result<Self, Wrong> {
        let even = || Wrong::new("a modulus is even");
        Ok(Self {
            p: FixedMontyParams::new_vartime(Odd::new(case.integer(p)?).into_option().ok_or_else(even)?),
            q: FixedMontyParams::new_vartime(Odd::new(case.integer(q)?).into_option().ok_or_else(even)?),
            g: case.integer(g)?,
            y: case.integer(y)?,
        })
    }

    fn order(&self) -> &NonZero<U256> {
        self.q.modulus().as_nz_ref()
    }

    fn scalar(&self, number: &U256) -> FixedMontyForm<SCALAR> {
        FixedMontyForm::new(number, &self.q)
    }

    fn digest(&self, message: &[u8]) -> FixedMontyForm<SCALAR> {
        self.scalar(&U256::from_be_slice(&Sha256::digest(message)).rem(self.order()))
    }

    fn power(&self, base: &U3072, exponent: &U256) -> FixedMontyForm<ELEMENT> {
        FixedMontyForm::new(base, &self.p).pow(exponent)
    }

    /// r and s of a private key and a nonce.
    fn sign(&self, x: &U256, k: &U256, message: &[u8]) -> Option<[U256; 2]> {
        let r = self.power(&self.g, k).retrieve().rem(self.order());
        let inverse = self.scalar(k).invert().into_option()?;
        let s = inverse * (self.digest(message) + self.scalar(x) * self.scalar(&r));
        Some([r, s.retrieve()])
    }

    fn verify(&self, message: &[u8], [r, s]: [U256; 2]) -> bool {
        let in_range = |number: &U256| *number != U256::ZERO && number < self.order().as_ref();
        let Some(w) = self.scalar(&s).invert_vartime().into_option() else { return false };
        let (e, f) = ((self.digest(message) * w).retrieve(), (self.scalar(&r) * w).retrieve());
        let power = self.power(&self.g, &e) * self.power(&self.y, &f);
        in_range(&r) && in_range(&s) && power.retrieve().rem(self.order()) == r
    }
}

/// NIST's names.
const NIST: [&str; 4] = ["P", "Q", "G", "Y"];

/// y = g^x.
pub(super) fn key_pair(case: &Case) -> Result<Outcome, Wrong> {
    let key = Key::read(case, NIST)?;
    ensure(key.power(&key.g, &case.integer("X")?).retrieve() == key.y, "another public key")?;
    Ok(Outcome::Right)
}

/// Signatures with given nonces.
pub(super) fn signature(case: &Case) -> Result<Outcome, Wrong> {
    let key = Key::read(case, NIST)?;
    let (x, k, message) = (case.integer("X")?, case.integer("K")?, case.bytes("Msg")?);
    ensure(key.power(&key.g, &x).retrieve() == key.y, "another public key")?;
    let known = [case.integer("R")?, case.integer("S")?];
    ensure(key.sign(&x, &k, &message) == Some(known), "another signature")?;
    ensure(key.verify(&message, known), "its signature is refused")?;
    Ok(Outcome::Right)
}

/// Nonces without fresh randomness, and the signatures they give.
pub(super) fn rfc_6979(case: &Case) -> Result<Outcome, Wrong> {
    let key = Key::read(case, NIST)?;
    let digest = Sha256::digest(case.bytes("Msg")?).into();
    let nonce = Nonces::new(key.order(), &case.array("X")?, &digest, &[]).draw();
    ensure(*nonce == case.integer("K")?, "another nonce")?;
    signature(case)
}

/// NIST's verdicts on signatures.
pub(super) fn verdict(case: &Case) -> Result<Outcome, Wrong> {
    let accepted =
        Key::read(case, NIST)?.verify(&case.bytes("Msg")?, [case.integer("R")?, case.integer("S")?]);
    ensure(accepted == case.text("Result")?.starts_with('P'), "another verdict")?;
    Ok(Outcome::Right)
}

/// Wycheproof's verdicts on signatures of 64 bytes.
pub(super) fn wycheproof(case: &Case) -> Result<Outcome, Wrong> {
    let key = Key::read(case, ["publicKey/p", "publicKey/q", "publicKey/g", "publicKey/y"])?;
    let signature = <[u8; 64]>::try_from(case.bytes("sig")?).ok();
    let accepted = signature.is_some_and(|signature| {
        let (r, s) = signature.split_at(32);
        key.verify(&case.bytes("msg").unwrap_or_default(), [U256::from_be_slice(r), U256::from_be_slice(s)])
    });
    ensure(accepted == (case.verdict()? == Verdict::Valid), "another verdict")?;
    Ok(Outcome::Right)
}
