//! Our login in outline, signed Diffie-Hellman with a pinned key on both sides, with its defences as switches; and the
//! real one.

use std::collections::BTreeMap;

use crypto::{
    AeadKey, Secret, elgamal::params, identity, public_mac, purpose::TrafficKey as SealKey, sha256,
};
use num_bigint::BigUint;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vitalward_protocol::{credential::Suite, error::Fault, frame, message::FromClient, opcode::Opcode};

use super::{
    Switch,
    common::*,
    lab::{Hash, exponent, hash, nonce},
    stopped_by,
};

#[derive(Clone, Copy, Default)]
struct Rules {
    /// The signatures cover the shares, not the nonces alone.
    covers_shares: bool,
    /// They cover all else that was said in clear.
    covers_hello: bool,
    /// What is hashed has its length in front.
    frames: bool,
    /// Each port has its suite.
    fixes_suite: bool,
    /// 1 < share < p - 1.
    ranges: bool,
    /// The client signs which gateway it means.
    names_peer: bool,
    /// Each side's proof has a MAC of its name under the exchanged secret.
    macs: bool,
    /// The proofs are sealed under the exchanged secret.
    seals: bool,
    /// The client waits for the gateway's word that its proof was taken.
    waits: bool,
}

const EACH: [Switch<Rules>; 9] = [
    ("covers shares", |rules| rules.covers_shares = true),
    ("covers hello", |rules| rules.covers_hello = true),
    ("frames", |rules| rules.frames = true),
    ("fixes suite", |rules| rules.fixes_suite = true),
    ("ranges", |rules| rules.ranges = true),
    ("names peer", |rules| rules.names_peer = true),
    ("macs", |rules| rules.macs = true),
    ("seals", |rules| rules.seals = true),
    ("waits", |rules| rules.waits = true),
];

/// The least that a login of this kind signs.
fn signed_shares() -> Rules {
    Rules { covers_shares: true, ..Rules::default() }
}

const STRONG: u8 = 2;
const WEAK: u8 = 1;

type Name = u8;
const GATEWAY: Name = 1;
const PATIENT: Name = 2;
const OTHER: Name = 3;

#[derive(Clone)]
struct Hello {
    suites: Vec<u8>,
    extension: Vec<u8>,
    nonce: Hash,
    share: BigUint,
}

#[derive(Clone)]
struct Reply {
    suite: u8,
    nonce: Hash,
    share: BigUint,
    proof: Vec<u8>,
}

fn modulus() -> BigUint {
    BigUint::parse_bytes(params::FFDHE3072.as_bytes(), 16).unwrap()
}

/// Both ends' view of an exchange.
struct Exchange {
    rules: Rules,
    transcript: Hash,
    secret: Hash,
}

impl Exchange {
    fn new(rules: Rules, hello: &Hello, reply: &Reply, e: &BigUint, theirs: &BigUint) -> Option<Self> {
        let (p, one) = (modulus(), BigUint::from(1u32));
        if rules.ranges && !(*theirs > one && *theirs < &p - 1u32) {
            return None;
        }
        let (ours, answer) = (hello.share.to_bytes_be(), reply.share.to_bytes_be());
        let suite = [reply.suite];
        let mut parts: Vec<&[u8]> = vec![&hello.nonce, &reply.nonce];
        if rules.covers_shares {
            parts.extend([&ours[..], &answer[..]]);
        }
        if rules.covers_hello {
            parts.extend([&suite[..], &hello.suites[..], &hello.extension[..]]);
        }
        let transcript = if rules.frames { sha256("th", &parts) } else { sha256("th", &[&parts.concat()]) };
        Some(Self { rules, transcript, secret: hash("secret", &[&theirs.modpow(e, &p)]) })
    }

    /// What `name` proves to `peer`: name, signature, MAC.
    fn prove(&self, name: Name, peer: Name, key: &identity::SigningKey) -> Vec<u8> {
        let signature = key.sign("login", &[&self.transcript, &self.meant(peer)]).to_bytes();
        let said = [&[name][..], &signature, &self.mac(name)].concat();
        if self.rules.seals { self.sealer().seal(&[name; 12], b"", &said).unwrap() } else { said }
    }

