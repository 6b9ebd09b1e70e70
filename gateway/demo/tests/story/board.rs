//! The board: the wearable's firmware on an emulated Cortex-M3, with its button, thermometer, EEPROMs and card, and the real
//! gateway. `.ci/board` builds loader and image and names them; without these stories are skipped, and say so.
#![expect(clippy::print_stdout, reason = "a skip and the measured memory are read in the gate's output")]

mod update;

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    support::{Program, Spot, Ward},
    vitals::{has_no_gap, numbers},
};

const QEMU: &str = "VITALWARD_QEMU";
const IMAGE: &str = "VITALWARD_BOARD_ELF";
/// Of 64 KiB: what is static, the heap's arena in it, and the stack at its deepest.
const RAM_BUDGET: usize = 48 * 1024;
/// AT24C512.
const EEPROM_BYTES: usize = 64 * 1024;
const CARD_BYTES: usize = 1024 * 1024;

/// A board on a bench. Its EEPROMs and its card stay when it is switched off.
struct Bench {
    qemu: OsString,
    /// The application as it was built, an ELF file.
    image: PathBuf,
    place: Spot,
}

/// A board with power.
struct Board {
    console: Program,
    /// Sends what people do to the board, reads the answers.
    hands: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Bench {
    /// None where there is no emulator or no image; then it says why.
    fn new(story: &str) -> Option<Self> {
        let [qemu, image] = [QEMU, IMAGE].map(|name| {
            let given = std::env::var_os(name);
            if given.is_none() {
                println!("SKIP {story}: {name} is not set; run .ci/board, which sets it");
            }
            given
        });
        let bench = Self { qemu: qemu?, image: image?.into(), place: Spot::new() };
        std::fs::write(bench.card(), vec![0xff; CARD_BYTES]).unwrap();
        for chip in [0, 1] {
            std::fs::write(bench.chip(chip), vec![0xff; EEPROM_BYTES]).unwrap();
        }
        Some(bench)
    }

    fn chip(&self, number: u8) -> PathBuf {
        self.place.path().join(format!("eeprom{number}"))
    }

    fn card(&self) -> PathBuf {
        self.place.path().join("card")
    }

    /// The emulator with the card in its slot. Nothing survives the test, whatever becomes of it.
    fn machine(&self, image: &Path) -> Command {
        let mut command = Command::new("timeout");
        command.args(["600", "setpriv", "--pdeathsig", "KILL"]).arg(&self.qemu);
        command.args(["-M", "lm3s6965evb", "-display", "none", "-monitor", "none", "-no-reboot"]);
        command.arg("-kernel").arg(image);
        command.args(["-drive", &format!("if=sd,format=raw,file={}", self.card().display())]);
        command
    }

    /// Switches the board on with this image in its flash, its serial line led to a gateway.
    fn power_on(&self, image: &Path, gateway: &str) -> Board {
        let (host, port) = gateway.rsplit_once(':').unwrap();
        let qmp = self.place.path().join("qmp");
        // Of the last run.
        std::fs::remove_file(&qmp).ok();
        let link = format!("socket,id=link,host={host},port={port},reconnect=1");
        let hands = format!("unix:{},server=on,wait=off", qmp.display());
        let mut command = self.machine(image);
        command.args(["-chardev", &link, "-serial", "chardev:link", "-serial", "stdio", "-qmp", &hands]);
        command.args(["-device", "tmp105,id=thermometer,address=0x49,bus=i2c"]);
        for number in [0, 1] {
            let drive = format!("if=none,id=e{number},format=raw,file={}", self.chip(number).display());
            let chip = format!(
                "at24c-eeprom,bus=i2c,address={},rom-size={EEPROM_BYTES},drive=e{number}",
                0x50 + number
            );
            command.args(["-drive", &drive, "-device", &chip]);
        }
        let console = Program::start(command, None);
        console.wait_for("its warning", |line| said(line).contains("TEST ONLY"));
        let hands = UnixStream::connect(&qmp).unwrap();
        let answers = BufReader::new(hands.try_clone().unwrap());
        let mut board = Board { console, hands, answers };
        board.answer("QMP");
        board.ask("qmp_capabilities", &json!({}));
        board
    }
}

impl Board {
    fn answer(&mut self, key: &str) {
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "QEMU is there");
            let answer: Value = serde_json::from_str(&line).unwrap();
            assert!(answer.get("error").is_none(), "{answer}");
            if answer.get(key).is_some() {
                return;
            }
        }
    }

    fn ask(&mut self, verb: &str, arguments: &Value) {
        let request = json!({"execute": verb, "arguments": arguments});
        self.hands.write_all(format!("{request}\n").as_bytes()).unwrap();
        self.answer("return");
    }

    /// The button goes down or comes up.
    fn button(&mut self, down: bool) {
        let key = json!({"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": "ctrl"}}});
        self.ask("input-send-event", &json!({"events": [key]}));
    }

    /// Holds the button as long as opens the pairing window.
    fn hold_button(&mut self) {
        // QEMU's line is low until it was let go once; the board waits for that.
        self.button(true);
        self.button(false);
        self.says("button: released");
        self.button(true);
        self.says("button: held");
        self.button(false);
        self.says("button: released");
    }

    /// Pairs it for P001, by its button and its code.
    fn pair(&mut self, ward: &Ward) {
        self.hold_button();
        let code = self.says("code: ");
        ward.ask(&["pair", "--wearable", "--patient", "P001", "--code", &code]);
        self.says("paired with D001");
    }

    /// What its thermometer feels, thousandths of a degree.
    fn set_temperature(&mut self, thousandths: i32) {
        let place = "/machine/peripheral/thermometer";
        self.ask("qom-set", &json!({"path": place, "property": "temperature", "value": thousandths}));
    }

    /// The rest of the next line that begins so.
    #[track_caller]
    fn says(&self, beginning: &str) -> String {
        let line = self.console.wait_for(beginning, |line| said(line).starts_with(beginning));
        said(&line)[beginning.len()..].trim().to_owned()
    }

    /// Waits for so many more acknowledged samples.
    #[track_caller]
    fn acknowledges(&self, count: usize) {
        for _ in 0..count {
            self.says("acknowledged: ");
        }
    }

    /// The plug is pulled. It must have kept to its budget until then.
    fn power_off(self) {
        let lines = self.console.kill().lines;
        let memory = lines.iter().rev().find_map(|line| said(line).strip_prefix("memory: ")).unwrap();
        println!("board: {memory}");
        let numbers: Vec<usize> =
            memory.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
        let [heap, arena, stack, _, statics] = numbers[..] else { panic!("{memory}") };
        assert!(heap <= arena && arena <= 16 * 1024, "{memory}");
        assert!(statics + stack <= RAM_BUDGET, "{memory}");
    }
}

