//! One exponentiation modulo 3072 bits by every backend: the base varies, the exponent is secret (except in num-bigint,
//! which is not constant time).

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::hint::black_box;

use benches::{
    aws_lc::ModExp,
    cpu_time::{CpuTime, criterion},
    reference,
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::elgamal::{kem::Ephemeral, params};
use crypto_bigint::{U3072, Uint, const_monty_params, modular::ConstMontyForm};
use num_bigint::BigUint;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const_monty_params!(Ffdhe, U3072, params::FFDHE3072, "Integers modulo ffdhe3072's p.");

fn powers(c: &mut Criterion<CpuTime>) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let peer = Ephemeral::generate(&mut rng).public();
    let mut group = c.benchmark_group("power modulo 3072 bits");
    group.throughput(Throughput::Bytes(384));
    group.bench_function(BenchmarkId::new("ours", "320-bit exponent"), |b| {
        b.iter_batched(
            || Ephemeral::generate(&mut rng),
            |own| own.agree(black_box(&peer)).unwrap(),
            BatchSize::SmallInput,
        );
    });
    for length in [32, 40] {
        let name = format!("{}-bit exponent", 8 * length);
        let exponent = vec![0xa5; length];
        let mut power = ModExp::new(&peer, &exponent, &reference::bytes(params::FFDHE3072));
        group.bench_function(BenchmarkId::new("aws-lc", &name), |b| b.iter(|| power.run()));

        let base = ConstMontyForm::<Ffdhe, { U3072::LIMBS }>::new(&U3072::from_be_slice(&peer));
        let bits = u32::try_from(8 * length).unwrap();
        let secret = Uint::<5>::from_be_hex(&format!("{:0>80}", "a5".repeat(length)));
        group.bench_function(BenchmarkId::new("crypto-bigint", &name), |b| {
            b.iter(|| black_box(&base).pow_bounded_exp(&secret, bits).retrieve());
        });

        let [base, exponent, modulus] =
            [&peer[..], &exponent, &reference::bytes(params::FFDHE3072)].map(BigUint::from_bytes_be);
        group.bench_function(BenchmarkId::new("num-bigint", &name), |b| {
            b.iter(|| black_box(&base).modpow(&exponent, &modulus));
        });
    }
}

criterion_group!(name = benches; config = criterion(); targets = powers);
criterion_main!(benches);
