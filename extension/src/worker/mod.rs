//! The background worker of a database: it starts and watches the engine, decodes changes for it, commits what it wants committed, and
//! has tables copied.
//!
//! Invariants:
//! - One worker per database, held by a file lock; nothing of its state matters after it is gone.
//! - It is single-threaded and never waits for the engine without serving interrupts.
//! - The catalog is the truth: whatever the worker or the engine has in memory is rebuilt from it and from the slot.

mod capture;
mod copies;
mod copy;
mod database;
mod decode;
mod engine;
mod launcher;
mod link;
pub mod paths;
mod process;
pub mod raw;
mod run;
mod slot;
mod sync;
mod timetravel;
pub mod wake;

pub use decode::flushed;
pub use sync::{expected_rows, explain};
pub use wake::ensure_started;

use pgrx::pg_sys;

/// Called from `_PG_init`: with the library preloaded, the postmaster starts the launcher.
pub fn register() {
    database::install();
    // SAFETY: plain read, on the main thread.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        launcher::register();
    }
}
