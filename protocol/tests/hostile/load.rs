//! Clients that wait, flood or stay too long.

use std::time::Duration;

use vitalward_protocol::{
    credential::ClientKind,
    endpoint::{
        LOGIN_LIMIT,
        client::Event,
        gateway::{self, GatewayEndpoint},
    },
    error::Fault,
    frame::MAX_BODY,
    handshake::Channel,
    message::{Farewell, FromClient},
    opcode::Opcode,
    session::MAX_SESSION_AGE,
    testkit::ConnId,
};

use crate::common::*;

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
