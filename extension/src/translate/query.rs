//! One query level: FROM, WHERE, grouping, windows, then (below the top) projection, DISTINCT, ORDER BY and LIMIT.

use super::order::Locales;
use super::tree::{self, list};
use super::usage::{self, Used};
use super::{Cx, Result, agg, cte, expr, from, input_order, order, param, setop, srf, ties, unused, window};
use pg_sys::{Node, Query, SortGroupClause, TargetEntry};
use pgrx::pg_sys;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use weir_plan::ir::{ColId, CteId, Expr, Named, Rel, SortKey};
use weir_plan::types::PgType;

/// What is known of a query while it is translated.
pub struct Level {
    pub query: *mut Query,
    /// The columns of the range table entries by (range table index, attribute number), or why one cannot be used.
    pub columns: HashMap<(u32, i16), Result<(ColId, PgType)>>,
    /// What marks stand for.
    pub marks: Vec<(ColId, PgType)>,
    /// Parallel to `cteList`.
    pub ctes: Vec<cte::Slot>,
    /// Translated common table expressions of this level, each after those it uses.
    pub with: Vec<(CteId, Rel)>,
    pub used: Used,
    /// Whoever uses the query asks for the order in which it reads its rows.
    pub keep_order: bool,
    /// The order of the rows that it reads, where that is asked for and known ([`super::input_order`]).
    pub input_order: Option<Vec<SortKey>>,
    /// The number of a row among those that the functions of the select list made of one, where ORDER BY leaves that to them.
    pub ordinal: Option<ColId>,
}

/// Which entries of a target list the user of a query looks at, by `resno`.
#[derive(Clone)]
pub enum Needed {
    All,
    Only(BTreeSet<i16>),
}

impl Needed {
    pub fn has(&self, resno: i16) -> bool {
        match self {
            Needed::All => true,
            Needed::Only(set) => set.contains(&resno),
        }
    }
}

/// The columns of a translated subquery by `resno`.
type Outputs = BTreeMap<i16, (ColId, PgType)>;

/// A translated subquery.
pub struct Output {
    pub rel: Rel,
    pub columns: Outputs,
    /// The order of its rows by further columns, if that was asked for and is known.
    pub order: Vec<SortKey>,
}

/// Translates a query below the top. `ordered`: whoever uses it may see the order of its rows.
pub unsafe fn subquery(cx: &mut Cx, query: *mut Query, needed: &Needed, ordered: bool) -> Result<Output> {
    let entries = entries(query, needed);
    let (rel, (columns, order)) = in_level(cx, query, &entries, |cx| {
        let (rel, exprs) = body(cx, query, &entries)?;
        finish(cx, query, rel, needed, &entries, &exprs, ordered)
    })?;
    Ok(Output { rel, columns, order })
}

/// Runs `f` with a level for `query`; wraps its result into the common table expressions that were used.
pub unsafe fn in_level<T>(cx: &mut Cx, query: *mut Query, entries: &[*mut TargetEntry], f: impl FnOnce(&mut Cx) -> Result<(Rel, T)>) -> Result<(Rel, T)> {
    pg_sys::check_stack_depth();
    check(query)?;
    check_rights(cx, query)?;
    let depth = cx.levels.len();
    // Postgres computes it even if nobody looks at the column, for what else it does.
    if depth > 0 && tree::is_volatile((*query).targetList.cast()) {
        return Err("a volatile function in the select list of a subquery".into());
    }
    let keep_order = std::mem::take(&mut cx.keep_order);
    cx.levels.push(Level {
        query,
        columns: HashMap::new(),
        marks: Vec::new(),
        ctes: cte::slots(query),
        with: Vec::new(),
        used: usage::used_columns(query, entries),
        keep_order,
        input_order: None,
        ordinal: None,
    });
    let is_final = std::mem::take(&mut cx.is_final);
    let result = f(cx);
    cx.is_final = is_final;
    let level = cx.levels.drain(depth..).next();
    let (rel, value) = result?;
    let with = level.map(|l| l.with).unwrap_or_default();
    let rel = if with.is_empty() { rel } else { Rel::With { ctes: with, body: Box::new(rel) } };
    Ok((rel, value))
}

