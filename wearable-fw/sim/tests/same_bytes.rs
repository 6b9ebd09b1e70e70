//! The same file, recordings and seed make the same batches, byte for byte; another seed makes others.
#![expect(clippy::unwrap_used, reason = "a test's own machinery may stop the test")]

use std::path::Path;

use protocol::{
    id::{BootId, Seq},
    vitals::{Sample, SampleTime},
};
use wearable::{
    act::Act,
    flash::{Durable, FileFlash, PAGE},
    patient::Patient,
    sampling::Wearer,
    scenario::Scenario,
};
use wearable_core::{
    flash::Layout,
    sensing::quantities,
    uplink::{Limits, Uplink},
};

const FILE: &str = r#"
format = "vitalward-scenario 1"
title = "Everything that happens to a body and its sensors, in 100 s"
start = 20
[[timeline]]
at = 20
do = "spo2 84 over 30"
[[timeline]]
at = 25
do = "temperature +1.5"
[[timeline]]
at = 30
do = "shake on"
[[timeline]]
at = 40
do = "shake off"
[[timeline]]
at = 45
do = "heart-rate 140 over 10"
[[timeline]]
at = 60
do = "nack optical on"
[[timeline]]
at = 70
do = "nack optical off"
[[timeline]]
at = 75
do = "leads off"
[[timeline]]
at = 80
do = "leads on"
[[timeline]]
at = 85
do = "heart stop"
"#;

/// All batches of 100 s, as a device with a fixed clock cuts them.
fn batches(seed: u64) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout { config: 0..2 * PAGE, samples: 2 * PAGE..34 * PAGE, thinned: 34 * PAGE..38 * PAGE };
    let limits = Limits { in_flight: 4, samples_per_batch: 64, batch_bytes: 48 * 1_024 };
    let mut flash =
        FileFlash::open(&folder.path().join("flash"), layout.thinned.end, Durable::Program).unwrap();
    let (mut uplink, _) = Uplink::open(&mut flash, &layout, limits, Seq(0)).unwrap();
    let scenario = Scenario::parse("test".parse().unwrap(), FILE, Path::new(".")).unwrap();
    let mut wearer = Wearer::new(Patient::new(None, scenario, Some(seed)).unwrap()).unwrap();
    for second in 0..100 {
        let (acts, step) = wearer.next_second();
        for act in acts {
            let Act::Nack { sensor, on } = act else { panic!("{act}") };
            wearer.faults().nack(sensor, on);
        }
        let taken = SampleTime { since_boot_ms: 1_000 * second, wall: None };
        let quantities = quantities(&step.sensed.second);
        let sample = Sample { seq: uplink.next_seq(), boot: BootId(7), taken, simulated: true, quantities };
        uplink.take(&mut flash, &sample).unwrap();
    }
    std::iter::from_fn(|| uplink.next_batch(&mut flash).unwrap()).map(|batch| batch.encode()).collect()
}

#[test]
fn same_file_same_seed_same_batches() {
    let first = batches(7);
    assert!(first.len() >= 2 && first.iter().map(Vec::len).sum::<usize>() > 10_000);
    assert_eq!(batches(7), first);
    assert_ne!(batches(8), first);
}
