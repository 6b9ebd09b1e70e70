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

impl Layout {
    /// Whether all of it lies in a flash of so many bytes, and no range in another one or in one of `others`.
    pub fn fits<'a>(&'a self, capacity: usize, others: impl Iterator<Item = &'a Range<u32>>) -> bool {
        let own = [&self.config, &self.samples, &self.thinned];
        let overlap = |a: &Range<u32>, b: &Range<u32>| a.start < b.end && b.start < a.end;
        let [config, samples, thinned] = own;
        own.iter().all(|range| range.end as usize <= capacity)
            && !overlap(config, samples)
            && !overlap(config, thinned)
            && !overlap(samples, thinned)
            && others.into_iter().all(|other| own.iter().all(|range| !overlap(range, other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_that_overlaps_or_leaves_the_flash_does_not_fit() {
        let layout = Layout { config: 0..8, samples: 8..20, thinned: 20..32 };
        let fits = |layout: &Layout, others: &[Range<u32>]| layout.fits(48, others.iter());
        assert!(fits(&layout, &[]) && fits(&layout, &[32..40, 40..48]));
        for other in [31..33, 0..1, 12..13, 0..48] {
            assert!(!fits(&layout, &[32..40, other.clone()]), "{other:?}");
        }
        for (config, samples, thinned) in
            [(0..9, 8..20, 20..32), (0..8, 8..21, 20..32), (20..24, 8..20, 20..32), (0..8, 8..20, 20..49)]
        {
            assert!(!fits(&Layout { config, samples, thinned }, &[]));
        }
    }
}
