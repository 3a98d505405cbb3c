//! Joins, aggregates, DISTINCT, ORDER BY and LIMIT of foreign tables of one server, for queries that also read tables that are not ours: one
//! remote statement where the planner can use it. Also joins and groups of partitions, where `enable_partitionwise_join` and
//! `enable_partitionwise_aggregate` have the planner take them apart.
//!
//! Only if what is asked for (`ask`) becomes one statement whose columns are what the planner wants, there is a path; else the reason is noted.
//!
//! Invariant: no path where rows are locked or changed: a row cannot be checked again behind a join.

use super::ask::Wish;
use super::order;
use super::paths::{ROW_COST, STARTUP_COST, length};
use super::scan::Private;
use super::shape::{self, Stage};
use crate::planner::bytes_node;
use pgrx::pg_sys;
use pgrx::prelude::*;
use weir_plan::Result;

/// Orders of sides in which a join is tried at most.
const MAX_TRIES: u32 = 3;

/// Whether the rows of the query's tables are only read, and in any order.
unsafe fn check(root: *mut pg_sys::PlannerInfo, inserts: bool) -> Result<(), String> {
    // SAFETY: a query under planning.
    unsafe {
        let command = (*(*root).parse).commandType;
        let reads = command == pg_sys::CmdType::CMD_SELECT || (inserts && command == pg_sys::CmdType::CMD_INSERT);
        if !reads || !(*root).rowMarks.is_null() {
            return Err("rows that are locked or changed".into());
        }
        if (*root).qual_security_level > 0 {
            return Err("a security barrier".into());
        }
    }
    Ok(())
}

#[pg_guard]
pub unsafe extern "C-unwind" fn join_paths(
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    outer: *mut pg_sys::RelOptInfo,
    inner: *mut pg_sys::RelOptInfo,
    kind: pg_sys::JoinType::Type,
    extra: *mut pg_sys::JoinPathExtraData,
) {
    // SAFETY: Postgres passes relations under planning.
    unsafe {
        let own = shape::info(root, joinrel);
        if !own.from.is_null() || own.tries >= MAX_TRIES || kind == pg_sys::JoinType::JOIN_UNIQUE_OUTER || kind == pg_sys::JoinType::JOIN_UNIQUE_INNER {
            return;
        }
        own.tries += 1;
        match join(root, joinrel, outer, inner, kind, (*extra).restrictlist) {
            Ok(from) => own.from = from,
            Err(why) => shape::note(root, (*joinrel).relids, Stage::Rows, &why),
        }
    }
}

/// Adds the paths of a join; the join as an item of FROM.
unsafe fn join(
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    outer: *mut pg_sys::RelOptInfo,
    inner: *mut pg_sys::RelOptInfo,
    kind: pg_sys::JoinType::Type,
    restrictions: *mut pg_sys::List,
) -> Result<*mut pg_sys::Node, String> {
    // SAFETY: as passed.
    unsafe {
        check(root, true)?;
        if !(*joinrel).lateral_relids.is_null() {
            return Err("LATERAL".into());
        }
        let from = shape::joined(joinrel, shape::of(root, outer)?, shape::of(root, inner)?, kind, restrictions)?;
        let wish = Wish { root, relids: (*joinrel).relids, from, target: (*joinrel).reltarget, stage: Stage::Rows, having: None, order: &[] };
        let plain = wish.ask()?;
        let rows = (*joinrel).rows;
        let total = STARTUP_COST + (ROW_COST + pg_sys::cpu_tuple_cost) * rows;
        add_join(root, joinrel, [rows, STARTUP_COST, total], std::ptr::null_mut(), restrictions, plain);
        // Partitions are appended in no order.
        let orders = if (*joinrel).reloptkind == pg_sys::RelOptKind::RELOPT_OTHER_JOINREL { Vec::new() } else { order::useful(root, joinrel) };
        for order in orders {
            match (Wish { order: &order.keys, ..wish }).ask() {
                Ok(private) => {
                    let sorting = sort_cost(rows);
                    add_join(root, joinrel, [rows, STARTUP_COST + sorting, total + sorting], order.pathkeys, restrictions, private);
                }
                Err(why) => shape::note(root, (*joinrel).relids, Stage::Ordered, &why),
            }
        }
        Ok(from)
    }
}

