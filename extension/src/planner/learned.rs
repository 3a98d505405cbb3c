//! What `weir.route = auto` learns about who is faster.
//!
//! The planner's cost can be far too low, as where it takes conditions for independent that are not, and then a query of seconds looks like
//! one of milliseconds; or too high, and what the engine needs is an estimate as well. So every query that could be routed is timed. From its
//! third run on, one that was left to Postgres goes to the engine if Postgres has taken longer, twice, than the engine is expected to; one that
//! was routed goes to Postgres if the engine has taken longer, twice, than Postgres may need. Once both have run it, the faster one has it.
//!
//! Invariants:
//! - A plan carries which query it is in an item of `PlannedStmt.invalItems` that no cache of Postgres knows: that is copied with the plan,
//!   and nothing is invalidated by it.
//! - What is learned decides about speed only. It is there for all sessions, and ends with the server (see [`table`]).

mod table;

pub use table::Estimate;

use super::{cached, stable};
use crate::worker::raw;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::Cell;
use std::hash::{DefaultHasher, Hasher};
use std::time::Instant;
use weir_plan::ir::{Expr, Plan, Rel, Scalar};
use weir_plan::walk;

/// Numbers of no system cache, for who runs the plan.
const IN_POSTGRES: i32 = -23_001;
const IN_ENGINE: i32 = -23_002;

thread_local! {
    /// The query that Postgres runs now, since when, directly in the transaction: what became of it if the transaction is aborted.
    static RUNNING: Cell<Option<(u32, Instant)>> = const { Cell::new(None) };
}

/// Tells queries from each other, but for their constants. Where these matter, the planner sees that, too: two of the same form that are not of
/// one order of `cost` are two queries.
///
/// # Errors
/// The plan cannot be encoded.
pub fn fingerprint(plan: &Plan, cost: f64) -> weir_plan::Result<u32> {
    let mut form = plan.clone();
    forget_constants(&mut form.root);
    let mut hasher = DefaultHasher::new();
    hasher.write(&form.encode()?);
    #[allow(clippy::cast_possible_truncation, reason = "a logarithm is small")]
    hasher.write_i32(cost.max(1.0).log2().round() as i32);
    Ok((hasher.finish() >> 32) as u32)
}

fn forget_constants(rel: &mut Rel) {
    walk::each_expr_mut(rel, &mut forget_constants_in);
    walk::each_input_mut(rel, &mut forget_constants);
}

fn forget_constants_in(expr: &mut Expr) {
    if let Expr::Const { value, .. } = expr {
        *value = Scalar::Null;
    }
    walk::each_part_mut(expr, &mut forget_constants_in);
    if let Some(rel) = walk::subquery_mut(expr) {
        forget_constants(rel);
    }
}

/// Whether a query is to be routed.
pub fn belongs_to_engine(fingerprint: u32, estimate: Estimate) -> bool {
    table::with_query(fingerprint, |query| {
        query.estimate = estimate;
        query.belongs_to_engine()
    })
}

/// Has the runs of a plan timed.
///
/// # Safety
/// `plan` must be a finished plan in the current memory context.
pub unsafe fn watch(plan: *mut pg_sys::PlannedStmt, fingerprint: u32, in_engine: bool) {
    // SAFETY: a new node of its type.
    unsafe {
        let item = pg_sys::palloc0(size_of::<pg_sys::PlanInvalItem>()).cast::<pg_sys::PlanInvalItem>();
        (*item).type_ = pg_sys::NodeTag::T_PlanInvalItem;
        (*item).cacheId = if in_engine { IN_ENGINE } else { IN_POSTGRES };
        (*item).hashValue = fingerprint;
        (*plan).invalItems = pg_sys::lappend((*plan).invalItems, item.cast());
    }
}

/// Which query a plan is of, and whether the engine is to run it.
unsafe fn watched(plan: *mut pg_sys::PlannedStmt) -> Option<(u32, bool)> {
    // SAFETY: a list of PlanInvalItem, or null.
    unsafe {
        let items = (*plan).invalItems;
        if items.is_null() {
            return None;
        }
        (0..(*items).length).map(|i| pg_sys::list_nth(items, i).cast::<pg_sys::PlanInvalItem>()).find_map(|item| match (*item).cacheId {
            IN_POSTGRES => Some(((*item).hashValue, false)),
            IN_ENGINE => Some(((*item).hashValue, true)),
            _ => None,
        })
    }
}

