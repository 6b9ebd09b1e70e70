//! The system clock and what counts time: 50 MHz from the 8 MHz crystal, a tick every 10 ms. Owns the tick count. Time in an
//! emulator is not time of day: it only ever says how long ago something was.

use core::cell::Cell;

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use critical_section::Mutex;

use crate::registers::Block;

pub(crate) const CORE_HZ: u32 = 50_000_000;
pub(crate) const TICKS_PER_SECOND: u32 = 100;

static TICKS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

#[exception]
fn SysTick() {
    critical_section::with(|cs| TICKS.borrow(cs).set(TICKS.borrow(cs).get() + 1));
}

/// Ticks since the start.
pub(crate) fn ticks() -> u64 {
    critical_section::with(|cs| TICKS.borrow(cs).get())
}

/// Core cycles since the start.
fn cycles() -> u64 {
    loop {
        let (before, left) = (ticks(), SYST::get_current());
        if ticks() == before {
            return (before + 1) * u64::from(CORE_HZ / TICKS_PER_SECOND) - u64::from(left);
        }
    }
}

/// Sleeps until the next interrupt, at the longest a tick, and says for how many cycles.
pub(crate) fn sleep() -> u64 {
    let before = cycles();
    cortex_m::asm::wfi();
    cycles() - before
}

/// Milliseconds since the start, in steps of a tick.
pub(crate) fn millis() -> u64 {
    ticks() * u64::from(1_000 / TICKS_PER_SECOND)
}

/// Runs the core from the PLL, powers the peripherals that the board uses and starts the tick.
pub(crate) fn start(mut tick: SYST) {
    let rcc = Block::SYSTEM_CONTROL.at(0x060);
    let interrupt_status = Block::SYSTEM_CONTROL.at(0x050);
    const BYPASS: u32 = 1 << 11;
    const POWER_DOWN: u32 = 1 << 13;
    const USE_DIVIDER: u32 = 1 << 22;
    const PLL_LOCKED: u32 = 1 << 6;
    // Data sheet 5.3: bypass, main oscillator with an 8 MHz crystal, PLL on, wait for its lock, 200 MHz / 4, end the bypass.
    rcc.write((rcc.read() | BYPASS) & !USE_DIVIDER);
    rcc.write((rcc.read() & !(0xf << 6 | 0x3 << 4 | 1 | POWER_DOWN)) | 0xe << 6);
    while interrupt_status.read() & PLL_LOCKED == 0 {}
    rcc.write((rcc.read() & !(0xf << 23)) | 3 << 23 | USE_DIVIDER);
    rcc.write(rcc.read() & !BYPASS);

    Block::SYSTEM_CONTROL.at(0x100).set(1 << 3); // RCGC0: watchdog
    Block::SYSTEM_CONTROL.at(0x104).set(1 << 12 | 1 << 4 | 1 << 1 | 1); // RCGC1: I2C0, SSI0, UART1, UART0
    Block::SYSTEM_CONTROL.at(0x108).set(1 << 5 | 1 << 3 | 1 << 1 | 1); // RCGC2: GPIO F, D, B, A

    tick.set_clock_source(SystClkSource::Core);
    tick.set_reload(CORE_HZ / TICKS_PER_SECOND - 1);
    tick.clear_current();
    tick.enable_interrupt();
    tick.enable_counter();
}
