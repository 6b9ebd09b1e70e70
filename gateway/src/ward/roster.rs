//! Who is in session, and the group key that they share. A value: it owns membership and its order, pushes into
//! bounded queues, and knows no socket and no store. The order in a queue is the promise: a GROUP_KEY is queued before
//! the first broadcast that needs it, under one lock.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use crypto::{Secret, purpose};
use protocol::{
    alert::Alert,
    error::Fault,
    group::{Epoch, GroupOwner, Rekey, WrappedKey},
    id::{ClientId, GatewayId, PatientId, SessionId},
    message::{Farewell, Instruction},
    time::{Monotonic, UnixMillis},
};
use rand_core::CryptoRng;
use tokio::sync::{mpsc, watch};

/// Messages that may wait for one session. A patient's client reads one in microseconds; one that does not read for
/// this long is gone, and must not make others wait.
pub(crate) const QUEUE: usize = 64;

/// A lost link may come back for this long without a new group key: its holder is still an authorised member.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// Something for a session to send.
#[derive(Debug, Clone)]
pub(crate) enum Outbound {
    GroupKey(WrappedKey),
    /// A whole ENC_MSG frame, the same bytes for all.
    Broadcast(Bytes),
    /// In the patient's own session.
    Direct(Arc<Alert>),
    /// To a wearable.
    Instruction(Instruction),
}

/// Why the ward ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer is told.
    Farewell(Farewell),
    /// The peer would not hear it.
    NotReading,
}

/// What the ward holds of a session.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    pub(crate) session: SessionId,
    pub(crate) since: UnixMillis,
    pub(crate) source: String,
    pub(crate) post_quantum: bool,
    pub(crate) queue: mpsc::Sender<Outbound>,
    pub(crate) end: watch::Sender<Option<End>>,
}

impl SessionHandle {
    fn send(&self, outbound: Outbound) -> bool {
        let queued = self.queue.try_send(outbound).is_ok();
        if !queued {
            self.end.send_replace(Some(End::NotReading));
        }
        queued
    }
}

/// A broadcast that is queued.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) epoch: Epoch,
    /// Members whose queues took it.
    pub(crate) members: Vec<PatientId>,
}

/// Sessions by client, and the group of the patients among them.
#[derive(Debug)]
pub(crate) struct Roster {
    sessions: BTreeMap<ClientId, SessionHandle>,
    group: GroupOwner,
    /// Members whose link was lost, and when.
    lost: BTreeMap<PatientId, (SessionId, Monotonic)>,
}

impl Roster {
    pub(crate) fn new(
        gateway: GatewayId,
        generation: u64,
        now: Monotonic,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let group = GroupOwner::new(gateway, generation, now, rng);
        Self { sessions: BTreeMap::new(), group, lost: BTreeMap::new() }
    }

    /// Takes a session in. An earlier one of the same client is ended.
    pub(crate) fn enter(
        &mut self,
        client: ClientId,
        handle: SessionHandle,
        wrap: Secret<purpose::WrapKey>,
        now: Monotonic,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        let session = handle.session;
        if let Some(earlier) = self.sessions.insert(client.clone(), handle) {
            earlier.end.send_replace(Some(End::Farewell(Farewell::Displaced)));
        }
        if let ClientId::Patient(patient) = client {
            self.lost.remove(&patient);
            let rekeys = self.group.join(&patient, session, wrap, now, rng);
            self.deliver(rekeys);
        }
    }

    /// Lets a session go. A deliberate end takes effect on the group at once; a lost link has its grace. False if
    /// the session was displaced before.
    pub(crate) fn leave(
        &mut self,
        client: &ClientId,
        session: SessionId,
        deliberate: bool,
        now: Monotonic,
    ) -> bool {
        let current = self.sessions.get(client).is_some_and(|handle| handle.session == session);
        if current {
            self.sessions.remove(client);
            if let ClientId::Patient(patient) = client {
                if deliberate {
                    self.group.remove(patient, session);
                } else {
                    self.lost.insert(patient.clone(), (session, now));
                }
            }
        }
        current
    }

    /// Ends a client's session and its membership: the group key changes before anything else is sealed or anybody
    /// joins.
    pub(crate) fn expel(&mut self, client: &ClientId, farewell: Farewell) {
        if let Some(handle) = self.sessions.remove(client) {
            handle.end.send_replace(Some(End::Farewell(farewell)));
            if let ClientId::Patient(patient) = client {
                self.group.remove(patient, handle.session);
            }
        }
        if let ClientId::Patient(patient) = client
            && let Some((session, _)) = self.lost.remove(patient)
        {
            self.group.remove(patient, session);
        }
    }

