//! A region of flash as a queue of [`Item`]s, on `sequential-storage`. Owns how pages fill and empty; knows no numbers.
//!
//! The library writes an item's header and data under CRCs, repairs what a power cut left, uses the pages in turn, and
//! erases a page when the last item on it was taken out. It has one thing only by item: which page an item is on. The
//! adapter below notes the last address, and that tells.

use alloc::{vec, vec::Vec};
use core::{
    cell::Cell,
    fmt,
    future::Future,
    ops::Range,
    pin::pin,
    task::{Context, Poll, Waker},
};

use embedded_storage::nor_flash::NorFlashError;
use embedded_storage_async::nor_flash as wait;
use sequential_storage::{
    Error,
    cache::{Cache, Uncached, page_pointers::HeapPagePointers, page_states::HeapPageStates},
    queue::{QueueConfig, QueueStorage},
};

use super::{
    StoreError,
    item::{Item, MAX_MARK},
};
use crate::flash::Flash;

type PageCache = Cache<HeapPageStates, HeapPagePointers, Uncached>;
type Storage<'a, F> = QueueStorage<Noting<'a, F>, PageCache>;

/// Fewer cannot keep one page free and still hold something while the oldest is emptied.
const MIN_PAGES: usize = 3;
const MIN_PAGE_SIZE: usize = 256;
/// What the library puts before an item.
const HEADER: usize = 8;
/// Most items have room in so many bytes; the buffer grows for those that have not.
const BUFFER: usize = 512;
/// How often an item is written at most, should cells not take it.
const TRIES: usize = 4;

/// What to do about an item that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Keep,
    TakeOut,
    Stop,
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The page, counted from the start of the region.
    pub(super) page: usize,
    /// The first address behind it.
    pub(super) end: u32,
}

/// Whether there was room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Pushed {
    /// It is on flash. The page after this one comes next.
    On(usize),
    /// The next page, this one, still has items.
    Full(usize),
}

pub(super) struct Queue {
    range: Range<u32>,
    pages: usize,
    page_size: usize,
    cache: Option<PageCache>,
    /// Holds one item. Its length is that of the longest seen, at most a page.
    buffer: Vec<u8>,
}

impl Queue {
    /// # Errors
    /// [`StoreError::Layout`].
    pub(super) fn new<F: Flash>(range: &Range<u32>) -> Result<Self, StoreError> {
        QueueConfig::<Noting<'_, F>>::try_new(range.clone()).map_err(|_| StoreError::Layout)?;
        let pages = range.len() / F::ERASE_SIZE;
        if pages < MIN_PAGES || F::ERASE_SIZE < MIN_PAGE_SIZE {
            return Err(StoreError::Layout);
        }
        Ok(Self {
            range: range.clone(),
            pages,
            page_size: F::ERASE_SIZE,
            cache: None,
            buffer: vec![0; BUFFER],
        })
    }

    /// The longest item that leaves room for two marks on its page, in bytes.
    pub(super) const fn longest<F: Flash>(&self) -> usize {
        let marks = 2 * (padded::<F>(HEADER) + padded::<F>(MAX_MARK));
        self.page_size.saturating_sub(2 * word::<F>() + marks + padded::<F>(HEADER))
    }

    pub(super) const fn page_after(&self, page: usize) -> usize {
        (page + 1) % self.pages
    }

    /// Puts an item behind the others. A next page on which nothing is readable is erased for it.
    pub(super) fn push<F: Flash>(&mut self, flash: &mut F, item: &[u8]) -> Result<Pushed, StoreError> {
        match self.try_push(flash, item, false)? {
            Pushed::Full(page) if self.front_page(flash)? != Some(page) => self.try_push(flash, item, true),
            pushed => Ok(pushed),
        }
    }

    /// Where a cell does not take what is written, the item is written once more, behind.
    fn try_push<F: Flash>(&mut self, flash: &mut F, item: &[u8], erase: bool) -> Result<Pushed, StoreError> {
        for _ in 0..TRIES {
            let notes = Notes::default();
            let pushed =
                self.with(flash, &notes, async |storage, _| match storage.push(item, erase).await {
                    Ok(()) => Ok(true),
                    Err(Error::FullStorage) => Ok(false),
                    Err(error) => Err(error),
                })?;
            // The last address is in the item, or where the library found that the next page is not empty.
            let page = self.page_of(notes.last.get());
            match (pushed, notes.unlike.get()) {
                (false, _) => return Ok(Pushed::Full(page)),
                (true, false) => return Ok(Pushed::On(page)),
                (true, true) => {}
            }
        }
        Err(StoreError::WornOut)
    }