fn took(fingerprint: u32, in_engine: bool, milliseconds: f64) {
    let changed = table::with_query(fingerprint, |query| {
        let before = query.belongs_to_engine();
        if in_engine {
            query.engine.add(milliseconds)
        } else {
            query.postgres.add(milliseconds)
        }
        before != query.belongs_to_engine()
    });
    if changed {
        cached::forget();
    }
}

static mut PREVIOUS_START: pg_sys::ExecutorStart_hook_type = None;
static mut PREVIOUS_END: pg_sys::ExecutorEnd_hook_type = None;

/// Puts our hooks before whatever is there.
pub fn install() {
    // SAFETY: called once from _PG_init, on the only thread.
    unsafe {
        PREVIOUS_START = pg_sys::ExecutorStart_hook;
        pg_sys::ExecutorStart_hook = Some(executor_start);
        PREVIOUS_END = pg_sys::ExecutorEnd_hook;
        pg_sys::ExecutorEnd_hook = Some(executor_end);
        table::install();
        pg_sys::RegisterXactCallback(Some(transaction_ended), std::ptr::null_mut());
    }
}

/// Not guarded, as the planner's hook is not.
unsafe extern "C-unwind" fn executor_start(desc: *mut pg_sys::QueryDesc, eflags: i32) {
    // SAFETY: as called.
    unsafe {
        stable::note_destination((*desc).dest);
        PREVIOUS_START.unwrap_or(raw::standard_ExecutorStart)(desc, eflags);
        if eflags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY.cast_signed() == 0 && !(*(*desc).plannedstmt).invalItems.is_null() {
            started(desc);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn started(desc: *mut pg_sys::QueryDesc) {
    // SAFETY: a query that was just started.
    unsafe {
        let Some((fingerprint, in_engine)) = watched((*desc).plannedstmt) else { return };
        if (*desc).totaltime.is_null() {
            let context = pg_sys::MemoryContextSwitchTo((*(*desc).estate).es_query_cxt);
            // All of it, since other extensions take what they find here.
            (*desc).totaltime = pg_sys::InstrAlloc(1, pg_sys::InstrumentOption::INSTRUMENT_ALL.cast_signed(), false);
            pg_sys::MemoryContextSwitchTo(context);
        }
        let directly = pg_sys::GetCurrentTransactionNestLevel() == 1;
        RUNNING.set((!in_engine && directly).then(|| (fingerprint, Instant::now())));
    }
}

/// Not guarded, as the planner's hook is not.
unsafe extern "C-unwind" fn executor_end(desc: *mut pg_sys::QueryDesc) {
    // SAFETY: as called.
    unsafe {
        if !(*(*desc).plannedstmt).invalItems.is_null() {
            ended(desc);
        }
        PREVIOUS_END.unwrap_or(raw::standard_ExecutorEnd)(desc);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn ended(desc: *mut pg_sys::QueryDesc) {
    // SAFETY: a query that is about to end.
    unsafe {
        let Some((fingerprint, in_engine)) = watched((*desc).plannedstmt) else { return };
        let in_engine = in_engine && !super::last_route().fallback;
        RUNNING.set(None);
        let time = (*desc).totaltime;
        if time.is_null() {
            return;
        }
        pg_sys::InstrEndLoop(time);
        // Nothing: it was not run.
        if (*time).total > 0.0 {
            took(fingerprint, in_engine, (*time).total * 1000.0);
        }
    }
}

/// A query that was cancelled took at least that long.
#[pg_guard]
unsafe extern "C-unwind" fn transaction_ended(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    let Some((fingerprint, since)) = RUNNING.take() else { return };
    if event == pg_sys::XactEvent::XACT_EVENT_ABORT {
        took(fingerprint, false, since.elapsed().as_secs_f64() * 1000.0);
    }
}
