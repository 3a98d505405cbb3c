//! A part of a query under planning, put together as a query of its own, and the one statement that answers it.
//!
//! The query goes the way of every query that is taken over: the same translation, the same rules of what a server answers exactly.
//!
//! Invariant: each column of the statement is an expression of the planner, in the scan's target list; what is above it finds its parts there.

use super::catalog::{self, Tables};
use super::finish::Finish;
use super::paths::length;
use super::reader::{Statement, numerics_as_stored};
use super::scan::Private;
use super::shape::{self, Stage};
use crate::planner::{self, bytes_node};
use crate::translate::{self, Lifted, OrderKey};
use pg_sys::{List, Node, NodeTag};
use pgrx::pg_sys;
use weir_plan::Error;
use weir_plan::ir::{Rel, RowCount, ServerRef, SqlPart};

/// What is asked for.
pub struct Wish<'a> {
    pub root: *mut pg_sys::PlannerInfo,
    pub relids: pg_sys::Relids,
    pub from: *mut Node,
    pub target: *mut pg_sys::PathTarget,
    /// How far it goes in the query under planning.
    pub stage: Stage,
    /// What is asked of its groups, if that is not what the query says: for partitions.
    pub having: Option<*mut Node>,
    /// Of rows: an order of their own.
    pub order: &'a [OrderKey],
}

/// A column that is asked for, and its number among the keys of groups, DISTINCT and ORDER BY (0: none).
#[derive(Clone, Copy)]
struct Column {
    expr: *mut Node,
    key: u32,
}

