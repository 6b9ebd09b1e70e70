//! What wearables are told: their settings, and the firmware that is offered to them. It does not judge an image.

use protocol::{
    cadence::Settings,
    firmware::{FirmwareOffer, FirmwareRequest},
    id::{DeviceId, HardwareId},
    image::Header,
    time::UnixMillis,
};
use rusqlite::{Row, params, types::FromSqlError};

use super::{
    column::{Millis, Text, text, time},
    error::StoreError,
    ledger::{Ledger, View},
};

/// A published image, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedImage {
    /// Its number.
    pub image: u32,
    /// The hardware that it is for.
    pub hardware: HardwareId,
    /// Its version.
    pub version: u32,
    /// Bytes after the header.
    pub length: u32,
    /// Whether its signature was checked when it was published.
    pub verified: bool,
    /// When it was published.
    pub published: UnixMillis,
}

impl View<'_> {
    /// What a wearable was set to, if it was.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn settings(&self, device: DeviceId) -> Result<Option<Settings>, StoreError> {
        self.first(
            "SELECT sample_ms, upload_ms FROM settings WHERE doctor = ?1 AND device = ?2",
            params![Text(self.doctor), Text(device)],
            |row| {
                let interval = |column: &str| -> rusqlite::Result<_> {
                    row.get::<_, u32>(column)?.try_into().map_err(|e| FromSqlError::other(e).into())
                };
                Settings::new(interval("sample_ms")?, interval("upload_ms")?)
                    .map_err(|e| FromSqlError::other(e).into())
            },
        )
    }

    /// The published images, by hardware and version.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn firmware(&self) -> Result<Vec<PublishedImage>, StoreError> {
        self.all(
            "SELECT image, hardware, version, length(body) AS length, verified, published FROM firmware
             WHERE doctor = ?1 ORDER BY hardware, version",
            [Text(self.doctor)],
            published,
        )
    }

    /// The newest image for this hardware above this version, as it is offered.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn firmware_for(
        &self,
        hardware: &HardwareId,
        version: u32,
    ) -> Result<Option<FirmwareOffer>, StoreError> {
        self.first(
            "SELECT image, header, length(body) AS length FROM firmware
             WHERE doctor = ?1 AND hardware = ?2 AND version > ?3 ORDER BY version DESC LIMIT 1",
            params![Text(self.doctor), Text(hardware), version],
            |row| {
                let (image, header, length) = (row.get("image")?, row.get("header")?, row.get("length")?);
                Ok(FirmwareOffer { image, header, length })
            },
        )
    }

    /// A piece of an image; fewer bytes at its end, none if there is no such image for this hardware above this version.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn firmware_piece(
        &self,
        hardware: &HardwareId,
        version: u32,
        piece: FirmwareRequest,
    ) -> Result<Vec<u8>, StoreError> {
        let FirmwareRequest { image, offset, length } = piece;
        let piece = self.first(
            "SELECT substr(body, ?5, ?6) AS piece FROM firmware
             WHERE doctor = ?1 AND image = ?2 AND hardware = ?3 AND version > ?4",
            params![Text(self.doctor), image, Text(hardware), version, i64::from(offset) + 1, length],
            |row| row.get("piece"),
        );
        Ok(piece?.unwrap_or_default())
    }
}

impl Ledger<'_> {
    /// Keeps what a wearable is set to.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn set(&self, device: DeviceId, settings: Settings) -> Result<(), StoreError> {
        let cadence = settings.cadence();
        self.execute(
            "INSERT INTO settings VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET sample_ms = excluded.sample_ms, upload_ms = excluded.upload_ms",
            params![Text(self.doctor), Text(device), cadence.sample_ms, cadence.upload_ms],
        )?;
        Ok(())
    }

    /// Keeps an image that wearables are offered from now on. The same image again: notes that its signature was checked now.
    ///
    /// # Errors
    /// [`StoreError::SameVersion`] if another for this hardware has this version.
    pub fn publish_firmware(
        &self,
        header: &Header,
        body: &[u8],
        verified: bool,
        now: UnixMillis,
    ) -> Result<PublishedImage, StoreError> {
        let taken = self.first(
            "SELECT image, header = ?4 AND body = ?5 AS is_same FROM firmware
             WHERE doctor = ?1 AND hardware = ?2 AND version = ?3",
            params![Text(self.doctor), Text(header.hardware()), header.version(), header.bytes(), body],
            |row| Ok((row.get::<_, i64>("image")?, row.get("is_same")?)),
        )?;
        let image = match taken {
            Some((_, false)) => return Err(StoreError::SameVersion),
            Some((image, true)) => {
                self.execute(
                    "UPDATE firmware SET verified = max(verified, ?2) WHERE image = ?1",
                    params![image, verified],
                )?;
                image
            }
            None => self.insert(
                "INSERT INTO firmware (doctor, hardware, version, header, body, verified, published)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    Text(self.doctor),
                    Text(header.hardware()),
                    header.version(),
                    header.bytes(),
                    body,
                    verified,
                    Millis(now)
                ],
            )?,
        };
        let kept = self.first(
            "SELECT image, hardware, version, length(body) AS length, verified, published FROM firmware
             WHERE image = ?1",
            [image],
            published,
        )?;
        kept.ok_or_else(|| StoreError::Damaged("an image was not kept".into()))
    }

    /// Offers an image no more; `false` if there is none of this number.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn withdraw_firmware(&self, image: u32) -> Result<bool, StoreError> {
        let gone = self.execute(
            "DELETE FROM firmware WHERE doctor = ?1 AND image = ?2",
            params![Text(self.doctor), image],
        )?;
        Ok(gone > 0)
    }
}

fn published(row: &Row<'_>) -> rusqlite::Result<PublishedImage> {
    Ok(PublishedImage {
        image: row.get("image")?,
        hardware: text(row, "hardware")?,
        version: row.get("version")?,
        length: row.get("length")?,
        verified: row.get("verified")?,
        published: time(row, "published")?,
    })
}