    /// Who proved it, if it was one of these.
    fn verify(
        &self,
        proof: &[u8],
        peer: Name,
        keys: &BTreeMap<Name, identity::VerifyingKey>,
    ) -> Option<Name> {
        let opened = keys.keys().find_map(|name| self.sealer().open(&[*name; 12], b"", proof).ok());
        let said = if self.rules.seals { opened? } else { proof.to_vec() };
        let (name, (signature, mac)) = (said[0], said[1..].split_at(64));
        let signature = identity::Signature::from_bytes(signature).unwrap();
        keys.get(&name)?.verify("login", &[&self.transcript, &self.meant(peer)], &signature).ok()?;
        (!self.rules.macs || mac == self.mac(name)).then_some(name)
    }

    fn meant(&self, peer: Name) -> Vec<u8> {
        if self.rules.names_peer { vec![peer] } else { Vec::new() }
    }

    fn mac(&self, name: Name) -> Hash {
        public_mac(&self.secret, "mac", &[&self.transcript, &[name]])
    }

    fn sealer(&self) -> AeadKey {
        AeadKey::new(&Secret::<SealKey>::new(sha256("seal", &[&self.secret])))
    }
}

/// What a side that believes in a login has.
#[derive(PartialEq, Eq, Debug)]
struct Session {
    peer: Name,
    secret: Hash,
}

/// What the gateway says when it has taken the client's proof.
fn last_word(session: &Session) -> Hash {
    public_mac(&session.secret, "confirm", &[])
}

/// A login: both ends' keys, and what they draw for it.
struct Outline {
    rules: Rules,
    keys: BTreeMap<Name, identity::SigningKey>,
    hello: Hello,
    client: BigUint,
    gateway: BigUint,
    rng: ChaCha20Rng,
}

impl Outline {
    fn new(rules: Rules) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let keys = [GATEWAY, PATIENT, OTHER].map(|name| (name, identity::SigningKey::generate(&mut rng)));
        let (client, gateway) = (exponent(&mut rng), exponent(&mut rng));
        let share = BigUint::from(2u32).modpow(&client, &modulus());
        let (suites, extension) = (vec![STRONG, WEAK], vec![7, 8]);
        let hello = Hello { suites, extension, nonce: nonce(&mut rng), share };
        Self { rules, keys: keys.into(), hello, client, gateway, rng }
    }

    fn public(&self, names: &[Name]) -> BTreeMap<Name, identity::VerifyingKey> {
        names.iter().map(|name| (*name, self.keys[name].verifying_key())).collect()
    }

    /// The gateway's answer to the hello that reached it.
    fn answer(&mut self, hello: &Hello) -> Option<Reply> {
        let suite = *hello.suites.iter().max()?;
        if self.rules.fixes_suite && suite != STRONG {
            return None;
        }
        let share = BigUint::from(2u32).modpow(&self.gateway, &modulus());
        let mut reply = Reply { suite, nonce: nonce(&mut self.rng), share, proof: Vec::new() };
        let exchange = self.at_gateway(hello, &reply)?;
        // The gateway does not know yet who asks.
        reply.proof = exchange.prove(GATEWAY, 0, &self.keys[&GATEWAY]);
        Some(reply)
    }

    fn at_gateway(&self, hello: &Hello, reply: &Reply) -> Option<Exchange> {
        Exchange::new(self.rules, hello, reply, &self.gateway, &hello.share)
    }

    /// The client's session with the gateway `to`, and its proof.
    fn conclude(&self, to: Name, reply: &Reply) -> Option<(Session, Vec<u8>)> {
        let exchange = Exchange::new(self.rules, &self.hello, reply, &self.client, &reply.share)?;
        let peer = exchange.verify(&reply.proof, 0, &self.public(&[to]))?;
        let proof = exchange.prove(PATIENT, to, &self.keys[&PATIENT]);
        Some((Session { peer, secret: exchange.secret }, proof))
    }

    fn accept(&self, hello: &Hello, reply: &Reply, proof: &[u8]) -> Option<Session> {
        let exchange = self.at_gateway(hello, reply)?;
        let peer = exchange.verify(proof, GATEWAY, &self.public(&[PATIENT, OTHER]))?;
        Some(Session { peer, secret: exchange.secret })
    }

    /// Whether the client goes on, after the gateway's last word or without.
    fn goes_on(&self, client: &Session, last: Option<Hash>) -> bool {
        !self.rules.waits || last == Some(last_word(client))
    }

    /// A login whose clear parts somebody alters on their way; both ends' sessions, if both believe in it.
    fn through(
        mut self,
        alter_hello: impl FnOnce(&mut Hello),
        alter_reply: impl FnOnce(&mut Reply),
    ) -> Option<(Session, Session, Reply)> {
        let mut hello = self.hello.clone();
        alter_hello(&mut hello);
        let sent = self.answer(&hello)?;
        let mut reply = sent.clone();
        alter_reply(&mut reply);
        let (client, proof) = self.conclude(GATEWAY, &reply)?;
        let gateway = self.accept(&hello, &sent, &proof)?;
        let last = last_word(&gateway);
        self.goes_on(&client, Some(last)).then_some((client, gateway, reply))
    }
}

