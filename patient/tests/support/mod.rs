//! A gateway for tests: the simulated one of the protocol's testkit behind real TLS on a port of this machine, and
//! agents whose events are awaited. Nothing sleeps to wait: events and the gateway's state are awaited.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "clippy.toml allows them in tests"
)]

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use host::Clock;
use patient::{
    agent::{Agent, AgentCommand, AgentConfig, AgentError, AgentEvent, AgentHandle},
    link::LinkSettings,
    store::Place,
};
use protocol::{
    credential::{ClientKind, PinnedClient},
    endpoint::gateway::{Event, GatewayEndpoint, Next, Work},
    handshake::Channel,
    id::ClientId,
    message::Farewell,
    pairing::code::PairingCode,
    testkit::{ConnId, SimGateway},
    time::{Now, UnixMillis},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs},
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// Longest wait for anything in a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A TLS key and its self-signed certificate.
pub(crate) struct TlsIdentity {
    pub(crate) certificate: rustls::pki_types::CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) spki: [u8; 32],
}

impl TlsIdentity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["gateway".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
        let spki = Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&made.signing_key)).into();
        Self { certificate, key, spki }
    }

    /// A server that shows this certificate and signs with `key`, whether or not that fits.
    pub(crate) fn acceptor_signing_with(&self, key: &PrivateKeyDer<'static>) -> TlsAcceptor {
        self.acceptor_with(key, aws_lc_rs::DEFAULT_KX_GROUPS)
    }

    pub(crate) fn acceptor_with(
        &self,
        key: &PrivateKeyDer<'static>,
        groups: &[&'static dyn SupportedKxGroup],
    ) -> TlsAcceptor {
        #[derive(Debug)]
        struct Always(Arc<CertifiedKey>);
        impl ResolvesServerCert for Always {
            fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
                Some(Arc::clone(&self.0))
            }
        }
        let provider =
            Arc::new(CryptoProvider { kx_groups: groups.to_vec(), ..aws_lc_rs::default_provider() });
        let signing = provider.key_provider.load_private_key(key.clone_key()).unwrap();
        let certified = CertifiedKey::new(vec![self.certificate.clone()], signing);
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Always(Arc::new(certified))));
        TlsAcceptor::from(Arc::new(config))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor_signing_with(&self.key)
    }
}

struct Inside {
    sim: SimGateway,
    rng: ChaCha20Rng,
    writers: HashMap<ConnId, mpsc::Sender<Vec<u8>>>,
    next: u64,
}

/// A gateway on a port.
#[derive(Clone)]
pub(crate) struct Ward {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Arc<TlsIdentity>,
    inside: Arc<Mutex<Inside>>,
    clock: Clock,
    skew: Arc<AtomicI64>,
    deaf: Arc<AtomicBool>,
    changes: Arc<watch::Sender<()>>,
    /// Bytes of application data that clients sent.
    pub(crate) heard: Arc<AtomicUsize>,
    /// Connections whose TLS handshake was tried.
    pub(crate) tried: Arc<AtomicUsize>,
}

impl Ward {
    pub(crate) async fn start() -> Self {
        let tls = TlsIdentity::new();
        let acceptor = tls.acceptor();
        Self::start_with(tls, acceptor).await
    }

