//! Cached plans and the settings they were made under: when one of those settings has changed, plans are made anew.
//!
//! A routed plan is bound to its settings and runs in Postgres under others ([`crate::scan`]), so nothing here is about right answers. Only
//! sessions whose queries touch mirrored tables pay for it.

use crate::settings::{self, Freshness, Route};
use crate::worker::raw;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::ffi::c_char;
use weir_plan::ir::Session;

/// What decides whether a query is routed, and how, besides the query.
#[derive(PartialEq)]
struct Settings {
    session: Session,
    route: Route,
    any_freshness: bool,
    /// As bits: only whether it is the same matters.
    min_cost: u64,
}

thread_local! {
    /// The settings under which such a query was planned since the cache was cleared.
    static PLANNED: RefCell<Option<Settings>> = const { RefCell::new(None) };
}

static mut PREVIOUS: pg_sys::ProcessUtility_hook_type = None;

/// Puts our hook before whatever is there.
pub fn install() {
    // SAFETY: called once from _PG_init, on the only thread.
    unsafe {
        PREVIOUS = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(process_utility);
    }
}

fn now() -> Settings {
    let route = if settings::enabled() { settings::route() } else { Route::off };
    Settings { session: super::current_session(), route, any_freshness: settings::freshness() == Freshness::Any, min_cost: settings::min_cost().to_bits() }
}

/// Notes that a query is planned that may be routed, or may not only because routing is off.
pub fn note_planned() {
    if !noted() {
        PLANNED.set(Some(now()));
    }
}

/// Lets Postgres plan anew what it has cached, at the next use.
pub fn forget() {
    PLANNED.set(None);
    // SAFETY: marks plans as invalid, no more.
    unsafe { pg_sys::ResetPlanCache() };
}

#[pg_guard]
unsafe extern "C-unwind" fn forget_if_changed() {
    if PLANNED.with_borrow(|planned| planned.as_ref().is_some_and(|p| *p != now())) {
        forget();
    }
}

fn noted() -> bool {
    PLANNED.with_borrow(Option::is_some)
}

/// Not guarded: an error that passes through a guard of pgrx loses its cursor position, its context and the names of what it is about. So
/// nothing here may own anything when the next hook is called.
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn process_utility(
    statement: *mut pg_sys::PlannedStmt,
    query_string: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    query_env: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the arguments are those we were called with; the tag says which statement it is.
    unsafe {
        let tag = if (*statement).utilityStmt.is_null() { pg_sys::NodeTag::T_Invalid } else { (*(*statement).utilityStmt).type_ };
        if tag == pg_sys::NodeTag::T_ExecuteStmt && noted() {
            forget_if_changed();
        }
        let fills = tag == pg_sys::NodeTag::T_RefreshMatViewStmt;
        if fills {
            super::fill_begins();
        }
        let next = PREVIOUS.unwrap_or(raw::standard_ProcessUtility);
        next(statement, query_string, read_only_tree, context, params, query_env, dest, completion);
        if fills {
            super::fill_ended();
        }
        if tag == pg_sys::NodeTag::T_VariableSetStmt && noted() {
            forget_if_changed();
        }
    }
}
