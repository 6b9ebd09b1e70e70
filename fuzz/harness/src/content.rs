//! What travels inside a session: batches of samples, alerts, receipts, group keys and broadcasts.

use arbitrary::{Arbitrary, Unstructured};
use crypto::{Secret, identity::SigningKey};
use protocol::{
    alert::{Alert, Audience, Draft, Priority, Receipt, Stage, UnverifiedAlert, UnverifiedReceipt},
    frame::HEADER_LEN,
    group::{GroupMember, GroupOwner, WrappedKey},
    id::{AlertId, BootId, PatientId, Seq, SessionId},
    reading::{Measurement, Method, Reason},
    time::UnixMillis,
    vitals::{
        Decimal, KnownQuantity, MAX_QUANTITIES, MAX_SAMPLES, Sample, SampleTime, UnverifiedBatch, VitalsBatch,
    },
};

use crate::fixture::{GATEWAY, NOW, rng, select};

/// Batches keep their limits and come back as they were. Nothing is believed that was not signed, and not a bit of what
/// was signed may differ. Only the member that is meant opens a group key, and no forged broadcast makes it deaf.
pub fn content(data: &[u8]) {
    let (which, bytes) = select(data);
    match which % 5 {
        0 => batch(bytes),
        1 => unsigned_alert(bytes),
        2 => unsigned_receipt(bytes),
        3 => signed(&mut Unstructured::new(bytes)),
        _ => broadcast(bytes),
    }
}

