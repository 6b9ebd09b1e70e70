//! What is kept in the data folder: this computer's keys and the pinned gateway (`identity.json`), the ticket of the
//! last session (`ticket.json`) and one file for each alert of the last 30 days (`alert-ID.json`). Every file is 0600
//! and replaced as a whole. It knows no connection and no screen.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crypto::identity;
use host::datadir::{self, DataDir, DataDirError};
use protocol::{
    alert::{Alert, Stage},
    credential::{ClientIdentity, PinnedGateway},
    handshake::resume::Ticket,
    id::{AlertId, PatientId},
    time::UnixMillis,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

mod kept;
#[cfg(test)]
pub(crate) mod tests;

use self::kept::{AlertFile, KeptBinding, KeptTicket};

/// How long an alert is remembered, so that it is not shown twice. Older ones are refused.
pub const MEMORY: Duration = Duration::from_secs(30 * 24 * 3_600);

const PROGRAM: &str = "patient";
const VERSION: u32 = 1;
const IDENTITY: &str = "identity.json";
const TICKET: &str = "ticket.json";

/// The data folder cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder, or a file in it.
    #[error("{said}")]
    Folder {
        /// What is wrong, with its cause.
        said: String,
        /// The error itself.
        #[source]
        source: DataDirError,
    },
    /// A file of another version of this program.
    #[error("{} was written by another version of this program (format {found}, this one reads {VERSION})", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A file that is not what it should be.
    #[error("{} is damaged ({what}); move it away and pair again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Several identities, and none was named.
    #[error("several patients are stored here: {}; say which one with --id", .0.join(", "))]
    WhichOne(Vec<String>),
}

impl From<DataDirError> for StoreError {
    fn from(source: DataDirError) -> Self {
        let cause = std::error::Error::source(&source).map(|cause| format!(": {cause}"));
        Self::Folder { said: format!("{source}{}", cause.unwrap_or_default()), source }
    }
}

/// Where identities are kept.
#[derive(Debug, Clone)]
pub enum Place {
    /// In this folder, whoever it is.
    Folder(PathBuf),
    /// Below this folder, in `patient-ID`.
    Home {
        /// The folder above.
        home: PathBuf,
        /// Make an identity that is not there, even though others are.
        create: bool,
    },
}

impl Place {
    /// The identity to use: the one named, else the only one. `None` if there is none yet. `pairing`: a code was
    /// given, so a new one is wanted on purpose.
    ///
    /// # Errors
    /// [`StoreError`], also for an unknown id where others are stored (a typing error).
    pub fn find(&self, id: Option<&PatientId>, pairing: bool) -> Result<Option<Store>, StoreError> {
        let folder = match (self, id) {
            (Self::Folder(folder), _) => Some(folder.clone()),
            (Self::Home { home, .. }, Some(id)) => Some(folder_of(home, id)),
            (Self::Home { .. }, None) if pairing => None,
            (Self::Home { home, .. }, None) => match &*known(home) {
                [] => None,
                [only] => Some(home.join(format!("{PROGRAM}-{only}"))),
                several => return Err(StoreError::WhichOne(several.to_vec())),
            },
        };
        let found = match folder.filter(|folder| folder.exists()) {
            Some(folder) => Some(Store::open(&folder)?),
            None => None,
        };
        if let (None, Self::Home { home, create: false }, Some(id), false) = (&found, self, id, pairing) {
            let existing = known(home);
            if !existing.is_empty() {
                return Err(DataDirError::Unknown { wanted: id.to_string(), existing }.into());
            }
        }
        Ok(found)
    }

    /// Makes sure that something can be kept here, before a code is spent on it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn prepare(&self) -> Result<(), StoreError> {
        match self {
            Self::Folder(folder) => DataDir::open(folder).map(drop)?,
            Self::Home { home, .. } => fs::create_dir_all(home).map_err(|source| DataDirError::Io {
                action: "make",
                path: home.clone(),
                source,
            })?,
        }
        Ok(())
    }

    /// Opens the folder of a patient, making it if it is not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(&self, id: &PatientId) -> Result<Store, StoreError> {
        match self {
            Self::Folder(folder) => Store::open(folder),
            Self::Home { home, .. } => Store::open(&folder_of(home, id)),
        }
    }
}

fn folder_of(home: &Path, id: &PatientId) -> PathBuf {
    home.join(format!("{PROGRAM}-{id}"))
}

/// Ids that have a stored identity; a folder without one is a pairing that failed.
fn known(home: &Path) -> Vec<String> {
    let mut ids = datadir::existing(home, PROGRAM);
    ids.retain(|id| home.join(format!("{PROGRAM}-{id}")).join(IDENTITY).exists());
    ids
}

/// Who this computer is, and for whom, since pairing.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The patient.
    pub patient: PatientId,
    /// The patient's keys, made here.
    pub identity: Arc<ClientIdentity>,
    /// The gateway.
    pub gateway: PinnedGateway,
    /// When it was paired.
    pub paired: UnixMillis,
}

