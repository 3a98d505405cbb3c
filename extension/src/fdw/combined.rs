//! Joins and aggregates of foreign tables of one server, for queries that also read tables that are not ours: one remote statement where the
//! planner can use it.
//!
//! What is asked for is put together as a query of its own (the relations, all conditions on them, the grouping) and goes the way of every query that
//! is taken over: the same translation, the same rules of what a server answers exactly. Only if it becomes one statement whose columns are what
//! the planner wants, there is a path.
//!
//! Invariants:
//! - Inner joins only, and only where every condition goes with them.
//! - No path where rows are locked or changed: a row cannot be checked again behind a join.

use super::catalog::{self, Tables};
use super::paths::{ROW_COST, STARTUP_COST, length};
use super::reader::Statement;
use super::scan::Private;
use crate::planner::{self, bytes_node};
use crate::translate;
use pgrx::pg_sys;
use pgrx::prelude::*;
use weir_plan::Error;
use weir_plan::ir::{Rel, ServerRef};

/// The conditions of a relation that can be asked for as a whole, in `fdw_private` of a join.
unsafe fn clauses(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Option<*mut pg_sys::List> {
    // SAFETY: a relation under planning.
    unsafe {
        match (*rel).reloptkind {
            pg_sys::RelOptKind::RELOPT_BASEREL => {
                let rte = *(*root).simple_rte_array.add((*rel).relid as usize);
                if (*rte).rtekind != pg_sys::RTEKind::RTE_RELATION || !(*rel).lateral_relids.is_null() {
                    return None;
                }
                actual((*rel).baserestrictinfo)
            }
            // A join has them if it was found to be possible.
            pg_sys::RelOptKind::RELOPT_JOINREL if !(*rel).fdw_private.is_null() => {
                let conditions = (*rel).fdw_private.cast::<pg_sys::List>();
                // The first is a mark, so that the list is never empty.
                Some(pg_sys::list_copy_tail(conditions, 1))
            }
            _ => None,
        }
    }
}

/// The conditions of a list, unless one is not to be asked before others.
unsafe fn actual(infos: *mut pg_sys::List) -> Option<*mut pg_sys::List> {
    let mut list = std::ptr::null_mut();
    // SAFETY: a list of RestrictInfo.
    unsafe {
        for i in 0..length(infos) {
            let info = pg_sys::list_nth(infos, i).cast::<pg_sys::RestrictInfo>();
            if (*info).pseudoconstant || (*info).security_level > 0 {
                return None;
            }
            list = pg_sys::lappend(list, (*info).clause.cast());
        }
    }
    Some(list)
}

/// Whether the query only reads.
unsafe fn reads_only(root: *mut pg_sys::PlannerInfo) -> bool {
    // SAFETY: a query under planning.
    unsafe { (*(*root).parse).commandType == pg_sys::CmdType::CMD_SELECT && (*root).rowMarks.is_null() && (*root).qual_security_level == 0 }
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
        if !(*joinrel).fdw_private.is_null() || kind != pg_sys::JoinType::JOIN_INNER || !(*joinrel).lateral_relids.is_null() || !reads_only(root) {
            return;
        }
        let Some(conditions) = all_conditions(root, outer, inner, (*extra).restrictlist) else { return };
        let Ok(private) = private(root, joinrel, conditions, (*joinrel).reltarget, false) else { return };
        let mark = pg_sys::makeBoolConst(true, false);
        (*joinrel).fdw_private = pg_sys::list_concat(pg_sys::lappend(std::ptr::null_mut(), mark.cast()), conditions).cast();
        let rows = (*joinrel).rows;
        let total = STARTUP_COST + (ROW_COST + pg_sys::cpu_tuple_cost) * rows;
        let nil: *mut pg_sys::List = std::ptr::null_mut();
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreign_join_path(root, joinrel, nil.cast(), rows, STARTUP_COST, total, nil, std::ptr::null_mut(), nil.cast(), private);
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreign_join_path(
            root,
            joinrel,
            nil.cast(),
            rows,
            STARTUP_COST,
            total,
            nil,
            std::ptr::null_mut(),
            nil.cast(),
            (*extra).restrictlist,
            private,
        );
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreign_join_path(
            root,
            joinrel,
            nil.cast(),
            rows,
            0,
            STARTUP_COST,
            total,
            nil,
            std::ptr::null_mut(),
            nil.cast(),
            (*extra).restrictlist,
            private,
        );
        pg_sys::add_path(joinrel, path.cast());
    }
}

unsafe fn all_conditions(
    root: *mut pg_sys::PlannerInfo,
    outer: *mut pg_sys::RelOptInfo,
    inner: *mut pg_sys::RelOptInfo,
    joining: *mut pg_sys::List,
) -> Option<*mut pg_sys::List> {
    // SAFETY: relations under planning.
    unsafe {
        let (left, right, between) = (clauses(root, outer)?, clauses(root, inner)?, actual(joining)?);
        let all = pg_sys::list_concat(pg_sys::list_copy(left), right);
        Some(pg_sys::list_concat(all, between))
    }
}

