//! What holds for all inputs: framing, encodings, and endpoints that take whatever comes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

mod common;

use common::*;
use crypto::{Secret, identity::SigningKey};
use proptest::{collection::vec, option, prelude::*};
use vitalward_protocol::{
    alert::{Audience, Draft, Priority, Receipt, Stage, UnverifiedAlert, UnverifiedReceipt},
    credential::{ClientKind, Suite},
    error::Fault,
    frame::{self, FrameReader, HEADER_LEN, MAX_BODY},
    handshake::{Channel, responder::Login, resume::Resumption, resume::Ticket},
    id::{AlertId, BootId, PatientId, Seq},
    message::FromClient,
    opcode::Opcode,
    pairing::{code::PairingCode, responder::Pairing},
    reading::{Measurement, Method, Reason},
    time::UnixMillis,
    vitals::{Code, Decimal, Quantity, Sample, SampleTime, UnverifiedBatch, VitalsBatch},
    waveform::{self, MAX_PACKED, Packed},
};

fn opcode() -> impl Strategy<Value = Opcode> {
    (0..Opcode::ALL.len()).prop_map(|n| Opcode::ALL[n])
}

fn frame_list() -> impl Strategy<Value = Vec<(Opcode, Vec<u8>)>> {
    vec((opcode(), vec(any::<u8>(), 0..300)), 0..12)
}

/// Bytes, and frames of known opcodes with whatever inside: the second get further.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..600),
        frame_list().prop_map(|list| list.iter().flat_map(|(o, body)| frame::encode(*o, body)).collect()),
    ]
}

fn quantity() -> impl Strategy<Value = Quantity> {
    let code = prop_oneof![any::<u32>().prop_map(Code::Mdc), "[!-~]{1,24}".prop_map(Code::Loinc)];
    let value = (any::<i32>(), -9_i8..=9).prop_map(|(mantissa, exponent)| Decimal { mantissa, exponent });
    let measured = (value, option::of(0_u8..=100), any::<u8>(), any::<u16>());
    let measured = measured.prop_map(|(value, quality, method, calibration)| {
        Ok(Measurement { value, quality, method: Method(method), calibration })
    });
    let reading = prop_oneof![measured, any::<u8>().prop_map(|reason| Err(Reason(reason)))];
    (code, "[!-~]{1,24}", reading).prop_map(|(code, unit, reading)| Quantity { code, unit, reading })
}

fn sample() -> impl Strategy<Value = Sample> {
    let time = (any::<u64>(), any::<Option<u64>>());
    (any::<u64>(), time, any::<bool>(), vec(quantity(), 0..6)).prop_map(
        |(boot, (since_boot_ms, wall), simulated, quantities)| Sample {
            seq: Seq(0),
            boot: BootId(boot),
            taken: SampleTime { since_boot_ms, wall: wall.map(UnixMillis) },
            simulated,
            quantities,
        },
    )
}

fn signing_key() -> SigningKey {
    SigningKey::from_secret(&Secret::new([5; 32]))
}