/// What sorting costs a remote server: less than half of what it costs here, where the rows come one by one.
pub fn sort_cost(rows: f64) -> f64 {
    // SAFETY: a setting.
    let operator = unsafe { pg_sys::cpu_operator_cost };
    operator * rows * rows.max(2.0).log2()
}

unsafe fn add_join(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    [rows, startup, total]: [f64; 3],
    pathkeys: *mut pg_sys::List,
    restrictions: *mut pg_sys::List,
    private: *mut pg_sys::List,
) {
    let nil: *mut pg_sys::List = std::ptr::null_mut();
    let _ = restrictions;
    // SAFETY: as passed.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreign_join_path(root, rel, nil.cast(), rows, startup, total, pathkeys, nil.cast(), nil.cast(), private);
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreign_join_path(root, rel, nil.cast(), rows, startup, total, pathkeys, nil.cast(), nil.cast(), restrictions, private);
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreign_join_path(root, rel, nil.cast(), rows, 0, startup, total, pathkeys, nil.cast(), nil.cast(), restrictions, private);
        pg_sys::add_path(rel, path.cast());
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn upper_paths(
    root: *mut pg_sys::PlannerInfo,
    kind: pg_sys::UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    extra: *mut std::ffi::c_void,
) {
    use pg_sys::UpperRelationKind::*;
    let stage = match kind {
        UPPERREL_GROUP_AGG => Stage::Grouped,
        UPPERREL_WINDOW => Stage::Windowed,
        UPPERREL_DISTINCT => Stage::Distinct,
        UPPERREL_ORDERED => Stage::Ordered,
        UPPERREL_FINAL => Stage::Limited,
        _ => return,
    };
    // SAFETY: Postgres passes relations under planning, and for the last stage its own structure.
    unsafe {
        let groups = if stage == Stage::Grouped { extra.cast::<pg_sys::GroupPathExtraData>().as_ref() } else { None };
        let limit = if stage == Stage::Limited { extra.cast::<pg_sys::FinalPathExtraData>().as_ref() } else { None };
        if stage == Stage::Limited && !limit.is_some_and(|l| l.limit_needed) {
            return;
        }
        // What was not pushed before is not pushed further.
        let known =
            matches!((*input).reloptkind, pg_sys::RelOptKind::RELOPT_BASEREL | pg_sys::RelOptKind::RELOPT_OTHER_MEMBER_REL) || !(*input).fdw_private.is_null();
        if !known || ((*input).reloptkind == pg_sys::RelOptKind::RELOPT_UPPER_REL && shape::info(root, input).from.is_null()) {
            return;
        }
        let own = shape::info(root, output);
        if !own.from.is_null() {
            return;
        }
        let below = (*input).reloptkind == pg_sys::RelOptKind::RELOPT_UPPER_REL;
        let rows = if below { shape::info(root, input).rows } else { (*input).rows };
        let done = if (*output).reloptkind == pg_sys::RelOptKind::RELOPT_OTHER_UPPER_REL {
            part(root, input, output, rows, groups)
        } else {
            upper(root, stage, kind, input, output, rows, limit)
        };
        match done {
            Ok(from) => {
                own.from = from;
                own.rows = rows;
            }
            Err(why) => {
                let partition = (*output).reloptkind == pg_sys::RelOptKind::RELOPT_OTHER_UPPER_REL;
                shape::note(root, if partition { (*input).relids } else { (*root).all_baserels }, stage, &why);
            }
        }
    }
}

/// Adds the path of the groups of one partition, where no group is in two of them; the item of FROM below it.
unsafe fn part(
    root: *mut pg_sys::PlannerInfo,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    rows_below: f64,
    groups: Option<&pg_sys::GroupPathExtraData>,
) -> Result<*mut pg_sys::Node, String> {
    // SAFETY: as passed.
    unsafe {
        check(root, false)?;
        let groups = groups.filter(|g| g.patype == pg_sys::PartitionwiseAggregateType::PARTITIONWISE_AGGREGATE_FULL).ok_or("a part of a group")?;
        let (from, target) = (shape::of(root, input)?, (*output).reltarget);
        let wish = Wish { root, relids: (*input).relids, from, target, stage: Stage::Grouped, having: Some(groups.havingQual), order: &[] };
        let private = wish.ask()?;
        let rows = estimated((*output).pathlist).unwrap_or(rows_below);
        let startup = STARTUP_COST + pg_sys::cpu_operator_cost * rows_below;
        let total = startup + (ROW_COST + pg_sys::cpu_tuple_cost) * rows;
        add_upper(root, output, target, [rows, startup * DONE_THERE, total * DONE_THERE], std::ptr::null_mut(), private);
        Ok(from)
    }
}

/// Adds the path of a stage of the query; the item of FROM below it.
unsafe fn upper(
    root: *mut pg_sys::PlannerInfo,
    stage: Stage,
    kind: pg_sys::UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    rows_below: f64,
    limit: Option<&pg_sys::FinalPathExtraData>,
) -> Result<*mut pg_sys::Node, String> {
    // SAFETY: as passed.
    unsafe {
        let parse = (*root).parse;
        check(root, false)?;
        if (*parse).hasTargetSRFs {
            return Err("a set-returning function".into());
        }
        if stage == Stage::Windowed && is_cut_short(parse) {
            return Err("a condition that Postgres checks while it computes the window".into());
        }
        let from = shape::of(root, input)?;
        let target = (*root).upper_targets.get(kind as usize).copied().filter(|t| !t.is_null()).unwrap_or((*output).reltarget);
        let private = Wish { root, relids: (*root).all_baserels, from, target, stage, having: None, order: &[] }.ask()?;
        // What is computed there does not travel, but costs something.
        let mut rows = estimated((*output).pathlist).unwrap_or(rows_below);
        let mut startup = STARTUP_COST;
        if !(*parse).groupClause.is_null() || (*parse).hasAggs || !(*parse).distinctClause.is_null() {
            startup += pg_sys::cpu_operator_cost * rows_below;
        }
        let sorted = stage >= Stage::Ordered && !(*parse).sortClause.is_null();
        let pathkeys = if sorted { (*root).sort_pathkeys } else { std::ptr::null_mut() };
        if let Some(limit) = limit {
            // What the limit leaves is known already; what it is taken from is the input's.
            rows = estimated((*input).pathlist).unwrap_or(rows_below);
            startup += if sorted { sort_cost(rows) } else { 0.0 };
            let mut total = startup + (ROW_COST + pg_sys::cpu_tuple_cost) * rows;
            pg_sys::adjust_limit_rows_costs(&raw mut rows, &raw mut startup, &raw mut total, limit.offset_est, limit.count_est);
            // Rows that nobody reads are not sent.
            add_upper(root, output, target, [rows, startup * CUT_OFF, total * CUT_OFF], pathkeys, private);
            return Ok(from);
        }
        startup += if sorted { sort_cost(rows) } else { 0.0 };
        let total = startup + (ROW_COST + pg_sys::cpu_tuple_cost) * rows;
        add_upper(root, output, target, [rows, startup * DONE_THERE, total * DONE_THERE], pathkeys, private);
        Ok(from)
    }
}

/// Whether a window function is computed only until a condition of an enclosing query does not hold any more, which is checked nowhere else.
#[cfg_attr(feature = "pg14", allow(unused_unsafe, reason = "there are no such conditions before release 15"))]
unsafe fn is_cut_short(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: a query under planning.
    unsafe {
        #[cfg(feature = "pg14")]
        let found = {
            let _ = parse;
            false
        };
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        let found =
            (0..length((*parse).windowClause)).any(|i| !(*pg_sys::list_nth((*parse).windowClause, i).cast::<pg_sys::WindowClause>()).runCondition.is_null());
        #[cfg(not(any(feature = "pg14", feature = "pg15", feature = "pg16")))]
        let found = {
            let flags = pg_sys::PVC_RECURSE_AGGREGATES | pg_sys::PVC_INCLUDE_WINDOWFUNCS | pg_sys::PVC_RECURSE_PLACEHOLDERS;
            let parts = pg_sys::pull_var_clause((*parse).targetList.cast(), flags.cast_signed());
            let mut nodes = (0..length(parts)).map(|i| pg_sys::list_nth(parts, i).cast::<pg_sys::Node>());
            nodes.any(|n| (*n).type_ == pg_sys::NodeTag::T_WindowFunc && !(*n.cast::<pg_sys::WindowFunc>()).runCondition.is_null())
        };
        found
    }
}

/// What is left of the cost if what would be done here is done there: more than the planner takes for the same, also for a few rows.
const DONE_THERE: f64 = 0.95;
/// As that, if the remote server also knows that it is not asked for all rows.
const CUT_OFF: f64 = 0.9;

unsafe fn estimated(paths: *mut pg_sys::List) -> Option<f64> {
    // SAFETY: a list of paths.
    unsafe { (length(paths) > 0).then(|| (*pg_sys::list_nth(paths, 0).cast::<pg_sys::Path>()).rows) }
}

unsafe fn add_upper(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    target: *mut pg_sys::PathTarget,
    [rows, startup, total]: [f64; 3],
    pathkeys: *mut pg_sys::List,
    private: *mut pg_sys::List,
) {
    let nil: *mut pg_sys::List = std::ptr::null_mut();
    // SAFETY: as passed.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreign_upper_path(root, rel, target, rows, startup, total, pathkeys, nil.cast(), private);
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreign_upper_path(root, rel, target, rows, startup, total, pathkeys, nil.cast(), nil, private);
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreign_upper_path(root, rel, target, rows, 0, startup, total, pathkeys, nil.cast(), nil, private);
        pg_sys::add_path(rel, path.cast());
    }
}

