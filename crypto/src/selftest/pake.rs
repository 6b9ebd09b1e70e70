//! SPAKE2 against the Python package `spake2`.

use super::case::{Case, Given, Outcome, Wrong, ensure};
use crate::pake::Pake;

pub(super) fn check(case: &Case) -> Result<Outcome, Wrong> {
    let (password, a, b) =
        (case.bytes("password")?, case.bytes("identities/0")?, case.bytes("identities/1")?);
    let (alice, to_b) = Pake::start_a(&mut Given(&case.bytes("random/0")?), &password, &a, &b);
    let (bob, to_a) = Pake::start_b(&mut Given(&case.bytes("random/1")?), &password, &a, &b);
    ensure(to_b == case.bytes("messages/0")? && to_a == case.bytes("messages/1")?, "another message")?;
    for key in [alice.finish(&to_a), bob.finish(&to_b)] {
        let key = key.map_err(|_| Wrong::new("a message is refused"))?;
        ensure(key.expose().as_slice() == case.bytes("key")?, "another key")?;
    }
    Ok(Outcome::Right)
}
