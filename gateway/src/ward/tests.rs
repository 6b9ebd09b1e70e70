//! Logins that the ward must not let in although their proof was good when it was checked; what is told of wearables.

use std::path::Path;

use crypto::{Secret, identity::SigningKey};
use protocol::{
    cadence::{Interval, Settings},
    credential::{ClientIdentity, ClientKind, LoginKey, PinnedClient},
    firmware::{Firmware, FirmwareStatus, UpdateState},
    frame::FrameReader,
    handshake::{Channel, Established, Terms, initiator::AwaitReply, responder::Login},
    id::{BootId, HardwareId, Seq},
    image::{Header, Refusal as Unfit},
    message::Instruction,
    pairing::{code::Selector, network::NetworkCredentials},
    status::{DeviceStatus, LinkQuality},
    time::{ClockFlag, UnixMillis},
    vitals::{Sample, SampleTime, VitalsBatch},
    waveform::Signal,
};

use super::{
    people::{Invitation, OFFER_LIFETIME},
    *,
};
use crate::{net::tls::new_identity, store::offers::Offer};

const DEVICE: ClientId = ClientId::Wearable(DeviceId::from_bytes([7; 16]));

pub(crate) fn ward(folder: &Path) -> Arc<Ward> {
    let doctor = "D001".parse().unwrap();
    let store = Store::open(&folder.join("ward.db"), &Secret::new([1; 32]), &doctor).unwrap();
    let identity = new_identity(&doctor).unwrap();
    Ward::new(Arc::new(identity.keys), store, Clock::start())
}

fn offer(code: &str) -> Offer {
    Offer {
        code: code.parse().unwrap(),
        kind: ClientKind::Wearable,
        patient: "P001".parse().unwrap(),
        replaces: false,
        created: UnixMillis(0),
        expires: UnixMillis(0),
        tries_left: 3,
        network: None,
    }
}

/// Pairs the device with a new key, as far as its first login.
pub(crate) async fn pair(ward: &Ward, code: &str) -> ClientIdentity {
    pair_for(ward, code, "P001").await
}

async fn pair_for(ward: &Ward, code: &str, patient: &str) -> ClientIdentity {
    let login = LoginKey::generate(ClientKind::Wearable, &mut system_rng()).unwrap();
    let pinned = PinnedClient { id: DEVICE, login: login.verifying_key(), receipts: None };
    let now = ward.now().wall;
    let patient = patient.parse().unwrap();
    let offer = Offer { patient, created: now, expires: now + OFFER_LIFETIME, ..offer(code) };
    let pending = ward.store.write(move |ledger| {
        ledger.create_offer(&offer)?;
        ledger.enrol_pending(&pinned, None, offer.code.selector, now)
    });
    pending.await.unwrap();
    ClientIdentity { id: DEVICE, login, receipts: None }
}

/// A login with a good proof, checked against the binding of this moment.
async fn proved(ward: &Ward, client: ClientIdentity) -> Established {
    let body = |frame: &[u8]| {
        let mut reader = FrameReader::new(frame.len());
        reader.push(frame);
        reader.next_frame().unwrap().unwrap().body
    };
    let (now, rng) = (ward.now(), &mut system_rng());
    let pinned = ward.identity().pinned(ClientKind::Wearable);
    let terms = Terms::of(ClientKind::Wearable, Channel::Plain, ClockFlag::None);
    let (waiting, hello) = AwaitReply::start(Arc::new(client), pinned, terms, now, rng).unwrap();
    let login = Login::parse(hello, ClientKind::Wearable, Channel::Plain).unwrap();
    let (expected, reply) = login.answer(ward.identity(), Duration::from_secs(30), now, rng).unwrap();
    let (_, proof) = waiting.handle_reply(&body(&reply), rng).unwrap();
    let claimed = expected.open(proof).unwrap();
    let enrolled = ward.enrolled(claimed.client(), claimed.key()).await.unwrap().unwrap();
    claimed.verify(Some(&enrolled.pinned().unwrap()), now).unwrap().0
}

#[tokio::test]
async fn a_login_overtaken_by_its_own_replacement_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let old = pair(&ward, "ABC-DEF-GH2").await;
    let secret = *old.login.to_secret().expose();
    let first = proved(&ward, old).await;
    ward.admit(first, "here", false).await.unwrap();

    let again = LoginKey::from_secret(ClientKind::Wearable, secret).unwrap();
    let overtaken = proved(&ward, ClientIdentity { id: DEVICE, login: again, receipts: None }).await;
    let new = pair(&ward, "BCD-EFG-HJ3").await;
    let replacing = proved(&ward, new).await;
    let (current, _) = ward.admit(replacing, "there", false).await.unwrap();

    assert_eq!(ward.admit(overtaken, "here", false).await.err(), Some(Fault::DeniedUnknown));
    let session = ward.state().roster.session(&DEVICE).unwrap().session;
    assert_eq!(session, current.session_id, "the new one is not displaced");
}