/// What no level may contain.
unsafe fn check(query: *mut Query) -> Result<()> {
    let q = &*query;
    let refused = [
        (q.commandType != pg_sys::CmdType::CMD_SELECT, "a data-modifying statement"),
        (q.hasModifyingCTE, "a data-modifying WITH"),
        (!q.rowMarks.is_null(), "FOR UPDATE or FOR SHARE"),
        (list::<pg_sys::RangeTblEntry>(q.rtable).into_iter().any(|rte| makes_rows_by_volatile(rte)), "a volatile function in FROM"),
    ];
    match refused.iter().find(|(is, _)| *is) {
        Some((_, what)) => Err((*what).to_string()),
        None => Ok(()),
    }
}

unsafe fn makes_rows_by_volatile(rte: *mut pg_sys::RangeTblEntry) -> bool {
    match (*rte).rtekind {
        pg_sys::RTEKind::RTE_VALUES => tree::is_volatile((*rte).values_lists.cast()),
        pg_sys::RTEKind::RTE_FUNCTION => tree::is_volatile((*rte).functions.cast()),
        _ => false,
    }
}

/// What is folded away or inlined may have become another query since the standard plan was made. Every entry counts: a view stands beside what it reads.
unsafe fn check_rights(cx: &Cx, query: *mut Query) -> Result<()> {
    match list::<pg_sys::RangeTblEntry>((*query).rtable).into_iter().find(|rte| !(cx.checked)(query, *rte)) {
        Some(rte) => {
            let name = pg_sys::get_rel_name((*rte).relid);
            let name = if name.is_null() { from::alias(rte) } else { tree::string(name) };
            Err(format!("{name}, which the role may not read, nor does the standard plan"))
        }
        None => Ok(()),
    }
}

/// The target entries that must be computed: those needed, and those that sorting, grouping and windows refer to.
pub unsafe fn entries(query: *mut Query, needed: &Needed) -> Vec<*mut TargetEntry> {
    let q = &*query;
    let all_visible = !q.distinctClause.is_null() && !q.hasDistinctOn;
    let mut refs = BTreeSet::new();
    for clause in [q.sortClause, q.groupClause, q.distinctClause] {
        refs.extend(list::<SortGroupClause>(clause).iter().map(|c| (**c).tleSortGroupRef));
    }
    for w in list::<pg_sys::WindowClause>(q.windowClause) {
        for clause in [(*w).partitionClause, (*w).orderClause] {
            refs.extend(list::<SortGroupClause>(clause).iter().map(|c| (**c).tleSortGroupRef));
        }
    }
    list::<TargetEntry>(q.targetList)
        .into_iter()
        .filter(|te| {
            let te = &**te;
            q.hasTargetSRFs || (!te.resjunk && (all_visible || needed.has(te.resno))) || (te.ressortgroupref != 0 && refs.contains(&te.ressortgroupref))
        })
        .collect()
}

/// Everything up to the target list. The answer's expressions are those of `entries`, folded, over the columns and marks of the level.
pub unsafe fn body(cx: &mut Cx, query: *mut Query, entries: &[*mut TargetEntry]) -> Result<(Rel, Vec<*mut Node>)> {
    let mut exprs: Vec<*mut Node> = entries.iter().map(|te| (**te).expr.cast()).collect();
    let q = &*query;
    let rel = if q.setOperations.is_null() {
        let mut rel = from::from_clause(cx, q.jointree)?;
        if q.hasTargetSRFs && !q.groupClause.is_null() {
            rel = srf::below_grouping(cx, query, rel, entries, &mut exprs)?;
        }
        if !q.groupClause.is_null() || !q.groupingSets.is_null() || q.hasAggs || !q.havingQual.is_null() {
            rel = agg::aggregate(cx, query, rel, entries, &mut exprs)?;
        }
        if q.hasWindowFuncs {
            rel = window::windows(cx, query, rel, entries, &mut exprs)?;
        }
        if q.hasTargetSRFs {
            rel = srf::of_select_list(cx, query, rel, entries, &mut exprs)?;
        }
        rel
    } else {
        setop::set_operations(cx, query, entries)?
    };
    for e in &mut exprs {
        *e = param::fold(cx, *e);
    }
    Ok((rel, exprs))
}

