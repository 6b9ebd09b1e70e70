//! One slot: where its head, its pages and their words lie, and whether its image verifies. Knows nothing of the other
//! slot.

use embedded_storage::nor_flash::NorFlash;
use protocol::image::{HEADER, Header, Refusal};

use super::{BLOCK, Layout, Slot, Trust};

/// A slot's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    start: u32,
    end: u32,
    /// First byte of the body.
    body: u32,
    page: u32,
    word: u32,
}

const BLOCK_U32: u32 = 256;
const _: () = assert!(BLOCK_U32 as usize == BLOCK && HEADER <= BLOCK);

impl Area {
    /// Of a layout that is checked.
    pub(super) fn new<F: NorFlash>(layout: &Layout, slot: Slot) -> Self {
        let range = layout.of(slot);
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let (page, word) = (size(F::ERASE_SIZE), size(F::WRITE_SIZE));
        let length = range.end.saturating_sub(range.start);
        let words = (length / page).saturating_mul(word);
        let head = BLOCK_U32.saturating_add(words).checked_next_multiple_of(page).unwrap_or(length);
        Self { start: range.start, end: range.end, body: range.start.saturating_add(head), page, word }
    }

    /// First byte of the body.
    pub(super) const fn body(&self) -> u32 {
        self.body
    }

    /// Longest body.
    pub(super) const fn room(&self) -> u32 {
        self.end.saturating_sub(self.body)
    }

    /// The header that stands there; not verified.
    pub(super) fn header<F: NorFlash>(&self, flash: &mut F) -> Result<Header, Refusal> {
        let mut block = [0; BLOCK];
        flash.read(self.start, &mut block).map_err(|_| Refusal::FLASH)?;
        Header::parse(&block)
    }

    /// The image that stands there, all of it verified.
    pub(super) fn verify<F: NorFlash>(&self, flash: &mut F, trust: &Trust) -> Result<Header, Refusal> {
        let header = self.header(flash)?;
        trust.judge(&header)?;
        if header.length() > self.room() {
            return Err(Refusal::TOO_LARGE);
        }
        let mut check = header.body();
        let mut block = [0; BLOCK];
        for offset in (0..header.length()).step_by(BLOCK) {
            flash.read(self.body + offset, &mut block).map_err(|_| Refusal::FLASH)?;
            let left = (header.length() - offset) as usize;
            check.update(block.get(..left).unwrap_or(&block));
        }
        check.finish().map(|()| header)
    }

    /// Empties the head and writes this header.
    pub(super) fn begin<F: NorFlash>(&self, flash: &mut F, header: &Header) -> Result<(), F::Error> {
        self.clear(flash)?;
        let mut block = [0xff; BLOCK];
        block.iter_mut().zip(header.bytes()).for_each(|(byte, header)| *byte = *header);
        flash.write(self.start, block.get(..HEADER.next_multiple_of(F::WRITE_SIZE)).unwrap_or(&block))
    }

    /// Empties the head: no image stands there any more.
    pub(super) fn clear<F: NorFlash>(&self, flash: &mut F) -> Result<(), F::Error> {
        flash.erase(self.start, self.body)
    }

    /// Writes the next block of the body, which begins at a multiple of [`BLOCK`] and is whole unless it is the last.
    pub(super) fn put<F: NorFlash>(
        &self,
        flash: &mut F,
        offset: u32,
        block: &[u8; BLOCK],
        last: bool,
    ) -> Result<(), F::Error> {
        let page = offset - offset % self.page;
        if page == offset {
            flash.erase(self.body + page, self.body + page + self.page)?;
        }
        flash.write(self.body + offset, block)?;
        if last || offset + BLOCK_U32 == page + self.page {
            flash.write(self.word_of(page), [0; BLOCK].get(..F::WRITE_SIZE).unwrap_or_default())?;
        }
        Ok(())
    }

    /// How much of the body is there in whole pages.
    pub(super) fn received<F: NorFlash>(&self, flash: &mut F, header: &Header) -> Result<u32, F::Error> {
        let mut page = 0;
        let mut word = [0; BLOCK];
        while page < header.length() {
            let word = word.get_mut(..F::WRITE_SIZE).unwrap_or_default();
            flash.read(self.word_of(page), word)?;
            if word.iter().all(|byte| *byte == 0xff) {
                return Ok(page);
            }
            page += self.page;
        }
        Ok(header.length())
    }

    const fn word_of(&self, page: u32) -> u32 {
        self.start + BLOCK_U32 + page / self.page * self.word
    }
}
