//! What is kept in the data folder: this computer's keys and the pinned gateway (`identity.json`), the ticket of the
//! last session (`ticket.json`) and one file for each alert of the last 30 days (`alert-ID.json`). Every file is 0600
//! and replaced as a whole. It knows no connection and no screen.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crypto::{Secret, identity};
use host::datadir::{self, DataDir, DataDirError};
use protocol::{
    alert::{Alert, Stage, UnverifiedAlert},
    credential::{ClientIdentity, ClientKind, LoginKey, LoginVerifyingKey, PinnedGateway, Suite},
    handshake::resume::Ticket,
    id::{AlertId, ClientId, DoctorId, PatientId},
    time::UnixMillis,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// How long an alert is remembered, so that it is not shown twice. Older ones are refused.
pub const MEMORY: Duration = Duration::from_secs(30 * 24 * 3_600);

const PROGRAM: &str = "patient";
const VERSION: u32 = 1;
const IDENTITY: &str = "identity.json";
const TICKET: &str = "ticket.json";

/// The data folder cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder, or a file in it.
    #[error("{said}")]
    Folder {
        /// What is wrong, with its cause.
        said: String,
        /// The error itself.
        #[source]
        source: DataDirError,
    },
    /// A file of another version of this program.
    #[error("{} was written by another version of this program (format {found}, this one reads {VERSION})", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A file that is not what it should be.
    #[error("{} is damaged ({what}); move it away and pair again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Several identities, and none was named.
    #[error("several patients are stored here: {}; say which one with --id", .0.join(", "))]
    WhichOne(Vec<String>),
}

impl From<DataDirError> for StoreError {
    fn from(source: DataDirError) -> Self {
        let cause = std::error::Error::source(&source).map(|cause| format!(": {cause}"));
        Self::Folder { said: format!("{source}{}", cause.unwrap_or_default()), source }
    }
}

/// Where identities are kept.
#[derive(Debug, Clone)]
pub enum Place {
    /// In this folder, whoever it is.
    Folder(PathBuf),
    /// Below this folder, in `patient-ID`.
    Home {
        /// The folder above.
        home: PathBuf,
        /// Make an identity that is not there, even though others are.
        create: bool,
    },
}

impl Place {
    /// The identity to use: the one named, else the only one. `None` if there is none yet. `pairing`: a code was
    /// given, so a new one is wanted on purpose.
    ///
    /// # Errors
    /// [`StoreError`], also for an unknown id where others are stored (a typing error).
    pub fn find(&self, id: Option<&PatientId>, pairing: bool) -> Result<Option<Store>, StoreError> {
        let folder = match (self, id) {
            (Self::Folder(folder), _) => Some(folder.clone()),
            (Self::Home { home, .. }, Some(id)) => Some(folder_of(home, id)),
            (Self::Home { .. }, None) if pairing => None,
            (Self::Home { home, .. }, None) => match &*known(home) {
                [] => None,
                [only] => Some(home.join(format!("{PROGRAM}-{only}"))),
                several => return Err(StoreError::WhichOne(several.to_vec())),
            },
        };
        let found = match folder.filter(|folder| folder.exists()) {
            Some(folder) => Some(Store::open(&folder)?),
            None => None,
        };
        if let (None, Self::Home { home, create: false }, Some(id), false) = (&found, self, id, pairing) {
            let existing = known(home);
            if !existing.is_empty() {
                return Err(DataDirError::Unknown { wanted: id.to_string(), existing }.into());
            }
        }
        Ok(found)
    }

    /// Makes sure that something can be kept here, before a code is spent on it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn prepare(&self) -> Result<(), StoreError> {
        match self {
            Self::Folder(folder) => DataDir::open(folder).map(drop)?,
            Self::Home { home, .. } => fs::create_dir_all(home).map_err(|source| DataDirError::Io {
                action: "make",
                path: home.clone(),
                source,
            })?,
        }
        Ok(())
    }

    /// Opens the folder of a patient, making it if it is not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(&self, id: &PatientId) -> Result<Store, StoreError> {
        match self {
            Self::Folder(folder) => Store::open(folder),
            Self::Home { home, .. } => Store::open(&folder_of(home, id)),
        }
    }
}

fn folder_of(home: &Path, id: &PatientId) -> PathBuf {
    home.join(format!("{PROGRAM}-{id}"))
}

/// Ids that have a stored identity; a folder without one is a pairing that failed.
fn known(home: &Path) -> Vec<String> {
    let mut ids = datadir::existing(home, PROGRAM);
    ids.retain(|id| home.join(format!("{PROGRAM}-{id}")).join(IDENTITY).exists());
    ids
}

