//! No secret shows in `Debug`, in an error or in a panic: each is formatted and searched for the secret's bytes.
#![cfg(all(feature = "ascon", feature = "elgamal", feature = "ml-kem", feature = "pake"))]
#![expect(clippy::unwrap_used, reason = "a test's own values")]

#[path = "common/fixed.rs"]
mod fixed;

use std::{
    error::Error,
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
};

use fixed::Fixed;
use vitalward_crypto::{
    AeadKey, Prk, Purpose, Secret, elgamal, exchange, identity, ml_kem, pake::Pake, purpose::*, verify_mac,
};

/// Any three neighbours of these in the text are a leak, whether as text, hexadecimal or a list of numbers.
const BYTES: [u8; 64] = *b"q7#vz!m2@k9$xw4%jf8^hb3&gd6*yc1(zu5)pn0_rt2+ls7=oe4-ai9~qx3;jv8?";

#[test]
fn no_secret_shows_its_bytes() {
    clean(&secret::<TrafficKey>());
    clean(&secret::<MacKey>());
    clean(&secret::<GroupKey>());
    clean(&secret::<WrapKey>());
    clean(&secret::<ResumeKey>());
    clean(&secret::<ConfirmKey>());
    clean(&secret::<SharedSecret>());
    clean(&secret::<PakeKey>());
    clean(&secret::<ElGamalKey>());
    clean(&secret::<Ed25519Key>());
    clean(&secret::<DatabaseKey>());
    clean(&Prk::from_secret(&secret::<GroupKey>()));
    clean(&AeadKey::new(&secret::<TrafficKey>()));
    clean(&AeadKey::ascon(&Secret::<TrafficKey, 16>::new(*BYTES.first_chunk().unwrap())));
    clean(&ml_kem::Ephemeral::generate(&mut Fixed(&BYTES)));
    clean(&identity::SigningKey::from_secret(&secret()));
    clean(&exchange::Ephemeral::generate(&mut Fixed(&BYTES)));
    clean(&Pake::start_a(&mut Fixed(&BYTES), &BYTES, b"a", b"b").0);
    clean(&elgamal::SigningKey::from_secret(&secret()).unwrap());
    clean(&elgamal::kem::Ephemeral::generate(&mut Fixed(&BYTES)));
}

#[test]
fn no_error_shows_what_was_refused() {
    let key = AeadKey::new(&secret::<TrafficKey>());
    let signing = identity::SigningKey::from_secret(&secret());
    let signature = identity::Signature::from_bytes(&BYTES).unwrap();
    let agree = |share: &[u8]| exchange::Ephemeral::generate(&mut Fixed(&BYTES)).agree(share);
    let errors: [Box<dyn Error>; 12] = [
        Box::new(key.open(&[0; 12], b"", &BYTES).unwrap_err()),
        Box::new(key.seal_in_place(&[0; 12], b"", &mut BYTES.to_vec(), BYTES.len() + 1).unwrap_err()),
        Box::new(verify_mac(&secret::<MacKey>(), "", &[], &BYTES[..32]).unwrap_err()),
        Box::new(signing.verifying_key().verify("", &[], &signature).unwrap_err()),
        Box::new(identity::VerifyingKey::from_bytes(&BYTES).unwrap_err()),
        Box::new(agree(&BYTES).unwrap_err()),
        Box::new(ml_kem::Ephemeral::generate(&mut Fixed(&BYTES)).decapsulate(&BYTES).unwrap_err()),
        Box::new(ml_kem::encapsulate(&BYTES, &mut Fixed(&BYTES)).unwrap_err()),
        Box::new(elgamal::SigningKey::from_secret(&Secret::new([0xff; 32])).unwrap_err()),
        Box::new(elgamal::VerifyingKey::from_bytes(&BYTES).unwrap_err()),
        Box::new(elgamal::kem::Ephemeral::generate(&mut Fixed(&BYTES)).agree(&BYTES).unwrap_err()),
        Box::new(Pake::start_a(&mut Fixed(&BYTES), &BYTES, b"a", b"b").0.finish(&BYTES).unwrap_err()),
    ];
    for error in errors {
        clean(&error);
        assert!(!leaks(&error.to_string()), "{error}");
        assert!(error.source().is_none(), "{error:?} says why, which would be an oracle");
    }
}

#[test]
fn no_panic_shows_a_secret() {
    let zero = Secret::<MacKey>::new([0; 32]);
    let signing = || elgamal::SigningKey::from_secret(&secret());
    for panic in [
        panic_of(|| assert_eq!(secret::<MacKey>(), zero)),
        panic_of(|| panic!("{:?}", secret::<TrafficKey>())),
        panic_of(|| signing().unwrap_err()),
        panic_of(|| exchange::Ephemeral::generate(&mut Fixed(&BYTES)).agree(&[9; 32]).unwrap_err()),
    ] {
        assert!(panic.contains("..)"), "{panic}");
        assert!(!leaks(&panic), "{panic}");
    }
    assert!(leaks(&panic_of(|| assert_eq!(BYTES, [0; 64]))), "the search works on panics");
}

#[test]
fn the_search_finds_bytes_however_they_are_printed() {
    assert!(leaks(&format!("{BYTES:?}")) && leaks(&format!("{BYTES:#?}")));
    assert!(leaks(&format!("{BYTES:x?}")) && leaks(&format!("{BYTES:02X?}")));
    assert!(leaks(&hex::encode(BYTES)) && leaks(&hex::encode_upper(&BYTES[20..24])));
    assert!(leaks(&String::from_utf8_lossy(&BYTES)));
    assert!(!leaks("Secret<GroupKey>(..)"));
}

fn clean(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}"), format!("{value:x?}")] {
        assert!(!leaks(&text), "{text}");
    }
}

fn panic_of<T>(work: impl FnOnce() -> T) -> String {
    *catch_unwind(AssertUnwindSafe(work)).map(drop).unwrap_err().downcast().unwrap()
}

fn leaks(text: &str) -> bool {
    let text: String = text.to_lowercase().split_whitespace().collect();
    BYTES.windows(3).any(|bytes| {
        let list = |print: fn(&u8) -> String| bytes.iter().map(print).collect::<Vec<_>>().join(",");
        let plain = String::from_utf8_lossy(bytes).into_owned();
        [
            plain,
            hex::encode(bytes),
            list(u8::to_string),
            list(|b| format!("{b:x}")),
            list(|b| format!("{b:02x}")),
        ]
        .iter()
        .any(|print| text.contains(print))
    })
}

fn secret<P: Purpose>() -> Secret<P> {
    Secret::new(*BYTES.first_chunk().unwrap())
}
