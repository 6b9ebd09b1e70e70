//! Ed25519, X25519, ML-KEM-768 and the PAKE.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::hint::black_box;

use aws_lc_rs::{
    agreement, kem,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use benches::{
    cpu_time::{CpuTime, criterion},
    reference,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{exchange::Ephemeral, framed, identity::SigningKey, pake::Pake};
use ml_kem::{Decapsulate, Encapsulate, Kem, MlKem768};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const MESSAGE: [u8; 64] = [7; 64];

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

/// Benches the same operation by two, under one name and size in bytes.
fn pair<T, U>(
    c: &mut Criterion<CpuTime>,
    (operation, bytes): (&str, u64),
    (ours, mut our_work): (&str, impl FnMut() -> T),
    mut reference: impl FnMut() -> U,
) {
    let mut group = c.benchmark_group(operation);
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function(BenchmarkId::from_parameter(ours), |b| b.iter(&mut our_work));
    group.bench_function(BenchmarkId::from_parameter("aws-lc-rs"), |b| b.iter(&mut reference));
}

fn ed25519(c: &mut Criterion<CpuTime>) {
    let key = SigningKey::generate(&mut rng());
    let same = Ed25519KeyPair::from_seed_unchecked(key.to_secret().expose()).unwrap();
    assert_eq!(same.public_key().as_ref(), key.verifying_key().to_bytes());
    let message = framed("bench", &[&MESSAGE]);
    pair(c, ("Ed25519 sign", 64), ("ours", || key.sign("bench", &[black_box(&MESSAGE)])), || {
        same.sign(black_box(&message))
    });
    let signature = key.sign("bench", &[&MESSAGE]);
    let (verifying, wire) = (key.verifying_key(), signature.to_bytes());
    let parsed = reference::ed25519(&verifying.to_bytes());
    pair(
        c,
        ("Ed25519 verify", 64),
        ("ours", || verifying.verify("bench", &[black_box(&MESSAGE)], &signature).unwrap()),
        || parsed.verify_sig(black_box(&message), &wire).unwrap(),
    );
}

fn x25519(c: &mut Criterion<CpuTime>) {
    let mut rng = rng();
    let peer = Ephemeral::generate(&mut rng).public();
    let system = SystemRandom::new();
    let parsed = agreement::UnparsedPublicKey::new(&agreement::X25519, peer);
    pair(
        c,
        ("X25519, one side", 32),
        ("ours", || Ephemeral::generate(&mut rng).agree(black_box(&peer)).unwrap()),
        || {
            let own = agreement::EphemeralPrivateKey::generate(&agreement::X25519, &system).unwrap();
            let share = own.compute_public_key().unwrap();
            let secret = agreement::agree_ephemeral(own, parsed, (), |secret| {
                Ok::<_, ()>(<[u8; 32]>::try_from(secret).unwrap())
            });
            (share, secret)
        },
    );
}

fn ml_kem_768(c: &mut Criterion<CpuTime>) {
    let mut rng = rng();
    pair(
        c,
        ("ML-KEM-768 keygen", 1184),
        ("ml-kem", || MlKem768::generate_keypair_from_rng(&mut rng)),
        || kem::DecapsulationKey::generate(&kem::ML_KEM_768).unwrap(),
    );
    let (secret, public) = MlKem768::generate_keypair_from_rng(&mut rng);
    let their_secret = kem::DecapsulationKey::generate(&kem::ML_KEM_768).unwrap();
    let their_public = their_secret.encapsulation_key().unwrap();
    pair(c, ("ML-KEM-768 encapsulate", 1088), ("ml-kem", || public.encapsulate_with_rng(&mut rng)), || {
        their_public.encapsulate().unwrap()
    });
    let (ciphertext, _) = public.encapsulate_with_rng(&mut rng);
    let (their_ciphertext, _) = their_public.encapsulate().unwrap();
    let their_ciphertext = their_ciphertext.as_ref().to_vec();
    pair(
        c,
        ("ML-KEM-768 decapsulate", 1088),
        ("ml-kem", || secret.decapsulate(black_box(&ciphertext))),
        || their_secret.decapsulate(their_ciphertext.as_slice().into()).unwrap(),
    );
}

fn pake(c: &mut Criterion<CpuTime>) {
    let mut rng = rng();
    let (_, message) = Pake::start_b(&mut rng, b"ABCDEF", b"client", b"gateway");
    c.benchmark_group("SPAKE2, one side")
        .throughput(Throughput::Bytes(u64::try_from(message.len()).unwrap()))
        .bench_function(BenchmarkId::from_parameter("ours"), |b| {
            b.iter(|| {
                let (state, _) = Pake::start_a(&mut rng, b"ABCDEF", b"client", b"gateway");
                state.finish(black_box(&message)).unwrap()
            });
        });
}

criterion_group!(name = benches; config = criterion(); targets = ed25519, x25519, ml_kem_768, pake);
criterion_main!(benches);
