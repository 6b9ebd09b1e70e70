//! The code that a person carries from one screen to another: `XXX-XXX-XXX`. The first group is public and selects the
//! open offer; the other six characters are the password of the PAKE (29.7 bits), good for three tries.

use core::{fmt, str::FromStr};

use rand_core::CryptoRng;
use thiserror::Error;

/// 31 characters without look-alikes: no 0 O 1 I L.
pub const ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";

/// The public part of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector([u8; 3]);

/// The secret part of a code; never shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password([u8; 6]);

/// A whole code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairingCode {
    /// Public: which offer.
    pub selector: Selector,
    /// Secret: the PAKE's password.
    pub password: Password,
}

/// Text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a code looks like ABC-DEF-GH2: nine letters and digits, without 0 O 1 I L")]
pub struct InvalidCode;

impl PairingCode {
    /// A fresh code, each character uniform.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut characters = [0; 9];
        for character in &mut characters {
            *character = loop {
                let mut byte = [0];
                rng.fill_bytes(&mut byte);
                // 248 = 8 x 31: above it a remainder would be biased.
                if let [byte @ 0..248] = byte
                    && let Some(found) = ALPHABET.get(usize::from(byte % 31))
                {
                    break *found;
                }
            };
        }
        Self::from_characters(characters)
    }

    const fn from_characters([a, b, c, d, e, f, g, h, i]: [u8; 9]) -> Self {
        Self { selector: Selector([a, b, c]), password: Password([d, e, f, g, h, i]) }
    }
}

impl FromStr for PairingCode {
    type Err = InvalidCode;
    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        let mut characters = [0; 9];
        let mut given = text.bytes().filter(|c| !matches!(c, b'-' | b' ')).map(|c| c.to_ascii_uppercase());
        for character in &mut characters {
            *character = given.next().filter(|c| ALPHABET.contains(c)).ok_or(InvalidCode)?;
        }
        if given.next().is_some() { Err(InvalidCode) } else { Ok(Self::from_characters(characters)) }
    }
}

impl fmt::Display for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (a, b) = self.password.0.split_at(3);
        write!(f, "{}-{}-{}", self.selector, a.escape_ascii(), b.escape_ascii())
    }
}

impl Selector {
    /// The selector of these three characters.
    ///
    /// # Errors
    /// [`InvalidCode`] if one is outside the alphabet.
    pub fn from_bytes(bytes: [u8; 3]) -> Result<Self, InvalidCode> {
        if bytes.iter().all(|c| ALPHABET.contains(c)) { Ok(Self(bytes)) } else { Err(InvalidCode) }
    }

    /// The three characters.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 3] {
        &self.0
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl Password {
    /// The password of these six characters.
    ///
    /// # Errors
    /// [`InvalidCode`] if one is outside the alphabet.
    pub fn from_bytes(bytes: [u8; 6]) -> Result<Self, InvalidCode> {
        if bytes.iter().all(|c| ALPHABET.contains(c)) { Ok(Self(bytes)) } else { Err(InvalidCode) }
    }

    /// The six characters.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 6] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn codes_are_read_as_people_write_them() {
        let code: PairingCode = "ABC-DEF-GH2".parse().unwrap();
        for same in ["abc-def-gh2", "abcdefgh2", " AbC DeF gH2 "] {
            assert_eq!(same.parse::<PairingCode>().unwrap(), code);
        }
        assert_eq!(code.to_string(), "ABC-DEF-GH2");
        for bad in ["", "ABC-DEF-GH", "ABC-DEF-GH22", "ABC-DEF-GH0", "ABC-DEF-GHI", "ÄBC-DEF-GH2"] {
            assert_eq!(bad.parse::<PairingCode>(), Err(InvalidCode), "{bad}");
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let code: PairingCode = "ABC-DEF-GH2".parse().unwrap();
        assert!(!format!("{code:?}").contains("DEF"));
    }

    #[test]
    fn every_character_comes_up_equally_often() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut counts = [0_i32; 256];
        for _ in 0..10_000 {
            let code = PairingCode::generate(&mut rng);
            for byte in code.selector.0.iter().chain(&code.password.0) {
                counts[usize::from(*byte)] += 1;
            }
        }
        // 90 000 draws over 31: expected 2903, standard deviation 53.
        assert!(ALPHABET.iter().all(|c| (counts[usize::from(*c)] - 2903).abs() < 6 * 53));
    }
}
