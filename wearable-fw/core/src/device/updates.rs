//! An update as a part of the conversation: what the gateway offers goes to [`crate::update`], what that wants is asked for
//! piece by piece, so that vitals go in between. Judges no image.

use core::time::Duration;

use protocol::{
    firmware::{FirmwareChunk, FirmwareOffer, FirmwareRequest, FirmwareStatus, MAX_CHUNK, UpdateState},
    image::{Header, Refusal},
    message::FromClient,
    time::Monotonic,
};
use rand_core::CryptoRng;

use super::{Device, Event};
use crate::{
    flash::Flash,
    proximity::Proximity,
    update::{Layout, LayoutError, Slot, Trust, Updater},
};

/// A new image proves healthy by a session with the bound gateway. Without one for so long after its start the device
/// wants to start again, and after [`crate::update::ATTEMPTS`] such starts the bootloader takes the old image back.
pub const TRIAL_LIMIT: Duration = Duration::from_secs(3_600);

/// Below this charge no image is taken, unless the battery is being charged: erasing and writing must not be cut off
/// again and again.
pub const LEAST_CHARGE: u8 = 20;

/// Told at most once for so many bytes.
const TELL_EVERY: u32 = 16 * 1024;

/// Where a board keeps its images, whom it believes, and which image it started.
#[derive(Debug, Clone)]
pub struct UpdateSetup {
    /// Where.
    pub layout: Layout,
    /// Whom.
    pub trust: Trust,
    /// As [`crate::update::boot`] decided.
    pub running: Slot,
}

#[derive(Debug)]
pub(super) struct Updates {
    updater: Option<Updater>,
    /// The gateway's number of the image that is on its way.
    image: Option<u32>,
    told_at: u32,
    last: Option<FirmwareStatus>,
    /// When a trial has lasted too long.
    trial_ends: Option<Monotonic>,
}

impl Updates {
    pub(super) fn open<F: Flash>(
        flash: &mut F,
        setup: Option<&UpdateSetup>,
        now: Monotonic,
    ) -> Result<Self, LayoutError> {
        let updater = setup
            .map(|UpdateSetup { layout, trust, running }| {
                Updater::open(flash, layout.clone(), trust.clone(), *running)
            })
            .transpose()?;
        let mut updates = Self { updater, image: None, told_at: 0, last: None, trial_ends: None };
        if let Some(updater) = &updates.updater {
            let status = |state, version| {
                Some(FirmwareStatus { state, version, received: 0, length: 0, refusal: None })
            };
            if updater.on_trial() {
                updates.last = status(UpdateState::TRYING, updater.version());
                updates.trial_ends = Some(now + TRIAL_LIMIT);
            } else if let Some(version) = updater.rolled_back() {
                updates.last = status(UpdateState::ROLLED_BACK, version);
            }
        }
        Ok(updates)
    }

    pub(super) const fn status(&self) -> Option<FirmwareStatus> {
        self.last
    }

    pub(super) const fn poll_timeout(&self) -> Option<Monotonic> {
        self.trial_ends
    }

    /// Whether a trial has lasted too long just now.
    pub(super) fn handle_timeout(&mut self, now: Monotonic) -> bool {
        self.trial_ends.take_if(|ends| now >= *ends).is_some()
    }
}

impl<F: Flash, P: Proximity, R: CryptoRng> Device<F, P, R> {
    /// The image that runs has reached its gateway: it stays.
    pub(super) fn confirm_image(&mut self, now: Monotonic) {
        let Some(updater) = self.updates.updater.as_mut().filter(|updater| updater.on_trial()) else {
            return;
        };
        let version = updater.version();
        let (state, refusal) = match updater.confirm(&mut self.flash) {
            Ok(()) => (UpdateState::CONFIRMED, None),
            Err(refusal) => (UpdateState::TRYING, Some(refusal)),
        };
        if refusal.is_none() {
            self.updates.trial_ends = None;
        }
        self.tell_update(FirmwareStatus { state, version, received: 0, length: 0, refusal }, now);
    }

