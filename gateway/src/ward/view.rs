//! What verbs, scripts and screens are told: plain serialisable values, made by the ward, formatted elsewhere.

use std::fmt;

use protocol::firmware::FirmwareStatus;
use serde::{Deserialize, Serialize};

use super::event::SampleView;

/// A paired patient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatientView {
    /// Its id.
    pub id: String,
    /// Whether it is in session.
    pub connected: bool,
    /// Since when (in session), or when it was last seen; RFC 3339.
    pub since: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// The address that it came from.
    pub source: Option<String>,
    /// The group epoch in force, if it is a member.
    pub epoch: Option<String>,
    /// Its newest vitals, whatever their age.
    pub last_vitals: Option<SampleView>,
    /// Age of these in milliseconds.
    pub vitals_age_ms: Option<u64>,
    /// False when they are past their age limit: then they must not be shown as current.
    pub vitals_current: bool,
    /// Whether its traffic stays closed to a later quantum computer.
    pub post_quantum: Option<bool>,
    /// Whether the patient left on purpose.
    pub away: bool,
}

/// A paired wearable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WearableView {
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Who wears it.
    pub patient: String,
    /// Whether it is in session.
    pub connected: bool,
    /// Since when (in session), or when it was last seen; RFC 3339.
    pub since: Option<String>,
    /// Whether it is in session and its upload is overdue.
    pub overdue: bool,
    /// Sample and upload interval, in milliseconds, that it was set to here.
    pub set: Option<(u32, u32)>,
    /// What it told of itself since the gateway started.
    pub status: Option<StatusView>,
    /// The suite of its session, or of its last one.
    pub suite: Option<u8>,
    /// Whether what is recorded of it stays closed to a later quantum computer; absent before its first session.
    pub post_quantum: Option<bool>,
}

/// What a wearable told of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusView {
    /// How often it measures, in milliseconds.
    pub sample_ms: u32,
    /// How often it sends, in milliseconds.
    pub upload_ms: u32,
    /// Charge in percent, if it knows.
    pub battery: Option<u8>,
    /// Whether it is being charged, if it knows.
    pub charging: Option<bool>,
    /// Signal strength in dBm, if its link is a radio.
    pub signal_dbm: Option<i8>,
    /// Times that its link came back since its reset.
    pub reconnects: u32,
    /// Samples that wait on it.
    pub waiting: u64,
    /// Samples that it lost over its life.
    pub lost: u64,
    /// Its firmware's name.
    pub firmware: String,
    /// Its firmware's version.
    pub firmware_version: u32,
    /// Its hardware.
    pub hardware: String,
    /// The last update that it heard of.
    pub update: Option<UpdateView>,
    /// How long ago it told this, in milliseconds.
    pub age_ms: u64,
}

/// How far a wearable is with an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpdateView {
    /// Such as `receiving`.
    pub state: String,
    /// The image's version.
    pub version: u32,
    /// Bytes received.
    pub received: u32,
    /// Bytes that there are.
    pub length: u32,
    /// Why it is not taken.
    pub refusal: Option<String>,
}

impl UpdateView {
    pub(super) fn new(update: FirmwareStatus) -> Self {
        Self {
            state: update.state.to_string(),
            version: update.version,
            received: update.received,
            length: update.length,
            refusal: update.refusal.map(|refusal| refusal.to_string()),
        }
    }
}

/// What a wearable is set to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SettingsView {
    /// The wearable's UUID.
    pub wearable: String,
    /// How often it shall measure, in milliseconds.
    pub sample_ms: u32,
    /// How often it shall send, in milliseconds.
    pub upload_ms: u32,
    /// Whether it is in session and was told; if not, it is told after its next login.
    pub told: bool,
}

/// A signal that was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WaveformAsked {
    /// The wearable's UUID.
    pub device: String,
    /// The signal's name.
    pub signal: String,
}

/// A published image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageView {
    /// Its number.
    pub image: u32,
    /// The hardware that it is for.
    pub hardware: String,
    /// Its version.
    pub version: u32,
    /// Bytes after the header.
    pub length: u32,
    /// Whether the gateway checked its signature; each device does in any case.
    pub verified: bool,
    /// When it was published, RFC 3339.
    pub published: String,
}

/// How far an alert has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlertReport {
    /// Its id.
    pub alert: String,
    /// What it says.
    pub text: String,
    /// When it was raised, RFC 3339.
    pub created: String,
    /// When it ceases to matter, RFC 3339.
    pub expires: String,
    /// The group epoch of its broadcast; absent if it went to chosen patients, or before this start.
    pub epoch: Option<String>,
    /// Enrolled patients of its audience.
    pub recipients: usize,
    /// Those whose device opened it.
    pub decrypted: usize,
    /// Those who confirmed having read it.
    pub acknowledged: usize,
    /// Those whose device did not, and why.
    pub missing: Vec<Missing>,
    /// Median time from raising to the stored receipt, in milliseconds.
    pub p50_ms: Option<u64>,
    /// 99th percentile of it.
    pub p99_ms: Option<u64>,
    /// The last of them.
    pub last_ms: Option<u64>,
    /// The alert that this one calls off.
    pub cancels: Option<String>,
    /// The alert that called this one off.
    pub cancelled_by: Option<String>,
}

/// A recipient without a receipt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Missing {
    /// Who.
    pub patient: String,
    /// Why, as far as is known.
    pub reason: String,
}

/// An open offer to pair.
#[derive(Clone, Serialize, Deserialize)]
pub struct OfferView {
    /// The code, to be carried to the client by a person.
    pub code: String,
    /// The kind of client that it is for.
    pub kind: String,
    /// Whose it will be.
    pub patient: String,
    /// When it closes, RFC 3339.
    pub expires: String,
    /// Guesses that remain.
    pub tries_left: u8,
}

impl fmt::Debug for OfferView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfferView({} for {}, code hidden)", self.kind, self.patient)
    }
}

/// Something that was refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusalView {
    /// When, RFC 3339.
    pub time: String,
    /// Where it came from.
    pub source: String,
    /// Who it said it was, if it came that far.
    pub client: String,
    /// Which check failed.
    pub reason: String,
}

/// The gateway as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Its doctor.
    pub doctor: String,
    /// The installation.
    pub gateway: String,
    /// Program version.
    pub version: String,
    /// Address of the patients' port.
    pub patients_listen: String,
    /// Address of the wearables' port.
    pub wearables_listen: String,
    /// The data folder.
    pub data_dir: String,
    /// Milliseconds since start.
    pub uptime_ms: u64,
    /// Patients in session.
    pub patients_connected: usize,
    /// Patients that are paired.
    pub patients_paired: usize,
    /// Wearables in session.
    pub wearables_connected: usize,
    /// Wearables that are paired.
    pub wearables_paired: usize,
    /// The group epoch in force.
    pub epoch: String,
    /// `ok`, `full` or `failing`.
    pub storage: String,
    /// What protects the database key, in words.
    pub key_protection: String,
    /// Samples stored since start.
    pub samples_stored: u64,
    /// Refusals since start.
    pub refused: u64,
}
