//! The way between device and gateway: a TCP connection, or somebody who answers in the gateway's place, slow, wrong or
//! pulled out as it is told. Owns the socket, the dialling and the delay; knows nothing of what goes through it.

use std::{collections::VecDeque, io, pin::Pin, time::Duration};

use host::Clock;
use protocol::{
    credential::ClientKind, endpoint::gateway::GatewayEndpoint, error::Fault, handshake::Channel,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};

use crate::act::Wire;

const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// Longest wait for a farewell to leave this machine.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Read at once, bytes.
const CHUNK: usize = 16 * 1_024;
/// Pieces that are late on their way in; beyond, nothing more is read.
const MOST_LATE: usize = 64;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type BoxedStream = Box<dyn Stream>;
type Dial = Pin<Box<dyn Future<Output = io::Result<BoxedStream>> + Send>>;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The connection asked for.
    Connected,
    /// Bytes.
    Bytes(Vec<u8>),
    /// It is gone, or there is none: why.
    Closed(String),
}

enum State {
    Idle,
    Dialing(Dial),
    Up(Connection),
}

/// How the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Whether it is plugged in.
    pub plugged: bool,
    /// How late bytes are, both ways.
    pub delay: Duration,
    /// Whether somebody else answers.
    pub wrong_gateway: bool,
}

impl Condition {
    pub(crate) const GOOD: Self = Self { plugged: true, delay: Duration::ZERO, wrong_gateway: false };
}

/// The cable.
pub(crate) struct Cable {
    address: String,
    condition: Condition,
    corrupt: bool,
    state: State,
}

/// Bytes that are due at a time.
type Late = VecDeque<(Instant, Vec<u8>)>;

struct Connection {
    reader: ReadHalf<BoxedStream>,
    writer: WriteHalf<BoxedStream>,
    outgoing: Late,
    incoming: Late,
    /// Nothing more comes in; why.
    ended: Option<String>,
    buffer: Box<[u8; CHUNK]>,
}

impl Cable {
    pub(crate) fn new(address: String) -> Self {
        Self { address, condition: Condition::GOOD, corrupt: false, state: State::Idle }
    }

    /// So many pieces came a second ago and wait to be heard.
    #[cfg(test)]
    pub(crate) fn flooded(pieces: usize) -> Self {
        let mut connection = Connection::new(Box::new(tokio::io::duplex(1).0));
        let came = Instant::now() - Duration::from_secs(1);
        connection.incoming = std::iter::repeat_n((came, vec![0]), pieces).collect();
        Self { state: State::Up(connection), ..Self::new(String::new()) }
    }

    pub(crate) const fn condition(&self) -> Condition {
        self.condition
    }

    /// Something is done to it. Pulled out, or led to somebody else, it breaks.
    pub(crate) fn act(&mut self, wire: Wire) {
        match wire {
            Wire::Network(plugged) => self.condition.plugged = plugged,
            Wire::Delay(millis) => self.condition.delay = Duration::from_millis(millis.into()),
            Wire::Corrupt => self.corrupt = true,
            Wire::WrongGateway(wrong) => self.condition.wrong_gateway = wrong,
        }
        let why = match wire {
            Wire::Network(false) => "the network was switched off",
            Wire::WrongGateway(_) => "the connection broke",
            _ => return,
        };
        if !matches!(self.state, State::Idle) {
            self.state = State::Dialing(Box::pin(async move { Err(io::Error::other(why)) }));
        }
    }