#[pg_guard]
pub unsafe extern "C-unwind" fn upper_paths(
    root: *mut pg_sys::PlannerInfo,
    stage: pg_sys::UpperRelationKind::Type,
    input: *mut pg_sys::RelOptInfo,
    output: *mut pg_sys::RelOptInfo,
    _extra: *mut std::ffi::c_void,
) {
    // SAFETY: Postgres passes relations under planning.
    unsafe {
        let parse = (*root).parse;
        if stage != pg_sys::UpperRelationKind::UPPERREL_GROUP_AGG || !(*parse).groupingSets.is_null() || !reads_only(root) {
            return;
        }
        let Some(conditions) = clauses(root, input) else { return };
        let target = (*output).reltarget;
        let Ok(private) = private(root, input, conditions, target, true) else { return };
        let rows = groups(root, parse, input);
        // What is grouped there does not travel, but costs something.
        let startup = STARTUP_COST + pg_sys::cpu_operator_cost * (*input).rows;
        let total = startup + (ROW_COST + pg_sys::cpu_tuple_cost) * rows;
        let nil: *mut pg_sys::List = std::ptr::null_mut();
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreign_upper_path(root, output, target, rows, startup, total, nil, nil.cast(), private);
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreign_upper_path(root, output, target, rows, startup, total, nil, nil.cast(), nil, private);
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreign_upper_path(root, output, target, rows, 0, startup, total, nil, nil.cast(), nil, private);
        pg_sys::add_path(output, path.cast());
    }
}

unsafe fn groups(root: *mut pg_sys::PlannerInfo, parse: *mut pg_sys::Query, input: *mut pg_sys::RelOptInfo) -> f64 {
    // SAFETY: a query under planning.
    unsafe {
        if (*parse).groupClause.is_null() {
            return 1.0;
        }
        let exprs = pg_sys::get_sortgrouplist_exprs((*parse).groupClause, (*parse).targetList);
        pg_sys::estimate_num_groups(root, exprs, (*input).rows, std::ptr::null_mut(), std::ptr::null_mut())
    }
}

/// What the path carries: the plan node's own bytes, the parameters, and the expressions that the statement's columns are.
unsafe fn private(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    conditions: *mut pg_sys::List,
    target: *mut pg_sys::PathTarget,
    grouped: bool,
) -> Result<*mut pg_sys::List, String> {
    // SAFETY: a query under planning; the query is made here, of copies.
    unsafe {
        let query = query_of(root, rel, conditions, target, grouped);
        let session = planner::current_session();
        let translated = translate::translate(query, (*(*root).glob).boundParams, &|_| None, &catalog::server_of, &|_| true, session)?;
        let (mut plan, top) = (translated.plan, translated.top);
        if translated.params_may_fail || top.sort.is_some() || top.limit.is_some() {
            return Err("something to finish here".into());
        }
        let tables = Tables::new();
        weir_fdw::push::push(&mut plan, &|s| tables.get(s))?;
        let Rel::Remote(statement) = &plan.root else { return Err("more than one statement".into()) };
        let server: ServerRef = statement.server;
        let engine = catalog::engine_of_server(server.server.into()).ok_or("a server of no engine")?;
        if !plan.params.iter().all(|ty| engine.dialect.holds(ty)) {
            return Err("a parameter of this type".into());
        }
        // Each column of the target is a column of the statement.
        let (mut places, mut tlist) = (Vec::new(), std::ptr::null_mut());
        for (entry, n) in top.targets.iter().zip(1i16..) {
            let expr = (**entry).expr;
            let var = expr.cast::<pg_sys::Var>();
            let wanted = pg_sys::list_nth((*target).exprs, i32::from(n) - 1).cast::<pg_sys::Expr>();
            if (*expr).type_ != pg_sys::NodeTag::T_Var
                || i64::from((*var).varno) != pg_sys::INDEX_VAR as i64
                || pg_sys::exprType(wanted.cast()) != (*var).vartype
            {
                return Err("a column to finish here".into());
            }
            places.push(usize::try_from((*var).varattno - 1).map_err(|_| "a column that is lost")?);
            tlist = pg_sys::lappend(tlist, pg_sys::makeTargetEntry(pg_sys::copyObjectImpl(wanted.cast()).cast(), n, std::ptr::null_mut(), false).cast());
        }
        if places.len() != usize::try_from(length((*target).exprs)).unwrap_or(0) {
            return Err("other columns".into());
        }
        // In the order of the target.
        plan.output = places.iter().map(|p| plan.output.get(*p).copied().ok_or("a column that is lost")).collect::<Result<_, _>>()?;
        let shown = weir_fdw::text(&statement.sql, None, engine.dialect)?;
        let text = |e: Error| e.to_string();
        let own = Private {
            server_name: statement.name.clone(),
            sql: shown,
            kept: Vec::new(),
            attnums: (1i16..).take(places.len()).collect(),
            params: plan.params.clone(),
            statement: Statement {
                server,
                relids: relids(root, rel),
                output: plan.output.iter().map(|(_, ty)| *ty).collect(),
                locks: false,
                plan: plan.encode().map_err(text)?,
            },
        };
        let mut params = std::ptr::null_mut();
        for p in translated.params {
            params = pg_sys::lappend(params, p.cast());
        }
        let bytes = bytes_node(&own.encode().map_err(text)?);
        let list = pg_sys::lappend(std::ptr::null_mut(), bytes.cast());
        Ok(pg_sys::lappend(pg_sys::lappend(list, params.cast()), tlist.cast()))
    }
}

