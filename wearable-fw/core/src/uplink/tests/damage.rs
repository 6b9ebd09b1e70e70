//! Bits flip anywhere: nothing panics, no number is used twice, what can be read arrives, the rest is counted.

use std::collections::BTreeSet;

use super::{
    Step::{Batch, Deliver, LoseAck, Reopen, Take},
    world::World,
    *,
};

/// Most items on one page: as much as damage at one place may cost.
const PAGE_OF_ITEMS: usize = 6;

fn online() -> World {
    let mut world = World::new();
    let mut steps = [Take(0); 11].to_vec();
    steps.extend([Batch, Deliver, Take(0), Batch, Deliver, Take(1), Batch, LoseAck]);
    steps.into_iter().for_each(|step| world.step(step).unwrap());
    world
}

fn drained() -> World {
    let mut world = online();
    world.drain();
    world
}

fn full() -> World {
    let mut world = online();
    (0..300).for_each(|number| world.step(Take(u8::from(number % 31 == 0))).unwrap());
    world
}

/// `held` is what would arrive without the damage.
fn flipped(world: &World, held: &BTreeSet<u64>, address: usize, bits: u8, what_follows: impl Fn(&mut World)) {
    let taken = world.uplink.taken();
    let mut world = world.clone();
    (world.untold, world.damaged) = (true, true);
    world.flash.flip(address, bits);
    what_follows(&mut world);
    assert!(world.uplink.next_seq() > taken, "a number may be used twice");
    world.must(Take(0));
    world.must(Take(2));
    world.drain();
    let mut newest = world.durable.keys().rev().take(2);
    assert!(newest.all(|seq| world.gateway.samples.contains_key(seq)), "taken after the damage, and gone");
    let gone = held.iter().filter(|seq| !world.gateway.samples.contains_key(seq)).count();
    assert!(gone <= PAGE_OF_ITEMS, "{gone} samples are gone");
    // Its tags say that nothing arrived altered, nothing twice, and that the loss is counted.
    let missing = world.durable.keys().filter(|seq| !world.gateway.samples.contains_key(seq)).count();
    assert!(missing as u64 <= world.uplink.lost(), "{missing} of {}", world.uplink.lost());
    for (seq, tag) in &world.gateway.samples {
        assert_eq!(world.durable.get(seq), Some(tag));
    }
}

fn at_every_byte(world: &World, what_follows: impl Fn(&mut World)) {
    let mut whole = world.clone();
    whole.drain();
    let held = whole.gateway.samples.into_keys().collect();
    for address in LAYOUT.samples.start..LAYOUT.thinned.end {
        // One bit, or all of them.
        let bits = if address % 3 == 0 { 0xff } else { 1 << (address.wrapping_mul(2_654_435_761) >> 29) };
        flipped(world, &held, address as usize, bits, &what_follows);
    }
}

fn restart(world: &mut World) {
    world.must(Reopen);
}

#[test]
fn damage_while_little_waits_costs_at_most_a_page() {
    at_every_byte(&online(), restart);
}

#[test]
fn damage_while_nothing_waits_costs_nothing_but_numbers() {
    at_every_byte(&drained(), restart);
}

#[test]
fn damage_in_a_full_store_costs_at_most_a_page() {
    at_every_byte(&full(), restart);
}

#[test]
fn damage_is_told_at_the_restart() {
    let mut world = online();
    let item = encode_sample(&sample(Seq(10), 10));
    let place = world.flash.bytes().windows(item.len()).position(|bytes| *bytes == item);
    world.flash.flip(place.unwrap(), 4);
    let (uplink, recovery) = reopened(&mut world.flash);
    assert_eq!(recovery.missing, Some(Gap { first: Seq(10), last: Seq(10), samples: 1 }));
    assert_eq!((recovery.lost, uplink.lost(), uplink.taken()), (1, 1, Seq(13)));
}

