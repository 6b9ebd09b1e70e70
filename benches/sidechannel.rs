//! Does the time of a secret operation tell the secret? A test after dudect (Reparaz, Balasch, Verbauwhede, "Dude, is
//! my code constant time?", 2017): an operation is timed again and again, in random order with a fixed secret that
//! would show a shortcut and with random ones; Welch's t says whether the two means differ.
//!
//! ```text
//! cargo bench -p benches --bench sidechannel -- --seconds 60
//! cargo bench -p benches --bench sidechannel --no-default-features    (the portable arithmetic)
//! ```
//! `--seconds` is the CPU time for each operation, inputs included. The exit code is 1 if a leak was seen, and 2 if the run was blind: two
//! leaky variants are timed like the others, and a run that does not flag both could not have flagged a real leak.
//! With `--test`, or started by `cargo test`, nothing is judged: it only shows that all of it runs.
//!
//! |t| > 10 is a leak, |t| > 4.5 a reason to run it longer on a quiet machine. Less proves nothing. It speaks for this
//! machine, this build and these secrets, and only for differences above the column `sees`, which noise makes large;
//! caches, power and faults are not looked at. Verifying signatures is not here: its data are public.
//!
//! The measurement could deceive, too. So a batch of inputs is made before any of it is timed, both classes by the
//! same code, each input in its own memory, and every batch draws anew which place has which class; nothing is drawn
//! and no result dropped while the clock runs. Interrupts make long tails: t is taken over all times and over ten
//! crops without the slowest 1/2, 1/4, .. 1/1024 (every tenth of dudect's crops), and the largest counts. The clock
//! is the thread's CPU time in nanoseconds. The cycle counter would be finer, but it also counts the time in which
//! other programs run, which is far more than a read of this clock (about a fifth of a microsecond, for both classes).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program for a developer's terminal, and its own numbers"
)]

#[path = "../crypto/tests/common/fixed.rs"]
mod fixed;

use std::{hint::black_box, process::ExitCode, time::Duration};

use benches::cpu_time;
use crypto::{
    Secret,
    elgamal::{Signature, SigningKey, kem, params},
    mac,
    purpose::MacKey,
    sha256, verify_mac,
};
use fixed::Fixed;
use hmac::{Hmac, KeyInit, Mac};
use num_bigint::BigUint;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use sha2::Sha256;

const SUSPICIOUS: f64 = 4.5;
const LEAK: f64 = 10.0;
/// With this many, a difference of 1/50 of the noise's standard deviation gives |t| = 10.
const MOST_SAMPLES: usize = 1_000_000;
/// Fewer times than this in a class say nothing about their mean.
const FEWEST_SAMPLES: f64 = 100.0;

const MESSAGE: &[u8] = b"what is signed or authenticated";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let judged = arguments.iter().any(|a| a == "--bench") && !arguments.iter().any(|a| a == "--test");
    let seconds = arguments.iter().skip_while(|a| *a != "--seconds").nth(1);
    let seconds = seconds.map_or(20, |n| n.parse().expect("--seconds takes a whole number"));
    let mut lab = Lab {
        rng: ChaCha20Rng::seed_from_u64(7),
        judged,
        length: if judged { Duration::from_secs(seconds) } else { Duration::ZERO },
        leaky: false,
        blind: false,
    };
    let backend = if cfg!(feature = "aws-lc") { "AWS-LC" } else { "portable" };
    println!("ElGamal's arithmetic: {backend}\n");
    println!(
        "{:50} {:>11} {:>8} {:>8} {:>11} {:>10}  verdict",
        "operation", "median, ns", "samples", "max |t|", "differs, ns", "sees, ns"
    );
    lab.signatures();
    lab.key_agreement();
    lab.tags();
    lab.end()
}

/// Which of the two kinds of input: where one secret is fixed, it is the left one.
#[derive(Clone, Copy)]
enum Class {
    Left,
    Right,
}

struct Lab {
    rng: ChaCha20Rng,
    /// Whether the times are judged, or all of it only shown to run.
    judged: bool,
    /// The CPU time for each operation.
    length: Duration,
    leaky: bool,
    blind: bool,
}

