//! A database from before the newest migrations, with a ward in it.

use protocol::{
    cadence::Settings,
    credential::ClientKind,
    id::{ClientId, Seq},
};

use crate::support::*;

/// Undoes all migrations but the first.
const BACK: &str = "
    DROP INDEX bindings_of_client;
    ALTER TABLE bindings DROP COLUMN suite;
    DROP TABLE settings;
    DROP TABLE firmware;
    ALTER TABLE offers DROP COLUMN passphrase;
    ALTER TABLE offers DROP COLUMN ssid;
    PRAGMA user_version = 1;";

#[tokio::test]
async fn a_ward_from_before_the_newest_migrations_is_all_there_after_them() {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    let other = client(ClientId::Patient(patient("P002")), 5);
    enrol(&store, &other, &patient("P002")).await;
    let open = offer("JKM-NPQ-RST", ClientKind::Wearable, &patient("P001"));
    store.write(move |ledger| ledger.create_offer(&open)).await.unwrap();
    store.write(|ledger| ledger.append_vitals(device(1), &batch([0; 32], 1..=3), NOW)).await.unwrap();
    let all = async |store: &gateway::store::Store| {
        let found = store.read(|view| {
            view.verify_audit()?;
            Ok((view.clients()?, view.open_offers(NOW)?, view.last_vitals(&patient("P001"), 9)?))
        });
        found.await.unwrap()
    };
    let before = all(&store).await;
    assert_eq!((before.0.len(), before.1.len(), before.2.len()), (2, 1, 3));
    store.close().await;

    folder.by_hand().execute_batch(BACK).unwrap();
    let store = folder.open();
    assert_eq!(all(&store).await, before);
    store.write(|ledger| ledger.set(device(1), Settings::LIVE)).await.unwrap();
    let more =
        store.write(|ledger| ledger.append_vitals(device(1), &batch([0; 32], 3..=4), NOW)).await.unwrap();
    assert_eq!((more.acknowledged, more.duplicates), (Seq(4), 1));
    store.close().await;
    let version: u32 = folder.by_hand().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 4);
}

#[tokio::test]
async fn an_index_serves_whoever_looks_for_a_clients_bindings_whatever_their_state() {
    let folder = Folder::new();
    folder.open().close().await;
    let db = folder.by_hand();
    for state in ["= ?3", "= 'active'", "!= 'pending' ORDER BY binding"] {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT * FROM bindings WHERE doctor = ?1 AND kind = 'wearable' AND client = ?2 AND state {state}"
        );
        let mut plan = db.prepare(&sql).unwrap();
        let steps =
            plan.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>().unwrap();
        assert!(steps[0].starts_with("SEARCH bindings USING INDEX bindings_of_client"), "{steps:?}");
    }
}
