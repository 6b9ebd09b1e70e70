//! What comes back from the folder, what is forgotten or refused, and that no secret is told.

use std::os::unix::fs::PermissionsExt;

use crypto::{Secret, identity};
use host::entropy::system_rng;
use protocol::{
    alert::{Audience, Draft, Priority},
    credential::{ClientKind, LoginKey, Suite},
    id::{ClientId, GatewayId},
};

use super::*;

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

pub(crate) fn gateway_key() -> identity::SigningKey {
    identity::SigningKey::from_secret(&Secret::new([5; 32]))
}

pub(crate) fn alert(created: UnixMillis, number: u8, text: &str) -> Alert {
    let draft = Draft {
        id: AlertId::new(created, [number; 10]),
        sequence: u64::from(number),
        created,
        expires: created + Duration::from_secs(3_600),
        priority: Priority::High,
        audience: Audience::Ward,
        cancels: None,
        text: text.to_owned(),
    };
    draft.sign(&gateway_key()).unwrap()
}

pub(crate) fn kept(created: UnixMillis, number: u8) -> KeptAlert {
    KeptAlert { alert: alert(created, number, "Fire"), seen: created, stage: Stage::Decrypted }
}

pub(crate) fn binding(patient: &str, doctor: &str) -> Binding {
    let mut rng = system_rng();
    let patient: PatientId = patient.parse().unwrap();
    let identity = ClientIdentity {
        id: ClientId::Patient(patient.clone()),
        login: LoginKey::generate(ClientKind::Patient, &mut rng).unwrap(),
        receipts: Some(identity::SigningKey::generate(&mut rng)),
    };
    let gateway = PinnedGateway {
        gateway: GatewayId::from_random([7; 16]),
        doctor: doctor.parse().unwrap(),
        login: LoginKey::generate(ClientKind::Patient, &mut rng).unwrap().verifying_key(),
        alerts: gateway_key().verifying_key(),
        tls_spki: [9; 32],
    };
    Binding { patient, identity: Arc::new(identity), gateway, paired: NOW }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("patient-P001");
    (parent, path)
}

fn ticket() -> Ticket {
    Ticket { token: [3; 16], suite: Suite::Patient, key: Secret::new([4; 32]) }
}

