//! Offers, enrolments and tokens: each is good once.

use std::{slice, sync::Arc};

use crypto::Secret;
use gateway::store::{Store, StoreError, clients::Standing, offers::Offer, tokens::TokenRecord};
use protocol::{
    credential::{ClientKind, PinnedClient, Suite},
    id::ClientId,
    time::UnixMillis,
};

use crate::support::*;

fn p001() -> ClientId {
    ClientId::Patient(patient("P001"))
}

fn patient_offer(code: &str) -> Offer {
    offer(code, ClientKind::Patient, &patient("P001"))
}

async fn create(store: &Store, offer: Offer) -> Result<(), StoreError> {
    store.write(move |ledger| ledger.create_offer(&offer)).await
}

async fn spend(store: &Store, code: &str, now: UnixMillis) -> Option<Offer> {
    let selector = patient_offer(code).code.selector;
    store.write(move |ledger| ledger.spend_guess(selector, now)).await.unwrap()
}

async fn pend(store: &Store, client: &PinnedClient, code: &str) -> Result<(), StoreError> {
    let (client, selector) = (client.clone(), patient_offer(code).code.selector);
    store.write(move |ledger| ledger.enrol_pending(&client, None, selector, NOW)).await
}

async fn confirm(store: &Store, client: &PinnedClient, now: UnixMillis) -> Result<(), StoreError> {
    let (id, key) = (client.id.clone(), client.login.key_id());
    store.write(move |ledger| ledger.confirm_enrolment(&id, key, now)).await
}

async fn give_token(store: &Store, client: &PinnedClient, hash: u8, expires: UnixMillis) {
    let token = TokenRecord {
        client: client.id.clone(),
        suite: Suite::Wearable,
        key_id: client.login.key_id(),
        psk: Secret::new([hash; 32]),
        expires,
    };
    store.write(move |ledger| ledger.save_token(&[hash; 32], &token, NOW)).await.unwrap();
}

async fn consume(store: &Store, hash: u8, now: UnixMillis) -> bool {
    store.write(move |ledger| ledger.consume_token(&[hash; 32], now)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_guesses_and_no_more_however_many_come_at_once() {
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    create(&store, patient_offer("ABC-DEF-GH2")).await.unwrap();
    let guesses: Vec<_> = (0..50)
        .map(|_| Arc::clone(&store))
        .map(|store| tokio::spawn(async move { spend(&store, "ABC-DEF-GH2", NOW).await }))
        .collect();
    let mut left = Vec::new();
    for guess in guesses {
        left.extend(guess.await.unwrap().map(|offer| offer.tries_left));
    }
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2]);
    assert!(store.read(|view| view.open_offers(NOW)).await.unwrap().is_empty());
    // The last guess may have been the right one.
    let client = client(p001(), 1);
    pend(&store, &client, "ABC-DEF-GH2").await.unwrap();
    confirm(&store, &client, NOW).await.unwrap();
}

#[tokio::test]
async fn an_offer_is_open_until_it_expires_or_is_cancelled() {
    let folder = Folder::new();
    let store = folder.open();
    let first = patient_offer("ABC-DEF-GH2");
    create(&store, first.clone()).await.unwrap();
    assert_eq!(create(&store, patient_offer("ABC-XYZ-XYZ")).await, Err(StoreError::SelectorTaken));
    assert_eq!(store.read(|view| view.open_offers(NOW)).await.unwrap(), slice::from_ref(&first));
    let spent = spend(&store, "ABC-DEF-GH2", UnixMillis(first.expires.0 - 1)).await.unwrap();
    assert_eq!(spent, Offer { tries_left: 2, ..first.clone() });
    assert_eq!(spend(&store, "ABC-DEF-GH2", first.expires).await, None);
    assert_eq!(spend(&store, "QQQ-DEF-GH2", NOW).await, None);
    // An expired one gives its selector back.
    let second = Offer { created: after(11), expires: after(21), ..patient_offer("ABC-XYZ-XYZ") };
    create(&store, second.clone()).await.unwrap();
    let selector = second.code.selector;
    assert!(store.write(move |ledger| ledger.cancel_offer(selector, after(12))).await.unwrap());
    assert!(!store.write(move |ledger| ledger.cancel_offer(selector, after(12))).await.unwrap());
    assert_eq!(spend(&store, "ABC-XYZ-XYZ", after(12)).await, None);
    let passwords = "SELECT count(password) FROM offers";
    let kept: i64 = folder.by_hand().query_row(passwords, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 0, "the password of a closed offer is forgotten");
}

