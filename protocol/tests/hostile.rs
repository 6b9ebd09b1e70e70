//! What a hostile or broken peer may try, each with what happens instead. Every test ends with nobody in a session
//! that should not be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

mod common;

use std::{sync::Arc, time::Duration};

use common::*;
use crypto::identity::SigningKey;
use vitalward_protocol::{
    alert::{Audience, Draft, Priority, Receipt, Stage},
    credential::{ClientIdentity, ClientKind, LoginKey},
    endpoint::{
        LOGIN_LIMIT,
        client::{ClientEndpoint, Event},
        gateway::{self, GatewayEndpoint},
    },
    error::{Fault, Refusal},
    frame::{self, FrameError, MAX_BODY, MAX_BODY_BEFORE_LOGIN},
    handshake::{Channel, resume::Ticket},
    id::{AlertId, ClientId},
    message::{DeviceStatus, Farewell, FromClient},
    opcode::Opcode,
    pairing::code::PairingCode,
    session::MAX_SESSION_AGE,
    testkit::ConnId,
    time::{ClockFlag, UnixMillis},
    vitals::Cadence,
};

const BOTH: [ClientKind; 2] = [ClientKind::Patient, ClientKind::Wearable];
const TOLERANCE: Duration = Duration::from_secs(30);

fn somebody(kind: ClientKind) -> ClientId {
    match kind {
        ClientKind::Patient => patient("P001"),
        ClientKind::Wearable => wearable(1),
    }
}

/// Where the key share of a HELLO begins, after the frame's header: version, one suite, nonce, length.
fn share_at(kind: ClientKind) -> std::ops::Range<usize> {
    let before = frame::HEADER_LEN + 1 + 2 + 32;
    match kind {
        ClientKind::Patient => before + 2..before + 2 + 384,
        ClientKind::Wearable => before + 1..before + 1 + 32,
    }
}

// --- Who may come in ---

#[test]
fn a_wrong_doctor_is_noticed_at_the_first_message() {
    for kind in BOTH {
        let (mut clinic, elsewhere) = (Clinic::new(1), Clinic::new(2));
        let identity = clinic.enrolled(somebody(kind));
        let conn = clinic.open(kind);
        let now = clinic.now;
        let mut talk = clinic.talk(&identity, None, conn, elsewhere.pinned(kind), channel(kind), now);
        clinic.run(&mut talk, honest);
        assert_eq!(talk.refusal(), Some(&Refusal::OtherGateway));
        assert_eq!(clinic.last_refusal(), &Fault::DeniedOtherGateway);
    }
}

#[test]
fn unknown_wrong_key_and_revoked_look_the_same_to_the_peer() {
    for kind in BOTH {
        let mut clinic = Clinic::new(3);
        let id = somebody(kind);
        let unknown = clinic.identity(id.clone());
        let mut talk = clinic.session(&unknown, None);
        assert_eq!(clinic.last_refusal(), &Fault::DeniedUnknown);
        let told = talk.refusal().cloned();

        let right = clinic.enrolled(id.clone());
        let mut talk = clinic.session(&unknown, None);
        assert_eq!(clinic.last_refusal(), &Fault::DeniedKey);
        assert_eq!(talk.refusal().cloned(), told);

        let (now, mut rng) = (clinic.now, clinic.rng.clone());
        clinic.gateway.revoke(&id, now, &mut rng);
        let mut talk = clinic.session(&right, None);
        assert_eq!(clinic.last_refusal(), &Fault::DeniedUnknown);
        assert_eq!(talk.refusal().cloned(), told);
        assert_eq!(told, Some(Refusal::NotPaired));
        assert!(clinic.gateway.in_session().is_empty());
    }
}

#[test]
fn an_enrolled_patient_cannot_come_in_as_another() {
    let mut clinic = Clinic::new(4);
    let victim = clinic.enrolled(patient("P001"));
    let victims = clinic.session(&victim, None);
    let attacker = clinic.identity(patient("P002"));
    clinic.gateway.enrol(&attacker, clinic.now);
    // The same key under the victim's name.
    let secret = *attacker.login.to_secret().expose();
    let suite = ClientKind::Patient.suite();
    let login = LoginKey::from_secret(suite, secret).unwrap();
    let impostor = Arc::new(ClientIdentity { id: patient("P001"), login, receipts: None });
    let mut talk = clinic.session(&impostor, None);
    assert_eq!(talk.refusal(), Some(&Refusal::NotPaired));
    assert_eq!(clinic.last_refusal(), &Fault::DeniedKey);
    assert!(victims.endpoint.is_established() && clinic.has_session(&patient("P001")));
    assert!(!clinic.has_session(&patient("P002")));
}