#[test]
fn a_binding_comes_back_as_it_was() {
    let (_parent, path) = folder();
    let binding = binding("P001", "D001");
    Store::open(&path).unwrap().keep_binding(&binding).unwrap();
    let store = Store::open(&path).unwrap();
    let found = store.binding().unwrap().unwrap();
    assert_eq!((found.patient, found.gateway, found.paired), (binding.patient, binding.gateway, NOW));
    assert_eq!(found.identity.login.to_secret(), binding.identity.login.to_secret());
    let receipts = |identity: &ClientIdentity| identity.receipts.as_ref().map(|key| key.to_secret());
    assert_eq!(receipts(&found.identity), receipts(&binding.identity));
    let mode = fs::metadata(path.join(IDENTITY)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_ticket_works_once_and_not_after_its_time() {
    let (_parent, path) = folder();
    let store = Store::open(&path).unwrap();
    let expires = NOW + Duration::from_secs(60);
    store.keep_ticket(&ticket(), expires).unwrap();
    let taken = store.take_ticket(NOW).unwrap().unwrap();
    assert_eq!((taken.token, taken.key), ([3; 16], Secret::new([4; 32])));
    assert!(!path.join(TICKET).exists(), "gone before it is used");
    assert!(store.take_ticket(NOW).unwrap().is_none());
    store.keep_ticket(&ticket(), expires).unwrap();
    assert!(store.take_ticket(expires).unwrap().is_none());
    assert!(!path.join(TICKET).exists());
}

#[test]
fn a_new_binding_takes_the_old_ones_ticket_away() {
    let (_parent, path) = folder();
    let store = Store::open(&path).unwrap();
    store.keep_ticket(&ticket(), NOW + MEMORY).unwrap();
    store.keep_binding(&binding("P001", "D001")).unwrap();
    assert!(store.take_ticket(NOW).unwrap().is_none());
}

#[test]
fn a_write_that_was_cut_off_leaves_the_old_file_in_force() {
    let (_parent, path) = folder();
    let first = binding("P001", "D001");
    let store = Store::open(&path).unwrap();
    store.keep_binding(&first).unwrap();
    drop(store);
    fs::write(path.join("identity.json.new"), b"{\"version\":1,\"pati").unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!(store.binding().unwrap().unwrap().gateway, first.gateway);
    assert!(!path.join("identity.json.new").exists());
}

#[test]
fn alerts_are_remembered_for_thirty_days() {
    let (_parent, path) = folder();
    let store = Store::open(&path).unwrap();
    let mut newer = kept(NOW, 2);
    store.keep_alert(&newer).unwrap();
    store.keep_alert(&kept(UnixMillis(NOW.0 - 1_000), 1)).unwrap();
    newer.stage = Stage::Acknowledged;
    store.keep_alert(&newer).unwrap();
    let key = gateway_key().verifying_key();
    let found = store.alerts(&key, NOW).unwrap();
    let stages: Vec<_> = found.iter().map(|kept| kept.stage).collect();
    assert_eq!(stages, [Stage::Decrypted, Stage::Acknowledged]);
    assert_eq!(found[1].alert, newer.alert);
    assert_eq!(store.alerts(&key, NOW + MEMORY).unwrap().len(), 1, "the older one is forgotten");
    assert_eq!(store.alerts(&key, NOW).unwrap().len(), 1, "for good");
    let other = identity::SigningKey::from_secret(&Secret::new([6; 32])).verifying_key();
    assert!(store.alerts(&other, NOW).unwrap().is_empty(), "another gateway's");
}

#[test]
fn files_of_another_version_or_damaged_ones_are_named() {
    let (_parent, path) = folder();
    let store = Store::open(&path).unwrap();
    store.folder.write(IDENTITY, b"{\"version\":2}").unwrap();
    assert!(matches!(store.binding(), Err(StoreError::Version { found: 2, .. })));
    store.folder.write(IDENTITY, b"{\"version\":1}").unwrap();
    let said = store.binding().unwrap_err().to_string();
    assert!(said.contains("identity.json is damaged"), "{said}");
}

#[test]
fn no_secret_is_in_any_debug_text() {
    let binding = binding("P001", "D001");
    let said = format!("{binding:?} {:?}", KeptBinding::of(&binding));
    let identity = &binding.identity;
    let receipts = identity.receipts.as_ref().unwrap().to_secret();
    for secret in [identity.login.to_secret().expose().as_slice(), receipts.expose().as_slice()] {
        assert!(!said.contains(&hex::encode(secret)));
        assert!(!said.contains(&format!("{secret:?}")));
    }
}

#[test]
fn the_only_identity_is_found_and_a_typing_error_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let place = |create| Place::Home { home: parent.path().to_owned(), create };
    let id = |text: &str| text.parse::<PatientId>().unwrap();
    assert!(place(false).find(None, false).unwrap().is_none());
    place(false).open(&id("P001")).unwrap().keep_binding(&binding("P001", "D001")).unwrap();
    assert!(place(false).find(None, false).unwrap().is_some());
    assert!(place(false).find(Some(&id("P001")), false).unwrap().is_some());
    assert!(place(false).find(None, true).unwrap().is_none(), "the gateway says whose code it is");
    let said = place(false).find(Some(&id("P010")), false).unwrap_err().to_string();
    assert!(said.contains("P010") && said.contains("P001") && said.contains("--create"), "{said}");
    assert!(place(true).find(Some(&id("P010")), false).unwrap().is_none());
    assert!(place(false).find(Some(&id("P010")), true).unwrap().is_none(), "a code is asked for on purpose");
    place(true).open(&id("P002")).unwrap().keep_binding(&binding("P002", "D001")).unwrap();
    assert!(matches!(place(false).find(None, false), Err(StoreError::WhichOne(_))));
}
