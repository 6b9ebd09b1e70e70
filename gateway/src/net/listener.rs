//! Accepts connections and gives each a task. A port takes one kind of client.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use protocol::{credential::ClientKind, endpoint::LOGIN_LIMIT, handshake::Channel};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument;

use super::{
    connection::{self, Context},
    limits::Place,
    tls,
};

/// A bound port and how it speaks.
#[derive(Debug)]
pub struct Port {
    /// Where.
    pub listener: TcpListener,
    /// To whom.
    pub kind: ClientKind,
    /// Patients speak TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Port {
    /// Takes connections until this future is dropped; then the connections' tasks end too.
    pub async fn serve(self, context: Arc<Context>) {
        let Self { listener, kind, tls } = self;
        let acceptor = tls.map(TlsAcceptor::from);
        let mut connections = JoinSet::new();
        let mut sweep = tokio::time::interval(Duration::from_secs(60));
        loop {
            tokio::select! {
                accepted = accept(&listener, &context) => match accepted {
                    Ok((stream, source, place)) => {
                        let span = tracing::info_span!("connection", %source, %kind);
                        let serving = serve_one(stream, source, place, kind, acceptor.clone(), Arc::clone(&context));
                        connections.spawn(serving.instrument(span));
                    }
                    Err(error) => {
                        // Out of descriptors, mostly: wait until some are given back.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if let Err(panic) = ended {
                        tracing::error!(%panic, "a connection's task failed");
                    }
                }
                _ = sweep.tick() => context.limits.forget_quiet_sources(),
            }
        }
    }
}

async fn accept(listener: &TcpListener, context: &Context) -> io::Result<(TcpStream, SocketAddr, Place)> {
    let place = context.limits.place().await.ok_or_else(|| io::Error::other("closed"))?;
    let (stream, source) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, source, place))
}

async fn serve_one(
    stream: TcpStream,
    source: SocketAddr,
    place: Place,
    kind: ClientKind,
    acceptor: Option<TlsAcceptor>,
    context: Arc<Context>,
) {
    let Some(acceptor) = acceptor else {
        return connection::serve(stream, source, place, kind, Channel::Plain, false, context).await;
    };
    let accepted =
        timeout(LOGIN_LIMIT, acceptor.accept(stream)).await.unwrap_or_else(|late| Err(late.into()));
    match accepted.and_then(|stream| match tls::channel(&stream) {
        Ok((channel, post_quantum)) => Ok((stream, channel, post_quantum)),
        Err(error) => Err(io::Error::other(error)),
    }) {
        Ok((stream, channel, post_quantum)) => {
            connection::serve(stream, source, place, kind, channel, post_quantum, context).await;
        }
        Err(error) => tracing::debug!(%error, "TLS handshake failed"),
    }
}
