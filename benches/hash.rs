//! Hashes, MACs and key derivation, over the framed input of the protocol.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::hint::black_box;

use aws_lc_rs::{digest, hmac};
use benches::{
    cpu_time::{CpuTime, criterion},
    reference,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{
    Prk, Secret, framed,
    purpose::{MacKey, TrafficKey},
    sha256,
};

const SIZES: [usize; 4] = [64, 256, 1024, 16 * 1024];

fn sha_256(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("SHA-256");
    for size in SIZES {
        let message = vec![7; size];
        let framed = framed("bench", &[&message]);
        group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
        group.bench_function(BenchmarkId::new("ours", size), |b| {
            b.iter(|| sha256("bench", &[black_box(&message)]));
        });
        group.bench_function(BenchmarkId::new("aws-lc-rs", size), |b| {
            b.iter(|| digest::digest(&digest::SHA256, black_box(&framed)));
        });
    }
}

fn hmac_sha256(c: &mut Criterion<CpuTime>) {
    let key = Secret::<MacKey>::new([1; 32]);
    let mut group = c.benchmark_group("HMAC-SHA256");
    for size in SIZES {
        let message = vec![7; size];
        let framed = framed("bench", &[&message]);
        group.throughput(Throughput::Bytes(u64::try_from(size).unwrap()));
        group.bench_function(BenchmarkId::new("ours", size), |b| {
            b.iter(|| crypto::mac(&key, "bench", &[black_box(&message)]));
        });
        group.bench_function(BenchmarkId::new("aws-lc-rs", size), |b| {
            b.iter(|| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), black_box(&framed)));
        });
    }
}

/// As the login does it: a 384-byte secret and the exporter in, one key out.
fn hkdf_sha256(c: &mut Criterion<CpuTime>) {
    let (salt, secret, exporter) = ([1; 32], [2; 384], [3; 32]);
    let ikm = [&384_u32.to_be_bytes(), &secret[..], &32_u32.to_be_bytes(), &exporter].concat();
    let info = framed("c2g", &[&salt]);
    let mut group = c.benchmark_group("HKDF-SHA256");
    group.throughput(Throughput::Bytes(u64::try_from(ikm.len()).unwrap()));
    group.bench_function(BenchmarkId::new("ours", "one key"), |b| {
        b.iter(|| -> Secret<TrafficKey> {
            Prk::extract(black_box(&salt), &[&secret, &exporter]).expand("c2g", &[&salt])
        });
    });
    group.bench_function(BenchmarkId::new("aws-lc-rs", "one key"), |b| {
        b.iter(|| reference::hkdf(black_box(&salt), &ikm, &info));
    });
}

criterion_group!(name = benches; config = criterion(); targets = sha_256, hmac_sha256, hkdf_sha256);
criterion_main!(benches);
