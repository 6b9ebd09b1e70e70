//! What only the store itself can bring about: a database that may not grow.

use std::path::Path;

use crypto::Secret;

use super::{Ledger, Store, StoreError, StoreHealth, audit::AuditEvent};
use protocol::time::UnixMillis;

fn open(folder: &Path) -> Store {
    Store::open(&folder.join("gateway.db"), &Secret::new([7; 32]), &"D001".parse().unwrap()).unwrap()
}

/// Room for `more` pages than there are.
async fn allow(store: &Store, more: u32) {
    let job = move |ledger: &Ledger<'_>| {
        let pages = ledger.first("PRAGMA page_count", [], |row| row.get::<_, u32>(0))?.unwrap();
        ledger.first(&format!("PRAGMA max_page_count = {}", pages + more), [], |_| Ok(()))
    };
    store.write(job).await.unwrap();
}

async fn audit(store: &Store, subject: &str) -> Result<(), StoreError> {
    let subject = subject.to_owned();
    let detail = "x".repeat(1_000);
    store.write(move |ledger| ledger.audit(AuditEvent::Refused, &subject, "", &detail, UnixMillis(1))).await
}

#[tokio::test]
async fn a_full_database_refuses_loses_nothing_and_goes_on_when_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let health = store.health();
    allow(&store, 3).await;
    let mut stored = Vec::new();
    let refused = loop {
        let subject = format!("before {}", stored.len());
        match audit(&store, &subject).await {
            Ok(()) => stored.push(subject),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, StoreError::Full);
    assert_eq!(*health.borrow(), StoreHealth::Full);
    assert!((1..30).contains(&stored.len()), "{}", stored.len());
    allow(&store, 1_000).await;
    stored.push("after".into());
    audit(&store, "after").await.unwrap();
    assert_eq!(*health.borrow(), StoreHealth::Ok);
    store.close().await;
    let found = open(folder.path()).read(|view| Ok((view.audit_entries(100)?, view.verify_audit()))).await;
    let (entries, chain) = found.unwrap();
    assert_eq!(entries.into_iter().rev().map(|entry| entry.subject).collect::<Vec<_>>(), stored);
    assert_eq!(chain, Ok(()));
}