#[test]
fn the_outline_works_with_any_of_its_defences() {
    let mut all = Rules::default();
    for (_, switch) in EACH {
        let mut one = Rules::default();
        switch(&mut one);
        switch(&mut all);
        for rules in [one, all] {
            let (client, gateway, reply) = Outline::new(rules).through(|_| (), |_| ()).unwrap();
            assert_eq!((client.peer, gateway.peer, reply.suite), (GATEWAY, PATIENT, STRONG));
            assert_eq!(client.secret, gateway.secret);
        }
    }
}

/// Somebody between the ends strikes the better suite out of the list.
#[test]
fn a_downgrade_of_the_suites_is_noticed_where_the_list_is_signed() {
    let works = |rules| {
        Outline::new(rules)
            .through(|hello| hello.suites.retain(|suite| *suite == WEAK), |_| ())
            .is_some_and(|(.., reply)| reply.suite == WEAK)
    };
    assert_eq!(stopped_by(&EACH, signed_shares(), works), ["covers hello", "fixes suite"]);
}

#[test]
fn a_downgrade_of_our_suites_is_refused() {
    for suite in SUITES {
        let kind = suite.kind();
        let other = if suite == Suite::Patient { Suite::Wearable } else { Suite::Patient };
        let [own, other] = [suite, other].map(Suite::number);
        let mut clinic = Clinic::of(suite, 50);
        let identity = clinic.enrolled(somebody(kind));
        let at = frame::HEADER_LEN + 1;
        // Version, then the list: its length and one suite.
        for (list, fault) in [
            (vec![1, other], Fault::PeerSuite),
            (vec![0], Fault::PeerSuite),
            (vec![2, own, other], Fault::DeniedGateway),
            (vec![2, other, own], Fault::DeniedGateway),
            (vec![2, own, own], Fault::DeniedGateway),
        ] {
            let mut talk = clinic.connect(&identity, None);
            clinic.run(&mut talk, |to, bytes| {
                if to == To::Client || opcode_of(&bytes) != Opcode::Hello {
                    return bytes;
                }
                assert_eq!(bytes[at..at + 2], [1, own]);
                let body = [&bytes[frame::HEADER_LEN..at], &list, &bytes[at + 2..]].concat();
                frame::encode(Opcode::Hello, &body)
            });
            match fault {
                Fault::PeerSuite => assert_eq!(clinic.last_refusal(), &fault, "{list:?}"),
                _ => assert_eq!(talk.fault(), Some(&fault), "{list:?}"),
            }
            assert!(!talk.endpoint.is_established() && clinic.gateway.in_session().is_empty());
        }
        // And the choice of the gateway.
        let mut talk = clinic.connect(&identity, None);
        clinic.run(&mut talk, |_, mut bytes| {
            if opcode_of(&bytes) == Opcode::HelloReply {
                bytes[frame::HEADER_LEN] = other;
            }
            bytes
        });
        assert_eq!(talk.fault(), Some(&Fault::PeerSuite));
    }
}

