//! The attacks that work on plain ElGamal, run against verifiers with our defences taken out one by one, and
//! against the real thing. [`stopped_by`] says which defences stop an attack alone, with every other one off.
//!
//! | attack | test | defences that stop it alone |
//! |---|---|---|
//! | (1) g = 2, r = (p-1)/2 signs for everyone | `attack_1_a_smooth_generator_signs_for_everyone` | ranges; r recomputed |
//! | (2) r beyond p, by Chinese remainders | `attack_2_an_r_beyond_p_turns_one_signature_into_any` | ranges; r recomputed; r hashed |
//! | (3) s + q | `attack_3_s_plus_q_is_a_second_signature` | ranges |
//! | (4) short x and k, by a lattice | `attack_4_*`, `vectors/lattice.py` | x and k uniform in [1, q-1] |
//! | y = 1, y = p-1 | `a_public_key_of_small_order_needs_no_private_one` | key checked |
//! | key substitution, related key | `a_related_key_takes_over_a_signature` | y hashed |
//! | key substitution, y times a small root of 1 | `a_key_outside_the_subgroup_takes_over_a_signature` | key checked; y hashed |
//! | r outside the subgroup | `a_commitment_outside_the_subgroup_is_accepted` | r recomputed |
//! | shares of small order, static exponent | `elements::small_order_shares_*` | safe prime with range; fresh exponent |
//! | X25519, Ed25519 points of small order | `elements::*` | refused by value |
#![cfg(feature = "elgamal")]
#![expect(clippy::unwrap_used, reason = "a test's own values")]

#[path = "attacks/elements.rs"]
mod elements;
#[path = "common/fixed.rs"]
mod fixed;
#[path = "attacks/lattice.rs"]
mod lattice;

use num_bigint::BigUint;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use sha2::{Digest, Sha512};
use vitalward_crypto::{
    InvalidKey, VerificationFailed,
    elgamal::{Signature, SigningKey, VerifyingKey, params},
    framed,
};

/// A verifier with some of our defences. With all of them it is ours, written a second time.
#[derive(Clone, Copy)]
struct Verifier {
    /// 1 < r < p - 1, r mod q is not 0, 0 < s < q.
    ranges: bool,
    /// r = g^(h/s) y^(-rho/s), where plain ElGamal has g^h = y^rho r^s.
    recomputes: bool,
    /// The hash covers r.
    hashes_r: bool,
    /// The hash covers y.
    hashes_y: bool,
    /// 1 < y < p - 1 and y^q = 1.
    checks_key: bool,
}

const NONE: Verifier =
    Verifier { ranges: false, recomputes: false, hashes_r: false, hashes_y: false, checks_key: false };
const ALL: Verifier =
    Verifier { ranges: true, recomputes: true, hashes_r: true, hashes_y: true, checks_key: true };
/// Each defence with the others switched off.
const ALONE: [(&str, Verifier); 5] = [
    ("ranges", Verifier { ranges: true, ..NONE }),
    ("recomputes", Verifier { recomputes: true, ..NONE }),
    ("hashes r", Verifier { hashes_r: true, ..NONE }),
    ("hashes y", Verifier { hashes_y: true, ..NONE }),
    ("checks key", Verifier { checks_key: true, ..NONE }),
];

const ROLE: &str = "test";

/// The defences that stop an attack alone, of one that works without any and fails with all.
fn stopped_by(works: impl Fn(Verifier) -> bool) -> Vec<&'static str> {
    assert!(works(NONE) && !works(ALL));
    ALONE.into_iter().filter(|(_, verifier)| !works(*verifier)).map(|(name, _)| name).collect()
}

impl Verifier {
    fn hash(self, group: &Group, y: &BigUint, r: &BigUint, message: &[u8]) -> BigUint {
        let covered = |covers: bool, value| if covers { wire(value) } else { Vec::new() };
        let (y, r) = (covered(self.hashes_y, y), covered(self.hashes_r, r));
        let hashed = framed("elgamal", &[ROLE.as_bytes(), b"", &y, &r, message]);
        BigUint::from_bytes_be(&Sha512::digest(hashed)) % &group.q
    }

