//! Samples on their way: kept until they are acknowledged, in order, at the intervals that were agreed; and what a device
//! tells and shows beside them.

use std::time::Duration;

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    cadence::{Interval, Settings},
    endpoint::client::ClientEndpoint,
    message::Instruction,
    status::Battery,
    vitals::KnownQuantity,
    waveform::{Signal, WaveformRequest},
};
use rand_chacha::rand_core::Rng;
use wearable_core::{
    device::{Event, RecordError},
    flash::{Layout, ram::Cut},
};

use crate::world::{Wearable, World, layout};

const MOMENT: Duration = Duration::from_secs(30);

fn settings(sample_s: u32, upload_s: u32) -> Settings {
    let interval = |seconds: u32| Interval::try_from(seconds * 1_000).unwrap();
    Settings::new(interval(sample_s), interval(upload_s)).unwrap()
}

fn instruct(world: &mut World, instruction: &Instruction) {
    let (id, now) = (world.id(), world.gateway_now());
    assert!(world.gateways[0].instruct(&id, instruction, now));
    world.run(Duration::from_secs(1));
}

#[test]
fn a_device_is_small() {
    let size = size_of::<Wearable>();
    assert!(
        size <= 5 * 1024,
        "{size} bytes; a connection has up to {} more on the heap",
        size_of::<ClientEndpoint>()
    );
}

#[test]
fn an_outage_is_made_up_for_oldest_first() {
    let mut world = World::bound(51);
    world.sample_for(3);
    world.set_network(false);
    world.sample_for(100);
    assert_eq!(world.device().uplink().waiting(), 100);
    world.set_network(true);
    assert!(world.run_until(MOMENT, World::is_online));
    world.run(MOMENT);
    let all: Vec<u64> = (1..=103).collect();
    assert_eq!((world.stored_at(0), world.heard_by(0)), (all.clone(), all));
    assert_eq!(world.device().uplink().waiting(), 0);
}

#[test]
fn a_long_outage_thins_the_oldest_and_says_so() {
    let mut world = World::bound(52);
    world.set_network(false);
    let taken = 2_000;
    for _ in 0..taken {
        world.sample().unwrap();
        world.time += 1_000;
    }
    let lost: u64 = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Lost(gap) => Some(gap.samples),
            _ => None,
        })
        .sum();
    let waiting = world.device().uplink().waiting();
    assert_eq!((lost, lost + waiting), (world.device().uplink().lost(), taken));
    assert!(lost > 0);
    world.set_network(true);
    world.run(Duration::from_secs(120));
    assert_eq!(world.stored_at(0).len() as u64, waiting);
    let heard = world.heard_by(0);
    assert!(heard.is_sorted() && *heard.last().unwrap() == taken);
    let told = world.gateways[0].store.statuses.last().unwrap().lost;
    assert_eq!(told, lost, "the gateway knows of the gap");
}

#[test]
fn a_bad_network_loses_nothing_repeats_nothing_and_keeps_the_order() {
    for seed in 60..72 {
        let mut world = World::bound(seed);
        world.cut_one_in = 4 + seed % 9;
        world.sample_for(120);
        world.cut_one_in = 0;
        world.run(Duration::from_secs(60));
        let all: Vec<u64> = (1..=120).collect();
        assert_eq!((world.stored_at(0), world.heard_by(0)), (all.clone(), all), "seed {seed}");
        assert_eq!(world.device().uplink().waiting(), 0);
    }
}

#[test]
fn pairing_survives_a_bad_network() {
    for seed in 80..90 {
        let mut world = World::new(seed);
        world.cut_one_in = 6;
        for _ in 0..20 {
            let code = world.device().code();
            let Some(code) = code.or_else(|| world.open_window()) else { break };
            world.enter_at_gateway(0, code);
            if world.run_until(Duration::from_secs(10), World::is_online) {
                break;
            }
        }
        world.cut_one_in = 0;
        assert!(world.run_until(MOMENT, World::is_online), "seed {seed}: {:?}", world.mode());
        world.sample_for(3);
        assert_eq!(world.stored_at(0), [1, 2, 3], "seed {seed}");
    }
}

