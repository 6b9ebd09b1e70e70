//! The configuration record: two slots that take turns, so that a commit is there as a whole or not at all. Knows nothing
//! of what it keeps. None, or none that is intact, means unprovisioned; there is no default.
//!
//! ```text
//! slot   0: "VWC1"   4: version u32   8: sealed length u32   12: nonce 12   24: sealed   then: CRC-32 of all before
//! sealed AES-256-GCM under the board's storage key, AAD = the slot's first 12 bytes and the device's id
//! ```
//! All numbers are little-endian. Fields of what is sealed are only appended, never moved. Of two intact slots the one with the higher version counts.

use alloc::{vec, vec::Vec};
use core::{fmt, marker::PhantomData, ops::Range};

use crc::{CRC_32_ISO_HDLC, Crc};
use crypto::{Secret, aead::AeadKey, purpose::StorageKey};
use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};
use protocol::id::DeviceId;
use rand_core::CryptoRng;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::flash::Flash;

const MAGIC: [u8; 4] = *b"VWC1";
const HEAD: usize = 24;
/// What of the head is authenticated as it stands; the nonce is so by its use.
const BOUND: usize = 12;
/// Zeros behind a record that is read: fields that an earlier firmware did not know are `None`, `false` or 0. A later one's
/// fields are left unread. So a record outlives an update and its rollback **if fields are only ever appended**.
const LATER_FIELDS: usize = 8;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// An encoded record.
type Content = Zeroizing<Vec<u8>>;

/// What an opened store held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// The newest intact record.
    Record(T),
    /// Both slots are erased: a new device, or one after a factory reset.
    Nothing,
    /// Something stands there, and neither slot is intact under this key for this device.
    Unreadable,
}

impl<T> Found<T> {
    /// The record, if there is one.
    pub fn record(self) -> Option<T> {
        match self {
            Self::Record(record) => Some(record),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}

/// The configuration was not read, written or erased. What was committed before stands, unless it was being erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The chip's driver says so.
    #[error("the flash failed: {0}. Try again; if it stays so, the chip is broken")]
    Flash(NorFlashErrorKind),
    /// The layout's fault.
    #[error("the configuration needs an even number of erase pages: correct the board's layout")]
    Layout,
    /// More than a slot holds.
    #[error(
        "the configuration takes {needed} bytes and a slot has {slot}: give it more pages in the board's layout"
    )]
    TooBig {
        /// What it takes.
        needed: usize,
        /// What there is.
        slot: usize,
    },
    /// It was written and reads back differently.
    #[error("the configuration did not stay as it was written: the flash is worn out, replace the device")]
    WornOut,
}

/// Keeps one `T`, sealed.
pub struct ConfigStore<T> {
    slots: [Range<u32>; 2],
    key: AeadKey,
    device: DeviceId,
    /// The slot of the newest record and its version.
    newest: Option<(usize, u32)>,
    content: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> ConfigStore<T> {
    /// Finds the newest intact record.
    ///
    /// # Errors
    /// [`ConfigError::Flash`], [`ConfigError::Layout`]. A damaged record is none: see [`Found`].
    pub fn open<F: Flash>(
        flash: &mut F,
        range: &Range<u32>,
        key: &Secret<StorageKey>,
        device: DeviceId,
    ) -> Result<(Self, Found<T>), ConfigError> {
        let slot = range.end.saturating_sub(range.start) / 2;
        let page = u32::try_from(F::ERASE_SIZE).map_err(|_| ConfigError::Layout)?;
        if slot == 0 || !slot.is_multiple_of(page) || !range.start.is_multiple_of(page) {
            return Err(ConfigError::Layout);
        }
        let middle = range.start + slot;
        let mut store = Self {
            slots: [range.start..middle, middle..range.end],
            key: AeadKey::new(key),
            device,
            newest: None,
            content: PhantomData,
        };
        let [first, second] = &store.slots;
        let records = [store.read(flash, first)?, store.read(flash, second)?];
        let [first, second] = records.each_ref().map(|record| match record {
            Found::Record((version, _)) => Some(*version),
            Found::Nothing | Found::Unreadable => None,
        });
        let newer = usize::from(second > first);
        // A record is big beside a board's stack: it is decoded once, and the older one if the newer cannot be.
        for index in [newer, 1 - newer] {
            if let Some(Found::Record((version, content))) = records.get(index)
                && let Ok(record) = postcard::from_bytes(content)
            {
                store.newest = Some((index, *version));
                return Ok((store, Found::Record(record)));
            }
        }
        let erased = records.iter().all(|record| matches!(record, Found::Nothing));
        Ok((store, if erased { Found::Nothing } else { Found::Unreadable }))
    }

    fn read<F: Flash>(&self, flash: &mut F, slot: &Range<u32>) -> Result<Found<(u32, Content)>, ConfigError> {
        let Some(bytes) = read_record(flash, slot)? else { return Ok(Found::Unreadable) };
        if bytes.is_empty() {
            return Ok(Found::Nothing);
        }
        Ok(self.unseal(&bytes).map_or(Found::Unreadable, Found::Record))
    }

    fn unseal(&self, record: &[u8]) -> Option<(u32, Content)> {
        let (head, sealed) = record.split_first_chunk::<HEAD>()?;
        let (bound, nonce) = head.split_first_chunk::<BOUND>()?;
        let version = u32::from_le_bytes(*head.get(4..)?.first_chunk()?);
        let nonce: &[u8; 12] = nonce.first_chunk()?;
        let opened = self.key.open(nonce, &self.aad(bound), sealed).ok().map(Zeroizing::new)?;
        // Room from the start: a vector that grows leaves a copy of the secrets behind.
        let mut content = Zeroizing::new(Vec::with_capacity(opened.len() + LATER_FIELDS));
        content.extend_from_slice(&opened);
        content.resize(opened.len() + LATER_FIELDS, 0);
        Some((version, content))
    }

    fn aad(&self, bound: &[u8; BOUND]) -> Vec<u8> {
        [bound.as_slice(), self.device.as_bytes()].concat()
    }

    /// Replaces what is kept. When it returns, the new content is there for good; when it fails or power does, the old
    /// one is.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn commit<F: Flash>(
        &mut self,
        flash: &mut F,
        content: &T,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), ConfigError> {
        let (index, version) = match self.newest {
            Some((index, version)) => (1 - index, version.checked_add(1).ok_or(ConfigError::WornOut)?),
            None => (0, 1),
        };
        let [first, second] = &self.slots;
        let slot = if index == 0 { first } else { second }.clone();
        let mut record = self.seal(version, content, rng)?;
        let intact = record.clone();
        record.extend_from_slice(&CRC.checksum(&record).to_le_bytes());
        record.resize(record.len().next_multiple_of(F::WRITE_SIZE), 0xff);
        if record.len() > slot.len() {
            return Err(ConfigError::TooBig { needed: record.len(), slot: slot.len() });
        }
        flash.erase(slot.start, slot.end)?;
        let written = flash.write(slot.start, &record).map_err(ConfigError::from);
        let kept = written.and_then(|()| match read_record(flash, &slot)? {
            Some(read) if read == intact => Ok(()),
            _ => Err(ConfigError::WornOut),
        });
        if kept.is_err() {
            // It may be whole all the same, and would count at the next start. If this fails, so does the next start.
            flash.erase(slot.start, slot.end).ok();
        }
        kept?;
        self.newest = Some((index, version));
        Ok(())
    }

