//! What lies on the disk, who may read it, and what happens when the disk is full.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    support::{Spot, Ward},
    vitals::{acknowledged, has_no_gap, more_acknowledgements},
};

/// All bytes of all files below a folder, but sockets.
fn everything_in(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(everything_in(&entry.path()));
        } else if kind.is_file() {
            files.push((entry.path(), fs::read(entry.path()).unwrap()));
        }
    }
    files
}

#[test]
fn the_database_tells_nothing_to_whoever_finds_the_disk() {
    let mut ward = Ward::open();
    let patient = ward.pair("Quokka-of-room-9", &[]);
    ward.pair_wearable("Zanzibar-77", "Quokka-of-room-9", &["--speed", "0", "--samples", "100"])
        .end()
        .ended(0, &[]);
    let (exit, _) = ward.alert(&["The marmalade is on fire"]);
    assert_eq!(exit, 0);
    let look = |ward: &Ward| {
        let files = everything_in(&ward.folder());
        assert!(files.iter().any(|(path, _)| path.ends_with("ward.db")));
        for (path, content) in &files {
            assert!(!content.starts_with(b"SQLite format 3"), "{}", path.display());
            for secret in ["Quokka-of-room-9", "Zanzibar-77", "marmalade", "CREATE TABLE", "temperature"] {
                let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} stands in {}", path.display());
            }
            let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
    };
    look(&ward);
    ward.gateway().signal("TERM");
    ward.take_gateway().end().ended(0, &[]);
    look(&ward);
    assert!(fs::metadata(ward.folder().join("ward.db")).unwrap().len() > 20_000, "it is all in there");
    drop(patient);
}

#[test]
fn a_folder_serves_one_gateway_at_a_time() {
    let ward = Ward::open();
    let line = ["--id", "D001", "--headless", "--listen", "127.0.0.1:0", "--wearable-listen", "127.0.0.1:0"];
    ward.spot.run("gateway", &line).ended(69, &["gateway-D001 is in use by another running program"]);
    assert_eq!(ward.ask(&["status"])["doctor"], "D001", "the first is not disturbed");
    // Another folder on the same port.
    let elsewhere = Spot::new();
    let line = ["--id", "D001", "--headless", "--listen", &ward.patients, "--wearable-listen", "127.0.0.1:0"];
    elsewhere.run("gateway", &line).ended(69, &["cannot listen on", "is another gateway running?"]);
}

#[test]
fn folders_and_keys_that_others_may_read_are_refused() {
    let mut ward = Ward::open();
    let patient = ward.pair("P001", &[]);
    let wearable = ward.pair_wearable("W1", "P001", &[]);
    patient.kill();
    wearable.kill();
    ward.take_gateway().kill();
    let refuses = |program: &str, arguments: &[&str], path: PathBuf| {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} was made with mode {mode:o}", path.display());
        fs::set_permissions(&path, Permissions::from_mode(mode | 0o040)).unwrap();
        let command = format!("chmod go-rwx {}", path.display());
        ward.spot.run(program, arguments).ended(78, &["can be read by others", &command]);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    let gateway =
        ["--id", "D001", "--headless", "--listen", "127.0.0.1:0", "--wearable-listen", "127.0.0.1:0"];
    refuses("gateway", &gateway, ward.folder());
    refuses("gateway", &gateway, ward.folder().join("database.key"));
    let patient = ward.patient_line("P001", &[]);
    refuses("patient", &patient, ward.spot.path().join("patient-P001"));
    refuses("patient", &patient, ward.spot.path().join("patient-P001/identity.json"));
    let wearable = ["--name", "W1", "--gateway", &ward.wearables, "--headless"];
    refuses("wearable", &wearable, ward.spot.path().join("wearable-W1"));
}

#[test]
fn a_database_without_its_key_is_not_replaced_by_an_empty_one() {
    let mut ward = Ward::open();
    ward.take_gateway().kill();
    let line = ["--id", "D001", "--headless", "--listen", "127.0.0.1:0", "--wearable-listen", "127.0.0.1:0"];
    let (key, away) = (ward.folder().join("database.key"), ward.spot.path().join("away"));
    fs::rename(&key, &away).unwrap();
    ward.spot.run("gateway", &line).ended(78, &["holds a database but no database.key"]);
    fs::write(&key, "00".repeat(32)).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(ward.spot.run("gateway", &line).code, Some(78), "another key opens nothing");
    fs::remove_file(&key).unwrap();
    fs::rename(&away, &key).unwrap();
    ward.start();
}

/// How this machine lets us make a mount namespace of our own, if it does.
fn namespace() -> Option<&'static [&'static str]> {
    let ways: [&'static [&'static str]; 2] = [&["unshare", "-m"], &["unshare", "-rm"]];
    ways.into_iter().find(|way| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["sh", "-c", "mount -t tmpfs -o size=1m story /mnt"]);
        command.output().is_ok_and(|out| out.status.success())
    })
}