    /// Connects; [`Arrival::Connected`] or [`Arrival::Closed`] follows.
    pub(crate) fn dial(&mut self) {
        let address = self.address.clone();
        self.state = State::Dialing(match self.condition {
            Condition { plugged: false, .. } => {
                Box::pin(async { Err(io::Error::other("the network is switched off")) })
            }
            Condition { wrong_gateway: true, .. } => Box::pin(async {
                let (near, far) = tokio::io::duplex(CHUNK);
                tokio::spawn(stranger(far));
                Ok(Box::new(near) as BoxedStream)
            }),
            _ => Box::pin(async move {
                let stream = timeout(DIAL_LIMIT, TcpStream::connect(&address))
                    .await
                    .map_err(io::Error::from)
                    .flatten()
                    .map_err(|error| io::Error::other(format!("no gateway at {address}: {error}")))?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream) as BoxedStream)
            }),
        });
    }

    /// Pulls the plug, as when power goes: nobody says goodbye.
    pub(crate) fn cut(&mut self) {
        self.state = State::Idle;
    }

    /// Hangs up once everything is sent, at most two seconds later.
    pub(crate) fn hang_up(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let state = std::mem::replace(&mut self.state, State::Idle);
        async move {
            if let State::Up(mut connection) = state {
                // Whoever went away hears no farewell.
                timeout(CLOSE_LIMIT, connection.flush()).await.ok();
            }
        }
    }

    /// Sends bytes, if there is a connection.
    pub(crate) fn send(&mut self, mut bytes: Vec<u8>) {
        let State::Up(connection) = &mut self.state else { return };
        if std::mem::take(&mut self.corrupt)
            && let Some(last) = bytes.last_mut()
        {
            *last ^= 1;
        }
        connection.outgoing.push_back((Instant::now() + self.condition.delay, bytes));
    }

    /// Waits for what comes. May be cancelled.
    pub(crate) async fn next(&mut self) -> Arrival {
        match &mut self.state {
            State::Idle => std::future::pending().await,
            State::Dialing(dial) => match dial.as_mut().await {
                Ok(stream) => {
                    self.state = State::Up(Connection::new(stream));
                    Arrival::Connected
                }
                Err(error) => {
                    self.state = State::Idle;
                    Arrival::Closed(error.to_string())
                }
            },
            State::Up(connection) => {
                let arrival = connection.next(self.condition.delay).await;
                if matches!(arrival, Arrival::Closed(_)) {
                    self.state = State::Idle;
                }
                arrival
            }
        }
    }
}

impl Connection {
    fn new(stream: BoxedStream) -> Self {
        let (reader, writer) = split(stream);
        Self {
            reader,
            writer,
            outgoing: VecDeque::new(),
            incoming: VecDeque::new(),
            ended: None,
            buffer: Box::new([0; CHUNK]),
        }
    }

