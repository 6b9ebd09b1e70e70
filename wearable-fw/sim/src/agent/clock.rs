//! The clock of a simulated board: it counts from its start, and may be made to jump ahead.

use std::time::Duration;

use host::Clock;
use protocol::time::Monotonic;

/// A clock that only goes forward.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoardClock {
    clock: Clock,
    ahead: Duration,
}

impl BoardClock {
    pub(super) fn start() -> Self {
        Self { clock: Clock::start(), ahead: Duration::ZERO }
    }

    pub(super) fn now(&self) -> Monotonic {
        self.clock.now().mono + self.ahead
    }

    /// So much time seems to have passed.
    pub(super) fn jump(&mut self, by: Duration) {
        self.ahead = self.ahead.saturating_add(by);
    }

    /// From now until then.
    pub(super) fn until(&self, then: Monotonic) -> Duration {
        then.since(self.now())
    }
}
