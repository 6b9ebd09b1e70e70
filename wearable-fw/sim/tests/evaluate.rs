//! `wearable evaluate` over folders made here, over hostile ones, and, where they lie beside the repository or where
//! `VITALWARD_RECORDINGS` says, over real recordings: then the scorer of those has to agree on every figure.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stderr,
    reason = "a test's own machinery may stop the test, makes its signals, and says loudly what it skips"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use host::exit::Exit;
use serde_json::Value;
use wearable::evaluate::{self, Options};

struct Result {
    exit: Exit,
    out: String,
    complaints: String,
}

fn run(options: &Options) -> Result {
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let exit = evaluate::run(options, &mut out, &mut complaints).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Result { exit, out: text(out), complaints: text(complaints) }
}

fn json(options: Options) -> (Exit, Value) {
    let result = run(&Options { json: true, ..options });
    (result.exit, serde_json::from_str(&result.out).unwrap())
}

fn figure<'a>(document: &'a Value, id: &str) -> &'a Value {
    document["figures"].as_array().unwrap().iter().find(|figure| figure["id"] == id).expect(id)
}

fn record<'a>(document: &'a Value, name: &str) -> &'a Value {
    document["records"].as_array().unwrap().iter().find(|record| record["name"] == name).expect(name)
}

fn program(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wearable"));
    command.args(arguments).env_remove("VITALWARD_RECORDINGS").stdin(Stdio::null()).output().unwrap()
}

/// Recordings of every kind, of a made-up patient with 75 beats and 15 breaths a minute.
mod made {
    use super::*;

    const SECONDS: f64 = 90.0;

    fn samples(rate_hz: f64) -> impl Iterator<Item = f64> {
        (0..).map(move |sample| f64::from(sample) / rate_hz).take_while(|time| *time < SECONDS)
    }

    /// A QRS of 1 mV and 80 ms at 0.4 s, 1.2 s, ...
    fn millivolt(time: f64) -> f64 {
        let since = (time + 0.44) % 0.8;
        let hump = |from: f64, width: f64| {
            let phase = (since - from) / width;
            if (0.0..1.0).contains(&phase) { (phase * std::f64::consts::PI).sin() } else { 0.0 }
        };
        hump(0.0, 0.08) + 0.25 * hump(0.25, 0.16)
    }

    /// -1..=1, breathing in rate, height and level.
    fn pulse(time: f64) -> f64 {
        let breath = (std::f64::consts::TAU * time / 4.0).sin();
        let turn = std::f64::consts::TAU * time / 0.8 + 0.15 * breath;
        (0.6 * turn.sin() + 0.2 * (2.0 * turn).sin()) * (1.0 + 0.15 * breath) + 0.15 * breath
    }

    fn words(values: impl IntoIterator<Item = f64>) -> Vec<u8> {
        values.into_iter().flat_map(|value| (value.round() as i64 as u16).to_le_bytes()).collect()
    }

    /// Pairs of 12-bit values in three bytes.
    fn format_212(values: &[i32]) -> Vec<u8> {
        let pair = |pair: &[i32]| {
            let (a, b) = (pair[0], pair.get(1).copied().unwrap_or(0));
            let bytes = [a, (a >> 8 & 0xf) | (b >> 4 & 0xf0), b].map(|byte| byte as u8);
            bytes[..if pair.len() == 2 { 3 } else { 2 }].to_vec()
        };
        values.chunks(2).flat_map(pair).collect()
    }

