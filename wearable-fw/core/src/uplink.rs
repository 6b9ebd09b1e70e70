//! Store and forward: every sample is kept until the gateway says that it is committed there.
//!
//! Owns the order, the batches, the chain of their hashes and what happens when there is no room. Knows no file and no
//! socket. A change is **decided** here, **written down** by the caller, then **applied** here; a restart applies what
//! was written down again, so the same batches are sent again byte for byte.
//!
//! ```text
//! plan_sample -> Entry::Taken     plan_batch -> Entry::Formed     plan_acknowledgement -> Entry::Acknowledged
//!        \________________________________ the caller's journal, then apply ___________________________/
//! poll_transmit -> the next batch for this connection             reconnected -> from the first unacknowledged again
//! ```
//!
//! Full: the oldest samples make room, 64 at a time (a formed batch whole), and that is reported as a [`Gap`]. The
//! gateway sees it too, as numbers that never came and a batch that names an unknown predecessor.

use alloc::{collections::VecDeque, vec::Vec};

use protocol::{
    id::Seq,
    vitals::{MAX_SAMPLES, Sample, VitalsBatch},
};
use thiserror::Error;

mod item;
mod queue;
pub mod ring;
mod thinning;

/// Most batches that are formed and not yet acknowledged.
pub const MAX_IN_FLIGHT: usize = 4;

/// One change of an [`Uplink`], as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Where a shortened journal begins.
    Base {
        /// The gateway has everything up to here.
        acknowledged: Seq,
        /// The last number that was ever put into a batch.
        formed: Seq,
        /// What the first batch that follows names as its predecessor.
        previous: [u8; 32],
    },
    /// A sample was taken.
    Taken(Sample),
    /// The oldest samples that were in no batch, this many, became one.
    Formed(usize),
    /// The gateway has everything up to this number.
    Acknowledged(Seq),
    /// The oldest samples, this many, were given up for want of room.
    Dropped(usize),
}

/// Samples that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first one.
    pub first: Seq,
    /// The last one.
    pub last: Seq,
    /// How many.
    pub samples: usize,
}

/// A number that does not follow the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("sample {} comes after {}: numbers only grow", .sample.0, .last.0)]
pub struct NotGrowing {
    /// The number offered.
    pub sample: Seq,
    /// The last one taken.
    pub last: Seq,
}

/// An acknowledgement of samples that were never in a batch. It is ignored: nothing may be deleted for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the gateway acknowledged {}, but only {} were ever sent", .acknowledged.0, .formed.0)]
pub struct AckOfTheFuture {
    /// What the gateway said.
    pub acknowledged: Seq,
    /// The last number ever put into a batch.
    pub formed: Seq,
}

/// Samples on their way to the gateway, oldest first. Numbers start at 1.
#[derive(Debug, Clone)]
pub struct Uplink {
    capacity: usize,
    /// Batches as they were or will be sent, until their last sample is acknowledged.
    batches: VecDeque<VitalsBatch>,
    /// How many of them were handed out on this connection.
    sent: usize,
    /// Samples in no batch yet.
    loose: VecDeque<Sample>,
    acknowledged: Seq,
    formed: Seq,
    taken: Seq,
    /// Hash of the last batch formed.
    tip: [u8; 32],
}

