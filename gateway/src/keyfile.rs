//! The key of the encrypted database: a systemd credential if the service has one, else a file in the data folder. A
//! file beside the database protects a stolen backup or a discarded disk image, not a stolen data folder; `status`
//! says which it is.
//!
//! A rotation writes the next key beside the present one before the database changes, so that whatever it is interrupted
//! by, one of the two fits; [`obtain`] finds out which.

use std::{fs, path::PathBuf};

use crypto::{Secret, purpose};
use host::{
    datadir::DataDir,
    entropy::system_rng,
    exit::{Exit, Stop},
};
use zeroize::Zeroizing;

use crate::{app::DATABASE, store};

const FILE: &str = "database.key";
const NEXT: &str = "database.key.next";
const CREDENTIAL: &str = "vitalward-database-key";

/// A database key and what protects it, in words for `status`.
#[derive(Debug)]
pub struct DatabaseKey {
    /// The key.
    pub key: Secret<purpose::DatabaseKey>,
    /// What protects it.
    pub protection: &'static str,
}

/// Finds the key, or makes one for a new data folder.
///
/// # Errors
/// A [`Stop`] that says what to do.
pub fn obtain(data_dir: &DataDir) -> Result<DatabaseKey, Stop> {
    if let Some(path) = credential() {
        let text = Zeroizing::new(fs::read(&path).map_err(|error| {
            Stop::new(Exit::Configuration, format!("cannot read the credential {}: {error}", path.display()))
        })?);
        return Ok(DatabaseKey { key: parse(&text)?, protection: "systemd credential" });
    }
    let key = match data_dir.read(FILE)?.map(Zeroizing::new) {
        Some(text) => settle(data_dir, parse(&text)?)?,
        None if data_dir.path().join(DATABASE).exists() => {
            let missing = format!(
                "{} holds a database but no {FILE}; restore that file, or give the key as systemd credential {CREDENTIAL}",
                data_dir.path().display()
            );
            return Err(Stop::new(Exit::Configuration, missing));
        }
        None => {
            let key = Secret::generate(&mut system_rng());
            write(data_dir, FILE, &key)?;
            key
        }
    };
    Ok(DatabaseKey {
        key,
        protection: "key file beside the database (does not protect a stolen data folder)",
    })
}

/// Encrypts the database anew under a fresh key and puts that key in the place of the old one. Nothing is lost if it is
/// interrupted. Blocks for as long as rewriting the database takes.
///
/// # Errors
/// A [`Stop`] if there is no database yet, if its key is a systemd credential, which this program cannot replace, or if the
/// disk fails.
pub fn rotate(data_dir: &DataDir) -> Result<(), Stop> {
    let database = data_dir.path().join(DATABASE);
    if credential().is_some() {
        let message = format!(
            "the database key is the systemd credential {CREDENTIAL}, which only its owner can replace"
        );
        return Err(Stop::new(Exit::Usage, message));
    }
    if !database.exists() {
        let message = format!("there is no database in {}", data_dir.path().display());
        return Err(Stop::new(Exit::Configuration, message));
    }
    let present = obtain(data_dir)?.key;
    let next = Secret::generate(&mut system_rng());
    write(data_dir, NEXT, &next)?;
    store::rekey(&database, &present, &next)
        .map_err(|error| Stop::new(Exit::Failed, format!("the database keeps its old key: {error}")))?;
    settle(data_dir, present).map(drop)
}

/// Which of two keys fits after a rotation, finished or not; it alone is kept.
fn settle(
    data_dir: &DataDir,
    present: Secret<purpose::DatabaseKey>,
) -> Result<Secret<purpose::DatabaseKey>, Stop> {
    let Some(next) = data_dir.read(NEXT)?.map(Zeroizing::new) else { return Ok(present) };
    let (next, database) = (parse(&next)?, data_dir.path().join(DATABASE));
    let fits =
        |key| store::fits(&database, key).map_err(|error| Stop::new(Exit::Configuration, error.to_string()));
    // The present key first: it takes back a rotation that was cut off in the middle.
    let kept = match (fits(&present)?, fits(&next)?) {
        (true, _) => present,
        (false, true) => {
            write(data_dir, FILE, &next)?;
            next
        }
        (false, false) => {
            let message =
                format!("neither {FILE} nor {NEXT} opens the database; restore the key that belongs to it");
            return Err(Stop::new(Exit::Configuration, message));
        }
    };
    fs::remove_file(data_dir.path().join(NEXT))
        .map_err(|error| Stop::new(Exit::Configuration, format!("cannot remove {NEXT}: {error}")))?;
    Ok(kept)
}

