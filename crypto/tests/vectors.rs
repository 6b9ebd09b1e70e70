//! The self-test: every suite passes with exactly these counts, so that none shrinks unseen, and every suite notices
//! wrong answers.
#![cfg(feature = "selftest")]

use std::collections::BTreeMap;

use vitalward_crypto::selftest::{SUITES, Suite};

/// Name, origin, vectors run, vectors skipped by reason, and what stands before each answer in the vectors.
type Row = (&'static str, &'static str, usize, &'static [(&'static str, usize)], &'static str);

const EXPECTED: [Row; 32] = [
    ("SHA-256", "NIST CAVP", 65, &[], "MD = "),
    ("SHA-512", "NIST CAVP", 129, &[], "MD = "),
    ("HMAC-SHA256", "Wycheproof", 87, &[("truncated tag", 87)], "\"tag\": \""),
    ("HMAC-SHA256", "RFC 4231", 6, &[], "MD = "),
    ("HKDF-SHA256", "Wycheproof", 86, &[], "\"okm\": \""),
    ("HKDF-SHA256", "RFC 5869", 3, &[], "OKM  = "),
    ("framing", "our Python", 3, &[], "\"expanded\": \""),
    (
        "AES-256-GCM",
        "Wycheproof",
        66,
        &[("key of another length", 211), ("nonce of another length", 39)],
        "\"tag\": \"",
    ),
    ("AES-256-GCM", "NIST CAVP", 6, &[], "Tag = "),
    ("Ascon-AEAD128", "Wycheproof", 252, &[], "\"tag\": \""),
    ("Ascon-128 v1.2", "Wycheproof", 192, &[], "\"tag\": \""),
    ("Ascon-128 v1.2", "legacy", 1, &[], "Tag = "),
    ("Ed25519", "Wycheproof", 151, &[], "\"sig\": \""),
    ("Ed25519", "RFC 8032", 4, &[], ":"),
    ("X25519", "Wycheproof", 518, &[], "\"shared\": \""),
    ("X25519", "RFC 7748", 3, &[], "OUTPUT_U = "),
    ("ML-KEM-768 keys", "Wycheproof", 100, &[], "\"dk\": \""),
    ("ML-KEM-768 encaps", "Wycheproof", 265, &[], "\"K\": \""),
    ("ML-KEM-768 decaps", "Wycheproof", 201, &[], "\"K\": \""),
    ("ML-KEM-768 import", "Wycheproof", 9, &[], "\"K\": \""),
    ("prime numbers", "Wycheproof", 303, &[("negative number", 14)], "\"value\": \""),
    ("DSA primes", "CAVP PQGGen", 5, &[], "P = "),
    ("DSA primes", "CAVP PQGVer", 5, &[], "P = "),
    ("DSA generators", "CAVP PQGGen", 5, &[], "G = "),
    ("DSA keys", "NIST CAVP", 10, &[], "Y = "),
    ("DSA signing", "NIST CAVP", 15, &[], "S = "),
    ("DSA signing", "RFC 6979", 2, &[], "K = "),
    ("DSA verification", "NIST CAVP", 15, &[], "S = "),
    ("DSA verification", "Wycheproof", 139, &[], "\"sig\": \""),
    ("ElGamal signatures", "our Python", 5, &[], "\"signature\": \""),
    ("ElGamal KEM", "our Python", 3, &[], "\"shared\": \""),
    ("SPAKE2", "PyPI spake2", 2, &[], "\"key\": \""),
];

#[test]
fn every_suite_passes_with_these_counts() {
    let found: Vec<_> = SUITES
        .iter()
        .map(|suite| {
            let tally = suite.run().unwrap_or_else(|failure| panic!("{failure}"));
            (suite.name, suite.origin, tally.run, tally.skipped)
        })
        .collect();
    let expected = EXPECTED.map(|(name, origin, run, skipped, _)| {
        (name, origin, run, skipped.iter().copied().collect::<BTreeMap<_, _>>())
    });
    assert_eq!(found, expected);
}

#[test]
fn every_suite_notices_a_wrong_answer() {
    for (suite, (name, .., answer)) in SUITES.iter().zip(EXPECTED) {
        let wrong = first_digit_changed(suite.vectors(), answer);
        assert_ne!(wrong, suite.vectors(), "{name} has no {answer}");
        let failure = suite.with_vectors(wrong.leak()).run().expect_err(name);
        let of_a_vector = failure.case.starts_with("test ") || failure.case.starts_with("vector ");
        assert!(of_a_vector && failure.suite == name, "{failure}");
    }
}

#[test]
fn no_vector_run_is_a_failure() {
    let failed = |suite: &Suite, vectors| suite.with_vectors(vectors).run().unwrap_err().to_string();
    let gcm = SUITES.iter().find(|suite| suite.name == "AES-256-GCM").unwrap();
    let none = r#"{"numberOfTests": 0, "testGroups": []}"#;
    assert_eq!(failed(gcm, none), "AES-256-GCM (Wycheproof), all vectors: none was run");
    let other = r#"{"numberOfTests": 1, "testGroups": [{"keySize": 128, "tests": [{"tcId": 1}]}]}"#;
    assert_eq!(failed(gcm, other), "AES-256-GCM (Wycheproof), all vectors: none was run");
    let fewer = r#"{"numberOfTests": 2, "testGroups": [{"keySize": 128, "tests": [{"tcId": 1}]}]}"#;
    assert!(failed(gcm, fewer).ends_with("not as many tests as the file announces"));
}

/// The vectors with the first hexadecimal digit after each `answer` replaced by another.
fn first_digit_changed(vectors: &str, answer: &str) -> String {
    let mut pieces = vectors.split(answer);
    let mut changed = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        changed += answer;
        let digit = piece.chars().next().filter(char::is_ascii_hexdigit);
        match digit {
            Some(digit) => {
                changed.push(if digit == '0' { '1' } else { '0' });
                changed += &piece[1..];
            }
            None => changed += piece,
        }
    }
    changed
}
