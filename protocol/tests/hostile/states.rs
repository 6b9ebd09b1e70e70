//! Each message in each state, and from whom it may come.

use crypto::identity::SigningKey;
use vitalward_protocol::{
    alert::{Receipt, Stage},
    cadence::Settings,
    credential::{ClientKind, Suite},
    endpoint::client::Event,
    error::Fault,
    firmware::{
        Firmware, FirmwareChunk, FirmwareOffer, FirmwareRequest, FirmwareStatus, MAX_CHUNK, UpdateState,
    },
    frame,
    handshake::resume::Ticket,
    image::MAX_BODY,
    message::{Farewell, FromClient, Instruction},
    opcode::Opcode,
    status::{Battery, DeviceStatus},
    testkit::ConnId,
    vitals::Decimal,
    waveform::{MAX_RATE_MILLIHERTZ, MAX_SECONDS, Signal, Waveform, WaveformRequest},
};

use crate::common::*;

/// Brings a connection into a state; the bytes are those of a PAIR_START.
type Enter = Box<dyn Fn(&mut Clinic, &[u8]) -> ConnId>;

#[test]
fn an_opcode_in_the_wrong_state_ends_the_conversation() {
    use Opcode::{Hello, KeyVerification, PairEnrol, PairStart, Resume};
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 34);
        let id = somebody(kind);
        let identity = clinic.enrolled(id.clone());
        let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
        let (now, mut rng) = (clinic.now, clinic.rng.clone());
        let mut start = |clinic: &mut Clinic| {
            let code = clinic.gateway.offer(id.clone(), true, now, &mut rng);
            let mut start = Vec::new();
            let _outcome = clinic.pair(&id, code, |_, frame| {
                start = frame;
                Vec::new()
            });
            start
        };
        let states: [(&str, Enter, &[Opcode]); 4] = [
            ("first", Box::new(move |clinic, _| clinic.open(kind)), &[Hello, Resume, PairStart]),
            (
                "proof",
                Box::new(move |clinic, _| {
                    let conn = clinic.open(kind);
                    clinic.send(conn, &hello);
                    conn
                }),
                &[KeyVerification],
            ),
            (
                "enrol",
                Box::new(move |clinic, start| {
                    let conn = clinic.open(kind);
                    clinic.send(conn, start);
                    conn
                }),
                &[PairEnrol],
            ),
            ("session", Box::new(move |clinic, _| clinic.session(&identity, None).conn), &[]),
        ];
        for (name, enter, allowed) in &states {
            for opcode in Opcode::ALL {
                let start = start(&mut clinic);
                let conn = enter(&mut clinic, &start);
                let (answers, closed) = clinic.send(conn, &frame::encode(*opcode, &[0; 40]));
                assert!(closed, "{name}: {opcode:?}");
                let fault = clinic.last_refusal();
                if *name == "session" {
                    assert_eq!(fault, &Fault::PeerRecord(*opcode));
                    assert!(answers.is_empty(), "nothing is said in clear after a login");
                } else if allowed.contains(opcode) {
                    assert!(!matches!(fault, Fault::PeerOutOfOrder { .. }), "{name}: {opcode:?} {fault:?}");
                } else {
                    assert!(matches!(fault, Fault::PeerOutOfOrder { .. }), "{name}: {opcode:?} {fault:?}");
                }
            }
        }
        assert!(clinic.gateway.in_session().is_empty());
    }
}

