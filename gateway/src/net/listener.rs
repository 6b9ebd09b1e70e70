//! Accepts connections and gives each a task. A port takes one kind of client.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use protocol::{credential::ClientKind, endpoint::LOGIN_LIMIT, handshake::Channel};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
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
    /// Takes connections until `closing` says true, then serves those that it has. When this future is dropped, the
    /// connections' tasks end too.
    pub async fn serve(self, context: Arc<Context>, mut closing: watch::Receiver<bool>) {
        let Self { listener, kind, tls } = self;
        let mut listener = Some(listener);
        let acceptor = tls.map(TlsAcceptor::from);
        let mut connections = JoinSet::new();
        let mut sweep = tokio::time::interval(Duration::from_secs(60));
        loop {
            tokio::select! {
                true = async { closing.wait_for(|closing| *closing).await.is_ok() }, if listener.is_some() => listener = None,
                accepted = accept(listener.as_ref(), kind, &context) => match accepted {
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

async fn accept(
    listener: Option<&TcpListener>,
    kind: ClientKind,
    context: &Context,
) -> io::Result<(TcpStream, SocketAddr, Place)> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let place = context.limits.place(kind).await.ok_or_else(|| io::Error::other("closed"))?;
    let (stream, source) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, source, place))
}

async fn serve_one(
    stream: TcpStream,
    source: SocketAddr,
    mut place: Place,
    kind: ClientKind,
    acceptor: Option<TlsAcceptor>,
    context: Arc<Context>,
) {
    if !context.limits.take_share(&mut place, source.ip()) {
        tracing::debug!("this source has too many connections that are not in session");
        return;
    }
    context.limits.attempt(source.ip()).await;
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
