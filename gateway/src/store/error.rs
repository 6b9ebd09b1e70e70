//! What can go wrong in the store, by blame, and the one place that reads SQLite's error codes. It does not decide
//! what a peer is told; the ward maps these to its faults.

use protocol::{id::DoctorId, time::UnixMillis};
use rusqlite::ErrorCode;
use thiserror::Error;

use super::StoreHealth;

/// Why the store did not do something. Nothing of the job that failed is stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    // The place where the data lies.
    /// The key does not open the database, or its first page is damaged.
    #[error("the key does not open the database; check that the key file belongs to this data folder")]
    WrongKey,
    /// The database belongs to another doctor.
    #[error("the database belongs to doctor {0}; start the gateway with --id {0} or another data folder")]
    OtherDoctor(DoctorId),
    /// The database was written by a newer version of this program.
    #[error("the database was written by a newer version; install that version or restore a backup")]
    Newer,
    /// The disk is full. Writes work again by themselves when there is space.
    #[error("the disk is full; free some space in the data folder")]
    Full,
    /// The disk or the file system fails.
    #[error("storage fails: {0}")]
    Unavailable(String),
    /// The database holds what this program does not write, or did not do what this program asked.
    #[error("the database does not hold what it should: {0}")]
    Damaged(String),
    /// An audit row is not what its chain says.
    #[error("the audit chain is broken at row {0}")]
    AuditBroken(u64),

    // This program.
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The job panicked; the store goes on.
    #[error("a store job panicked")]
    Panicked,

    // The clinic.
    /// The patient has another computer, and the offer does not replace it.
    #[error("the patient is paired already; to replace the computer, use --replace")]
    AlreadyPaired {
        /// When that computer was paired.
        since: UnixMillis,
        /// When it was last connected.
        last_seen: Option<UnixMillis>,
    },
    /// An open offer has this selector; draw another code.
    #[error("an open offer has this selector")]
    SelectorTaken,
    /// No client of this id is enrolled.
    #[error("no client of this id is enrolled")]
    UnknownClient,
    /// No alert of this id is known, or the patient is not among its recipients.
    #[error("no such alert for this patient")]
    UnknownAlert,

    /// An image for this hardware has this version already.
    #[error(
        "an image of this version is published for this hardware; withdraw it first, or give the new one a higher version"
    )]
    SameVersion,

    // The peer.
    /// No offer is open under this selector, or none is for this patient and kind.
    #[error("no open offer for this client")]
    NoOpenOffer,
    /// The enrolment to be confirmed is not pending, or its offer has closed.
    #[error("no pending enrolment of this client and key")]
    NotPending,
    /// The receipt speaks of another content than the alert's.
    #[error("the receipt is about another content")]
    OtherContent,
    /// A sample number beyond 2^63 - 1, which no device reaches.
    #[error("sample number out of range")]
    SequenceRange,
}

impl StoreError {
    /// The state of the storage that this error reveals; `None` if it says nothing about it.
    pub(super) const fn reveals(&self) -> Option<StoreHealth> {
        match self {
            Self::Full => Some(StoreHealth::Full),
            Self::Unavailable(_) => Some(StoreHealth::Failing),
            _ => None,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase,
            ) => Self::Unavailable(error.to_string()),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<rusqlite_migration::Error> for StoreError {
    fn from(error: rusqlite_migration::Error) -> Self {
        use rusqlite_migration::{Error, MigrationDefinitionError};
        match error {
            Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => Self::Newer,
            Error::RusqliteError { err, .. } => err.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}