#[test]
fn a_client_takes_only_the_next_message_from_its_gateway() {
    let mut clinic = Clinic::new(35);
    let identity = clinic.enrolled(wearable(1));
    let ticket = || Ticket { token: [1; 16], suite: Suite::Wearable, key: crypto::Secret::new([1; 32]) };
    for opcode in Opcode::ALL {
        let frame = frame::encode(*opcode, &[0; 40]);
        let mut resuming = clinic.connect(&identity, Some(ticket()));
        let mut greeting = clinic.connect(&identity, None);
        let mut proving = clinic.connect(&identity, None);
        let hello = proving.endpoint.poll_transmit().unwrap();
        let (reply, _) = clinic.send(proving.conn, &hello);
        proving.endpoint.handle_bytes(&reply.concat(), clinic.now, &mut clinic.rng);
        let mut in_session = clinic.session(&identity, None);
        let states = [
            (&mut resuming, Opcode::ResumeReply),
            (&mut greeting, Opcode::HelloReply),
            (&mut proving, Opcode::KeyVerification),
        ];
        for (talk, expected) in states {
            talk.endpoint.handle_bytes(&frame, clinic.now, &mut clinic.rng);
            let fault = talk.fault().unwrap();
            match opcode {
                Opcode::Error => assert!(matches!(fault, Fault::Refused(_))),
                opcode if *opcode == expected => assert!(!matches!(fault, Fault::PeerOutOfOrder { .. })),
                _ => assert!(matches!(fault, Fault::PeerOutOfOrder { .. }), "{opcode:?}: {fault:?}"),
            }
        }
        in_session.endpoint.handle_bytes(&frame, clinic.now, &mut clinic.rng);
        match (opcode, in_session.fault().unwrap()) {
            (Opcode::EncMsg, Fault::PeerOutOfOrder { .. }) => {}
            (opcode, fault) => assert_eq!(fault, &Fault::PeerRecord(*opcode)),
        }
    }
}

#[test]
fn a_client_says_only_what_its_kind_may_say() {
    let mut clinic = Clinic::new(36);
    let someone = clinic.enrolled(patient("P001"));
    let device = clinic.enrolled(wearable(1));
    let alert = draft("x").sign(&clinic.gateway.identity.alerts).unwrap();
    let key = SigningKey::generate(&mut clinic.rng);
    let gateway = clinic.gateway.identity.alerts.verifying_key();
    let receipt =
        Receipt::sign(&alert, Stage::Decrypted, clinic.now.wall, &"P001".parse().unwrap(), &gateway, &key);
    let status = |name: &str, percent| DeviceStatus {
        battery: Some(Battery { percent, charging: Some(true) }),
        firmware: Firmware { name: name.into(), ..status().firmware },
        ..status()
    };
    let (batch, good) = (batch(1..=1), status("fw", 0));
    let (long, escape, full) = (status(&"x".repeat(33), 1), status("\u{1b}[2J", 1), status("fw", 101));
    let wave = waveform(&[1, 2, 3]);
    let faults = [
        Waveform { rate_millihertz: 0, ..wave.clone() },
        Waveform { rate_millihertz: MAX_RATE_MILLIHERTZ + 1, ..wave.clone() },
        Waveform { unit: "m V".into(), ..wave.clone() },
        Waveform { scale: Decimal { mantissa: 1, exponent: 10 }, ..wave.clone() },
    ];
    let piece = |offset, length| FirmwareRequest { image: 1, offset, length };
    let update =
        FirmwareStatus { state: UpdateState::RECEIVING, version: 2, received: 0, length: 1, refusal: None };
    let refused = [
        (&someone, FromClient::Vitals(&batch)),
        (&someone, FromClient::Status(&good)),
        (&someone, FromClient::Disconnect(Farewell::EndedByDoctor)),
        (&someone, FromClient::Disconnect(Farewell::Revoked)),
        (&device, FromClient::Receipt(&receipt)),
        (&device, FromClient::Status(&long)),
        (&device, FromClient::Status(&escape)),
        (&device, FromClient::Status(&full)),
        (&someone, FromClient::Waveform(&wave)),
        (&device, FromClient::Waveform(&faults[0])),
        (&device, FromClient::Waveform(&faults[1])),
        (&device, FromClient::Waveform(&faults[2])),
        (&device, FromClient::Waveform(&faults[3])),
        (&someone, FromClient::FirmwareRequest(piece(0, 1))),
        (&device, FromClient::FirmwareRequest(piece(0, 0))),
        (&device, FromClient::FirmwareRequest(piece(0, MAX_CHUNK + 1))),
        (&device, FromClient::FirmwareRequest(piece(MAX_BODY, 1))),
        (&someone, FromClient::FirmwareStatus(update)),
    ];
    for (identity, message) in refused {
        let mut talk = clinic.session(identity, None);
        talk.endpoint.say(&message, clinic.now).unwrap();
        clinic.run(&mut talk, honest);
        assert!(talk.closed_by_gateway, "{message:?}");
        let fault = clinic.last_refusal();
        assert!(
            matches!(fault, Fault::PeerOutOfOrder { .. } | Fault::PeerLimit(_)),
            "{message:?}: {fault:?}"
        );
        assert!(!clinic.has_session(&identity.id));
    }
}