impl Wish<'_> {
    /// What a path of it carries: the plan node's own bytes, the parameters, and the expressions that the statement's columns are.
    ///
    /// # Errors
    /// Why it is not one statement.
    ///
    /// # Safety
    /// All parts belong to a query under planning.
    pub unsafe fn ask(&self) -> Result<*mut List, String> {
        // SAFETY: by contract.
        unsafe {
            let whole = self.columns();
            match self.statement(&whole) {
                Ok(list) => Ok(list),
                Err(why) => match self.parts(&whole) {
                    // What the server cannot compute of a row is computed here.
                    Some(parts) => self.statement(&parts),
                    None => Err(why),
                },
            }
        }
    }

    unsafe fn columns(&self) -> Vec<Column> {
        // SAFETY: a target of the planner.
        unsafe {
            (0..length((*self.target).exprs))
                .map(|i| Column {
                    expr: pg_sys::list_nth((*self.target).exprs, i).cast(),
                    key: match (self.stage, (*self.target).sortgrouprefs.is_null()) {
                        (Stage::Rows, _) | (_, true) => 0,
                        _ => *(*self.target).sortgrouprefs.add(usize::try_from(i).unwrap_or(0)),
                    },
                })
                .collect()
        }
    }

    /// The columns and aggregates of those expressions that are neither, nor keys; `None` if there are none such, or all must be whole.
    unsafe fn parts(&self, whole: &[Column]) -> Option<Vec<Column>> {
        // SAFETY: expressions of the planner.
        unsafe {
            let distinct = self.stage >= Stage::Distinct && !(*(*self.root).parse).distinctClause.is_null();
            let is_part =
                |c: &Column| c.key != 0 || matches!((*c.expr).type_, NodeTag::T_Var | NodeTag::T_Aggref | NodeTag::T_GroupingFunc | NodeTag::T_WindowFunc);
            if distinct || whole.iter().all(is_part) {
                return None;
            }
            let mut parts: Vec<Column> = whole.iter().copied().filter(is_part).collect();
            for column in whole.iter().filter(|c| !is_part(c)) {
                let flags = pg_sys::PVC_INCLUDE_AGGREGATES | pg_sys::PVC_INCLUDE_WINDOWFUNCS | pg_sys::PVC_INCLUDE_PLACEHOLDERS;
                let found = pg_sys::pull_var_clause(column.expr, flags.cast_signed());
                for i in 0..length(found) {
                    let expr = pg_sys::list_nth(found, i).cast::<Node>();
                    if !parts.iter().any(|p| pg_sys::equal(p.expr.cast(), expr.cast())) {
                        parts.push(Column { expr, key: 0 });
                    }
                }
            }
            Some(parts)
        }
    }

    unsafe fn statement(&self, columns: &[Column]) -> Result<*mut List, String> {
        // SAFETY: the query is made here, of copies.
        unsafe {
            let mut lifted = Lifted::default();
            let query = self.query(columns, &mut lifted)?;
            let session = planner::current_session();
            let translated = translate::translate(query, (*(*self.root).glob).boundParams, &|_| None, &catalog::server_of, &|_| true, &|_, _| true, session)?;
            let (mut plan, top) = (translated.plan, translated.top);
            if let Some(why) = top.not_sorted {
                return Err(why);
            }
            if translated.params_may_fail {
                return Err("a parameter that may raise an error".into());
            }
            if top.sort.is_some() || top.limit.is_some() {
                return Err("an order that is made here".into());
            }
            // Each column of the target is a column of the statement.
            let (mut output, mut tlist) = (Vec::new(), std::ptr::null_mut());
            for ((entry, column), n) in top.targets.iter().zip(columns).zip(1i16..) {
                let expr = (**entry).expr;
                let var = expr.cast::<pg_sys::Var>();
                if (*expr).type_ != NodeTag::T_Var || i64::from((*var).varno) != pg_sys::INDEX_VAR as i64 || pg_sys::exprType(column.expr) != (*var).vartype {
                    return Err("an expression that it does not have".into());
                }
                let place = usize::try_from((*var).varattno - 1).map_err(|_| "a column that is lost")?;
                output.push(plan.output.get(place).copied().ok_or("a column that is lost")?);
                tlist =
                    pg_sys::lappend(tlist, pg_sys::makeTargetEntry(pg_sys::copyObjectImpl(column.expr.cast()).cast(), n, std::ptr::null_mut(), false).cast());
            }
            if output.len() != columns.len() {
                return Err("other columns".into());
            }
            plan.output = output;
            let tables = Tables::new();
            let one = weir_fdw::one::one(&plan, &|s| tables.get(s))?;
            let server: ServerRef = one.remote.server;
            let engine = catalog::engine_of_server(server.server.into()).ok_or("a server of no engine")?;
            if !plan.params.iter().all(|ty| engine.dialect.holds(ty)) {
                return Err("a parameter of this type".into());
            }
            let shown = weir_fdw::text(&one.remote.sql, None, engine.dialect)?;
            let limits = limits(&one.remote.sql);
            let server_name = one.remote.name.clone();
            let finish = Finish::of(one.finish.as_deref(), &one.remote.columns)?;
            if finish.is_some() {
                plan.output = one.remote.columns.iter().map(|c| (c.id, c.ty)).collect();
            }
            plan.root = Rel::Remote(Box::new(one.remote));
            numerics_as_stored(&mut plan, engine);
            let text = |e: Error| e.to_string();
            let own = Private {
                server_name,
                sql: shown,
                kept: Vec::new(),
                attnums: (1i16..).take(columns.len()).collect(),
                finish,
                limits,
                params: plan.params.clone(),
                statement: Statement {
                    server,
                    relids: self.tables(),
                    output: plan.output.iter().map(|(_, ty)| *ty).collect(),
                    locks: false,
                    plan: plan.encode().map_err(text)?,
                },
            };
            let mut params = std::ptr::null_mut();
            for p in translated.params {
                params = pg_sys::lappend(params, lifted.lower(p.cast()).cast());
            }
            let bytes = bytes_node(&own.encode().map_err(text)?);
            let list = pg_sys::lappend(std::ptr::null_mut(), bytes.cast());
            Ok(pg_sys::lappend(pg_sys::lappend(list, params.cast()), tlist.cast()))
        }
    }

    /// OIDs of the tables in it.
    unsafe fn tables(&self) -> Vec<u32> {
        // SAFETY: base relations of the query.
        unsafe {
            let of = |i: &i32| usize::try_from(*i).ok().map(|i| *(*self.root).simple_rte_array.add(i));
            let rtes = shape::members(self.relids).iter().filter_map(of).collect::<Vec<_>>();
            rtes.iter().filter(|r| !r.is_null() && (***r).rtekind == pg_sys::RTEKind::RTE_RELATION).map(|r| (**r).relid.to_u32()).collect()
        }
    }

    /// SELECT columns FROM the item, and what the query under planning does with it up to the stage. Values of the executor are lifted.
    unsafe fn query(&self, columns: &[Column], lifted: &mut Lifted) -> Result<*mut pg_sys::Query, String> {
        // SAFETY: a set of range table indexes.
        let members = unsafe { shape::members(self.relids) };
        let own = |n: i64| members.iter().any(|m| i64::from(*m) == n);
        // SAFETY: a query under planning, of which everything is copied.
        unsafe {
            let parse = (*self.root).parse;
            let query = pg_sys::palloc0(size_of::<pg_sys::Query>()).cast::<pg_sys::Query>();
            (*query).type_ = NodeTag::T_Query;
            (*query).commandType = pg_sys::CmdType::CMD_SELECT;
            (*query).rtable = copy((*parse).rtable);
            #[cfg(not(any(feature = "pg14", feature = "pg15")))]
            {
                (*query).rteperminfos = copy((*parse).rteperminfos);
            }
            (*query).jointree = copy(self.from.cast());
            lift_item((*query).jointree.cast(), lifted, &own)?;
            for (column, n) in columns.iter().zip(1i16..) {
                let expr = lifted.lift(copy(column.expr), &own)?;
                let entry = pg_sys::makeTargetEntry(expr.cast(), n, c"?column?".as_ptr().cast_mut(), false);
                (*entry).ressortgroupref = column.key;
                (*query).targetList = pg_sys::lappend((*query).targetList, entry.cast());
            }
            if self.stage >= Stage::Grouped {
                (*query).hasAggs = (*parse).hasAggs;
                (*query).groupClause = copy((*parse).groupClause);
                (*query).groupingSets = expanded((*parse).groupingSets);
                let having: *mut List = copy(self.having.unwrap_or((*parse).havingQual).cast());
                (*query).havingQual = if having.is_null() { std::ptr::null_mut() } else { lifted.lift(pg_sys::make_ands_explicit(having).cast(), &own)? };
            }
            if self.stage >= Stage::Windowed && (*parse).hasWindowFuncs {
                (*query).hasWindowFuncs = true;
                (*query).windowClause = copy((*parse).windowClause);
            }
            if self.stage >= Stage::Distinct && !(*parse).distinctClause.is_null() {
                if (*parse).hasDistinctOn {
                    // Which rows are the first ones.
                    (*query).sortClause = copy((*parse).sortClause);
                } else if columns.iter().any(|c| !is_key((*parse).distinctClause, c.key)) {
                    return Err("a column that DISTINCT does not look at".into());
                }
                (*query).hasDistinctOn = (*parse).hasDistinctOn;
                (*query).distinctClause = copy((*parse).distinctClause);
            }
            if self.stage >= Stage::Ordered {
                (*query).sortClause = copy((*parse).sortClause);
            } else if self.stage == Stage::Rows {
                self.sort(query, columns);
            }
            if self.stage >= Stage::Limited {
                (*query).limitOffset = lifted.lift(copy((*parse).limitOffset), &own)?;
                (*query).limitCount = lifted.lift(copy((*parse).limitCount), &own)?;
                (*query).limitOption = (*parse).limitOption;
            }
            Ok(query)
        }
    }

    /// ORDER BY the keys of the wish.
    unsafe fn sort(&self, query: *mut pg_sys::Query, columns: &[Column]) {
        // SAFETY: the query is being made.
        unsafe {
            for (key, n) in self.order.iter().zip(1u32..) {
                let found = columns.iter().position(|c| pg_sys::equal(c.expr.cast(), key.expr.cast()));
                let entry = match found {
                    Some(i) => pg_sys::list_nth((*query).targetList, i32::try_from(i).unwrap_or(0)).cast::<pg_sys::TargetEntry>(),
                    None => {
                        let resno = i16::try_from(length((*query).targetList) + 1).unwrap_or(i16::MAX);
                        let entry = pg_sys::makeTargetEntry(copy(key.expr.cast()), resno, std::ptr::null_mut(), true);
                        (*query).targetList = pg_sys::lappend((*query).targetList, entry.cast());
                        entry
                    }
                };
                if (*entry).ressortgroupref == 0 {
                    (*entry).ressortgroupref = n;
                }
                let clause = sort_clause(key);
                (*clause).tleSortGroupRef = (*entry).ressortgroupref;
                (*query).sortClause = pg_sys::lappend((*query).sortClause, clause.cast());
            }
        }
    }
}

