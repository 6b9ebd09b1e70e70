//! No `Debug` shows a secret: every public type that holds one is formatted and searched for its bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

mod common;

use std::{fmt::Debug, sync::Arc};

use common::*;
use crypto::{Secret, identity::SigningKey};
use vitalward_protocol::{
    credential::{ClientIdentity, ClientKind, LoginKey, Suite},
    endpoint::pairing::PairingEndpoint,
    group::{GroupMember, GroupOwner},
    handshake::resume::{ResumeRecord, Ticket},
    id::GatewayId,
    pairing::initiator::Candidate,
};

/// Fails if the text of a value has four of these bytes in a row, in decimal or in hexadecimal.
fn assert_hidden(what: &str, value: &impl Debug, secret: &[u8]) {
    for text in [format!("{value:?}"), format!("{value:#?}").split_whitespace().collect::<String>()] {
        for four in secret.windows(4) {
            let decimal = format!("{four:?}");
            let decimal = decimal.trim_matches(['[', ']']);
            let shown =
                [decimal.to_string(), decimal.replace(", ", ","), format!("{four:02x?}"), hex::encode(four)];
            assert!(
                !shown.iter().any(|s| text.contains(s.trim_matches(['[', ']']))),
                "{what} shows a secret"
            );
        }
    }
}

#[test]
#[should_panic(expected = "shows a secret")]
fn a_secret_that_is_shown_is_found() {
    assert_hidden("an array", &[0x5b; 32], &[0x5b; 32]);
}

#[test]
fn keys_and_what_holds_them_are_redacted() {
    let login = [0x5b; 32];
    let receipts = [0x6c; 32];
    for kind in [ClientKind::Patient, ClientKind::Wearable] {
        let login_key = || LoginKey::from_secret(kind, login).unwrap();
        let receipt_key = || SigningKey::from_secret(&Secret::new(receipts));
        let id = if kind == ClientKind::Patient { patient("P001") } else { wearable(1) };
        let identity =
            Arc::new(ClientIdentity { id: id.clone(), login: login_key(), receipts: Some(receipt_key()) });
        let candidate = || Candidate {
            kind,
            wanted: Some(id.clone()),
            name: None,
            login: login_key(),
            receipts: Some(receipt_key()),
        };
        let mut clinic = Clinic::new(1);
        clinic.gateway.enrol(&identity, clinic.now);
        let mut talk = clinic.session(&identity, None);
        let resume = talk.ticket();
        let code = "ABC-DEF-GH2".parse().unwrap();
        let pairing = PairingEndpoint::start(candidate(), code, channel(kind), clinic.now, &mut clinic.rng);
        for secret in [login, receipts] {
            assert_hidden("an identity", &identity, &secret);
            assert_hidden("a candidate", &candidate(), &secret);
            assert_hidden("a pairing", &pairing, &secret);
            assert_hidden("an endpoint", &talk.endpoint, &secret);
        }
        assert_hidden("a pairing", &pairing, b"DEFGH2");
        let keys = &clinic.gateway.identity;
        let gateway_login =
            if kind == ClientKind::Patient { &keys.patient_login } else { &keys.wearable_login };
        for secret in [gateway_login.to_secret(), keys.alerts.to_secret()] {
            assert_hidden("a gateway", &clinic.gateway, secret.expose());
        }
        assert_hidden("a ticket", &resume, resume.key.expose());
        assert_hidden("an endpoint", &talk.endpoint, resume.key.expose());
        assert_hidden("a gateway", &clinic.gateway, resume.key.expose());
    }
}

#[test]
fn tickets_rows_and_group_keys_are_redacted() {
    let secret = [0x5b; 32];
    let ticket = Ticket { token: [1; 16], suite: Suite::Patient, key: Secret::new(secret) };
    assert_hidden("a ticket", &ticket, &secret);
    let key_id = vitalward_protocol::id::KeyId::from_bytes([2; 16]);
    let row =
        ResumeRecord { client: patient("P001"), suite: Suite::Patient, key_id, key: Secret::new(secret) };
    assert_hidden("a row", &row, &secret);
    let mut clinic = Clinic::new(2);
    let (gateway, mono) = (GatewayId::from_random([3; 16]), clinic.now.mono);
    let mut owner = GroupOwner::new(gateway, 1, mono, &mut clinic.rng);
    let session = vitalward_protocol::id::SessionId::from_bytes([4; 16]);
    let mut member = GroupMember::new(gateway, &Secret::new(secret));
    let rekeys = owner.join(&"P001".parse().unwrap(), session, Secret::new(secret), mono, &mut clinic.rng);
    member.handle_key(&rekeys[0].key).unwrap();
    assert_hidden("a group owner", &owner, &secret);
    assert_hidden("a group member", &member, &secret);
}
