//! Signed updates in two slots: one runs, the other takes the next image. Owns the slots, their state and the decision
//! which one starts; knows no board, link or offer. An image's format and judgement is [`protocol::image`].
//!
//! - [`Updater`] is the running firmware's side: [`Updater::offer`] judges a header, [`Updater::write`] streams the body
//!   into the slot that does not run, [`Updater::install`] reads it back, verifies it and marks it for a trial,
//!   [`Updater::confirm`] ends the trial.
//! - [`fn@boot`] is the bootloader's side: it verifies again and says which slot starts. A trial is started at most
//!   [`ATTEMPTS`] times without being confirmed, then the image before starts again.
//! - [`factory`] puts the first image into an empty flash.
//!
//! Whatever power cut, torn write or flipped bit comes, [`fn@boot`] starts a slot whose signature and digest hold, as long
//! as there is one. Nothing is allocated. It needs no more of a flash than that each word can be written once between
//! two erases, so a microcontroller's own flash with its error correction serves.
//!
//! ## In a slot
//!
//! Head: the image's header, and from byte 256 on one word for each page of the body; then the body, from an erase page
//! on. A page is erased when its first byte comes; when it is written, its word in the head is cleared. **After a power
//! cut a transfer goes on at the first page whose word is not cleared**, if the same header is offered again; after a lost
//! connection at the byte where it stopped. A cut in the middle of clearing leaves a word that is not erased: the page
//! was whole by then. None of this is trusted: what counts is the digest over all of the body.
//!
//! ## The record
//!
//! Two copies on a page each, written in turn, numbered and with a CRC-32; the newest valid one counts. Each step leaves the
//! copy of the step before, and each step may be taken again from there: a confirmed image is tried again, one that was
//! rolled back is rolled back again. The highest confirmed version is in the record and follows from the image that runs, so
//! an old copy does not let an old image in. With both copies lost the lower of two verified images counts
//! as running and the higher one is tried.

use core::ops::Range;

use crypto::identity::VerifyingKey;
use embedded_storage::nor_flash::NorFlash;
use protocol::image::{Header, Refusal};
use thiserror::Error;

mod boot;
mod record;
mod slot;
#[cfg(test)]
mod tests;
mod updater;

pub use self::{
    boot::{Boot, boot},
    updater::{Updater, factory},
};
use self::{record::Record, slot::Area};

/// Starts of a new image without a confirmation before it is rolled back.
pub const ATTEMPTS: u8 = 3;

/// Bytes that are written at once: a multiple of every flash's word.
const BLOCK: usize = 256;

/// One of the two places for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Which addresses keep what. Every range begins and ends at an erase page, and none overlaps another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Two slots of at least 2 erase pages. An image has room in both if its body and its head do: 256 bytes and one word
    /// for each page, rounded up to pages.
    pub slots: [Range<u32>; 2],
    /// The two copies of the record, an erase page each at least.
    pub record: [Range<u32>; 2],
}

impl Layout {
    fn of(&self, slot: Slot) -> &Range<u32> {
        let [a, b] = &self.slots;
        match slot {
            Slot::A => a,
            Slot::B => b,
        }
    }

    /// Whether this flash can keep it so.
    fn check<F: NorFlash>(&self, flash: &F) -> Result<(), LayoutError> {
        if !BLOCK.is_multiple_of(F::WRITE_SIZE)
            || !BLOCK.is_multiple_of(F::READ_SIZE)
            || !F::ERASE_SIZE.is_multiple_of(BLOCK)
        {
            return Err(LayoutError::Geometry);
        }
        let ranges = self.slots.iter().chain(&self.record);
        for (at, range) in ranges.clone().enumerate() {
            let (start, end) = (range.start as usize, range.end as usize);
            let aligned = start.is_multiple_of(F::ERASE_SIZE) && end.is_multiple_of(F::ERASE_SIZE);
            let overlaps = ranges.clone().skip(at + 1).any(|o| range.start < o.end && o.start < range.end);
            if start >= end || end > flash.capacity() || !aligned || overlaps {
                return Err(LayoutError::Ranges);
            }
        }
        if [Slot::A, Slot::B].into_iter().any(|slot| Area::new::<F>(self, slot).room() == 0) {
            return Err(LayoutError::Ranges);
        }
        Ok(())
    }
}

/// A [`Layout`] that its flash cannot keep: a mistake in the board's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The flash.
    #[error(
        "updates need words that divide 256 bytes and erase pages of a multiple of 256 bytes: join pages in the board's flash driver"
    )]
    Geometry,
    /// The ranges.
    #[error(
        "the ranges for updates must lie in the flash, begin and end at erase pages, not overlap, and a slot has at least two pages"
    )]
    Ranges,
}

/// Which images a device believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The maker's key, built into the firmware and the bootloader.
    pub maker: VerifyingKey,
    /// What the device is: text of a [`HardwareId`](protocol::id::HardwareId).
    pub hardware: &'static str,
}

impl Trust {
    fn judge(&self, header: &Header) -> Result<(), Refusal> {
        header.verify(&self.maker)?;
        if header.hardware() == self.hardware { Ok(()) } else { Err(Refusal::OTHER_HARDWARE) }
    }
}
