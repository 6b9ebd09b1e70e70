//! `gateway selftest`: the known answers of every primitive, one line for each suite as it is done, then what one
//! operation of each costs on this machine. It needs no gateway and no data folder.

use std::{
    collections::BTreeMap,
    hint::black_box,
    io::{self, Write},
    time::Duration,
};

use crypto::{
    AeadKey, Prk, Secret, elgamal, exchange, identity, mac,
    pake::Pake,
    purpose::{MacKey, TrafficKey},
    selftest::{SUITES, Suite, Tally},
    sha256,
};
use host::{
    Clock,
    entropy::system_rng,
    exit::{Exit, Stop},
};
use serde::Serialize;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether every suite passed.
    passed: bool,
    /// Vectors with the right answer.
    run: usize,
    /// Vectors of things that the gateway does not speak.
    skipped: usize,
    /// All suites together, in milliseconds.
    ms: f64,
    /// Suite by suite.
    suites: Vec<SuiteReport>,
    /// One operation of each primitive; empty if a suite failed.
    operations: Vec<Operation>,
}

/// How one suite went.
#[derive(Debug, Serialize)]
struct SuiteReport {
    /// The primitive.
    name: &'static str,
    /// Who made the vectors.
    origin: &'static str,
    /// What uses the primitive.
    used_for: &'static str,
    /// Its keys, nonces, tags, shares or signatures, in bytes.
    sizes: &'static str,
    /// Vectors with the right answer; 0 if one was wrong.
    run: usize,
    /// Vectors that were not asked, by reason.
    skipped: BTreeMap<&'static str, usize>,
    /// Milliseconds.
    ms: f64,
    /// The first wrong answer.
    failure: Option<String>,
}

/// What one operation costs.
#[derive(Debug, Serialize)]
struct Operation {
    /// The primitive and what it does.
    name: &'static str,
    /// Bytes that it makes or reads: a key, a signature, a message.
    bytes: usize,
    /// Median in microseconds.
    us: f64,
}

/// Checks every suite and prints how it went.
///
/// # Errors
/// A [`Stop`] with [`Exit::Failed`] that names every primitive with a wrong answer.
pub(crate) fn run(json: bool) -> Result<Exit, Stop> {
    let mut out = io::stdout().lock();
    if json {
        let report = check(SUITES, &mut io::sink());
        say(&mut out, &serde_json::to_string(&report).unwrap_or_default());
        report.verdict()
    } else {
        check(SUITES, &mut out).verdict()
    }
}

fn check(suites: &[Suite], out: &mut impl Write) -> Report {
    let clock = Clock::start();
    let width = |text: fn(&Suite) -> &'static str| suites.iter().map(text).map(str::len).max().unwrap_or(0);
    let widths = [width(|suite| suite.name), width(|suite| suite.origin), width(|suite| suite.used_for)];
    let heads = ["PRIMITIVE", "VECTORS", "RUN", "SKIP", "MS", "USED FOR", "BYTES"];
    say(out, &row(widths, heads));
    let suites: Vec<_> = suites
        .iter()
        .map(|suite| {
            let report = SuiteReport::of(suite, &clock);
            let (run, skipped) = match &report.failure {
                None => (report.run.to_string(), report.skipped.values().sum::<usize>().to_string()),
                Some(_) => ("WRONG".into(), "-".into()),
            };
            let ms = format!("{:.1}", report.ms);
            let cells = [suite.name, suite.origin, &run, &skipped, &ms, suite.used_for, suite.sizes];
            say(out, &row(widths, cells));
            report
        })
        .collect();
    let mut report = Report {
        passed: suites.iter().all(|suite| suite.failure.is_none()),
        run: suites.iter().map(|suite| suite.run).sum(),
        skipped: suites.iter().flat_map(|suite| suite.skipped.values()).sum(),
        ms: rounded(clock.elapsed().as_secs_f64() * 1e3),
        suites,
        operations: Vec::new(),
    };
    let [run, skipped, ms] =
        [report.run.to_string(), report.skipped.to_string(), format!("{:.1}", report.ms)];
    say(out, &row(widths, ["total", "", &run, &skipped, &ms, "", ""]));
    for (reason, count) in report.reasons() {
        say(out, &format!("skipped {count}: {reason}"));
    }
    if report.passed {
        say(out, &format!("\n{:<24}  {:>5}  {:>12}", "OPERATION", "BYTES", "MICROSECONDS"));
        report.operations = operations(&clock, |Operation { name, bytes, us }| {
            say(out, &format!("{name:<24}  {bytes:>5}  {us:>12.2}"));
        });
    }
    report
}

