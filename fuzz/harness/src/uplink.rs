//! The wearable's store and forward, by operations: nothing is lost unseen, nothing is sent in another order or shape.

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Unstructured};
use protocol::{
    id::{BootId, Seq},
    vitals::{MAX_SAMPLES, Sample, SampleTime, VitalsBatch},
};
use wearable_core::uplink::{Entry, MAX_IN_FLIGHT, Uplink};

const MAX_OPERATIONS: usize = 256;

/// What happens to a device. `Damage` is an entry that no device of ours writes.
#[derive(Debug, Arbitrary)]
enum Operation {
    Take { skip: u8 },
    TakeMany(u8),
    Form,
    Send,
    Acknowledge(u8),
    AcknowledgeAny(u64),
    Reconnect,
    Restart,
    Damage(Damage),
}

#[derive(Debug, Arbitrary)]
enum Damage {
    Base { acknowledged: u64, formed: u64 },
    Taken(u64),
    Formed(u16),
    Acknowledged(u64),
    Dropped(u16),
}

struct Device {
    uplink: Uplink,
    capacity: usize,
    /// Taken and not yet acknowledged or reported as lost.
    owed: BTreeSet<u64>,
    sent: Vec<Seq>,
    /// Whether only what was planned was applied.
    sound: bool,
}

/// Every sample that is neither acknowledged nor reported as a gap is still there; a batch has 1 to 64 growing numbers
/// and its place in the chain; a restart from the entries gives an equal uplink; a damaged journal stops nobody.
pub fn uplink(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let capacity = 1 + usize::from(u8::arbitrary(&mut input).unwrap_or(0));
    let mut device = Device {
        uplink: Uplink::new(capacity),
        capacity,
        owed: BTreeSet::new(),
        sent: Vec::new(),
        sound: true,
    };
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let Ok(operation) = Operation::arbitrary(&mut input) else { break };
        device.apply(&operation);
        device.check();
    }
}

impl Device {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Take { skip } => self.take(u64::from(*skip)),
            Operation::TakeMany(count) => (0..*count).for_each(|_| self.take(0)),
            Operation::Form => {
                self.uplink.plan_batch().into_iter().for_each(|entry| self.uplink.apply(entry));
            }
            Operation::Send => self.send(),
            Operation::Acknowledge(which) => {
                if let Some(which) = usize::from(*which).checked_rem(self.sent.len()) {
                    self.acknowledge(self.sent[which]);
                }
            }
            Operation::AcknowledgeAny(seq) => self.acknowledge(Seq(*seq)),
            Operation::Reconnect => self.uplink.reconnected(),
            Operation::Restart => {
                let mut again = Uplink::new(self.capacity);
                self.uplink.entries().for_each(|entry| again.apply(entry));
                assert!(again.entries().eq(self.uplink.entries()), "a restart from a shortened journal");
                assert!(
                    !self.sound
                        || (again.taken(), again.stored()) == (self.uplink.taken(), self.uplink.stored())
                );
                self.uplink = again;
            }
            Operation::Damage(damage) => {
                self.sound = false;
                self.uplink.apply(damage.entry());
            }
        }
    }

    fn take(&mut self, skip: u64) {
        let Some(seq) = self.uplink.taken().0.checked_add(1 + skip) else { return };
        let refused = self.uplink.plan_sample(sample(self.uplink.taken().0));
        assert!(refused.is_err(), "a number twice");
        let (entries, gap) = self.uplink.plan_sample(sample(seq)).unwrap();
        if let Some(gap) = gap.filter(|_| self.sound) {
            let lost: Vec<u64> = self.owed.range(gap.first.0..=gap.last.0).copied().collect();
            assert_eq!(lost.len(), gap.samples, "a gap that says another count");
            lost.iter().for_each(|seq| assert!(self.owed.remove(seq)));
        }
        entries.into_iter().for_each(|entry| self.uplink.apply(entry));
        self.owed.insert(seq);
    }

    fn send(&mut self) {
        while let Some(batch) = self.uplink.poll_transmit() {
            let VitalsBatch { samples, .. } = batch;
            assert!(!self.sound || (1..=MAX_SAMPLES).contains(&samples.len()));
            assert!(!self.sound || samples.windows(2).all(|pair| pair[0].seq < pair[1].seq));
            self.sent.extend(batch.last());
        }
        let mut entries = self.uplink.entries();
        if let (true, Some(Entry::Base { formed, .. })) = (self.sound, entries.next())
            && entries.any(|entry| matches!(entry, Entry::Formed(_)))
        {
            assert!(self.sent.contains(&formed), "a batch was not handed out");
        }
    }

    fn acknowledge(&mut self, seq: Seq) {
        if let Ok(entry) = self.uplink.plan_acknowledgement(seq) {
            entry.into_iter().for_each(|entry| self.uplink.apply(entry));
            self.owed.retain(|owed| *owed > seq.0);
        }
    }

    fn check(&self) {
        if !self.sound {
            return;
        }
        assert!(self.uplink.stored() <= self.capacity.max(1), "more than fits");
        let kept: BTreeSet<u64> = self
            .uplink
            .entries()
            .filter_map(|entry| match entry {
                Entry::Taken(sample) => Some(sample.seq.0),
                _ => None,
            })
            .filter(|seq| *seq > self.uplink.acknowledged().0)
            .collect();
        assert_eq!(kept, self.owed, "a sample is gone that nobody acknowledged and no gap reported");
        assert_eq!(self.uplink.waiting(), self.owed.len());
        let formed = self.uplink.entries().filter(|entry| matches!(entry, Entry::Formed(_))).count();
        assert!(formed <= MAX_IN_FLIGHT);
    }
}

impl Damage {
    fn entry(&self) -> Entry {
        match *self {
            Self::Base { acknowledged, formed } => {
                Entry::Base { acknowledged: Seq(acknowledged), formed: Seq(formed), previous: [7; 32] }
            }
            Self::Taken(seq) => Entry::Taken(sample(seq)),
            Self::Formed(count) => Entry::Formed(count.into()),
            Self::Acknowledged(seq) => Entry::Acknowledged(Seq(seq)),
            Self::Dropped(count) => Entry::Dropped(count.into()),
        }
    }
}

fn sample(seq: u64) -> Sample {
    Sample {
        seq: Seq(seq),
        boot: BootId(1),
        taken: SampleTime { since_boot_ms: seq, wall: None },
        simulated: true,
        quantities: Vec::new(),
    }
}
