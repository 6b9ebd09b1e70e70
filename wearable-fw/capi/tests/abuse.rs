//! What a C program can get wrong, and what the library then does: refuse, and go on.
#![expect(unsafe_code, reason = "it calls the library as C does")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

use std::{
    ffi::{CStr, CString, c_int, c_void},
    ptr::{null, null_mut},
    slice,
};

use vitalward_device::ffi::*;

const PAGES: u32 = 8;

/// What the callbacks work on.
struct World {
    bytes: Vec<u8>,
    random: u8,
    random_fails: bool,
    storage_fails: bool,
    /// Called from within a callback.
    reenter: *mut VwDevice,
    answered: i32,
}

impl World {
    fn new() -> Box<Self> {
        Box::new(Self {
            bytes: vec![0xff; PAGES as usize * VW_PAGE],
            random: 1,
            random_fails: false,
            storage_fails: false,
            reenter: null_mut(),
            answered: 0,
        })
    }
}

extern "C" fn read(context: *mut c_void, offset: u32, bytes: *mut u8, length: usize) -> c_int {
    let (world, bytes) = unsafe { (&mut *context.cast::<World>(), slice::from_raw_parts_mut(bytes, length)) };
    bytes.copy_from_slice(&world.bytes[offset as usize..][..length]);
    c_int::from(world.storage_fails)
}

extern "C" fn write(context: *mut c_void, offset: u32, bytes: *const u8, length: usize) -> c_int {
    let (world, bytes) = unsafe { (&mut *context.cast::<World>(), slice::from_raw_parts(bytes, length)) };
    world.bytes[offset as usize..].iter_mut().zip(bytes).for_each(|(old, new)| *old &= new);
    c_int::from(world.storage_fails)
}

extern "C" fn erase(context: *mut c_void, offset: u32) -> c_int {
    let world = unsafe { &mut *context.cast::<World>() };
    world.bytes[offset as usize..][..VW_PAGE].fill(0xff);
    c_int::from(world.storage_fails)
}

extern "C" fn fill(context: *mut c_void, bytes: *mut u8, length: usize) -> c_int {
    let (world, bytes) = unsafe { (&mut *context.cast::<World>(), slice::from_raw_parts_mut(bytes, length)) };
    if !world.reenter.is_null() {
        world.answered = unsafe { vw_device_link(world.reenter, 0, 0) };
    }
    for byte in bytes {
        world.random = world.random.wrapping_mul(77).wrapping_add(31);
        *byte = world.random;
    }
    c_int::from(world.random_fails)
}

fn config(world: &mut World) -> VwConfig {
    let context = std::ptr::from_mut(world).cast();
    VwConfig {
        size: size_of::<VwConfig>(),
        device_id: [7; 16],
        storage_key: *b"a key that nobody guesses, never",
        name: c"C1".as_ptr(),
        firmware: c"test 1".as_ptr(),
        hardware: c"test".as_ptr(),
        firmware_version: 1,
        storage: VwStorage {
            context,
            pages: PAGES,
            read: Some(read),
            write: Some(write),
            erase: Some(erase),
        },
        random: VwRandom { context, fill: Some(fill) },
    }
}

fn made(world: &mut World) -> *mut VwDevice {
    let mut device = null_mut();
    assert_eq!(unsafe { vw_device_new(&config(world), 0, &mut device) }, VW_OK);
    assert!(!device.is_null());
    device
}

fn next_event(device: *mut VwDevice) -> Option<(u32, String)> {
    let mut event = VwEvent { number: 0, kind: 0, text: [1; VW_TEXT] };
    let some = unsafe { vw_device_event(device, &mut event) };
    let text = |event: &VwEvent| unsafe { CStr::from_ptr(event.text.as_ptr()) }.to_str().unwrap().to_owned();
    (some == 1).then(|| (event.kind, text(&event)))
}

const VALUE: VwValue = VwValue {
    loinc: null(),
    unit: c"/min".as_ptr(),
    mdc: 147_842,
    mantissa: 60,
    calibration: 0,
    exponent: 0,
    quality: 90,
    method: 0,
    missing: 0,
};

