//! How often a wearable measures and sends: what it tells ([`Cadence`]), what it may be told ([`Settings`]), and how old a
//! value may grow because of it. It knows no clock.

use core::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest interval that is believed, in milliseconds: a device that measures or sends less often is not being monitored.
const LONGEST_BELIEVED_MS: u32 = 600_000;

/// How often a wearable measures and sends; tells the gateway how old a value may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cadence {
    /// Time between two samples, in milliseconds.
    pub sample_ms: u32,
    /// Time between two uploads, in milliseconds; not longer than `sample_ms` where each sample is sent at once.
    pub upload_ms: u32,
}

impl Cadence {
    /// That of a device which has not told: a sample a second, sent at once.
    pub const UNTOLD: Self = Self { sample_ms: 1_000, upload_ms: 1_000 };

    /// How old the newest sample at the gateway grows by design: until the next one, and until that one's upload where
    /// samples wait for one. Intervals beyond 10 min count as 10 min.
    #[must_use]
    pub fn age_by_design(self) -> Duration {
        let [sample, upload] = [self.sample_ms, self.upload_ms].map(|ms| ms.min(LONGEST_BELIEVED_MS));
        let waits = if upload > sample { upload } else { 0 };
        Duration::from_millis(u64::from(sample) + u64::from(waits))
    }

    /// The age past which a value may no longer be shown: twice the age by design and 10 s.
    #[must_use]
    pub fn age_limit(self) -> Duration {
        self.age_by_design() * 2 + Duration::from_secs(10)
    }
}

/// An interval, or two together, that a wearable cannot be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IntervalError {
    /// Outside the range.
    #[error("an interval is 1s (live) or 30s to 5m")]
    Range,
    /// Uploads without a new sample.
    #[error("the upload interval is not shorter than the sample interval")]
    Order,
}

/// An interval that a wearable can be set to: live (1 s), or 30 s to 5 min.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Interval(u32);

impl Interval {
    /// Once a second.
    pub const LIVE: Self = Self(1_000);
    /// The shortest that is not live.
    pub const SHORTEST: Self = Self(30_000);
    /// The longest.
    pub const LONGEST: Self = Self(300_000);

    /// The interval in milliseconds.
    #[must_use]
    pub const fn millis(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Interval {
    type Error = IntervalError;
    fn try_from(millis: u32) -> Result<Self, IntervalError> {
        let interval = Self(millis);
        let allowed = interval == Self::LIVE || (Self::SHORTEST..=Self::LONGEST).contains(&interval);
        if allowed { Ok(interval) } else { Err(IntervalError::Range) }
    }
}

impl TryFrom<Duration> for Interval {
    type Error = IntervalError;
    fn try_from(duration: Duration) -> Result<Self, IntervalError> {
        u32::try_from(duration.as_millis()).map_err(|_| IntervalError::Range)?.try_into()
    }
}

impl From<Interval> for u32 {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

/// Body of SETTINGS: how often a wearable shall measure and send from now on. The device stores it, obeys, and answers
/// with DEVICE_STATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(Interval, Interval)", into = "(Interval, Interval)")]
pub struct Settings {
    sample: Interval,
    upload: Interval,
}

impl Settings {
    /// A sample a second, sent at once.
    pub const LIVE: Self = Self { sample: Interval::LIVE, upload: Interval::LIVE };

    /// Settings of these intervals.
    ///
    /// # Errors
    /// [`IntervalError::Order`] if uploads would be more frequent than samples.
    pub fn new(sample: Interval, upload: Interval) -> Result<Self, IntervalError> {
        if upload < sample { Err(IntervalError::Order) } else { Ok(Self { sample, upload }) }
    }

    /// What a device that obeys tells.
    #[must_use]
    pub const fn cadence(self) -> Cadence {
        Cadence { sample_ms: self.sample.millis(), upload_ms: self.upload.millis() }
    }
}

impl TryFrom<(Interval, Interval)> for Settings {
    type Error = IntervalError;
    fn try_from((sample, upload): (Interval, Interval)) -> Result<Self, IntervalError> {
        Self::new(sample, upload)
    }
}

impl From<Settings> for (Interval, Interval) {
    fn from(settings: Settings) -> Self {
        (settings.sample, settings.upload)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sample, upload] = [self.sample, self.upload].map(|interval| interval.millis() / 1_000);
        write!(f, "a sample every {sample} s, an upload every {upload} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn settings(sample_ms: u32, upload_ms: u32) -> Result<Settings, IntervalError> {
        Settings::new(sample_ms.try_into()?, upload_ms.try_into()?)
    }

    #[test]
    fn the_age_limit_follows_both_intervals() {
        let limit = |sample_ms, upload_ms| Cadence { sample_ms, upload_ms }.age_limit().as_secs();
        assert_eq!(limit(1_000, 1_000), 12);
        assert_eq!(limit(300_000, 300_000), 610, "each sample is sent at once");
        assert_eq!(limit(1_000, 300_000), 612, "a sample waits for its upload");
        assert_eq!(limit(30_000, 60_000), 190);
        assert_eq!(limit(u32::MAX, u32::MAX), 1_210, "nothing is current for ever");
        assert_eq!(limit(0, 0), 10);
    }

    #[test]
    fn only_live_and_half_a_minute_to_five_can_be_set() {
        for allowed in
            [(1_000, 1_000), (1_000, 30_000), (1_000, 300_000), (30_000, 30_000), (300_000, 300_000)]
        {
            let settings = settings(allowed.0, allowed.1).unwrap();
            assert_eq!(settings.cadence(), Cadence { sample_ms: allowed.0, upload_ms: allowed.1 });
            assert_eq!(codec::decode::<Settings>(&codec::encode(&settings)).unwrap(), settings);
        }
        for (sample, upload) in [(0, 1_000), (999, 1_000), (1_001, 1_001), (29_999, 30_000), (1_000, 300_001)]
        {
            assert_eq!(settings(sample, upload), Err(IntervalError::Range));
            assert!(codec::decode::<Settings>(&codec::encode(&(sample, upload))).is_err());
        }
        assert_eq!(settings(60_000, 30_000), Err(IntervalError::Order));
        assert!(codec::decode::<Settings>(&codec::encode(&(60_000_u32, 30_000_u32))).is_err());
    }
}
