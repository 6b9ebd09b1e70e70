//! Every message with a bit flipped.

use vitalward_protocol::{
    credential::{ClientKind, Suite},
    endpoint::{LOGIN_LIMIT, client::Event},
    firmware::{FirmwareRequest, FirmwareStatus, UpdateState},
    frame,
    message::{Farewell, FromClient},
    opcode::Opcode,
};

use crate::common::*;

/// Logs in with the bit of byte `at` of the `nth` frame flipped. `None` if there is no such byte.
fn login_with_a_flip(clinic: &mut Clinic, mut talk: Talk, nth: usize, at: usize) -> Option<(Talk, To)> {
    let (mut count, mut flipped) = (0, None);
    clinic.run(&mut talk, |to, mut frame| {
        if count == nth
            && let Some(byte) = frame.get_mut(at)
        {
            *byte ^= 1 << (at % 8);
            flipped = Some(to);
        }
        count += 1;
        frame
    });
    flipped.map(|to| (talk, to))
}

/// Nobody may be in session after the flip, except the gateway when the last message, its own, was hit: it learns by
/// silence.
fn assert_refused(clinic: &mut Clinic, mut talk: Talk, last_is_hit: bool, what: &str) {
    assert!(!talk.endpoint.is_established(), "{what}");
    clinic.pass(LOGIN_LIMIT);
    talk.endpoint.handle_timeout(clinic.now);
    assert!(talk.fault().is_some(), "{what} left the client waiting for ever");
    if !last_is_hit {
        assert!(clinic.gateway.in_session().is_empty(), "{what}");
    }
    let now = clinic.now;
    clinic.gateway.handle_timeout(now, &mut clinic.rng.clone());
    clinic.gateway.take_output();
    assert!(clinic.gateway.in_session().is_empty(), "{what} left a session");
}

