//! The attacks that work on plain ElGamal, run against verifiers with our defences taken out one by one, and
//! against the real thing. A defence that stops an attack alone is tested alone, with every other one off.
#![cfg(feature = "elgamal")]
#![expect(clippy::unwrap_used, reason = "a test's own values")]

use num_bigint::BigUint;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use sha2::{Digest, Sha512};
use vitalward_crypto::{
    InvalidKey, InvalidShare, Secret, VerificationFailed,
    elgamal::{Signature, SigningKey, VerifyingKey, kem, params},
    exchange, framed, identity,
};

/// A verifier with some of our defences. With all of them it is ours, written a second time.
#[derive(Clone, Copy)]
struct Verifier {
    /// 1 < r < p - 1, r mod q is not 0, 0 < s < q.
    ranges: bool,
    /// r = g^(h/s) y^(-rho/s), where plain ElGamal has g^h = y^rho r^s.
    recomputes: bool,
    /// The hash covers y and r, not the message alone.
    binds: bool,
}

const NONE: Verifier = Verifier { ranges: false, recomputes: false, binds: false };
const RANGES: Verifier = Verifier { ranges: true, ..NONE };
const RECOMPUTES: Verifier = Verifier { recomputes: true, ..NONE };
const BINDS: Verifier = Verifier { binds: true, ..NONE };
const ALL: Verifier = Verifier { ranges: true, recomputes: true, binds: true };

const ROLE: &str = "test";

impl Verifier {
    fn hash(self, group: &Group, y: &BigUint, r: &BigUint, message: &[u8]) -> BigUint {
        let (y, r) = (wire(y), wire(r));
        let bound: [&[u8]; 5] = [ROLE.as_bytes(), b"", &y, &r, message];
        let parts: &[&[u8]] = if self.binds { &bound } else { &[message] };
        BigUint::from_bytes_be(&Sha512::digest(framed("elgamal", parts))) % &group.q
    }

    fn accepts(self, group: &Group, y: &BigUint, message: &[u8], (r, s): &(BigUint, BigUint)) -> bool {
        let Group { p, q, g } = group;
        let (h, rho) = (self.hash(group, y, r, message), r % q);
        let inside = *r > one() && *r < p - 1u32 && rho != BigUint::ZERO && *s > BigUint::ZERO && s < q;
        if self.ranges && !inside {
            return false;
        }
        if self.recomputes {
            let Some(w) = s.modinv(q) else { return false };
            *r == g.modpow(&(h * &w), p) * y.modpow(&((q - rho) * w % q), p) % p
        } else {
            g.modpow(&h, p) == y.modpow(&rho, p) * r.modpow(s, p) % p
        }
    }

    fn sign(self, group: &Group, x: &BigUint, message: &[u8], k: &BigUint) -> (BigUint, BigUint) {
        let Group { p, q, g } = group;
        let r = g.modpow(k, p);
        let h = self.hash(group, &g.modpow(x, p), &r, message);
        let s = k.modinv(q).unwrap() * (h + (q - x * &r % q)) % q;
        (r, s)
    }
}

struct Group {
    p: BigUint,
    q: BigUint,
    g: BigUint,
}

impl Group {
    fn ours() -> Self {
        Self { p: number(params::P), q: number(params::Q), g: number(params::G) }
    }

    /// What a lab would take: a well-known safe prime and g = 2.
    fn safe_prime() -> Self {
        let p = number(params::FFDHE3072);
        Self { q: &p >> 1, p, g: BigUint::from(2u32) }
    }
}

#[test]
fn the_verifier_here_with_all_defences_is_ours() {
    let (group, key) = (Group::ours(), key());
    let signature = key.sign(ROLE, b"", b"message", &mut rng());
    let pair = pair(&signature);
    let y = BigUint::from_bytes_be(&key.verifying_key().to_bytes());
    assert!(ALL.accepts(&group, &y, b"message", &pair));
    assert!(!ALL.accepts(&group, &y, b"other", &pair));

    let made_here = ALL.sign(&group, &private(&key), b"message", &BigUint::from(12_345u32));
    assert_eq!(key.verifying_key().verify(ROLE, b"", b"message", &read(&made_here).unwrap()), Ok(()));
}

/// Bleichenbacher 1996: 2^-1 = -(p-1)/2, so r = (p-1)/2 has a known logarithm (but for its sign), and r is 0
/// modulo the order, so y drops out. It verifies for any key and any message.
#[test]
fn attack_1_a_smooth_generator_signs_for_everyone() {
    let group = Group::safe_prime();
    let forge = |verifier: Verifier, y: &BigUint, message: &[u8]| {
        let r = group.q.clone();
        let h = verifier.hash(&group, y, &r, message);
        let s = &group.q - h;
        let even = if s.bit(0) { s + &group.q } else { s };
        (r, even)
    };
    let victim = group.g.modpow(&private(&key()), &group.p);
    for message in [b"one".as_slice(), b"two", b"three"] {
        let works = |verifier: Verifier| {
            verifier.accepts(&group, &victim, message, &forge(verifier, &victim, message))
        };
        assert!(works(NONE) && works(BINDS));
        assert!(!works(RANGES) && !works(RECOMPUTES));
    }
    // Our group has no such generator, and the r that would make y drop out there is refused.
    assert_eq!(read(&(number(params::Q), one())), Err(VerificationFailed));
}

