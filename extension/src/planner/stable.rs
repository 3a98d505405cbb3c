//! Whether what starts now is part of a statement outside: a query in a STABLE function sees what the statement that calls it sees, and so do
//! all the others in it. The engine has no snapshot that is equal to that.
//!
//! Where an executor runs the statement outside, its snapshot tells ([`crate::scan`]). An expression that PL/pgSQL evaluates by itself, or an
//! argument of EXECUTE or CALL, has none: so calls of such functions are counted.
//!
//! Invariants:
//! - Functions in SQL are never watched, as Postgres expands no function that is. Their queries are known by where the rows go; those of a VOLATILE
//!   one are taken for shared, too.
//! - What is watched costs time, so only functions of procedural languages are, and only where the extension is.

use crate::catalog;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};

/// `pg_language` has these from the start.
const INTERNAL: u32 = 12;
const C: u32 = 13;
const SQL: u32 = 14;

thread_local! {
    /// For each watched call under way, innermost last, whether its queries share a snapshot.
    static CALLS: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
    static IN_SQL_FUNCTION: Cell<bool> = const { Cell::new(false) };
}

static mut PREVIOUS_NEEDS: pg_sys::needs_fmgr_hook_type = None;
static mut PREVIOUS: pg_sys::fmgr_hook_type = None;

/// Puts our hooks before whatever is there.
pub fn install() {
    // SAFETY: called once from _PG_init, on the only thread.
    unsafe {
        PREVIOUS_NEEDS = pg_sys::needs_fmgr_hook;
        pg_sys::needs_fmgr_hook = Some(needs_watch);
        PREVIOUS = pg_sys::fmgr_hook;
        pg_sys::fmgr_hook = Some(watch);
    }
}

/// Notes where the rows of the query go that the executor starts.
pub fn note_destination(destination: *mut pg_sys::DestReceiver) {
    // SAFETY: null, or a receiver.
    let of_sql = unsafe { !destination.is_null() && (*destination).mydest == pg_sys::CommandDest::DestSQLFunction };
    IN_SQL_FUNCTION.set(of_sql);
}

/// Whether the query that starts now may see what a statement outside sees.
pub fn shares_snapshot() -> bool {
    IN_SQL_FUNCTION.get() || CALLS.with_borrow(|calls| calls.contains(&true))
}

/// The language of a function that sees what its caller sees.
fn language_if_stable(function: pg_sys::Oid) -> Option<u32> {
    // SAFETY: in a transaction, as functions are looked up and called in one; the tuple is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::PROCOID.cast_signed(), pg_sys::Datum::from(function));
        if tuple.is_null() {
            return None;
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>();
        let found = ((*form).provolatile.cast_unsigned() != pg_sys::PROVOLATILE_VOLATILE).then(|| (*form).prolang.to_u32());
        pg_sys::ReleaseSysCache(tuple);
        found
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn needs_watch(function: pg_sys::Oid) -> bool {
    // SAFETY: as called.
    if unsafe { PREVIOUS_NEEDS.is_some_and(|needs| needs(function)) } {
        return true;
    }
    language_if_stable(function).is_some_and(|language| !matches!(language, INTERNAL | C | SQL)) && catalog::installed()
}

/// What is kept with a function that has been called.
const SHARES: usize = 1;
const SHARES_NOT: usize = 2;

/// A call of a function that is watched, by us or by others, or that has settings or an owner of its own.
///
/// Not guarded, as it comes twice with each call: only [`shares`] can raise anything, and nothing here owns anything then.
unsafe extern "C-unwind" fn watch(event: pg_sys::FmgrHookEventType::Type, function: *mut pg_sys::FmgrInfo, private: *mut pg_sys::Datum) {
    // SAFETY: as called; the place for what is kept is zero at first, and belongs to the previous hook if there is one.
    unsafe {
        let previous = PREVIOUS;
        if event == pg_sys::FmgrHookEventType::FHET_START {
            let known = if previous.is_none() { (*private).value() } else { 0 };
            let shares = if known == 0 { shares((*function).fn_oid) } else { known == SHARES };
            if previous.is_none() {
                *private = pg_sys::Datum::from(if shares { SHARES } else { SHARES_NOT });
            }
            CALLS.with_borrow_mut(|calls| calls.push(shares));
        } else {
            CALLS.with_borrow_mut(Vec::pop);
        }
        if let Some(previous) = previous {
            previous(event, function, private);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn shares(function: pg_sys::Oid) -> bool {
    language_if_stable(function).is_some()
}
