//! Secrets are wiped before their memory is given back. This program has its own `free` and `realloc`, which search
//! every block for eight neighbouring bytes of the secret at hand, in the order in which they were given or backwards
//! (the little-endian limbs of a number). So they see the heap of Rust and that of the C library behind `aws-lc`.
//!
//! They do not see the stack and registers, where values lie for moments and a move leaves a copy; secrets in another
//! shape (multiplied, in limbs of 51 bits, or derived, except what is named here); swap and core dumps.
#![cfg(all(
    feature = "ascon",
    feature = "elgamal",
    feature = "ml-kem",
    feature = "pake",
    target_os = "linux",
    target_env = "gnu"
))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's own values")]

#[path = "common/fixed.rs"]
mod fixed;
#[path = "common/freed.rs"]
mod freed;

use std::hint::black_box;

use fixed::Fixed;
use freed::freed;
use hkdf::Hkdf;
use num_bigint::BigUint;
use sha2::{Digest, Sha256, Sha512};
use vitalward_crypto::{
    AeadKey, Prk, Secret,
    elgamal::{self, kem, params},
    exchange, framed, identity, mac, ml_kem,
    pake::Pake,
    purpose::*,
    verify_mac,
};

/// A secret without patterns; as a number its first half is less than q.
const SECRET: [u8; 64] = *b"q7#vz!m2@k9$xw4%jf8^hb3&gd6*yc1(zu5)pn0_rt2+ls7=oe4-ai9~qx3;jv8?";
const HALF: [u8; 32] = *SECRET.first_chunk().unwrap();

#[track_caller]
fn wiped(secret: &[u8], work: impl FnOnce()) {
    let freed = freed(secret, work);
    assert!(freed.blocks > 0, "nothing was given back");
    assert_eq!(freed.with_secret, 0, "a secret was given back in {freed:?}");
}

#[test]
fn a_secret_that_is_not_wiped_is_found() {
    let found = |bytes: Vec<u8>| freed(&SECRET, || drop(black_box(bytes))).with_secret;
    assert_eq!(found(SECRET.to_vec()), 1);
    assert_eq!(found([&[0; 100], &SECRET[20..28]].concat()), 1, "a part");
    assert_eq!(found(SECRET.iter().rev().copied().collect()), 1, "a number's limbs");
    assert_eq!(found([&SECRET[20..27], &SECRET[28..35]].concat()), 0, "too little to tell");
    let grown = freed(&SECRET, || {
        let mut bytes = SECRET.to_vec();
        black_box(&mut bytes).reserve(10_000);
        bytes.fill(0);
        drop(black_box(bytes));
    });
    assert_eq!(grown.with_secret, 1, "what a growing vector leaves behind");
}

#[cfg(feature = "aws-lc")]
#[test]
fn the_heap_of_c_is_searched_too() {
    let key = aws_lc_rs::aead::UnboundKey::new(&aws_lc_rs::aead::AES_256_GCM, &HALF).unwrap();
    let freed = freed(&HALF, || drop(key));
    assert_eq!((freed.blocks > 0, freed.with_secret), (true, 0), "AWS-LC wipes what it frees");
}

#[test]
fn secrets_are_wiped_wherever_they_were_moved() {
    wiped(&SECRET, || {
        let secret = Secret::<GroupKey, 64>::new(SECRET);
        let many: Vec<_> = (0..9).map(|_| secret.duplicate()).collect();
        let mut moved = Vec::new();
        moved.extend(many);
        moved.push(secret);
        drop(moved.drain(3..5));
        moved[0] = Secret::generate(&mut Fixed(&SECRET));
        assert_eq!(moved[0], moved[1]);
    });
}

#[test]
fn keys_are_wiped_from_extraction_to_expansion() {
    let with_length = [&32_u32.to_be_bytes(), &HALF[..]].concat();
    let (prk, _) = Hkdf::<Sha256>::extract(Some(b"salt"), &with_length);
    let derive = || Prk::extract(b"salt", &[&HALF]).expand::<TrafficKey, 64>("label", &[b"context"]);
    let okm = *derive().expose();
    let (chained, _) = Hkdf::<Sha256>::extract(Some(b"more"), &[&32_u32.to_be_bytes(), &prk[..]].concat());
    for secret in [&HALF[..], &prk, &okm, &chained] {
        wiped(secret, || {
            drop(derive());
            drop(Prk::extract(b"salt", &[&HALF]).chain(b"more").expand::<MacKey, 32>("label", &[]));
            drop(Prk::from_secret(&Secret::<GroupKey>::new(HALF)).expand::<GroupKey, 32>("label", &[]));
        });
    }
}

#[test]
fn mac_keys_are_wiped() {
    wiped(&HALF, || {
        let key = Secret::<MacKey>::new(HALF);
        let tag = mac(&key, "test", &[b"message"]);
        assert_eq!(verify_mac(&key, "test", &[b"message"], &tag), Ok(()));
    });
}

/// The first round keys of AES are the key itself.
#[test]
fn aead_keys_are_wiped() {
    wiped(&HALF, || {
        let key = AeadKey::new(&Secret::<TrafficKey>::new(HALF));
        let mut frame = key.seal(&[0; 12], b"aad", b"plaintext").unwrap();
        assert_eq!(key.open(&[0; 12], b"aad", &frame).unwrap(), b"plaintext");
        frame[0] ^= 1;
        assert!(key.open(&[0; 12], b"aad", &frame).is_err());
    });
}

