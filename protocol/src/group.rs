//! The group key: who may read a broadcast, epoch by epoch. [`GroupOwner`] lives in the gateway's ward and is the only
//! one who changes membership or seals; [`GroupMember`] lives in each patient's client.
//!
//! Epoch = (generation, step). **Join**: every member ratchets one step forward by itself, only the newcomer gets a
//! frame; it cannot read what was sealed before. **Leave**: a fresh random key under the next generation, wrapped for
//! each who stays; who left cannot read what is sealed after. A removal is applied before the next seal, always, so no
//! alert is ever sealed under a key that a removed member holds. Keys are never stored: each start of a gateway draws a
//! new generation.

use alloc::{collections::BTreeMap, vec::Vec};
use core::{fmt, time::Duration};

use crypto::{AeadKey, Prk, Secret, purpose};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    alert::Alert,
    codec,
    error::Fault,
    frame,
    id::{GatewayId, PatientId, SessionId},
    opcode::Opcode,
    time::Monotonic,
};

/// Ratchet steps in one generation.
pub const MAX_STEPS: u32 = 65_536;
/// Life of a generation.
pub const MAX_GENERATION_AGE: Duration = Duration::from_secs(24 * 3_600);

/// The time of a group key: a generation, and ratchet steps within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Grows with every fresh key.
    pub generation: u64,
    /// Grows with every join.
    pub step: u32,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation, self.step)
    }
}

impl Epoch {
    fn wrap_nonce(self) -> [u8; 12] {
        let mut nonce = [0; 12];
        let counted = self.generation.to_be_bytes().into_iter().chain(self.step.to_be_bytes());
        nonce.iter_mut().zip(counted).for_each(|(byte, value)| *byte = value);
        nonce
    }
}

/// A group key on its way to one member: body of GROUP_KEY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// The epoch that it opens.
    pub epoch: Epoch,
    pub(crate) wrapped: Vec<u8>,
}

/// A wrapped key and the session that it is for.
#[derive(Debug, Clone)]
pub struct Rekey {
    /// The member.
    pub patient: PatientId,
    /// Its session.
    pub session: SessionId,
    /// To be sent there as GROUP_KEY, before any broadcast of this epoch.
    pub key: WrappedKey,
}

/// A broadcast, sealed once for all members.
#[derive(Debug, Clone)]
pub struct Broadcast {
    /// Keys to be delivered first; empty unless membership shrank since the last seal.
    pub rekeys: Vec<Rekey>,
    /// The whole ENC_MSG frame, the same bytes for every member.
    pub frame: Vec<u8>,
    /// Its epoch.
    pub epoch: Epoch,
    /// The members at the moment of sealing.
    pub members: Vec<(PatientId, SessionId)>,
}

/// Header of ENC_MSG, in clear before the ciphertext.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Header {
    epoch: Epoch,
    counter: u32,
}

/// A generation's key at one step.
#[derive(Debug)]
struct EpochKey {
    epoch: Epoch,
    key: Secret<purpose::GroupKey>,
}

impl EpochKey {
    fn step(&mut self) {
        self.epoch.step += 1;
        let Epoch { generation, step } = self.epoch;
        let context: [&[u8]; 2] = [&generation.to_be_bytes(), &step.to_be_bytes()];
        self.key = Prk::from_secret(&self.key).expand("group step", &context);
    }

    fn aead(&self) -> AeadKey {
        AeadKey::new::<purpose::GroupKey>(&Prk::from_secret(&self.key).expand("group aead", &[]))
    }
}

#[derive(Debug)]
struct Member {
    session: SessionId,
    wrap: Secret<purpose::WrapKey>,
}

/// The gateway's side: one owner of membership and key.
#[derive(Debug)]
pub struct GroupOwner {
    gateway: GatewayId,
    current: EpochKey,
    counter: u32,
    since: Monotonic,
    members: BTreeMap<PatientId, Member>,
    removal_pending: bool,
}

