//! What the simulated gateway keeps on disk: it survives a crash.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{
    alert::{Alert, Stage},
    credential::PinnedClient,
    error::Fault,
    firmware::{FirmwareRequest, FirmwareStatus},
    handshake::resume::ResumeRecord,
    id::{AlertId, ClientId, DeviceId, PatientId, Seq},
    pairing::code::{Password, Selector},
    status::DeviceStatus,
    time::UnixMillis,
    vitals::VitalsBatch,
    waveform::Waveform,
};

/// A place in the roster.
#[derive(Debug, Clone)]
pub struct Bed {
    /// The client's keys.
    pub pinned: PinnedClient,
    /// When they were enrolled.
    pub since: UnixMillis,
}

/// An alert, whom it is for, and who has it.
#[derive(Debug)]
pub struct StoredAlert {
    /// The signed alert.
    pub alert: Alert,
    /// The patients of its audience who were enrolled when it was raised.
    pub recipients: BTreeSet<PatientId>,
    /// How far it has come with each.
    pub receipts: BTreeMap<PatientId, Stage>,
}

#[derive(Debug)]
pub(super) struct Offer {
    pub(super) client: ClientId,
    pub(super) password: Password,
    pub(super) tries_left: u8,
    pub(super) expires: UnixMillis,
    pub(super) replace: bool,
}

#[derive(Debug)]
pub(super) struct TokenRow {
    pub(super) record: ResumeRecord,
    pub(super) expires: UnixMillis,
}

/// What a gateway keeps on disk.
#[derive(Debug, Default)]
pub struct Store {
    /// Who is enrolled.
    pub roster: BTreeMap<ClientId, Bed>,
    /// Granted bindings whose first full login has not come yet.
    pub pending: BTreeMap<ClientId, PinnedClient>,
    /// How often each sample was stored.
    pub rows: BTreeMap<(DeviceId, Seq), u32>,
    /// All alerts.
    pub alerts: BTreeMap<AlertId, StoredAlert>,
    /// Refusals, as `gateway refusals` shows them.
    pub refusals: Vec<Fault>,
    /// Batches as they came, repeated ones too.
    pub batches: Vec<VitalsBatch>,
    /// What wearables told of themselves.
    pub statuses: Vec<DeviceStatus>,
    /// Signals that wearables showed.
    pub waveforms: Vec<Waveform>,
    /// Pieces of images that wearables asked for.
    pub firmware_requests: Vec<FirmwareRequest>,
    /// How far wearables were with images.
    pub firmware: Vec<FirmwareStatus>,
    pub(super) offers: BTreeMap<Selector, Offer>,
    pub(super) tokens: BTreeMap<[u8; 32], TokenRow>,
    pub(super) high_water: BTreeMap<DeviceId, Seq>,
    pub(super) last_generation: u64,
}

impl Store {
    pub(super) fn forget_tokens(&mut self, client: &ClientId) {
        self.tokens.retain(|_, row| row.record.client != *client);
    }
}
