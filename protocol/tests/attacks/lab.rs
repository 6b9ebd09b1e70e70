//! The laboratory protocol that Vitalward grew from, as public implementations have it, with the defences that it lacks
//! as switches. The group is ours, the ciphers are ours: what breaks here is the protocol.
//!
//! ```text
//! patient                                            gateway
//!                                        <-  greeting: public key (p, g, y)
//!   KEY_VERIFICATION (10): id, public key, time, nonce, E(gateway, K), signature  ->
//!                                        <-  KEY_VERIFICATION (10): time, nonce, E(patient, K), signature
//!   session key = H(K, both times, both nonces, id)
//!                                        <-  GROUP_KEY (30), ENC_MSG (40)
//!   DISCONNECT (60)                      ->
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crypto::{AeadKey, Secret, elgamal::params, identity, purpose, sha256};
use num_bigint::BigUint;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use super::Switch;

/// The defences, each of which the lab does without.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// The gateway answers with a hash of the session's secret, not with the secret.
    pub(crate) confirms: bool,
    /// The session key takes in a Diffie-Hellman secret with a fresh share of each side.
    pub(crate) fresh_shares: bool,
    /// The patient's message carries a MAC of its id under the secret.
    pub(crate) proves_secret: bool,
    /// Keys are the enrolled ones, found by id; those in messages only name a group.
    pub(crate) pins_keys: bool,
    /// The id and the public key are signed.
    pub(crate) signs_names: bool,
    /// A nonce of the gateway, good for one login, is signed.
    pub(crate) challenges: bool,
    /// The gateway remembers nonces.
    pub(crate) remembers: bool,
    /// p and g are constants.
    pub(crate) fixes_group: bool,
    /// p and g of a message are taken only if p is long and g has order q.
    pub(crate) validates_group: bool,
    /// A key is enrolled only if y is of order q.
    pub(crate) checks_keys: bool,
    /// A key is enrolled only with a signature by it.
    pub(crate) proves_possession: bool,
    /// The group key changes when somebody joins or leaves.
    pub(crate) changes_group_key: bool,
    /// The gateway signs what it broadcasts.
    pub(crate) signs_broadcasts: bool,
    /// DISCONNECT carries a MAC under the session key.
    pub(crate) authenticates_end: bool,
    /// DISCONNECT ends the session of the connection it came by, not the one it names.
    pub(crate) ends_its_own: bool,
    /// Messages are cut out of the stream by their lengths, not taken one per read.
    pub(crate) frames: bool,
}

pub(crate) const EACH: [Switch<Rules>; 16] = [
    ("confirms", |rules| rules.confirms = true),
    ("fresh shares", |rules| rules.fresh_shares = true),
    ("proves secret", |rules| rules.proves_secret = true),
    ("pins keys", |rules| rules.pins_keys = true),
    ("signs names", |rules| rules.signs_names = true),
    ("challenges", |rules| rules.challenges = true),
    ("remembers", |rules| rules.remembers = true),
    ("fixes group", |rules| rules.fixes_group = true),
    ("validates group", |rules| rules.validates_group = true),
    ("checks keys", |rules| rules.checks_keys = true),
    ("proves possession", |rules| rules.proves_possession = true),
    ("changes group key", |rules| rules.changes_group_key = true),
    ("signs broadcasts", |rules| rules.signs_broadcasts = true),
    ("authenticates end", |rules| rules.authenticates_end = true),
    ("ends its own", |rules| rules.ends_its_own = true),
    ("frames", |rules| rules.frames = true),
];

/// How far the clocks may differ, in seconds: all that the lab has against replays.
const TOLERANCE: u64 = 30;
pub(crate) const NOW: u64 = 1_790_000_000;

pub(crate) type Name = &'static str;
pub(crate) type Connection = u32;
pub(crate) type Hash = [u8; 32];

