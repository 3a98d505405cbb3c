//! Where what is learned is kept: in shared memory if the library is preloaded, else in each session.
//!
//! Invariants:
//! - It never grows: who was asked for longest ago makes room.
//! - Nothing that could raise an error happens under its lock.

use pgrx::lwlock::PgLwLock;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::shmem::PGRXSharedMemory;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// A first run may be slow since nothing is in memory yet.
const RUNS: u32 = 2;

/// How much longer one must have taken than the other's estimate.
const MARGIN: f64 = 1.5;

/// A query that Postgres looks to take less for, in milliseconds, may be tried there without reason to think that it takes longer than it is worth.
const SMALL: f64 = 100.0;

/// A row that is looked up in an index and in memory costs Postgres by so much less than it looks to.
const OPTIMISM: f64 = 10.0;

/// A first run that took so much longer than the other takes is the last one.
const FAR_SLOWER: f64 = 3.0;

/// Queries that are known: so many, each in one of the places that its fingerprint leaves to it.
const BUCKETS: usize = 512;
const PLACES: usize = 8;

/// The shortest of several runs.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    runs: u32,
    milliseconds: f64,
}

impl Timed {
    const NEVER: Timed = Timed { runs: 0, milliseconds: 0.0 };

    pub fn add(&mut self, milliseconds: f64) {
        self.milliseconds = if self.runs == 0 { milliseconds } else { self.milliseconds.min(milliseconds) };
        self.runs = self.runs.saturating_add(1);
    }

    fn known(&self) -> Option<f64> {
        (self.runs >= RUNS).then_some(self.milliseconds)
    }
}

/// What a query is expected to take, in milliseconds: in Postgres at best, in the engine at worst.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    pub postgres: f64,
    pub engine: f64,
}

#[derive(Debug, Clone, Copy)]
pub struct Query {
    pub postgres: Timed,
    pub engine: Timed,
    pub estimate: Estimate,
}

impl Query {
    const UNKNOWN: Query = Query { postgres: Timed::NEVER, engine: Timed::NEVER, estimate: Estimate { postgres: 0.0, engine: 0.0 } };

    /// What the engine must take for Postgres to be tried, in milliseconds: where little is at stake, what Postgres takes if everything is in memory.
    fn worth_trying(&self) -> f64 {
        let estimate = self.estimate.postgres;
        if estimate < SMALL { estimate / OPTIMISM } else { estimate * MARGIN }
    }

    /// Whoever has been faster; until both have run, whoever looks faster, unless it has taken longer than the other looks to.
    pub fn belongs_to_engine(&self) -> bool {
        let looks_cheap = self.estimate.postgres < self.estimate.engine;
        match (self.postgres.known(), self.engine.known()) {
            (Some(postgres), Some(engine)) => engine < postgres,
            (Some(postgres), None) => !looks_cheap || postgres > MARGIN * self.estimate.engine,
            (None, Some(engine)) => !looks_cheap && (engine <= self.worth_trying() || self.postgres.milliseconds > FAR_SLOWER * engine),
            (None, None) => !looks_cheap,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    database: u32,
    fingerprint: u32,
    /// When it was last asked for, in requests; 0: it is free.
    used: u64,
    query: Query,
}

/// Of a fixed size, without pointers: as shared memory wants it.
struct Table {
    requests: u64,
    buckets: [[Place; PLACES]; BUCKETS],
}

// SAFETY: numbers only.
unsafe impl PGRXSharedMemory for Table {}

impl Table {
    const EMPTY: Table = Table { requests: 0, buckets: [[Place { database: 0, fingerprint: 0, used: 0, query: Query::UNKNOWN }; PLACES]; BUCKETS] };

    fn query(&mut self, database: u32, fingerprint: u32) -> Option<&mut Query> {
        self.requests += 1;
        let bucket = self.buckets.get_mut(fingerprint.wrapping_add(database) as usize % BUCKETS)?;
        let known = bucket.iter().position(|p| p.used > 0 && (p.database, p.fingerprint) == (database, fingerprint));
        let place = match known {
            Some(at) => bucket.get_mut(at)?,
            None => {
                let oldest = bucket.iter_mut().min_by_key(|p| p.used)?;
                *oldest = Place { database, fingerprint, used: 0, query: Query::UNKNOWN };
                oldest
            }
        };
        place.used = self.requests;
        Some(&mut place.query)
    }
}

// SAFETY: nobody else has a lock of this name.
static SHARED: PgLwLock<Table> = unsafe { PgLwLock::new(c"pg_weir learned") };

/// Set before the postmaster has children.
static IS_SHARED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static OWN: RefCell<Option<Box<Table>>> = const { RefCell::new(None) };
}

/// To be called when the library is loaded.
#[allow(unexpected_cfgs, reason = "the macro asks for a release that is none of ours")]
pub fn install() {
    // SAFETY: plain read, on the main thread.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        pgrx::pg_shmem_init!(SHARED = Table::EMPTY);
        IS_SHARED.store(true, Ordering::Relaxed);
    }
}

/// Looks at what is known of a query of this database, and changes it. `f` must not raise.
pub fn with_query<T>(fingerprint: u32, f: impl FnOnce(&mut Query) -> T) -> T {
    // SAFETY: set when the session connected.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    let look = |table: &mut Table| match table.query(database, fingerprint) {
        Some(query) => f(query),
        None => f(&mut { Query::UNKNOWN }),
    };
    if IS_SHARED.load(Ordering::Relaxed) {
        look(&mut SHARED.exclusive())
    } else {
        OWN.with_borrow_mut(|own| look(own.get_or_insert_with(|| Box::new(Table::EMPTY))))
    }
}
