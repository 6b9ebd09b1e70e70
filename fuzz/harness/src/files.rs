//! The files that the programs keep: keys, identities, tickets, alerts, a device's flash. A disk returns anything.

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
    flash::{Durable, FileFlash, PAGE},
    identity::Identity,
};
use wearable_core::{
    flash::Layout,
    uplink::{Limits, Uplink},
};

use crate::{
    content,
    fixture::{GATEWAY, NOW, PATIENT, gateway, select},
};

const ALERT: &str = "alert-00000000-0000-7000-8000-000000000000.json";
/// As small as a flash may be.
const LAYOUT: Layout =
    Layout { config: 0..2 * PAGE, samples: 2 * PAGE..5 * PAGE, thinned: 5 * PAGE..8 * PAGE };
const LIMITS: Limits = Limits { in_flight: 4, samples_per_batch: 64, batch_bytes: 16_384 };

/// Whatever a file holds, it is understood or refused and never replaced by something else; what is understood is kept
/// and read back equal. A damaged flash gives no sample that was not taken, and is of use again.
pub fn files(data: &[u8]) {
    let (which, bytes) = select(data);
    let folder = Folder::new();
    match which % 8 {
        0 => database_key(&folder, bytes),
        1 => device(&folder, "device-id", bytes),
        2 => device(&folder, "storage-key", bytes),
        3 => any_flash(&folder, bytes),
        4 => damaged_flash(&folder, &mut Unstructured::new(bytes)),
        5 => identity(&folder, bytes),
        6 => ticket(&folder, bytes),
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
    // An id without its key is refused before it is read.
    folder.put("storage-key", &[7; 32]);
    folder.put(name, bytes);
    let opened = Identity::open(&folder.open());
    assert_eq!(folder.get(name), bytes, "an identity was replaced");
    if let Ok(identity) = opened {
        let again = Identity::open(&folder.open()).unwrap();
        assert_eq!(again.device, identity.device);
        assert_eq!(again.storage_key.expose(), identity.storage_key.expose());
    }
}

fn flash(folder: &Folder) -> FileFlash {
    FileFlash::open(&folder.path.join("flash"), LAYOUT.thinned.end, Durable::Program).unwrap()
}

fn any_flash(folder: &Folder, bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    whole.resize(LAYOUT.thinned.end as usize, 0);
    folder.put("flash", &whole);
    let mut flash = flash(folder);
    let Ok((mut uplink, _)) = Uplink::open(&mut flash, &LAYOUT, LIMITS, Seq(0)) else { return };
    let next = uplink.next_seq();
    if uplink.take(&mut flash, &sample(next.0)).is_ok() {
        let (again, _) = Uplink::open(&mut flash, &LAYOUT, LIMITS, Seq(0)).unwrap();
        assert!(again.next_seq() > next, "a number twice");
    }
}

/// What a device kept, and what became of it.
#[derive(Debug, Arbitrary)]
struct Damage {
    taken: u8,
    acknowledged: u8,
    flips: Vec<u32>,
}

fn damaged_flash(folder: &Folder, input: &mut Unstructured<'_>) {
    let Ok(damage) = Damage::arbitrary(input) else { return };
    let taken = u64::from(damage.taken % 40);
    let mut flash = flash(folder);
    let (mut uplink, _) = Uplink::open(&mut flash, &LAYOUT, LIMITS, Seq(0)).unwrap();
    for seq in 1..=taken {
        uplink.take(&mut flash, &sample(seq)).unwrap();
    }
    while uplink.next_batch(&mut flash).unwrap().is_some() {}
    uplink.acknowledge(&mut flash, Seq(u64::from(damage.acknowledged).min(taken))).unwrap();
    for bit in damage.flips.iter().take(64) {
        flash.trouble().flip(*bit).unwrap();
    }
    let Ok((mut uplink, _)) = Uplink::open(&mut flash, &LAYOUT, LIMITS, Seq(0)) else { return };
    while let Ok(Some(batch)) = uplink.next_batch(&mut flash) {
        assert!(
            batch.samples.iter().all(|kept| *kept == sample(kept.seq.0)),
            "a sample that was not taken so"
        );
    }
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
    Identity::open(&dir).unwrap();
    drop(dir);
    let mut flash = flash(&folder);
    let (mut uplink, _) = Uplink::open(&mut flash, &LAYOUT, LIMITS, Seq(0)).unwrap();
    for seq in 1..=3 {
        uplink.take(&mut flash, &sample(seq)).unwrap();
    }
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
    let names = [(0, "database.key"), (1, "device-id"), (2, "storage-key"), (3, "flash")];
    let more = [(5, "identity.json"), (6, "ticket.json"), (7, &*alert)];
    let files = names.iter().chain(&more).map(|(which, name)| [&[*which][..], &folder.get(name)].concat());
    files.chain([vec![4, 9, 3, 1, 90, 0, 0]]).collect()
}
