//! Attacks (5) to (11), and key substitution, on the laboratory protocol and on ours.

use std::sync::Arc;

use crypto::{elgamal::params, identity::SigningKey};
use num_bigint::BigUint;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vitalward_protocol::{
    alert::Audience,
    credential::{ClientIdentity, ClientKind, LoginKey, LoginVerifyingKey},
    endpoint::client::Event,
    error::{Fault, Refusal},
    frame,
    opcode::Opcode,
};

use super::{
    common::*,
    lab::{
        Disconnect, EACH, Gateway, Key, Patient, PublicKey, Rules, Stream, end_tag, exponent, group, message,
        number, possession_of, read_broadcast, seal_broadcast,
    },
    stopped_by,
};

/// What an implementation has that keeps y of each patient, but takes p and g as they come.
fn pinned() -> Rules {
    Rules { pins_keys: true, ..Rules::default() }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(99)
}

#[test]
fn the_laboratory_protocol_works_with_any_of_its_defences() {
    let mut rules = Rules::default();
    for (_, switch) in [("none", (|_| ()) as fn(&mut Rules))].into_iter().chain(EACH) {
        let mut one = Rules::default();
        switch(&mut one);
        switch(&mut rules);
        for rules in [one, rules] {
            let mut lab = Gateway::new(rules);
            let mut patient = lab.patient("P001", 11);
            let recorded = lab.log_in(1, &mut patient);
            let sealed = lab.broadcast("evacuate");
            let shown = read_broadcast(rules, lab.group_key, &lab.alert_key(), &sealed);
            assert_eq!(shown.as_deref(), Some("evacuate"));
            lab.end(1, &Disconnect { name: "P001", tag: end_tag(&recorded.session) });
            assert!(lab.sessions.is_empty());
        }
    }
}

/// The thief sends the secret of a recorded login as her own, changed so that it looks new. The gateway decrypts it and
/// encrypts it to her; all else that the session key is made of was in clear.
#[test]
fn attack_5_the_gateway_is_no_oracle_for_the_secrets_of_others() {
    let works = |rules| {
        let (mut lab, mut rng) = (Gateway::new(rules), rng());
        let mut victim = lab.patient("P001", 11);
        let recorded = lab.log_in(1, &mut victim);

        let mut thief = lab.patient("P002", 12);
        let greeting = lab.greet(2);
        let mut opening = thief.open(&greeting).opening;
        let PublicKey { p, g, y } = &lab.key.public;
        let ((a, b), t) = (&recorded.opening.secret, exponent(&mut rng));
        opening.secret = (a * g.modpow(&t, p) % p, b * y.modpow(&t, p) % p);
        opening.signature = thief.key.sign(opening.signed(rules, &greeting.challenge), &mut rng);
        let Some(Ok(echo)) = lab.open(2, &opening).map(|answer| answer.secret) else { return false };
        let secret = thief.key.decrypt(&echo);
        recorded.opening.session(&recorded.answer, &secret, None) == recorded.session
    };
    assert_eq!(stopped_by(&EACH, Rules::default(), works), ["confirms", "fresh shares", "proves secret"]);
}

/// Ours has nothing to decrypt: a share that is sent again meets a fresh one of the gateway, and only the owner of the
/// first share could open what is then sealed.
#[test]
fn attack_5_no_recorded_conversation_makes_our_gateway_seal_anything_for_its_thief() {
    let mut clinic = Clinic::new(17);
    let (victim, thief) = (clinic.enrolled(patient("P001")), clinic.enrolled(patient("P002")));
    // The login was interrupted, so that its hello does not count as used.
    let hello = clinic.connect(&victim, None).endpoint.poll_transmit().unwrap();
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

    let mut talk = clinic.connect(&thief, None);
    clinic.run(&mut talk, |to, mut frame| {
        if to == To::Gateway && opcode_of(&frame) == Opcode::Hello {
            let share = share_at(ClientKind::Patient);
            frame[share.clone()].copy_from_slice(&hello[share]);
        }
        frame
    });
    assert_eq!(talk.fault(), Some(&Fault::DeniedGateway), "she cannot read what the victim's share sealed");
    assert!(clinic.gateway.in_session().is_empty());
}

