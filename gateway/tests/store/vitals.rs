//! A sample is stored once, whatever the device sends.

use gateway::store::{Store, StoreError, vitals::Appended};
use protocol::{
    credential::ClientKind,
    id::{BootId, ClientId, Seq},
    reading::{Measurement, Method, Reason},
    time::UnixMillis,
    vitals::{Code, Decimal, Quantity, VitalsBatch},
};

use crate::support::*;

async fn append(store: &Store, batch: &VitalsBatch) -> Appended {
    let batch = batch.clone();
    store.write(move |ledger| ledger.append_vitals(device(1), &batch, NOW)).await.unwrap()
}

async fn stored_numbers(store: &Store) -> Vec<u64> {
    let stored = store.read(|view| view.outbox_after(0, 1_000)).await.unwrap();
    stored.iter().map(|stored| stored.sample.seq.0).collect()
}

#[tokio::test]
async fn samples_come_back_as_they_were_measured() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    let mut sent = batch([0; 32], [1, 2]);
    let value = Decimal { mantissa: -11, exponent: -1 };
    let measured = Measurement { value, quality: Some(7), method: Method(200), calibration: u16::MAX };
    let lactate = |reading| Quantity { code: Code::Loinc("2524-7".into()), unit: "mmol/L".into(), reading };
    sent.samples[0].quantities = vec![lactate(Err(Reason(200)))];
    sent.samples[1].quantities = vec![lactate(Ok(measured))];
    sent.samples[1].taken.wall = None;
    let appended = append(&store, &sent).await;
    assert_eq!(appended.patient, patient("P001"));
    assert_eq!(appended.stored, sent.samples);
    let found = store.read(|view| view.last_vitals(&patient("P001"), 10)).await.unwrap();
    assert_eq!([&found[1].sample, &found[0].sample], [&sent.samples[0], &sent.samples[1]]);
    assert_eq!((found[0].device, found[0].received), (device(1), NOW));
    let later = store.read(move |view| view.outbox_after(found[1].cursor, 10)).await.unwrap();
    assert_eq!(later.len(), 1);
    assert_eq!(later[0].sample, sent.samples[1]);
}

#[tokio::test]
async fn a_repeated_sample_is_acknowledged_and_not_stored_twice() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    append(&store, &batch([0; 32], 1..=3)).await;
    let again = append(&store, &batch([0; 32], 1..=3)).await;
    assert_eq!((again.acknowledged, again.duplicates, again.conflicts), (Seq(3), 3, 0));
    assert!(again.stored.is_empty() && again.chain_ok);
    // The device had not heard the acknowledgement and packed anew, with what it measured meanwhile.
    let more = append(&store, &batch([0; 32], 2..=5)).await;
    assert_eq!((more.acknowledged, more.duplicates, more.stored.len()), (Seq(5), 2, 2));
    assert!(more.chain_ok);
    assert_eq!(stored_numbers(&store).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_gap_is_reported_and_what_comes_late_is_stored() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    assert_eq!(append(&store, &batch([0; 32], [10])).await.gaps, []);
    let gapped = append(&store, &batch([0; 32], [13, 14, 20])).await;
    assert_eq!(gapped.gaps, [(Seq(11), Seq(12)), (Seq(15), Seq(19))]);
    assert_eq!(gapped.acknowledged, Seq(20));
    let late = append(&store, &batch([0; 32], [12])).await;
    assert_eq!((late.acknowledged, late.stored.len(), late.gaps), (Seq(20), 1, vec![]));
    assert_eq!(stored_numbers(&store).await, [10, 13, 14, 20, 12]);
    let recorded: i64 =
        folder.by_hand().query_row("SELECT count(*) FROM gaps", [], |row| row.get(0)).unwrap();
    assert_eq!(recorded, 2);
}

#[tokio::test]
async fn the_chain_of_batches_is_followed() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    let first = batch([0; 32], [1]);
    let second = batch(first.hash(), [2]);
    assert!(append(&store, &first).await.chain_ok);
    assert!(append(&store, &second).await.chain_ok);
    let after_a_lost_one = batch(batch(second.hash(), [3]).hash(), [4]);
    assert!(!append(&store, &after_a_lost_one).await.chain_ok);
    assert!(append(&store, &batch(after_a_lost_one.hash(), [5])).await.chain_ok);
}

