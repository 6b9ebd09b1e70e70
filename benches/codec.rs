//! Bytes to values and back: the wire's codec against another on the same vitals, and cutting frames.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]

use std::hint::black_box;

use benches::{
    cpu_time::{CpuTime, criterion},
    parties::vitals,
};
use bincode::{
    config::standard,
    serde::{decode_from_slice, encode_to_vec},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use protocol::{
    frame::{self, FrameReader, MAX_BODY},
    opcode::Opcode,
    vitals::{Sample, UnverifiedBatch},
};
use serde::Deserialize;

const BODIES: [usize; 4] = [64, 256, 1024, 16 * 1024];

/// What [`UnverifiedBatch`] reads, in bincode's hands.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only read from bytes")]
struct Batch {
    previous: [u8; 32],
    samples: Vec<Sample>,
}

fn codecs(c: &mut Criterion<CpuTime>) {
    for (name, samples) in [("1 sample", 1), ("12 samples", 12)] {
        let batch = vitals(samples);
        let (postcard, bincode) = (batch.encode(), encode_to_vec(&batch, standard()).unwrap());
        assert_eq!(UnverifiedBatch::decode(&postcard).unwrap().verify().unwrap(), batch);

        let mut group = c.benchmark_group("vitals encode");
        group.throughput(size(&postcard)).bench_function(BenchmarkId::new("postcard", name), |b| {
            b.iter(|| black_box(&batch).encode());
        });
        group.throughput(size(&bincode)).bench_function(BenchmarkId::new("bincode", name), |b| {
            b.iter(|| encode_to_vec(black_box(&batch), standard()).unwrap());
        });
        group.finish();

        let mut group = c.benchmark_group("vitals decode");
        group.throughput(size(&postcard)).bench_function(BenchmarkId::new("postcard", name), |b| {
            b.iter(|| UnverifiedBatch::decode(black_box(&postcard)).unwrap());
        });
        group.throughput(size(&bincode)).bench_function(BenchmarkId::new("bincode", name), |b| {
            b.iter(|| decode_from_slice::<Batch, _>(black_box(&bincode), standard()).unwrap());
        });
    }
}

fn frames(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("frame decode");
    for body in BODIES {
        let frame = frame::encode(Opcode::EncMsg, &vec![7; body]);
        let mut reader = FrameReader::new(MAX_BODY);
        group.throughput(size(&frame)).bench_function(BenchmarkId::new("ours", body), |b| {
            b.iter(|| {
                reader.push(black_box(&frame));
                reader.next_frame().unwrap().unwrap()
            });
        });
    }
}

fn size(bytes: &[u8]) -> Throughput {
    Throughput::Bytes(u64::try_from(bytes.len()).unwrap())
}

criterion_group!(name = benches; config = criterion(); targets = codecs, frames);
criterion_main!(benches);
