//! The record under power cuts, damage and foreign keys: old, new or none, never half and never a default.

use alloc::{string::String, vec::Vec};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;
use crate::flash::ram::{Cut, RamFlash, RamFlashError};

type Small = RamFlash<256>;
type Store = ConfigStore<(String, Vec<u8>)>;

const RANGE: Range<u32> = 256..768;
const DEVICE: DeviceId = DeviceId::from_bytes([7; 16]);

fn key() -> Secret<StorageKey> {
    Secret::new([9; 32])
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn open(flash: &mut Small) -> (Store, Found<(String, Vec<u8>)>) {
    ConfigStore::open(flash, &RANGE, &key(), DEVICE).unwrap()
}

fn content(number: u8) -> (String, Vec<u8>) {
    ("gateway".into(), alloc::vec![number; 40])
}

fn written(commits: u8) -> Small {
    let mut flash = Small::new(4);
    let (mut store, found) = open(&mut flash);
    assert_eq!(found, Found::Nothing);
    let mut rng = rng();
    (1..=commits).for_each(|number| store.commit(&mut flash, &content(number), &mut rng).unwrap());
    flash
}

#[test]
fn the_newest_record_comes_back_and_the_slots_take_turns() {
    let mut flash = written(5);
    let (store, found) = open(&mut flash);
    assert_eq!((found, store.version()), (Found::Record(content(5)), 5));
    assert_eq!(flash.erases(), [0, 3, 2, 0]);
}

#[test]
fn nothing_of_it_can_be_read_without_the_key_or_on_another_device() {
    let mut flash = written(2);
    assert!(!flash.bytes().windows(7).any(|window| window == b"gateway"));
    let other_key = Secret::new([8; 32]);
    assert_eq!(Store::open(&mut flash, &RANGE, &other_key, DEVICE).unwrap().1, Found::Unreadable);
    let other = DeviceId::from_bytes([6; 16]);
    assert_eq!(Store::open(&mut flash, &RANGE, &key(), other).unwrap().1, Found::Unreadable);
}

#[test]
fn an_older_record_does_not_pass_as_a_newer_one() {
    let mut flash = written(1);
    let mut record = read_record(&mut flash, &(256..512)).unwrap().unwrap();
    record[4] = 9;
    record.extend(CRC.checksum(&record).to_le_bytes());
    record.resize(record.len().next_multiple_of(4), 0xff);
    embedded_storage::nor_flash::NorFlash::write(&mut flash, 512, &record).unwrap();
    let (store, found) = open(&mut flash);
    assert_eq!((found, store.version()), (Found::Record(content(1)), 1));
}

#[test]
fn a_power_cut_leaves_the_old_record_or_the_new_one() {
    let before = written(3);
    let cuts = (0..4).flat_map(|at| {
        let at = before.operations() + at;
        (0..=255).step_by(5).map(move |done| Cut::Within(at, done)).chain([Cut::Before(at)])
    });
    let mut outcomes = [0; 2];
    for cut in cuts {
        let mut flash = before.clone();
        let (mut store, _) = open(&mut flash);
        flash.cut_at(cut);
        let done = store.commit(&mut flash, &content(4), &mut rng()).is_ok();
        flash.power_on();
        let (mut store, found) = open(&mut flash);
        assert!(
            found == Found::Record(content(4)) || (!done && found == Found::Record(content(3))),
            "{cut:?}"
        );
        outcomes[usize::from(done)] += 1;
        store.commit(&mut flash, &content(5), &mut rng()).unwrap();
        assert_eq!(open(&mut flash).1, Found::Record(content(5)));
    }
    assert!(outcomes.iter().all(|seen| *seen > 50), "{outcomes:?}");
}

#[test]
fn a_power_cut_in_an_erase_leaves_the_newest_record_or_none() {
    for commits in [2, 3] {
        let before = written(commits);
        for operation in 0..3 {
            for done in (0..=255).step_by(5) {
                let mut flash = before.clone();
                let (mut store, _) = open(&mut flash);
                flash.cut_at(Cut::Within(before.operations() + operation, done));
                let erased = store.erase(&mut flash);
                flash.power_on();
                let found = open(&mut flash).1;
                assert!(found.clone().record().is_none_or(|found| found == content(commits)), "{found:?}");
                assert!(erased.is_err() || found == Found::Nothing);
            }
        }
    }
}

#[test]
fn a_damaged_record_gives_way_to_the_one_before_and_never_to_a_default() {
    let before = written(2);
    for address in 256..768 {
        for bits in [1, 0x80, 0xff] {
            let mut flash = before.clone();
            flash.flip(address, bits);
            let found = open(&mut flash).1;
            let newest_hit = address >= 512 && before.bytes()[512..=address].len() <= HEAD + 4 + 65;
            let expected = if newest_hit { content(1) } else { content(2) };
            assert_eq!(found, Found::Record(expected), "{address} {bits}");
        }
    }
    let mut flash = written(1);
    flash.flip(256 + 30, 1);
    assert_eq!(open(&mut flash).1, Found::Unreadable);
}

/// A flash whose reads fail from the n-th on, so many times.
struct Flaky {
    flash: Small,
    reads: u32,
    fail: Range<u32>,
}

impl embedded_storage::nor_flash::ErrorType for Flaky {
    type Error = RamFlashError;
}

impl embedded_storage::nor_flash::ReadNorFlash for Flaky {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), RamFlashError> {
        self.reads += 1;
        if self.fail.contains(&self.reads) {
            Err(RamFlashError::NoPower)
        } else {
            self.flash.read(offset, bytes)
        }
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl embedded_storage::nor_flash::NorFlash for Flaky {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 256;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamFlashError> {
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamFlashError> {
        self.flash.write(offset, bytes)
    }
}

impl embedded_storage::nor_flash::MultiwriteNorFlash for Flaky {}

#[test]
fn a_commit_that_failed_to_read_back_does_not_count_at_the_next_start() {
    for failing in [1, 2] {
        let mut flash = written(3);
        let (mut store, _) = open(&mut flash);
        let mut flaky = Flaky { flash, reads: 0, fail: failing..failing + 1 };
        let failed = store.commit(&mut flaky, &content(4), &mut rng());
        assert_eq!(failed, Err(RamFlashError::NoPower.into()), "{failing}");
        assert_eq!((open(&mut flaky.flash).1, store.version()), (Found::Record(content(3)), 3));
        store.commit(&mut flaky, &content(5), &mut rng()).unwrap();
        assert_eq!(open(&mut flaky.flash).1, Found::Record(content(5)));
    }
}

#[test]
fn a_flash_that_does_not_keep_and_a_layout_that_does_not_fit_are_refused() {
    let mut flash = written(1);
    let (mut store, _) = open(&mut flash);
    let long = (String::new(), alloc::vec![0; 300]);
    let refused = store.commit(&mut flash, &long, &mut rng());
    assert!(matches!(refused, Err(ConfigError::TooBig { slot: 256, .. })));
    assert_eq!(open(&mut flash).1, Found::Record(content(1)));
    for range in [256..256, 256..512, 100..612] {
        assert_eq!(Store::open(&mut flash, &range, &key(), DEVICE).unwrap_err(), ConfigError::Layout);
    }
    flash.cut_at(Cut::Before(flash.operations()));
    let failed = store.commit(&mut flash, &content(2), &mut rng());
    assert_eq!(failed, Err(RamFlashError::NoPower.into()));
}
