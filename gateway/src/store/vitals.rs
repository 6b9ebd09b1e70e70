//! Vitals as they were received: samples, each once, under a cursor that readers of the outbox follow; the highest
//! number of each device; gaps; and the chain of its batches. What a value means is the ward's business.

use std::collections::BTreeMap;

use protocol::{
    id::{BootId, DeviceId, PatientId, Seq},
    time::UnixMillis,
    vitals::{Quantity, Sample, SampleTime, VitalsBatch},
};
use rusqlite::{Row, params, types::FromSqlError};

use super::{
    column::{Millis, Text, damaged, integer, optional_time, text, time, unsigned},
    error::StoreError,
    ledger::{Ledger, View},
};

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Everything of the device up to this number is stored, or was missing when a later one came.
    pub acknowledged: Seq,
    /// Who wears the device now.
    pub patient: PatientId,
    /// The samples of that patient that are new, in order.
    pub stored: Vec<Sample>,
    /// How many new samples were stored for each patient who wore the device earlier.
    pub earlier: BTreeMap<PatientId, usize>,
    /// Samples without a time from a device that more than one patient has worn: nobody can say whose they are. They were
    /// **not** stored.
    pub nobodys: usize,
    /// How many were there before.
    pub duplicates: usize,
    /// How many of the duplicates are another measurement under a used number: the device counts wrongly, and
    /// these were **not** stored.
    pub conflicts: usize,
    /// Numbers that were skipped, each first and last.
    pub gaps: Vec<(Seq, Seq)>,
    /// Whether these very samples had not come before in one batch.
    pub is_new: bool,
    /// Whether the batch follows one that is stored. If not, a batch was lost or altered on its way.
    pub chain_ok: bool,
}

/// A sample as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSample {
    /// Its place in the outbox; only grows.
    pub cursor: u64,
    /// Whose it is.
    pub patient: PatientId,
    /// The device that took it.
    pub device: DeviceId,
    /// When the gateway received it.
    pub received: UnixMillis,
    /// What was measured.
    pub sample: Sample,
}

impl View<'_> {
    /// The last `n` samples of a patient that were stored, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn last_vitals(&self, patient: &PatientId, n: u32) -> Result<Vec<StoredSample>, StoreError> {
        self.all(
            "SELECT * FROM samples WHERE doctor = ?1 AND patient = ?2 ORDER BY cursor DESC LIMIT ?3",
            params![Text(self.doctor), Text(patient), n],
            stored_sample,
        )
    }

    /// Up to `limit` samples of all patients that were stored after `cursor` (0: from the first), in order.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn outbox_after(&self, cursor: u64, limit: u32) -> Result<Vec<StoredSample>, StoreError> {
        self.all(
            "SELECT * FROM samples WHERE doctor = ?1 AND cursor > ?2 ORDER BY cursor LIMIT ?3",
            params![Text(self.doctor), integer(cursor), limit],
            stored_sample,
        )
    }
}

/// Who of them wore the device at a time, as far as clocks tell. A device keeps its samples when it is paired anew, so they may
/// come under the binding of another patient. A pairing dated after `received` was dated by a wrong clock: it excludes nothing.
fn worn_by(
    wearers: &[(UnixMillis, PatientId)],
    taken: Option<UnixMillis>,
    received: UnixMillis,
) -> Option<&PatientId> {
    let (_, newest) = wearers.last()?;
    if wearers.iter().all(|(_, patient)| patient == newest) {
        return Some(newest);
    }
    let taken = taken?;
    let worn = wearers.iter().rev().find(|(since, _)| *since <= taken || *since > received);
    worn.or_else(|| wearers.first()).map(|(_, patient)| patient)
}

