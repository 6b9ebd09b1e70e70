//! The device's memory of its samples: an append-only file of the uplink's changes, and the numbers set aside.
//!
//! Owns the format, the syncs and the numbers. A sample counts as taken when its record is synced, so a killed device
//! loses at most the one being written. Knows no gateway. The [`outbox`](crate::outbox) drives it.
//!
//! ```text
//! journal    "vitalward-journal 1\n", then records: length u32 | check 8 bytes | kind u8, content
//!            length: of kind and content, big-endian; check: SHA-256("journal record", kind and content), first 8 bytes
//!            kinds: 0 base, 1 taken, 2 formed, 3 acknowledged, 4 dropped; numbers are u64, big-endian
//! sequence   the first number that was never set aside, decimal. It is synced before a number below it is used, so no
//!            number is ever used twice, whatever happens to the journal; a device that is killed skips at most 16
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
};

use crypto::sha256;
use host::datadir::{DataDir, DataDirError};
use protocol::{
    id::Seq,
    vitals::{UnverifiedBatch, VitalsBatch},
};
use thiserror::Error;
use wearable_core::uplink::{Entry, Uplink};

const MAGIC: &[u8] = b"vitalward-journal 1\n";
const JOURNAL: &str = "journal";
const SHORT: &str = "journal.short";
const SEQUENCE: &str = "sequence";
/// Numbers that are set aside at once.
const BLOCK: u64 = 16;
/// No record of ours is longer: a sample has at most 32 quantities.
const MAX_RECORD: usize = 16 * 1024;

/// The journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The data folder refused.
    #[error(transparent)]
    Folder(#[from] DataDirError),
    /// A file that this program did not write.
    #[error("{0} in the data folder is not what this program wrote; move it away (samples in it are lost)")]
    Foreign(&'static str),
    /// Writing failed: the disk is full, or worse.
    #[error("samples cannot be written down")]
    Write(#[from] io::Error),
}

/// What was found at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// The number of the next sample.
    pub next: Seq,
    /// Numbers that nobody can say were never used; they are not used now. First and last.
    pub skipped: Option<(Seq, Seq)>,
    /// Bytes at the journal's end that are no whole record: one that was being written, or damage. Kept aside in
    /// `journal.damaged`.
    pub discarded: usize,
}

/// An open journal. It holds the folder's lock.
#[derive(Debug)]
pub struct Journal {
    dir: DataDir,
    file: File,
    /// Bytes that are whole records.
    length: u64,
    /// Whether the file ends with something else, left by a write that failed.
    untidy: bool,
    records: usize,
    /// Numbers below this one may be used.
    reserved: u64,
}

impl Journal {
    /// Opens the journal of a folder and what it remembers.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(dir: DataDir, capacity: usize) -> Result<(Self, Uplink, Recovery), JournalError> {
        let bytes = dir.read(JOURNAL)?.unwrap_or_default();
        let (entries, length) = parse(&bytes)?;
        let discarded = bytes.get(length..).unwrap_or_default();
        if !discarded.is_empty() {
            dir.write("journal.damaged", discarded)?;
        }
        if length == 0 {
            dir.write(JOURNAL, MAGIC)?;
        }
        let records = entries.len();
        let mut uplink = Uplink::new(capacity);
        entries.into_iter().for_each(|entry| uplink.apply(entry));
        let after = uplink.taken().0.saturating_add(1);
        let reserved = read_sequence(&dir)?.unwrap_or(after);
        let next = reserved.max(after);
        let file = open_for_append(&dir, JOURNAL)?;
        let length = length.max(MAGIC.len()) as u64;
        file.set_len(length)?;
        file.sync_all()?;
        let mut journal = Self { dir, file, length, untidy: false, records, reserved };
        journal.reserve(next)?;
        let skipped = (next > after).then(|| (Seq(after), Seq(next - 1)));
        Ok((journal, uplink, Recovery { next: Seq(next), skipped, discarded: discarded.len() }))
    }

    /// Writes changes down. When this returns, they survive a kill and, acknowledgements excepted (they may come twice),
    /// a power cut. When it fails, none of them is there.
    ///
    /// # Errors
    /// [`JournalError::Write`], [`JournalError::Folder`].
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let newest = entries.iter().filter_map(|entry| match entry {
            Entry::Taken(sample) => Some(sample.seq.0),
            _ => None,
        });
        if let Some(newest) = newest.max().filter(|newest| *newest >= self.reserved) {
            self.reserve(newest)?;
        }
        if self.untidy {
            // Half a record would hide all that follow it.
            self.file.set_len(self.length)?;
            self.untidy = false;
        }
        let bytes: Vec<u8> = entries.iter().flat_map(record).collect();
        let must_sync = entries.iter().any(|entry| !matches!(entry, Entry::Acknowledged(_)));
        let written = self.file.write_all(&bytes).and_then(|()| match must_sync {
            true => self.file.sync_data(),
            false => Ok(()),
        });
        if let Err(error) = written {
            self.untidy = self.file.set_len(self.length).is_err();
            return Err(error.into());
        }
        self.length += bytes.len() as u64;
        self.records += entries.len();
        Ok(())
    }

    fn reserve(&mut self, next: u64) -> Result<(), JournalError> {
        let reserved = next.saturating_add(BLOCK);
        self.dir.write(SEQUENCE, format!("{reserved}\n").as_bytes())?;
        self.reserved = reserved;
        Ok(())
    }

    /// Whether most of the journal is about samples that are gone.
    #[must_use]
    pub fn is_long_for(&self, stored: usize) -> bool {
        self.records > 4_096 && self.records / 8 > stored
    }

    /// Replaces the journal by the shortest one that says the same.
    ///
    /// # Errors
    /// [`JournalError`]; the journal, old or new, is still good.
    pub fn shorten(&mut self, short: &ShortJournal) -> Result<(), JournalError> {
        self.dir.write(SHORT, &short.bytes)?;
        // Opened before it gets its name, so that no failure in between leaves us writing to a file without one.
        let file = open_for_append(&self.dir, SHORT)?;
        fs::rename(self.dir.path().join(SHORT), self.dir.path().join(JOURNAL))?;
        self.file = file;
        self.length = short.bytes.len() as u64;
        self.untidy = false;
        self.records = short.records;
        Ok(File::open(self.dir.path())?.sync_all()?)
    }

    /// Gives back the numbers that were set aside: after a clean end none is skipped.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn close(self, uplink: &Uplink) -> Result<(), JournalError> {
        self.file.sync_all()?;
        // Numbers that were skipped at the start, and not used since, stay unused.
        let next = uplink.taken().0.saturating_add(1).max(self.reserved.saturating_sub(BLOCK));
        Ok(self.dir.write(SEQUENCE, format!("{next}\n").as_bytes())?)
    }

    /// The folder, for the files beside the journal.
    #[must_use]
    pub const fn dir(&self) -> &DataDir {
        &self.dir
    }
}

