//! The structures of the header, field by field as C lays them out.

use core::ffi::{c_char, c_int, c_void};

use super::VW_TEXT;

/// `vw_storage` of the header.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct VwStorage {
    /// Handed to the three functions.
    pub context: *mut c_void,
    /// Pages of 4096 bytes.
    pub pages: u32,
    /// Reads bytes from an offset; 0 if it did.
    pub read: Option<extern "C" fn(*mut c_void, u32, *mut u8, usize) -> c_int>,
    /// Writes bytes at an offset, durably; only clears bits; 0 if it did.
    pub write: Option<extern "C" fn(*mut c_void, u32, *const u8, usize) -> c_int>,
    /// Sets a page to ones, durably; 0 if it did.
    pub erase: Option<extern "C" fn(*mut c_void, u32) -> c_int>,
}

/// `vw_random` of the header.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct VwRandom {
    /// Handed to the function.
    pub context: *mut c_void,
    /// Fills a buffer from a true generator; 0 if it did.
    pub fill: Option<extern "C" fn(*mut c_void, *mut u8, usize) -> c_int>,
}

/// `vw_config` of the header.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct VwConfig {
    /// `sizeof(vw_config)`.
    pub size: usize,
    /// The device's UUID.
    pub device_id: [u8; 16],
    /// Seals what is stored.
    pub storage_key: [u8; 32],
    /// What people call the device.
    pub name: *const c_char,
    /// Name of the firmware.
    pub firmware: *const c_char,
    /// The hardware.
    pub hardware: *const c_char,
    /// Version of the firmware.
    pub firmware_version: u32,
    /// Storage.
    pub storage: VwStorage,
    /// Randomness.
    pub random: VwRandom,
}

/// `vw_value` of the header.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct VwValue {
    /// LOINC code, or null.
    pub loinc: *const c_char,
    /// UCUM unit.
    pub unit: *const c_char,
    /// MDC code, if there is no LOINC one.
    pub mdc: u32,
    /// Digits.
    pub mantissa: i32,
    /// Calibration's version.
    pub calibration: u16,
    /// Power of ten.
    pub exponent: i8,
    /// 0 to 100, or 255: not assessed.
    pub quality: u8,
    /// How it was measured.
    pub method: u8,
    /// 0: there is a value; else 1 + the reason why there is none.
    pub missing: u8,
}

/// `vw_event` of the header.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct VwEvent {
    /// A number that belongs to it.
    pub number: u64,
    /// Which.
    pub kind: u32,
    /// A sentence, ended by a zero.
    pub text: [c_char; VW_TEXT],
}
