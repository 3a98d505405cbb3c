//! Taking over a query: the planner hook.
//!
//! Invariants:
//! - The standard planner always runs: it takes the locks, and its plan is what runs if the engine does not.
//! - A statement without mirrored tables leaves after a look at its range tables.

use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::RefCell;

pub mod relations;
mod route;
mod wrap;

pub use route::{current_session, transaction_forbids};

static mut PREVIOUS: pg_sys::planner_hook_type = None;

/// Puts our hook before whatever is there.
pub fn install() {
    // SAFETY: called once from _PG_init, on the only thread.
    unsafe {
        PREVIOUS = pg_sys::planner_hook;
        pg_sys::planner_hook = Some(planner);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn planner(
    parse: *mut pg_sys::Query,
    query_string: *const std::ffi::c_char,
    cursor_options: i32,
    bound_params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: Postgres passes a valid analysed query.
    let candidate = unsafe { route::consider(parse) };
    // SAFETY: the arguments are those we were called with.
    let standard = unsafe { next_planner(parse, query_string, cursor_options, bound_params) };
    match candidate {
        // SAFETY: the copy was made before the planner changed the query.
        Some(copy) => unsafe { route::decide(copy, standard, cursor_options, bound_params) },
        None => standard,
    }
}

unsafe fn next_planner(
    parse: *mut pg_sys::Query,
    query_string: *const std::ffi::c_char,
    cursor_options: i32,
    bound_params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: a previous hook is a bare function pointer, so it is called under the guard that turns its errors into ours.
    unsafe {
        match PREVIOUS {
            Some(previous) => pg_sys::ffi::pg_guard_ffi_boundary(|| previous(parse, query_string, cursor_options, bound_params)),
            None => pg_sys::standard_planner(parse, query_string, cursor_options, bound_params),
        }
    }
}

/// What became of this session's last statement that touched a user table.
#[derive(Debug, Clone, Default)]
pub struct LastRoute {
    pub routed: bool,
    pub engine: String,
    /// Why it was not routed.
    pub reason: String,
    /// It was routed, but Postgres ran it after all.
    pub fallback: bool,
    /// Why it fell back.
    pub message: String,
}

thread_local! {
    static LAST: RefCell<LastRoute> = RefCell::default();
}

pub fn last_route() -> LastRoute {
    LAST.with_borrow(Clone::clone)
}

pub fn set_last_route(route: LastRoute) {
    LAST.set(route);
}

/// Notes that the query now starting runs in Postgres although it was planned for the engine.
pub fn note_fallback(message: &str) {
    LAST.with_borrow_mut(|last| {
        last.fallback = true;
        message.clone_into(&mut last.message);
    });
}

/// Notes that a (possibly cached) routed plan starts.
pub fn note_started() {
    LAST.set(LastRoute { routed: true, engine: crate::settings::engine_name().into(), ..LastRoute::default() });
}
