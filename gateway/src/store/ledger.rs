//! What a job holds while it runs: a [`View`] of the tables, or a [`Ledger`], which may also write. The methods are
//! beside their tables (`clients`, `vitals`, `alerts`, ...); here is only what they share.

use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
};

use protocol::id::DoctorId;
use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::error::StoreError;

/// The tables of one doctor, for reading.
#[derive(Debug)]
pub struct View<'a> {
    db: &'a Connection,
    pub(super) doctor: &'a DoctorId,
}

/// The tables of one doctor, inside a transaction that is about to be committed.
#[derive(Debug)]
pub struct Ledger<'a>(View<'a>);

impl<'a> View<'a> {
    pub(super) const fn new(db: &'a Connection, doctor: &'a DoctorId) -> Self {
        Self { db, doctor }
    }

    /// Runs `job` in one snapshot.
    pub(super) fn in_snapshot<T>(
        &self,
        job: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.db.execute_batch("BEGIN")?;
        let result = caught(|| job(self));
        self.db.execute_batch("ROLLBACK")?;
        result
    }

    /// The first row of a query.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.db.prepare_cached(sql)?.query_row(params, row).optional()?)
    }

    /// All rows of a query.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        Ok(self.db.prepare_cached(sql)?.query_map(params, row)?.collect::<Result<_, _>>()?)
    }

    /// Whether a query has a row.
    pub(super) fn exists(&self, sql: &str, params: impl Params) -> Result<bool, StoreError> {
        Ok(self.db.prepare_cached(sql)?.exists(params)?)
    }
}

impl<'a> Ledger<'a> {
    pub(super) const fn new(db: &'a Connection, doctor: &'a DoctorId) -> Self {
        Self(View::new(db, doctor))
    }

    /// Runs `job`; what it did is undone if it fails or panics.
    pub(super) fn in_savepoint<T>(
        &self,
        job: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.execute("SAVEPOINT job", [])?;
        let result = caught(|| job(self));
        if self.db.is_autocommit() {
            // After some failures SQLite itself undoes the whole transaction, whatever the job made of them.
            let cause = result.err().filter(|error| error.reveals().is_some());
            return Err(cause.unwrap_or_else(|| StoreError::Unavailable("transaction undone".into())));
        }
        let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
        self.db.execute_batch(end).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        result
    }

    /// Executes a statement; gives the number of rows that it changed.
    pub(super) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        Ok(self.db.prepare_cached(sql)?.execute(params)?)
    }

    /// Executes an insertion; gives the id of the new row.
    pub(super) fn insert(&self, sql: &str, params: impl Params) -> Result<i64, StoreError> {
        Ok(self.db.prepare_cached(sql)?.insert(params)?)
    }
}

impl<'a> Deref for Ledger<'a> {
    type Target = View<'a>;
    fn deref(&self) -> &View<'a> {
        &self.0
    }
}

/// A panic in a job is the job's, not the store's: every other caller still needs it.
fn caught<T>(job: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or(Err(StoreError::Panicked))
}
