//! Alerts and the proof of who received them. An alert is kept as the signed bytes that every patient gets, and is
//! verified again whenever it is read. It does not sign, seal or send.

use protocol::{
    alert::{Alert, Receipt, Stage, UnverifiedAlert},
    id::{AlertId, PatientId},
    time::UnixMillis,
};
use rusqlite::{Params, params};

use super::{
    column::{Millis, Text, damaged, integer, optional_time, text, unsigned},
    error::StoreError,
    ledger::{Ledger, View},
};

/// What a receipt changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// The alert has come further with this patient.
    New,
    /// It had come as far before.
    Repeated,
}

/// How far an alert has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertProgress {
    /// Each recipient, by id.
    pub recipients: Vec<RecipientProgress>,
}

/// How far an alert has come with one patient. Times are the gateway's, of the receipts' arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientProgress {
    /// The patient.
    pub patient: PatientId,
    /// When it was known to be decrypted; an acknowledgement tells that too.
    pub decrypted: Option<UnixMillis>,
    /// When the person was known to have read it.
    pub acknowledged: Option<UnixMillis>,
}

impl View<'_> {
    /// The alert of this id.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not verify.
    pub fn alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let sql = "SELECT signed FROM alerts WHERE doctor = ?1 AND alert = ?2";
        Ok(self.verified_alerts(sql, params![Text(self.doctor), Text(id)])?.pop())
    }

    /// The alert that called this one off.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn cancelled_by(&self, id: AlertId) -> Result<Option<AlertId>, StoreError> {
        let sql = "SELECT alert FROM alerts WHERE doctor = ?1 AND cancels = ?2 ORDER BY sequence LIMIT 1";
        self.first(sql, params![Text(self.doctor), Text(id)], |row| text(row, "alert"))
    }

    /// The last `limit` alerts, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if one does not verify.
    pub fn alerts(&self, limit: u32) -> Result<Vec<Alert>, StoreError> {
        let sql = "SELECT signed FROM alerts WHERE doctor = ?1 ORDER BY sequence DESC LIMIT ?2";
        self.verified_alerts(sql, params![Text(self.doctor), limit])
    }

    /// The alerts that a patient should get now, in order: no receipt has come, and it has neither expired nor been
    /// called off by a later one (which is itself an alert to be delivered).
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if one does not verify.
    pub fn undelivered(&self, patient: &PatientId, now: UnixMillis) -> Result<Vec<Alert>, StoreError> {
        self.verified_alerts(
            "SELECT signed FROM recipients JOIN alerts USING (doctor, alert)
             WHERE doctor = ?1 AND patient = ?2 AND expires > ?3
               AND NOT EXISTS (SELECT 1 FROM receipts AS r
                               WHERE r.doctor = ?1 AND r.alert = recipients.alert AND r.patient = ?2)
               AND NOT EXISTS (SELECT 1 FROM alerts AS later
                               WHERE later.doctor = ?1 AND later.cancels = recipients.alert)
             ORDER BY sequence",
            params![Text(self.doctor), Text(patient), Millis(now)],
        )
    }

    /// How far an alert has come with each of its recipients; `None` if it is unknown.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn progress(&self, alert: AlertId) -> Result<Option<AlertProgress>, StoreError> {
        let key = params![Text(self.doctor), Text(alert)];
        if !self.exists("SELECT 1 FROM alerts WHERE doctor = ?1 AND alert = ?2", key)? {
            return Ok(None);
        }
        let recipients = self.all(
            "SELECT patient, min(received) AS decrypted,
                    min(received) FILTER (WHERE stage = 'acknowledged') AS acknowledged
             FROM recipients LEFT JOIN receipts USING (doctor, alert, patient)
             WHERE doctor = ?1 AND alert = ?2 GROUP BY patient ORDER BY patient",
            key,
            |row| {
                Ok(RecipientProgress {
                    patient: text(row, "patient")?,
                    decrypted: optional_time(row, "decrypted")?,
                    acknowledged: optional_time(row, "acknowledged")?,
                })
            },
        )?;
        Ok(Some(AlertProgress { recipients }))
    }

    fn verified_alerts(&self, sql: &str, params: impl Params) -> Result<Vec<Alert>, StoreError> {
        let signed = self.all(sql, params, |row| row.get::<_, Vec<u8>>("signed"))?;
        if signed.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.alert_key()?;
        let verify =
            |bytes: Vec<u8>| UnverifiedAlert::decode(&bytes).map_err(damaged)?.verify(&key).map_err(damaged);
        signed.into_iter().map(verify).collect()
    }
}

impl Ledger<'_> {
    /// The number for the next alert. It stays this one's only if the alert is recorded in the same job.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn next_alert_sequence(&self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(sequence), 0) + 1 AS next FROM alerts WHERE doctor = ?1";
        Ok(self.first(sql, [Text(self.doctor)], |row| unsigned(row, "next"))?.unwrap_or(1))
    }

    /// Records an alert and whom it is for.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if its id or sequence is taken.
    pub fn record_alert(&self, alert: &Alert, recipients: &[PatientId]) -> Result<(), StoreError> {
        self.insert(
            "INSERT INTO alerts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                Text(self.doctor),
                Text(alert.id()),
                integer(alert.sequence()),
                Millis(alert.expires()),
                alert.cancels().map(Text),
                alert.content_hash(),
                alert.encode(),
            ],
        )?;
        for patient in recipients {
            self.execute(
                "INSERT INTO recipients VALUES (?1, ?2, ?3)",
                params![Text(self.doctor), Text(alert.id()), Text(patient)],
            )?;
        }
        Ok(())
    }

    /// Records a receipt of `patient`. Receipts only bring an alert further: one that comes late or again changes
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::UnknownAlert`] if the patient is not among the recipients of such an alert;
    /// [`StoreError::OtherContent`] if the receipt is about another content.
    pub fn record_receipt(
        &self,
        patient: &PatientId,
        receipt: &Receipt,
        received: UnixMillis,
    ) -> Result<ReceiptOutcome, StoreError> {
        let content_hash = self.first(
            "SELECT content_hash FROM recipients JOIN alerts USING (doctor, alert)
             WHERE doctor = ?1 AND alert = ?2 AND patient = ?3",
            params![Text(self.doctor), Text(receipt.alert()), Text(patient)],
            |row| row.get::<_, [u8; 32]>("content_hash"),
        )?;
        if content_hash.ok_or(StoreError::UnknownAlert)? != receipt.content_hash() {
            return Err(StoreError::OtherContent);
        }
        // An acknowledgement goes further than every decryption.
        let as_far = match receipt.stage() {
            Stage::Decrypted => "SELECT 1 FROM receipts WHERE doctor = ?1 AND alert = ?2 AND patient = ?3",
            Stage::Acknowledged => {
                "SELECT 1 FROM receipts WHERE doctor = ?1 AND alert = ?2 AND patient = ?3 AND stage = 'acknowledged'"
            }
        };
        if self.exists(as_far, params![Text(self.doctor), Text(receipt.alert()), Text(patient)])? {
            return Ok(ReceiptOutcome::Repeated);
        }
        self.execute(
            "INSERT INTO receipts VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                Text(self.doctor),
                Text(receipt.alert()),
                Text(patient),
                Text(receipt.stage()),
                Millis(received),
                receipt.encode(),
            ],
        )?;
        Ok(ReceiptOutcome::New)
    }
}
