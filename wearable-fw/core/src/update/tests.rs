//! A whole update under everything that can go wrong: cuts, torn writes, flipped bits, and images that must not run.

use std::{format, string::ToString, vec, vec::Vec};

use crypto::{Secret, identity::SigningKey};
use protocol::image::{HEADER, MAX_BODY};

use super::*;
use crate::flash::ram::{Cut, RamFlash};

mod power;

const PAGE: usize = 512;
type Flash = RamFlash<PAGE, 4>;

const HARDWARE: &str = "test-board";

fn maker(seed: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::new([seed; 32]))
}

fn trust() -> Trust {
    Trust { maker: maker(1).verifying_key(), hardware: HARDWARE }
}

/// Slots of a head and five pages.
fn layout() -> Layout {
    let page = u32::try_from(PAGE).unwrap();
    Layout {
        slots: [page..7 * page, 8 * page..14 * page],
        record: [15 * page..16 * page, 17 * page..18 * page],
    }
}

fn body(version: u32, length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 7 + version as usize * 31 + at / 251) % 256).unwrap()).collect()
}

fn image_by(maker: &SigningKey, hardware: &str, version: u32, body: &[u8]) -> Vec<u8> {
    let header = Header::sign(body, &hardware.parse().unwrap(), version, maker).unwrap();
    [header.bytes().as_slice(), body].concat()
}

fn image(version: u32) -> Vec<u8> {
    image_by(&maker(1), HARDWARE, version, &body(version, 1_700))
}

/// A device fresh from the factory with version 1 in slot A, started once.
fn fresh() -> Flash {
    let mut flash = Flash::new(19);
    assert_eq!(factory(&mut flash, &layout(), &trust(), &image(1)), Ok(1));
    assert_eq!(started(&mut flash).header.version(), 1);
    flash
}

fn started(flash: &mut Flash) -> Boot {
    boot(flash, &layout(), &trust()).unwrap().expect("bootable")
}

fn updater(flash: &mut Flash, running: Slot) -> Updater {
    Updater::open(flash, layout(), trust(), running).unwrap()
}

/// Offers an image and sends its body in pieces of `piece` bytes from where it is wanted.
fn send(updater: &mut Updater, flash: &mut Flash, image: &[u8], piece: usize) -> Result<u32, Refusal> {
    let mut wanted = updater.offer(flash, &image[..HEADER])? as usize;
    let body = &image[HEADER..];
    while wanted < body.len() {
        let end = (wanted + piece).min(body.len());
        wanted = updater.write(flash, u32::try_from(wanted).unwrap(), &body[wanted..end])? as usize;
    }
    updater.install(flash)
}

/// Brings an image in, starts it and confirms it.
fn update(flash: &mut Flash, image: &[u8]) -> Boot {
    let before = started(flash);
    send(&mut updater(flash, before.slot), flash, image, 300).unwrap();
    let after = started(flash);
    assert!(after.trial);
    updater(flash, after.slot).confirm(flash).unwrap();
    after
}

#[test]
fn an_update_is_tried_confirmed_and_stays() {
    let mut flash = fresh();
    let first = started(&mut flash);
    assert_eq!((first.slot, first.trial, first.given_up), (Slot::A, false, None));

    let mut old = updater(&mut flash, Slot::A);
    assert_eq!((old.version(), old.on_trial(), old.is_installed()), (1, false, false));
    assert_eq!(send(&mut old, &mut flash, &image(2), 100), Ok(2));
    assert!(old.is_installed() && !old.on_trial());

    let second = started(&mut flash);
    assert_eq!((second.slot, second.header.version(), second.trial), (Slot::B, 2, true));
    let area = second.body as usize;
    assert_eq!(flash.bytes()[area..area + 1_700], body(2, 1_700));
    let mut new = updater(&mut flash, Slot::B);
    assert_eq!((new.version(), new.on_trial(), new.is_installed()), (2, true, false));
    new.confirm(&mut flash).unwrap();
    assert!(!new.on_trial());
    for _ in 0..5 {
        let again = started(&mut flash);
        assert_eq!((again.slot, again.header.version(), again.trial), (Slot::B, 2, false));
    }
    assert_eq!(update(&mut flash, &image(3)).slot, Slot::A);
    assert_eq!(started(&mut flash).header.version(), 3);
}

