//! The wearable's store and forward, by operations: nothing is lost unseen, nothing is sent in another order, no number is
//! used twice, whatever power and the flash's cells do.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use protocol::{
    id::{BootId, Seq},
    reading::Reason,
    vitals::{KnownQuantity, Sample, SampleTime},
};
use wearable_core::{
    flash::{
        Layout,
        ram::{Cut, RamFlash},
    },
    uplink::{Acknowledgement, Limits, StoreError, Uplink},
};

const MAX_OPERATIONS: usize = 256;
/// Small enough that both queues fill.
const LAYOUT: Layout = Layout { config: 0..512, samples: 512..2304, thinned: 2304..3328 };
const PAGES: usize = 13;

/// What happens to a device.
#[derive(Debug, Arbitrary)]
enum Operation {
    Take {
        reason: Option<u8>,
    },
    TakeMany(u8),
    Send,
    Acknowledge(u8),
    AcknowledgeAny(u64),
    Reconnect,
    Restart,
    /// Power fails so many writes later, and so much of that write is done.
    Cut {
        after: u8,
        done: Option<u8>,
    },
    Flip {
        address: u16,
        bits: u8,
    },
    Erase,
    BeginChain,
}

struct Device {
    flash: RamFlash<256>,
    uplink: Uplink,
    limits: Limits,
    /// Taken, neither acknowledged nor reported as lost: by number, when.
    owed: BTreeMap<u64, u64>,
    /// What is known to have been under which number.
    used: BTreeMap<u64, u64>,
    sent: Vec<Seq>,
    /// The last number sent on this connection.
    last: Seq,
    now: u64,
    /// Losses that a power cut left unreported.
    untold: bool,
    /// Whether bits have flipped.
    damaged: bool,
}

/// Every sample that is neither acknowledged nor counted as lost is still there and comes with its number; a batch
/// keeps its limits and the order; damage ends in no panic.
pub fn uplink(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let byte = u8::arbitrary(&mut input).unwrap_or(0);
    let limits = Limits {
        in_flight: usize::from(byte & 3),
        samples_per_batch: usize::from(byte >> 2 & 15),
        batch_bytes: if byte & 64 == 0 { 2048 } else { 128 },
    };
    let mut flash = RamFlash::new(PAGES);
    let uplink = Uplink::open(&mut flash, &LAYOUT, limits, Seq(0)).unwrap().0;
    let mut device = Device {
        flash,
        uplink,
        limits,
        owed: BTreeMap::new(),
        used: BTreeMap::new(),
        sent: Vec::new(),
        last: Seq(0),
        now: 0,
        untold: false,
        damaged: false,
    };
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let Ok(operation) = Operation::arbitrary(&mut input) else { break };
        device.apply(&operation);
    }
    device.drain();
}

