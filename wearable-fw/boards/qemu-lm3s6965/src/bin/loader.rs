//! The bootloader: decides which of the card's two images starts, says so and stops. QEMU's flash cannot be written by its
//! guest, so whoever runs QEMU plays the flash programmer: it takes that slot's body out of the card's file and starts the
//! chip with it. On a real chip the loader would copy it itself and jump.
#![no_std]
#![no_main]
#![allow(dead_code, reason = "shared with the board's image, which uses the rest")]

#[path = "../card.rs"]
mod card;
#[path = "../clock.rs"]
mod clock;
#[path = "../images.rs"]
mod images;
#[path = "../memory.rs"]
mod memory;
#[path = "../registers.rs"]
mod registers;
#[path = "../sd.rs"]
mod sd;
#[path = "../ssi.rs"]
mod ssi;
#[path = "../uart.rs"]
mod uart;

use core::{fmt::Write as _, panic::PanicInfo};

use cortex_m_rt::entry;
use wearable_core::update;

use crate::{card::Card, sd::SdCard, ssi::Ssi, uart::Uart};

#[entry]
fn main() -> ! {
    if let Some(core) = cortex_m::Peripherals::take() {
        clock::start(core.SYST);
    }
    Uart::CONSOLE.start();
    if let Err(why) = choose() {
        panic!("{why}");
    }
    uart::restart()
}

/// Why nothing starts.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the loader was built with a maker's key that is none; build it with VITALWARD_MAKER_KEY")]
    Key,
    #[error(transparent)]
    Layout(#[from] update::LayoutError),
    #[error("no image on the card can be verified; put one in with the maker's tool")]
    NoImage,
    #[error(transparent)]
    Card(#[from] card::CardError),
}

fn choose() -> Result<(), Failure> {
    let mut card = Card::new(SdCard::new(Ssi::start()));
    let trust = images::trust().ok_or(Failure::Key)?;
    let start = update::boot(&mut card, &images::layout(), &trust)?.ok_or(Failure::NoImage)?;
    images::leave_word(&mut card, start.slot)?;
    let mut console = Uart::CONSOLE;
    if let Some((version, why)) = start.given_up {
        write!(console, "loader: version {version} {why}\r\n").ok();
    }
    let [slot] = images::word(start.slot).map(char::from);
    let (version, length, body) = (start.header.version(), start.header.length(), start.body);
    let trial = if start.trial { ", on trial" } else { "" };
    write!(console, "loader: {}\r\n", memory::used()).ok();
    write!(console, "loader: start slot {slot}, version {version}, {length} bytes at {body}{trial}\r\n").ok();
    Ok(())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    write!(&mut Uart::CONSOLE.clone(), "loader: nothing starts: {}\r\n", info.message()).ok();
    uart::restart()
}
