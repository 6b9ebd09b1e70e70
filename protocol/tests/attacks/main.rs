//! Attacks that worked on public implementations of the laboratory protocol, and those that a login of its kind has to
//! stand. Each is run against a weak variant that is written out here, where it works; then against the weak variant
//! with one defence switched on at a time, which gives the exact list of those that stop it alone; then against our
//! endpoints, where it fails.
//!
//! | attack | test | defences that stop it alone |
//! |---|---|---|
//! | (5) the gateway is an oracle for session secrets | `attack_5_*` | a hash as confirmation; fresh shares; a MAC under the secret |
//! | (6) an impostor with its own key | `attack_6_an_impostor_*` | keys pinned by id |
//! | (6) another's message under a new name | `attack_6_a_login_*` | keys pinned by id; names signed; a MAC under the secret |
//! | (7) the same opcode-10 message twice | `attack_7_*` | a signed nonce of the gateway; nonces remembered |
//! | (8) a member forges a broadcast | `attack_8_a_member_*` | content signed |
//! | (8) a constant group key reads past and future | `attack_8_a_constant_*` | a new key at every join and leave |
//! | (9) opcode 60 from elsewhere | `attack_9_*` | a MAC; an end only for its own connection |
//! | (9) opcode 60 injected | `attack_9_*` | a MAC |
//! | (10) two messages in one read | `attack_10_*` | framing by length |
//! | (11) g = 1, p = y - 1 of the peer's choice | `attack_11_numbers_*` | constants; p and g checked |
//! | (11) g = y of the peer's choice | `attack_11_a_generator_*` | constants only |
//! | key substitution by copying a public key | `a_copied_public_key_*` | names signed; a MAC; proof of possession |
//! | key substitution by a chosen generator | `a_chosen_generator_*` | names and key signed; a MAC; constant p, g |
//! | y = 1 | `a_neutral_key_*` | key checked at enrolment |
//! | downgrade of the suite list | `login::a_downgrade_*` | whole hello signed; suite fixed by the credential |
//! | downgrade to a suite that a later quantum computer opens | `suites::*` | whole hello signed; share as long as the list says; both halves in the keys |
//! | transcript truncation | `login::a_shortened_*`, `login::a_moved_*` | whole hello signed; lengths in the hash |
//! | last message held back | `login::a_login_cut_short_*` | the client waits for an answer |
//! | identity misbinding | `login::misbinding_*` | a MAC; sealed proofs; the peer's name signed (one direction) |
//! | shares of small order or out of range | `login::a_share_*` | range; shares signed |
//! | reflection of a login | `login::a_reflected_*` | roles in labels; both nonces in the MAC |
//! | reflection, repetition, loss of records | `records::*` | a key per direction; sequence numbers; an authenticated end |
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers may stop it")]

#[path = "../common/mod.rs"]
mod common;
mod lab;
mod laboratory;
mod login;
mod records;
mod suites;

/// A named defence: switches it on.
type Switch<R> = (&'static str, fn(&mut R));

/// The defences that stop an attack alone, of one that works by these rules and fails with all defences on.
fn stopped_by<R: Copy>(each: &[Switch<R>], base: R, works: impl Fn(R) -> bool) -> Vec<&'static str> {
    let with = |switches: &[Switch<R>]| {
        let mut rules = base;
        switches.iter().for_each(|(_, switch)| switch(&mut rules));
        rules
    };
    assert!(works(base), "the attack works where there is no defence");
    assert!(!works(with(each)), "all defences together stop it");
    each.iter().filter(|switch| !works(with(&[**switch]))).map(|(name, _)| *name).collect()
}
