//! Making groups: the signature group from its sentence, and safe primes. Luck decides how long a prime takes, so the
//! spread is wide; crypto-primes works through the same seeds in every run, num-primes brings its own randomness and its
//! "n-bit" primes may be shorter.

use benches::{
    cpu_time::{CpuTime, criterion},
    groups,
};
use criterion::{
    BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use crypto_bigint::{RandomBits, RandomMod, U256, U512, U1024, UnsignedWithMontyForm};
use crypto_primes::{Flavor, random_prime};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// Seeds that one benchmark goes through.
const SEEDS: u64 = 10;

/// CI only asks whether the benches run; a large prime would take it longer than everything else.
fn is_smoke_test() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

fn signature_group(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("signature group");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(384));
    if !is_smoke_test() {
        group.bench_function(BenchmarkId::new("FIPS 186-4", "from the sentence"), |b| {
            b.iter(groups::signature_group);
        });
    }
    group.bench_function(BenchmarkId::new("FIPS 186-4", "check at its counter"), |b| {
        b.iter(groups::is_shipped_candidate);
    });
}

fn safe_primes(c: &mut Criterion<CpuTime>) {
    if is_smoke_test() {
        with_crypto_primes::<U256>(c, 64);
        return with_num_primes(c, 64);
    }
    with_crypto_primes::<U256>(c, 256);
    with_crypto_primes::<U512>(c, 512);
    with_crypto_primes::<U1024>(c, 1024);
    with_num_primes(c, 256);
}

fn with_crypto_primes<T: UnsignedWithMontyForm + RandomBits + RandomMod>(
    c: &mut Criterion<CpuTime>,
    bits: u32,
) {
    let mut seeds = (0..SEEDS).cycle();
    safe_prime(c, "crypto-primes", bits, move |b| {
        b.iter_batched(
            || ChaCha20Rng::seed_from_u64(seeds.next().unwrap_or_default()),
            |mut rng| random_prime::<T, _>(&mut rng, Flavor::Safe, bits),
            BatchSize::PerIteration,
        );
    });
}

fn with_num_primes(c: &mut Criterion<CpuTime>, bits: u32) {
    let size = usize::try_from(bits).unwrap_or_default();
    safe_prime(c, "num-primes", bits, move |b| b.iter(|| num_primes::Generator::safe_prime(size)));
}

fn safe_prime(
    c: &mut Criterion<CpuTime>,
    by: &str,
    bits: u32,
    work: impl FnMut(&mut criterion::Bencher<'_, CpuTime>),
) {
    let mut group = c.benchmark_group("safe prime");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .throughput(Throughput::Bytes(u64::from(bits / 8)));
    group.bench_function(BenchmarkId::new(by, format!("{bits} bits")), work);
}

criterion_group!(name = benches; config = criterion(); targets = signature_group, safe_primes);
criterion_main!(benches);