/// Grouping sets as a query has them before the planner expands them to lists of its keys.
unsafe fn expanded(sets: *mut List) -> *mut List {
    // SAFETY: zeroed nodes of their size with their tag; what the planner made of the sets.
    unsafe {
        let of = |kind: pg_sys::GroupingSetKind::Type, content: *mut List| {
            let set = pg_sys::palloc0(size_of::<pg_sys::GroupingSet>()).cast::<pg_sys::GroupingSet>();
            (*set).type_ = NodeTag::T_GroupingSet;
            (*set).kind = kind;
            (*set).content = content;
            set.cast::<std::ffi::c_void>()
        };
        if sets.is_null() {
            return std::ptr::null_mut();
        }
        let mut all = std::ptr::null_mut();
        for i in 0..length(sets) {
            let keys = pg_sys::list_nth(sets, i).cast::<List>();
            let kind = if keys.is_null() { pg_sys::GroupingSetKind::GROUPING_SET_EMPTY } else { pg_sys::GroupingSetKind::GROUPING_SET_SIMPLE };
            all = pg_sys::lappend(all, of(kind, copy(keys)));
        }
        pg_sys::lappend(std::ptr::null_mut(), of(pg_sys::GroupingSetKind::GROUPING_SET_SETS, all))
    }
}

