//! Taking over a query: the planner hook.
//!
//! Invariants:
//! - The standard planner always runs: it takes the locks, and its plan is what runs if the engine does not.
//! - A statement without mirrored tables leaves after a look at its range tables.

use crate::worker::raw;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};

mod cached;
mod heavy;
mod insert;
mod learned;
mod lookups;
pub mod relations;
mod rights;
mod route;
mod stable;
mod texts;
mod windows;
mod wrap;

pub use cached::forget as forget_cached_plans;
pub use route::{bytes_node, current_session, own_writes_forbid, remote_forbids, transaction_forbids};
pub use stable::shares_snapshot;

static mut PREVIOUS: pg_sys::planner_hook_type = None;

/// Puts our hook before whatever is there.
pub fn install() {
    // SAFETY: called once from _PG_init, on the only thread.
    unsafe {
        PREVIOUS = pg_sys::planner_hook;
        pg_sys::planner_hook = Some(planner);
    }
    cached::install();
    learned::install();
    stable::install();
}

/// Not guarded: an error that passes through a guard of pgrx loses its cursor position, its context and the names of what it is about. So
/// nothing here may own anything while the next planner runs.
unsafe extern "C-unwind" fn planner(
    parse: *mut pg_sys::Query,
    query_string: *const std::ffi::c_char,
    cursor_options: i32,
    bound_params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: Postgres passes a valid analysed query, and the arguments are those we were called with.
    unsafe {
        let candidate = consider(parse);
        let next = PREVIOUS.unwrap_or(raw::standard_planner);
        let standard = next(parse, query_string, cursor_options, bound_params);
        if candidate.query.is_null() {
            return standard;
        }
        let cost = (*(*standard).planTree).total_cost;
        if cost < candidate.least_cost {
            BRIEF.set(Some(Brief::Cheap(cost)));
            note_fill();
            return standard;
        }
        decide(candidate.query, standard, cursor_options, bound_params)
    }
}

/// Without a query if it cannot be routed.
#[pg_guard]
unsafe extern "C-unwind" fn consider(parse: *mut pg_sys::Query) -> route::Candidate {
    // SAFETY: as passed.
    unsafe { route::consider(parse) }.unwrap_or(route::Candidate::NONE)
}

#[pg_guard]
unsafe extern "C-unwind" fn decide(
    copy: *mut pg_sys::Query,
    standard: *mut pg_sys::PlannedStmt,
    cursor_options: i32,
    bound_params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: the copy was made before the planner changed the query.
    unsafe { route::decide(copy, standard, cursor_options, bound_params) }
}

/// What became of this session's last statement that touched a user table.
#[derive(Debug, Clone, Default)]
pub struct LastRoute {
    pub routed: bool,
    pub engine: String,
    /// Why it was not routed.
    pub reason: String,
    /// There was nothing to route, or it was not to be: no news for who reads a plan.
    pub unasked: bool,
    /// It was routed, but Postgres ran it after all.
    pub fallback: bool,
    /// Why it fell back.
    pub message: String,
}

thread_local! {
    static LAST: RefCell<LastRoute> = RefCell::default();
    /// The same for the statements that are most, of which words are made when somebody asks; then `LAST` is about an earlier one.
    static BRIEF: Cell<Option<Brief>> = const { Cell::new(None) };
    /// While a materialized view is filled: what became of its query. Postgres then has others, of its own, to find out what has changed.
    static FILL: RefCell<Option<Option<LastRoute>>> = const { RefCell::new(None) };
}

/// Why a query runs in Postgres, where neither the query nor the engine was looked at.
#[derive(Clone, Copy)]
enum Brief {
    /// Its cost, which is below `weir.min_cost`.
    Cheap(f64),
    /// Its only table, which nobody has mirrored.
    NotMirrored(pg_sys::Oid),
}

/// A materialized view is about to be filled anew.
pub fn fill_begins() {
    FILL.set(Some(None));
}

/// It has been: of the queries that ran, its own is the user's.
pub fn fill_ended() {
    if let Some(Some(route)) = FILL.take() {
        set_last_route(route);
    }
}

/// Notes what was last said, which is about a query over tables of ours.
fn note_fill() {
    FILL.with_borrow_mut(|fill| {
        if let Some(route) = fill {
            *route = Some(last_route());
        }
    });
}

pub fn last_route() -> LastRoute {
    match BRIEF.get() {
        Some(Brief::Cheap(cost)) => {
            // Who looks at a plan is still where it was made: what keeps any query there says more.
            let reason = transaction_forbids().unwrap_or_else(|| format!("cost {cost:.0} is below weir.min_cost"));
            LastRoute { reason, ..LastRoute::default() }
        }
        Some(Brief::NotMirrored(relid)) => LastRoute { reason: route::not_mirrored(relid), unasked: true, ..LastRoute::default() },
        None => LAST.with_borrow(Clone::clone),
    }
}

pub fn set_last_route(route: LastRoute) {
    BRIEF.set(None);
    LAST.set(route);
}

/// Notes that the query now starting runs in Postgres although it was planned for the engine.
pub fn note_fallback(message: &str) {
    set_last_route(LastRoute { fallback: true, message: message.into(), ..last_route() });
    note_fill();
}

/// Notes that a (possibly cached) routed plan starts.
pub fn note_started() {
    set_last_route(LastRoute { routed: true, engine: crate::settings::engine_name().into(), ..LastRoute::default() });
    note_fill();
}
