//! The whole device as one value: buttons, samples, bytes and `now` in; bytes, wishes and events out. Owns what belongs
//! together on flash and in RAM and the rules between; opens no socket, reads no clock, drives no sensor.
//!
//! Whoever carries it (a loop over a UART, a task over TCP, C) calls, after each input: [`Device::poll_event`] until it is
//! empty, [`Device::poll_link`] and obeys, [`Device::poll_transmit`] until it is empty, then sleeps until
//! [`Device::poll_timeout`] or the next input, and calls [`Device::handle_timeout`] when that time has come.
//!
//! Trust: on the wearables' port anybody may answer, so what is said before a login is complete ends nothing. A refusal, or
//! a gateway that does not prove to be the pinned one, is reported; no sample is sent, sampling goes on, the clock stays
//! as it is and the device tries again later. Only what the pinned gateway says in a session counts. What must survive is
//! on flash before it is said: a sample before it is sent, a binding before it is used.

mod binding;
mod controls;
mod event;
mod line;
mod measuring;
mod pairing;
mod refusal;
mod reset;
mod status;
mod traffic;
mod updates;
mod waveforms;
mod window;

use alloc::{collections::VecDeque, string::ToString, vec::Vec};
use core::{fmt, time::Duration};

use crypto::{Secret, purpose::StorageKey};
use protocol::{
    cadence::Settings,
    credential::{PinnedGateway, Suite},
    firmware::Firmware,
    handshake::resume::Ticket,
    id::{BootId, DeviceId, Seq, WearableName},
    pairing::{code::PairingCode, network::NetworkCredentials},
    time::{Monotonic, UnixMillis},
};
use rand_core::CryptoRng;
use thiserror::Error;

use self::{
    binding::Configuration,
    controls::{Controls, Gesture},
    event::Events,
    line::Line,
    status::Status,
    updates::Updates,
    waveforms::Waveforms,
    window::Window,
};
pub use self::{
    controls::{HOLD, RESET_HOLD, RESET_QUESTION},
    event::Event,
    line::LinkWish,
    measuring::RecordError,
    pairing::VALIDATION_LIMIT,
    updates::{LEAST_CHARGE, TRIAL_LIMIT, UpdateSetup},
    waveforms::Track,
    window::{CODE_INTERVAL, TRIES, WINDOW},
};
use crate::{
    clock::{BUILD_FLOOR, DeviceClock},
    config::{ConfigError, ConfigStore, Found},
    flash::{Flash, Layout},
    mode::{Input, Link, Mode, Switch},
    proximity::Proximity,
    update::LayoutError,
    uplink::{Limits, Recovery, StoreError, Uplink},
};

/// What a board is, and what its maker gave it.
#[derive(Debug)]
pub struct Setup {
    /// The device's identity, for life.
    pub id: DeviceId,
    /// What people call it.
    pub name: WearableName,
    /// What runs.
    pub firmware: Firmware,
    /// The ways to log in that it offers, the preferred first.
    pub suites: Vec<Suite>,
    /// Seals the configuration; from the board's own key store, different on each device.
    pub storage_key: Secret<StorageKey>,
    /// Where things are on flash.
    pub layout: Layout,
    /// How much is in RAM.
    pub limits: Limits,
    /// Where the slide switch stands.
    pub switch: Switch,
    /// The signals that it can show.
    pub tracks: Vec<Track>,
    /// Where images are kept, on a board that takes updates.
    pub update: Option<UpdateSetup>,
    /// Between two tries after a refusal.
    pub refused_wait: Duration,
}

/// What a start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootReport {
    /// This run's number.
    pub boot: BootId,
    /// The state that it starts in.
    pub mode: Mode,
    /// There was a configuration and it cannot be read: the device is unprovisioned.
    pub configuration_damaged: bool,
    /// What became of the stored samples.
    pub samples: Recovery,
}

/// Why a device does not start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BootError {
    /// The board's mistake.
    #[error(
        "the ranges for configuration, samples and images overlap or leave the flash: correct the board's layout"
    )]
    Layout,
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The samples.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The images.
    #[error(transparent)]
    Update(#[from] LayoutError),
}

