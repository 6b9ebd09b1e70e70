//! A maker's way from a key to a device with a label, as it is typed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use clap::Parser;
use host::exit::{Exit, Stop};
use serde_json::Value;
use wearable::{
    cli::{Args, Verb},
    factory, firmware,
};

/// Types a line with files in `folder` (`@` in front of a name), and gives what was printed, or the exit and the sentence.
fn type_in(folder: &Path, line: &str) -> Result<String, (Exit, String)> {
    let place = |word: &str| match word.strip_prefix('@') {
        Some(name) => folder.join(name).display().to_string(),
        None => word.to_owned(),
    };
    let args =
        Args::try_parse_from(line.split(' ').map(place)).map_err(|error| (Exit::Usage, error.to_string()))?;
    let mut out = Vec::new();
    let done = match args.verb {
        Some(Verb::Firmware(args)) => firmware::run(&args, &mut out),
        Some(Verb::Factory(args)) => factory::run(&args, &mut out),
        other => panic!("{other:?}"),
    };
    done.map(|()| String::from_utf8(out).unwrap())
        .map_err(|error| (Stop::exit_of(error.as_ref()), format!("{error:#}")))
}

fn json(folder: &Path, line: &str) -> Value {
    serde_json::from_str(&type_in(folder, line).unwrap()).unwrap()
}

#[track_caller]
fn refused(folder: &Path, line: &str, exit: Exit, part: &str) {
    let (ended, said) = type_in(folder, line).unwrap_err();
    assert!(ended == exit && said.contains(part), "{line}: {ended:?} {said}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_image_is_signed_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("built.bin"), [7; 5_000]).unwrap();

    let made = json(at, "wearable firmware keygen --out @maker --json");
    assert_eq!(mode(&at.join("maker")), 0o600);
    assert_eq!(fs::read_to_string(at.join("maker.pub")).unwrap().trim().len(), 64);
    let signed = json(
        at,
        "wearable firmware sign @built.bin --key @maker --hardware lm3s6965 --version 7 --out @v7.img --json",
    );
    assert_eq!(
        (&signed["hardware"], &signed["version"], &signed["length"]),
        (&"lm3s6965".into(), &7.into(), &5_000.into())
    );
    assert_eq!(signed["maker"], made["maker"]);
    assert_eq!(json(at, "wearable firmware verify @v7.img --key @maker.pub --json"), signed);
    let said = type_in(at, "wearable firmware verify @v7.img --key @maker.pub").unwrap();
    assert!(said.contains("good, version 7 for lm3s6965, 5000 bytes"), "{said}");
    let image = fs::read(at.join("v7.img")).unwrap();
    assert_eq!(image[image.len() - 5_000..], [7; 5_000]);

    let verify = "wearable firmware verify @other.img --key @maker.pub";
    let mut altered = image.clone();
    altered[3_000] ^= 1;
    for (bytes, part) in [
        (&altered[..], "was altered"),
        (&image[..image.len() - 1], "has not the length"),
        (&[&image[..], b"x"].concat(), "has not the length"),
        (b"\x7fELF....", "is no firmware image"),
        (b"", "is no firmware image"),
    ] {
        fs::write(at.join("other.img"), bytes).unwrap();
        refused(at, verify, Exit::Failed, part);
    }
    fs::write(at.join("other.img"), vec![0; 3 << 20]).unwrap();
    refused(at, verify, Exit::Usage, "is longer than");

    type_in(at, "wearable firmware keygen --out @second").unwrap();
    refused(at, "wearable firmware verify @v7.img --key @second.pub", Exit::Failed, "another maker's key");
}

#[test]
fn keys_are_not_mixed_up_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("built.bin"), b"body").unwrap();
    type_in(at, "wearable firmware keygen --out @maker").unwrap();
    let secret = fs::read(at.join("maker")).unwrap();
    refused(at, "wearable firmware keygen --out @maker", Exit::Usage, "is not written over");
    fs::remove_file(at.join("maker")).unwrap();
    refused(at, "wearable firmware keygen --out @maker", Exit::Usage, "maker.pub exists");
    assert!(!at.join("maker").exists(), "no key without its other half");
    // A link to nowhere: it does not exist, and nothing can be written there.
    fs::remove_file(at.join("maker.pub")).unwrap();
    std::os::unix::fs::symlink(at.join("nowhere/x"), at.join("maker.pub")).unwrap();
    refused(at, "wearable firmware keygen --out @maker", Exit::Usage, "maker.pub");
    assert!(!at.join("maker").exists(), "no key without its other half");
    fs::remove_file(at.join("maker.pub")).unwrap();
    type_in(at, "wearable firmware keygen --out @maker").unwrap();
    fs::remove_file(at.join("maker")).unwrap();
    fs::write(at.join("maker"), &secret).unwrap();
    let sign = "wearable firmware sign @built.bin --key @maker --hardware b --version 1 --out @a.img";
    refused(at, sign, Exit::Configuration, "chmod go-rwx");
    fs::set_permissions(at.join("maker"), fs::Permissions::from_mode(0o600)).unwrap();
    type_in(at, sign).unwrap();
    refused(at, sign, Exit::Usage, "a.img exists");

    refused(at, "wearable firmware verify @a.img --key @maker", Exit::Usage, "is a private key");
    let public = sign.replace("@maker", "@maker.pub").replace("a.img", "b.img");
    fs::set_permissions(at.join("maker.pub"), fs::Permissions::from_mode(0o600)).unwrap();
    refused(at, &public, Exit::Usage, "is no maker's private key");
    refused(at, "wearable firmware verify @a.img --key @built.bin", Exit::Usage, "is no maker's public key");
    refused(at, "wearable firmware verify @a.img --key @none", Exit::Usage, "cannot read");
    for wrong in ["--version 0", "--version x", "--hardware ../x"] {
        let (option, _) = wrong.split_once(' ').unwrap();
        let line = sign.replace("@a.img", "@c.img");
        let words: Vec<&str> = line.split(' ').collect();
        let place = words.iter().position(|word| *word == option).unwrap();
        let line =
            [&words[..place], &wrong.split(' ').collect::<Vec<_>>(), &words[place + 2..]].concat().join(" ");
        refused(at, &line, Exit::Usage, option);
    }
    fs::write(at.join("empty"), b"").unwrap();
    refused(at, &sign.replace("@built.bin", "@empty").replace("a.img", "c.img"), Exit::Usage, "length");
    assert!(!at.join("c.img").exists());
}

