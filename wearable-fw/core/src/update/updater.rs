//! The running firmware's side of an update.

use embedded_storage::nor_flash::NorFlash;
use protocol::image::{Header, Refusal};

use super::{Area, BLOCK, Layout, LayoutError, Record, Slot, Trust};

/// Takes images for the slot that does not run.
#[derive(Debug)]
pub struct Updater {
    layout: Layout,
    trust: Trust,
    running: Slot,
    version: u32,
    record: Record,
    receiving: Option<Receiving>,
}

/// An image on its way into a slot.
#[derive(Debug)]
struct Receiving {
    header: Header,
    /// Bytes of the body that are here.
    offset: u32,
    /// The last of them, back to a multiple of [`BLOCK`]; erased behind.
    block: [u8; BLOCK],
}

impl Updater {
    /// For the firmware that runs in `running`, as [`fn@super::boot`] decided.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn open<F: NorFlash>(
        flash: &mut F,
        layout: Layout,
        trust: Trust,
        running: Slot,
    ) -> Result<Self, LayoutError> {
        layout.check(flash)?;
        let version = Area::new::<F>(&layout, running).header(flash).map_or(0, |header| header.version());
        let record = Record::load(flash, &layout).unwrap_or_else(|| Record::new(running, None, version));
        Ok(Self { layout, trust, running, version, record, receiving: None })
    }

    /// Version of the image that runs.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Whether the image that runs must still be confirmed.
    #[must_use]
    pub fn on_trial(&self) -> bool {
        self.record.trial.is_some_and(|attempts| attempts > 0) && self.running != self.record.runs
    }

    /// Whether an image is verified and starts at the next boot.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.record.trial == Some(0) && self.running == self.record.runs
    }

    /// The highest version that was rolled back, unless a higher one runs by now. It and what is older is not taken.
    #[must_use]
    pub const fn rolled_back(&self) -> Option<u32> {
        let version = self.record.rolled_back;
        if version > self.version { Some(version) } else { None }
    }

    /// The image on its way, and how many bytes of its body are here.
    #[must_use]
    pub fn receiving(&self) -> Option<(&Header, u32)> {
        self.receiving.as_ref().map(|receiving| (&receiving.header, receiving.offset))
    }

    /// Judges an image by its header. If it may come, says which byte of its body is wanted next; its length: none, it is
    /// all here, go on with [`Self::install`]. Takes as long as a signature check, and the head's erasure if it is new or a
    /// hash over the image if it is all here.
    ///
    /// # Errors
    /// The reason why it is not taken; then nothing was changed, except for [`Refusal::FLASH`].
    pub fn offer<F: NorFlash>(&mut self, flash: &mut F, header: &[u8]) -> Result<u32, Refusal> {
        let header = Header::parse(header)?;
        self.trust.judge(&header)?;
        let area = self.area::<F>();
        if self.on_trial() {
            return Err(Refusal::BUSY);
        }
        if header.version() <= self.version || header.version() < self.record.floor {
            return Err(Refusal::NOT_NEWER);
        }
        // An older one is not tried either: with two bad images a device would go back and forth for ever.
        if header.version() <= self.record.rolled_back {
            return Err(Refusal::ROLLED_BACK);
        }
        if header.length() > area.room() {
            return Err(Refusal::TOO_LARGE);
        }
        if let Some(receiving) = self.receiving.as_ref().filter(|receiving| receiving.header == header) {
            return Ok(receiving.offset);
        }
        self.receiving = None;
        let stored = area.header(flash).is_ok_and(|stored| stored == header);
        let mut offset = if stored { area.received(flash, &header).map_err(|_| Refusal::FLASH)? } else { 0 };
        // What was whole once may have been damaged since.
        if !stored || (offset == header.length() && area.verify(flash, &self.trust).is_err()) {
            self.forget_installed(flash)?;
            area.begin(flash, &header).map_err(|_| Refusal::FLASH)?;
            offset = 0;
        }
        self.receiving = Some(Receiving { header, offset, block: [0xff; BLOCK] });
        Ok(offset)
    }

    /// Takes bytes of the body. Says which byte is wanted next; bytes from elsewhere are let go. Takes as long as writing
    /// them, and a page's erasure when a page begins.
    ///
    /// # Errors
    /// [`Refusal::INCOMPLETE`] for bytes behind the end or without an offer, [`Refusal::FLASH`]: the image must be offered
    /// again.
    pub fn write<F: NorFlash>(&mut self, flash: &mut F, offset: u32, bytes: &[u8]) -> Result<u32, Refusal> {
        let area = self.area::<F>();
        let receiving = self.receiving.as_mut().ok_or(Refusal::INCOMPLETE)?;
        if offset != receiving.offset {
            return Ok(receiving.offset);
        }
        let taken = receiving.take(flash, area, bytes);
        if taken == Err(Refusal::FLASH) {
            self.receiving = None;
        }
        taken
    }

    /// Reads the whole image back, verifies it, and marks it: the next [`fn@super::boot`] tries it. Takes as long as a signature
    /// check and a hash over the image. Gives its version.
    ///
    /// # Errors
    /// [`Refusal::INCOMPLETE`] before the last byte; any other: the slot is empty again.
    pub fn install<F: NorFlash>(&mut self, flash: &mut F) -> Result<u32, Refusal> {
        let receiving = self.receiving.take_if(|receiving| receiving.offset == receiving.header.length());
        let wanted = receiving.ok_or(Refusal::INCOMPLETE)?.header;
        let area = self.area::<F>();
        let verified = area
            .verify(flash, &self.trust)
            .and_then(|header| if header == wanted { Ok(header.version()) } else { Err(Refusal::ALTERED) });
        match verified {
            Ok(_) => self.save(flash, Record { runs: self.running, trial: Some(0), ..self.record })?,
            Err(_) => area.clear(flash).map_err(|_| Refusal::FLASH)?,
        }
        verified
    }

    /// The image that runs is healthy: it stays. Nothing to do if it is not on trial.
    ///
    /// # Errors
    /// [`Refusal::FLASH`]: not recorded; try again, or it is rolled back.
    pub fn confirm<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), Refusal> {
        if !self.on_trial() {
            return Ok(());
        }
        let floor = self.record.floor.max(self.version);
        self.save(flash, Record { runs: self.running, trial: None, floor, ..self.record })
    }

    /// An image that waits for its trial will be overwritten; the record must not point at it then.
    fn forget_installed<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), Refusal> {
        if self.record.trial.is_none() {
            return Ok(());
        }
        self.save(flash, Record { runs: self.running, trial: None, ..self.record })
    }

    fn save<F: NorFlash>(&mut self, flash: &mut F, mut record: Record) -> Result<(), Refusal> {
        record.save(flash, &self.layout).map_err(|_| Refusal::FLASH)?;
        self.record = record;
        Ok(())
    }

    fn area<F: NorFlash>(&self) -> Area {
        Area::new::<F>(&self.layout, self.running.other())
    }
}

