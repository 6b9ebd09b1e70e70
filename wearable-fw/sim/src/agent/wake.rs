//! What a device wakes up for. Owns the fairness between it: a flood from the network must not keep a device from measuring,
//! nor measuring from being heard.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, sleep},
};

use super::{Order, Speed};
use crate::cable::{Arrival, Cable};

pub(super) enum Wake {
    /// `None`: nobody can give one any more.
    Order(Option<Order>),
    Network(Arrival),
    SampleDue,
    TimeOut,
}

impl Wake {
    /// The first to come; of several that have come, any. May be cancelled.
    pub(super) async fn next(
        orders: &mut mpsc::Receiver<Order>,
        cable: &mut Cable,
        due: Option<Duration>,
        sampling: Option<&mut Sampling>,
    ) -> Self {
        tokio::select! {
            order = orders.recv() => Self::Order(order),
            arrival = cable.next() => Self::Network(arrival),
            () = timed_out(due) => Self::TimeOut,
            () = sample_due(sampling) => Self::SampleDue,
        }
    }
}

/// When the next second is measured.
pub(super) enum Sampling {
    Timed(Interval),
    /// At once.
    Unlimited,
}

impl Sampling {
    pub(super) fn at(speed: Speed) -> Self {
        speed.interval().map_or(Self::Unlimited, |interval| {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Self::Timed(ticks)
        })
    }
}

async fn sample_due(sampling: Option<&mut Sampling>) {
    match sampling {
        Some(Sampling::Timed(ticks)) => _ = ticks.tick().await,
        Some(Sampling::Unlimited) => {}
        None => std::future::pending().await,
    }
}

async fn timed_out(after: Option<Duration>) {
    match after {
        // A timer that is made now is never ready at once.
        Some(Duration::ZERO) => {}
        Some(after) => sleep(after).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_from_the_gateway_keeps_no_device_from_measuring_and_none_from_hearing_its_person() {
        const EACH: usize = 200;
        let (give, mut orders) = mpsc::channel(EACH);
        let mut cable = Cable::flooded(EACH);
        let (mut seen, mut sampling) = ([0; 4], Sampling::Unlimited);
        for _ in 0..EACH {
            give.try_send(crate::act::Act::Retry.into()).unwrap();
            let wake = Wake::next(&mut orders, &mut cable, Some(Duration::ZERO), Some(&mut sampling));
            seen[match wake.await {
                Wake::Order(_) => 0,
                Wake::Network(_) => 1,
                Wake::TimeOut => 2,
                Wake::SampleDue => 3,
            }] += 1;
        }
        // A quarter each, but for chance.
        assert!(seen.iter().all(|times| *times > 10), "{seen:?}");
    }
}