    pub(crate) fn wfdb(folder: &Path, name: &str) {
        let values: Vec<i32> = samples(360.0).map(|time| 1024 + (millivolt(time) * 200.0) as i32).collect();
        let sum = values.iter().sum::<i32>() as i16;
        let header = format!("{name} 1 360 {}\n{name}.dat 212 200(1024)/mV 12 0 0 {sum} 0 I\n", values.len());
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(format!("{name}.hea")), header).unwrap();
        fs::write(folder.join(format!("{name}.dat")), format_212(&values)).unwrap();
        beats(folder, name);
    }

    fn beats(folder: &Path, name: &str) {
        let times = (0..).map(|beat| 0.4 + 0.8 * f64::from(beat)).take_while(|time| *time < SECONDS);
        let lines: String = times.map(|time| format!("{},{time},N\n", time * 360.0)).collect();
        let text = format!("sample,time_s,symbol\n{lines}");
        fs::write(folder.join(format!("{name}.beats.csv")), text).unwrap();
    }

    pub(crate) fn folder() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let put = |folder: &str, file: &str, bytes: Vec<u8>| {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join(file), bytes).unwrap();
        };
        wfdb(&root.path().join("mitdb"), "a1");
        wfdb(&root.path().join("mitdb60s"), "b1");
        put("nstdb", "c1.i16", words(samples(360.0).map(|time| millivolt(time) * 200.0)));
        beats(&root.path().join("nstdb"), "c1");
        let light = |time: f64, gain: f64| 30_000.0 * (-0.01 * gain * pulse(time)).exp();
        let rgb = samples(30.0).flat_map(|time| [light(time, 0.5), light(time, 1.0), light(time, 0.8)]);
        put("uwoxi", "d1_left.rgb.u16", words(rgb));
        let low = |second: u32| if (45..75).contains(&second) { 84 } else { 97 };
        let lines: String = (0..90).map(|second| format!("{second},{},75,15\n", low(second))).collect();
        put("uwoxi", "d1.ref.csv", format!("t_s,spo2_med,pr_med,rr_co2\n{lines}").into());
        let rows: String = samples(64.0)
            .take(400)
            .map(|time| format!("0,{},{},0,1,2,-1000\n", 3.0 * light(time, 1.0), 3.0 * light(time, 0.5)))
            .collect();
        let head = "# fs_hz=64 ref_spo2=95 ref_hr=75\nt_ms,ir,red,ambient,ax_mg,ay_mg,az_mg\n";
        put("oxiwear_x", "e1.csv", format!("{head}{rows}").into());
        let worn =
            samples(125.0).flat_map(|time| [200.0 * pulse(time), 200.0 * pulse(time), 0.0, 0.0, 1000.0]);
        put("troika_x", "f1.ppg2_acc3.i16", words(worn));
        let lines: String = (0..40).map(|at| format!("{},{},75\n", 2 * at, 2 * at + 8)).collect();
        put("troika_x", "f1.ref.csv", format!("t_start_s,t_end_s,hr_bpm\n{lines}").into());
        let breath = |time: f64| 4000.0 * (std::f64::consts::TAU * time / 4.0).sin();
        let bed = samples(125.0)
            .flat_map(|time| [10_000.0 * millivolt(time), 5000.0 + 3000.0 * pulse(time), breath(time)]);
        put("bidmc", "g1.ii_pleth_resp.i16", words(bed));
        let lines: String =
            (0..23).map(|breath| format!("1,0,{}\n2,0,{}\n", breath * 4, breath * 4)).collect();
        put("bidmc", "g1.breaths.csv", format!("annotator,sample,time_s\n{lines}").into());
        let alarm: Vec<u8> = words(
            samples(250.0).flat_map(|time| [1000.0 * millivolt(time), 0.0, 500.0 + 100.0 * pulse(time)]),
        );
        let layout = format!("fs=250 channels=['II', 'V', 'PLETH'] scale=1000/unit n={}", alarm.len() / 6);
        put("cinc2015_x", "h1.i16", alarm);
        put("cinc2015_x", "h1.txt", layout.into());
        put("news2", "ignored.csv", b"a,b\n".to_vec());
        root
    }
}

