//! What a wearable tells about itself. What follows from it is the ward's business.

use serde::{Deserialize, Serialize};

use crate::{
    cadence::Cadence,
    error::Fault,
    firmware::{Firmware, FirmwareStatus},
};

/// Body of DEVICE_STATUS: told after login and when something of it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// How often it measures and sends; the gateway sets its age limits by it.
    pub cadence: Cadence,
    /// Its battery, if it knows.
    pub battery: Option<Battery>,
    /// How good its link is.
    pub link: LinkQuality,
    /// Samples that are stored and not acknowledged.
    pub waiting: u64,
    /// Samples that were lost over the life of the device: taken and never delivered.
    pub lost: u64,
    /// What it runs.
    pub firmware: Firmware,
    /// The last update that it heard of, if any.
    pub update: Option<FirmwareStatus>,
}

/// A battery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Battery {
    /// Charge in percent, 0 to 100.
    pub percent: u8,
    /// Whether it is being charged, if the device can tell.
    pub charging: Option<bool>,
}

/// A link as the device sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkQuality {
    /// Signal strength in dBm, if it is a radio.
    pub signal_dbm: Option<i8>,
    /// Times that the link was lost and came back since the device's reset.
    pub reconnects: u32,
}

impl DeviceStatus {
    pub(crate) fn check(self) -> Result<Self, Fault> {
        if self.battery.is_some_and(|battery| battery.percent > 100) {
            return Err(Fault::PeerLimit("a battery has 0 to 100 percent"));
        }
        self.firmware.check()?;
        Ok(self)
    }
}