/// ElGamal, textbook: the key brings its group along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    pub(crate) p: BigUint,
    pub(crate) g: BigUint,
    pub(crate) y: BigUint,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) x: BigUint,
    pub(crate) public: PublicKey,
}

pub(crate) type Signature = (BigUint, BigUint);
pub(crate) type Ciphertext = (BigUint, BigUint);

pub(crate) fn group() -> (BigUint, BigUint, BigUint) {
    let [p, q, g] = [params::P, params::Q, params::G].map(|hex| BigUint::parse_bytes(hex.as_bytes(), 16));
    (p.unwrap(), q.unwrap(), g.unwrap())
}

pub(crate) fn exponent(rng: &mut ChaCha20Rng) -> BigUint {
    let mut bytes = [0; 31];
    rng.fill_bytes(&mut bytes);
    BigUint::from_bytes_be(&bytes)
}

pub(crate) fn number(hash: Hash) -> BigUint {
    BigUint::from_bytes_be(&hash) % group().1
}

pub(crate) fn hash(purpose: &str, numbers: &[&BigUint]) -> Hash {
    let bytes: Vec<Vec<u8>> = numbers.iter().map(|number| number.to_bytes_be()).collect();
    sha256(purpose, &bytes.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

impl Key {
    pub(crate) fn generate(rng: &mut ChaCha20Rng) -> Self {
        let (p, _, g) = group();
        Self::of(exponent(rng), p, g)
    }

    pub(crate) fn of(x: BigUint, p: BigUint, g: BigUint) -> Self {
        let y = g.modpow(&x, &p);
        Self { x, public: PublicKey { p, g, y } }
    }

    pub(crate) fn sign(&self, message: Hash, rng: &mut ChaCha20Rng) -> Signature {
        let (k, q) = (exponent(rng), group().1);
        let r = self.public.g.modpow(&k, &self.public.p);
        let s = k.modinv(&q).unwrap() * (number(message) + &q - &self.x * &r % &q) % &q;
        (r, s)
    }

    pub(crate) fn decrypt(&self, (a, b): &Ciphertext) -> BigUint {
        let (p, q) = (&self.public.p, group().1);
        b * a.modpow(&(q - &self.x), p) % p
    }
}

impl PublicKey {
    pub(crate) fn verifies(&self, message: Hash, (r, s): &Signature) -> bool {
        let Self { p, g, y } = self;
        g.modpow(&number(message), p) == y.modpow(&(r % group().1), p) * r.modpow(s, p) % p
    }

    pub(crate) fn encrypt(&self, secret: &BigUint, rng: &mut ChaCha20Rng) -> Ciphertext {
        let k = exponent(rng);
        (self.g.modpow(&k, &self.p), secret * self.y.modpow(&k, &self.p) % &self.p)
    }

    /// The key that a message brings, as these rules read it.
    fn judged(&self, rules: Rules, pinned: Option<&Self>) -> Option<Self> {
        let mut key = self.clone();
        if rules.pins_keys {
            key.y = pinned?.y.clone();
        }
        let (p, q, g) = group();
        if rules.fixes_group {
            (key.p, key.g) = (p, g);
        }
        let one = BigUint::from(1u32);
        let valid = || key.p.bits() == 3_072 && key.g > one && key.g.modpow(&q, &key.p) == one;
        (!rules.validates_group || valid()).then_some(key)
    }

    fn id(&self) -> Hash {
        hash("key", &[&self.p, &self.g, &self.y])
    }
}

/// What the gateway says to whoever connects.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    pub(crate) key: PublicKey,
    pub(crate) challenge: Hash,
    pub(crate) share: BigUint,
}

/// KEY_VERIFICATION (10) of a patient.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) name: Name,
    pub(crate) key: PublicKey,
    pub(crate) time: u64,
    pub(crate) nonce: Hash,
    pub(crate) share: BigUint,
    pub(crate) secret: Ciphertext,
    pub(crate) signature: Signature,
    pub(crate) proof: Hash,
}

