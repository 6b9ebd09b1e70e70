//! The messages of a login and of a resumption, each at the end that receives it, with everything before it said.

use crypto::Secret;
use protocol::{
    credential::ClientKind,
    frame::{Frame, HEADER_LEN},
    handshake::{
        initiator::{AwaitConfirmation, AwaitReply},
        responder::{AwaitProof, Login},
        resume::{AwaitResumeReply, ResumeRecord, Resumption, Ticket},
    },
    opcode::Opcode,
    time::ClockFlag,
};

use crate::fixture::{GATEWAY, NOW, TOLERANCE, channel, client, gateway, pinned, rng, select};

/// Each step takes the genuine message and no other; the keys of both ends are then the same. A stranger's HELLO may be
/// answered, but nothing that follows it is believed.
pub fn login(data: &[u8]) {
    let (which, bytes) = select(data);
    let kind = if which & 0x80 == 0 { ClientKind::Wearable } else { ClientKind::Patient };
    match which % 6 {
        0 => hello(kind, bytes),
        1 => hello_reply(kind, bytes),
        2 => proof(kind, bytes),
        3 => confirmation(kind, bytes),
        4 => resume(kind, bytes),
        _ => resume_reply(kind, bytes),
    }
}

fn hello(kind: ClientKind, bytes: &[u8]) {
    for port in [ClientKind::Patient, ClientKind::Wearable] {
        let (_, genuine) = start(kind);
        match Login::parse(bytes.to_vec(), port, channel(port)) {
            Ok(login) => {
                assert_eq!(
                    Login::parse(bytes.to_vec(), port, channel(port)).unwrap().fingerprint(),
                    login.fingerprint()
                );
                if port == kind
                    && let Ok((state, reply)) = login.answer(&GATEWAY, TOLERANCE, NOW, &mut rng(2))
                {
                    let (theirs, _) = start(kind);
                    let believed = theirs.handle_reply(&reply[HEADER_LEN..], &mut rng(3));
                    assert_eq!(believed.is_ok(), bytes == genuine, "an answer to another HELLO");
                    assert!(state.open(bytes.to_vec()).is_err(), "a proof without the keys");
                }
            }
            Err(fault) => {
                assert!(fault.refusal().is_some(), "a stranger is told what it may know");
                assert!(port != kind || bytes != genuine, "the genuine HELLO was refused: {fault}");
            }
        }
    }
}

fn hello_reply(kind: ClientKind, bytes: &[u8]) {
    let (state, hello) = start(kind);
    let (_, genuine) = answered(kind, hello);
    assert_eq!(state.handle_reply(bytes, &mut rng(3)).is_ok(), bytes == genuine);
}

fn proof(kind: ClientKind, bytes: &[u8]) {
    let (awaits, _, genuine) = proved(kind);
    let opened = awaits.open(bytes.to_vec());
    assert_eq!(opened.is_ok(), bytes == genuine);
    if let Ok(claimed) = opened {
        assert_eq!(claimed.client(), &client(kind).id);
        assert!(claimed.verify(Some(&pinned(&client(kind))), NOW).is_ok());
    }
}

fn confirmation(kind: ClientKind, bytes: &[u8]) {
    let (gateway, state, proof) = proved(kind);
    let (theirs, genuine) = gateway.open(proof).unwrap().verify(Some(&pinned(&client(kind))), NOW).unwrap();
    let record = Frame { opcode: Opcode::KeyVerification, body: bytes.to_vec() };
    let established = state.handle_confirmation(&record, NOW);
    assert_eq!(established.is_ok(), bytes == &genuine[HEADER_LEN..]);
    if let Ok(ours) = established {
        assert_eq!(
            (ours.session.id(), ours.wrap, ours.resume),
            (theirs.session.id(), theirs.wrap, theirs.resume)
        );
    }
}