/// How far a path of the relation goes in the query.
unsafe fn stage_of(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Stage {
    // SAFETY: a relation under planning.
    unsafe {
        match (*rel).reloptkind {
            pg_sys::RelOptKind::RELOPT_UPPER_REL => {}
            pg_sys::RelOptKind::RELOPT_OTHER_UPPER_REL => return Stage::Grouped,
            _ => return Stage::Rows,
        }
        let of = |kind: pg_sys::UpperRelationKind::Type| {
            let rels = (*root).upper_rels.get(kind as usize).copied().unwrap_or(std::ptr::null_mut());
            (0..length(rels)).any(|i| pg_sys::list_nth(rels, i).cast::<pg_sys::RelOptInfo>() == rel)
        };
        let stages = [
            (pg_sys::UpperRelationKind::UPPERREL_FINAL, Stage::Limited),
            (pg_sys::UpperRelationKind::UPPERREL_ORDERED, Stage::Ordered),
            (pg_sys::UpperRelationKind::UPPERREL_DISTINCT, Stage::Distinct),
            (pg_sys::UpperRelationKind::UPPERREL_WINDOW, Stage::Windowed),
        ];
        stages.into_iter().find(|(kind, _)| of(*kind)).map_or(Stage::Grouped, |(_, stage)| stage)
    }
}

/// The plan node of such a path.
///
/// # Safety
/// The path was made here, for the relation.
pub unsafe fn plan(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    path: *mut pg_sys::ForeignPath,
    tlist: *mut pg_sys::List,
    outer_plan: *mut pg_sys::Plan,
) -> Result<*mut pg_sys::ForeignScan> {
    // SAFETY: by contract.
    unsafe {
        let parts = (*path).fdw_private;
        let relids = if (*rel).reloptkind == pg_sys::RelOptKind::RELOPT_UPPER_REL { (*root).all_baserels } else { (*rel).relids };
        let mut own = Private::of_node(pg_sys::list_nth(parts, 0).cast())?;
        own.kept = shape::noted(root, relids, stage_of(root, rel));
        let bytes = pg_sys::lappend(std::ptr::null_mut(), bytes_node(&own.encode()?).cast());
        let (params, columns) = (pg_sys::list_nth(parts, 1).cast(), pg_sys::list_nth(parts, 2).cast());
        Ok(pg_sys::make_foreignscan(tlist, std::ptr::null_mut(), 0, params, bytes, columns, std::ptr::null_mut(), outer_plan))
    }
}
