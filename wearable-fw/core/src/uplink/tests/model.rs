//! Any order of events, power cuts among them, against plain vectors.

use proptest::prelude::*;

use super::{Step, world::World, *};
use crate::flash::ram::Cut;

#[derive(Debug, Clone)]
enum Event {
    Step(Step),
    /// So many takes.
    Outage(u8),
    /// Power fails so many writes into a take, a batch, a restart.
    Cut(Step, u8, Option<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..3).prop_map(Step::Take),
        6 => Just(Step::Batch),
        5 => Just(Step::Deliver),
        1 => Just(Step::LoseAck),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Reopen),
        1 => Just(Step::Commit),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => step().prop_map(Event::Step),
        2 => any::<u8>().prop_map(Event::Outage),
        3 => (step(), 0_u8..8, any::<Option<u8>>()).prop_map(|(step, at, done)| Event::Cut(step, at, done)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_was_taken_arrives_or_is_told(events in proptest::collection::vec(event(), 1..250)) {
        let mut world = World::new();
        for event in events {
            match event {
                Event::Step(step) => world.step(step).unwrap(),
                Event::Outage(takes) => (0..takes).for_each(|_| world.step(Step::Take(0)).unwrap()),
                Event::Cut(step, at, done) => {
                    let at = world.flash.operations() + u64::from(at);
                    let cut = done.map_or(Cut::Before(at), |done| Cut::Within(at, done));
                    if world.step_with_cut(step, cut) {
                        world.step(Step::Reopen).unwrap();
                    }
                }
            }
            if world.gaps.is_empty() && world.uplink.lost() == 0 {
                let had = world.uplink.acknowledged().0;
                let waiting: Vec<u64> = world.durable.keys().copied().filter(|seq| *seq > had).collect();
                let mut copy = world.clone();
                let mut arrived = drained(&mut copy.flash, &mut copy.uplink);
                prop_assert_eq!(world.uplink.waiting(), arrived.len() as u64);
                // A sample may be there although power failed before that was said.
                arrived.retain(|seq| world.durable.contains_key(seq));
                prop_assert_eq!(arrived, waiting);
            }
        }
        world.drain();
        world.check();
    }
}
