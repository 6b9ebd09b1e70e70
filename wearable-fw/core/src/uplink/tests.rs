//! Samples from the first write to the acknowledgement; what may go wrong in between has files of its own below.

use alloc::{vec, vec::Vec};

use protocol::{
    id::BootId,
    reading::Reason,
    vitals::{KnownQuantity, SampleTime},
};

use super::*;
use crate::flash::{
    Layout,
    ram::{Cut, RamFlash},
};

mod damage;
mod model;
mod power;
mod wear;
mod world;

use world::Step;

/// Five small samples on a page.
type Small = RamFlash<256>;

const LAYOUT: Layout = Layout { config: 0..1024, samples: 1024..3072, thinned: 3072..4096 };
const LIMITS: Limits = Limits { in_flight: 3, samples_per_batch: 4, batch_bytes: 1024 };

fn flash() -> Small {
    Small::new(16)
}

/// A sample that says which one it is.
fn sample(seq: Seq, tag: u64) -> Sample {
    Sample {
        seq,
        boot: BootId(1),
        taken: SampleTime { since_boot_ms: tag, wall: None },
        simulated: true,
        quantities: vec![KnownQuantity::HEART_RATE.measured(72, 0)],
    }
}

fn opened() -> (Small, Uplink) {
    let mut flash = flash();
    let (uplink, recovery) = Uplink::open(&mut flash, &LAYOUT, LIMITS, Seq(0)).unwrap();
    assert_eq!(recovery, Recovery { waiting: 0, lost: 0, missing: None, skipped: None });
    (flash, uplink)
}

fn take(flash: &mut Small, uplink: &mut Uplink, samples: u64) -> Vec<Gap> {
    let taken = (0..samples).map(|_| {
        let seq = uplink.next_seq();
        uplink.take(flash, &sample(seq, seq.0)).unwrap()
    });
    taken.collect::<Vec<_>>().into_iter().flatten().collect()
}

fn send(flash: &mut Small, uplink: &mut Uplink) -> Vec<VitalsBatch> {
    let mut sent = Vec::new();
    while let Some(batch) = uplink.next_batch(flash).unwrap() {
        sent.push(batch);
    }
    sent
}

fn numbers(batches: &[VitalsBatch]) -> Vec<Vec<u64>> {
    batches.iter().map(|batch| batch.samples.iter().map(|sample| sample.seq.0).collect()).collect()
}

/// Everything that waits, as the gateway gets it.
fn drained(flash: &mut Small, uplink: &mut Uplink) -> Vec<u64> {
    let mut all = Vec::new();
    uplink.reconnected();
    loop {
        let sent = send(flash, uplink);
        let Some(last) = sent.last().and_then(VitalsBatch::last) else { return all };
        all.extend(numbers(&sent).concat());
        uplink.acknowledge(flash, last).unwrap();
    }
}

fn reopened(flash: &mut Small) -> (Uplink, Recovery) {
    Uplink::open(flash, &LAYOUT, LIMITS, Seq(0)).unwrap()
}

#[test]
fn a_sample_is_kept_until_it_is_acknowledged() {
    let (mut flash, mut uplink) = opened();
    take(&mut flash, &mut uplink, 3);
    assert_eq!(numbers(&send(&mut flash, &mut uplink)), [[1, 2, 3]]);
    assert_eq!(reopened(&mut flash).1.waiting, 3);
    let done = uplink.acknowledge(&mut flash, Seq(3)).unwrap();
    assert_eq!(done, Acknowledgement::Advanced { deleted: 3 });
    assert_eq!((uplink.waiting(), uplink.lost(), uplink.acknowledged()), (0, 0, Seq(3)));
    assert_eq!(send(&mut flash, &mut uplink), []);
    let (uplink, recovery) = reopened(&mut flash);
    assert_eq!((recovery.waiting, uplink.taken(), uplink.acknowledged()), (0, Seq(3), Seq(3)));
}

#[test]
fn batches_keep_their_limits_and_few_are_in_flight() {
    let (mut flash, mut uplink) = opened();
    take(&mut flash, &mut uplink, 20);
    let sent = send(&mut flash, &mut uplink);
    assert_eq!(numbers(&sent), [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]);
    uplink.acknowledge(&mut flash, Seq(4)).unwrap();
    assert_eq!(numbers(&send(&mut flash, &mut uplink)), [[13, 14, 15, 16]]);
    let limits = Limits { batch_bytes: 33 + 2 * encode_sample(&sample(Seq(99), 99)).len(), ..LIMITS };
    let (mut short, _) = Uplink::open(&mut flash, &LAYOUT, limits, Seq(0)).unwrap();
    let sent = send(&mut flash, &mut short);
    assert_eq!(numbers(&sent), [[5, 6], [7, 8], [9, 10]]);
    assert!(sent.iter().all(|batch| batch.encode().len() <= limits.batch_bytes));
    let (mut tiny, _) =
        Uplink::open(&mut flash, &LAYOUT, Limits { batch_bytes: 0, ..LIMITS }, Seq(0)).unwrap();
    assert_eq!(numbers(&send(&mut flash, &mut tiny)), [[5], [6], [7]]);
}