impl Receiving {
    fn take<F: NorFlash>(&mut self, flash: &mut F, area: Area, bytes: &[u8]) -> Result<u32, Refusal> {
        let length = self.header.length();
        if bytes.len() > (length - self.offset) as usize {
            return Err(Refusal::INCOMPLETE);
        }
        for byte in bytes {
            let at = self.offset as usize % BLOCK;
            if let Some(place) = self.block.get_mut(at) {
                *place = *byte;
            }
            self.offset += 1;
            let last = self.offset == length;
            if last || at + 1 == BLOCK {
                let begin = (self.offset - 1) / 256 * 256;
                area.put(flash, begin, &self.block, last).map_err(|_| Refusal::FLASH)?;
                self.block = [0xff; BLOCK];
            }
        }
        Ok(self.offset)
    }
}

/// Puts the first image into slot A of an empty flash, where [`fn@super::boot`] finds it.
///
/// # Errors
/// Why the image is not taken, or [`Refusal::FLASH`].
pub fn factory<F: NorFlash>(
    flash: &mut F,
    layout: &Layout,
    trust: &Trust,
    image: &[u8],
) -> Result<u32, Refusal> {
    let (header, body) = protocol::image::split(image)?;
    trust.judge(&header)?;
    layout.check(flash).map_err(|_| Refusal::FLASH)?;
    let area = Area::new::<F>(layout, Slot::A);
    if header.length() > area.room() {
        return Err(Refusal::TOO_LARGE);
    }
    for range in &layout.record {
        flash.erase(range.start, range.end).map_err(|_| Refusal::FLASH)?;
    }
    Area::new::<F>(layout, Slot::B).clear(flash).map_err(|_| Refusal::FLASH)?;
    area.begin(flash, &header).map_err(|_| Refusal::FLASH)?;
    let mut receiving = Receiving { header, offset: 0, block: [0xff; BLOCK] };
    receiving.take(flash, area, body)?;
    area.verify(flash, trust).map(|header| header.version())
}