/// The QR code of a label, read as a camera does.
fn scan(svg: &str) -> String {
    const PIXELS: usize = 4;
    let path = svg.split_once("<path d='").unwrap().1.split_once('\'').unwrap().0;
    let dark: Vec<(usize, usize)> = path
        .split('M')
        .skip(1)
        .map(|module| {
            let (x, rest) = module.split_once(' ').unwrap();
            (x.parse().unwrap(), rest.strip_suffix("h1v1h-1z").unwrap().parse().unwrap())
        })
        .collect();
    let side = dark.iter().map(|(x, _)| x + 1).max().unwrap() + 4;
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(side * PIXELS, side * PIXELS, |x, y| {
        if dark.contains(&(x / PIXELS, y / PIXELS)) { 0 } else { 255 }
    });
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1);
    grids[0].decode().unwrap().1
}

#[test]
fn a_device_is_made_with_a_manifest_and_a_label() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    type_in(at, "wearable firmware keygen --out @maker").unwrap();
    let make = "wearable factory --serial SN-000042 --key @maker --label @out.svg --manifest @out.json --data-dir @device";
    let made = json(at, &format!("{make} --json"));
    assert_eq!((&made["serial"], &made["simulated"]), (&"SN-000042".into(), &true.into()));
    let id = made["device"].as_str().unwrap();

    let device = at.join("device");
    assert_eq!(fs::read_to_string(device.join("device-id")).unwrap().trim(), id);
    assert_eq!(fs::read(device.join("storage-key")).unwrap().len(), 32);
    assert_eq!((mode(&device), mode(&device.join("storage-key"))), (0o700, 0o600));
    assert_eq!(fs::read(device.join("maker.pub")).unwrap(), fs::read(at.join("maker.pub")).unwrap());

    let svg = fs::read_to_string(at.join("out.svg")).unwrap();
    for part in ["SN-000042", &id[..19], &id[19..], ">SIMULATED<"] {
        assert!(svg.contains(part), "{part} in {svg}");
    }
    let hex = id.replace('-', "").to_uppercase();
    assert_eq!(scan(&svg), format!("VITALWARD:1:SN-000042:{hex}:SIMULATED"));

    let said = type_in(at, "wearable factory --check @out.json --key @maker.pub").unwrap();
    assert!(
        said.starts_with(&format!("SIMULATED device SN-000042 ({id}), vitalward-sim, made 20")),
        "{said}"
    );

    refused(at, make, Exit::Usage, "exists");
    let again = make.replace("out.svg", "2.svg").replace("out.json", "2.json");
    refused(at, &again, Exit::Usage, "is a device already");
    assert!(!at.join("2.svg").exists());
    let other =
        json(at, &format!("{again} --json").replace("@device", "@device2").replace("000042", "000043"));
    assert_ne!(other["device"], made["device"]);
    assert_ne!(
        fs::read(at.join("device2/storage-key")).unwrap(),
        fs::read(device.join("storage-key")).unwrap()
    );
}

