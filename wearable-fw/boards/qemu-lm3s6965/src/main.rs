//! The wearable on the LM3S6965 evaluation board as QEMU emulates it. TEST ONLY: its keys come from a seed that everybody
//! knows ([`entropy`]) and its signals are SIMULATED ([`signals`]); the thermometer, the button, both serial lines and the
//! EEPROM are driven as they would be on a bench.
//!
//! Owns the start and the loop; all that decides is `wearable_core`. A panic tells why on the console and starts again:
//! what must survive is in the EEPROM.
#![no_std]
#![no_main]

mod button;
mod card;
mod clock;
mod console;
mod eeprom;
mod entropy;
mod i2c;
mod images;
mod memory;
mod registers;
mod sd;
mod sensors;
mod signals;
mod ssi;
mod storage;
mod uart;
mod watchdog;

extern crate alloc;

use alloc::vec;
use core::{cell::RefCell, panic::PanicInfo, time::Duration};

use cortex_m::peripheral::NVIC;
use cortex_m_rt::entry;
use crypto::Secret;
use embedded_hal_bus::i2c::RefCellDevice;
use protocol::{credential::Suite, firmware::Firmware, id::DeviceId, time::Monotonic};
use rand_core::Rng as _;
use static_cell::StaticCell;
use wearable_core::{
    device::{Device, Event, HOLD, LinkWish, RecordError, Setup, UpdateSetup},
    flash::Layout,
    mode::Switch,
    proximity::Label,
    sensing::{Second, quantities},
    uplink::Limits,
};

use crate::{
    button::Button,
    card::Card,
    clock::CORE_HZ,
    console::{Command, Console},
    eeprom::Eeprom,
    entropy::Known,
    i2c::Master,
    sd::SdCard,
    sensors::Sensors,
    ssi::Ssi,
    storage::{EEPROM, Storage},
    uart::Uart,
};

/// What it says that it runs.
const FIRMWARE: &str = concat!("vitalward-board ", env!("CARGO_PKG_VERSION"));

type Bus = RefCell<Master>;
type Board = Device<Storage<RefCellDevice<'static, Master>>, Label, Known>;

/// Two EEPROMs in pages of 1 KiB: 6 KiB for the configuration, 97 KiB for samples, 24 KiB for what is kept of the oldest.
const LAYOUT: Layout = Layout {
    config: EEPROM..EEPROM + 0x1800,
    samples: EEPROM + 0x1800..EEPROM + 0x19c00,
    thinned: EEPROM + 0x19c00..EEPROM + 0x1fc00,
};
/// A sample is 0.3 KB on the line and 2 KB while it is looked at; the arena is [`memory::ARENA_BYTES`].
const LIMITS: Limits = Limits { in_flight: 2, samples_per_batch: 2, batch_bytes: 1_024 };
/// In the order of its choice. Suite 4's key exchange alone takes 48 KB of stack (`src/bin/suite4.rs` measures it), which
/// this board does not have beside its other memory.
const SUITES: [Suite; 2] = [Suite::Ascon, Suite::Wearable];
/// How often the console tells how things stand.
const STATUS_TICKS: u64 = 500;
/// A serial line does not say whether anybody is at its other end: who says nothing for so long after a dial is not.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// Between two tries after a refusal.
const REFUSED_WAIT: Duration = Duration::from_secs(60);

static BUS: StaticCell<Bus> = StaticCell::new();
static SENSORS: StaticCell<Sensors<Master>> = StaticCell::new();
static DEVICE: StaticCell<Board> = StaticCell::new();

#[entry]
fn main() -> ! {
    memory::start();
    if let Some(core) = cortex_m::Peripherals::take() {
        clock::start(core.SYST);
    }
    watchdog::start();
    Uart::LINK.start();
    Uart::CONSOLE.start();
    #[expect(unsafe_code, reason = "the link's interrupt may come from now on")]
    // SAFETY: nothing relies on its being masked.
    unsafe {
        NVIC::unmask(lm3s6965::Interrupt::UART0);
    }
    say!("{FIRMWARE} on QEMU's lm3s6965");
    say!("TEST ONLY: keys from a seed that everybody knows, SIMULATED signals. Not for use on people.");
    let bus = BUS.init(RefCell::new(Master::start()));
    let sensors = start_sensors(bus);
    run(start_device(bus), sensors)
}

// What is big is built where it will lie, by a function of its own: the stack has what that takes only for so long.

