//! EXPLAIN of a statement that was not routed says why: if it reads a mirror or a foreign table of ours, or is to be VERBOSE.

use crate::planner::{self, LastRoute};
use crate::worker::raw;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::{CString, c_char};

static mut PREVIOUS: pg_sys::ExplainOneQuery_hook_type = None;

/// Puts our hook before whatever is there.
pub fn install() {
    // SAFETY: called once from _PG_init, on the only thread.
    unsafe {
        PREVIOUS = pg_sys::ExplainOneQuery_hook;
        pg_sys::ExplainOneQuery_hook = Some(explain_one_query);
    }
}

/// Not guarded, as the planner's hook is not: what Postgres raises keeps its cursor position and its context. Nothing here may own anything.
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn explain_one_query(
    query: *mut pg_sys::Query,
    cursor_options: i32,
    into: *mut pg_sys::IntoClause,
    es: *mut pg_sys::ExplainState,
    query_string: *const c_char,
    params: pg_sys::ParamListInfo,
    query_env: *mut pg_sys::QueryEnvironment,
) {
    // SAFETY: the arguments are those we were called with.
    unsafe {
        forget();
        match PREVIOUS {
            Some(previous) => previous(query, cursor_options, into, es, query_string, params, query_env),
            None => standard(query, cursor_options, into, es, query_string, params, query_env),
        }
        tell(es);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn forget() {
    planner::set_last_route(LastRoute::default());
}

#[pg_guard]
unsafe extern "C-unwind" fn tell(es: *mut pg_sys::ExplainState) {
    let last = planner::last_route();
    // SAFETY: the state of the running EXPLAIN.
    unsafe {
        // The structured formats have closed their group; a line here would break them.
        if !last.reason.is_empty() && ((*es).verbose || !last.unasked) && (*es).format == pg_sys::ExplainFormat::EXPLAIN_FORMAT_TEXT {
            let value = CString::new(format!("not routed: {}", last.reason).replace('\0', "")).unwrap_or_default();
            pg_sys::ExplainPropertyText(c"Weir".as_ptr(), value.as_ptr(), es);
        }
    }
}

/// What Postgres does without a hook. Source: `ExplainOneQuery` in `explain.c`.
#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
#[allow(clippy::too_many_arguments)]
unsafe fn standard(
    query: *mut pg_sys::Query,
    cursor_options: i32,
    into: *mut pg_sys::IntoClause,
    es: *mut pg_sys::ExplainState,
    query_string: *const c_char,
    params: pg_sys::ParamListInfo,
    query_env: *mut pg_sys::QueryEnvironment,
) {
    // SAFETY: as passed; the counters are this backend's own.
    unsafe {
        let before = pg_sys::pgBufferUsage;
        let start = std::time::Instant::now();
        let plan = raw::pg_plan_query(query, query_string, cursor_options, params);
        let duration = instr_time(start.elapsed());
        let mut usage = pg_sys::BufferUsage::default();
        if (*es).buffers {
            pg_sys::BufferUsageAccumDiff(&raw mut usage, &raw const pg_sys::pgBufferUsage, &raw const before);
        }
        let usage_if_asked = if (*es).buffers { &raw const usage } else { std::ptr::null() };
        raw::ExplainOnePlan(plan, into, es, query_string, params, query_env, &raw const duration, usage_if_asked);
    }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
#[allow(clippy::too_many_arguments)]
unsafe fn standard(
    query: *mut pg_sys::Query,
    cursor_options: i32,
    into: *mut pg_sys::IntoClause,
    es: *mut pg_sys::ExplainState,
    query_string: *const c_char,
    params: pg_sys::ParamListInfo,
    query_env: *mut pg_sys::QueryEnvironment,
) {
    // SAFETY: as passed.
    unsafe { raw::standard_ExplainOneQuery(query, cursor_options, into, es, query_string, params, query_env) };
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
fn instr_time(d: std::time::Duration) -> pg_sys::instr_time {
    pg_sys::instr_time { tv_sec: i64::try_from(d.as_secs()).unwrap_or(0), tv_nsec: i64::from(d.subsec_nanos()) }
}

#[cfg(feature = "pg16")]
fn instr_time(d: std::time::Duration) -> pg_sys::instr_time {
    pg_sys::instr_time { ticks: i64::try_from(d.as_nanos()).unwrap_or(0) }
}