#[test]
fn a_configuration_that_is_wrong_makes_no_device() {
    let mut world = World::new();
    let good = config(&mut world);
    let long = CString::new("x".repeat(33)).unwrap();
    let umlaut: &[u8] = b"\xff\xfe\0";
    type Change = fn(&mut VwConfig, &CString, &[u8]);
    let wrong: &[(&str, Change)] = &[
        ("size", |config, _, _| config.size -= 1),
        ("no id", |config, _, _| config.device_id = [0; 16]),
        ("no id, erased", |config, _, _| config.device_id = [0xff; 16]),
        ("no key", |config, _, _| config.storage_key = [0; 32]),
        ("no key, erased", |config, _, _| config.storage_key = [0xff; 32]),
        ("no name", |config, _, _| config.name = null()),
        ("empty name", |config, _, _| config.name = c"".as_ptr()),
        ("name", |config, _, _| config.name = c"../x".as_ptr()),
        ("long name", |config, long, _| config.name = long.as_ptr()),
        ("no text", |config, _, umlaut| config.name = umlaut.as_ptr().cast()),
        ("long firmware", |config, long, _| config.firmware = long.as_ptr()),
        ("no hardware", |config, _, _| config.hardware = null()),
        ("few pages", |config, _, _| config.storage.pages = VW_LEAST_PAGES - 1),
        ("many pages", |config, _, _| config.storage.pages = u32::MAX),
        ("no read", |config, _, _| config.storage.read = None),
        ("no write", |config, _, _| config.storage.write = None),
        ("no erase", |config, _, _| config.storage.erase = None),
        ("no randomness", |config, _, _| config.random.fill = None),
    ];
    for (what, change) in wrong {
        let mut config = good;
        change(&mut config, &long, umlaut);
        let mut device = std::ptr::dangling_mut();
        assert_eq!(unsafe { vw_device_new(&config, 0, &mut device) }, VW_E_ARGUMENT, "{what}");
        assert!(device.is_null(), "{what}");
    }
    assert_eq!(unsafe { vw_device_new(null(), 0, &mut null_mut()) }, VW_E_ARGUMENT);
    assert_eq!(unsafe { vw_device_new(&good, 0, null_mut()) }, VW_E_ARGUMENT);
    let misaligned = (&raw const good).cast::<u8>().wrapping_add(1).cast();
    assert_eq!(unsafe { vw_device_new(misaligned, 0, &mut null_mut()) }, VW_E_ARGUMENT);
    assert_eq!(unsafe { vw_device_free(made(&mut world)) }, VW_OK);
}