#[test]
fn a_full_disk_is_said_loudly_loses_nothing_acknowledged_and_is_over_when_there_is_space() {
    let Some(namespace) = namespace() else {
        let skipped = "\n*** SKIPPED: the story of the full disk needs a mount namespace (root, or unshare -rm) ***\n\n";
        // Not through the macro, which the test harness keeps to itself.
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        return;
    };
    let spot = Spot::new();
    let folder = spot.path().join("gateway-D001");
    fs::create_dir(&folder).unwrap();
    let mount = format!("mount -t tmpfs -o size=12m,mode=700 story {} && exec \"$@\"", folder.display());
    let launcher = [namespace, &["sh", "-c", &mount, "sh"]].concat();
    let mut ward = Ward::launched(spot, &launcher, &[]);
    ward.look_inside();
    let patient = ward.pair("P001", &[]);
    let wearable = ward.pair_wearable("W1", "P001", &["--speed", "100"]);
    more_acknowledgements(&wearable, 5);

    let inside = format!("/proc/{}/root{}/filler", ward.gateway().id(), folder.display());
    let mut filler = OpenOptions::new().create(true).append(true).open(&inside).unwrap();
    for block in [65_536, 4_096, 1] {
        while filler.write_all(&vec![7; block]).is_ok() {}
    }
    let full = ward.gateway().wait(&json!({"event": "storage"}));
    assert_eq!(full["health"], "full");
    // What still fits into the database's log is written, and then storage is "ok" for a moment.
    assert!((0..100).any(|_| ward.ask(&["status"])["storage"] == "full"), "it is never said on request");
    ward.verb(&["alert", "Heard by nobody", "--yes"]).ended(1, &["the alert was NOT sent"]);
    wearable.wait_for("that the gateway cannot store", |line| {
        line["event"] == "disconnected" && line["reason"].as_str().unwrap().contains("cannot store")
    });
    let before = wearable.all(&json!({"event": "acknowledged"}));
    wearable.wait_for("another try", |line| {
        line["event"] == "disconnected" && line["reason"].as_str().unwrap().contains("cannot store")
    });
    assert_eq!(wearable.all(&json!({"event": "acknowledged"})), before, "nothing is acknowledged meanwhile");

    drop(filler);
    fs::remove_file(&inside).unwrap();
    ward.gateway().wait(&json!({"event": "storage", "health": "ok"}));
    more_acknowledgements(&wearable, 3);
    let (exit, _) = ward.alert(&["Heard again"]);
    assert_eq!(exit, 0);
    patient.wait(&json!({"event": "alert", "text": "Heard again"}));
    let heard: Vec<Value> = patient.all(&json!({"event": "alert", "text": "Heard by nobody"}));
    assert_eq!(heard, Vec::<Value>::new());
    wearable.signal("TERM");
    let said = wearable.end();
    let stored = ward.ask(&["vitals", "--patient", "P001", "--last", "100000"]);
    assert!(has_no_gap(&stored) >= acknowledged(&said.lines));
}

#[test]
fn the_database_gets_a_new_key_while_the_gateway_stands_still_and_loses_nothing() {
    let mut ward = Ward::open();
    let patient = ward.pair("P001", &["--acknowledge"]);
    assert_eq!(ward.alert(&["Before the rotation"]).0, 0);
    let folder = ward.folder();
    let rotate = ["rotate-database-key", "--id", "D001", "--data-dir", folder.to_str().unwrap()];
    ward.verb(&rotate).ended(69, &["in use by another running program"]);

    let old = fs::read(folder.join("database.key")).unwrap();
    ward.gateway().signal("TERM");
    ward.take_gateway().end().ended(0, &[]);
    ward.spot.run("gateway", &rotate).ended(0, &[]);
    let new = fs::read(folder.join("database.key")).unwrap();
    assert_ne!(new, old);
    assert_eq!(fs::metadata(folder.join("database.key")).unwrap().permissions().mode() & 0o777, 0o600);

    ward.start();
    assert_eq!(ward.ask(&["alerts"])[0]["text"], "Before the rotation");
    patient.wait_until("the session after the rotation", |lines| {
        (lines.iter().filter(|line| line["event"] == "session").count() >= 2).then_some(())
    });
    assert_eq!(ward.alert(&["After the rotation"]).0, 0);
    ward.gateway().signal("TERM");
    ward.take_gateway().end().ended(0, &[]);
    fs::write(folder.join("database.key"), old).unwrap();
    ward.spot
        .run("gateway", &["--id", "D001", "--headless", "--data-dir", folder.to_str().unwrap()])
        .ended(78, &["key"]);
}
