//! The uplink and its journal as one: every change is planned, written down off the async threads, then applied.
//! Cancelling a call in the middle makes the outbox unusable; the agent never does.

use protocol::{
    credential::PinnedGateway,
    id::Seq,
    vitals::{Sample, VitalsBatch},
};
use thiserror::Error;
use tokio::task::spawn_blocking;
use wearable_core::uplink::{AckOfTheFuture, Entry, Gap, NotGrowing, Uplink};

use crate::{
    journal::{Journal, JournalError, ShortJournal},
    keys::{self, KeysError},
};

/// A change was not made.
#[derive(Debug, Error)]
pub enum OutboxError {
    /// It could not be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The pinned gateway could not be written down.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A fault of this program.
    #[error(transparent)]
    NotGrowing(#[from] NotGrowing),
    /// An earlier change was interrupted.
    #[error("an earlier change was interrupted")]
    Interrupted,
}

/// Samples on their way, and on disk.
#[derive(Debug)]
pub struct Outbox {
    uplink: Uplink,
    /// Away while it works.
    journal: Option<Journal>,
}

impl Outbox {
    /// An uplink and the journal that it came from.
    #[must_use]
    pub const fn new(journal: Journal, uplink: Uplink) -> Self {
        Self { uplink, journal: Some(journal) }
    }

    /// The samples.
    #[must_use]
    pub const fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    /// Takes a sample, for good, and says what was lost to make room.
    ///
    /// # Errors
    /// [`OutboxError`]; the sample is then not taken.
    pub async fn take(&mut self, sample: Sample) -> Result<Option<Gap>, OutboxError> {
        let (entries, gap) = self.uplink.plan_sample(sample)?;
        self.change(entries).await?;
        Ok(gap)
    }

    /// Forms as many batches as may be in flight.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn form(&mut self) -> Result<(), OutboxError> {
        while let Some(entry) = self.uplink.plan_batch() {
            self.change(vec![entry]).await?;
        }
        Ok(())
    }

    /// Lets go what the gateway has. The inner result is false for an acknowledgement of what was never sent.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn acknowledge(&mut self, seq: Seq) -> Result<Result<bool, AckOfTheFuture>, OutboxError> {
        let entry = match self.uplink.plan_acknowledgement(seq) {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(Ok(false)),
            Err(future) => return Ok(Err(future)),
        };
        self.change(vec![entry]).await?;
        if self.journal.as_ref().is_some_and(|journal| journal.is_long_for(self.uplink.stored())) {
            let short = ShortJournal::of(&self.uplink);
            self.with_journal(move |journal| journal.shorten(&short)).await?;
        }
        Ok(Ok(true))
    }

    async fn change(&mut self, entries: Vec<Entry>) -> Result<(), OutboxError> {
        let written = entries.clone();
        self.with_journal(move |journal| journal.append(&written)).await?;
        entries.into_iter().for_each(|entry| self.uplink.apply(entry));
        Ok(())
    }

    /// Pins a gateway, for good.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn pin(&mut self, gateway: PinnedGateway) -> Result<(), OutboxError> {
        self.with_journal(move |journal| keys::write_gateway(journal.dir(), &gateway)).await
    }

    async fn with_journal<E>(
        &mut self,
        work: impl FnOnce(&mut Journal) -> Result<(), E> + Send + 'static,
    ) -> Result<(), OutboxError>
    where
        E: Into<OutboxError> + Send + 'static,
    {
        let mut journal = self.journal.take().ok_or(OutboxError::Interrupted)?;
        let worked = spawn_blocking(move || {
            let done = work(&mut journal);
            (journal, done)
        });
        let (journal, done) = worked.await.map_err(|_| OutboxError::Interrupted)?;
        self.journal = Some(journal);
        done.map_err(Into::into)
    }

    /// A new connection begins.
    pub const fn reconnected(&mut self) {
        self.uplink.reconnected();
    }

    /// See [`Uplink::poll_transmit`].
    pub fn poll_transmit(&mut self) -> Option<&VitalsBatch> {
        self.uplink.poll_transmit()
    }

    /// Ends cleanly.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn close(mut self) -> Result<(), OutboxError> {
        let journal = self.journal.take().ok_or(OutboxError::Interrupted)?;
        let uplink = self.uplink;
        spawn_blocking(move || journal.close(&uplink)).await.map_err(|_| OutboxError::Interrupted)??;
        Ok(())
    }
}
