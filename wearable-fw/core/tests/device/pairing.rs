//! How a device gets to know its gateway, and what it does not do without a person beside it.

use std::time::Duration;

use protocol::{
    credential::Suite,
    error::{Fault, Refusal},
    id::ClientId,
    pairing::network::NetworkCredentials,
};
use wearable_core::{
    device::{Event, HOLD, RESET_HOLD, RESET_QUESTION, RecordError, TRIES, VALIDATION_LIMIT, WINDOW},
    mode::{Link, Mode, Switch},
};

use crate::world::World;

const MOMENT: Duration = Duration::from_secs(30);

fn states(world: &World) -> Vec<Mode> {
    let changes = world.events.iter().filter_map(|event| match event {
        Event::Mode { to, .. } => Some(*to),
        _ => None,
    });
    changes.collect()
}

fn was_told(world: &World, text: &str) -> bool {
    world.events.iter().any(|event| matches!(event, Event::Refused(why) if why.contains(text)))
}

#[test]
fn a_held_button_and_a_code_bind_a_device_and_its_samples_arrive() {
    let mut world = World::new(1);
    assert_eq!(world.mode(), Mode::Unprovisioned);
    assert!(matches!(world.sample(), Err(RecordError::NotBound)));
    let code = world.open_window().unwrap();
    assert_eq!(world.mode(), Mode::PairingOpen);
    assert!(world.events.contains(&Event::Code(code)));
    world.enter_at_gateway(0, code);
    assert!(world.run_until(MOMENT, World::is_online));
    assert_eq!(states(&world), [Mode::PairingOpen, Mode::Validating, Mode::Working(Link::Online)]);
    world.sample_for(5);
    assert_eq!(world.stored_at(0), [1, 2, 3, 4, 5]);
    assert_eq!(world.device().uplink().waiting(), 0);
    assert_eq!(world.boot().mode, Mode::Working(Link::Connecting), "the binding is committed");
}

#[test]
fn the_gateways_code_is_taken_in_an_open_window_only() {
    let mut world = World::new(2);
    let code = world.offer(0);
    let now = world.now();
    world.device().enter_code(code, now);
    world.run(MOMENT);
    assert_eq!((world.mode(), world.dials), (Mode::Unprovisioned, 0));
    assert!(was_told(&world, "no pairing window is open"));
    world.open_window();
    let now = world.now();
    world.device().enter_code(code, now);
    assert!(world.run_until(MOMENT, World::is_online));
}

#[test]
fn a_code_may_come_over_a_short_range_channel() {
    let mut world = World::new(3);
    let code = world.offer(0);
    world.near.borrow_mut().code = Some(code);
    world.open_window();
    assert!(world.run_until(MOMENT, World::is_online));
}

#[test]
fn a_device_logs_in_with_what_its_board_offers() {
    for suites in [vec![Suite::Wearable], vec![Suite::Ascon], vec![Suite::Hybrid, Suite::Wearable]] {
        let mut world = World::new(16);
        world.suites.clone_from(&suites);
        world.boot();
        world.pair();
        let session = world.events.iter().find_map(|event| match event {
            Event::Session { suite, .. } => Some(*suite),
            _ => None,
        });
        assert_eq!(session, suites.first().copied());
        world.sample_for(2);
        assert_eq!(world.stored_at(0), [1, 2]);
    }
}

#[test]
fn no_window_opens_by_a_short_press_or_with_nobody_near() {
    let mut world = World::new(4);
    world.hold(HOLD - Duration::from_millis(1));
    assert_eq!((world.mode(), world.device().code()), (Mode::Unprovisioned, None));
    world.near.borrow_mut().near = false;
    world.hold(HOLD);
    assert_eq!((world.mode(), world.device().code()), (Mode::Unprovisioned, None));
    assert!(was_told(&world, "nobody is near"));
    world.run(MOMENT);
    assert_eq!(world.dials, 0, "a device that is nobody's does not even call");
}

#[test]
fn a_window_without_a_code_at_the_gateway_closes_after_ten_minutes() {
    let mut world = World::new(5);
    world.open_window();
    world.run(WINDOW - Duration::from_secs(1));
    assert_eq!(world.mode(), Mode::PairingOpen);
    world.run(Duration::from_secs(2));
    assert_eq!((world.mode(), world.device().code()), (Mode::Error, None));
    let dials = world.dials;
    world.run(MOMENT);
    assert_eq!(world.dials, dials);
    // A person may try again at once.
    world.pair();
}