#[test]
fn a_shortened_hello_is_noticed_where_all_of_it_is_signed() {
    let works = |rules| Outline::new(rules).through(|hello| hello.extension.clear(), |_| ()).is_some();
    assert_eq!(stopped_by(&EACH, signed_shares(), works), ["covers hello"]);
}

/// The last suite becomes the first byte of the extension behind it: the same bytes in the hash, if lengths are not.
#[test]
fn a_moved_border_between_fields_is_noticed_where_lengths_are_hashed() {
    let works = |rules| {
        let moved = |hello: &mut Hello| hello.extension.insert(0, hello.suites.pop().unwrap());
        Outline::new(rules).through(moved, |_| ()).is_some()
    };
    let covered = Rules { covers_hello: true, ..signed_shares() };
    assert_eq!(stopped_by(&EACH, covered, works), ["frames"]);
}

/// Ours hashes the whole body: what is added to a hello or cut from it is noticed before anything else is said.
#[test]
fn a_lengthened_or_shortened_hello_ends_our_login() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 51);
        let identity = clinic.enrolled(somebody(kind));
        let lengthened = |body: &[u8]| [&body[..body.len() - 1], &[1, 9, 1, 0]].concat();
        let shortened = |body: &[u8]| body[..body.len() - 1].to_vec();
        for longer in [true, false] {
            let mut talk = clinic.connect(&identity, None);
            let mut sent = Vec::new();
            clinic.run(&mut talk, |to, bytes| {
                if to == To::Client {
                    return bytes;
                }
                sent.push(opcode_of(&bytes));
                let body = &bytes[frame::HEADER_LEN..];
                frame::encode(Opcode::Hello, &if longer { lengthened(body) } else { shortened(body) })
            });
            assert_eq!(talk.fault() == Some(&Fault::DeniedGateway), longer, "only a longer one is answered");
            assert_eq!(sent, [Opcode::Hello]);
            assert!(clinic.gateway.in_session().is_empty());
        }
    }
}

/// Somebody holds the client's last message back: the client thinks that it is in session, and nobody hears it.
#[test]
fn a_login_cut_short_is_believed_where_the_client_waits_for_no_answer() {
    let works = |rules| {
        let mut outline = Outline::new(rules);
        let reply = outline.answer(&outline.hello.clone()).unwrap();
        let (client, _) = outline.conclude(GATEWAY, &reply).unwrap();
        outline.goes_on(&client, None)
    };
    assert_eq!(stopped_by(&EACH, signed_shares(), works), ["waits"]);
}

#[test]
fn a_login_cut_short_at_any_message_is_no_session_of_our_client() {
    for suite in SUITES {
        let kind = suite.kind();
        for last in 0..4 {
            let mut clinic = Clinic::of(suite, 57);
            let identity = clinic.enrolled(somebody(kind));
            let mut talk = clinic.connect(&identity, None);
            let mut passed = 0;
            clinic.run(&mut talk, |_, frame| {
                passed += 1;
                if passed <= last { frame } else { Vec::new() }
            });
            assert!(passed > last && !talk.endpoint.is_established(), "after {last}");
            talk.endpoint.say(&FromClient::Heartbeat, clinic.now).unwrap();
            assert!(talk.endpoint.poll_transmit().is_none());
            // Without its own last message the gateway knows nothing of a session either.
            assert_eq!(clinic.has_session(&identity.id), last == 3);
        }
    }
}

