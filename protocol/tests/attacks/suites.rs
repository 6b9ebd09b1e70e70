//! The suites of wearables: which one is chosen, and whoever sits on the wire and would rather have another.

use crypto::ml_kem;
use vitalward_protocol::{
    credential::{ClientKind, Suite},
    error::Fault,
    frame::{self, HEADER_LEN},
    handshake::Terms,
    opcode::Opcode,
    time::ClockFlag,
};

use super::common::*;

const ALL: [Suite; 3] = [Suite::Hybrid, Suite::Wearable, Suite::Ascon];
const POINT: usize = 32;
const HELLO_SHARE: usize = POINT + ml_kem::ENCAPSULATION_KEY_LEN;
const REPLY_SHARE: usize = POINT + ml_kem::CIPHERTEXT_LEN;

/// A HELLO of a wearable, in the parts that an attacker may change.
struct Hello {
    suites: Vec<u8>,
    nonce: Vec<u8>,
    share: Vec<u8>,
    rest: Vec<u8>,
}

/// Bytes with their length in front as postcard writes it, and what follows.
fn sized(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let (low, high) = (usize::from(bytes[0]), usize::from(bytes[1]));
    let (length, at) = if low < 0x80 { (low, 1) } else { (low - 0x80 + (high << 7), 2) };
    (bytes[at..at + length].to_vec(), &bytes[at + length..])
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    postcard::to_allocvec(bytes).unwrap()
}

impl Hello {
    fn read(frame: &[u8]) -> Self {
        let (suites, rest) = sized(&frame[HEADER_LEN + 1..]);
        let (nonce, rest) = rest.split_at(32);
        let (share, rest) = sized(rest);
        Self { suites, nonce: nonce.to_vec(), share, rest: rest.to_vec() }
    }

    fn write(&self) -> Vec<u8> {
        let body = [&[1][..], &with_length(&self.suites), &self.nonce, &with_length(&self.share), &self.rest];
        frame::encode(Opcode::Hello, &body.concat())
    }
}

/// A HELLO_REPLY: the suite, the share, and the rest.
struct Reply {
    suite: u8,
    nonce: Vec<u8>,
    share: Vec<u8>,
    rest: Vec<u8>,
}

impl Reply {
    fn read(frame: &[u8]) -> Self {
        let body = &frame[HEADER_LEN..];
        let (share, rest) = sized(&body[33..]);
        Self { suite: body[0], nonce: body[1..33].to_vec(), share, rest: rest.to_vec() }
    }

    fn write(&self) -> Vec<u8> {
        let body = [&[self.suite][..], &self.nonce, &with_length(&self.share), &self.rest];
        frame::encode(Opcode::HelloReply, &body.concat())
    }
}

/// How a login of a wearable that offers `offered` ends for the client and the gateway, with somebody on the wire.
fn through(
    offered: &[Suite],
    mut hello: impl FnMut(&mut Hello),
    mut reply: impl FnMut(&mut Reply),
) -> (Option<Fault>, Option<Fault>) {
    let mut clinic = Clinic::new(90);
    clinic.suites = offered.to_vec();
    let identity = clinic.enrolled(wearable(1));
    let mut talk = clinic.connect(&identity, None);
    clinic.run(&mut talk, |_, bytes| match opcode_of(&bytes) {
        Opcode::Hello => {
            let mut said = Hello::read(&bytes);
            assert_eq!(said.write(), bytes, "read as it was written");
            hello(&mut said);
            said.write()
        }
        Opcode::HelloReply => {
            let mut said = Reply::read(&bytes);
            assert_eq!(said.write(), bytes, "read as it was written");
            reply(&mut said);
            said.write()
        }
        _ => bytes,
    });
    let refused = clinic.gateway.store.refusals.last().cloned();
    let ended = talk.fault().cloned();
    assert_eq!(ended.is_none(), talk.endpoint.is_established());
    assert_eq!(ended.is_none(), !clinic.gateway.in_session().is_empty());
    (ended, refused)
}

fn chosen(offered: &[Suite]) -> Suite {
    let mut clinic = Clinic::new(91);
    clinic.suites = offered.to_vec();
    let identity = clinic.enrolled(wearable(1));
    let mut talk = clinic.session(&identity, None);
    talk.ticket().suite
}