    pub(crate) async fn start_with(tls: TlsIdentity, acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clock = Clock::start();
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(address.port()));
        let mut sim = SimGateway::new(clock.now(), &mut rng);
        sim.identity.tls_spki = tls.spki;
        let ward = Self {
            address,
            tls: Arc::new(tls),
            inside: Arc::new(Mutex::new(Inside { sim, rng, writers: HashMap::new(), next: 0 })),
            clock,
            skew: Arc::default(),
            deaf: Arc::default(),
            changes: Arc::new(watch::channel(()).0),
            heard: Arc::default(),
            tried: Arc::default(),
        };
        tokio::spawn(ward.clone().serve(listener, acceptor));
        tokio::spawn(ward.clone().tick());
        ward
    }

    async fn serve(self, listener: TcpListener, acceptor: TlsAcceptor) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(self.clone().connection(stream, acceptor.clone()));
        }
    }

    /// The gateway's own timers: heartbeats, graces, resends.
    async fn tick(self) {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            self.act(|sim, now, rng| sim.handle_timeout(now, rng));
        }
    }

    async fn connection(self, stream: TcpStream, acceptor: TlsAcceptor) {
        let accepted = acceptor.accept(stream).await;
        self.tried.fetch_add(1, Ordering::SeqCst);
        self.changes.send_replace(());
        let Ok(mut stream) = accepted else { return };
        let exporter =
            stream.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).unwrap();
        let (id, mut writer) = {
            let mut inside = self.lock();
            inside.next += 1;
            let id = ConnId(inside.next);
            let (sender, receiver) = mpsc::channel(1024);
            inside.writers.insert(id, sender);
            inside.sim.accept(id, ClientKind::Patient, Channel::Tls { exporter }, self.now());
            (id, receiver)
        };
        let mut buffer = vec![0; 4096];
        loop {
            tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(count @ 1..) => {
                        self.heard.fetch_add(count, Ordering::SeqCst);
                        if self.deaf.load(Ordering::SeqCst) {
                            self.changes.send_replace(());
                        } else {
                            self.act(|sim, now, rng| sim.handle_bytes(id, &buffer[..count], now, rng));
                        }
                    }
                    _ => break,
                },
                bytes = writer.recv() => match bytes {
                    Some(bytes) => if stream.write_all(&bytes).await.is_err() { break },
                    None => {
                        let _closed = stream.shutdown().await;
                        break;
                    }
                },
            }
        }
        self.act(|sim, now, _| sim.connection_lost(id, now));
        self.lock().writers.remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Now {
        let now = self.clock.now();
        let wall = now.wall.0.saturating_add_signed(self.skew.load(Ordering::SeqCst));
        Now { wall: UnixMillis(wall), ..now }
    }

    /// Puts the gateway's clock this many milliseconds ahead.
    pub(crate) fn skew(&self, milliseconds: i64) {
        self.skew.store(milliseconds, Ordering::SeqCst);
    }

    /// Does something with the gateway and sends what it has to say.
    pub(crate) fn act<T>(&self, work: impl FnOnce(&mut SimGateway, Now, &mut ChaCha20Rng) -> T) -> T {
        let mut inside = self.lock();
        let Inside { sim, rng, writers, .. } = &mut *inside;
        let done = work(sim, self.now(), rng);
        for (id, bytes) in sim.take_output() {
            match bytes {
                Some(bytes) => {
                    if let Some(writer) = writers.get(&id) {
                        let _gone = writer.try_send(bytes).is_err();
                    }
                }
                None => drop(writers.remove(&id)),
            }
        }
        drop(inside);
        self.changes.send_replace(());
        done
    }

    /// Waits until the gateway's state is like this.
    pub(crate) async fn until(&self, what: &str, mut is: impl FnMut(&SimGateway) -> bool) {
        let mut changes = self.changes.subscribe();
        let reached = async {
            while !is(&self.lock().sim) {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// Waits until so many TLS handshakes were tried.
    pub(crate) async fn until_tried(&self, count: usize) {
        let tried = Arc::clone(&self.tried);
        self.until("a TLS handshake", |_| tried.load(Ordering::SeqCst) >= count).await;
    }

    /// Loses everything that clients say from now on, or hears them again.
    pub(crate) fn deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::SeqCst);
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.lock().writers.clear();
    }

    pub(crate) fn code_for(&self, patient: &str) -> PairingCode {
        let client = client(patient);
        self.act(|sim, now, rng| sim.offer(client, false, now, rng))
    }
}

pub(crate) fn client(patient: &str) -> ClientId {
    ClientId::Patient(patient.parse().unwrap())
}

/// A gateway that lets one stored patient in and ends every session at once, for these reasons in turn.
pub(crate) async fn ending(ward: &Ward, reasons: &'static [Farewell]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ward, acceptor) = (ward.clone(), ward.tls.acceptor());
    tokio::spawn(async move {
        for reason in reasons {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let exporter = stream
                .get_ref()
                .1
                .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None)
                .unwrap();
            let channel = Channel::Tls { exporter };
            let mut endpoint = GatewayEndpoint::new(ClientKind::Patient, channel, ward.now());
            let mut buffer = [0; 4096];
            while !endpoint.is_closed() {
                let count = stream.read(&mut buffer).await.unwrap();
                endpoint.handle_bytes(&buffer[..count], ward.now());
                while let Some(event) = endpoint.poll_event() {
                    answer(&ward, &mut endpoint, event);
                }
                if endpoint.is_established() {
                    endpoint.disconnect(*reason, ward.now());
                }
                while let Some(bytes) = endpoint.poll_transmit() {
                    stream.write_all(&bytes).await.unwrap();
                }
            }
            stream.shutdown().await.unwrap();
        }
    });
    address
}

