//! A wire between a client and the gateway that a test can listen to, stop and alter.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use socket2::{Domain, Socket, Type};

/// Changes bytes on their way; told which direction, how many bytes went that way before, and the bytes.
type Tamper = Box<dyn FnMut(Way, usize, &mut [u8]) + Send>;

/// A direction on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToGateway,
    ToClient,
}

/// What went over the wire in one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) to_gateway: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
}

struct Inside {
    heard: Mutex<Vec<Heard>>,
    tamper: Mutex<Tamper>,
    /// Nothing is read from the gateway while this is set, nor passed on.
    deaf: AtomicBool,
}

/// A running proxy. Its threads end with their connections, at the latest with the test.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    inside: Arc<Inside>,
}

impl Proxy {
    /// Carries connections to `gateway`.
    pub(crate) fn to(gateway: &str) -> Self {
        Self::tampering(gateway, |_, _, _| {})
    }

    /// Carries connections to `gateway`, altering bytes.
    pub(crate) fn tampering(
        gateway: &str,
        tamper: impl FnMut(Way, usize, &mut [u8]) + Send + 'static,
    ) -> Self {
        Self::start(gateway, tamper, |address| TcpStream::connect(address))
    }

    /// Carries connections to `gateway` over sockets that hold as little as the system allows.
    pub(crate) fn narrow(gateway: &str) -> Self {
        Self::start(
            gateway,
            |_, _, _| {},
            |address| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.set_recv_buffer_size(4_096)?;
                // Small segments keep the other side's send buffer small, too.
                socket.set_tcp_mss(1_000)?;
                socket.connect(&address.parse::<SocketAddr>().unwrap().into())?;
                Ok(socket.into())
            },
        )
    }

    fn start(
        gateway: &str,
        tamper: impl FnMut(Way, usize, &mut [u8]) + Send + 'static,
        connect: impl Fn(&str) -> io::Result<TcpStream> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Arc::new(Inside {
            heard: Mutex::default(),
            tamper: Mutex::new(Box::new(tamper)),
            deaf: AtomicBool::new(false),
        });
        let (shared, gateway) = (Arc::clone(&inside), gateway.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // The gateway may be down; then the client notices as it would without a proxy.
                let Ok(server) = connect(&gateway) else { continue };
                let number = {
                    let mut heard = shared.heard.lock().unwrap();
                    heard.push(Heard::default());
                    heard.len() - 1
                };
                for (way, from, to) in [(Way::ToGateway, &client, &server), (Way::ToClient, &server, &client)]
                {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || carry(&shared, number, way, from, to));
                }
            }
        });
        Self { address, inside }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// What went over the wire so far, by connection.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.inside.heard.lock().unwrap().clone()
    }

    /// From now on what the gateway sends is left in its socket.
    pub(crate) fn stop_reading(&self) {
        self.inside.deaf.store(true, Ordering::SeqCst);
    }

    /// Later connections are carried both ways again.
    pub(crate) fn read_again(&self) {
        self.inside.deaf.store(false, Ordering::SeqCst);
    }
}

fn carry(inside: &Inside, number: usize, way: Way, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    let mut before = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if way == Way::ToClient && inside.deaf.load(Ordering::SeqCst) {
            // Held open, never read again; the other direction goes on.
            thread::park();
        }
        let bytes = &mut buffer[..count];
        inside.tamper.lock().unwrap()(way, before, bytes);
        before += count;
        {
            let mut heard = inside.heard.lock().unwrap();
            let heard = &mut heard[number];
            let kept = if way == Way::ToGateway { &mut heard.to_gateway } else { &mut heard.to_client };
            kept.extend_from_slice(bytes);
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // Either end may be gone.
    to.shutdown(Shutdown::Write).ok();
    from.shutdown(Shutdown::Read).ok();
}
