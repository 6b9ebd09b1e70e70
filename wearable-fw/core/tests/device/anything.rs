//! Anything in any order: people, strangers, a bad network, power. Whatever comes, a device takes only edges of the table,
//! keeps what it took, and finds back to its gateway.

use std::{collections::BTreeSet, time::Duration};

use protocol::pairing::code::PairingCode;
use rand_chacha::rand_core::Rng;
use wearable_core::{
    device::Event,
    flash::ram::Cut,
    mode::{EDGES, Mode, Switch},
};

use crate::world::World;

const MOMENT: Duration = Duration::from_secs(90);

fn below(world: &mut World, bound: u64) -> u64 {
    world.rng.next_u64() % bound
}

fn act(world: &mut World) {
    let now = world.now();
    match below(world, 17) {
        0 => world.hold(Duration::from_millis(300)),
        1 => world.hold(Duration::from_secs(3)),
        2 => {
            world.hold(Duration::from_secs(11));
            world.hold(Duration::from_millis(100));
        }
        3 => world.slide(Switch::Working),
        4 => world.slide(Switch::Configuration),
        5 => {
            let code = PairingCode::generate(&mut world.rng);
            world.device().enter_code(code, now);
        }
        6 | 7 => {
            if let Some(code) = world.device().code().or_else(|| world.open_window()) {
                world.enter_at_gateway(world.answers, code);
            }
        }
        8 => world.set_network(!world.network),
        9 => world.answers = 1 - world.answers,
        10 => {
            let ahead = below(world, 12);
            let operation = world.flash.borrow().operations() + ahead;
            world.cut_power_at(Cut::Within(operation, 77));
        }
        11 => {
            world.boot();
        }
        12 => {
            let mut noise = vec![0; 200];
            world.rng.fill_bytes(&mut noise);
            noise.truncate(usize::try_from(below(world, 200)).unwrap());
            world.device().handle_bytes(&noise, now);
        }
        13 => {
            world.device().handle_connected(now);
            world.device().handle_closed(now);
        }
        14 => world.device().retry(now),
        15 => {
            let (id, now) = (world.id(), world.gateway_now());
            world.gateways[world.answers].revoke(&id, now, &mut world.rng);
        }
        _ => world.cut_one_in = below(world, 12),
    }
}

#[test]
fn whatever_happens_only_edges_of_the_table_are_taken_and_a_person_can_always_pair() {
    let mut taken = BTreeSet::new();
    for seed in 300..340 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            act(&mut world);
            if !world.has_power() {
                world.boot();
            }
            // Refused while it is nobody's, lost with the power: both are told.
            drop(world.sample());
            let longest = [60, 300, 5_000, 5_000, 700_000][usize::try_from(below(&mut world, 5)).unwrap()];
            let pause = Duration::from_millis(below(&mut world, longest));
            world.run(pause);
            if !world.has_power() {
                world.boot();
            }
        }
        for event in &world.events {
            if let Event::Mode { from, to } = event {
                assert!(EDGES.iter().any(|(a, _, b)| (a, b) == (from, to)), "seed {seed}: {from} to {to}");
                taken.insert(format!("{from} to {to}"));
            }
        }
        // A person resets it and pairs it on a good day.
        world.cut_one_in = 0;
        world.boot();
        world.set_network(true);
        world.slide(Switch::Configuration);
        world.hold(Duration::from_secs(11));
        world.hold(Duration::from_millis(100));
        assert_eq!(world.mode(), Mode::Unprovisioned, "seed {seed}");
        world.pair();
        world.sample_for(3);
        assert!(world.run_until(MOMENT, |world| world.stored_at(world.answers).len() >= 3), "seed {seed}");
    }
    let legal: BTreeSet<String> = EDGES
        .iter()
        .filter(|(from, _, to)| from != to)
        .map(|(from, _, to)| format!("{from} to {to}"))
        .collect();
    let missing: Vec<_> = legal.difference(&taken).collect();
    assert!(missing.len() <= 6, "hardly anything happened, not: {missing:?}");
}