impl Lab {
    /// k is where signatures leak (short nonces give x away by lattice reduction), so it has a test of its own.
    fn signatures(&mut self) {
        let mut one = [0; 32];
        one[31] = 1;
        let key_one = key(&one);
        let (shortest, k) = (0..if self.judged { 1 << 16 } else { 4 })
            .map(|_| hedge(&key_one, &mut self.rng))
            .min_by_key(|(_, nonce)| nonce.clone())
            .unwrap();
        assert_eq!(sign(&key_one, &shortest).to_bytes()[..384], generator_to(&k), "the nonce is this one");
        self.operation(
            "ElGamal sign: x = 1 / random x",
            64,
            |class, rng| {
                let mut x = match class {
                    Class::Left => one,
                    Class::Right => bytes(rng),
                };
                // Below q, whose top bit is set.
                x[0] &= 0x7f;
                let key = key(&x);
                let (hedge, _) = hedge(&key, rng);
                (key, hedge)
            },
            |(key, hedge)| sign(&key, &hedge),
        );
        self.operation(
            &format!("ElGamal sign: nonce of {} bits / random nonce", k.bits()),
            256,
            |class, rng| {
                let (random, _) = hedge(&key_one, rng);
                match class {
                    Class::Left => shortest,
                    Class::Right => random,
                }
            },
            |hedge| sign(&key_one, &hedge),
        );
        let (g, p) = (number(params::G), number(params::P));
        self.control(
            "control, square and multiply: the same nonces",
            64,
            |class, rng| {
                let (_, random) = hedge(&key_one, rng);
                match class {
                    Class::Left => k.clone(),
                    Class::Right => random,
                }
            },
            |exponent| square_and_multiply(&g, &exponent, &p),
        );
    }

    fn key_agreement(&mut self) {
        let peer = kem::Ephemeral::generate(&mut self.rng).public();
        self.operation(
            "ElGamal KEM agree: exponent 2^319 / random",
            64,
            |class, rng| {
                let exponent = match class {
                    Class::Left => [0; 40],
                    Class::Right => bytes(rng),
                };
                kem::Ephemeral::generate(&mut Fixed(&exponent))
            },
            |ephemeral| ephemeral.agree(&peer),
        );
    }

    fn tags(&mut self) {
        let key = Secret::<MacKey>::generate(&mut self.rng);
        let right = mac(&key, "bench", &[MESSAGE]);
        let wrong_at = |index: usize| {
            let mut tag = right;
            tag[index] ^= 0x5a;
            tag
        };
        let first_or_last = |class, _: &mut ChaCha20Rng| match class {
            Class::Left => wrong_at(0),
            Class::Right => wrong_at(31),
        };
        let verify = |tag: [u8; 32]| verify_mac(&key, "bench", &[MESSAGE], &tag);
        self.operation("MAC verify: first / last byte wrong", 4_096, first_or_last, verify);
        let wrong_or_right = |class, _: &mut ChaCha20Rng| match class {
            Class::Left => wrong_at(31),
            Class::Right => right,
        };
        self.operation("MAC verify: last byte wrong / right tag", 4_096, wrong_or_right, verify);
        // Optimised, the loop would compare many bytes at once.
        let early_exit = |tag: [u8; 32]| {
            mac(&key, "bench", &[MESSAGE]).iter().zip(&tag).all(|(a, b)| black_box(a) == black_box(b))
        };
        self.control("control, early exit: first / last byte wrong", 4_096, first_or_last, early_exit);
    }

    /// Times an operation that must not leak.
    fn operation<I, O>(
        &mut self,
        name: &str,
        batch: usize,
        prepare: impl Fn(Class, &mut ChaCha20Rng) -> I,
        run: impl Fn(I) -> O,
    ) {
        let t = self.row(name, batch, prepare, run, |t| match t {
            t if t > LEAK => "LEAK",
            t if t > SUSPICIOUS => "suspicious: run it longer",
            _ => "none seen",
        });
        self.leaky |= t > LEAK;
    }

    /// Times an operation that leaks, and must be seen to.
    fn control<I, O>(
        &mut self,
        name: &str,
        batch: usize,
        prepare: impl Fn(Class, &mut ChaCha20Rng) -> I,
        run: impl Fn(I) -> O,
    ) {
        let t = self.row(name, batch, prepare, run, |t| if t > LEAK { "leak seen" } else { "MISSED" });
        self.blind |= t <= LEAK;
    }

    /// Times an operation, prints what was found, and gives the largest |t|.
    fn row<I, O>(
        &mut self,
        name: &str,
        batch: usize,
        prepare: impl Fn(Class, &mut ChaCha20Rng) -> I,
        run: impl Fn(I) -> O,
        verdict: impl Fn(f64) -> &'static str,
    ) -> f64 {
        let times = self.times(batch, prepare, run);
        let mut sorted = times.concat();
        sorted.sort_unstable();
        let (samples, median) = (sorted.len(), sorted[sorted.len() / 2]);
        let found = largest_difference(&times, &sorted);
        let t = found.as_ref().map_or(0.0, |found| found.t().abs());
        let verdict = if self.judged { verdict(t) } else { "runs" };
        let (differs, sees) = found.map_or((0.0, f64::INFINITY), |found| (found.ns, LEAK * found.error));
        println!("{name:50} {median:11} {samples:8} {t:8.1} {differs:11.2} {sees:10.2}  {verdict}");
        t
    }