#[test]
fn every_kind_of_recording_is_played_and_scored() {
    let root = made::folder();
    let (exit, document) = json(Options { recordings: Some(root.path().into()), ..Options::default() });
    assert_eq!((exit, &document["refused"]), (Exit::Done, &Value::Array(Vec::new())));
    let names: Vec<&str> = document["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["name"].as_str().unwrap())
        .collect();
    let expected = [
        "shipped/mitdb-208",
        "shipped/heartpy-data3",
        "mitdb/a1",
        "mitdb60s/b1",
        "nstdb/c1",
        "uwoxi/d1_left",
        "uwoxi/d1_left.spo2",
        "oxiwear_x/e1",
        "troika_x/f1",
        "bidmc/g1",
        "cinc2015_x/h1",
    ];
    assert_eq!(names, expected);
    for name in &names {
        let is_scored = !name.starts_with("shipped") && !name.starts_with("cinc");
        assert_eq!(record(&document, name)["scored"], is_scored, "{name}");
    }
    // A clean ECG and a clean finger; what the firmware makes of them exactly is not this test's matter.
    assert!(record(&document, "mitdb/a1")["beats"]["found"].as_u64().unwrap() > 90);
    assert!(figure(&document, "ecg.timing_p95")["value"].as_f64().unwrap() < 40.0);
    assert!(figure(&document, "pulse.mae")["value"].as_f64().unwrap() < 2.0);
    assert_eq!(figure(&document, "desaturation.found")["value"], 100.0);
    assert_eq!(record(&document, "uwoxi/d1_left.spo2")["episodes"]["episodes"], 1);
    assert!(figure(&document, "respiration.impedance_mae")["value"].as_f64().unwrap() < 1.0);
}

#[test]
fn the_json_says_what_it_promises() {
    let root = made::folder();
    let (_, document) = json(Options { recordings: Some(root.path().into()), ..Options::default() });
    assert_eq!(document["format"], "vitalward-evaluation 1");
    assert_eq!(document["recordings"], root.path().to_str().unwrap());
    assert!(document["speed"]["times_real_time"].as_f64().unwrap() > 0.0);
    assert!(document["speed"]["cpu_s_per_hour"].as_f64().unwrap() > 0.0);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&document), ["figures", "format", "recordings", "records", "refused", "speed"]);
    for figure in document["figures"].as_array().unwrap() {
        let expected = [
            "coverage_pct",
            "goal",
            "id",
            "met",
            "peer",
            "record",
            "records",
            "set",
            "title",
            "unit",
            "value",
        ];
        assert_eq!(keys(figure), expected);
        assert!(figure["id"].as_str().unwrap().split('.').count() == 2, "{figure}");
        assert!(figure["value"].is_number(), "{figure}");
        assert_eq!(figure["goal"].is_null(), figure["met"].is_null(), "{figure}");
    }
    assert_eq!(figure(&document, "ecg.f1")["goal"]["at_least"], 99.4);
    assert_eq!(figure(&document, "pulse.mae")["peer"]["source"], "HeartPy");
    let keys = keys(record(&document, "mitdb/a1"));
    for key in ["name", "seconds", "scored", "beats", "trusted_beats", "trends", "episodes", "answer", "said"]
    {
        assert!(keys.iter().any(|other| other == key), "{key}");
    }
}

