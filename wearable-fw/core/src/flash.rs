//! The flash that a board offers and how its pages are shared out. Knows neither a chip nor what is kept in a region.

use core::ops::Range;

use embedded_storage::nor_flash::MultiwriteNorFlash;

#[cfg(any(test, feature = "testkit"))]
pub mod ram;

/// A blocking NOR flash: a page is erased to ones, a write only clears bits, and a word may be written twice.
///
/// EEPROM and FRAM serve too, and so does a file, if the board says what an erase page is. Flash that keeps an
/// error-correcting code over each word and so takes it only once (as inside many microcontrollers) does not: put a
/// chip beside it.
pub trait Flash: MultiwriteNorFlash {}

impl<T: MultiwriteNorFlash> Flash for T {}

/// Which addresses keep what. Every range begins and ends at an erase page, and none overlaps another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The configuration record: an even number of pages, half of them a slot.
    pub config: Range<u32>,
    /// Samples as they were taken: at least 3 pages.
    pub samples: Range<u32>,
    /// What is kept of the oldest samples when there is no room: at least 3 pages.
    pub thinned: Range<u32>,
}
