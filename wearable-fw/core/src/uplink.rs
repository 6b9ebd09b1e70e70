//! Store and forward on flash: every sample is kept until the gateway says that it is committed there.
//!
//! Owns the order, the batches, the chain of their hashes, and what happens when there is no room. Knows no socket, no
//! clock and no chip. Samples live in two queues on flash; memory holds what is in flight (of each batch its last number
//! and its hash), one item and the batch being made.
//!
//! ```text
//! take -> samples --page full--> thinned (1 in 10, and every change of state) --page full--> lost, and said so
//!            |                      |
//!            +----- next_batch <----+ first     acknowledge: a mark is written, then the items are taken out
//! ```
//!
//! A sample counts as lost when its number is neither acknowledged nor on flash. That is never written down as such but
//! follows from the numbers, so no power cut can make it wrong.

use alloc::{collections::VecDeque, vec::Vec};

use embedded_storage::nor_flash::NorFlashErrorKind;
use protocol::{
    id::Seq,
    vitals::{MAX_SAMPLES, Sample, VitalsBatch},
};
use thiserror::Error;

use self::{
    front::Front,
    gap::Lost,
    item::{Item, Mark, Marks, encode_sample},
    queue::{Pushed, Queue, Then},
    thinning::Thinning,
};
pub use self::{gap::Gap, recovery::Recovery};
use crate::flash::Flash;

mod front;
mod gap;
mod item;
mod queue;
mod recovery;
mod thinning;

/// Numbers that are reserved at once: once in 68 minutes at one sample a second.
const RESERVE: u64 = 4_096;

/// What an uplink may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most batches that are sent and not yet acknowledged; at least 1.
    pub in_flight: usize,
    /// Most samples in a batch, 1 to 64.
    pub samples_per_batch: usize,
    /// Longest body of a VITALS frame, in bytes. One sample goes however long it is.
    pub batch_bytes: usize,
}

/// A sample was not stored, or samples were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The chip's driver says so.
    #[error("the flash failed: {0}. Try again; if it stays so, the chip is broken")]
    Flash(NorFlashErrorKind),
    /// The layout's fault.
    #[error(
        "samples and thinned samples need at least 3 erase pages each, of at least 256 bytes: correct the layout"
    )]
    Layout,
    /// More than a page takes.
    #[error(
        "the sample does not fit on a page: measure fewer quantities, or give the flash bigger erase pages"
    )]
    TooBig,
    /// A number that does not follow the last one.
    #[error("sample {} comes after {}: numbers only grow, ask for the next one", .sample.0, .last.0)]
    NotGrowing {
        /// The number offered.
        sample: Seq,
        /// The last one taken.
        last: Seq,
    },
    /// What was written reads back differently, in several places.
    #[error("the flash does not keep what is written: it is worn out, replace the device")]
    WornOut,
    /// The pages contradict each other.
    #[error("the flash is damaged: open the store again, it keeps what can still be read")]
    Damaged,
}

/// What an acknowledgement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// Samples were let go.
    Advanced {
        /// How many.
        deleted: u64,
    },
    /// Nothing: an earlier one said as much.
    Old,
    /// Nothing: it names samples that were never sent. The gateway is wrong, or it is not ours.
    Future {
        /// The last number ever sent since this store was opened.
        sent: Seq,
    },
}

#[derive(Debug, Clone, Copy)]
struct InFlight {
    last: Seq,
    hash: [u8; 32],
}

/// Samples on their way to the gateway, oldest first. Numbers start at 1.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Uplink {
    limits: Limits,
    samples: Queue,
    thinned: Queue,
    thinning: Thinning,
    mark: Mark,
    written: Marks,
    /// Samples on flash that the gateway does not have.
    waiting: u64,
    /// The last number put into a batch.
    formed: Seq,
    in_flight: VecDeque<InFlight>,
    /// How many of them were handed out on this connection.
    sent: usize,
    /// Samples whose number alone could be read.
    unreadable: Lost,
}

