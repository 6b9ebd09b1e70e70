//! What a device keeps in its sealed configuration: the gateway that it is bound to, perhaps a second binding that has not
//! proved itself yet, its settings and the floor of its clock. Knows no flash.

use alloc::{sync::Arc, vec::Vec};

use crypto::{Secret, identity, purpose::Ed25519Key};
use protocol::{
    cadence::Settings,
    credential::{ClientIdentity, LoginKey, LoginVerifyingKey, PinnedGateway},
    id::{ClientId, DeviceId, DoctorId, GatewayId, Seq},
    pairing::{initiator::Granted, network::NetworkCredentials},
    time::UnixMillis,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A gateway, the key that it knows this device by, and the network that it gave.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Binding {
    #[serde(with = "pinned")]
    pub(super) gateway: PinnedGateway,
    #[serde(with = "login")]
    login: Secret<Ed25519Key>,
    pub(super) network: Option<NetworkCredentials>,
}

impl From<Granted> for Binding {
    fn from(granted: Granted) -> Self {
        let login = granted.identity.login.to_secret();
        Self { gateway: granted.gateway, login, network: granted.network }
    }
}

impl Binding {
    /// Who the device is towards this gateway.
    pub(super) fn identity(&self, device: DeviceId) -> Arc<ClientIdentity> {
        let login = LoginKey::Ed25519(identity::SigningKey::from_secret(&self.login));
        Arc::new(ClientIdentity { id: ClientId::Wearable(device), login, receipts: None })
    }
}

/// The content of the configuration record. Its default is that of a new device: no key, no gateway.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Configuration {
    pub(super) bound: Option<Binding>,
    /// Granted and not validated yet; the older one stays beside it.
    pub(super) pending: Option<Binding>,
    pub(super) settings: Option<Settings>,
    pub(super) floor: Option<UnixMillis>,
    /// No sample has a higher number.
    pub(super) reserved: Option<Seq>,
    /// A factory reset has begun: the samples go next, then this record.
    pub(super) erasing: bool,
}

mod pinned {
    use super::{
        Deserialize, Deserializer, DoctorId, GatewayId, LoginVerifyingKey, PinnedGateway, Serialize,
        Serializer, Vec, key,
    };

    #[derive(Serialize, Deserialize)]
    struct Stored {
        gateway: GatewayId,
        doctor: DoctorId,
        login: Vec<u8>,
        #[serde(deserialize_with = "protocol::codec::array")]
        alerts: [u8; 32],
        #[serde(deserialize_with = "protocol::codec::array")]
        tls_spki: [u8; 32],
    }

    pub(super) fn serialize<S: Serializer>(
        gateway: &PinnedGateway,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let stored = Stored {
            gateway: gateway.gateway,
            doctor: gateway.doctor.clone(),
            login: gateway.login.to_bytes(),
            alerts: gateway.alerts.to_bytes(),
            tls_spki: gateway.tls_spki,
        };
        stored.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PinnedGateway, D::Error> {
        let Stored { gateway, doctor, login, alerts, tls_spki } = Stored::deserialize(deserializer)?;
        let login = LoginVerifyingKey::Ed25519(key(&login)?);
        let alerts = key(&alerts)?;
        Ok(PinnedGateway { gateway, doctor, login, alerts, tls_spki })
    }
}

mod login {
    use super::{Deserializer, Ed25519Key, Secret, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        key: &Secret<Ed25519Key>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        key.expose().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Secret<Ed25519Key>, D::Error> {
        protocol::codec::array(deserializer).map(Secret::new)
    }
}

fn key<E: serde::de::Error>(bytes: &[u8]) -> Result<identity::VerifyingKey, E> {
    identity::VerifyingKey::from_bytes(bytes).map_err(|_| E::custom("no key"))
}
