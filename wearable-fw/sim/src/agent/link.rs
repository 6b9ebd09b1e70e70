//! The one connection that a device has, or is about to have, as a thing to wait for.

use std::{future::pending, io, pin::Pin, time::Duration};

use host::drive::ClientLink;
use protocol::endpoint::{client, pairing::Outcome};
use tokio::{net::TcpStream, time::Sleep};

const DIAL_LIMIT: Duration = Duration::from_secs(10);

type Task<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// What the device waits for on the network side.
pub(super) enum Link {
    /// Nothing.
    Off,
    /// The next try.
    Waiting(Pin<Box<Sleep>>),
    /// A connection.
    Dialing(Task<TcpStream>),
    /// A pairing.
    Pairing(Task<(TcpStream, Outcome)>),
    /// A login or a session.
    Up(Box<ClientLink<TcpStream>>),
}

/// What came. Everything but an [`Arrival::Event`] uses the link up.
pub(super) enum Arrival {
    Due,
    Dialed(io::Result<TcpStream>),
    Paired(io::Result<(TcpStream, Outcome)>),
    Event(io::Result<client::Event>),
}

impl Link {
    pub(super) fn dial(address: String) -> Self {
        Self::Dialing(Box::pin(async move {
            let stream = tokio::time::timeout(DIAL_LIMIT, TcpStream::connect(address)).await??;
            stream.set_nodelay(true)?;
            Ok(stream)
        }))
    }

    pub(super) fn wait(time: Duration) -> Self {
        Self::Waiting(Box::pin(tokio::time::sleep(time)))
    }

    /// Waits. May be cancelled.
    pub(super) async fn next(&mut self) -> Arrival {
        match self {
            Self::Off => pending().await,
            Self::Waiting(sleep) => {
                sleep.as_mut().await;
                Arrival::Due
            }
            Self::Dialing(task) => Arrival::Dialed(task.as_mut().await),
            Self::Pairing(task) => Arrival::Paired(task.as_mut().await),
            Self::Up(link) => Arrival::Event(link.next_event().await),
        }
    }
}
