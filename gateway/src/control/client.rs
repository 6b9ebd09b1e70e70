//! A verb's or console's end of the control socket.

use std::{
    io,
    path::{Path, PathBuf},
};

use host::{
    datadir,
    exit::{Exit, Stop},
};
use protocol::id::DoctorId;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{Reply, Request, SocketPath};
use crate::ward::event::WardEvent;

/// A connection to a running gateway.
#[derive(Debug)]
pub struct Client {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

/// Which gateway a verb means.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// By its doctor.
    pub id: Option<DoctorId>,
    /// By its data folder.
    pub data_dir: Option<PathBuf>,
}

impl Target {
    /// Connects; without id and folder, to the only one that runs.
    ///
    /// # Errors
    /// A [`Stop`] with [`Exit::Unavailable`] that says how to start one, or which there are.
    pub async fn connect(&self) -> Result<Client, Stop> {
        if let Some(folder) = &self.data_dir {
            return Client::connect(folder)
                .await
                .map_err(|_| not_running(&format!("with {}", folder.display())));
        }
        let home = datadir::home()?;
        if let Some(id) = &self.id {
            let folder = home.join(format!("gateway-{id}"));
            return Client::connect(&folder).await.map_err(|_| not_running(&format!("for {id}")));
        }
        let mut running = Vec::new();
        for id in datadir::existing(&home, "gateway") {
            if let Ok(client) = Client::connect(&home.join(format!("gateway-{id}"))).await {
                running.push((id, client));
            }
        }
        match running.len() {
            0 => Err(not_running("here")),
            1 => Ok(running.remove(0).1),
            _ => {
                let ids: Vec<&str> = running.iter().map(|(id, _)| id.as_str()).collect();
                Err(Stop::new(Exit::Usage, format!("several gateways run; add --id: {}", ids.join(", "))))
            }
        }
    }
}

fn not_running(where_: &str) -> Stop {
    Stop::new(Exit::Unavailable, format!("no gateway runs {where_}; start one with: gateway --id D001"))
}

impl Client {
    /// Connects to the gateway of a data folder.
    ///
    /// # Errors
    /// The socket's; mostly that nobody listens.
    pub async fn connect(data_dir: &Path) -> io::Result<Self> {
        let socket = SocketPath::in_folder(data_dir)?;
        let (reader, writer) = UnixStream::connect(socket.path()).await?.into_split();
        Ok(Self { lines: BufReader::new(reader).lines(), writer })
    }

    /// Asks for something and waits for the answer.
    ///
    /// # Errors
    /// A [`Stop`] with the exit code that the gateway gave, or [`Exit::Unavailable`] if it went away.
    pub async fn request<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Stop> {
        let went_away =
            |error: io::Error| Stop::new(Exit::Unavailable, format!("the gateway went away: {error}"));
        self.send(request).await.map_err(went_away)?;
        let line = self.lines.next_line().await.map_err(went_away)?;
        let line = line.ok_or_else(|| went_away(io::ErrorKind::UnexpectedEof.into()))?;
        let misunderstood = |error: serde_json::Error| {
            Stop::new(Exit::Failed, format!("the gateway is of another version than this program: {error}"))
        };
        match serde_json::from_str(&line).map_err(misunderstood)? {
            Reply::Done(value) => serde_json::from_value(value).map_err(misunderstood),
            Reply::Refused { exit, message } => Err(Stop::new(Exit::from_code(exit), message)),
        }
    }

    /// Turns into a stream of events.
    ///
    /// # Errors
    /// The socket's.
    pub async fn watch(mut self) -> io::Result<Watch> {
        self.send(&Request::Watch {}).await?;
        Ok(Watch { client: self })
    }

    async fn send(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }
}

/// Events of a running gateway.
#[derive(Debug)]
pub struct Watch {
    client: Client,
}

impl Watch {
    /// The next event; `None` when the gateway went away. May be cancelled.
    pub async fn next(&mut self) -> Option<WardEvent> {
        loop {
            let line = self.client.lines.next_line().await.ok().flatten()?;
            if let Ok(event) = serde_json::from_str(&line) {
                return Some(event);
            }
        }
    }
}