fn credential() -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(PathBuf::from(folder).join(CREDENTIAL)).filter(|path| path.exists())
}

fn write(data_dir: &DataDir, name: &str, key: &Secret<purpose::DatabaseKey>) -> Result<(), Stop> {
    Ok(data_dir.write(name, Zeroizing::new(hex::encode(key.expose())).as_bytes())?)
}

fn parse(text: &[u8]) -> Result<Secret<purpose::DatabaseKey>, Stop> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii(), &mut *bytes)
        .map_err(|_| Stop::new(Exit::Configuration, "the database key is not 64 hexadecimal digits"))?;
    Ok(Secret::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_key_is_made_once_and_never_replaced_beside_a_database() {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&parent.path().join("gateway-D001")).unwrap();
        let first = obtain(&data_dir).unwrap().key;
        assert_eq!(obtain(&data_dir).unwrap().key, first);
        fs::write(data_dir.path().join(DATABASE), b"").unwrap();
        fs::remove_file(data_dir.path().join(FILE)).unwrap();
        assert!(obtain(&data_dir).unwrap_err().to_string().contains("restore that file"));
    }

    /// A data folder with a database under its key.
    fn gateway(parent: &tempfile::TempDir) -> (DataDir, PathBuf) {
        let data_dir = DataDir::open(&parent.path().join("gateway-D001")).unwrap();
        let key = obtain(&data_dir).unwrap().key;
        let path = data_dir.path().join(DATABASE);
        drop(Store::open(&path, &key, &"D001".parse().unwrap()).unwrap());
        (data_dir, path)
    }

    #[test]
    fn a_rotation_leaves_one_key_which_is_new_and_opens_the_database() {
        let parent = tempfile::tempdir().unwrap();
        let (data_dir, path) = gateway(&parent);
        let old = obtain(&data_dir).unwrap().key;
        rotate(&data_dir).unwrap();
        let new = obtain(&data_dir).unwrap().key;
        assert_ne!(new, old);
        assert!(store::fits(&path, &new).unwrap() && !store::fits(&path, &old).unwrap());
        assert!(!data_dir.path().join(NEXT).exists());
        Store::open(&path, &new, &"D001".parse().unwrap()).unwrap();
    }

    #[test]
    fn a_rotation_that_was_interrupted_is_finished_or_taken_back() {
        let parent = tempfile::tempdir().unwrap();
        let (data_dir, path) = gateway(&parent);
        let (old, next) = (obtain(&data_dir).unwrap().key, Secret::generate(&mut system_rng()));
        // Before the database changed.
        write(&data_dir, NEXT, &next).unwrap();
        assert_eq!(obtain(&data_dir).unwrap().key, old);
        assert!(!data_dir.path().join(NEXT).exists());
        // After it changed, before the key took its place.
        write(&data_dir, NEXT, &next).unwrap();
        store::rekey(&path, &old, &next).unwrap();
        assert_eq!(obtain(&data_dir).unwrap().key, next);
        assert_eq!(parse(&data_dir.read(FILE).unwrap().unwrap()).unwrap(), next);
        // With neither key nothing is thrown away.
        let stranger = Secret::generate(&mut system_rng());
        write(&data_dir, FILE, &stranger).unwrap();
        write(&data_dir, NEXT, &stranger).unwrap();
        assert!(obtain(&data_dir).unwrap_err().to_string().contains("restore the key"));
        assert!(data_dir.path().join(NEXT).exists());
    }

    #[test]
    fn a_malformed_key_is_refused() {
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
