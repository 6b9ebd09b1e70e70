//! One connection to the gateway: dialled, inside TLS, bound to its channel. It decides nothing: who waits how long
//! before the next try is the agent's business.

use std::{io, time::Duration};

use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::trust::{self, Secured, Trust};

/// How the gateway is reached.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// `HOST:PORT`.
    pub gateway: String,
    /// Longest wait for TCP and TLS together.
    pub dial_limit: Duration,
    /// Wait before the next try where only the clinic can help (not paired any more, another version).
    pub patience: Duration,
}

impl LinkSettings {
    /// The usual settings for a gateway.
    #[must_use]
    pub const fn to(gateway: String) -> Self {
        Self { gateway, dial_limit: Duration::from_secs(10), patience: Duration::from_secs(60) }
    }
}

/// No connection.
#[derive(Debug, Error)]
pub enum LinkError {
    /// Nobody answers there, or not in time.
    #[error("no connection to {address}: {source}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// Somebody answers, but not the gateway that was paired. Nothing but a TLS hello was sent.
    #[error("the server at {address} does not have the pinned key")]
    Stranger {
        /// Where.
        address: String,
    },
    /// Somebody answers, but speaks no TLS 1.3.
    #[error("no secure connection to {address}: {source}")]
    Tls {
        /// Where.
        address: String,
        /// What failed.
        source: io::Error,
    },
}

/// A connection inside TLS.
#[derive(Debug)]
pub struct Connection {
    /// The bytes.
    pub stream: TlsStream<TcpStream>,
    /// What its handshake says.
    pub secured: Secured,
}

/// Dials the gateway.
///
/// # Errors
/// [`LinkError`].
pub async fn dial(settings: &LinkSettings, trust: Trust) -> Result<Connection, LinkError> {
    let late = || {
        let said = format!("no answer within {} s", settings.dial_limit.as_secs());
        let source = io::Error::new(io::ErrorKind::TimedOut, said);
        LinkError::Unreachable { address: settings.gateway.clone(), source }
    };
    tokio::time::timeout(settings.dial_limit, Box::pin(connect(&settings.gateway, trust)))
        .await
        .unwrap_or_else(|_| Err(late()))
}

async fn connect(address: &str, trust: Trust) -> Result<Connection, LinkError> {
    let address = || address.to_owned();
    let tls = |source| LinkError::Tls { address: address(), source };
    let unreachable = |source| LinkError::Unreachable { address: address(), source };
    let stream = TcpStream::connect(address()).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let config = trust::client_config(trust).map_err(|error| tls(io::Error::other(error)))?;
    let connector = TlsConnector::from(config);
    let stream = connector.connect(trust::server_name(), stream).await.map_err(|source| {
        let stranger = source
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .is_some_and(trust::is_stranger);
        if stranger { LinkError::Stranger { address: address() } } else { tls(source) }
    })?;
    let secured = Secured::of(stream.get_ref().1).map_err(|error| tls(io::Error::other(error)))?;
    Ok(Connection { stream, secured })
}
