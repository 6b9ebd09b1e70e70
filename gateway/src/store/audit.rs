//! What happened, for those who ask later: logins, pairings, refusals, deeds of the clinic. Rows are only added, and
//! each carries the hash of the one before, so that a row that was changed or taken out shows. (Rows taken off the
//! end do not; for that, a copy of the last hash must be kept elsewhere.)

use std::fmt;

use crypto::sha256;
use protocol::time::UnixMillis;
use rusqlite::{Row, params};

use super::{
    column::{Millis, Text, integer, time, unsigned},
    error::StoreError,
    ledger::{Ledger, View},
};

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditEvent {
    /// The gateway started.
    Started,
    /// An offer to pair was made or cancelled.
    Offered,
    /// A client was enrolled.
    Paired,
    /// A client logged in, in full or with a token.
    LoggedIn,
    /// A connection, login, pairing or message was refused.
    Refused,
    /// A session ended.
    Disconnected,
    /// A client was revoked.
    Revoked,
    /// An alert was raised or called off.
    Alerted,
    /// A person used the control socket, the console, or a verb that changes the data folder.
    Controlled,
    /// The storage failed or works again.
    Storage,
    /// Samples came that were not stored, or were stored for an earlier wearer.
    Samples,
    /// A wearable told how an update ended.
    Updated,
}

impl fmt::Display for AuditEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Started => "started",
            Self::Offered => "offered",
            Self::Paired => "paired",
            Self::LoggedIn => "logged in",
            Self::Refused => "refused",
            Self::Disconnected => "disconnected",
            Self::Revoked => "revoked",
            Self::Alerted => "alerted",
            Self::Controlled => "controlled",
            Self::Storage => "storage",
            Self::Samples => "samples",
            Self::Updated => "updated",
        })
    }
}

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub n: u64,
    /// When.
    pub time: UnixMillis,
    /// What, as [`AuditEvent`] displays.
    pub event: String,
    /// Who or what it is about; may be empty.
    pub subject: String,
    /// From where: an address, a process; may be empty.
    pub source: String,
    /// What else is to be said.
    pub detail: String,
    doctor: String,
    prev_hash: [u8; 32],
    hash: [u8; 32],
}

impl AuditEntry {
    fn computed_hash(&self) -> [u8; 32] {
        sha256(
            "audit",
            &[
                &self.prev_hash,
                &self.n.to_be_bytes(),
                self.doctor.as_bytes(),
                &self.time.0.to_be_bytes(),
                self.event.as_bytes(),
                self.subject.as_bytes(),
                self.source.as_bytes(),
                self.detail.as_bytes(),
            ],
        )
    }
}

impl View<'_> {
    /// The last `limit` rows, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn audit_entries(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let sql = "SELECT * FROM audit WHERE doctor = ?1 ORDER BY n DESC LIMIT ?2";
        self.all(sql, params![Text(self.doctor), limit], entry)
    }

    /// The last `limit` refusals, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn refusals(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let sql = "SELECT * FROM audit WHERE doctor = ?1 AND event = ?2 ORDER BY n DESC LIMIT ?3";
        self.all(sql, params![Text(self.doctor), Text(AuditEvent::Refused), limit], entry)
    }

    /// Follows the chain from the first row to the last.
    ///
    /// # Errors
    /// [`StoreError::AuditBroken`] with the number of the first row that is not what was written.
    pub fn verify_audit(&self) -> Result<(), StoreError> {
        let mut last = (0, [0; 32]);
        let mut broken = None;
        self.all("SELECT * FROM audit ORDER BY n", [], |row| {
            let entry = entry(row)?;
            let follows = (entry.n, entry.prev_hash) == (last.0 + 1, last.1);
            if !follows || entry.computed_hash() != entry.hash {
                broken = broken.or(Some(last.0 + 1));
            }
            last = (entry.n, entry.hash);
            Ok(())
        })?;
        broken.map_or(Ok(()), |n| Err(StoreError::AuditBroken(n)))
    }
}

impl Ledger<'_> {
    /// Adds a row: `subject` is who or what it is about, `source` where it came from; either may be empty.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn audit(
        &self,
        event: AuditEvent,
        subject: &str,
        source: &str,
        detail: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let last = self.first("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1", [], |row| {
            Ok((unsigned(row, "n")?, row.get("hash")?))
        })?;
        let (n, prev_hash) = last.unwrap_or((0, [0; 32]));
        let entry = AuditEntry {
            n: n + 1,
            time: now,
            event: event.to_string(),
            subject: subject.into(),
            source: source.into(),
            detail: detail.into(),
            doctor: self.doctor.to_string(),
            prev_hash,
            hash: [0; 32],
        };
        self.execute(
            "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                integer(entry.n),
                entry.doctor,
                Millis(now),
                entry.event,
                subject,
                source,
                detail,
                prev_hash,
                entry.computed_hash(),
            ],
        )?;
        Ok(())
    }

    /// Adds a row unless the last one of this kind and subject says the same.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn audit_change(
        &self,
        event: AuditEvent,
        subject: &str,
        detail: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let last = self.first(
            "SELECT detail FROM audit WHERE doctor = ?1 AND event = ?2 AND subject = ?3 ORDER BY n DESC LIMIT 1",
            params![Text(self.doctor), Text(event), subject],
            |row| row.get::<_, String>("detail"),
        )?;
        if last.as_deref() == Some(detail) { Ok(()) } else { self.audit(event, subject, "", detail, now) }
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        n: unsigned(row, "n")?,
        time: time(row, "time")?,
        event: row.get("event")?,
        subject: row.get("subject")?,
        source: row.get("source")?,
        detail: row.get("detail")?,
        doctor: row.get("doctor")?,
        prev_hash: row.get("prev_hash")?,
        hash: row.get("hash")?,
    })
}
