//! Cuts the built-in signal out of the shipped recordings, lays out the memory and says what must not be forgotten.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "where this goes wrong, there is no build"
)]

use std::{env, fs, ops::Range, path::Path};

/// Eight whole beats of record 208, 360 Hz, about 115 bpm: the end joins the beginning.
const ECG: Range<usize> = 703..2_205;
/// Whole pulses of the finger's PPG, 100 Hz, about 97 bpm.
const PPG: Range<usize> = 35_658..36_786;

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let out = Path::new(&out);
    let memory = if env::var_os("CARGO_FEATURE_SUITE4").is_some() { "suite4.x" } else { "board.x" };
    fs::copy(memory, out.join("memory.x")).expect("it lies beside build.rs");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed={memory}");
    println!("cargo:rerun-if-env-changed=VITALWARD_TEST_ONLY_SEED");

    println!("cargo:rerun-if-env-changed=VITALWARD_MAKER_KEY");
    let key = env::var("VITALWARD_MAKER_KEY").expect(
        "VITALWARD_MAKER_KEY names the public key of the maker whose images the device takes (wearable firmware keygen); \
         for a test build in the board's folder, whose .cargo/config.toml names a key that everybody has",
    );
    println!("cargo:rerun-if-changed={key}");
    println!(
        "cargo:warning=TEST ONLY: this image draws all its keys from a seed that everybody knows; it takes images of {key}"
    );
    fs::write(out.join("maker"), public_key(&key)).expect("OUT_DIR can be written");

    let ecg = cut("mitdb-208.rec", ECG).map(|count| (count - 1_024) as i16);
    write(&out.join("ecg.i16"), ecg);
    let light = cut("heartpy-data3.rec", PPG).map(|count| infrared(count - 512));
    write(&out.join("infrared.i16"), light);
}

fn write(path: &Path, samples: impl Iterator<Item = i16>) {
    fs::write(path, samples.flat_map(i16::to_le_bytes).collect::<Vec<u8>>()).expect("OUT_DIR can be written");
}

/// 32 bytes of the 64 hex digits that `wearable firmware keygen` writes into KEY.pub.
fn public_key(path: &str) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let digits = text.trim_end();
    assert!(digits.is_ascii() && digits.len() == 64, "{path} is no maker's public key: 64 hex digits");
    let byte =
        |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_else(|_| panic!("{path} is no key"));
    (0..64).step_by(2).map(byte).collect()
}

/// A part of a recording; the format is told in wearable-fw/sim/src/recording/file.rs.
fn cut(name: &str, part: Range<usize>) -> impl Iterator<Item = i32> {
    let path = Path::new("../../sim/recordings").join(name);
    println!("cargo:rerun-if-changed={}", path.display());
    let bytes = fs::read(&path).expect("the recordings are part of the project");
    let samples =
        bytes.windows(2).position(|pair| pair == b"\n\n").expect("a header ends with an empty line") + 2;
    let chunks = bytes[samples + 2 * part.start..samples + 2 * part.end].chunks_exact(2);
    let values: Vec<i32> = chunks.map(|pair| i16::from_le_bytes([pair[0], pair[1]]).into()).collect();
    values.into_iter()
}

/// Infrared counts of an 18-bit sensor, less 90 000, for a recorded amplitude; 3 % absorbance per 512 units, as
/// wearable-fw/sim/src/recording/replay.rs has it.
fn infrared(amplitude: i32) -> i16 {
    let absorbance = f64::from(amplitude) / 512.0 * 0.03;
    (90_000.0 * (-absorbance).exp_m1()) as i16
}
