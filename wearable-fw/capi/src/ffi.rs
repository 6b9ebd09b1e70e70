//! The C interface. The one place with `unsafe` here: reading what a caller's pointers point at, and calling the caller's
//! functions.
//!
//! What the caller owes is in `include/vitalward_device.h` and, for each function, under "Safety"; what can be checked is
//! checked: null, alignment, lengths, text, a handle that is none, a call from within a callback or from a second thread
//! (refused as busy). Nothing unwinds into C: a panic breaks the handle for good, and every later call says so.
#![expect(unsafe_code, reason = "C hands over pointers; every block says why it is sound")]

use core::{ffi::c_char, slice};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, TryLockError},
};

use crypto::Secret;
use protocol::{
    firmware::Firmware,
    id::DeviceId,
    reading::{Measurement, Method, Reason},
    vitals::{Code, Decimal, MAX_QUANTITIES, MAX_TEXT, Quantity},
};
use wearable_core::device::{LinkWish, RecordError};

mod caller;
mod types;

use self::caller::{Random, Storage};
pub use self::types::{VwConfig, VwEvent, VwRandom, VwStorage, VwValue};
use crate::{
    endpoint::{Action, Endpoint, Identity, LEAST_PAGES, PAGE},
    report,
};

/// It was done.
pub const VW_OK: i32 = 0;
/// An argument is null, too long, or not what the header asks for. Nothing was done.
pub const VW_E_ARGUMENT: i32 = -1;
/// The device belongs to no gateway yet: pair it first. Nothing was done.
pub const VW_E_UNPAIRED: i32 = -2;
/// The storage failed: the sample is not kept, or the device does not start.
pub const VW_E_STORAGE: i32 = -3;
/// Called from within a callback, or by two threads at once. Nothing was done.
pub const VW_E_BUSY: i32 = -4;
/// A fault in this library, or no randomness: the handle can only be freed.
pub const VW_E_BROKEN: i32 = -5;

/// `vw_device_act`: open the pairing window.
pub const VW_ACT_PAIR: u32 = 1;
/// `vw_device_act`: the next try is now.
pub const VW_ACT_RETRY: u32 = 2;
/// `vw_device_act`: factory reset.
pub const VW_ACT_RESET: u32 = 3;
/// `vw_device_act`: end the session politely.
pub const VW_ACT_GOODBYE: u32 = 4;

/// `vw_device_tick`: nothing new about the connection.
pub const VW_LINK_NOTHING: i32 = 0;
/// `vw_device_tick`: connect to the gateway, then call `vw_device_link`.
pub const VW_LINK_DIAL: i32 = 1;
/// `vw_device_tick`: send what `vw_device_send` still gives, then close the connection.
pub const VW_LINK_HANG_UP: i32 = 2;

/// Bytes of a page of storage.
pub const VW_PAGE: usize = PAGE;
/// Fewest pages of storage.
pub const VW_LEAST_PAGES: u32 = LEAST_PAGES;
/// Most values in a sample.
pub const VW_MOST_VALUES: usize = MAX_QUANTITIES;
/// Bytes of an event's text, with the zero at its end.
pub const VW_TEXT: usize = 256;

/// `VW_EVENT_*` of the header.
pub const EVENTS: &[(&str, u32)] = report::EVENTS;
/// `VW_MODE_*` of the header.
pub const MODES: &[(&str, u32)] = report::MODES;

/// `vw_device` of the header. Opaque there. In this order, so that the mark can be read before the rest is believed.
#[derive(Debug)]
#[repr(C)]
pub struct VwDevice {
    magic: u64,
    endpoint: Mutex<Inner>,
}

struct Inner(Endpoint<Storage, Random>);

impl core::fmt::Debug for Inner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Inner(..)")
    }
}

/// Stands at the front of a living handle.
const MAGIC: u64 = 0x5657_4445_5649_4345;

