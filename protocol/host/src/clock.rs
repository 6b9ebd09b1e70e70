//! The one place that reads the clocks of the machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::time::{Monotonic, Now, UnixMillis};

/// Both clocks of this machine. Copies agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting monotonic time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one real clock")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// What the clocks say.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one real clock")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            wall: UnixMillis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
            mono: Monotonic(u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Monotonic time as exactly as the machine has it, to measure with.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