    async fn next(&mut self, delay: Duration) -> Arrival {
        loop {
            let Self { reader, writer, outgoing, incoming, ended, buffer } = self;
            if let (true, Some(why)) = (incoming.is_empty(), ended.as_ref()) {
                return Arrival::Closed(why.clone());
            }
            let reads = ended.is_none() && incoming.len() < MOST_LATE;
            let write = async {
                match outgoing.front() {
                    Some((due, bytes)) => {
                        sleep_until(*due).await;
                        writer.write(bytes).await
                    }
                    None => std::future::pending().await,
                }
            };
            let arrive = async {
                match incoming.front() {
                    Some((due, _)) => sleep_until(*due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                written = write => match written {
                    Ok(count) => sent(outgoing, count),
                    // What the other end said before it left is still to be heard.
                    Err(_) => outgoing.clear(),
                },
                () = arrive => {
                    let arrived = incoming.pop_front().map(|(_, bytes)| bytes);
                    return Arrival::Bytes(arrived.unwrap_or_default());
                }
                read = reader.read(&mut buffer[..]), if reads => match read {
                    Ok(0) => *ended = Some("the gateway closed the connection".into()),
                    Ok(count) => {
                        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                        incoming.push_back((Instant::now() + delay, bytes));
                    }
                    Err(error) => *ended = Some(broke(&error)),
                },
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        while let Some((due, bytes)) = self.outgoing.pop_front() {
            sleep_until(due).await;
            self.writer.write_all(&bytes).await?;
        }
        self.writer.shutdown().await
    }
}

fn sent(outgoing: &mut Late, count: usize) {
    if let Some((_, bytes)) = outgoing.front_mut() {
        bytes.drain(..count);
        if bytes.is_empty() {
            outgoing.pop_front();
        }
    }
}

fn broke(error: &io::Error) -> String {
    format!("the connection broke: {error}")
}

/// A gateway that is not the pinned one, and says so to the first frame, whatever it is.
async fn stranger(mut stream: tokio::io::DuplexStream) {
    let now = Clock::start().now();
    let mut endpoint = GatewayEndpoint::new(ClientKind::Wearable, Channel::Plain, now);
    let mut first = [0; 64];
    if stream.read(&mut first).await.is_ok_and(|count| count > 0) {
        endpoint.refuse(Fault::DeniedOtherGateway, now);
        while let Some(bytes) = endpoint.poll_transmit() {
            // The other end may be gone; it will not be missed.
            stream.write_all(&bytes).await.ok();
        }
        stream.read_to_end(&mut Vec::new()).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn connected() -> (Cable, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut cable = Cable::new(listener.local_addr().unwrap().to_string());
        cable.dial();
        let (arrival, accepted) = tokio::join!(cable.next(), listener.accept());
        assert_eq!(arrival, Arrival::Connected);
        (cable, accepted.unwrap().0)
    }

    /// What the far end reads while the near end turns.
    async fn heard(cable: &mut Cable, far: &mut TcpStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        tokio::select! {
            read = far.read_exact(&mut bytes) => read.map(|_| bytes).unwrap(),
            arrival = cable.next() => panic!("{arrival:?}"),
        }
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_one_bit_is_wrong_once() {
        let (mut cable, mut far) = connected().await;
        cable.act(Wire::Corrupt);
        cable.send(b"abc".to_vec());
        cable.send(b"def".to_vec());
        assert_eq!(heard(&mut cable, &mut far, 6).await, b"abbdef");
        far.write_all(b"answer").await.unwrap();
        assert_eq!(cable.next().await, Arrival::Bytes(b"answer".to_vec()));
        drop(far);
        assert!(matches!(cable.next().await, Arrival::Closed(why) if why.contains("closed")));
    }

    #[tokio::test]
    async fn what_the_other_end_said_before_it_left_is_heard_though_nothing_can_be_sent_any_more() {
        let (mut cable, mut far) = connected().await;
        far.write_all(b"goodbye").await.unwrap();
        far.set_zero_linger().unwrap();
        drop(far);
        for _ in 0..3 {
            cable.send(b"into the void".to_vec());
        }
        assert_eq!(cable.next().await, Arrival::Bytes(b"goodbye".to_vec()));
        assert!(matches!(cable.next().await, Arrival::Closed(_)));
    }

    #[tokio::test]
    async fn late_bytes_are_late_and_in_order() {
        let (mut cable, mut far) = connected().await;
        cable.act(Wire::Delay(30));
        let start = Instant::now();
        cable.send(b"x".to_vec());
        assert_eq!(heard(&mut cable, &mut far, 1).await, b"x");
        assert!(start.elapsed() >= Duration::from_millis(30));
        far.write_all(b"y").await.unwrap();
        assert_eq!(cable.next().await, Arrival::Bytes(b"y".to_vec()));
        assert!(start.elapsed() >= Duration::from_millis(60));
    }

    #[tokio::test]
    async fn what_was_said_last_leaves_before_the_cable_hangs_up() {
        let (mut cable, mut far) = connected().await;
        cable.send(b"goodbye".to_vec());
        cable.hang_up().await;
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"goodbye");
    }

    #[tokio::test]
    async fn a_cable_that_is_pulled_out_breaks_and_cannot_dial() {
        let (mut cable, _far) = connected().await;
        cable.act(Wire::Network(false));
        assert!(matches!(cable.next().await, Arrival::Closed(why) if why.contains("was switched off")));
        cable.dial();
        assert!(matches!(cable.next().await, Arrival::Closed(why) if why.contains("is switched off")));
    }

    #[tokio::test]
    async fn a_stranger_answers_in_the_gateways_place() {
        let mut cable = Cable::new("127.0.0.1:1".into());
        cable.act(Wire::WrongGateway(true));
        cable.dial();
        assert_eq!(cable.next().await, Arrival::Connected);
        cable.send(vec![0, 0, 0, 1, 1]);
        assert!(matches!(cable.next().await, Arrival::Bytes(_)));
    }
}
