//! Puts a gateway together and takes it apart in order: lock, key, store, identity, ports, control socket; and back.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use host::{
    Clock,
    datadir::DataDir,
    exit::{Exit, Stop},
};
use protocol::{credential::ClientKind, replay::ReplayCache, time::UnixMillis};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    config::Config,
    control, keyfile,
    net::{
        connection::Context,
        limits::{Limits, raise_descriptor_limit},
        listener::Port,
        tls,
    },
    store::{Store, audit::AuditEvent},
    ward::{Ward, event::WardEvent},
};

/// Name of the database in the data folder.
pub const DATABASE: &str = "ward.db";
/// How long sessions may take to say goodbye.
const FAREWELL_LIMIT: Duration = Duration::from_secs(3);

/// A gateway that runs. Dropping it stops it without a farewell, like a crash.
#[derive(Debug)]
pub struct Gateway {
    ward: Arc<Ward>,
    store: Store,
    facts: Facts,
    tasks: JoinSet<()>,
    closing: watch::Sender<bool>,
    _data_dir: DataDir,
}

/// What is known of a gateway besides its ward.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The patients' port.
    pub patients: SocketAddr,
    /// The wearables' port.
    pub wearables: SocketAddr,
    /// The data folder.
    pub data_dir: PathBuf,
    /// What protects the database key, in words.
    pub key_protection: &'static str,
    /// Whether this start made the data folder.
    pub is_new: bool,
}

impl Gateway {
    /// Starts a gateway. When this returns, clients can connect and verbs are answered.
    ///
    /// # Errors
    /// A [`Stop`] with the exit code where the cause is the user's to mend.
    pub async fn start(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        raise_descriptor_limit();
        let data_dir = DataDir::open(&config.data_dir).map_err(Stop::from)?;
        let key = keyfile::obtain(&data_dir)?;
        let (path, doctor) = (data_dir.path().join(DATABASE), config.id.clone());
        if !path.exists() {
            // Empty it is a new database, and the files beside it get its mode.
            data_dir
                .write(DATABASE, b"")
                .map_err(|error| Stop::new(Exit::Configuration, error.to_string()))?;
        }
        let (secret, protection) = (key.key, key.protection);
        let tables = tokio::task::spawn_blocking(crypto::elgamal::prepare);
        let opened = tokio::task::spawn_blocking(move || Store::open(&path, &secret, &doctor)).await?;
        let store = opened.map_err(|error| Stop::new(Exit::Configuration, error.to_string()))?;

        let now = clock.now().wall;
        let (is_new, identity) = identity(&store, config, now).await?;
        let tls = tls::server_config(&identity, config.require_post_quantum)?;
        let ward = Ward::new(Arc::new(identity.keys), store.clone(), clock);
        let context = Arc::new(Context {
            ward: Arc::clone(&ward),
            limits: Limits::default(),
            replays: Mutex::new(ReplayCache::new(config.clock_tolerance)),
            clock_tolerance: config.clock_tolerance,
            require_post_quantum: config.require_post_quantum,
        });

        tables.await?;
        let (patients, patients_address) = bind(config.listen).await?;
        let (wearables, wearables_address) = bind(config.wearable_listen).await?;
        let facts = Facts {
            patients: patients_address,
            wearables: wearables_address,
            data_dir: data_dir.path().to_owned(),
            key_protection: protection,
            is_new,
        };
        let control = control::server::Server::bind(data_dir.path(), Arc::clone(&ward), facts.clone())?;
        let mut tasks = JoinSet::new();
        let patients = Port { listener: patients, kind: ClientKind::Patient, tls: Some(tls) };
        let wearables = Port { listener: wearables, kind: ClientKind::Wearable, tls: None };
        let (closing, closed) = watch::channel(false);
        tasks.spawn(patients.serve(Arc::clone(&context), closed.clone()));
        tasks.spawn(wearables.serve(context, closed));
        tasks.spawn(control.serve());
        let ticking = Arc::clone(&ward);
        tasks.spawn(async move { ticking.run().await });
        Ok(Self { ward, store, facts, tasks, closing, _data_dir: data_dir })
    }

    /// Its ward, for whoever runs in the same process.
    #[must_use]
    pub const fn ward(&self) -> &Arc<Ward> {
        &self.ward
    }

    /// Addresses and folder.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The event that says where it listens.
    #[must_use]
    pub fn listening(&self) -> WardEvent {
        let identity = self.ward.identity();
        WardEvent::Listening {
            patients: self.facts.patients.to_string(),
            wearables: self.facts.wearables.to_string(),
            doctor: identity.doctor.to_string(),
            gateway: identity.gateway.to_string(),
            data_dir: self.facts.data_dir.display().to_string(),
        }
    }

    /// Says goodbye to everybody, then stops. Clients reconnect when a gateway is back.
    pub async fn stop(mut self) {
        self.closing.send_replace(true);
        self.ward.shut_down();
        let empty = async {
            while !self.ward.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(FAREWELL_LIMIT, empty).await.is_err() {
            tracing::warn!("some sessions did not end in time");
        }
        self.tasks.shutdown().await;
        self.store.close().await;
    }
}

async fn identity(
    store: &Store,
    config: &Config,
    now: UnixMillis,
) -> anyhow::Result<(bool, crate::store::identity::StoredIdentity)> {
    let stored = store.read(|view| view.identity()).await?;
    let is_new = stored.is_none();
    if is_new {
        let fresh = tls::new_identity(&config.id)?;
        store.write(move |ledger| ledger.save_identity(&fresh)).await?;
    }
    let detail = if is_new { "first start" } else { "" };
    let doctor = config.id.to_string();
    store.write(move |ledger| ledger.audit(AuditEvent::Started, &doctor, "", detail, now)).await?;
    let identity = match stored {
        Some(identity) => identity,
        None => store.read(|view| view.identity()).await?.context("the identity was not kept")?,
    };
    Ok((is_new, identity))
}

async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let refused = |error: std::io::Error| {
        let message = format!(
            "cannot listen on {address}: {error}; is another gateway running? Choose another address with --listen and --wearable-listen"
        );
        Stop::new(Exit::Unavailable, message)
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let actual = listener.local_addr()?;
    Ok((listener, actual))
}
