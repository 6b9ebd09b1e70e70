//! A program's data folder: where it is, that only its owner can read it, and that one process at a time uses it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::exit::{Exit, Stop};

/// A data folder that cannot be used, and what to do about it.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another process holds the lock.
    #[error("{} is in use by another running program; stop that one first, or choose another --data-dir", .0.display())]
    InUse(PathBuf),
    /// Others may read the folder or a file in it.
    #[error("{} can be read by others (mode {mode:o}); run: chmod go-rwx {}", .path.display(), .path.display())]
    TooOpen {
        /// The folder or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The folder does not exist and others do: probably a typing error.
    #[error("there is no {wanted} here; there is: {}. Add --create to make a new one", .existing.join(", "))]
    Unknown {
        /// The id asked for.
        wanted: String,
        /// Ids that exist.
        existing: Vec<String>,
    },
    /// Neither `--data-dir`, `VITALWARD_HOME` nor `HOME` says where data goes.
    #[error("nothing says where data goes; give --data-dir DIR or set VITALWARD_HOME")]
    Nowhere,
    /// The file system refused.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl DataDirError {
    /// The exit code of a program that cannot use its folder for this reason.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::InUse(_) => Exit::Unavailable,
            Self::Unknown { .. } => Exit::Usage,
            Self::TooOpen { .. } | Self::Nowhere | Self::Io { .. } => Exit::Configuration,
        }
    }
}

impl From<DataDirError> for Stop {
    fn from(error: DataDirError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}

/// The folder below which all data folders lie: `VITALWARD_HOME`, else `~/.local/share/vitalward`.
///
/// # Errors
/// [`DataDirError::Nowhere`].
pub fn home() -> Result<PathBuf, DataDirError> {
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    given("VITALWARD_HOME")
        .or_else(|| given("HOME").map(|home| home.join(".local/share/vitalward")))
        .ok_or(DataDirError::Nowhere)
}

/// Ids of a program that have a data folder below `home`, sorted: `D001` for `gateway-D001`.
#[must_use]
pub fn existing(home: &Path, program: &str) -> Vec<String> {
    let prefix = format!("{program}-");
    let mut ids: Vec<String> = fs::read_dir(home)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(&prefix).map(str::to_owned))
        .collect();
    ids.sort();
    ids
}

/// The data folder of `id`: `given`, else below [`home`]. An unknown id is refused where others exist, unless
/// `create`: a typing error must not open an empty clinic.
///
/// # Errors
/// [`DataDirError::Unknown`], [`DataDirError::Nowhere`].
pub fn resolve(program: &str, id: &str, given: Option<&Path>, create: bool) -> Result<PathBuf, DataDirError> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let home = home()?;
    let existing = existing(&home, program);
    if create || existing.is_empty() || existing.iter().any(|known| known == id) {
        return Ok(home.join(format!("{program}-{id}")));
    }
    Err(DataDirError::Unknown { wanted: id.to_owned(), existing })
}

/// A data folder that this process alone uses, until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    is_new: bool,
    _lock: File,
}

impl DataDir {
    /// Opens a folder (0700), making it if it is not there, and locks it.
    ///
    /// # Errors
    /// [`DataDirError::InUse`], [`DataDirError::TooOpen`], [`DataDirError::Io`].
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |action| move |source| DataDirError::Io { action, path: path.to_owned(), source };
        let is_new = !path.exists();
        if is_new {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make"))?;
        }
        refuse_open_mode(path)?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(lock_path)
            .map_err(failed("open the lock in"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), is_new, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed("lock")(source)),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether [`Self::open`] made it.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Reads a private file; `None` if it does not exist.
    ///
    /// # Errors
    /// [`DataDirError::TooOpen`] if others may read it, [`DataDirError::Io`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DataDirError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => {
                refuse_open_mode(&path)?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DataDirError::Io { action: "read", path, source }),
        }
    }

    /// Writes a private file (0600) whole or not at all: a new file, synced, renamed over the old one.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        let path = self.path.join(name);
        let draft = self.path.join(format!("{name}.new"));
        let written = (|| {
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.path)?.sync_all()
        })();
        written.map_err(|source| DataDirError::Io { action: "write", path, source })
    }
}

fn refuse_open_mode(path: &Path) -> Result<(), DataDirError> {
    let metadata = fs::metadata(path).map_err(|source| DataDirError::Io {
        action: "look at",
        path: path.to_owned(),
        source,
    })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DataDirError::TooOpen { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("gateway-D001");
        (parent, path)
    }

    #[test]
    fn one_process_at_a_time() {
        let (_parent, path) = folder();
        let first = DataDir::open(&path).unwrap();
        assert!(first.is_new());
        assert!(matches!(DataDir::open(&path), Err(DataDirError::InUse(_))));
        drop(first);
        assert!(!DataDir::open(&path).unwrap().is_new());
    }

    #[test]
    fn a_folder_or_file_that_others_may_read_is_refused() {
        let (_parent, path) = folder();
        let dir = DataDir::open(&path).unwrap();
        dir.write("key", b"secret").unwrap();
        assert_eq!(fs::metadata(path.join("key")).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(path.join("key"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(dir.read("key"), Err(DataDirError::TooOpen { mode: 0o640, .. })));
        drop(dir);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(DataDir::open(&path), Err(DataDirError::TooOpen { mode: 0o755, .. })));
    }

    #[test]
    fn a_write_replaces_the_whole_file() {
        let (_parent, path) = folder();
        let dir = DataDir::open(&path).unwrap();
        assert_eq!(dir.read("state").unwrap(), None);
        dir.write("state", b"first, longer").unwrap();
        dir.write("state", b"second").unwrap();
        assert_eq!(dir.read("state").unwrap().unwrap(), b"second");
    }

    #[test]
    fn existing_ids_are_listed_per_program() {
        let (parent, _) = folder();
        for name in ["gateway-D002", "gateway-D001", "patient-P001"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        assert_eq!(existing(parent.path(), "gateway"), ["D001", "D002"]);
    }
}
