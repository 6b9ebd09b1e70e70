//! Power cuts at every write and erase, whole and torn: a device is in its old state or tries the new binding again, never
//! in none; a sample that was taken arrives.

use std::time::Duration;

use wearable_core::{
    device::Event,
    flash::ram::Cut,
    mode::{Link, Mode, Switch},
};

use crate::world::World;

const MOMENT: Duration = Duration::from_secs(30);

/// Every operation of a piece of life, cut off before it and in its middle.
fn cuts(life: impl Fn(&mut World), start: impl Fn() -> World) -> impl Iterator<Item = Cut> {
    let mut world = start();
    let from = world.flash.borrow().operations();
    life(&mut world);
    let to = world.flash.borrow().operations();
    assert!(to > from);
    (from..to).flat_map(|operation| {
        [Cut::Before(operation), Cut::Within(operation, 0), Cut::Within(operation, 130)]
    })
}

#[test]
fn power_cut_at_every_write_of_a_first_pairing_leaves_nothing_or_a_binding() {
    let pair = |world: &mut World| {
        if let Some(code) = world.open_window() {
            world.enter_at_gateway(0, code);
            world.run_until(MOMENT, |world| !world.has_power() || world.is_online());
            // Refused as long as it is bound to nobody, and without power.
            drop(world.sample());
        }
    };
    let mut seen = [0; 3];
    for cut in cuts(pair, || World::new(100)) {
        let mut world = World::new(100);
        world.cut_power_at(cut);
        pair(&mut world);
        assert!(!world.has_power(), "{cut:?}");
        let found = world.boot();
        assert!(!found.configuration_damaged || found.mode == Mode::Unprovisioned, "{cut:?}");
        match found.mode {
            Mode::Unprovisioned => {
                seen[0] += 1;
                world.run(MOMENT);
                assert!(!world.is_online(), "no keys, no session");
                world.pair();
            }
            Mode::Validating => seen[1] += 1,
            Mode::Working(Link::Connecting) => seen[2] += 1,
            other => panic!("{cut:?}: {other:?}"),
        }
        assert!(world.run_until(MOMENT, World::is_online), "{cut:?}: {:?}", world.events);
        let kept = world.stored_at(0).len() as u64 + world.device().uplink().waiting();
        world.sample_for(2);
        assert_eq!(world.stored_at(0).len() as u64, kept + 2, "{cut:?}");
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}

#[test]
fn power_cut_at_every_write_of_a_new_pairing_leaves_the_old_or_the_new_gateway() {
    let start = || {
        let mut world = World::bound(101);
        world.sample_for(2);
        world.set_network(false);
        world.sample_for(3);
        world.slide(Switch::Configuration);
        world.answers = 1;
        world.set_network(true);
        world
    };
    let pair = |world: &mut World| {
        let code = world.open_window().unwrap();
        world.enter_at_gateway(1, code);
        world.run_until(MOMENT, |world| !world.has_power() || world.stored_at(1).len() == 3);
    };
    let mut gateways = [0; 2];
    for cut in cuts(pair, start) {
        let mut world = start();
        world.cut_power_at(cut);
        pair(&mut world);
        assert!(!world.has_power(), "{cut:?}");
        let found = world.boot();
        assert!(matches!(found.mode, Mode::Validating | Mode::Working(_)), "{cut:?}: {:?}", found.mode);
        if found.mode == Mode::Working(Link::Connecting) {
            let bound = world.device().gateway().unwrap().gateway;
            world.answers =
                world.gateways.iter().position(|gateway| gateway.identity.gateway == bound).unwrap();
        }
        let answers = world.answers;
        gateways[answers] += 1;
        assert!(world.run_until(MOMENT, World::is_online), "{cut:?}: {:?}", world.events);
        world.run(Duration::from_secs(5));
        assert_eq!(world.device().uplink().waiting(), 0, "{cut:?}");
        // Torn in the middle of an acknowledgement a sample may be sent again, to whichever gateway it is now.
        assert_eq!(
            world.stored_at(answers),
            if answers == 0 { &[1, 2, 3, 4, 5][..] } else { &[3, 4, 5] },
            "{cut:?}"
        );
        let first = world.gateways[answers].store.batches.first().unwrap();
        assert_eq!(first.previous, [0; 32], "{cut:?}: no gateway knows what another one was told");
    }
    assert!(gateways.iter().all(|times| *times > 0), "{gateways:?}");
}

#[test]
fn power_cut_at_every_write_of_a_factory_reset_leaves_no_sample_without_its_keys() {
    let start = || {
        let mut world = World::bound(102);
        world.set_network(false);
        world.sample_for(3);
        world.slide(Switch::Configuration);
        world.hold(wearable_core::device::RESET_HOLD);
        world
    };
    let reset = |world: &mut World| {
        let now = world.now();
        world.device().confirm(now);
        world.settle();
    };
    for cut in cuts(reset, start) {
        let mut world = start();
        world.cut_power_at(cut);
        reset(&mut world);
        let found = world.boot();
        let waiting = world.device().uplink().waiting();
        match found.mode {
            Mode::Unprovisioned => assert_eq!(waiting, 0, "{cut:?}"),
            _ => assert_eq!(waiting, 3, "{cut:?}: not begun"),
        }
    }
}

#[test]
fn a_factory_reset_that_the_flash_cut_off_is_ended_before_anybody_pairs() {
    for operation in 0..4 {
        let mut world = World::bound(105);
        world.set_network(false);
        world.sample_for(3);
        world.slide(Switch::Configuration);
        world.hold(wearable_core::device::RESET_HOLD);
        let cut = Cut::Before(world.flash.borrow().operations() + operation);
        world.cut_power_at(cut);
        let now = world.now();
        world.device().confirm(now);
        world.settle();
        // The flash works again, and the device was not switched off.
        assert!(!world.events.contains(&Event::ResetDone), "{cut:?}");
        world.flash.borrow_mut().power_on();
        world.set_network(true);
        world.answers = 1;
        world.pair();
        world.sample_for(2);
        assert!(world.events.contains(&Event::ResetDone), "{cut:?}");
        assert_eq!(world.stored_at(1), [4, 5], "{cut:?}: only what was taken since");
        assert_eq!(world.boot().mode, Mode::Working(Link::Connecting), "{cut:?}: not reset once more");
    }
}

#[test]
fn power_cut_at_every_write_of_a_delivery_loses_no_sample_that_was_taken() {
    let start = || {
        let mut world = World::bound(103);
        world.set_network(false);
        world.sample_for(6);
        world.set_network(true);
        world
    };
    let live = |world: &mut World| {
        for _ in 0..12 {
            let taken = world.device().uplink().taken().0;
            if world.sample().is_err() || !world.has_power() {
                return taken;
            }
            world.run(Duration::from_secs(1));
        }
        world.device().uplink().taken().0
    };
    let all = cuts(
        |world| {
            live(world);
        },
        start,
    );
    for (number, cut) in all.enumerate() {
        let mut world = start();
        world.cut_power_at(cut);
        let taken = live(&mut world);
        assert!(!world.has_power(), "{cut:?}");
        world.boot();
        assert!(world.run_until(MOMENT, World::is_online), "{cut:?}");
        world.sample_for(2);
        world.run(Duration::from_secs(5));
        let stored = world.stored_at(0);
        assert!((1..=taken).all(|seq| stored.contains(&seq)), "{number} {cut:?}: {stored:?} of {taken}");
        assert!(world.heard_by(0).is_sorted(), "{cut:?}");
        assert_eq!(world.device().uplink().waiting(), 0);
        assert!(!world.events.iter().any(|event| matches!(event, Event::Lost(_))), "{cut:?}");
    }
}

#[test]
fn a_device_without_its_own_key_or_with_a_damaged_record_is_unprovisioned() {
    let mut world = World::bound(104);
    for address in [40, 4096 + 40] {
        world.flash.borrow_mut().flip(address, 0x10);
    }
    let found = world.boot();
    assert_eq!((found.mode, found.configuration_damaged), (Mode::Unprovisioned, true));
    world.run(MOMENT);
    assert!(!world.is_online());
    world.pair();
}