/// The content of a journal that holds only what still counts.
#[derive(Debug)]
pub struct ShortJournal {
    bytes: Vec<u8>,
    records: usize,
}

impl ShortJournal {
    /// The shortest journal of an uplink.
    #[must_use]
    pub fn of(uplink: &Uplink) -> Self {
        let (mut bytes, mut records) = (MAGIC.to_vec(), 0);
        for entry in uplink.entries() {
            bytes.extend(record(&entry));
            records += 1;
        }
        Self { bytes, records }
    }
}

fn open_for_append(dir: &DataDir, name: &str) -> io::Result<File> {
    OpenOptions::new().append(true).open(dir.path().join(name))
}

fn read_sequence(dir: &DataDir) -> Result<Option<u64>, JournalError> {
    let Some(bytes) = dir.read(SEQUENCE)? else { return Ok(None) };
    let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or(JournalError::Foreign(SEQUENCE))
}

fn record(entry: &Entry) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    let count = |count: &usize| u64::try_from(*count).unwrap_or(u64::MAX).to_be_bytes();
    match entry {
        Entry::Base { acknowledged, formed, previous } => {
            body.push(0);
            body.extend(acknowledged.0.to_be_bytes());
            body.extend(formed.0.to_be_bytes());
            body.extend(previous);
        }
        Entry::Taken(sample) => {
            body.push(1);
            body.extend(VitalsBatch { previous: [0; 32], samples: vec![sample.clone()] }.encode());
        }
        Entry::Formed(samples) => {
            body.push(2);
            body.extend(count(samples));
        }
        Entry::Acknowledged(seq) => {
            body.push(3);
            body.extend(seq.0.to_be_bytes());
        }
        Entry::Dropped(samples) => {
            body.push(4);
            body.extend(count(samples));
        }
    }
    let mut record = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    record.extend(check(&body));
    record.extend(body);
    record
}

fn check(body: &[u8]) -> [u8; 8] {
    sha256("journal record", &[body]).first_chunk().copied().unwrap_or_default()
}

/// The whole records at the start, and how many bytes they take.
fn parse(bytes: &[u8]) -> Result<(Vec<Entry>, usize), JournalError> {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        // A device that was killed at its first start.
        return if MAGIC.starts_with(bytes) {
            Ok((Vec::new(), 0))
        } else {
            Err(JournalError::Foreign(JOURNAL))
        };
    };
    let mut entries = Vec::new();
    while let Some((entry, after)) = next_entry(rest) {
        entries.push(entry);
        rest = after;
    }
    Ok((entries, bytes.len() - rest.len()))
}