/// KEY_VERIFICATION (10) of the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) time: u64,
    pub(crate) nonce: Hash,
    pub(crate) secret: Result<Ciphertext, Hash>,
    pub(crate) signature: Signature,
}

impl Opening {
    pub(crate) fn signed(&self, rules: Rules, challenge: &Hash) -> Hash {
        let names = sha256("names", &[self.name.as_bytes(), &self.key.id()]);
        let secret = hash("secret", &[&self.secret.0, &self.secret.1]);
        let mut parts: Vec<&[u8]> = vec![&self.nonce, &secret];
        parts.extend(rules.signs_names.then_some(&names[..]));
        parts.extend(rules.challenges.then_some(&challenge[..]));
        sha256("opening", &parts)
    }

    pub(crate) fn session(&self, answer: &Answer, secret: &BigUint, shared: Option<&BigUint>) -> Hash {
        let secret = hash("secrets", &[secret, shared.unwrap_or(&BigUint::ZERO)]);
        let times = [self.time.to_be_bytes(), answer.time.to_be_bytes()].concat();
        sha256("session", &[&secret, &times, &self.nonce, &answer.nonce, self.name.as_bytes()])
    }
}

pub(crate) fn proof(secret: &BigUint, name: Name) -> Hash {
    crypto::public_mac(&secret.to_bytes_be(), "proof", &[name.as_bytes()])
}

/// A patient's program, or an attacker who uses one.
#[derive(Debug)]
pub(crate) struct Patient {
    pub(crate) rules: Rules,
    pub(crate) name: Name,
    pub(crate) key: Key,
    pub(crate) gateway: PublicKey,
    pub(crate) rng: ChaCha20Rng,
}

/// What a patient keeps between its opening and the answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) opening: Opening,
    secret: BigUint,
    shared: Option<BigUint>,
}

impl Patient {
    pub(crate) fn new(lab: &Gateway, name: Name, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = Key::generate(&mut rng);
        Self { rules: lab.rules, name, key, gateway: lab.key.public.clone(), rng }
    }

    pub(crate) fn open(&mut self, greeting: &Greeting) -> Waiting {
        let rng = &mut self.rng;
        let gateway = greeting.key.judged(self.rules, Some(&self.gateway)).unwrap();
        let (p, _, g) = group();
        let e = exponent(rng);
        let secret = g.modpow(&exponent(rng), &p);
        let mut opening = Opening {
            name: self.name,
            key: self.key.public.clone(),
            time: NOW,
            nonce: nonce(rng),
            share: g.modpow(&e, &p),
            secret: gateway.encrypt(&secret, rng),
            signature: Signature::default(),
            proof: proof(&secret, self.name),
        };
        opening.signature = self.key.sign(opening.signed(self.rules, &greeting.challenge), rng);
        let shared = self.rules.fresh_shares.then(|| greeting.share.modpow(&e, &p));
        Waiting { opening, secret, shared }
    }

    /// The session key, if the gateway of the greeting answered.
    pub(crate) fn finish(&self, waiting: &Waiting, greeting: &Greeting, answer: &Answer) -> Option<Hash> {
        let gateway = greeting.key.judged(self.rules, Some(&self.gateway))?;
        let confirmed = match &answer.secret {
            Ok(secret) => self.key.decrypt(secret) == waiting.secret,
            Err(confirmation) => *confirmation == hash("confirm", &[&waiting.secret]),
        };
        let signed = gateway.verifies(sha256("answer", &[&answer.nonce]), &answer.signature);
        let session = waiting.opening.session(answer, &waiting.secret, waiting.shared.as_ref());
        (confirmed && signed).then_some(session)
    }
}