fn said(line: &Value) -> &str {
    line.as_str().unwrap_or_default()
}

fn waiting(line: &str) -> Option<u64> {
    line.strip_prefix("samples that wait: ")?.parse().ok()
}

/// A quantity of the newest sample.
fn newest(ward: &Ward, name: &str) -> Value {
    let vitals = ward.ask(&["vitals", "--patient", "P001", "--last", "1"]);
    assert_eq!(vitals[0]["simulated"], true, "{vitals}");
    let quantities = vitals[0]["quantities"].as_array().unwrap();
    quantities.iter().find(|quantity| quantity["name"] == name).unwrap_or_else(|| panic!("{vitals}")).clone()
}

#[test]
fn the_board_is_paired_by_its_button_tells_a_fever_and_loses_nothing_when_its_plug_is_pulled() {
    let Some(bench) = Bench::new("the board's life") else { return };
    let mut ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let mut board = bench.power_on(&bench.image, &ward.wearables);
    board.says("start 1, ");
    board.set_temperature(37_000);
    board.pair(&ward);
    assert_eq!(board.says("session with D001"), ", suite 3");
    board.acknowledges(5);
    assert_eq!(newest(&ward, "body temperature")["value"], 37.0);
    let heart_rate = newest(&ward, "heart rate")["value"].as_f64().unwrap();
    assert!((110.0..130.0).contains(&heart_rate), "the recording has 121 bpm: {heart_rate}");

    board.set_temperature(39_500);
    board.acknowledges(3);
    assert_eq!(newest(&ward, "body temperature")["value"], 39.5);

    // No gateway, and then no power.
    ward.take_gateway().kill();
    board.console.wait_for("samples that wait", |line| waiting(said(line)) >= Some(5));
    board.power_off();
    let board = bench.power_on(&bench.image, &ward.wearables);
    board.says("start 2, ");
    let kept = board.console.wait_for("what it kept", |line| waiting(said(line)).is_some());
    let kept = waiting(said(&kept)).unwrap();
    assert!(kept >= 5, "{kept}");
    ward.start();
    // Without its button, and what waited comes first.
    board.says("session with D001");
    while board.says("acknowledged: ").parse::<u64>().unwrap() <= kept + 8 {}
    let stored = ward.ask(&["vitals", "--patient", "P001", "--last", "100000"]);
    has_no_gap(&stored);
    assert!(numbers(&stored).len() as u64 > kept + 8, "{stored}");
    board.power_off();
}
