//! What holds for every input: what is made is accepted, and what is changed anywhere is not.
#![cfg(all(feature = "ascon", feature = "elgamal", feature = "ml-kem", feature = "pake"))]

use proptest::{collection::vec, prelude::*, sample::Index};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vitalward_crypto::{
    AeadKey, OpenFailed, PakeFailed, Secret, elgamal, exchange, framed, identity, ml_kem, pake::Pake,
    purpose::TrafficKey,
};

fn short() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..64)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn framing_is_injective(a in vec(short(), 0..4), b in vec(short(), 0..4)) {
        let frame = |parts: &[Vec<u8>]| framed("p", &parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assert_eq!(frame(&a) == frame(&b), a == b);
    }

    #[test]
    fn aead_opens_what_it_sealed_and_nothing_else(
        key: [u8; 32], nonce: [u8; 16], aad in short(), plaintext in short(), at: Index, bit in 0..8u8
    ) {
        let half = Secret::<TrafficKey, 16>::new(*key.first_chunk().unwrap());
        for key in [AeadKey::new(&Secret::<TrafficKey>::new(key)), AeadKey::ascon(&half)] {
            let nonce = &nonce[..key.only_nonce().len()];
            let sealed = key.seal(nonce, &aad, &plaintext).unwrap();
            prop_assert_eq!(key.open(nonce, &aad, &sealed), Ok(plaintext.clone()));
            prop_assert_eq!(key.open(nonce, &aad, &flip(&sealed, at, bit)), Err(OpenFailed));
            prop_assert_eq!(key.open(nonce, &aad, &sealed[..at.index(sealed.len())]), Err(OpenFailed));
            prop_assert_eq!(key.open(nonce, &[&aad, &[0][..]].concat(), &sealed), Err(OpenFailed));
            prop_assert_eq!(key.open(&flip(nonce, at, bit), &aad, &sealed), Err(OpenFailed));
        }
    }

    #[test]
    fn ml_kem_agrees_only_over_what_was_sent(a: u64, b: u64, at: Index, bit in 0..8u8) {
        let ours = || ml_kem::Ephemeral::generate(&mut rng(a));
        let (ciphertext, shared) = ml_kem::encapsulate(&ours().public(), &mut rng(b)).unwrap();
        prop_assert_eq!(&ours().decapsulate(&ciphertext).unwrap(), &shared);
        prop_assert_ne!(&ours().decapsulate(&flip(&ciphertext, at, bit)).unwrap(), &shared);
        if let Ok((_, other)) = ml_kem::encapsulate(&flip(&ours().public(), at, bit), &mut rng(b)) {
            prop_assert_ne!(&other, &shared);
        }
    }

    #[test]
    fn ed25519_accepts_its_own_and_nothing_else(seed: u64, part in short(), other in short(), at: Index, bit in 0..8u8) {
        let key = identity::SigningKey::generate(&mut rng(seed));
        let verifying = identity::VerifyingKey::from_bytes(&key.verifying_key().to_bytes()).unwrap();
        let signature = key.sign("p", &[&part, &other]);
        prop_assert_eq!(verifying.verify("p", &[&part, &other], &signature), Ok(()));
        prop_assert!(verifying.verify("q", &[&part, &other], &signature).is_err());
        prop_assert!(verifying.verify("p", &[&part, &other, b""], &signature).is_err());
        let changed = identity::Signature::from_bytes(&flip(&signature.to_bytes(), at, bit)).unwrap();
        prop_assert!(verifying.verify("p", &[&part, &other], &changed).is_err());
        let stranger = identity::SigningKey::generate(&mut rng(seed.wrapping_add(1))).verifying_key();
        prop_assert!(stranger.verify("p", &[&part, &other], &signature).is_err());
    }

    #[test]
    fn x25519_agrees(a: u64, b: u64) {
        let (a, b) = (exchange::Ephemeral::generate(&mut rng(a)), exchange::Ephemeral::generate(&mut rng(b)));
        let shares = (a.public(), b.public());
        prop_assert_eq!(a.agree(&shares.1), b.agree(&shares.0));
    }

    #[test]
    fn pake_agrees_only_on_the_same_code_and_names(seed: u64, code in short(), name in short(), tail in vec(any::<u8>(), 1..4)) {
        let run = |code_b: &[u8], name_b: &[u8]| {
            let (a, to_b) = Pake::start_a(&mut rng(seed), &code, &name, b"gateway");
            let (b, to_a) = Pake::start_b(&mut rng(!seed), code_b, name_b, b"gateway");
            (a.finish(&to_a).unwrap(), b.finish(&to_b).unwrap())
        };
        let (a, b) = run(&code, &name);
        prop_assert_eq!(a, b);
        let (a, b) = run(&[&code[..], &tail].concat(), &name);
        prop_assert_ne!(a, b);
        let (a, b) = run(&code, &[&name[..], &tail].concat());
        prop_assert_ne!(a, b);
    }

    #[test]
    fn pake_refuses_what_is_no_message_of_the_other_side(seed: u64, garbage in vec(any::<u8>(), 0..40)) {
        let start = || Pake::start_a(&mut rng(seed), b"code", b"a", b"b");
        let own = start().1;
        prop_assert_eq!(start().0.finish(&own), Err(PakeFailed));
        prop_assert_eq!(start().0.finish(&own[1..]), Err(PakeFailed));
        if garbage.len() != own.len() {
            prop_assert_eq!(start().0.finish(&garbage), Err(PakeFailed));
        }
    }
}

proptest! {
    // Each case costs several exponentiations.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn elgamal_accepts_its_own_and_nothing_else(
        seed: u64, role in "[a-z]{0,8}", ids in short(), message in short(), at: Index, bit in 0..8u8
    ) {
        let key = elgamal::SigningKey::generate(&mut rng(seed));
        let verifying = elgamal::VerifyingKey::from_bytes(&key.verifying_key().to_bytes()).unwrap();
        let mut dynamic = rng(!seed);
        let dynamic: &mut dyn rand_core::CryptoRng = &mut dynamic;
        let signature = key.sign(&role, &ids, &message, dynamic);
        prop_assert_eq!(verifying.verify(&role, &ids, &message, &signature), Ok(()));

        let longer = [&message[..], &[0]].concat();
        prop_assert!(verifying.verify(&role, &ids, &longer, &signature).is_err());
        prop_assert!(verifying.verify(&role, &[&ids[..], &[0]].concat(), &message, &signature).is_err());
        prop_assert!(verifying.verify("Other", &ids, &message, &signature).is_err());
        let changed = elgamal::Signature::from_bytes(&flip(&signature.to_bytes(), at, bit));
        prop_assert!(changed.and_then(|changed| verifying.verify(&role, &ids, &message, &changed)).is_err());
        prop_assert_ne!(key.sign(&role, &ids, &message, dynamic), signature, "the nonce is hedged");
    }

    #[test]
    fn elgamal_keys_survive_the_store(seed: u64) {
        let key = elgamal::SigningKey::generate(&mut rng(seed));
        let again = elgamal::SigningKey::from_secret(&key.to_secret()).unwrap();
        prop_assert_eq!(again.verifying_key(), key.verifying_key());
    }

    #[test]
    fn elgamal_kem_agrees(a: u64, b: u64) {
        let [a, b] = [a, b].map(|seed| elgamal::kem::Ephemeral::generate(&mut rng(seed)));
        let shares = (a.public(), b.public());
        prop_assert_eq!(a.agree(&shares.1), b.agree(&shares.0));
    }
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn flip(bytes: &[u8], at: Index, bit: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    *at.get_mut(&mut changed) ^= 1 << bit;
    changed
}
