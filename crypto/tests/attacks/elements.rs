//! Numbers and points that belong to no key, signature or share, and what they do where they are taken.

use num_bigint::BigUint;
use sha2::{Digest, Sha256, Sha512};
use vitalward_crypto::{
    InvalidKey, InvalidShare, Secret, VerificationFailed,
    elgamal::{Signature, SigningKey, VerifyingKey, kem, params},
    exchange, framed, identity,
};

use super::{Group, number, one, read, rng, scalar, wire};

#[test]
fn no_public_key_lies_outside_the_subgroup() {
    let Group { p, q, g } = Group::ours();
    let good = wire(&g);
    assert!(VerifyingKey::from_bytes(&good).is_ok());
    let two = BigUint::from(2u32);
    let cofactor = two.modpow(&q, &p);
    for outside in [BigUint::ZERO, one(), &p - 1u32, p.clone(), &p + 1u32, two, &p - &g, g * cofactor % &p] {
        assert_eq!(VerifyingKey::from_bytes(&wire(&outside)), Err(InvalidKey));
    }
    assert_eq!(VerifyingKey::from_bytes(&good[1..]), Err(InvalidKey));
    assert_eq!(VerifyingKey::from_bytes(&[&[0], good.as_slice()].concat()), Err(InvalidKey));
    assert_eq!(VerifyingKey::from_bytes(&[]), Err(InvalidKey));
}

#[test]
fn no_private_key_lies_outside_its_range() {
    let refused = |x: &BigUint| SigningKey::from_secret(&Secret::new(scalar(x))).is_err();
    let q = number(params::Q);
    assert!(refused(&BigUint::ZERO) && refused(&q) && refused(&(&q + 1u32)));
    assert!(!refused(&one()) && !refused(&(q - 1u32)));
}

#[test]
fn signatures_out_of_range_are_refused() {
    let Group { p, q, g } = Group::ours();
    assert!(read(&(g.clone(), one())).is_ok() && read(&(g.clone(), &q - 1u32)).is_ok());
    for s in [BigUint::ZERO, q.clone(), &q + 1u32] {
        assert_eq!(read(&(g.clone(), s)), Err(VerificationFailed));
    }
    for r in [BigUint::ZERO, one(), &p - 1u32, p.clone(), &p + 1u32, &q * 5u32] {
        assert_eq!(read(&(r, one())), Err(VerificationFailed));
    }
    let bytes = [wire(&g), scalar(&one()).to_vec()].concat();
    assert!(Signature::from_bytes(&bytes).is_ok());
    assert_eq!(Signature::from_bytes(&bytes[1..]), Err(VerificationFailed));
    assert_eq!(Signature::from_bytes(&[bytes.as_slice(), &[0]].concat()), Err(VerificationFailed));
    assert_eq!(Signature::from_bytes(&[]), Err(VerificationFailed));
}

/// A key exchange of somebody who answers shares with a tag under the secret, with some of our defences.
#[derive(Clone, Copy)]
struct Exchange {
    /// (p - 1) / 2 is prime, so there are no subgroups in between; else the signature group's p.
    safe_prime: bool,
    /// 1 < share < p - 1.
    ranges: bool,
    /// A new exponent for each share.
    fresh: bool,
}

impl Exchange {
    fn group(self) -> Group {
        if self.safe_prime { Group::safe_prime() } else { Group::ours() }
    }

    /// What the attacker sees of exchange number `n`.
    fn answer(self, n: usize, share: &BigUint) -> Option<[u8; 32]> {
        let p = self.group().p;
        let inside = *share > one() && *share < &p - 1u32;
        (inside || !self.ranges).then(|| tag(&share.modpow(&self.exponent(n), &p)))
    }

    fn exponent(self, n: usize) -> BigUint {
        let n = if self.fresh { u8::try_from(n).unwrap() } else { 0 };
        BigUint::from_bytes_be(&Sha256::digest([n]))
    }

    /// The m for which somebody who sends shares of small order learns the next exponent modulo m (Lim and Lee 1997).
    fn leaks(self) -> u32 {
        let Group { p, .. } = self.group();
        let orders = [2u32, 3, 11, 401].into_iter().filter(|order| (&p - 1u32) % order == BigUint::ZERO);
        let mut learned = 1;
        for (n, order) in orders.enumerate() {
            let share = self.group().root_of_one(order);
            let Some(seen) = self.answer(n, &share) else { continue };
            let residue = (0..order).find(|e| tag(&share.modpow(&BigUint::from(*e), &p)) == seen).unwrap();
            if self.exponent(100) % order == BigUint::from(residue) {
                learned *= order;
            }
        }
        learned
    }
}

fn tag(secret: &BigUint) -> [u8; 32] {
    Sha256::digest(secret.to_bytes_be()).into()
}