#[tokio::test]
async fn a_client_becomes_active_with_its_first_login_and_the_offer_is_used() {
    let folder = Folder::new();
    let store = folder.open();
    let (first, second) = (client(p001(), 1), client(p001(), 2));
    assert_eq!(pend(&store, &first, "ABC-DEF-GH2").await, Err(StoreError::NoOpenOffer));
    create(&store, patient_offer("ABC-DEF-GH2")).await.unwrap();
    let stranger = client(ClientId::Patient(patient("P002")), 3);
    assert_eq!(pend(&store, &stranger, "ABC-DEF-GH2").await, Err(StoreError::NoOpenOffer));
    let wearable = client(ClientId::Wearable(device(1)), 4);
    assert_eq!(pend(&store, &wearable, "ABC-DEF-GH2").await, Err(StoreError::NoOpenOffer));

    pend(&store, &first, "ABC-DEF-GH2").await.unwrap();
    let (active, pending) =
        store.read(|view| Ok((view.client(&p001())?, view.pending_client(&p001())?))).await.unwrap();
    assert_eq!(active, None);
    assert_eq!(pending.unwrap().pinned().unwrap(), first);
    // The same code typed again, on the right machine: the later one counts.
    pend(&store, &second, "ABC-DEF-GH2").await.unwrap();
    assert_eq!(confirm(&store, &first, NOW).await, Err(StoreError::NotPending));
    confirm(&store, &second, after(1)).await.unwrap();
    assert_eq!(confirm(&store, &second, after(1)).await, Err(StoreError::NotPending));
    let active = store.read(|view| view.client(&p001())).await.unwrap().unwrap();
    assert_eq!(
        (active.pinned().unwrap(), active.standing, active.paired_at),
        (second, Standing::Active, after(1))
    );
    assert_eq!(spend(&store, "ABC-DEF-GH2", after(1)).await, None);
}

