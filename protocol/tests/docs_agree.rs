//! `docs/protocol.md` says what the code does: its tables, labels, limits and worked bytes are compared here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may stop it"
)]

use std::{fs, path::Path};

use vitalward_protocol::{
    alert::MAX_ALERT_TEXT,
    cadence::Interval,
    endpoint::{HEARTBEAT_INTERVAL, LOGIN_LIMIT, SILENCE_LIMIT},
    firmware::{MAX_CHUNK, MAX_FIRMWARE, MAX_IMAGE_HEADER, UpdateState},
    frame::{MAX_BODY, MAX_BODY_BEFORE_LOGIN},
    group::{MAX_GENERATION_AGE, MAX_STEPS},
    handshake::resume::TOKEN_LIFETIME,
    image::{self, Refusal},
    opcode::Opcode,
    pairing::{
        code::ALPHABET,
        network::{MAX_PASSPHRASE, MAX_SSID, MIN_PASSPHRASE},
    },
    reading::{Method, Reason},
    session::{MAX_KEY_AGE, MAX_RECORDS_PER_KEY, MAX_SESSION_AGE},
    vitals::{Code, KnownQuantity, MAX_QUANTITIES, MAX_SAMPLES, MAX_TEXT},
    waveform::{self, MAX_PACKED, MAX_RATE_MILLIHERTZ, MAX_SECONDS, Signal},
};

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    fs::read_to_string(path).expect("docs/protocol.md is there")
}

/// The cells of every table row below a heading, up to the next heading.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let below = document.split(&format!("\n{heading}\n")).nth(1).expect(heading);
    let section = below.split("\n#").next().unwrap();
    let cells = |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_string()).collect();
    section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| --"))
        .skip(1)
        .map(cells)
        .collect()
}

/// `HelloReply` as the document writes it: `HELLO_REPLY`.
fn shouted(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(c.to_uppercase());
    }
    text
}

#[test]
fn the_opcode_table_is_the_enum() {
    let documented: Vec<(String, String)> =
        rows(&document(), "## Opcodes").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let coded: Vec<(String, String)> = Opcode::ALL
        .iter()
        .map(|opcode| ((*opcode as u8).to_string(), shouted(&format!("{opcode:?}"))))
        .collect();
    assert_eq!(documented, coded);
}

#[test]
fn the_table_of_quantities_is_the_code() {
    let coded: Vec<Vec<String>> = KnownQuantity::ALL
        .iter()
        .map(|known| {
            let plausible =
                known.plausible.map_or_else(|| "-".into(), |(low, high)| format!("{low} to {high}"));
            let code = Code::from(known.code).to_string();
            vec![code, known.name.into(), format!("`{}`", known.unit), plausible]
        })
        .collect();
    assert_eq!(rows(&document(), "### Quantities"), coded);
}

#[test]
fn the_tables_of_methods_and_reasons_are_the_code() {
    let methods: Vec<Vec<String>> =
        Method::ALL.iter().map(|m| vec![m.0.to_string(), m.to_string()]).collect();
    let reasons: Vec<Vec<String>> =
        Reason::ALL.iter().map(|r| vec![r.0.to_string(), r.to_string()]).collect();
    let named = |heading| -> Vec<Vec<String>> {
        rows(&document(), heading).into_iter().map(|row| row[..2].to_vec()).collect()
    };
    assert_eq!((named("### Methods"), named("### Reasons")), (methods, reasons));
}

#[test]
fn the_tables_of_signals_states_and_refusals_are_the_code() {
    let named = |heading: &str, lists: &str| -> Vec<Vec<String>> {
        let document = document();
        let section = document.split(&format!("\n{heading}\n")).nth(1).expect(heading);
        let line = section.lines().find_map(|line| line.strip_prefix(lists)).expect(lists);
        let pair = |pair: &str| pair.splitn(2, ' ').map(str::to_owned).collect();
        line.trim_end_matches('.').split(", ").map(pair).collect()
    };
    let signals: Vec<Vec<String>> =
        Signal::ALL.iter().map(|s| vec![s.0.to_string(), s.to_string()]).collect();
    let states: Vec<Vec<String>> =
        UpdateState::ALL.iter().map(|s| vec![s.0.to_string(), s.to_string()]).collect();
    let refusals: Vec<Vec<String>> =
        Refusal::ALL.iter().map(|r| vec![r.0.to_string(), r.to_string()]).collect();
    assert_eq!(named("### WAVEFORM_REQUEST (74)", "Signals: "), signals);
    assert_eq!(named("### FIRMWARE_STATUS (79)", "States: "), states);
    assert_eq!(rows(&document(), "#### Refusals of an image"), refusals);
}

