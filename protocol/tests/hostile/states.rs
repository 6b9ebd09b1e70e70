//! Each message in each state, and from whom it may come.

use crypto::identity::SigningKey;
use vitalward_protocol::{
    alert::{Receipt, Stage},
    credential::Suite,
    error::Fault,
    frame,
    handshake::resume::Ticket,
    message::{DeviceStatus, Farewell, FromClient},
    opcode::Opcode,
    testkit::ConnId,
    vitals::Cadence,
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
    let status = |firmware: &str, battery| DeviceStatus {
        cadence: Cadence { interval_ms: 1 },
        battery,
        firmware: firmware.into(),
    };
    let (batch, good) = (batch(1..=1), status("fw", None));
    let (long, escape, full) =
        (status(&"x".repeat(33), None), status("\u{1b}[2J", None), status("fw", Some(101)));
    let refused = [
        (&someone, FromClient::Vitals(&batch)),
        (&someone, FromClient::Status(&good)),
        (&someone, FromClient::Disconnect(Farewell::EndedByDoctor)),
        (&someone, FromClient::Disconnect(Farewell::Revoked)),
        (&device, FromClient::Receipt(&receipt)),
        (&device, FromClient::Status(&long)),
        (&device, FromClient::Status(&escape)),
        (&device, FromClient::Status(&full)),
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
