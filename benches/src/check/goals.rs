//! The goals that are ratios. 256-bit and 320-bit exponentiations are AWS-LC's own, constant time, modulo 3072 bits.

use std::hint::black_box;

use crypto::{
    AeadKey, Prk, Secret, elgamal, framed,
    identity::SigningKey,
    purpose::{MacKey, TrafficKey},
    sha256,
};
use protocol::credential::Suite;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use sha2::{Digest, Sha512};

use super::{Operation, Ratio, Sides};
use crate::{aws_lc::ModExp, parties::Parties, reference};

const MESSAGE: [u8; 64] = [7; 64];
const KEY_IDS: [u8; 32] = [8; 32];
const NONCE: [u8; 12] = [0; 12];

pub(super) fn ratios() -> Vec<Ratio> {
    let goals: [(_, _, fn() -> Sides); 11] = [
        ("variable-base exponentiation", 1.1, exponentiation),
        ("ElGamal sign", 0.30, sign),
        ("ElGamal verify", 1.25, verify),
        ("KEM, both sides", 1.4, kem),
        ("Ed25519 verify", 1.1, ed25519_verify),
        ("AES-256-GCM seal, 256 B", 1.1, seal),
        ("AES-256-GCM open, 256 B", 1.1, open),
        ("HKDF", 1.1, hkdf),
        ("full login, the gateway's side", 3.3, full_login),
        ("resumed login, the gateway's side", 0.1, resumed_login_at_gateway),
        ("resumed login, both sides", 0.1, resumed_login),
    ];
    goals.into_iter().map(|(name, limit, sides)| Ratio { name, limit, sides }).collect()
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(3)
}

fn times(count: u32, mut exponentiation: ModExp) -> Operation {
    Operation::new(move || (0..count).for_each(|_| exponentiation.run()))
}

fn exponentiation() -> Sides {
    let (mut prepared, mut rng) = (rng(), rng());
    let peer = elgamal::kem::Ephemeral::generate(&mut rng).public();
    Sides {
        subject: Operation::prepared(
            move || elgamal::kem::Ephemeral::generate(&mut prepared),
            move |own| own.agree(&peer).unwrap(),
        ),
        reference: times(1, reference::exponentiation_320()),
        reference_name: "one 320-bit exponentiation",
        on_top: None,
    }
}

fn sign() -> Sides {
    let mut rng = rng();
    let key = elgamal::SigningKey::generate(&mut rng);
    let public = key.verifying_key().to_bytes();
    let r = reference::bytes(elgamal::params::G);
    Sides {
        subject: Operation::new(move || key.sign("login", &KEY_IDS, black_box(&MESSAGE), &mut rng)),
        reference: times(1, reference::exponentiation_256()),
        reference_name: "one 256-bit exponentiation",
        on_top: Some(("hashing", Operation::new(move || hashing_of_a_signature(&public, &r)))),
    }
}

/// What a signature hashes: the digest for the nonce, the seven HMACs of its DRBG, the challenge.
fn hashing_of_a_signature(public: &[u8], r: &[u8]) -> ([[u8; 32]; 7], [u8; 64]) {
    let parts: [&[u8]; 4] = [b"login", &KEY_IDS, public, &MESSAGE];
    let digest = sha256("elgamal/nonce", black_box(&parts));
    let key = Secret::<MacKey>::new(digest);
    let macs = [32 + 1 + 96, 32, 32 + 1 + 96, 32, 32, 32 + 1, 32].map(|length: usize| {
        let input = [0; 129];
        crypto::mac(&key, "", &[black_box(&input[..length])])
    });
    let challenge = framed("elgamal", &[b"login", &KEY_IDS, public, black_box(r), &MESSAGE]);
    (macs, Sha512::digest(challenge).into())
}

fn verify() -> Sides {
    let mut rng = rng();
    let key = elgamal::SigningKey::generate(&mut rng);
    let signature = key.sign("login", &KEY_IDS, &MESSAGE, &mut rng);
    let verifying = key.verifying_key().clone();
    Sides {
        subject: Operation::new(move || {
            verifying.verify("login", &KEY_IDS, black_box(&MESSAGE), &signature).unwrap();
        }),
        reference: times(1, reference::exponentiation_256()),
        reference_name: "one 256-bit exponentiation",
        on_top: None,
    }
}

