//! A signed update on the board. The chip's flash cannot be written from inside QEMU, so this file plays the flash
//! programmer: it starts the loader, which decides in the guest, and then the chip with the image that the loader chose.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{Bench, Board, said};
use crate::support::{Program, Ward};

/// Header of an image.
const HEADER: usize = 152;
/// Where the first body begins on the card: behind its head, at a page.
const FIRST_BODY: usize = 1024;
const HARDWARE: &str = "qemu-lm3s6965";
/// The maker's key that the image was built with; everybody knows it.
const KEY: &str = include_str!("../../../../../wearable-fw/boards/qemu-lm3s6965/test-only-maker");
/// Where no gateway is.
const NOBODY: &str = "127.0.0.1:1";

/// What the loader said.
#[derive(Debug, PartialEq, Eq)]
struct Start {
    slot: char,
    version: u32,
    on_trial: bool,
    given_up: Option<String>,
}

impl Start {
    const fn of(slot: char, version: u32) -> Self {
        Self { slot, version, on_trial: false, given_up: None }
    }

    const fn trial(slot: char, version: u32) -> Self {
        Self { slot, version, on_trial: true, given_up: None }
    }
}

impl Bench {
    fn flash(&self) -> PathBuf {
        self.place.path().join("flash")
    }

    /// The application as it stands in flash, under the name of another release.
    fn application(&self, release: &str) -> Vec<u8> {
        let raw = self.place.path().join("raw");
        let objcopy = Command::new("objcopy")
            .args(["-I", "elf32-little", "-O", "binary"])
            .args([&self.image, &raw])
            .status();
        assert!(objcopy.unwrap().success());
        let mut body = fs::read(raw).unwrap();
        let name = b"vitalward-board 0.1.0";
        let at = body.windows(name.len()).position(|part| part == name).expect("the image says its name");
        body[at + name.len() - release.len()..at + name.len()].copy_from_slice(release.as_bytes());
        body
    }

    /// The maker signs a body.
    fn sign(&self, body: &[u8], version: u32) -> PathBuf {
        let place = |name: &str| self.place.path().join(name).to_str().unwrap().to_owned();
        let (key, file, signed) = (place("maker"), place("body"), place(&format!("v{version}.img")));
        fs::write(&key, KEY).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, body).unwrap();
        let line = ["firmware", "sign", &file, "--key", &key, "--hardware", HARDWARE];
        let more = ["--version", &version.to_string(), "--out", &signed];
        self.place.run("wearable", &[&line[..], &more].concat()).ended(0, &[]);
        signed.into()
    }

    /// The factory puts the first image into the first slot of an empty card.
    fn fill_card(&self, image: &[u8]) {
        let mut card = fs::read(self.card()).unwrap();
        card[..HEADER].copy_from_slice(&image[..HEADER]);
        card[FIRST_BODY..FIRST_BODY + image.len() - HEADER].copy_from_slice(&image[HEADER..]);
        fs::write(self.card(), card).unwrap();
    }

    /// The loader decides, and its choice comes into the chip's flash.
    #[track_caller]
    fn load(&self) -> Start {
        let mut command = self.machine(&self.image.with_file_name("loader"));
        command.args(["-serial", "null", "-serial", "stdio"]);
        let lines = Program::start(command, None).end().lines;
        let mut lines: Vec<&str> =
            lines.iter().filter_map(|line| said(line).strip_prefix("loader: ")).collect();
        let line = lines.pop().unwrap();
        let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let ["start", "slot", slot, "version", version, length, "bytes", "at", body, ref trial @ ..] =
            words[..]
        else {
            panic!("{line}")
        };
        let [length, body] = [length, body].map(|number| number.parse::<usize>().unwrap());
        fs::write(self.flash(), &fs::read(self.card()).unwrap()[body..body + length]).unwrap();
        Start {
            slot: slot.parse().unwrap(),
            version: version.parse().unwrap(),
            on_trial: !trial.is_empty(),
            given_up: lines.iter().find(|line| line.starts_with("version")).map(ToString::to_string),
        }
    }

    fn run(&self, gateway: &str) -> Board {
        self.power_on(&self.flash(), gateway)
    }
}

