//! Opens the encrypted database: key, durability, migrations. It knows no table; from here a connection goes to a
//! [`lane`](super::lane).

use std::{path::Path, time::Duration};

use crypto::{Secret, purpose};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations};
use zeroize::Zeroizing;

use super::error::StoreError;

/// Each runs once, in order; one that was released never changes.
const STEPS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001-first.sql")),
    M::up(include_str!("migrations/0002-wearables.sql")),
    M::up(include_str!("migrations/0003-suite.sql")),
    M::up(include_str!("migrations/0004-bindings.sql")),
];
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);

/// Opens the database for writing, creates it if it is not there, and brings its tables up to date.
pub(super) fn writer(path: &Path, key: &Secret<purpose::DatabaseKey>) -> Result<Connection, StoreError> {
    let mut db = open(path, key, OpenFlags::SQLITE_OPEN_CREATE)?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |row| match row.get_ref(0)?.as_str()? {
        "wal" => Ok(()),
        other => Err(rusqlite::Error::InvalidParameterName(format!("journal mode {other}"))),
    })?;
    // In WAL mode, FULL syncs the log at every commit; without it a power cut takes back what was acknowledged.
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")?;
    MIGRATIONS.to_latest(&mut db)?;
    Ok(db)
}

/// Opens the database, which is there already, for reading only.
pub(super) fn reader(path: &Path, key: &Secret<purpose::DatabaseKey>) -> Result<Connection, StoreError> {
    let db = open(path, key, OpenFlags::empty())?;
    db.execute_batch("PRAGMA query_only = ON")?;
    Ok(db)
}

/// Whether the key opens the database, which is there already.
pub(super) fn fits(path: &Path, key: &Secret<purpose::DatabaseKey>) -> Result<bool, StoreError> {
    match open(path, key, OpenFlags::empty()) {
        Ok(_) => Ok(true),
        Err(StoreError::WrongKey) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Encrypts every page anew under `next`, in one transaction. Nobody else may have the database open.
pub(super) fn rekey(
    path: &Path,
    present: &Secret<purpose::DatabaseKey>,
    next: &Secret<purpose::DatabaseKey>,
) -> Result<(), StoreError> {
    let db = open(path, present, OpenFlags::empty())?;
    // The write-ahead log would hold pages under both keys; the rollback journal holds those under the present one only.
    db.pragma_update_and_check(None, "journal_mode", "DELETE", |row| match row.get_ref(0)?.as_str()? {
        "delete" => Ok(()),
        other => Err(rusqlite::Error::InvalidParameterName(format!("journal mode {other}"))),
    })?;
    db.execute_batch("PRAGMA synchronous = FULL")?;
    pragma_key(&db, "rekey", next)
}

fn open(path: &Path, key: &Secret<purpose::DatabaseKey>, more: OpenFlags) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let db = Connection::open_with_flags(path, flags)?;
    // Its own log goes to the terminal, over the console; its failures come back as errors anyway.
    db.execute_batch("PRAGMA cipher_log_level = NONE")?;
    pragma_key(&db, "key", key)?;
    // cipher_memory_security stays off: wiping and locking all of SQLite's memory, not only its keys, was measured to
    // cost three quarters of the writes per second, and the lock fails beyond `ulimit -l`.
    db.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF")?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    // The key is first used by the first read.
    match db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Err(StoreError::WrongKey),
        other => Ok(other.map(|()| db)?),
    }
}

fn pragma_key(db: &Connection, name: &str, key: &Secret<purpose::DatabaseKey>) -> Result<(), StoreError> {
    let mut hex = Zeroizing::new([0; 64]);
    hex::encode_to_slice(key.expose(), &mut *hex).map_err(|_| StoreError::WrongKey)?;
    let hex = str::from_utf8(&*hex).map_err(|_| StoreError::WrongKey)?;
    Ok(db.execute_batch(&Zeroizing::new(format!("PRAGMA {name} = \"x'{hex}'\"")))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_valid() {
        MIGRATIONS.validate().unwrap();
    }
}