#[test]
fn nothing_is_done_with_null_or_with_what_is_no_handle() {
    let mut world = World::new();
    let device = made(&mut world);
    let (mut number, mut size, mut buffer) = (0, 0, [0_u8; 16]);
    let mut event = VwEvent { number: 0, kind: 0, text: [0; VW_TEXT] };
    let mut garbage = [0_u64; 64];
    for none in [null_mut(), garbage.as_mut_ptr().cast::<VwDevice>(), device.wrapping_byte_add(1)] {
        assert_eq!(unsafe { vw_device_act(none, VW_ACT_PAIR, null(), 0) }, VW_E_ARGUMENT);
        assert_eq!(unsafe { vw_device_link(none, 1, 0) }, VW_E_ARGUMENT);
        assert_eq!(unsafe { vw_device_receive(none, buffer.as_ptr(), 1, 0) }, VW_E_ARGUMENT);
        assert_eq!(unsafe { vw_device_receive(none, null(), 0, 0) }, VW_E_ARGUMENT, "nor with no bytes");
        assert_eq!(unsafe { vw_device_send(none, buffer.as_mut_ptr(), 16, &mut size) }, VW_E_ARGUMENT);
        assert_eq!(unsafe { vw_device_tick(none, 0, &mut number) }, VW_E_ARGUMENT);
        assert_eq!(unsafe { vw_device_push(none, &VALUE, 1, 1, 0, null_mut()) }, VW_E_ARGUMENT);
        assert_eq!(unsafe { vw_device_event(none, &mut event) }, VW_E_ARGUMENT);
    }
    assert_eq!(unsafe { vw_device_free(null_mut()) }, VW_OK, "as C's free");
    assert_eq!(unsafe { vw_device_free(garbage.as_mut_ptr().cast()) }, VW_E_ARGUMENT);

    for code in
        [c"", c"ABC", c"not a code at all, and much too long to be one, whatever anybody may type here"]
    {
        assert_eq!(unsafe { vw_device_act(device, VW_ACT_PAIR, code.as_ptr(), 0) }, VW_E_ARGUMENT);
    }
    for (action, code) in [(0, null()), (5, null()), (VW_ACT_RESET, c"ABC-DEF-GH2".as_ptr())] {
        assert_eq!(unsafe { vw_device_act(device, action, code, 0) }, VW_E_ARGUMENT);
    }
    assert_eq!(unsafe { vw_device_receive(device, null(), 1, 0) }, VW_E_ARGUMENT);
    assert_eq!(unsafe { vw_device_receive(device, buffer.as_ptr(), usize::MAX, 0) }, VW_E_ARGUMENT);
    assert_eq!(unsafe { vw_device_receive(device, null(), 0, 0) }, VW_OK, "no bytes are no mistake");
    assert_eq!(unsafe { vw_device_send(device, null_mut(), 16, &mut size) }, VW_E_ARGUMENT);
    assert_eq!(unsafe { vw_device_send(device, buffer.as_mut_ptr(), 16, null_mut()) }, VW_E_ARGUMENT);
    assert_eq!(unsafe { vw_device_send(device, buffer.as_mut_ptr(), usize::MAX, &mut size) }, VW_E_ARGUMENT);
    assert_eq!(unsafe { vw_device_tick(device, 0, null_mut()) }, VW_E_ARGUMENT);
    assert_eq!(unsafe { vw_device_event(device, null_mut()) }, VW_E_ARGUMENT);
    for (values, count) in
        [(null(), 1), (std::ptr::from_ref(&VALUE), 0), (std::ptr::from_ref(&VALUE), VW_MOST_VALUES + 1)]
    {
        assert_eq!(unsafe { vw_device_push(device, values, count, 1, 0, null_mut()) }, VW_E_ARGUMENT);
    }
    for wrong in [
        VwValue { unit: null(), ..VALUE },
        VwValue { loinc: c"a code that is longer than any".as_ptr(), ..VALUE },
        VwValue { unit: c"\xff".as_ptr(), ..VALUE },
    ] {
        assert_eq!(unsafe { vw_device_push(device, &wrong, 1, 1, 0, null_mut()) }, VW_E_ARGUMENT);
    }
    assert_eq!(unsafe { vw_device_push(device, &VALUE, 1, 1, 0, null_mut()) }, VW_E_UNPAIRED);
    assert_eq!(next_event(device), None, "after all that it is as it was");
    assert_eq!(unsafe { vw_device_free(device) }, VW_OK);
}

#[test]
fn it_pairs_by_the_rules_of_every_device() {
    let mut world = World::new();
    let device = made(&mut world);
    let mut next = 0;
    assert_eq!(unsafe { vw_device_tick(device, 0, &mut next) }, VW_LINK_NOTHING, "nobody asked for anything");
    assert_eq!(unsafe { vw_device_act(device, VW_ACT_PAIR, null(), 1) }, VW_OK);
    let said: Vec<_> = std::iter::from_fn(|| next_event(device)).collect();
    assert!(said.iter().any(|(kind, text)| *kind == 2 && text.len() == 11), "it shows its code: {said:?}");
    assert_eq!(unsafe { vw_device_tick(device, 1, &mut next) }, VW_LINK_DIAL);
    assert!(next > 1);
    assert_eq!(unsafe { vw_device_link(device, 1, 2) }, VW_OK);
    let (mut count, mut sent, mut one) = (0, 0, [0_u8; 1]);
    while unsafe { vw_device_send(device, one.as_mut_ptr(), 1, &mut count) } == VW_OK && count == 1 {
        sent += 1;
    }
    assert!(sent > 20, "it opened the pairing, byte by byte: {sent}");
    assert_eq!(
        unsafe { vw_device_receive(device, [0xff_u8; 64].as_ptr(), 64, 3) },
        VW_OK,
        "garbage is no crash"
    );
    assert!(std::iter::from_fn(|| next_event(device)).count() > 0);
    assert_eq!(unsafe { vw_device_free(device) }, VW_OK);
}

