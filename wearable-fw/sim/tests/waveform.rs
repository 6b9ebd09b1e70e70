//! How small real signals become on their way: the shipped recordings through the packing of `protocol::waveform`, in
//! batches of a second. `cargo test -p wearable --test waveform -- --nocapture` prints the figures of docs/protocol.md.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop, and tells its figures")]

use protocol::waveform::Packed;
use wearable::recording::Recording;

/// Bits a sample takes, and what they say against 16 plain ones.
fn bits(name: &str, recording: &Recording) -> f64 {
    let samples: Vec<i32> = recording.values().collect();
    let mut bytes = 0;
    for second in samples.chunks(recording.rate_hz().into()) {
        let (packed, count) = Packed::pack(second);
        assert_eq!((packed.unpack().as_slice(), count), (second, second.len()), "nothing is lost");
        bytes += packed.packed_len();
    }
    let bits =
        f64::from(u32::try_from(bytes * 8).unwrap()) / f64::from(u32::try_from(samples.len()).unwrap());
    println!(
        "{name}: {} samples, {bytes} bytes, {bits:.2} bits a sample, {:.2} times smaller than 16 bits",
        samples.len(),
        16.0 / bits
    );
    bits
}

#[test]
fn recorded_signals_take_less_than_half_of_their_bits() {
    assert!(bits("ECG mitdb-208", &Recording::shipped_ecg().unwrap()) < 7.5);
    assert!(bits("PPG heartpy-data3", &Recording::shipped_ppg().unwrap()) < 7.5);
}