impl Uplink {
    /// Takes a sample. It is on flash when this returns; what was lost to make room is told.
    ///
    /// # Errors
    /// [`StoreError`]. After [`StoreError::Flash`] the sample may be stored all the same: [`Self::taken`] tells.
    pub fn take<F: Flash>(&mut self, flash: &mut F, sample: &Sample) -> Result<Option<Gap>, StoreError> {
        if sample.seq <= self.mark.taken {
            return Err(StoreError::NotGrowing { sample: sample.seq, last: self.mark.taken });
        }
        let item = encode_sample(sample);
        if item.len() > self.samples.longest::<F>().min(self.thinned.longest::<F>()) {
            return Err(StoreError::TooBig);
        }
        let mut lost = Lost::default();
        let page = match self.samples.push(flash, &item)? {
            Pushed::On(page) => page,
            Pushed::Full(page) => {
                self.thin(flash, page, &mut lost)?;
                let Pushed::On(page) = self.samples.push(flash, &item)? else {
                    return Err(StoreError::Damaged);
                };
                page
            }
        };
        self.mark.taken = sample.seq;
        self.waiting += 1;
        // One page stays free, so that a mark always finds room.
        self.thin(flash, self.samples.page_after(page), &mut lost)?;
        Ok(lost.gap())
    }

    /// Empties a page of the samples if it is the oldest one.
    fn thin<F: Flash>(&mut self, flash: &mut F, page: usize, lost: &mut Lost) -> Result<(), StoreError> {
        while let Some(front) = Front::of(&mut self.samples, flash, page)? {
            match front {
                Front::Sample(seq, sample) if self.counts(seq) => match sample {
                    Some(sample) if self.thinning.keeps(&sample) => {
                        let page = self.keep(flash, &encode_sample(&sample), lost)?;
                        // Before anything else can fail: it must not be kept twice.
                        self.thinning = Thinning::after(seq, Some(&sample));
                        self.drop_page(flash, page, lost)?;
                    }
                    _ => self.lose(seq, lost),
                },
                Front::Mark(mark) if !self.written.outdates(mark) => {
                    let copy = self.next_mark();
                    let page = self.keep(flash, &copy.encode(), lost)?;
                    self.wrote(copy);
                    self.drop_page(flash, page, lost)?;
                }
                Front::Sample(..) | Front::Mark(_) => {}
            }
            self.samples.take_out_front(flash)?;
        }
        Ok(())
    }

    /// Puts an item behind the thinned samples. The page that is to be free then is the one given.
    fn keep<F: Flash>(&mut self, flash: &mut F, item: &[u8], lost: &mut Lost) -> Result<usize, StoreError> {
        let page = match self.thinned.push(flash, item)? {
            Pushed::On(page) => page,
            Pushed::Full(page) => {
                self.drop_page(flash, page, lost)?;
                let Pushed::On(page) = self.thinned.push(flash, item)? else {
                    return Err(StoreError::Damaged);
                };
                page
            }
        };
        Ok(self.thinned.page_after(page))
    }

    /// Empties a page of the thinned samples if it is the oldest one.
    fn drop_page<F: Flash>(&mut self, flash: &mut F, page: usize, lost: &mut Lost) -> Result<(), StoreError> {
        while let Some(front) = Front::of(&mut self.thinned, flash, page)? {
            match front {
                Front::Sample(seq, _) if seq > self.mark.acknowledged => self.lose(seq, lost),
                Front::Mark(mark) if !self.written.outdates(mark) => {
                    let copy = self.next_mark();
                    if let Pushed::On(_) = self.thinned.push(flash, &copy.encode())? {
                        self.wrote(copy);
                    }
                }
                Front::Sample(..) | Front::Mark(_) => {}
            }
            self.thinned.take_out_front(flash)?;
        }
        Ok(())
    }

    /// Whether one of the samples (not of the thinned ones) is neither acknowledged nor thinned already.
    fn counts(&self, seq: Seq) -> bool {
        seq > self.mark.acknowledged.max(self.thinning.kept())
    }

    fn lose(&mut self, seq: Seq, lost: &mut Lost) {
        self.waiting = self.waiting.saturating_sub(1);
        lost.add(seq, seq);
    }

    /// Lets go what the gateway has.
    ///
    /// # Errors
    /// [`StoreError::Flash`], [`StoreError::Damaged`]. Nothing is let go that was not acknowledged.
    pub fn acknowledge<F: Flash>(&mut self, flash: &mut F, seq: Seq) -> Result<Acknowledgement, StoreError> {
        if seq > self.formed {
            return Ok(Acknowledgement::Future { sent: self.formed });
        }
        if seq <= self.mark.acknowledged {
            return Ok(Acknowledgement::Old);
        }
        let deleted = self.count(flash, seq)?;
        let whole = self.in_flight.iter().take_while(|batch| batch.last <= seq).count();
        let numbers = seq.0 - self.mark.acknowledged.0;
        let mark = Mark {
            acknowledged: seq,
            lost: self.mark.lost.saturating_add(numbers.saturating_sub(deleted)),
            // Of several, the gateway has the first for certain; the others it may know from another connection.
            previous: self.chain_before(whole.min(1)),
            ..self.next_mark()
        };
        let written = self.write(flash, mark)?;
        self.mark = mark;
        self.waiting = self.waiting.saturating_sub(deleted);
        self.in_flight.drain(..whole);
        self.sent = self.sent.saturating_sub(whole);
        self.let_go(flash)?;
        // With all pages full, there is room only now.
        if !written && self.write(flash, mark)? {
            self.let_go(flash)?;
        }
        Ok(Acknowledgement::Advanced { deleted })
    }

