//! A device that may lose power, its gateway, and what must hold between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crypto::{Secret, purpose::StorageKey};
use protocol::id::DeviceId;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;
use crate::{
    config::{ConfigError, ConfigStore},
    flash::ram::{Cut, RamFlashError},
};

/// One call to the device, or one thing that happens on the way to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// With a value, or with the reason of this number.
    Take(u8),
    Batch,
    /// The oldest batch under way arrives and is acknowledged.
    Deliver,
    /// It arrives, and the acknowledgement does not.
    LoseAck,
    Reconnect,
    Reopen,
    Commit,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    Power,
    Damaged,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Flash(NorFlashErrorKind::Other) => Self::Power,
            StoreError::Damaged => Self::Damaged,
            other => panic!("{other}"),
        }
    }
}

impl From<ConfigError> for Failed {
    fn from(error: ConfigError) -> Self {
        assert_eq!(error, RamFlashError::NoPower.into());
        Self::Power
    }
}

/// What a gateway keeps, and what it would complain of.
#[derive(Debug, Clone, Default)]
pub(super) struct Gateway {
    /// By number: which measurement.
    pub(super) samples: BTreeMap<u64, u64>,
    chain: BTreeSet<[u8; 32]>,
}

impl Gateway {
    /// As `append_vitals` of the gateway's store.
    pub(super) fn receive(&mut self, batch: &VitalsBatch) -> Seq {
        let first = self.chain.is_empty() && batch.previous == [0; 32];
        assert!(first || self.chain.contains(&batch.previous), "a batch that follows no known one");
        self.chain.extend([batch.previous, batch.hash()]);
        assert!((1..=LIMITS.samples_per_batch).contains(&batch.samples.len()));
        for sample in &batch.samples {
            let tag = sample.taken.since_boot_ms;
            let before = self.samples.insert(sample.seq.0, tag);
            assert!(before.is_none_or(|before| before == tag), "{} is used twice", sample.seq.0);
        }
        Seq(*self.samples.last_key_value().unwrap().0)
    }
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) flash: Small,
    pub(super) uplink: Uplink,
    pub(super) gateway: Gateway,
    under_way: VecDeque<VitalsBatch>,
    /// The last number sent on this connection.
    sent: Seq,
    /// What `take` said is on flash, by number.
    pub(super) durable: BTreeMap<u64, u64>,
    pub(super) gaps: Vec<Gap>,
    /// Whether power failed while pages were emptied: that gap was told to nobody, only counted.
    pub(super) untold: bool,
    /// Whether bits have flipped.
    pub(super) damaged: bool,
    tag: u64,
    committed: u64,
}

fn config(flash: &mut Small) -> Result<(ConfigStore<u64>, Option<u64>), ConfigError> {
    let key = Secret::<StorageKey>::new([1; 32]);
    let (store, found) = ConfigStore::open(flash, &LAYOUT.config, &key, DeviceId::from_bytes([2; 16]))?;
    Ok((store, found.record()))
}

impl World {
    pub(super) fn new() -> Self {
        let (flash, uplink) = opened();
        Self {
            flash,
            uplink,
            gateway: Gateway::default(),
            under_way: VecDeque::new(),
            sent: Seq(0),
            durable: BTreeMap::new(),
            gaps: Vec::new(),
            untold: false,
            damaged: false,
            tag: 0,
            committed: 0,
        }
    }