/// An alert that was accepted once, and how far it came.
#[derive(Debug, Clone)]
pub struct KeptAlert {
    /// The alert, as signed.
    pub alert: Alert,
    /// When it came first.
    pub seen: UnixMillis,
    /// How far.
    pub stage: Stage,
}

/// A patient's data folder, locked.
#[derive(Debug)]
pub struct Store {
    folder: DataDir,
}

impl Store {
    /// Opens and locks a folder.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self { folder: DataDir::open(path)? };
        // A write that was cut off leaves its draft behind; what it should have replaced is whole.
        for name in store.names()?.iter().filter(|name| name.ends_with(".new")) {
            store.remove(name)?;
        }
        Ok(store)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Who this is, if it was paired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn binding(&self) -> Result<Option<Binding>, StoreError> {
        let Some(kept) = self.read::<KeptBinding>(IDENTITY)? else { return Ok(None) };
        kept.restore().map(Some).map_err(|what| self.damaged(IDENTITY, what))
    }

    /// Keeps who this is, in place of who it was. What belonged to the old one is gone first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_binding(&self, binding: &Binding) -> Result<(), StoreError> {
        self.drop_ticket()?;
        self.write(IDENTITY, &KeptBinding::of(binding))
    }

    /// Takes the ticket out: it is gone from the disk before it is used, because it works once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn take_ticket(&self, now: UnixMillis) -> Result<Option<Ticket>, StoreError> {
        // A ticket that cannot be read is worth no more than none: a full login follows.
        let kept = self.read::<KeptTicket>(TICKET).ok().flatten();
        self.drop_ticket()?;
        Ok(kept.filter(|kept| !kept.expired(now)).and_then(KeptTicket::restore))
    }

    /// Keeps a ticket until [`Self::take_ticket`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_ticket(&self, ticket: &Ticket, expires: UnixMillis) -> Result<(), StoreError> {
        self.write(TICKET, &KeptTicket::of(ticket, expires))
    }

    /// Deletes the ticket, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drop_ticket(&self) -> Result<(), StoreError> {
        self.remove(TICKET)
    }

    /// The alerts that are remembered, oldest first; forgets those that are too old. What this gateway did not sign
    /// is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn alerts(
        &self,
        gateway: &identity::VerifyingKey,
        now: UnixMillis,
    ) -> Result<Vec<KeptAlert>, StoreError> {
        let mut alerts = Vec::new();
        for name in self.names()? {
            let id = name.strip_prefix("alert-").and_then(|rest| rest.strip_suffix(".json"));
            let Some(id) = id.and_then(|id| id.parse::<AlertId>().ok()) else { continue };
            if created(id) + MEMORY < now {
                self.remove(&name)?;
                continue;
            }
            let kept = match self.read::<AlertFile>(&name) {
                Ok(kept) => kept,
                Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                    tracing::warn!(%error, "an alert of earlier is left out");
                    continue;
                }
                Err(error) => return Err(error),
            };
            alerts.extend(kept.and_then(|kept| kept.restore(gateway)));
        }
        alerts.sort_by_key(|kept| kept.alert.id());
        Ok(alerts)
    }

    /// Keeps an alert and how far it came. Once this returns it survives a power cut.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_alert(&self, kept: &KeptAlert) -> Result<(), StoreError> {
        self.write(&format!("alert-{}.json", kept.alert.id()), &AlertFile::of(kept))
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.folder.read(name)?.map(Zeroizing::new) else { return Ok(None) };
        let damaged = |error: serde_json::Error| self.damaged(name, error.to_string());
        let Format { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if version != VERSION {
            return Err(StoreError::Version { path: self.path().join(name), found: version });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    fn write<T: Serialize>(&self, name: &str, content: &T) -> Result<(), StoreError> {
        // Large enough that it does not grow and leave copies of keys behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
        serde_json::to_writer(&mut *bytes, &Versioned { version: VERSION, content })
            .map_err(|error| self.damaged(name, error.to_string()))?;
        Ok(self.folder.write(name, &bytes)?)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path().join(name);
        let removed = match fs::remove_file(&path) {
            Ok(()) => fs::File::open(self.path()).and_then(|folder| folder.sync_all()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|source| DataDirError::Io { action: "delete", path, source }.into())
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let failed = |source| DataDirError::Io { action: "list", path: self.path().to_owned(), source };
        let entries = fs::read_dir(self.path()).map_err(failed)?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    fn damaged(&self, name: &str, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: self.path().join(name), what: what.into() }
    }
}

/// When an alert's id was made: the first 48 bits of a version 7 UUID.
pub(crate) fn created(id: AlertId) -> UnixMillis {
    UnixMillis(id.as_bytes().iter().take(6).fold(0, |time, byte| time << 8 | u64::from(*byte)))
}

#[derive(Deserialize)]
struct Format {
    version: u32,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    version: u32,
    #[serde(flatten)]
    content: &'a T,
}
