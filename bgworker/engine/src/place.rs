//! The places of `weir.max_concurrent_queries`: a query has one while it computes.
//!
//! Invariant: nobody keeps a place who waits for a backend to read. A cursor may stay open for hours, and a backend that has several queries
//! open, as a loop of PL/pgSQL with a query inside, would wait for itself.

use crate::resources::Resources;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use weir_plan::{Error, Kind, Result};

/// Who reads so slowly leaves the place to others meanwhile. A backend that passes rows on as they come is faster.
const PATIENCE: Duration = Duration::from_millis(20);

pub struct Place {
    resources: Arc<Resources>,
    /// None while the backend does not read.
    permit: Option<OwnedSemaphorePermit>,
    /// None is needed by a query that is only passed on.
    needed: bool,
}

impl Place {
    pub async fn wait(resources: &Arc<Resources>) -> Result<Place> {
        Ok(Place { resources: Arc::clone(resources), permit: Some(next(resources).await?), needed: true })
    }

    pub fn not_needed(resources: &Arc<Resources>) -> Place {
        Place { resources: Arc::clone(resources), permit: None, needed: false }
    }

    /// Sends, and has a place again when it returns.
    ///
    /// # Errors
    /// There is no backend any more, or no engine.
    pub async fn send<T>(&mut self, to: &mpsc::Sender<T>, what: T) -> Result<()> {
        let room = match tokio::time::timeout(PATIENCE, to.reserve()).await {
            Ok(room) => room,
            Err(_) => {
                self.permit = None;
                to.reserve().await
            }
        };
        room.map_err(|_| Error::new(Kind::Cancelled, "the backend went away"))?.send(what);
        if self.needed && self.permit.is_none() {
            self.permit = Some(next(&self.resources).await?);
        }
        Ok(())
    }
}

/// First come, first served. Who does not wait any longer leaves the queue.
async fn next(resources: &Resources) -> Result<OwnedSemaphorePermit> {
    struct Waiting<'a>(&'a Resources);
    impl Drop for Waiting<'_> {
        fn drop(&mut self) {
            self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
    resources.waiting.fetch_add(1, Ordering::Relaxed);
    let _waiting = Waiting(resources);
    Arc::clone(&resources.queue).acquire_owned().await.map_err(|_| Error::internal("the engine is shutting down"))
}
