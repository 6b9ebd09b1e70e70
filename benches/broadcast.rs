//! A broadcast at the gateway: sealed once, the same bytes handed to N members; and what a departure costs: a fresh key,
//! wrapped for N members.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot set itself up has nothing to measure"
)]

use std::sync::Arc;

use benches::{
    cpu_time::{CpuTime, criterion},
    parties::{NOW, alert, group_of},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crypto::aead::TAG_LEN;
use protocol::{frame::HEADER_LEN, group::GroupOwner};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const MEMBERS: [usize; 5] = [1, 10, 100, 1_000, 10_000];

fn of_each_size(mut work: impl FnMut(usize, GroupOwner, ChaCha20Rng)) {
    for members in MEMBERS {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        work(members, group_of(members, &mut rng), rng);
    }
}

fn broadcasts(c: &mut Criterion<CpuTime>) {
    let alert = alert();
    let mut group = c.benchmark_group("broadcast, seal and hand out");
    of_each_size(|members, mut owner, mut rng| {
        let frame = owner.seal(&alert, NOW.mono, &mut rng).unwrap().frame;
        group.throughput(bytes(members, frame.len()));
        group.bench_function(BenchmarkId::new("ours", members_of(members)), |b| {
            b.iter(|| {
                let sealed = owner.seal(&alert, NOW.mono, &mut rng).unwrap();
                let frame: Arc<[u8]> = sealed.frame.into();
                sealed.members.iter().map(|_| Arc::clone(&frame)).collect::<Vec<_>>()
            });
        });
    });
}

fn departures(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("group re-key");
    of_each_size(|members, mut owner, mut rng| {
        let key = postcard::to_allocvec(&owner.rekey(NOW.mono, &mut rng)[0].key).unwrap();
        group.throughput(bytes(members, HEADER_LEN + key.len() + TAG_LEN));
        group.bench_function(BenchmarkId::new("ours", members_of(members)), |b| {
            b.iter(|| owner.rekey(NOW.mono, &mut rng));
        });
    });
}

fn bytes(members: usize, each: usize) -> Throughput {
    Throughput::Bytes(u64::try_from(members * each).unwrap())
}

fn members_of(count: usize) -> String {
    if count == 1 { "1 member".into() } else { format!("{count} members") }
}

criterion_group!(name = benches; config = criterion(); targets = broadcasts, departures);
criterion_main!(benches);