#[inline(never)]
fn start_sensors(bus: &'static Bus) -> &'static mut Sensors<Master> {
    let sensors = needed(Sensors::new(bus), "the sensors' rates do not suit the signal processing");
    SENSORS.uninit().write(sensors)
}

/// Everything that this board is and its maker gave it.
#[inline(never)]
fn start_device(bus: &'static Bus) -> &'static mut Board {
    let mut eeprom = Eeprom::new(RefCellDevice::new(bus));
    let starts = needed(eeprom.count_start(), "the EEPROM does not answer");
    let mut card = Card::new(SdCard::new(Ssi::start()));
    let (update, version) = find_image(&mut card).unzip();
    let mut id = [0; 16];
    entropy::of_maker("device").fill_bytes(&mut id);
    let setup = Setup {
        id: DeviceId::from_bytes(id),
        name: needed("board".parse(), "its name is none"),
        firmware: Firmware {
            name: FIRMWARE.into(),
            version: version.unwrap_or(1),
            hardware: needed(images::HARDWARE.parse(), "its hardware's name is none"),
        },
        storage_key: Secret::generate(&mut entropy::of_maker("storage key")),
        suites: SUITES.to_vec(),
        layout: LAYOUT,
        limits: LIMITS,
        switch: Switch::Working,
        tracks: vec![],
        update,
        refused_wait: REFUSED_WAIT,
    };
    let now = Monotonic(clock::millis());
    let mut found = None;
    let device = DEVICE.init_with(|| {
        match Device::boot(Storage { card, eeprom }, Label, entropy::of_start(starts), setup, now) {
            Ok((device, report)) => {
                found = Some((report.mode, report.configuration_damaged));
                device
            }
            Err(_) => give_up("the storage cannot be read, or its layout does not fit"),
        }
    });
    if let Some((mode, damaged)) = found {
        say!("start {starts}, device {}, state: {mode}", device.id());
        if damaged {
            say!("the configuration cannot be read: pair this device again");
        }
    }
    match version {
        Some(version) => say!("image: version {version}"),
        None => say!("image: no loader started this one, so it takes no updates"),
    }
    say!("login suites: 3, 2; not 4, whose stack is over budget");
    say!("samples that wait: {}", device.uplink().waiting());
    device
}

/// What the board cannot start without.
#[inline(always)]
fn needed<T, E>(found: Result<T, E>, why: &str) -> T {
    found.unwrap_or_else(|_| give_up(why))
}

/// What the loader started, and how it is replaced.
fn find_image(card: &mut Card) -> Option<(UpdateSetup, u32)> {
    let ((running, version), trust) = (images::started(card)?, images::trust()?);
    Some((UpdateSetup { layout: images::layout(), trust, running }, version))
}

fn run(device: &mut Board, sensors: &mut Sensors<Master>) -> ! {
    let (mut button, mut console) = (Button::start(), Console::default());
    let (mut pressed, mut used, mut unanswered) = (None, None, None);
    let (mut seen, mut slept) = (0, 0);
    say!("memory: {}", memory::used());
    loop {
        watchdog::feed();
        while seen < clock::ticks() {
            seen += 1;
            let now = Monotonic(clock::millis());
            if let Some(down) = button.poll() {
                say!("button: {}", if down { "pressed" } else { "released" });
                pressed = down.then_some(now + HOLD);
                device.button(down, now);
            }
            if pressed.take_if(|held| now >= *held).is_some() {
                say!("button: held; let go to pair");
            }
            let Some(second) = sensors.tick() else { continue };
            keep(device, &second, now);
            if seen.is_multiple_of(STATUS_TICKS) {
                say!("samples that wait: {}", device.uplink().waiting());
                let second = STATUS_TICKS / u64::from(clock::TICKS_PER_SECOND);
                say!("busy: {} of {} cycles a second", u64::from(CORE_HZ) - slept / second, CORE_HZ);
                slept = 0;
            }
            let most = memory::used();
            if used.replace(most) != Some(most) {
                say!("memory: {most}");
            }
        }
        let now = Monotonic(clock::millis());
        if let Some(command) = console.poll() {
            obey(device, command, now);
        }
        let mut bytes = [0; 256];
        let count = uart::received(&mut bytes);
        device.handle_bytes(bytes.get(..count).unwrap_or_default(), now);
        unanswered = unanswered.filter(|_| count == 0);
        if unanswered.take_if(|until| now >= *until).is_some() {
            device.handle_closed(now);
        }
        if device.poll_timeout().is_some_and(|due| now >= due) {
            device.handle_timeout(now);
        }
        if serve(device, now) {
            unanswered = Some(now + ANSWER_LIMIT);
        }
        if count == 0 {
            slept += clock::sleep();
        }
    }
}

fn keep(device: &mut Board, second: &Second, now: Monotonic) {
    if now < device.sample_due(now) {
        return;
    }
    match device.record(quantities(second), true, now) {
        // A loss is told as an event.
        Ok(_) | Err(RecordError::NotBound) => {}
        Err(error) => say!("sample not kept: {error}"),
    }
}

fn obey(device: &mut Board, command: Command, now: Monotonic) {
    match command {
        Command::Slide(switch) => device.slide(switch, now),
        Command::Code(code) => device.enter_code(code, now),
        Command::Confirm => device.confirm(now),
        Command::Retry => device.retry(now),
    }
}

/// Gives the device what it wants; true if it dialled. Nobody can hang up a serial line.
fn serve(device: &mut Board, now: Monotonic) -> bool {
    let mut dialled = false;
    loop {
        while let Some(bytes) = device.poll_transmit() {
            Uart::LINK.send(&bytes);
        }
        while let Some(event) = device.poll_event() {
            console::show(&event);
            if matches!(event, Event::Restart) {
                start_again(device, now);
            }
        }
        match device.poll_link(now) {
            LinkWish::Nothing => return dialled,
            LinkWish::HangUp => {}
            LinkWish::Dial => {
                uart::forget_received();
                device.handle_connected(now);
                dialled = true;
            }
        }
    }
}

/// Back to the loader.
fn start_again(device: &mut Board, now: Monotonic) -> ! {
    device.shut_down(now);
    while let Some(bytes) = device.poll_transmit() {
        Uart::LINK.send(&bytes);
    }
    uart::restart()
}

/// In few words: those that the crates have for their errors would cost 3 KB of flash. A second later, so that a fault that
/// comes again at once leaves time to read and does not wear the EEPROM out.
fn give_up(why: &str) -> ! {
    say!("starting again: {why}; memory: {}", memory::used());
    cortex_m::asm::delay(CORE_HZ);
    uart::restart()
}

/// Without the message and the place, which would cost 18 KB of flash for words, file names and line numbers; a debugger
/// that stops here has both.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    give_up("a fault")
}
