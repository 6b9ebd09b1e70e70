//! Known answers that nobody made with this code: RFCs and NIST's vectors (`vectors/README.md`), and our own
//! schemes recomputed in Python. Where our functions frame their input, the RFC's vectors test the primitive
//! underneath and the Python answers test what we build of it.
#![cfg(all(feature = "elgamal", feature = "pake"))]
#![expect(clippy::unwrap_used, reason = "a broken vector file must fail the test")]

#[path = "common/fixed.rs"]
mod fixed;
#[path = "common/records.rs"]
mod records;

use ed25519_dalek::Signer;
use fixed::Fixed;
use hmac::{Hmac, KeyInit, Mac};
use records::{Record, records};
use serde_json::Value;
use sha2::Sha256;
use vitalward_crypto::{
    AeadKey, OpenFailed, Prk, Secret, elgamal, exchange, framed, identity, mac, pake::Pake, public_mac,
    purpose::*, sha256, verify_mac,
};

#[test]
fn hkdf_rfc_5869() {
    for case in records(include_str!("vectors/rfc5869.txt")) {
        let (prk, hkdf) = hkdf::Hkdf::<Sha256>::extract(Some(&bytes(&case, "salt")), &bytes(&case, "IKM"));
        assert_eq!(prk.as_slice(), bytes(&case, "PRK"));
        let mut okm = vec![0; case["L"].parse().unwrap()];
        hkdf.expand(&bytes(&case, "info"), &mut okm).unwrap();
        assert_eq!(okm, bytes(&case, "OKM"));
    }
}

#[test]
fn hmac_rfc_4231() {
    for case in records(include_str!("vectors/rfc4231.txt")) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&bytes(&case, "Key")).unwrap();
        mac.update(&bytes(&case, "Msg"));
        assert_eq!(mac.finalize().into_bytes().as_slice(), bytes(&case, "MD"));
    }
}

