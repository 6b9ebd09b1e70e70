//! The audit only grows, and shows what was done to it.

use gateway::store::{Store, StoreError, audit::AuditEvent};

use crate::support::*;

async fn three_rows(folder: &Folder) -> Store {
    let store = folder.open();
    for (event, subject) in
        [(AuditEvent::LoggedIn, "P001"), (AuditEvent::Refused, "P002"), (AuditEvent::Refused, "P003")]
    {
        store.write(move |ledger| ledger.audit(event, subject, "127.0.0.1", "detail", NOW)).await.unwrap();
    }
    store
}

#[tokio::test]
async fn rows_are_listed_newest_first_and_follow_one_another() {
    let folder = Folder::new();
    let store = three_rows(&folder).await;
    let (all, refusals, chain) = store
        .read(|view| Ok((view.audit_entries(2)?, view.refusals(10)?, view.verify_audit())))
        .await
        .unwrap();
    assert_eq!(all.iter().map(|e| (e.n, e.subject.as_str())).collect::<Vec<_>>(), [(3, "P003"), (2, "P002")]);
    assert_eq!(refusals, all);
    assert_eq!((refusals[0].source.as_str(), refusals[0].time), ("127.0.0.1", NOW));
    assert_eq!(chain, Ok(()));
}

#[tokio::test]
async fn the_database_itself_refuses_to_change_a_row() {
    let folder = Folder::new();
    let _store = three_rows(&folder).await;
    let db = folder.by_hand();
    for tampering in [
        "UPDATE audit SET subject = 'P009' WHERE n = 2",
        "DELETE FROM audit WHERE n = 3",
        "INSERT OR REPLACE INTO audit SELECT n, doctor, time, event, 'P009', source, detail, prev_hash, hash FROM audit WHERE n = 2",
        "INSERT INTO audit SELECT 9, doctor, time, event, subject, source, detail, prev_hash, hash FROM audit WHERE n = 3",
    ] {
        assert!(db.execute(tampering, []).is_err(), "{tampering}");
    }
}

#[tokio::test]
async fn who_takes_the_triggers_away_is_found_out() {
    for (tampering, row) in [
        ("UPDATE audit SET subject = 'P009' WHERE n = 2", 2),
        ("UPDATE audit SET time = time + 1 WHERE n = 3", 3),
        ("UPDATE audit SET subject = 'P00', source = '1' || source WHERE n = 1", 1),
        ("DELETE FROM audit WHERE n = 2", 2),
        ("DELETE FROM audit WHERE n = 1", 1),
        ("UPDATE audit SET n = n + 10 WHERE n = 3", 3),
    ] {
        let folder = Folder::new();
        let store = three_rows(&folder).await;
        folder
            .by_hand()
            .execute_batch(&format!("DROP TRIGGER audit_keeps; DROP TRIGGER audit_stays; {tampering}"))
            .unwrap();
        let verdict = store.read(|view| view.verify_audit()).await;
        assert_eq!(verdict, Err(StoreError::AuditBroken(row)), "{tampering}");
    }
}
