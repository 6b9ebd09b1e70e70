//! People and machines that every run shares: fixed keys, a fixed clock, a generator that starts alike.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use crypto::{Secret, identity::SigningKey};
use protocol::{
    credential::{ClientIdentity, ClientKind, GatewayIdentity, LoginKey, PinnedClient, PinnedGateway},
    handshake::Channel,
    id::{ClientId, DeviceId, GatewayId},
    time::{Monotonic, Now, UnixMillis},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

pub(crate) const NOW: Now = Now { wall: UnixMillis(1_790_000_000_000), mono: Monotonic(1_000_000) };
pub(crate) const TOLERANCE: Duration = Duration::from_secs(30);

/// The gateway.
pub(crate) static GATEWAY: LazyLock<GatewayIdentity> = LazyLock::new(|| GatewayIdentity {
    gateway: GatewayId::from_random([1; 16]),
    doctor: "D001".parse().unwrap(),
    patient_login: login_key(ClientKind::Patient, 2),
    wearable_login: login_key(ClientKind::Wearable, 3),
    alerts: SigningKey::from_secret(&Secret::new([4; 32])),
    tls_spki: [5; 32],
});

/// A patient's computer.
pub(crate) static PATIENT: LazyLock<Arc<ClientIdentity>> = LazyLock::new(|| {
    Arc::new(ClientIdentity {
        id: ClientId::Patient("P001".parse().unwrap()),
        login: login_key(ClientKind::Patient, 17),
        receipts: Some(SigningKey::from_secret(&Secret::new([18; 32]))),
    })
});

/// A wearable.
pub(crate) static WEARABLE: LazyLock<Arc<ClientIdentity>> = LazyLock::new(|| {
    Arc::new(ClientIdentity {
        id: ClientId::Wearable(DeviceId::from_random([20; 16])),
        login: login_key(ClientKind::Wearable, 19),
        receipts: None,
    })
});

fn login_key(kind: ClientKind, byte: u8) -> LoginKey {
    LoginKey::from_secret(kind, [byte; 32]).unwrap()
}

/// The client of a kind.
pub(crate) fn client(kind: ClientKind) -> Arc<ClientIdentity> {
    Arc::clone(match kind {
        ClientKind::Patient => &PATIENT,
        ClientKind::Wearable => &WEARABLE,
    })
}

/// What a gateway knows of a client.
pub(crate) fn pinned(client: &ClientIdentity) -> PinnedClient {
    PinnedClient {
        id: client.id.clone(),
        login: client.login.verifying_key(),
        receipts: client.receipts.as_ref().map(SigningKey::verifying_key),
    }
}

/// What a client of a kind knows of the gateway.
pub(crate) fn gateway(kind: ClientKind) -> PinnedGateway {
    GATEWAY.pinned(kind)
}

/// The channel of the port for a kind.
pub(crate) const fn channel(kind: ClientKind) -> Channel {
    match kind {
        ClientKind::Patient => Channel::Tls { exporter: [0x42; 32] },
        ClientKind::Wearable => Channel::Plain,
    }
}

/// Randomness that is the same in every run.
pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The selector byte of an input and the rest; an empty input selects 0.
pub(crate) fn select(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}
