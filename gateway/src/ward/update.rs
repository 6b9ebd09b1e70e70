//! How far a wearable is with an image: what of it is told to watchers, and when. A value; it knows no store and no watcher.

use std::time::Duration;

use protocol::{firmware::FirmwareStatus, time::Monotonic};

/// Shortest time between two things that are told of a wearable's update.
const PACE: Duration = Duration::from_secs(1);

/// The last update that a wearable heard of.
#[derive(Debug, Default)]
pub(super) struct Update {
    newest: Option<FirmwareStatus>,
    /// What watchers were told last, and when.
    told: Option<(FirmwareStatus, Monotonic)>,
}

impl Update {
    /// How far it is.
    pub(super) const fn newest(&self) -> Option<FirmwareStatus> {
        self.newest
    }

    /// The wearable says how far it is; `None`: it knows of no update.
    pub(super) const fn hear(&mut self, update: Option<FirmwareStatus>) {
        self.newest = update;
    }

    /// What watchers are to be told now. What comes faster gives way to what comes after it; the last of it is told.
    pub(super) fn poll_news(&mut self, now: Monotonic) -> Option<FirmwareStatus> {
        let newest = self.newest?;
        if self.told.is_some_and(|(told, at)| told == newest || now.since(at) < PACE) {
            return None;
        }
        self.told = Some((newest, now));
        Some(newest)
    }
}

#[cfg(test)]
mod tests {
    use protocol::firmware::UpdateState;

    use super::*;

    fn received(received: u32) -> FirmwareStatus {
        FirmwareStatus { state: UpdateState::RECEIVING, version: 2, received, length: 9_999, refusal: None }
    }

    #[test]
    fn of_a_flood_the_newest_is_told_once_a_second_and_the_last_in_any_case() {
        let mut update = Update::default();
        let mut told = Vec::new();
        for ms in 0..2_500 {
            update.hear(Some(received(ms)));
            told.extend(update.poll_news(Monotonic(ms.into())).map(|news| news.received));
        }
        assert_eq!(told, [0, 1_000, 2_000]);
        assert_eq!(update.poll_news(Monotonic(2_999)), None);
        assert_eq!(update.poll_news(Monotonic(3_000)), Some(received(2_499)));
        update.hear(Some(received(2_499)));
        assert_eq!(update.poll_news(Monotonic(9_000)), None, "nothing changed");
    }
}