/// The plan node of such a path.
///
/// # Safety
/// The path was made here.
pub unsafe fn plan(path: *mut pg_sys::ForeignPath, tlist: *mut pg_sys::List, outer_plan: *mut pg_sys::Plan) -> *mut pg_sys::ForeignScan {
    // SAFETY: by contract.
    unsafe {
        let parts = (*path).fdw_private;
        let bytes = pg_sys::lappend(std::ptr::null_mut(), pg_sys::list_nth(parts, 0));
        let (params, columns) = (pg_sys::list_nth(parts, 1).cast(), pg_sys::list_nth(parts, 2).cast());
        pg_sys::make_foreignscan(tlist, std::ptr::null_mut(), 0, params, bytes, columns, std::ptr::null_mut(), outer_plan)
    }
}

/// The range table entries of a relation.
unsafe fn members(rel: *mut pg_sys::RelOptInfo) -> Vec<i32> {
    let (mut all, mut member) = (Vec::new(), -1);
    loop {
        // SAFETY: a set of range table indexes.
        member = unsafe { pg_sys::bms_next_member((*rel).relids, member) };
        if member < 0 {
            return all;
        }
        all.push(member);
    }
}

unsafe fn relids(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> Vec<u32> {
    // SAFETY: base relations of the query.
    unsafe { members(rel).iter().filter_map(|i| usize::try_from(*i).ok()).map(|i| (**(*root).simple_rte_array.add(i)).relid.to_u32()).collect() }
}

/// SELECT target FROM the relations WHERE all conditions, grouped and with HAVING as the query under planning is.
unsafe fn query_of(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    conditions: *mut pg_sys::List,
    target: *mut pg_sys::PathTarget,
    grouped: bool,
) -> *mut pg_sys::Query {
    // SAFETY: a query under planning, of which everything is copied.
    unsafe {
        let parse = (*root).parse;
        let query = pg_sys::palloc0(size_of::<pg_sys::Query>()).cast::<pg_sys::Query>();
        (*query).type_ = pg_sys::NodeTag::T_Query;
        (*query).commandType = pg_sys::CmdType::CMD_SELECT;
        (*query).rtable = pg_sys::copyObjectImpl((*parse).rtable.cast()).cast();
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        {
            (*query).rteperminfos = pg_sys::copyObjectImpl((*parse).rteperminfos.cast()).cast();
        }
        let mut from = std::ptr::null_mut();
        for index in members(rel) {
            let item = pg_sys::palloc0(size_of::<pg_sys::RangeTblRef>()).cast::<pg_sys::RangeTblRef>();
            (*item).type_ = pg_sys::NodeTag::T_RangeTblRef;
            (*item).rtindex = index;
            from = pg_sys::lappend(from, item.cast());
        }
        let conditions: *mut pg_sys::List = pg_sys::copyObjectImpl(conditions.cast()).cast();
        let quals = if conditions.is_null() { std::ptr::null_mut() } else { pg_sys::make_ands_explicit(conditions).cast() };
        (*query).jointree = pg_sys::makeFromExpr(from, quals);
        for i in 0..length((*target).exprs) {
            let expr = pg_sys::copyObjectImpl(pg_sys::list_nth((*target).exprs, i).cast()).cast();
            let entry = pg_sys::makeTargetEntry(expr, i16::try_from(i + 1).unwrap_or(i16::MAX), c"?column?".as_ptr().cast_mut(), false);
            if grouped && !(*target).sortgrouprefs.is_null() {
                (*entry).ressortgroupref = *(*target).sortgrouprefs.add(usize::try_from(i).unwrap_or(0));
            }
            (*query).targetList = pg_sys::lappend((*query).targetList, entry.cast());
        }
        if grouped {
            (*query).hasAggs = (*parse).hasAggs;
            (*query).groupClause = pg_sys::copyObjectImpl((*parse).groupClause.cast()).cast();
            let having: *mut pg_sys::List = pg_sys::copyObjectImpl((*parse).havingQual.cast()).cast();
            (*query).havingQual = if having.is_null() { std::ptr::null_mut() } else { pg_sys::make_ands_explicit(having).cast() };
        }
        query
    }
}
