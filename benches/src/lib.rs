//! What the benches share: parties that can log in to each other, groups of any size, and the table of results.

pub mod table;

use std::sync::Arc;

use crypto::{Secret, identity::SigningKey, purpose::Ed25519Key};
use protocol::{
    alert::{Alert, Audience, Draft, Priority},
    credential::{ClientIdentity, ClientKind, GatewayIdentity, LoginKey, PinnedClient, PinnedGateway, Suite},
    group::GroupOwner,
    handshake::Channel,
    id::{AlertId, ClientId, DeviceId, GatewayId, SessionId},
    time::{Monotonic, Now, UnixMillis},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const NOW: Now = Now { wall: UnixMillis(1_700_000_000_000), mono: Monotonic(0) };

/// A gateway and a client that are paired.
#[derive(Debug)]
pub struct Parties {
    /// The client's kind.
    pub kind: ClientKind,
    /// What they talk over.
    pub channel: Channel,
    /// The time of the login.
    pub now: Now,
    /// The gateway's keys.
    pub gateway: GatewayIdentity,
    /// The client's keys.
    pub client: Arc<ClientIdentity>,
    /// What the client knows of the gateway.
    pub pinned_gateway: PinnedGateway,
    /// What the gateway knows of the client.
    pub pinned_client: PinnedClient,
    /// Randomness, the same in every run.
    pub rng: ChaCha20Rng,
}

impl Parties {
    /// A pair with a client of this kind.
    ///
    /// # Panics
    /// If this build lacks a suite.
    #[must_use]
    #[expect(clippy::expect_used, reason = "benches are built with both suites")]
    pub fn new(kind: ClientKind) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let login =
            |suite, rng: &mut ChaCha20Rng| LoginKey::generate(suite, rng).expect("built with this suite");
        let gateway = GatewayIdentity {
            gateway: GatewayId::from_bytes([1; 16]),
            doctor: "D001".parse().expect("a valid id"),
            patient_login: login(Suite::Patient, &mut rng),
            wearable_login: login(Suite::Wearable, &mut rng),
            alerts: SigningKey::from_secret(&Secret::<Ed25519Key>::generate(&mut rng)),
            tls_spki: [0; 32],
        };
        let (id, channel, receipts) = match kind {
            ClientKind::Patient => {
                let receipts = SigningKey::from_secret(&Secret::<Ed25519Key>::generate(&mut rng));
                let id = ClientId::Patient("P001".parse().expect("a valid id"));
                (id, Channel::Tls { exporter: [3; 32] }, Some(receipts))
            }
            ClientKind::Wearable => (ClientId::Wearable(DeviceId::from_bytes([2; 16])), Channel::Plain, None),
        };
        let client = ClientIdentity { id: id.clone(), login: login(kind.suite(), &mut rng), receipts };
        let pinned_client = PinnedClient {
            id,
            login: client.login.verifying_key(),
            receipts: client.receipts.as_ref().map(SigningKey::verifying_key),
        };
        let pinned_gateway = gateway.pinned(kind);
        Self {
            kind,
            channel,
            now: NOW,
            gateway,
            client: Arc::new(client),
            pinned_gateway,
            pinned_client,
            rng,
        }
    }
}

/// A group owner with this many members.
///
/// # Panics
/// Never: the ids are valid.
#[must_use]
#[expect(clippy::expect_used, reason = "the ids are made here")]
pub fn group_of(members: usize, rng: &mut ChaCha20Rng) -> GroupOwner {
    let mut owner = GroupOwner::new(GatewayId::from_bytes([1; 16]), 1, NOW.mono, rng);
    for n in 0..members {
        let patient = format!("P{n}").parse().expect("a valid id");
        owner.join(&patient, SessionId::from_bytes([0; 16]), Secret::generate(rng), NOW.mono, rng);
    }
    owner
}

/// An alert of ordinary length.
///
/// # Panics
/// Never: the text is within its limit.
#[must_use]
#[expect(clippy::expect_used, reason = "the text is within its limit")]
pub fn alert() -> Alert {
    let draft = Draft {
        id: AlertId::from_bytes([9; 16]),
        sequence: 1,
        created: NOW.wall,
        expires: UnixMillis(NOW.wall.0 + 86_400_000),
        priority: Priority::High,
        audience: Audience::Ward,
        cancels: None,
        text: "Fire in the east wing. Leave by the west stairs. Nurses will meet you at the door.".into(),
    };
    draft
        .sign(&SigningKey::from_secret(&Secret::<Ed25519Key>::new([5; 32])))
        .expect("a text within its limit")
}