#[test]
fn the_gateway_prefers_suite_4_then_the_order_of_the_client() {
    for (offered, suite) in [
        (&[Suite::Hybrid, Suite::Wearable, Suite::Ascon][..], Suite::Hybrid),
        (&[Suite::Ascon, Suite::Wearable, Suite::Hybrid], Suite::Hybrid),
        (&[Suite::Ascon, Suite::Wearable], Suite::Ascon),
        (&[Suite::Wearable, Suite::Ascon], Suite::Wearable),
        (&[Suite::Ascon], Suite::Ascon),
        (&[Suite::Hybrid], Suite::Hybrid),
    ] {
        assert_eq!(chosen(offered), suite, "{offered:?}");
    }
}

#[test]
fn an_offer_that_is_empty_or_of_another_kind_is_not_made() {
    let mut clinic = Clinic::new(92);
    let identity = clinic.enrolled(wearable(1));
    for suites in [vec![], vec![Suite::Patient], vec![Suite::Wearable, Suite::Patient]] {
        let terms = Terms {
            suites,
            ..Terms::of(ClientKind::Wearable, channel(ClientKind::Wearable), ClockFlag::None)
        };
        let (pinned, now) = (clinic.pinned(ClientKind::Wearable), clinic.now);
        let tried = vitalward_protocol::endpoint::client::ClientEndpoint::connect(
            identity.clone(),
            pinned,
            None,
            terms,
            now,
            &mut clinic.rng,
        );
        assert!(matches!(tried, Err(Fault::PeerSuite)));
    }
}

#[test]
fn unknown_suites_in_an_offer_are_passed_over() {
    // A later version may offer more; here the list is changed on the way, so the client notices, but not the gateway.
    let (ended, refused) = through(&[Suite::Wearable], |hello| hello.suites = vec![9, 255, 2], |_| ());
    assert_eq!((ended, refused), (Some(Fault::DeniedGateway), None));
}

/// Suite 4 is struck out, so that a quantum computer may open the recording one day.
#[test]
fn suite_4_cannot_be_struck_out_of_an_offer() {
    let strike = |hello: &mut Hello| hello.suites.retain(|suite| *suite != 4);
    // With the ML-KEM key left where it is, the share is not what the list says.
    let (_, refused) = through(&ALL, strike, |_| ());
    assert!(matches!(refused, Some(Fault::PeerLimit(_))), "{refused:?}");
    // With the key cut off, the gateway takes suite 2; the client sees that this is not its HELLO.
    let cut = |hello: &mut Hello| {
        strike(hello);
        hello.share.truncate(POINT);
    };
    let (ended, refused) = through(&ALL, cut, |reply| assert_eq!(reply.suite, 2));
    assert_eq!((ended, refused), (Some(Fault::DeniedGateway), None));
    // Even if the answer claims suite 4.
    for share in [POINT, REPLY_SHARE] {
        let claim = |reply: &mut Reply| {
            reply.suite = 4;
            reply.share.resize(share, 7);
        };
        let (ended, _) = through(&ALL, cut, claim);
        assert!(matches!(ended, Some(Fault::DeniedGateway | Fault::PeerLimit(_))), "{ended:?}");
    }
    // One that offers nothing else never takes another.
    let replace = |hello: &mut Hello| {
        hello.suites = vec![2];
        hello.share.truncate(POINT);
    };
    assert_eq!(through(&[Suite::Hybrid], replace, |_| ()).0, Some(Fault::PeerSuite));
}

#[test]
fn the_choice_of_the_gateway_cannot_be_changed() {
    for suite in [2, 3] {
        let downgrade = |reply: &mut Reply| {
            assert_eq!(reply.suite, 4);
            reply.suite = suite;
            reply.share.truncate(POINT);
        };
        assert_eq!(through(&ALL, |_| (), downgrade).0, Some(Fault::DeniedGateway));
    }
    let swap = |reply: &mut Reply| reply.suite = 5 - reply.suite;
    for offered in [[Suite::Wearable, Suite::Ascon], [Suite::Ascon, Suite::Wearable]] {
        assert_eq!(through(&offered, |_| (), swap).0, Some(Fault::DeniedGateway));
        assert_eq!(through(&offered, |hello| hello.suites.reverse(), |_| ()).0, Some(Fault::DeniedGateway));
    }
}

