//! An established session: sealed records in both directions, each with its own key, sequence and key updates. Owns
//! the nonces; knows no message and no socket.
//!
//! A record is a frame whose body is ciphertext of the suite's cipher. Additional data: version (1 byte), opcode (1), length
//! field (4, big-endian), session id (16). Nonce: the direction's IV XOR the big-endian sequence number, which is
//! never sent: a record that is lost, repeated or reordered does not open, and that ends the session.

use alloc::vec::Vec;
use core::time::Duration;

use crypto::{
    Aead, AeadKey, Prk, Secret,
    aead::{MAX_NONCE_LEN, TAG_LEN},
    purpose,
};

use crate::{
    VERSION,
    error::Fault,
    frame::{self, Frame, HEADER_LEN},
    id::SessionId,
    opcode::Opcode,
    time::{Monotonic, Now},
};

/// Records under one key; the next one is a KEY_UPDATE. The receiver enforces it too.
pub const MAX_RECORDS_PER_KEY: u64 = 1 << 24;
/// Time under one key, by the sender's clock.
pub const MAX_KEY_AGE: Duration = Duration::from_secs(3_600);
/// Life of a session; then the client resumes with a fresh key exchange.
pub const MAX_SESSION_AGE: Duration = Duration::from_secs(24 * 3_600);

/// Which end of the session this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Gateway,
}

/// The keys that a login or a resumption ends with.
#[derive(Debug)]
pub(crate) struct SessionKeys {
    pub(crate) id: SessionId,
    pub(crate) confirm: Secret<purpose::ConfirmKey>,
    pub(crate) wrap: Secret<purpose::WrapKey>,
    pub(crate) resume: Secret<purpose::ResumeKey>,
    aead: Aead,
    c2g: Secret<purpose::TrafficKey>,
    g2c: Secret<purpose::TrafficKey>,
}

impl SessionKeys {
    /// All keys out of the last pseudo-random key and the hash of everything that was said; `aead` seals the records.
    pub(crate) fn derive(prk: &Prk, transcript: &[u8; 32], aead: Aead) -> Self {
        let id: Secret<purpose::ConfirmKey, 16> = prk.expand("session id", &[transcript]);
        Self {
            id: SessionId::from_bytes(*id.expose()),
            confirm: prk.expand("confirm g", &[transcript]),
            wrap: prk.expand("group wrap", &[transcript]),
            resume: prk.expand("resume", &[transcript]),
            aead,
            c2g: prk.expand("c2g", &[transcript]),
            g2c: prk.expand("g2c", &[transcript]),
        }
    }
}

/// One direction: key, IV and sequence.
#[derive(Debug)]
struct Direction {
    secret: Secret<purpose::TrafficKey>,
    aead: Aead,
    key: AeadKey,
    iv: [u8; MAX_NONCE_LEN],
    sequence: u64,
    since: Monotonic,
}

impl Direction {
    fn new(secret: Secret<purpose::TrafficKey>, aead: Aead, since: Monotonic) -> Self {
        let prk = Prk::from_secret(&secret);
        let key = aead.expand::<purpose::TrafficKey>(&prk, "record key", &[]);
        // A shorter nonce takes the first bytes: what HKDF gives for its own length.
        let iv: Secret<purpose::TrafficKey, MAX_NONCE_LEN> = prk.expand("record iv", &[]);
        Self { secret, aead, key, iv: *iv.expose(), sequence: 0, since }
    }

    fn update(&mut self, now: Monotonic) {
        *self = Self::new(Prk::from_secret(&self.secret).expand("key update", &[]), self.aead, now);
    }

    /// The nonce of the next record, as long as the cipher wants it, written where it can stay.
    fn nonce<'a>(&self, place: &'a mut [u8; MAX_NONCE_LEN]) -> &'a [u8] {
        *place = self.iv;
        let (nonce, _) = place.split_at_mut(self.key.only_nonce().len());
        for (byte, counted) in nonce.iter_mut().rev().zip(self.sequence.to_le_bytes()) {
            *byte ^= counted;
        }
        nonce
    }

    fn is_spent(&self, now: Monotonic) -> bool {
        self.sequence >= MAX_RECORDS_PER_KEY || now.since(self.since) >= MAX_KEY_AGE
    }
}

