//! ElGamal signatures and KEM: ours, and for comparison the textbook's signatures and the other groups of RFC 7919.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::hint::black_box;

use benches::{
    cpu_time::{CpuTime, criterion},
    groups,
    lab::Textbook,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::elgamal::{SigningKey, kem::Ephemeral};
use crypto_bigint::{
    Odd, U384, U2048, U3072, U4096, Uint,
    modular::{FixedMontyForm, FixedMontyParams},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

const MESSAGE: [u8; 64] = [7; 64];
const OURS: &str = "p 3072, q 256";
const SIZES: [u32; 3] = [2048, 3072, 4096];

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn keygen(c: &mut Criterion<CpuTime>) {
    let mut rng = rng();
    let mut group = c.benchmark_group("ElGamal keygen");
    group.throughput(Throughput::Bytes(384));
    group.bench_function(BenchmarkId::new("ours", OURS), |b| b.iter(|| SigningKey::generate(&mut rng)));
    for bits in SIZES {
        let mut key = Textbook::generate(bits, &mut rng);
        group.throughput(Throughput::Bytes(key.element_len()));
        group.bench_function(BenchmarkId::new("textbook", format!("ffdhe{bits}")), |b| {
            b.iter(|| key.renew(&mut rng));
        });
    }
}

fn sign(c: &mut Criterion<CpuTime>) {
    let mut rng = rng();
    let key = SigningKey::generate(&mut rng);
    let mut group = c.benchmark_group("ElGamal sign");
    group.throughput(Throughput::Bytes(416));
    group.bench_function(BenchmarkId::new("ours", OURS), |b| {
        b.iter(|| key.sign("bench", b"ids", black_box(&MESSAGE), &mut rng));
    });
    for bits in SIZES {
        let key = Textbook::generate(bits, &mut rng);
        group.throughput(Throughput::Bytes(2 * key.element_len()));
        group.bench_function(BenchmarkId::new("textbook", format!("ffdhe{bits}")), |b| {
            b.iter(|| key.sign(black_box(&MESSAGE), &mut rng));
        });
    }
}

fn verify(c: &mut Criterion<CpuTime>) {
    let mut rng = rng();
    let key = SigningKey::generate(&mut rng);
    let signature = key.sign("bench", b"ids", &MESSAGE, &mut rng);
    let mut group = c.benchmark_group("ElGamal verify");
    group.throughput(Throughput::Bytes(416));
    group.bench_function(BenchmarkId::new("ours", OURS), |b| {
        b.iter(|| key.verifying_key().verify("bench", b"ids", black_box(&MESSAGE), &signature));
    });
    for bits in SIZES {
        let key = Textbook::generate(bits, &mut rng);
        let signature = key.sign(&MESSAGE, &mut rng);
        group.throughput(Throughput::Bytes(2 * key.element_len()));
        group.bench_function(BenchmarkId::new("textbook", format!("ffdhe{bits}")), |b| {
            b.iter(|| key.verify(black_box(&MESSAGE), &signature));
        });
    }
}

fn kem(c: &mut Criterion<CpuTime>) {
    let mut rng = rng();
    let peer = Ephemeral::generate(&mut rng).public();
    let mut group = c.benchmark_group("ElGamal KEM, one side");
    group.throughput(Throughput::Bytes(384));
    group.bench_function(BenchmarkId::new("ours", "ffdhe3072"), |b| {
        b.iter(|| Ephemeral::generate(&mut rng).agree(black_box(&peer)).unwrap());
    });
    group.finish();
    kem_in::<{ U2048::LIMBS }>(c, 2048);
    kem_in::<{ U3072::LIMBS }>(c, 3072);
    kem_in::<{ U4096::LIMBS }>(c, 4096);
}

/// A fresh share, and the secret shared with a peer, with crypto-bigint in constant time and RFC 7919's exponent length.
fn kem_in<const LIMBS: usize>(c: &mut Criterion<CpuTime>, bits: u32) {
    let modulus = Uint::<LIMBS>::from_be_hex(&format!("{:x}", groups::ffdhe(bits)));
    let params = FixedMontyParams::new(Odd::new(modulus).unwrap());
    let two = FixedMontyForm::new(&Uint::from_u8(2), &params);
    let length = groups::exponent_bits(bits);
    let mut rng = rng();
    let mut exponent = || {
        let mut bytes = [0; 48];
        rng.fill_bytes(&mut bytes);
        U384::from_be_slice(&bytes) >> (384 - length)
    };
    let peer = two.pow_bounded_exp(&exponent(), length).retrieve();
    c.benchmark_group("ElGamal KEM, one side")
        .throughput(Throughput::Bytes(u64::from(bits / 8)))
        .bench_function(BenchmarkId::new("crypto-bigint", format!("ffdhe{bits}")), |b| {
            b.iter(|| {
                let own = exponent();
                let share = two.pow_bounded_exp(&own, length).retrieve();
                let peer = FixedMontyForm::new(black_box(&peer), &params);
                (share, peer.pow_bounded_exp(&own, length).retrieve())
            });
        });
}

criterion_group!(name = benches; config = criterion(); targets = keygen, sign, verify, kem);
criterion_main!(benches);
