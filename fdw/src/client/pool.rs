//! Connections, kept for the next statement of the same server, user and options.
//!
//! Invariants:
//! - At most `max_connections` of one endpoint are open; who finds none free waits, but not forever.
//! - An endpoint whose options changed is another endpoint; what is idle for longer than its option `idle_timeout_ms` says is closed.

use crate::descriptor::Options;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use weir_plan::Result;
use weir_plan::protocol::Endpoint;

/// A connection idle for longer is closed, where the engine has no option for that.
const IDLE: Duration = Duration::from_secs(300);
/// How often connections are looked through for those at least, also when nobody asks for one: their server may be gone from the catalogs.
const SWEEP: Duration = Duration::from_secs(60);
/// And at most.
const RARELY: Duration = Duration::from_millis(100);
/// Pauses between attempts to connect.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// A kind of connection.
#[async_trait]
pub trait Pooled: Send + Sized + 'static {
    async fn connect(endpoint: &Endpoint) -> Result<Self>;
    /// Whether it has not been closed, as far as can be told without asking.
    fn seems_open(&self) -> bool {
        true
    }
    /// One idle for longer is asked whether it lives before it is used.
    fn trusted() -> Duration {
        Duration::from_millis(500)
    }
    /// Whether it still answers.
    async fn is_alive(&mut self) -> bool;
    fn max_connections(endpoint: &Endpoint) -> usize;
    /// How long to wait for a free place.
    fn patience(endpoint: &Endpoint) -> Duration;
}

/// Connects, again after a pause where nothing can have been done yet: the connection was refused, or reset before the server said anything.
pub async fn connecting<T, E, F: Future<Output = Result<T, E>>>(
    mut attempt: impl FnMut() -> F,
    io_error: impl Fn(&E) -> Option<std::io::ErrorKind>,
) -> Result<T, E> {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    for pause in PAUSES {
        match attempt().await {
            Err(e) if matches!(io_error(&e), Some(ConnectionRefused | ConnectionReset | ConnectionAborted)) => tokio::time::sleep(pause).await,
            other => return other,
        }
    }
    attempt().await
}

struct Site<C> {
    idle: Vec<(C, Instant)>,
    /// How long they stay; `None`: for ever.
    kept: Option<Duration>,
    /// Connections that were taken before are not kept.
    since: Instant,
    places: Arc<Semaphore>,
}

/// The connections of one engine.
pub struct Pool<C> {
    sites: Arc<Mutex<HashMap<Endpoint, Site<C>>>>,
    sweeping: Arc<AtomicBool>,
    /// A site has come whose connections may stay for a shorter time than others'.
    sooner: Arc<Notify>,
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Pool { sites: Arc::default(), sweeping: Arc::default(), sooner: Arc::default() }
    }
}

/// A connection in use. Dropped, it is closed; [`Lease::give_back`] keeps it.
pub struct Lease<C> {
    pub connection: C,
    endpoint: Endpoint,
    taken: Instant,
    _place: OwnedSemaphorePermit,
    sites: Arc<Mutex<HashMap<Endpoint, Site<C>>>>,
}

fn lock<C>(sites: &Mutex<HashMap<Endpoint, Site<C>>>) -> MutexGuard<'_, HashMap<Endpoint, Site<C>>> {
    sites.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C: Pooled> Pool<C> {
    /// A connection that answers.
    pub async fn lease(&self, endpoint: &Endpoint) -> Result<Lease<C>> {
        let places = {
            sweep(&self.sites);
            let mut sites = lock(&self.sites);
            if !sites.contains_key(endpoint) {
                self.sooner.notify_one();
            }
            let site = sites.entry(endpoint.clone()).or_insert_with(|| Site {
                idle: Vec::new(),
                kept: kept(endpoint),
                since: Instant::now(),
                places: Arc::new(Semaphore::new(C::max_connections(endpoint))),
            });
            Arc::clone(&site.places)
        };
        self.keep_sweeping();
        let place = match tokio::time::timeout(C::patience(endpoint), places.acquire_owned()).await {
            Ok(Ok(place)) => place,
            _ => {
                return Err(super::failed(endpoint, "53300", "too many connections")
                    .with_hint("Raise the option \"max_connections\" of the server, or run fewer queries at once."));
            }
        };
        loop {
            let idle = lock(&self.sites).get_mut(endpoint).and_then(|s| s.idle.pop());
            let Some((mut connection, since)) = idle else { break };
            if connection.seems_open() && (since.elapsed() < C::trusted() || connection.is_alive().await) {
                return Ok(self.leased(connection, endpoint, place));
            }
        }
        let connection = C::connect(endpoint).await?;
        Ok(self.leased(connection, endpoint, place))
    }

    /// Closes what is idle of a server by its OID, or of all, and has what is in use closed when it is given back. How many were idle.
    pub fn forget(&self, server: Option<u32>) -> u64 {
        let mut closed = Vec::new();
        for (_, site) in lock(&self.sites).iter_mut().filter(|(e, _)| server.is_none_or(|s| e.server.server == s)) {
            closed.append(&mut site.idle);
            site.since = Instant::now();
        }
        // They are closed here, without the lock.
        closed.len() as u64
    }

    /// One task looks through the connections as long as there are any.
    fn keep_sweeping(&self) {
        if self.sweeping.swap(true, Ordering::Relaxed) {
            return;
        }
        let (sites, sweeping, sooner) = (Arc::clone(&self.sites), Arc::clone(&self.sweeping), Arc::clone(&self.sooner));
        tokio::spawn(async move {
            loop {
                let shortest = lock(&sites).values().filter_map(|s| s.kept).min().unwrap_or(SWEEP);
                let _ = tokio::time::timeout(shortest.clamp(RARELY, SWEEP), sooner.notified()).await;
                if sweep(&sites) {
                    break;
                }
            }
            sweeping.store(false, Ordering::Relaxed);
        });
    }

    fn leased(&self, connection: C, endpoint: &Endpoint, place: OwnedSemaphorePermit) -> Lease<C> {
        Lease { connection, endpoint: endpoint.clone(), taken: Instant::now(), _place: place, sites: Arc::clone(&self.sites) }
    }
}

/// How long connections to it stay when nobody uses them.
fn kept(endpoint: &Endpoint) -> Option<Duration> {
    const OPTION: &str = "idle_timeout_ms";
    let Some(engine) = crate::registry::by_name(&endpoint.engine) else { return Some(IDLE) };
    let options = Options { engine, given: &endpoint.options };
    if options.text(OPTION).is_some() { options.timeout(OPTION) } else { Some(IDLE) }
}

/// Closes what is idle for long.
fn sweep<C>(sites: &Mutex<HashMap<Endpoint, Site<C>>>) -> bool {
    let mut sites = lock(sites);
    sites.retain(|_, s| {
        s.idle.retain(|(_, since)| s.kept.is_none_or(|kept| since.elapsed() < kept));
        // Who holds or awaits a place holds the semaphore.
        !s.idle.is_empty() || Arc::strong_count(&s.places) > 1
    });
    sites.is_empty()
}

impl<C> Lease<C> {
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The connection is as good as new.
    pub fn give_back(self) {
        if let Some(site) = lock(&self.sites).get_mut(&self.endpoint).filter(|site| site.since <= self.taken) {
            site.idle.push((self.connection, Instant::now()));
        }
    }
}
