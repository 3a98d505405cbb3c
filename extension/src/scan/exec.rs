//! The custom scan's callbacks: shims that unpack pointers, and what they do.

use super::run::{self, Run};
use super::{EXEC_METHODS, Mode, Private, slot};
use crate::client::{Client, unexpected};
use crate::worker::raw;
use crate::{error, planner, settings};
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::prelude::*;
use weir_plan::ir::Scalar;
use weir_plan::protocol::{FromEngine, ToEngine};
use weir_plan::{Error, Result};

/// The node's state; begins with Postgres's part, so that both can be cast to each other.
#[repr(C)]
struct State {
    css: pg_sys::CustomScanState,
    /// Lives in the query's memory context, dropped with it. Null until `begin`.
    body: *mut Body,
}

struct Body {
    private: Private,
    params: *mut pg_sys::List,
    /// Those whose evaluation may fail, evaluated at the begin: a subtransaction cannot start once Postgres is in parallel mode, which the
    /// standard plan may ask for.
    evaluated: Option<Result<Vec<Scalar>>>,
    run: Option<Run>,
    /// Rows have been returned: it is too late to start anew in Postgres.
    delivered: bool,
    /// The standard plan's state, once it runs instead.
    fallback: *mut pg_sys::PlanState,
    /// Takes away the sort columns of the standard plan that our node does not announce; null if there are none.
    junk_filter: *mut pg_sys::JunkFilter,
    fallback_reason: String,
    /// For a root: the state of the chain and of its leaf.
    chain: *mut pg_sys::PlanState,
    leaf: *mut State,
    started: bool,
    /// Who opened the query: whose user mappings are taken.
    user: pg_sys::Oid,
    /// The query sees what a calling query sees, which no snapshot of the engine is equal to.
    is_part: bool,
    eflags: i32,
    shown_lsn: u64,
}

