//! One connection with the device under test: what it says as events, and every frame to it in our hands, so that it can be
//! altered, repeated or kept. Owns the socket and its time limits; judges nothing.

use std::{collections::VecDeque, time::Duration};

use host::Clock;
use protocol::{
    credential::ClientKind,
    endpoint::gateway::{Event, GatewayEndpoint},
    error::Fault,
    handshake::Channel,
    message::{Farewell, FromGateway},
    time::{Monotonic, Now},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What came, or did not.
#[derive(Debug)]
pub(super) enum Heard {
    /// Something of the conversation.
    Event(Event),
    /// The device closed the connection.
    HungUp,
    /// Nothing in the time given.
    Nothing,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Talk {
    stream: TcpStream,
    clock: Clock,
    pub(super) endpoint: GatewayEndpoint,
    /// Frames that were made and not sent yet.
    frames: VecDeque<Vec<u8>>,
    hung_up: bool,
}

impl Talk {
    pub(super) fn new(stream: TcpStream, clock: Clock) -> Self {
        let endpoint = GatewayEndpoint::new(ClientKind::Wearable, Channel::Plain, clock.now());
        Self { stream, clock, endpoint, frames: VecDeque::new(), hung_up: false }
    }

    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// The next event; what the endpoint wants to say is sent meanwhile.
    pub(super) async fn hear(&mut self, limit: Duration) -> Heard {
        let until = self.now().mono + limit;
        loop {
            self.flush().await;
            if let Some(event) = self.endpoint.poll_event() {
                return Heard::Event(event);
            }
            if self.hung_up {
                return Heard::HungUp;
            }
            let now = self.now().mono;
            if now >= until {
                return Heard::Nothing;
            }
            self.wait(until).await;
        }
    }

    async fn wait(&mut self, until: Monotonic) {
        let now = self.now().mono;
        let due = self.endpoint.poll_timeout().map_or(until, |due| due.min(until));
        let mut bytes = [0; 4096];
        tokio::select! {
            read = self.stream.read(&mut bytes) => match read {
                Ok(count @ 1..) => {
                    self.endpoint.handle_bytes(bytes.get(..count).unwrap_or_default(), self.clock.now());
                }
                Ok(0) | Err(_) => self.hung_up = true,
            },
            () = tokio::time::sleep(due.since(now)) => self.endpoint.handle_timeout(self.clock.now()),
        }
    }

    /// Frames that the endpoint has made and that are not sent, the oldest first: the caller sends them, or not.
    pub(super) fn take_frames(&mut self) -> Vec<Vec<u8>> {
        self.collect();
        self.frames.drain(..).collect()
    }

    fn collect(&mut self) {
        self.frames.extend(std::iter::from_fn(|| self.endpoint.poll_transmit()));
    }

    /// Sends these bytes as they are.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.hung_up |= self.stream.write_all(bytes).await.is_err();
    }

    pub(super) async fn flush(&mut self) {
        for frame in self.take_frames() {
            self.send(&frame).await;
        }
    }

    /// Says something in the session.
    pub(super) fn say(&mut self, message: &FromGateway<'_>) -> Result<(), Fault> {
        self.endpoint.say(message, self.now())
    }

    /// Ends the session as a gateway does that restarts.
    pub(super) async fn farewell(mut self) {
        self.endpoint.disconnect(Farewell::Shutdown, self.now());
        self.flush().await;
        self.stream.shutdown().await.ok();
    }
}
