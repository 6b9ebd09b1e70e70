//! Strangers, broken programs and people with time on their hands, against the real listeners.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    process::Command,
    sync::Arc,
    time::Duration,
};

use host::Clock;
use patient::{
    link::{self, LinkSettings},
    trust::Trust,
};
use protocol::{frame, opcode::Opcode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Program, Proxy, Spot, Ward, ward::in_group};

/// A stranger's connection is closed by then, whatever it says or leaves unsaid.
const STRANGERS_LIMIT: Duration = Duration::from_secs(15);

/// Waits until the other side closes, and gives what it said before.
#[track_caller]
fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(STRANGERS_LIMIT)).unwrap();
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the gateway did not close a stranger's connection: {error}"),
    }
    said
}

/// The ward works: a newcomer pairs and logs in, and a broadcast reaches everybody.
#[track_caller]
fn still_works(ward: &Ward, id: &str) -> Program {
    let patient = ward.pair(id, &[]);
    let (exit, report) = ward.alert(&["Still working"]);
    assert_eq!(exit, 0, "{report:#}");
    patient.wait(&json!({"event": "alert", "text": "Still working"}));
    patient
}

/// Raises how many files this process and those that it starts may have open.
fn allow_many_files() {
    let own = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &own, "--nofile=8192:"]).output();
    // It may be enough as it is; otherwise the connections will fail.
    raised.ok();
}

#[test]
fn a_thousand_silent_connections_keep_nobody_out_and_are_closed() {
    allow_many_files();
    // As on a fresh Debian: 1024 files by default, more if the program asks.
    let launcher = ["prlimit", "--nofile=1024:8192"];
    let ward = Ward::launched(Spot::new(), &launcher, &[]);
    let clock = Clock::start();
    let first = still_works(&ward, "P001");
    let flood: Vec<TcpStream> = (0..1_000).map(|_| TcpStream::connect(&ward.patients).unwrap()).collect();
    let more: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&ward.wearables).unwrap()).collect();
    let begin = clock.now().mono;
    let second = still_works(&ward, "P002");
    let waited = clock.now().mono.since(begin);
    assert!(waited < Duration::from_secs(8), "a newcomer had to wait {waited:?} among strangers");
    let wearable = ward.pair_wearable("W1", "P002", &[]);
    wearable.wait(&json!({"event": "acknowledged"}));
    assert!(first.all(&json!({"event": "disconnected"})).is_empty());
    for mut stranger in flood.into_iter().chain(more) {
        read_to_close(&mut stranger);
    }
    assert!(second.all(&json!({"event": "disconnected"})).is_empty());
    let most = ward.gateway().memory("VmHWM");
    assert!(most < 300_000, "{most} kB at the most");
}

#[test]
fn slow_talkers_are_closed_though_they_never_stop() {
    let ward = Ward::open();
    // A TLS hello, and a login's frame, byte by byte.
    let tls = [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03][..], &[7; 500]].concat();
    let hello = frame::encode(Opcode::Hello, &[1; 600]);
    let clock = Clock::start();
    let drip = |address: &str, bytes: Vec<u8>| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        std::thread::spawn(move || {
            let begin = clock.now().mono;
            for byte in bytes.into_iter().cycle() {
                let mut buffer = [0; 64];
                // The pause between two bytes is the wait for an answer that does not come.
                let closed = match stream.read(&mut buffer) {
                    Ok(0) => true,
                    Ok(_) => false,
                    Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                };
                if closed || stream.write_all(&[byte]).is_err() {
                    break;
                }
                assert!(clock.now().mono.since(begin) < STRANGERS_LIMIT, "a slow talker is still there");
            }
            clock.now().mono.since(begin)
        })
    };
    let talkers = [drip(&ward.patients, tls), drip(&ward.wearables, hello)];
    still_works(&ward, "P001");
    for talker in talkers {
        let lasted = talker.join().expect("closed in time");
        assert!(lasted > Duration::from_secs(5), "a slow but honest login has its time: {lasted:?}");
    }
    let refusals = ward.ask(&["refusals"]).to_string();
    assert!(refusals.contains("login not complete in time"), "{refusals}");
}