#[test]
fn a_broken_file_is_refused_by_name_and_the_others_go_on() {
    let root = made::folder();
    let put = |file: &str, bytes: &[u8]| fs::write(root.path().join(file), bytes).unwrap();
    let data = fs::read(root.path().join("mitdb/a1.dat")).unwrap();
    made::wfdb(&root.path().join("mitdb"), "cut");
    put("mitdb/cut.dat", &data[..data.len() - 1]);
    made::wfdb(&root.path().join("mitdb"), "flipped");
    put("mitdb/flipped.dat", &data.iter().map(|byte| byte ^ 1).collect::<Vec<_>>());
    made::wfdb(&root.path().join("mitdb"), "nobytes");
    put("mitdb/nobytes.dat", b"");
    put("mitdb/escape.hea", b"escape 1 360 10\n../../../etc/passwd 212 200 12 0 0 0\n");
    made::wfdb(&root.path().join("mitdb"), "nanbeats");
    put("mitdb/nanbeats.beats.csv", b"sample,time_s,symbol\n1,NaN,N\n");
    put("nstdb/odd.i16", &[0; 721]);
    put("nstdb/empty.i16", b"");
    put("uwoxi/torn_left.rgb.u16", &[0; 1000]);
    put("uwoxi/lonely_left.rgb.u16", &[9; 6000]);
    put("oxiwear_x/binary.csv", &[0xff; 500]);
    put("oxiwear_x/fast.csv", b"# fs_hz=1e99\n");
    put("bidmc/late.ii_pleth_resp.i16", &[1; 6000]);
    put("bidmc/late.breaths.csv", b"annotator,sample,time_s\n1,1,inf\n");
    put("cinc2015_x/nolayout.i16", &[0; 6000]);
    put("nstdb/with space.i16", &[0; 1000]);
    fs::create_dir(root.path().join("nstdb/folder.i16")).unwrap();
    fs::File::create(root.path().join("nstdb/huge.i16")).unwrap().set_len(1 << 32).unwrap();
    let options = Options { recordings: Some(root.path().into()), ..Options::default() };
    let result = run(&options);
    assert_eq!(result.exit, Exit::InPart);
    for (file, why) in [
        ("mitdb/cut.dat", "samples of the header"),
        ("mitdb/flipped.dat", "checksum"),
        ("mitdb/nobytes.dat", "samples of the header"),
        ("mitdb/escape.hea", "plain file name"),
        ("mitdb/nanbeats.beats.csv", "line 2"),
        ("nstdb/odd.i16", "middle of a sample"),
        ("nstdb/empty.i16", "less than a second"),
        ("uwoxi/torn_left.rgb.u16", "middle of a sample"),
        ("oxiwear_x/binary.csv", "not UTF-8"),
        ("oxiwear_x/fast.csv", "Hz"),
        ("bidmc/late.breaths.csv", "line 2"),
        ("cinc2015_x/nolayout.txt", "cannot be read"),
        ("nstdb/with space.i16", "letters"),
        ("nstdb/folder.i16", "not a regular file"),
        ("nstdb/huge.i16", "longer than"),
    ] {
        let line = result.complaints.lines().find(|line| line.contains(file)).expect(file);
        assert!(line.starts_with("refused: ") && line.contains(why), "{line}");
    }
    let (_, document) = json(options);
    assert_eq!(document["refused"].as_array().unwrap().len(), 15);
    assert_eq!(record(&document, "mitdb/a1")["scored"], true);
    assert_eq!(record(&document, "uwoxi/lonely_left")["scored"], false, "no reference is no fault");
}

#[test]
fn without_recordings_the_shipped_excerpts_are_evaluated_and_that_is_said() {
    let result = run(&Options::default());
    assert_eq!(result.exit, Exit::Done);
    assert!(result.complaints.contains("ONLY THE SHIPPED EXCERPTS"), "{}", result.complaints);
    assert!(result.out.lines().all(|line| line.chars().count() <= 100), "{}", result.out);
    assert!(result.out.contains("no record") && !result.out.contains('\x1b'));
    let empty = tempfile::tempdir().unwrap();
    let options = Options { recordings: Some(empty.path().into()), ..Options::default() };
    assert!(run(&options).complaints.contains("NO RECORDING OF A KNOWN KIND"));
    let (_, document) = json(Options::default());
    assert!(document["recordings"].is_null());
    let counted = record(&document, "shipped/mitdb-208")["counted_beats"].as_u64().unwrap();
    assert!(counted.abs_diff(508) <= 25, "{counted}");
    assert!(figure(&document, "shipped.pulse_mean")["value"].is_number());
    assert!(figure(&document, "ecg.f1")["value"].is_null());
}

