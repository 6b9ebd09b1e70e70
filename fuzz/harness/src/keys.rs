//! Public keys, signatures, key-exchange shares, PAKE messages, ciphertexts and MACs: what is accepted has one encoding,
//! and only what its owner made is believed.

use std::sync::LazyLock;

use crypto::{
    AeadKey, Secret, elgamal, exchange, identity, mac,
    pake::Pake,
    purpose::{MacKey, TrafficKey},
    verify_mac,
};
use protocol::credential::{ClientKind, LoginKey, LoginVerifyingKey};

use crate::{
    certificate::{certificate, genuine as genuine_certificate},
    fixture::{PATIENT, rng, select},
};

/// No bytes make a panic; what is accepted encodes to the same bytes; nothing verifies or opens but what was signed or
/// sealed; no share gives a predictable secret.
pub fn keys(data: &[u8]) {
    let (which, bytes) = select(data);
    match which % 11 {
        0 => elgamal_key(bytes),
        1 => elgamal_signature(bytes),
        2 => kem_share(bytes),
        3 => ed25519_key(bytes),
        4 => ed25519_signature(bytes),
        5 => x25519_share(bytes),
        6 => pake_message(bytes),
        7 => ciphertext(bytes),
        8 => tag(bytes),
        9 => login_key(bytes),
        _ => certificate(bytes),
    }
}

static ELGAMAL: LazyLock<(elgamal::VerifyingKey, elgamal::Signature)> = LazyLock::new(|| {
    let LoginKey::ElGamal(key) = &PATIENT.login else { unreachable!("a patient's key is an ElGamal key") };
    (key.verifying_key().clone(), key.sign("role", b"keys", b"message", &mut rng(1)))
});

fn elgamal_key(bytes: &[u8]) {
    let Ok(key) = elgamal::VerifyingKey::from_bytes(bytes) else { return };
    assert_eq!(key.to_bytes(), bytes);
    let (signer, signature) = &*ELGAMAL;
    assert_eq!(key.verify("role", b"keys", b"message", signature).is_ok(), key == *signer);
}

fn elgamal_signature(bytes: &[u8]) {
    let Ok(read) = elgamal::Signature::from_bytes(bytes) else { return };
    assert_eq!(read.to_bytes(), bytes);
    let (signer, signature) = &*ELGAMAL;
    assert_eq!(signer.verify("role", b"keys", b"message", &read).is_ok(), read == *signature);
}

fn kem_share(bytes: &[u8]) {
    if let Ok(secret) = elgamal::kem::Ephemeral::generate(&mut rng(1)).agree(bytes) {
        let (last, first) = secret.expose().split_last().unwrap();
        assert!(*last > 1 || first.iter().any(|byte| *byte != 0), "a secret that anybody knows");
    }
}

fn ed25519_key(bytes: &[u8]) {
    let Ok(key) = identity::VerifyingKey::from_bytes(bytes) else { return };
    assert_eq!(key.to_bytes(), bytes);
    let (signer, signature) = ed25519();
    assert_eq!(key.verify("purpose", &[b"part"], &signature).is_ok(), key == signer);
}

fn ed25519_signature(bytes: &[u8]) {
    let Ok(read) = identity::Signature::from_bytes(bytes) else { return };
    assert_eq!(read.to_bytes(), bytes);
    let (signer, signature) = ed25519();
    assert_eq!(signer.verify("purpose", &[b"part"], &read).is_ok(), read == signature);
}

fn ed25519() -> (identity::VerifyingKey, identity::Signature) {
    let key = identity::SigningKey::from_secret(&Secret::new([4; 32]));
    (key.verifying_key(), key.sign("purpose", &[b"part"]))
}

fn x25519_share(bytes: &[u8]) {
    if let Ok(secret) = exchange::Ephemeral::generate(&mut rng(1)).agree(bytes) {
        assert!(secret.expose().iter().any(|byte| *byte != 0), "a secret that anybody knows");
    }
}

fn pake_message(bytes: &[u8]) {
    let client = || Pake::start_a(&mut rng(1), b"DEFGH2", b"client", b"gateway");
    let (gateway, genuine) = Pake::start_b(&mut rng(2), b"DEFGH2", b"client", b"gateway");
    let (state, message) = client();
    let agreed = gateway.finish(&message).unwrap();
    if let Ok(key) = state.finish(bytes) {
        assert_eq!(key == agreed, bytes == genuine, "a key agreed with somebody else");
    }
    assert!(client().0.finish(&message).is_err(), "a reflected message");
}

fn ciphertext(bytes: &[u8]) {
    let key = AeadKey::new(&Secret::<TrafficKey>::new([1; 32]));
    let genuine = key.seal(&[2; 12], b"additional", b"plaintext").unwrap();
    assert_eq!(key.open(&[2; 12], b"additional", bytes).is_ok(), bytes == genuine);
}

fn tag(bytes: &[u8]) {
    let key = Secret::<MacKey>::new([1; 32]);
    let genuine = mac(&key, "purpose", &[b"part"]);
    assert_eq!(verify_mac(&key, "purpose", &[b"part"], bytes).is_ok(), bytes == genuine);
}

fn login_key(bytes: &[u8]) {
    for kind in [ClientKind::Patient, ClientKind::Wearable] {
        if let Ok(key) = LoginVerifyingKey::from_bytes(kind, bytes) {
            assert_eq!((key.kind(), key.to_bytes()), (kind, bytes.to_vec()));
        }
        if let Ok(secret) = bytes.try_into()
            && let Ok(key) = LoginKey::from_secret(kind, secret)
        {
            assert_eq!(key.to_secret().expose(), &secret);
            let public = key.verifying_key();
            assert_eq!(LoginVerifyingKey::from_bytes(kind, &public.to_bytes()).as_ref(), Ok(&public));
        }
    }
}

/// The genuine values, with the selectors that ask for them: seeds.
pub(crate) fn genuine() -> Vec<Vec<u8>> {
    let (elgamal_key, elgamal_signature) = &*ELGAMAL;
    let (ed25519_key, ed25519_signature) = ed25519();
    let sealing = AeadKey::new(&Secret::<TrafficKey>::new([1; 32]));
    let values = [
        elgamal_key.to_bytes().to_vec(),
        elgamal_signature.to_bytes().to_vec(),
        elgamal::kem::Ephemeral::generate(&mut rng(2)).public().to_vec(),
        ed25519_key.to_bytes().to_vec(),
        ed25519_signature.to_bytes().to_vec(),
        exchange::Ephemeral::generate(&mut rng(2)).public().to_vec(),
        Pake::start_b(&mut rng(2), b"DEFGH2", b"client", b"gateway").1,
        sealing.seal(&[2; 12], b"additional", b"plaintext").unwrap(),
        mac(&Secret::<MacKey>::new([1; 32]), "purpose", &[b"part"]).to_vec(),
        [7; 32].to_vec(),
        genuine_certificate().to_vec(),
    ];
    (0_u8..).zip(values).map(|(which, value)| [&[which][..], &value].concat()).collect()
}