/// A key as a node of its own.
pub unsafe fn sort_clause(key: &OrderKey) -> *mut pg_sys::SortGroupClause {
    // SAFETY: a zeroed node of its size with its tag.
    unsafe {
        let clause = pg_sys::palloc0(size_of::<pg_sys::SortGroupClause>()).cast::<pg_sys::SortGroupClause>();
        (*clause).type_ = NodeTag::T_SortGroupClause;
        (*clause).sortop = key.sort_op;
        (*clause).eqop = pg_sys::get_equality_op_for_ordering_op(key.sort_op, std::ptr::null_mut());
        (*clause).nulls_first = key.nulls_first;
        clause
    }
}

unsafe fn copy<T>(node: *mut T) -> *mut T {
    // SAFETY: a node or null.
    unsafe { pg_sys::copyObjectImpl(node.cast()).cast() }
}

unsafe fn is_key(clauses: *mut List, key: u32) -> bool {
    // SAFETY: a list of SortGroupClause.
    unsafe { (0..length(clauses)).any(|i| (*pg_sys::list_nth(clauses, i).cast::<pg_sys::SortGroupClause>()).tleSortGroupRef == key) }
}

/// Lifts values of the executor out of the conditions of an item, in place.
unsafe fn lift_item(item: *mut Node, lifted: &mut Lifted, own: &dyn Fn(i64) -> bool) -> Result<(), String> {
    // SAFETY: a copied item as `shape` makes them.
    unsafe {
        match (*item).type_ {
            NodeTag::T_FromExpr => {
                let from = item.cast::<pg_sys::FromExpr>();
                for i in 0..length((*from).fromlist) {
                    lift_item(pg_sys::list_nth((*from).fromlist, i).cast(), lifted, own)?;
                }
                (*from).quals = lifted.lift((*from).quals, own)?;
            }
            NodeTag::T_JoinExpr => {
                let join = item.cast::<pg_sys::JoinExpr>();
                lift_item((*join).larg, lifted, own)?;
                lift_item((*join).rarg, lifted, own)?;
                (*join).quals = lifted.lift((*join).quals, own)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The parameters that are OFFSET and LIMIT.
fn limits(sql: &[SqlPart]) -> [Option<u32>; 2] {
    let param = |rows: &Option<RowCount>| match rows {
        Some(RowCount::Param(index)) => Some(*index),
        _ => None,
    };
    let found = sql.iter().find_map(|part| match part {
        SqlPart::Limit { limit, offset } => Some([param(offset), param(limit)]),
        _ => None,
    });
    found.unwrap_or_default()
}
