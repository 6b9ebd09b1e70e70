//! The oldest item of a queue, as it is thinned or dropped.

use protocol::{id::Seq, vitals::Sample};

use super::{
    StoreError,
    item::{Item, Mark},
    queue::{Queue, Then},
};
use crate::flash::Flash;

/// The oldest item of a queue.
pub(super) enum Front {
    /// `None` if only its number can be read.
    Sample(Seq, Option<Sample>),
    Mark(Mark),
}

impl Front {
    /// If it is on this page.
    pub(super) fn of<F: Flash>(
        queue: &mut Queue,
        flash: &mut F,
        page: usize,
    ) -> Result<Option<Self>, StoreError> {
        let mut front = None;
        queue.visit(flash, &mut |item, place| {
            if place.page == page {
                front = Some(match item {
                    Item::Sample(stored) => Self::Sample(stored.seq, stored.decode()),
                    Item::Mark(mark) => Self::Mark(mark),
                });
            }
            Then::Stop
        })?;
        Ok(front)
    }
}