/// Who this computer is, and for whom, since pairing.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The patient.
    pub patient: PatientId,
    /// The patient's keys, made here.
    pub identity: Arc<ClientIdentity>,
    /// The gateway.
    pub gateway: PinnedGateway,
    /// When it was paired.
    pub paired: UnixMillis,
}

/// An alert that was accepted once, and how far it came.
#[derive(Debug, Clone)]
pub struct KeptAlert {
    /// The alert, as signed.
    pub alert: Alert,
    /// When it came first.
    pub seen: UnixMillis,
    /// How far.
    pub stage: Stage,
}

/// A patient's data folder, locked.
#[derive(Debug)]
pub struct Store {
    folder: DataDir,
}

impl Store {
    /// Opens and locks a folder.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self { folder: DataDir::open(path)? };
        // A write that was cut off leaves its draft behind; what it should have replaced is whole.
        for name in store.names()?.iter().filter(|name| name.ends_with(".new")) {
            store.remove(name)?;
        }
        Ok(store)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Who this is, if it was paired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn binding(&self) -> Result<Option<Binding>, StoreError> {
        let Some(kept) = self.read::<KeptBinding>(IDENTITY)? else { return Ok(None) };
        kept.restore().map(Some).map_err(|what| self.damaged(IDENTITY, what))
    }