    fn accepts(self, group: &Group, y: &BigUint, message: &[u8], (r, s): &(BigUint, BigUint)) -> bool {
        let Group { p, q, g } = group;
        let (h, rho) = (self.hash(group, y, r, message), r % q);
        let inside = *r > one() && *r < p - 1u32 && rho != BigUint::ZERO && *s > BigUint::ZERO && s < q;
        let is_key = *y > one() && *y < p - 1u32 && y.modpow(q, p) == one();
        if self.ranges && !inside || self.checks_key && !is_key {
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
        let r = group.g.modpow(k, &group.p);
        let y = group.g.modpow(x, &group.p);
        self.sign_as(group, x, &y, message, k, r)
    }

    /// Signs for a key y and with a commitment r that need not be g^x and g^k.
    fn sign_as(
        self,
        group: &Group,
        x: &BigUint,
        y: &BigUint,
        message: &[u8],
        k: &BigUint,
        r: BigUint,
    ) -> (BigUint, BigUint) {
        let q = &group.q;
        let h = self.hash(group, y, &r, message);
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

    /// An element whose order is this prime factor of p - 1.
    fn root_of_one(&self, order: u32) -> BigUint {
        let exponent = (&self.p - 1u32) / order;
        (2u32..).map(|n| BigUint::from(n).modpow(&exponent, &self.p)).find(|root| *root != one()).unwrap()
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
    let victim = group.g.modpow(&private(&key()), &group.p);
    for message in [b"one".as_slice(), b"two", b"three"] {
        let works = |verifier: Verifier| {
            let r = group.q.clone();
            let s = &group.q - verifier.hash(&group, &victim, &r, message);
            let even = if s.bit(0) { s + &group.q } else { s };
            verifier.accepts(&group, &victim, message, &(r, even))
        };
        assert_eq!(stopped_by(works), ["ranges", "recomputes"]);
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
    assert_eq!(stopped_by(works), ["ranges", "recomputes", "hashes r"]);
    // Beyond 384 bytes it has no encoding of ours; just beyond p it is refused.
    assert!(forge(ALL).0.bits() > 3072);
    assert_eq!(read(&(p + 2u32, one())), Err(VerificationFailed));
}

/// s and s + q do the same, so without the bound one signature gives a second one that nobody made.
#[test]
fn attack_3_s_plus_q_is_a_second_signature() {
    let (group, key) = (Group::ours(), key());
    let y = group.g.modpow(&private(&key), &group.p);
    let twin = |verifier: Verifier| {
        let (r, s) = verifier.sign(&group, &private(&key), b"message", &BigUint::from(7u32));
        (r, s + &group.q)
    };
    assert_eq!(stopped_by(|verifier| verifier.accepts(&group, &y, b"message", &twin(verifier))), ["ranges"]);

    let (r, s) = (2u32..)
        .map(|k| ALL.sign(&group, &private(&key), b"message", &BigUint::from(k)))
        .find(|(_, s)| (s + &group.q).bits() <= 256)
        .unwrap();
    let twin = (r.clone(), &s + &group.q);
    assert!(Verifier { ranges: false, ..ALL }.accepts(&group, &y, b"message", &twin));
    assert_eq!(read(&twin), Err(VerificationFailed));
    assert_eq!(key.verifying_key().verify(ROLE, b"", b"message", &read(&(r, s)).unwrap()), Ok(()));
}

/// For y = 1 everyone knows x = 0, and so for y = p - 1 with every second nonce. Every other check passes, so the
/// keys must not exist.
#[test]
fn a_public_key_of_small_order_needs_no_private_one() {
    let group = Group::ours();
    for y in [one(), &group.p - 1u32] {
        let works = |verifier: Verifier| {
            (2u32..40).any(|k| {
                let k = BigUint::from(k);
                let r = group.g.modpow(&k, &group.p);
                let forged = verifier.sign_as(&group, &BigUint::ZERO, &y, b"message", &k, r);
                verifier.accepts(&group, &y, b"message", &forged)
            })
        };
        assert_eq!(stopped_by(works), ["checks key"]);
        assert!(works(Verifier { checks_key: false, ..ALL }));
        assert_eq!(VerifyingKey::from_bytes(&wire(&y)), Err(InvalidKey));
    }
}

/// y' = y g^d, with d made for it, verifies a seen signature as one over the attacker's own message. Nobody knows
/// the private half, so only a message that proves possession of it stops this elsewhere.
#[test]
fn a_related_key_takes_over_a_signature() {
    let (group, key) = (Group::ours(), key());
    let Group { p, q, g } = &group;
    let y = g.modpow(&private(&key), p);
    let related = |verifier: Verifier, (r, _): &(BigUint, BigUint)| {
        let hash = |message| verifier.hash(&group, &y, r, message);
        let d = (hash(b"claimed") + q - hash(b"seen")) * (r % q).modinv(q).unwrap() % q;
        &y * g.modpow(&d, p) % p
    };
    let works = |verifier: Verifier| {
        let seen = verifier.sign(&group, &private(&key), b"seen", &BigUint::from(987_654_321u32));
        verifier.accepts(&group, &related(verifier, &seen), b"claimed", &seen)
    };
    assert_eq!(stopped_by(works), ["hashes y"]);

    let seen = key.sign(ROLE, b"", b"seen", &mut rng());
    let thief = VerifyingKey::from_bytes(&wire(&related(ALL, &pair(&seen)))).unwrap();
    assert_eq!(key.verifying_key().verify(ROLE, b"", b"seen", &seen), Ok(()));
    for message in [b"seen".as_slice(), b"claimed"] {
        assert_eq!(thief.verify(ROLE, b"", message, &seen), Err(VerificationFailed));
    }
}

/// y times a third root of 1 behaves as y wherever its exponent is a multiple of 3: every third signature is also
/// one of a second key.
#[test]
fn a_key_outside_the_subgroup_takes_over_a_signature() {
    let (group, key) = (Group::ours(), key());
    let y = group.g.modpow(&private(&key), &group.p);
    let second = &y * group.root_of_one(3) % &group.p;
    let works = |verifier: Verifier| {
        (2u32..40).any(|k| {
            let seen = verifier.sign(&group, &private(&key), b"seen", &BigUint::from(k));
            verifier.accepts(&group, &second, b"seen", &seen)
        })
    };
    assert_eq!(stopped_by(works), ["hashes y", "checks key"]);
    assert_eq!(VerifyingKey::from_bytes(&wire(&second)), Err(InvalidKey));
}

/// A signer whose r is -g^k makes signatures that some implementations accept and others do not.
#[test]
fn a_commitment_outside_the_subgroup_is_accepted() {
    let (group, key) = (Group::ours(), key());
    let x = private(&key);
    let y = group.g.modpow(&x, &group.p);
    let stray = |verifier: Verifier| {
        (2u32..40)
            .map(|k| {
                let k = BigUint::from(k);
                let r = &group.p - group.g.modpow(&k, &group.p);
                verifier.sign_as(&group, &x, &y, b"message", &k, r)
            })
            .find(|(_, s)| !s.bit(0))
            .unwrap()
    };
    let works = |verifier: Verifier| verifier.accepts(&group, &y, b"message", &stray(verifier));
    assert_eq!(stopped_by(works), ["recomputes"]);
    let signature = read(&stray(ALL)).unwrap();
    assert_eq!(key.verifying_key().verify(ROLE, b"", b"message", &signature), Err(VerificationFailed));
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