/// Strangers' first words on a port without TLS, and which check must refuse them.
fn first_words() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let length = |length: u32| length.to_be_bytes().to_vec();
    vec![
        ("HTTP", b"GET / HTTP/1.1\r\nHost: ward\r\n\r\n".to_vec(), "frame body of"),
        ("a TLS hello", [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01][..], &[0; 512]].concat(), "frame body of"),
        (
            "an oversized frame",
            [length(4 * 1024 + 2), vec![1]].concat(),
            "frame body of 4097 bytes, 4096 are allowed",
        ),
        ("the largest length", [length(u32::MAX), vec![1]].concat(), "frame body of 4294967294 bytes"),
        ("an empty frame", length(0), "a frame of length zero"),
        ("an unknown opcode", [length(1), vec![99]].concat(), "unknown opcode 99"),
        (
            "vitals before a login",
            frame::encode(Opcode::Vitals, &[0; 64]),
            "peer sent Vitals while waiting for HELLO",
        ),
        (
            "an acknowledgement, which only gateways send",
            frame::encode(Opcode::VitalsAck, &[0; 64]),
            "peer sent VitalsAck",
        ),
        ("a hello of zeros", frame::encode(Opcode::Hello, &[0; 200]), "peer"),
        ("a resumption of zeros", frame::encode(Opcode::Resume, &[0; 200]), "peer"),
        ("a pairing of zeros", frame::encode(Opcode::PairStart, &[0; 200]), "peer"),
        (
            "two frames in one",
            [frame::encode(Opcode::Hello, &[9; 10]), frame::encode(Opcode::Hello, &[])].concat(),
            "peer",
        ),
    ]
}

#[test]
fn nonsense_is_refused_with_an_error_and_noted() {
    let ward = Ward::open();
    let words = first_words();
    for (what, bytes, check) in &words {
        let mut stream = TcpStream::connect(&ward.wearables).unwrap();
        stream.write_all(bytes).unwrap();
        let answer = read_to_close(&mut stream);
        assert!(answer.is_empty() || answer[4] == Opcode::Error as u8, "{what}: {answer:?}");
        let refusal = &ward.ask(&["refusals", "--last", "1"])[0];
        assert!(refusal["reason"].as_str().unwrap().contains(check), "{what}: {refusal}");
    }
    // The same inside TLS, where patients are.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (what, bytes, check) in &words {
        let said = runtime.block_on(async {
            let connection =
                link::dial(&LinkSettings::to(ward.patients.clone()), Trust::Anyone).await.unwrap();
            let mut stream = connection.stream;
            stream.write_all(bytes).await.unwrap();
            stream.flush().await.unwrap();
            let mut said = Vec::new();
            let closed = tokio::time::timeout(STRANGERS_LIMIT, stream.read_to_end(&mut said)).await;
            closed.unwrap_or_else(|_| panic!("{what}: not closed")).map(|_| said).unwrap_or_default()
        });
        assert!(said.is_empty() || said[4] == Opcode::Error as u8, "{what}: {said:?}");
        let refusal = &ward.ask(&["refusals", "--last", "1"])[0];
        assert!(refusal["reason"].as_str().unwrap().contains(check), "inside TLS, {what}: {refusal}");
    }
    // Without TLS nothing is even looked at.
    for (what, bytes, _) in &words {
        let mut stream = TcpStream::connect(&ward.patients).unwrap();
        stream.write_all(bytes).unwrap();
        let answer = read_to_close(&mut stream);
        assert!(answer.is_empty() || answer[0] == 0x15, "only a TLS alert, at most, {what}: {answer:?}");
    }
    let status = ward.ask(&["status"]);
    assert_eq!(status["refused"], 2 * words.len(), "{status:#}");
    still_works(&ward, "P001");
}

#[test]
fn a_program_on_the_wrong_port_gets_nowhere_and_says_so() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let code = ward.code(&["--wearable", "--patient", "P001"]);
    let line = ["--name", "W1", "--gateway", &ward.patients, "--headless", "--pair", &code];
    Spot::new()
        .run("wearable", &line)
        .ended(1, &["is no gateway's port for wearables (usually 7301); check the address"]);
    let code = ward.code(&["--patient", "P002"]);
    let line = ["--doctor_id", "D001", "--gateway", &ward.wearables, "--headless", "--pair", &code];
    let patient = Spot::new().start("patient", &line);
    let waiting = patient.wait(&json!({"event": "waiting"}));
    assert!(waiting["reason"].as_str().unwrap().starts_with("No secure connection to"), "{waiting}");
}