#[test]
fn a_credential_works_on_its_own_port_only() {
    for (kind, port) in
        [(ClientKind::Wearable, ClientKind::Patient), (ClientKind::Patient, ClientKind::Wearable)]
    {
        let mut clinic = Clinic::new(5);
        let identity = clinic.enrolled(somebody(kind));
        let conn = clinic.open(port);
        let (pinned, now) = (clinic.pinned(kind), clinic.now);
        let mut talk = clinic.talk(&identity, None, conn, pinned, channel(kind), now);
        clinic.run(&mut talk, honest);
        assert_eq!(talk.refusal(), Some(&Refusal::Suite));
        assert_eq!(clinic.last_refusal(), &Fault::PeerSuite);
        // Its own program does not even try.
        let pinned = clinic.pinned(kind);
        let tried = ClientEndpoint::connect(
            identity,
            pinned,
            None,
            channel(port),
            ClockFlag::Synced,
            clinic.now,
            &mut clinic.rng,
        );
        assert!(matches!(tried, Err(Fault::PeerSuite)));
    }
}

#[test]
fn a_token_works_on_its_own_port_only() {
    let mut clinic = Clinic::new(6);
    let identity = clinic.enrolled(wearable(1));
    let ticket = clinic.session(&identity, None).ticket();
    let resume = clinic.connect(&identity, Some(ticket)).endpoint.poll_transmit().unwrap();
    let conn = clinic.open(ClientKind::Patient);
    let (answers, _) = clinic.send(conn, &resume);
    assert_eq!(clinic.last_refusal(), &Fault::DeniedToken);
    assert_eq!(answers.len(), 1);
}

#[test]
fn tls_that_ends_in_the_middle_is_refused_by_both_ends() {
    let mut clinic = Clinic::new(7);
    let id = patient("P001");
    let identity = clinic.enrolled(id.clone());
    // A login relayed from one TLS connection into another.
    let conn = clinic.open_on(ClientKind::Patient, OTHER_TLS);
    let (pinned, now) = (clinic.pinned(ClientKind::Patient), clinic.now);
    let mut talk = clinic.talk(&identity, None, conn, pinned, TLS, now);
    let mut sent = Vec::new();
    clinic.run(&mut talk, |to, frame| {
        sent.extend((to == To::Gateway).then(|| opcode_of(&frame)));
        frame
    });
    assert_eq!(talk.fault(), Some(&Fault::DeniedGateway));
    assert_eq!(sent, [Opcode::Hello], "nothing is sent to a gateway that is not proved");

    // A resumption.
    let ticket = clinic.session(&identity, None).ticket();
    let conn = clinic.open_on(ClientKind::Patient, OTHER_TLS);
    let (pinned, now) = (clinic.pinned(ClientKind::Patient), clinic.now);
    let mut talk = clinic.talk(&identity, Some(ticket), conn, pinned, TLS, now);
    clinic.run(&mut talk, honest);
    assert_eq!(clinic.gateway.store.refusals.last(), Some(&Fault::DeniedToken));
    assert!(!talk.endpoint.is_established());

    // A pairing with the right code.
    let other = patient("P002");
    let (now, mut rng) = (clinic.now, clinic.rng.clone());
    let code = clinic.gateway.offer(other.clone(), false, now, &mut rng);
    let conn = clinic.open_on(ClientKind::Patient, OTHER_TLS);
    let outcome = clinic.pair_on(&other, code, conn, TLS, honest);
    assert!(matches!(outcome, Err(Fault::Refused(Refusal::CodeWrong { tries_left: 2 }))), "{outcome:?}");
    assert!(clinic.gateway.store.pending.is_empty());
}

#[test]
fn the_gateway_refuses_a_proof_from_another_tls_connection() {
    // The client's half of the check above: a proof made for one exporter value, taken to a gateway with another.
    let mut clinic = Clinic::new(8);
    let identity = clinic.enrolled(patient("P001"));
    let (_, frames) = clinic.recorded(&identity, None);
    let proof = &frames.iter().find(|(_, f)| opcode_of(f) == Opcode::KeyVerification).unwrap().1;
    let conn = clinic.open_on(ClientKind::Patient, OTHER_TLS);
    let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
    clinic.send(conn, &hello);
    clinic.send(conn, proof);
    assert_eq!(clinic.last_refusal(), &Fault::DeniedProof);
}

