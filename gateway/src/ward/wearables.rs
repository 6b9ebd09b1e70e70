//! Wearables beyond their vitals: what they tell about themselves, what they are told, waveforms that somebody asked for,
//! and firmware. Settings and images are in the store; what a device told is in `device`. Whoever asked for something is
//! audited.

use crypto::identity::VerifyingKey;
use protocol::{
    cadence::{Cadence, Settings},
    credential::ClientKind,
    error::Fault,
    firmware::{Firmware, FirmwareChunk, FirmwareOffer, FirmwareRequest, FirmwareStatus},
    id::{ClientId, DeviceId},
    image::{self, Refusal},
    message::Instruction,
    status::DeviceStatus,
    time::Monotonic,
    waveform::{Signal, Waveform, WaveformRequest},
};
use thiserror::Error;

use super::{
    State, Ward,
    device::Device,
    event::{WardEvent, rfc3339},
    local,
    people::PeopleError,
    roster::Outbound,
    update::is_end,
    view::{ImageView, SettingsView, UpdateView, WaveformAsked},
};
use crate::store::{StoreError, audit::AuditEvent, wearables::PublishedImage};

/// Why a wearable was not told something, or an image not published.
#[derive(Debug, Error)]
pub enum WearableError {
    /// No such wearable, or the store failed.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// It cannot be asked now.
    #[error("wearable {0} is not connected; ask again when `gateway wearables` shows it connected")]
    NotConnected(String),
    /// The file is no image, or not one of this maker's.
    #[error("the image {0}")]
    Image(Refusal),
    /// No image of this number.
    #[error("no image {0} is published; `gateway firmware list` lists them")]
    NoSuchImage(u32),
}

impl From<StoreError> for WearableError {
    fn from(error: StoreError) -> Self {
        Self::People(error.into())
    }
}

impl Ward {
    /// What a wearable is told as soon as it is in.
    ///
    /// # Errors
    /// [`Fault::LocalStorage`].
    pub(crate) async fn standing_instruction(&self, device: DeviceId) -> Result<Option<Instruction>, Fault> {
        let settings = self.store.read(move |view| view.settings(device)).await;
        Ok(settings.map_err(|error| local(&error))?.map(Instruction::Settings))
    }

    /// A wearable told about itself; what it may be offered then.
    ///
    /// # Errors
    /// [`Fault::LocalStorage`].
    pub(crate) async fn take_status(
        &self,
        device: DeviceId,
        status: DeviceStatus,
    ) -> Result<Option<FirmwareOffer>, Fault> {
        let firmware = status.firmware.clone();
        {
            let now = self.now().mono;
            let mut state = self.state();
            state.live.expect(&device.to_string(), status.cadence, now);
            state.device(device, now).tell(status, now);
        }
        let offered =
            self.store.read(move |view| view.firmware_for(&firmware.hardware, firmware.version)).await;
        offered.map_err(|error| local(&error))
    }

    /// How far a wearable is with an image.
    pub(crate) fn take_firmware_status(&self, device: DeviceId, update: FirmwareStatus) {
        let now = self.now().mono;
        self.state().device(device, now).update.hear(Some(update), now);
    }

    /// Tells of updates what is due; how one ended is written down first.
    pub(super) async fn tell_updates(&self, now: Monotonic) {
        let mut news: Vec<(DeviceId, Vec<FirmwareStatus>)> = {
            let mut state = self.state();
            let news = |(id, device): (&DeviceId, &mut Device)| (*id, device.update.poll_news(now));
            state.devices.iter_mut().map(news).filter(|(_, news)| !news.is_empty()).collect()
        };
        let ends = |(device, news): &(DeviceId, Vec<FirmwareStatus>)| -> Vec<(String, String)> {
            let ends = news.iter().filter(|update| is_end(update));
            ends.map(|update| (device.to_string(), said_of_end(update))).collect()
        };
        let ends: Vec<(String, String)> = news.iter().flat_map(ends).collect();
        if !ends.is_empty() {
            let now = self.now().wall;
            let noted = self.store.write(move |ledger| {
                let mut ends = ends.iter();
                ends.try_for_each(|(device, said)| {
                    ledger.audit_change(AuditEvent::Updated, device, said, now)
                })
            });
            if let Err(error) = noted.await {
                tracing::warn!(%error, "the ends of updates could not be noted; they will be");
                news.retain(|(_, news)| !news.iter().any(is_end));
            }
        }
        for (device, news) in news {
            self.state().device(device, now).update.told(&news);
            for update in news {
                let (device, update) = (device.to_string(), UpdateView::new(update));
                self.publish(WardEvent::Firmware { device, update });
            }
        }
    }

