//! How much stack the key exchange of suite 4 (ML-KEM-768) takes on this core. Not part of the board's image: `.ci/board`
//! runs it and prints what it says. It is more than the board has beside its other memory, so the board offers suites 3
//! and 2.
#![no_std]
#![no_main]
#![allow(dead_code, reason = "shared with the board's image, which uses the rest")]

#[path = "../clock.rs"]
mod clock;
#[path = "../entropy.rs"]
mod entropy;
#[path = "../memory.rs"]
mod memory;
#[path = "../registers.rs"]
mod registers;
#[path = "../uart.rs"]
mod uart;

use core::{fmt::Write as _, hint::black_box, panic::PanicInfo};

use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use crypto::ml_kem::{CIPHERTEXT_LEN, Ephemeral};

use crate::uart::Uart;

#[entry]
fn main() -> ! {
    memory::start();
    if let Some(core) = cortex_m::Peripherals::take() {
        clock::start(core.SYST);
    }
    let mut console = Uart::CONSOLE;
    console.start();
    let key = Ephemeral::generate(&mut entropy::of_start(0));
    black_box(key.public());
    // Any ciphertext gives a secret, by the same work.
    black_box(key.decapsulate(&[0; CIPHERTEXT_LEN]).is_ok());
    write!(console, "suite 4's key exchange alone: {}\r\n", memory::used()).ok();
    SCB::sys_reset()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    write!(&mut Uart::CONSOLE.clone(), "suite 4's key exchange failed\r\n").ok();
    SCB::sys_reset()
}
