//! The embedded DuckDB of this process, and the memory it may take.
//!
//! Invariant: while queries run in it, it holds a reservation of the pool that all queries share, and no more memory than that.

use crate::pool::QueryPool;
use crate::resources::Resources;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use parking_lot::Mutex;
use std::sync::Arc;
use weir_fdw::engines::duckdb::embedded::{Embedded, Limits};
use weir_plan::{Error, Kind, Result};

/// DuckDB is given this part of the memory for queries, or half of that and so on: one in this many.
const PARTS: [usize; 4] = [2, 4, 8, 16];
/// It cannot do with less.
const LEAST_BYTES: usize = 48 << 20;

#[derive(Default)]
pub struct Duck(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    embedded: Option<Arc<Embedded>>,
    users: usize,
    reservation: Option<MemoryReservation>,
}

/// A query in it.
pub struct Held(Arc<Mutex<State>>);

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.users -= 1;
        if state.users == 0 {
            state.reservation = None;
        }
    }
}

impl Duck {
    /// The instance with memory to run a query in.
    ///
    /// # Errors
    /// All memory is taken.
    pub fn enter(&self, resources: &Resources) -> Result<(Arc<Embedded>, Held)> {
        let mut state = self.0.lock();
        if let (Some(embedded), true) = (&state.embedded, state.users > 0) {
            let embedded = Arc::clone(embedded);
            state.users += 1;
            return Ok((embedded, Held(Arc::clone(&self.0))));
        }
        let settings = resources.settings();
        let reservation = reserve(resources, usize::try_from(settings.memory_limit_bytes).unwrap_or(usize::MAX))?;
        let (memory_bytes, temp_bytes) = (reservation.size() as u64, settings.temp_limit_bytes.saturating_sub(resources.spilled_bytes()));
        let embedded = match &state.embedded {
            Some(embedded) => {
                embedded.set_memory(memory_bytes, temp_bytes)?;
                Arc::clone(embedded)
            }
            None => {
                let temp_directory = resources.spill_directory().join("duckdb").to_string_lossy().into_owned();
                Arc::new(Embedded::open(&Limits { memory_bytes, threads: resources.threads(), temp_directory, temp_bytes })?)
            }
        };
        state.embedded = Some(Arc::clone(&embedded));
        state.reservation = Some(reservation);
        state.users = 1;
        Ok((embedded, Held(Arc::clone(&self.0))))
    }
}

fn reserve(resources: &Resources, limit: usize) -> Result<MemoryReservation> {
    let pool: Arc<dyn MemoryPool> = QueryPool::new(Arc::clone(&resources.pool));
    let reservation = MemoryConsumer::new("DuckDB").with_can_spill(true).register(&pool);
    for part in PARTS {
        if reservation.try_grow((limit / part).max(LEAST_BYTES)).is_ok() {
            return Ok(reservation);
        }
    }
    Err(Error::new(Kind::OutOfMemory, "there is no memory left to run DuckDB in").with_hint("Raise weir.memory_limit, or run fewer queries at once."))
}