/// A wearable.
pub struct Device<F, P, R> {
    flash: F,
    proximity: P,
    rng: R,
    setup: Setup,
    clock: DeviceClock,
    boot: BootId,
    mode: Mode,
    store: ConfigStore<Configuration>,
    configuration: Configuration,
    uplink: Uplink,
    controls: Controls,
    window: Option<Window>,
    line: Line,
    /// Stays in RAM: after a reset the device logs in fully.
    ticket: Option<Ticket>,
    outbox: VecDeque<Vec<u8>>,
    status: Status,
    waveforms: Waveforms,
    updates: Updates,
    /// When the stored samples go out next, if they do not go at once.
    upload: Option<Monotonic>,
    sampled: Option<Monotonic>,
    events: Events,
}

impl<F, P, R> fmt::Debug for Device<F, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("id", &self.setup.id).field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl<F: Flash, P: Proximity, R: CryptoRng> Device<F, P, R> {
    /// Starts: reads the configuration and the stored samples. Takes up a factory reset that was cut off.
    ///
    /// # Errors
    /// [`BootError`] if the flash fails or the layout does not fit it. Damaged content is no error: see [`BootReport`].
    // A board has no stack for two of it: it is made where it will lie.
    #[inline(always)]
    pub fn boot(
        mut flash: F,
        proximity: P,
        mut rng: R,
        setup: Setup,
        now: Monotonic,
    ) -> Result<(Self, BootReport), BootError> {
        let images =
            setup.update.iter().flat_map(|update| update.layout.slots.iter().chain(&update.layout.record));
        if !setup.layout.fits(flash.capacity(), images) {
            return Err(BootError::Layout);
        }
        let (mut store, found) =
            ConfigStore::open(&mut flash, &setup.layout.config, &setup.storage_key, setup.id)?;
        let configuration_damaged = matches!(found, Found::Unreadable);
        let mut configuration: Configuration = found.record().unwrap_or_default();
        let reserved = configuration.reserved.unwrap_or(Seq(0));
        let (mut uplink, samples) = Uplink::open(&mut flash, &setup.layout, setup.limits, reserved)?;
        if configuration.erasing {
            uplink.erase(&mut flash)?;
            store.erase(&mut flash)?;
            configuration = Configuration::default();
        }
        let updates = Updates::open(&mut flash, setup.update.as_ref(), now)?;
        let boot = BootId(rng.next_u64());
        let mode = Mode::at_boot(configuration.bound.is_some(), configuration.pending.is_some());
        let clock = DeviceClock::start(configuration.floor.unwrap_or(BUILD_FLOOR), now);
        let device = Self {
            flash,
            proximity,
            rng,
            clock,
            boot,
            mode,
            store,
            configuration,
            uplink,
            controls: Controls::new(setup.switch),
            window: None,
            line: Line::new(now),
            ticket: None,
            outbox: VecDeque::new(),
            status: Status::default(),
            waveforms: Waveforms::new(&setup.tracks),
            updates,
            upload: None,
            sampled: None,
            events: Events::default(),
            setup,
        };
        Ok((device, BootReport { boot, mode, configuration_damaged, samples }))
    }

    // What a person does.

    /// The button goes down or comes up.
    pub fn button(&mut self, pressed: bool, now: Monotonic) {
        if pressed {
            return self.controls.press(now);
        }
        match self.controls.release(now) {
            Some(Gesture::Short) => self.handle_short_press(now),
            Some(Gesture::Held) => self.open_window(now),
            Some(Gesture::ResetConfirmed) => self.reset(now),
            None => {}
        }
    }

    /// The slide switch moves.
    pub fn slide(&mut self, switch: Switch, now: Monotonic) {
        self.controls.slide(switch, now);
    }

    /// A gateway's code, typed in or received. Taken in an open window only.
    pub fn enter_code(&mut self, code: PairingCode, now: Monotonic) {
        match &mut self.window {
            Some(window) => {
                window.enter(code);
                self.line.try_at(now);
            }
            None => self.refuse(refusal::NO_WINDOW),
        }
    }

    /// Confirms the factory reset that was asked for.
    pub fn confirm(&mut self, now: Monotonic) {
        if self.controls.confirm(now) { self.reset(now) } else { self.refuse(refusal::NOTHING_TO_CONFIRM) }
    }