#[tokio::test]
async fn an_enrolment_dies_with_its_offer() {
    let folder = Folder::new();
    let store = folder.open();
    let client = client(p001(), 1);
    create(&store, patient_offer("ABC-DEF-GH2")).await.unwrap();
    pend(&store, &client, "ABC-DEF-GH2").await.unwrap();
    assert_eq!(confirm(&store, &client, after(10)).await, Err(StoreError::NotPending));
    let selector = patient_offer("ABC-DEF-GH2").code.selector;
    store.write(move |ledger| ledger.cancel_offer(selector, after(1))).await.unwrap();
    assert_eq!(confirm(&store, &client, after(1)).await, Err(StoreError::NotPending));
    assert!(store.read(|view| view.clients()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_paired_patient_is_replaced_only_on_purpose() {
    let folder = Folder::new();
    let store = folder.open();
    let (old, new) = (client(p001(), 1), client(p001(), 2));
    enrol(&store, &old, &patient("P001")).await;
    store.write(|ledger| ledger.seen(&p001(), None, after(3))).await.unwrap();
    give_token(&store, &old, 1, after(60)).await;
    let refused = create(&store, patient_offer("QQQ-DEF-GH2")).await;
    assert_eq!(refused, Err(StoreError::AlreadyPaired { since: NOW, last_seen: Some(after(3)) }));

    create(&store, Offer { replaces: true, ..patient_offer("QQQ-DEF-GH2") }).await.unwrap();
    pend(&store, &new, "QQQ-DEF-GH2").await.unwrap();
    let active = store.read(|view| view.client(&p001())).await.unwrap().unwrap();
    assert_eq!(active.pinned().unwrap(), old, "the old computer stays until the new one has logged in");
    confirm(&store, &new, after(4)).await.unwrap();
    let all = store.read(|view| view.clients()).await.unwrap();
    assert_eq!(all.iter().map(|client| client.pinned().unwrap()).collect::<Vec<_>>(), [new]);
    assert_eq!(store.read(|view| view.token(&[1; 32], NOW)).await.unwrap(), None, "its token is gone");
    assert!(!consume(&store, 1, after(5)).await);
}

#[tokio::test]
async fn an_offer_that_was_open_before_another_pairing_does_not_replace_it() {
    let folder = Folder::new();
    let store = folder.open();
    let (first, second) = (client(p001(), 1), client(p001(), 2));
    create(&store, patient_offer("QQQ-DEF-GH2")).await.unwrap();
    enrol(&store, &first, &patient("P001")).await;
    pend(&store, &second, "QQQ-DEF-GH2").await.unwrap();
    assert!(matches!(confirm(&store, &second, NOW).await, Err(StoreError::AlreadyPaired { .. })));
}

#[tokio::test]
async fn a_revoked_client_is_out_with_its_tokens_and_may_pair_again() {
    let folder = Folder::new();
    let store = folder.open();
    let (old, new) = (client(p001(), 1), client(p001(), 2));
    enrol(&store, &old, &patient("P001")).await;
    give_token(&store, &old, 1, after(60)).await;
    store.write(|ledger| ledger.revoke(&p001(), after(1))).await.unwrap();
    assert_eq!(store.read(|view| view.client(&p001())).await.unwrap(), None);
    assert_eq!(store.read(|view| view.token(&[1; 32], NOW)).await.unwrap(), None);
    let listed = store.read(|view| view.clients()).await.unwrap();
    assert_eq!(listed[0].standing, Standing::Revoked(after(1)));
    for again in [
        store.write(|ledger| ledger.revoke(&p001(), NOW)).await,
        store.write(|l| l.seen(&p001(), None, NOW)).await,
    ] {
        assert_eq!(again, Err(StoreError::UnknownClient));
    }
    enrol(&store, &new, &patient("P001")).await;
    let listed = store.read(|view| view.clients()).await.unwrap();
    assert_eq!(
        listed.iter().map(|c| (c.pinned().unwrap(), c.standing)).collect::<Vec<_>>(),
        [(new, Standing::Active)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_is_used_once_however_many_race_for_it() {
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    let client = client(p001(), 1);
    enrol(&store, &client, &patient("P001")).await;
    give_token(&store, &client, 1, after(60)).await;
    let found = store.read(|view| view.token(&[1; 32], NOW)).await.unwrap().unwrap();
    assert_eq!((found.client, found.psk), (p001(), Secret::new([1; 32])));
    let race: Vec<_> = (0..50)
        .map(|_| Arc::clone(&store))
        .map(|store| tokio::spawn(async move { consume(&store, 1, NOW).await }))
        .collect();
    let mut won = 0;
    for racer in race {
        won += u32::from(racer.await.unwrap());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_token_is_worth_nothing_when_it_expired_or_its_key_is_not_the_active_one() {
    let folder = Folder::new();
    let store = folder.open();
    let client = client(p001(), 1);
    enrol(&store, &client, &patient("P001")).await;
    give_token(&store, &client, 1, after(1)).await;
    assert_eq!(store.read(|view| view.token(&[1; 32], after(1))).await.unwrap(), None);
    assert!(!consume(&store, 1, after(1)).await);
    give_token(&store, &crate::support::client(p001(), 9), 2, after(60)).await;
    assert!(!consume(&store, 2, NOW).await);
}

#[tokio::test]
async fn a_wearable_keeps_its_name_and_its_wearer() {
    let folder = Folder::new();
    let store = folder.open();
    let wearable = client(ClientId::Wearable(device(1)), 1);
    create(&store, offer("ABC-DEF-GH2", ClientKind::Wearable, &patient("P001"))).await.unwrap();
    let pinned = wearable.clone();
    store
        .write(move |ledger| {
            let name = "bed-7".parse().unwrap();
            ledger.enrol_pending(&pinned, Some(&name), patient_offer("ABC-DEF-GH2").code.selector, NOW)
        })
        .await
        .unwrap();
    confirm(&store, &wearable, NOW).await.unwrap();
    let found = store.read(|view| view.client(&ClientId::Wearable(device(1)))).await.unwrap().unwrap();
    assert_eq!((found.pinned().unwrap(), found.patient), (wearable, patient("P001")));
    assert_eq!(found.name.unwrap().as_str(), "bed-7");
}
