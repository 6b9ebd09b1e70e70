//! A broadcast at the gateway: sealed once, the same bytes handed to N members; and what a departure costs: a fresh key,
//! wrapped for N members.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::sync::Arc;

use benches::{alert, group_of};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use protocol::time::Monotonic;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const MEMBERS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const NOW: Monotonic = Monotonic(0);

fn broadcasts(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let alert = alert();
    let mut group = c.benchmark_group("broadcast");
    group.sample_size(20);
    for members in MEMBERS {
        let mut owner = group_of(members, &mut rng);
        group.bench_with_input(BenchmarkId::new("seal and hand out", members), &members, |b, _| {
            b.iter(|| {
                let sealed = owner.seal(&alert, NOW, &mut rng).unwrap();
                let frame: Arc<[u8]> = sealed.frame.into();
                sealed.members.iter().map(|_| Arc::clone(&frame)).collect::<Vec<_>>()
            });
        });
        let mut owner = group_of(members, &mut rng);
        group.bench_with_input(BenchmarkId::new("fresh key for all", members), &members, |b, _| {
            b.iter(|| owner.rekey(NOW, &mut rng));
        });
    }
    group.finish();
}

criterion_group!(benches, broadcasts);
criterion_main!(benches);
