//! Who the device is and whom it trusts, as files: `device-id` (made once), `login-key` (made once, never leaves) and
//! `gateway.json` (written when a pairing is granted). Knows no conversation.

use std::sync::Arc;

use crypto::{Secret, purpose::Ed25519Key};
use host::{
    datadir::{DataDir, DataDirError},
    entropy::system_rng,
};
use protocol::{
    credential::{ClientIdentity, ClientKind, LoginKey, LoginVerifyingKey, PinnedGateway},
    id::{ClientId, DeviceId, DoctorId, GatewayId},
};
use rand_core::Rng;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

const DEVICE_ID: &str = "device-id";
const LOGIN_KEY: &str = "login-key";
const GATEWAY: &str = "gateway.json";

/// Keys that cannot be read or kept.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The data folder refused.
    #[error(transparent)]
    Folder(#[from] DataDirError),
    /// A file is not what this program wrote.
    #[error("{0} in the data folder is damaged; restore it, or start a new device with another --name")]
    Damaged(&'static str),
}

/// The device's identity.
#[derive(Debug)]
pub struct Keys {
    device: DeviceId,
    login: Secret<Ed25519Key>,
}

impl Keys {
    /// The keys in a folder, made if they are not there.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn open(dir: &DataDir) -> Result<Self, KeysError> {
        let login = match dir.read(LOGIN_KEY)?.map(Zeroizing::new) {
            Some(bytes) => {
                let bytes: [u8; 32] =
                    bytes.as_slice().try_into().map_err(|_| KeysError::Damaged(LOGIN_KEY))?;
                Secret::new(bytes)
            }
            None => {
                let fresh = Secret::generate(&mut system_rng());
                dir.write(LOGIN_KEY, fresh.expose())?;
                fresh
            }
        };
        let device = match dir.read(DEVICE_ID)? {
            Some(text) => String::from_utf8(text)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .ok_or(KeysError::Damaged(DEVICE_ID))?,
            None => {
                let mut random = [0; 16];
                system_rng().fill_bytes(&mut random);
                let fresh = DeviceId::from_random(random);
                dir.write(DEVICE_ID, format!("{fresh}\n").as_bytes())?;
                fresh
            }
        };
        Ok(Self { device, login })
    }

    /// The device's UUID.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// What signs its logins.
    #[must_use]
    pub fn login(&self) -> LoginKey {
        LoginKey::Ed25519(crypto::identity::SigningKey::from_secret(&self.login))
    }

    /// Both, as the protocol wants them.
    #[must_use]
    pub fn identity(&self) -> Arc<ClientIdentity> {
        let id = ClientId::Wearable(self.device);
        Arc::new(ClientIdentity { id, login: self.login(), receipts: None })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct PinnedFile {
    gateway: String,
    doctor: DoctorId,
    login: String,
    alerts: String,
    tls_spki: String,
}

/// The gateway that this device is paired with.
///
/// # Errors
/// [`KeysError`].
pub fn read_gateway(dir: &DataDir) -> Result<Option<PinnedGateway>, KeysError> {
    dir.read(GATEWAY)?.map(|bytes| parse(&bytes).ok_or(KeysError::Damaged(GATEWAY))).transpose()
}

/// Pins a gateway in place of any other, for good before this returns.
///
/// # Errors
/// [`KeysError`].
pub fn write_gateway(dir: &DataDir, pinned: &PinnedGateway) -> Result<(), KeysError> {
    let file = PinnedFile {
        gateway: pinned.gateway.to_string(),
        doctor: pinned.doctor.clone(),
        login: hex::encode(pinned.login.to_bytes()),
        alerts: hex::encode(pinned.alerts.to_bytes()),
        tls_spki: hex::encode(pinned.tls_spki),
    };
    let text = serde_json::to_vec_pretty(&file).map_err(|_| KeysError::Damaged(GATEWAY))?;
    Ok(dir.write(GATEWAY, &text)?)
}

fn parse(bytes: &[u8]) -> Option<PinnedGateway> {
    let file: PinnedFile = serde_json::from_slice(bytes).ok()?;
    let mut tls_spki = [0; 32];
    hex::decode_to_slice(&file.tls_spki, &mut tls_spki).ok()?;
    Some(PinnedGateway {
        gateway: file.gateway.parse::<GatewayId>().ok()?,
        doctor: file.doctor,
        login: LoginVerifyingKey::from_bytes(ClientKind::Wearable, &hex::decode(&file.login).ok()?).ok()?,
        alerts: crypto::identity::VerifyingKey::from_bytes(&hex::decode(&file.alerts).ok()?).ok()?,
        tls_spki,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_and_pin_survive_a_restart() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("wearable-W001");
        let dir = DataDir::open(&path).unwrap();
        let keys = Keys::open(&dir).unwrap();
        assert_eq!(read_gateway(&dir).unwrap(), None);
        let gateway = LoginKey::generate(ClientKind::Wearable, &mut system_rng()).unwrap();
        let alerts = crypto::identity::SigningKey::generate(&mut system_rng());
        let pinned = PinnedGateway {
            gateway: GatewayId::from_random([7; 16]),
            doctor: "D001".parse().unwrap(),
            login: gateway.verifying_key(),
            alerts: alerts.verifying_key(),
            tls_spki: [9; 32],
        };
        write_gateway(&dir, &pinned).unwrap();
        drop(dir);
        let dir = DataDir::open(&path).unwrap();
        let again = Keys::open(&dir).unwrap();
        assert_eq!(again.device(), keys.device());
        assert_eq!(again.login().verifying_key(), keys.login().verifying_key());
        assert_eq!(read_gateway(&dir).unwrap(), Some(pinned));
    }

    #[test]
    fn a_damaged_file_is_refused_not_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&parent.path().join("w")).unwrap();
        for name in [DEVICE_ID, LOGIN_KEY] {
            Keys::open(&dir).unwrap();
            let good = dir.read(name).unwrap().unwrap();
            dir.write(name, b"nonsense").unwrap();
            assert!(matches!(Keys::open(&dir), Err(KeysError::Damaged(file)) if file == name));
            dir.write(name, &good).unwrap();
        }
        dir.write(GATEWAY, b"{}").unwrap();
        assert!(matches!(read_gateway(&dir), Err(KeysError::Damaged(_))));
    }

    #[test]
    fn the_secret_is_not_shown() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&parent.path().join("w")).unwrap();
        let keys = Keys::open(&dir).unwrap();
        let secret = dir.read(LOGIN_KEY).unwrap().unwrap();
        let shown = format!("{keys:?}");
        assert!(!shown.contains(&hex::encode(&secret)) && !shown.contains(&format!("{secret:?}")));
    }
}
