//! Telling the worker of this database that something changed, and starting it if it is not there.
//!
//! Invariants:
//! - What a transaction wants is done when it has committed, never before, and cannot fail it.
//! - Only the launcher starts workers; this module starts the launcher when the library is not preloaded.

use super::{launcher, paths};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static PENDING: Cell<bool> = const { Cell::new(false) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    static LAST_ATTEMPT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Backends that find no engine ask for one at most this often.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(1);

/// When this transaction commits, the worker looks at the catalog.
pub fn at_commit() {
    if !REGISTERED.replace(true) {
        // SAFETY: once per process; the function lives as long as the library.
        unsafe { pg_sys::RegisterXactCallback(Some(transaction_ended), std::ptr::null_mut()) };
    }
    PENDING.set(true);
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ended(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT if PENDING.replace(false) => wake_or_start(),
        // What is prepared is noticed by the worker's regular look at the catalog.
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PREPARE => PENDING.set(false),
        _ => {}
    }
}

/// For a backend that needs the engine and finds none. Cheap enough for every query.
pub fn ensure_started() {
    let recent = LAST_ATTEMPT.get().is_some_and(|t| t.elapsed() < ATTEMPT_INTERVAL);
    // SAFETY: set when the session connected.
    let database = unsafe { pg_sys::MyDatabaseId };
    if !recent && !is_worker(paths::read_pid(&paths::worker_pid_file(database)), database) {
        LAST_ATTEMPT.set(Some(Instant::now()));
        wake_or_start();
    }
}

/// Wakes the worker of this database, or has it started.
fn wake_or_start() {
    // SAFETY: set when the session connected.
    let database = unsafe { pg_sys::MyDatabaseId };
    if wake_worker(database) {
        return;
    }
    if paths::create_database_dir(database).is_ok() {
        launcher::wake_or_start();
    }
}

/// Sets the latch of a database's worker. `false`: there is none.
pub fn wake_worker(database: pg_sys::Oid) -> bool {
    match paths::read_pid(&paths::worker_pid_file(database)) {
        Some(pid) if is_worker(Some(pid), database) => set_latch(pid),
        _ => false,
    }
}

/// Whether the process is connected to the database (a process id can have been given to somebody else since).
pub fn is_worker(pid: Option<i32>, database: pg_sys::Oid) -> bool {
    let Some(pid) = pid else { return false };
    // SAFETY: looks at shared memory that is always there; the entry may be reused at any time, but stays readable.
    unsafe {
        let process = pg_sys::BackendPidGetProc(pid);
        !process.is_null() && (*process).databaseId == database
    }
}

/// Sets the latch of a server process; harmless if it is another one by now.
pub fn set_latch(pid: i32) -> bool {
    // SAFETY: as in `is_worker`.
    unsafe {
        let process = pg_sys::BackendPidGetProc(pid);
        if process.is_null() {
            return false;
        }
        pg_sys::SetLatch(&raw mut (*process).procLatch);
    }
    true
}
