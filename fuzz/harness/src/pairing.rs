//! Pairing codes as people type them, and the messages of a pairing, each at the end that receives it.

use crypto::{Secret, identity::SigningKey};
use protocol::{
    credential::{ClientKind, LoginKey},
    frame::HEADER_LEN,
    pairing::{
        code::{PairingCode, Password, Selector},
        initiator::{AwaitGrant, AwaitPairReply, Candidate},
        network::NetworkCredentials,
        responder::{AwaitEnrol, Pairing},
    },
};

use crate::fixture::{GATEWAY, channel, client, gateway, rng, select};

/// A code reads back as it is shown. Each message of a pairing leads to the end only as the other side sent it: whoever
/// lies in between is refused by one side or the other.
pub fn pairing(data: &[u8]) {
    let (which, bytes) = select(data);
    let kind = if which & 0x80 == 0 { ClientKind::Wearable } else { ClientKind::Patient };
    match which % 5 {
        0 => code(bytes),
        1 => pair_start(kind, bytes),
        2 => pair_reply(kind, bytes),
        3 => pair_enrol(kind, bytes),
        _ => pair_grant(kind, bytes),
    }
}

fn code(bytes: &[u8]) {
    if let Ok(code) = String::from_utf8_lossy(bytes).parse::<PairingCode>() {
        let shown = code.to_string();
        assert_eq!(shown.parse(), Ok(code));
        assert_eq!(shown.len(), 11);
        assert!(!format!("{code:?}").contains(&shown[4..7]), "Debug shows the password");
    }
    if let Ok(three) = bytes.try_into()
        && let Ok(selector) = Selector::from_bytes(three)
    {
        assert_eq!(selector.as_bytes(), &three);
    }
    if let Ok(six) = bytes.try_into()
        && let Ok(password) = Password::from_bytes(six)
    {
        assert_eq!(password.expose(), &six);
    }
}

fn pair_start(kind: ClientKind, bytes: &[u8]) {
    let (_, genuine) = start(kind);
    for port in [ClientKind::Patient, ClientKind::Wearable] {
        match Pairing::parse(bytes.to_vec(), port, channel(port)) {
            Ok(pairing) => {
                assert_eq!(pairing.kind(), port);
                if let Ok((state, reply)) = pairing.answer(&the_code().password, 2, &mut rng(2)) {
                    let (theirs, _) = start(kind);
                    let (_, enrol) = theirs.handle_reply(&reply[HEADER_LEN..], &mut rng(3)).unwrap();
                    assert_eq!(
                        state.open(&enrol).is_ok(),
                        bytes == genuine,
                        "an enrolment after another PAIR_START"
                    );
                }
            }
            Err(fault) => {
                assert!(fault.refusal().is_some(), "a stranger is told what it may know");
                assert!(port != kind || bytes != genuine, "the genuine PAIR_START was refused: {fault}");
            }
        }
    }
}

fn pair_reply(kind: ClientKind, bytes: &[u8]) {
    let (state, said) = start(kind);
    let (gateway, genuine) = answered(kind, said);
    match state.handle_reply(bytes, &mut rng(3)) {
        Ok((_, enrol)) => {
            assert_eq!(gateway.open(&enrol).is_ok(), bytes == genuine, "keys agreed with somebody else");
        }
        Err(fault) => assert_ne!(bytes, genuine, "the genuine PAIR_REPLY was refused: {fault}"),
    }
}

fn pair_enrol(kind: ClientKind, bytes: &[u8]) {
    let (gateway, _, genuine) = enrolling(kind);
    assert_eq!(gateway.open(bytes).is_ok(), bytes == genuine);
}

fn pair_grant(kind: ClientKind, bytes: &[u8]) {
    let (_, state, _) = enrolling(kind);
    let genuine = granted(kind);
    let granted = state.handle_grant(bytes);
    assert_eq!(granted.is_ok(), bytes == genuine);
    if let Ok(granted) = granted {
        assert_eq!((&granted.identity.id, granted.gateway), (&client(kind).id, gateway(kind)));
        assert_eq!(granted.network, network(kind));
    }
}

fn the_code() -> PairingCode {
    "ABC-DEF-GH2".parse().unwrap()
}

fn start(kind: ClientKind) -> (AwaitPairReply, Vec<u8>) {
    let candidate = Candidate {
        kind,
        wanted: Some(client(kind).id.clone()),
        name: None,
        login: LoginKey::from_secret(kind, [9; 32]).unwrap(),
        receipts: (kind == ClientKind::Patient).then(|| SigningKey::from_secret(&Secret::new([10; 32]))),
    };
    AwaitPairReply::start(candidate, the_code(), channel(kind), &mut rng(1))
}

fn answered(kind: ClientKind, start: Vec<u8>) -> (AwaitEnrol, Vec<u8>) {
    let pairing = Pairing::parse(start, kind, channel(kind)).unwrap();
    let (state, frame) = pairing.answer(&the_code().password, 2, &mut rng(2)).unwrap();
    (state, frame[HEADER_LEN..].to_vec())
}

/// Both ends before PAIR_ENROL, and its body.
fn enrolling(kind: ClientKind) -> (AwaitEnrol, AwaitGrant, Vec<u8>) {
    let (client, said) = start(kind);
    let (gateway, reply) = answered(kind, said);
    let (client, enrol) = client.handle_reply(&reply, &mut rng(3)).unwrap();
    (gateway, client, enrol)
}

/// A wearable is given its own network.
fn network(kind: ClientKind) -> Option<NetworkCredentials> {
    let given = || NetworkCredentials::new("ward".into(), "correct horse".to_owned().into()).unwrap();
    (kind == ClientKind::Wearable).then(given)
}

/// The body of PAIR_GRANT.
fn granted(kind: ClientKind) -> Vec<u8> {
    let (gateway, _, enrol) = enrolling(kind);
    let enrolment = gateway.open(&enrol).unwrap();
    let id = client(kind).id.clone();
    assert!(enrolment.binding(id.clone()).is_ok());
    enrolment.grant(id, &GATEWAY, network(kind), &mut rng(4)).unwrap()[HEADER_LEN..].to_vec()
}

/// The genuine messages, with the selectors that ask for them: seeds.
pub(crate) fn genuine() -> Vec<Vec<u8>> {
    let mut seeds =
        vec![b"\0ABC-DEF-GH2".to_vec(), b"\0abc def gh2".to_vec(), b"\0ABC".to_vec(), b"\0DEFGH2".to_vec()];
    for (bit, kind) in [(0, ClientKind::Wearable), (0x80, ClientKind::Patient)] {
        let (_, said) = start(kind);
        let (_, reply) = answered(kind, said.clone());
        let (_, _, enrol) = enrolling(kind);
        for (which, message) in (1_u8..).zip([said, reply, enrol, granted(kind)]) {
            let selector = (0..=255_u8).find(|s| s & 0x80 == bit && s % 5 == which).unwrap();
            seeds.push([&[selector][..], &message].concat());
            seeds.push([&[selector, message[0] ^ 1][..], &message[1..]].concat());
        }
    }
    seeds
}
