//! The records of a session, with the defences of ours as switches; and ours.

use crypto::{AeadKey, Secret, purpose::TrafficKey, sha256};
use vitalward_protocol::{
    endpoint::{SILENCE_LIMIT, client::Event},
    error::Fault,
    message::FromClient,
    opcode::Opcode,
};

use super::{Switch, common::*, stopped_by};

#[derive(Clone, Copy, Default)]
struct Rules {
    /// Each direction has its own key.
    key_per_direction: bool,
    /// The receiver counts, and takes the next record only; else the record says its number.
    counts: bool,
    /// A session ends by a record that says so, not with its connection.
    says_goodbye: bool,
}

const EACH: [Switch<Rules>; 3] = [
    ("key per direction", |rules| rules.key_per_direction = true),
    ("counts", |rules| rules.counts = true),
    ("says goodbye", |rules| rules.says_goodbye = true),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Gateway,
}

/// One end of a session.
struct End {
    rules: Rules,
    side: Side,
    sent: u8,
    received: u8,
    ended: bool,
}

const GOODBYE: &[u8] = b"goodbye";

impl End {
    const fn new(rules: Rules, side: Side) -> Self {
        Self { rules, side, sent: 0, received: 0, ended: false }
    }

    fn key(&self, sender: Side) -> AeadKey {
        let direction = u8::from(self.rules.key_per_direction && sender == Side::Gateway);
        AeadKey::new(&Secret::<TrafficKey>::new(sha256("direction", &[&[direction]])))
    }

    fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let number = self.sent;
        self.sent += 1;
        [vec![number], self.key(self.side).seal(&[number; 12], b"", text).unwrap()].concat()
    }

    fn open(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        let peer = if self.side == Side::Client { Side::Gateway } else { Side::Client };
        let number = if self.rules.counts { self.received } else { record[0] };
        let text = self.key(peer).open(&[number; 12], b"", &record[1..]).ok()?;
        self.received += 1;
        self.ended |= text == GOODBYE;
        Some(text)
    }

    fn connection_lost(&mut self) {
        self.ended |= !self.rules.says_goodbye;
    }
}

fn ends(rules: Rules) -> (End, End) {
    (End::new(rules, Side::Client), End::new(rules, Side::Gateway))
}

#[test]
fn the_outline_of_a_session_works_with_all_of_its_defences() {
    let rules = Rules { key_per_direction: true, counts: true, says_goodbye: true };
    let (mut client, mut gateway) = ends(rules);
    for text in [b"one".as_slice(), b"two", GOODBYE] {
        let record = client.seal(text);
        assert_eq!(gateway.open(&record).as_deref(), Some(text));
        let record = gateway.seal(text);
        assert_eq!(client.open(&record).as_deref(), Some(text));
    }
    assert!(client.ended && gateway.ended);
}

#[test]
fn a_reflected_record_is_opened_where_both_directions_have_one_key() {
    let works = |rules| {
        let (mut client, _) = ends(rules);
        let own = client.seal(b"72 bpm");
        client.open(&own).is_some()
    };
    assert_eq!(stopped_by(&EACH, Rules::default(), works), ["key per direction"]);
}

#[test]
fn a_repeated_or_missing_record_is_noticed_where_the_receiver_counts() {
    let repeated = |rules| {
        let (mut client, mut gateway) = ends(rules);
        let record = client.seal(b"72 bpm");
        gateway.open(&record).is_some() && gateway.open(&record).is_some()
    };
    let missing = |rules| {
        let (mut client, mut gateway) = ends(rules);
        client.seal(b"30 bpm");
        gateway.open(&client.seal(b"72 bpm")).is_some()
    };
    assert_eq!(stopped_by(&EACH, Rules::default(), repeated), ["counts"]);
    assert_eq!(stopped_by(&EACH, Rules::default(), missing), ["counts"]);
}

/// Cutting the connection looks like an end that a person wanted, and raises no alarm.
#[test]
fn a_cut_connection_is_a_farewell_only_where_a_farewell_is_no_record() {
    let works = |rules| {
        let (_, mut gateway) = ends(rules);
        gateway.connection_lost();
        gateway.ended
    };
    assert_eq!(stopped_by(&EACH, Rules::default(), works), ["says goodbye"]);
}

#[test]
fn a_reflected_repeated_or_missing_record_ends_our_session() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 55);
        let identity = clinic.enrolled(somebody(kind));
        let heartbeat = |clinic: &Clinic, talk: &mut Talk| {
            talk.endpoint.say(&FromClient::Heartbeat, clinic.now).unwrap();
            talk.endpoint.poll_transmit().unwrap()
        };
        let refused = Fault::PeerRecord(Opcode::Heartbeat);

        // Reflected at the moment when both directions have the same number, so that only the keys tell them apart.
        let (mut talk, said) = clinic.recorded(&identity, None);
        let records =
            said.iter().filter(|(to, frame)| *to == To::Client && opcode_of(frame) != Opcode::HelloReply);
        for _ in records {
            heartbeat(&clinic, &mut talk);
        }
        let own = heartbeat(&clinic, &mut talk);
        talk.endpoint.handle_bytes(&own, clinic.now, &mut clinic.rng);
        assert_eq!(talk.fault(), Some(&refused));

        let mut talk = clinic.session(&identity, None);
        let record = heartbeat(&clinic, &mut talk);
        assert!(!clinic.send(talk.conn, &record).1);
        assert!(clinic.send(talk.conn, &record).1);
        assert_eq!(clinic.last_refusal(), &refused);

        let mut talk = clinic.session(&identity, None);
        heartbeat(&clinic, &mut talk);
        let second = heartbeat(&clinic, &mut talk);
        let before = clinic.gateway.store.refusals.len();
        assert!(clinic.send(talk.conn, &second).1);
        assert_eq!(clinic.gateway.store.refusals[before..], [refused]);
        assert!(!clinic.has_session(&identity.id));
    }
}

#[test]
fn a_cut_connection_is_no_farewell_of_ours() {
    for suite in SUITES {
        let kind = suite.kind();
        let mut clinic = Clinic::of(suite, 56);
        let identity = clinic.enrolled(somebody(kind));
        let mut talk = clinic.session(&identity, None);
        clinic.pass(SILENCE_LIMIT);
        talk.endpoint.handle_timeout(clinic.now);
        assert_eq!(talk.fault(), Some(&Fault::PeerSilent(SILENCE_LIMIT)));
        assert!(!talk.events.iter().any(|event| matches!(event, Event::Disconnected(_))));
        let now = clinic.now;
        clinic.gateway.handle_timeout(now, &mut clinic.rng.clone());
        assert_eq!(clinic.last_refusal(), &Fault::PeerSilent(SILENCE_LIMIT));
    }
}