#[test]
fn the_limits_are_the_constants() {
    let seconds = |duration: std::time::Duration| format!("{} s", duration.as_secs());
    let coded = [
        ("largest body before a session", format!("{MAX_BODY_BEFORE_LOGIN} bytes")),
        ("largest body in a session", format!("{MAX_BODY} bytes")),
        ("wait for the next message before a session", seconds(LOGIN_LIMIT)),
        ("heartbeat after sending nothing for", seconds(HEARTBEAT_INTERVAL)),
        ("peer is gone after hearing nothing for", seconds(SILENCE_LIMIT)),
        ("records under one key", MAX_RECORDS_PER_KEY.to_string()),
        ("age of a key, by its sender", seconds(MAX_KEY_AGE)),
        ("age of a session", seconds(MAX_SESSION_AGE)),
        ("life of a token", seconds(TOKEN_LIFETIME)),
        ("steps in a generation of the group key", MAX_STEPS.to_string()),
        ("age of a generation", seconds(MAX_GENERATION_AGE)),
        ("samples in a batch", format!("1 to {MAX_SAMPLES}")),
        ("quantities in a sample", format!("0 to {MAX_QUANTITIES}")),
        ("length of a unit or LOINC code", format!("1 to {MAX_TEXT} bytes")),
        ("length of an alert's text", format!("1 to {MAX_ALERT_TEXT} bytes")),
        ("length of a firmware's name", format!("0 to {MAX_FIRMWARE} bytes")),
        ("interval that can be set, live", format!("{} ms", Interval::LIVE.millis())),
        (
            "interval that can be set, otherwise",
            format!("{} to {} ms", Interval::SHORTEST.millis(), Interval::LONGEST.millis()),
        ),
        ("length of a waveform request", format!("{MAX_SECONDS} s")),
        ("samples in a waveform batch", format!("0 to {}", waveform::MAX_SAMPLES)),
        ("packed samples in a waveform batch", format!("0 to {MAX_PACKED} bytes")),
        ("sampling rate", format!("1 to {MAX_RATE_MILLIHERTZ} per 1000 s")),
        ("number of a waveform's sample", format!("0 to {}", waveform::MAX_FIRST - 1)),
        ("length of an image's header", format!("1 to {MAX_IMAGE_HEADER} bytes")),
        ("length of an image without its header", format!("1 to {} bytes", image::MAX_BODY)),
        ("piece of an image", format!("1 to {MAX_CHUNK} bytes")),
        ("length of a network's name", format!("1 to {MAX_SSID} bytes")),
        ("length of a network's passphrase", format!("0, or {MIN_PASSPHRASE} to {MAX_PASSPHRASE} bytes")),
    ];
    let documented = rows(&document(), "## Limits");
    let expected: Vec<Vec<String>> =
        coded.into_iter().map(|(what, value)| vec![what.into(), value]).collect();
    assert_eq!(documented, expected);
}

#[test]
fn every_label_of_the_key_schedule_is_documented_and_used() {
    let labels = [
        "th1",
        "th2",
        "th3",
        "hs g2c",
        "hs c2g",
        "mac g",
        "mac c",
        "login mac gateway",
        "login mac client",
        "login/gateway",
        "login/client",
        "session id",
        "confirm g",
        "group wrap",
        "resume",
        "c2g",
        "g2c",
        "record key",
        "record iv",
        "key update",
        "gateway hint",
        "hello seen",
        "key id",
        "token",
        "resume c",
        "resume g",
        "resume th",
        "pair th",
        "pair confirm",
        "pair c2g",
        "pair g2c",
        "pair client",
        "pair gateway",
        "pair confirm c",
        "pair enrol",
        "pair grant",
        "group step",
        "group aead",
        "alert",
        "alert text",
        "alert content",
        "receipt",
        "batch",
    ];
    let document = document();
    let code = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    for label in labels {
        assert!(document.contains(&format!("\"{label}\"")), "{label:?} is not in the document");
        assert!(code.contains(&format!("\"{label}\"")), "{label:?} is not in the code");
    }
    let alphabet = std::str::from_utf8(ALPHABET).unwrap();
    assert!(document.contains(&format!("`{alphabet}`")));
}

/// All of the source below a folder, the testkit left out.
fn source(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !path.ends_with("testkit"))
        .map(|path| if path.is_dir() { source(&path) } else { fs::read_to_string(path).unwrap() })
        .collect()
}

/// Blocks "```fields FILE LINE" hold rows of hex and meaning; together they are that line of the golden file. `*n`
/// stands for n bytes that are not shown.
#[test]
fn the_worked_bytes_are_the_golden_ones() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let document = document();
    let mut blocks = 0;
    for block in document.split("\n```fields ").skip(1) {
        let (head, rest) = block.split_once('\n').unwrap();
        let (file, line) = head.split_once(' ').unwrap();
        let text = fs::read_to_string(golden.join(file)).expect(file);
        let line = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' ')).expect(head);
        let bytes = hex::decode(line).unwrap();
        let mut at = 0;
        for row in rest.split("\n```").next().unwrap().lines() {
            let piece = row.split_whitespace().next().unwrap();
            if let Some(hidden) = piece.strip_prefix('*') {
                at += hidden.parse::<usize>().unwrap();
            } else {
                let shown = hex::decode(piece).expect(row);
                assert_eq!(hex::encode(&bytes[at..at + shown.len()]), piece, "{head}: {row}");
                at += shown.len();
            }
        }
        assert_eq!(at, bytes.len(), "{head}: the block does not end where the bytes do");
        blocks += 1;
    }
    assert!(blocks >= 15, "{blocks}");
}
