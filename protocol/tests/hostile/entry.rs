//! Who may come in: names, keys, ports, codes, tokens and clocks.

use std::{sync::Arc, time::Duration};

use vitalward_protocol::{
    credential::ClientKind,
    endpoint::client::{ClientEndpoint, Event},
    error::{Fault, Refusal},
    opcode::Opcode,
    pairing::{code::PairingCode, initiator::Granted},
    time::{ClockFlag, UnixMillis},
};

use crate::common::*;

const TOLERANCE: Duration = Duration::from_secs(30);

#[test]
fn a_wrong_doctor_is_noticed_at_the_first_message() {
    for suite in SUITES {
        let kind = suite.kind();
        let (mut clinic, elsewhere) = (Clinic::of(suite, 1), Clinic::of(suite, 2));
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
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 3);
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
        let terms = clinic.terms(kind, channel(port), ClockFlag::Synced);
        let tried = ClientEndpoint::connect(identity, pinned, None, terms, clinic.now, &mut clinic.rng);
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

#[test]
fn a_wrong_code_has_three_tries_and_a_dropped_connection_is_no_free_guess() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 9);
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
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 10);
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
    let Granted { identity, gateway: pinned, .. } = outcome.unwrap();
    assert_eq!(clinic.session(&old, None).fault(), None, "the earlier computer still works");
    let mut talk = clinic.talk(&Arc::new(identity), None, conn, pinned, TLS, now);
    clinic.run(&mut talk, honest);
    assert!(talk.endpoint.is_established());
    assert_eq!(clinic.session(&old, None).refusal(), Some(&Refusal::NotPaired));
    let mut resumed = clinic.session(&old, Some(old_ticket));
    assert_eq!(resumed.refusal(), Some(&Refusal::NotPaired), "the token is gone, and so is the key");
}

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
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 14);
        let identity = clinic.enrolled(somebody(kind));
        let conn = clinic.open(kind);
        let (pinned, now) = (clinic.pinned(kind), clinic.now);
        let terms = clinic.terms(kind, channel(kind), ClockFlag::None);
        let endpoint = ClientEndpoint::connect(identity, pinned, None, terms, now, &mut clinic.rng);
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