#[test]
fn ascon_keys_are_wiped() {
    let key = *HALF.first_chunk::<16>().unwrap();
    wiped(&key, || {
        let key = AeadKey::ascon(&Secret::<TrafficKey, 16>::new(key));
        let mut frame = key.seal(&[0; 16], b"aad", b"plaintext").unwrap();
        assert_eq!(key.open(&[0; 16], b"aad", &frame).unwrap(), b"plaintext");
        frame[0] ^= 1;
        assert!(key.open(&[0; 16], b"aad", &frame).is_err());
    });
}

#[test]
fn ml_kem_seeds_and_what_they_agree_on_are_wiped() {
    let ours = || ml_kem::Ephemeral::generate(&mut Fixed(&SECRET));
    let public = ours().public();
    let encapsulate = || ml_kem::encapsulate(&public, &mut Fixed(&HALF)).unwrap();
    let (ciphertext, shared) = encapsulate();
    let shared = *shared.expose();
    for secret in [&SECRET[..], &shared] {
        wiped(secret, || {
            drop(encapsulate());
            assert_eq!(ours().decapsulate(&ciphertext).unwrap().expose(), &shared);
            assert!(ours().decapsulate(&ciphertext[1..]).is_err());
        });
    }
}

#[test]
fn ed25519_keys_are_wiped() {
    let expanded: [u8; 64] = Sha512::digest(HALF).into();
    for secret in [&HALF[..], &expanded] {
        wiped(secret, || {
            let key = identity::SigningKey::from_secret(&Secret::new(HALF));
            let signature = key.sign("test", &[b"message"]);
            assert_eq!(key.verifying_key().verify("test", &[b"message"], &signature), Ok(()));
            drop(identity::SigningKey::generate(&mut Fixed(key.to_secret().expose())));
        });
    }
}

#[test]
fn x25519_keys_and_what_they_agree_on_are_wiped() {
    let peer = exchange::Ephemeral::generate(&mut Fixed(&SECRET[32..])).public();
    let agree = || exchange::Ephemeral::generate(&mut Fixed(&HALF)).agree(&peer);
    let shared = *agree().unwrap().expose();
    for secret in [HALF, shared] {
        wiped(&secret, || {
            drop(agree());
            assert!(exchange::Ephemeral::generate(&mut Fixed(&HALF)).agree(&[0; 32]).is_err());
        });
    }
}

#[test]
fn elgamal_keys_and_nonces_are_wiped() {
    let (role, ids, message) = ("client", b"ids", b"message");
    let hedge = &SECRET[32..];
    let key = || elgamal::SigningKey::from_secret(&Secret::new(HALF)).unwrap();
    let signature = key().sign(role, ids, message, &mut Fixed(hedge)).to_bytes();
    // k = (h - x rho) / s mod q
    let number = |hex: &str| BigUint::parse_bytes(hex.as_bytes(), 16).unwrap();
    let q = number(params::Q);
    let (r, s) = signature.split_at(384);
    let y = key().verifying_key().to_bytes();
    let hashed = framed("elgamal", &[role.as_bytes(), ids, &y, r, message]);
    let h = BigUint::from_bytes_be(&Sha512::digest(hashed)) % &q;
    let x_rho = BigUint::from_bytes_be(&HALF) * (BigUint::from_bytes_be(r) % &q) % &q;
    let inverse = BigUint::from_bytes_be(s).modinv(&q).unwrap();
    let k = (h + &q - x_rho) * inverse % &q;
    assert_eq!(number(params::G).modpow(&k, &number(params::P)).to_bytes_be(), r);
    let inverse_of_k = k.modinv(&q).unwrap();
    for secret in [&HALF[..], &k.to_bytes_be(), &inverse_of_k.to_bytes_be(), hedge] {
        wiped(secret, || {
            let again = key().sign(role, ids, message, &mut Fixed(hedge));
            assert_eq!(again.to_bytes(), signature);
            drop(elgamal::SigningKey::generate(&mut Fixed(key().to_secret().expose())));
        });
    }
}

#[test]
fn kem_exponents_and_what_they_agree_on_are_wiped() {
    let mut exponent: [u8; 40] = *SECRET.first_chunk().unwrap();
    exponent[0] |= 0x80;
    let peer = kem::Ephemeral::generate(&mut Fixed(&SECRET[24..])).public();
    let agree = || kem::Ephemeral::generate(&mut Fixed(&exponent)).agree(&peer);
    let shared = *agree().unwrap().expose();
    for secret in [&exponent[..], &shared] {
        wiped(secret, || {
            drop(agree());
            assert!(kem::Ephemeral::generate(&mut Fixed(&exponent)).agree(&[0; 384]).is_err());
        });
    }
}

#[test]
fn a_pairings_key_is_wiped() {
    let start_a = || Pake::start_a(&mut Fixed(&SECRET), &HALF, b"a", b"b");
    let (b, message_b) = Pake::start_b(&mut Fixed(&SECRET), &HALF, b"a", b"b");
    let key = *b.finish(&start_a().1).unwrap().expose();
    wiped(&key, || drop(start_a().0.finish(&message_b)));
}

/// The one known exception. When this fails, `spake2` has learnt to wipe: then say so in `pake.rs` and
/// docs/security.md, and let the test above look for the password, too.
#[test]
fn a_pairings_password_is_not_wiped() {
    let freed = freed(&HALF, || drop(Pake::start_a(&mut Fixed(&SECRET), &HALF, b"a", b"b")));
    assert!(freed.with_secret > 0);
}
