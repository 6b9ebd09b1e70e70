//! Time as a value. Nothing here reads a clock: every entry point of the protocol is given `now`.

use core::{fmt, ops::Add, time::Duration};

use serde::{Deserialize, Serialize};

/// Wall-clock time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The distance between two times, whichever is earlier.
    #[must_use]
    pub const fn abs_diff(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for UnixMillis {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

/// Milliseconds on a clock that never goes back; its zero has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

/// What both clocks of this machine say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For timestamps that leave the machine; may be set by a person, so it may jump.
    pub wall: UnixMillis,
    /// For timeouts.
    pub mono: Monotonic,
}

/// How far a client trusts its own wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockFlag {
    /// It has none (a wearable after a reset): its timestamp is not judged.
    None,
    /// It has one that nothing has confirmed since the last reset.
    Unsynced,
    /// It is set by a trusted source.
    Synced,
}

/// A duration as a person reads it: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`.
#[derive(Debug, Clone, Copy)]
pub struct Readable(pub Duration);

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..10 => write!(f, "{}.{} s", seconds, self.0.subsec_millis() / 100),
            10..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds / 60),
            7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} d", seconds / 86_400),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn durations_read_like_a_person_says_them() {
        let said =
            [(412, "0.4 s"), (12_900, "12 s"), (185_000, "3 min"), (7_200_000, "2 h"), (200_000_000, "2 d")];
        for (ms, text) in said {
            assert_eq!(Readable(Duration::from_millis(ms)).to_string(), text);
        }
    }
}
