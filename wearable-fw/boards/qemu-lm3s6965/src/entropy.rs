//! TEST ONLY randomness: this board has no source of it. A real board replaces this file with its true random number
//! generator; without the seed below it does not build, so that nobody forgets to.
//!
//! A ChaCha20 stream of the build's seed and the count of starts, which the EEPROM keeps: no nonce comes twice, but whoever
//! has the image knows every key.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};

const SEED: &str = env!(
    "VITALWARD_TEST_ONLY_SEED",
    "no source of randomness: give src/entropy.rs the chip's true random number generator. For a test that must keep no \
     secret, build in the board's folder, whose .cargo/config.toml sets a seed that everybody knows"
);

/// What a start draws from.
pub(crate) fn of_start(start: u32) -> ChaCha20Rng {
    generator("start", start)
}

/// What the maker draws from that gives each device its own: on this board the same for all.
pub(crate) fn of_maker(what: &str) -> ChaCha20Rng {
    generator(what, 0)
}

fn generator(what: &str, number: u32) -> ChaCha20Rng {
    let mut hash = Sha256::new();
    for part in [SEED.as_bytes(), what.as_bytes(), &number.to_le_bytes()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    ChaCha20Rng::from_seed(hash.finalize().into())
}
