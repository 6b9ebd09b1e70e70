//! Measures a body without an allocator: the monitor is really used, so it is really linked.
#![no_std]

use wearable_core::dsp::{Monitor, Readings, ecg::Beat, ecg::Electrodes};

// If any dependency brought std, this would be the second panic handler, and the build would fail.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// One sample of everything worn.
pub fn measure(monitor: &mut Monitor, sample: i32) -> (Option<Beat>, Readings) {
    monitor.set_electrodes(Electrodes::On);
    monitor.push_acceleration([sample; 3]);
    monitor.push_impedance(sample);
    monitor.push_ppg(sample, sample);
    let beat = monitor.push_ecg(sample);
    (beat, monitor.readings())
}
