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

    /// The gateway says that what was learnt is wrong.
    pub const fn forget(&mut self) {
        self.started = None;
    }

    /// Wall-clock time at a moment of this run, once it is known.
    #[must_use]
    pub fn wall_at(&self, since_boot_ms: u64) -> Option<UnixMillis> {
        self.started.map(|started| UnixMillis(started.0.saturating_add(since_boot_ms)))
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
        clock.forget();
        assert_eq!(clock.flag(), ClockFlag::None);
    }
}
