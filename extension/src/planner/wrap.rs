//! The plan nodes of a routed query.
//!
//! One custom scan stands at the top and keeps the standard plan as the child that runs if the engine does not. Where Postgres finishes
//! the query (a sort under its collation, then the limit), these nodes stand between that custom scan and a second one, the leaf.

use super::route::{Pushed, bytes_node};
use crate::scan::{Mode, Private, methods};
use crate::translate::{SortSpec, Top, TopLimit, Translated, special_var};
use pgrx::pg_sys;
use weir_plan::ir::Session;

/// Puts our nodes over a plan of the standard planner.
///
/// # Safety
/// `slot` must hold a finished plan; everything is allocated in the current memory context, which is that of the plan.
pub unsafe fn wrap(
    slot: *mut *mut pg_sys::Plan,
    translated: Translated,
    plan: Vec<u8>,
    remote: &Pushed,
    session: &Session,
    cursor_options: i32,
) -> Result<(), String> {
    // SAFETY: all nodes below are made here or belong to the finished plan.
    unsafe {
        let fallback = *slot;
        let options = cursor_options.cast_unsigned();
        let is_cursor = options & (pg_sys::CURSOR_OPT_FAST_PLAN | pg_sys::CURSOR_OPT_SCROLL | pg_sys::CURSOR_OPT_HOLD) != 0;
        let backwards = is_cursor && options & pg_sys::CURSOR_OPT_NO_SCROLL == 0 && pg_sys::ExecSupportsBackwardScan(fallback);
        let output = translated.plan.output.iter().map(|(_, ty)| *ty).collect();
        let private = |mode: Mode, plan: Vec<u8>, output| Private {
            mode,
            start_early: is_cursor,
            params_may_fail: translated.params_may_fail,
            plan,
            output,
            params: translated.plan.params.clone(),
            session: session.clone(),
            mirrors: remote.mirrors,
            relids: translated.mirrors.clone(),
            remotes: remote.parts.clone(),
            kept: remote.kept.clone(),
            functions: translated.functions.clone(),
        };
        let top = translated.top;
        crate::translate::adopt_typmods(&top, (*fallback).targetlist);
        let finishes = top.sort.is_some() || top.limit.is_some();
        let engine = custom_scan(fallback, &private(if finishes { Mode::Leaf } else { Mode::Single }, plan, output)).map_err(|e| e.to_string())?;
        for (i, column) in top.engine_columns.iter().enumerate() {
            let null = pg_sys::makeNullConst(column.type_oid, column.typmod, column.collation);
            append(&raw mut (*engine).custom_scan_tlist, target(null.cast(), i + 1, std::ptr::null_mut(), false).cast());
        }
        for param in &translated.params {
            append(&raw mut (*engine).custom_exprs, (*param).cast());
        }
        for entry in &top.targets {
            append(&raw mut (*engine).scan.plan.targetlist, (*entry).cast());
        }
        let root = if finishes { finish(engine, fallback, &top, is_cursor)? } else { engine };
        append(&raw mut (*root).custom_plans, fallback.cast());
        let root = root.cast::<pg_sys::Plan>();
        *slot = if backwards { pg_sys::materialize_finished_plan(root) } else { root };
    }
    Ok(())
}

/// A custom scan with the standard plan's estimates.
unsafe fn custom_scan(like: *mut pg_sys::Plan, private: &Private) -> weir_plan::Result<*mut pg_sys::CustomScan> {
    let bytes = private.encode()?;
    // SAFETY: a new node of its size; `like` is a finished plan.
    unsafe {
        let scan = node::<pg_sys::CustomScan>(pg_sys::NodeTag::T_CustomScan);
        let plan = &raw mut (*scan).scan.plan;
        (*plan).startup_cost = (*like).startup_cost;
        (*plan).total_cost = (*like).total_cost;
        (*plan).plan_rows = (*like).plan_rows;
        (*plan).plan_width = (*like).plan_width;
        // Parameters of the executor that the fallback needs are ours too.
        (*plan).extParam = pg_sys::bms_copy((*like).extParam);
        (*plan).allParam = pg_sys::bms_copy((*like).allParam);
        // Projection of the final expressions is ours to do.
        (*scan).flags = 0;
        (*scan).methods = methods();
        append(&raw mut (*scan).custom_private, bytes_node(&bytes));
        Ok(scan)
    }
}

/// Sort and limit over the leaf, and the root above.
unsafe fn finish(leaf: *mut pg_sys::CustomScan, fallback: *mut pg_sys::Plan, top: &Top, is_cursor: bool) -> Result<*mut pg_sys::CustomScan, String> {
    // SAFETY: new nodes over nodes made here.
    unsafe {
        let mut chain = leaf.cast::<pg_sys::Plan>();
        if let Some(keys) = &top.sort {
            chain = sort(chain, keys).cast();
        }
        if let Some(TopLimit { offset, count }) = top.limit {
            let limit = node::<pg_sys::Limit>(pg_sys::NodeTag::T_Limit);
            over(&raw mut (*limit).plan, chain);
            (*limit).limitOffset = offset;
            (*limit).limitCount = count;
            (*limit).limitOption = pg_sys::LimitOption::LIMIT_OPTION_COUNT;
            chain = limit.cast();
        }
        let private = Private {
            mode: Mode::Root,
            start_early: is_cursor,
            params_may_fail: false,
            plan: Vec::new(),
            output: Vec::new(),
            params: Vec::new(),
            session: crate::planner::current_session(),
            mirrors: false,
            relids: Vec::new(),
            remotes: Vec::new(),
            kept: Vec::new(),
            functions: Vec::new(),
        };
        let root = custom_scan(fallback, &private).map_err(|e| e.to_string())?;
        (*root).scan.plan.targetlist = references((*chain).targetlist, i64::from(pg_sys::INDEX_VAR));
        // What describes the scanned tuple must not refer to itself.
        (*root).custom_scan_tlist = nulls((*chain).targetlist);
        append(&raw mut (*root).custom_plans, chain.cast());
        Ok(root)
    }
}