#[test]
fn an_image_that_never_proves_healthy_is_rolled_back_and_not_taken_again() {
    let mut flash = fresh();
    send(&mut updater(&mut flash, Slot::A), &mut flash, &image(2), 256).unwrap();
    for _ in 0..ATTEMPTS {
        assert_eq!(started(&mut flash).header.version(), 2);
    }
    let back = started(&mut flash);
    assert_eq!((back.slot, back.header.version(), back.trial), (Slot::A, 1, false));
    assert_eq!(back.given_up, Some((2, Refusal::ROLLED_BACK)));
    assert_eq!(started(&mut flash).given_up, None, "told once");
    let mut old = updater(&mut flash, Slot::A);
    assert_eq!(old.rolled_back(), Some(2));
    assert_eq!(old.offer(&mut flash, &image(2)), Err(Refusal::ROLLED_BACK));
    assert_eq!(send(&mut old, &mut flash, &image(3), 256), Ok(3));
}

#[test]
fn two_bad_images_are_not_tried_in_turn() {
    let mut flash = fresh();
    for version in [5, 6] {
        send(&mut updater(&mut flash, Slot::A), &mut flash, &image(version), 256).unwrap();
        (0..ATTEMPTS).for_each(|_| assert_eq!(started(&mut flash).header.version(), version));
        assert_eq!(started(&mut flash).header.version(), 1);
    }
    let mut old = updater(&mut flash, Slot::A);
    for version in [5, 6, 4] {
        assert_eq!(old.offer(&mut flash, &image(version)), Err(Refusal::ROLLED_BACK), "{version}");
    }
    assert_eq!(update(&mut flash, &image(7)).header.version(), 7);
    assert_eq!(updater(&mut flash, Slot::B).rolled_back(), None, "a better one runs");
}

#[test]
fn nothing_comes_over_the_image_before_while_the_new_one_is_on_trial() {
    let mut flash = fresh();
    send(&mut updater(&mut flash, Slot::A), &mut flash, &image(2), 256).unwrap();
    let running = started(&mut flash).slot;
    let mut new = updater(&mut flash, running);
    let before = flash.clone();
    assert_eq!(new.offer(&mut flash, &image(3)), Err(Refusal::BUSY));
    assert_eq!(flash, before);
    new.confirm(&mut flash).unwrap();
    assert_eq!(new.offer(&mut flash, &image(3)), Ok(0));
}

#[test]
fn what_must_not_run_is_refused_by_its_header_and_changes_nothing() {
    let mut flash = fresh();
    update(&mut flash, &image(5));
    let mut device = updater(&mut flash, Slot::B);
    let before = flash.clone();
    let mut unsigned = image(6);
    unsigned[88..HEADER].fill(0);
    let mut altered = image(6);
    altered[51] = 7;
    let large = image_by(&maker(1), HARDWARE, 6, &body(6, 5 * PAGE + 1));
    for (image, refusal) in [
        (unsigned, Refusal::UNSIGNED),
        (altered, Refusal::ALTERED),
        (image_by(&maker(2), HARDWARE, 6, b"x"), Refusal::OTHER_MAKER),
        (image_by(&maker(1), "other-board", 6, b"x"), Refusal::OTHER_HARDWARE),
        (image(5), Refusal::NOT_NEWER),
        (image(4), Refusal::NOT_NEWER),
        (image(1), Refusal::NOT_NEWER),
        (large, Refusal::TOO_LARGE),
        (image(6)[..HEADER - 1].to_vec(), Refusal::INCOMPLETE),
        (b"\x7fELF".to_vec(), Refusal::NOT_AN_IMAGE),
    ] {
        assert_eq!(device.offer(&mut flash, &image), Err(refusal));
        assert_eq!(device.write(&mut flash, 0, b"x"), Err(Refusal::INCOMPLETE), "nothing is taken");
        assert_eq!(device.install(&mut flash), Err(Refusal::INCOMPLETE));
    }
    assert_eq!(flash, before);
    let fits = image_by(&maker(1), HARDWARE, 6, &body(6, 5 * PAGE));
    assert_eq!(send(&mut device, &mut flash, &fits, 1_000), Ok(6), "to the last byte");
    assert_eq!(started(&mut flash).header.version(), 6);
}

