//! How a verb talks to a running program of this machine: one JSON request per line over a Unix socket in the program's
//! data folder, one JSON reply per line back, or from a request to watch on, events. Only the program's own user and root
//! are let in. Knows no verb.

use std::{
    fmt,
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf, UCred},
    },
    sync::broadcast::{self, error::RecvError},
    task::JoinSet,
};

use crate::{
    events::lines_lost,
    exit::{Exit, Stop},
};

/// Longest request, in bytes: a firmware image in hexadecimal, and some.
const MAX_REQUEST: usize = 3 * 1024 * 1024;

/// An answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// What was asked for.
    Done(Value),
    /// Why not, with the exit code of the verb.
    Refused {
        /// Exit code.
        exit: u8,
        /// The sentence.
        message: String,
    },
}

// By hand: replies carry pairing codes and vitals, which must not reach a log.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(_) => f.write_str("Done(..)"),
            Self::Refused { exit, message } => write!(f, "Refused({exit}, {message:?})"),
        }
    }
}

/// The program behind a socket.
pub trait Desk: Send + Sync + 'static {
    /// What can be asked.
    type Request: DeserializeOwned + Send;
    /// What a watcher is told.
    type Event: Serialize + Clone + Send + Sync + 'static;
    /// What people call the program.
    const PROGRAM: &'static str;

    /// Whether this asks for every event from now on.
    fn watches(request: &Self::Request) -> bool;

    /// Events from now on.
    fn subscribe(&self) -> broadcast::Receiver<Self::Event>;

    /// Does what was asked.
    fn carry_out(
        &self,
        request: Self::Request,
        caller: &UCred,
    ) -> impl Future<Output = Result<Value, Stop>> + Send;
}

/// The socket in a data folder, by a path that is always short enough for a socket (107 bytes on Linux): it leads through
/// a descriptor of the folder, so the folder's own permissions guard it, however long its path is.
#[derive(Debug)]
struct SocketPath {
    folder: File,
}

impl SocketPath {
    fn in_folder(data_dir: &Path) -> io::Result<Self> {
        Ok(Self { folder: File::open(data_dir)? })
    }

    /// Valid while `self` lives.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/control.sock", self.folder.as_raw_fd()))
    }
}

/// A bound socket; removed when dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    socket: SocketPath,
    own_uid: u32,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        fs::remove_file(self.socket.path()).ok();
    }
}

impl ControlSocket {
    /// Binds the socket of a data folder whose lock the caller holds: a socket that lies there is stale.
    ///
    /// # Errors
    /// A [`Stop`] naming the path.
    pub fn bind(data_dir: &Path) -> Result<Self, Stop> {
        let bound = (|| {
            let socket = SocketPath::in_folder(data_dir)?;
            match fs::remove_file(socket.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(socket.path())?;
            Ok(Self { listener, socket, own_uid: fs::metadata(data_dir)?.uid() })
        })();
        bound.map_err(|error: io::Error| {
            let message = format!("cannot make the control socket in {}: {error}", data_dir.display());
            Stop::new(Exit::Configuration, message)
        })
    }

    /// Answers until this future is dropped.
    pub async fn serve<D: Desk>(self, desk: Arc<D>) {
        let mut callers = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (desk, own_uid) = (Arc::clone(&desk), self.own_uid);
                        // Whoever goes away in the middle is not answered.
                        callers.spawn(async move { answer(stream, own_uid, &*desk).await.ok() });
                    }
                    // Out of descriptors, mostly: wait until some are given back.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(_) = callers.join_next() => {}
            }
        }
    }
}

async fn answer<D: Desk>(stream: UnixStream, own_uid: u32, desk: &D) -> io::Result<()> {
    let caller = stream.peer_cred()?;
    let (reader, mut writer) = stream.into_split();
    if caller.uid() != own_uid && caller.uid() != 0 {
        let message = format!("only the {}'s own user may control it", D::PROGRAM);
        return send(&mut writer, &Reply::Refused { exit: Exit::Failed.code(), message }).await;
    }
    let mut reader = BufReader::new(reader);
    loop {
        let Some(line) = next_line(&mut reader).await? else { return Ok(()) };
        let request = match &line {
            Line::Whole(line) => serde_json::from_slice::<D::Request>(line)
                .map_err(|error| Stop::new(Exit::Usage, format!("no request: {error}"))),
            Line::TooLong => {
                let message = format!("no request: a line has at most {MAX_REQUEST} bytes; send less");
                Err(Stop::new(Exit::Usage, message))
            }
        };
        let done = match request {
            Ok(request) if D::watches(&request) => return watch(&mut writer, desk.subscribe()).await,
            Ok(request) => desk.carry_out(request, &caller).await,
            Err(stop) => Err(stop),
        };
        let reply = done.map_or_else(
            |stop| Reply::Refused { exit: Stop::exit_of(&stop).code(), message: stop.to_string() },
            Reply::Done,
        );
        send(&mut writer, &reply).await?;
    }
}

/// A caller's line.
enum Line {
    Whole(Vec<u8>),
    /// Nothing of it is kept.
    TooLong,
}

/// The next line to its end; `None` if the caller went away.
async fn next_line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut is_too_long = false;
    loop {
        let buffered = reader.fill_buf().await?;
        let (part, ends) = match buffered.iter().position(|byte| *byte == b'\n') {
            Some(end) => (buffered.get(..=end).unwrap_or_default(), true),
            None => (buffered, buffered.is_empty()),
        };
        is_too_long |= line.len() + part.len() > MAX_REQUEST;
        if is_too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(part);
        }
        let taken = part.len();
        reader.consume(taken);
        if ends {
            let whole = (!line.is_empty()).then_some(Line::Whole(line));
            return Ok(if is_too_long { Some(Line::TooLong) } else { whole });
        }
    }
}