#[test]
fn whoever_answers_with_a_wrong_code_gets_three_guesses() {
    let mut world = World::new(6);
    let shown = world.open_window().unwrap();
    // The same public part, another secret part.
    let mut wrong = world.offer(0);
    wrong.selector = shown.selector;
    world.enter_at_gateway(0, wrong);
    assert!(world.run_until(MOMENT, |world| world.mode() == Mode::Error));
    let guesses = world.gateways[0]
        .store
        .refusals
        .iter()
        .filter(|fault| matches!(fault, Fault::DeniedCodeWrong { .. }));
    assert_eq!(guesses.count(), usize::from(TRIES));
    assert!(was_told(&world, "another code was entered"));
}

#[test]
fn an_answer_that_breaks_off_is_no_free_guess() {
    let mut world = World::new(7);
    let shown = world.open_window().unwrap();
    let guesses = |world: &World| {
        let wrong = |fault: &&Fault| matches!(fault, Fault::DeniedCodeWrong { .. });
        world.gateways[0].store.refusals.iter().filter(wrong).count()
    };
    while world.mode() == Mode::PairingOpen {
        let mut wrong = world.offer(0);
        wrong.selector = shown.selector;
        world.enter_at_gateway(0, wrong);
        // The guess is checked against what the device confirmed; then the line goes dead before any refusal.
        let before = guesses(&world);
        assert!(world.run_until(MOMENT, |world| guesses(world) > before));
        world.set_network(false);
        world.set_network(true);
        world.run(Duration::from_millis(1));
    }
    assert_eq!((guesses(&world), world.mode()), (TRIES.into(), Mode::Error));
}

#[test]
fn a_bound_device_pairs_again_only_with_the_switch_in_configuration() {
    let mut world = World::bound(8);
    world.hold(HOLD);
    assert!(world.is_online() && was_told(&world, "slide the switch to Configuration"));
    world.slide(Switch::Configuration);
    assert!(world.open_window().is_some());
    assert_eq!(world.mode(), Mode::PairingOpen);
}

#[test]
fn the_old_binding_and_the_samples_stay_until_the_new_gateway_validates() {
    let mut world = World::bound(9);
    world.sample_for(2);
    let old = world.device().gateway().cloned();
    world.set_network(false);
    world.sample_for(3);
    world.slide(Switch::Configuration);
    let code = world.open_window().unwrap();
    world.sample_for(2);
    assert_eq!(world.device().gateway().cloned(), old);
    // Nobody enters the code: the old gateway goes on.
    world.set_network(true);
    world.run(WINDOW);
    assert!(world.run_until(MOMENT, World::is_online));
    assert_eq!(world.stored_at(0), [1, 2, 3, 4, 5, 6, 7]);
    // The clinic's new gateway; the samples taken in between go there.
    world.set_network(false);
    world.sample_for(3);
    world.set_network(true);
    world.answers = 1;
    assert_ne!(world.open_window().unwrap(), code);
    let code = world.device().code().unwrap();
    world.enter_at_gateway(1, code);
    assert!(world.run_until(MOMENT, World::is_online));
    assert_ne!(world.device().gateway().cloned(), old);
    world.run(MOMENT);
    assert_eq!(world.stored_at(1), [8, 9, 10]);
}

#[test]
fn a_binding_that_does_not_prove_itself_is_given_up_for_the_old_one() {
    let mut world = World::bound(10);
    let old = world.device().gateway().cloned();
    world.slide(Switch::Configuration);
    world.answers = 1;
    let code = world.open_window().unwrap();
    world.enter_at_gateway(1, code);
    assert!(world.run_until(MOMENT, |world| world.mode() == Mode::Validating));
    // The new gateway forgets the binding before the login.
    world.set_network(false);
    world.gateways[1].store.pending.clear();
    world.answers = 0;
    world.set_network(true);
    world.run(VALIDATION_LIMIT - Duration::from_secs(5));
    assert_eq!(world.mode(), Mode::Validating);
    assert!(world.run_until(Duration::from_secs(10), World::is_online));
    assert_eq!(world.device().gateway().cloned(), old);
    // The old one proved itself: the other is not tried again.
    assert_eq!(world.boot().mode, Mode::Working(Link::Connecting));
}