#[test]
fn a_flipped_bit_anywhere_in_a_login_ends_it() {
    // A long share is the same at every byte: some of them.
    for (suite, stride) in
        [(Suite::Wearable, 1), (Suite::Ascon, 1), (Suite::Hybrid, 13), (Suite::Patient, 41)]
    {
        let mut refused = 0;
        // HELLO, HELLO_REPLY, KEY_VERIFICATION, and the gateway's KEY_VERIFICATION.
        for nth in 0..4 {
            let mut clinic = Clinic::of(suite, 23);
            let identity = clinic.enrolled(somebody(suite.kind()));
            for at in (0..5).chain((5..).step_by(stride)) {
                let talk = clinic.connect(&identity, None);
                let Some((talk, _)) = login_with_a_flip(&mut clinic, talk, nth, at) else { break };
                assert_refused(&mut clinic, talk, nth == 3, &format!("{suite:?}: byte {at} of frame {nth}"));
                refused += 1;
            }
        }
        assert!(refused > 50, "{refused}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_resumption_ends_it() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 24);
        let identity = clinic.enrolled(somebody(kind));
        // RESUME: a refused token would go on with a full login, so only the gateway's first answer counts.
        let ticket = clinic.session(&identity, None).ticket();
        let resume = clinic.connect(&identity, Some(ticket)).endpoint.poll_transmit().unwrap();
        let sessions = clinic.gateway.in_session();
        for at in 0..resume.len() {
            let mut altered = resume.clone();
            altered[at] ^= 1 << (at % 8);
            let conn = clinic.open(kind);
            let (answers, _) = clinic.send(conn, &altered);
            assert!(answers.iter().all(|f| opcode_of(f) == Opcode::Error), "byte {at}");
        }
        assert_eq!(clinic.gateway.in_session(), sessions);
        let conn = clinic.open(kind);
        let (answers, _) = clinic.send(conn, &resume);
        assert_eq!(opcode_of(&answers[0]), Opcode::ResumeReply, "and none of them burnt the token");
    }
    // RESUME_REPLY.
    let mut clinic = Clinic::new(25);
    let identity = clinic.enrolled(wearable(1));
    for at in 0.. {
        let ticket = clinic.session(&identity, None).ticket();
        let talk = clinic.connect(&identity, Some(ticket));
        let Some((talk, _)) = login_with_a_flip(&mut clinic, talk, 1, at) else { break };
        assert_refused(&mut clinic, talk, true, &format!("byte {at} of RESUME_REPLY"));
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_pairing_ends_it() {
    for (kind, stride) in [(ClientKind::Wearable, 1), (ClientKind::Patient, 67)] {
        for nth in 0..4 {
            let mut clinic = Clinic::new(26);
            let id = somebody(kind);
            for at in (0..5).chain((5..).step_by(stride)) {
                let (now, mut rng) = (clinic.now, clinic.rng.clone());
                let code = clinic.gateway.offer(id.clone(), true, now, &mut rng);
                let (mut count, mut flipped) = (0, false);
                let (outcome, _) = clinic.pair(&id, code, |_, mut frame| {
                    if count == nth && at < frame.len() {
                        frame[at] ^= 1 << (at % 8);
                        flipped = true;
                    }
                    count += 1;
                    frame
                });
                if !flipped {
                    break;
                }
                assert!(outcome.is_err(), "{kind}: byte {at} of frame {nth}");
                assert!(
                    clinic.gateway.store.pending.is_empty() || nth == 3,
                    "{kind}: byte {at} of frame {nth}"
                );
                assert!(clinic.gateway.store.roster.is_empty());
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_session_ends_it() {
    let mut clinic = Clinic::new(27);
    let device = clinic.enrolled(wearable(1));
    let status = status();
    let wave = waveform(&[1, 2, 3]);
    let request = FirmwareRequest { image: 1, offset: 0, length: 1 };
    let update =
        FirmwareStatus { state: UpdateState::TRYING, version: 2, received: 1, length: 1, refusal: None };
    let batch = batch(1..=2);
    let said: [FromClient<'_>; 7] = [
        FromClient::Vitals(&batch),
        FromClient::Status(&status),
        FromClient::Waveform(&wave),
        FromClient::FirmwareRequest(request),
        FromClient::FirmwareStatus(update),
        FromClient::Heartbeat,
        FromClient::Disconnect(Farewell::EndedByPatient),
    ];
    for message in &said {
        for at in 0.. {
            let mut talk = clinic.session(&device, None);
            let refusals = clinic.gateway.store.refusals.len();
            talk.endpoint.say(message, clinic.now).unwrap();
            let mut record = talk.endpoint.poll_transmit().unwrap();
            let Some(byte) = record.get_mut(at) else { break };
            *byte ^= 1 << (at % 8);
            let (answers, closed) = clinic.send(talk.conn, &record);
            assert!(answers.is_empty(), "{message:?} byte {at}");
            // An altered length may also wait for bytes that never come.
            assert!(
                (closed && clinic.gateway.store.refusals.len() == refusals + 1) || at < 4,
                "{message:?} byte {at}"
            );
        }
    }
    assert!(clinic.gateway.store.rows.is_empty());
}

#[test]
fn a_flipped_bit_anywhere_in_what_the_gateway_says_reaches_no_person() {
    let mut clinic = Clinic::new(28);
    let identity = clinic.enrolled(patient("P001"));
    let first = clinic.session(&identity, None);
    let (now, mut rng) = (clinic.now, clinic.rng.clone());
    let p001 = ["P001".parse().unwrap()];
    clinic.gateway.raise("to all", None, None, now, &mut rng);
    let (broadcast, _) = clinic.answers(first.conn);
    clinic.gateway.raise("to you", Some(&p001), None, now, &mut rng);
    let (direct, _) = clinic.answers(first.conn);
    assert_eq!(opcode_of(&broadcast[0]), Opcode::EncMsg);
    assert_eq!(opcode_of(&direct[0]), Opcode::DirectMsg);
    drop(first);

    let mut ticket = clinic.session(&identity, None).ticket();
    for at in 0.. {
        // A fresh session by token, with its token, its group key and the alerts of above sent again directly.
        let mut talk = clinic.connect(&identity, Some(ticket));
        let mut frames = Vec::new();
        clinic.run(&mut talk, |to, frame| {
            if to == To::Client && opcode_of(&frame) == Opcode::DirectMsg {
                frames.push(frame);
                return Vec::new();
            }
            frame
        });
        ticket = talk.ticket();
        let Some(direct) = frames.first_mut() else { panic!("nothing was sent again") };
        let Some(byte) = direct.get_mut(at) else { break };
        *byte ^= 1 << (at % 8);
        talk.endpoint.handle_bytes(direct, clinic.now, &mut clinic.rng);
        assert!(talk.alerts().is_empty(), "byte {at} of DIRECT_MSG");
        assert!(talk.fault().is_some() || at < 4);
    }
    // The broadcast: refused by itself, or with the whole session when its frame is damaged.
    let mut talk = clinic.session(&identity, None);
    let (_, sealed) = clinic.gateway.raise("once more", None, None, now, &mut rng);
    let frame = sealed.unwrap().frame;
    clinic.answers(talk.conn);
    for at in frame::HEADER_LEN..frame.len() {
        let mut altered = frame.clone();
        altered[at] ^= 1 << (at % 8);
        talk.endpoint.handle_bytes(&altered, clinic.now, &mut clinic.rng);
        assert!(matches!(talk.endpoint.poll_event(), Some(Event::AlertRefused(_))), "byte {at} of ENC_MSG");
    }
    talk.events.clear();
    talk.endpoint.handle_bytes(&frame, clinic.now, &mut clinic.rng);
    assert_eq!(talk.alerts().len(), 1, "and the true one still opens");
}