#[test]
fn nothing_is_deleted_before_the_gateway_has_committed() {
    let mut world = World::bound(53);
    for _ in 0..5 {
        world.sample().unwrap();
        // The gateway dies with the batch in its hands.
        world.gateways[0].crash();
        world.set_network(false);
        assert!(world.device().uplink().waiting() > 0);
        let now = world.gateway_now();
        world.gateways[0].start(now, &mut world.rng);
        world.set_network(true);
        assert!(world.run_until(MOMENT, World::is_online));
        world.run(Duration::from_secs(2));
        assert_eq!(world.device().uplink().waiting(), 0);
    }
    assert_eq!(world.stored_at(0), [1, 2, 3, 4, 5]);
}

#[test]
fn samples_wait_for_the_agreed_upload_and_the_gateway_is_told() {
    let mut world = World::bound(54);
    let wanted = settings(1, 30);
    instruct(&mut world, &Instruction::Settings(wanted));
    assert!(world.events.contains(&Event::Settings(wanted)));
    assert_eq!(world.gateways[0].store.statuses.last().unwrap().cadence, wanted.cadence());
    world.run(MOMENT);
    world.sample_for(20);
    let waiting = world.device().uplink().waiting();
    assert!(waiting >= 10, "{waiting}");
    world.sample_for(15);
    assert!(world.device().uplink().waiting() < 15);
    // It holds over a restart.
    world.boot();
    assert_eq!(world.device().settings(), wanted);
    let now = world.now();
    assert_eq!(world.device().sample_due(now), now);
    world.sample().unwrap();
    assert_eq!(world.device().sample_due(now).since(now), Duration::from_secs(1));
}

#[test]
fn the_status_is_told_after_each_login_and_when_it_changes() {
    let mut world = World::bound(55);
    let statuses = |world: &World| world.gateways[0].store.statuses.len();
    world.sample_for(5);
    assert_eq!(statuses(&world), 1, "samples are no change");
    for (percent, told) in [(80, 2), (80, 2), (79, 3)] {
        let now = world.now();
        world.device().set_battery(Some(Battery { percent, charging: Some(false) }), now);
        world.run(Duration::from_secs(1));
        assert_eq!(statuses(&world), told);
    }
    let now = world.now();
    world.device().set_link_quality(Some(-71), now);
    world.set_network(false);
    world.set_network(true);
    assert!(world.run_until(MOMENT, World::is_online));
    world.run(Duration::from_secs(1));
    let status = world.gateways[0].store.statuses.last().unwrap();
    assert_eq!((status.link.reconnects, status.link.signal_dbm), (1, Some(-71)));
    assert_eq!(status.battery.map(|battery| battery.percent), Some(79));
}

#[test]
fn a_sample_that_no_gateway_would_take_is_refused_at_once() {
    let mut world = World::bound(56);
    let now = world.now();
    let twice = vec![KnownQuantity::SPO2.measured(97, 0), KnownQuantity::SPO2.measured(98, 0)];
    let refused = world.device().record(twice, true, now);
    assert!(matches!(refused, Err(RecordError::Unfit(_))), "{refused:?}");
    assert!(matches!(
        world.device().record(vec![KnownQuantity::SPO2.measured(9, 10)], true, now),
        Err(RecordError::Unfit(_))
    ));
    world.sample_for(1);
    assert_eq!(world.stored_at(0), [1], "its number is not used up");
}

#[test]
fn nothing_piles_up_while_nobody_carries_the_bytes() {
    let mut world = World::bound(59);
    world.sample_for(1);
    for second in 1..9_u8 {
        world.time += 1_000;
        let now = world.now();
        let device = world.device();
        for percent in 0..100 {
            device.set_battery(Some(Battery { percent, charging: None }), now);
        }
        device.record(vec![KnownQuantity::HEART_RATE.measured(second.into(), 0)], true, now).unwrap();
        device.waveform(Signal::ECG, &[1; 1_000], true, now);
        device.handle_timeout(now);
    }
    let device = world.device();
    let frames = std::iter::from_fn(|| device.poll_transmit()).count();
    assert!(frames <= 16, "{frames}");
    let events = std::iter::from_fn(|| device.poll_event()).count();
    assert!(events <= 33, "{events}");
}

