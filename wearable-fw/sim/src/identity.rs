//! What the maker gives a device, for life: its UUID and the key that seals its configuration. Files of mode 0600 in the
//! data folder stand for the board's own key store. Knows no gateway.

use crypto::{Secret, purpose::StorageKey};
use host::{
    datadir::{DataDir, DataDirError},
    entropy::system_rng,
};
use protocol::id::DeviceId;
use rand_core::Rng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::factory::{DEVICE_ID, STORAGE_KEY};

/// An identity that cannot be read or kept.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The data folder refused.
    #[error(transparent)]
    Folder(#[from] DataDirError),
    /// A file is not what this program wrote.
    #[error("{0} in the data folder is damaged; restore it, or start a new device with another --name")]
    Damaged(&'static str),
}

/// Who the device is.
#[derive(Debug)]
pub struct Identity {
    /// Its UUID.
    pub device: DeviceId,
    /// Seals its configuration.
    pub storage_key: Secret<StorageKey>,
}

impl Identity {
    /// The identity in a folder, made if it is not there.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn open(dir: &DataDir) -> Result<Self, IdentityError> {
        let storage_key = match dir.read(STORAGE_KEY)?.map(Zeroizing::new) {
            Some(bytes) => {
                let bytes: [u8; 32] =
                    bytes.as_slice().try_into().map_err(|_| IdentityError::Damaged(STORAGE_KEY))?;
                Secret::new(bytes)
            }
            None => {
                let fresh = Secret::generate(&mut system_rng());
                dir.write(STORAGE_KEY, fresh.expose())?;
                fresh
            }
        };
        let device = match dir.read(DEVICE_ID)? {
            Some(text) => String::from_utf8(text)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .ok_or(IdentityError::Damaged(DEVICE_ID))?,
            None => {
                let mut random = [0; 16];
                system_rng().fill_bytes(&mut random);
                let fresh = DeviceId::from_random(random);
                dir.write(DEVICE_ID, format!("{fresh}\n").as_bytes())?;
                fresh
            }
        };
        Ok(Self { device, storage_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_never_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&parent.path().join("w")).unwrap();
        let made = Identity::open(&dir).unwrap();
        let again = Identity::open(&dir).unwrap();
        assert_eq!(made.device, again.device);
        assert_eq!(made.storage_key.expose(), again.storage_key.expose());
        for name in [DEVICE_ID, STORAGE_KEY] {
            let good = dir.read(name).unwrap().unwrap();
            dir.write(name, b"nonsense").unwrap();
            assert!(matches!(Identity::open(&dir), Err(IdentityError::Damaged(file)) if file == name));
            dir.write(name, &good).unwrap();
        }
        assert!(!format!("{made:?}").contains(&format!("{:?}", made.storage_key.expose())));
    }
}
