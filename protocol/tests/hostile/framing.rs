//! Lengths, opcodes and versions that are none, and bytes as they come.

use vitalward_protocol::{
    credential::{ClientKind, Suite},
    error::Fault,
    frame::{self, FrameError, MAX_BODY, MAX_BODY_BEFORE_LOGIN},
    opcode::Opcode,
};

use crate::common::*;

#[test]
fn impossible_lengths_and_unknown_opcodes_are_refused_in_every_state() {
    let bad: [(Vec<u8>, FrameError); 3] = [
        (vec![0, 0, 0, 0], FrameError::Empty),
        (vec![0, 0, 0, 1, 99], FrameError::UnknownOpcode(99)),
        (vec![0xff; 4], FrameError::TooLong { length: 0xffff_fffe, limit: 0 }),
    ];
    for suite in SUITES {
        let kind = suite.kind();
        for (bytes, expected) in &bad {
            let mut clinic = Clinic::of(suite, 29);
            let identity = clinic.enrolled(somebody(kind));
            let fresh = clinic.open(kind);
            let proving = clinic.open(kind);
            let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
            clinic.send(proving, &hello);
            let in_session = clinic.session(&identity, None).conn;
            for conn in [fresh, proving, in_session] {
                let (_, closed) = clinic.send(conn, bytes);
                assert!(closed);
                match (clinic.last_refusal(), expected) {
                    (Fault::PeerFrame(FrameError::TooLong { .. }), FrameError::TooLong { .. }) => {}
                    (Fault::PeerFrame(found), expected) => assert_eq!(found, expected),
                    (other, _) => panic!("{other:?}"),
                }
            }
            assert!(clinic.gateway.in_session().is_empty());
        }
    }
}

#[test]
fn a_body_may_be_large_only_in_session() {
    let mut clinic = Clinic::new(30);
    let identity = clinic.enrolled(wearable(1));
    let conn = clinic.open(ClientKind::Wearable);
    let header = |body: usize| u32::try_from(body + 1).unwrap().to_be_bytes();
    clinic.send(conn, &header(MAX_BODY_BEFORE_LOGIN + 1));
    let limit = MAX_BODY_BEFORE_LOGIN;
    assert_eq!(clinic.last_refusal(), &Fault::PeerFrame(FrameError::TooLong { length: limit + 1, limit }));
    let talk = clinic.session(&identity, None);
    assert!(!clinic.send(talk.conn, &header(MAX_BODY)).1);
    let talk = clinic.session(&identity, None);
    assert!(clinic.send(talk.conn, &header(MAX_BODY + 1)).1);
}

#[test]
fn a_truncated_message_is_refused_or_waited_for_but_never_believed() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 31);
        let identity = clinic.enrolled(somebody(kind));
        let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
        let body = &hello[frame::HEADER_LEN..];
        for length in 0..body.len() {
            let conn = clinic.open(kind);
            let (_, closed) = clinic.send(conn, &frame::encode(Opcode::Hello, &body[..length]));
            assert!(closed, "{length}");
            let conn = clinic.open(kind);
            let (answers, closed) = clinic.send(conn, &hello[..length]);
            assert!(answers.is_empty() && !closed, "{length}");
        }
    }
}

#[test]
fn a_conversation_byte_by_byte_loses_nothing() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 32);
        let identity = clinic.enrolled(somebody(kind));
        let mut talk = clinic.connect(&identity, None);
        for _ in 0..4 {
            for byte in std::iter::from_fn(|| talk.endpoint.poll_transmit()).flatten().collect::<Vec<_>>() {
                clinic.gateway.handle_bytes(talk.conn, &[byte], clinic.now, &mut clinic.rng);
            }
            for byte in clinic.answers(talk.conn).0.concat() {
                talk.endpoint.handle_bytes(&[byte], clinic.now, &mut clinic.rng);
            }
        }
        assert!(talk.endpoint.is_established());
    }
}

#[test]
fn another_version_is_told_which_one_is_spoken_and_later_hellos_are_understood() {
    let mut clinic = Clinic::of(Suite::Wearable, 45);
    let identity = clinic.enrolled(wearable(1));
    let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
    let body = &hello[frame::HEADER_LEN..];
    for opcode in [Opcode::Hello, Opcode::Resume, Opcode::PairStart] {
        let conn = clinic.open(ClientKind::Wearable);
        let (answers, closed) = clinic.send(conn, &frame::encode(opcode, &[2, 0xff, 0xff]));
        assert!(closed);
        assert_eq!(clinic.last_refusal(), &Fault::PeerVersion(2));
        assert_eq!(answers, [frame::encode(Opcode::Error, &[0, 1])], "version 1 is spoken");
    }
    // A device of tomorrow offers another suite first and brings an extension: kind 300, two bytes.
    let (rest, extensions) = body[3..].split_at(body.len() - 4);
    assert_eq!((&body[..3], extensions), (&[1, 1, 2][..], &[0][..]));
    let tomorrow = [&[1, 2, 9, 2][..], rest, &[1, 0xac, 2, 2, 7, 7]].concat();
    let conn = clinic.open(ClientKind::Wearable);
    let (answers, _) = clinic.send(conn, &frame::encode(Opcode::Hello, &tomorrow));
    assert_eq!(opcode_of(&answers[0]), Opcode::HelloReply);
    assert_eq!(answers[0][frame::HEADER_LEN], 2, "in a suite that both have");
}
