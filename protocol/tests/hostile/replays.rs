//! What was said before, said again.

use std::sync::Arc;

use vitalward_protocol::{
    credential::{ClientIdentity, ClientKind},
    error::Fault,
    handshake::resume::Ticket,
    opcode::Opcode,
};

use crate::common::*;

#[test]
fn a_replayed_token_is_refused_and_the_full_login_goes_on_there() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 18);
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
        let spent = Ticket { token: [9; 16], suite, key: crypto::Secret::new([9; 32]) };
        let talk = clinic.session(&identity, Some(spent));
        assert!(talk.endpoint.is_established() && !talk.is_resumed());
    }
}

#[test]
fn a_forged_resumption_burns_no_token() {
    let mut clinic = Clinic::new(19);
    let identity = clinic.enrolled(wearable(1));
    let ticket = clinic.session(&identity, None).ticket();
    let forged = Ticket { token: ticket.token, suite: ticket.suite, key: crypto::Secret::new([0; 32]) };
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