/// The gateway believes whatever key comes with a name: the impostor brings her own.
#[test]
fn attack_6_an_impostor_does_not_replace_a_patient_in_the_laboratory_with_pinned_keys() {
    let works = |rules| {
        let mut lab = Gateway::new(rules);
        let mut victim = lab.patient("P001", 11);
        lab.log_in(1, &mut victim);
        let mut impostor = Patient::new(&lab, "P001", 12);
        let greeting = lab.greet(2);
        let waiting = impostor.open(&greeting);
        let Some(answer) = lab.open(2, &waiting.opening) else { return false };
        let session = impostor.finish(&waiting, &greeting, &answer).unwrap();
        lab.sessions[&2] == ("P001", session)
    };
    assert_eq!(stopped_by(&EACH, Rules::default(), works), ["pins keys"]);
}

/// The name is not signed: on its way, a patient's message becomes another patient's.
#[test]
fn attack_6_a_login_under_another_name_is_not_believed_where_it_is_bound_to_its_maker() {
    let works = |rules| {
        let mut lab = Gateway::new(rules);
        lab.patient("P002", 12);
        let mut victim = lab.patient("P001", 11);
        let greeting = lab.greet(1);
        let mut opening = victim.open(&greeting).opening;
        opening.name = "P002";
        lab.open(1, &opening).is_some() && lab.sessions[&1].0 == "P002"
    };
    assert_eq!(stopped_by(&EACH, Rules::default(), works), ["proves secret", "pins keys", "signs names"]);
}

#[test]
fn attack_6_an_enrolled_patient_does_not_come_into_ours_as_another() {
    let mut clinic = Clinic::new(4);
    let victim = clinic.enrolled(patient("P001"));
    let victims = clinic.session(&victim, None);
    let attacker = clinic.enrolled(patient("P002"));
    // The same key under the victim's name, and a key that nobody knows.
    let secret = *attacker.login.to_secret().expose();
    let login = LoginKey::from_secret(ClientKind::Patient, secret).unwrap();
    let renamed = Arc::new(ClientIdentity { id: patient("P001"), login, receipts: None });
    for impostor in [renamed, clinic.identity(patient("P001"))] {
        let mut talk = clinic.session(&impostor, None);
        assert_eq!(talk.refusal(), Some(&Refusal::NotPaired));
        assert_eq!(clinic.last_refusal(), &Fault::DeniedKey);
        assert!(victims.endpoint.is_established() && clinic.has_session(&patient("P001")));
        assert!(!clinic.has_session(&patient("P002")));
    }
}

/// Inside the tolerance of the clocks, what was accepted once is accepted again.
#[test]
fn attack_7_an_opcode_10_message_is_accepted_once_where_nonces_are_used() {
    for connection in [1, 2] {
        let works = |rules| {
            let mut lab = Gateway::new(rules);
            let mut victim = lab.patient("P001", 11);
            let recorded = lab.log_in(1, &mut victim);
            lab.greet(2);
            lab.open(connection, &recorded.opening).is_some()
        };
        assert_eq!(stopped_by(&EACH, Rules::default(), works), ["challenges", "remembers"]);
    }
}