/// Both directions of an established session.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    send: Direction,
    receive: Direction,
    since: Monotonic,
}

impl Session {
    pub(crate) fn new(keys: &SessionKeys, side: Side, now: Now) -> Self {
        let (send, receive) = match side {
            Side::Client => (&keys.c2g, &keys.g2c),
            Side::Gateway => (&keys.g2c, &keys.c2g),
        };
        Self {
            id: keys.id,
            send: Direction::new(send.duplicate(), keys.aead, now.mono),
            receive: Direction::new(receive.duplicate(), keys.aead, now.mono),
            since: now.mono,
        }
    }

    /// The session's id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// When the session has to end.
    pub(crate) fn expires(&self) -> Monotonic {
        self.since + MAX_SESSION_AGE
    }

    /// The bytes of a record, preceded by a KEY_UPDATE when the key is spent.
    pub(crate) fn seal(&mut self, opcode: Opcode, plaintext: &[u8], now: Now) -> Result<Vec<u8>, Fault> {
        // Before the key moves on: a KEY_UPDATE that is made must be sent.
        if plaintext.len() + TAG_LEN > frame::MAX_BODY {
            return Err(Fault::LocalTooLong);
        }
        let mut bytes = Vec::new();
        if self.send.is_spent(now.mono) {
            self.seal_one(Opcode::KeyUpdate, &[], &mut bytes)?;
            self.send.update(now.mono);
        }
        self.seal_one(opcode, plaintext, &mut bytes)?;
        Ok(bytes)
    }

    fn seal_one(&mut self, opcode: Opcode, plaintext: &[u8], bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let body_len = plaintext.len() + TAG_LEN;
        bytes.extend_from_slice(&frame::begin(opcode, body_len));
        let from = bytes.len();
        bytes.extend_from_slice(plaintext);
        let additional = additional_data(opcode, body_len, self.id);
        let mut place = [0; MAX_NONCE_LEN];
        let nonce = self.send.nonce(&mut place);
        #[cfg(feature = "testkit")]
        crate::testkit::ledger::note(&self.send.secret, nonce, "a session");
        self.send.key.seal_in_place(nonce, &additional, bytes, from).map_err(|_| Fault::LocalSessionSpent)?;
        self.send.sequence += 1;
        Ok(())
    }

    /// The plaintext of a record; `None` for a KEY_UPDATE, which it carries out.
    pub(crate) fn open(&mut self, record: &Frame, now: Now) -> Result<Option<Vec<u8>>, Fault> {
        let is_update = record.opcode == Opcode::KeyUpdate;
        if self.receive.sequence >= MAX_RECORDS_PER_KEY && !is_update {
            return Err(Fault::PeerLimit("a key seals at most 2^24 records"));
        }
        let additional = additional_data(record.opcode, record.body.len(), self.id);
        let plaintext = self
            .receive
            .key
            .open(self.receive.nonce(&mut [0; MAX_NONCE_LEN]), &additional, &record.body)
            .map_err(|_| Fault::PeerRecord(record.opcode))?;
        if is_update {
            if !plaintext.is_empty() {
                return Err(Fault::PeerMalformed(Opcode::KeyUpdate));
            }
            self.receive.update(now.mono);
            return Ok(None);
        }
        self.receive.sequence += 1;
        Ok(Some(plaintext))
    }
}