/// Makes a device out of what is stored, or a new one. Its handle is written to `*device`.
///
/// # Safety
/// `config` and `device` are null or point at one of theirs; the configuration's strings are null or end with a zero;
/// its functions may be called with their contexts until the device is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vw_device_new(
    config: *const VwConfig,
    now_ms: u64,
    device: *mut *mut VwDevice,
) -> i32 {
    if device.is_null() || !device.is_aligned() {
        return VW_E_ARGUMENT;
    }
    // SAFETY: it is neither null nor misaligned, and the caller says that it points at a handle's place.
    unsafe { device.write(core::ptr::null_mut()) };
    if config.is_null() || !config.is_aligned() {
        return VW_E_ARGUMENT;
    }
    // SAFETY: it is neither null nor misaligned, and every version of the structure begins with its size.
    if unsafe { (&raw const (*config).size).read() } != size_of::<VwConfig>() {
        return VW_E_ARGUMENT;
    }
    // SAFETY: the caller says that it points at a configuration, and that has the size of ours.
    let config = unsafe { &*config };
    // SAFETY: the caller says so of the strings.
    let Some((identity, storage, random)) = (unsafe { read_config(config) }) else { return VW_E_ARGUMENT };
    let booted = catch_unwind(AssertUnwindSafe(|| Endpoint::boot(storage, random, identity, now_ms)));
    match booted {
        Ok(Ok(endpoint)) => {
            let made = Box::new(VwDevice { magic: MAGIC, endpoint: Mutex::new(Inner(endpoint)) });
            // SAFETY: as above.
            unsafe { device.write(Box::into_raw(made)) };
            VW_OK
        }
        Ok(Err(_)) => VW_E_STORAGE,
        Err(_) => VW_E_BROKEN,
    }
}

/// Does what the person at the device asked for (`VW_ACT_*`); only pairing takes a code.
///
/// # Safety
/// `device` is null or a living handle; `code` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vw_device_act(
    device: *mut VwDevice,
    action: u32,
    code: *const c_char,
    now_ms: u64,
) -> i32 {
    let action = match action {
        VW_ACT_PAIR if code.is_null() => Action::Pair(None),
        VW_ACT_PAIR => {
            // SAFETY: the caller says that it ends with a zero.
            let code = unsafe { text(code, 64) }.and_then(|code| code.parse().ok());
            let Some(code) = code else { return VW_E_ARGUMENT };
            Action::Pair(Some(code))
        }
        VW_ACT_RETRY if code.is_null() => Action::Retry,
        VW_ACT_RESET if code.is_null() => Action::Reset,
        VW_ACT_GOODBYE if code.is_null() => Action::Goodbye,
        _ => return VW_E_ARGUMENT,
    };
    // SAFETY: the caller says that it is a living handle.
    unsafe {
        guarded(device, |endpoint| {
            endpoint.act(action, now_ms);
            VW_OK
        })
    }
}

/// There is a connection, or there is none (any more).
///
/// # Safety
/// `device` is null or a living handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vw_device_link(device: *mut VwDevice, up: u8, now_ms: u64) -> i32 {
    // SAFETY: the caller says that it is a living handle.
    unsafe {
        guarded(device, |endpoint| {
            endpoint.link(up != 0, now_ms);
            VW_OK
        })
    }
}

/// Takes bytes that came over the connection.
///
/// # Safety
/// `device` is null or a living handle; `bytes` points at `length` bytes, or `length` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vw_device_receive(
    device: *mut VwDevice,
    bytes: *const u8,
    length: usize,
    now_ms: u64,
) -> i32 {
    if (bytes.is_null() && length > 0) || length > MOST_BYTES {
        return VW_E_ARGUMENT;
    }
    // SAFETY: it is not null, and the caller says that there are so many bytes.
    let bytes = if length == 0 { &[] } else { unsafe { slice::from_raw_parts(bytes, length) } };
    // SAFETY: the caller says that it is a living handle.
    unsafe {
        guarded(device, |endpoint| {
            endpoint.receive(bytes, now_ms);
            VW_OK
        })
    }
}

/// Writes the next bytes for the connection to `buffer` and their number to `*written`.
///
/// # Safety
/// `device` is null or a living handle; `buffer` has room for `capacity` bytes; `written` is null or points at a size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vw_device_send(
    device: *mut VwDevice,
    buffer: *mut u8,
    capacity: usize,
    written: *mut usize,
) -> i32 {
    if buffer.is_null() || capacity > MOST_BYTES || written.is_null() || !written.is_aligned() {
        return VW_E_ARGUMENT;
    }
    // SAFETY: it is neither null nor misaligned, and the caller says that it points at a size.
    unsafe { written.write(0) };
    // SAFETY: it is not null, and the caller says that there is so much room; zeros may stand there before it is read.
    let buffer = unsafe {
        buffer.write_bytes(0, capacity);
        slice::from_raw_parts_mut(buffer, capacity)
    };
    let mut count = 0;
    // SAFETY: the caller says that it is a living handle.
    let result = unsafe {
        guarded(device, |endpoint| {
            count = endpoint.send(buffer);
            VW_OK
        })
    };
    // SAFETY: as above.
    unsafe { written.write(count) };
    result
}

