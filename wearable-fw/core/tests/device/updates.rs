//! An update as the device carries it out: offered, fetched between vitals, tried, confirmed by a session.

use std::time::Duration;

use crypto::identity::SigningKey;
use protocol::{
    firmware::{FirmwareChunk, FirmwareOffer, FirmwareRequest, UpdateState},
    image::{Header, Refusal},
    message::Instruction,
    status::Battery,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use wearable_core::{
    device::{BootError, Event, TRIAL_LIMIT, UpdateSetup},
    update::{self, Boot, Layout, Slot, Trust},
};

use crate::world::World;

const PAGE: u32 = 4096;
const MOMENT: Duration = Duration::from_secs(30);

fn maker(seed: u64) -> SigningKey {
    SigningKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn setup() -> UpdateSetup {
    UpdateSetup {
        layout: Layout {
            slots: [16 * PAGE..22 * PAGE, 22 * PAGE..28 * PAGE],
            record: [28 * PAGE..29 * PAGE, 29 * PAGE..30 * PAGE],
        },
        trust: Trust { maker: maker(1).verifying_key(), hardware: "test" },
        running: Slot::A,
    }
}

fn image(version: u32, signer: u64) -> (Vec<u8>, Vec<u8>) {
    let body: Vec<u8> = (0..9_000_u32).map(|at| (at * version % 251) as u8).collect();
    let header = Header::sign(&body, &"test".parse().unwrap(), version, &maker(signer)).unwrap();
    (header.bytes().to_vec(), body)
}

fn world(seed: u64) -> World {
    let (header, body) = image(1, 1);
    World::with_updates(seed, setup(), &[header, body].concat())
}

fn offer(world: &mut World, (header, body): &(Vec<u8>, Vec<u8>)) {
    let length = u32::try_from(body.len()).unwrap();
    let offer = Instruction::Offer(FirmwareOffer { image: 7, header: header.clone(), length });
    let (id, now) = (world.id(), world.gateway_now());
    assert!(world.gateways[0].instruct(&id, &offer, now));
    world.run(Duration::from_millis(200));
}

/// Answers the requests that came since, at most so many.
fn serve(world: &mut World, (_, body): &(Vec<u8>, Vec<u8>), mut most: usize) -> Vec<FirmwareRequest> {
    let mut served = Vec::new();
    while let Some(request) = (most > 0).then(|| world.gateways[0].store.firmware_requests.pop()).flatten() {
        most -= 1;
        let from = request.offset as usize;
        let bytes = body[from..from + usize::from(request.length)].to_vec();
        let chunk = Instruction::Chunk(FirmwareChunk { image: 7, offset: request.offset, bytes });
        let (id, now) = (world.id(), world.gateway_now());
        assert!(world.gateways[0].instruct(&id, &chunk, now));
        world.run(Duration::from_millis(200));
        served.push(request);
    }
    served
}

fn last_status(world: &World) -> (UpdateState, u32, Option<Refusal>) {
    let status = world.gateways[0].store.firmware.last().unwrap();
    (status.state, status.version, status.refusal)
}

/// What a board's bootloader does.
fn restart(world: &mut World) -> Slot {
    let UpdateSetup { layout, trust, .. } = setup();
    let Boot { slot, .. } = update::boot(&mut *world.flash.borrow_mut(), &layout, &trust).unwrap().unwrap();
    world.update = Some(UpdateSetup { running: slot, ..setup() });
    world.boot();
    slot
}

#[test]
fn an_image_is_fetched_between_vitals_tried_and_confirmed_by_a_session() {
    let mut world = world(120);
    let new = image(2, 1);
    offer(&mut world, &new);
    assert_eq!(serve(&mut world, &new, 3).len(), 3);
    world.sample_for(2);
    assert_eq!(world.stored_at(0), [1, 2], "vitals go on");
    // The line breaks; the offer is repeated and the transfer goes on where it stood.
    world.set_network(false);
    world.gateways[0].store.firmware_requests.clear();
    world.set_network(true);
    assert!(world.run_until(MOMENT, World::is_online));
    offer(&mut world, &new);
    let rest = serve(&mut world, &new, 100);
    assert_eq!((rest[0].offset, rest.len()), (3 * 1024, 6));
    assert_eq!(last_status(&world), (UpdateState::VERIFIED, 2, None));
    assert!(world.events.contains(&Event::Restart));
    assert_eq!(restart(&mut world), Slot::B);
    assert!(world.run_until(MOMENT, World::is_online));
    world.run(Duration::from_secs(1));
    assert_eq!(last_status(&world), (UpdateState::CONFIRMED, 2, None));
    assert_eq!(world.gateways[0].store.statuses.last().unwrap().update.unwrap().state, UpdateState::TRYING);
    for _ in 0..=update::ATTEMPTS {
        assert_eq!(restart(&mut world), Slot::B, "it stays");
    }
}

#[test]
fn an_offer_that_is_repeated_on_the_way_costs_one_piece_not_a_second_transfer() {
    let mut world = world(126);
    let new = image(2, 1);
    offer(&mut world, &new);
    offer(&mut world, &new);
    serve(&mut world, &new, 1);
    let asked = |world: &World| {
        world.gateways[0].store.firmware_requests.iter().map(|request| request.offset).collect::<Vec<_>>()
    };
    assert_eq!(asked(&world), [0, 1_024]);
    // The first piece comes once more.
    world.gateways[0].store.firmware_requests.reverse();
    serve(&mut world, &new, 1);
    assert_eq!(asked(&world), [1_024]);
    serve(&mut world, &new, usize::MAX);
    assert_eq!(last_status(&world), (UpdateState::VERIFIED, 2, None));
}

#[test]
fn an_image_that_reaches_no_gateway_wants_to_start_again_and_is_rolled_back() {
    let mut world = world(121);
    let new = image(2, 1);
    offer(&mut world, &new);
    serve(&mut world, &new, 100);
    world.set_network(false);
    for _ in 0..update::ATTEMPTS {
        assert_eq!(restart(&mut world), Slot::B);
        world.events.clear();
        world.run(TRIAL_LIMIT - Duration::from_secs(1));
        assert!(!world.events.contains(&Event::Restart));
        world.run(Duration::from_secs(2));
        assert!(world.events.contains(&Event::Restart));
    }
    assert_eq!(restart(&mut world), Slot::A);
    world.set_network(true);
    assert!(world.run_until(MOMENT, World::is_online));
    world.run(Duration::from_secs(1));
    let told = world.gateways[0].store.statuses.last().unwrap().update.unwrap();
    assert_eq!((told.state, told.version), (UpdateState::ROLLED_BACK, 2));
    offer(&mut world, &new);
    assert_eq!(last_status(&world), (UpdateState::REFUSED, 2, Some(Refusal::ROLLED_BACK)));
}

#[test]
fn foreign_older_and_altered_images_are_refused_and_reported() {
    let mut world = world(122);
    for (foreign, why) in [(image(2, 9), Refusal::OTHER_MAKER), (image(1, 1), Refusal::NOT_NEWER)] {
        offer(&mut world, &foreign);
        assert_eq!(last_status(&world).2, Some(why));
        assert!(world.gateways[0].store.firmware_requests.is_empty(), "not a byte is fetched");
    }
    let (header, mut body) = image(2, 1);
    body[5_000] ^= 1;
    let altered = (header, body);
    offer(&mut world, &altered);
    serve(&mut world, &altered, 100);
    assert_eq!(last_status(&world), (UpdateState::REFUSED, 2, Some(Refusal::ALTERED)));
    assert!(!world.events.contains(&Event::Restart));
    assert_eq!(restart(&mut world), Slot::A);
}

#[test]
fn a_weak_battery_or_a_board_without_slots_takes_none() {
    let mut world = world(123);
    let new = image(2, 1);
    let now = world.now();
    world.device().set_battery(Some(Battery { percent: 19, charging: Some(false) }), now);
    offer(&mut world, &new);
    assert_eq!(last_status(&world).2, Some(Refusal::BATTERY));
    let now = world.now();
    world.device().set_battery(Some(Battery { percent: 19, charging: Some(true) }), now);
    offer(&mut world, &new);
    assert_eq!(last_status(&world).0, UpdateState::RECEIVING);
    let mut world = World::bound(124);
    offer(&mut world, &new);
    assert_eq!(last_status(&world).0, UpdateState::REFUSED);
}

#[test]
fn images_that_would_be_written_over_samples_stop_the_start() {
    let mut world = World::new(90);
    let mut update = setup();
    update.layout.record[0] = 15 * PAGE..16 * PAGE;
    world.update = Some(update);
    let refused = world.start().unwrap_err();
    assert_eq!(refused, BootError::Layout);
    assert!(refused.to_string().contains("correct the board's layout"));
}
