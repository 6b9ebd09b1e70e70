//! Logins, both sides in one thread and the gateway's side alone, without sockets and TLS.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::time::Duration;

use benches::{
    cpu_time::{CpuTime, criterion},
    parties::{LoggedIn, Parties},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use protocol::credential::Suite;

const SUITES: [(&str, Suite); 4] = [
    ("patient, suite 1", Suite::Patient),
    ("wearable, suite 2", Suite::Wearable),
    ("wearable, suite 3", Suite::Ascon),
    ("wearable, suite 4", Suite::Hybrid),
];

fn full(c: &mut Criterion<CpuTime>) {
    for (name, suite) in SUITES {
        let mut parties = Parties::new(suite);
        login(c, ["full login, both sides", "full login, the gateway's side"], name, || parties.log_in());
    }
}

fn resumed(c: &mut Criterion<CpuTime>) {
    for (name, suite) in SUITES {
        let mut parties = Parties::new(suite);
        let session = parties.log_in();
        let names = ["resumed login, both sides", "resumed login, the gateway's side"];
        login(c, names, name, || parties.resume(&session));
    }
}

fn login(
    c: &mut Criterion<CpuTime>,
    [both_sides, gateway]: [&str; 2],
    name: &str,
    mut work: impl FnMut() -> LoggedIn,
) {
    let size = Throughput::Bytes(u64::try_from(work().wire).unwrap());
    c.benchmark_group(both_sides)
        .throughput(size.clone())
        .bench_function(BenchmarkId::new("ours", name), |b| b.iter(&mut work));
    c.benchmark_group(gateway).throughput(size).bench_function(BenchmarkId::new("ours", name), |b| {
        b.iter_custom(|times| (0..times).map(|_| work().gateway).sum::<Duration>());
    });
}

criterion_group!(name = benches; config = criterion(); targets = full, resumed);
criterion_main!(benches);