    /// Nanoseconds of each class. The first batch only warms up.
    fn times<I, O>(
        &mut self,
        batch: usize,
        prepare: impl Fn(Class, &mut ChaCha20Rng) -> I,
        run: impl Fn(I) -> O,
    ) -> [Vec<u64>; 2] {
        let mut times = [Vec::new(), Vec::new()];
        let begin = cpu_time::now();
        for round in 0.. {
            let inputs: Vec<(Class, I)> = (0..batch)
                .map(|_| {
                    let class = if self.rng.next_u32() & 1 == 0 { Class::Left } else { Class::Right };
                    (class, prepare(class, &mut self.rng))
                })
                .collect();
            for (class, input) in inputs {
                let input = black_box(input);
                let start = cpu_time::now();
                let output = black_box(run(input));
                let took = cpu_time::now() - start;
                drop(output);
                if round > 0 {
                    times[class as usize].push(u64::try_from(took.as_nanos()).unwrap());
                }
            }
            let enough =
                times[0].len() + times[1].len() >= MOST_SAMPLES || cpu_time::now() - begin >= self.length;
            if round > 0 && enough {
                break;
            }
        }
        times
    }

    fn end(self) -> ExitCode {
        if !self.judged {
            println!("\nall of it runs; nothing was judged");
            return ExitCode::SUCCESS;
        }
        if self.leaky {
            println!("\na time depends on its secret");
            return ExitCode::from(1);
        }
        if self.blind {
            println!("\nthis run could not have seen a leak: too short, or the machine too busy");
            return ExitCode::from(2);
        }
        println!("\nboth controls were seen, and nothing else");
        ExitCode::SUCCESS
    }
}

/// By how much the means of two classes differ.
struct Difference {
    ns: f64,
    /// Its standard error.
    error: f64,
}

impl Difference {
    /// Of the times below a bound; `None` if they are too few.
    fn below(bound: u64, times: &[Vec<u64>; 2]) -> Option<Self> {
        let [left, right] = times.each_ref().map(|times| {
            let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for &ns in times.iter().filter(|ns| **ns < bound) {
                let (ns, before) = (ns as f64, mean);
                count += 1.0;
                mean += (ns - mean) / count;
                squares += (ns - before) * (ns - mean);
            }
            (count >= FEWEST_SAMPLES).then(|| (mean, squares / (count - 1.0) / count))
        });
        let ((left, left_error), (right, right_error)) = (left?, right?);
        let error = (left_error + right_error).sqrt();
        (error > 0.0).then_some(Self { ns: left - right, error })
    }

    /// Welch's t.
    fn t(&self) -> f64 {
        self.ns / self.error
    }
}

/// The difference with the largest |t| over all times and the crops; `None` if there are too few times.
fn largest_difference(times: &[Vec<u64>; 2], sorted: &[u64]) -> Option<Difference> {
    let crops = (1..=10).filter_map(|n| sorted.get(sorted.len() - (sorted.len() >> n)).copied());
    crops
        .chain([u64::MAX])
        .filter_map(|bound| Difference::below(bound, times))
        .max_by(|a, b| a.t().abs().total_cmp(&b.t().abs()))
}

fn bytes<const N: usize>(rng: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn key(x: &[u8; 32]) -> SigningKey {
    SigningKey::from_secret(&Secret::new(*x)).unwrap()
}

/// A signature whose nonce depends on nothing but the key and `hedge`.
fn sign(key: &SigningKey, hedge: &[u8; 32]) -> Signature {
    key.sign("bench", b"ids", MESSAGE, &mut Fixed(hedge))
}

/// A random hedge, and the nonce that it gives at the first draw. A draw that is not below q (one in four) is drawn
/// again. That shows in the time, but tells nothing of the nonce that is used, so it would only hide what does.
fn hedge(key: &SigningKey, rng: &mut ChaCha20Rng) -> ([u8; 32], BigUint) {
    let x = key.to_secret();
    let digest = sha256("elgamal/nonce", &[b"bench", b"ids", &key.verifying_key().to_bytes(), MESSAGE]);
    let q = number(params::Q);
    let digest = (BigUint::from_bytes_be(&digest) % &q).to_bytes_be();
    let digest = [&[0; 32][digest.len()..], &digest].concat();
    loop {
        let hedge = bytes(rng);
        let (mut k, mut v) = ([0; 32], [1; 32]);
        for separator in [0, 1] {
            k = hmac(&k, &[&v, &[separator][..], x.expose(), &digest, &hedge].concat());
            v = hmac(&k, &v);
        }
        let nonce = BigUint::from_bytes_be(&hmac(&k, &v));
        if nonce < q {
            return (hedge, nonce);
        }
    }
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().into()
}

fn generator_to(exponent: &BigUint) -> [u8; 384] {
    let power = number(params::G).modpow(exponent, &number(params::P)).to_bytes_be();
    [&[0; 384][power.len()..], &power].concat().try_into().unwrap()
}

fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap()
}

/// Exponentiation as textbooks have it: one squaring for each bit, one multiplication more for each bit that is set.
fn square_and_multiply(base: &BigUint, exponent: &BigUint, modulus: &BigUint) -> BigUint {
    (0..exponent.bits()).rev().fold(BigUint::from(1_u8), |power, bit| {
        let square = &power * &power % modulus;
        if exponent.bit(bit) { square * base % modulus } else { square }
    })
}