#[test]
fn an_altered_truncated_or_longer_body_is_never_installed() {
    let mut flash = fresh();
    let mut device = updater(&mut flash, Slot::A);
    let mut altered = image(2);
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(send(&mut device, &mut flash, &altered, 128), Err(Refusal::ALTERED));
    assert_eq!(device.receiving(), None);
    assert_eq!(started(&mut flash).header.version(), 1);

    let good = image(2);
    assert_eq!(device.offer(&mut flash, &good), Ok(0), "the altered one left nothing behind");
    assert_eq!(device.write(&mut flash, 0, &good[HEADER..good.len() - 1]), Ok(1_699));
    assert_eq!(device.install(&mut flash), Err(Refusal::INCOMPLETE));
    assert_eq!(device.write(&mut flash, 1_699, b"ab"), Err(Refusal::INCOMPLETE), "one byte too many");
    assert_eq!(started(&mut flash).header.version(), 1);
    assert_eq!(send(&mut device, &mut flash, &good, 1), Ok(2), "and goes on after all that");
}

#[test]
fn bytes_from_elsewhere_are_let_go() {
    let mut flash = fresh();
    let mut device = updater(&mut flash, Slot::A);
    let image = image(2);
    let body = &image[HEADER..];
    assert_eq!(device.offer(&mut flash, &image), Ok(0));
    assert_eq!(device.write(&mut flash, 0, &body[..700]), Ok(700));
    assert_eq!(device.write(&mut flash, 0, &body[..700]), Ok(700), "sent twice");
    assert_eq!(device.write(&mut flash, 900, &body[900..950]), Ok(700), "too far");
    assert_eq!(device.write(&mut flash, 700, &[]), Ok(700));
    assert_eq!(device.offer(&mut flash, &image), Ok(700), "a connection was lost: from where it stopped");
    assert_eq!(device.receiving().map(|(header, at)| (header.version(), at)), Some((2, 700)));
    assert_eq!(device.write(&mut flash, 700, &body[700..]), Ok(1_700));
    assert_eq!(device.install(&mut flash), Ok(2));
}

#[test]
fn after_a_power_cut_it_goes_on_at_the_first_page_that_is_not_whole() {
    let mut flash = fresh();
    let image = image(2);
    let body = &image[HEADER..];
    for (sent, kept) in [(0, 0), (511, 0), (512, 512), (700, 512), (1_699, 1_536), (1_700, 1_700)] {
        let mut before = updater(&mut flash, Slot::A);
        let wanted = before.offer(&mut flash, &image).unwrap() as usize;
        before.write(&mut flash, u32::try_from(wanted).unwrap(), &body[wanted..sent]).unwrap();
        assert_eq!(updater(&mut flash, Slot::A).offer(&mut flash, &image), Ok(kept), "{sent}");
    }
    assert_eq!(updater(&mut flash, Slot::A).install(&mut flash), Err(Refusal::INCOMPLETE), "not offered");
    assert_eq!(send(&mut updater(&mut flash, Slot::A), &mut flash, &image, 9), Ok(2));
}

#[test]
fn another_image_replaces_one_on_its_way_or_installed() {
    let mut flash = fresh();
    let mut device = updater(&mut flash, Slot::A);
    device.offer(&mut flash, &image(2)).unwrap();
    device.write(&mut flash, 0, &image(2)[HEADER..][..600]).unwrap();
    assert_eq!(send(&mut device, &mut flash, &image(3), 500), Ok(3));
    assert!(device.is_installed());
    assert_eq!(device.offer(&mut flash, &image(4)), Ok(0));
    assert!(!device.is_installed(), "the record does not point at what is being overwritten");
    assert_eq!(started(&mut flash).header.version(), 1);
    assert_eq!(send(&mut device, &mut flash, &image(4), 500), Ok(4));
    assert_eq!(started(&mut flash).header.version(), 4);
}

#[test]
fn what_is_installed_may_be_offered_again() {
    let mut flash = fresh();
    let mut device = updater(&mut flash, Slot::A);
    assert_eq!(send(&mut device, &mut flash, &image(2), 500), Ok(2));
    assert_eq!(send(&mut device, &mut flash, &image(2), 500), Ok(2));
    assert_eq!(started(&mut flash).header.version(), 2);
}

