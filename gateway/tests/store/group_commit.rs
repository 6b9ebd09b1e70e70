//! Jobs that share a transaction do not share a fate, unless the disk decides it.

use gateway::store::{StoreError, audit::AuditEvent};
use protocol::id::ClientId;

use crate::support::*;

#[tokio::test]
async fn one_failing_job_does_not_hurt_those_beside_it() {
    let folder = Folder::new();
    let store = folder.open();
    let jobs: Vec<_> = (0..60)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let job = move |ledger: &gateway::store::Ledger<'_>| {
                    ledger.audit(AuditEvent::Controlled, &n.to_string(), "", "", NOW)?;
                    match n % 3 {
                        0 => Ok(n),
                        1 => Err(StoreError::NotPending),
                        _ => panic!("this job is broken (the test wants it)"),
                    }
                };
                store.write(job).await
            })
        })
        .collect();
    for (n, job) in (0..).zip(jobs) {
        let expected = match n % 3 {
            0 => Ok(n),
            1 => Err(StoreError::NotPending),
            _ => Err(StoreError::Panicked),
        };
        assert_eq!(job.await.unwrap(), expected);
    }
    let (entries, chain) =
        store.read(|view| Ok((view.audit_entries(100)?, view.verify_audit()))).await.unwrap();
    let mut subjects: Vec<u32> = entries.iter().map(|entry| entry.subject.parse().unwrap()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, (0..60).step_by(3).collect::<Vec<u32>>());
    assert_eq!(chain, Ok(()));
}

#[tokio::test]
async fn a_read_sees_every_write_that_was_answered() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    for n in 1..=20 {
        store.write(move |ledger| ledger.append_vitals(device(1), &batch([0; 32], [n]), NOW)).await.unwrap();
        let newest = store.read(|view| view.last_vitals(&patient("P001"), 1)).await.unwrap();
        assert_eq!(newest[0].sample.seq.0, n);
    }
}

#[tokio::test]
async fn a_panicking_read_costs_nobody_else_the_store() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    let broken =
        store.read(|_| -> Result<(), StoreError> { panic!("this job is broken (the test wants it)") });
    assert_eq!(broken.await, Err(StoreError::Panicked));
    let found = store.read(|view| view.client(&ClientId::Wearable(device(1)))).await.unwrap();
    assert!(found.is_some());
}