#[test]
fn the_table_fits_a_terminal_and_marks_goals_in_words() {
    let root = made::folder();
    let options =
        Options { recordings: Some(root.path().into()), each: true, colours: true, ..Options::default() };
    let coloured = run(&options).out;
    let plain = run(&Options { colours: false, ..options }).out;
    assert!(plain.lines().all(|line| line.chars().count() <= 100), "{plain}");
    assert!(coloured.contains("\x1b[32mmet") && plain.contains(" met") && plain.contains("99.38 best tried"));
    for title in ["ECG\n", "Pulse at rest\n", "Respiration\n", "semi-synthetic", "Records (unscored"] {
        assert!(plain.contains(title), "{title}: {plain}");
    }
    assert!(plain.contains("cinc2015_x/h1") && plain.contains("unscored: heart rate"), "{plain}");
}

#[test]
fn sets_and_records_are_chosen() {
    let root = made::folder();
    let recordings = Some(root.path().to_owned());
    let sets = vec![evaluate::goals::Set::Noise];
    let (_, document) = json(Options { recordings: recordings.clone(), sets, ..Options::default() });
    assert_eq!(document["records"].as_array().unwrap().len(), 3, "the shipped ones and one of the set");
    assert!(document["figures"].as_array().unwrap().iter().any(|figure| figure["set"] == "noise"));
    assert!(!document["figures"].as_array().unwrap().iter().any(|figure| figure["set"] == "spo2"));
    let one = Options { recordings: recordings.clone(), record: Some("f1".into()), ..Options::default() };
    let (_, document) = json(one);
    assert_eq!(document["records"].as_array().unwrap().len(), 1);
    let unknown = Options { recordings, record: Some("f9".into()), ..Options::default() };
    let refused = evaluate::run(&unknown, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("no record \"f9\""), "{refused}");
}

#[test]
fn the_command_line_evaluates_draws_and_refuses_contradictions() {
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("ecg.svg");
    let svg = svg.to_str().unwrap();
    let arguments = ["evaluate", "--record", "shipped/mitdb-208", "--plot", svg, "--from", "60"];
    let drawn = program(&arguments);
    let said = String::from_utf8(drawn.stdout).unwrap();
    assert!(drawn.status.success() && said.contains(svg), "{said}");
    let picture = fs::read_to_string(svg).unwrap();
    assert!(picture.contains("shipped/mitdb-208, 60 s to 80 s") && picture.contains("class=\"hit\""));
    let missing = folder.path().join("none");
    let beyond: &[&str] = &["evaluate", "--record", "shipped/mitdb-208", "--plot", svg, "--from", "9999"];
    for contradiction in [
        &["--name", "W2", "evaluate"][..],
        &["evaluate", "--name", "W2"],
        &["evaluate", "--plot", svg],
        &["evaluate", "--from", "3"],
        &["evaluate", "--set", "everything"],
        &["evaluate", "--recordings", missing.to_str().unwrap()],
        &["evaluate", "--record", "none"],
        beyond,
    ] {
        let refused = program(contradiction);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(64), "{contradiction:?}: {said}");
        assert!(!said.is_empty() && refused.stdout.is_empty(), "{contradiction:?}");
    }
}

#[test]
fn a_missed_goal_fails_only_if_asked() {
    let root = made::folder();
    // Noise where a reference says that there are beats.
    let noise =
        (0..32_400_u32).flat_map(|sample| ((sample.wrapping_mul(2_654_435_761) >> 20) as i16).to_le_bytes());
    fs::write(root.path().join("nstdb/c1.i16"), noise.collect::<Vec<_>>()).unwrap();
    let sets = vec![evaluate::goals::Set::Noise];
    let options = Options { recordings: Some(root.path().into()), sets, ..Options::default() };
    let result = run(&options);
    assert!(result.exit == Exit::Done && result.out.contains("MISSED"), "{}", result.out);
    assert_eq!(run(&Options { check: true, ..options }).exit, Exit::Failed);
}

/// The recordings that real figures come from, or a loud word.
fn real_recordings() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings");
    let root = std::env::var_os("VITALWARD_RECORDINGS").map_or(beside, PathBuf::from);
    if root.is_dir() {
        return Some(root);
    }
    eprintln!("!!! SKIP: no recordings in {}; set VITALWARD_RECORDINGS", root.display());
    None
}