// --- Codes ---

#[test]
fn a_wrong_code_has_three_tries_and_a_dropped_connection_is_no_free_guess() {
    for kind in BOTH {
        let mut clinic = Clinic::new(9);
        let id = somebody(kind);
        let (now, mut rng) = (clinic.now, clinic.rng.clone());
        let code = clinic.gateway.offer(id.clone(), false, now, &mut rng);
        let mut wrong = code;
        let password = if code.to_string().ends_with("222-222") { "333333" } else { "222222" };
        wrong.password = format!("{}{password}", code.selector).parse::<PairingCode>().unwrap().password;
        let (outcome, _) = clinic.pair(&id, wrong, honest);
        assert!(matches!(outcome, Err(Fault::Refused(Refusal::CodeWrong { tries_left: 2 }))));
        // Hanging up after the gateway's PAKE message spends a guess too.
        let mut start = Vec::new();
        let _outcome = clinic.pair(&id, wrong, |to, frame| {
            if opcode_of(&frame) == Opcode::PairStart {
                start.clone_from(&frame);
            }
            if to == To::Gateway { Vec::new() } else { frame }
        });
        let conn = clinic.open(kind);
        clinic.send(conn, &start);
        let (outcome, _) = clinic.pair(&id, wrong, honest);
        assert!(matches!(outcome, Err(Fault::Refused(Refusal::CodeWrong { tries_left: 0 }))));
        let (outcome, _) = clinic.pair(&id, code, honest);
        assert!(matches!(outcome, Err(Fault::Refused(Refusal::CodeUnknown))), "even the right code is spent");
        assert!(clinic.gateway.store.pending.is_empty() && clinic.gateway.store.roster.is_empty());
    }
}

#[test]
fn a_used_and_an_expired_code_are_refused() {
    for kind in BOTH {
        let mut clinic = Clinic::new(10);
        let id = somebody(kind);
        let (now, mut rng) = (clinic.now, clinic.rng.clone());
        let code = clinic.gateway.offer(id.clone(), true, now, &mut rng);
        assert!(clinic.pair(&id, code, honest).0.is_ok());
        let (outcome, _) = clinic.pair(&id, code, honest);
        assert!(matches!(outcome, Err(Fault::Refused(Refusal::CodeUnknown))), "used");

        let code = clinic.gateway.offer(id.clone(), true, now, &mut rng);
        clinic.pass(Duration::from_secs(601));
        let (outcome, _) = clinic.pair(&id, code, honest);
        assert!(matches!(outcome, Err(Fault::Refused(Refusal::CodeUnknown))), "expired");
    }
}

#[test]
fn a_code_for_another_patient_or_a_place_that_is_taken_is_refused() {
    let mut clinic = Clinic::new(11);
    clinic.enrolled(patient("P001"));
    let (now, mut rng) = (clinic.now, clinic.rng.clone());
    let code = clinic.gateway.offer(patient("P001"), false, now, &mut rng);
    let (outcome, _) = clinic.pair(&patient("P001"), code, honest);
    assert!(matches!(outcome, Err(Fault::Refused(Refusal::PairedElsewhere { .. }))));
    let (outcome, _) = clinic.pair(&patient("P002"), code, honest);
    assert!(matches!(outcome, Err(Fault::Refused(Refusal::CodeForAnother))));
    assert!(clinic.gateway.store.pending.is_empty());
}

#[test]
fn a_granted_binding_counts_only_after_a_full_login_and_then_ends_the_earlier_one() {
    let mut clinic = Clinic::new(12);
    let id = patient("P001");
    let old = clinic.enrolled(id.clone());
    let old_ticket = clinic.session(&old, None).ticket();
    let (now, mut rng) = (clinic.now, clinic.rng.clone());
    let code = clinic.gateway.offer(id.clone(), true, now, &mut rng);
    let (outcome, conn) = clinic.pair(&id, code, honest);
    let (identity, pinned) = outcome.unwrap();
    assert_eq!(clinic.session(&old, None).fault(), None, "the earlier computer still works");
    let mut talk = clinic.talk(&Arc::new(identity), None, conn, pinned, TLS, now);
    clinic.run(&mut talk, honest);
    assert!(talk.endpoint.is_established());
    assert_eq!(clinic.session(&old, None).refusal(), Some(&Refusal::NotPaired));
    let mut resumed = clinic.session(&old, Some(old_ticket));
    assert_eq!(resumed.refusal(), Some(&Refusal::NotPaired), "the token is gone, and so is the key");
}