#[test]
fn without_an_old_binding_a_person_decides_what_comes_after_a_failed_validation() {
    let mut world = World::new(11);
    let code = world.open_window().unwrap();
    world.enter_at_gateway(0, code);
    assert!(world.run_until(MOMENT, |world| world.mode() == Mode::Validating));
    world.set_network(false);
    world.run(VALIDATION_LIMIT + Duration::from_secs(1));
    assert_eq!(world.mode(), Mode::Error);
    world.set_network(true);
    world.run(MOMENT);
    assert_eq!(world.mode(), Mode::Error);
    world.hold(Duration::from_millis(200));
    assert!(world.run_until(MOMENT, World::is_online), "a short press tries the granted binding again");
}

#[test]
fn the_network_of_the_grant_is_sealed_and_never_shown() {
    let mut world = World::new(12);
    let network =
        NetworkCredentials::new("ward-7".into(), String::from("correct horse battery").into()).unwrap();
    world.gateways[0].network = Some(network.clone());
    assert_eq!(world.device().network(), None);
    world.pair();
    assert_eq!(world.device().network(), Some(&network));
    world.boot();
    assert_eq!(world.device().network(), Some(&network), "kept over a restart");
    let secret = b"correct horse battery";
    let shows = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    assert!(!shows(world.flash.borrow().bytes()), "in clear on flash");
    assert!(!shows(&world.heard), "in clear on the wire");
    let shown = format!("{:?} {:?}", world.device.as_ref().unwrap(), world.events);
    assert!(!shows(shown.as_bytes()), "{shown}");
}

#[test]
fn a_factory_reset_asks_first_and_erases_all_but_the_identity() {
    let mut world = World::bound(13);
    world.set_network(false);
    world.sample_for(4);
    let id = world.device().id();
    // With the switch in Working a long press asks nothing.
    world.hold(RESET_HOLD);
    assert!(!world.events.contains(&Event::ResetAsked));
    world.slide(Switch::Configuration);
    world.hold(RESET_HOLD);
    assert!(world.events.contains(&Event::ResetAsked));
    world.run(RESET_QUESTION + Duration::from_secs(1));
    let now = world.now();
    world.device().confirm(now);
    assert_eq!(world.device().uplink().waiting(), 4, "too late");
    world.hold(RESET_HOLD);
    let now = world.now();
    world.device().confirm(now);
    world.settle();
    assert!(world.events.contains(&Event::ResetDone));
    assert_eq!((world.mode(), world.device().uplink().waiting()), (Mode::Unprovisioned, 0));
    let erased = world.flash.borrow().bytes()[..2 * 4096].iter().all(|byte| *byte == 0xff);
    assert!(erased, "keys stay on flash");
    assert_eq!(world.boot().mode, Mode::Unprovisioned);
    assert_eq!(world.device().id(), id);
    // The numbers go on: the gateway would take old ones for samples that it has.
    world.set_network(true);
    world.pair();
    world.sample_for(2);
    assert_eq!(world.stored_at(0), [5, 6]);
}

#[test]
fn a_short_press_confirms_the_reset_and_moving_the_switch_takes_it_back() {
    let mut world = World::bound(14);
    world.slide(Switch::Configuration);
    world.hold(RESET_HOLD);
    world.slide(Switch::Working);
    world.slide(Switch::Configuration);
    world.hold(Duration::from_millis(100));
    assert!(world.is_online());
    world.hold(RESET_HOLD);
    world.hold(Duration::from_millis(100));
    assert_eq!(world.mode(), Mode::Unprovisioned);
}

#[test]
fn a_patients_place_is_not_taken_by_a_device_that_another_code_was_for() {
    let mut world = World::new(15);
    let code = world.open_window().unwrap();
    let other = ClientId::Wearable(protocol::id::DeviceId::from_random([3; 16]));
    let now = crate::world::now_at(world.time);
    world.gateways[0].offer_code(other, code, false, now);
    world.run(MOMENT);
    assert!(!world.is_online());
    let refusal = Refusal::CodeForAnother.to_string();
    assert!(was_told(&world, &refusal) || was_told(&world, "another code"), "{:?}", world.events);
}