    /// Samples on flash that the gateway did not have and that are no newer than this.
    fn count<F: Flash>(&mut self, flash: &mut F, last: Seq) -> Result<u64, StoreError> {
        let mut samples = 0;
        self.visit(flash, &mut |item| match item {
            Item::Sample(stored) if stored.seq > last => Then::Stop,
            Item::Sample(_) => {
                samples += 1;
                Then::Keep
            }
            Item::Mark(_) => Then::Keep,
        })?;
        Ok(samples)
    }

    /// Shows what waits for the gateway, oldest first, and the marks in between. To stop ends each queue by itself.
    fn visit<F: Flash>(
        &mut self,
        flash: &mut F,
        on: &mut dyn FnMut(Item<'_>) -> Then,
    ) -> Result<(), StoreError> {
        let acknowledged = self.mark.acknowledged;
        let thinned = acknowledged.max(self.thinning.kept());
        for (queue, had) in [(&mut self.thinned, acknowledged), (&mut self.samples, thinned)] {
            queue.visit(flash, &mut |item, _| match &item {
                Item::Sample(stored) if stored.seq <= had => Then::Keep,
                _ => on(item),
            })?;
        }
        Ok(())
    }

    /// How far things are now.
    const fn next_mark(&self) -> Mark {
        Mark { serial: self.mark.serial.saturating_add(1), ..self.mark }
    }

    /// Writes a mark behind the samples, if there is room.
    fn write<F: Flash>(&mut self, flash: &mut F, mark: Mark) -> Result<bool, StoreError> {
        let pushed = self.samples.push(flash, &mark.encode())?;
        let written = matches!(pushed, Pushed::On(_));
        if written {
            self.wrote(mark);
        }
        Ok(written)
    }

    fn wrote(&mut self, mark: Mark) {
        self.mark.serial = mark.serial;
        self.written.add(mark);
    }

    /// Takes out what is acknowledged and the marks that are outdated. The newest sample goes only when a mark on flash
    /// remembers its number.
    fn let_go<F: Flash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        let (mark, written) = (self.mark, self.written);
        let remembered = written.newest.is_some_and(|newest| newest.taken >= mark.taken);
        for queue in [&mut self.thinned, &mut self.samples] {
            queue.visit(flash, &mut |item, _| match item {
                Item::Mark(mark) if written.outdates(mark) => Then::TakeOut,
                Item::Mark(_) => Then::Keep,
                Item::Sample(stored) if stored.seq > mark.acknowledged => Then::Stop,
                Item::Sample(stored) if remembered || stored.seq < mark.taken => Then::TakeOut,
                Item::Sample(_) => Then::Keep,
            })?;
        }
        Ok(())
    }

    /// A new connection: everything unacknowledged is handed out again, from the oldest.
    pub const fn reconnected(&mut self) {
        self.sent = 0;
    }

    /// The next batch for this connection; none while as many as may be are under way, or nothing waits.
    ///
    /// # Errors
    /// [`StoreError::Flash`], [`StoreError::Damaged`].
    pub fn next_batch<F: Flash>(&mut self, flash: &mut F) -> Result<Option<VitalsBatch>, StoreError> {
        loop {
            let again = self.in_flight.get(self.sent).map(|batch| batch.last);
            if again.is_none() && self.in_flight.len() >= self.limits.in_flight.max(1) {
                return Ok(None);
            }
            let before = self.sent.checked_sub(1).and_then(|before| self.in_flight.get(before));
            let after = before.map_or(self.mark.acknowledged, |batch| batch.last);
            let previous = self.chain_before(self.sent);
            let samples = self.collect(flash, after, again)?;
            let batch = VitalsBatch { previous, samples };
            let Some(last) = batch.last() else {
                if again.is_none() {
                    return Ok(None);
                }
                // All of it was lost meanwhile.
                self.in_flight.remove(self.sent);
                continue;
            };
            let sent = InFlight { last, hash: batch.hash() };
            match self.in_flight.get_mut(self.sent) {
                // Its last samples may be lost by now.
                Some(batch) => *batch = sent,
                None => self.in_flight.push_back(sent),
            }
            self.sent += 1;
            self.formed = self.formed.max(last);
            return Ok(Some(batch));
        }
    }