unsafe fn sort(child: *mut pg_sys::Plan, keys: &[SortSpec]) -> *mut pg_sys::Sort {
    // SAFETY: arrays of the number of keys, filled completely.
    unsafe {
        let sort = node::<pg_sys::Sort>(pg_sys::NodeTag::T_Sort);
        over(&raw mut (*sort).plan, child);
        let n = keys.len();
        (*sort).numCols = i32::try_from(n).unwrap_or(0);
        (*sort).sortColIdx = pg_sys::palloc(n * size_of::<pg_sys::AttrNumber>()).cast();
        (*sort).sortOperators = pg_sys::palloc(n * size_of::<pg_sys::Oid>()).cast();
        (*sort).collations = pg_sys::palloc(n * size_of::<pg_sys::Oid>()).cast();
        (*sort).nullsFirst = pg_sys::palloc(n * size_of::<bool>()).cast();
        for (i, key) in keys.iter().enumerate() {
            (*sort).sortColIdx.add(i).write(pg_sys::AttrNumber::try_from(key.target_index + 1).unwrap_or(0));
            (*sort).sortOperators.add(i).write(key.sort_op);
            (*sort).collations.add(i).write(key.collation);
            (*sort).nullsFirst.add(i).write(key.nulls_first);
        }
        sort
    }
}

/// Puts a node over a child: same estimates, and the child's columns as its own.
unsafe fn over(plan: *mut pg_sys::Plan, child: *mut pg_sys::Plan) {
    // SAFETY: both are live nodes.
    unsafe {
        (*plan).lefttree = child;
        (*plan).startup_cost = (*child).startup_cost;
        (*plan).total_cost = (*child).total_cost;
        (*plan).plan_rows = (*child).plan_rows;
        (*plan).plan_width = (*child).plan_width;
        (*plan).extParam = pg_sys::bms_copy((*child).extParam);
        (*plan).allParam = pg_sys::bms_copy((*child).allParam);
        (*plan).targetlist = references((*child).targetlist, i64::from(pg_sys::OUTER_VAR));
    }
}

/// A target list that takes over all columns of another.
unsafe fn references(of: *mut pg_sys::List, varno: i64) -> *mut pg_sys::List {
    // SAFETY: a list of target entries.
    unsafe {
        map_targets(of, |entry, i| {
            let expr = (*entry).expr.cast();
            special_var(varno, i, pg_sys::exprType(expr), pg_sys::exprTypmod(expr), pg_sys::exprCollation(expr), 0).cast()
        })
    }
}

/// As [`references`], with typed nulls for expressions.
unsafe fn nulls(of: *mut pg_sys::List) -> *mut pg_sys::List {
    // SAFETY: a list of target entries.
    unsafe {
        map_targets(of, |entry, _| {
            let expr = (*entry).expr.cast();
            pg_sys::makeNullConst(pg_sys::exprType(expr), pg_sys::exprTypmod(expr), pg_sys::exprCollation(expr)).cast()
        })
    }
}

unsafe fn map_targets(of: *mut pg_sys::List, expr: impl Fn(*mut pg_sys::TargetEntry, usize) -> *mut pg_sys::Expr) -> *mut pg_sys::List {
    let mut list = std::ptr::null_mut();
    // SAFETY: a list of target entries; copies are allocated here.
    unsafe {
        let n = if of.is_null() { 0 } else { (*of).length };
        for i in 0..n {
            let entry = pg_sys::list_nth(of, i).cast::<pg_sys::TargetEntry>();
            let index = usize::try_from(i).unwrap_or(0);
            let name = if (*entry).resname.is_null() { std::ptr::null_mut() } else { pg_sys::pstrdup((*entry).resname) };
            let made = target(expr(entry, index), index + 1, name, (*entry).resjunk);
            (*made).ressortgroupref = (*entry).ressortgroupref;
            (*made).resorigtbl = (*entry).resorigtbl;
            (*made).resorigcol = (*entry).resorigcol;
            append(&raw mut list, made.cast());
        }
    }
    list
}

unsafe fn target(expr: *mut pg_sys::Expr, resno: usize, name: *mut std::ffi::c_char, junk: bool) -> *mut pg_sys::TargetEntry {
    // SAFETY: makes a node.
    unsafe { pg_sys::makeTargetEntry(expr, pg_sys::AttrNumber::try_from(resno).unwrap_or(0), name, junk) }
}

unsafe fn append(list: *mut *mut pg_sys::List, node: *mut pg_sys::Node) {
    // SAFETY: the list pointer is part of a live node or a local.
    unsafe { *list = pg_sys::lappend(*list, node.cast()) };
}

unsafe fn node<T>(tag: pg_sys::NodeTag) -> *mut T {
    // SAFETY: every node begins with its tag; the rest is zero.
    unsafe {
        let p = pg_sys::palloc0(size_of::<T>()).cast::<T>();
        p.cast::<pg_sys::Node>().write(pg_sys::Node { type_: tag });
        p
    }
}
