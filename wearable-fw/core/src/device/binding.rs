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

/// The content of the configuration record. Its default is that of a new device: no key, no gateway. Fields are only
/// appended: [`ConfigStore`](crate::config::ConfigStore).
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Configuration {
    pub(super) bound: Option<Binding>,
    /// Granted and not validated yet; the older one stays beside it.
    pub(super) pending: Option<Binding>,
    pub(super) settings: Option<Settings>,
    pub(super) floor: Option<UnixMillis>,
    /// A factory reset has begun: the samples go next, then this record.
    pub(super) erasing: bool,
    /// No sample has a higher number.
    pub(super) reserved: Option<Seq>,
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

#[cfg(test)]
mod tests {
    use crypto::purpose::StorageKey;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;
    use crate::{
        config::{ConfigStore, Found},
        flash::ram::RamFlash,
    };

    /// As firmware wrote it before numbers were reserved.
    #[derive(Debug, Serialize, Deserialize)]
    struct Earlier {
        bound: Option<Binding>,
        pending: Option<Binding>,
        settings: Option<Settings>,
        floor: Option<UnixMillis>,
        erasing: bool,
    }

    /// What one firmware keeps, read by another.
    fn handed_on<W: Serialize + serde::de::DeserializeOwned, R: Serialize + serde::de::DeserializeOwned>(
        written: &W,
    ) -> R {
        let (key, device) = (Secret::<StorageKey>::new([9; 32]), DeviceId::from_bytes([7; 16]));
        let mut flash = RamFlash::<256>::new(8);
        let (mut store, _) = ConfigStore::<W>::open(&mut flash, &(0..2048), &key, device).unwrap();
        store.commit(&mut flash, written, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        match ConfigStore::<R>::open(&mut flash, &(0..2048), &key, device).unwrap().1 {
            Found::Record(read) => read,
            Found::Nothing | Found::Unreadable => panic!("the other firmware cannot read it"),
        }
    }

    fn binding() -> Binding {
        let keys = |seed| identity::SigningKey::from_secret(&Secret::new([seed; 32])).verifying_key();
        let gateway = PinnedGateway {
            gateway: GatewayId::from_random([1; 16]),
            doctor: "D001".parse().unwrap(),
            login: LoginVerifyingKey::Ed25519(keys(2)),
            alerts: keys(3),
            tls_spki: [4; 32],
        };
        Binding { gateway, login: Secret::new([5; 32]), network: None }
    }

    #[test]
    fn a_pairing_outlives_an_update_from_firmware_that_reserved_no_numbers() {
        let floor = Some(UnixMillis(1_800_000_000_000));
        let earlier =
            Earlier { bound: Some(binding()), pending: None, settings: None, floor, erasing: false };
        let now: Configuration = handed_on(&earlier);
        assert_eq!(now.bound.unwrap().gateway.doctor, earlier.bound.unwrap().gateway.doctor);
        assert_eq!((now.floor, now.erasing, now.reserved), (floor, false, None));
    }

    #[test]
    fn a_rollback_to_such_firmware_keeps_the_pairing_and_erases_nothing() {
        let now = Configuration { bound: Some(binding()), reserved: Some(Seq(4_096)), ..Default::default() };
        let earlier: Earlier = handed_on(&now);
        assert!(earlier.bound.is_some() && !earlier.erasing, "it would take a reset up");
    }
}