    /// What the batch at this place among those in flight names as its predecessor.
    fn chain_before(&self, place: usize) -> [u8; 32] {
        let before = place.checked_sub(1).and_then(|before| self.in_flight.get(before));
        before.map_or(self.mark.previous, |batch| batch.hash)
    }

    /// The samples of a batch: those of the same batch before, up to `until`, or as many as may be.
    fn collect<F: Flash>(
        &mut self,
        flash: &mut F,
        after: Seq,
        until: Option<Seq>,
    ) -> Result<Vec<Sample>, StoreError> {
        const HASH_AND_COUNT: usize = 32 + 1;
        let most = self.limits.samples_per_batch.clamp(1, MAX_SAMPLES);
        let most_bytes = self.limits.batch_bytes.saturating_sub(HASH_AND_COUNT);
        let (mut samples, mut bytes, mut waiting, mut full) = (Vec::new(), 0, 0, false);
        let (mut unreadable, mut gone) = (core::mem::take(&mut self.unreadable), 0);
        let visited = self.visit(flash, &mut |item| {
            let Item::Sample(stored) = item else { return Then::Keep };
            waiting += 1;
            bytes += if stored.seq > after { stored.len() } else { 0 };
            full |= samples.len() >= most
                || until.is_some_and(|until| stored.seq > until)
                || (!samples.is_empty() && bytes > most_bytes && until.is_none());
            if full {
                return Then::Stop;
            }
            if stored.seq > after {
                let Some(sample) = stored.decode() else {
                    unreadable.add(stored.seq, stored.seq);
                    (gone, waiting) = (gone + 1, waiting - 1);
                    return Then::TakeOut;
                };
                samples.push(sample);
            }
            Then::Keep
        });
        self.unreadable = unreadable;
        self.waiting = self.waiting.saturating_sub(gone);
        visited?;
        if !full {
            self.waiting = waiting;
        }
        Ok(samples)
    }

    /// Samples that were found to be unreadable since the last call, as those of another firmware would be. They are lost.
    pub fn poll_unreadable(&mut self) -> Option<Gap> {
        core::mem::take(&mut self.unreadable).gap()
    }

    /// Forgets the samples and the chain, for good, as a factory reset wants it. The numbers go on: a gateway would take
    /// used ones for repetitions.
    ///
    /// # Errors
    /// [`StoreError`]; erase again.
    pub fn erase<F: Flash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        let Mark { serial, taken, .. } = self.next_mark();
        self.mark = Mark { serial, acknowledged: taken, taken, ..Mark::START };
        self.waiting = 0;
        self.formed = taken;
        self.in_flight.clear();
        self.sent = 0;
        self.thinning = Thinning::START;
        // At every moment one of the queues remembers the last number.
        self.thinned.erase(flash)?;
        let Pushed::On(_) = self.thinned.push(flash, &self.mark.encode())? else {
            return Err(StoreError::Damaged);
        };
        self.wrote(self.mark);
        self.samples.erase(flash)?;
        self.write(flash, self.next_mark()).map(drop)
    }

    /// Begins a new chain, for a gateway that knows nothing of the old one. Samples stay.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_chain<F: Flash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        self.in_flight.clear();
        self.sent = 0;
        self.mark.previous = [0; 32];
        self.write(flash, self.next_mark()).map(drop)
    }

    /// The number of the next sample.
    #[must_use]
    pub const fn next_seq(&self) -> Seq {
        Seq(self.mark.taken.0.saturating_add(1))
    }

    /// Numbers up to this one may be used once this is written down elsewhere, for [`Self::open`]: should all be damaged that
    /// remembers the last number used, none is used twice.
    #[must_use]
    pub const fn reserve(&self) -> Seq {
        Seq(self.mark.taken.0.saturating_add(RESERVE))
    }

    /// Samples that the gateway does not have yet.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Samples that the gateway will never have: thinned out, dropped or damaged, since the device was made. After damage to all
    /// that remembers the last number it is too high by up to 4096: of the numbers left out, nobody knows which were taken.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        let open = self.mark.taken.0.saturating_sub(self.mark.acknowledged.0);
        self.mark.lost.saturating_add(open.saturating_sub(self.waiting))
    }

    /// The gateway has everything up to here.
    #[must_use]
    pub const fn acknowledged(&self) -> Seq {
        self.mark.acknowledged
    }

    /// The last number taken, 0 before the first.
    #[must_use]
    pub const fn taken(&self) -> Seq {
        self.mark.taken
    }
}

#[cfg(test)]
mod tests;