/// With r beyond p, r mod p and r mod q are chosen apart (Chinese remainders), which scales a seen signature to
/// the hash of any other message.
#[test]
fn attack_2_an_r_beyond_p_turns_one_signature_into_any() {
    let (group, key) = (Group::ours(), key());
    let Group { p, q, g } = &group;
    let y = g.modpow(&private(&key), p);
    let forge = |verifier: Verifier| {
        let (r, s) = verifier.sign(&group, &private(&key), b"seen", &BigUint::from(987_654_321u32));
        let scale = verifier.hash(&group, &y, &r, b"forged")
            * verifier.hash(&group, &y, &r, b"seen").modinv(q).unwrap()
            % q;
        let rho = &r % q * &scale % q;
        let lift = (rho + q - &r % q) * (p % q).modinv(q).unwrap() % q;
        (r + p * lift, s * scale % q)
    };
    let works = |verifier: Verifier| verifier.accepts(&group, &y, b"forged", &forge(verifier));
    assert!(works(NONE));
    assert!(!works(RANGES) && !works(RECOMPUTES) && !works(BINDS));
    // Beyond 384 bytes it has no encoding of ours; just beyond p it is refused.
    assert!(forge(ALL).0.bits() > 3072);
    assert_eq!(read(&(p + 2u32, one())), Err(VerificationFailed));
}

/// s and s + q do the same, so without the bound one signature gives a second one that nobody made.
#[test]
fn attack_3_s_plus_q_is_a_second_signature() {
    let (group, key) = (Group::ours(), key());
    let y = group.g.modpow(&private(&key), &group.p);
    let (r, s) = (2u32..)
        .map(|k| ALL.sign(&group, &private(&key), b"message", &BigUint::from(k)))
        .find(|(_, s)| (s + &group.q).bits() <= 256)
        .unwrap();
    let twin = (r, &s + &group.q);
    let everything_else = Verifier { ranges: false, ..ALL };
    assert!(everything_else.accepts(&group, &y, b"message", &twin));
    assert!(!Verifier { binds: true, ..RANGES }.accepts(&group, &y, b"message", &twin));
    assert_eq!(read(&twin), Err(VerificationFailed));
    assert_eq!(key.verifying_key().verify(ROLE, b"", b"message", &read(&(twin.0, s)).unwrap()), Ok(()));
}

/// For y = 1 everyone knows x = 0. Every other check passes, so the key must not exist.
#[test]
fn a_neutral_public_key_needs_no_private_one() {
    let group = Group::ours();
    let forged = ALL.sign(&group, &BigUint::ZERO, b"message", &BigUint::from(3u32));
    assert!(ALL.accepts(&group, &one(), b"message", &forged));
    assert_eq!(VerifyingKey::from_bytes(&wire(&one())), Err(InvalidKey));
}

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

/// Shares in the subgroup of order 2, or outside the field, would give a secret that anyone can name.
#[test]
fn kem_shares_of_small_order_are_refused() {
    let p = number(params::FFDHE3072);
    let agree = |share: &[u8]| kem::Ephemeral::generate(&mut rng()).agree(share);
    for share in [BigUint::ZERO, one(), &p - 1u32, p.clone(), &p + 1u32, (one() << 3072) - 1u32] {
        assert_eq!(agree(&wire(&share)), Err(InvalidShare));
    }
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
        let mut share = hex::decode(point).unwrap();
        for _ in 0..2 {
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

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

fn key() -> SigningKey {
    SigningKey::generate(&mut rng())
}

fn private(key: &SigningKey) -> BigUint {
    BigUint::from_bytes_be(key.to_secret().expose())
}

/// Our decoder on (r, s), however long they are.
fn read((r, s): &(BigUint, BigUint)) -> Result<Signature, VerificationFailed> {
    Signature::from_bytes(&[wire(r), scalar(s).to_vec()].concat())
}

fn pair(signature: &Signature) -> (BigUint, BigUint) {
    let bytes = signature.to_bytes();
    let (r, s) = bytes.split_at(384);
    (BigUint::from_bytes_be(r), BigUint::from_bytes_be(s))
}

/// Big-endian, filled to 384 bytes.
fn wire(value: &BigUint) -> Vec<u8> {
    let bytes = value.to_bytes_be();
    [vec![0; 384usize.saturating_sub(bytes.len())], bytes].concat()
}

fn scalar(value: &BigUint) -> [u8; 32] {
    let bytes = value.to_bytes_be();
    [vec![0; 32 - bytes.len()], bytes].concat().try_into().unwrap()
}

fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap()
}

fn one() -> BigUint {
    BigUint::from(1u32)
}
