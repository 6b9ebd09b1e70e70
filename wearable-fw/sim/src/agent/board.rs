//! The simulated board: the data folder with identity and flash, its bootloader, and how a device starts from them, again
//! and again. Knows no network and no patient.
//!
//! A device that a maker made (`wearable factory`) has the maker's key in its folder and images in its flash. Its
//! bootloader decides as on every board; what the image says is then the version, and the program is the same.

use std::{io, time::Duration};

use crypto::identity::VerifyingKey;
use host::{SystemRng, datadir::DataDir, entropy::system_rng};
use protocol::{
    credential::Suite, firmware::Firmware, id::WearableName, image::Refusal, time::Monotonic,
    vitals::Decimal, waveform::Signal,
};
use rand_core::Rng;
use wearable_core::{
    device::{BootError, BootReport, Device, Setup, Track, UpdateSetup},
    flash::Layout,
    mode::Switch,
    proximity::Label,
    update::{self, Trust},
    uplink::Limits,
};

use super::DeviceError;
use crate::{
    factory::{FLASH, HARDWARE, MAKER},
    flash::{Durable, FileFlash, PAGE, Trouble},
    identity::{Identity, IdentityError},
    maker,
};

/// The device as this program carries it.
pub(super) type Wearable = Device<FileFlash, Label, SystemRng>;

/// Two slots of two pages.
const CONFIG_PAGES: u32 = 4;
/// A megabyte for an image, and the head in front of it.
const SLOT_PAGES: u32 = 257;
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

    /// Behind the samples.
    const fn images(self) -> update::Layout {
        let first = self.layout().thinned.end;
        let second = first + SLOT_PAGES * PAGE;
        let record = second + SLOT_PAGES * PAGE;
        update::Layout {
            slots: [first..second, second..record],
            record: [record..record + PAGE, record + PAGE..record + 2 * PAGE],
        }
    }

    const fn capacity(self) -> u32 {
        self.images().slots[1].end + 2 * PAGE
    }
}

/// Puts a maker's first image into the flash of a new device's folder.
///
/// # Errors
/// The file system's, or why the image is not taken.
pub(crate) fn install_first(
    dir: &DataDir,
    maker: VerifyingKey,
    image: &[u8],
) -> io::Result<Result<u32, Refusal>> {
    let size = FlashSize::default();
    let mut flash = FileFlash::open(&dir.path().join(FLASH), size.capacity(), size.durable)?;
    Ok(update::factory(&mut flash, &size.images(), &Trust { maker, hardware: HARDWARE }, image))
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
    /// The board of a data folder, with an identity from now on.
    pub(super) fn open(dir: DataDir, made: Made) -> Result<Self, DeviceError> {
        Identity::open(&dir)?;
        let flash = FileFlash::open(&dir.path().join(FLASH), made.size.capacity(), made.size.durable)?;
        Ok(Self { dir, made, trouble: flash.trouble() })
    }

    /// The hand that makes trouble with the flash.
    pub(super) const fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// A bit turns over: this one, or one by chance where samples are kept.
    pub(super) fn flip(&self, bit: Option<u32>) -> io::Result<()> {
        let samples = self.made.size.layout().samples;
        let by_chance = || samples.start * 8 + system_rng().next_u32() % ((samples.end - samples.start) * 8);
        self.trouble.flip(bit.unwrap_or_else(by_chance))
    }

    /// Switches power on: what is not on flash is gone.
    pub(super) fn boot(&self, switch: Switch, now: Monotonic) -> Result<(Wearable, BootReport), DeviceError> {
        let Identity { device, storage_key } = Identity::open(&self.dir)?;
        let mut flash = FileFlash::power_on(&self.trouble, self.made.size.durable);
        let (update, version) = self.start_image(&mut flash)?.unzip();
        let setup = Setup {
            id: device,
            name: self.made.name.clone(),
            suites: self.made.suites.clone(),
            firmware: firmware(version.unwrap_or(1))?,
            storage_key,
            layout: self.made.size.layout(),
            limits: LIMITS,
            switch,
            tracks: tracks(),
            update,
            refused_wait: self.made.refused_wait,
        };
        Ok(Device::boot(flash, Label, system_rng(), setup, now)?)
    }

    /// The bootloader, on a board with a maker: which image starts, and its version.
    fn start_image(&self, flash: &mut FileFlash) -> Result<Option<(UpdateSetup, u32)>, DeviceError> {
        let Some(key) = self.dir.read(MAKER)? else { return Ok(None) };
        let maker = maker::parse_public(&key).ok_or(IdentityError::Damaged(MAKER))?;
        let (layout, trust) = (self.made.size.images(), Trust { maker, hardware: HARDWARE });
        let started = update::boot(flash, &layout, &trust).map_err(BootError::from)?;
        let started = started.ok_or(DeviceError::NoImage)?;
        Ok(Some((UpdateSetup { layout, trust, running: started.slot }, started.header.version())))
    }
}

/// What the device says that it runs.
fn firmware(version: u32) -> Result<Firmware, DeviceError> {
    let hardware = HARDWARE.parse().map_err(DeviceError::Hardware)?;
    Ok(Firmware { name: concat!("vitalward-sim ", env!("CARGO_PKG_VERSION")).into(), version, hardware })
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