/// The doctor's program.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) rules: Rules,
    pub(crate) key: Key,
    pub(crate) sessions: BTreeMap<Connection, (Name, Hash)>,
    pub(crate) group_key: Hash,
    enrolled: BTreeMap<Name, PublicKey>,
    greeted: BTreeMap<Connection, (Hash, BigUint)>,
    seen: BTreeSet<Hash>,
    alerts: identity::SigningKey,
    rng: ChaCha20Rng,
}

impl Gateway {
    pub(crate) fn new(rules: Rules) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        Self {
            rules,
            key: Key::generate(&mut rng),
            sessions: BTreeMap::new(),
            group_key: nonce(&mut rng),
            enrolled: BTreeMap::new(),
            greeted: BTreeMap::new(),
            seen: BTreeSet::new(),
            alerts: identity::SigningKey::generate(&mut rng),
            rng,
        }
    }

    /// Enrols a key under a name; `possession` is a signature over the name.
    pub(crate) fn enrol(&mut self, name: Name, key: &PublicKey, possession: Option<&Signature>) -> bool {
        let (p, q, _) = group();
        let one = BigUint::from(1u32);
        let is_key = || key.y > one && key.y.modpow(&q, &p) == one;
        let is_theirs = || possession.is_some_and(|by| key.verifies(possession_of(name), by));
        let taken = (!self.rules.checks_keys || is_key()) && (!self.rules.proves_possession || is_theirs());
        if taken {
            self.enrolled.insert(name, key.clone());
        }
        taken
    }

    /// A patient who is enrolled as everybody should be.
    pub(crate) fn patient(&mut self, name: Name, seed: u64) -> Patient {
        let mut patient = Patient::new(self, name, seed);
        let possession = patient.key.sign(possession_of(name), &mut patient.rng);
        assert!(self.enrol(name, &patient.key.public, Some(&possession)));
        patient
    }

    pub(crate) fn greet(&mut self, connection: Connection) -> Greeting {
        let (p, _, g) = group();
        let (challenge, e) = (nonce(&mut self.rng), exponent(&mut self.rng));
        let share = g.modpow(&e, &p);
        self.greeted.insert(connection, (challenge, e));
        Greeting { key: self.key.public.clone(), challenge, share }
    }

    /// Takes an opcode-10 message; a session begins with the answer.
    pub(crate) fn open(&mut self, connection: Connection, opening: &Opening) -> Option<Answer> {
        let (challenge, e) = self.greeted.get(&connection)?.clone();
        let key = opening.key.judged(self.rules, self.enrolled.get(opening.name))?;
        let secret = self.key.decrypt(&opening.secret);
        let believed = NOW.abs_diff(opening.time) <= TOLERANCE
            && key.verifies(opening.signed(self.rules, &challenge), &opening.signature)
            && (!self.rules.remembers || self.seen.insert(opening.nonce))
            && (!self.rules.proves_secret || opening.proof == proof(&secret, opening.name));
        if !believed {
            return None;
        }
        let shared = self.rules.fresh_shares.then(|| opening.share.modpow(&e, &key.p));
        let nonce = nonce(&mut self.rng);
        let answer = Answer {
            time: NOW,
            nonce,
            secret: if self.rules.confirms {
                Err(hash("confirm", &[&secret]))
            } else {
                Ok(key.encrypt(&secret, &mut self.rng))
            },
            signature: self.key.sign(sha256("answer", &[&nonce]), &mut self.rng),
        };
        let session = opening.session(&answer, &secret, shared.as_ref());
        if self.rules.challenges {
            self.greeted.remove(&connection);
        }
        self.sessions.insert(connection, (opening.name, session));
        self.change_group_key();
        Some(answer)
    }

    /// A whole login, and what a listener hears of it.
    pub(crate) fn log_in(&mut self, connection: Connection, patient: &mut Patient) -> Recording {
        let greeting = self.greet(connection);
        let waiting = patient.open(&greeting);
        let answer = self.open(connection, &waiting.opening).unwrap();
        let session = patient.finish(&waiting, &greeting, &answer).unwrap();
        assert_eq!(self.sessions[&connection], (patient.name, session));
        Recording { opening: waiting.opening, answer, session }
    }

    /// Takes a DISCONNECT from a connection.
    pub(crate) fn end(&mut self, connection: Connection, message: &Disconnect) {
        let meant = if self.rules.ends_its_own {
            Some(connection)
        } else {
            self.sessions
                .iter()
                .find(|(_, (name, _))| *name == message.name)
                .map(|(connection, _)| *connection)
        };
        let Some((_, session)) = meant.and_then(|meant| self.sessions.get(&meant)) else { return };
        if !self.rules.authenticates_end || message.tag == end_tag(session) {
            self.sessions.retain(|connection, _| Some(*connection) != meant);
            self.change_group_key();
        }
    }

    fn change_group_key(&mut self) {
        if self.rules.changes_group_key {
            self.group_key = nonce(&mut self.rng);
        }
    }

    /// What every member has besides the group key.
    pub(crate) fn alert_key(&self) -> identity::VerifyingKey {
        self.alerts.verifying_key()
    }

    /// ENC_MSG (40), sealed for all members.
    pub(crate) fn broadcast(&self, text: &str) -> Vec<u8> {
        seal_broadcast(self.group_key, text, self.alerts.sign("alert", &[text.as_bytes()]).to_bytes())
    }
}