    /// Expels those whose grace is over, and gives the others a fresh key if one is due.
    pub(crate) fn tick(&mut self, now: Monotonic, rng: &mut (impl CryptoRng + ?Sized)) {
        let group = &mut self.group;
        self.lost.retain(|patient, (session, since)| {
            let in_grace = now.since(*since) < GRACE;
            if !in_grace {
                group.remove(patient, *session);
            }
            in_grace
        });
        if self.group.is_due(now) {
            let rekeys = self.group.rekey(now, rng);
            self.deliver(rekeys);
        }
    }

    /// Seals an alert once and queues the same bytes for every member.
    ///
    /// # Errors
    /// See [`GroupOwner::seal`].
    pub(crate) fn broadcast(
        &mut self,
        alert: &Alert,
        now: Monotonic,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Sent, Fault> {
        let sealed = self.group.seal(alert, now, rng)?;
        self.deliver(sealed.rekeys);
        let frame = Bytes::from(sealed.frame);
        let members = sealed
            .members
            .into_iter()
            .filter(|(patient, session)| {
                self.current(patient, *session)
                    .is_some_and(|handle| handle.send(Outbound::Broadcast(frame.clone())))
            })
            .map(|(patient, _)| patient)
            .collect();
        Ok(Sent { epoch: sealed.epoch, members })
    }

    /// Queues an alert for one patient's own session; false if there is none.
    pub(crate) fn direct(&self, patient: &PatientId, alert: &Arc<Alert>) -> bool {
        self.sessions
            .get(&ClientId::Patient(patient.clone()))
            .is_some_and(|handle| handle.send(Outbound::Direct(Arc::clone(alert))))
    }

    /// Queues an alert for one patient's own session if it leaves half of the queue for what is new; false if not, or
    /// if there is no session.
    pub(crate) fn direct_if_room(&self, patient: &PatientId, alert: &Arc<Alert>) -> bool {
        let handle = self.sessions.get(&ClientId::Patient(patient.clone()));
        handle
            .filter(|handle| handle.queue.capacity() > QUEUE / 2)
            .is_some_and(|handle| handle.send(Outbound::Direct(Arc::clone(alert))))
    }

    /// Queues something for a client's session; false if there is none, or it does not read.
    pub(crate) fn send(&self, client: &ClientId, outbound: Outbound) -> bool {
        self.sessions.get(client).is_some_and(|handle| handle.send(outbound))
    }

    fn deliver(&self, rekeys: Vec<Rekey>) {
        for Rekey { patient, session, key } in rekeys {
            // One whose link is lost gets a key when it is back.
            if let Some(handle) = self.current(&patient, session) {
                handle.send(Outbound::GroupKey(key));
            }
        }
    }

    fn current(&self, patient: &PatientId, session: SessionId) -> Option<&SessionHandle> {
        self.sessions.get(&ClientId::Patient(patient.clone())).filter(|handle| handle.session == session)
    }

    pub(crate) const fn epoch(&self) -> Epoch {
        self.group.epoch()
    }

    pub(crate) fn session(&self, client: &ClientId) -> Option<&SessionHandle> {
        self.sessions.get(client)
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = (&ClientId, &SessionHandle)> {
        self.sessions.iter()
    }

    /// Ends every session of a kind of client.
    pub(crate) fn end_all(&mut self, farewell: Farewell, which: impl Fn(&ClientId) -> bool) -> usize {
        let ended: Vec<ClientId> = self.sessions.keys().filter(|client| which(client)).cloned().collect();
        for client in &ended {
            self.expel(client, farewell);
        }
        ended.len()
    }
}

#[cfg(test)]
mod tests {
    use protocol::{
        alert::{Audience, Draft, Priority},
        id::AlertId,
    };
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    const NOW: Monotonic = Monotonic(0);

    struct Inbox {
        queue: mpsc::Receiver<Outbound>,
        end: watch::Receiver<Option<End>>,
        session: SessionId,
    }

    impl Inbox {
        fn drain(&mut self) -> Vec<&'static str> {
            std::iter::from_fn(|| self.queue.try_recv().ok())
                .map(|outbound| match outbound {
                    Outbound::GroupKey(_) => "key",
                    Outbound::Broadcast(_) => "broadcast",
                    Outbound::Direct(_) => "direct",
                    Outbound::Instruction(_) => "instruction",
                })
                .collect()
        }
    }

    fn roster() -> (Roster, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        (Roster::new(GatewayId::from_bytes([1; 16]), 1, NOW, &mut rng), rng)
    }

    fn client(n: u8) -> ClientId {
        ClientId::Patient(format!("P{n}").parse().unwrap())
    }

    fn enter(roster: &mut Roster, rng: &mut ChaCha20Rng, n: u8, session: u8, depth: usize) -> Inbox {
        let (queue, inbox) = mpsc::channel(depth);
        let (end, ended) = watch::channel(None);
        let session = SessionId::from_bytes([session; 16]);
        let handle = SessionHandle {
            session,
            since: UnixMillis(0),
            source: String::new(),
            post_quantum: true,
            queue,
            end,
        };
        roster.enter(client(n), handle, Secret::generate(rng), NOW, rng);
        Inbox { queue: inbox, end: ended, session }
    }

    fn alert() -> Alert {
        let draft = Draft {
            id: AlertId::from_bytes([2; 16]),
            sequence: 1,
            created: UnixMillis(0),
            expires: UnixMillis(1),
            priority: Priority::High,
            audience: Audience::Ward,
            cancels: None,
            text: "x".into(),
        };
        draft.sign(&crypto::identity::SigningKey::from_secret(&Secret::new([3; 32]))).unwrap()
    }

    #[test]
    fn the_new_key_is_queued_before_the_broadcast_that_needs_it() {
        let (mut roster, mut rng) = roster();
        let mut first = enter(&mut roster, &mut rng, 1, 1, QUEUE);
        let second = enter(&mut roster, &mut rng, 2, 2, QUEUE);
        assert_eq!(first.drain(), ["key"]);
        assert!(roster.leave(&client(2), second.session, true, NOW));
        let sent = roster.broadcast(&alert(), NOW, &mut rng).unwrap();
        assert_eq!(sent.members.len(), 1);
        assert_eq!(first.drain(), ["key", "broadcast"]);
    }

    #[test]
    fn a_lost_link_keeps_its_membership_for_the_grace_only() {
        let (mut roster, mut rng) = roster();
        let inbox = enter(&mut roster, &mut rng, 1, 1, QUEUE);
        let before = roster.epoch().generation;
        roster.leave(&client(1), inbox.session, false, NOW);
        roster.tick(NOW + GRACE.saturating_sub(Duration::from_millis(1)), &mut rng);
        assert_eq!(roster.epoch().generation, before);
        roster.tick(NOW + GRACE, &mut rng);
        assert_eq!(roster.epoch().generation, before + 1);
    }

    #[test]
    fn one_who_does_not_read_is_ended_and_the_others_get_the_broadcast() {
        let (mut roster, mut rng) = roster();
        let stuck = enter(&mut roster, &mut rng, 1, 1, 1);
        let mut reader = enter(&mut roster, &mut rng, 2, 2, QUEUE);
        let sent = roster.broadcast(&alert(), NOW, &mut rng).unwrap();
        assert_eq!(sent.members, ["P2".parse().unwrap()]);
        assert_eq!(*stuck.end.borrow(), Some(End::NotReading));
        assert_eq!(reader.drain(), ["key", "broadcast"]);
    }

    #[test]
    fn a_newer_session_of_the_same_client_displaces_the_older() {
        let (mut roster, mut rng) = roster();
        let older = enter(&mut roster, &mut rng, 1, 1, QUEUE);
        let _newer = enter(&mut roster, &mut rng, 1, 2, QUEUE);
        assert_eq!(*older.end.borrow(), Some(End::Farewell(Farewell::Displaced)));
        assert!(!roster.leave(&client(1), older.session, false, NOW), "its end does not touch the newer one");
        assert_eq!(roster.sessions().count(), 1);
    }

    #[test]
    fn a_replaced_computer_cannot_ratchet_on_to_what_its_successor_reads() {
        let (mut roster, mut rng) = roster();
        let old = enter(&mut roster, &mut rng, 1, 1, QUEUE);
        let before = roster.epoch().generation;
        roster.expel(&client(1), Farewell::Revoked);
        let _new = enter(&mut roster, &mut rng, 1, 2, QUEUE);
        assert_eq!(roster.epoch().generation, before + 1, "a fresh key, not a step of the old one");
        assert_eq!(*old.end.borrow(), Some(End::Farewell(Farewell::Revoked)));
    }

    #[test]
    fn an_expelled_member_is_out_before_the_next_seal() {
        let (mut roster, mut rng) = roster();
        let mut inbox = enter(&mut roster, &mut rng, 1, 1, QUEUE);
        inbox.drain();
        roster.expel(&client(1), Farewell::Revoked);
        let sent = roster.broadcast(&alert(), NOW, &mut rng).unwrap();
        assert!(sent.members.is_empty());
        assert_eq!(inbox.drain(), Vec::<&str>::new());
    }
}
