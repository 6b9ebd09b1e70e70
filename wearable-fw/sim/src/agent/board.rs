//! The simulated board: the data folder with identity and flash, and how a device starts from them, again and again.
//! Knows no network and no patient.

use std::{io, time::Duration};

use host::{SystemRng, datadir::DataDir, entropy::system_rng};
use protocol::{
    credential::Suite, firmware::Firmware, id::WearableName, time::Monotonic, vitals::Decimal,
    waveform::Signal,
};
use rand_core::Rng;
use wearable_core::{
    device::{BootReport, Device, Setup, Track},
    flash::Layout,
    mode::Switch,
    proximity::Label,
    uplink::Limits,
};

use super::DeviceError;
use crate::{
    factory::HARDWARE,
    flash::{Durable, FileFlash, PAGE, Trouble},
    identity::Identity,
};

/// The device as this program carries it.
pub(super) type Wearable = Device<FileFlash, Label, SystemRng>;

const FLASH: &str = "flash";
/// Two slots of two pages.
const CONFIG_PAGES: u32 = 4;
/// As much as goes into one batch without dwarfing what it costs to seal and commit it.
const LIMITS: Limits = Limits { in_flight: 4, samples_per_batch: 64, batch_bytes: 48 * 1_024 };

/// How much flash a device has, in pages of 4 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashSize {
    /// For samples as they were taken, at least 3.
    pub samples: u32,
    /// For what is kept of the oldest ones, at least 3.
    pub thinned: u32,
    /// How safely.
    pub durable: Durable,
}

impl Default for FlashSize {
    /// A chip of 8 MiB, with room left for firmware.
    fn default() -> Self {
        Self { samples: 1_024, thinned: 256, durable: Durable::Disk }
    }
}

impl FlashSize {
    const fn layout(self) -> Layout {
        let config = CONFIG_PAGES * PAGE;
        let samples = config + self.samples * PAGE;
        Layout {
            config: 0..config,
            samples: config..samples,
            thinned: samples..samples + self.thinned * PAGE,
        }
    }
}

/// What a device starts from.
pub(super) struct Board {
    dir: DataDir,
    made: Made,
    trouble: Trouble,
}

/// How a device is made and set up.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) name: WearableName,
    pub(super) size: FlashSize,
    pub(super) suites: Vec<Suite>,
    pub(super) refused_wait: Duration,
}

impl Board {
    /// The board of a data folder.
    pub(super) fn open(dir: DataDir, made: Made) -> Result<Self, DeviceError> {
        let capacity = made.size.layout().thinned.end;
        let flash = FileFlash::open(&dir.path().join(FLASH), capacity, made.size.durable)?;
        Ok(Self { dir, made, trouble: flash.trouble() })
    }

    /// The hand that makes trouble with the flash.
    pub(super) const fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// A bit turns over: this one, or one by chance where samples are kept.
    pub(super) fn flip(&self, bit: Option<u32>) -> io::Result<()> {
        let samples = self.made.size.layout().samples;
        let by_chance = || samples.start * 8 + system_rng().next_u32() % (samples.end - samples.start) * 8;
        self.trouble.flip(bit.unwrap_or_else(by_chance))
    }

    /// Switches power on: what is not on flash is gone.
    pub(super) fn boot(&self, switch: Switch, now: Monotonic) -> Result<(Wearable, BootReport), DeviceError> {
        let Identity { device, storage_key } = Identity::open(&self.dir)?;
        let setup = Setup {
            id: device,
            name: self.made.name.clone(),
            suites: self.made.suites.clone(),
            firmware: firmware()?,
            storage_key,
            layout: self.made.size.layout(),
            limits: LIMITS,
            switch,
            tracks: tracks(),
            update: None,
            refused_wait: self.made.refused_wait,
        };
        let flash = FileFlash::power_on(&self.trouble, self.made.size.durable);
        Ok(Device::boot(flash, Label, system_rng(), setup, now)?)
    }
}

/// What the device says that it runs.
fn firmware() -> Result<Firmware, DeviceError> {
    let hardware = HARDWARE.parse().map_err(DeviceError::Hardware)?;
    Ok(Firmware { name: concat!("vitalward-sim ", env!("CARGO_PKG_VERSION")).into(), version: 1, hardware })
}

/// The signals that it can show, as its sensors bring them.
fn tracks() -> Vec<Track> {
    let microvolt = Decimal { mantissa: 1, exponent: 0 };
    let counts = microvolt;
    vec![
        Track { signal: Signal::ECG, rate_millihertz: 256_000, scale: microvolt, unit: "uV" },
        Track { signal: Signal::PPG_INFRARED, rate_millihertz: 100_000, scale: counts, unit: "1" },
        Track { signal: Signal::PPG_RED, rate_millihertz: 100_000, scale: counts, unit: "1" },
    ]
}

impl From<io::Error> for DeviceError {
    fn from(error: io::Error) -> Self {
        Self::Flash(error)
    }
}