/// Runs B (5); A holds 1. Every single flipped bit in B's image or head: A starts, and nothing older than 5 is taken.
#[test]
fn a_damaged_image_falls_back_and_its_version_can_come_back_but_none_older() {
    let mut flash = fresh();
    update(&mut flash, &image(5));
    let slot = layout().of(Slot::B).start as usize;
    for address in (slot..slot + HEADER).chain(slot + PAGE..slot + PAGE + 1_700).step_by(17) {
        let mut damaged = flash.clone();
        damaged.flip(address, 1 << (address % 8));
        let back = started(&mut damaged);
        assert_eq!((back.slot, back.header.version(), back.trial), (Slot::A, 1, false), "{address:#x}");
        assert!(back.given_up.is_some());
        assert_eq!(started(&mut damaged).given_up, None, "from then on A is what runs");
        let mut device = updater(&mut damaged, Slot::A);
        assert_eq!(device.offer(&mut damaged, &image(4)), Err(Refusal::NOT_NEWER));
        assert_eq!(send(&mut device, &mut damaged, &image(5), 700), Ok(5));
        assert_eq!(started(&mut damaged).header.version(), 5);
    }
}

#[test]
fn a_damaged_image_that_waits_for_its_trial_is_not_started() {
    let mut flash = fresh();
    send(&mut updater(&mut flash, Slot::A), &mut flash, &image(2), 256).unwrap();
    let slot = layout().of(Slot::B).start as usize;
    flash.flip(slot + PAGE + 77, 4);
    let back = started(&mut flash);
    assert_eq!((back.header.version(), back.given_up), (1, Some((2, Refusal::ALTERED))));
    let mut device = updater(&mut flash, Slot::A);
    assert_eq!(device.offer(&mut flash, &image(2)), Ok(0), "what is there is damaged: from the beginning");
    assert_eq!(send(&mut device, &mut flash, &image(2), 256), Ok(2));
}

#[test]
fn with_both_images_damaged_nothing_starts() {
    let mut flash = fresh();
    update(&mut flash, &image(2));
    for slot in [Slot::A, Slot::B] {
        flash.flip(layout().of(slot).start as usize + PAGE, 1);
    }
    assert_eq!(boot(&mut flash, &layout(), &trust()), Ok(None));
    assert_eq!(boot(&mut Flash::new(19), &layout(), &trust()), Ok(None), "nor from an empty flash");
}

/// The last image that works, although it was rolled back, is better than none.
#[test]
fn the_last_image_that_verifies_starts() {
    let mut flash = fresh();
    send(&mut updater(&mut flash, Slot::A), &mut flash, &image(2), 256).unwrap();
    (0..=ATTEMPTS).for_each(|_| assert!(started(&mut flash).header.version() > 0));
    flash.flip(layout().of(Slot::A).start as usize + PAGE, 1);
    assert_eq!(started(&mut flash).header.version(), 2);
}

/// At each step of an update one copy of the record, or both, is lost. What runs next is verified, a confirmed image is
/// never given up for an older one, and a trial still ends.
#[test]
fn a_lost_record_costs_no_version_and_no_rollback() {
    let record = layout().record.map(|range| range.start as usize + 8);
    let lost = |flash: &Flash, copies: &[usize]| {
        let mut flash = flash.clone();
        copies.iter().for_each(|copy| flash.flip(record[*copy], 0x10));
        flash
    };
    for copies in [&[0][..], &[1], &[0, 1]] {
        let mut confirmed = fresh();
        update(&mut confirmed, &image(2));
        let mut confirmed = lost(&confirmed, copies);
        let boot = started(&mut confirmed);
        assert_eq!(boot.header.version(), 2, "{copies:?}");
        let mut device = updater(&mut confirmed, boot.slot);
        device.confirm(&mut confirmed).unwrap();
        assert_eq!(device.offer(&mut confirmed, &image(2)), Err(Refusal::NOT_NEWER), "{copies:?}");
        assert_eq!(started(&mut confirmed).header.version(), 2);

        let mut trial = fresh();
        send(&mut updater(&mut trial, Slot::A), &mut trial, &image(2), 256).unwrap();
        started(&mut trial);
        let mut trial = lost(&trial, copies);
        let tried = (0..2 * ATTEMPTS).filter(|_| started(&mut trial).header.version() == 2).count();
        assert!(tried <= usize::from(ATTEMPTS), "{copies:?}: {tried}");
        assert_eq!(started(&mut trial).header.version(), 1);
    }
}