fn next_entry(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length <= MAX_RECORD)?;
    let (said, rest) = rest.split_first_chunk::<8>()?;
    let (body, after) = rest.split_at_checked(length)?;
    let (kind, content) = body.split_first().filter(|_| check(body) == *said)?;
    let number = || content.try_into().ok().map(u64::from_be_bytes);
    let count = || number().and_then(|count| usize::try_from(count).ok());
    let entry = match kind {
        0 => {
            let (acknowledged, rest) = content.split_first_chunk::<8>()?;
            let (formed, rest) = rest.split_first_chunk::<8>()?;
            Entry::Base {
                acknowledged: Seq(u64::from_be_bytes(*acknowledged)),
                formed: Seq(u64::from_be_bytes(*formed)),
                previous: rest.try_into().ok()?,
            }
        }
        1 => {
            let batch = UnverifiedBatch::decode(content).ok()?.verify().ok()?;
            Entry::Taken(batch.samples.into_iter().next()?)
        }
        2 => Entry::Formed(count()?),
        3 => Entry::Acknowledged(Seq(number()?)),
        4 => Entry::Dropped(count()?),
        _ => return None,
    };
    Some((entry, after))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use protocol::{
        id::BootId,
        vitals::{KnownQuantity, Sample, SampleTime},
    };

    use super::*;

    fn sample(seq: u64) -> Sample {
        Sample {
            seq: Seq(seq),
            boot: BootId(9),
            taken: SampleTime { since_boot_ms: seq, wall: None },
            simulated: true,
            quantities: vec![KnownQuantity::HEART_RATE.measured(720, -1)],
        }
    }

    struct Device {
        _parent: tempfile::TempDir,
        path: PathBuf,
    }

    impl Device {
        fn new() -> Self {
            // A sync costs nothing in memory, and these tests make thousands.
            let memory = std::path::Path::new("/dev/shm");
            let parent = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
            let parent = parent.unwrap();
            let path = parent.path().join("wearable-W001");
            Self { _parent: parent, path }
        }

        fn open(&self) -> (Journal, Uplink, Recovery) {
            Journal::open(DataDir::open(&self.path).unwrap(), 1_000).unwrap()
        }
    }

    fn change(journal: &mut Journal, uplink: &mut Uplink, entries: Vec<Entry>) {
        journal.append(&entries).unwrap();
        entries.into_iter().for_each(|entry| uplink.apply(entry));
    }

    fn numbers(uplink: &Uplink) -> Vec<u64> {
        let taken = uplink.entries().filter_map(|entry| match entry {
            Entry::Taken(sample) => Some(sample.seq.0),
            _ => None,
        });
        taken.collect()
    }

    #[test]
    fn a_clean_restart_goes_on_where_it_stopped() {
        let device = Device::new();
        let (mut journal, mut uplink, recovery) = device.open();
        assert_eq!(recovery, Recovery { next: Seq(1), skipped: None, discarded: 0 });
        (1..=40).for_each(|seq| change(&mut journal, &mut uplink, vec![Entry::Taken(sample(seq))]));
        change(&mut journal, &mut uplink, vec![Entry::Formed(30), Entry::Acknowledged(Seq(7))]);
        journal.close(&uplink).unwrap();
        for _ in 0..2 {
            let (journal, restored, recovery) = device.open();
            assert_eq!(recovery, Recovery { next: Seq(41), skipped: None, discarded: 0 });
            assert!(restored.entries().eq(uplink.entries()));
            journal.close(&restored).unwrap();
        }
    }

    #[test]
    fn a_killed_device_loses_nothing_and_skips_the_numbers_set_aside() {
        let device = Device::new();
        let (mut journal, mut uplink, _) = device.open();
        (1..=20).for_each(|seq| change(&mut journal, &mut uplink, vec![Entry::Taken(sample(seq))]));
        drop(journal);
        let (journal, restored, recovery) = device.open();
        assert_eq!(numbers(&restored), (1..=20).collect::<Vec<_>>());
        let Recovery { next, skipped, discarded } = recovery;
        assert!(next > Seq(20) && next.0 <= 20 + BLOCK + 1 && discarded == 0);
        assert_eq!(skipped, Some((Seq(21), Seq(next.0 - 1))));
        // Even if the device ends before it takes a sample.
        journal.close(&restored).unwrap();
        assert_eq!(device.open().2.next, next);
    }

    #[test]
    fn cut_at_every_byte_it_keeps_a_prefix_and_reuses_no_number() {
        let device = Device::new();
        let (mut journal, mut uplink, _) = device.open();
        for seq in 1..=8 {
            change(&mut journal, &mut uplink, vec![Entry::Taken(sample(seq))]);
            if seq % 4 == 0 {
                change(&mut journal, &mut uplink, vec![Entry::Formed(4)]);
            }
        }
        change(&mut journal, &mut uplink, vec![Entry::Acknowledged(Seq(4))]);
        drop(journal);
        let path = device.path.join(JOURNAL);
        let whole = fs::read(&path).unwrap();
        let mut longest = 0;
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, mut restored, recovery) = device.open();
            let found = numbers(&restored);
            let acknowledged = restored.acknowledged().0;
            let expected: Vec<u64> = (acknowledged + 1..=restored.taken().0).collect();
            assert_eq!(found, expected, "at {length}");
            assert!(restored.taken().0 >= longest && recovery.next > Seq(8), "at {length}");
            longest = restored.taken().0;
            assert_eq!(recovery.discarded > 0, parse(&whole[..length]).unwrap().1 < length, "at {length}");
            // It goes on from there.
            change(&mut journal, &mut restored, vec![Entry::Taken(sample(recovery.next.0))]);
            drop(journal);
            assert_eq!(device.open().1.taken(), recovery.next);
        }
        assert_eq!(longest, 8);
    }

    #[test]
    fn no_flipped_bit_is_believed() {
        let device = Device::new();
        let (mut journal, mut uplink, _) = device.open();
        (1..=3).for_each(|seq| change(&mut journal, &mut uplink, vec![Entry::Taken(sample(seq))]));
        drop(journal);
        let path = device.path.join(JOURNAL);
        let whole = fs::read(&path).unwrap();
        for at in MAGIC.len()..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&path, &flipped).unwrap();
            let (_journal, restored, recovery) = device.open();
            let found = numbers(&restored);
            assert_eq!(found, (1..=u64::try_from(found.len()).unwrap()).collect::<Vec<_>>());
            assert!(found.len() < 3 && recovery.discarded > 0);
        }
        assert!(device.path.join("journal.damaged").exists());
    }

    #[test]
    fn after_a_failed_write_the_next_one_counts() {
        let device = Device::new();
        let (mut journal, mut uplink, _) = device.open();
        change(&mut journal, &mut uplink, vec![Entry::Taken(sample(1))]);
        let path = device.path.join(JOURNAL);
        let good = std::mem::replace(&mut journal.file, File::open(&path).unwrap());
        assert!(matches!(journal.append(&[Entry::Taken(sample(2))]), Err(JournalError::Write(_))));
        // As a full disk would: half a record is there.
        journal.file = good;
        journal.file.write_all(&record(&Entry::Taken(sample(2)))[..20]).unwrap();
        change(&mut journal, &mut uplink, vec![Entry::Taken(sample(3))]);
        drop(journal);
        let (_journal, restored, recovery) = device.open();
        assert_eq!((numbers(&restored), recovery.discarded), (vec![1, 3], 0));
    }

    #[test]
    fn a_foreign_file_is_not_overwritten() {
        let device = Device::new();
        drop(device.open());
        for (name, content) in [(JOURNAL, "a letter to a friend"), (SEQUENCE, "many")] {
            let path = device.path.join(name);
            let good = fs::read(&path).unwrap();
            fs::write(&path, content).unwrap();
            let refused = Journal::open(DataDir::open(&device.path).unwrap(), 10);
            assert!(matches!(refused, Err(JournalError::Foreign(file)) if file == name));
            assert_eq!(fs::read(&path).unwrap(), content.as_bytes());
            fs::write(&path, good).unwrap();
        }
    }

    #[test]
    fn a_shortened_journal_says_the_same() {
        let device = Device::new();
        let (mut journal, mut uplink, _) = device.open();
        for seq in 1..=2_000 {
            change(&mut journal, &mut uplink, vec![Entry::Taken(sample(seq)), Entry::Formed(1)]);
            if seq <= 1_990 {
                change(&mut journal, &mut uplink, vec![Entry::Acknowledged(Seq(seq))]);
            }
        }
        assert!(journal.is_long_for(uplink.stored()));
        let before = journal.length;
        journal.shorten(&ShortJournal::of(&uplink)).unwrap();
        assert!(journal.length < before / 50 && !journal.is_long_for(uplink.stored()));
        change(&mut journal, &mut uplink, vec![Entry::Taken(sample(2_001))]);
        drop(journal);
        assert!(device.open().1.entries().eq(uplink.entries()));
    }
}
