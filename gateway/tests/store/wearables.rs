//! What wearables are told: kept, found by what fits, and forgotten in time.

use crypto::{Secret, identity::SigningKey};
use gateway::store::{StoreError, offers::Offer};
use protocol::{
    cadence::{Interval, Settings},
    credential::ClientKind,
    firmware::FirmwareRequest,
    id::HardwareId,
    image::Header,
    pairing::network::NetworkCredentials,
};

use crate::support::*;

#[tokio::test]
async fn settings_are_there_after_a_restart_and_the_last_ones_count() {
    let folder = Folder::new();
    let store = folder.open();
    let later = Settings::new(Interval::SHORTEST, Interval::LONGEST).unwrap();
    for settings in [Settings::LIVE, later] {
        store.write(move |ledger| ledger.set(device(1), settings)).await.unwrap();
    }
    store.close().await;
    let of = async |number| folder.open().read(move |view| view.settings(device(number))).await.unwrap();
    assert_eq!((of(1).await, of(2).await), (Some(later), None));
}

#[tokio::test]
async fn a_device_is_offered_the_newest_image_of_its_hardware_above_what_it_runs() {
    let folder = Folder::new();
    let store = folder.open();
    let board: HardwareId = "board".parse().unwrap();
    let maker = SigningKey::from_secret(&Secret::new([1; 32]));
    let body = |version: u32| vec![u8::try_from(version).unwrap(); 3_000];
    for (hardware, version) in [("board", 2), ("board", 4), ("board", 3), ("other", 9)] {
        let header = Header::sign(&body(version), &hardware.parse().unwrap(), version, &maker).unwrap();
        store.write(move |ledger| ledger.publish_firmware(&header, &body(version), true, NOW)).await.unwrap();
    }
    let again = Header::sign(&body(9), &board, 4, &maker).unwrap();
    let refused = store.write(move |ledger| ledger.publish_firmware(&again, &body(9), true, NOW)).await;
    assert_eq!(refused, Err(StoreError::SameVersion));

    let offered = async |version| {
        let board = board.clone();
        let offer = store.read(move |view| view.firmware_for(&board, version)).await.unwrap();
        offer.map(|offer| (offer.image, Header::parse(&offer.header).unwrap().version(), offer.length))
    };
    assert_eq!((offered(1).await, offered(4).await), (Some((2, 4, 3_000)), None));
    let piece_for = async |hardware: &HardwareId, version, image, offset| {
        let (hardware, request) = (hardware.clone(), FirmwareRequest { image, offset, length: 1_024 });
        store.read(move |view| view.firmware_piece(&hardware, version, request)).await.unwrap()
    };
    let piece = async |image, offset| piece_for(&board, 1, image, offset).await;
    assert_eq!(piece_for(&board, 3, 2, 0).await.len(), 1_024);
    assert_eq!(piece_for(&board, 4, 2, 0).await, [0; 0], "it runs that already");
    assert_eq!(piece_for(&"other".parse().unwrap(), 1, 2, 0).await, [0; 0], "it is other hardware");
    assert_eq!((piece(2, 0).await, piece(2, 2_990).await), (vec![4; 1_024], vec![4; 10]));
    assert_eq!((piece(2, 3_000).await.len(), piece(77, 0).await.len()), (0, 0));

    assert!(store.write(|ledger| ledger.withdraw_firmware(2)).await.unwrap());
    assert!(!store.write(|ledger| ledger.withdraw_firmware(2)).await.unwrap());
    assert_eq!((offered(1).await.unwrap().1, piece(2, 0).await.len()), (3, 0));
    let header = Header::sign(&body(5), &board, 5, &maker).unwrap();
    let next =
        store.write(move |ledger| ledger.publish_firmware(&header, &body(5), false, NOW)).await.unwrap();
    assert_eq!(next.image, 5, "the number of a withdrawn image is never given again");
}

#[tokio::test]
async fn a_networks_passphrase_is_forgotten_with_its_offer_and_never_shown() {
    let folder = Folder::new();
    let store = folder.open();
    let network = NetworkCredentials::new("Ward 7".into(), "correct horse".to_owned().into()).unwrap();
    let offer =
        Offer { network: Some(network), ..offer("ABC-DEF-GH2", ClientKind::Wearable, &patient("P001")) };
    assert!(!format!("{offer:?}").contains("horse"));
    let (kept, selector) = (offer.clone(), offer.code.selector);
    store.write(move |ledger| ledger.create_offer(&kept)).await.unwrap();
    let spent = store.write(move |ledger| ledger.spend_guess(selector, NOW)).await.unwrap().unwrap();
    assert_eq!(spent.network, offer.network);
    assert!(store.write(move |ledger| ledger.cancel_offer(selector, NOW)).await.unwrap());
    // Nobody opens another one.
    let expires = offer.expires;
    store.write(move |ledger| ledger.create_offer(&offer)).await.unwrap();
    store.write(move |ledger| ledger.close_expired_offers(expires)).await.unwrap();
    store.close().await;
    let secrets = "SELECT count(*) FROM offers WHERE coalesce(ssid, passphrase, password) IS NOT NULL";
    let of = |sql| folder.by_hand().query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!((of(secrets), of("SELECT count(*) FROM offers WHERE outcome = 'expired'")), (0, 1));
}