#[test]
fn a_recorded_login_played_again_opens_nothing() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    ward.pair_wearable("W1", "P001", &["--samples", "1"]).end().ended(0, &[]);
    let wire = Proxy::to(&ward.wearables);
    let address = wire.address();
    let wearable = ward.spot.start("wearable", &["--name", "W1", "--gateway", &address, "--headless"]);
    wearable.wait(&json!({"event": "session"}));
    wearable.wait(&json!({"event": "acknowledged"}));
    let recorded = wire.heard()[0].to_gateway.clone();
    assert!(recorded.len() > 200, "a login and vitals");
    let sessions = ward.gateway().all(&json!({"event": "session"})).len();
    let samples = ward.ask(&["vitals", "--patient", "P001", "--last", "1"])[0]["seq"].as_u64();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&ward.wearables).unwrap();
        stream.write_all(&recorded).unwrap();
        read_to_close(&mut stream);
        let refusal = &ward.ask(&["refusals", "--last", "1"])[0];
        assert_eq!(refusal["reason"], "login message replayed");
    }
    assert_eq!(ward.gateway().all(&json!({"event": "session"})).len(), sessions);
    crate::vitals::more_acknowledgements(&wearable, 1);
    assert!(wearable.all(&json!({"event": "disconnected"})).is_empty(), "its session was not disturbed");
    assert!(ward.ask(&["vitals", "--patient", "P001", "--last", "1"])[0]["seq"].as_u64() >= samples);
    crate::vitals::has_no_gap(&ward.ask(&["vitals", "--patient", "P001", "--last", "1000"]));
}

#[test]
fn a_patient_that_never_reads_is_dropped_and_nobody_waits_for_it() {
    let ward = Arc::new(Ward::open());
    let others = ["P001", "P002", "P003"].map(|id| ward.pair(id, &[]));
    let stuck = ward.pair("P666", &[]);
    stuck.kill();
    let wire = Proxy::narrow(&ward.patients);
    let address = wire.address();
    let line = ["--id", "P666", "--doctor_id", "D001", "--gateway", &address, "--headless"];
    let stuck = ward.spot.start("patient", &line);
    in_group(&stuck);
    wire.stop_reading();
    // It says that it is there, but takes nothing any more: sockets and queue fill up.
    let before = ward.gateway().memory("VmHWM");
    let text = "x".repeat(4_000);
    let flooding = {
        let (ward, text) = (Arc::clone(&ward), text.clone());
        std::thread::spawn(move || {
            let alerts = (0..400).map(|_| (text.clone(), Some("P666".to_owned()))).collect();
            crate::crowd::raise_alerts(&ward, alerts);
        })
    };
    ward.gateway().wait_for("that it does not read", |line| {
        line["event"] == "refused"
            && line["client"] == "P666"
            && line["reason"] == "peer does not read; its queue is full"
    });
    let (exit, report) = ward.alert(&["Out, now", "--wait", "2s"]);
    assert_eq!((exit, &report["recipients"], &report["decrypted"]), (3, &json!(4), &json!(3)), "{report:#}");
    assert_eq!(report["missing"][0]["patient"], "P666");
    assert!(report["last_ms"].as_u64().unwrap() < 1_500, "the others did not wait: {report:#}");
    for patient in &others {
        patient.wait(&json!({"event": "alert", "text": "Out, now"}));
        assert!(patient.all(&json!({"event": "disconnected"})).is_empty());
    }
    flooding.join().unwrap();
    let grown = ward.gateway().memory("VmHWM").saturating_sub(before);
    assert!(grown < 100_000, "the gateway grew by {grown} kB");
    // When the wire is sound again, it comes back and misses nothing.
    wire.read_again();
    let late: Value = stuck.wait(&json!({"event": "alert", "text": "Out, now"}));
    assert_eq!(late["repeated"], false);
}
