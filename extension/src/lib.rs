//! pg_weir inside Postgres: hooks, planner and translation, the custom scan, SQL functions, and the background worker's Postgres side.
//!
//! Invariants:
//! - The only crate that names pgrx. No threads, no async runtime: backends wait with `WaitLatchOrSocket`.
//! - A plan holds values, a state holds resources; nothing is opened for EXPLAIN without ANALYZE but the check whether the engine can answer.
//! - Every query that is taken over keeps the plan Postgres made for it and can run that instead.

use pgrx::prelude::*;

mod asynchronous;
mod attempt;
mod catalog;
mod client;
mod datum;
mod error;
mod explain;
mod fdw;
mod partition;
mod planner;
mod scan;
mod settings;
mod sql;
mod translate;
mod tuple;
mod wal;
mod worker;

pgrx::pg_module_magic!();

/// Called once when the library is loaded: by the postmaster when it is preloaded, else by the first session that needs it.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    // A backtrace in the DETAIL of every error is for nobody who runs a server.
    // SAFETY: the postmaster and a session starting up have one thread.
    unsafe { std::env::set_var("RUST_LIB_BACKTRACE", "0") };
    settings::define();
    scan::register();
    fdw::transaction::register();
    planner::install();
    explain::install();
    asynchronous::install();
    worker::register();
}
