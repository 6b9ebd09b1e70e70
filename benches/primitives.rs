//! Primitives one by one, as the protocol uses them.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{
    AeadKey, Secret, elgamal, exchange,
    identity::SigningKey,
    purpose::{Ed25519Key, TrafficKey},
    sha256,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const SIZES: [usize; 4] = [64, 256, 1024, 16 * 1024];

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn elgamal_signatures(c: &mut Criterion) {
    let mut rng = rng();
    let key = elgamal::SigningKey::generate(&mut rng);
    let signature = key.sign("bench", b"ids", b"message", &mut rng);
    let mut group = c.benchmark_group("ElGamal 3072/256");
    group.sample_size(20);
    group.bench_function("keygen", |b| b.iter(|| elgamal::SigningKey::generate(&mut rng)));
    group.bench_function("sign", |b| b.iter(|| key.sign("bench", b"ids", black_box(b"message"), &mut rng)));
    group.bench_function("verify", |b| {
        b.iter(|| key.verifying_key().verify("bench", b"ids", black_box(b"message"), &signature).unwrap());
    });
    group.finish();
}

fn elgamal_kem(c: &mut Criterion) {
    let mut rng = rng();
    let peer = elgamal::kem::Ephemeral::generate(&mut rng).public();
    let mut group = c.benchmark_group("ElGamal KEM ffdhe3072");
    group.sample_size(20);
    group.bench_function("one side", |b| {
        b.iter(|| elgamal::kem::Ephemeral::generate(&mut rng).agree(black_box(&peer)).unwrap());
    });
    group.finish();
}

fn curves(c: &mut Criterion) {
    let mut rng = rng();
    let key = SigningKey::from_secret(&Secret::<Ed25519Key>::generate(&mut rng));
    let signature = key.sign("bench", &[b"message"]);
    let verifying = key.verifying_key();
    c.bench_function("Ed25519/sign", |b| b.iter(|| key.sign("bench", &[black_box(b"message")])));
    c.bench_function("Ed25519/verify", |b| {
        b.iter(|| verifying.verify("bench", &[black_box(b"message")], &signature).unwrap());
    });
    let peer = exchange::Ephemeral::generate(&mut rng).public();
    c.bench_function("X25519/one side", |b| {
        b.iter(|| exchange::Ephemeral::generate(&mut rng).agree(black_box(&peer)).unwrap());
    });
}

fn symmetric(c: &mut Criterion) {
    let key = AeadKey::new(&Secret::<TrafficKey>::generate(&mut rng()));
    let mut group = c.benchmark_group("AES-256-GCM");
    for size in SIZES {
        let plaintext = vec![7; size];
        let ciphertext = key.seal(&[0; 12], b"", &plaintext).unwrap();
        group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
        group.bench_with_input(BenchmarkId::new("seal", size), &plaintext, |b, plaintext| {
            b.iter(|| key.seal(&[0; 12], b"", black_box(plaintext)).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("open", size), &ciphertext, |b, ciphertext| {
            b.iter(|| key.open(&[0; 12], b"", black_box(ciphertext)).unwrap());
        });
    }
    group.finish();
    let mut group = c.benchmark_group("SHA-256");
    for size in SIZES {
        let message = vec![7; size];
        group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
        group.bench_with_input(BenchmarkId::new("hash", size), &message, |b, message| {
            b.iter(|| sha256("bench", &[black_box(message)]));
        });
    }
    group.finish();
}

criterion_group!(benches, elgamal_signatures, elgamal_kem, curves, symmetric);
criterion_main!(benches);
