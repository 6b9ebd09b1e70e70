//! The key of the encrypted database: a systemd credential if the service has one, else a file in the data folder. A
//! file beside the database protects a stolen backup or a discarded disk image, not a stolen data folder; `status`
//! says which it is.

use std::{fs, path::PathBuf};

use crypto::{Secret, purpose};
use host::{
    datadir::DataDir,
    entropy::system_rng,
    exit::{Exit, Stop},
};
use zeroize::Zeroizing;

const FILE: &str = "database.key";
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
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join(CREDENTIAL));
    if let Some(path) = credential.filter(|path| path.exists()) {
        let text = Zeroizing::new(fs::read(&path).map_err(|error| {
            Stop::new(Exit::Configuration, format!("cannot read the credential {}: {error}", path.display()))
        })?);
        return Ok(DatabaseKey { key: parse(&text)?, protection: "systemd credential" });
    }
    let key = match data_dir.read(FILE)?.map(Zeroizing::new) {
        Some(text) => parse(&text)?,
        None if data_dir.path().join(crate::app::DATABASE).exists() => {
            let missing = format!(
                "{} holds a database but no {FILE}; restore that file, or give the key as systemd credential {CREDENTIAL}",
                data_dir.path().display()
            );
            return Err(Stop::new(Exit::Configuration, missing));
        }
        None => {
            let key = Secret::generate(&mut system_rng());
            data_dir.write(FILE, hex::encode(key.expose()).as_bytes())?;
            key
        }
    };
    Ok(DatabaseKey {
        key,
        protection: "key file beside the database (does not protect a stolen data folder)",
    })
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

    #[test]
    fn a_key_is_made_once_and_never_replaced_beside_a_database() {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&parent.path().join("gateway-D001")).unwrap();
        let first = obtain(&data_dir).unwrap().key;
        assert_eq!(obtain(&data_dir).unwrap().key, first);
        fs::write(data_dir.path().join(crate::app::DATABASE), b"").unwrap();
        fs::remove_file(data_dir.path().join(FILE)).unwrap();
        assert!(obtain(&data_dir).unwrap_err().to_string().contains("restore that file"));
    }

    #[test]
    fn a_malformed_key_is_refused() {
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
