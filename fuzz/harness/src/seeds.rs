//! Inputs to begin with: the pinned frames of `protocol/tests/golden` and the genuine message of every step.

use std::{fs, path::Path};

use protocol::{
    frame::{self, HEADER_LEN},
    opcode::Opcode,
    testkit::wire::CODECS,
};

use rand_chacha::rand_core::Rng;

use crate::{content, files, fixture::rng, keys, login, monitor, pairing, text};

/// The seeds of a target.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "content" => content::genuine(),
        "files" => files::genuine(),
        "frames" => frames(),
        "keys" => keys::genuine(),
        "login" => login::genuine(),
        "messages" => messages(),
        "monitor" => monitor::genuine(),
        "pairing" => pairing::genuine(),
        "text" => text::genuine(),
        _ => fates(),
    }
}

/// Lists of operations of any kind, short and long.
fn fates() -> Vec<Vec<u8>> {
    let mut rng = rng(1);
    let lengths = [8, 16, 32, 64, 128, 256, 256, 256];
    lengths
        .map(|length| {
            let mut bytes = vec![0; length];
            rng.fill_bytes(&mut bytes);
            bytes
        })
        .into()
}

/// Each pinned frame alone, and all of them, for each limit, in one piece and in several.
fn frames() -> Vec<Vec<u8>> {
    let golden: Vec<Vec<u8>> = golden("frame");
    let small = golden.iter().filter(|frame| frame.len() < 64).cloned().collect::<Vec<_>>().concat();
    let one = golden.iter().filter(|frame| frame.len() < 1_000).cloned();
    let sizes = (0..8).flat_map(|size| frame::encode(Opcode::Heartbeat, &vec![0xaa; size])).collect();
    let streams = one.chain([small, sizes]);
    let ways = [[0, 0].to_vec(), [1, 3, 1, 4, 7].to_vec(), [2, 2, 5, 20].to_vec()];
    streams.zip(ways.iter().cycle()).map(|(stream, way)| [&way[..], &stream].concat()).collect()
}

/// Everything pinned, for each codec that reads it.
fn messages() -> Vec<Vec<u8>> {
    let clear = golden("frame").into_iter().map(|frame| frame[HEADER_LEN..].to_vec());
    let bodies: Vec<Vec<u8>> = clear.chain(golden("plain")).collect();
    let mut seeds = Vec::new();
    for (which, (_, recode)) in (0_u8..).zip(CODECS) {
        let ends = |body: &[u8]| (0..=body.len()).rev().find(|end| recode(&body[..*end]).is_some());
        let read = bodies.iter().filter_map(|body| ends(body).map(|end| [&[which], &body[..end]].concat()));
        seeds.extend(read.filter(|seed| seed.len() < 1_500).take(2));
    }
    seeds
}

/// The values of one name in the pinned files.
fn golden(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/tests/golden");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "hex"));
    files.sort();
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let mut values = Vec::new();
    for text in texts {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        values.extend(
            lines.filter(|(label, _)| *label == name).map(|(_, digits)| hex::decode(digits).unwrap()),
        );
    }
    values
}