/// Every answer gives an exponent that is used again modulo another small factor of p - 1.
#[test]
fn small_order_shares_read_a_static_exponent() {
    let none = Exchange { safe_prime: false, ranges: false, fresh: false };
    assert_eq!(none.leaks(), 2 * 3 * 11 * 401);
    assert_eq!(Exchange { ranges: true, ..none }.leaks(), 3 * 11 * 401, "they are in the range");
    assert_eq!(Exchange { safe_prime: true, ..none }.leaks(), 2);
    assert_eq!(Exchange { safe_prime: true, ranges: true, ..none }.leaks(), 1);
    assert!(Exchange { fresh: true, ..none }.leaks() < 401, "what was learned is of no more use");
}

/// Shares in the subgroup of order 2, or outside the field, give a secret that anyone can name.
#[test]
fn small_order_shares_are_refused() {
    let p = number(params::FFDHE3072);
    let agree = |share: &[u8]| kem::Ephemeral::generate(&mut rng()).agree(share);
    let nameable = [BigUint::ZERO, one(), &p - 1u32];
    for share in [BigUint::ZERO, one(), &p - 1u32, p.clone(), &p + 1u32] {
        let unchecked = share.modpow(&BigUint::from_bytes_be(&Sha256::digest("any exponent")), &p);
        assert!(nameable.contains(&unchecked));
        assert_eq!(agree(&wire(&share)), Err(InvalidShare));
    }
    assert_eq!(agree(&wire(&((one() << 3072) - 1u32))), Err(InvalidShare));
    assert!(agree(&wire(&BigUint::from(2u32))).is_ok() && agree(&wire(&(&p - 2u32))).is_ok());
    assert_eq!(agree(&[2; 383]), Err(InvalidShare));
    assert_eq!(agree(&[2; 385]), Err(InvalidShare));
}

/// All the points whose secret is zero, in every encoding (the list is Langley's and Bernstein's).
#[test]
fn x25519_shares_of_small_order_are_refused() {
    for point in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let mut share: [u8; 32] = hex::decode(point).unwrap().try_into().unwrap();
        for _ in 0..2 {
            assert_eq!(x25519_dalek::x25519([9; 32], share), [0; 32]);
            assert_eq!(exchange::Ephemeral::generate(&mut rng()).agree(&share), Err(InvalidShare));
            share[31] ^= 0x80;
        }
    }
    assert_eq!(exchange::Ephemeral::generate(&mut rng()).agree(&[9; 31]), Err(InvalidShare));
}

/// The neutral point signs anything where verification is not strict.
#[test]
fn ed25519_keys_of_small_order_are_refused() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut forged = [0x66; 64]; // R = the base point, s = 1
    forged[0] = 0x58;
    forged[32..].copy_from_slice(&neutral);
    let lax = ed25519_dalek::VerifyingKey::from_bytes(&neutral).unwrap();
    assert!(ed25519_dalek::Verifier::verify(&lax, b"anything", &forged.into()).is_ok());
    assert_eq!(identity::VerifyingKey::from_bytes(&neutral), Err(InvalidKey));

    // y = p + 3 is another name of the point with y = 3.
    let mut canonical = [0; 32];
    canonical[0] = 3;
    let mut alias = [0xff; 32];
    (alias[0], alias[31]) = (0xf0, 0x7f);
    assert!(ed25519_dalek::VerifyingKey::from_bytes(&alias).is_ok());
    assert!(identity::VerifyingKey::from_bytes(&canonical).is_ok());
    assert_eq!(identity::VerifyingKey::from_bytes(&alias), Err(InvalidKey));
    assert_eq!(identity::VerifyingKey::from_bytes(&canonical[1..]), Err(InvalidKey));
}

/// A signer can make R the neutral point, which verifiers elsewhere judge differently; strictly it is refused.
#[test]
fn ed25519_commitments_of_small_order_are_refused() {
    let key = identity::SigningKey::generate(&mut rng());
    let dalek = ed25519_dalek::SigningKey::from_bytes(key.to_secret().expose());
    let order = (one() << 252) + number("14def9dea2f79cd65812631a5cf5d3ed");
    let message = framed("test", &[b"message"]);
    let mut neutral = [0; 32];
    neutral[0] = 1;

    let hashed = [&neutral, dalek.verifying_key().as_bytes(), message.as_slice()].concat();
    let h = BigUint::from_bytes_le(&Sha512::digest(hashed));
    let mut a = dalek.to_scalar_bytes();
    a[0] &= 0xf8;
    a[31] = a[31] & 0x7f | 0x40;
    let s = h * BigUint::from_bytes_le(&a) % order;
    let mut bytes = [neutral, scalar(&s)].concat();
    bytes[32..].reverse();

    let signature = ed25519_dalek::Signature::from_slice(&bytes).unwrap();
    assert!(ed25519_dalek::Verifier::verify(&dalek.verifying_key(), &message, &signature).is_ok());
    let signature = identity::Signature::from_bytes(&bytes).unwrap();
    assert_eq!(key.verifying_key().verify("test", &[b"message"], &signature), Err(VerificationFailed));
}
