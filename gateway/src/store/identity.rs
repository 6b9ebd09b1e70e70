//! Who this gateway is: its keys and its TLS certificate, made at the first start. It does not make them.

use std::fmt;

use crypto::{
    Secret,
    identity::{SigningKey, VerifyingKey},
    purpose,
};
use protocol::{
    credential::{ClientKind, GatewayIdentity, LoginKey},
    id::DoctorId,
};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{
    column::{Text, damaged, text},
    error::StoreError,
    ledger::{Ledger, View},
};

/// The gateway's own identity.
pub struct StoredIdentity {
    /// Ids and keys of the conversation.
    pub keys: GatewayIdentity,
    /// The self-signed TLS certificate, DER.
    pub tls_certificate: Vec<u8>,
    /// Its private key, PKCS #8 DER.
    pub tls_key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for StoredIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredIdentity").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// Refuses a database that belongs to another doctor.
pub(super) fn check_doctor(db: &Connection, doctor: &DoctorId) -> Result<(), StoreError> {
    let sql = "SELECT doctor FROM identity WHERE doctor <> ?1";
    let other = db.query_row(sql, [Text(doctor)], |row| text(row, "doctor")).optional()?;
    other.map_or(Ok(()), |other| Err(StoreError::OtherDoctor(other)))
}

impl View<'_> {
    /// The gateway's identity; `None` before the first start is complete.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a key is none.
    pub fn identity(&self) -> Result<Option<StoredIdentity>, StoreError> {
        let sql = "SELECT * FROM identity WHERE doctor = ?1";
        let Some((gateway, patient, wearable, alerts, tls_spki, tls_certificate, tls_key)) =
            self.first(sql, [Text(self.doctor)], |row| {
                Ok((
                    text(row, "gateway")?,
                    Zeroizing::new(row.get("patient_login")?),
                    Zeroizing::new(row.get("wearable_login")?),
                    Secret::<purpose::Ed25519Key>::new(row.get("alert_signing")?),
                    row.get("tls_spki")?,
                    row.get("tls_certificate")?,
                    Zeroizing::new(row.get("tls_key")?),
                ))
            })?
        else {
            return Ok(None);
        };
        let keys = GatewayIdentity {
            gateway,
            doctor: self.doctor.clone(),
            patient_login: LoginKey::from_secret(ClientKind::Patient, *patient).map_err(damaged)?,
            wearable_login: LoginKey::from_secret(ClientKind::Wearable, *wearable).map_err(damaged)?,
            alerts: SigningKey::from_secret(&alerts),
            tls_spki,
        };
        Ok(Some(StoredIdentity { keys, tls_certificate, tls_key }))
    }

    /// The key that verifies this gateway's alerts.
    pub(super) fn alert_key(&self) -> Result<VerifyingKey, StoreError> {
        let sql = "SELECT alert_signing FROM identity WHERE doctor = ?1";
        let seed = self.first(sql, [Text(self.doctor)], |row| Ok(Secret::new(row.get("alert_signing")?)))?;
        let seed = seed.ok_or_else(|| damaged("alerts without the identity that signs them"))?;
        Ok(SigningKey::from_secret(&seed).verifying_key())
    }
}

impl Ledger<'_> {
    /// Keeps the gateway's identity, once and for all: a second one is refused, since every client has pinned the
    /// first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if there is one.
    pub fn save_identity(&self, identity: &StoredIdentity) -> Result<(), StoreError> {
        let StoredIdentity { keys, tls_certificate, tls_key } = identity;
        self.insert(
            "INSERT INTO identity VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                Text(self.doctor),
                Text(keys.gateway),
                keys.patient_login.to_secret().expose(),
                keys.wearable_login.to_secret().expose(),
                keys.alerts.to_secret().expose(),
                keys.tls_spki,
                tls_certificate,
                **tls_key,
            ],
        )?;
        Ok(())
    }
}