    /// Shows the items from the oldest on. One that cannot be understood is taken out. The closure
    /// is behind a pointer: a copy of this for each would be another 1.2 KB of flash.
    pub(super) fn visit<F: Flash>(
        &mut self,
        flash: &mut F,
        on: &mut dyn FnMut(Item<'_>, Place) -> Then,
    ) -> Result<(), StoreError> {
        let notes = Notes::default();
        let (start, page_size) = (self.range.start, self.page_size);
        self.with(flash, &notes, async |storage, buffer| {
            let mut items = storage.iter().await?;
            loop {
                let item = match items.next(buffer).await {
                    Ok(Some(item)) => item,
                    Ok(None) => return Ok(()),
                    Err(Error::BufferTooSmall(needed)) if needed <= page_size => {
                        buffer.resize(needed, 0);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let length = u32::try_from(padded::<F>(item.len())).unwrap_or(u32::MAX);
                let place = Place {
                    page: notes.last.get().saturating_sub(start) as usize / page_size,
                    end: notes.last.get().saturating_add(length),
                };
                match Item::parse(&item).map_or(Then::TakeOut, |item| on(item, place)) {
                    Then::Keep => {}
                    Then::TakeOut => {
                        item.pop().await?;
                    }
                    Then::Stop => return Ok(()),
                }
            }
        })
    }

    /// The page of the oldest item.
    pub(super) fn front_page<F: Flash>(&mut self, flash: &mut F) -> Result<Option<usize>, StoreError> {
        let mut page = None;
        self.visit(flash, &mut |_, place| {
            page = Some(place.page);
            Then::Stop
        })?;
        Ok(page)
    }

    /// Takes out the oldest item.
    pub(super) fn take_out_front<F: Flash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        let mut then = Then::TakeOut;
        self.visit(flash, &mut |_, _| core::mem::replace(&mut then, Then::Stop))
    }

    /// Erases every page.
    pub(super) fn erase<F: Flash>(&mut self, flash: &mut F) -> Result<(), StoreError> {
        self.cache = None;
        flash.erase(self.range.start, self.range.end).map_err(|error| StoreError::Flash(error.kind()))
    }

    /// Most items that the region can hold.
    pub(super) fn most_items(&self) -> u64 {
        (self.range.len() / (2 * HEADER)) as u64
    }

    /// Erases pages whose erasing was interrupted, and those that were begun and have no item: one before the newest items,
    /// as damage leaves it, would hide those. Says whether the rest is as the library leaves it: the pages that are in
    /// use follow each other, and only the last of them has room. Else what is put behind might not be found.
    pub(super) fn mend<F: Flash>(&mut self, flash: &mut F) -> Result<bool, StoreError> {
        let (mut first, mut before) = (None, None);
        let (mut ends, mut with_room) = (0, 0);
        for page in 0..self.pages {
            let [start, end] = self.body::<F>(page);
            let (from, to) = (start - word_u32::<F>(), end + word_u32::<F>());
            let begun = self.is_marked(flash, from..start)?;
            let closed = self.is_marked(flash, end..to)?;
            let empty = !closed && self.written_until(flash, start..end)?.is_none();
            let used = begun && !empty;
            if !used && (begun || closed) {
                flash.erase(from, to).map_err(|error| StoreError::Flash(error.kind()))?;
            }
            with_room += usize::from(used && !closed);
            let state = (used, closed);
            ends += before.map_or(0, |before| end_of_use(before, state));
            first = first.or(Some(state));
            before = Some(state);
        }
        ends += before.zip(first).map_or(0, |(last, first)| end_of_use(last, first));
        Ok(ends <= 1 && with_room <= 1)
    }

    /// As the library sees it: half a byte of zeros is enough.
    fn is_marked<F: Flash>(&mut self, flash: &mut F, marker: Range<u32>) -> Result<bool, StoreError> {
        let marker_len = (marker.end - marker.start) as usize;
        let bytes = self.buffer.get_mut(..marker_len).ok_or(StoreError::Layout)?;
        flash.read(marker.start, bytes).map_err(|error| StoreError::Flash(error.kind()))?;
        Ok(bytes.iter().map(|byte| byte.count_zeros()).sum::<u32>() >= 4)
    }

    /// Bytes behind the newest item that something was written to, though no item can be read there. `front` is the page of
    /// the oldest item.
    pub(super) fn unreadable<F: Flash>(
        &mut self,
        flash: &mut F,
        newest: Option<Place>,
        front: Option<usize>,
    ) -> Result<u64, StoreError> {
        let mut bytes = 0;
        let (mut page, mut from) = newest.map_or((0, 0), |place| (place.page, place.end));
        for _ in 0..self.pages {
            let [start, end] = self.body::<F>(page);
            let from_here = from.max(start);
            let until = self.written_until(flash, from_here..end)?;
            bytes += u64::from(until.map_or(0, |until| until - from_here));
            let closed = self.written_until(flash, end..end + word_u32::<F>())?.is_some();
            page = self.page_after(page);
            from = 0;
            if newest.is_some() && (!closed || front == Some(page)) {
                break;
            }
        }
        Ok(bytes)
    }

    /// Where the items of a page begin and end.
    fn body<F: Flash>(&self, page: usize) -> [u32; 2] {
        let size = (self.range.end - self.range.start) / u32::try_from(self.pages).unwrap_or(u32::MAX);
        let start = self.range.start + size * u32::try_from(page).unwrap_or(u32::MAX);
        [start + word_u32::<F>(), start + size - word_u32::<F>()]
    }

    /// The address behind the last byte that is not erased.
    fn written_until<F: Flash>(
        &mut self,
        flash: &mut F,
        range: Range<u32>,
    ) -> Result<Option<u32>, StoreError> {
        let chunk_size = (BUFFER / word::<F>() * word::<F>()).max(word::<F>());
        let mut until = None;
        let mut at = range.start;
        while at < range.end {
            let len = chunk_size.min((range.end - at) as usize);
            let chunk = self.buffer.get_mut(..len).ok_or(StoreError::Layout)?;
            flash.read(at, chunk).map_err(|error| StoreError::Flash(error.kind()))?;
            let written = chunk.iter().rposition(|byte| *byte != 0xff);
            until = written.and_then(|last| u32::try_from(last + 1).ok()).map(|last| at + last).or(until);
            at = at.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        }
        Ok(until)
    }

    fn page_of(&self, address: u32) -> usize {
        address.saturating_sub(self.range.start) as usize / self.page_size
    }

    fn with<F: Flash, T>(
        &mut self,
        flash: &mut F,
        notes: &Notes,
        work: impl AsyncFnOnce(&mut Storage<'_, F>, &mut Vec<u8>) -> Result<T, Error<F::Error>>,
    ) -> Result<T, StoreError> {
        let config = QueueConfig::try_new(self.range.clone()).map_err(|_| StoreError::Layout)?;
        let cache = self.cache.take().unwrap_or_else(|| {
            Cache::new(HeapPageStates::new(self.pages), HeapPagePointers::new(self.pages), Uncached)
        });
        let mut storage = QueueStorage::new(Noting { flash, notes }, config, cache);
        let done = at_once(work(&mut storage, &mut self.buffer));
        self.cache = Some(storage.destroy().1);
        done.unwrap_or(Err(Error::LogicBug {})).map_err(|error| match error {
            Error::Storage { value } => StoreError::Flash(value.kind()),
            Error::ItemTooBig => StoreError::TooBig,
            _ => StoreError::Damaged,
        })
    }
}

#[cfg(test)]
impl Clone for Queue {
    fn clone(&self) -> Self {
        Self { range: self.range.clone(), cache: None, buffer: self.buffer.clone(), ..*self }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("range", &self.range).finish_non_exhaustive()
    }
}

/// 1 if the pages in use end with the first of two neighbours (in use, full), or ought to.
const fn end_of_use(page: (bool, bool), next: (bool, bool)) -> usize {
    match (page, next) {
        ((true, _), (false, _)) | ((true, false), (true, _)) => 1,
        _ => 0,
    }
}

/// The result of a future that never waits; a blocking flash makes none that does.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

const fn word<F: Flash>() -> usize {
    let word = if F::READ_SIZE > F::WRITE_SIZE { F::READ_SIZE } else { F::WRITE_SIZE };
    // The library's page markers are a word: with less than 4 bytes, a few flipped bits could hide a page.
    if word < 4 { 4 } else { word }
}

fn word_u32<F: Flash>() -> u32 {
    u32::try_from(word::<F>()).unwrap_or(u32::MAX)
}

const fn padded<F: Flash>(length: usize) -> usize {
    length.next_multiple_of(word::<F>())
}

#[derive(Debug, Default)]
struct Notes {
    /// The last address read or written.
    last: Cell<u32>,
    /// Whether something did not stay as it was written.
    unlike: Cell<bool>,
}

/// A blocking flash as the library wants it, in words of at least 4 bytes.
struct Noting<'a, F> {
    flash: &'a mut F,
    notes: &'a Notes,
}

impl<F: Flash> wait::ErrorType for Noting<'_, F> {
    type Error = F::Error;
}

impl<F: Flash> wait::ReadNorFlash for Noting<'_, F> {
    const READ_SIZE: usize = word::<F>();

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.notes.last.set(offset);
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: Flash> wait::NorFlash for Noting<'_, F> {
    const WRITE_SIZE: usize = word::<F>();
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.flash.erase(from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        const CHUNK: usize = 64;
        self.notes.last.set(offset);
        self.flash.write(offset, bytes)?;
        let mut at = offset;
        for chunk in bytes.chunks(CHUNK) {
            let mut stays = [0; CHUNK];
            let (stays, _) = stays.split_at_mut(chunk.len());
            self.flash.read(at, stays)?;
            self.notes.unlike.set(self.notes.unlike.get() || stays != chunk);
            at = at.saturating_add(u32::try_from(CHUNK).unwrap_or(u32::MAX));
        }
        Ok(())
    }
}

impl<F: Flash> wait::MultiwriteNorFlash for Noting<'_, F> {}
