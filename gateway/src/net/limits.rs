//! How much strangers may ask for: connections at once, login attempts per source, full logins computed at once. A
//! source over its rate is made to wait, never banned: a clinic behind one address must get in.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, thread::available_parallelism};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use rustix::process::Resource;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once, over both ports. Beyond, a connection waits in the listener's backlog.
pub const MAX_CONNECTIONS: usize = 12_000;
/// Connections at once that are not in session yet.
pub const MAX_STRANGERS: usize = 2_000;
/// Login attempts per source and second, and as many in a burst.
const ATTEMPTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(200).expect("200 is not zero");

/// Lets this process open as many files and sockets as the system allows it: the usual soft limit of 1 024 is less than
/// a ward of that many patients needs.
pub fn raise_descriptor_limit() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Shared by all connections.
#[derive(Debug, Clone)]
pub struct Limits {
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    full_logins: Arc<Semaphore>,
    attempts: Arc<DefaultKeyedRateLimiter<IpAddr>>,
}

impl Default for Limits {
    fn default() -> Self {
        // One core stays free for those who are in session.
        let login_cores = available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
        Self {
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            strangers: Arc::new(Semaphore::new(MAX_STRANGERS)),
            full_logins: Arc::new(Semaphore::new(login_cores)),
            attempts: Arc::new(RateLimiter::keyed(Quota::per_second(ATTEMPTS_PER_SECOND))),
        }
    }
}

/// A place for one connection; given back when dropped.
#[derive(Debug)]
pub struct Place {
    _connection: OwnedSemaphorePermit,
    stranger: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// The connection is in session: its place among strangers is free again.
    pub fn known(&mut self) {
        self.stranger = None;
    }
}

impl Limits {
    /// Waits for a place for one more connection.
    pub async fn place(&self) -> Option<Place> {
        let stranger = Arc::clone(&self.strangers).acquire_owned().await.ok()?;
        let connection = Arc::clone(&self.connections).acquire_owned().await.ok()?;
        Some(Place { _connection: connection, stranger: Some(stranger) })
    }

    /// Waits until this source may try once more.
    pub async fn attempt(&self, source: IpAddr) {
        self.attempts.until_key_ready(&source).await;
    }

    /// Runs the expensive part of a full login on a thread of its own, at most as many at once as there are cores
    /// to spare. `None` if the computation panicked.
    pub async fn full_login<T: Send + 'static>(
        &self,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _permit = self.full_logins.acquire().await.ok()?;
        tokio::task::spawn_blocking(compute).await.ok()
    }

    /// Forgets sources that were quiet.
    pub fn forget_quiet_sources(&self) {
        self.attempts.retain_recent();
    }
}
