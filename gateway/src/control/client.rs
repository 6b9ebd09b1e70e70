//! A verb's or console's end of the control socket.

use std::{
    io,
    path::{Path, PathBuf},
};

use host::{
    control::Caller,
    datadir,
    exit::{Exit, Stop},
};
use protocol::id::DoctorId;
use serde::de::DeserializeOwned;

use super::Request;
use crate::ward::event::WardEvent;

/// A connection to a running gateway.
#[derive(Debug)]
pub struct Client(Caller);

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
        Ok(Self(Caller::connect("gateway", data_dir).await?))
    }

    /// Asks for something and waits for the answer.
    ///
    /// # Errors
    /// A [`Stop`] with the exit code that the gateway gave, or [`Exit::Unavailable`] if it went away.
    pub async fn request<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Stop> {
        self.0.request(request).await
    }

    /// Turns into a stream of events.
    ///
    /// # Errors
    /// The socket's.
    pub async fn watch(mut self) -> io::Result<Watch> {
        self.0.send(&Request::Watch {}).await?;
        Ok(Watch(self.0))
    }
}

/// Events of a running gateway.
#[derive(Debug)]
pub struct Watch(Caller);

impl Watch {
    /// The next event; `None` when the gateway went away. May be cancelled.
    pub async fn next(&mut self) -> Option<WardEvent> {
        self.0.next_event().await
    }
}