#[test]
fn after_a_reconnect_the_same_batches_are_sent_again_byte_for_byte() {
    let (mut flash, mut uplink) = opened();
    take(&mut flash, &mut uplink, 10);
    let sent = send(&mut flash, &mut uplink);
    assert_eq!(numbers(&sent), [vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9, 10]]);
    uplink.acknowledge(&mut flash, Seq(4)).unwrap();
    uplink.reconnected();
    take(&mut flash, &mut uplink, 1);
    let again = send(&mut flash, &mut uplink);
    assert_eq!(again[..2], sent[1..]);
    assert_eq!(numbers(&again[2..]), [[11]]);
}

#[test]
fn each_batch_names_the_hash_of_the_one_before_and_a_restart_keeps_that() {
    let (mut flash, mut uplink) = opened();
    take(&mut flash, &mut uplink, 9);
    let sent = send(&mut flash, &mut uplink);
    assert_eq!(sent[0].previous, [0; 32]);
    assert!(sent.windows(2).all(|pair| pair[1].previous == pair[0].hash()));
    for last in [4, 8] {
        uplink.acknowledge(&mut flash, Seq(last)).unwrap();
    }
    let (mut uplink, _) = reopened(&mut flash);
    assert_eq!(send(&mut flash, &mut uplink)[0].previous, sent[1].hash());
    uplink.begin_chain(&mut flash).unwrap();
    let (mut uplink, _) = reopened(&mut flash);
    let first = &send(&mut flash, &mut uplink)[0];
    assert_eq!((first.previous, first.samples[0].seq), ([0; 32], Seq(9)));
}

#[test]
fn only_what_was_sent_can_be_acknowledged_and_only_once() {
    let (mut flash, mut uplink) = opened();
    take(&mut flash, &mut uplink, 6);
    let refused = uplink.acknowledge(&mut flash, Seq(1)).unwrap();
    assert_eq!(refused, Acknowledgement::Future { sent: Seq(0) });
    uplink.next_batch(&mut flash).unwrap();
    let refused = uplink.acknowledge(&mut flash, Seq(5)).unwrap();
    assert_eq!((refused, uplink.waiting()), (Acknowledgement::Future { sent: Seq(4) }, 6));
    assert_eq!(uplink.acknowledge(&mut flash, Seq(2)).unwrap(), Acknowledgement::Advanced { deleted: 2 });
    for old in [2, 1, 0] {
        assert_eq!(uplink.acknowledge(&mut flash, Seq(old)).unwrap(), Acknowledgement::Old);
    }
    assert_eq!(drained(&mut flash, &mut uplink), [3, 4, 5, 6]);
}

#[test]
fn numbers_only_grow_and_what_no_page_takes_is_refused() {
    let (mut flash, mut uplink) = opened();
    take(&mut flash, &mut uplink, 3);
    let again = uplink.take(&mut flash, &sample(Seq(3), 0));
    assert_eq!(again, Err(StoreError::NotGrowing { sample: Seq(3), last: Seq(3) }));
    let long = Sample { quantities: vec![KnownQuantity::SPO2.measured(1, 0); 20], ..sample(Seq(4), 4) };
    assert_eq!(uplink.take(&mut flash, &long), Err(StoreError::TooBig));
    assert_eq!((uplink.taken(), uplink.waiting()), (Seq(3), 3));
    for samples in [1024..1536, 1000..3072] {
        let refused = Uplink::open(&mut flash, &Layout { samples, ..LAYOUT }, LIMITS, Seq(0));
        assert_eq!(refused.unwrap_err(), StoreError::Layout);
    }
}

