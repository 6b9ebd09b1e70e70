//! The self-test: known answers of every primitive, most of them made by others, run against the code that the
//! product runs. [`SUITES`] is the whole of it; each [`Suite`] carries its vectors and needs no file.
//!
//! Our functions frame what they hash, MAC, sign or derive from, and others' vectors are not framed. So those test
//! the same objects below the framing, through the crate's `*_bare` functions, and the answers of independent
//! Python scripts test what we build of them. What a vector asks and we do not speak (a nonce of another length, a
//! truncated tag) is skipped and counted under its reason. It reads no clock; the caller measures.

mod aead;
mod case;
mod dsa;
mod ed25519;
mod elgamal;
mod framing;
mod group;
mod hash;
mod hkdf;
mod hmac;
mod ml_kem;
mod pake;
mod suites;
mod x25519;

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use thiserror::Error;

use self::case::{Case, Outcome, Wrong};
pub use self::suites::SUITES;

/// The known answers of one primitive from one source.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    /// The primitive.
    pub name: &'static str,
    /// Who made the vectors.
    pub origin: &'static str,
    /// What the product does with the primitive.
    pub used_for: &'static str,
    /// Its keys, nonces, tags, shares or signatures, in bytes.
    pub sizes: &'static str,
    vectors: &'static str,
    read: fn(&str) -> Result<Vec<Case>, Wrong>,
    check: fn(&Case) -> Result<Outcome, Wrong>,
}

impl Suite {
    /// Checks every vector; stops at the first wrong answer.
    ///
    /// # Errors
    /// [`Failure`] for a wrong answer, for vectors that cannot be read, and if no vector was run.
    pub fn run(&self) -> Result<Tally, Failure> {
        let failure = |case: &str, wrong: Wrong| Failure {
            suite: self.name,
            origin: self.origin,
            case: case.into(),
            what: wrong.0,
        };
        let mut tally = Tally::default();
        for case in (self.read)(self.vectors).map_err(|wrong| failure("all vectors", wrong))? {
            match (self.check)(&case).map_err(|wrong| failure(&case.name, wrong))? {
                Outcome::Right => tally.run += 1,
                Outcome::Skipped(reason) => *tally.skipped.entry(reason).or_default() += 1,
            }
        }
        if tally.run == 0 {
            return Err(failure("all vectors", Wrong::new("none was run")));
        }
        Ok(tally)
    }

    /// The same suite with other vectors in the same form, to see it fail.
    #[must_use]
    pub const fn with_vectors(self, vectors: &'static str) -> Self {
        Self { vectors, ..self }
    }

    /// Its vectors as they are: JSON or `NAME = value` lines.
    #[must_use]
    pub const fn vectors(&self) -> &'static str {
        self.vectors
    }
}

/// How many vectors gave the right answer, and why others were not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Vectors with the right answer.
    pub run: usize,
    /// Vectors of things that the product does not speak, by reason.
    pub skipped: BTreeMap<&'static str, usize>,
}

/// A primitive that must not be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{suite} ({origin}), {case}: {what}")]
pub struct Failure {
    /// The suite's name.
    pub suite: &'static str,
    /// Who made the vectors.
    pub origin: &'static str,
    /// The vector's number and its author's comment.
    pub case: String,
    /// What differs.
    pub what: String,
}
