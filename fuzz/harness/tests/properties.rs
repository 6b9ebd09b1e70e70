//! The fuzz targets on stable Rust: every file of the committed corpus, altered corpus files, and random bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use fuzz_harness::TARGETS;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

/// How many altered and random inputs a target gets: fewer where a run takes milliseconds.
fn cases(target: &str) -> u32 {
    match target {
        "ward" => 16,
        "conversation" | "login" | "monitor" | "pairing" => 64,
        _ => 512,
    }
}

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz_folder().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(fuzz_folder().join("corpus").join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A corpus file with some bytes replaced and its end cut off or repeated, or just bytes.
fn inputs(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let altered = (prop::sample::select(corpus), edits, any::<prop::sample::Index>(), 0..4_u8);
    let altered = altered.prop_map(|(mut bytes, edits, at, how)| {
        for (at, byte) in edits {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let at = at.index(bytes.len() + 1);
        match how {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_within(at..),
            _ => {}
        }
        bytes
    });
    prop_oneof![3 => altered, 1 => vec(any::<u8>(), 0..600)]
}

fn holds(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let corpus = corpus(name);
    corpus.iter().for_each(|file| target(file));
    let mut runner =
        TestRunner::new(Config { cases: cases(name), failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&inputs(corpus), |bytes| {
        target(&bytes);
        Ok(())
    });
    assert!(outcome.is_ok(), "{name}: {outcome:?}");
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })+

        #[test]
        fn every_target_is_run_here_and_by_libfuzzer_and_has_a_corpus() {
            let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(known, [$(stringify!($name).to_owned()),+].into());
            assert_eq!(known, names("fuzz_targets"));
            assert_eq!(known, names("corpus"));
        }
    };
}

targets! { content conversation files frames keys login messages monitor pairing records text uplink ward }
