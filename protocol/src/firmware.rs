//! Firmware on its way to a wearable: an offer, pieces on request, and what the device says of it. The gateway keeps no
//! state of a transfer; the device asks for what it lacks. What an image is and whether it may run: [`crate::image`].

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    error::Fault,
    id::HardwareId,
    image::{MAX_BODY, Refusal},
    open_set::open_set,
};

/// Longest name of a firmware, in bytes.
pub const MAX_FIRMWARE: usize = 32;
/// Longest header of an image, in bytes.
pub const MAX_IMAGE_HEADER: usize = 256;
/// Most bytes in one piece of an image.
pub const MAX_CHUNK: u16 = 1024;

/// The firmware that a wearable runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firmware {
    /// Name and version for people: at most 32 printable ASCII characters and spaces.
    pub name: String,
    /// The version that updates are compared by; only grows.
    pub version: u32,
    /// The hardware that it is made for.
    pub hardware: HardwareId,
}

impl Firmware {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let printable = self.name.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if self.name.len() > MAX_FIRMWARE || !printable {
            return Err(Fault::PeerLimit("the name of a firmware is at most 32 printable characters"));
        }
        Ok(())
    }
}

/// Body of FIRMWARE_OFFER: there is an image for this device. Repeated after each login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareOffer {
    /// The gateway's number of this image, for requests.
    pub image: u32,
    /// The image's own signed header, 1 to 256 bytes, as its maker made it.
    pub header: Vec<u8>,
    /// Bytes that follow the header, at most 1 MiB.
    pub length: u32,
}

impl FirmwareOffer {
    pub(crate) fn check(self) -> Result<Self, Fault> {
        let fits =
            (1..=MAX_IMAGE_HEADER).contains(&self.header.len()) && (1..=MAX_BODY).contains(&self.length);
        if fits {
            Ok(self)
        } else {
            Err(Fault::PeerLimit("an image has a header of 1 to 256 bytes and 1 byte to 1 MiB"))
        }
    }
}

/// Body of FIRMWARE_REQUEST: the next piece, please. A device asks for one piece at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareRequest {
    /// The image, as offered.
    pub image: u32,
    /// First byte wanted; the header is not counted.
    pub offset: u32,
    /// Bytes wanted, 1 to 1024.
    pub length: u16,
}

impl FirmwareRequest {
    pub(crate) fn check(self) -> Result<Self, Fault> {
        let fits = (1..=MAX_CHUNK).contains(&self.length) && self.offset < MAX_BODY;
        if fits {
            Ok(self)
        } else {
            Err(Fault::PeerLimit("a piece of an image has 1 to 1024 bytes, below 1 MiB"))
        }
    }
}

/// Body of FIRMWARE_CHUNK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareChunk {
    /// The image, as requested.
    pub image: u32,
    /// Place of the first byte.
    pub offset: u32,
    /// The bytes; fewer than requested at the image's end, none if there is no such image for this device (any more).
    pub bytes: Vec<u8>,
}

impl FirmwareChunk {
    pub(crate) fn check(self) -> Result<Self, Fault> {
        let fits = self.bytes.len() <= usize::from(MAX_CHUNK);
        if fits { Ok(self) } else { Err(Fault::PeerLimit("a piece of an image has at most 1024 bytes")) }
    }
}

open_set! {
    /// How far an update has come.
    UpdateState, "state":
    /// Pieces are being fetched.
    RECEIVING = 0, "receiving";
    /// All of the image is there and its signature holds; the next start tries it.
    VERIFIED = 1, "verified";
    /// It runs and has not proved healthy yet.
    TRYING = 2, "trying";
    /// It runs and stays.
    CONFIRMED = 3, "confirmed";
    /// It was not healthy; the one before runs again.
    ROLLED_BACK = 4, "rolled back";
    /// It is not taken; the refusal says why.
    REFUSED = 5, "refused";
}

/// Body of FIRMWARE_STATUS: how far the device is with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareStatus {
    /// How far.
    pub state: UpdateState,
    /// The image's version, as far as it could be read.
    pub version: u32,
    /// Bytes received, without the header.
    pub received: u32,
    /// Bytes that there are, without the header.
    pub length: u32,
    /// Why it is not taken.
    pub refusal: Option<Refusal>,
}
