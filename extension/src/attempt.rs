//! What may raise an error that is not the statement's.

use pgrx::prelude::*;
use pgrx::{PgTryBuilder, pg_sys};
use std::panic::AssertUnwindSafe;

/// Runs `f` in a subtransaction of its own; `None` if it raised an error, of which nothing stays. A query that was cancelled is.
///
/// # Safety
/// In a transaction, not in parallel mode. `f` opens nothing that is to outlive an error.
pub unsafe fn attempt<T>(f: impl FnOnce() -> T) -> Option<T> {
    // SAFETY: in a transaction by contract; context and owner are put back, as a subtransaction has its own.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let done = PgTryBuilder::new(AssertUnwindSafe(|| {
            let value = f();
            pg_sys::ReleaseCurrentSubTransaction();
            Some(value)
        }))
        .catch_when(PgSqlErrorCode::ERRCODE_QUERY_CANCELED, |cancelled| cancelled.rethrow())
        .catch_others(|_| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            None
        })
        .execute();
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        done
    }
}