    pub(super) fn handle_offer(&mut self, offer: &FirmwareOffer, now: Monotonic) {
        self.updates.image = None;
        let is_weak = self
            .battery()
            .is_some_and(|battery| battery.percent < LEAST_CHARGE && battery.charging != Some(true));
        let wanted = match &mut self.updates.updater {
            None => Err(Refusal::OTHER_HARDWARE),
            Some(_) if is_weak => Err(Refusal::BATTERY),
            Some(updater) => updater.offer(&mut self.flash, &offer.header),
        };
        match wanted {
            Ok(offset) => {
                self.updates.image = Some(offer.image);
                self.updates.told_at = offset;
                self.tell_progress(offset, now);
                self.fetch(offset, now);
            }
            Err(refusal) => {
                let version = Header::parse(&offer.header).map_or(0, |header| header.version());
                self.refuse_image(version, refusal, now);
            }
        }
    }

    pub(super) fn handle_chunk(&mut self, chunk: &FirmwareChunk, now: Monotonic) {
        if self.updates.image != Some(chunk.image) {
            return;
        }
        let Some(updater) = &mut self.updates.updater else { return };
        if chunk.bytes.is_empty() {
            // Withdrawn. What is here stays: the same image may be offered again.
            self.updates.image = None;
            return;
        }
        let (version, wanted) = updater.receiving().map_or((0, 0), |(header, at)| (header.version(), at));
        if chunk.offset != wanted {
            // Asked for twice; the answer to the last request is still to come.
            return;
        }
        match updater.write(&mut self.flash, chunk.offset, &chunk.bytes) {
            Ok(offset) => {
                if offset.saturating_sub(self.updates.told_at) >= TELL_EVERY {
                    self.updates.told_at = offset;
                    self.tell_progress(offset, now);
                }
                self.fetch(offset, now);
            }
            Err(refusal) => self.refuse_image(version, refusal, now),
        }
    }

    /// Asks for the next piece, or ends the transfer.
    fn fetch(&mut self, offset: u32, now: Monotonic) {
        let Some(image) = self.updates.image else { return };
        let Some(updater) = &mut self.updates.updater else { return };
        let Some((version, length)) =
            updater.receiving().map(|(header, _)| (header.version(), header.length()))
        else {
            return;
        };
        if offset < length {
            let piece = u16::try_from(length - offset).unwrap_or(MAX_CHUNK).min(MAX_CHUNK);
            return self
                .say(&FromClient::FirmwareRequest(FirmwareRequest { image, offset, length: piece }), now);
        }
        match updater.install(&mut self.flash) {
            Ok(version) => {
                self.updates.image = None;
                let state = UpdateState::VERIFIED;
                self.tell_update(
                    FirmwareStatus { state, version, received: length, length, refusal: None },
                    now,
                );
                self.events.tell(Event::Restart);
            }
            Err(refusal) => self.refuse_image(version, refusal, now),
        }
    }

    fn tell_progress(&mut self, received: u32, now: Monotonic) {
        let receiving = self.updates.updater.as_ref().and_then(Updater::receiving);
        if let Some((version, length)) = receiving.map(|(header, _)| (header.version(), header.length())) {
            let state = UpdateState::RECEIVING;
            self.tell_update(FirmwareStatus { state, version, received, length, refusal: None }, now);
        }
    }

    fn refuse_image(&mut self, version: u32, refusal: Refusal, now: Monotonic) {
        self.updates.image = None;
        let (state, refusal) = (UpdateState::REFUSED, Some(refusal));
        self.tell_update(FirmwareStatus { state, version, received: 0, length: 0, refusal }, now);
    }

    fn tell_update(&mut self, status: FirmwareStatus, now: Monotonic) {
        self.updates.last = Some(status);
        self.events.tell(Event::Update(status));
        self.say(&FromClient::FirmwareStatus(status), now);
    }
}