prop_compose! {
    fn draft()(
        id in any::<[u8; 16]>(),
        (sequence, created, expires) in any::<(u64, u64, u64)>(),
        priority in prop_oneof![Just(Priority::Low), Just(Priority::Medium), Just(Priority::High)],
        selected in any::<bool>(),
        cancels in any::<Option<[u8; 16]>>(),
        text in "\\PC{1,80}",
    ) -> Draft {
        let audience = if selected { Audience::Selected } else { Audience::Ward };
        let (created, expires) = (UnixMillis(created), UnixMillis(expires));
        let (id, cancels) = (AlertId::from_bytes(id), cancels.map(AlertId::from_bytes));
        Draft { id, sequence, created, expires, priority, audience, cancels, text }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(list in frame_list(), cuts in vec(1_usize..40, 1..60)) {
        let stream: Vec<u8> = list.iter().flat_map(|(o, body)| frame::encode(*o, body)).collect();
        let mut reader = FrameReader::new(MAX_BODY);
        let (mut rest, mut found) = (&stream[..], Vec::new());
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            reader.push(now);
            while let Some(frame) = reader.next_frame().unwrap() {
                found.push((frame.opcode, frame.body));
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, list);
        prop_assert_eq!(reader.buffered(), 0);
    }

    #[test]
    fn every_signal_comes_back_as_it_was_sampled(
        start in any::<i32>(),
        steps in vec(prop_oneof![5 => -20..=20, 1 => any::<i32>()], 0..700),
    ) {
        let samples: Vec<i32> = steps
            .iter()
            .scan(start, |last, step| {
                *last = last.wrapping_add(*step);
                Some(*last)
            })
            .collect();
        let mut rest = &samples[..];
        while !rest.is_empty() {
            let (packed, count) = Packed::pack(rest);
            prop_assert!(count >= rest.len().min(128) && packed.packed_len() <= MAX_PACKED);
            let bytes = postcard::to_allocvec(&packed).unwrap();
            prop_assert!(bytes.len() < 1_600);
            let read: Packed = postcard::from_bytes(&bytes).unwrap();
            let (sent, left) = rest.split_at(count);
            prop_assert_eq!(read.unpack(), sent);
            rest = left;
        }
    }

    #[test]
    fn whatever_claims_to_be_packed_stays_in_its_bounds(count in any::<u16>(), bytes in vec(any::<u8>(), 0..1_700)) {
        let claimed = postcard::to_allocvec(&(count, bytes)).unwrap();
        if let Ok(packed) = postcard::from_bytes::<Packed>(&claimed) {
            prop_assert_eq!(packed.unpack().len(), usize::from(count));
            prop_assert!(usize::from(count) <= waveform::MAX_SAMPLES);
        }
    }

    #[test]
    fn decoders_take_any_bytes_without_panic(bytes in vec(any::<u8>(), 0..400), kind in prop_oneof![Just(ClientKind::Patient), Just(ClientKind::Wearable)]) {
        // What decodes by chance must be refused by its signature or limits, or encode to something that decodes.
        if let Ok(alert) = UnverifiedAlert::decode(&bytes) {
            prop_assert!(alert.verify(&signing_key().verifying_key()).is_err());
        }
        if let Ok(receipt) = UnverifiedReceipt::decode(&bytes) {
            let key = signing_key().verifying_key();
            prop_assert!(receipt.verify(&"P001".parse().unwrap(), &key, &key).is_err());
        }
        if let Ok(batch) = UnverifiedBatch::decode(&bytes).map_err(Fault::from).and_then(UnverifiedBatch::verify) {
            prop_assert!(!batch.samples.is_empty());
        }
        let mut versioned = bytes;
        versioned.insert(0, 1);
        let told = [
            Login::parse(versioned.clone(), kind, channel(kind)).err(),
            Resumption::parse(versioned.clone(), kind, channel(kind)).err(),
            Pairing::parse(versioned, kind, channel(kind)).err(),
        ];
        prop_assert!(told.into_iter().flatten().all(|fault| fault.refusal().is_some()));
    }

    #[test]
    fn a_gateway_takes_any_bytes_in_any_state(bytes in garbage(), state in 0..4, split in 1_usize..50) {
        let mut clinic = Clinic::new(1);
        let identity = clinic.enrolled(wearable(1));
        let conn = match state {
            0 => clinic.open(ClientKind::Wearable),
            1 => clinic.open_on(ClientKind::Patient, TLS),
            2 => {
                let conn = clinic.open(ClientKind::Wearable);
                let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
                clinic.send(conn, &hello);
                conn
            }
            _ => clinic.session(&identity, None).conn,
        };
        for piece in bytes.chunks(split) {
            clinic.send(conn, piece);
        }
        // Garbage never makes a session; it ends one at the first whole frame.
        let whole_frame = bytes.len() >= HEADER_LEN
            && usize::try_from(u32::from_be_bytes(bytes[..4].try_into().unwrap())).unwrap() <= bytes.len() - 4;
        prop_assert_eq!(clinic.gateway.in_session().len(), usize::from(state == 3 && !whole_frame && !is_refused(&bytes)));
        prop_assert!(clinic.gateway.store.rows.is_empty());
    }

    #[test]
    fn a_client_takes_any_bytes_in_any_state(bytes in garbage(), state in 0..4, split in 1_usize..50) {
        let mut clinic = Clinic::new(2);
        let identity = clinic.enrolled(wearable(1));
        let ticket = Ticket { token: [1; 16], suite: Suite::Wearable, key: Secret::new([1; 32]) };
        let mut talk = match state {
            0 => clinic.connect(&identity, None),
            1 => clinic.connect(&identity, Some(ticket)),
            2 => {
                let mut talk = clinic.connect(&identity, None);
                let hello = talk.endpoint.poll_transmit().unwrap();
                let reply = clinic.send(talk.conn, &hello).0.concat();
                talk.endpoint.handle_bytes(&reply, clinic.now, &mut clinic.rng);
                talk
            }
            _ => clinic.session(&identity, None),
        };
        talk.events.clear();
        for piece in bytes.chunks(split) {
            talk.endpoint.handle_bytes(piece, clinic.now, &mut clinic.rng);
        }
        let fault = talk.fault().cloned();
        prop_assert_eq!(talk.endpoint.is_closed(), fault.is_some());
        prop_assert!(!talk.endpoint.is_established() || state == 3);
        prop_assert!(talk.events.len() <= 1, "nothing but the end comes of garbage");
    }

    #[test]
    fn vitals_arrive_as_they_were_sent(mut samples in vec(sample(), 1..10), first in 0..u64::MAX / 2, previous in any::<[u8; 32]>()) {
        for (seq, sample) in (first..).zip(&mut samples) {
            sample.seq = Seq(seq);
        }
        let batch = VitalsBatch { previous, samples };
        let arrived = UnverifiedBatch::decode(&batch.encode()).unwrap().verify().unwrap();
        prop_assert_eq!(arrived.hash(), batch.hash());
        prop_assert_eq!(arrived, batch);
    }

    #[test]
    fn alerts_and_receipts_arrive_as_they_were_signed(draft in draft(), time in any::<u64>(), acknowledged in any::<bool>()) {
        let (key, public) = (signing_key(), signing_key().verifying_key());
        let alert = draft.sign(&key).unwrap();
        let arrived = UnverifiedAlert::decode(&alert.encode()).unwrap().verify(&public).unwrap();
        prop_assert_eq!(&arrived, &alert);
        let patient: PatientId = "P001".parse().unwrap();
        let stage = if acknowledged { Stage::Acknowledged } else { Stage::Decrypted };
        let receipt = Receipt::sign(&alert, stage, UnixMillis(time), &patient, &public, &key);
        let read = || UnverifiedReceipt::decode(&receipt.encode()).unwrap();
        prop_assert_eq!(read().verify(&patient, &public, &public).unwrap(), receipt.clone());
        prop_assert!(read().verify(&"P002".parse().unwrap(), &public, &public).is_err());
    }

    #[test]
    fn a_signature_covers_every_byte_of_an_alert(draft in draft(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let alert = draft.sign(&signing_key()).unwrap();
        let mut bytes = alert.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let believed = UnverifiedAlert::decode(&bytes).ok().and_then(|a| a.verify(&signing_key().verifying_key()).ok());
        prop_assert_eq!(believed, None);
    }

    #[test]
    fn a_code_reads_as_it_was_shown(seed in any::<u64>()) {
        let mut rng = Clinic::new(seed).rng;
        let code = PairingCode::generate(&mut rng);
        prop_assert_eq!(code.to_string().parse(), Ok(code));
        prop_assert_eq!(code.to_string().to_lowercase().replace('-', " ").parse(), Ok(code));
    }

    #[test]
    fn text_ids_read_back_or_are_refused(text in "\\PC{0,40}") {
        if let Ok(id) = text.parse::<PatientId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}

/// Whether the bytes are refused before a whole frame came: an impossible length or an unknown opcode.
fn is_refused(bytes: &[u8]) -> bool {
    let mut reader = FrameReader::new(MAX_BODY);
    reader.push(bytes);
    reader.next_frame().is_err()
}

#[test]
fn nothing_is_said_before_a_session() {
    let mut clinic = Clinic::new(3);
    let identity = clinic.enrolled(wearable(1));
    let mut talk = clinic.connect(&identity, None);
    let hello = talk.endpoint.poll_transmit();
    assert!(hello.is_some());
    talk.endpoint.say(&FromClient::Heartbeat, clinic.now).unwrap();
    assert_eq!(talk.endpoint.poll_transmit(), None);
    assert_eq!(channel(ClientKind::Wearable), Channel::Plain);
}