/// Does what is due, says what is wished of the connection (`VW_LINK_*`) and writes to `*next_ms` when to call again.
///
/// # Safety
/// `device` is null or a living handle; `next_ms` is null or points at a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vw_device_tick(device: *mut VwDevice, now_ms: u64, next_ms: *mut u64) -> i32 {
    if next_ms.is_null() || !next_ms.is_aligned() {
        return VW_E_ARGUMENT;
    }
    let mut next = u64::MAX;
    // SAFETY: the caller says that it is a living handle.
    let wish = unsafe {
        guarded(device, |endpoint| {
            let (wish, due) = endpoint.tick(now_ms);
            next = due.unwrap_or(u64::MAX);
            match wish {
                LinkWish::Nothing => VW_LINK_NOTHING,
                LinkWish::Dial => VW_LINK_DIAL,
                LinkWish::HangUp => VW_LINK_HANG_UP,
            }
        })
    };
    // SAFETY: it is neither null nor misaligned, and the caller says that it points at a number.
    unsafe { next_ms.write(next) };
    wish
}

/// Keeps a sample until the gateway has it, and writes its number to `*number`.
///
/// # Safety
/// `device` is null or a living handle; `values` points at `count` values whose strings are null or end with a zero;
/// `number` is null or points at a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vw_device_push(
    device: *mut VwDevice,
    values: *const VwValue,
    count: usize,
    simulated: u8,
    now_ms: u64,
    number: *mut u64,
) -> i32 {
    let fits = !values.is_null() && values.is_aligned() && (1..=MAX_QUANTITIES).contains(&count);
    if !fits || !number.is_aligned() {
        return VW_E_ARGUMENT;
    }
    // SAFETY: it is neither null nor misaligned, and the caller says that there are so many.
    let values = unsafe { slice::from_raw_parts(values, count) };
    // SAFETY: the caller says so of the strings.
    let quantities = values.iter().map(|value| unsafe { read_value(value) }).collect::<Option<Vec<_>>>();
    let Some(quantities) = quantities else { return VW_E_ARGUMENT };
    let mut kept = 0;
    // SAFETY: the caller says that it is a living handle.
    let result = unsafe {
        guarded(device, |endpoint| match endpoint.push(quantities, simulated != 0, now_ms) {
            Ok(seq) => {
                kept = seq;
                VW_OK
            }
            Err(RecordError::NotBound) => VW_E_UNPAIRED,
            Err(RecordError::Unfit(_)) => VW_E_ARGUMENT,
            Err(RecordError::Store(_)) => VW_E_STORAGE,
        })
    };
    if !number.is_null() {
        // SAFETY: it is neither null nor misaligned, and the caller says that it points at a number.
        unsafe { number.write(kept) };
    }
    result
}

/// Writes the next event to `*event`. 1 if there was one, 0 if not.
///
/// # Safety
/// `device` is null or a living handle; `event` is null or points at an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vw_device_event(device: *mut VwDevice, event: *mut VwEvent) -> i32 {
    if event.is_null() || !event.is_aligned() {
        return VW_E_ARGUMENT;
    }
    let mut report = None;
    // SAFETY: the caller says that it is a living handle.
    let result = unsafe {
        guarded(device, |endpoint| {
            report = endpoint.event();
            i32::from(report.is_some())
        })
    };
    if let Some(report) = report {
        let mut text = [0; VW_TEXT];
        let end = (0..VW_TEXT).rev().find(|end| report.text.is_char_boundary(*end)).unwrap_or(0);
        let bytes = report.text.bytes().take(end);
        text.iter_mut().zip(bytes).for_each(|(place, byte)| *place = c_char::from_ne_bytes([byte]));
        // SAFETY: it is neither null nor misaligned, and the caller says that it points at an event.
        unsafe { event.write(VwEvent { number: report.number, kind: report.kind as u32, text }) };
    }
    result
}

/// Frees a device. What is stored stays.
///
/// # Safety
/// `device` is null or a living handle, which no other call uses or will use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vw_device_free(device: *mut VwDevice) -> i32 {
    if device.is_null() {
        return VW_OK;
    }
    // SAFETY: the caller says that it is a living handle.
    let free = unsafe { living(device) };
    match free.map(|device| device.endpoint.try_lock()) {
        None => return VW_E_ARGUMENT,
        Some(Err(TryLockError::WouldBlock)) => return VW_E_BUSY,
        // A broken one is freed as well.
        Some(Ok(_) | Err(TryLockError::Poisoned(_))) => {}
    }
    // SAFETY: it is a living handle, so `vw_device_new` made it by `Box::into_raw`, and nobody uses it any more.
    let mut device = unsafe { Box::from_raw(device) };
    device.magic = 0;
    catch_unwind(AssertUnwindSafe(|| drop(device))).map_or(VW_E_BROKEN, |()| VW_OK)
}