async fn watch(
    writer: &mut OwnedWriteHalf,
    mut events: broadcast::Receiver<impl Serialize + Clone>,
) -> io::Result<()> {
    loop {
        match events.recv().await {
            Ok(event) => send(writer, &event).await?,
            Err(RecvError::Lagged(missed)) => send(writer, &lines_lost(missed)).await?,
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

async fn send(writer: &mut OwnedWriteHalf, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    writer.write_all(&bytes).await
}

/// A verb's end of the socket.
#[derive(Debug)]
pub struct Caller {
    program: &'static str,
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Caller {
    /// Connects to the program of a data folder.
    ///
    /// # Errors
    /// The socket's; mostly that nobody listens.
    pub async fn connect(program: &'static str, data_dir: &Path) -> io::Result<Self> {
        let socket = SocketPath::in_folder(data_dir)?;
        let (reader, writer) = UnixStream::connect(socket.path()).await?.into_split();
        Ok(Self { program, lines: BufReader::new(reader).lines(), writer })
    }

    /// Asks for something and waits for the answer.
    ///
    /// # Errors
    /// A [`Stop`] with the exit code that the program gave, or [`Exit::Unavailable`] if it went away.
    pub async fn request<T: DeserializeOwned>(
        &mut self,
        request: &(impl Serialize + Sync),
    ) -> Result<T, Stop> {
        let program = self.program;
        let went_away =
            |error: io::Error| Stop::new(Exit::Unavailable, format!("the {program} went away: {error}"));
        self.send(request).await.map_err(went_away)?;
        let line = self.lines.next_line().await.map_err(went_away)?;
        let line = line.ok_or_else(|| went_away(io::ErrorKind::UnexpectedEof.into()))?;
        let misunderstood = |error: serde_json::Error| {
            Stop::new(Exit::Failed, format!("the {program} is of another version than this program: {error}"))
        };
        match serde_json::from_str(&line).map_err(misunderstood)? {
            Reply::Done(value) => serde_json::from_value(value).map_err(misunderstood),
            Reply::Refused { exit, message } => Err(Stop::new(Exit::from_code(exit), message)),
        }
    }

    /// Says something whose answer is not one reply.
    ///
    /// # Errors
    /// The socket's.
    pub async fn send(&mut self, request: &(impl Serialize + Sync)) -> io::Result<()> {
        send(&mut self.writer, request).await
    }

    /// The next event of a program that is watched; `None` when it went away. May be cancelled.
    pub async fn next_event<E: DeserializeOwned>(&mut self) -> Option<E> {
        loop {
            let line = self.lines.next_line().await.ok().flatten()?;
            if let Ok(event) = serde_json::from_str(&line) {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_content() {
        let reply = Reply::Done(serde_json::json!({ "code": "ABC-DEF-GH2" }));
        assert!(!format!("{reply:?}").contains("DEF"));
    }

    /// Echoes numbers; a watcher has lagged behind before it begins.
    struct Echo(broadcast::Sender<u32>);

    impl Desk for Echo {
        type Request = Value;
        type Event = u32;
        const PROGRAM: &'static str = "echo";

        fn watches(request: &Value) -> bool {
            request == "watch"
        }

        fn subscribe(&self) -> broadcast::Receiver<u32> {
            let events = self.0.subscribe();
            (0..5).for_each(|n| drop(self.0.send(n)));
            events
        }

        async fn carry_out(&self, request: Value, _caller: &UCred) -> Result<Value, Stop> {
            Ok(request)
        }
    }

    /// What is answered to these bytes, by line.
    async fn answers(said: &[u8], count: usize) -> Vec<String> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let uid = theirs.peer_cred().unwrap().uid();
        let desk = Echo(broadcast::channel(2).0);
        let (reader, mut writer) = ours.into_split();
        let talk = async {
            writer.write_all(said).await.unwrap();
            let mut lines = BufReader::new(reader).lines();
            let mut heard = Vec::new();
            for _ in 0..count {
                heard.push(lines.next_line().await.unwrap().unwrap());
            }
            heard
        };
        tokio::select! {
            heard = talk => heard,
            _ = answer(theirs, uid, &desk) => panic!("it hung up"),
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_refused_as_a_whole_and_the_next_one_is_heard() {
        // Its tail alone would be a request.
        let said = [&vec![b' '; MAX_REQUEST][..], b"1\n2\n"].concat();
        let heard = answers(&said, 2).await;
        assert!(heard[0].contains("at most 3145728 bytes"), "{heard:?}");
        assert_eq!(heard[1], r#"{"done":2}"#);
        let longest = [&vec![b' '; MAX_REQUEST - 2][..], b"1\n\xff\n2\n"].concat();
        let heard = answers(&longest, 3).await;
        assert!(heard[1].contains("no request"), "{heard:?}");
        assert_eq!((&heard[0][..], &heard[2][..]), (r#"{"done":1}"#, r#"{"done":2}"#));
    }

    #[tokio::test]
    async fn a_watcher_that_lagged_is_told_how_many_events_it_missed() {
        let heard = answers(b"\"watch\"\n", 3).await;
        assert_eq!(heard, [r#"{"count":3,"event":"lines_lost"}"#, "3", "4"]);
    }
}
