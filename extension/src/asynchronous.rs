//! Asynchronous commits: others see them before they are flushed. All others are flushed first.
//!
//! Invariants:
//! - A transaction that may commit asynchronously is counted before its commit record is written, and until the end of the record is noted: who
//!   finds none counted, and looks at the noted position after that, knows of every one that it sees.
//! - Nothing here lasts: after a crash of the server all that is there is flushed.

use pgrx::PgAtomic;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::shmem::PGRXSharedMemory;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use weir_plan::manifest::Lsn;

#[derive(Default)]
struct Commits {
    /// Transactions that are about to commit, or whose commit is not noted yet.
    under_way: AtomicU32,
    /// End of the last commit record.
    last: AtomicU64,
}

// SAFETY: numbers only.
unsafe impl PGRXSharedMemory for Commits {}

// SAFETY: nobody else has memory of this name.
static COMMITS: PgAtomic<Commits> = unsafe { PgAtomic::new(c"pg_weir asynchronous commits") };

/// Every process notes its commits. Set before the postmaster has children.
static IS_NOTED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This process's transaction is counted.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// To be called when the library is loaded.
#[allow(unexpected_cfgs, reason = "the macro asks for a release that is none of ours")]
pub fn install() {
    // SAFETY: plain read, on the main thread; a callback that lives as long as the library.
    unsafe {
        if pg_sys::process_shared_preload_libraries_in_progress {
            pgrx::pg_shmem_init!(COMMITS = Commits::default());
            IS_NOTED.store(true, Ordering::Relaxed);
            pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut());
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ends(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    match event {
        // Also without a transaction id: one may be assigned after this. The setting does not change after this.
        // SAFETY: plain read.
        pg_sys::XactEvent::XACT_EVENT_PRE_COMMIT if unsafe { pg_sys::synchronous_commit } == off() => {
            COMMITS.get().under_way.fetch_add(1, Ordering::SeqCst);
            COUNTED.set(true);
        }
        pg_sys::XactEvent::XACT_EVENT_COMMIT if COUNTED.replace(false) => {
            // SAFETY: plain read; of an earlier commit if this one has written nothing.
            COMMITS.get().last.fetch_max(unsafe { pg_sys::XactLastCommitEnd }, Ordering::SeqCst);
            COMMITS.get().under_way.fetch_sub(1, Ordering::SeqCst);
        }
        pg_sys::XactEvent::XACT_EVENT_ABORT if COUNTED.replace(false) => {
            COMMITS.get().under_way.fetch_sub(1, Ordering::SeqCst);
        }
        _ => {}
    }
}

fn off() -> i32 {
    pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_OFF.cast_signed()
}

/// The end of the last asynchronous commit that others may see. `None`: it is not known.
pub fn last() -> Option<Lsn> {
    if !IS_NOTED.load(Ordering::Relaxed) || COMMITS.get().under_way.load(Ordering::SeqCst) > 0 {
        return None;
    }
    Some(COMMITS.get().last.load(Ordering::SeqCst))
}