/// Whoever puts in an ML-KEM key of his own learns that half of the secret, and the login fails all the same.
#[test]
fn neither_half_of_a_hybrid_share_can_be_swapped() {
    let mut rng = Clinic::new(93).rng;
    let theirs = ml_kem::Ephemeral::generate(&mut rng).public();
    let swap = |hello: &mut Hello| {
        assert_eq!(hello.share.len(), HELLO_SHARE);
        hello.share[POINT..].copy_from_slice(&theirs);
    };
    assert_eq!(through(&ALL, swap, |_| ()), (Some(Fault::DeniedGateway), None));
    let (ciphertext, _) = ml_kem::encapsulate(&theirs, &mut rng).unwrap();
    let replace = |reply: &mut Reply| {
        assert_eq!((reply.suite, reply.share.len()), (4, REPLY_SHARE));
        reply.share[POINT..].copy_from_slice(&ciphertext);
    };
    assert_eq!(through(&ALL, |_| (), replace).0, Some(Fault::DeniedGateway));
    // ML-KEM is added to an offer without it: the client does not take what it did not offer.
    let add = |hello: &mut Hello| {
        hello.suites.push(4);
        hello.share.extend_from_slice(&theirs);
    };
    assert_eq!(through(&[Suite::Wearable], add, |_| ()).0, Some(Fault::PeerSuite));
}

#[test]
fn shares_of_another_length_or_of_no_use_are_refused() {
    let refused = |hello: &dyn Fn(&mut Hello)| {
        let (_, refused) = through(&ALL, |said| hello(said), |_| ());
        assert!(matches!(refused, Some(Fault::PeerLimit(_))), "{refused:?}");
    };
    refused(&|hello| hello.share.truncate(POINT));
    refused(&|hello| hello.share.truncate(HELLO_SHARE - 1));
    refused(&|hello| hello.share.push(0));
    refused(&|hello| hello.share.clear());
    refused(&|hello| hello.share[..POINT].fill(0));
    // Coefficients of q and above (FIPS 203, 7.2).
    refused(&|hello| hello.share[POINT..].fill(0xff));
    let answered = |reply: &dyn Fn(&mut Reply)| {
        let (ended, _) = through(&ALL, |_| (), |said| reply(said));
        assert!(matches!(ended, Some(Fault::PeerLimit(_))), "{ended:?}");
    };
    answered(&|reply| reply.share.truncate(POINT));
    answered(&|reply| reply.share.truncate(REPLY_SHARE - 1));
    answered(&|reply| reply.share.push(0));
    answered(&|reply| reply.share.clear());
    answered(&|reply| reply.share[..POINT].fill(0));
}

#[test]
fn a_session_is_resumed_in_its_suite_and_only_where_that_is_still_offered() {
    for suite in ALL {
        let mut clinic = Clinic::of(suite, 94);
        let identity = clinic.enrolled(wearable(1));
        let ticket = clinic.session(&identity, None).ticket();
        assert_eq!(ticket.suite, suite);
        clinic.suites = ALL.to_vec();
        let mut talk = clinic.session(&identity, Some(ticket));
        assert!(talk.is_resumed());
        let ticket = talk.ticket();
        assert_eq!(ticket.suite, suite, "resumed again and again in the same suite");
        clinic.suites = ALL.into_iter().filter(|other| *other != suite).collect();
        assert!(!clinic.session(&identity, Some(ticket)).is_resumed(), "a full login instead");
    }
}

/// The thief has the token and knows the suite's number, but a session under another cipher is another session.
#[test]
fn a_ticket_under_another_suite_opens_nothing() {
    let mut clinic = Clinic::of(Suite::Wearable, 95);
    let identity = clinic.enrolled(wearable(1));
    let mut ticket = clinic.session(&identity, None).ticket();
    ticket.suite = Suite::Ascon;
    clinic.suites = ALL.to_vec();
    let mut talk = clinic.connect(&identity, Some(ticket));
    clinic.run(&mut talk, honest);
    assert!(matches!(talk.fault(), Some(Fault::PeerRecord(_))), "the first record does not open");
}