#[test]
fn the_scorer_of_the_recordings_agrees_on_every_figure() {
    let Some(root) = real_recordings() else { return };
    let scorer = root.join("../tools/score.py");
    if !scorer.is_file() {
        eprintln!("!!! SKIP: no scorer in {}", scorer.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let detections = Some(folder.path().to_owned());
    let (_, document) = json(Options { recordings: Some(root), detections, ..Options::default() });
    let manifest = folder.path().join("manifest.csv");
    let output = match Command::new("python3").arg(&scorer).arg("run").arg(&manifest).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("!!! SKIP: python3 does not run: {error}");
            return;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut compared = 0;
    let manifest = fs::read_to_string(manifest).unwrap();
    for (asked, said) in manifest.lines().zip(String::from_utf8(output.stdout).unwrap().lines()) {
        let said: Value = serde_json::from_str(said).unwrap();
        compared += agrees(asked, &said, &document, folder.path());
    }
    assert!(compared > 6, "only {compared} figures to compare");
    println!("{compared} figures agree with score.py");
}

/// How many figures of a line of the manifest are those of the scorer.
fn agrees(asked: &str, said: &Value, document: &Value, folder: &Path) -> usize {
    let fields: Vec<&str> = asked.split(',').collect();
    let folder = folder.canonicalize().unwrap();
    let file =
        Path::new(fields[1]).strip_prefix(folder).unwrap().to_str().unwrap().strip_suffix(".csv").unwrap();
    let (name, beats) = match file.strip_suffix(".trusted") {
        Some(name) => (name, "trusted_beats"),
        None => (file, "beats"),
    };
    let ours = record(document, name);
    let pairs: &[(&str, &str, f64)] = match fields[0] {
        "beats" => &[
            ("TP", "found", 0.0),
            ("FN", "missed", 0.0),
            ("FP", "invented", 0.0),
            ("Se", "sensitivity", 5e-4),
            ("PPV", "predictivity", 5e-4),
            ("F1", "f1", 5e-4),
            ("bias_ms", "bias_ms", 0.05),
            ("p95_ms", "p95_ms", 0.05),
        ],
        "trend" => &[
            ("n", "values", 0.0),
            ("bias", "bias", 5e-4),
            ("sd", "sd", 5e-4),
            ("MAE", "mae", 5e-4),
            ("RMSE", "rmse", 5e-4),
            ("p95", "p95", 5e-3),
            ("coverage", "coverage_pct", 5e-3),
        ],
        _ => &[("episodes", "episodes", 0.0), ("detected", "found", 0.0), ("false", "false_alarms", 0.0)],
    };
    let kind = fields.iter().position(|field| *field == "--type").map(|at| fields[at + 1]);
    let ours = match (fields[0], kind) {
        ("beats", _) => &ours[beats],
        ("alarm", _) => &ours["episodes"],
        (_, Some("spo2")) => &ours["trends"]["spo2"],
        (_, Some("rr")) => &ours["trends"]["respiration"],
        (_, Some("pulse")) => &ours["trends"]["pulse_rate"],
        _ if ours["beats"].is_object() => &ours["trends"]["heart_rate"],
        _ => &ours["trends"]["pulse_rate"],
    };
    let mut compared = 0;
    for (theirs, key, tolerance) in pairs {
        // Nothing measured: the scorer then tells the count and the coverage only.
        let Some(theirs) = said.get(theirs).and_then(Value::as_f64) else { continue };
        let ours = ours[*key].as_f64().unwrap_or_else(|| panic!("{asked}: {key} of {ours}"));
        assert!((theirs - ours).abs() <= tolerance + 1e-9, "{asked}: {key} {ours}, score.py {theirs}");
        compared += 1;
    }
    assert!(compared > 0, "{asked}: {said}");
    compared
}
