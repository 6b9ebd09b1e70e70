//! The messages of a login and of a resumption, each at the end that receives it, with everything before it said.

use crypto::Secret;
use protocol::{
    credential::{ClientKind, Suite},
    frame::{Frame, HEADER_LEN},
    handshake::{
        Terms,
        initiator::{AwaitConfirmation, AwaitReply},
        responder::{AwaitProof, Login},
        resume::{AwaitResumeReply, ResumeRecord, Resumption, Ticket},
    },
    opcode::Opcode,
    time::ClockFlag,
};

use crate::fixture::{GATEWAY, NOW, TOLERANCE, channel, client, gateway, pinned, rng, select};

/// The two highest bits of the selector choose; a wearable that has suite 4 offers the others, too.
const SUITES: [Suite; 4] = [Suite::Wearable, Suite::Ascon, Suite::Hybrid, Suite::Patient];

/// Each step takes the genuine message and no other; the keys of both ends are then the same. A stranger's HELLO may be
/// answered, but nothing that follows it is believed.
pub fn login(data: &[u8]) {
    let (which, bytes) = select(data);
    let suite = SUITES[usize::from(which >> 6)];
    match (which & 0x3f) % 6 {
        0 => hello(suite, bytes),
        1 => hello_reply(suite, bytes),
        2 => proof(suite, bytes),
        3 => confirmation(suite, bytes),
        4 => resume(suite, bytes),
        _ => resume_reply(suite, bytes),
    }
}

fn hello(suite: Suite, bytes: &[u8]) {
    for port in [ClientKind::Patient, ClientKind::Wearable] {
        let (_, genuine) = start(suite);
        match Login::parse(bytes.to_vec(), port, channel(port)) {
            Ok(login) => {
                assert_eq!(
                    Login::parse(bytes.to_vec(), port, channel(port)).unwrap().fingerprint(),
                    login.fingerprint()
                );
                if port == suite.kind()
                    && let Ok((state, reply)) = login.answer(&GATEWAY, TOLERANCE, NOW, &mut rng(2))
                {
                    let (theirs, _) = start(suite);
                    let believed = theirs.handle_reply(&reply[HEADER_LEN..], &mut rng(3));
                    assert_eq!(believed.is_ok(), bytes == genuine, "an answer to another HELLO");
                    assert!(state.open(bytes.to_vec()).is_err(), "a proof without the keys");
                }
            }
            Err(fault) => {
                assert!(fault.refusal().is_some(), "a stranger is told what it may know");
                assert!(port != suite.kind() || bytes != genuine, "the genuine HELLO was refused: {fault}");
            }
        }
    }
}

fn hello_reply(suite: Suite, bytes: &[u8]) {
    let (state, hello) = start(suite);
    let (_, genuine) = answered(suite, hello);
    assert_eq!(state.handle_reply(bytes, &mut rng(3)).is_ok(), bytes == genuine);
}

fn proof(suite: Suite, bytes: &[u8]) {
    let (awaits, _, genuine) = proved(suite);
    let opened = awaits.open(bytes.to_vec());
    assert_eq!(opened.is_ok(), bytes == genuine);
    if let Ok(claimed) = opened {
        assert_eq!(claimed.client(), &client(suite.kind()).id);
        assert!(claimed.verify(Some(&pinned(&client(suite.kind()))), NOW).is_ok());
    }
}

fn confirmation(suite: Suite, bytes: &[u8]) {
    let (gateway, state, proof) = proved(suite);
    let (theirs, genuine) =
        gateway.open(proof).unwrap().verify(Some(&pinned(&client(suite.kind()))), NOW).unwrap();
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

fn resume(suite: Suite, bytes: &[u8]) {
    let (_, genuine) = resuming(suite);
    for port in [ClientKind::Patient, ClientKind::Wearable] {
        match Resumption::parse(bytes.to_vec(), port, channel(port)) {
            Ok(resumption) => {
                let verified = resumption.verify(Some(record(suite)), TOLERANCE, NOW);
                assert_eq!(verified.is_ok(), port == suite.kind() && bytes == genuine);
            }
            Err(fault) => {
                assert!(fault.refusal().is_some(), "a stranger is told what it may know");
                assert!(port != suite.kind() || bytes != genuine, "the genuine RESUME was refused: {fault}");
            }
        }
    }
}

fn resume_reply(suite: Suite, bytes: &[u8]) {
    let (state, request) = resuming(suite);
    let verified = Resumption::parse(request, suite.kind(), channel(suite.kind())).unwrap();
    let verified = verified.verify(Some(record(suite)), TOLERANCE, NOW).unwrap();
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

fn start(suite: Suite) -> (AwaitReply, Vec<u8>) {
    AwaitReply::start(client(suite.kind()), gateway(suite.kind()), terms(suite), NOW, &mut rng(1)).unwrap()
}

fn terms(suite: Suite) -> Terms {
    let more: &[Suite] = if suite == Suite::Hybrid { &[Suite::Wearable, Suite::Ascon] } else { &[] };
    let suites = [&[suite], more].concat();
    Terms { suites, channel: channel(suite.kind()), clock: ClockFlag::Synced }
}

/// The gateway after HELLO, and the body of HELLO_REPLY.
fn answered(suite: Suite, hello: Vec<u8>) -> (AwaitProof, Vec<u8>) {
    let login = Login::parse(hello, suite.kind(), channel(suite.kind())).unwrap();
    let (state, frame) = login.answer(&GATEWAY, TOLERANCE, NOW, &mut rng(2)).unwrap();
    (state, frame[HEADER_LEN..].to_vec())
}

/// Both ends before KEY_VERIFICATION, and its body.
fn proved(suite: Suite) -> (AwaitProof, AwaitConfirmation, Vec<u8>) {
    let (client, hello) = start(suite);
    let (gateway, reply) = answered(suite, hello);
    let (client, proof) = client.handle_reply(&reply, &mut rng(3)).unwrap();
    (gateway, client, proof)
}

fn resuming(suite: Suite) -> (AwaitResumeReply, Vec<u8>) {
    let ticket = Ticket { token: [7; 16], suite, key: Secret::new([8; 32]) };
    AwaitResumeReply::start(client(suite.kind()), ticket, &terms(suite), NOW, &mut rng(1))
}

fn record(suite: Suite) -> ResumeRecord {
    let client = client(suite.kind());
    ResumeRecord {
        client: client.id.clone(),
        suite,
        key_id: client.login.verifying_key().key_id(),
        key: Secret::new([8; 32]),
    }
}

/// The genuine messages, with the selectors that ask for them: seeds.
pub(crate) fn genuine() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (highest, suite) in (0_u8..).zip(SUITES) {
        let (_, hello) = start(suite);
        let (_, reply) = answered(suite, hello.clone());
        let (gateway, _, proof) = proved(suite);
        let (_, confirmation) =
            gateway.open(proof.clone()).unwrap().verify(Some(&pinned(&client(suite.kind()))), NOW).unwrap();
        let (_, resume) = resuming(suite);
        let verified = Resumption::parse(resume.clone(), suite.kind(), channel(suite.kind())).unwrap();
        let (_, resumed) =
            verified.verify(Some(record(suite)), TOLERANCE, NOW).unwrap().answer(NOW, &mut rng(2)).unwrap();
        let said = [
            hello,
            reply,
            proof,
            confirmation[HEADER_LEN..].to_vec(),
            resume,
            resumed[HEADER_LEN..].to_vec(),
        ];
        for (which, message) in (0_u8..).zip(said) {
            seeds.push([&[highest << 6 | which][..], &message].concat());
        }
    }
    seeds
}
