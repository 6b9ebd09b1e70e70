//! A thread's memory of every (key, nonce) pair that sealed something, while it is watched.

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};
use core::{cell::RefCell, fmt};

use crypto::{Purpose, Secret, sha256};
use std::thread_local;

#[derive(Debug, Default)]
struct Ledger {
    seen: BTreeSet<([u8; 32], Vec<u8>)>,
    violations: Vec<String>,
}

thread_local! {
    static LEDGER: RefCell<Option<Ledger>> = const { RefCell::new(None) };
}

/// Begins to watch this thread, with an empty memory.
pub fn watch() {
    LEDGER.set(Some(Ledger::default()));
}

/// How many pairs sealed something since [`watch`].
#[must_use]
pub fn len() -> usize {
    LEDGER.with_borrow(|ledger| ledger.as_ref().map_or(0, |ledger| ledger.seen.len()))
}

/// The pairs that sealed twice.
pub(super) fn take_violations() -> Vec<String> {
    LEDGER.with_borrow_mut(|ledger| {
        ledger.as_mut().map(|l| core::mem::take(&mut l.violations)).unwrap_or_default()
    })
}

/// Notes that `key` seals under `nonce`.
pub(crate) fn note<P: Purpose>(key: &Secret<P>, nonce: &[u8], by: impl fmt::Display) {
    LEDGER.with_borrow_mut(|ledger| {
        if let Some(ledger) = ledger
            && !ledger.seen.insert((sha256("ledger", &[key.expose()]), nonce.to_vec()))
        {
            ledger.violations.push(format!("{by} used a nonce twice under one key"));
        }
    });
}