#[tokio::test]
async fn a_login_overtaken_by_its_revocation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let first = pair(&ward, "ABC-DEF-GH2").await;
    let secret = *first.login.to_secret().expose();
    let established = proved(&ward, first).await;
    ward.admit(established, "here", false).await.unwrap();
    let again = LoginKey::from_secret(ClientKind::Wearable, secret).unwrap();
    let overtaken = proved(&ward, ClientIdentity { id: DEVICE, login: again, receipts: None }).await;
    ward.revoke(ClientKind::Wearable, &DEVICE.to_string(), "a test").await.unwrap();
    assert_eq!(ward.admit(overtaken, "here", false).await.err(), Some(Fault::DeniedUnknown));
    assert!(ward.state().roster.session(&DEVICE).is_none());
}

/// The events so far of one kind.
fn told(events: &mut broadcast::Receiver<WardEvent>, wanted: impl Fn(&WardEvent) -> bool) -> usize {
    std::iter::from_fn(|| events.try_recv().ok()).filter(wanted).count()
}

#[tokio::test]
async fn a_flood_of_updates_is_told_once_a_second_with_the_last_in_any_case() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let mut events = ward.subscribe();
    let ClientId::Wearable(device) = DEVICE else { unreachable!() };
    let update = |received| FirmwareStatus {
        state: UpdateState::RECEIVING,
        version: 2,
        received,
        length: 9_999,
        refusal: None,
    };
    let of = |received| move |event: &WardEvent| matches!(event, WardEvent::Firmware { update, .. } if update.received == received);
    let begin = ward.now().mono;
    for received in 1..=1_000 {
        ward.take_firmware_status(device, update(received));
        ward.tell_updates(begin).await;
    }
    assert_eq!(told(&mut events, |_| true), 1);
    ward.tell_updates(begin + Duration::from_secs(1)).await;
    assert_eq!(told(&mut events, of(1_000)), 1);
    ward.tell_updates(begin + Duration::from_secs(9)).await;
    assert_eq!(told(&mut events, |_| true), 0);
}

#[tokio::test]
async fn a_wearable_that_says_nothing_after_its_login_is_told_to_be_overdue() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let _device = admitted(&ward, "ABC-DEF-GH2").await;
    let mut events = ward.subscribe();
    let overdue = |event: &WardEvent| matches!(event, WardEvent::Overdue { .. });
    ward.find_overdue(ward.now().mono);
    assert_eq!(told(&mut events, overdue), 0);
    for _ in 0..2 {
        ward.find_overdue(ward.now().mono + Duration::from_secs(13));
    }
    assert_eq!(told(&mut events, overdue), 1, "once");
}

#[tokio::test]
async fn the_code_and_network_of_an_offer_are_forgotten_when_it_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let network = NetworkCredentials::new("Ward 7".into(), "correct horse".to_owned().into()).unwrap();
    let (created, expires) = (UnixMillis(1), UnixMillis(2));
    let old = Offer { created, expires, network: Some(network), ..offer("ABC-DEF-GH2") };
    ward.store.write(move |ledger| ledger.create_offer(&old)).await.unwrap();
    let open = async || ward.store.read(move |view| view.open_offers(created)).await.unwrap().len();
    assert_eq!(open().await, 1);
    let forgotten = async {
        while open().await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = ward.run() => {}
        done = tokio::time::timeout(Duration::from_secs(30), forgotten) => done.unwrap(),
    }
}

/// A wearable in session.
async fn admitted(ward: &Ward, code: &str) -> Admitted {
    let client = pair(ward, code).await;
    let established = proved(ward, client).await;
    ward.admit(established, "here", false).await.unwrap().0
}

/// Every so many seconds a sample and an upload.
fn every(seconds: u32) -> Settings {
    let interval = Interval::try_from(seconds * 1_000).unwrap();
    Settings::new(interval, interval).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_settings_that_two_people_make_at_once_the_device_is_told_last_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let mut device = admitted(&ward, "ABC-DEF-GH2").await;
    let ClientId::Wearable(id) = DEVICE else { unreachable!() };
    for _ in 0..50 {
        let people: Vec<_> = (30..40)
            .map(|seconds| {
                let ward = Arc::clone(&ward);
                tokio::spawn(async move { ward.set(&DEVICE.to_string(), every(seconds), "a test").await })
            })
            .collect();
        for person in people {
            assert!(person.await.unwrap().unwrap().told);
        }
        let mut told = None;
        while let Ok(Outbound::Instruction(Instruction::Settings(settings))) = device.queue.try_recv() {
            told = Some(settings);
        }
        let kept = ward.store.read(move |view| view.settings(id)).await.unwrap();
        assert_eq!(told, kept);
    }
}