// --- Clocks ---

#[test]
fn a_clock_outside_the_tolerance_is_refused_both_ways_and_told_by_how_much() {
    for (kind, resuming) in
        [(ClientKind::Patient, false), (ClientKind::Wearable, false), (ClientKind::Wearable, true)]
    {
        for (skew, accepted) in [(29_000_i64, true), (-29_000, true), (31_000, false), (-31_000, false)] {
            let mut clinic = Clinic::new(13);
            let identity = clinic.enrolled(somebody(kind));
            let ticket = resuming.then(|| clinic.session(&identity, None).ticket());
            let conn = clinic.open(kind);
            let mut skewed = clinic.now;
            skewed.wall = UnixMillis(skewed.wall.0.saturating_add_signed(skew));
            let mut talk = clinic.talk(&identity, ticket, conn, clinic.pinned(kind), channel(kind), skewed);
            clinic.run(&mut talk, honest);
            let expected = (!accepted).then_some(Refusal::Clock {
                client: skewed.wall,
                gateway: clinic.now.wall,
                tolerance_ms: u32::try_from(TOLERANCE.as_millis()).unwrap(),
            });
            assert_eq!(talk.refusal().cloned(), expected, "{kind} {skew} {resuming}");
            assert_eq!(talk.endpoint.is_established(), accepted);
        }
    }
}

#[test]
fn no_clock_is_for_wearables_only() {
    for kind in BOTH {
        let mut clinic = Clinic::new(14);
        let identity = clinic.enrolled(somebody(kind));
        let conn = clinic.open(kind);
        let (pinned, now) = (clinic.pinned(kind), clinic.now);
        let endpoint = ClientEndpoint::connect(
            identity,
            pinned,
            None,
            channel(kind),
            ClockFlag::None,
            now,
            &mut clinic.rng,
        );
        let mut talk = Talk { endpoint: endpoint.unwrap(), conn, events: vec![], closed_by_gateway: false };
        clinic.run(&mut talk, honest);
        assert_eq!(talk.endpoint.is_established(), kind == ClientKind::Wearable);
        let told = talk.events.iter().find_map(|event| match event {
            Event::Established { gateway_time, .. } => Some(*gateway_time),
            _ => None,
        });
        assert_eq!(told, (kind == ClientKind::Wearable).then_some(now.wall), "time from a verified message");
    }
}

// --- Replays ---

#[test]
fn a_replayed_hello_is_refused() {
    for kind in BOTH {
        let mut clinic = Clinic::new(15);
        let identity = clinic.enrolled(somebody(kind));
        let (_, frames) = clinic.recorded(&identity, None);
        let conn = clinic.open(kind);
        let (answers, closed) = clinic.send(conn, &frames[0].1);
        assert_eq!(opcode_of(&answers[0]), Opcode::Error);
        assert!(closed);
        assert_eq!(clinic.last_refusal(), &Fault::DeniedReplay);
    }
}

#[test]
fn a_replayed_key_verification_is_refused_everywhere() {
    for kind in BOTH {
        let mut clinic = Clinic::new(16);
        let identity = clinic.enrolled(somebody(kind));
        let (talk, frames) = clinic.recorded(&identity, None);
        let proof = &frames.iter().find(|(_, f)| opcode_of(f) == Opcode::KeyVerification).unwrap().1;
        // In the same session, once more.
        let (_, closed) = clinic.send(talk.conn, proof);
        assert!(closed);
        assert_eq!(clinic.last_refusal(), &Fault::PeerRecord(Opcode::KeyVerification));
        // After the start of another login.
        let conn = clinic.open(kind);
        let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
        clinic.send(conn, &hello);
        clinic.send(conn, proof);
        assert_eq!(clinic.last_refusal(), &Fault::DeniedProof);
        // Without any.
        let conn = clinic.open(kind);
        clinic.send(conn, proof);
        assert!(matches!(clinic.last_refusal(), Fault::PeerOutOfOrder { .. }));
        assert!(clinic.gateway.in_session().is_empty());
    }
}