    /// Keeps who this is, in place of who it was. What belonged to the old one is gone first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_binding(&self, binding: &Binding) -> Result<(), StoreError> {
        self.drop_ticket()?;
        self.write(IDENTITY, &KeptBinding::of(binding))
    }

    /// Takes the ticket out: it is gone from the disk before it is used, because it works once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn take_ticket(&self, now: UnixMillis) -> Result<Option<Ticket>, StoreError> {
        // A ticket that cannot be read is worth no more than none: a full login follows.
        let kept = self.read::<KeptTicket>(TICKET).ok().flatten();
        self.drop_ticket()?;
        Ok(kept.filter(|kept| kept.expires > now.0).and_then(|kept| {
            Some(Ticket {
                token: *kept.token.bytes().ok()?,
                suite: Suite::Patient,
                key: Secret::new(*kept.key.bytes().ok()?),
            })
        }))
    }

    /// Keeps a ticket until [`Self::take_ticket`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_ticket(&self, ticket: &Ticket, expires: UnixMillis) -> Result<(), StoreError> {
        let (token, key) = (SecretHex::of(&ticket.token), SecretHex::of(ticket.key.expose()));
        self.write(TICKET, &KeptTicket { token, key, expires: expires.0 })
    }

    /// Deletes the ticket, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drop_ticket(&self) -> Result<(), StoreError> {
        self.remove(TICKET)
    }

    /// The alerts that are remembered, oldest first; forgets those that are too old. What this gateway did not sign
    /// is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn alerts(
        &self,
        gateway: &identity::VerifyingKey,
        now: UnixMillis,
    ) -> Result<Vec<KeptAlert>, StoreError> {
        let mut alerts = Vec::new();
        for name in self.names()? {
            let id = name.strip_prefix("alert-").and_then(|rest| rest.strip_suffix(".json"));
            let Some(id) = id.and_then(|id| id.parse::<AlertId>().ok()) else { continue };
            if created(id) + MEMORY < now {
                self.remove(&name)?;
                continue;
            }
            let kept = match self.read::<AlertFile>(&name) {
                Ok(kept) => kept,
                Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                    tracing::warn!(%error, "an alert of earlier is left out");
                    continue;
                }
                Err(error) => return Err(error),
            };
            alerts.extend(kept.and_then(|kept| kept.restore(gateway)));
        }
        alerts.sort_by_key(|kept| kept.alert.id());
        Ok(alerts)
    }

    /// Keeps an alert and how far it came. Once this returns it survives a power cut.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_alert(&self, kept: &KeptAlert) -> Result<(), StoreError> {
        let file = AlertFile {
            alert: hex::encode(kept.alert.encode()),
            seen: kept.seen.0,
            acknowledged: kept.stage == Stage::Acknowledged,
        };
        self.write(&format!("alert-{}.json", kept.alert.id()), &file)
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.folder.read(name)?.map(Zeroizing::new) else { return Ok(None) };
        let damaged = |error: serde_json::Error| self.damaged(name, error.to_string());
        let Format { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if version != VERSION {
            return Err(StoreError::Version { path: self.path().join(name), found: version });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    fn write<T: Serialize>(&self, name: &str, content: &T) -> Result<(), StoreError> {
        // Large enough that it does not grow and leave copies of keys behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
        serde_json::to_writer(&mut *bytes, &Versioned { version: VERSION, content })
            .map_err(|error| self.damaged(name, error.to_string()))?;
        Ok(self.folder.write(name, &bytes)?)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path().join(name);
        let removed = match fs::remove_file(&path) {
            Ok(()) => fs::File::open(self.path()).and_then(|folder| folder.sync_all()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|source| DataDirError::Io { action: "delete", path, source }.into())
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let failed = |source| DataDirError::Io { action: "list", path: self.path().to_owned(), source };
        let entries = fs::read_dir(self.path()).map_err(failed)?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    fn damaged(&self, name: &str, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: self.path().join(name), what: what.into() }
    }
}

/// When an alert's id was made: the first 48 bits of a version 7 UUID.
pub(crate) fn created(id: AlertId) -> UnixMillis {
    UnixMillis(id.as_bytes().iter().take(6).fold(0, |time, byte| time << 8 | u64::from(*byte)))
}

#[derive(Deserialize)]
struct Format {
    version: u32,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    version: u32,
    #[serde(flatten)]
    content: &'a T,
}

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
struct KeptBinding {
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
    fn of(binding: &Binding) -> Self {
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

    fn restore(self) -> Result<Binding, String> {
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
struct KeptTicket {
    token: SecretHex,
    key: SecretHex,
    expires: u64,
}

/// `alert-ID.json`.
#[derive(Debug, Serialize, Deserialize)]
struct AlertFile {
    alert: String,
    seen: u64,
    acknowledged: bool,
}

impl AlertFile {
    fn restore(self, gateway: &identity::VerifyingKey) -> Option<KeptAlert> {
        let alert = UnverifiedAlert::decode(&hex::decode(self.alert).ok()?).ok()?.verify(gateway).ok()?;
        let stage = if self.acknowledged { Stage::Acknowledged } else { Stage::Decrypted };
        Some(KeptAlert { alert, seen: UnixMillis(self.seen), stage })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use host::entropy::system_rng;
    use protocol::{
        alert::{Audience, Draft, Priority},
        id::GatewayId,
    };

    use super::*;

    pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    pub(crate) fn gateway_key() -> identity::SigningKey {
        identity::SigningKey::from_secret(&Secret::new([5; 32]))
    }

    pub(crate) fn alert(created: UnixMillis, number: u8, text: &str) -> Alert {
        let draft = Draft {
            id: AlertId::new(created, [number; 10]),
            sequence: u64::from(number),
            created,
            expires: created + Duration::from_secs(3_600),
            priority: Priority::High,
            audience: Audience::Ward,
            cancels: None,
            text: text.to_owned(),
        };
        draft.sign(&gateway_key()).unwrap()
    }

    pub(crate) fn kept(created: UnixMillis, number: u8) -> KeptAlert {
        KeptAlert { alert: alert(created, number, "Fire"), seen: created, stage: Stage::Decrypted }
    }

    pub(crate) fn binding(patient: &str, doctor: &str) -> Binding {
        let mut rng = system_rng();
        let patient: PatientId = patient.parse().unwrap();
        let identity = ClientIdentity {
            id: ClientId::Patient(patient.clone()),
            login: LoginKey::generate(ClientKind::Patient, &mut rng).unwrap(),
            receipts: Some(identity::SigningKey::generate(&mut rng)),
        };
        let gateway = PinnedGateway {
            gateway: GatewayId::from_random([7; 16]),
            doctor: doctor.parse().unwrap(),
            login: LoginKey::generate(ClientKind::Patient, &mut rng).unwrap().verifying_key(),
            alerts: gateway_key().verifying_key(),
            tls_spki: [9; 32],
        };
        Binding { patient, identity: Arc::new(identity), gateway, paired: NOW }
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("patient-P001");
        (parent, path)
    }

    fn ticket() -> Ticket {
        Ticket { token: [3; 16], suite: Suite::Patient, key: Secret::new([4; 32]) }
    }

    #[test]
    fn a_binding_comes_back_as_it_was() {
        let (_parent, path) = folder();
        let binding = binding("P001", "D001");
        Store::open(&path).unwrap().keep_binding(&binding).unwrap();
        let store = Store::open(&path).unwrap();
        let found = store.binding().unwrap().unwrap();
        assert_eq!((found.patient, found.gateway, found.paired), (binding.patient, binding.gateway, NOW));
        assert_eq!(found.identity.login.to_secret(), binding.identity.login.to_secret());
        let receipts = |identity: &ClientIdentity| identity.receipts.as_ref().map(|key| key.to_secret());
        assert_eq!(receipts(&found.identity), receipts(&binding.identity));
        let mode = fs::metadata(path.join(IDENTITY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_ticket_works_once_and_not_after_its_time() {
        let (_parent, path) = folder();
        let store = Store::open(&path).unwrap();
        let expires = NOW + Duration::from_secs(60);
        store.keep_ticket(&ticket(), expires).unwrap();
        let taken = store.take_ticket(NOW).unwrap().unwrap();
        assert_eq!((taken.token, taken.key), ([3; 16], Secret::new([4; 32])));
        assert!(!path.join(TICKET).exists(), "gone before it is used");
        assert!(store.take_ticket(NOW).unwrap().is_none());
        store.keep_ticket(&ticket(), expires).unwrap();
        assert!(store.take_ticket(expires).unwrap().is_none());
        assert!(!path.join(TICKET).exists());
    }

    #[test]
    fn a_new_binding_takes_the_old_ones_ticket_away() {
        let (_parent, path) = folder();
        let store = Store::open(&path).unwrap();
        store.keep_ticket(&ticket(), NOW + MEMORY).unwrap();
        store.keep_binding(&binding("P001", "D001")).unwrap();
        assert!(store.take_ticket(NOW).unwrap().is_none());
    }

    #[test]
    fn a_write_that_was_cut_off_leaves_the_old_file_in_force() {
        let (_parent, path) = folder();
        let first = binding("P001", "D001");
        let store = Store::open(&path).unwrap();
        store.keep_binding(&first).unwrap();
        drop(store);
        fs::write(path.join("identity.json.new"), b"{\"version\":1,\"pati").unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(store.binding().unwrap().unwrap().gateway, first.gateway);
        assert!(!path.join("identity.json.new").exists());
    }

    #[test]
    fn alerts_are_remembered_for_thirty_days() {
        let (_parent, path) = folder();
        let store = Store::open(&path).unwrap();
        let mut newer = kept(NOW, 2);
        store.keep_alert(&newer).unwrap();
        store.keep_alert(&kept(UnixMillis(NOW.0 - 1_000), 1)).unwrap();
        newer.stage = Stage::Acknowledged;
        store.keep_alert(&newer).unwrap();
        let key = gateway_key().verifying_key();
        let found = store.alerts(&key, NOW).unwrap();
        let stages: Vec<_> = found.iter().map(|kept| kept.stage).collect();
        assert_eq!(stages, [Stage::Decrypted, Stage::Acknowledged]);
        assert_eq!(found[1].alert, newer.alert);
        assert_eq!(store.alerts(&key, NOW + MEMORY).unwrap().len(), 1, "the older one is forgotten");
        assert_eq!(store.alerts(&key, NOW).unwrap().len(), 1, "for good");
        let other = identity::SigningKey::from_secret(&Secret::new([6; 32])).verifying_key();
        assert!(store.alerts(&other, NOW).unwrap().is_empty(), "another gateway's");
    }

    #[test]
    fn files_of_another_version_or_damaged_ones_are_named() {
        let (_parent, path) = folder();
        let store = Store::open(&path).unwrap();
        store.folder.write(IDENTITY, b"{\"version\":2}").unwrap();
        assert!(matches!(store.binding(), Err(StoreError::Version { found: 2, .. })));
        store.folder.write(IDENTITY, b"{\"version\":1}").unwrap();
        let said = store.binding().unwrap_err().to_string();
        assert!(said.contains("identity.json is damaged"), "{said}");
    }

    #[test]
    fn no_secret_is_in_any_debug_text() {
        let binding = binding("P001", "D001");
        let kept = KeptBinding::of(&binding);
        let said = format!("{binding:?} {kept:?}");
        for secret in [&kept.login_key, &kept.receipt_key] {
            assert!(!said.contains(&*secret.0));
            assert!(!said.contains(&format!("{:?}", *secret.bytes::<32>().unwrap())));
        }
    }

    #[test]
    fn the_only_identity_is_found_and_a_typing_error_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let place = |create| Place::Home { home: parent.path().to_owned(), create };
        let id = |text: &str| text.parse::<PatientId>().unwrap();
        assert!(place(false).find(None, false).unwrap().is_none());
        place(false).open(&id("P001")).unwrap().keep_binding(&binding("P001", "D001")).unwrap();
        assert!(place(false).find(None, false).unwrap().is_some());
        assert!(place(false).find(Some(&id("P001")), false).unwrap().is_some());
        assert!(place(false).find(None, true).unwrap().is_none(), "the gateway says whose code it is");
        let said = place(false).find(Some(&id("P010")), false).unwrap_err().to_string();
        assert!(said.contains("P010") && said.contains("P001") && said.contains("--create"), "{said}");
        assert!(place(true).find(Some(&id("P010")), false).unwrap().is_none());
        assert!(
            place(false).find(Some(&id("P010")), true).unwrap().is_none(),
            "a code is asked for on purpose"
        );
        place(true).open(&id("P002")).unwrap().keep_binding(&binding("P002", "D001")).unwrap();
        assert!(matches!(place(false).find(None, false), Err(StoreError::WhichOne(_))));
    }
}