/// A fallback leaves the floor in both copies: with either one lost, nothing older than what was confirmed comes in.
#[test]
fn the_floor_survives_the_loss_of_a_copy() {
    let mut flash = fresh();
    update(&mut flash, &image(5));
    let slot = layout().of(Slot::B).start as usize;
    flash.flip(slot + PAGE, 1);
    assert_eq!(started(&mut flash).header.version(), 1);
    for copy in layout().record {
        let mut flash = flash.clone();
        flash.flip(copy.start as usize, 1);
        let boot = started(&mut flash);
        assert_eq!(updater(&mut flash, boot.slot).offer(&mut flash, &image(4)), Err(Refusal::NOT_NEWER));
    }
}

#[test]
fn a_layout_that_the_flash_cannot_keep_is_refused() {
    let page = u32::try_from(PAGE).unwrap();
    let good = layout();
    let with = |change: fn(&mut Layout, u32)| {
        let mut layout = good.clone();
        change(&mut layout, page);
        boot(&mut Flash::new(19), &layout, &trust())
    };
    assert_eq!(with(|_, _| {}), Ok(None));
    assert_eq!(
        with(|layout, page| layout.slots[0].end = layout.slots[0].start + page),
        Err(LayoutError::Ranges)
    );
    assert_eq!(with(|layout, _| layout.slots[0].start += 4), Err(LayoutError::Ranges));
    assert_eq!(with(|layout, page| layout.slots[0].end += 2 * page), Err(LayoutError::Ranges), "overlap");
    assert_eq!(with(|layout, page| layout.record[1] = 19 * page..20 * page), Err(LayoutError::Ranges));
    assert_eq!(with(|layout, _| layout.record[0].end = layout.record[0].start), Err(LayoutError::Ranges));
    let mut small = RamFlash::<128, 4>::new(64);
    assert_eq!(boot(&mut small, &good, &trust()), Err(LayoutError::Geometry));
    assert!(LayoutError::Geometry.to_string().contains("flash driver"));
}

/// One word at a time, or all of a block: the same images come out.
#[test]
fn words_of_every_size() {
    fn run<const WORD: usize>() {
        let mut flash = RamFlash::<PAGE, WORD>::new(64);
        let page = u32::try_from(PAGE).unwrap();
        let layout = Layout {
            slots: [0..20 * page, 20 * page..40 * page],
            record: [40 * page..41 * page, 41 * page..42 * page],
        };
        factory(&mut flash, &layout, &trust(), &image(1)).unwrap();
        let first = boot(&mut flash, &layout, &trust()).unwrap().unwrap();
        let mut device = Updater::open(&mut flash, layout.clone(), trust(), first.slot).unwrap();
        let image = image(2);
        assert_eq!(device.offer(&mut flash, &image), Ok(0));
        assert_eq!(device.write(&mut flash, 0, &image[HEADER..]), Ok(1_700));
        assert_eq!(device.install(&mut flash), Ok(2));
        assert_eq!(boot(&mut flash, &layout, &trust()).unwrap().unwrap().header.version(), 2, "{WORD}");
    }
    run::<1>();
    run::<8>();
    run::<32>();
    run::<256>();
}

#[test]
fn the_factory_takes_only_what_the_device_will_start() {
    let mut flash = Flash::new(19);
    let mut install = |image: &[u8]| factory(&mut flash, &layout(), &trust(), image);
    assert_eq!(install(&image_by(&maker(2), HARDWARE, 1, b"x")), Err(Refusal::OTHER_MAKER));
    assert_eq!(install(&image_by(&maker(1), "other", 1, b"x")), Err(Refusal::OTHER_HARDWARE));
    assert_eq!(install(&image(1)[..400]), Err(Refusal::INCOMPLETE));
    assert_eq!(install(&image_by(&maker(1), HARDWARE, 1, &body(1, 6 * PAGE))), Err(Refusal::TOO_LARGE));
    assert!(vec![0_u8; 5 * PAGE].len() < MAX_BODY as usize);
    assert_eq!(install(&image(1)), Ok(1));
    let said = format!("{:?}", started(&mut flash));
    assert!(said.contains("test-board version 1"), "{said}");
}