fn batch(bytes: &[u8]) {
    let Ok(read) = UnverifiedBatch::decode(bytes) else { return };
    let Ok(batch) = read.verify() else { return };
    assert!((1..=MAX_SAMPLES).contains(&batch.samples.len()));
    assert!(batch.samples.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(batch.last(), batch.samples.last().map(|sample| sample.seq));
    for sample in &batch.samples {
        assert!(sample.quantities.len() <= MAX_QUANTITIES);
        for quantity in &sample.quantities {
            let said = match quantity.reading {
                Ok(Measurement { value, quality, method, .. }) => {
                    assert!(value.to_f64().is_finite() && value.to_f64().abs() < 1e19);
                    assert!(quality.is_none_or(|quality| quality <= 100));
                    [value.to_string(), method.to_string()]
                }
                Err(reason) => [reason.to_string(), quantity.unit.clone()],
            };
            assert!(!said.contains(&String::new()) && !quantity.code.to_string().is_empty());
            assert!(quantity.is_plausible() || KnownQuantity::of(&quantity.code).is_some());
        }
    }
    let again = UnverifiedBatch::decode(&batch.encode()).unwrap().verify().unwrap();
    assert_eq!(again.hash(), batch.hash());
    assert_eq!(again, batch);
}

fn unsigned_alert(bytes: &[u8]) {
    let Ok(read) = UnverifiedAlert::decode(bytes) else { return };
    assert!(UnverifiedAlert::decode(&[bytes, &[0]].concat()).is_err(), "read past its end");
    let believed = read.verify(&GATEWAY.alerts.verifying_key());
    assert_eq!(believed.ok(), (bytes == alert().encode()).then(alert));
}

fn unsigned_receipt(bytes: &[u8]) {
    let Ok(read) = UnverifiedReceipt::decode(bytes) else { return };
    assert!(UnverifiedReceipt::decode(&[bytes, &[0]].concat()).is_err(), "read past its end");
    let believed = read.verify(&patient(), &receipts().verifying_key(), &GATEWAY.alerts.verifying_key());
    assert_eq!(believed.ok(), (bytes == receipt().encode()).then(receipt));
}

/// The parts of an alert, and a bit to flip.
#[derive(Debug, Arbitrary)]
struct Parts {
    id: [u8; 16],
    cancels: Option<[u8; 16]>,
    sequence: u64,
    created: u64,
    expires: u64,
    urgent: bool,
    selected: bool,
    acknowledged: bool,
    flip: u16,
    text: String,
}

fn signed(input: &mut Unstructured<'_>) {
    let Ok(parts) = Parts::arbitrary(input) else { return };
    let draft = Draft {
        id: AlertId::from_bytes(parts.id),
        sequence: parts.sequence,
        created: UnixMillis(parts.created),
        expires: UnixMillis(parts.expires),
        priority: if parts.urgent { Priority::High } else { Priority::Low },
        audience: if parts.selected { Audience::Selected } else { Audience::Ward },
        cancels: parts.cancels.map(AlertId::from_bytes),
        text: parts.text,
    };
    let public = GATEWAY.alerts.verifying_key();
    let Ok(alert) = draft.sign(&GATEWAY.alerts) else { return };
    let bytes = alert.encode();
    assert_eq!(UnverifiedAlert::decode(&bytes).unwrap().verify(&public).as_ref(), Ok(&alert));
    assert_eq!(alert.id().to_string().parse(), Ok(alert.id()));
    let believed =
        UnverifiedAlert::decode(&flipped(bytes, parts.flip)).ok().and_then(|a| a.verify(&public).ok());
    assert_eq!(believed, None, "a bit of a signed alert differs");

    let stage = if parts.acknowledged { Stage::Acknowledged } else { Stage::Decrypted };
    let receipt = Receipt::sign(&alert, stage, UnixMillis(parts.created), &patient(), &public, &receipts());
    let key = receipts().verifying_key();
    let verify = |bytes: &[u8]| UnverifiedReceipt::decode(bytes).ok()?.verify(&patient(), &key, &public).ok();
    assert_eq!(verify(&flipped(receipt.encode(), parts.flip)), None, "a bit of a signed receipt differs");
    assert_eq!(verify(&receipt.encode()), Some(receipt));
}

fn flipped(mut bytes: Vec<u8>, bit: u16) -> Vec<u8> {
    let at = usize::from(bit / 8) % bytes.len();
    bytes[at] ^= 1 << (bit % 8);
    bytes
}

fn broadcast(bytes: &[u8]) {
    let mut random = rng(1);
    let (wrap, other) = (Secret::generate(&mut random), Secret::generate(&mut random));
    let mut member = GroupMember::new(GATEWAY.gateway, &wrap);
    let mut stranger = GroupMember::new(GATEWAY.gateway, &other);
    let mut owner = GroupOwner::new(GATEWAY.gateway, 1, NOW.mono, &mut random);
    let session = SessionId::from_bytes([1; 16]);
    let key: WrappedKey = owner.join(&patient(), session, wrap, NOW.mono, &mut random).remove(0).key;
    assert!(stranger.handle_key(&key).is_err(), "another member's key");
    assert!(member.open(bytes).is_err(), "before there is a key");
    assert_eq!(member.handle_key(&key), Ok(key.epoch));
    assert!(member.handle_key(&key).is_err(), "the same key again");

    let sealed = owner.seal(&alert(), NOW.mono, &mut random).unwrap();
    let genuine = &sealed.frame[HEADER_LEN..];
    let before = member.epoch();
    assert_eq!(member.open(bytes).is_ok(), bytes == genuine);
    assert_eq!(member.epoch(), before);
    assert_eq!(member.open(genuine), Ok((sealed.epoch, alert().encode())), "deaf after a forgery");
}

fn patient() -> PatientId {
    "P001".parse().unwrap()
}

fn receipts() -> SigningKey {
    SigningKey::from_secret(&Secret::new([18; 32]))
}

/// An alert of the gateway.
pub(crate) fn alert() -> Alert {
    let draft = Draft {
        id: AlertId::new(NOW.wall, [9; 10]),
        sequence: 1,
        created: NOW.wall,
        expires: UnixMillis(NOW.wall.0 + 1_000),
        priority: Priority::High,
        audience: Audience::Ward,
        cancels: None,
        text: "evacuate".into(),
    };
    draft.sign(&GATEWAY.alerts).unwrap()
}

fn receipt() -> Receipt {
    let gateway = GATEWAY.alerts.verifying_key();
    Receipt::sign(&alert(), Stage::Decrypted, NOW.wall, &patient(), &gateway, &receipts())
}

/// The genuine messages, with the selectors that ask for them: seeds.
pub(crate) fn genuine() -> Vec<Vec<u8>> {
    let mut random = rng(1);
    let (wrap, _) =
        (Secret::generate(&mut random), Secret::<crypto::purpose::WrapKey>::generate(&mut random));
    let mut owner = GroupOwner::new(GATEWAY.gateway, 1, NOW.mono, &mut random);
    owner.join(&patient(), SessionId::from_bytes([1; 16]), wrap, NOW.mono, &mut random);
    let sealed = owner.seal(&alert(), NOW.mono, &mut random).unwrap();
    let batch = |seqs: [u64; 2]| VitalsBatch { previous: [0; 32], samples: seqs.map(sample).into() }.encode();
    let messages = [
        (0, batch([8, 9])),
        (0, batch([8, 8])),
        (1, alert().encode()),
        (2, receipt().encode()),
        (4, sealed.frame[HEADER_LEN..].to_vec()),
    ];
    messages.into_iter().map(|(which, message)| [&[which][..], &message].concat()).collect()
}

fn sample(seq: u64) -> Sample {
    Sample {
        seq: Seq(seq),
        boot: BootId(7),
        taken: SampleTime { since_boot_ms: 1_000, wall: Some(NOW.wall) },
        simulated: true,
        quantities: vec![
            KnownQuantity::HEART_RATE.measured(72, 0),
            KnownQuantity::SPO2.reading(Ok(Measurement {
                value: Decimal { mantissa: 975, exponent: -1 },
                quality: Some(90),
                method: Method::RATIO_OF_RATIOS,
                calibration: 1,
            })),
            KnownQuantity::RESPIRATION.reading(Err(Reason::MOTION)),
        ],
    }
}