impl GroupOwner {
    /// An empty group. `generation` must be above that of any earlier start (a wall-clock time in milliseconds is).
    pub fn new(
        gateway: GatewayId,
        generation: u64,
        now: Monotonic,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let current = EpochKey { epoch: Epoch { generation, step: 0 }, key: Secret::generate(rng) };
        Self { gateway, current, counter: 0, since: now, members: BTreeMap::new(), removal_pending: false }
    }

    /// The epoch in force.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.current.epoch
    }

    /// The members, in the order of their ids.
    pub fn members(&self) -> impl Iterator<Item = (&PatientId, SessionId)> {
        self.members.iter().map(|(patient, member)| (patient, member.session))
    }

    /// Takes a member in, in place of an earlier session of the same patient. The newcomer's key is returned; the
    /// others ratchet by themselves, and so could the earlier session: if it was another computer's, [`Self::remove`]
    /// it first.
    pub fn join(
        &mut self,
        patient: &PatientId,
        session: SessionId,
        wrap: Secret<purpose::WrapKey>,
        now: Monotonic,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Vec<Rekey> {
        self.members.insert(patient.clone(), Member { session, wrap });
        if self.is_due(now) {
            return self.rekey(now, rng);
        }
        self.current.step();
        self.counter = 0;
        self.members.get(patient).map(|member| self.wrap_for(patient, member)).into_iter().collect()
    }

    /// Drops a member if that session is its current one. The key changes before anything else is sealed.
    pub fn remove(&mut self, patient: &PatientId, session: SessionId) -> bool {
        let is_member = self.members.get(patient).is_some_and(|member| member.session == session);
        if is_member {
            self.members.remove(patient);
            self.removal_pending = true;
        }
        is_member
    }

    /// Whether a fresh key is due: somebody left, or the generation has lived its time.
    #[must_use]
    pub fn is_due(&self, now: Monotonic) -> bool {
        self.removal_pending
            || self.current.epoch.step >= MAX_STEPS - 1
            || now.since(self.since) >= MAX_GENERATION_AGE
    }

    /// A fresh key for all who are members now.
    pub fn rekey(&mut self, now: Monotonic, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<Rekey> {
        let generation = self.current.epoch.generation + 1;
        self.current = EpochKey { epoch: Epoch { generation, step: 0 }, key: Secret::generate(rng) };
        self.counter = 0;
        self.since = now;
        self.removal_pending = false;
        self.members.iter().map(|(patient, member)| self.wrap_for(patient, member)).collect()
    }

    fn wrap_for(&self, patient: &PatientId, member: &Member) -> Rekey {
        let EpochKey { epoch, key } = &self.current;
        #[cfg(feature = "testkit")]
        crate::testkit::ledger::note(&member.wrap, &epoch.wrap_nonce(), "a wrapped key");
        // The wrapping key belongs to one session and an epoch is wrapped once for it, so no nonce repeats.
        let wrapped = AeadKey::new(&member.wrap)
            .seal(&epoch.wrap_nonce(), self.gateway.as_bytes(), key.expose())
            .unwrap_or_default();
        Rekey {
            patient: patient.clone(),
            session: member.session,
            key: WrappedKey { epoch: *epoch, wrapped },
        }
    }

    /// Seals an alert once for all members, after applying every pending removal.
    ///
    /// # Errors
    /// [`Fault::LocalSessionSpent`] if the cipher refuses, which no reachable length makes it do.
    pub fn seal(
        &mut self,
        alert: &Alert,
        now: Monotonic,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Broadcast, Fault> {
        let spent = self.is_due(now) || self.counter == u32::MAX;
        let rekeys = if spent { self.rekey(now, rng) } else { Vec::new() };
        let epoch = self.current.epoch;
        let header = Header { epoch, counter: self.counter };
        self.counter += 1;
        #[cfg(feature = "testkit")]
        crate::testkit::ledger::note(&self.current.key, &nonce(header), "a broadcast");
        let sealed = self
            .current
            .aead()
            .seal(&nonce(header), &additional_data(self.gateway, header), &alert.encode())
            .map_err(|_| Fault::LocalSessionSpent)?;
        let mut body = codec::encode(&header);
        body.extend_from_slice(&sealed);
        let members = self.members().map(|(patient, session)| (patient.clone(), session)).collect();
        Ok(Broadcast { rekeys, frame: frame::encode(Opcode::EncMsg, &body), epoch, members })
    }
}

/// A patient's side: the one key it holds.
#[derive(Debug)]
pub struct GroupMember {
    gateway: GatewayId,
    wrap: AeadKey,
    current: Option<EpochKey>,
}

impl GroupMember {
    /// A member of the group of `gateway` that has no key yet.
    #[must_use]
    pub fn new(gateway: GatewayId, wrap: &Secret<purpose::WrapKey>) -> Self {
        Self { gateway, wrap: AeadKey::new(wrap), current: None }
    }

    /// The epoch whose key it holds.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.current.as_ref().map(|current| current.epoch)
    }

    /// Takes the body of GROUP_KEY; the key before is wiped. Time never goes back.
    ///
    /// # Errors
    /// [`Fault::DeniedProof`] if it does not open or is not newer.
    pub fn handle_key(&mut self, key: &WrappedKey) -> Result<Epoch, Fault> {
        if self.epoch().is_some_and(|epoch| key.epoch <= epoch) {
            return Err(Fault::DeniedProof);
        }
        let opened = self
            .wrap
            .open(&key.epoch.wrap_nonce(), self.gateway.as_bytes(), &key.wrapped)
            .map_err(|_| Fault::DeniedProof)?;
        let bytes: [u8; 32] = opened.try_into().map_err(|_| Fault::DeniedProof)?;
        self.current = Some(EpochKey { epoch: key.epoch, key: Secret::new(bytes) });
        Ok(key.epoch)
    }

    /// Opens the body of ENC_MSG: the epoch, and the bytes of an alert whose signature is not checked yet. Ratchets
    /// forward to the step that the message names, never back.
    ///
    /// # Errors
    /// [`Fault::DeniedProof`] if it is of another generation, of an earlier step, or does not open.
    pub fn open(&mut self, body: &[u8]) -> Result<(Epoch, Vec<u8>), Fault> {
        self.open_if(body, |plaintext| Ok(plaintext.to_vec()))
    }

    /// [`Self::open`], but the ratchet moves only if `believe` takes the plaintext: every member can seal, and one that
    /// forges a far step must not make the others deaf to the gateway.
    pub(crate) fn open_if<T>(
        &mut self,
        body: &[u8],
        believe: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<(Epoch, T), Fault> {
        let (header, sealed) =
            codec::decode_prefix::<Header>(body).map_err(|_| Fault::PeerMalformed(Opcode::EncMsg))?;
        let current = self.current.as_ref().ok_or(Fault::DeniedProof)?;
        let reachable = header.epoch.generation == current.epoch.generation
            && (current.epoch.step..MAX_STEPS).contains(&header.epoch.step);
        if !reachable {
            return Err(Fault::DeniedProof);
        }
        // A forged step must not move the ratchet: try on a copy, keep it only if the message is believed.
        let mut candidate = EpochKey { epoch: current.epoch, key: current.key.duplicate() };
        while candidate.epoch.step < header.epoch.step {
            candidate.step();
        }
        let plaintext = candidate
            .aead()
            .open(&nonce(header), &additional_data(self.gateway, header), sealed)
            .map_err(|_| Fault::DeniedProof)?;
        let believed = believe(&plaintext)?;
        self.current = Some(candidate);
        Ok((header.epoch, believed))
    }
}

fn nonce(header: Header) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.iter_mut().skip(8).zip(header.counter.to_be_bytes()).for_each(|(byte, value)| *byte = value);
    nonce
}

fn additional_data(gateway: GatewayId, header: Header) -> Vec<u8> {
    codec::encode(&(Opcode::EncMsg as u8, gateway, header))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use crypto::identity::SigningKey;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;
    use crate::{
        alert::{Audience, Draft, Priority, UnverifiedAlert},
        id::AlertId,
        time::UnixMillis,
    };

    const GATEWAY: GatewayId = GatewayId::from_bytes([1; 16]);
    const NOW: Monotonic = Monotonic(0);

    struct Ward {
        owner: GroupOwner,
        members: BTreeMap<PatientId, GroupMember>,
        rng: ChaCha20Rng,
    }

    impl Ward {
        fn new() -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            Self { owner: GroupOwner::new(GATEWAY, 1, NOW, &mut rng), members: BTreeMap::new(), rng }
        }

        fn join(&mut self, name: &str) {
            let patient: PatientId = name.parse().unwrap();
            let wrap = Secret::generate(&mut self.rng);
            self.members.insert(patient.clone(), GroupMember::new(GATEWAY, &wrap));
            let rekeys = self.owner.join(&patient, session(name), wrap, NOW, &mut self.rng);
            self.deliver(&rekeys);
        }

        fn leave(&mut self, name: &str) -> GroupMember {
            let patient: PatientId = name.parse().unwrap();
            assert!(self.owner.remove(&patient, session(name)));
            self.members.remove(&patient).unwrap()
        }

        fn deliver(&mut self, rekeys: &[Rekey]) {
            for rekey in rekeys {
                if let Some(member) = self.members.get_mut(&rekey.patient) {
                    member.handle_key(&rekey.key).unwrap();
                }
            }
        }

        fn broadcast(&mut self) -> Vec<u8> {
            let sealed = self.owner.seal(&alert(), NOW, &mut self.rng).unwrap();
            self.deliver(&sealed.rekeys);
            sealed.frame[frame::HEADER_LEN..].to_vec()
        }
    }

    fn session(name: &str) -> SessionId {
        let mut id = [0; 16];
        id[..name.len()].copy_from_slice(name.as_bytes());
        SessionId::from_bytes(id)
    }

    fn key() -> SigningKey {
        SigningKey::from_secret(&Secret::new([5; 32]))
    }

    fn alert() -> Alert {
        let draft = Draft {
            id: AlertId::from_bytes([9; 16]),
            sequence: 1,
            created: UnixMillis(1),
            expires: UnixMillis(2),
            priority: Priority::High,
            audience: Audience::Ward,
            cancels: None,
            text: "evacuate".to_string(),
        };
        draft.sign(&key()).unwrap()
    }

    #[test]
    fn every_member_opens_the_same_bytes() {
        let mut ward = Ward::new();
        for name in ["P1", "P2", "P3"] {
            ward.join(name);
        }
        let body = ward.broadcast();
        for member in ward.members.values_mut() {
            let (_, opened) = member.open(&body).unwrap();
            assert_eq!(
                UnverifiedAlert::decode(&opened).unwrap().verify(&key().verifying_key()).unwrap(),
                alert()
            );
        }
    }

    #[test]
    fn a_newcomer_cannot_read_what_came_before() {
        let mut ward = Ward::new();
        ward.join("P1");
        let before = ward.broadcast();
        ward.join("P2");
        let newcomer = ward.members.get_mut(&"P2".parse().unwrap()).unwrap();
        assert_eq!(newcomer.open(&before), Err(Fault::DeniedProof));
    }

    #[test]
    fn who_left_cannot_read_what_comes_after_even_in_the_same_millisecond() {
        let mut ward = Ward::new();
        ward.join("P1");
        ward.join("P2");
        let mut leaver = ward.leave("P2");
        let after = ward.broadcast();
        assert_eq!(leaver.open(&after), Err(Fault::DeniedProof));
        ward.members.get_mut(&"P1".parse().unwrap()).unwrap().open(&after).unwrap();
    }

    #[test]
    fn no_key_is_ever_used_twice_with_the_same_nonce() {
        let mut ward = Ward::new();
        ward.join("P1");
        let bodies = [ward.broadcast(), ward.broadcast()];
        ward.join("P2");
        let third = ward.broadcast();
        assert_ne!(bodies[0], bodies[1], "the counter moves within an epoch");
        let header = |body: &[u8]| codec::decode_prefix::<Header>(body).unwrap().0;
        assert_eq!((header(&bodies[0]).counter, header(&bodies[1]).counter), (0, 1));
        assert!(header(&third).epoch > header(&bodies[1]).epoch);
    }

    #[test]
    fn the_owner_starts_a_generation_at_the_last_step_and_after_a_day() {
        let mut ward = Ward::new();
        ward.join("P1");
        let generation = ward.owner.epoch().generation;
        ward.owner.current.epoch.step = MAX_STEPS - 1;
        ward.join("P2");
        assert_eq!(ward.owner.epoch(), Epoch { generation: generation + 1, step: 0 });
        let tomorrow = NOW + MAX_GENERATION_AGE;
        let sealed = ward.owner.seal(&alert(), tomorrow, &mut ward.rng).unwrap();
        assert_eq!((sealed.epoch.generation, sealed.rekeys.len()), (generation + 2, 2));
    }

    #[test]
    fn a_forged_step_does_not_move_the_ratchet() {
        let mut ward = Ward::new();
        ward.join("P1");
        let good = ward.broadcast();
        let member = ward.members.get_mut(&"P1".parse().unwrap()).unwrap();
        let epoch = Epoch { step: 60_000, ..member.epoch().unwrap() };
        let mut forged = codec::encode(&Header { epoch, counter: 0 });
        forged.extend_from_slice(&[0; 40]);
        assert_eq!(member.open(&forged), Err(Fault::DeniedProof));
        member.open(&good).unwrap();
    }

    #[test]
    fn a_member_that_forges_a_far_step_does_not_make_the_others_deaf() {
        let mut ward = Ward::new();
        ward.join("P1");
        // Every member can ratchet forward and seal; only the gateway can sign.
        let current = &ward.owner.current;
        let mut far = EpochKey { epoch: current.epoch, key: current.key.duplicate() };
        (0..100).for_each(|_| far.step());
        let header = Header { epoch: far.epoch, counter: 0 };
        let mut forged = codec::encode(&header);
        forged.extend(far.aead().seal(&nonce(header), &additional_data(GATEWAY, header), b"lies").unwrap());
        let good = ward.broadcast();
        let member = ward.members.get_mut(&"P1".parse().unwrap()).unwrap();
        let believed = member.open_if(&forged, |plaintext| {
            assert_eq!(plaintext, b"lies");
            Err::<(), _>(Fault::DeniedProof)
        });
        assert_eq!(believed, Err(Fault::DeniedProof));
        member.open(&good).unwrap();
    }

    #[test]
    fn an_earlier_key_is_refused() {
        let mut ward = Ward::new();
        let wrap: Secret<purpose::WrapKey> = Secret::generate(&mut ward.rng);
        let mut member = GroupMember::new(GATEWAY, &wrap);
        let first =
            ward.owner.join(&"P1".parse().unwrap(), session("P1"), wrap, NOW, &mut ward.rng).remove(0);
        let second = ward.owner.rekey(NOW, &mut ward.rng).remove(0);
        member.handle_key(&second.key).unwrap();
        assert_eq!(member.handle_key(&first.key), Err(Fault::DeniedProof));
        assert_eq!(member.handle_key(&second.key), Err(Fault::DeniedProof));
    }
}
