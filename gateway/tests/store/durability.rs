//! Persist, then answer: seen from the system calls. `kill -9` cannot show this, because the kernel keeps what a dead
//! process wrote; a power cut would not. So these tests run themselves again with `disk.c` between the store and
//! the kernel, which counts the syncs and can be a full or a failing disk.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use gateway::store::{Store, StoreError, StoreHealth};

use crate::support::*;

/// The disk, as `disk.c` sees and changes it.
struct Disk {
    log: PathBuf,
}

impl Disk {
    fn syncs(&self) -> usize {
        fs::read_to_string(&self.log).unwrap().lines().count()
    }

    fn switch(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}.{name}", self.log.display()))
    }

    /// Makes the disk `full` or `failing`.
    fn becomes(&self, name: &str) {
        fs::File::create(self.switch(name)).unwrap();
    }

    fn recovers_from(&self, name: &str) {
        fs::remove_file(self.switch(name)).unwrap();
    }
}

/// Runs the test of this name again, with `disk.c` loaded; the second time, gives the disk.
fn watched(test: &str) -> Option<Disk> {
    if let Some(log) = env::var_os("DISK_LOG") {
        return Some(Disk { log: log.into() });
    }
    let folder = tempfile::tempdir().unwrap();
    let (library, log) = (folder.path().join("disk.so"), folder.path().join("log"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/disk.c");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").status();
    assert!(compiled.unwrap().success(), "the C compiler, which SQLite needs too, builds disk.c");
    fs::File::create(&log).unwrap();
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("durability::{test}"), "--nocapture"])
        .env("LD_PRELOAD", &library)
        .env("DISK_LOG", &log)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && output.contains("1 passed"), "{}: {output}", run.status);
    None
}

async fn append(store: &Store, n: u64) -> Result<(), StoreError> {
    let job = move |ledger: &gateway::store::Ledger<'_>| {
        ledger.append_vitals(device(1), &batch([0; 32], [n]), NOW).map(drop)
    };
    store.write(job).await
}

async fn stored_numbers(store: &Store) -> Vec<u64> {
    let stored = store.read(|view| view.outbox_after(0, 1_000)).await.unwrap();
    stored.iter().map(|stored| stored.sample.seq.0).collect()
}

#[tokio::test]
async fn every_answer_comes_after_a_sync_and_one_sync_serves_many() {
    let Some(disk) = watched("every_answer_comes_after_a_sync_and_one_sync_serves_many") else { return };
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    for n in 1..=20 {
        let before = disk.syncs();
        append(&store, n).await.unwrap();
        assert!(disk.syncs() > before, "sample {n} was answered before anything was synced");
    }
    let before = disk.syncs();
    let together: Vec<_> = (21..=520)
        .map(|n| (n, store.clone()))
        .map(|(n, store)| tokio::spawn(async move { append(&store, n).await }))
        .collect();
    for one in together {
        one.await.unwrap().unwrap();
    }
    let syncs = disk.syncs() - before;
    assert!((1..=50).contains(&syncs), "{syncs} syncs for 500 writes");
    assert_eq!(stored_numbers(&store).await.len(), 520);
}

/// While the disk is `fault`: writes are refused with `error`, `health` says so, reads go on. Afterwards writes work
/// by themselves, and what was answered is all there is.
async fn outlives(disk: &Disk, fault: &str, is_it: fn(&StoreError) -> bool, health: StoreHealth) {
    let folder = Folder::new();
    let store = with_wearable(&folder).await;
    let seen = store.health();
    append(&store, 1).await.unwrap();
    assert_eq!(*seen.borrow(), StoreHealth::Ok);
    disk.becomes(fault);
    let together: Vec<_> = (2..=10)
        .map(|n| (n, store.clone()))
        .map(|(n, store)| tokio::spawn(async move { append(&store, n).await }))
        .collect();
    for one in together {
        let refused = one.await.unwrap().unwrap_err();
        assert!(is_it(&refused), "{refused:?}");
    }
    assert_eq!(*seen.borrow(), health);
    store.write(|_| Ok(())).await.ok();
    assert_eq!(*seen.borrow(), health, "a job that writes nothing proves nothing");
    assert_eq!(stored_numbers(&store).await, [1]);
    disk.recovers_from(fault);
    append(&store, 11).await.unwrap();
    assert_eq!(*seen.borrow(), StoreHealth::Ok);
    let crashed = folder.copy();
    assert_eq!(stored_numbers(&crashed.open()).await, [1, 11]);
    store.close().await;
    assert_eq!(stored_numbers(&folder.open()).await, [1, 11]);
}

#[tokio::test]
async fn a_full_disk_refuses_loses_nothing_and_recovers() {
    let Some(disk) = watched("a_full_disk_refuses_loses_nothing_and_recovers") else { return };
    outlives(&disk, "full", |error| *error == StoreError::Full, StoreHealth::Full).await;
}

#[tokio::test]
async fn a_sync_that_fails_is_never_answered_as_stored() {
    let Some(disk) = watched("a_sync_that_fails_is_never_answered_as_stored") else { return };
    outlives(&disk, "failing", |error| matches!(error, StoreError::Unavailable(_)), StoreHealth::Failing)
        .await;
}