    fn seal(
        &self,
        version: u32,
        content: &T,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, ConfigError> {
        // Room from the start: a vector that grows leaves a copy of the secrets behind.
        let room = Vec::with_capacity(2048);
        let too_big = ConfigError::TooBig { needed: usize::MAX, slot: 0 };
        let content = postcard::to_extend(content, room).map(Zeroizing::new).map_err(|_| too_big)?;
        let length = u32::try_from(content.len() + crypto::aead::TAG_LEN).map_err(|_| too_big)?;
        let mut bound = [0; BOUND];
        for (to, from) in bound.chunks_exact_mut(4).zip([MAGIC, version.to_le_bytes(), length.to_le_bytes()])
        {
            to.copy_from_slice(&from);
        }
        let mut nonce = [0; 12];
        rng.fill_bytes(&mut nonce);
        let sealed = self.key.seal(&nonce, &self.aad(&bound), &content).map_err(|_| too_big)?;
        Ok([bound.as_slice(), &nonce, &sealed].concat())
    }

    /// Forgets what is kept. Should power fail in between, the newest record is the last to go: it is there whole, or no
    /// record is.
    ///
    /// # Errors
    /// [`ConfigError::Flash`]; erase again.
    pub fn erase<F: Flash>(&mut self, flash: &mut F) -> Result<(), ConfigError> {
        let [first, second] = &self.slots;
        let order = if matches!(self.newest, Some((0, _))) { [second, first] } else { [first, second] };
        for slot in order {
            flash.erase(slot.start, slot.end)?;
        }
        self.newest = None;
        Ok(())
    }

    /// How often the record was replaced since the last erase.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.newest.map_or(0, |(_, version)| version)
    }
}

/// The record of a slot without its CRC; empty if the slot is erased, `None` if it is damaged.
fn read_record<F: Flash>(flash: &mut F, slot: &Range<u32>) -> Result<Option<Vec<u8>>, ConfigError> {
    let mut read = |len: usize| -> Result<Option<Vec<u8>>, ConfigError> {
        let mut bytes = vec![0; len.next_multiple_of(F::READ_SIZE)];
        if bytes.len() > slot.len() {
            return Ok(None);
        }
        flash.read(slot.start, &mut bytes)?;
        Ok(Some(bytes))
    };
    let Some(head) = read(HEAD)? else { return Ok(None) };
    if head.iter().all(|byte| *byte == 0xff) {
        return Ok(Some(Vec::new()));
    }
    let Some((magic, rest)) = head.split_first_chunk::<4>() else { return Ok(None) };
    let length = rest.get(4..).and_then(|rest| rest.first_chunk()).map(|length| u32::from_le_bytes(*length));
    let Some(length) = length.filter(|length| *magic == MAGIC && *length < slot.end - slot.start) else {
        return Ok(None);
    };
    let end = HEAD + length as usize;
    let Some(mut record) = read(end + 4)? else { return Ok(None) };
    let crc = record.get(end..).and_then(|rest| rest.first_chunk()).map(|crc| u32::from_le_bytes(*crc));
    record.truncate(end);
    Ok((crc == Some(CRC.checksum(&record))).then_some(record))
}

impl<E: NorFlashError> From<E> for ConfigError {
    fn from(error: E) -> Self {
        Self::Flash(error.kind())
    }
}

impl<T> fmt::Debug for ConfigStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigStore").field("newest", &self.newest).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