fn resume(kind: ClientKind, bytes: &[u8]) {
    let (_, genuine) = resuming(kind);
    for port in [ClientKind::Patient, ClientKind::Wearable] {
        match Resumption::parse(bytes.to_vec(), port, channel(port)) {
            Ok(resumption) => {
                let verified = resumption.verify(Some(record(kind)), TOLERANCE, NOW);
                assert_eq!(verified.is_ok(), port == kind && bytes == genuine);
            }
            Err(fault) => {
                assert!(fault.refusal().is_some(), "a stranger is told what it may know");
                assert!(port != kind || bytes != genuine, "the genuine RESUME was refused: {fault}");
            }
        }
    }
}

fn resume_reply(kind: ClientKind, bytes: &[u8]) {
    let (state, request) = resuming(kind);
    let verified = Resumption::parse(request, kind, channel(kind)).unwrap();
    let verified = verified.verify(Some(record(kind)), TOLERANCE, NOW).unwrap();
    let (theirs, genuine) = verified.answer(NOW, &mut rng(2)).unwrap();
    let established = state.handle_reply(bytes, NOW);
    assert_eq!(established.is_ok(), bytes == &genuine[HEADER_LEN..]);
    if let Ok(ours) = established {
        assert_eq!(
            (ours.session.id(), ours.wrap, ours.resume),
            (theirs.session.id(), theirs.wrap, theirs.resume)
        );
    }
}

fn start(kind: ClientKind) -> (AwaitReply, Vec<u8>) {
    AwaitReply::start(client(kind), gateway(kind), channel(kind), ClockFlag::Synced, NOW, &mut rng(1))
        .unwrap()
}

/// The gateway after HELLO, and the body of HELLO_REPLY.
fn answered(kind: ClientKind, hello: Vec<u8>) -> (AwaitProof, Vec<u8>) {
    let login = Login::parse(hello, kind, channel(kind)).unwrap();
    let (state, frame) = login.answer(&GATEWAY, TOLERANCE, NOW, &mut rng(2)).unwrap();
    (state, frame[HEADER_LEN..].to_vec())
}

/// Both ends before KEY_VERIFICATION, and its body.
fn proved(kind: ClientKind) -> (AwaitProof, AwaitConfirmation, Vec<u8>) {
    let (client, hello) = start(kind);
    let (gateway, reply) = answered(kind, hello);
    let (client, proof) = client.handle_reply(&reply, &mut rng(3)).unwrap();
    (gateway, client, proof)
}

fn resuming(kind: ClientKind) -> (AwaitResumeReply, Vec<u8>) {
    let ticket = Ticket { token: [7; 16], key: Secret::new([8; 32]) };
    AwaitResumeReply::start(client(kind), ticket, channel(kind), ClockFlag::Synced, NOW, &mut rng(1))
}

fn record(kind: ClientKind) -> ResumeRecord {
    let client = client(kind);
    ResumeRecord {
        client: client.id.clone(),
        key_id: client.login.verifying_key().key_id(),
        key: Secret::new([8; 32]),
    }
}

/// The genuine messages, with the selectors that ask for them: seeds.
pub(crate) fn genuine() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (bit, kind) in [(0, ClientKind::Wearable), (0x80, ClientKind::Patient)] {
        let (_, hello) = start(kind);
        let (_, reply) = answered(kind, hello.clone());
        let (gateway, _, proof) = proved(kind);
        let (_, confirmation) =
            gateway.open(proof.clone()).unwrap().verify(Some(&pinned(&client(kind))), NOW).unwrap();
        let (_, resume) = resuming(kind);
        let verified = Resumption::parse(resume.clone(), kind, channel(kind)).unwrap();
        let (_, resumed) =
            verified.verify(Some(record(kind)), TOLERANCE, NOW).unwrap().answer(NOW, &mut rng(2)).unwrap();
        let said = [
            hello,
            reply,
            proof,
            confirmation[HEADER_LEN..].to_vec(),
            resume,
            resumed[HEADER_LEN..].to_vec(),
        ];
        for (which, message) in (0_u8..).zip(said) {
            // The largest multiple of six that keeps the kind's bit and selects this step.
            let selector = (0..=255_u8).find(|s| s & 0x80 == bit && s % 6 == which).unwrap();
            seeds.push([&[selector][..], &message].concat());
        }
    }
    seeds
}
