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
mod moment;
pub mod paths;
pub mod position;
mod process;
pub mod raw;
mod run;
mod slot;
mod sync;
mod timetravel;
pub mod wake;

pub use decode::flushed;
pub use sync::{OBSTACLE_GONE, expected_rows, explain, obstacle};
pub use wake::ensure_started;

use pgrx::pg_sys;

/// Why there is no engine in this database, as its processes have left word, for those who may read the server's log or settings.
pub fn why_no_engine() -> Option<String> {
    // SAFETY: set when the session connected.
    let (database, user) = unsafe { (pg_sys::MyDatabaseId, pg_sys::GetUserId()) };
    // SAFETY: look-ups of the session's user in the catalog.
    if !unsafe { pg_sys::superuser() || pg_sys::has_privs_of_role(user, pg_sys::ROLE_PG_MONITOR.into()) } {
        return None;
    }
    let of_engine = std::fs::read_to_string(paths::engine_failure_file(database)).ok();
    of_engine.or_else(|| run::last_failure(database).map(|message| format!("the background worker ended with an error: {message}")))
}

/// Called from `_PG_init`: with the library preloaded, the postmaster starts the launcher.
pub fn register() {
    database::install();
    // SAFETY: plain read, on the main thread.
    // pg_upgrade wants nobody else at work, and least of all slots.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress && !pg_sys::IsBinaryUpgrade } {
        launcher::register();
    }
}
