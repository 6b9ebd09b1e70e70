//! How far a wearable is with an image: what of it is told to watchers, and when; and when an image that it could not take at
//! its time is offered again. A value; it knows no store and no watcher.

use std::{collections::VecDeque, time::Duration};

use protocol::{
    firmware::{FirmwareStatus, UpdateState},
    image::Refusal,
    time::Monotonic,
};

/// Shortest time between two times that something is told of a wearable's update.
const PACE: Duration = Duration::from_secs(1);
/// Ends of updates that may wait to be told; of more, the oldest gives way.
const ENDS: usize = 4;
/// How long after a wearable could not take an image now it is offered again.
const OFFER_AGAIN: Duration = Duration::from_secs(10 * 60);

/// The last update that a wearable heard of.
#[derive(Debug, Default)]
pub(super) struct Update {
    newest: Option<FirmwareStatus>,
    /// How updates ended that watchers and the audit were not told yet, the oldest first.
    ends: VecDeque<FirmwareStatus>,
    /// What watchers were told last.
    told: Option<FirmwareStatus>,
    /// When there was something to tell last.
    polled: Option<Monotonic>,
    /// The version that it could not take at that time, and since when or since the last offer.
    put_off: Option<(u32, Monotonic)>,
}

/// Whether an update is over with this.
pub(super) fn is_end(update: &FirmwareStatus) -> bool {
    [UpdateState::CONFIRMED, UpdateState::ROLLED_BACK, UpdateState::REFUSED].contains(&update.state)
}

impl Update {
    /// How far it is.
    pub(super) const fn newest(&self) -> Option<FirmwareStatus> {
        self.newest
    }

    /// The wearable says how far it is; `None`: it knows of no update.
    pub(super) fn hear(&mut self, update: Option<FirmwareStatus>, now: Monotonic) {
        self.newest = update;
        let Some(update) = update else { return };
        if is_end(&update) && self.told != Some(update) && !self.ends.contains(&update) {
            if self.ends.len() == ENDS {
                self.ends.pop_front();
            }
            self.ends.push_back(update);
        }
        let is_put_off = matches!(update.refusal, Some(Refusal::BATTERY | Refusal::BUSY));
        match self.put_off {
            Some((known, _)) if known == update.version && is_put_off => {}
            // It speaks of what kept it from taking this one.
            Some((known, _)) if known > update.version => {}
            _ => self.put_off = is_put_off.then_some((update.version, now)),
        }
    }

    /// What watchers are to be told now: every end, then how far it is. What comes faster gives way to what comes after it;
    /// the last of it is told. It is due again in a second until it is [`Self::told`].
    pub(super) fn poll_news(&mut self, now: Monotonic) -> Vec<FirmwareStatus> {
        if self.polled.is_some_and(|at| now.since(at) < PACE) {
            return Vec::new();
        }
        let mut news: Vec<FirmwareStatus> = self.ends.iter().copied().collect();
        let last = news.last().copied().or(self.told);
        news.extend(self.newest.filter(|newest| last != Some(*newest)));
        if !news.is_empty() {
            self.polled = Some(now);
        }
        news
    }

    /// Watchers are being told this.
    pub(super) fn told(&mut self, news: &[FirmwareStatus]) {
        self.ends.retain(|end| !news.contains(end));
        self.told = news.last().copied().or(self.told);
    }

    /// Whether an image is to be offered again now.
    pub(super) fn poll_offer(&mut self, now: Monotonic) -> bool {
        let due = self.put_off.as_mut().filter(|(_, since)| now.since(*since) >= OFFER_AGAIN);
        due.map(|(_, since)| *since = now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(received: u32) -> FirmwareStatus {
        FirmwareStatus { state: UpdateState::RECEIVING, version: 2, received, length: 9_999, refusal: None }
    }

    fn tell(update: &mut Update, ms: u64) -> Vec<FirmwareStatus> {
        let news = update.poll_news(Monotonic(ms));
        update.told(&news);
        news
    }

    #[test]
    fn of_a_flood_the_newest_is_told_once_a_second_and_the_last_in_any_case() {
        let mut update = Update::default();
        let mut told = Vec::new();
        for ms in 0..2_500 {
            update.hear(Some(received(ms)), Monotonic(ms.into()));
            told.extend(tell(&mut update, ms.into()).iter().map(|news| news.received));
        }
        assert_eq!(told, [0, 1_000, 2_000]);
        assert_eq!(tell(&mut update, 2_999), []);
        assert_eq!(tell(&mut update, 3_000), [received(2_499)]);
        update.hear(Some(received(2_499)), Monotonic(9_000));
        assert_eq!(tell(&mut update, 9_000), [], "nothing changed");
    }

    #[test]
    fn an_end_is_told_also_if_the_next_update_has_begun_and_until_it_is() {
        let end = |version| FirmwareStatus { state: UpdateState::ROLLED_BACK, version, ..received(0) };
        let mut update = Update::default();
        update.hear(Some(end(2)), Monotonic(0));
        update.hear(Some(received(7)), Monotonic(0));
        let news = update.poll_news(Monotonic(0));
        assert_eq!(news, [end(2), received(7)]);
        assert_eq!(update.poll_news(Monotonic(1_000)), news, "it could not be written down");
        update.told(&news);
        for version in 0..99 {
            update.hear(Some(end(version)), Monotonic(1_500));
        }
        assert_eq!(tell(&mut update, 2_000), [95, 96, 97, 98].map(end), "a flood of ends has its bound, too");
        assert_eq!(tell(&mut update, 9_000), []);
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
        update.hear(refused(3, Refusal::BATTERY), Monotonic(100 * minute));
        update.hear(Some(FirmwareStatus { version: 4, ..received(0) }), Monotonic(101 * minute));
        assert!(!update.poll_offer(Monotonic(199 * minute)), "it takes a newer one");
    }
}
