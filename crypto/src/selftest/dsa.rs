//! The arithmetic of ElGamal signatures against vectors for DSA, which differs in one equation: DSA keeps only
//! r = g^k mod p mod q, and s = (h + x r) / k. Powers in a group of 3072 bits, the nonces of RFC 6979 and the range
//! checks are the product's own; DSA's equation is here only.

use crypto_bigint::{
    NonZero, Odd, U256, U3072, Uint,
    modular::{FixedMontyForm, FixedMontyParams},
};
use sha2::{Digest, Sha256};

use super::case::{Case, Outcome, Verdict, Wrong, ensure};
use crate::elgamal::{group::SignatureGroup, nonce::Nonces};

type Scalar = FixedMontyForm<{ U256::LIMBS }>;

/// NIST's names of p and g.
const NIST: [&str; 2] = ["P", "G"];

/// y = g^x.
pub(super) fn key_pair(case: &Case) -> Result<Outcome, Wrong> {
    ensure(
        group(case, NIST)?.pow_generator(&case.integer("X")?) == case.integer("Y")?,
        "another public key",
    )?;
    Ok(Outcome::Right)
}

/// Signatures with given nonces.
pub(super) fn signature(case: &Case) -> Result<Outcome, Wrong> {
    let (group, order) = (group(case, NIST)?, Order::read(case, "Q")?);
    let (k, digest) = (case.integer("K")?, digest(case, "Msg")?);
    let [r, s] = [case.integer("R")?, case.integer("S")?];
    ensure(group.pow_generator(&k).rem(order.q()) == r, "another r")?;
    ensure(order.s(&case.integer("X")?, &k, &r, &digest) == Some(s), "another s")?;
    ensure(verify(&group, &order, &case.integer("Y")?, &digest, [r, s]), "its signature is refused")?;
    Ok(Outcome::Right)
}

/// Nonces without fresh randomness, and the signatures they give. The RFC's p has 2048 bits, which the product's
/// arithmetic does not do, so crypto-bigint raises g here.
pub(super) fn rfc_6979(case: &Case) -> Result<Outcome, Wrong> {
    let (order, digest) = (Order::read(case, "Q")?, digest(case, "Msg")?);
    let k = *Nonces::new(order.q(), &case.array("X")?, &digest, &[]).draw();
    ensure(k == case.integer("K")?, "another nonce")?;
    let p = FixedMontyParams::new_vartime(odd(case, "P")?);
    let r =
        FixedMontyForm::new(&case.integer::<{ U3072::LIMBS }>("G")?, &p).pow(&k).retrieve().rem(order.q());
    ensure(r == case.integer("R")?, "another r")?;
    ensure(order.s(&case.integer("X")?, &k, &r, &digest) == Some(case.integer("S")?), "another s")?;
    Ok(Outcome::Right)
}

/// NIST's verdicts on signatures.
pub(super) fn verdict(case: &Case) -> Result<Outcome, Wrong> {
    let signature = [case.integer("R")?, case.integer("S")?];
    let (order, y, digest) = (Order::read(case, "Q")?, case.integer("Y")?, digest(case, "Msg")?);
    let accepted = verify(&group(case, NIST)?, &order, &y, &digest, signature);
    ensure(accepted == case.text("Result")?.starts_with('P'), "another verdict")?;
    Ok(Outcome::Right)
}

/// Wycheproof's verdicts on signatures of 64 bytes.
pub(super) fn wycheproof(case: &Case) -> Result<Outcome, Wrong> {
    let (group, order) = (group(case, ["publicKey/p", "publicKey/g"])?, Order::read(case, "publicKey/q")?);
    let (y, digest) = (case.integer("publicKey/y")?, digest(case, "msg")?);
    let accepted = <[u8; 64]>::try_from(case.bytes("sig")?).is_ok_and(|signature| {
        let (r, s) = signature.split_at(32);
        verify(&group, &order, &y, &digest, [U256::from_be_slice(r), U256::from_be_slice(s)])
    });
    ensure(accepted == (case.verdict()? == Verdict::Valid), "another verdict")?;
    Ok(Outcome::Right)
}

/// g^(h/s) y^(r/s) = r, after the range checks.
fn verify(group: &SignatureGroup, order: &Order, y: &U3072, digest: &[u8; 32], [r, s]: [U256; 2]) -> bool {
    let in_range = |number: &U256| *number != U256::ZERO && number < order.q().as_ref();
    let Some(w) = order.scalar(&s).invert_vartime().into_option() else { return false };
    let (e, f) = ((order.reduced(digest) * w).retrieve(), (order.scalar(&r) * w).retrieve());
    in_range(&r) && in_range(&s) && group.public_product(&e, (y, &f)).rem(order.q()) == r
}

/// Scalars modulo q.
struct Order(FixedMontyParams<{ U256::LIMBS }>);

impl Order {
    fn read(case: &Case, q: &str) -> Result<Self, Wrong> {
        Ok(Self(FixedMontyParams::new_vartime(odd(case, q)?)))
    }

    fn q(&self) -> &NonZero<U256> {
        self.0.modulus().as_nz_ref()
    }

    fn scalar(&self, number: &U256) -> Scalar {
        Scalar::new(number, &self.0)
    }

    fn reduced(&self, digest: &[u8; 32]) -> Scalar {
        self.scalar(&U256::from_be_slice(digest).rem(self.q()))
    }

    fn s(&self, x: &U256, k: &U256, r: &U256, digest: &[u8; 32]) -> Option<U256> {
        let inverse = self.scalar(k).invert().into_option()?;
        Some((inverse * (self.reduced(digest) + self.scalar(x) * self.scalar(r))).retrieve())
    }
}

fn group(case: &Case, [p, g]: [&str; 2]) -> Result<SignatureGroup, Wrong> {
    let p = odd(case, p)?;
    ensure(p.bits() == U3072::BITS, "p has not 3072 bits")?;
    Ok(SignatureGroup::new(&p, &case.integer(g)?))
}

fn odd<const LIMBS: usize>(case: &Case, field: &str) -> Result<Odd<Uint<LIMBS>>, Wrong> {
    Odd::new(case.integer(field)?).into_option().ok_or_else(|| Wrong::new("a modulus is even"))
}

fn digest(case: &Case, message: &str) -> Result<[u8; 32], Wrong> {
    Ok(Sha256::digest(case.bytes(message)?).into())
}