impl Board {
    /// The next progress of an update, in bytes.
    #[track_caller]
    fn received(&self, version: u32) -> u32 {
        let told = self.says(&format!("update: receiving, version {version}, "));
        told.split(' ').next().unwrap().parse().unwrap()
    }

    /// It has reset itself.
    #[track_caller]
    fn starts_again(self) {
        self.says("starting again");
        self.console.end().ended(0, &[]);
    }
}

#[track_caller]
fn publish(ward: &Ward, file: &Path) {
    ward.verb(&["firmware", "publish", file.to_str().unwrap()]).ended(0, &[]);
}

/// What the gateway knows of the wearable.
fn told(ward: &Ward) -> Value {
    ward.ask(&["wearables"])[0]["status"].clone()
}

#[test]
fn the_board_takes_a_signed_update_though_its_plug_is_pulled_at_every_turn_and_takes_back_what_does_not_run()
{
    let Some(bench) = Bench::new("the board's update") else { return };
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    bench.fill_card(&fs::read(bench.sign(&bench.application("0.1.0"), 1)).unwrap());
    assert_eq!(bench.load(), Start::of('A', 1));
    let mut board = bench.run(&ward.wearables);
    board.says("image: version 1");
    board.pair(&ward);
    board.acknowledges(1);
    assert_eq!(told(&ward)["firmware_version"], 1);

    // The transfer goes on where the power cut left it, and what starts in between is what has always run.
    let length = u32::try_from(bench.application("0.2.0").len()).unwrap();
    publish(&ward, &bench.sign(&bench.application("0.2.0"), 2));
    let mut before = 0;
    for eighths in [1, 3, 6] {
        assert!(board.received(2) >= before);
        while before < length / 8 * eighths {
            before = board.received(2);
        }
        board.power_off();
        assert_eq!(bench.load(), Start::of('A', 1));
        board = bench.run(&ward.wearables);
    }
    assert!(board.received(2) >= before);
    board.says(&format!("update: verified, version 2, {length} of"));
    board.power_off();

    // Installed, and cut again on its trial.
    assert_eq!(bench.load(), Start::trial('B', 2));
    let board = bench.run(NOBODY);
    board.says("vitalward-board 0.2.0");
    board.says("image: version 2");
    board.says("memory: ");
    board.power_off();
    assert_eq!(bench.load(), Start::trial('B', 2));
    let board = bench.run(&ward.wearables);
    board.says("update: confirmed, version 2");
    board.acknowledges(3);
    let status = told(&ward);
    assert_eq!((&status["firmware_version"], &status["update"]["state"]), (&2.into(), &"confirmed".into()));

    // Properly signed, and no program.
    publish(&ward, &bench.sign(&[0xa5; 8 * 1024], 3));
    board.says("update: verified, version 3");
    board.starts_again();
    for _ in 0..3 {
        assert_eq!(bench.load(), Start::trial('A', 3));
        let code = Program::start(bench.machine(&bench.flash()), None).end().code;
        assert_ne!(code, Some(0), "it faults at once");
    }
    let started = bench.load();
    assert_eq!((started.slot, started.version), ('B', 2));
    assert!(started.given_up.unwrap().contains("failed on this device"));
    let board = bench.run(&ward.wearables);
    board.says("update: refused, version 3 or a higher one failed on this device");

    // Another version than the maker signed.
    let image = bench.sign(&bench.application("0.4.0"), 4);
    let mut altered = fs::read(&image).unwrap();
    altered[51] = 9;
    fs::write(&image, altered).unwrap();
    publish(&ward, &image);
    board.says("update: refused, version 9 was altered");
    board.acknowledges(2);
    assert_eq!(told(&ward)["update"]["state"], "refused");
    board.power_off();

    // The loader's word counted for one start.
    let board = bench.run(NOBODY);
    board.says("image: no loader started this one");
    board.says("memory: ");
    board.power_off();
    assert_eq!(bench.load(), Start::of('B', 2));
}