/// Only the size is there to be read: the structure of an older header may be shorter.
#[test]
fn a_configuration_of_another_size_is_not_read_further() {
    let older = size_of::<usize>();
    let mut device = std::ptr::dangling_mut();
    assert_eq!(unsafe { vw_device_new((&raw const older).cast(), 0, &mut device) }, VW_E_ARGUMENT);
    assert!(device.is_null());
}

#[test]
fn a_person_can_reset_retry_and_part() {
    let mut world = World::new();
    let device = made(&mut world);
    let mut next = 0;
    assert_eq!(unsafe { vw_device_tick(device, 0, &mut next) }, VW_LINK_NOTHING);
    assert_eq!(next, u64::MAX, "nothing is due");
    assert_eq!(unsafe { vw_device_act(device, VW_ACT_RETRY, null(), 0) }, VW_OK);
    assert_eq!(next_event(device).unwrap().0, 9, "there is nothing to try");
    assert_eq!(unsafe { vw_device_act(device, VW_ACT_PAIR, null(), 0) }, VW_OK);
    assert_eq!(unsafe { vw_device_tick(device, 0, &mut next) }, VW_LINK_DIAL);
    assert_eq!(unsafe { vw_device_act(device, VW_ACT_RESET, null(), 1) }, VW_OK);
    let kinds: Vec<u32> = std::iter::from_fn(|| next_event(device)).map(|(kind, _)| kind).collect();
    assert_eq!(kinds.last(), Some(&14), "it is done: {kinds:?}");
    assert_eq!(unsafe { vw_device_link(device, 0, 2) }, VW_OK);
    assert_eq!(
        unsafe { vw_device_tick(device, 2, &mut next) },
        VW_LINK_NOTHING,
        "no window is open any more"
    );
    assert_eq!(unsafe { vw_device_act(device, VW_ACT_GOODBYE, null(), 3) }, VW_OK);
    assert_eq!(unsafe { vw_device_free(device) }, VW_OK);
}

#[test]
fn a_callback_that_calls_back_is_told_busy() {
    let mut world = World::new();
    let device = made(&mut world);
    world.reenter = device;
    assert_eq!(unsafe { vw_device_act(device, VW_ACT_PAIR, null(), 0) }, VW_OK);
    assert_eq!(world.answered, VW_E_BUSY);
    let mut other = null_mut();
    assert_eq!(unsafe { vw_device_new(&config(&mut world), 0, &mut other) }, VW_OK);
    assert_eq!(world.answered, VW_OK, "another handle than the one at work is free");
    world.reenter = null_mut();
    assert_eq!(unsafe { vw_device_free(other) }, VW_OK);
    assert_eq!(unsafe { vw_device_free(device) }, VW_OK);
}

#[test]
fn without_randomness_the_handle_breaks_and_says_so_for_good() {
    let mut world = World::new();
    let device = made(&mut world);
    world.random_fails = true;
    assert_eq!(unsafe { vw_device_act(device, VW_ACT_PAIR, null(), 0) }, VW_E_BROKEN);
    world.random_fails = false;
    let mut next = 0;
    assert_eq!(unsafe { vw_device_tick(device, 0, &mut next) }, VW_E_BROKEN);
    assert_eq!(unsafe { vw_device_act(device, VW_ACT_PAIR, null(), 0) }, VW_E_BROKEN);
    assert_eq!(unsafe { vw_device_free(device) }, VW_OK);
    world.random_fails = true;
    let mut none = null_mut();
    assert_eq!(unsafe { vw_device_new(&config(&mut world), 0, &mut none) }, VW_E_BROKEN);
    assert!(none.is_null());
}

#[test]
fn a_storage_that_fails_is_told() {
    let mut world = World::new();
    world.storage_fails = true;
    let mut none = null_mut();
    assert_eq!(unsafe { vw_device_new(&config(&mut world), 0, &mut none) }, VW_E_STORAGE);
    assert!(none.is_null());
}