impl Ledger<'_> {
    /// Stores the samples of a batch that are not stored yet, each for the patient who wore the device when it was taken.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`] if the device is not active; [`StoreError::SequenceRange`].
    pub fn append_vitals(
        &self,
        device: DeviceId,
        batch: &VitalsBatch,
        received: UnixMillis,
    ) -> Result<Appended, StoreError> {
        let patient = self.wearer(device)?.ok_or(StoreError::UnknownClient)?;
        let wearers = self.wearers(device)?;
        let mut newest = self.high_water(device)?;
        let (row, chain_ok, is_new) = self.append_batch(device, batch, received)?;
        let mut appended = Appended {
            acknowledged: Seq(0),
            patient,
            stored: Vec::new(),
            earlier: BTreeMap::new(),
            nobodys: 0,
            duplicates: 0,
            conflicts: 0,
            gaps: Vec::new(),
            is_new,
            chain_ok,
        };
        for sample in &batch.samples {
            let wearer = match worn_by(&wearers, sample.taken.wall, received) {
                // Numbers only grow: what comes after a sample of the present wearer is the present wearer's.
                None => self.owner_before(device, sample.seq)?.filter(|owner| *owner == appended.patient),
                known => known.cloned(),
            };
            match &wearer {
                None => appended.nobodys += 1,
                Some(patient) if !self.append_sample(device, patient, sample, row, received)? => {
                    appended.duplicates += 1;
                    appended.conflicts += usize::from(!self.holds(device, sample)?);
                }
                Some(patient) if *patient == appended.patient => appended.stored.push(sample.clone()),
                Some(patient) => *appended.earlier.entry(patient.clone()).or_default() += 1,
            }
            if let Some(Seq(last)) = newest.filter(|Seq(last)| sample.seq.0 > last.saturating_add(1)) {
                appended.gaps.push((Seq(last + 1), Seq(sample.seq.0 - 1)));
            }
            newest = newest.max(Some(sample.seq));
        }
        appended.acknowledged = newest.unwrap_or(Seq(0));
        self.record_progress(device, &appended, received)?;
        Ok(appended)
    }

    /// The patient who wears an active device.
    fn wearer(&self, device: DeviceId) -> Result<Option<PatientId>, StoreError> {
        self.first(
            "SELECT patient FROM bindings
             WHERE doctor = ?1 AND kind = 'wearable' AND client = ?2 AND state = 'active'",
            params![Text(self.doctor), Text(device)],
            |row| text(row, "patient"),
        )
    }

    /// Whose the last sample before a number is.
    fn owner_before(&self, device: DeviceId, seq: Seq) -> Result<Option<PatientId>, StoreError> {
        self.first(
            "SELECT patient FROM samples WHERE doctor = ?1 AND device = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT 1",
            params![Text(self.doctor), Text(device), integer(seq.0)],
            |row| text(row, "patient"),
        )
    }

    /// All who have worn a device, and since when, in the order of their pairings.
    fn wearers(&self, device: DeviceId) -> Result<Vec<(UnixMillis, PatientId)>, StoreError> {
        self.all(
            "SELECT paired_at, patient FROM bindings
             WHERE doctor = ?1 AND kind = 'wearable' AND client = ?2 AND state != 'pending'
             ORDER BY binding",
            params![Text(self.doctor), Text(device)],
            |row| Ok((time(row, "paired_at")?, text(row, "patient")?)),
        )
    }

    fn high_water(&self, device: DeviceId) -> Result<Option<Seq>, StoreError> {
        self.first(
            "SELECT seq FROM high_water WHERE doctor = ?1 AND device = ?2",
            params![Text(self.doctor), Text(device)],
            |row| unsigned(row, "seq").map(Seq),
        )
    }

    /// The row of this batch, whether it follows a stored one, and whether it was not there before. A batch that was
    /// sent again, whole or with samples added, names the same predecessor as the stored one.
    fn append_batch(
        &self,
        device: DeviceId,
        batch: &VitalsBatch,
        received: UnixMillis,
    ) -> Result<(i64, bool, bool), StoreError> {
        let hash = batch.hash();
        let known = self.first(
            "SELECT batch, chain_ok FROM batches WHERE doctor = ?1 AND device = ?2 AND hash = ?3",
            params![Text(self.doctor), Text(device), hash],
            |row| Ok((row.get("batch")?, row.get("chain_ok")?, false)),
        )?;
        if let Some(known) = known {
            return Ok(known);
        }
        let chain_ok = self.exists(
            "SELECT 1 FROM batches WHERE doctor = ?1 AND device = ?2 AND ?3 IN (hash, previous)
             UNION ALL
             SELECT 1 WHERE ?3 = zeroblob(32)
                 AND NOT EXISTS (SELECT 1 FROM batches WHERE doctor = ?1 AND device = ?2)",
            params![Text(self.doctor), Text(device), batch.previous],
        )?;
        let row = self.insert(
            "INSERT INTO batches (doctor, device, previous, hash, chain_ok, received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![Text(self.doctor), Text(device), batch.previous, hash, chain_ok, Millis(received)],
        )?;
        Ok((row, chain_ok, true))
    }

    /// Stores a sample; `false` if its number is taken.
    fn append_sample(
        &self,
        device: DeviceId,
        patient: &PatientId,
        sample: &Sample,
        batch: i64,
        received: UnixMillis,
    ) -> Result<bool, StoreError> {
        let added = self.execute(
            "INSERT INTO samples (doctor, patient, device, seq, batch, boot, since_boot_ms, taken, received,
                                  simulated, quantities)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (doctor, device, seq) DO NOTHING",
            params![
                Text(self.doctor),
                Text(patient),
                Text(device),
                i64::try_from(sample.seq.0).map_err(|_| StoreError::SequenceRange)?,
                batch,
                Text(Boot(sample.boot)),
                integer(sample.taken.since_boot_ms),
                sample.taken.wall.map(Millis),
                Millis(received),
                sample.simulated,
                serde_json::to_string(&sample.quantities).map_err(damaged)?,
            ],
        )?;
        Ok(added > 0)
    }

    /// Whether the sample that is stored under this number is this one.
    fn holds(&self, device: DeviceId, sample: &Sample) -> Result<bool, StoreError> {
        self.exists(
            "SELECT 1 FROM samples
             WHERE doctor = ?1 AND device = ?2 AND seq = ?3 AND boot = ?4 AND since_boot_ms = ?5",
            params![
                Text(self.doctor),
                Text(device),
                integer(sample.seq.0),
                Text(Boot(sample.boot)),
                integer(sample.taken.since_boot_ms)
            ],
        )
    }

    fn record_progress(
        &self,
        device: DeviceId,
        appended: &Appended,
        received: UnixMillis,
    ) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO high_water VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET seq = excluded.seq",
            params![Text(self.doctor), Text(device), integer(appended.acknowledged.0)],
        )?;
        for (first, last) in &appended.gaps {
            self.execute(
                "INSERT INTO gaps VALUES (?1, ?2, ?3, ?4, ?5)",
                params![Text(self.doctor), Text(device), integer(first.0), integer(last.0), Millis(received)],
            )?;
        }
        Ok(())
    }
}

/// A boot id as the store writes it.
struct Boot(BootId);

impl std::fmt::Display for Boot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0.0)
    }
}

fn stored_sample(row: &Row<'_>) -> rusqlite::Result<StoredSample> {
    let boot = u64::from_str_radix(row.get_ref("boot")?.as_str()?, 16).map_err(FromSqlError::other)?;
    let quantities: Vec<Quantity> =
        serde_json::from_str(row.get_ref("quantities")?.as_str()?).map_err(FromSqlError::other)?;
    Ok(StoredSample {
        cursor: unsigned(row, "cursor")?,
        patient: text(row, "patient")?,
        device: text(row, "device")?,
        received: time(row, "received")?,
        sample: Sample {
            seq: Seq(unsigned(row, "seq")?),
            boot: BootId(boot),
            taken: SampleTime {
                since_boot_ms: unsigned(row, "since_boot_ms")?,
                wall: optional_time(row, "taken")?,
            },
            simulated: row.get("simulated")?,
            quantities,
        },
    })
}