    /// Offers images again to those in session that could not take them at their time.
    pub(super) async fn offer_again(&self, now: Monotonic) {
        let due: Vec<(DeviceId, Firmware)> = {
            let mut state = self.state();
            let State { roster, devices, .. } = &mut *state;
            let due = |(id, device): (&DeviceId, &mut Device)| {
                roster.session(&ClientId::Wearable(*id))?;
                device.update.poll_offer(now).then(|| Some((*id, device.firmware()?.clone())))?
            };
            devices.iter_mut().filter_map(due).collect()
        };
        for (device, runs) in due {
            let offer = self.store.read(move |view| view.firmware_for(&runs.hardware, runs.version)).await;
            match offer {
                Ok(Some(offer)) => drop(self.instruct(device, Instruction::Offer(offer))),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "an image could not be offered again"),
            }
        }
    }

    /// A piece of an image that may be offered to the wearable; an empty one of any other.
    ///
    /// # Errors
    /// [`Fault::LocalStorage`].
    pub(crate) async fn firmware_piece(
        &self,
        device: DeviceId,
        request: FirmwareRequest,
    ) -> Result<Instruction, Fault> {
        let runs = self.state().devices.get(&device).and_then(Device::firmware).cloned();
        let bytes = match runs {
            Some(runs) => {
                self.store.read(move |view| view.firmware_piece(&runs.hardware, runs.version, request)).await
            }
            None => Ok(Vec::new()),
        };
        let FirmwareRequest { image, offset, .. } = request;
        Ok(Instruction::Chunk(FirmwareChunk { image, offset, bytes: bytes.map_err(|error| local(&error))? }))
    }

    /// Samples of a signal, for whoever watches. They are not stored.
    ///
    /// # Errors
    /// Those of [`Waveforms::take`](super::waveforms::Waveforms::take); then they are dropped.
    pub(crate) fn take_waveform(&self, device: DeviceId, waveform: &Waveform) -> Result<(), Fault> {
        let now = self.now().mono;
        self.state().device(device, now).waveforms.take(waveform, now)?;
        self.publish(WardEvent::Waveform {
            device: device.to_string(),
            signal: waveform.signal.to_string(),
            boot: format!("{:016x}", waveform.boot.0),
            first: waveform.first,
            time: waveform.taken.wall.map(rfc3339),
            rate_hz: f64::from(waveform.rate_millihertz) / 1_000.0,
            scale: waveform.scale.to_f64(),
            unit: waveform.unit.clone(),
            simulated: waveform.simulated,
            samples: waveform.samples.unpack(),
        });
        Ok(())
    }

    /// Sets how often a wearable measures and sends: kept, then told at once if it is there, and after each login.
    ///
    /// # Errors
    /// [`WearableError::People`].
    pub async fn set(&self, name: &str, settings: Settings, by: &str) -> Result<SettingsView, WearableError> {
        let device = self.wearable(name).await?;
        let (now, by) = (self.now().wall, by.to_owned());
        let _in_order = self.setting.lock().await;
        let kept = self.store.write(move |ledger| {
            ledger.set(device, settings)?;
            ledger.audit(AuditEvent::Controlled, &device.to_string(), &by, &settings.to_string(), now)
        });
        kept.await?;
        let Cadence { sample_ms, upload_ms } = settings.cadence();
        let told = self.instruct(device, Instruction::Settings(settings));
        Ok(SettingsView { wearable: device.to_string(), sample_ms, upload_ms, told })
    }

    /// Asks a wearable for a signal, or to stop; what comes is published as [`WardEvent::Waveform`].
    ///
    /// # Errors
    /// [`WearableError::NotConnected`], [`WearableError::People`].
    pub async fn ask_waveform(
        &self,
        name: &str,
        signal: Signal,
        seconds: u16,
        by: &str,
    ) -> Result<WaveformAsked, WearableError> {
        let device = self.wearable(name).await?;
        let request = WaveformRequest { signal, seconds };
        let asked = {
            let now = self.now().mono;
            let mut state = self.state();
            let asked = Outbound::Instruction(Instruction::Waveform(request));
            let asked = state.roster.send(&ClientId::Wearable(device), asked);
            if asked {
                state.device(device, now).waveforms.ask(request, now);
            }
            asked
        };
        if !asked {
            return Err(WearableError::NotConnected(name.to_owned()));
        }
        let said = if seconds == 0 {
            format!("{signal} stopped")
        } else {
            format!("{seconds} s of {signal} asked for")
        };
        self.audit(AuditEvent::Controlled, &device.to_string(), by, &said).await;
        Ok(WaveformAsked { device: device.to_string(), signal: signal.to_string() })
    }

    /// Publishes an image: kept, then offered to the wearables that it fits and whose version is lower. Without the
    /// maker's key only its form and its digest are judged; each device judges the signature.
    ///
    /// # Errors
    /// [`WearableError::Image`], [`WearableError::People`].
    pub async fn publish_firmware(
        &self,
        file: &[u8],
        maker: Option<&VerifyingKey>,
        by: &str,
    ) -> Result<ImageView, WearableError> {
        let (header, body) = image::split(file).map_err(WearableError::Image)?;
        header.check_body(body).map_err(WearableError::Image)?;
        maker.map_or(Ok(()), |key| header.verify(key)).map_err(WearableError::Image)?;
        let (body, verified) = (body.to_vec(), maker.is_some());
        let (now, by) = (self.now().wall, by.to_owned());
        let kept = self.store.write(move |ledger| {
            let image = ledger.publish_firmware(&header, &body, verified, now)?;
            let checked = if verified { ", signature checked" } else { "" };
            let said = format!("firmware {} for {} published{checked}", image.version, image.hardware);
            ledger.audit(AuditEvent::Controlled, &image.image.to_string(), &by, &said, now)?;
            Ok(image)
        });
        let published = kept.await?;
        let (hardware, version) = (published.hardware.clone(), published.version);
        let offer = self.store.read(move |view| view.firmware_for(&hardware, version - 1)).await?;
        if let Some(offer) = offer.filter(|offer| offer.image == published.image) {
            let fits = |device: &Device| {
                device.firmware().is_some_and(|runs| {
                    runs.hardware == published.hardware && runs.version < published.version
                })
            };
            let state = self.state();
            for (device, _) in state.devices.iter().filter(|(_, device)| fits(device)) {
                let offer = Outbound::Instruction(Instruction::Offer(offer.clone()));
                state.roster.send(&ClientId::Wearable(*device), offer);
            }
        }
        Ok(image_view(&published))
    }

    /// The published images.
    ///
    /// # Errors
    /// [`WearableError::People`].
    pub async fn firmware(&self) -> Result<Vec<ImageView>, WearableError> {
        Ok(self.store.read(|view| view.firmware()).await?.iter().map(image_view).collect())
    }

    /// Offers an image no more. A device that is fetching it is told at its next piece.
    ///
    /// # Errors
    /// [`WearableError::NoSuchImage`], [`WearableError::People`].
    pub async fn withdraw_firmware(&self, image: u32, by: &str) -> Result<u32, WearableError> {
        let (now, by) = (self.now().wall, by.to_owned());
        let withdrawn = self.store.write(move |ledger| {
            let gone = ledger.withdraw_firmware(image)?;
            if gone {
                ledger.audit(AuditEvent::Controlled, &image.to_string(), &by, "firmware withdrawn", now)?;
            }
            Ok(gone)
        });
        if withdrawn.await? { Ok(image) } else { Err(WearableError::NoSuchImage(image)) }
    }

    /// The wearable of a name or the start of a UUID.
    async fn wearable(&self, name: &str) -> Result<DeviceId, PeopleError> {
        match self.find(ClientKind::Wearable, name).await?.id {
            ClientId::Wearable(device) => Ok(device),
            ClientId::Patient(_) => {
                Err(PeopleError::NoSuchClient { kind: ClientKind::Wearable, name: name.to_owned() })
            }
        }
    }

    /// Whether the wearable is in session, and so is being told.
    fn instruct(&self, device: DeviceId, instruction: Instruction) -> bool {
        self.state().roster.send(&ClientId::Wearable(device), Outbound::Instruction(instruction))
    }

    /// Tells once of every wearable in session whose upload is overdue.
    pub(super) fn find_overdue(&self, now: Monotonic) {
        let overdue: Vec<DeviceId> = {
            let mut state = self.state();
            let in_session = |device: &DeviceId| {
                let client = ClientId::Wearable(*device);
                state.roster.session(&client).is_some()
            };
            let late = |(id, device): (&DeviceId, &Device)| {
                (device.is_overdue(now) && in_session(id)).then_some(*id)
            };
            let late: std::collections::BTreeSet<DeviceId> = state.devices.iter().filter_map(late).collect();
            let new = late.difference(&state.overdue).copied().collect();
            state.overdue = late;
            new
        };
        for device in overdue {
            self.publish(WardEvent::Overdue { device: device.to_string() });
        }
    }
}

/// How an update ended, for the audit.
fn said_of_end(FirmwareStatus { state, version, refusal, .. }: &FirmwareStatus) -> String {
    let why = refusal.map_or_else(String::new, |refusal| format!(": the image {refusal}"));
    format!("firmware {version} {state}{why}")
}

fn image_view(image: &PublishedImage) -> ImageView {
    ImageView {
        image: image.image,
        hardware: image.hardware.to_string(),
        version: image.version,
        length: image.length,
        verified: image.verified,
        published: rfc3339(image.published),
    }
}
