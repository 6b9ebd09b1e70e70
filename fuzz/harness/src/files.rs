//! The files that the programs keep: keys, identities, tickets, alerts, the journal. A disk returns anything.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use arbitrary::{Arbitrary, Unstructured};
use crypto::Secret;
use gateway::keyfile;
use host::datadir::DataDir;
use patient::store::{Binding, KeptAlert, Store};
use protocol::{
    alert::Stage,
    credential::{ClientKind, Suite},
    handshake::resume::Ticket,
    id::{BootId, Seq},
    time::UnixMillis,
    vitals::{Sample, SampleTime},
};
use tempfile::TempDir;
use wearable::{
    journal::Journal,
    keys::{Keys, read_gateway, write_gateway},
};
use wearable_core::uplink::Entry;

use crate::{
    content,
    fixture::{GATEWAY, NOW, PATIENT, gateway, select},
};

const ALERT: &str = "alert-00000000-0000-7000-8000-000000000000.json";
const CAPACITY: usize = 64;

/// Whatever a file holds, it is understood or refused and never replaced by something else; what is understood is kept
/// and read back equal. A damaged journal gives the samples before the damage, and no number twice.
pub fn files(data: &[u8]) {
    let (which, bytes) = select(data);
    let folder = Folder::new();
    match which % 9 {
        0 => database_key(&folder, bytes),
        1 => device(&folder, "device-id", bytes),
        2 => device(&folder, "login-key", bytes),
        3 => pinned_gateway(&folder, bytes),
        4 => any_journal(&folder, bytes),
        5 => damaged_journal(&folder, &mut Unstructured::new(bytes)),
        6 => identity(&folder, bytes),
        7 => ticket(&folder, bytes),
        _ => alert(&folder, bytes),
    }
}

/// An empty data folder, in memory where there is one: the programs sync every write.
struct Folder {
    _parent: TempDir,
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let path = parent.path().join("data");
        DataDir::open(&path).unwrap();
        Self { _parent: parent, path }
    }

    fn open(&self) -> DataDir {
        DataDir::open(&self.path).unwrap()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(self.path.join(name));
        file.unwrap().write_all(bytes).unwrap();
    }

    fn get(&self, name: &str) -> Vec<u8> {
        fs::read(self.path.join(name)).unwrap()
    }
}

fn database_key(folder: &Folder, bytes: &[u8]) {
    folder.put("database.key", bytes);
    let found = keyfile::obtain(&folder.open());
    assert_eq!(folder.get("database.key"), bytes, "the key file was replaced");
    let is_key = bytes.trim_ascii().len() == 64 && bytes.trim_ascii().iter().all(u8::is_ascii_hexdigit);
    assert_eq!(found.is_ok(), is_key);
    if let Ok(found) = found {
        assert_eq!(hex::encode(found.key.expose()).as_bytes(), bytes.trim_ascii().to_ascii_lowercase());
    }
}

fn device(folder: &Folder, name: &str, bytes: &[u8]) {
    folder.put(name, bytes);
    let opened = Keys::open(&folder.open());
    assert_eq!(folder.get(name), bytes, "an identity was replaced");
    if let Ok(keys) = opened {
        let again = Keys::open(&folder.open()).unwrap();
        assert_eq!(again.device(), keys.device());
        assert_eq!(again.login().verifying_key(), keys.login().verifying_key());
    }
}

fn pinned_gateway(folder: &Folder, bytes: &[u8]) {
    folder.put("gateway.json", bytes);
    let dir = folder.open();
    if let Ok(read) = read_gateway(&dir) {
        let pinned = read.expect("there is a file");
        write_gateway(&dir, &pinned).unwrap();
        assert_eq!(read_gateway(&dir).unwrap(), Some(pinned));
    }
}

fn any_journal(folder: &Folder, bytes: &[u8]) {
    folder.put("journal", bytes);
    let Ok((journal, uplink, recovery)) = Journal::open(folder.open(), CAPACITY) else {
        return assert_eq!(folder.get("journal"), bytes, "a foreign file was changed");
    };
    assert!(recovery.next > uplink.taken() && recovery.discarded <= bytes.len());
    journal.close(&uplink).unwrap();
    let (_, again, second) = Journal::open(folder.open(), CAPACITY).unwrap();
    assert!(again.entries().eq(uplink.entries()), "the same after another start");
    assert_eq!((second.next, second.discarded), (recovery.next, 0));
}

/// What a device wrote, and what became of it.
#[derive(Debug, Arbitrary)]
struct Damage {
    taken: u8,
    formed: u8,
    acknowledged: u8,
    at: u16,
    how: How,
}

#[derive(Debug, Arbitrary)]
enum How {
    Cut,
    Flip(u8),
    Insert(Vec<u8>),
}