#[tokio::test]
async fn a_wearable_that_is_paired_anew_begins_with_the_default_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let ClientId::Wearable(id) = DEVICE else { unreachable!() };
    let _first = admitted(&ward, "ABC-DEF-GH2").await;
    let default = Ok(Some(Instruction::Settings(Settings::LIVE)));
    assert_eq!(ward.standing_instruction(id).await, default, "another gateway may have set it");
    ward.set(&DEVICE.to_string(), every(300), "a test").await.unwrap();
    let _next = admitted(&ward, "BCD-EFG-HJ3").await;
    assert_eq!(ward.standing_instruction(id).await, default, "the device may have kept the others");
    let audit = ward.store.read(|view| view.audit_entries(9)).await.unwrap();
    let said = "a sample every 1 s, an upload every 1 s again, after a new pairing";
    assert!(audit.iter().any(|row| row.detail == said && row.subject == DEVICE.to_string()), "{audit:?}");
}

/// The details of the audit's rows of a kind, the oldest first.
async fn audited(ward: &Ward, event: AuditEvent) -> Vec<String> {
    let rows = ward.store.read(|view| view.audit_entries(99)).await.unwrap();
    let of = rows.into_iter().rev().filter(|row| row.event == event.to_string());
    of.map(|row| row.detail).collect()
}

#[tokio::test]
async fn how_an_update_ended_is_audited_once_however_often_the_device_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let ClientId::Wearable(device) = DEVICE else { unreachable!() };
    let mut now = ward.now().mono;
    let mut tell = async |state, refusal| {
        let update = FirmwareStatus { state, version: 2, received: 0, length: 9, refusal };
        ward.take_firmware_status(device, update);
        now = now + Duration::from_secs(1);
        ward.tell_updates(now).await;
    };
    for _ in 0..3 {
        tell(UpdateState::RECEIVING, None).await;
        tell(UpdateState::REFUSED, Some(Unfit::BATTERY)).await;
    }
    tell(UpdateState::TRYING, None).await;
    tell(UpdateState::CONFIRMED, None).await;
    let refused = format!("firmware 2 refused: the image {}", Unfit::BATTERY);
    assert_eq!(audited(&ward, AuditEvent::Updated).await, [&refused[..], "firmware 2 confirmed"]);
}

#[tokio::test]
async fn an_end_that_could_not_be_audited_is_told_and_audited_later() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let ClientId::Wearable(device) = DEVICE else { unreachable!() };
    let mut events = ward.subscribe();
    let update = |state, version| FirmwareStatus { state, version, received: 0, length: 9, refusal: None };
    ward.take_firmware_status(device, update(UpdateState::ROLLED_BACK, 2));
    ward.take_firmware_status(device, update(UpdateState::RECEIVING, 3));
    ward.tell_updates(ward.now().mono).await;
    assert_eq!(audited(&ward, AuditEvent::Updated).await, ["firmware 2 rolled back"]);
    assert_eq!(
        told(&mut events, |event| matches!(event, WardEvent::Firmware { .. })),
        2,
        "both, in one tick"
    );
    ward.store.clone().close().await;
    ward.take_firmware_status(device, update(UpdateState::CONFIRMED, 3));
    ward.tell_updates(ward.now().mono + Duration::from_secs(2)).await;
    assert_eq!(told(&mut events, |_| true), 0);
    let again = ward.state().device(device, Monotonic(0)).update.poll_news(Monotonic(u64::MAX));
    assert_eq!(again, [update(UpdateState::CONFIRMED, 3)]);
}

#[tokio::test]
async fn samples_that_are_late_or_discarded_are_told_and_audited_once_for_each_batch() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let ClientId::Wearable(device) = DEVICE else { unreachable!() };
    let _first = admitted(&ward, "ABC-DEF-GH2").await;
    let handed_on = ward.now().wall;
    let next = pair_for(&ward, "BCD-EFG-HJ3", "P002").await;
    ward.admit(proved(&ward, next).await, "here", false).await.unwrap();
    let sample = |seq, wall, since_boot_ms| Sample {
        seq: Seq(seq),
        boot: BootId(1),
        taken: SampleTime { since_boot_ms, wall },
        simulated: true,
        quantities: Vec::new(),
    };
    let late = UnixMillis(handed_on.0 - 1);
    let (gone, taken) = (sample(1, Some(late), 1), sample(2, None, 2));
    let conflict = sample(1, Some(late), 99);
    let mut events = ward.subscribe();
    for _ in 0..2 {
        for samples in [vec![gone.clone(), taken.clone()], vec![conflict.clone()]] {
            ward.take_vitals(device, VitalsBatch { previous: [0; 32], samples }).await.unwrap();
        }
    }
    let said = audited(&ward, AuditEvent::Samples).await;
    assert_eq!(
        said,
        [
            "1 NOT stored: without a time, and several patients have worn the device; reset it before it changes hands",
            "1 that came late stored for P001, who wore the device then",
            "1 NOT stored: other samples have their numbers (the device's counter was reset); reset it and pair it again",
        ]
    );
    let late = |event: &WardEvent| matches!(event, WardEvent::LateSamples { patient, count: 1, .. } if patient == "P001");
    assert_eq!(told(&mut events, late), 1);
}

