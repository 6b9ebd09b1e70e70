//! What a restart finds on flash: where things were, what is left of an interrupted change, and what cannot be read.

use alloc::collections::VecDeque;

use protocol::id::Seq;

use super::{
    Gap, Limits, RESERVE, StoreError, Uplink,
    gap::Lost,
    item::{Item, Mark, Marks},
    queue::{Place, Queue, Then},
    thinning::Thinning,
};
use crate::flash::{Flash, Layout};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Samples that the gateway does not have yet.
    pub waiting: u64,
    /// As [`Uplink::lost`].
    pub lost: u64,
    /// Numbers missing between the samples (not between the thinned ones, where that is the rule): damaged, or left out
    /// at an earlier restart. Told at each restart until they are acknowledged.
    pub missing: Option<Gap>,
    /// Numbers that will never be used, because something unreadable stands where they may have been: after a power cut
    /// in the middle of a write the number of that sample and the one after it.
    pub skipped: Option<Gap>,
}

/// What stands in a queue.
struct Scan {
    marks: Marks,
    samples: u64,
    first: Option<Seq>,
    last: Seq,
    missing: Lost,
    /// Bytes of the shortest sample.
    shortest: Option<usize>,
    front: Option<usize>,
    newest: Option<Place>,
    /// Numbers that may have stood in pages that had to be erased.
    erased: u64,
}

impl Scan {
    fn new() -> Self {
        Self {
            marks: Marks::default(),
            samples: 0,
            first: None,
            last: Seq(0),
            missing: Lost::default(),
            shortest: None,
            front: None,
            newest: None,
            erased: 0,
        }
    }

    /// A queue whose pages contradict each other is erased.
    fn of<F: Flash>(queue: &mut Queue, flash: &mut F) -> Result<Self, StoreError> {
        let mended = queue.mend(flash)?;
        match Self::try_of(queue, flash) {
            Ok(scan) if mended => Ok(scan),
            Ok(_) | Err(StoreError::Damaged) => {
                queue.erase(flash)?;
                Ok(Self { erased: queue.most_items(), ..Self::new() })
            }
            Err(error) => Err(error),
        }
    }

    fn try_of<F: Flash>(queue: &mut Queue, flash: &mut F) -> Result<Self, StoreError> {
        let mut scan = Self::new();
        queue.visit(flash, &mut |item, place| {
            scan.front = scan.front.or(Some(place.page));
            scan.newest = Some(place);
            match item {
                Item::Mark(mark) => scan.marks.add(mark),
                Item::Sample(stored) => scan.sample(stored.seq, stored.len()),
            }
            Then::Keep
        })?;
        Ok(scan)
    }

    fn sample(&mut self, seq: Seq, len: usize) {
        if self.first.is_some() && seq.0 > self.last.0.saturating_add(1) {
            self.missing.add(Seq(self.last.0 + 1), Seq(seq.0 - 1));
        }
        self.samples += 1;
        self.first = self.first.or(Some(seq));
        self.last = self.last.max(seq);
        self.shortest = Some(self.shortest.map_or(len, |shortest| shortest.min(len)));
    }
}

