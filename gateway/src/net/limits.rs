//! How much strangers may ask for: connections at once, login attempts per source, full logins computed at once. A
//! source over its rate is made to wait, never banned: a clinic behind one address must get in.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use protocol::credential::ClientKind;
use rustix::process::Resource;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once, over both ports. Beyond, a connection waits in the listener's backlog.
pub const MAX_CONNECTIONS: usize = 12_000;
/// Connections at once on a port that are not in session yet.
pub const MAX_STRANGERS: usize = 2_000;
/// The share of them that one source may have: one host cannot keep all others out.
pub const MAX_STRANGERS_PER_SOURCE: usize = 1_500;
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
    strange_patients: Arc<Semaphore>,
    strange_wearables: Arc<Semaphore>,
    sources: Arc<Mutex<HashMap<IpAddr, usize>>>,
    full_logins: Arc<Semaphore>,
    attempts: Arc<DefaultKeyedRateLimiter<IpAddr>>,
}

impl Default for Limits {
    fn default() -> Self {
        // One core stays free for those who are in session.
        let login_cores = available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
        Self {
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            strange_patients: Arc::new(Semaphore::new(MAX_STRANGERS)),
            strange_wearables: Arc::new(Semaphore::new(MAX_STRANGERS)),
            sources: Arc::default(),
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
    source: Option<SourceShare>,
}

/// One of a source's places among strangers; given back when dropped.
#[derive(Debug)]
struct SourceShare {
    source: IpAddr,
    sources: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for SourceShare {
    fn drop(&mut self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

impl Place {
    /// The connection is in session: its place among strangers is free again.
    pub fn known(&mut self) {
        self.stranger = None;
        self.source = None;
    }
}

impl Limits {
    /// Waits for a place for one more connection on the port for this kind of client.
    pub async fn place(&self, kind: ClientKind) -> Option<Place> {
        let strangers = match kind {
            ClientKind::Patient => &self.strange_patients,
            ClientKind::Wearable => &self.strange_wearables,
        };
        let stranger = Arc::clone(strangers).acquire_owned().await.ok()?;
        let connection = Arc::clone(&self.connections).acquire_owned().await.ok()?;
        Some(Place { _connection: connection, stranger: Some(stranger), source: None })
    }

    /// Takes one of the places of a source; false if it has its share of them already.
    pub fn take_share(&self, place: &mut Place, source: IpAddr) -> bool {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_default();
        if *count >= MAX_STRANGERS_PER_SOURCE {
            return false;
        }
        *count += 1;
        place.source = Some(SourceShare { source, sources: Arc::clone(&self.sources) });
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_source_has_its_share_and_gives_it_back() {
        let limits = Limits::default();
        let (greedy, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut places = Vec::new();
        for _ in 0..MAX_STRANGERS_PER_SOURCE {
            let mut place = limits.place(ClientKind::Patient).await.unwrap();
            assert!(limits.take_share(&mut place, greedy));
            places.push(place);
        }
        let mut one_more = limits.place(ClientKind::Patient).await.unwrap();
        assert!(!limits.take_share(&mut one_more, greedy));
        assert!(limits.take_share(&mut one_more, other));
        places.pop().unwrap().known();
        assert!(limits.take_share(&mut limits.place(ClientKind::Patient).await.unwrap(), greedy));
    }
}
