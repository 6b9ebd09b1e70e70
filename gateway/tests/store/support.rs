//! A store in a temporary folder, and values to put into it.

use std::path::PathBuf;

use crypto::{Secret, identity, purpose};
use gateway::store::{Store, StoreError, identity::StoredIdentity, offers::Offer};
use protocol::{
    alert::{Alert, Audience, Draft, Priority},
    credential::{ClientKind, GatewayIdentity, LoginKey, PinnedClient},
    id::{AlertId, BootId, ClientId, DeviceId, DoctorId, GatewayId, PatientId, Seq},
    reading::Reason,
    time::UnixMillis,
    vitals::{KnownQuantity, Sample, SampleTime, VitalsBatch},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tempfile::TempDir;
use zeroize::Zeroizing;

pub(crate) const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
pub(crate) const MINUTE: u64 = 60_000;

/// `minutes` after [`NOW`].
pub(crate) fn after(minutes: u64) -> UnixMillis {
    UnixMillis(NOW.0 + minutes * MINUTE)
}

pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.path().join("gateway.db")
    }

    pub(crate) fn open(&self) -> Store {
        self.try_open(7, "D001").unwrap()
    }

    pub(crate) fn try_open(&self, key: u8, doctor: &str) -> Result<Store, StoreError> {
        Store::open(&self.database(), &key_of(key), &doctor.parse().unwrap())
    }

    /// The database as somebody who has the key and another program sees it.
    pub(crate) fn by_hand(&self) -> rusqlite::Connection {
        let db = rusqlite::Connection::open(self.database()).unwrap();
        db.execute_batch(&format!("PRAGMA key = \"x'{}'\"", hex::encode(key_of(7).expose()))).unwrap();
        db
    }

    /// Every file of the folder: its name and content.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
        };
        std::fs::read_dir(self.0.path()).unwrap().map(read).collect()
    }

    /// The folder as a crash would leave it now.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        for (name, content) in self.files() {
            std::fs::write(copy.0.path().join(name), content).unwrap();
        }
        copy
    }
}

fn key_of(byte: u8) -> Secret<purpose::DatabaseKey> {
    Secret::new([byte; 32])
}

pub(crate) fn patient(id: &str) -> PatientId {
    id.parse().unwrap()
}

pub(crate) fn device(number: u8) -> DeviceId {
    DeviceId::from_random([number; 16])
}

pub(crate) fn identity() -> StoredIdentity {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let keys = GatewayIdentity {
        gateway: GatewayId::from_random([3; 16]),
        doctor: "D001".parse::<DoctorId>().unwrap(),
        patient_login: LoginKey::generate(ClientKind::Patient, &mut rng).unwrap(),
        wearable_login: LoginKey::generate(ClientKind::Wearable, &mut rng).unwrap(),
        alerts: identity::SigningKey::generate(&mut rng),
        tls_spki: [5; 32],
    };
    StoredIdentity {
        keys,
        tls_certificate: b"certificate".to_vec(),
        tls_key: Zeroizing::new(b"tls key".to_vec()),
    }
}

/// A client with keys of its own, drawn from `seed`.
pub(crate) fn client(id: ClientId, seed: u64) -> PinnedClient {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let login = LoginKey::generate(id.kind(), &mut rng).unwrap().verifying_key();
    let receipts =
        (id.kind() == ClientKind::Patient).then(|| identity::SigningKey::generate(&mut rng).verifying_key());
    PinnedClient { id, login, receipts }
}

/// An offer that was made [`NOW`] and lasts ten minutes.
pub(crate) fn offer(code: &str, kind: ClientKind, patient: &PatientId) -> Offer {
    Offer {
        code: code.parse().unwrap(),
        kind,
        patient: patient.clone(),
        replaces: false,
        created: NOW,
        expires: after(10),
        tries_left: 3,
        network: None,
    }
}

/// Pairs a client whole: offer, enrolment, first login.
pub(crate) async fn enrol(store: &Store, client: &PinnedClient, wearer: &PatientId) {
    let (client, offer) = (client.clone(), offer("ABC-DEF-GH2", client.id.kind(), wearer));
    let job = move |ledger: &gateway::store::Ledger<'_>| {
        ledger.create_offer(&offer)?;
        ledger.enrol_pending(&client, None, offer.code.selector, NOW)?;
        ledger.confirm_enrolment(&client.id, client.login.key_id(), NOW)
    };
    store.write(job).await.unwrap();
}

/// A store in which `P001` wears device 1.
pub(crate) async fn with_wearable(folder: &Folder) -> Store {
    let store = folder.open();
    enrol(&store, &client(ClientId::Wearable(device(1)), 1), &patient("P001")).await;
    store
}

pub(crate) fn sample(seq: u64) -> Sample {
    Sample {
        seq: Seq(seq),
        boot: BootId(u64::MAX),
        taken: SampleTime { since_boot_ms: seq * 1000, wall: Some(NOW) },
        simulated: true,
        quantities: vec![
            KnownQuantity::HEART_RATE.measured(72, 0),
            KnownQuantity::SPO2.reading(Err(Reason::FINGER_OFF)),
        ],
    }
}

pub(crate) fn batch(previous: [u8; 32], numbers: impl IntoIterator<Item = u64>) -> VitalsBatch {
    VitalsBatch { previous, samples: numbers.into_iter().map(sample).collect() }
}

/// An alert of this gateway with a number of its own, which expires after an hour.
pub(crate) fn alert(sequence: u8, cancels: Option<AlertId>, text: &str) -> Alert {
    let draft = Draft {
        id: AlertId::new(NOW, [sequence; 10]),
        sequence: sequence.into(),
        created: NOW,
        expires: after(60),
        priority: Priority::High,
        audience: Audience::Ward,
        cancels,
        text: text.into(),
    };
    draft.sign(&identity().keys.alerts).unwrap()
}
