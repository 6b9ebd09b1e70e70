//! Alerts come back as they were signed; receipts only bring them further.

use std::slice;

use crypto::identity::SigningKey;
use gateway::store::{
    Store, StoreError,
    alerts::{ReceiptOutcome, RecipientProgress},
};
use protocol::{
    alert::{Alert, Receipt, Stage},
    id::PatientId,
    time::UnixMillis,
};

use crate::support::*;

async fn ward(folder: &Folder) -> Store {
    let store = folder.open();
    store.write(|ledger| ledger.save_identity(&identity())).await.unwrap();
    store
}

async fn raise(store: &Store, alert: &Alert, recipients: &[&str]) {
    let (alert, recipients) = (alert.clone(), recipients.iter().copied().map(patient).collect::<Vec<_>>());
    store.write(move |ledger| ledger.record_alert(&alert, &recipients)).await.unwrap();
}

fn receipt(alert: &Alert, stage: Stage, patient: &PatientId) -> Receipt {
    let key = SigningKey::from_secret(&crypto::Secret::new([1; 32]));
    Receipt::sign(alert, stage, NOW, patient, &identity().keys.alerts.verifying_key(), &key)
}

async fn record(
    store: &Store,
    alert: &Alert,
    stage: Stage,
    id: &str,
    received: UnixMillis,
) -> Result<ReceiptOutcome, StoreError> {
    let (patient, receipt) = (patient(id), receipt(alert, stage, &patient(id)));
    store.write(move |ledger| ledger.record_receipt(&patient, &receipt, received)).await
}

async fn undelivered(store: &Store, id: &str, now: UnixMillis) -> Vec<Alert> {
    let patient = patient(id);
    store.read(move |view| view.undelivered(&patient, now)).await.unwrap()
}

async fn progress(store: &Store, alert: &Alert) -> Vec<RecipientProgress> {
    let id = alert.id();
    store.read(move |view| view.progress(id)).await.unwrap().unwrap().recipients
}

#[tokio::test]
async fn alerts_come_back_as_they_were_signed() {
    let folder = Folder::new();
    let store = ward(&folder).await;
    assert!(store.read(|view| view.alerts(10)).await.unwrap().is_empty());
    let (first, second) = (alert(1, None, "water is off"), alert(2, None, "water is back"));
    for alert in [&first, &second] {
        let expected = alert.sequence();
        assert_eq!(store.write(|ledger| ledger.next_alert_sequence()).await, Ok(expected));
        raise(&store, alert, &["P001"]).await;
    }
    store.close().await;
    let store = folder.open();
    let id = first.id();
    assert_eq!(store.read(move |view| view.alert(id)).await.unwrap(), Some(first.clone()));
    assert_eq!(store.read(|view| view.alerts(10)).await.unwrap(), [second.clone(), first]);
    assert_eq!(store.read(|view| view.alerts(1)).await.unwrap(), [second]);
    assert_eq!(store.write(|ledger| ledger.next_alert_sequence()).await, Ok(3));
}

#[tokio::test]
async fn an_alert_that_was_changed_in_the_database_is_not_delivered() {
    let folder = Folder::new();
    let store = ward(&folder).await;
    raise(&store, &alert(1, None, "take 2 pills"), &["P001"]).await;
    let forged = alert(1, None, "take 9 pills").encode();
    let mut signed = alert(1, None, "take 2 pills").encode();
    let text = signed.len() - 64;
    signed[..text].copy_from_slice(&forged[..text]);
    folder.by_hand().execute("UPDATE alerts SET signed = ?1", [signed]).unwrap();
    let refused = store.read(|view| view.undelivered(&patient("P001"), NOW)).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))));
}

#[tokio::test]
async fn receipts_only_bring_an_alert_further() {
    use ReceiptOutcome::{New, Repeated};
    let folder = Folder::new();
    let store = ward(&folder).await;
    let alert = alert(1, None, "fire in the east wing");
    raise(&store, &alert, &["P002", "P001", "P003"]).await;
    assert_eq!(record(&store, &alert, Stage::Decrypted, "P001", after(1)).await, Ok(New));
    assert_eq!(record(&store, &alert, Stage::Decrypted, "P001", after(2)).await, Ok(Repeated));
    assert_eq!(record(&store, &alert, Stage::Acknowledged, "P001", after(3)).await, Ok(New));
    assert_eq!(record(&store, &alert, Stage::Acknowledged, "P001", after(4)).await, Ok(Repeated));
    // Out of order: who has read it has decrypted it.
    assert_eq!(record(&store, &alert, Stage::Acknowledged, "P002", after(5)).await, Ok(New));
    assert_eq!(record(&store, &alert, Stage::Decrypted, "P002", after(6)).await, Ok(Repeated));
    let seen: Vec<_> = progress(&store, &alert)
        .await
        .into_iter()
        .map(|p| (p.patient.to_string(), p.decrypted, p.acknowledged))
        .collect();
    assert_eq!(
        seen,
        [
            ("P001".into(), Some(after(1)), Some(after(3))),
            ("P002".into(), Some(after(5)), Some(after(5))),
            ("P003".into(), None, None),
        ]
    );
}

#[tokio::test]
async fn a_receipt_for_something_else_is_refused() {
    let folder = Folder::new();
    let store = ward(&folder).await;
    let sent = alert(1, None, "stay inside");
    raise(&store, &sent, &["P001"]).await;
    let other_text = alert(1, None, "go outside");
    assert_eq!(
        record(&store, &other_text, Stage::Decrypted, "P001", NOW).await,
        Err(StoreError::OtherContent)
    );
    assert_eq!(record(&store, &sent, Stage::Decrypted, "P002", NOW).await, Err(StoreError::UnknownAlert));
    let unknown = alert(2, None, "stay inside");
    assert_eq!(record(&store, &unknown, Stage::Decrypted, "P001", NOW).await, Err(StoreError::UnknownAlert));
    let id = unknown.id();
    assert_eq!(store.read(move |view| view.progress(id)).await.unwrap(), None);
    assert_eq!(progress(&store, &sent).await[0].decrypted, None);
}

#[tokio::test]
async fn undelivered_is_what_a_patient_should_still_get() {
    let folder = Folder::new();
    let store = ward(&folder).await;
    let (first, second) = (alert(1, None, "one"), alert(2, None, "two"));
    raise(&store, &first, &["P001", "P002"]).await;
    raise(&store, &second, &["P001"]).await;
    assert_eq!(undelivered(&store, "P001", NOW).await, [first.clone(), second.clone()]);
    assert_eq!(undelivered(&store, "P002", NOW).await, slice::from_ref(&first));
    assert_eq!(undelivered(&store, "P003", NOW).await, []);
    record(&store, &first, Stage::Decrypted, "P001", NOW).await.unwrap();
    assert_eq!(undelivered(&store, "P001", NOW).await, slice::from_ref(&second));
    assert_eq!(undelivered(&store, "P002", NOW).await, slice::from_ref(&first));
    let cancel = alert(3, Some(first.id()), "one is off");
    raise(&store, &cancel, &["P001", "P002"]).await;
    assert_eq!(undelivered(&store, "P002", NOW).await, slice::from_ref(&cancel));
    assert_eq!(undelivered(&store, "P001", NOW).await, [second, cancel]);
    assert_eq!(undelivered(&store, "P001", after(60)).await, [], "expired");
}
