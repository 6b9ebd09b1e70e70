//! Event lines: what a headless program tells scripts, one JSON object per line on standard output. A reader that is too
//! slow or gone loses lines, and is told how many; it never holds the program up.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use serde::Serialize;
use serde_json::{Value, json};

/// Lines that may wait for the reader.
const WAITING: usize = 4_096;
/// How long the end of the program waits for the reader to take the last lines.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Where event lines go; copies share it.
#[derive(Debug, Clone)]
pub struct EventLines(Option<Arc<Writer>>);

#[derive(Debug)]
struct Writer {
    queue: Mutex<Queue>,
    /// Closed by the thread when it has written everything.
    done: Mutex<Receiver<()>>,
}

#[derive(Debug)]
struct Queue {
    lines: Option<SyncSender<Vec<u8>>>,
    lost: u64,
}

/// The line that stands for lines which a reader was too slow for.
#[must_use]
pub fn lines_lost(count: u64) -> Value {
    json!({ "event": "lines_lost", "count": count })
}

impl EventLines {
    /// Lines on standard output.
    #[must_use]
    pub fn to_stdout() -> Self {
        Self::to(io::stdout())
    }

    fn to(mut out: impl Write + Send + 'static) -> Self {
        let (lines, queue) = sync_channel::<Vec<u8>>(WAITING);
        let (written, done) = sync_channel(0);
        thread::spawn(move || {
            let _closed_at_the_end = written;
            while let Ok(line) = queue.recv() {
                // A reader that went away ends the lines, not the program.
                if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        });
        let queue = Mutex::new(Queue { lines: Some(lines), lost: 0 });
        Self(Some(Arc::new(Writer { queue, done: Mutex::new(done) })))
    }

    /// No lines (a screen is shown instead).
    #[must_use]
    pub const fn silent() -> Self {
        Self(None)
    }

    /// Writes one line.
    pub fn emit(&self, event: &impl Serialize) {
        let Some(writer) = &self.0 else { return };
        let mut queue = writer.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.lost > 0 && queue.send(&lines_lost(queue.lost)) {
            queue.lost = 0;
        }
        if !queue.send(event) {
            queue.lost += 1;
        }
    }
}

impl Queue {
    /// False if the line is lost because the reader is too slow.
    fn send(&self, event: &impl Serialize) -> bool {
        let (Some(lines), Ok(mut line)) = (&self.lines, serde_json::to_vec(event)) else { return true };
        line.push(b'\n');
        !matches!(lines.try_send(line), Err(TrySendError::Full(_)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.get_mut().unwrap_or_else(PoisonError::into_inner).lines = None;
        // Either end is fine: everything is written, or the reader does not read.
        self.done.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(FLUSH_LIMIT).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Tells of each write, and takes none before it may.
    struct Reader {
        may_read: Receiver<()>,
        read: Sender<Vec<u8>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.may_read.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.read.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up_and_is_told_what_it_lost() {
        let ((allow, may_read), (read, was_read)) = (channel(), channel());
        let lines = EventLines::to(Reader { may_read, read });
        let sent = WAITING + 10;
        for n in 0..sent {
            lines.emit(&json!({ "n": n }));
        }
        for _ in 0..2 * sent {
            allow.send(()).unwrap();
        }
        // Two lines were taken, so there is room for the word about those that were not, and for one more.
        was_read.recv().unwrap();
        was_read.recv().unwrap();
        lines.emit(&json!({ "last": true }));
        drop(lines);
        let rest: Vec<String> = was_read.iter().map(|line| String::from_utf8(line).unwrap()).collect();
        let told = rest.iter().position(|line| line.contains("lines_lost")).unwrap();
        assert!(rest[told + 1].contains("last"), "{:?}", &rest[told..]);
        assert!(rest.len() < sent, "some were lost");
    }

    #[test]
    fn the_last_line_is_written_before_the_program_ends() {
        let ((allow, may_read), (read, was_read)) = (channel(), channel());
        let lines = EventLines::to(Reader { may_read, read });
        allow.send(()).unwrap();
        lines.emit(&json!({ "event": "stopping" }));
        drop(lines);
        assert_eq!(was_read.try_recv().unwrap(), b"{\"event\":\"stopping\"}\n");
    }
}