#[tokio::test]
async fn an_offer_is_audited_with_its_network_but_no_passphrase_and_its_end_only_if_it_was_open() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let login = LoginKey::generate(ClientKind::Patient, &mut system_rng()).unwrap().verifying_key();
    let receipts = Some(SigningKey::generate(&mut system_rng()).verifying_key());
    let client = PinnedClient { id: ClientId::Patient("P001".parse().unwrap()), login, receipts };
    let now = ward.now().wall;
    let open = Offer {
        kind: ClientKind::Patient,
        created: now,
        expires: now + OFFER_LIFETIME,
        ..offer("ABC-DEF-GH2")
    };
    let paired = ward.store.write(move |ledger| {
        ledger.create_offer(&open)?;
        ledger.enrol_pending(&client, None, open.code.selector, now)?;
        ledger.confirm_enrolment(&client.id, client.login.key_id(), now)
    });
    paired.await.unwrap();
    let network = NetworkCredentials::new("Ward 7".into(), "correct horse".to_owned().into()).unwrap();
    let invitation = Invitation {
        kind: ClientKind::Wearable,
        patient: "P001".parse().unwrap(),
        replaces: false,
        code: Some("BCD-EFG-HJ3".parse().unwrap()),
        network: Some(network),
        by: "a test".into(),
    };
    ward.invite(invitation).await.unwrap();
    let said = "wearable for 10 min, with the network Ward 7";
    assert_eq!(audited(&ward, AuditEvent::Offered).await, [said]);
    let selector = Selector::from_bytes(*b"BCD").unwrap();
    assert!(ward.cancel_offer(selector, "a test").await.unwrap());
    assert!(!ward.cancel_offer(selector, "a test").await.unwrap());
    assert_eq!(audited(&ward, AuditEvent::Controlled).await, ["offer called off"]);
}

#[tokio::test]
async fn a_signal_is_audited_as_asked_for_only_if_the_device_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let device = admitted(&ward, "ABC-DEF-GH2").await;
    let ask = async |seconds| ward.ask_waveform(&DEVICE.to_string(), Signal::ECG, seconds, "a test").await;
    ask(10).await.unwrap();
    ask(0).await.unwrap();
    let leaving = LeavingSession { client: DEVICE, patient: device.patient, session: device.session_id };
    ward.leave(&leaving, &SessionEnd::Lost("gone".into())).await;
    ask(10).await.unwrap_err();
    assert_eq!(audited(&ward, AuditEvent::Controlled).await, ["10 s of ecg asked for", "ecg stopped"]);
}

#[tokio::test]
async fn an_image_that_found_the_battery_low_is_offered_again_while_the_device_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let ward = ward(folder.path());
    let ClientId::Wearable(id) = DEVICE else { unreachable!() };
    let mut device = admitted(&ward, "ABC-DEF-GH2").await;
    let hardware: HardwareId = "board".parse().unwrap();
    let refused = FirmwareStatus {
        state: UpdateState::REFUSED,
        version: 2,
        received: 0,
        length: 0,
        refusal: Some(Unfit::BATTERY),
    };
    let status = DeviceStatus {
        cadence: Settings::LIVE.cadence(),
        battery: None,
        link: LinkQuality::default(),
        waiting: 0,
        lost: 0,
        firmware: Firmware { name: String::new(), version: 1, hardware: hardware.clone() },
        update: Some(refused),
    };
    assert_eq!(ward.take_status(id, status).await, Ok(None));
    let maker = SigningKey::generate(&mut system_rng());
    let header = Header::sign(&[1, 2, 3], &hardware, 2, &maker).unwrap();
    ward.publish_firmware(&[&header.bytes()[..], &[1, 2, 3]].concat(), None, "a test").await.unwrap();
    let mut offers = || {
        let queued = std::iter::from_fn(|| device.queue.try_recv().ok());
        queued.filter(|said| matches!(said, Outbound::Instruction(Instruction::Offer(_)))).count()
    };
    assert_eq!(offers(), 1, "when it is published");
    let now = ward.now().mono;
    ward.offer_again(now + Duration::from_secs(590)).await;
    assert_eq!(offers(), 0);
    ward.offer_again(now + Duration::from_secs(601)).await;
    assert_eq!(offers(), 1);
}
