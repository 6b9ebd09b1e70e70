//! How a binding, a ticket and an alert are written into their files, and what of a file is believed when it is read.
//! It opens no file.

use std::{fmt, sync::Arc};

use crypto::{Secret, identity};
use protocol::{
    alert::{Stage, UnverifiedAlert},
    credential::{ClientIdentity, ClientKind, LoginKey, LoginVerifyingKey, PinnedGateway, Suite},
    handshake::resume::Ticket,
    id::{ClientId, DoctorId, PatientId},
    time::UnixMillis,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Binding, KeptAlert};

/// Secret bytes as hexadecimal digits, wiped when dropped and never shown.
struct SecretHex(Zeroizing<String>);

impl SecretHex {
    fn of(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(hex::encode(bytes)))
    }

    fn bytes<const N: usize>(&self) -> Result<Zeroizing<[u8; N]>, String> {
        let mut bytes = Zeroizing::new([0; N]);
        hex::decode_to_slice(&*self.0, &mut *bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }
}

impl fmt::Debug for SecretHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHex(..)")
    }
}

impl Serialize for SecretHex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretHex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// `identity.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptBinding {
    patient: PatientId,
    paired: u64,
    login_key: SecretHex,
    receipt_key: SecretHex,
    gateway: KeptGateway,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptGateway {
    id: String,
    doctor: DoctorId,
    login: String,
    alerts: String,
    tls_spki: String,
}

impl KeptBinding {
    pub(super) fn of(binding: &Binding) -> Self {
        let Binding { patient, identity, gateway, paired } = binding;
        let receipts = identity.receipts.as_ref().map(|key| SecretHex::of(key.to_secret().expose()));
        Self {
            patient: patient.clone(),
            paired: paired.0,
            login_key: SecretHex::of(identity.login.to_secret().expose()),
            receipt_key: receipts.unwrap_or_else(|| SecretHex::of(&[])),
            gateway: KeptGateway {
                id: gateway.gateway.to_string(),
                doctor: gateway.doctor.clone(),
                login: hex::encode(gateway.login.to_bytes()),
                alerts: hex::encode(gateway.alerts.to_bytes()),
                tls_spki: hex::encode(gateway.tls_spki),
            },
        }
    }

    pub(super) fn restore(self) -> Result<Binding, String> {
        let Self { patient, paired, login_key, receipt_key, gateway } = self;
        let hex = |text: &str| hex::decode(text).map_err(|error| error.to_string());
        let login = LoginKey::from_secret(ClientKind::Patient, *login_key.bytes()?);
        let receipts = identity::SigningKey::from_secret(&Secret::new(*receipt_key.bytes()?));
        let alerts: [u8; 32] = hex(&gateway.alerts)?.try_into().map_err(|_| "a key of another length")?;
        let tls_spki = hex(&gateway.tls_spki)?.try_into().map_err(|_| "a hash of another length")?;
        Ok(Binding {
            identity: Arc::new(ClientIdentity {
                id: ClientId::Patient(patient.clone()),
                login: login.map_err(|error| error.to_string())?,
                receipts: Some(receipts),
            }),
            patient,
            gateway: PinnedGateway {
                gateway: gateway.id.parse().map_err(|_| "no gateway id")?,
                doctor: gateway.doctor,
                login: LoginVerifyingKey::from_bytes(ClientKind::Patient, &hex(&gateway.login)?)
                    .map_err(|error| error.to_string())?,
                alerts: identity::VerifyingKey::from_bytes(&alerts).map_err(|error| error.to_string())?,
                tls_spki,
            },
            paired: UnixMillis(paired),
        })
    }
}

/// `ticket.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptTicket {
    token: SecretHex,
    key: SecretHex,
    expires: u64,
}

impl KeptTicket {
    pub(super) fn of(ticket: &Ticket, expires: UnixMillis) -> Self {
        let (token, key) = (SecretHex::of(&ticket.token), SecretHex::of(ticket.key.expose()));
        Self { token, key, expires: expires.0 }
    }

    pub(super) const fn expired(&self, now: UnixMillis) -> bool {
        self.expires <= now.0
    }

    pub(super) fn restore(self) -> Option<Ticket> {
        let (token, key) = (*self.token.bytes().ok()?, Secret::new(*self.key.bytes().ok()?));
        Some(Ticket { token, suite: Suite::Patient, key })
    }
}

/// `alert-ID.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AlertFile {
    alert: String,
    seen: u64,
    acknowledged: bool,
}

impl AlertFile {
    pub(super) fn of(kept: &KeptAlert) -> Self {
        Self {
            alert: hex::encode(kept.alert.encode()),
            seen: kept.seen.0,
            acknowledged: kept.stage == Stage::Acknowledged,
        }
    }

    pub(super) fn restore(self, gateway: &identity::VerifyingKey) -> Option<KeptAlert> {
        let alert = UnverifiedAlert::decode(&hex::decode(self.alert).ok()?).ok()?.verify(gateway).ok()?;
        let stage = if self.acknowledged { Stage::Acknowledged } else { Stage::Decrypted };
        Some(KeptAlert { alert, seen: UnixMillis(self.seen), stage })
    }
}