/// The entry that a sort or group clause refers to, as an index into `entries`.
pub unsafe fn entry_of(clause: *mut SortGroupClause, entries: &[*mut TargetEntry]) -> Result<usize> {
    let wanted = (*clause).tleSortGroupRef;
    entries.iter().position(|te| (**te).ressortgroupref == wanted).ok_or_else(|| "a sort key that is not in the target list".to_string())
}

unsafe fn finish(
    cx: &mut Cx,
    query: *mut Query,
    rel: Rel,
    needed: &Needed,
    entries: &[*mut TargetEntry],
    exprs: &[*mut Node],
    ordered: bool,
) -> Result<(Rel, (Outputs, Vec<SortKey>))> {
    let q = &*query;
    let limited = !q.limitCount.is_null() || !q.limitOffset.is_null();
    let keep_order = !q.sortClause.is_null() && !is_single_row(query) && (ordered || limited || q.hasDistinctOn);
    let mut sort_refs: BTreeSet<u32> = list::<SortGroupClause>(q.distinctClause).iter().map(|c| (**c).tleSortGroupRef).collect();
    if keep_order {
        sort_refs.extend(list::<SortGroupClause>(q.sortClause).iter().map(|c| (**c).tleSortGroupRef));
    }

    let all_visible = !q.distinctClause.is_null() && !q.hasDistinctOn;
    let mut named = Vec::new();
    let mut columns = BTreeMap::new();
    let mut projected: Vec<Option<Expr>> = Vec::new();
    for (te, node) in entries.iter().zip(exprs) {
        let te = &**te;
        let is_visible = !te.resjunk && (all_visible || needed.has(te.resno));
        let is_sorted = te.ressortgroupref != 0 && sort_refs.contains(&te.ressortgroupref);
        if !is_visible && !is_sorted {
            projected.push(None);
            continue;
        }
        let e = expr::translate(cx, *node)?;
        let (id, ty) = (cx.new_col(), e.ty());
        named.push(Named { id, expr: e });
        projected.push(Some(Expr::Column { id, ty }));
        if !te.resjunk {
            columns.insert(te.resno, (id, ty));
        }
    }
    // Postgres sorts also where nobody sees the order.
    let mut unseen = Vec::new();
    for c in list::<SortGroupClause>(q.sortClause) {
        if let Ok(i) = entry_of(c, entries)
            && projected.get(i).is_some_and(Option::is_none)
        {
            unseen.push(exprs[i]);
        }
    }
    let rel = unused::fenced_nodes(cx, rel, &unseen, true)?;
    let mut order = Vec::new();
    if input_order::hands_rows_on(query)
        && cx.levels.last().is_some_and(|level| level.keep_order)
        && let Some(keys) = input_order::known(cx)
    {
        for key in keys {
            let id = cx.new_col();
            let (expr, key) = order::carried(key, |ty| Expr::Column { id, ty: *ty });
            named.push(Named { id, expr });
            order.push(key);
        }
    }
    let ordinal = if keep_order { ordinal_key(cx) } else { None }.map(|key| {
        let (id, ty) = (cx.new_col(), key.expr.ty());
        named.push(Named { id, expr: key.expr });
        SortKey { expr: Expr::Column { id, ty }, ..key }
    });
    let mut rel = if named.is_empty() { rel } else { Rel::Project { input: Box::new(rel), exprs: named } };

    let column = |i: usize| projected.get(i).cloned().flatten().ok_or_else(|| "a sort key that is not projected".to_string());
    let mut sorted = false;
    if !q.distinctClause.is_null() {
        let on = distinct_keys(q.distinctClause, entries, exprs, &column)?;
        if q.hasDistinctOn {
            let groups = if limited || ordered { Locales::Ranked } else { Locales::Refused };
            let keys = order::distinct_on_keys(query, entries, exprs, &column, groups)?;
            rel = Rel::DistinctOn { input: Box::new(rel), on, keys: keys.keys };
            sorted = keys.is_final_order;
        } else {
            rel = Rel::Distinct { input: Box::new(rel) };
        }
    }
    if keep_order && !sorted {
        let locales = if limited || ordered { Locales::Ranked } else { Locales::Refused };
        let mut keys = match order::sort_keys(q.sortClause, entries, exprs, &column, locales) {
            Ok(keys) => keys,
            Err(_) if !limited && !ordered => Vec::new(),
            Err(why) => return Err(why),
        };
        keys.extend(ordinal);
        if !keys.is_empty() {
            rel = Rel::Sort { input: Box::new(rel), keys };
        }
    }
    rel = limit(cx, query, rel)?;
    Ok((rel, (columns, order)))
}