    /// The next try is now.
    pub fn retry(&mut self, now: Monotonic) {
        match (self.mode, &self.configuration.pending) {
            (Mode::Error, Some(_)) => self.validate_again(now),
            (Mode::Error | Mode::Unprovisioned, _) => self.refuse(refusal::NOTHING_TO_RETRY),
            _ => self.line.try_at(now),
        }
    }

    fn handle_short_press(&mut self, now: Monotonic) {
        if self.window.is_some() { self.fail(refusal::WINDOW_OVER, now) } else { self.retry(now) }
    }

    fn open_window(&mut self, now: Monotonic) {
        let input = Input::Held(self.controls.switch);
        if self.mode.next(input).is_err() {
            let already_open = self.window.is_some();
            return if already_open { self.show_code() } else { self.refuse(refusal::WORKING_SWITCH) };
        }
        if !self.proximity.is_near() {
            return self.refuse(refusal::NOBODY_NEAR);
        }
        if self.configuration.erasing && !self.erase() {
            return;
        }
        self.part(now);
        self.window = Some(Window::open(now, &mut self.rng));
        self.change(input);
        self.line.try_at(now);
        self.show_code();
    }

    fn show_code(&mut self) {
        if let Some(window) = &self.window {
            self.events.tell(Event::Code(window.own()));
        }
    }

    // How things stand.

    /// The state.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The device's identity.
    #[must_use]
    pub const fn id(&self) -> DeviceId {
        self.setup.id
    }

    /// The code to show, while a window is open.
    #[must_use]
    pub fn code(&self) -> Option<PairingCode> {
        self.window.as_ref().map(Window::own)
    }

    /// The gateway that it is bound to.
    #[must_use]
    pub fn gateway(&self) -> Option<&PinnedGateway> {
        self.configuration.bound.as_ref().map(|bound| &bound.gateway)
    }

    /// The network that it was given, for the board's radio: that of the binding being validated, else of the binding.
    #[must_use]
    pub fn network(&self) -> Option<&NetworkCredentials> {
        let pending = self.configuration.pending.as_ref().filter(|_| self.mode == Mode::Validating);
        pending.or(self.configuration.bound.as_ref())?.network.as_ref()
    }

    /// How often it measures and sends.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.configuration.settings.unwrap_or(Settings::LIVE)
    }

    /// The stored samples.
    #[must_use]
    pub const fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    /// How the last try was refused, until a try ends in another way. Nobody vouches for it.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.line.refusal()
    }

    /// Wall-clock time, once it was learnt.
    #[must_use]
    pub fn wall(&self, now: Monotonic) -> Option<UnixMillis> {
        self.clock.wall(now)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.poll()
    }

    // Shared by the rooms.

    /// Takes an edge, if there is one.
    fn change(&mut self, input: Input) {
        if let Ok(to) = self.mode.next(input)
            && to != self.mode
        {
            let from = core::mem::replace(&mut self.mode, to);
            self.events.tell(Event::Mode { from, to });
        }
    }

    fn refuse(&mut self, why: &str) {
        self.events.tell(Event::Refused(why.into()));
    }

    fn commit(&mut self) -> Result<(), ConfigError> {
        let reserved = self.configuration.reserved.replace(self.uplink.reserve());
        let committed = self.store.commit(&mut self.flash, &self.configuration, &mut self.rng);
        if committed.is_err() {
            self.configuration.reserved = reserved;
        }
        committed
    }

    /// What stands on flash is not what stood there: opened again, what can still be read is kept.
    fn reopen(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.events.tell(Event::Storage(error.to_string()));
        let reserved = self.configuration.reserved.unwrap_or(Seq(0));
        (self.uplink, _) = Uplink::open(&mut self.flash, &self.setup.layout, self.setup.limits, reserved)?;
        Ok(())
    }

    /// Commits, and says so if that fails: what was kept before stands.
    fn try_commit(&mut self) -> bool {
        let committed = self.commit();
        if let Err(error) = &committed {
            self.events.tell(Event::Storage(error.to_string()));
        }
        committed.is_ok()
    }
}

const fn is_connecting(mode: Mode) -> bool {
    matches!(mode, Mode::PairingOpen | Mode::Validating | Mode::Working(Link::Connecting | Link::Offline))
}