#[test]
fn everything_framed_matches_python() {
    let cases: Value = serde_json::from_str(include_str!("vectors/framing_kat.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let field = |name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
        let purpose = case["purpose"].as_str().unwrap();
        let parts: Vec<_> = case["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| hex::decode(part.as_str().unwrap()).unwrap())
            .collect();
        let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        let key = Secret::<MacKey>::new(field("key").try_into().unwrap());

        assert_eq!(framed(purpose, &parts), field("framed"));
        assert_eq!(sha256(purpose, &parts).as_slice(), field("sha256"));
        assert_eq!(mac(&key, purpose, &parts).as_slice(), field("mac"));
        assert_eq!(public_mac(key.expose(), purpose, &parts).as_slice(), field("mac"));
        assert_eq!(verify_mac(&key, purpose, &parts, &field("mac")), Ok(()));

        let prk = Prk::extract(&field("salt"), &parts);
        let expanded = |prk: Prk| prk.expand::<TrafficKey, 80>(purpose, &parts).expose().to_vec();
        assert_eq!(expanded(prk.chain(&field("salt"))), field("chained"));
        assert_eq!(expanded(prk), field("expanded"));
        assert_eq!(expanded(Prk::from_secret(&key)), field("ratcheted"));
    }
}

#[test]
fn aes_256_gcm_nist() {
    for case in records(include_str!("vectors/gcm256.rsp")) {
        let key = AeadKey::new(&Secret::<TrafficKey>::new(array(&case, "Key")));
        let (nonce, aad, plaintext) = (array(&case, "IV"), bytes(&case, "AAD"), bytes(&case, "PT"));
        let sealed = [bytes(&case, "CT"), bytes(&case, "Tag")].concat();
        assert_eq!(key.seal(&nonce, &aad, &plaintext).unwrap(), sealed);
        assert_eq!(key.open(&nonce, &aad, &sealed).unwrap(), plaintext);
        assert_eq!(key.open(&nonce, &aad, &sealed[..sealed.len() - 1]), Err(OpenFailed));
    }
}

#[test]
fn x25519_rfc_7748() {
    let x25519 = |scalar: &[u8], u: &[u8]| {
        *exchange::Ephemeral::generate(&mut Fixed(scalar)).agree(u).unwrap().expose()
    };
    for case in records(include_str!("vectors/rfc7748.txt")) {
        assert_eq!(
            x25519(&bytes(&case, "INPUT_SCALAR"), &bytes(&case, "INPUT_U")).as_slice(),
            bytes(&case, "OUTPUT_U")
        );
    }
    // Section 5.2, a thousand times; the public share is the scalar times nine, as the first round shows.
    let mut nine = [0; 32];
    nine[0] = 9;
    let (mut k, mut u) = (nine, nine);
    assert_eq!(exchange::Ephemeral::generate(&mut Fixed(&k)).public(), x25519(&k, &u));
    for _ in 0..1000 {
        (k, u) = (x25519(&k, &u), k);
    }
    assert_eq!(hex::encode(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

#[test]
fn ed25519_rfc_8032() {
    for line in include_str!("vectors/rfc8032.input").lines() {
        let fields: Vec<_> = line.split(':').map(|field| hex::decode(field).unwrap()).collect();
        let [pair, public, message, signed, _] = fields.as_slice() else { panic!("five fields") };
        let key = identity::SigningKey::from_secret(&Secret::new(pair[..32].try_into().unwrap()));
        assert_eq!(key.verifying_key().to_bytes().as_slice(), public);
        let dalek = ed25519_dalek::SigningKey::from_bytes(key.to_secret().expose());
        assert_eq!(dalek.sign(message).to_bytes(), signed[..64]);
        // Ours is the same over the framed message.
        let ours = key.sign("purpose", &[message]);
        assert_eq!(ours.to_bytes(), dalek.sign(&framed("purpose", &[message])).to_bytes());
        assert_eq!(key.verifying_key().verify("purpose", &[message], &ours), Ok(()));
    }
}

#[test]
fn elgamal_signatures_match_python() {
    let kat: Value = serde_json::from_str(include_str!("vectors/elgamal_kat.json")).unwrap();
    for case in kat["signatures"].as_array().unwrap() {
        let field = |name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
        let key = elgamal::SigningKey::from_secret(&Secret::new(field("x").try_into().unwrap())).unwrap();
        assert_eq!(key.verifying_key().to_bytes().as_slice(), field("y"));
        assert_eq!(elgamal::VerifyingKey::from_bytes(&field("y")).unwrap(), *key.verifying_key());

        let (role, key_ids, message) = (case["role"].as_str().unwrap(), field("key_ids"), field("message"));
        let signature = key.sign(role, &key_ids, &message, &mut Fixed(&field("fresh")));
        assert_eq!(signature.to_bytes().as_slice(), field("signature"));
        let read = elgamal::Signature::from_bytes(&field("signature")).unwrap();
        assert_eq!(key.verifying_key().verify(role, &key_ids, &message, &read), Ok(()));
    }
}

#[test]
fn elgamal_kem_matches_python() {
    let kat: Value = serde_json::from_str(include_str!("vectors/elgamal_kat.json")).unwrap();
    for case in kat["kem"].as_array().unwrap() {
        let field = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
        let [a, b] =
            [0, 1].map(|side| elgamal::kem::Ephemeral::generate(&mut Fixed(&field(&case["random"][side]))));
        assert_eq!(a.public().as_slice(), field(&case["public"][0]));
        assert_eq!(b.public().as_slice(), field(&case["public"][1]));
        let shares = (a.public(), b.public());
        assert_eq!(a.agree(&shares.1).unwrap().expose().as_slice(), field(&case["shared"]));
        assert_eq!(b.agree(&shares.0).unwrap().expose().as_slice(), field(&case["shared"]));
    }
}

#[test]
fn pake_matches_python() {
    let cases: Value = serde_json::from_str(include_str!("vectors/pake_kat.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let field = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
        let password = field(&case["password"]);
        let [id_a, id_b] = [0, 1].map(|side| field(&case["identities"][side]));
        let (a, to_b) = Pake::start_a(&mut Fixed(&field(&case["random"][0])), &password, &id_a, &id_b);
        let (b, to_a) = Pake::start_b(&mut Fixed(&field(&case["random"][1])), &password, &id_a, &id_b);
        assert_eq!([&to_b, &to_a], [&field(&case["messages"][0]), &field(&case["messages"][1])]);
        assert_eq!(a.finish(&to_a).unwrap().expose().as_slice(), field(&case["key"]));
        assert_eq!(b.finish(&to_b).unwrap().expose().as_slice(), field(&case["key"]));
    }
}

fn bytes(case: &Record<'_>, name: &str) -> Vec<u8> {
    hex::decode(case[name]).unwrap()
}

fn array<const N: usize>(case: &Record<'_>, name: &str) -> [u8; N] {
    bytes(case, name).try_into().unwrap()
}
