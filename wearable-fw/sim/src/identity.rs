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

use crate::factory::{DEVICE_ID, FLASH, MAKER, STORAGE_KEY};

/// An identity that cannot be read or kept.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The data folder refused.
    #[error(transparent)]
    Folder(#[from] DataDirError),
    /// A file is not what this program wrote.
    #[error("{0} in the data folder is damaged; restore it, or start a new device with another --name")]
    Damaged(&'static str),
    /// A device without it is another one: what it keeps could not be read, or would be sent as somebody else's.
    #[error(
        "{0} is missing in the data folder of a device that was made already; restore it, or start a new device with \
         another --name. What this one keeps is of no use without it."
    )]
    Missing(&'static str),
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
    /// The identity in a folder, made if there is no device yet. Before the flash is: where that is, or a maker's key, both
    /// halves of an identity were.
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
            None if [DEVICE_ID, MAKER, FLASH].iter().any(|name| dir.path().join(name).exists()) => {
                return Err(IdentityError::Missing(STORAGE_KEY));
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
            None if [MAKER, FLASH].iter().any(|name| dir.path().join(name).exists()) => {
                return Err(IdentityError::Missing(DEVICE_ID));
            }
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
    fn a_making_that_was_cut_off_goes_on_and_a_storage_key_that_is_lost_is_never_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&parent.path().join("w")).unwrap();
        let made = Identity::open(&dir).unwrap();
        std::fs::remove_file(dir.path().join(DEVICE_ID)).unwrap();
        let again = Identity::open(&dir).unwrap();
        assert_eq!(made.storage_key.expose(), again.storage_key.expose());
        std::fs::remove_file(dir.path().join(STORAGE_KEY)).unwrap();
        for others in [[Some(DEVICE_ID), None], [None, Some(MAKER)], [None, Some(FLASH)]] {
            for name in [DEVICE_ID, MAKER, FLASH] {
                std::fs::remove_file(dir.path().join(name)).ok();
            }
            others.into_iter().flatten().for_each(|name| dir.write(name, b"x").unwrap());
            let refused = Identity::open(&dir).unwrap_err().to_string();
            assert!(
                refused.contains("storage-key is missing") && refused.contains("another --name"),
                "{refused}"
            );
        }
    }

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
        dir.write(FLASH, b"").unwrap();
        for name in [DEVICE_ID, STORAGE_KEY] {
            let good = dir.read(name).unwrap().unwrap();
            std::fs::remove_file(dir.path().join(name)).unwrap();
            assert!(matches!(Identity::open(&dir), Err(IdentityError::Missing(file)) if file == name));
            dir.write(name, &good).unwrap();
        }
        assert!(!format!("{made:?}").contains(&format!("{:?}", made.storage_key.expose())));
    }
}