impl Uplink {
    /// An empty one that keeps at most `capacity` samples (at least 1).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            batches: VecDeque::new(),
            sent: 0,
            loose: VecDeque::new(),
            acknowledged: Seq(0),
            formed: Seq(0),
            taken: Seq(0),
            tip: [0; 32],
        }
    }

    /// What must be written down to take a sample, and what is lost by it.
    ///
    /// # Errors
    /// [`NotGrowing`].
    pub fn plan_sample(&self, sample: Sample) -> Result<(Vec<Entry>, Option<Gap>), NotGrowing> {
        if sample.seq <= self.taken {
            return Err(NotGrowing { sample: sample.seq, last: self.taken });
        }
        let mut entries = Vec::with_capacity(2);
        let room = self.room_to_make();
        let gap = room.and_then(|count| self.gap_of(count));
        entries.extend(room.map(Entry::Dropped));
        entries.push(Entry::Taken(sample));
        Ok((entries, gap))
    }

    /// How many of the oldest samples go when the next one comes.
    fn room_to_make(&self) -> Option<usize> {
        let at_once = MAX_SAMPLES.min(self.capacity / 4).max(1);
        (self.stored() >= self.capacity).then(|| match self.batches.front() {
            Some(batch) => batch.samples.len(),
            None => at_once.min(self.loose.len()),
        })
    }

    /// Only what the gateway does not have is lost.
    fn gap_of(&self, count: usize) -> Option<Gap> {
        let mut lost =
            self.samples().take(count).map(|sample| sample.seq).filter(|seq| *seq > self.acknowledged);
        let first = lost.next()?;
        let (last, others) = lost.fold((first, 0), |(_, count), seq| (seq, count + 1));
        Some(Gap { first, last, samples: others + 1 })
    }

    /// What must be written down to form the next batch, if there are samples for one and the gateway is not behind.
    #[must_use]
    pub fn plan_batch(&self) -> Option<Entry> {
        let count = self.loose.len().min(MAX_SAMPLES);
        (count > 0 && self.batches.len() < MAX_IN_FLIGHT).then_some(Entry::Formed(count))
    }

    /// What must be written down for an acknowledgement of everything up to `seq`; nothing for an old one.
    ///
    /// # Errors
    /// [`AckOfTheFuture`].
    pub fn plan_acknowledgement(&self, seq: Seq) -> Result<Option<Entry>, AckOfTheFuture> {
        if seq > self.formed {
            return Err(AckOfTheFuture { acknowledged: seq, formed: self.formed });
        }
        Ok((seq > self.acknowledged).then_some(Entry::Acknowledged(seq)))
    }

    /// Makes a change that was written down. Any entries in any order are taken: a damaged journal must not stop a device.
    pub fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Base { acknowledged, formed, previous } => {
                let empty = Self::new(self.capacity);
                *self =
                    Self { acknowledged, formed, taken: formed.max(acknowledged), tip: previous, ..empty };
            }
            Entry::Taken(sample) => {
                self.taken = self.taken.max(sample.seq);
                self.loose.push_back(sample);
            }
            Entry::Formed(count) => self.form(count),
            Entry::Acknowledged(seq) => self.acknowledge(seq),
            Entry::Dropped(count) => self.drop_oldest(count),
        }
    }

    fn form(&mut self, count: usize) {
        let samples: Vec<Sample> = self.loose.drain(..count.min(self.loose.len())).collect();
        let batch = VitalsBatch { previous: self.tip, samples };
        if let Some(last) = batch.last() {
            self.formed = self.formed.max(last);
            self.tip = batch.hash();
            self.batches.push_back(batch);
        }
    }

    fn acknowledge(&mut self, seq: Seq) {
        self.acknowledged = self.acknowledged.max(seq);
        while self.batches.front().and_then(VitalsBatch::last).is_some_and(|last| last <= self.acknowledged) {
            self.forget_batch();
        }
    }

    fn drop_oldest(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            match self.forget_batch() {
                Some(batch) => left = left.saturating_sub(batch.samples.len()),
                None => {
                    self.loose.drain(..left.min(self.loose.len()));
                    return;
                }
            }
        }
    }

    fn forget_batch(&mut self) -> Option<VitalsBatch> {
        self.sent = self.sent.saturating_sub(1);
        self.batches.pop_front()
    }

    /// A new connection: everything unacknowledged is handed out again, from the oldest.
    pub const fn reconnected(&mut self) {
        self.sent = 0;
    }

    /// The next formed batch that was not handed out on this connection.
    pub fn poll_transmit(&mut self) -> Option<&VitalsBatch> {
        let batch = self.batches.get(self.sent)?;
        self.sent += 1;
        Some(batch)
    }

    /// Entries that make an equal uplink: what a shortened journal holds.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let previous = self.batches.front().map_or(self.tip, |batch| batch.previous);
        let base = Entry::Base { acknowledged: self.acknowledged, formed: self.formed, previous };
        let taken = self.samples().cloned().map(Entry::Taken);
        let formed = self.batches.iter().map(|batch| Entry::Formed(batch.samples.len()));
        core::iter::once(base).chain(taken).chain(formed)
    }

    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.batches.iter().flat_map(|batch| &batch.samples).chain(&self.loose)
    }

    /// Samples that are kept, acknowledged ones of a half acknowledged batch included.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.batches.iter().map(|batch| batch.samples.len()).sum::<usize>() + self.loose.len()
    }

    /// Samples that the gateway does not have yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let had = |batch: &VitalsBatch| batch.samples.iter().filter(|s| s.seq <= self.acknowledged).count();
        self.stored() - self.batches.iter().map(had).sum::<usize>()
    }

    /// The gateway has everything up to here.
    #[must_use]
    pub const fn acknowledged(&self) -> Seq {
        self.acknowledged
    }

    /// The last number taken, 0 before the first.
    #[must_use]
    pub const fn taken(&self) -> Seq {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use protocol::{
        id::BootId,
        vitals::{KnownQuantity, SampleTime},
    };

    use super::*;

    fn sample(seq: u64) -> Sample {
        Sample {
            seq: Seq(seq),
            boot: BootId(1),
            taken: SampleTime { since_boot_ms: seq * 1_000, wall: None },
            simulated: true,
            quantities: vec![KnownQuantity::HEART_RATE.measured(72, 0)],
        }
    }

    fn take(uplink: &mut Uplink, seq: u64) -> Option<Gap> {
        let (entries, gap) = uplink.plan_sample(sample(seq)).unwrap();
        entries.into_iter().for_each(|entry| uplink.apply(entry));
        gap
    }

    fn with(samples: u64) -> Uplink {
        let mut uplink = Uplink::new(10_000);
        (1..=samples).for_each(|seq| assert_eq!(take(&mut uplink, seq), None));
        uplink
    }

    /// Forms and hands out all that may be.
    fn send(uplink: &mut Uplink) -> Vec<VitalsBatch> {
        while let Some(entry) = uplink.plan_batch() {
            uplink.apply(entry);
        }
        core::iter::from_fn(|| uplink.poll_transmit().cloned()).collect()
    }

    fn acknowledge(uplink: &mut Uplink, seq: u64) {
        let entry = uplink.plan_acknowledgement(Seq(seq)).unwrap();
        entry.into_iter().for_each(|entry| uplink.apply(entry));
    }

    fn numbers(batches: &[VitalsBatch]) -> Vec<Vec<u64>> {
        batches.iter().map(|batch| batch.samples.iter().map(|sample| sample.seq.0).collect()).collect()
    }

    #[test]
    fn a_sample_is_kept_until_it_is_acknowledged() {
        let mut uplink = with(3);
        assert_eq!(numbers(&send(&mut uplink)), [[1, 2, 3]]);
        assert_eq!((uplink.stored(), uplink.waiting()), (3, 3));
        acknowledge(&mut uplink, 3);
        assert_eq!((uplink.stored(), uplink.waiting(), uplink.acknowledged()), (0, 0, Seq(3)));
        assert_eq!(send(&mut uplink), []);
    }

    #[test]
    fn batches_are_full_at_64_and_few_are_in_flight() {
        let mut uplink = with(400);
        let sent = send(&mut uplink);
        assert_eq!(sent.iter().map(|batch| batch.samples.len()).collect::<Vec<_>>(), [64; MAX_IN_FLIGHT]);
        acknowledge(&mut uplink, 64);
        assert_eq!(numbers(&send(&mut uplink)), [(257..=320).collect::<Vec<u64>>()]);
    }

    #[test]
    fn after_a_reconnect_everything_unacknowledged_is_sent_again_byte_for_byte() {
        let mut uplink = with(200);
        let sent = send(&mut uplink);
        acknowledge(&mut uplink, 64);
        uplink.reconnected();
        take(&mut uplink, 201);
        let again = send(&mut uplink);
        assert_eq!(again[..3], sent[1..]);
        assert_eq!(numbers(&again[3..]), [[201]]);
    }

    #[test]
    fn each_batch_names_the_hash_of_the_one_before() {
        let mut uplink = with(130);
        let batches = send(&mut uplink);
        assert_eq!(batches[0].previous, [0; 32]);
        assert!(batches.windows(2).all(|pair| pair[1].previous == pair[0].hash()));
        acknowledge(&mut uplink, 130);
        take(&mut uplink, 131);
        assert_eq!(send(&mut uplink)[0].previous, batches[2].hash());
    }

    #[test]
    fn an_acknowledgement_inside_a_batch_keeps_the_batch_whole() {
        let mut uplink = with(10);
        let sent = send(&mut uplink);
        acknowledge(&mut uplink, 4);
        assert_eq!((uplink.stored(), uplink.waiting()), (10, 6));
        uplink.reconnected();
        assert_eq!(send(&mut uplink), sent);
    }

    #[test]
    fn a_repeated_or_older_acknowledgement_changes_nothing() {
        let mut uplink = with(100);
        send(&mut uplink);
        acknowledge(&mut uplink, 64);
        for old in [64, 10, 0] {
            assert_eq!(uplink.plan_acknowledgement(Seq(old)), Ok(None));
        }
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut uplink = with(70);
        let refused = AckOfTheFuture { acknowledged: Seq(1), formed: Seq(0) };
        assert_eq!(uplink.plan_acknowledgement(Seq(1)), Err(refused));
        let first = uplink.plan_batch().unwrap();
        uplink.apply(first);
        assert!(uplink.plan_acknowledgement(Seq(65)).is_err());
        assert_eq!(uplink.waiting(), 70);
    }

    #[test]
    fn a_full_store_gives_up_the_oldest_and_says_so() {
        let mut uplink = Uplink::new(100);
        let gaps: Vec<Gap> = (1..=101).filter_map(|seq| take(&mut uplink, seq)).collect();
        assert_eq!(gaps, [Gap { first: Seq(1), last: Seq(25), samples: 25 }]);
        let sent = send(&mut uplink);
        assert_eq!(numbers(&sent)[0][0], 26);
        // What is in flight is the oldest now: it goes as a whole, and only what the gateway lacks is lost.
        acknowledge(&mut uplink, 30);
        let gaps: Vec<Gap> = (102..=126).filter_map(|seq| take(&mut uplink, seq)).collect();
        assert_eq!(gaps, [Gap { first: Seq(31), last: Seq(89), samples: 59 }]);
        assert_eq!(uplink.plan_acknowledgement(Seq(89)), Ok(Some(Entry::Acknowledged(Seq(89)))));
        uplink.reconnected();
        assert_eq!(send(&mut uplink)[0], sent[1], "the chain shows that a batch is missing");
    }

    #[test]
    fn numbers_only_grow() {
        let mut uplink = with(3);
        send(&mut uplink);
        acknowledge(&mut uplink, 3);
        assert_eq!(uplink.plan_sample(sample(3)), Err(NotGrowing { sample: Seq(3), last: Seq(3) }));
    }

    /// A gateway, a network that forgets, and a journal, against a device that may lose power after any change.
    mod model {
        use proptest::prelude::*;

        use super::*;

        #[derive(Debug, Clone)]
        enum Action {
            Take,
            Send,
            /// The gateway commits so many of the batches under way and acknowledges.
            Commit(usize),
            /// The gateway commits, the acknowledgement is lost.
            LoseAck,
            OldAck(u64),
            FutureAck(u64),
            Reconnect,
            Restart {
                shortened: bool,
            },
        }

        fn action() -> impl Strategy<Value = Action> {
            prop_oneof![
                12 => Just(Action::Take),
                4 => Just(Action::Send),
                3 => (0_usize..5).prop_map(Action::Commit),
                1 => Just(Action::LoseAck),
                1 => any::<u64>().prop_map(Action::OldAck),
                1 => (1_u64..100).prop_map(Action::FutureAck),
                1 => Just(Action::Reconnect),
                1 => any::<bool>().prop_map(|shortened| Action::Restart { shortened }),
            ]
        }

        struct World {
            uplink: Uplink,
            journal: Vec<Entry>,
            under_way: VecDeque<VitalsBatch>,
            stored: Vec<Sample>,
            hashes: Vec<[u8; 32]>,
            gaps: Vec<Gap>,
            next: u64,
        }

        impl World {
            fn change(&mut self, entry: Entry) {
                self.journal.push(entry.clone());
                self.uplink.apply(entry);
            }

            fn commit(&mut self) -> Option<Seq> {
                let batch = self.under_way.pop_front()?;
                let high = self.stored.last().map_or(Seq(0), |sample| sample.seq);
                let new: Vec<Sample> = batch.samples.iter().filter(|s| s.seq > high).cloned().collect();
                let hash = batch.hash();
                if !self.hashes.contains(&hash) {
                    assert_eq!(new.len(), batch.samples.len(), "a batch comes whole or as it came before");
                    self.hashes.push(hash);
                }
                self.stored.extend(new);
                self.stored.last().map(|sample| sample.seq)
            }

            fn acknowledged(&mut self, seq: Seq) {
                if let Some(entry) = self.uplink.plan_acknowledgement(seq).unwrap() {
                    self.change(entry);
                }
            }

            fn act(&mut self, action: &Action) {
                match action {
                    Action::Take => {
                        self.next += 1;
                        let (entries, gap) = self.uplink.plan_sample(sample(self.next)).unwrap();
                        entries.into_iter().for_each(|entry| self.change(entry));
                        self.gaps.extend(gap);
                    }
                    Action::Send => {
                        while let Some(entry) = self.uplink.plan_batch() {
                            self.change(entry);
                        }
                        while let Some(batch) = self.uplink.poll_transmit() {
                            assert!((1..=MAX_SAMPLES).contains(&batch.samples.len()));
                            self.under_way.push_back(batch.clone());
                        }
                    }
                    Action::Commit(batches) => {
                        for _ in 0..*batches {
                            if let Some(seq) = self.commit() {
                                self.acknowledged(seq);
                            }
                        }
                    }
                    Action::LoseAck => {
                        self.commit();
                    }
                    Action::OldAck(any) => {
                        let old = any % (self.uplink.acknowledged().0 + 1);
                        assert_eq!(self.uplink.plan_acknowledgement(Seq(old)), Ok(None));
                    }
                    Action::FutureAck(ahead) => {
                        let future = Seq(self.uplink.formed.0 + ahead);
                        assert!(self.uplink.plan_acknowledgement(future).is_err());
                    }
                    Action::Reconnect => {
                        self.under_way.clear();
                        self.uplink.reconnected();
                    }
                    Action::Restart { shortened } => {
                        if *shortened {
                            self.journal = self.uplink.entries().collect();
                        }
                        let mut restored = Uplink::new(self.uplink.capacity);
                        self.journal.iter().cloned().for_each(|entry| restored.apply(entry));
                        assert!(restored.entries().eq(self.uplink.entries()));
                        assert_eq!(restored.tip, self.uplink.tip);
                        assert_eq!(restored.taken, self.uplink.taken);
                        self.uplink = restored;
                        self.under_way.clear();
                    }
                }
                assert!(self.uplink.stored() <= self.uplink.capacity);
                assert!(self.uplink.batches.len() <= MAX_IN_FLIGHT);
            }
        }

        proptest! {
            #[test]
            fn nothing_is_lost_but_what_is_reported(
                actions in proptest::collection::vec(action(), 1..300),
                capacity in prop_oneof![1_usize..20, Just(10_000)],
            ) {
                let mut world = World {
                    uplink: Uplink::new(capacity),
                    journal: vec![],
                    under_way: VecDeque::new(),
                    stored: vec![],
                    hashes: vec![],
                    gaps: vec![],
                    next: 0,
                };
                actions.iter().for_each(|action| world.act(action));
                world.act(&Action::Reconnect);
                while world.uplink.waiting() > 0 {
                    world.act(&Action::Send);
                    world.act(&Action::Commit(MAX_IN_FLIGHT));
                }
                prop_assert!(world.stored.windows(2).all(|pair| pair[0].seq < pair[1].seq));
                let missing: Vec<u64> = (1..=world.next)
                    .filter(|seq| world.stored.binary_search_by_key(seq, |sample| sample.seq.0).is_err())
                    .collect();
                let reported = |seq: u64| world.gaps.iter().any(|gap| (gap.first.0..=gap.last.0).contains(&seq));
                prop_assert!(missing.iter().all(|seq| reported(*seq)), "{missing:?} {:?}", world.gaps);
            }
        }
    }
}