/// In both ends' hands lies the same secret; they only disagree about who shares it.
#[test]
fn misbinding_of_the_client_needs_a_proof_that_anybody_can_replace() {
    let works = |rules| {
        let mut outline = Outline::new(rules);
        let hello = outline.hello.clone();
        let reply = outline.answer(&hello).unwrap();
        let Some((client, _)) = outline.conclude(GATEWAY, &reply) else { return false };
        // OTHER is enrolled too, and signs what it saw. It knows no secret.
        let guess = Exchange { secret: [0; 32], ..outline.at_gateway(&hello, &reply).unwrap() };
        let replaced = guess.prove(OTHER, GATEWAY, &outline.keys[&OTHER]);
        let gateway = outline.accept(&hello, &reply, &replaced);
        client.peer == GATEWAY && gateway == Some(Session { peer: OTHER, secret: client.secret })
    };
    assert_eq!(stopped_by(&EACH, signed_shares(), works), ["macs", "seals"]);
}

/// A client that logs in at a gateway gone bad, OTHER, ends up in a session with the true one and does not know.
#[test]
fn misbinding_of_the_gateway_needs_a_proof_that_names_nobody() {
    let works = |rules| {
        let mut outline = Outline::new(rules);
        let hello = outline.hello.clone();
        let mut reply = outline.answer(&hello).unwrap();
        let guess = Exchange { secret: [0; 32], ..outline.at_gateway(&hello, &reply).unwrap() };
        reply.proof = guess.prove(OTHER, 0, &outline.keys[&OTHER]);
        let Some((client, proof)) = outline.conclude(OTHER, &reply) else { return false };
        let gateway = outline.accept(&hello, &reply, &proof);
        client.peer == OTHER && gateway == Some(Session { peer: PATIENT, secret: client.secret })
    };
    assert_eq!(stopped_by(&EACH, signed_shares(), works), ["names peer", "macs", "seals"]);
}

/// The gateway gone bad changes the hint, so that the true one answers, and passes all else on.
#[test]
fn misbinding_by_a_relay_ends_our_login() {
    for suite in SUITES {
        let kind = suite.kind();
        let (mut good, mut bad) = (Clinic::of(suite, 52), Clinic::of(suite, 53));
        let identity = good.enrolled(somebody(kind));
        bad.gateway.enrol(&identity, bad.now);
        let conn = good.open(kind);
        let mut talk = good.talk(&identity, None, conn, bad.pinned(kind), channel(kind), good.now);
        let key_id = |clinic: &Clinic| *clinic.pinned(kind).login.key_id().as_bytes();
        let (mut asked, mut sent) = (false, 0);
        let (right, wrong) = (key_id(&good), key_id(&bad));
        good.run(&mut talk, |to, mut bytes| {
            if to == To::Gateway {
                sent += 1;
                let nonce = bytes[frame::HEADER_LEN + 3..][..32].to_vec();
                let hint = |key: &[u8]| public_mac(key, "gateway hint", &[&nonce])[..8].to_vec();
                let at = bytes.windows(8).position(|window| window == hint(&wrong)).unwrap();
                bytes[at..at + 8].copy_from_slice(&hint(&right));
            } else {
                asked |= opcode_of(&bytes) == Opcode::HelloReply;
            }
            bytes
        });
        assert!(asked, "the true gateway took it for its own client");
        assert_eq!((talk.fault(), sent), (Some(&Fault::DeniedGateway), 1));
        assert!(good.gateway.in_session().is_empty());
    }
}

/// Somebody between the ends puts a number of order 1 in the place of both shares.
#[test]
fn a_share_of_small_order_gives_the_secret_away_where_nobody_looks() {
    for (name, share) in [("one", BigUint::from(1u32)), ("p + 1", modulus() + 1u32), ("p", modulus())] {
        let known = hash("secret", &[&(&share % modulus())]);
        let works = |rules| {
            let replaced = |theirs: &mut BigUint| *theirs = share.clone();
            Outline::new(rules)
                .through(|hello| replaced(&mut hello.share), |reply| replaced(&mut reply.share))
                .is_some_and(|(client, gateway, _)| client.secret == known && gateway.secret == known)
        };
        assert_eq!(stopped_by(&EACH, Rules::default(), works), ["covers shares", "ranges"], "{name}");
    }
}

