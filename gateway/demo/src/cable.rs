//! A network cable that can be pulled: carries connections to the gateway, or none. It knows nothing of what it carries.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A cable between a client and the gateway; gone when dropped.
#[derive(Debug)]
pub struct Cable {
    address: SocketAddr,
    is_in: watch::Sender<bool>,
    _carrier: JoinSet<()>,
}

impl Cable {
    /// A cable to `gateway`, plugged in.
    ///
    /// # Errors
    /// No port on loopback.
    pub async fn to(gateway: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((gateway.ip(), 0)).await?;
        let address = listener.local_addr()?;
        let (is_in, watched) = watch::channel(true);
        let mut carrier = JoinSet::new();
        carrier.spawn(carry_all(listener, gateway, watched));
        Ok(Self { address, is_in, _carrier: carrier })
    }

    /// What the client dials.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection, and every new one, until it is plugged in again. Nobody says goodbye.
    pub fn pull(&self) {
        self.is_in.send_replace(false);
    }

    /// Carries connections again.
    pub fn plug_in(&self) {
        self.is_in.send_replace(true);
    }
}

async fn carry_all(listener: TcpListener, gateway: SocketAddr, is_in: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) if *is_in.borrow() => {
                    connections.spawn(carry(near, gateway, is_in.clone()));
                }
                Ok(_) => {}
                // Out of descriptors: others may be closed meanwhile.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut near: TcpStream, gateway: SocketAddr, mut is_in: watch::Receiver<bool>) {
    // Whatever fails here, the client sees its connection end, as with a real cable.
    let Ok(mut far) = TcpStream::connect(gateway).await else { return };
    if near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).is_err() {
        return;
    }
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = is_in.wait_for(|is_in| !is_in) => {}
    }
}
