//! The device's idea of time. It has no clock of its own: it counts milliseconds since its start, and learns the rest from
//! a gateway that proved who it is. Until then its samples carry no wall-clock time; it is never guessed.

use core::{fmt, time::Duration};

use protocol::{
    time::{ClockFlag, Monotonic, Now, UnixMillis},
    vitals::SampleTime,
};
use thiserror::Error;

/// No gateway can be earlier than this firmware (2025-01-01T00:00:00Z): it has lost its own clock.
pub const BUILD_FLOOR: UnixMillis = UnixMillis(1_735_689_600_000);

/// The floor in flash follows the time learnt in steps of this: a page is erased for it at most once a day.
pub const FLOOR_STEP: Duration = Duration::from_secs(24 * 3_600);

/// A gateway's time that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the gateway says {}, but it was {} before; check the gateway's clock. Until it says a later time this device has none. \
     If it was ahead before and is right now, pair this device again.",
    utc(*.said), utc(*.floor)
)]
pub struct BeforeFloor {
    /// What the gateway said.
    pub said: UnixMillis,
    /// The earliest that is believed.
    pub floor: UnixMillis,
}

/// Time since the start, and perhaps of day.
#[derive(Debug, Clone, Copy)]
pub struct DeviceClock {
    booted: Monotonic,
    floor: UnixMillis,
    /// Wall-clock time at the start.
    started: Option<UnixMillis>,
    /// Somebody refused this clock.
    doubted: bool,
}

impl DeviceClock {
    /// Starts counting. `floor`: a time that was certainly reached before, as [`Self::floor_to_keep`] gave it.
    #[must_use]
    pub fn start(floor: UnixMillis, now: Monotonic) -> Self {
        Self { booted: now, floor: floor.max(BUILD_FLOOR), started: None, doubted: false }
    }

    /// Milliseconds since the start.
    #[must_use]
    pub const fn since_boot_ms(&self, now: Monotonic) -> u64 {
        now.0.saturating_sub(self.booted.0)
    }

    /// Takes the time of the gateway's, just heard and verified.
    ///
    /// # Errors
    /// [`BeforeFloor`]: now or before, the gateway's clock was wrong, and nobody knows when. There is no time then.
    pub fn learn(&mut self, said: UnixMillis, now: Monotonic) -> Result<(), BeforeFloor> {
        if said < self.floor {
            self.started = None;
            return Err(BeforeFloor { said, floor: self.floor });
        }
        self.started = Some(UnixMillis(said.0.saturating_sub(self.since_boot_ms(now))));
        self.doubted = false;
        Ok(())
    }

    /// A person vouches for another gateway, or for the same one anew: what an earlier one said counts no more.
    pub const fn forget(&mut self) {
        self.floor = BUILD_FLOOR;
        self.started = None;
    }

    /// Somebody, nobody knows who, refused this clock: the next login states no time, so that one with the pinned gateway
    /// can set it. The clock stays as it is.
    pub const fn doubt(&mut self) {
        self.doubted = true;
    }

    /// Wall-clock time now, once it is known.
    #[must_use]
    pub fn wall(&self, now: Monotonic) -> Option<UnixMillis> {
        self.sample_time(self.since_boot_ms(now)).wall
    }

    /// The time of a sample taken so long after the start: never a guessed one.
    #[must_use]
    pub fn sample_time(&self, since_boot_ms: u64) -> SampleTime {
        let wall = self.started.map(|started| UnixMillis(started.0.saturating_add(since_boot_ms)));
        SampleTime { since_boot_ms, wall }
    }

    /// How far a gateway may judge this device's timestamps.
    #[must_use]
    pub const fn flag(&self) -> ClockFlag {
        if self.started.is_some() && !self.doubted { ClockFlag::Synced } else { ClockFlag::None }
    }

    /// For the protocol: the learnt time, or zero.
    #[must_use]
    pub fn now(&self, now: Monotonic) -> Now {
        Now { wall: self.wall(now).unwrap_or(UnixMillis(0)), mono: now }
    }

    /// The floor for the next boots, when it should be written down again.
    #[must_use]
    pub fn floor_to_keep(&self, now: Monotonic) -> Option<UnixMillis> {
        self.wall(now).filter(|wall| *wall >= self.floor + FLOOR_STEP)
    }