fn damaged_journal(folder: &Folder, input: &mut Unstructured<'_>) {
    let Ok(damage) = Damage::arbitrary(input) else { return };
    let taken = u64::from(damage.taken % 40);
    let (mut journal, mut before, _) = Journal::open(folder.open(), CAPACITY).unwrap();
    let entries = (1..=taken).map(|seq| Entry::Taken(sample(seq)));
    let rest = [
        Entry::Formed(damage.formed.into()),
        Entry::Acknowledged(Seq(u64::from(damage.acknowledged).min(taken))),
    ];
    for entry in entries.chain(rest) {
        journal.append(std::slice::from_ref(&entry)).unwrap();
        before.apply(entry);
    }
    drop(journal);

    let mut bytes = folder.get("journal");
    let at = usize::from(damage.at) % bytes.len();
    match damage.how {
        How::Cut => bytes.truncate(at),
        How::Flip(bits) => bytes[at] ^= bits,
        How::Insert(more) => drop(bytes.splice(at..at, more)),
    }
    folder.put("journal", &bytes);
    let Ok((_, after, recovery)) = Journal::open(folder.open(), CAPACITY) else { return };
    assert!(recovery.next.0 > taken, "a number twice");
    let kept = after.entries().filter_map(|entry| match entry {
        Entry::Taken(sample) => Some(sample),
        _ => None,
    });
    let kept: Vec<Sample> = kept.collect();
    let first = kept.first().map_or(1, |sample| sample.seq.0);
    assert!(first <= before.acknowledged().0 + 1, "a sample before the damage is gone");
    assert!((first..=taken).map(sample).take(kept.len()).eq(kept), "a sample that was not taken so");
}

fn identity(folder: &Folder, bytes: &[u8]) {
    folder.put("identity.json", bytes);
    let store = Store::open(&folder.path).unwrap();
    let read = store.binding();
    assert_eq!(folder.get("identity.json"), bytes, "an identity was replaced");
    if let Ok(binding) = read {
        let binding = binding.expect("there is a file");
        store.keep_binding(&binding).unwrap();
        let again = store.binding().unwrap().unwrap();
        assert_eq!(
            (&again.patient, &again.gateway, again.paired),
            (&binding.patient, &binding.gateway, binding.paired)
        );
        assert_eq!(again.identity.login.verifying_key(), binding.identity.login.verifying_key());
    }
}

fn ticket(folder: &Folder, bytes: &[u8]) {
    folder.put("ticket.json", bytes);
    let store = Store::open(&folder.path).unwrap();
    let taken = store.take_ticket(NOW.wall).unwrap();
    assert!(store.take_ticket(NOW.wall).unwrap().is_none(), "a ticket works once");
    if let Some(ticket) = taken {
        store.keep_ticket(&ticket, UnixMillis(NOW.wall.0 + 1)).unwrap();
        let again = store.take_ticket(NOW.wall).unwrap().unwrap();
        assert_eq!((again.token, again.key), (ticket.token, ticket.key));
    }
}

fn alert(folder: &Folder, bytes: &[u8]) {
    folder.put(ALERT, bytes);
    let store = Store::open(&folder.path).unwrap();
    let read = store.alerts(&GATEWAY.alerts.verifying_key(), UnixMillis(1)).unwrap();
    assert!(read.iter().all(|kept| kept.alert == content::alert()), "an alert that nobody signed");
}

fn sample(seq: u64) -> Sample {
    Sample {
        seq: Seq(seq),
        boot: BootId(9),
        taken: SampleTime { since_boot_ms: seq, wall: None },
        simulated: true,
        quantities: Vec::new(),
    }
}

/// Files as the programs write them, with their selectors: seeds.
pub(crate) fn genuine() -> Vec<Vec<u8>> {
    let folder = Folder::new();
    let dir = folder.open();
    keyfile::obtain(&dir).unwrap();
    Keys::open(&dir).unwrap();
    write_gateway(&dir, &gateway(ClientKind::Wearable)).unwrap();
    let (mut journal, _, _) = Journal::open(dir, CAPACITY).unwrap();
    let entries =
        [Entry::Taken(sample(1)), Entry::Taken(sample(2)), Entry::Formed(2), Entry::Acknowledged(Seq(1))];
    journal.append(&entries).unwrap();
    drop(journal);
    let store = Store::open(&folder.path).unwrap();
    let binding = Binding {
        patient: "P001".parse().unwrap(),
        identity: std::sync::Arc::clone(&PATIENT),
        gateway: gateway(ClientKind::Patient),
        paired: NOW.wall,
    };
    store.keep_binding(&binding).unwrap();
    store
        .keep_ticket(
            &Ticket { token: [7; 16], suite: Suite::Patient, key: Secret::new([8; 32]) },
            UnixMillis(u64::MAX),
        )
        .unwrap();
    let kept = KeptAlert { alert: content::alert(), seen: NOW.wall, stage: Stage::Acknowledged };
    store.keep_alert(&kept).unwrap();
    let alert = format!("alert-{}.json", kept.alert.id());
    let names =
        [(0, "database.key"), (1, "device-id"), (2, "login-key"), (3, "gateway.json"), (4, "journal")];
    let more = [(6, "identity.json"), (7, "ticket.json"), (8, &*alert)];
    let files = names.iter().chain(&more).map(|(which, name)| [&[*which][..], &folder.get(name)].concat());
    files.chain([vec![5, 3, 2, 1, 90, 0, 0]]).collect()
}
