//! Whom a device believes: only the gateway that it is bound to, only in a session. Everybody else changes nothing.

use std::time::Duration;

use protocol::{
    credential::{ClientIdentity, LoginKey},
    error::{Fault, Refusal},
    frame,
    opcode::Opcode,
    time::UnixMillis,
    vitals::Sample,
};
use rand_chacha::rand_core::SeedableRng;
use wearable_core::{
    device::Event,
    mode::{Link, Mode, Switch},
};

use crate::world::{World, now_at};

const MOMENT: Duration = Duration::from_secs(30);
const REFUSED_WAIT: Duration = Duration::from_secs(60);

fn was_told(world: &World, text: &str) -> bool {
    world.events.iter().any(|event| matches!(event, Event::Refused(why) if why.contains(text)))
}

#[test]
fn a_second_gateway_gets_nothing_and_the_first_gets_everything() {
    let mut world = World::bound(21);
    world.set_network(false);
    world.answers = 1;
    world.set_network(true);
    world.sample_for(5);
    assert_eq!(world.mode(), Mode::Working(Link::Offline));
    assert!(was_told(&world, "NOT the gateway that you paired with"));
    assert!(world.device().refusal().is_some());
    let dials = world.dials;
    world.sample_for(30);
    assert_eq!((world.dials, world.gateways[1].store.batches.len()), (dials, 0), "it holds back");
    world.answers = 0;
    assert!(world.run_until(REFUSED_WAIT, World::is_online));
    assert_eq!(world.device().refusal(), None);
    world.run(MOMENT);
    assert_eq!(world.stored_at(0), (1..=35).collect::<Vec<u64>>());
}

#[test]
fn a_second_device_with_the_same_identity_is_refused_by_the_gateway() {
    let mut world = World::bound(22);
    // Another device that says it has this identity: it has not this key.
    let other = LoginKey::Ed25519(crypto::identity::SigningKey::generate(
        &mut rand_chacha::ChaCha20Rng::seed_from_u64(5),
    ));
    let (id, now) = (world.id(), now_at(world.time));
    world.set_network(false);
    world.gateways[0].enrol(&ClientIdentity { id, login: other, receipts: None }, now);
    world.boot();
    world.set_network(true);
    world.sample_for(5);
    assert!(!world.is_online() && was_told(&world, "not paired (any more)"));
    assert!(world.gateways[0].store.refusals.contains(&Fault::DeniedKey));
    assert_eq!((world.gateways[0].store.batches.len(), world.device().uplink().waiting()), (0, 5));
    assert!(world.device().gateway().is_some(), "nobody vouches for the refusal: the binding stays");
}

#[test]
fn what_a_stranger_says_before_a_login_changes_nothing() {
    let refusals = [
        Refusal::NotPaired,
        Refusal::OtherGateway,
        Refusal::Suite,
        Refusal::Protocol,
        Refusal::Version { supported: 9 },
        Refusal::Clock { client: UnixMillis(0), gateway: UnixMillis(u64::MAX), tolerance_ms: 1 },
        Refusal::Busy,
        Refusal::Storage,
    ];
    for (at, refusal) in (30..).zip(refusals) {
        let mut world = World::bound(at);
        let now = world.now();
        let wall = world.device().wall(now).unwrap();
        world.set_network(false);
        world.stranger = Some(error_frame(&refusal));
        world.set_network(true);
        world.sample_for(3);
        assert_eq!(world.mode(), Mode::Working(Link::Offline), "{refusal:?}");
        let now = world.now();
        assert_eq!(world.device().wall(now), Some(UnixMillis(wall.0 + 3_000)), "{refusal:?}");
        assert_eq!(world.device().uplink().waiting(), 3);
        world.stranger = None;
        assert!(world.run_until(REFUSED_WAIT * 2, World::is_online), "{refusal:?}");
        world.run(MOMENT);
        assert_eq!(world.stored_at(0), [1, 2, 3]);
    }
}

/// ERROR is in clear: anybody can make one.
fn error_frame(refusal: &Refusal) -> Vec<u8> {
    frame::encode(Opcode::Error, &postcard::to_allocvec(refusal).unwrap())
}

#[test]
fn garbage_and_half_frames_are_survived() {
    for (seed, said) in (40..).zip([&[0xff; 300][..], &[0; 3], b"HTTP/1.1 400 Bad Request\r\n\r\n", &[]]) {
        let mut world = World::bound(seed);
        world.set_network(false);
        world.stranger = Some(said.to_vec());
        world.set_network(true);
        world.sample_for(40);
        assert!(!world.is_online());
        world.stranger = None;
        assert!(world.run_until(REFUSED_WAIT, World::is_online), "{said:?}");
    }
}

