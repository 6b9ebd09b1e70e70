//! The device's idea of time. Like the board it has no clock of its own: it counts milliseconds since its start, and
//! learns the rest from a gateway that proved who it is. Until then its samples carry no wall-clock time.

use host::Clock;
use protocol::time::{ClockFlag, Now, UnixMillis};

/// A gateway that says an earlier time than this has lost its own clock (2025-01-01T00:00:00Z).
const FLOOR: UnixMillis = UnixMillis(1_735_689_600_000);

/// Time since the start, and perhaps of day.
#[derive(Debug, Clone, Copy)]
pub struct DeviceClock {
    clock: Clock,
    /// Wall-clock time at the start.
    started: Option<UnixMillis>,
}

impl DeviceClock {
    /// Starts counting.
    #[must_use]
    pub fn start() -> Self {
        Self { clock: Clock::start(), started: None }
    }

    /// What counts the milliseconds.
    #[must_use]
    pub const fn host(&self) -> Clock {
        self.clock
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn since_boot_ms(&self) -> u64 {
        self.clock.now().mono.0
    }

    /// Takes the time of the gateway's, just heard and verified.
    pub fn learn(&mut self, gateway: UnixMillis) {
        if gateway >= FLOOR {
            self.started = Some(UnixMillis(gateway.0.saturating_sub(self.since_boot_ms())));
        }
    }

    /// Wall-clock time at a moment of this run, once it is known.
    #[must_use]
    pub fn wall_at(&self, since_boot_ms: u64) -> Option<UnixMillis> {
        self.started.map(|started| UnixMillis(started.0.saturating_add(since_boot_ms)))
    }

    /// Wall-clock time now, once it is known.
    #[must_use]
    pub fn wall(&self) -> Option<UnixMillis> {
        self.wall_at(self.since_boot_ms())
    }

    /// How far a gateway may judge this device's timestamps.
    #[must_use]
    pub const fn flag(&self) -> ClockFlag {
        if self.started.is_some() { ClockFlag::Synced } else { ClockFlag::None }
    }

    /// For the login: the learnt time, or zero.
    #[must_use]
    pub fn now(&self) -> Now {
        let mono = self.clock.now().mono;
        Now { wall: self.wall_at(mono.0).unwrap_or(UnixMillis(0)), mono }
    }
}

/// A time as a person reads it. A device knows no time zone.
#[must_use]
pub fn utc(time: UnixMillis) -> String {
    /// 10000-01-01T00:00:00Z.
    const END: u64 = 253_402_300_800;
    let seconds = time.0 / 1_000;
    if seconds >= END {
        return "an impossible time".into();
    }
    // Years begin in March here, so that a leap day is the last of its year; 1970-01-01 is day 719468 of them.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_never_guessed() {
        let mut clock = DeviceClock::start();
        assert_eq!(
            (clock.flag(), clock.now().wall, clock.wall_at(5)),
            (ClockFlag::None, UnixMillis(0), None)
        );
        clock.learn(UnixMillis(1_000));
        assert_eq!(clock.flag(), ClockFlag::None, "a gateway that starts in 1970 is not believed");
        let told = UnixMillis(1_800_000_000_000);
        clock.learn(told);
        assert_eq!(clock.flag(), ClockFlag::Synced);
        assert!(clock.now().wall >= told && clock.now().wall.since(told).as_secs() < 60);
        let started = clock.wall_at(0).unwrap();
        assert_eq!(clock.wall_at(1_500), Some(UnixMillis(started.0 + 1_500)));
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
            assert_eq!(utc(UnixMillis(millis)), text);
        }
    }
}
