//! Drives a client's endpoint over a byte stream: bytes, timeouts and transmissions go round here, events come out.

use std::{io, time::Duration};

use protocol::{
    endpoint::{
        client::{ClientEndpoint, Event},
        pairing::{Outcome, PairingEndpoint},
    },
    error::Fault,
    message::{Farewell, FromClient},
    time::{Monotonic, Now},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::{clock::Clock, entropy::system_rng};

/// Longest wait for a farewell to leave this machine.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The two halves of a stream and what waits to be written. Every step may be cancelled without losing a byte.
#[derive(Debug)]
struct Pipe<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    outgoing: Vec<u8>,
    unflushed: bool,
    incoming: Box<[u8; 16 * 1024]>,
}

/// What one turn of a [`Pipe`] brought.
enum Turn {
    Read(usize),
    Wrote,
    TimedOut,
}

impl<S: AsyncRead + AsyncWrite> Pipe<S> {
    fn new(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader, writer, outgoing: Vec::new(), unflushed: false, incoming: Box::new([0; 16 * 1024]) }
    }

    /// Reads, writes what waits, or sleeps until `due`, whichever is first.
    async fn turn(&mut self, now: Now, due: Option<Monotonic>) -> io::Result<Turn> {
        let sleep = due.map_or(Duration::MAX, |due| due.since(now.mono));
        let Self { reader, writer, outgoing, unflushed, incoming } = self;
        let sends = *unflushed || !outgoing.is_empty();
        let sending = async {
            if outgoing.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(outgoing).await }
        };
        tokio::select! {
            biased;
            sent = sending, if sends => {
                *unflushed = !outgoing.is_empty();
                outgoing.drain(..sent?);
                Ok(Turn::Wrote)
            }
            read = reader.read(&mut incoming[..]) => match read? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                count => Ok(Turn::Read(count)),
            },
            () = tokio::time::sleep(sleep) => Ok(Turn::TimedOut),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let outgoing = std::mem::take(&mut self.outgoing);
        self.writer.write_all(&outgoing).await?;
        self.writer.flush().await
    }
}

/// A client's connection.
#[derive(Debug)]
pub struct ClientLink<S> {
    pipe: Pipe<S>,
    endpoint: ClientEndpoint,
    clock: Clock,
}

impl<S: AsyncRead + AsyncWrite> ClientLink<S> {
    /// Drives `endpoint` over `stream`.
    pub fn new(stream: S, endpoint: ClientEndpoint, clock: Clock) -> Self {
        Self { pipe: Pipe::new(stream), endpoint, clock }
    }

    /// Waits for the next event; after one that ends the conversation, or an error, there is none. May be cancelled.
    ///
    /// # Errors
    /// The stream's.
    pub async fn next_event(&mut self) -> io::Result<Event> {
        loop {
            self.collect();
            if let Some(event) = self.endpoint.poll_event() {
                return Ok(event);
            }
            let now = self.clock.now();
            match self.pipe.turn(now, self.endpoint.poll_timeout()).await? {
                Turn::Read(count) => {
                    let bytes = self.pipe.incoming.get(..count).unwrap_or_default();
                    self.endpoint.handle_bytes(bytes, self.clock.now(), &mut system_rng());
                }
                Turn::Wrote => {}
                Turn::TimedOut => self.endpoint.handle_timeout(self.clock.now()),
            }
        }
    }

    fn collect(&mut self) {
        while let Some(bytes) = self.endpoint.poll_transmit() {
            self.pipe.outgoing.extend_from_slice(&bytes);
        }
    }

    /// Says something in an established session; [`Self::next_event`] sends it.
    ///
    /// # Errors
    /// [`Fault`] of [`ClientEndpoint::say`].
    pub fn say(&mut self, message: &FromClient<'_>) -> Result<(), Fault> {
        self.endpoint.say(message, self.clock.now())
    }

    /// Whether a session is established.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        self.endpoint.is_established()
    }

    /// Says goodbye and closes; waits at most two seconds for it to leave.
    ///
    /// # Errors
    /// The stream's, or a timeout.
    pub async fn close(mut self, farewell: Farewell) -> io::Result<()> {
        self.endpoint.disconnect(farewell, self.clock.now());
        self.collect();
        let closing = async {
            self.pipe.flush().await?;
            self.pipe.writer.shutdown().await
        };
        tokio::time::timeout(CLOSE_LIMIT, closing).await?
    }
}

/// Pairs over `stream` and gives the stream back for the login that follows.
///
/// # Errors
/// The stream's. The outcome itself is in the value.
pub async fn pair<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mut endpoint: PairingEndpoint,
    clock: Clock,
) -> io::Result<(S, Outcome)> {
    let mut pipe = Pipe::new(stream);
    loop {
        while let Some(bytes) = endpoint.poll_transmit() {
            pipe.outgoing.extend_from_slice(&bytes);
        }
        if let Some(outcome) = endpoint.poll_outcome() {
            return Ok((pipe.reader.unsplit(pipe.writer), outcome));
        }
        match pipe.turn(clock.now(), endpoint.poll_timeout()).await? {
            Turn::Read(count) => {
                let bytes = pipe.incoming.get(..count).unwrap_or_default();
                endpoint.handle_bytes(bytes, clock.now(), &mut system_rng());
            }
            Turn::Wrote => {}
            Turn::TimedOut => endpoint.handle_timeout(clock.now()),
        }
    }
}
