//! The gateway's CPU time from start to ready: the release program on a new data folder and on one that exists, all its
//! threads, from `exec` to the line that says it is listening.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use super::{Outcome, median};

pub(super) const NAME: &str = "gateway's start";
const LIMIT_MS: f64 = 200.0;
const STARTS: usize = 3;
/// Milliseconds in a clock tick of `/proc`, which Linux fixes for user space.
const TICK_MS: f64 = 10.0;

pub(super) fn measure() -> [Outcome; 2] {
    let gateway = escargot::CargoBuild::new()
        .package("gateway")
        .bin("gateway")
        .release()
        .target_dir(crate::table::target())
        .run()
        .unwrap();
    let starts: Vec<[f64; 2]> = (0..STARTS)
        .map(|_| {
            let folder = tempfile::tempdir().unwrap();
            [(); 2].map(|()| start(gateway.path(), folder.path()))
        })
        .collect();
    [(0, "new data folder"), (1, "existing one")].map(|(index, folder)| Outcome {
        goal: format!("{NAME}, {folder}"),
        measured: median(starts.iter().map(|pair| pair[index])),
        limit: LIMIT_MS,
        unit: "ms".into(),
        detail: format!("CPU time of all threads until it listens, median of {STARTS} starts, to 10 ms"),
    })
}

fn start(gateway: &Path, folder: &Path) -> f64 {
    let mut child = Command::new(gateway)
        .args(["--id", "D001", "--create", "--headless", "--listen", "127.0.0.1:0"])
        .args(["--wearable-listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).any(|line| line.contains("\"listening\""));
    let spent = ready.then(|| cpu_ms(child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    spent.expect("the gateway says that it listens")
}

/// `utime` and `stime` of a process, the 14th and 15th fields of its `stat`.
fn cpu_ms(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().unwrap());
    ticks.sum::<f64>() * TICK_MS
}