/// What comes of a body that a gateway seals for a client.
fn told(clinic: &mut Clinic, kind: ClientKind, opcode: Opcode, body: &[u8]) -> Result<Instruction, Fault> {
    let identity = clinic.enrolled(somebody(kind));
    let mut talk = clinic.session(&identity, None);
    talk.events.clear();
    clinic.gateway.say_bytes(talk.conn, opcode, body, clinic.now);
    clinic.run(&mut talk, honest);
    match talk.events.pop() {
        Some(Event::Instruction(instruction)) => Ok(instruction),
        Some(Event::Closed(fault)) => Err(fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_obeys_only_what_its_kind_may_be_told_within_limits() {
    let mut clinic = Clinic::new(39);
    let offer = |header: usize, length| {
        postcard::to_allocvec(&FirmwareOffer { image: 1, header: vec![1; header], length }).unwrap()
    };
    let chunk = |length: usize| {
        postcard::to_allocvec(&FirmwareChunk { image: 1, offset: 0, bytes: vec![1; length] }).unwrap()
    };
    let wave = |seconds| postcard::to_allocvec(&WaveformRequest { signal: Signal(200), seconds }).unwrap();
    let good = [
        (Opcode::Settings, postcard::to_allocvec(&Settings::LIVE).unwrap()),
        (Opcode::WaveformRequest, wave(MAX_SECONDS)),
        (Opcode::FirmwareOffer, offer(256, MAX_BODY)),
        (Opcode::FirmwareChunk, chunk(MAX_CHUNK.into())),
    ];
    for (opcode, body) in &good {
        let obeyed = told(&mut clinic, ClientKind::Wearable, *opcode, body);
        assert!(obeyed.is_ok(), "{opcode:?}: {obeyed:?}");
        let refused = told(&mut clinic, ClientKind::Patient, *opcode, body);
        assert!(matches!(refused, Err(Fault::PeerOutOfOrder { .. })), "{opcode:?}: {refused:?}");
    }
    let bad = [
        (Opcode::Settings, postcard::to_allocvec(&(1_000_u32, 2_000_u32)).unwrap()),
        (Opcode::WaveformRequest, wave(MAX_SECONDS + 1)),
        (Opcode::FirmwareOffer, offer(0, 1)),
        (Opcode::FirmwareOffer, offer(257, 1)),
        (Opcode::FirmwareOffer, offer(1, 0)),
        (Opcode::FirmwareOffer, offer(1, MAX_BODY + 1)),
        (Opcode::FirmwareChunk, chunk(usize::from(MAX_CHUNK) + 1)),
    ];
    for (opcode, body) in &bad {
        let refused = told(&mut clinic, ClientKind::Wearable, *opcode, body);
        let expected = matches!(refused, Err(Fault::PeerLimit(_) | Fault::PeerMalformed(_)));
        assert!(expected, "{opcode:?}: {refused:?}");
    }
}

#[test]
fn a_receipt_counts_only_from_the_patient_whose_it_is() {
    let mut clinic = Clinic::new(38);
    let (victim, attacker) = (clinic.enrolled(patient("P001")), clinic.enrolled(patient("P002")));
    let mut talk = clinic.session(&attacker, None);
    clinic.session(&victim, None);
    let (now, mut rng) = (clinic.now, clinic.rng.clone());
    let (id, _) = clinic.gateway.raise("evacuate", None, None, now, &mut rng);
    clinic.gateway.take_output();
    let alert = clinic.gateway.store.alerts[&id].alert.clone();
    let gateway = clinic.gateway.identity.alerts.verifying_key();
    let key = attacker.receipts.as_ref().unwrap();
    let for_another =
        Receipt::sign(&alert, Stage::Acknowledged, now.wall, &"P001".parse().unwrap(), &gateway, key);
    talk.endpoint.say(&FromClient::Receipt(&for_another), now).unwrap();
    clinic.run(&mut talk, honest);
    assert_eq!(clinic.last_refusal(), &Fault::DeniedProof);
    assert!(clinic.gateway.store.alerts[&id].receipts.is_empty());
}