    /// The floor was written down.
    pub fn keep_floor(&mut self, floor: UnixMillis) {
        self.floor = self.floor.max(floor);
    }
}

/// A time as a person reads it. A device knows no time zone.
#[must_use]
pub const fn utc(time: UnixMillis) -> Utc {
    Utc(time)
}

/// See [`utc`].
#[derive(Debug, Clone, Copy)]
pub struct Utc(UnixMillis);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// 10000-01-01T00:00:00Z.
        const END: u64 = 253_402_300_800;
        let seconds = self.0.0 / 1_000;
        if seconds >= END {
            return f.write_str("an impossible time");
        }
        // Years begin in March here, so that a leap day is the last of its year; 1970-01-01 is day 719468 of them.
        let days = seconds / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    const TOLD: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn the_time_is_never_guessed() {
        let mut clock = DeviceClock::start(UnixMillis(0), Monotonic(7_000));
        assert_eq!((clock.flag(), clock.now(Monotonic(7_001)).wall), (ClockFlag::None, UnixMillis(0)));
        assert_eq!(clock.wall(Monotonic(9_000)), None);
        assert!(clock.learn(UnixMillis(1_000), Monotonic(9_000)).is_err(), "1970 is not believed");
        assert_eq!(clock.flag(), ClockFlag::None);
        clock.learn(TOLD, Monotonic(9_000)).unwrap();
        assert_eq!(clock.flag(), ClockFlag::Synced);
        assert_eq!(clock.wall(Monotonic(9_500)), Some(UnixMillis(TOLD.0 + 500)));
        assert_eq!(clock.since_boot_ms(Monotonic(9_500)), 2_500);
    }

    #[test]
    fn time_does_not_fall_below_what_was_seen_in_an_earlier_boot() {
        let mut clock = DeviceClock::start(UnixMillis(0), Monotonic(0));
        clock.learn(TOLD, Monotonic(0)).unwrap();
        let floor = clock.floor_to_keep(Monotonic(1)).unwrap();
        clock.keep_floor(floor);
        assert_eq!(clock.floor_to_keep(Monotonic(60_000)), None, "not at every login");
        let mut next = DeviceClock::start(floor, Monotonic(0));
        let said = UnixMillis(TOLD.0 - 1);
        let refused = next.learn(said, Monotonic(5)).unwrap_err();
        assert_eq!(refused, BeforeFloor { said, floor });
        assert!(refused.to_string().contains("2027-01-15 07:59:59 UTC"), "{refused}");
        assert_eq!(next.wall(Monotonic(6)), None);
    }

    #[test]
    fn a_gateway_that_ran_ahead_and_was_corrected_leaves_no_wrong_time() {
        let mut clock = DeviceClock::start(UnixMillis(0), Monotonic(0));
        clock.learn(TOLD, Monotonic(0)).unwrap();
        clock.keep_floor(clock.floor_to_keep(Monotonic(1)).unwrap());
        let corrected = UnixMillis(TOLD.0 - 3_600_000);
        clock.learn(corrected, Monotonic(5)).unwrap_err();
        assert_eq!((clock.flag(), clock.wall(Monotonic(6))), (ClockFlag::None, None));
        assert_eq!(clock.sample_time(6).wall, None, "no sample is dated by the time that was wrong");
        clock.forget();
        clock.learn(corrected, Monotonic(7)).unwrap();
        assert_eq!(clock.wall(Monotonic(7)), Some(corrected));
    }

    #[test]
    fn a_doubted_clock_is_not_stated_and_not_changed() {
        let mut clock = DeviceClock::start(UnixMillis(0), Monotonic(0));
        clock.learn(TOLD, Monotonic(0)).unwrap();
        clock.doubt();
        assert_eq!((clock.flag(), clock.wall(Monotonic(0))), (ClockFlag::None, Some(TOLD)));
        clock.learn(TOLD, Monotonic(0)).unwrap();
        assert_eq!(clock.flag(), ClockFlag::Synced);
    }

    #[test]
    fn a_time_is_read_as_people_write_it() {
        let said = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_735_689_599_999, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
            (253_402_300_799_999, "9999-12-31 23:59:59 UTC"),
            (253_402_300_800_000, "an impossible time"),
            (u64::MAX, "an impossible time"),
        ];
        for (millis, text) in said {
            assert_eq!(utc(UnixMillis(millis)).to_string(), text);
        }
    }
}