/// A login as a listener has it, and its session key, which a listener has not.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) opening: Opening,
    pub(crate) answer: Answer,
    pub(crate) session: Hash,
}

/// DISCONNECT (60).
#[derive(Debug, Clone)]
pub(crate) struct Disconnect {
    pub(crate) name: Name,
    pub(crate) tag: Hash,
}

pub(crate) fn end_tag(session: &Hash) -> Hash {
    crypto::public_mac(session, "end", &[])
}

pub(crate) fn possession_of(name: Name) -> Hash {
    sha256("possession", &[name.as_bytes()])
}

pub(crate) fn nonce(rng: &mut ChaCha20Rng) -> Hash {
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    nonce
}

pub(crate) fn seal_broadcast(group_key: Hash, text: &str, signature: [u8; 64]) -> Vec<u8> {
    let said = [&signature[..], text.as_bytes()].concat();
    AeadKey::new(&Secret::<purpose::GroupKey>::new(group_key)).seal(&[0; 12], b"", &said).unwrap()
}

/// What a holder of this group key shows its person.
pub(crate) fn read_broadcast(
    rules: Rules,
    group_key: Hash,
    gateway: &identity::VerifyingKey,
    sealed: &[u8],
) -> Option<String> {
    let key = AeadKey::new(&Secret::<purpose::GroupKey>::new(group_key));
    let said = key.open(&[0; 12], b"", sealed).ok()?;
    let (signature, text) = said.split_first_chunk::<64>()?;
    let signature = identity::Signature::from_bytes(signature).unwrap();
    let signed = gateway.verify("alert", &[text], &signature).is_ok();
    (signed || !rules.signs_broadcasts).then(|| String::from_utf8(text.to_vec()).unwrap())
}

/// A patient's end of the stream: opcode, length, body.
#[derive(Debug)]
pub(crate) struct Stream {
    rules: Rules,
    buffer: Vec<u8>,
}

pub(crate) fn message(opcode: u8, body: &[u8]) -> Vec<u8> {
    [&[opcode, u8::try_from(body.len()).unwrap()], body].concat()
}

impl Stream {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, buffer: Vec::new() }
    }

    /// The messages that a read brings.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.buffer.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while let [opcode, length, rest @ ..] = self.buffer.as_slice()
            && let Some((body, rest)) = rest.split_at_checked(usize::from(*length))
        {
            messages.push(message(*opcode, body));
            self.buffer = rest.to_vec();
            if !self.rules.frames {
                break;
            }
        }
        if !self.rules.frames {
            self.buffer.clear();
        }
        messages
    }
}