/// Longest buffer that anybody hands over; more is a mistake.
const MOST_BYTES: usize = 1 << 24;

/// The device behind a handle, unless it is null, misaligned or has not the mark of one.
///
/// # Safety
/// It is null, or 8 bytes can be read there; if those are the mark, it is a living handle.
unsafe fn living<'a>(device: *const VwDevice) -> Option<&'a VwDevice> {
    // SAFETY: neither null nor misaligned, and only the mark is read before it is known to be a handle.
    let marked =
        !device.is_null() && device.is_aligned() && unsafe { (&raw const (*device).magic).read() } == MAGIC;
    // SAFETY: it has the mark. A handle is only changed behind its lock.
    marked.then(|| unsafe { &*device })
}

/// Does `work` on a living handle, alone, and lets no panic out.
///
/// # Safety
/// `device` is null or a living handle.
unsafe fn guarded(device: *mut VwDevice, work: impl FnOnce(&mut Endpoint<Storage, Random>) -> i32) -> i32 {
    // SAFETY: the caller says so.
    let Some(device) = (unsafe { living(device) }) else { return VW_E_ARGUMENT };
    let worked = catch_unwind(AssertUnwindSafe(|| match device.endpoint.try_lock() {
        Ok(mut inner) => work(&mut inner.0),
        Err(TryLockError::WouldBlock) => VW_E_BUSY,
        Err(TryLockError::Poisoned(_)) => VW_E_BROKEN,
    }));
    worked.unwrap_or(VW_E_BROKEN)
}

/// Text of at most `most` bytes before its zero.
///
/// # Safety
/// `pointer` is null, or the bytes up to a zero, or `most` + 1 of them, can be read and nobody changes them meanwhile.
unsafe fn text<'a>(pointer: *const c_char, most: usize) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: up to the zero everything can be read, and the search stops there.
    let length = (0..=most).find(|at| unsafe { pointer.add(*at).read() } == 0)?;
    // SAFETY: so many bytes were just read.
    let bytes = unsafe { slice::from_raw_parts(pointer.cast::<u8>(), length) };
    str::from_utf8(bytes).ok()
}

/// # Safety
/// Its strings are null or end with a zero.
unsafe fn read_config(config: &VwConfig) -> Option<(Identity, Storage, Random)> {
    let made_up = config.storage_key.iter().all(|byte| Some(byte) == config.storage_key.first());
    // As memory that nobody wrote, or erased flash.
    let nobody = [[0; 16], [0xff; 16]].contains(&config.device_id);
    if made_up || nobody {
        return None;
    }
    // SAFETY: the caller says so of the strings.
    let (name, firmware, hardware) =
        unsafe { (text(config.name, 64)?, text(config.firmware, 64)?, text(config.hardware, 64)?) };
    let printable = firmware.len() <= 32 && firmware.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    let VwStorage { context, pages, read, write, erase } = config.storage;
    let capacity = usize::try_from(pages).ok()?.checked_mul(PAGE)?;
    let fits = pages >= LEAST_PAGES && u32::try_from(capacity).is_ok();
    let identity = Identity {
        id: DeviceId::from_bytes(config.device_id),
        name: name.parse().ok()?,
        firmware: Firmware {
            name: firmware.into(),
            version: config.firmware_version,
            hardware: hardware.parse().ok()?,
        },
        storage_key: Secret::new(config.storage_key),
    };
    let storage = Storage { context, capacity, read: read?, write: write?, erase: erase? };
    let random = Random { context: config.random.context, fill: config.random.fill? };
    (printable && fits).then_some((identity, storage, random))
}

/// # Safety
/// Its strings are null or end with a zero.
unsafe fn read_value(value: &VwValue) -> Option<Quantity> {
    let code = if value.loinc.is_null() {
        Code::Mdc(value.mdc)
    } else {
        // SAFETY: the caller says so of the strings.
        Code::Loinc(unsafe { text(value.loinc, MAX_TEXT) }?.into())
    };
    // SAFETY: as above.
    let unit = unsafe { text(value.unit, MAX_TEXT) }?.into();
    let reading = match value.missing.checked_sub(1) {
        Some(reason) => Err(Reason(reason)),
        None => Ok(Measurement {
            value: Decimal { mantissa: value.mantissa, exponent: value.exponent },
            quality: (value.quality != u8::MAX).then_some(value.quality),
            method: Method(value.method),
            calibration: value.calibration,
        }),
    };
    Some(Quantity { code, unit, reading })
}