#[test]
fn no_recorded_conversation_makes_the_gateway_seal_anything_for_its_thief() {
    // Attack on implementations that re-encrypt whatever session secret they decrypt. Here a replayed share meets a
    // fresh share of the gateway: what it seals, only the owner of the first share could open.
    let mut clinic = Clinic::new(17);
    let identity = clinic.enrolled(patient("P001"));
    // The login was interrupted, so that its hello does not count as used.
    let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
    let mut replies = Vec::new();
    for _ in 0..2 {
        let conn = clinic.open(ClientKind::Patient);
        let (answers, _) = clinic.send(conn, &hello);
        replies.push(answers[0].clone());
        let mut stolen = answers[0].clone();
        stolen[4] = Opcode::KeyVerification as u8;
        clinic.send(conn, &stolen);
        assert_eq!(clinic.last_refusal(), &Fault::DeniedProof, "its own words come back");
    }
    let fresh = replies[0].iter().zip(&replies[1]).filter(|(a, b)| a != b).count();
    assert!(fresh > 800, "nonce, share and sealed part are new each time");
    assert!(clinic.gateway.in_session().is_empty());
}

#[test]
fn a_replayed_token_is_refused_and_the_full_login_goes_on_there() {
    for kind in BOTH {
        let mut clinic = Clinic::new(18);
        let identity = clinic.enrolled(somebody(kind));
        let ticket = clinic.session(&identity, None).ticket();
        let (talk, frames) = clinic.recorded(&identity, Some(ticket));
        assert!(talk.is_resumed());
        let resume = frames[0].1.clone();
        let conn = clinic.open(kind);
        let (answers, closed) = clinic.send(conn, &resume);
        assert_eq!(clinic.last_refusal(), &Fault::DeniedToken);
        assert_eq!(opcode_of(&answers[0]), Opcode::Error);
        assert!(!closed);
        // Once per connection: it is not for trying tokens.
        let (_, closed) = clinic.send(conn, &resume);
        assert!(closed && matches!(clinic.last_refusal(), Fault::PeerOutOfOrder { .. }));
        // The owner of a spent token logs in fully without reconnecting.
        let spent = Ticket { token: [9; 16], key: crypto::Secret::new([9; 32]) };
        let talk = clinic.session(&identity, Some(spent));
        assert!(talk.endpoint.is_established() && !talk.is_resumed());
    }
}

#[test]
fn a_forged_resumption_burns_no_token() {
    let mut clinic = Clinic::new(19);
    let identity = clinic.enrolled(wearable(1));
    let ticket = clinic.session(&identity, None).ticket();
    let forged = Ticket { token: ticket.token, key: crypto::Secret::new([0; 32]) };
    assert!(!clinic.session(&clinic_impostor(&identity), Some(forged)).is_resumed());
    assert_eq!(clinic.gateway.store.refusals[0], Fault::DeniedToken);
    assert!(clinic.session(&identity, Some(ticket)).is_resumed());
}

/// The same name, no key: what a thief of a token alone has.
fn clinic_impostor(identity: &Arc<ClientIdentity>) -> Arc<ClientIdentity> {
    Clinic::new(99).identity(identity.id.clone())
}

#[test]
fn a_late_resume_does_not_displace_the_session_that_came_after_it() {
    let mut clinic = Clinic::new(20);
    let identity = clinic.enrolled(patient("P001"));
    let ticket = clinic.session(&identity, None).ticket();
    let held_back = clinic.connect(&identity, Some(ticket)).endpoint.poll_transmit().unwrap();
    let talk = clinic.session(&identity, None);
    let conn = clinic.open(ClientKind::Patient);
    clinic.send(conn, &held_back);
    assert_eq!(clinic.last_refusal(), &Fault::DeniedToken, "a newer token took its place");
    assert!(talk.endpoint.is_established() && clinic.has_session(&patient("P001")));
}

#[test]
fn replayed_vitals_are_refused_as_a_record_and_stored_once_as_samples() {
    let mut clinic = Clinic::new(21);
    let id = wearable(1);
    let identity = clinic.enrolled(id.clone());
    let mut talk = clinic.session(&identity, None);
    let record = talk.vitals(1..=3, clinic.now);
    clinic.send(talk.conn, &record);
    let (_, closed) = clinic.send(talk.conn, &record);
    assert!(closed);
    assert_eq!(clinic.last_refusal(), &Fault::PeerRecord(Opcode::Vitals));
    assert!(!clinic.has_session(&id));
    // The device did not get the answer and sends the samples again.
    let mut talk = clinic.session(&identity, None);
    let record = talk.vitals(1..=3, clinic.now);
    let (answers, _) = clinic.send(talk.conn, &record);
    assert_eq!(answers.iter().map(|f| opcode_of(f)).collect::<Vec<_>>(), [Opcode::VitalsAck]);
    assert!(
        clinic.gateway.store.rows.len() == 3 && clinic.gateway.store.rows.values().all(|times| *times == 1)
    );
}

