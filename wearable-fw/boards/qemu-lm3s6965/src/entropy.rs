//! TEST ONLY randomness: this board has no source of it. A real board replaces this file with its true random number
//! generator; without the seed below it does not build, so that nobody forgets to.
//!
//! A stream of SHA-256 over the build's seed, the count of starts, which the EEPROM keeps, and a counter: no nonce comes
//! twice, but whoever has the image knows every key.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};

const SEED: &str = env!(
    "VITALWARD_TEST_ONLY_SEED",
    "no source of randomness: give src/entropy.rs the chip's true random number generator. For a test that must keep no \
     secret, build in the board's folder, whose .cargo/config.toml sets a seed that everybody knows"
);

/// What stands in for a generator.
#[derive(Debug)]
pub(crate) struct Known {
    purpose: &'static str,
    start: u32,
    blocks: u64,
}

/// What a start draws from.
pub(crate) const fn of_start(start: u32) -> Known {
    Known { purpose: "start", start, blocks: 0 }
}

/// What the maker draws from that gives each device its own: on this board the same for all.
pub(crate) const fn of_maker(purpose: &'static str) -> Known {
    Known { purpose, start: 0, blocks: 0 }
}

impl Known {
    fn words<const N: usize>(&mut self) -> Result<[u8; N], Infallible> {
        let mut bytes = [0; N];
        self.try_fill_bytes(&mut bytes).map(|()| bytes)
    }
}

impl TryRng for Known {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.words().map(u32::from_le_bytes)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.words().map(u64::from_le_bytes)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for bytes in bytes.chunks_mut(32) {
            let mut hash = Sha256::new();
            for part in [SEED.as_bytes(), self.purpose.as_bytes()] {
                hash.update(part.len().to_le_bytes());
                hash.update(part);
            }
            hash.update(self.start.to_le_bytes());
            hash.update(self.blocks.to_le_bytes());
            self.blocks += 1;
            bytes.iter_mut().zip(hash.finalize()).for_each(|(byte, random)| *byte = random);
        }
        Ok(())
    }
}

impl TryCryptoRng for Known {}