/// Prints a line at once; a reader that went away is no error of ours.
fn say(out: &mut impl Write, line: &str) {
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

fn row(widths: [usize; 3], cells: [&str; 7]) -> String {
    let [name, origin, run, skipped, ms, used_for, sizes] = cells;
    let [of_name, of_origin, of_use] = widths;
    let row = format!(
        "{name:<of_name$}  {origin:<of_origin$}  {run:>5}  {skipped:>4}  {ms:>7}  {used_for:<of_use$}  {sizes}"
    );
    row.trim_end().into()
}

impl Report {
    /// How many vectors were skipped for which reason.
    fn reasons(&self) -> BTreeMap<&'static str, usize> {
        let mut reasons = BTreeMap::new();
        for (reason, count) in self.suites.iter().flat_map(|suite| &suite.skipped) {
            *reasons.entry(*reason).or_default() += count;
        }
        reasons
    }

    fn verdict(&self) -> Result<Exit, Stop> {
        let wrong: Vec<&str> = self.suites.iter().filter_map(|suite| suite.failure.as_deref()).collect();
        if wrong.is_empty() {
            return Ok(Exit::Done);
        }
        let said = format!("this program computes wrongly here; do not use it: {}", wrong.join("; "));
        Err(Stop::new(Exit::Failed, said))
    }
}

impl SuiteReport {
    fn of(suite: &Suite, clock: &Clock) -> Self {
        let begun = clock.elapsed();
        let (tally, failure) = match suite.run() {
            Ok(tally) => (tally, None),
            Err(failure) => (Tally::default(), Some(failure.to_string())),
        };
        let ms = rounded((clock.elapsed() - begun).as_secs_f64() * 1e3);
        let Suite { name, origin, used_for, sizes, .. } = *suite;
        Self { name, origin, used_for, sizes, run: tally.run, skipped: tally.skipped, ms, failure }
    }
}