    pub(super) fn step(&mut self, step: Step) -> Result<(), Failed> {
        match step {
            Step::Take(reason) => self.take(reason)?,
            Step::Batch => {
                if let Some(batch) = self.uplink.next_batch(&mut self.flash)? {
                    assert!(batch.samples[0].seq > self.sent, "order within a connection");
                    assert!(batch.samples.is_sorted_by(|a, b| a.seq < b.seq), "order within a batch");
                    self.sent = batch.last().unwrap();
                    self.under_way.push_back(batch);
                }
            }
            Step::Deliver => {
                if let Some(batch) = self.under_way.pop_front() {
                    let seq = self.gateway.receive(&batch);
                    let before = self.uplink.acknowledged();
                    let done = self.uplink.acknowledge(&mut self.flash, seq)?;
                    assert_eq!(matches!(done, Acknowledgement::Advanced { .. }), seq > before);
                }
            }
            Step::LoseAck => {
                if let Some(batch) = self.under_way.pop_front() {
                    self.gateway.receive(&batch);
                }
            }
            Step::Reconnect => {
                self.hang_up();
                self.uplink.reconnected();
            }
            Step::Reopen => {
                self.hang_up();
                self.uplink = Uplink::open(&mut self.flash, &LAYOUT, LIMITS, Seq(0))?.0;
            }
            Step::Commit => {
                let (mut store, _) = config(&mut self.flash)?;
                let mut rng = ChaCha20Rng::seed_from_u64(self.committed);
                store.commit(&mut self.flash, &(self.committed + 1), &mut rng)?;
                self.committed += 1;
            }
        }
        Ok(())
    }

    /// A step without a power cut. A damaged store may have to be opened again first.
    pub(super) fn must(&mut self, step: Step) {
        if let Err(failed) = self.step(step) {
            assert!(self.damaged && failed == Failed::Damaged, "{failed:?}");
            self.step(Step::Reopen).unwrap();
            self.step(step).unwrap();
        }
    }

    fn take(&mut self, reason: u8) -> Result<(), Failed> {
        self.tag += 1;
        let seq = self.uplink.next_seq();
        let mut sample = sample(seq, self.tag);
        if reason > 0 {
            sample.quantities = vec![KnownQuantity::HEART_RATE.reading(Err(Reason(reason)))];
        }
        // Should power fail, it may be there all the same.
        let full = self.durable.len() > 20;
        let gap = self.uplink.take(&mut self.flash, &sample).inspect_err(|_| self.untold |= full)?;
        self.durable.insert(seq.0, self.tag);
        self.gaps.extend(gap);
        Ok(())
    }

    fn hang_up(&mut self) {
        self.under_way.clear();
        self.sent = Seq(0);
    }

    /// Power fails at that write or erase of this step. Returns whether the step came so far.
    pub(super) fn step_with_cut(&mut self, step: Step, cut: Cut) -> bool {
        self.flash.cut_at(cut);
        let failed = self.step(step).is_err();
        self.flash.power_on();
        failed
    }

    /// After a power cut: the configuration is the old one or the new one, the store opens, goes on, and drains; nothing
    /// is lost but what is counted.
    pub(super) fn recover_and_drain(mut self) {
        let during_commit = self.committed + 1;
        let (_, found) = config(&mut self.flash).unwrap();
        let found = found.unwrap_or(0);
        assert!(found == self.committed || found == during_commit, "{found} of {}", self.committed);
        self.must(Step::Reopen);
        self.must(Step::Take(0));
        self.drain();
        self.check();
    }

    pub(super) fn drain(&mut self) {
        self.must(Step::Reconnect);
        loop {
            self.must(Step::Batch);
            if self.under_way.is_empty() {
                break;
            }
            self.must(Step::Deliver);
        }
        assert_eq!(self.uplink.waiting(), 0);
    }

    /// Everything durable arrived with its number, but for what is counted as lost; and the newest always did.
    pub(super) fn check(&self) {
        let missing: Vec<u64> = self
            .durable
            .iter()
            .filter(|(seq, tag)| self.gateway.samples.get(seq).is_none_or(|got| got != *tag))
            .map(|(seq, _)| *seq)
            .collect();
        assert!(missing.len() as u64 <= self.uplink.lost(), "{missing:?} of {}", self.uplink.lost());
        let told = |seq: &u64| self.gaps.iter().any(|gap| (gap.first.0..=gap.last.0).contains(seq));
        assert!(self.untold || missing.iter().all(told), "{missing:?} {:?}", self.gaps);
        let newest = self.durable.keys().rev().take(25);
        assert!(newest.clone().all(|seq| self.gateway.samples.contains_key(seq)), "{missing:?} {newest:?}");
        let mut tags = BTreeSet::new();
        assert!(
            self.gateway.samples.values().all(|tag| tags.insert(*tag)),
            "a measurement under two numbers"
        );
    }
}