#[test]
fn a_making_that_fails_or_is_cut_off_leaves_no_device_and_can_be_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    type_in(at, "wearable firmware keygen --out @maker").unwrap();
    let make = "wearable factory --serial SN-7 --key @maker --label @out.svg --manifest @none/out.json --data-dir @device";
    refused(at, make, Exit::Usage, "cannot write");
    assert!(!at.join("out.svg").exists() && !at.join("device").exists());
    // Power went when half of it was there.
    fs::write(at.join("device.making/device-id"), "half").unwrap();
    fs::remove_file(at.join("device.making/storage-key")).unwrap();
    let said = type_in(at, &make.replace("none/", "")).unwrap();
    for part in ["out.svg", "out.json", "wearable --name SN-7 --show-code --data-dir"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(at.join("device/storage-key").exists() && !at.join("device.making").exists());
}

#[test]
fn a_devices_folder_may_be_typed_with_a_slash_at_its_end_and_must_have_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    type_in(at, "wearable firmware keygen --out @maker").unwrap();
    let make = "wearable factory --serial SN-7 --key @maker --label @out.svg --data-dir";
    for nameless in [".", "..", "@..", "/"] {
        refused(at, &format!("{make} {nameless}"), Exit::Usage, "has no name of its own");
    }
    type_in(at, &format!("{make} @dev1/")).unwrap();
    assert!(at.join("dev1/storage-key").exists() && !at.join("dev1/.making").exists());
}

#[test]
fn a_real_devices_label_has_no_mark_of_simulation() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    type_in(at, "wearable firmware keygen --out @maker").unwrap();
    let longest = format!("SN-{}", "W".repeat(24));
    let make = format!(
        "wearable factory --serial {longest} --key @maker --label @out.svg --data-dir @d --hardware lm3s6965 --json"
    );
    assert_eq!(json(at, &make)["simulated"], false);
    let svg = fs::read_to_string(at.join("out.svg")).unwrap();
    assert!(!svg.contains("SIMULATED") && svg.contains("lm3s6965"));
    assert!(scan(&svg).starts_with(&format!("VITALWARD:1:{longest}:")));
}

#[test]
fn a_manifest_that_the_maker_did_not_sign_so_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for maker in ["maker", "second"] {
        type_in(at, &format!("wearable firmware keygen --out @{maker}")).unwrap();
    }
    type_in(
        at,
        "wearable factory --serial SN-1 --key @maker --label @l.svg --manifest @good.json --data-dir @d",
    )
    .unwrap();
    let check = "wearable factory --check @bad.json --key @maker.pub";
    let good = fs::read_to_string(at.join("good.json")).unwrap();
    refused(at, "wearable factory --check @good.json --key @second.pub", Exit::Failed, "another maker");
    for (from, to, part) in [
        ("SN-1", "SN-2", "altered"),
        ("vitalward-sim", "lm3s6965", "altered"),
        ("\"simulated\": true", "\"simulated\": false", "altered"),
        ("\"format\": 1", "\"format\": 2", "another format"),
        ("{", "{\"price\": 1,", "is no manifest"),
        ("SN-1", "<script>", "is no manifest"),
        ("}", "", "is no manifest"),
        ("\"signature\": \"", "\"signature\": \"00", "altered"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        fs::write(at.join("bad.json"), bad).unwrap();
        refused(at, check, Exit::Failed, part);
    }
    let flipped = |name: &str| {
        let mut bad = good.clone().into_bytes();
        let place = good.find(name).unwrap() + name.len() + 8;
        bad[place] = if bad[place] == b'1' { b'2' } else { b'1' };
        fs::write(at.join("bad.json"), bad).unwrap();
    };
    flipped("\"device\"");
    refused(at, check, Exit::Failed, "altered");
    flipped("\"made_unix_ms\"");
    refused(at, check, Exit::Failed, "altered");
}

#[test]
fn mistakes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (line, part) in [
        ("wearable factory --serial 42 --key @m --label @l.svg", "SN-"),
        ("wearable factory --serial SN-a --key @m --label @l.svg", "SN-"),
        ("wearable factory --serial SN-1 --key @m", "--label"),
        ("wearable factory --key @m --label @l.svg", "--serial"),
        ("wearable factory --check @x --serial SN-1 --key @m", "cannot be used"),
        ("wearable factory --serial SN-1 --key @none --label @l.svg --data-dir @d", "cannot read"),
        ("wearable firmware", "keygen"),
    ] {
        refused(folder.path(), line, Exit::Usage, part);
    }
}