/// Times one operation of each primitive that the gateway uses.
fn operations(clock: &Clock, mut done: impl FnMut(&Operation)) -> Vec<Operation> {
    let mut rng = system_rng();
    let mut operations = Vec::new();
    let mut time = |name, bytes, work: &mut dyn FnMut()| {
        let operation = Operation { name, bytes, us: median(clock, work) };
        done(&operation);
        operations.push(operation);
    };
    let message = [0x5a; 256];
    let parts: &[&[u8]] = &[&message];

    let key = elgamal::SigningKey::generate(&mut rng);
    let signature = key.sign("selftest", &[], &message, &mut rng);
    time("ElGamal key pair", 384, &mut || {
        black_box(elgamal::SigningKey::generate(&mut rng));
    });
    time("ElGamal sign", 416, &mut || {
        black_box(key.sign("selftest", &[], &message, &mut rng));
    });
    time("ElGamal verify", 416, &mut || {
        black_box(key.verifying_key().verify("selftest", &[], &message, &signature)).ok();
    });
    let peer = elgamal::kem::Ephemeral::generate(&mut rng).public();
    time("ElGamal KEM, one side", 384, &mut || {
        black_box(elgamal::kem::Ephemeral::generate(&mut rng).agree(&peer)).ok();
    });

    let key = identity::SigningKey::generate(&mut rng);
    let (public, signature) = (key.verifying_key(), key.sign("selftest", parts));
    time("Ed25519 sign", 64, &mut || {
        black_box(key.sign("selftest", parts));
    });
    time("Ed25519 verify", 64, &mut || {
        black_box(public.verify("selftest", parts, &signature)).ok();
    });
    let peer = exchange::Ephemeral::generate(&mut rng).public();
    time("X25519, one side", 32, &mut || {
        black_box(exchange::Ephemeral::generate(&mut rng).agree(&peer)).ok();
    });
    let (_, peer) = Pake::start_b(&mut rng, b"code", b"a", b"b");
    time("SPAKE2, one side", 33, &mut || {
        let (state, _) = Pake::start_a(&mut rng, b"code", b"a", b"b");
        black_box(state.finish(&peer)).ok();
    });

    let key = AeadKey::new(&Secret::<TrafficKey>::generate(&mut rng));
    let sealed = key.seal(&[0; 12], &[], &message).unwrap_or_default();
    time("AES-256-GCM seal", message.len(), &mut || {
        black_box(key.seal(&[0; 12], &[], &message)).ok();
    });
    time("AES-256-GCM open", message.len(), &mut || {
        black_box(key.open(&[0; 12], &[], &sealed)).ok();
    });
    let key = Secret::<MacKey>::generate(&mut rng);
    time("HMAC-SHA256", message.len(), &mut || {
        black_box(mac(&key, "selftest", parts));
    });
    time("HKDF-SHA256, one key", 32, &mut || {
        black_box(Prk::extract(&[0; 32], parts).expand::<TrafficKey, 32>("selftest", &[]));
    });
    time("SHA-256", message.len(), &mut || {
        black_box(sha256("selftest", parts));
    });
    operations
}

/// The median time of a call in microseconds; short calls are repeated until the clock can see them.
fn median(clock: &Clock, work: &mut dyn FnMut()) -> f64 {
    const SAMPLES: usize = 21;
    let mut calls = |count: u32| {
        let begun = clock.elapsed();
        (0..count).for_each(|_| work());
        (clock.elapsed() - begun) / count
    };
    let count = 50_000 / calls(1).as_nanos().max(1);
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let mut samples: Vec<Duration> = (0..SAMPLES).map(|_| calls(count)).collect();
    samples.sort_unstable();
    samples.get(SAMPLES / 2).map_or(0.0, |median| rounded(median.as_secs_f64() * 1e6))
}

/// To a thousandth.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_fails_and_the_other_suites_still_run() {
        let [first, second, ..] = SUITES else { panic!("there are suites") };
        let wrong = String::leak(first.vectors().replace("MD = e", "MD = f"));
        let mut out = Vec::new();
        let report = check(&[first.with_vectors(wrong), *second], &mut out);
        let said = String::from_utf8(out).unwrap();

        let stop = report.verdict().unwrap_err();
        assert_eq!(Stop::exit_of(&stop), Exit::Failed);
        let failure = "SHA-256 (NIST CAVP), vector 1: another digest";
        assert!(stop.to_string().ends_with(failure), "{stop}");
        assert_eq!(report.suites[0].failure.as_deref(), Some(failure));
        assert!(!report.passed && report.suites[1].run > 0 && report.run == report.suites[1].run);
        assert!(
            report.operations.is_empty() && said.contains("WRONG") && !said.contains("OPERATION"),
            "{said}"
        );
    }

    #[test]
    fn a_suite_without_vectors_fails() {
        let none = r#"{"numberOfTests": 0, "testGroups": []}"#;
        let gcm = SUITES.iter().find(|suite| suite.name == "AES-256-GCM").unwrap();
        let report = check(&[gcm.with_vectors(none)], &mut io::sink());
        assert!(report.verdict().unwrap_err().to_string().ends_with("none was run"));
    }
}
