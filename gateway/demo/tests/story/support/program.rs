//! One running program: its event lines as they come, its end, its signals.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Longest wait for anything in a story.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// The folder with the three programs; cargo builds no binaries of other packages.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    built(&["--package", "gateway", "--package", "patient", "--package", "wearable", "--bins"])
});

/// Builds something in the profile of this test; the folder that it is in then.
pub(crate) fn built(what: &[&str]) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).expect("a test lies in TARGET/PROFILE/deps");
    let profile = match folder.file_name().and_then(|name| name.to_str()).unwrap() {
        "debug" => "dev",
        other => other,
    };
    let build = escargot::CargoBuild::new().args(what).profile(profile).target_dir(folder.parent().unwrap());
    for message in build.exec().expect("cargo builds") {
        message.expect("it builds");
    }
    folder.to_owned()
}

/// The file of a program.
pub(crate) fn path_of(program: &str) -> PathBuf {
    PROGRAMS.join(program)
}

#[derive(Default)]
struct Log {
    /// A line, and whether a wait took it.
    lines: Vec<(Value, bool)>,
    stderr: String,
    closed: bool,
}

/// A running program whose lines are read as they come. Killed when dropped.
pub(crate) struct Program {
    name: String,
    child: Child,
    log: Arc<(Mutex<Log>, Condvar)>,
    readers: Vec<JoinHandle<()>>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Its lines: JSON where they are, else text.
    pub(crate) lines: Vec<Value>,
    /// What it said to the person.
    pub(crate) err: String,
}

impl Said {
    /// What it printed, as text.
    pub(crate) fn text(&self) -> String {
        let line = |line: &Value| line.as_str().map_or_else(|| line.to_string(), str::to_owned);
        self.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Its only line.
    pub(crate) fn json(&self) -> &Value {
        assert_eq!(self.lines.len(), 1, "one line of JSON: {self:?}");
        &self.lines[0]
    }

    /// Checks how it ended, and that what it told the person has all these parts.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in {self:?}");
        }
    }
}

/// Whether `line` has all that `wanted` has.
pub(crate) fn fits(line: &Value, wanted: &Value) -> bool {
    match (line, wanted) {
        (Value::Object(line), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| line.get(key).is_some_and(|found| fits(found, value)))
        }
        _ => line == wanted,
    }
}

impl Program {
    /// Starts a command. Its standard input is empty unless `input` says something.
    pub(crate) fn start(mut command: Command, input: Option<&str>) -> Self {
        let name = format!("{command:?}");
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("RUST_LOG").env_remove("VITALWARD_LOG").env_remove("CREDENTIALS_DIRECTORY");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input.as_bytes()).unwrap();
        }
        let log = Arc::new((Mutex::new(Log::default()), Condvar::new()));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (to_lines, to_stderr) = (Arc::clone(&log), Arc::clone(&log));
        let readers = vec![
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                    to_lines.0.lock().unwrap().lines.push((line, false));
                    to_lines.1.notify_all();
                }
                to_lines.0.lock().unwrap().closed = true;
                to_lines.1.notify_all();
            }),
            std::thread::spawn(move || {
                let mut err = BufReader::new(err);
                let mut line = Vec::new();
                while err.by_ref().read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                    to_stderr.0.lock().unwrap().stderr += &String::from_utf8_lossy(&line);
                    line.clear();
                }
            }),
        ];
        Self { name, child, log, readers }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.0.lock().unwrap()
    }

    /// Waits until `pick` finds what it looks for; fails loudly, with everything the program said.
    #[track_caller]
    #[expect(clippy::disallowed_methods, reason = "a deadline for the test itself")]
    fn wait_with<T>(
        &self,
        what: &str,
        limit: Duration,
        mut pick: impl FnMut(&mut [(Value, bool)]) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + limit;
        let mut log = self.log();
        loop {
            if let Some(found) = pick(&mut log.lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || log.closed {
                let why = if log.closed { "the program ended" } else { "not in time" };
                let said = Self::everything(&log);
                drop(log);
                panic!("{}\nnever said {what} ({why}). It said:\n{said}", self.name);
            }
            log = self.log.1.wait_timeout(log, left).unwrap().0;
        }
    }

    fn everything(log: &Log) -> String {
        let mut said = String::new();
        for (line, taken) in &log.lines {
            writeln!(said, "{} {line}", if *taken { '+' } else { ' ' }).unwrap();
        }
        said + "standard error:\n" + &log.stderr
    }

    /// The first line, not taken by an earlier wait, that has all that `wanted` has.
    #[track_caller]
    pub(crate) fn wait(&self, wanted: &Value) -> Value {
        self.wait_for(&wanted.to_string(), |line| fits(line, wanted))
    }

    /// The first line, not taken by an earlier wait, that `is` it.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.wait_with(what, PATIENCE, |lines| {
            let found = lines.iter_mut().find(|(line, taken)| !*taken && is(line))?;
            found.1 = true;
            Some(found.0.clone())
        })
    }

    /// Waits until all lines together are as wanted.
    #[track_caller]
    pub(crate) fn wait_until<T>(&self, what: &str, mut pick: impl FnMut(&[Value]) -> Option<T>) -> T {
        self.wait_with(what, PATIENCE, |lines| {
            let lines: Vec<Value> = lines.iter().map(|(line, _)| line.clone()).collect();
            pick(&lines)
        })
    }

    /// All lines so far that have what `wanted` has, taken or not.
    pub(crate) fn all(&self, wanted: &Value) -> Vec<Value> {
        self.log().lines.iter().filter(|(line, _)| fits(line, wanted)).map(|(line, _)| line.clone()).collect()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        // Pipes close at the end of a process; then its exit is at hand.
        let log = Arc::clone(&self.log);
        let (guard, waited) =
            log.1.wait_timeout_while(log.0.lock().unwrap(), PATIENCE, |log| !log.closed).unwrap();
        let said = Self::everything(&guard);
        drop(guard);
        assert!(!waited.timed_out(), "{}\nnever ended. It said:\n{said}", self.name);
        let code = self.child.wait().unwrap().code();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let mut log = self.log();
        let lines = std::mem::take(&mut log.lines).into_iter().map(|(line, _)| line).collect();
        Said { code, lines, err: std::mem::take(&mut log.stderr) }
    }

    /// Sends a signal by name, for instance `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.child.id())]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it without a farewell (kill -9) and waits until it is gone.
    pub(crate) fn kill(mut self) -> Said {
        self.child.kill().unwrap();
        self.end()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A line of its status in `/proc`, in kilobytes, such as `VmHWM`: the most memory that it ever used.
    pub(crate) fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Gone already, mostly.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() && std::env::var_os("STORY_LOGS").is_some() {
            let said =
                Self::everything(&self.log.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            std::io::stderr().write_all(format!("=== {}\n{said}\n", self.name).as_bytes()).ok();
        }
    }
}