#[test]
fn only_the_gateways_own_word_in_a_session_ends_a_binding() {
    let mut world = World::bound(23);
    world.sample_for(2);
    let (id, now) = (world.id(), now_at(world.time));
    world.gateways[0].revoke(&id, now, &mut world.rng);
    world.run(Duration::from_secs(1));
    assert_eq!((world.mode(), world.device().gateway().is_none()), (Mode::Unprovisioned, true));
    assert!(was_told(&world, "revoked"));
    assert_eq!(world.boot().mode, Mode::Unprovisioned);
    let dials = world.dials;
    world.run(MOMENT);
    assert_eq!(world.dials, dials);
}

#[test]
fn samples_that_a_revoked_device_still_has_wait_for_the_next_binding() {
    let mut world = World::bound(24);
    let taken = world.sample();
    assert_eq!(taken, Ok(None));
    // The sample is on the way when the gateway revokes.
    let (id, now) = (world.id(), now_at(world.time));
    world.gateways[0].store.rows.clear();
    world.gateways[0].revoke(&id, now, &mut world.rng);
    world.run(Duration::from_secs(1));
    assert_eq!(world.mode(), Mode::Unprovisioned);
    let waiting = world.device().uplink().waiting();
    world.answers = 1;
    world.pair();
    world.run(MOMENT);
    assert_eq!(world.stored_at(1).len() as u64, waiting);
}

fn samples(world: &World) -> Vec<&Sample> {
    world.gateways[0].store.batches.iter().flat_map(|batch| &batch.samples).collect()
}

#[test]
fn a_boot_that_never_learnt_the_time_dates_nothing() {
    let mut world = World::bound(25);
    world.sample_for(1);
    world.set_network(false);
    world.boot();
    world.sample_for(2);
    let now = world.now();
    assert_eq!(world.device().wall(now), None);
    world.boot();
    world.sample_for(1);
    world.set_network(true);
    assert!(world.run_until(MOMENT, World::is_online));
    world.sample_for(1);
    let dated: Vec<bool> = samples(&world).iter().map(|sample| sample.taken.wall.is_some()).collect();
    assert_eq!(dated[..4], [true, false, false, false]);
    assert_eq!(dated.last(), Some(&true));
    let boots: std::collections::BTreeSet<_> = samples(&world).iter().map(|sample| sample.boot).collect();
    assert_eq!(boots.len(), 3, "each start has its number");
}

#[test]
fn a_gateway_that_lost_its_clock_is_not_believed() {
    let mut world = World::bound(26);
    let now = world.now();
    assert!(world.device().wall(now).is_some());
    // The next boot has nothing but the floor on flash; the gateway is a year behind.
    world.set_network(false);
    world.gateways[0].crash();
    world.boot();
    world.wall_skew_ms = -365 * 24 * 3_600_000;
    let at = world.gateway_now();
    world.gateways[0].start(at, &mut world.rng);
    world.set_network(true);
    assert!(world.run_until(MOMENT, World::is_online), "{:?}", world.events);
    assert!(was_told(&world, "check the gateway's clock"));
    let now = world.now();
    assert_eq!(world.device().wall(now), None);
}

#[test]
fn a_gateway_that_ran_ahead_leaves_no_wrong_time_and_a_new_pairing_takes_the_right_one() {
    const DAY: i64 = 24 * 3_600_000;
    let mut world = World::new(28);
    world.wall_skew_ms = 40 * DAY;
    world.pair();
    let now = world.now();
    assert_eq!(world.device().wall(now).unwrap().abs_diff(world.gateway_now().wall).as_secs(), 0);
    // Its clock is set right.
    world.set_network(false);
    world.wall_skew_ms = 0;
    world.set_network(true);
    assert!(world.run_until(REFUSED_WAIT * 3, World::is_online), "{:?}", world.events);
    assert!(was_told(&world, "pair this device again"));
    world.sample_for(3);
    world.run(MOMENT);
    assert!(samples(&world).iter().rev().take(3).all(|sample| sample.taken.wall.is_none()));
    world.slide(Switch::Configuration);
    world.pair();
    let now = world.now();
    assert!(world.device().wall(now).unwrap().abs_diff(world.gateway_now().wall) < Duration::from_secs(1));
    // It stays so over a restart.
    world.boot();
    assert!(world.run_until(MOMENT, World::is_online));
    let now = world.now();
    assert!(world.device().wall(now).is_some());
}

#[test]
fn a_device_whose_clock_is_refused_learns_the_time_anew() {
    let mut world = World::bound(27);
    world.set_network(false);
    world.wall_skew_ms = 120_000;
    world.set_network(true);
    world.run(MOMENT);
    // The ticket or the login states the old time: refused. The next one states none.
    assert!(world.run_until(REFUSED_WAIT * 2, World::is_online));
    let (now, right) = (world.now(), world.gateway_now().wall);
    assert!(world.device().wall(now).unwrap().abs_diff(right) < Duration::from_secs(1));
}