#[test]
fn a_share_of_small_order_or_out_of_range_is_refused_by_both_our_ends() {
    let mut p_minus_1 = hex::decode(params::FFDHE3072).unwrap();
    *p_minus_1.last_mut().unwrap() -= 1;
    let number = |n: u8| {
        let mut bytes = vec![0; 384];
        bytes[383] = n;
        bytes
    };
    let bad = [
        (Suite::Patient, vec![number(0), number(1), p_minus_1, vec![0xff; 384]]),
        (Suite::Wearable, vec![vec![0; 32], [vec![1], vec![0; 31]].concat()]),
        (Suite::Ascon, vec![vec![0; 32], [vec![1], vec![0; 31]].concat()]),
    ];
    for (suite, shares) in bad {
        let kind = suite.kind();
        for share in shares {
            let mut clinic = Clinic::of(suite, 40);
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

/// A resumption in outline: a MAC under the shared key is all the proof that either side gives.
#[derive(Clone, Copy, Default)]
struct Resumption {
    /// What is MACed names the side that says it.
    names_role: bool,
    /// The answer's MAC is over both nonces, not over the gateway's own.
    covers_both: bool,
}

impl Resumption {
    const EACH: [Switch<Self>; 2] =
        [("names role", |rules| rules.names_role = true), ("covers both", |rules| rules.covers_both = true)];

    fn mac(self, role: &str, nonces: &[&[u8]]) -> Hash {
        public_mac(&[7; 32], if self.names_role { role } else { "resume" }, nonces)
    }

    fn believes(self, asked: &Hash, answered: &Hash, mac: &Hash) -> bool {
        let both: [&[u8]; 2] = [asked, answered];
        *mac == self.mac("resume g", if self.covers_both { &both } else { &both[1..] })
    }
}

/// The client's own words come back to it as the gateway's.
#[test]
fn a_reflected_resumption_is_believed_where_both_sides_prove_alike() {
    let works = |rules: Resumption| {
        let asked = nonce(&mut ChaCha20Rng::seed_from_u64(6));
        rules.believes(&asked, &asked, &rules.mac("resume c", &[&asked]))
    };
    assert_eq!(stopped_by(&Resumption::EACH, Resumption::default(), works), ["names role", "covers both"]);
}

#[test]
fn a_reflected_opening_is_refused_by_our_client() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 22);
        let identity = clinic.enrolled(somebody(kind));
        let mut talk = clinic.connect(&identity, None);
        let hello = talk.endpoint.poll_transmit().unwrap();
        talk.endpoint.handle_bytes(&hello, clinic.now, &mut clinic.rng);
        assert!(matches!(talk.fault(), Some(Fault::PeerOutOfOrder { opcode: Opcode::Hello, .. })));

        // RESUME: version, token (16), nonce, share and time, clock, MAC. Its parts make a RESUME_REPLY.
        let ticket = clinic.session(&identity, None).ticket();
        let mut talk = clinic.connect(&identity, Some(ticket));
        let resume = talk.endpoint.poll_transmit().unwrap();
        let (said, mac) = resume[frame::HEADER_LEN..].split_last_chunk::<32>().unwrap();
        let reflected = [&said[17..said.len() - 1], mac].concat();
        talk.endpoint.handle_bytes(
            &frame::encode(Opcode::ResumeReply, &reflected),
            clinic.now,
            &mut clinic.rng,
        );
        assert_eq!(talk.fault(), Some(&Fault::DeniedGateway));
    }
}

/// The gateway's sealed proof, sent back as the client's.
#[test]
fn a_reflected_proof_is_refused_by_our_gateway() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 54);
        let identity = clinic.enrolled(somebody(kind));
        let mut talk = clinic.connect(&identity, None);
        let hello = talk.endpoint.poll_transmit().unwrap();
        let (answers, _) = clinic.send(talk.conn, &hello);
        // Its clear part is as long as a HELLO's up to the share, less a list of one suite, and a time.
        let sealed = &answers[0][share_at(kind).end - 2 + 6..];
        clinic.send(talk.conn, &frame::encode(Opcode::KeyVerification, sealed));
        assert_eq!(clinic.last_refusal(), &Fault::DeniedProof);
    }
}