#[test]
fn attack_7_a_replayed_hello_is_refused_by_ours() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 15);
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
fn attack_7_a_replayed_key_verification_is_refused_by_ours_in_every_state() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 16);
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
fn attack_8_a_member_of_the_laboratorys_group_forges_no_signed_broadcast() {
    let works = |rules| {
        let mut lab = Gateway::new(rules);
        let mut member = lab.patient("P001", 11);
        lab.log_in(1, &mut member);
        let text = "take off your sensors";
        let own = SigningKey::generate(&mut rng()).sign("alert", &[text.as_bytes()]);
        let forged = seal_broadcast(lab.group_key, text, own.to_bytes());
        read_broadcast(rules, lab.group_key, &lab.alert_key(), &forged).is_some()
    };
    assert_eq!(stopped_by(&EACH, Rules::default(), works), ["signs broadcasts"]);
}

#[test]
fn attack_8_a_constant_group_key_opens_what_came_before_and_after() {
    let after = |rules| {
        let mut lab = Gateway::new(rules);
        let mut leaver = lab.patient("P001", 11);
        let recorded = lab.log_in(1, &mut leaver);
        let kept = lab.group_key;
        lab.end(1, &Disconnect { name: "P001", tag: end_tag(&recorded.session) });
        read_broadcast(rules, kept, &lab.alert_key(), &lab.broadcast("evacuate")).is_some()
    };
    let before = |rules| {
        let mut lab = Gateway::new(rules);
        let recorded = lab.broadcast("evacuate");
        let mut newcomer = lab.patient("P001", 11);
        lab.log_in(1, &mut newcomer);
        read_broadcast(rules, lab.group_key, &lab.alert_key(), &recorded).is_some()
    };
    assert_eq!(stopped_by(&EACH, Rules::default(), after), ["changes group key"]);
    assert_eq!(stopped_by(&EACH, Rules::default(), before), ["changes group key"]);
}