#[test]
fn a_full_store_thins_the_oldest_then_drops_them_and_says_so() {
    let (mut flash, mut uplink) = opened();
    let mut gaps = Vec::new();
    while gaps.is_empty() {
        gaps.extend(take(&mut flash, &mut uplink, 1));
    }
    // The first of a page is kept, for its number is the tenth after the last one kept.
    let per_page = gaps[0].last.0;
    assert_eq!(gaps[0], Gap { first: Seq(2), last: Seq(per_page), samples: per_page - 1 });
    gaps.extend(take(&mut flash, &mut uplink, 400));
    let lost: u64 = gaps.iter().map(|gap| gap.samples).sum();
    assert_eq!((uplink.lost(), uplink.waiting()), (lost, uplink.taken().0 - lost));
    let (mut uplink, recovery) = reopened(&mut flash);
    assert_eq!((recovery.lost, recovery.missing, recovery.skipped), (lost, None, None));
    let got = drained(&mut flash, &mut uplink);
    assert!(got.is_sorted());
    let fine = got.windows(2).rposition(|pair| pair[1] - pair[0] > 1).unwrap();
    let (thinned, fine) = got.split_at(fine + 1);
    assert!(thinned.len() > 10 && thinned.iter().all(|seq| seq % 10 == 1), "{thinned:?}");
    assert_eq!(*fine, (uplink.taken().0 - fine.len() as u64 + 1..=uplink.taken().0).collect::<Vec<_>>());
    assert!(fine.len() as u64 >= 6 * per_page, "six of eight pages at least: {}", fine.len());
    assert_eq!((uplink.lost(), uplink.waiting()), (lost, 0));
}

#[test]
fn thinning_keeps_each_change_of_state() {
    let (mut flash, mut uplink) = opened();
    for seq in 1..=120 {
        let mut sample = sample(Seq(seq), seq);
        let reason = if seq == 17 { Reason::NO_BEAT } else { Reason::FINGER_OFF };
        if (13..=18).contains(&seq) {
            sample.quantities = vec![KnownQuantity::HEART_RATE.reading(Err(reason))];
        }
        uplink.take(&mut flash, &sample).unwrap();
    }
    let got = drained(&mut flash, &mut uplink);
    assert_eq!(got[..8], [1, 11, 13, 17, 18, 19, 29, 39]);
}

#[test]
fn a_factory_reset_erases_the_samples_and_not_the_numbers() {
    let (mut flash, mut uplink) = opened();
    take(&mut flash, &mut uplink, 100);
    uplink.erase(&mut flash).unwrap();
    assert_eq!((uplink.waiting(), uplink.lost(), uplink.next_seq()), (0, 0, Seq(101)));
    let written = flash.bytes().iter().filter(|byte| **byte != 0xff).count();
    assert!(written < 200, "two marks and two page markers are all that is left: {written}");
    let (mut uplink, recovery) = reopened(&mut flash);
    assert_eq!(recovery, Recovery { waiting: 0, lost: 0, missing: None, skipped: None });
    take(&mut flash, &mut uplink, 1);
    let sent = send(&mut flash, &mut uplink);
    assert_eq!((sent[0].previous, numbers(&sent)), ([0; 32], vec![vec![101]]));
}

#[test]
fn a_batch_that_was_thinned_under_way_holds_nothing_up() {
    let (mut flash, mut uplink) = opened();
    take(&mut flash, &mut uplink, 4);
    assert_eq!(numbers(&send(&mut flash, &mut uplink)), [[1, 2, 3, 4]]);
    take(&mut flash, &mut uplink, 60);
    uplink.reconnected();
    let again = uplink.next_batch(&mut flash).unwrap().unwrap();
    assert_eq!(numbers(&[again]), [[1]]);
    uplink.acknowledge(&mut flash, Seq(1)).unwrap();
    assert_eq!(numbers(&send(&mut flash, &mut uplink)).concat()[..2], [11, 21]);
}

/// With marks written and no samples taken, the free page fills up too.
#[test]
fn the_last_number_survives_an_acknowledgement_of_everything_in_a_full_store() {
    for single in 0..12 {
        let (mut flash, _) = opened();
        let limits = Limits { in_flight: 9, samples_per_batch: 9, ..LIMITS };
        let (mut uplink, _) = Uplink::open(&mut flash, &LAYOUT, limits, Seq(0)).unwrap();
        take(&mut flash, &mut uplink, 70);
        let sent = numbers(&send(&mut flash, &mut uplink)).concat();
        let (last, others) = sent.split_last().unwrap();
        others[..single].iter().for_each(|seq| {
            uplink.acknowledge(&mut flash, Seq(*seq)).unwrap();
        });
        let operations = {
            let (mut flash, mut uplink) = (flash.clone(), uplink.clone());
            let before = flash.operations();
            uplink.acknowledge(&mut flash, Seq(*last)).unwrap();
            before..flash.operations()
        };
        for cut in operations.map(Cut::Before) {
            let (mut flash, mut uplink) = (flash.clone(), uplink.clone());
            flash.cut_at(cut);
            uplink.acknowledge(&mut flash, Seq(*last)).unwrap_err();
            flash.power_on();
            assert!(reopened(&mut flash).0.taken() >= Seq(70), "{single} {cut:?}");
        }
    }
}