impl Uplink {
    /// Takes up what a flash holds; an erased one holds nothing. Reads both queues once or twice as a whole, item by item.
    /// `reserved`: what [`Self::reserve`] gave last; if all that remembers the last number is damaged, numbers go on behind it.
    ///
    /// # Errors
    /// [`StoreError::Flash`], [`StoreError::Layout`]. Damage is no error: see [`Recovery`].
    pub fn open<F: Flash>(
        flash: &mut F,
        layout: &Layout,
        limits: Limits,
        reserved: Seq,
    ) -> Result<(Self, Recovery), StoreError> {
        let mut uplink = Self {
            limits,
            samples: Queue::new::<F>(&layout.samples)?,
            thinned: Queue::new::<F>(&layout.thinned)?,
            thinning: Thinning::START,
            mark: Mark::START,
            written: Marks::default(),
            waiting: 0,
            formed: Seq(0),
            in_flight: VecDeque::new(),
            sent: 0,
            unreadable: Lost::default(),
        };
        let mut thinned = Scan::of(&mut uplink.thinned, flash)?;
        let mut samples = Scan::of(&mut uplink.samples, flash)?;
        uplink.restore_mark(&thinned, &samples, reserved);
        uplink.restore_thinning(flash, thinned.last)?;
        let skipped = uplink.skip(flash, &thinned, &samples, reserved)?;
        let had = uplink.mark.acknowledged;
        let interrupted = thinned.first.is_some_and(|first| first <= had)
            || samples.first.is_some_and(|first| !uplink.counts(first));
        if interrupted {
            uplink.let_go(flash)?;
            uplink.take_out_thinned(flash)?;
            thinned = Scan::of(&mut uplink.thinned, flash)?;
            samples = Scan::of(&mut uplink.samples, flash)?;
        }
        uplink.waiting = thinned.samples + samples.samples;
        if uplink.written.newest.is_none() {
            // From now on, a flash without a mark is a damaged one.
            uplink.write(flash, uplink.next_mark())?;
        }
        let (waiting, lost) = (uplink.waiting, uplink.lost());
        Ok((uplink, Recovery { waiting, lost, missing: samples.missing.gap(), skipped }))
    }

    /// Without any mark, what came before the first sample counts as acknowledged; without any sample, all of it.
    fn restore_mark(&mut self, thinned: &Scan, samples: &Scan, reserved: Seq) {
        self.written = thinned.marks.merge(samples.marks);
        self.mark = self.written.newest.unwrap_or_else(|| {
            let first = thinned.first.or(samples.first);
            let acknowledged = first.map_or(reserved, |first| Seq(first.0.saturating_sub(1)));
            Mark { acknowledged, ..Mark::START }
        });
        self.mark.taken = self.mark.taken.max(thinned.last).max(samples.last).max(self.mark.acknowledged);
        // Any of them may have been sent before the restart.
        self.formed = self.mark.taken;
    }

    fn restore_thinning<F: Flash>(&mut self, flash: &mut F, last: Seq) -> Result<(), StoreError> {
        let thinning = &mut self.thinning;
        self.thinned.visit(flash, &mut |item, _| {
            if let Item::Sample(stored) = item
                && stored.seq == last
            {
                *thinning = Thinning::after(last, stored.decode().as_ref());
            }
            Then::Keep
        })
    }

    /// Leaves out the numbers of what may have stood where nothing can be read now: they may have been sent.
    fn skip<F: Flash>(
        &mut self,
        flash: &mut F,
        thinned: &Scan,
        samples: &Scan,
        reserved: Seq,
    ) -> Result<Option<Gap>, StoreError> {
        /// A sample without a single quantity, and its header.
        const SHORTEST: u64 = 24;
        let bytes = self.samples.unreadable(flash, samples.newest, samples.front)?;
        let shortest = [samples.shortest, thinned.shortest].into_iter().flatten().min();
        let shortest = shortest.map_or(SHORTEST, |len| (len as u64).max(SHORTEST));
        // Samples differ in length, but hardly by more than half.
        let in_bytes = if bytes == 0 { 0 } else { 1 + 2 * bytes / shortest };
        let mut numbers = in_bytes + samples.erased;
        let last = self.mark.taken.0.saturating_add(numbers);
        if self.written.newest.is_none() || last.saturating_add(RESERVE) < reserved.0 {
            numbers = numbers.max(reserved.0.saturating_sub(self.mark.taken.0));
        }
        if numbers == 0 {
            return Ok(None);
        }
        let first = self.next_seq();
        self.mark.taken = Seq(self.mark.taken.0.saturating_add(numbers));
        Ok(Some(Gap { first, last: self.mark.taken, samples: numbers }))
    }

    /// Takes out the samples that a power cut left here after they were put among the thinned ones.
    fn take_out_thinned<F: Flash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        let kept = self.thinning.kept();
        self.samples.visit(flash, &mut |item, _| match item {
            Item::Mark(_) => Then::Keep,
            Item::Sample(stored) if stored.seq > kept => Then::Stop,
            Item::Sample(_) => Then::TakeOut,
        })
    }
}