/// As an update to a firmware with other samples would leave them: every checksum is right.
#[test]
fn a_stored_sample_that_cannot_be_understood_is_lost_and_told_and_holds_nothing_up() {
    let (mut flash, mut uplink) = opened();
    take(&mut flash, &mut uplink, 2);
    // A tag, its number and nothing that belongs to a sample.
    for seq in [3, 4] {
        let Pushed::On(_) = uplink.samples.push(&mut flash, &[0, seq, 0xff, 0xff]).unwrap() else { panic!() };
    }
    uplink.take(&mut flash, &sample(Seq(5), 5)).unwrap();
    let (mut uplink, recovery) = reopened(&mut flash);
    assert_eq!((recovery.waiting, recovery.lost), (5, 0), "their numbers can be read");
    assert_eq!(numbers(&send(&mut flash, &mut uplink)), [[1, 2, 5]]);
    assert_eq!(uplink.poll_unreadable(), Some(Gap { first: Seq(3), last: Seq(4), samples: 2 }));
    assert_eq!((uplink.poll_unreadable(), uplink.waiting(), uplink.lost()), (None, 3, 2));
    let done = uplink.acknowledge(&mut flash, Seq(5)).unwrap();
    assert_eq!((done, uplink.lost()), (Acknowledgement::Advanced { deleted: 3 }, 2));
    assert_eq!(reopened(&mut flash).0.lost(), 2);
}

#[test]
fn with_every_mark_destroyed_numbers_go_on_behind_the_reserved_ones() {
    for steps in [[Take(0)].repeat(20), [Take(0), Batch, Deliver].repeat(20)] {
        let mut world = World::new();
        let reserved = world.uplink.reserve();
        steps.into_iter().for_each(|step| world.step(step).unwrap());
        let (taken, waiting) = (world.uplink.taken(), world.uplink.waiting());
        // All that is left is what stands in the configuration.
        for address in LAYOUT.samples.start..LAYOUT.thinned.end {
            let byte = world.flash.bytes()[address as usize];
            world.flash.flip(address as usize, !byte);
        }
        let (mut uplink, recovery) = Uplink::open(&mut world.flash, &LAYOUT, LIMITS, reserved).unwrap();
        assert!(uplink.taken() >= reserved && reserved > taken, "{waiting}");
        assert_eq!((recovery.waiting, recovery.lost), (0, 0), "nobody knows what was lost");
        take(&mut world.flash, &mut uplink, 1);
        assert_eq!(super::drained(&mut world.flash, &mut uplink), [reserved.0 + 1]);
    }
}

#[test]
fn an_old_mark_that_came_back_brings_no_number_back() {
    let (mut flash, mut uplink) = opened();
    let old = flash.clone();
    take(&mut flash, &mut uplink, 9);
    let reserved = Seq(uplink.taken().0 + 2 * RESERVE);
    flash = old;
    let (uplink, recovery) = Uplink::open(&mut flash, &LAYOUT, LIMITS, reserved).unwrap();
    assert_eq!(uplink.next_seq(), Seq(reserved.0 + 1));
    assert_eq!(recovery.skipped, Some(Gap { first: Seq(1), last: reserved, samples: reserved.0 }));
}

/// Without a restart the store may have to be opened again, but it never panics and never sends anything wrong.
#[test]
fn damage_while_the_store_is_open_is_survived() {
    at_every_byte(&online(), |world| world.must(Batch));
}

/// More than one damage at once may cost a whole queue, but the store goes on with what is taken from then on.
#[test]
fn damage_at_many_places_never_stops_the_store() {
    let (online, full) = (online(), full());
    let mut seed = 1_u32;
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % below
    };
    for round in 0..2_000 {
        let mut flash = if round % 2 == 0 { &online } else { &full }.flash.clone();
        for _ in 0..2 + random(6) {
            let page = LAYOUT.samples.start + 256 * random(12);
            // Every other one hits a page marker.
            let offset = [random(4), 252 + random(4), random(256), random(256)][random(4) as usize];
            flash.flip((page + offset) as usize, [0xff, 0xf0, 1 << random(8)][random(3) as usize]);
        }
        let (mut uplink, _) = reopened(&mut flash);
        let gaps = take(&mut flash, &mut uplink, 3);
        assert_eq!(
            super::drained(&mut flash, &mut uplink).last(),
            Some(&uplink.taken().0),
            "{round} {gaps:?}"
        );
        assert!(reopened(&mut flash).0.taken() >= uplink.taken());
    }
}