#[test]
fn reflected_frames_are_refused() {
    for kind in BOTH {
        let mut clinic = Clinic::new(22);
        let identity = clinic.enrolled(somebody(kind));
        let mut talk = clinic.connect(&identity, None);
        let hello = talk.endpoint.poll_transmit().unwrap();
        talk.endpoint.handle_bytes(&hello, clinic.now, &mut clinic.rng);
        assert!(matches!(talk.fault(), Some(Fault::PeerOutOfOrder { opcode: Opcode::Hello, .. })));

        let mut talk = clinic.session(&identity, None);
        talk.endpoint.say(&FromClient::Heartbeat, clinic.now).unwrap();
        let own = talk.endpoint.poll_transmit().unwrap();
        talk.endpoint.handle_bytes(&own, clinic.now, &mut clinic.rng);
        assert_eq!(talk.fault(), Some(&Fault::PeerRecord(Opcode::Heartbeat)));
    }
}

// --- Altered bytes ---

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
    for (kind, stride) in [(ClientKind::Wearable, 1), (ClientKind::Patient, 41)] {
        let mut refused = 0;
        // HELLO, HELLO_REPLY, KEY_VERIFICATION, and the gateway's KEY_VERIFICATION.
        for nth in 0..4 {
            let mut clinic = Clinic::new(23);
            let identity = clinic.enrolled(somebody(kind));
            for at in (0..5).chain((5..).step_by(stride)) {
                let talk = clinic.connect(&identity, None);
                let Some((talk, _)) = login_with_a_flip(&mut clinic, talk, nth, at) else { break };
                assert_refused(&mut clinic, talk, nth == 3, &format!("{kind}: byte {at} of frame {nth}"));
                refused += 1;
            }
        }
        assert!(refused > 50, "{refused}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_resumption_ends_it() {
    for kind in BOTH {
        let mut clinic = Clinic::new(24);
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
    let status =
        DeviceStatus { cadence: Cadence { interval_ms: 1_000 }, battery: Some(80), firmware: "fw 1".into() };
    let batch = batch(1..=2);
    let said: [FromClient<'_>; 4] = [
        FromClient::Vitals(&batch),
        FromClient::Status(&status),
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

// --- Framing ---

#[test]
fn impossible_lengths_and_unknown_opcodes_are_refused_in_every_state() {
    let bad: [(Vec<u8>, FrameError); 3] = [
        (vec![0, 0, 0, 0], FrameError::Empty),
        (vec![0, 0, 0, 1, 99], FrameError::UnknownOpcode(99)),
        (vec![0xff; 4], FrameError::TooLong { length: 0xffff_fffe, limit: 0 }),
    ];
    for kind in BOTH {
        for (bytes, expected) in &bad {
            let mut clinic = Clinic::new(29);
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
    for kind in BOTH {
        let mut clinic = Clinic::new(31);
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
fn a_conversation_byte_by_byte_and_two_messages_in_one_read_lose_nothing() {
    for kind in BOTH {
        let mut clinic = Clinic::new(32);
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
    // Everything that the gateway has to say, in one read: the second message is not lost.
    let mut clinic = Clinic::new(33);
    let identity = clinic.enrolled(patient("P001"));
    let mut talk = clinic.session(&identity, None);
    let (now, mut rng) = (clinic.now, clinic.rng.clone());
    for n in 0..10 {
        clinic.gateway.raise(&format!("alert {n}"), None, None, now, &mut rng);
    }
    let all = clinic.answers(talk.conn).0.concat();
    talk.endpoint.handle_bytes(&all, now, &mut rng);
    assert_eq!(talk.alerts().len(), 10);
}

#[test]
fn another_version_is_told_which_one_is_spoken_and_later_hellos_are_understood() {
    let mut clinic = Clinic::new(45);
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
    let tomorrow = [&[1, 2, 4, 2][..], rest, &[1, 0xac, 2, 2, 7, 7]].concat();
    let conn = clinic.open(ClientKind::Wearable);
    let (answers, _) = clinic.send(conn, &frame::encode(Opcode::Hello, &tomorrow));
    assert_eq!(opcode_of(&answers[0]), Opcode::HelloReply);
    assert_eq!(answers[0][frame::HEADER_LEN], 2, "in a suite that both have");
}

// --- States ---

/// Brings a connection into a state; the bytes are those of a PAIR_START.
type Enter = Box<dyn Fn(&mut Clinic, &[u8]) -> ConnId>;

#[test]
fn an_opcode_in_the_wrong_state_ends_the_conversation() {
    use Opcode::{Hello, KeyVerification, PairEnrol, PairStart, Resume};
    for kind in BOTH {
        let mut clinic = Clinic::new(34);
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
    let ticket = || Ticket { token: [1; 16], key: crypto::Secret::new([1; 32]) };
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

// --- Alerts, receipts, ends ---

fn draft(text: &str) -> Draft {
    Draft {
        id: AlertId::from_bytes([7; 16]),
        sequence: 1,
        created: UnixMillis(1_790_000_000_000),
        expires: UnixMillis(1_790_000_600_000),
        priority: Priority::High,
        audience: Audience::Ward,
        cancels: None,
        text: text.into(),
    }
}

#[test]
fn a_member_cannot_forge_a_broadcast() {
    let mut clinic = Clinic::new(37);
    let identity = clinic.enrolled(patient("P001"));
    let mut talk = clinic.session(&identity, None);
    let (now, mut rng) = (clinic.now, clinic.rng.clone());
    let own_key = SigningKey::generate(&mut rng);
    let forged = draft("take off your sensors").sign(&own_key).unwrap();
    let frame = clinic.gateway.seal_as_member(&forged, now, &mut rng);
    talk.endpoint.handle_bytes(&frame, now, &mut rng);
    assert!(matches!(talk.endpoint.poll_event(), Some(Event::AlertRefused(Fault::DeniedProof))));

    // A true alert that was meant for one patient only, sealed for everybody.
    clinic.gateway.raise("your result is bad", Some(&["P001".parse().unwrap()]), None, now, &mut rng);
    clinic.run(&mut talk, honest);
    let private = (*talk.alerts().last().unwrap()).clone();
    assert_eq!(private.audience(), Audience::Selected);
    let frame = clinic.gateway.seal_as_member(&private, now, &mut rng);
    let shown = talk.alerts().len();
    talk.endpoint.handle_bytes(&frame, now, &mut rng);
    assert_eq!(talk.alerts().len(), shown);
    assert!(matches!(talk.events.last(), Some(Event::AlertRefused(Fault::PeerLimit(_)))));
    assert!(talk.endpoint.is_established(), "and the session goes on");
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

#[test]
fn a_forged_disconnect_or_error_is_not_taken_for_one() {
    for kind in BOTH {
        for opcode in [Opcode::Disconnect, Opcode::Error] {
            for body in [&[0][..], &[1; 17], &[]] {
                let mut clinic = Clinic::new(39);
                let identity = clinic.enrolled(somebody(kind));
                let mut talk = clinic.session(&identity, None);
                let forged = frame::encode(opcode, body);
                talk.endpoint.handle_bytes(&forged, clinic.now, &mut clinic.rng);
                assert_eq!(talk.fault(), Some(&Fault::PeerRecord(opcode)));
                clinic.send(talk.conn, &forged);
                assert_eq!(clinic.last_refusal(), &Fault::PeerRecord(opcode));
                assert!(!talk.events.iter().any(|event| matches!(event, Event::Disconnected(_))));
            }
        }
    }
}

#[test]
fn only_valid_group_elements_are_taken_from_a_peer() {
    let mut p_minus_1 = hex::decode(crypto::elgamal::params::FFDHE3072).unwrap();
    *p_minus_1.last_mut().unwrap() -= 1;
    let number = |n: u8| {
        let mut bytes = vec![0; 384];
        bytes[383] = n;
        bytes
    };
    let bad = [
        (ClientKind::Patient, vec![number(0), number(1), p_minus_1, vec![0xff; 384]]),
        (ClientKind::Wearable, vec![vec![0; 32], [vec![1], vec![0; 31]].concat()]),
    ];
    for (kind, shares) in bad {
        for share in shares {
            let mut clinic = Clinic::new(40);
            let identity = clinic.enrolled(somebody(kind));
            let mut hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
            hello[share_at(kind)].copy_from_slice(&share);
            let conn = clinic.open(kind);
            clinic.send(conn, &hello);
            assert_eq!(clinic.last_refusal(), &Fault::PeerLimit("a key share is a valid group element"));
            // And from a gateway: its clear part is suite, nonce, length, share.
            let mut talk = clinic.connect(&identity, None);
            clinic.run(&mut talk, |to, mut frame| {
                if to == To::Client && opcode_of(&frame) == Opcode::HelloReply {
                    let at = share_at(kind).start - 2;
                    frame[at..at + share.len()].copy_from_slice(&share);
                }
                frame
            });
            assert_eq!(talk.fault(), Some(&Fault::PeerLimit("a key share is a valid group element")));
        }
    }
}

// --- Load ---

#[test]
fn a_slow_or_silent_client_is_dropped_before_it_logs_in() {
    let mut clinic = Clinic::new(41);
    let identity = clinic.enrolled(wearable(1));
    let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
    let silent: Vec<ConnId> = (0..1_000).map(|_| clinic.open(ClientKind::Wearable)).collect();
    let slow = clinic.open(ClientKind::Wearable);
    let opened = clinic.now.mono;
    let mut closed = false;
    for byte in &hello {
        closed |= clinic.send(slow, &[*byte]).1;
        clinic.pass(Duration::from_secs(1));
        let now = clinic.now;
        clinic.gateway.handle_timeout(now, &mut clinic.rng.clone());
        let (_, now_closed) = clinic.answers(slow);
        closed |= now_closed;
        if closed {
            break;
        }
    }
    assert!(closed && clinic.now.mono.since(opened) <= LOGIN_LIMIT);
    let refusals = &clinic.gateway.store.refusals;
    assert!(refusals.len() > silent.len() && refusals.iter().all(|fault| *fault == Fault::PeerSlow));
}

#[test]
fn what_is_sent_ahead_of_an_answer_is_bounded() {
    let mut clinic = Clinic::new(42);
    let identity = clinic.enrolled(wearable(1));
    let mut endpoint = GatewayEndpoint::new(ClientKind::Wearable, Channel::Plain, clinic.now);
    let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
    endpoint.handle_bytes(&hello, clinic.now);
    for _ in 0..MAX_BODY {
        endpoint.handle_bytes(&[0; 2], clinic.now);
    }
    let events: Vec<_> = std::iter::from_fn(|| endpoint.poll_event()).collect();
    assert!(matches!(events.last(), Some(gateway::Event::Closed(Fault::PeerLimit(_)))));
    assert!(endpoint.is_closed());
}

#[test]
fn a_message_too_long_for_a_record_leaves_the_session_usable() {
    let mut clinic = Clinic::new(43);
    let identity = clinic.enrolled(wearable(1));
    let mut talk = clinic.session(&identity, None);
    // An hour later the next record would be preceded by a KEY_UPDATE.
    clinic.pass(Duration::from_secs(3_600));
    let mut large = batch(1..=64);
    for sample in &mut large.samples {
        sample.quantities = vec![sample.quantities[0].clone(); 200];
    }
    assert_eq!(talk.endpoint.say(&FromClient::Vitals(&large), clinic.now), Err(Fault::LocalTooLong));
    assert!(talk.endpoint.poll_transmit().is_none());
    let record = talk.vitals(1..=1, clinic.now);
    let (answers, closed) = clinic.send(talk.conn, &record);
    assert!(!closed);
    let opcodes: Vec<_> = answers.iter().flat_map(|bytes| frames(bytes)).map(|frame| frame.opcode).collect();
    assert_eq!(opcodes, [Opcode::KeyUpdate, Opcode::VitalsAck]);
}

#[test]
fn a_session_that_has_lived_its_time_ends_at_both_ends() {
    for client_looks in [true, false] {
        let mut clinic = Clinic::new(44);
        let identity = clinic.enrolled(wearable(1));
        let mut talk = clinic.session(&identity, None);
        let begun = clinic.now.mono;
        while !talk.endpoint.is_closed() {
            clinic.pass(Duration::from_secs(5));
            let now = clinic.now;
            if client_looks {
                talk.endpoint.handle_timeout(now);
            } else {
                talk.endpoint.say(&FromClient::Heartbeat, now).unwrap();
                clinic.run(&mut talk, honest);
            }
            clinic.run(&mut talk, honest);
            clinic.gateway.handle_timeout(now, &mut clinic.rng.clone());
            clinic.run(&mut talk, honest);
        }
        assert_eq!(clinic.now.mono.since(begun), MAX_SESSION_AGE);
        assert!(talk.events.iter().any(|event| matches!(event, Event::Disconnected(Farewell::Spent))));
        assert!(!clinic.has_session(&identity.id));
        if !client_looks {
            assert_eq!(clinic.last_refusal(), &Fault::LocalSessionSpent);
        }
    }
}