#[tokio::test]
async fn a_device_that_counts_anew_is_noticed() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    append(&store, &batch([0; 32], 1..=3)).await;
    let mut reset = batch([0; 32], [2]);
    reset.samples[0].boot = BootId(2);
    let appended = append(&store, &reset).await;
    assert_eq!((appended.duplicates, appended.conflicts, appended.stored.len()), (1, 1, 0));
}

#[tokio::test]
async fn hostile_numbers_are_refused_or_bounded() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    let beyond = batch([0; 32], [1, u64::MAX / 1000]);
    let mut wild = batch([0; 32], [1]);
    wild.samples[0].seq = Seq(u64::MAX);
    let refused = store.write(move |ledger| ledger.append_vitals(device(1), &wild, NOW)).await;
    assert_eq!(refused, Err(StoreError::SequenceRange));
    assert!(stored_numbers(&store).await.is_empty());
    let mut late = beyond.clone();
    late.samples[1].taken.wall = Some(UnixMillis(u64::MAX));
    assert_eq!(append(&store, &late).await.gaps, [(Seq(2), Seq(u64::MAX / 1000 - 1))]);
    assert_eq!(stored_numbers(&store).await.len(), 2);
}

#[tokio::test]
async fn only_an_active_device_brings_vitals_and_they_stay_with_their_patient() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    append(&store, &batch([0; 32], [1])).await;
    enrol(&store, &client(ClientId::Wearable(device(1)), 2), &patient("P002")).await;
    assert_eq!(append(&store, &batch([0; 32], [2])).await.patient, patient("P002"));
    let of_first = store.read(|view| view.last_vitals(&patient("P001"), 10)).await.unwrap();
    assert_eq!(of_first.iter().map(|s| s.sample.seq.0).collect::<Vec<_>>(), [1]);
    store.write(|ledger| ledger.revoke(&ClientId::Wearable(device(1)), NOW)).await.unwrap();
    for unwelcome in [device(1), device(9)] {
        let refused =
            store.write(move |ledger| ledger.append_vitals(unwelcome, &batch([0; 32], [3]), NOW)).await;
        assert_eq!(refused, Err(StoreError::UnknownClient));
    }
}

#[tokio::test]
async fn samples_that_come_late_are_those_of_who_wore_the_device_then() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    // Handed on an hour later, with samples of P001 still on it.
    let (again, hours) = (client(ClientId::Wearable(device(1)), 2), after(60));
    let mut handed = offer("BCD-EFG-HJ3", ClientKind::Wearable, &patient("P002"));
    handed.replaces = true;
    handed.expires = after(70);
    let job = move |ledger: &gateway::store::Ledger<'_>| {
        ledger.create_offer(&handed)?;
        ledger.enrol_pending(&again, None, handed.code.selector, hours)?;
        ledger.confirm_enrolment(&again.id, again.login.key_id(), hours)
    };
    store.write(job).await.unwrap();
    let append_at = async |received, batch: VitalsBatch| {
        store.write(move |ledger| ledger.append_vitals(device(1), &batch, received)).await.unwrap()
    };
    let mut sent = batch([0; 32], 1..=4);
    sent.samples[1].taken.wall = None;
    sent.samples[2].taken.wall = Some(after(61));
    // The device was off and has no time, but its numbers only grow.
    sent.samples[3].taken.wall = None;
    let appended = append_at(after(62), sent).await;
    assert_eq!((appended.patient.as_str(), appended.nobodys), ("P002", 1));
    assert_eq!(appended.earlier, [(patient("P001"), 1)].into());
    assert_eq!((appended.acknowledged, appended.stored.len()), (Seq(4), 2));
    // The clock ran an hour ahead when it was handed on, and was set since.
    let mut early = batch([0; 32], [5]);
    early.samples[0].taken.wall = Some(after(30));
    assert_eq!(append_at(after(30), early).await.stored.len(), 1);
    for (who, numbers) in [("P001", &[1][..]), ("P002", &[5, 4, 3])] {
        let found = store.read(move |view| view.last_vitals(&patient(who), 10)).await.unwrap();
        assert_eq!(found.iter().map(|found| found.sample.seq.0).collect::<Vec<_>>(), numbers, "{who}");
    }
}
