//! How far a wearable is with an image: what of it is told to watchers, and when; and when an image that it could not take at
//! its time is offered again. A value; it knows no store and no watcher.

use std::time::Duration;

use protocol::{firmware::FirmwareStatus, image::Refusal, time::Monotonic};

/// Shortest time between two things that are told of a wearable's update.
const PACE: Duration = Duration::from_secs(1);
/// How long after a wearable could not take an image now it is offered again.
const OFFER_AGAIN: Duration = Duration::from_secs(10 * 60);

/// The last update that a wearable heard of.
#[derive(Debug, Default)]
pub(super) struct Update {
    newest: Option<FirmwareStatus>,
    /// What watchers were told last, and when.
    told: Option<(FirmwareStatus, Monotonic)>,
    /// The version that it could not take at that time, and since when or since the last offer.
    put_off: Option<(u32, Monotonic)>,
}

impl Update {
    /// How far it is.
    pub(super) const fn newest(&self) -> Option<FirmwareStatus> {
        self.newest
    }

    /// The wearable says how far it is; `None`: it knows of no update.
    pub(super) fn hear(&mut self, update: Option<FirmwareStatus>, now: Monotonic) {
        self.newest = update;
        let Some(FirmwareStatus { version, refusal, .. }) = update else { return };
        let is_put_off = matches!(refusal, Some(Refusal::BATTERY | Refusal::BUSY));
        match self.put_off {
            Some((known, _)) if known == version && !is_put_off => self.put_off = None,
            Some((known, _)) if known == version => {}
            _ if is_put_off => self.put_off = Some((version, now)),
            _ => {}
        }
    }

    /// Whether an image is to be offered again now.
    pub(super) fn poll_offer(&mut self, now: Monotonic) -> bool {
        let due = self.put_off.as_mut().filter(|(_, since)| now.since(*since) >= OFFER_AGAIN);
        due.map(|(_, since)| *since = now).is_some()
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
            update.hear(Some(received(ms)), Monotonic(ms.into()));
            told.extend(update.poll_news(Monotonic(ms.into())).map(|news| news.received));
        }
        assert_eq!(told, [0, 1_000, 2_000]);
        assert_eq!(update.poll_news(Monotonic(2_999)), None);
        assert_eq!(update.poll_news(Monotonic(3_000)), Some(received(2_499)));
        update.hear(Some(received(2_499)), Monotonic(9_000));
        assert_eq!(update.poll_news(Monotonic(9_000)), None, "nothing changed");
    }

    #[test]
    fn an_image_that_could_not_be_taken_at_its_time_is_offered_again_every_ten_minutes() {
        let refused = |version, refusal| {
            Some(FirmwareStatus {
                state: UpdateState::REFUSED,
                version,
                received: 0,
                length: 0,
                refusal: Some(refusal),
            })
        };
        let (minute, mut update) = (60_000, Update::default());
        update.hear(refused(3, Refusal::BUSY), Monotonic(0));
        update.hear(refused(3, Refusal::BUSY), Monotonic(5 * minute));
        // What it was busy with.
        update.hear(
            Some(FirmwareStatus { state: UpdateState::CONFIRMED, ..received(0) }),
            Monotonic(6 * minute),
        );
        assert!(!update.poll_offer(Monotonic(10 * minute - 1)));
        assert!(update.poll_offer(Monotonic(10 * minute)));
        assert!(!update.poll_offer(Monotonic(11 * minute)));
        assert!(update.poll_offer(Monotonic(20 * minute)));
        update.hear(refused(3, Refusal::OTHER_MAKER), Monotonic(20 * minute));
        assert!(!update.poll_offer(Monotonic(99 * minute)), "no other time is better");
    }
}