fn answer(ward: &Ward, endpoint: &mut GatewayEndpoint, event: Event) {
    let minute = Duration::from_secs(60);
    let pinned = |sim: &SimGateway| -> PinnedClient { sim.store.roster[&client("P001")].pinned.clone() };
    let done = ward.act(|sim, now, rng| match event {
        Event::Work(Work::Login(login)) => {
            login.answer(&sim.identity, minute, now, rng).map(|(state, frame)| (Next::Proof(state), frame))
        }
        Event::Work(Work::Proof(proof)) => {
            let verified = proof.verify(Some(&pinned(sim)), now);
            verified.map(|(established, frame)| (Next::Session(established.session), frame))
        }
        Event::Work(Work::Resume(resumption)) => {
            resumption.verify(None, minute, now).map(|_| unreachable!("no token is known"))
        }
        other => panic!("{other:?}"),
    });
    match done {
        Ok((next, frame)) => endpoint.proceed(next, frame, ward.now()),
        Err(fault) => endpoint.refuse(fault, ward.now()),
    }
}

/// A folder for one identity, not made yet.
pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("patient-P001");
    (parent, path)
}

pub(crate) fn config(code: Option<PairingCode>) -> AgentConfig {
    AgentConfig { id: None, doctor: "D001".parse().unwrap(), code, asks_for_code: false, acknowledges: false }
}

/// An agent and what it told so far.
pub(crate) struct Patient {
    pub(crate) handle: AgentHandle,
    pub(crate) task: JoinHandle<Result<(), AgentError>>,
    pub(crate) told: Vec<AgentEvent>,
}

impl Patient {
    pub(crate) fn start(config: AgentConfig, folder: &Path, address: SocketAddr) -> Self {
        let link =
            LinkSettings { patience: Duration::from_millis(20), ..LinkSettings::to(address.to_string()) };
        let (handle, task) = Agent::start(config, Place::Folder(folder.to_owned()), link);
        Self { handle, task, told: Vec::new() }
    }

    /// Pairs with a ward and waits for the session.
    pub(crate) async fn paired(ward: &Ward, folder: &Path) -> Self {
        let mut patient = Self::start(config(Some(ward.code_for("P001"))), folder, ward.address);
        patient.until_in_group().await;
        patient
    }

    pub(crate) async fn until_in_group(&mut self) {
        self.next("a group key", |event| matches!(event, AgentEvent::Group(_)).then_some(())).await;
    }

    /// The next event that `pick` takes; the others are kept in `told`.
    pub(crate) async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(&AgentEvent) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.handle.events.recv().await?;
                let picked = pick(&event);
                self.told.push(event);
                if picked.is_some() {
                    return picked;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await.ok().flatten();
        found.unwrap_or_else(|| panic!("never told: {what}; told {:#?}", self.told))
    }

    pub(crate) async fn next_alert(&mut self) -> patient::agent::AlertNotice {
        let pick = |event: &AgentEvent| match event {
            AgentEvent::Alert(alert) => Some(alert.clone()),
            _ => None,
        };
        self.next("an alert", pick).await
    }

    pub(crate) async fn next_session(&mut self) -> (bool, bool) {
        let pick = |event: &AgentEvent| match event {
            AgentEvent::Session { resumed, protected, .. } => Some((*resumed, *protected)),
            _ => None,
        };
        self.next("a session", pick).await
    }

    pub(crate) async fn next_refusal(&mut self) -> String {
        let pick = |event: &AgentEvent| match event {
            AgentEvent::Refused { reason } => Some(reason.clone()),
            _ => None,
        };
        self.next("a refusal", pick).await
    }

    pub(crate) async fn next_disconnect(&mut self) -> (String, bool) {
        let pick = |event: &AgentEvent| match event {
            AgentEvent::Disconnected { reason, stays_out } => Some((reason.clone(), *stays_out)),
            _ => None,
        };
        self.next("a disconnect", pick).await
    }

    pub(crate) async fn tell(&self, command: AgentCommand) {
        self.handle.commands.send(command).await.unwrap();
    }

    /// Ends it politely.
    pub(crate) async fn stop(self) -> Vec<AgentEvent> {
        self.tell(AgentCommand::Stop).await;
        let (told, ended) = self.end().await;
        ended.unwrap();
        told
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> (Vec<AgentEvent>, Result<(), AgentError>) {
        let draining = async {
            while let Some(event) = self.handle.events.recv().await {
                self.told.push(event);
            }
            self.task.await.unwrap()
        };
        let ended = tokio::time::timeout(PATIENCE, draining).await.expect("the agent never ended");
        (self.told, ended)
    }
}
