//! The gateway's memory: one encrypted SQLite database and the rules that keep it whole.
//!
//! A caller gives [`Store::write`] a job; one writer thread runs the jobs that wait, each in its own savepoint, in
//! one transaction, syncs once, and only then answers them all (**group commit**: persist, then answer). A job speaks
//! to a [`Ledger`], whose methods are the domain; no SQL leaves this folder. [`Store::read`] runs beside it on a
//! second connection and is given a [`View`], which cannot write.
//!
//! | for | file |
//! |---|---|
//! | the threads, group commit, health | `lane` |
//! | key, durability, migrations | `cipher`, `migrations/` |
//! | who the gateway is | [`identity`] |
//! | who may log in, and how they came | [`clients`], [`offers`], [`tokens`] |
//! | vitals and the outbox | [`vitals`] |
//! | what wearables are told: settings, firmware | [`wearables`] |
//! | alerts and receipts | [`alerts`] |
//! | what happened | [`audit`] |
//!
//! It does not know sockets, sessions, clocks or what a value means for a patient. Next: [`Ledger`].

pub mod alerts;
pub mod audit;
mod cipher;
pub mod clients;
mod column;
mod error;
pub mod identity;
mod lane;
mod ledger;
pub mod offers;
pub mod tokens;
pub mod vitals;
pub mod wearables;

use std::{path::Path, sync::Arc};

use crypto::{Secret, purpose};
use protocol::id::DoctorId;
use tokio::sync::{mpsc, oneshot, watch};

use self::lane::{Done, Read, Running, Write};
pub use self::{
    error::StoreError,
    lane::StoreHealth,
    ledger::{Ledger, View},
};

/// Jobs that may wait for each connection; a caller who comes later waits for a place.
const QUEUE: usize = 1024;

/// A handle to the open database; clones share it. The last one that is dropped does what [`Store::close`] does, and
/// blocks meanwhile.
#[derive(Debug, Clone)]
pub struct Store {
    writes: mpsc::Sender<Option<Write>>,
    reads: mpsc::Sender<Option<Read>>,
    health: watch::Receiver<StoreHealth>,
    // After the queues: a thread ends when they do.
    _running: Arc<Running>,
}

impl Store {
    /// Opens the database of `doctor` at `path`, or creates it, and starts its two threads. Blocks on the disk.
    /// The caller holds the lock of the data folder.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`], [`StoreError::OtherDoctor`], [`StoreError::Newer`] if this database is not the one
    /// that was meant; [`StoreError::Full`], [`StoreError::Unavailable`] or [`StoreError::Damaged`] if it cannot be
    /// used now.
    pub fn open(
        path: &Path,
        key: &Secret<purpose::DatabaseKey>,
        doctor: &DoctorId,
    ) -> Result<Self, StoreError> {
        let writer = cipher::writer(path, key)?;
        identity::check_doctor(&writer, doctor)?;
        let reader = cipher::reader(path, key)?;
        let (writes, write_queue) = mpsc::channel(QUEUE);
        let (reads, read_queue) = mpsc::channel(QUEUE);
        let (health_sender, health) = watch::channel(StoreHealth::Ok);
        let reading = lane::read(reader, doctor.clone(), read_queue)?;
        let running = lane::write(writer, doctor.clone(), write_queue, health_sender, reading)?;
        Ok(Self { writes, reads, health, _running: Arc::new(running) })
    }

    /// Runs `job` in the next transaction and returns what it gave, **after** that transaction is on the disk. A
    /// job that fails leaves nothing behind and does not touch those beside it. A caller who stops waiting does not
    /// stop the job.
    ///
    /// # Errors
    /// Those of the job; [`StoreError::Full`] or [`StoreError::Unavailable`] if its transaction could not be
    /// committed; [`StoreError::Panicked`]; [`StoreError::Closed`].
    pub async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let write: Write = Box::new(|ledger| {
            let result = ledger.and_then(|ledger| ledger.in_savepoint(job));
            let fault = result.as_ref().err().filter(|error| error.reveals().is_some()).cloned();
            // A caller who went away is not owed an answer.
            Done { fault, answer: Box::new(|committed| drop(sender.send(committed.and(result)))) }
        });
        self.writes.send(Some(write)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `job` on the second connection, in one snapshot of what is committed.
    ///
    /// # Errors
    /// Those of the job; [`StoreError::Panicked`]; [`StoreError::Closed`].
    pub async fn read<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        F: FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let read: Read = Box::new(|view| drop(sender.send(view.in_snapshot(job))));
        self.reads.send(Some(read)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Whether the last write reached the disk. It changes with the writes: callers go on trying, and the first
    /// that works says [`StoreHealth::Ok`]. It ends when the store is closed.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<StoreHealth> {
        self.health.clone()
    }

    /// Takes no more jobs, does those that wait, moves the log into the database, and closes it. Later calls through
    /// other handles are answered [`StoreError::Closed`].
    pub async fn close(mut self) {
        // A queue that is gone was closed before.
        self.reads.send(None).await.ok();
        self.writes.send(None).await.ok();
        // The writer thread drops the health's sender last of all.
        while self.health.changed().await.is_ok() {}
    }
}

/// Whether the key opens the database at `path`, which must be there and closed.
///
/// # Errors
/// [`StoreError::Unavailable`], [`StoreError::Full`] or [`StoreError::Damaged`] if it cannot be told.
pub fn fits(path: &Path, key: &Secret<purpose::DatabaseKey>) -> Result<bool, StoreError> {
    cipher::fits(path, key)
}

/// Encrypts the database at `path`, which must be closed, anew under the key `next`: all of it or, after an
/// interruption, none.
///
/// # Errors
/// [`StoreError::WrongKey`]; [`StoreError::Full`] or [`StoreError::Unavailable`], and the present key goes on fitting.
pub fn rekey(
    path: &Path,
    present: &Secret<purpose::DatabaseKey>,
    next: &Secret<purpose::DatabaseKey>,
) -> Result<(), StoreError> {
    cipher::rekey(path, present, next)
}

#[cfg(test)]
mod tests;
