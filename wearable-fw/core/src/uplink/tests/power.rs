//! Power fails at every single write and erase of a long day, at its edge and in its middle.

use super::{
    Step::{self, Batch, Commit, Deliver, LoseAck, Reconnect, Reopen, Take},
    world::World,
    *,
};
use crate::flash::ram::Cut;

/// Taking, sending, acknowledging, lost acknowledgements, restarts, configuration; then an outage until samples are
/// thinned and thinned ones dropped; then the connection again.
fn day() -> Vec<Step> {
    let mut day = vec![Commit];
    day.extend([Take(0); 7]);
    day.extend([Batch, Batch, Deliver, Take(0), Deliver, Take(0), Batch, LoseAck, Commit, Take(1), Reopen]);
    day.extend([Batch, Take(0), Batch, LoseAck, Reconnect, Batch, Deliver, Batch, Deliver, Batch, Deliver]);
    day.extend([Take(0), Batch, Deliver].repeat(12));
    day.extend((0..300).map(|number| Take(u8::from(number % 37 == 0))));
    day.extend([Commit, Batch, Batch, Take(0), Deliver, Reopen, Take(0), Batch, Batch, Batch]);
    day.extend([Deliver, Take(0), Deliver, Batch, Take(0), LoseAck, Take(0), Reconnect]);
    day.extend([Batch, Batch, Deliver, Deliver].repeat(2));
    day
}

/// The undisturbed day does what it is meant to, so that the cuts meet all of it.
#[test]
fn the_day_fills_both_queues() {
    let mut world = World::new();
    day().into_iter().for_each(|step| world.step(step).unwrap());
    let lost = world.uplink.lost();
    let told: u64 = world.gaps.iter().map(|gap| gap.samples).sum();
    assert_eq!(lost, told);
    assert!(world.gaps.windows(2).any(|pair| pair[1].first < pair[0].last), "thinned ones were dropped");
    let (acknowledged, waiting) = (world.uplink.acknowledged(), world.uplink.waiting());
    assert!(acknowledged > Seq(60) && waiting > 0, "{acknowledged:?} {waiting}");
    world.drain();
    world.check();
    assert_eq!(world.gateway.samples.len() as u64 + lost, world.uplink.taken().0);
}

#[test]
fn a_power_cut_at_any_write_or_erase_loses_nothing_that_was_stored() {
    let mut world = World::new();
    let (mut cuts, mut nested) = (0, 0);
    for step in day() {
        let mut whole = world.clone();
        whole.step(step).unwrap();
        for operation in world.flash.operations()..whole.flash.operations() {
            let torn = [0, 90, 170, 255].map(|done| Cut::Within(operation, done));
            for cut in torn.into_iter().chain([Cut::Before(operation)]) {
                let mut after = world.clone();
                assert!(after.step_with_cut(step, cut), "{cut:?}");
                cuts += 1;
                if cuts % 5 == 0 {
                    nested += cut_while_opening(&after);
                }
                after.recover_and_drain();
            }
        }
        world = whole;
    }
    std::println!("{cuts} cuts, {nested} more while the store was opened again");
    assert!(cuts > 5_000 && nested > 300, "{cuts} {nested}");
}

/// Power fails again at every write and erase of the restart.
fn cut_while_opening(world: &World) -> u32 {
    let mut whole = world.clone();
    whole.step(Reopen).unwrap();
    let operations = world.flash.operations()..whole.flash.operations();
    for operation in operations.clone() {
        let mut after = world.clone();
        assert!(after.step_with_cut(Reopen, Cut::Within(operation, 128)));
        after.recover_and_drain();
    }
    operations.count().try_into().unwrap()
}

#[test]
fn a_factory_reset_that_is_cut_off_brings_no_number_back() {
    let mut world = World::new();
    day().into_iter().take(250).for_each(|step| world.step(step).unwrap());
    let taken = world.uplink.taken();
    let operations = {
        let mut whole = world.clone();
        whole.uplink.erase(&mut whole.flash).unwrap();
        world.flash.operations()..whole.flash.operations()
    };
    assert!(operations.clone().count() > 12, "every page is erased");
    for operation in operations {
        for cut in [Cut::Before(operation), Cut::Within(operation, 0), Cut::Within(operation, 128)] {
            let mut cut_off = world.clone();
            cut_off.flash.cut_at(cut);
            cut_off.uplink.erase(&mut cut_off.flash).unwrap_err();
            cut_off.flash.power_on();
            let (mut uplink, _) = reopened(&mut cut_off.flash);
            assert!(uplink.taken() >= taken, "{cut:?}");
            uplink.erase(&mut cut_off.flash).unwrap();
            let (mut uplink, recovery) = reopened(&mut cut_off.flash);
            assert!(uplink.taken() >= taken && recovery.waiting == 0 && recovery.lost == 0, "{cut:?}");
            take(&mut cut_off.flash, &mut uplink, 1);
            assert_eq!(drained(&mut cut_off.flash, &mut uplink), [uplink.taken().0]);
        }
    }
}

/// Nothing is opened again: the device runs on.
#[test]
fn a_write_or_erase_that_fails_once_loses_nothing_and_repeats_nothing() {
    let mut world = World::new();
    for step in day() {
        let mut whole = world.clone();
        whole.step(step).unwrap();
        for operation in world.flash.operations()..whole.flash.operations() {
            let mut after = world.clone();
            assert!(after.step_with_cut(step, Cut::Before(operation)), "{operation}");
            after.must(Take(0));
            after.drain();
            after.check();
        }
        world = whole;
    }
}
