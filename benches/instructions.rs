//! Instruction counts under callgrind, which the noise of a machine does not change. A count more than 5 % over its budget in
//! `instructions.toml` fails the run; docs/benchmarks.md says how to raise a budget on purpose.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up has nothing to measure")]
#![expect(missing_docs, unused_qualifications, reason = "gungraun's macros write such code")]

use std::hint::black_box;

use benches::{
    budget,
    wearer::{Wearer, Worn},
};
use crypto::{
    AeadKey, Secret,
    elgamal::{Signature, SigningKey, kem::Ephemeral},
    purpose::{SharedSecret, TrafficKey},
};
use gungraun::{Callgrind, EventKind, prelude::*};
use protocol::{
    frame::{self, Frame, FrameReader, MAX_BODY},
    opcode::Opcode,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use wearable_core::dsp::Readings;

const MESSAGE: [u8; 64] = [7; 64];

/// Forbids AWS-LC what a Haswell has not (AVX-512, ADX, SHA, VAES, VPCLMULQDQ): that is the processor that valgrind 3.19
/// shows on any x86-64 with AVX2, and a later valgrind may show a newer one.
const HASWELL: &str = "~0x0:~0x600f02b0000";

/// At most 5 % over the budget of this name.
fn within(name: &str) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, budget::limit(name))]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind).env("OPENSSL_ia32cap", HASWELL);
    config
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn signing() -> (SigningKey, ChaCha20Rng) {
    let mut rng = rng();
    (SigningKey::generate(&mut rng), rng)
}

fn signed() -> (SigningKey, Signature) {
    let (key, mut rng) = signing();
    let signature = key.sign("bench", b"ids", &MESSAGE, &mut rng);
    (key, signature)
}

fn exchanging() -> ([u8; 384], ChaCha20Rng) {
    let mut rng = rng();
    (Ephemeral::generate(&mut rng).public(), rng)
}

fn sealing() -> (AeadKey, [u8; 256]) {
    let key = AeadKey::new(&Secret::<TrafficKey>::new([1; 32]));
    // The first use of a key may set up more than the others.
    key.seal(&[1; 12], b"", &[7; 256]).unwrap();
    (key, [7; 256])
}

fn cutting() -> (FrameReader, Vec<u8>) {
    (FrameReader::new(MAX_BODY), frame::encode(Opcode::EncMsg, &[7; 256]))
}

#[library_benchmark(config = within("sign"))]
#[bench::of(signing())]
fn sign((key, mut rng): (SigningKey, ChaCha20Rng)) -> (Signature, SigningKey) {
    (key.sign("bench", b"ids", black_box(&MESSAGE), &mut rng), key)
}

#[library_benchmark(config = within("verify"))]
#[bench::of(signed())]
fn verify((key, signature): (SigningKey, Signature)) -> SigningKey {
    key.verifying_key().verify("bench", b"ids", black_box(&MESSAGE), &signature).unwrap();
    key
}

#[library_benchmark(config = within("kem_one_side"))]
#[bench::of(exchanging())]
fn kem_one_side((peer, mut rng): ([u8; 384], ChaCha20Rng)) -> Secret<SharedSecret, 384> {
    Ephemeral::generate(&mut rng).agree(black_box(&peer)).unwrap()
}

#[library_benchmark(config = within("seal_256"))]
#[bench::of(sealing())]
fn seal_256((key, plaintext): (AeadKey, [u8; 256])) -> (Vec<u8>, AeadKey) {
    (key.seal(&[0; 12], b"", black_box(&plaintext)).unwrap(), key)
}

#[library_benchmark(config = within("frame_decode_256"))]
#[bench::of(cutting())]
fn frame_decode_256((mut reader, frame): (FrameReader, Vec<u8>)) -> (Option<Frame>, FrameReader) {
    reader.push(black_box(&frame));
    (reader.next_frame().unwrap(), reader)
}

/// Ten seconds, so that it does not matter on which beat they begin.
fn measured(mut wearer: Wearer) -> (Readings, Wearer) {
    (wearer.seconds(budget::SIGNAL_SECONDS), wearer)
}

#[library_benchmark(config = within("signals_ecg"))]
#[bench::of(Wearer::new(Worn::ECG))]
fn signals_ecg(wearer: Wearer) -> (Readings, Wearer) {
    measured(wearer)
}

#[library_benchmark(config = within("signals_ppg"))]
#[bench::of(Wearer::new(Worn::PPG))]
fn signals_ppg(wearer: Wearer) -> (Readings, Wearer) {
    measured(wearer)
}

#[library_benchmark(config = within("signals_ppg_running"))]
#[bench::of(Wearer::new(Worn::PPG_MOVING))]
fn signals_ppg_running(wearer: Wearer) -> (Readings, Wearer) {
    measured(wearer)
}

#[library_benchmark(config = within("signals_impedance"))]
#[bench::of(Wearer::new(Worn::IMPEDANCE))]
fn signals_impedance(wearer: Wearer) -> (Readings, Wearer) {
    measured(wearer)
}

#[library_benchmark(config = within("signals_ecg_and_ppg"))]
#[bench::of(Wearer::new(Worn::ECG_PPG))]
fn signals_ecg_and_ppg(wearer: Wearer) -> (Readings, Wearer) {
    measured(wearer)
}

#[library_benchmark(config = within("signals_all_running"))]
#[bench::of(Wearer::new(Worn::ALL))]
fn signals_all_running(wearer: Wearer) -> (Readings, Wearer) {
    measured(wearer)
}

library_benchmark_group!(
    name = counts,
    benchmarks = [
        sign,
        verify,
        kem_one_side,
        seal_256,
        frame_decode_256,
        signals_ecg,
        signals_ppg,
        signals_ppg_running,
        signals_impedance,
        signals_ecg_and_ppg,
        signals_all_running
    ]
);
main!(library_benchmark_groups = counts);
