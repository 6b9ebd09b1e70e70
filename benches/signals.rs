//! The wearable's signal processing: CPU time for each second of signal. 200 us are 5 000 times real time.

use benches::{
    cpu_time::{CpuTime, criterion},
    wearer::{Wearer, Worn},
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn one_second(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("1 s of signal");
    for (name, worn) in Worn::EACH {
        let mut wearer = Wearer::new(worn);
        group.bench_function(BenchmarkId::new("ours", name), |b| b.iter(|| wearer.seconds(1)));
    }
}

criterion_group!(name = benches; config = criterion(); targets = one_second);
criterion_main!(benches);