#[test]
fn a_session_is_resumed_from_memory_and_never_from_flash() {
    let mut world = World::bound(49);
    let last = |world: &World| {
        world.events.iter().rev().find_map(|event| match event {
            Event::Session { resumed, .. } => Some(*resumed),
            _ => None,
        })
    };
    assert_eq!(last(&world), Some(false));
    world.run(Duration::from_secs(1));
    world.set_network(false);
    world.set_network(true);
    assert!(world.run_until(MOMENT, World::is_online));
    assert_eq!(last(&world), Some(true));
    world.run(Duration::from_secs(1));
    world.boot();
    assert!(world.run_until(MOMENT, World::is_online));
    assert_eq!(last(&world), Some(false), "a restart logs in fully");
}

#[test]
fn flash_that_changes_under_a_running_device_costs_samples_not_the_device() {
    let mut reopened = 0;
    for seed in 200..220 {
        let mut world = World::bound(seed);
        world.set_network(false);
        for _ in 0..60 {
            world.sample().unwrap();
        }
        // A few bits anywhere, or a page that stands all wrong.
        let page = 2 + usize::try_from(seed % 10).unwrap();
        for flip in 0..if seed < 210 { 40 } else { 4096 } {
            let anywhere = usize::try_from(world.rng.next_u64() % (10 * 4096)).unwrap();
            let at = if seed < 210 { 2 * 4096 + anywhere } else { page * 4096 + flip };
            world.flash.borrow_mut().flip(at, if seed < 210 { 1 << (seed % 8) } else { 0xff });
        }
        for _ in 0..300 {
            world.sample().unwrap();
        }
        world.set_network(true);
        world.run(MOMENT);
        world.sample_for(3);
        world.run(MOMENT);
        let (stored, taken) = (world.stored_at(0), world.device().uplink().taken().0);
        assert!((taken - 2..=taken).all(|seq| stored.contains(&seq)), "seed {seed}: {taken}");
        assert!(stored.len() > 250, "seed {seed}: {} of 363", stored.len());
        assert_eq!(world.device().uplink().waiting(), 0, "seed {seed}");
        reopened += u32::from(world.events.iter().any(|event| matches!(event, Event::Storage(_))));
    }
    assert!(reopened > 0, "none of it was noticed");
}

#[test]
fn a_device_whose_sample_store_was_destroyed_uses_no_number_twice() {
    let mut world = World::bound(222);
    world.sample_for(5);
    world.run(MOMENT);
    assert_eq!(world.stored_at(0), [1, 2, 3, 4, 5]);
    let Layout { samples, thinned, .. } = layout();
    world.flash.borrow_mut().erase(samples.start, thinned.end).unwrap();
    world.boot();
    assert!(world.run_until(MOMENT, World::is_online));
    world.sample_for(3);
    world.run(MOMENT);
    let stored = world.stored_at(0);
    assert_eq!(stored.len(), 8, "none of them was taken for a repetition: {stored:?}");
    assert_eq!(world.device().uplink().waiting(), 0);
}

#[test]
fn a_reservation_of_numbers_that_could_not_be_written_is_not_relied_on() {
    let mut world = World::bound(223);
    world.set_network(false);
    // As many as were reserved with the pairing.
    for _ in 0..4_096 {
        world.sample().unwrap();
    }
    let operation = world.flash.borrow().operations();
    world.cut_power_at(Cut::Before(operation));
    assert!(world.sample().is_err() && !world.has_power());
    world.flash.borrow_mut().power_on();
    world.sample().unwrap();
    let taken = world.device().uplink().taken();
    assert_eq!(taken.0, 4_097);
    let Layout { samples, thinned, .. } = layout();
    world.flash.borrow_mut().erase(samples.start, thinned.end).unwrap();
    world.boot();
    assert!(world.device().uplink().next_seq() > taken, "the number of a sample that was taken");
}