#[pg_guard]
pub unsafe extern "C-unwind" fn create_state(_scan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: a zeroed node of our size, tagged as Postgres expects.
    unsafe {
        let state = pg_sys::palloc0(size_of::<State>()).cast::<State>();
        state.cast::<pg_sys::Node>().write(pg_sys::Node { type_: pg_sys::NodeTag::T_CustomScanState });
        (*state).css.methods = &raw const EXEC_METHODS.0;
        state.cast()
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn begin(node: *mut pg_sys::CustomScanState, estate: *mut pg_sys::EState, eflags: i32) {
    // SAFETY: Postgres passes the state that `create_state` made.
    unsafe {
        let state = node.cast::<State>();
        let scan = (*node).ss.ps.plan.cast::<pg_sys::CustomScan>();
        let private = Private::of(scan).unwrap_or_else(|e| error::raise(&e));
        let mut body = Body {
            params: std::ptr::null_mut(),
            evaluated: None,
            run: None,
            delivered: false,
            fallback: std::ptr::null_mut(),
            junk_filter: std::ptr::null_mut(),
            fallback_reason: String::new(),
            chain: std::ptr::null_mut(),
            leaf: std::ptr::null_mut(),
            started: false,
            user: pg_sys::GetUserId(),
            is_part: shares_snapshot((*estate).es_snapshot) || planner::shares_snapshot(),
            eflags,
            shown_lsn: 0,
            private,
        };
        if body.private.mode == Mode::Root {
            body.chain = pg_sys::ExecInitNode(pg_sys::list_nth((*scan).custom_plans, 0).cast(), estate, eflags);
            (*node).custom_ps = pg_sys::lappend((*node).custom_ps, body.chain.cast());
            body.leaf = find_leaf(body.chain);
        } else {
            body.params = pg_sys::ExecInitExprList((*scan).custom_exprs, node.cast());
        }
        let early = body.private.start_early;
        (*state).body = PgMemoryContexts::For((*estate).es_query_cxt).leak_and_drop_on_delete(body);
        let explain_only = eflags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY.cast_signed() != 0;
        if !explain_only && (*(*state).body).private.mode != Mode::Root && (*(*state).body).private.params_may_fail {
            (*(*state).body).evaluated = Some(parameters(state));
        }
        if !explain_only && (*(*state).body).private.mode != Mode::Leaf {
            planner::note_started();
            if early {
                start(state);
            }
        }
    }
}

/// Whether another query runs under the same snapshot: the one that called the STABLE function in which this one stands.
///
/// Each query at work has registered its snapshot twice (its `QueryDesc` and its `EState`); a portal that keeps its result, such as
/// EXECUTE's, once more.
unsafe fn shares_snapshot(snapshot: pg_sys::Snapshot) -> bool {
    const ONE_QUERY: u32 = 2;
    // SAFETY: null, or the snapshot that the executor has just registered.
    unsafe { !snapshot.is_null() && (*snapshot).regd_count >= 2 * ONE_QUERY }
}

unsafe fn find_leaf(mut ps: *mut pg_sys::PlanState) -> *mut State {
    // SAFETY: the chain is Limit and Sort over a custom scan of ours.
    unsafe {
        while (*ps).type_ != pg_sys::NodeTag::T_CustomScanState {
            ps = (*ps).lefttree;
        }
    }
    ps.cast()
}

/// Not guarded, so that errors of the standard plan keep their context and the names of what they are about: nothing here may own anything.
pub unsafe extern "C-unwind" fn exec(node: *mut pg_sys::CustomScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: begun before.
    unsafe {
        let state = node.cast::<State>();
        let body = (*state).body;
        if !(*body).started && (*body).private.mode != Mode::Leaf {
            start_guarded(state);
        }
        if !(*body).fallback.is_null() {
            let slot = exec_node((*body).fallback);
            let done = slot.is_null() || u32::from((*slot).tts_flags) & pg_sys::TTS_FLAG_EMPTY != 0;
            return if done || (*body).junk_filter.is_null() { slot } else { pg_sys::ExecFilterJunk((*body).junk_filter, slot) };
        }
        if (*body).private.mode == Mode::Root {
            return exec_node((*body).chain);
        }
        raw::ExecScan(&raw mut (*node).ss, Some(next), Some(recheck))
    }
}

/// The next row of a node. Source: `ExecProcNode` in `executor.h`.
unsafe fn exec_node(node: *mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: an initialised node.
    unsafe {
        if !(*node).chgParam.is_null() {
            pg_sys::ExecReScan(node);
        }
        (*node).ExecProcNode.map_or(std::ptr::null_mut(), |exec| exec(node))
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn start_guarded(state: *mut State) {
    // SAFETY: begun before.
    unsafe { start(state) };
}

/// Starts the engine's part, or the standard plan if that cannot be.
unsafe fn start(state: *mut State) {
    // SAFETY: begun before; the leaf of a root is begun too.
    unsafe {
        let body = (*state).body;
        (*body).started = true;
        let asking = if (*body).private.mode == Mode::Root { (*body).leaf } else { state };
        if (*body).is_part && (*(*asking).body).private.mirrors && settings::freshness() != settings::Freshness::Any {
            return fall_back(state, &Error::refused("the query is part of another one, and sees what that sees"));
        }
        // The standard plan says it in Postgres's words, if it gets there.
        if !(*(*asking).body).private.functions.iter().all(|f| may_execute(*f, (*body).user)) {
            return fall_back(state, &Error::refused("the role may not execute a function of the query"));
        }
        let parameters = parameters(asking);
        let context = (*(*state).css.ss.ps.state).es_query_cxt;
        let cost = (*(*state).css.ss.ps.plan).total_cost;
        match parameters.and_then(|params| Run::start(&(*(*asking).body).private, cost, params, (*body).user, context)) {
            Ok(run) => {
                (*body).shown_lsn = run.snapshot_lsn;
                (*(*asking).body).run = Some(run);
            }
            Err(e) if error::falls_back(&e) => fall_back(state, &e),
            Err(e) => error::raise(&e),
        }
    }
}

/// Whether the role may call a function.
#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn may_execute(function: u32, user: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up in a transaction.
    unsafe { pg_sys::pg_proc_aclcheck(function.into(), user, pg_sys::ACL_EXECUTE as pg_sys::AclMode) == pg_sys::AclResult::ACLCHECK_OK }
}

#[cfg(not(any(feature = "pg14", feature = "pg15")))]
unsafe fn may_execute(function: u32, user: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up in a transaction.
    unsafe { pg_sys::object_aclcheck(pg_sys::ProcedureRelationId, function.into(), user, pg_sys::ACL_EXECUTE.into()) == pg_sys::AclResult::ACLCHECK_OK }
}

/// Evaluates the parameters; where that may raise what Postgres would not, in a subtransaction.
unsafe fn parameters(state: *mut State) -> Result<Vec<Scalar>> {
    // SAFETY: begun before.
    unsafe {
        let body = (*state).body;
        let econtext = (*state).css.ss.ps.ps_ExprContext;
        if let Some(values) = &(*body).evaluated {
            return values.clone();
        }
        if !(*body).private.params_may_fail {
            return run::evaluate((*body).params, &(*body).private.params, econtext);
        }
        if pg_sys::IsInParallelMode() {
            return Err(Error::refused("a parameter that may fail is not evaluated during a parallel operation"));
        }
        crate::attempt::attempt(|| run::evaluate((*body).params, &(*body).private.params, econtext))
            .unwrap_or_else(|| Err(Error::refused("a parameter could not be evaluated")))
    }
}

/// Runs the standard plan from here on.
unsafe fn fall_back(state: *mut State, why: &Error) {
    // SAFETY: begun before; the last child plan is the standard one, and its state belongs to the query's context.
    unsafe {
        let body = (*state).body;
        let scan = (*state).css.ss.ps.plan.cast::<pg_sys::CustomScan>();
        let estate = (*state).css.ss.ps.state;
        let reason = why.detail.as_ref().map_or_else(|| why.message.clone(), |d| format!("{}: {d}", why.message));
        planner::note_fallback(&reason);
        (*body).fallback_reason = reason;
        let last = (*(*scan).custom_plans).length - 1;
        let previous = pg_sys::MemoryContextSwitchTo((*estate).es_query_cxt);
        (*body).fallback = pg_sys::ExecInitNode(pg_sys::list_nth((*scan).custom_plans, last).cast(), estate, (*body).eflags);
        (*state).css.custom_ps = pg_sys::lappend(std::ptr::null_mut(), (*body).fallback.cast());
        let theirs = (*(*(*body).fallback).plan).targetlist;
        if has_junk(theirs) && !has_junk((*scan).scan.plan.targetlist) {
            (*body).junk_filter = junk_filter(theirs);
        }
        pg_sys::MemoryContextSwitchTo(previous);
    }
}

unsafe fn has_junk(targets: *mut pg_sys::List) -> bool {
    // SAFETY: a list of target entries.
    unsafe {
        let n = if targets.is_null() { 0 } else { (*targets).length };
        (0..n).any(|i| (*pg_sys::list_nth(targets, i).cast::<pg_sys::TargetEntry>()).resjunk)
    }
}

unsafe fn junk_filter(targets: *mut pg_sys::List) -> *mut pg_sys::JunkFilter {
    // SAFETY: makes a filter and its slot in the current memory context, which is the query's.
    unsafe { pg_sys::ExecInitJunkFilter(targets, pg_sys::MakeTupleTableSlot(std::ptr::null_mut(), &raw const pg_sys::TTSOpsVirtual)) }
}

/// Access method of ExecScan: the next row of the engine, or an empty slot.
#[pg_guard]
unsafe extern "C-unwind" fn next(node: *mut pg_sys::ScanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: begun before; the scan slot has one place for each output column.
    unsafe {
        let body = (*node.cast::<State>()).body;
        let slot = (*node).ss_ScanTupleSlot;
        slot::clear(slot);
        let Some(run) = (*body).run.as_mut() else { return slot };
        match run.next_row((*slot).tts_values, (*slot).tts_isnull) {
            Ok(true) => {
                (*body).delivered = true;
                slot::stored(slot);
                slot
            }
            Ok(false) => slot,
            Err(e) => error::raise(&e),
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn recheck(_node: *mut pg_sys::ScanState, _slot: *mut pg_sys::TupleTableSlot) -> bool {
    // Only row locks ask for it, and queries with row locks are not routed.
    true
}

#[pg_guard]
pub unsafe extern "C-unwind" fn end(node: *mut pg_sys::CustomScanState) {
    // SAFETY: begun before, unless begin itself failed.
    unsafe {
        let body = (*node.cast::<State>()).body;
        if body.is_null() {
            return;
        }
        // Closes the connection if the answer was not read to its end, which cancels the query.
        (*body).run = None;
        if !(*body).chain.is_null() {
            pg_sys::ExecEndNode((*body).chain);
        }
        if !(*body).fallback.is_null() {
            pg_sys::ExecEndNode((*body).fallback);
        }
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::CustomScanState) {
    // SAFETY: begun before.
    unsafe {
        let body = (*node.cast::<State>()).body;
        if !(*body).fallback.is_null() {
            pg_sys::ExecReScan((*body).fallback);
            return;
        }
        (*body).run = None;
        (*body).started = false;
        if !(*body).chain.is_null() {
            (*(*(*body).leaf).body).run = None;
            pg_sys::ExecReScan((*body).chain);
        } else {
            pg_sys::ExecScanReScan(&raw mut (*node).ss);
        }
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn explain(node: *mut pg_sys::CustomScanState, _ancestors: *mut pg_sys::List, es: *mut pg_sys::ExplainState) {
    // SAFETY: begun before.
    unsafe {
        let body = (*node.cast::<State>()).body;
        if (*body).private.mode == Mode::Leaf {
            return;
        }
        text(es, c"Engine", (*body).private.session.engine.name());
        if !(*body).fallback.is_null() {
            text(es, c"Run by Postgres", &(*body).fallback_reason);
        } else if (*body).shown_lsn != 0 && (*es).summary {
            text(es, c"Snapshot LSN", &format!("{:X}/{:X}", (*body).shown_lsn >> 32, (*body).shown_lsn & 0xffff_ffff));
        }
        let asking = if (*body).leaf.is_null() { body } else { (*(*body).leaf).body };
        if let Some(metrics) = (*asking).run.as_ref().and_then(|r| r.metrics.as_ref()).filter(|_| (*es).analyze) {
            if (*es).timing {
                text(es, c"Engine Time", &format!("{:.3} ms", metrics.elapsed_us as f64 / 1000.0));
            }
            // As Postgres hides what differs from run to run where costs are hidden.
            if (*es).costs {
                text(es, c"Engine Memory", &format!("{} kB", metrics.peak_memory_bytes.div_ceil(1024)));
            }
            if metrics.spilled_bytes > 0 {
                text(es, c"Engine Spilled", &format!("{} kB", metrics.spilled_bytes.div_ceil(1024)));
            }
            let rows = metrics.remotes.iter().map(|remote| {
                let keys = remote.keys.map_or_else(String::new, |n| format!(", for {n} join keys that were sent"));
                format!("{} of server \"{}\"{keys}", remote.rows, remote.server)
            });
            texts(es, c"Remote Rows", rows);
        }
        let remotes = &(*asking).private.remotes;
        let (all, one) = (c"Remote Statements".as_ptr(), c"Remote Statement".as_ptr());
        if !remotes.is_empty() {
            pg_sys::ExplainOpenGroup(all, all, false, es);
            for part in remotes {
                pg_sys::ExplainOpenGroup(one, std::ptr::null(), true, es);
                text(es, c"Remote Server", &part.name);
                text(es, c"Remote SQL", &part.sql);
                if let Some(rows) = part.rows.and_then(|rows| i64::try_from(rows).ok()).filter(|_| (*es).costs) {
                    pg_sys::ExplainPropertyInteger(c"Estimated Rows".as_ptr(), std::ptr::null(), rows, es);
                }
                pg_sys::ExplainCloseGroup(one, std::ptr::null(), true, es);
            }
            pg_sys::ExplainCloseGroup(all, all, false, es);
        }
        if (*es).verbose {
            texts(es, c"Not Pushed", (*asking).private.kept.iter().cloned());
            let plan = engine_plan(&(*asking).private.plan).unwrap_or_else(|e| e.to_string());
            texts(es, c"Engine Plan", plan.lines().map(str::to_owned));
        }
    }
}

/// The engine's physical plan.
fn engine_plan(plan: &[u8]) -> Result<String> {
    let mut client = Client::take()?;
    match client.ask(&ToEngine::Prepare { plan: plan.to_vec(), explain: true })? {
        FromEngine::Prepared { explain } => {
            client.give_back();
            Ok(explain.unwrap_or_default())
        }
        other => Err(unexpected(&other)),
    }
}

/// One line of EXPLAIN.
pub unsafe fn text(es: *mut pg_sys::ExplainState, label: &std::ffi::CStr, value: &str) {
    let value = std::ffi::CString::new(value.replace('\0', "")).unwrap_or_default();
    // SAFETY: both are C strings; Postgres copies them.
    unsafe { pg_sys::ExplainPropertyText(label.as_ptr(), value.as_ptr(), es) };
}

/// Lines of EXPLAIN with the same label: a list in the formats in which a label stands once.
pub unsafe fn texts(es: *mut pg_sys::ExplainState, label: &std::ffi::CStr, values: impl Iterator<Item = String>) {
    // SAFETY: as in `text`; the list's strings are copied by Postgres.
    unsafe {
        if (*es).format == pg_sys::ExplainFormat::EXPLAIN_FORMAT_TEXT {
            values.for_each(|value| text(es, label, &value));
            return;
        }
        let mut list = std::ptr::null_mut();
        for value in values {
            let value = std::ffi::CString::new(value.replace('\0', "")).unwrap_or_default();
            list = pg_sys::lappend(list, pg_sys::pstrdup(value.as_ptr()).cast());
        }
        if !list.is_null() {
            pg_sys::ExplainPropertyList(label.as_ptr(), list, es);
        }
    }
}
