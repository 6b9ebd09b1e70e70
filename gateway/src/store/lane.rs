//! The two threads that own the two connections. The writer is where durability is decided: it gathers the jobs that
//! wait into one transaction, and answers none before the commit. It knows no table.

use std::thread::{self, Builder, JoinHandle};

use protocol::id::DoctorId;
use rusqlite::Connection;
use tokio::sync::{mpsc::Receiver, watch::Sender};

use super::{
    error::StoreError,
    ledger::{Ledger, View},
};

/// Most jobs in one transaction: what a fast disk syncs at once, and the longest that the first of them waits.
const GROUP: usize = 256;

/// What the disk did with the last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreHealth {
    /// It was stored.
    Ok,
    /// There was no space for it.
    Full,
    /// The disk or the file system failed.
    Failing,
}

/// A job for the writer. It is given the ledger, or the reason why its transaction is lost already.
pub(super) type Write = Box<dyn FnOnce(Result<&Ledger<'_>, StoreError>) -> Done + Send>;

/// A job for the reader.
pub(super) type Read = Box<dyn FnOnce(&View<'_>) + Send>;

/// A job that has run and waits for the commit.
pub(super) struct Done {
    /// A failure of the storage, which costs the whole group its transaction.
    pub(super) fault: Option<StoreError>,
    /// Tells the caller, once it is known how the commit went.
    pub(super) answer: Box<dyn FnOnce(Result<(), StoreError>)>,
}

/// Starts the reader's thread. It ends when its queue gives `None` or every handle is gone.
pub(super) fn read(
    db: Connection,
    doctor: DoctorId,
    mut queue: Receiver<Option<Read>>,
) -> Result<JoinHandle<()>, StoreError> {
    spawn("store-reader", move || {
        let view = View::new(&db, &doctor);
        while let Some(Some(job)) = queue.blocking_recv() {
            job(&view);
        }
    })
}

/// Starts the writer's thread. It ends like the reader's, after it has done what waited, and closes the database
/// when the reader has let go of it.
pub(super) fn write(
    db: Connection,
    doctor: DoctorId,
    mut queue: Receiver<Option<Write>>,
    health: Sender<StoreHealth>,
    reader: JoinHandle<()>,
) -> Result<Running, StoreError> {
    let thread = spawn("store-writer", move || {
        let ledger = Ledger::new(&db, &doctor);
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            if group.iter().any(Option::is_none) {
                queue.close();
            }
            commit(&db, &ledger, group.drain(..).flatten(), &health);
        }
        if reader.join().is_err() {
            tracing::error!("the store's reader thread panicked");
        }
        if let Err(error) = db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the log could not be moved into the database; the next start does it");
        }
        drop(db);
        drop(health);
    })?;
    Ok(Running(Some(thread)))
}

/// The threads, for as long as any handle lives. Dropping it, after the handle's ends of the queues, waits until the
/// database is closed: SQLCipher takes its tables down when the process exits, and crashes whoever still uses them.
#[derive(Debug)]
pub(super) struct Running(Option<JoinHandle<()>>);

impl Drop for Running {
    fn drop(&mut self) {
        // A job may own the last handle; its own thread cannot wait for itself.
        if let Some(writer) = self.0.take().filter(|writer| writer.thread().id() != thread::current().id())
            && writer.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    Builder::new().name(name.into()).spawn(body).map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// Runs the jobs in one transaction, commits it, and then answers them.
fn commit(
    db: &Connection,
    ledger: &Ledger<'_>,
    jobs: impl Iterator<Item = Write>,
    health: &Sender<StoreHealth>,
) {
    let changes = db.total_changes();
    let mut fault = begin(db).err();
    let mut answers = Vec::new();
    for job in jobs {
        let done = job(fault.clone().map_or(Ok(ledger), Err));
        fault = fault.or(done.fault);
        answers.push(done.answer);
    }
    let outcome = fault.map_or_else(|| Ok(db.execute_batch("COMMIT")?), Err);
    match &outcome {
        // A commit that changed nothing did not ask the disk.
        Ok(()) if db.total_changes() == changes => {}
        Ok(()) => publish(health, StoreHealth::Ok),
        Err(error) => {
            tracing::error!(%error, jobs = answers.len(), "nothing of this group is stored");
            publish(health, error.reveals().unwrap_or(StoreHealth::Failing));
        }
    }
    for answer in answers {
        answer(outcome.clone());
    }
}

/// Opens the transaction, after whatever a failed one left open.
fn begin(db: &Connection) -> Result<(), StoreError> {
    if !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    Ok(db.execute_batch("BEGIN IMMEDIATE")?)
}

fn publish(health: &Sender<StoreHealth>, now: StoreHealth) {
    health.send_if_modified(|was| std::mem::replace(was, now) != now);
}
