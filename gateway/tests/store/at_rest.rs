//! What lies on the disk, and what a restart finds.

use crypto::Secret;
use gateway::store::{StoreError, tokens::TokenRecord};
use protocol::{
    credential::{ClientKind, Suite},
    id::ClientId,
};

use crate::support::*;

#[tokio::test]
async fn the_files_show_nothing_to_whoever_has_no_key() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    let alert = alert(1, None, "evacuate the east wing");
    let secret = *identity().keys.alerts.to_secret().expose();
    store
        .write(move |ledger| {
            ledger.save_identity(&identity())?;
            ledger.append_vitals(device(1), &batch([0; 32], 1..50), NOW)?;
            ledger.record_alert(&alert, &[patient("P001")])
        })
        .await
        .unwrap();
    let while_open = folder.files();
    assert!(while_open.iter().any(|(name, content)| name.ends_with("-wal") && !content.is_empty()));
    store.close().await;
    let closed = folder.files();
    let searched: [&[u8]; 7] =
        [b"SQLite format 3", b"P001", b"D001", b"evacuate", b"quantities", b"mantissa", &secret];
    for (name, content) in while_open.iter().chain(&closed) {
        for text in searched {
            assert!(
                !content.windows(text.len()).any(|w| w == text),
                "{name} shows {:?}",
                text.escape_ascii()
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_key_and_another_doctor_are_told() {
    let folder = Folder::new();
    let store = folder.open();
    store.write(|ledger| ledger.save_identity(&identity())).await.unwrap();
    store.close().await;
    assert_eq!(folder.try_open(8, "D001").unwrap_err(), StoreError::WrongKey);
    assert_eq!(folder.try_open(7, "D002").unwrap_err(), StoreError::OtherDoctor("D001".parse().unwrap()));
    folder.open();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let folder = Folder::new();
    folder.open().close().await;
    folder.by_hand().pragma_update(None, "user_version", 1_000).unwrap();
    assert_eq!(folder.try_open(7, "D001").unwrap_err(), StoreError::Newer);
}

#[tokio::test]
async fn the_identity_comes_back_and_is_never_replaced() {
    let folder = Folder::new();
    let store = folder.open();
    assert!(store.read(|view| view.identity()).await.unwrap().is_none());
    store.write(|ledger| ledger.save_identity(&identity())).await.unwrap();
    assert!(store.write(|ledger| ledger.save_identity(&identity())).await.is_err());
    store.close().await;
    let found = folder.open().read(|view| view.identity()).await.unwrap().unwrap();
    let saved = identity();
    assert_eq!(found.keys.patient_login.verifying_key(), saved.keys.patient_login.verifying_key());
    assert_eq!(found.keys.wearable_login.verifying_key(), saved.keys.wearable_login.verifying_key());
    assert_eq!(found.keys.alerts.verifying_key(), saved.keys.alerts.verifying_key());
    assert_eq!((found.keys.gateway, found.keys.tls_spki), (saved.keys.gateway, saved.keys.tls_spki));
    assert_eq!((&found.tls_certificate, &*found.tls_key), (&saved.tls_certificate, &*saved.tls_key));
}

#[test]
fn no_secret_shows_in_debug() {
    let identity = identity();
    let token = TokenRecord {
        client: ClientId::Wearable(device(1)),
        suite: Suite::Wearable,
        key_id: client(ClientId::Wearable(device(1)), 1).login.key_id(),
        psk: Secret::new([171; 32]),
        expires: NOW,
    };
    let offer = offer("ABC-DEF-GH2", ClientKind::Patient, &patient("P001"));
    let shown = format!("{identity:?} {token:?} {offer:?}");
    let exponent = identity.keys.patient_login.to_secret();
    let seed = identity.keys.wearable_login.to_secret();
    let secrets: [&[u8]; 5] = [exponent.expose(), seed.expose(), &identity.tls_key, &[171; 4], b"DEFGH2"];
    for secret in secrets {
        let hex = hex::encode(secret);
        let decimal = format!("{secret:?}");
        for form in [hex.as_str(), decimal.trim_matches(['[', ']']), &secret.escape_ascii().to_string()] {
            assert!(!shown.contains(form), "{form} in {shown}");
        }
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_crash() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    for n in 1..=20 {
        store.write(move |ledger| ledger.append_vitals(device(1), &batch([0; 32], [n]), NOW)).await.unwrap();
    }
    // The store stays open, so the log was never moved into the database.
    let crashed = folder.copy();
    let found = crashed.open().read(|view| view.last_vitals(&patient("P001"), 100)).await.unwrap();
    let numbers: Vec<u64> = found.iter().map(|stored| stored.sample.seq.0).collect();
    assert_eq!(numbers, (1..=20).rev().collect::<Vec<_>>());
    drop(store);
}

#[tokio::test]
async fn close_does_what_waits_and_ends_every_handle() {
    let folder = Folder::new();
    let store = folder.open();
    enrol(&store, &client(ClientId::Wearable(device(1)), 1), &patient("P001")).await;
    let (other, mut health) = (store.clone(), store.health());
    let waiting: Vec<_> = (1..=100)
        .map(|n| {
            let store = store.clone();
            async move {
                store.write(move |ledger| ledger.append_vitals(device(1), &batch([0; 32], [n]), NOW)).await
            }
        })
        .map(tokio::spawn)
        .collect();
    // A turn for each: then all are in the queue.
    for _ in &waiting {
        tokio::task::yield_now().await;
    }
    store.close().await;
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    assert!(health.changed().await.is_err());
    assert_eq!(other.write(|_| Ok(())).await, Err(StoreError::Closed));
    assert_eq!(other.read(|_| Ok(())).await, Err(StoreError::Closed));
    other.close().await;
    let names: Vec<String> = folder.files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["gateway.db"], "the log is gone");
    let found = folder.open().read(|view| view.last_vitals(&patient("P001"), 1_000)).await.unwrap();
    assert_eq!(found.len(), 100);
}

#[tokio::test]
async fn the_last_handle_closes_the_database_before_it_is_gone() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    let last = store.clone();
    drop(store);
    last.write(|ledger| ledger.append_vitals(device(1), &batch([0; 32], [1]), NOW)).await.unwrap();
    drop(last);
    let names: Vec<String> = folder.files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["gateway.db"]);
}