fn additional_data(opcode: Opcode, body_len: usize, session: SessionId) -> [u8; 1 + HEADER_LEN + 16] {
    let mut data = [0; 1 + HEADER_LEN + 16];
    let parts =
        [&[VERSION, opcode as u8][..], &frame::length_field(body_len).to_be_bytes(), session.as_bytes()];
    for (byte, value) in data.iter_mut().zip(parts.into_iter().flatten()) {
        *byte = *value;
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::FrameReader, time::UnixMillis};

    const START: Now = Now { wall: UnixMillis(0), mono: Monotonic(0) };
    const LATER: Now = Now { wall: UnixMillis(0), mono: Monotonic(3_600_000) };

    fn pair(aead: Aead) -> (Session, Session) {
        let keys = SessionKeys::derive(&Prk::extract(b"", &[b"test"]), &[7; 32], aead);
        (Session::new(&keys, Side::Client, START), Session::new(&keys, Side::Gateway, START))
    }

    const AEADS: &[Aead] = &[
        Aead::Aes256Gcm,
        #[cfg(feature = "ascon")]
        Aead::AsconAead128,
    ];

    fn frames(bytes: &[u8]) -> Vec<Frame> {
        let mut reader = FrameReader::new(frame::MAX_BODY);
        reader.push(bytes);
        core::iter::from_fn(|| reader.next_frame().unwrap()).collect()
    }

    #[test]
    fn records_open_once_and_in_order() {
        for aead in AEADS.iter().copied() {
            let (mut client, mut gateway) = pair(aead);
            let first = &frames(&client.seal(Opcode::Vitals, b"one", START).unwrap())[0];
            let second = &frames(&client.seal(Opcode::Vitals, b"two", START).unwrap())[0];
            assert_eq!(gateway.open(second, START), Err(Fault::PeerRecord(Opcode::Vitals)));
            assert_eq!(gateway.open(first, START).unwrap().unwrap(), b"one");
            assert_eq!(gateway.open(first, START), Err(Fault::PeerRecord(Opcode::Vitals)));
            assert_eq!(gateway.open(second, START).unwrap().unwrap(), b"two");
        }
    }

    #[test]
    fn a_record_is_bound_to_its_opcode_direction_and_session() {
        for aead in AEADS.iter().copied() {
            let (mut client, mut gateway) = pair(aead);
            let record = frames(&client.seal(Opcode::Vitals, b"one", START).unwrap()).remove(0);
            let renamed = Frame { opcode: Opcode::Heartbeat, ..record.clone() };
            assert!(gateway.open(&renamed, START).is_err());
            assert!(client.open(&record, START).is_err(), "reflected");
            let other = SessionKeys::derive(&Prk::extract(b"", &[b"other"]), &[7; 32], aead);
            assert!(Session::new(&other, Side::Gateway, START).open(&record, START).is_err());
        }
    }

    #[test]
    fn an_hour_old_key_is_updated_before_the_next_record() {
        for aead in AEADS.iter().copied() {
            let (mut client, mut gateway) = pair(aead);
            let records = frames(&client.seal(Opcode::Vitals, b"late", LATER).unwrap());
            assert_eq!(
                records.iter().map(|r| r.opcode).collect::<Vec<_>>(),
                [Opcode::KeyUpdate, Opcode::Vitals]
            );
            assert_eq!(gateway.open(&records[0], LATER).unwrap(), None);
            assert_eq!(gateway.open(&records[1], LATER).unwrap().unwrap(), b"late");
        }
    }

    #[test]
    fn the_record_counter_is_enforced_on_both_sides() {
        for aead in AEADS.iter().copied() {
            let (mut client, mut gateway) = pair(aead);
            client.send.sequence = MAX_RECORDS_PER_KEY;
            gateway.receive.sequence = MAX_RECORDS_PER_KEY;
            let mut overdue = Vec::new();
            client.seal_one(Opcode::Vitals, b"x", &mut overdue).unwrap();
            assert!(matches!(gateway.open(&frames(&overdue)[0], START), Err(Fault::PeerLimit(_))));
            client.send.sequence = MAX_RECORDS_PER_KEY;
            let records = frames(&client.seal(Opcode::Vitals, b"x", START).unwrap());
            assert_eq!(records[0].opcode, Opcode::KeyUpdate);
            for record in &records {
                gateway.open(record, START).unwrap();
            }
        }
    }
}