impl Device {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Take { reason } => self.take(*reason),
            Operation::TakeMany(count) => (0..*count).for_each(|_| self.take(None)),
            Operation::Send => self.send(),
            Operation::Acknowledge(which) => {
                if let Some(which) = usize::from(*which).checked_rem(self.sent.len()) {
                    self.acknowledge(self.sent[which]);
                }
            }
            Operation::AcknowledgeAny(seq) => self.acknowledge(Seq(*seq)),
            Operation::Reconnect => self.reconnect(),
            Operation::Restart => self.restart(),
            Operation::Cut { after, done } => {
                let at = self.flash.operations() + u64::from(*after);
                self.flash.cut_at(done.map_or(Cut::Before(at), |done| Cut::Within(at, done)));
            }
            Operation::Flip { address, bits } => {
                self.damaged |= *bits != 0;
                self.flash.flip(usize::from(*address) % (PAGES * 256), *bits);
            }
            Operation::Erase => {
                if self.done(|uplink, flash| uplink.erase(flash)).is_some() {
                    self.owed.clear();
                } else {
                    // Begun and not finished: it is not said what is left.
                    self.damaged = true;
                }
            }
            Operation::BeginChain => {
                self.done(|uplink, flash| uplink.begin_chain(flash));
                self.last = Seq(0);
            }
        }
    }

    /// `None` if power failed or the store had to be opened again.
    fn done<T>(
        &mut self,
        work: impl FnOnce(&mut Uplink, &mut RamFlash<256>) -> Result<T, StoreError>,
    ) -> Option<T> {
        match work(&mut self.uplink, &mut self.flash) {
            Ok(done) => Some(done),
            Err(StoreError::Flash(_)) => {
                self.untold = true;
                self.restart();
                None
            }
            Err(error) => {
                assert!(self.damaged, "{error} without damage");
                self.restart();
                None
            }
        }
    }

    fn restart(&mut self) {
        let taken = self.uplink.taken();
        let opened = Uplink::open(&mut self.flash, &LAYOUT, self.limits, Seq(0));
        let (uplink, recovery) = opened.unwrap_or_else(|_| {
            self.flash.power_on();
            Uplink::open(&mut self.flash, &LAYOUT, self.limits, Seq(0)).unwrap()
        });
        self.flash.power_on();
        assert!(self.damaged || uplink.taken() >= taken, "numbers would be used twice");
        assert_eq!(recovery.waiting, uplink.waiting());
        self.uplink = uplink;
        self.last = Seq(0);
    }

    fn reconnect(&mut self) {
        self.uplink.reconnected();
        self.last = Seq(0);
    }

    fn take(&mut self, reason: Option<u8>) {
        self.now += 1;
        let (seq, now) = (self.uplink.next_seq(), self.now);
        let reading = match reason {
            Some(reason) => KnownQuantity::SPO2.reading(Err(Reason(reason))),
            None => KnownQuantity::SPO2.measured(97, 0),
        };
        let sample = Sample {
            seq,
            boot: BootId(1),
            taken: SampleTime { since_boot_ms: now, wall: None },
            simulated: true,
            quantities: vec![reading],
        };
        let Some(gap) = self.done(|uplink, flash| {
            assert!(
                uplink.take(flash, &Sample { seq: uplink.taken(), ..sample.clone() }).is_err(),
                "a number twice"
            );
            uplink.take(flash, &sample)
        }) else {
            return;
        };
        if let Some(gap) = gap.filter(|_| !self.untold && !self.damaged) {
            let owed = self.owed.range(gap.first.0..=gap.last.0).count() as u64;
            assert!(owed >= gap.samples, "a gap that says too many");
        }
        assert!(self.damaged || self.used.insert(seq.0, now).is_none());
        self.owed.insert(seq.0, now);
    }

    fn send(&mut self) {
        while let Some(batch) = self.done(|uplink, flash| uplink.next_batch(flash)).flatten() {
            let most = self.limits.samples_per_batch.clamp(1, 64);
            assert!(self.damaged || (1..=most).contains(&batch.samples.len()));
            assert!(batch.samples.len() == 1 || batch.encode().len() <= self.limits.batch_bytes);
            for sample in batch.samples.iter().filter(|_| !self.damaged) {
                assert!(sample.seq > self.last, "out of order");
                let taken = sample.taken.since_boot_ms;
                assert!(
                    self.used.get(&sample.seq.0).is_none_or(|used| *used == taken),
                    "another measurement"
                );
                self.last = sample.seq;
            }
            self.sent.extend(batch.last());
        }
    }

    fn acknowledge(&mut self, seq: Seq) {
        let before = self.uplink.acknowledged();
        let Some(done) = self.done(|uplink, flash| uplink.acknowledge(flash, seq)) else {
            // Whether it was written down before power failed, the restart knows.
            let after = self.uplink.acknowledged();
            assert!(self.damaged || after == before || after == seq, "acknowledged by nobody");
            self.owed.retain(|owed, _| *owed > after.0);
            return;
        };
        match done {
            Acknowledgement::Advanced { .. } => self.owed.retain(|owed, _| *owed > seq.0),
            Acknowledgement::Old => assert!(seq <= self.uplink.acknowledged()),
            Acknowledgement::Future { sent } => assert!(seq > sent),
        }
    }

    /// What is owed arrives, or it is counted.
    fn drain(&mut self) {
        self.flash.power_on();
        let mut arrived = 0;
        self.reconnect();
        while let Some(batch) = self.done(|uplink, flash| uplink.next_batch(flash)).flatten() {
            arrived += batch.samples.iter().filter(|sample| self.owed.contains_key(&sample.seq.0)).count();
            if let Some(last) = batch.last() {
                self.done(|uplink, flash| uplink.acknowledge(flash, last));
            }
        }
        assert!(self.damaged || self.uplink.waiting() == 0);
        let missing = (self.owed.len() - arrived) as u64;
        assert!(
            self.damaged || missing <= self.uplink.lost(),
            "{missing} gone, {} counted",
            self.uplink.lost()
        );
    }
}
