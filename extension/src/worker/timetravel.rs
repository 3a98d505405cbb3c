//! Which time the caches of this process show: the present, or that of the transaction being decoded.
//!
//! Decoding fills the system caches with what the catalog said when a transaction committed; ordinary transactions fill them with what it
//! says now. Neither may see the entries of the other. Source: `pg_logical_slot_get_changes_guts` in `logicalfuncs.c`.

use pgrx::pg_sys;
use std::cell::Cell;

thread_local! {
    static IN_THE_PAST: Cell<bool> = const { Cell::new(false) };
    static SWITCHING: Cell<bool> = const { Cell::new(false) };
}

/// Whether an invalidation of everything comes from here, and so says nothing about what has changed.
pub fn is_switching() -> bool {
    SWITCHING.get()
}

/// Before a decoded transaction is replayed.
pub fn enter_past() {
    switch(true);
}

/// At the start of an ordinary transaction.
pub fn enter_present() {
    switch(false);
}

fn switch(past: bool) {
    if IN_THE_PAST.replace(past) != past {
        SWITCHING.set(true);
        // SAFETY: in a transaction.
        unsafe { pg_sys::InvalidateSystemCaches() };
        SWITCHING.set(false);
    }
}