fn kem() -> Sides {
    let mut rng = rng();
    Sides {
        subject: Operation::new(move || {
            let [ours, theirs] = [(); 2].map(|()| elgamal::kem::Ephemeral::generate(&mut rng));
            let shares = [ours.public(), theirs.public()];
            (ours.agree(&shares[1]).unwrap(), theirs.agree(&shares[0]).unwrap())
        }),
        reference: times(2, reference::exponentiation_320()),
        reference_name: "two 320-bit exponentiations",
        on_top: None,
    }
}

/// Over several keys, because verification takes as long as its numbers ask for.
fn ed25519_verify() -> Sides {
    let mut rng = rng();
    let message = framed("bench", &[&MESSAGE]);
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..16)
        .map(|_| {
            let key = SigningKey::generate(&mut rng);
            let (verifying, signature) = (key.verifying_key(), key.sign("bench", &[&MESSAGE]));
            let parsed = reference::ed25519(&verifying.to_bytes());
            ((verifying, signature), (parsed, signature.to_bytes()))
        })
        .unzip();
    Sides {
        subject: in_turn(ours, |(key, signature)| {
            key.verify("bench", &[black_box(&MESSAGE)], signature).unwrap();
        }),
        reference: in_turn(theirs, move |(key, signature)| {
            key.verify_sig(black_box(&message), signature).unwrap();
        }),
        reference_name: "aws-lc-rs",
        on_top: None,
    }
}

fn in_turn<T: 'static>(inputs: Vec<T>, work: impl Fn(&T) + 'static) -> Operation {
    let mut turn = 0;
    Operation::new(move || {
        turn = (turn + 1) % inputs.len();
        work(&inputs[turn]);
    })
}

fn gcm() -> (AeadKey, reference::Gcm, [u8; 256]) {
    let key = Secret::<TrafficKey>::generate(&mut rng());
    (AeadKey::new(&key), reference::Gcm::new(key.expose()), [7; 256])
}

fn seal() -> Sides {
    let (ours, theirs, plaintext) = gcm();
    Sides {
        subject: Operation::new(move || ours.seal(&NONCE, b"", black_box(&plaintext)).unwrap()),
        reference: Operation::new(move || theirs.seal(&NONCE, b"", black_box(&plaintext))),
        reference_name: "aws-lc-rs",
        on_top: None,
    }
}

fn open() -> Sides {
    let (ours, theirs, plaintext) = gcm();
    let sealed = ours.seal(&NONCE, b"", &plaintext).unwrap();
    let same = sealed.clone();
    Sides {
        subject: Operation::new(move || ours.open(&NONCE, b"", black_box(&sealed)).unwrap()),
        reference: Operation::new(move || theirs.open(&NONCE, b"", black_box(&same))),
        reference_name: "aws-lc-rs",
        on_top: None,
    }
}

/// As the login does it: a 384-byte secret and the exporter in, one key out.
fn hkdf() -> Sides {
    let (salt, secret, exporter) = ([1; 32], [2; 384], [3; 32]);
    let ikm = [&384_u32.to_be_bytes(), &secret[..], &32_u32.to_be_bytes(), &exporter].concat();
    let info = framed("c2g", &[&salt]);
    let derive = move || -> Secret<TrafficKey> {
        Prk::extract(black_box(&salt), &[&secret, &exporter]).expand("c2g", &[&salt])
    };
    assert_eq!(derive().expose(), &reference::hkdf(&salt, &ikm, &info));
    Sides {
        subject: Operation::new(derive),
        reference: Operation::new(move || reference::hkdf(black_box(&salt), &ikm, &info)),
        reference_name: "aws-lc-rs",
        on_top: None,
    }
}

fn full_login() -> Sides {
    let mut parties = Parties::new(Suite::Patient);
    Sides {
        subject: Operation::self_timed(move || parties.log_in().gateway),
        reference: times(1, reference::exponentiation_256()),
        reference_name: "one 256-bit exponentiation",
        on_top: None,
    }
}

fn resumed_login_at_gateway() -> Sides {
    let [mut full, mut resumed] = [(); 2].map(|()| Parties::new(Suite::Patient));
    let session = resumed.log_in();
    Sides {
        subject: Operation::self_timed(move || resumed.resume(&session).gateway),
        reference: Operation::self_timed(move || full.log_in().gateway),
        reference_name: "a full one",
        on_top: None,
    }
}

fn resumed_login() -> Sides {
    let [mut full, mut resumed] = [(); 2].map(|()| Parties::new(Suite::Patient));
    let session = resumed.log_in();
    Sides {
        subject: Operation::new(move || resumed.resume(&session)),
        reference: Operation::new(move || full.log_in()),
        reference_name: "a full one",
        on_top: None,
    }
}
