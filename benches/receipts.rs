//! Signatures of receipts from as many patients, checked one by one and in a batch. The batch is dalek's: cofactored and
//! not strict, so it accepts some signatures that the product refuses; it shows what batching would save.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use benches::cpu_time::{CpuTime, criterion};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{
    framed,
    identity::{Signature, SigningKey, VerifyingKey},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const COUNTS: [usize; 4] = [1, 10, 100, 1_000];
/// As long as a receipt's claim.
const CLAIM: [u8; 90] = [7; 90];

fn receipts(c: &mut Criterion<CpuTime>) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let signed: Vec<(VerifyingKey, Signature)> = (0..1_000)
        .map(|_| SigningKey::generate(&mut rng))
        .map(|key| (key.verifying_key(), key.sign("receipt", &[&CLAIM])))
        .collect();
    let message = framed("receipt", &[&CLAIM]);
    let mut group = c.benchmark_group("receipt signatures");
    for count in COUNTS {
        let receipts = || signed.iter().take(count);
        group.throughput(Throughput::Bytes(u64::try_from(64 * count).unwrap()));
        group.bench_function(BenchmarkId::new("one by one", count), |b| {
            b.iter(|| {
                for (key, signature) in receipts() {
                    key.verify("receipt", &[&CLAIM], signature).unwrap();
                }
            });
        });
        let messages = vec![&message[..]; count];
        let signatures: Vec<_> =
            receipts().map(|(_, s)| ed25519_dalek::Signature::from_bytes(&s.to_bytes())).collect();
        let keys: Vec<_> = receipts()
            .map(|(k, _)| ed25519_dalek::VerifyingKey::from_bytes(&k.to_bytes()).unwrap())
            .collect();
        group.bench_function(BenchmarkId::new("in a batch", count), |b| {
            b.iter(|| ed25519_dalek::verify_batch(&messages, &signatures, &keys).unwrap());
        });
    }
}

criterion_group!(name = benches; config = criterion(); targets = receipts);
criterion_main!(benches);