/// The sort key that keeps the rows which set-returning functions made of one row as they came.
pub unsafe fn ordinal_key(cx: &Cx) -> Option<SortKey> {
    let id = cx.levels.last()?.ordinal?;
    Some(SortKey { expr: Expr::Column { id, ty: PgType::INT8 }, descending: false, nulls_first: false })
}

/// Whether a query has at most one row, being an aggregate over everything.
pub unsafe fn is_single_row(query: *mut Query) -> bool {
    let q = &*query;
    (q.hasAggs || !q.havingQual.is_null()) && q.groupClause.is_null() && q.groupingSets.is_null() && q.setOperations.is_null() && !q.hasTargetSRFs
}

/// The keys of DISTINCT, checked to be comparable.
pub unsafe fn distinct_keys(
    clause: *mut pg_sys::List,
    entries: &[*mut TargetEntry],
    exprs: &[*mut Node],
    column: &dyn Fn(usize) -> Result<Expr>,
) -> Result<Vec<Expr>> {
    let mut keys = Vec::new();
    for c in list::<SortGroupClause>(clause) {
        let i = entry_of(c, entries)?;
        order::check_grouping(c, exprs[i], "DISTINCT")?;
        keys.push(column(i)?);
    }
    Ok(keys)
}

/// LIMIT and OFFSET in the engine.
pub unsafe fn limit(cx: &mut Cx, query: *mut Query, rel: Rel) -> Result<Rel> {
    let offset = limit_expr(cx, (*query).limitOffset)?;
    let limit = limit_expr(cx, (*query).limitCount)?;
    if has_ties(query) || offset.iter().chain(&limit).any(ties::is_found_out) {
        return ties::by_rank(cx, rel, offset, limit, has_ties(query));
    }
    Ok(if offset.is_none() && limit.is_none() { rel } else { Rel::Limit { input: Box::new(rel), offset, limit } })
}

pub unsafe fn has_ties(query: *mut Query) -> bool {
    (*query).limitOption == pg_sys::LimitOption::LIMIT_OPTION_WITH_TIES
}

unsafe fn limit_expr(cx: &mut Cx, node: *mut Node) -> Result<Option<Expr>> {
    let node = limit_folded(cx, node)?;
    if node.is_null() { Ok(None) } else { expr::translate(cx, node).map(Some) }
}

/// A LIMIT or OFFSET expression that Postgres can evaluate above the engine; null if there is none or it is NULL.
pub unsafe fn limit_node(cx: &Cx, node: *mut Node) -> Result<*mut Node> {
    let node = limit_folded(cx, node)?;
    if !node.is_null() && tree::depends_on_row(node) {
        return Err("LIMIT or OFFSET with a subquery, behind an order that the engine does not know".into());
    }
    Ok(node)
}

/// How many rows LIMIT and OFFSET read, if they are constants.
pub unsafe fn rows_wanted(cx: &Cx, query: *mut Query) -> Option<i64> {
    let constant = |node: *mut Node| {
        let node = limit_folded(cx, node).ok()?;
        if node.is_null() {
            return Some(None);
        }
        if tree::tag(node) != pg_sys::NodeTag::T_Const {
            return None;
        }
        Some(Some((*node.cast::<pg_sys::Const>()).constvalue.value() as i64))
    };
    let (limit, offset) = (constant((*query).limitCount)?, constant((*query).limitOffset)?);
    limit?.checked_add(offset.unwrap_or(0))
}

unsafe fn limit_folded(cx: &Cx, node: *mut Node) -> Result<*mut Node> {
    if node.is_null() {
        return Ok(node);
    }
    let node = param::fold(cx, node);
    if tree::is_volatile(node) {
        return Err("LIMIT or OFFSET with a volatile function".into());
    }
    if tree::tag(node) == pg_sys::NodeTag::T_Const && (*node.cast::<pg_sys::Const>()).constisnull {
        return Ok(std::ptr::null_mut());
    }
    Ok(node)
}