#[test]
fn a_sample_is_kept_once_if_it_was_taken_and_not_at_all_if_it_was_refused() {
    let mut world = World::bound(221);
    world.set_network(false);
    world.sample_for(10);
    let (mut kept, mut refused) = (0, 0);
    for number in 0..1_500 {
        let operation = world.flash.borrow().operations() + number % 7;
        world.cut_power_at(Cut::Before(operation));
        let before = world.device().uplink().taken();
        let taken = world.sample();
        let failed = !world.has_power();
        world.flash.borrow_mut().power_on();
        let after = world.device().uplink().taken();
        assert_eq!(taken.is_ok(), after > before, "{number}: {taken:?}");
        kept += u32::from(failed && taken.is_ok());
        refused += u32::from(failed && taken.is_err());
    }
    assert!(kept > 3 && refused > 3, "{kept} {refused}");
}

/// A second of ECG, in pieces.
fn show(world: &mut World, seconds: u32) {
    for second in 0..seconds {
        for piece in 0..4 {
            let now = world.now();
            let from = i32::try_from(second * 360 + piece * 90).unwrap();
            let samples: Vec<i32> = (from..from + 90).collect();
            world.device().waveform(Signal::ECG, &samples, true, now);
            world.run(Duration::from_millis(250));
        }
    }
}

#[test]
fn a_signal_is_shown_on_request_only_without_gaps_and_only_so_long() {
    let mut world = World::bound(57);
    show(&mut world, 2);
    assert_eq!(world.gateways[0].store.waveforms.len(), 0);
    instruct(&mut world, &Instruction::Waveform(WaveformRequest { signal: Signal::ECG, seconds: 3 }));
    assert!(world.device().is_wanted(Signal::ECG));
    show(&mut world, 5);
    assert!(!world.device().is_wanted(Signal::ECG));
    let waveforms = &world.gateways[0].store.waveforms;
    assert!(waveforms.iter().all(|waveform| waveform.simulated && waveform.taken.wall.is_some()));
    assert!(waveforms.windows(2).all(|pair| pair[0].first + pair[0].samples.len() as u64 == pair[1].first));
    let shown: Vec<i32> = waveforms.iter().flat_map(|waveform| waveform.samples.unpack()).collect();
    assert!((360..=3 * 360).contains(&shown.len()), "{}", shown.len());
    assert_eq!(shown, (0..i32::try_from(shown.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(waveforms[0].first, 720, "numbers count what was taken, asked for or not");
    instruct(&mut world, &Instruction::Waveform(WaveformRequest { signal: Signal::ECG, seconds: 600 }));
    instruct(&mut world, &Instruction::Waveform(WaveformRequest { signal: Signal::ECG, seconds: 0 }));
    assert!(!world.device().is_wanted(Signal::ECG));
    instruct(&mut world, &Instruction::Waveform(WaveformRequest { signal: Signal::PPG_RED, seconds: 9 }));
    let none = world.gateways[0].store.waveforms.last().unwrap();
    assert!(none.signal == Signal::PPG_RED && none.samples.is_empty(), "there is no such signal here");
}

#[test]
fn vitals_go_before_signals() {
    let mut world = World::bound(58);
    instruct(&mut world, &Instruction::Waveform(WaveformRequest { signal: Signal::ECG, seconds: 600 }));
    let now = world.now();
    let device = world.device();
    while device.poll_transmit().is_some() {}
    device.record(vec![KnownQuantity::HEART_RATE.measured(70, 0)], true, now).unwrap();
    device.waveform(Signal::ECG, &[1; 200], true, now);
    let frames: Vec<u8> = std::iter::from_fn(|| device.poll_transmit()).map(|frame| frame[1]).collect();
    assert_eq!(frames.len(), 1, "the signal waits until the sample is out: {frames:?}");
    device.waveform(Signal::ECG, &[1; 200], true, now);
    assert!(device.poll_transmit().is_some());
}