#[test]
fn attack_8_a_member_of_our_group_forges_no_broadcast() {
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
fn attack_8_nobody_opens_our_broadcasts_of_a_time_when_they_were_no_member() {
    let mut clinic = Clinic::new(47);
    let (stays, other) = (clinic.enrolled(patient("P001")), clinic.enrolled(patient("P002")));
    let mut member = clinic.session(&stays, None);
    let broadcast = |clinic: &mut Clinic| {
        let (now, mut rng) = (clinic.now, clinic.rng.clone());
        clinic.gateway.raise("evacuate", None, None, now, &mut rng).1.unwrap().frame
    };
    let opens = |clinic: &mut Clinic, talk: &mut Talk, frame: &[u8]| {
        let before = talk.alerts().len();
        talk.endpoint.handle_bytes(frame, clinic.now, &mut clinic.rng);
        talk.alerts().len() > before
    };
    let before = broadcast(&mut clinic);
    clinic.run(&mut member, honest);
    let mut newcomer = clinic.session(&other, None);
    assert!(!opens(&mut clinic, &mut newcomer, &before));
    let during = broadcast(&mut clinic);
    clinic.run(&mut member, honest);
    assert!(opens(&mut clinic, &mut newcomer, &during));

    // Her program is told to go, but keeps listening with what it has.
    let (now, mut rng) = (clinic.now, clinic.rng.clone());
    clinic.gateway.revoke(&other.id, now, &mut rng);
    let after = broadcast(&mut clinic);
    assert!(!opens(&mut clinic, &mut newcomer, &after));
    clinic.run(&mut member, honest);
    assert_eq!(member.alerts().len(), 3, "and who stayed read all");
}

/// "End the session for all participants", and whoever says so is believed.
#[test]
fn attack_9_opcode_60_ends_no_session_where_it_is_authenticated() {
    let ends_by = |connection| {
        move |rules| {
            let mut lab = Gateway::new(rules);
            let mut victim = lab.patient("P001", 11);
            lab.log_in(1, &mut victim);
            lab.end(connection, &Disconnect { name: "P001", tag: [0; 32] });
            lab.sessions.is_empty()
        }
    };
    assert_eq!(stopped_by(&EACH, Rules::default(), ends_by(2)), ["authenticates end", "ends its own"]);
    assert_eq!(stopped_by(&EACH, Rules::default(), ends_by(1)), ["authenticates end"], "injected on the way");
}

#[test]
fn attack_9_a_forged_disconnect_or_error_is_taken_for_none_by_ours() {
    for suite in SUITES {
        let kind = suite.kind();
        for opcode in [Opcode::Disconnect, Opcode::Error] {
            for body in [&[0][..], &[1; 17], &[]] {
                let mut clinic = Clinic::of(suite, 39);
                let identity = clinic.enrolled(somebody(kind));
                let mut talk = clinic.session(&identity, None);
                let forged = frame::encode(opcode, body);
                // From somebody else's connection.
                let elsewhere = clinic.open(kind);
                assert!(clinic.send(elsewhere, &forged).1);
                assert!(clinic.has_session(&identity.id));
                // Injected, it is damage to the stream, not the end that a person wanted.
                talk.endpoint.handle_bytes(&forged, clinic.now, &mut clinic.rng);
                assert_eq!(talk.fault(), Some(&Fault::PeerRecord(opcode)));
                clinic.send(talk.conn, &forged);
                assert_eq!(clinic.last_refusal(), &Fault::PeerRecord(opcode));
                assert!(!talk.events.iter().any(|event| matches!(event, Event::Disconnected(_))));
            }
        }
    }
}

/// TCP keeps no borders between messages: one read brings two, or half of one.
#[test]
fn attack_10_two_messages_in_one_read_are_both_taken_where_lengths_cut_them() {
    let (first, second) = (message(40, b"evacuate"), message(40, b"all clear"));
    let loses = |reads: Vec<Vec<u8>>| {
        let sent = vec![first.clone(), second.clone()];
        move |rules| {
            let mut stream = Stream::new(rules);
            reads.iter().flat_map(|read| stream.read(read)).collect::<Vec<_>>() != sent
        }
    };
    let together = [first.clone(), second.clone()].concat();
    let (cut, rest) = together.split_at(5);
    assert!(!loses(vec![first.clone(), second.clone()])(Rules::default()), "one by one they come");
    assert_eq!(stopped_by(&EACH, Rules::default(), loses(vec![together.clone()])), ["frames"]);
    assert_eq!(stopped_by(&EACH, Rules::default(), loses(vec![cut.to_vec(), rest.to_vec()])), ["frames"]);
}

#[test]
fn attack_10_ten_broadcasts_in_one_read_reach_our_patient() {
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

/// y is pinned, but p and g come with the message. With g = 1, or with p = y - 1, which makes y the 1, anybody signs
/// anything.
#[test]
fn attack_11_numbers_of_the_peers_choice_sign_without_a_key() {
    let forged = |rules, alter: fn(&mut PublicKey), sign: fn(&PublicKey, BigUint) -> (BigUint, BigUint)| {
        let mut lab = Gateway::new(rules);
        let victim = lab.patient("P001", 11);
        let greeting = lab.greet(1);
        let mut opening = Patient::new(&lab, "P001", 12).open(&greeting).opening;
        opening.key = victim.key.public;
        alter(&mut opening.key);
        opening.signature = sign(&opening.key, number(opening.signed(rules, &greeting.challenge)));
        lab.open(1, &opening).is_some()
    };
    let one = |rules| {
        let neutral = |key: &mut PublicKey| key.g = BigUint::from(1u32);
        // y^rho r^s = 1 for r = y^2.
        forged(rules, neutral, |key, _| {
            let (q, r) = (group().1, &key.y * &key.y % &key.p);
            let s = (&q - &r % &q) * BigUint::from(2u32).modinv(&q).unwrap() % &q;
            (r, s)
        })
    };
    let modulus = |rules| {
        let chosen = |key: &mut PublicKey| (key.p, key.g) = (&key.y - 1u32, BigUint::from(2u32));
        forged(rules, chosen, |key, h| (key.g.clone(), h))
    };
    assert_eq!(stopped_by(&EACH, pinned(), one), ["fixes group", "validates group"]);
    assert_eq!(stopped_by(&EACH, pinned(), modulus), ["fixes group", "validates group"]);
}

/// With g = y, x is 1: every check of the numbers passes, so they have to be constants.
#[test]
fn attack_11_a_generator_of_the_peers_choice_forges_its_key() {
    let trapdoor = |public: &PublicKey| Key {
        x: BigUint::from(1u32),
        public: PublicKey { g: public.y.clone(), ..public.clone() },
    };
    let patient_forged = |rules| {
        let mut lab = Gateway::new(rules);
        let victim = lab.patient("P001", 11);
        let mut impostor = Patient { key: trapdoor(&victim.key.public), ..Patient::new(&lab, "P001", 12) };
        let greeting = lab.greet(1);
        let waiting = impostor.open(&greeting);
        let Some(answer) = lab.open(1, &waiting.opening) else { return false };
        impostor.finish(&waiting, &greeting, &answer) == Some(lab.sessions[&1].1)
    };
    let gateway_forged = |rules| {
        let lab = Gateway::new(rules);
        let mut impostor = Gateway::new(rules);
        impostor.key = trapdoor(&lab.key.public);
        let mut victim = Patient::new(&lab, "P001", 11);
        impostor.enrol("P001", &victim.key.public, Some(&victim.key.sign(possession_of("P001"), &mut rng())));
        let greeting = impostor.greet(1);
        let waiting = victim.open(&greeting);
        let Some(answer) = impostor.open(1, &waiting.opening) else { return false };
        victim.finish(&waiting, &greeting, &answer) == Some(impostor.sessions[&1].1)
    };
    assert_eq!(stopped_by(&EACH, pinned(), patient_forged), ["fixes group"]);
    assert_eq!(stopped_by(&EACH, pinned(), gateway_forged), ["fixes group"]);
}

/// No message of ours has a place for p or g. What a peer sends anyhow changes nothing, and a key of another group is
/// no key.
#[test]
fn attack_11_no_group_of_the_peers_choice_enters_ours() {
    let mut clinic = Clinic::new(48);
    let identity = clinic.enrolled(patient("P001"));
    let hello = clinic.connect(&identity, None).endpoint.poll_transmit().unwrap();
    let (body, extensions) = hello[frame::HEADER_LEN..].split_at(hello.len() - frame::HEADER_LEN - 1);
    assert_eq!(extensions, [0]);
    // One extension of kind 1: p = 23, g = 5.
    let chosen = [body, &[1, 1, 2, 23, 5]].concat();
    let conn = clinic.open(ClientKind::Patient);
    let (answers, _) = clinic.send(conn, &frame::encode(Opcode::Hello, &chosen));
    let share = &answers[0][frame::HEADER_LEN + 35..][..384];
    assert!(BigUint::from_bytes_be(share).bits() > 3_000);

    for y in [params::FFDHE3072, params::P] {
        let bytes = hex::decode(y).unwrap();
        assert!(LoginVerifyingKey::from_bytes(ClientKind::Patient, &bytes).is_err());
    }
    let mut two = vec![0; 384];
    two[383] = 2; // generates ffdhe3072's subgroup, and lies outside ours
    assert!(LoginVerifyingKey::from_bytes(ClientKind::Patient, &two).is_err());
}

/// Enrols the victim's public key under the thief's name, then renames the victim's login on its way.
#[test]
fn a_copied_public_key_takes_over_no_login_where_names_are_bound() {
    let works = |rules| {
        let mut lab = Gateway::new(rules);
        let mut victim = lab.patient("P001", 11);
        let thief = lab.patient("P002", 12);
        let own_signature = thief.key.sign(possession_of("P002"), &mut rng());
        if !lab.enrol("P002", &victim.key.public, Some(&own_signature)) {
            return false;
        }
        let greeting = lab.greet(1);
        let mut opening = victim.open(&greeting).opening;
        opening.name = "P002";
        lab.open(1, &opening).is_some() && lab.sessions[&1].0 == "P002"
    };
    assert_eq!(stopped_by(&EACH, pinned(), works), ["proves secret", "signs names", "proves possession"]);
}

/// Makes a key of the thief's own, whose generator is chosen so that the victim's signature is also one by it: she
/// knows x', and can prove it.
#[test]
fn a_chosen_generator_takes_over_no_login_where_the_group_is_fixed() {
    let works = |rules| {
        let (mut lab, mut rng) = (Gateway::new(rules), rng());
        let mut victim = lab.patient("P001", 11);
        let greeting = lab.greet(1);
        let mut opening = victim.open(&greeting).opening;
        opening.name = "P002";

        let ((p, q, _), x) = (group(), exponent(&mut rng));
        let h = BigUint::from_bytes_be(&opening.signed(rules, &greeting.challenge)) % &q;
        let (r, s) = &opening.signature;
        let g = r.modpow(&(s * (h + &q - &x * r % &q).modinv(&q).unwrap() % &q), &p);
        let key = Key::of(x, p, g);
        assert!(lab.enrol("P002", &key.public, Some(&key.sign(possession_of("P002"), &mut rng))));
        opening.key = key.public;
        lab.open(1, &opening).is_some() && lab.sessions[&1].0 == "P002"
    };
    assert_eq!(stopped_by(&EACH, pinned(), works), ["proves secret", "signs names", "fixes group"]);
}

/// A login of ours is sealed to its two ends; whoever takes it over has another connection's keys.
#[test]
fn a_proof_of_another_takes_over_no_login_of_ours() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 49);
        let thief = clinic.enrolled(match kind {
            ClientKind::Patient => patient("P002"),
            ClientKind::Wearable => wearable(2),
        });
        let victim = clinic.enrolled(somebody(kind));
        let proof_of = |clinic: &mut Clinic, identity: &Arc<ClientIdentity>| {
            let mut talk = clinic.connect(identity, None);
            let mut proof = Vec::new();
            clinic.run(&mut talk, |_, frame| {
                let is_proof = opcode_of(&frame) == Opcode::KeyVerification;
                if is_proof {
                    proof = frame;
                    Vec::new()
                } else {
                    frame
                }
            });
            (talk.conn, proof)
        };
        let (victims, _) = proof_of(&mut clinic, &victim);
        let (_, own) = proof_of(&mut clinic, &thief);
        clinic.send(victims, &own);
        assert_eq!(clinic.last_refusal(), &Fault::DeniedProof);
        assert!(clinic.gateway.in_session().is_empty());
    }
}

/// For y = 1 everybody knows x = 0, which also proves possession.
#[test]
fn a_neutral_key_is_enrolled_only_where_nobody_checks_it() {
    let works = |rules| {
        let (mut lab, (p, _, g)) = (Gateway::new(rules), group());
        let neutral = Key::of(BigUint::ZERO, p, g);
        let possession = neutral.sign(possession_of("P001"), &mut rng());
        let mut anybody = Patient { key: neutral, ..Patient::new(&lab, "P001", 12) };
        if !lab.enrol("P001", &anybody.key.public, Some(&possession)) {
            return false;
        }
        lab.log_in(1, &mut anybody).session == lab.sessions[&1].1
    };
    assert_eq!(stopped_by(&EACH, pinned(), works), ["checks keys"]);

    let mut one = vec![0; 384];
    one[383] = 1;
    assert_eq!(LoginVerifyingKey::from_bytes(ClientKind::Patient, &one).unwrap_err(), Fault::DeniedKey);
    let point = [&[1][..], &[0; 31]].concat();
    assert_eq!(LoginVerifyingKey::from_bytes(ClientKind::Wearable, &point).unwrap_err(), Fault::DeniedKey);
}
