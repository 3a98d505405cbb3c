//! Subqueries in expressions.

use super::call::{self, Callee};
use super::query::{self, Needed, Output};
use super::tree::{self, list, special_var, tag};
use super::{Cx, Result, expr, order, param, row, types};
use pg_sys::{BoolExprType, Node, NodeTag, Param, ParamKind, Query, SubLink, SubLinkType, TargetEntry};
use pgrx::pg_sys;
use std::collections::BTreeSet;
use weir_plan::functions::FunctionKind;
use weir_plan::ir::{AggCall, Aggregate, ColId, Collation, Expr, Named, Rel, Scalar, SortKey, SubqueryComparison};
use weir_plan::types::PgType;

pub unsafe fn sublink(cx: &mut Cx, link: *mut SubLink) -> Result<Expr> {
    let query = (*link).subselect.cast::<Query>();
    if tag(query) != NodeTag::T_Query {
        return Err("a subquery that is not analysed".into());
    }
    match (*link).subLinkType {
        SubLinkType::EXISTS_SUBLINK => exists(cx, query),
        SubLinkType::ANY_SUBLINK => quantified(cx, link, query, true),
        SubLinkType::ALL_SUBLINK => quantified(cx, link, query, false),
        SubLinkType::EXPR_SUBLINK => {
            let (rel, columns) = visible(cx, query)?;
            let &[(column, ty)] = columns.as_slice() else { return Err("a scalar subquery of several columns".into()) };
            Ok(Expr::ScalarSubquery { rel: Box::new(rel), column, ty })
        }
        SubLinkType::ROWCOMPARE_SUBLINK => row_compare(cx, link, query),
        SubLinkType::ARRAY_SUBLINK => array(cx, link, query),
        SubLinkType::MULTIEXPR_SUBLINK => Err("a multiple assignment".into()),
        other => Err(format!("a subquery of kind {other}")),
    }
}

/// The subquery with all its visible columns, in order.
unsafe fn visible(cx: &mut Cx, query: *mut Query) -> Result<(Rel, Vec<(ColId, PgType)>)> {
    let Output { rel, columns, .. } = query::subquery(cx, query, &Needed::All, false)?;
    Ok((rel, columns.into_values().collect()))
}

unsafe fn exists(cx: &mut Cx, query: *mut Query) -> Result<Expr> {
    // As Postgres does: a LIMIT of at least one row changes nothing. Source: `simplify_EXISTS_query` in `subselect.c`.
    if (*query).limitOffset.is_null() && !(*query).limitCount.is_null() {
        let count = param::fold(cx, (*query).limitCount);
        if tag(count) == NodeTag::T_Const {
            let c = &*count.cast::<pg_sys::Const>();
            if c.constisnull || c.constvalue.value() as i64 > 0 {
                (*query).limitCount = std::ptr::null_mut();
            }
        }
    }
    if (*query).limitOffset.is_null() && (*query).limitCount.is_null() && (*query).setOperations.is_null() {
        (*query).sortClause = std::ptr::null_mut();
        if !(*query).hasAggs && (*query).groupingSets.is_null() && (*query).havingQual.is_null() {
            // Grouping a set that is not empty leaves it so.
            (*query).groupClause = std::ptr::null_mut();
            (*query).distinctClause = std::ptr::null_mut();
            (*query).hasDistinctOn = false;
            (*query).windowClause = std::ptr::null_mut();
            (*query).hasWindowFuncs = false;
        }
    }
    let output = query::subquery(cx, query, &Needed::Only(BTreeSet::new()), false)?;
    Ok(Expr::Exists { rel: Box::new(output.rel) })
}

/// One comparison of a quantified subquery as Postgres has it: an operator, what stands left of it, and what is done with the column.
struct Comparison {
    operator: pg_sys::Oid,
    collation: pg_sys::Oid,
    left: *mut Node,
    right: *mut Node,
}

unsafe fn quantified(cx: &mut Cx, link: *mut SubLink, query: *mut Query, any: bool) -> Result<Expr> {
    let test = (*link).testexpr;
    // Folding may have found out that the comparison is the same for all rows (`NULL = …`).
    if tag(test) == NodeTag::T_Const {
        let exists = exists(cx, query)?;
        let none = Expr::Const { value: Scalar::Bool(!any), ty: PgType::BOOL };
        let some = expr::translate(cx, test)?;
        return Ok(Expr::Case { whens: vec![(exists, some)], otherwise: Some(Box::new(none)), ty: PgType::BOOL });
    }
    let (comparisons, negated) = comparisons(test, any)?;
    let (mut rel, columns) = visible(cx, query)?;
    let mut out = Vec::new();
    let mut casts = Vec::new();
    for c in &comparisons {
        let operator = if negated { negator(c.operator)? } else { c.operator };
        let left = translate_left(cx, c.left)?;
        let (column, column_ty, cast) = right_column(cx, c.right, &columns, query)?;
        casts.extend(cast);
        let func = pg_sys::get_opcode(operator);
        let collation = call::check(cx, Callee::operator(operator, func, c.collation), &[left.ty(), column_ty])?;
        out.push(SubqueryComparison { func: func.to_u32(), left, column, column_ty, collation });
    }
    if !casts.is_empty() {
        let mut exprs: Vec<Named<Expr>> = Vec::new();
        for (id, ty) in &columns {
            exprs.push(Named { id: *id, expr: Expr::Column { id: *id, ty: *ty } });
        }
        exprs.extend(casts);
        rel = Rel::Project { input: Box::new(rel), exprs };
    }
    let quantified = Expr::AnySubquery { any: any || negated, comparisons: out, rel: Box::new(rel) };
    Ok(if negated { Expr::Not(Box::new(quantified)) } else { quantified })
}

/// `x = ANY (ARRAY(SELECT …))`, in which the order of the array does not show: `x = ANY (SELECT …)`.
pub unsafe fn any_of_array(cx: &mut Cx, s: &pg_sys::ScalarArrayOpExpr, left: *mut Node, link: *mut SubLink) -> Result<Expr> {
    let query = (*link).subselect.cast::<Query>();
    if tag(query) != NodeTag::T_Query {
        return Err("a subquery that is not analysed".into());
    }
    let left = translate_left(cx, left)?;
    let (rel, columns) = visible(cx, query)?;
    let &[(column, column_ty)] = columns.as_slice() else { return Err("an array of several columns".into()) };
    let collation = call::check(cx, Callee::operator(s.opno, s.opfuncid, s.inputcollid), &[left.ty(), column_ty])?;
    let comparison = SubqueryComparison { func: s.opfuncid.to_u32(), left, column, column_ty, collation };
    Ok(Expr::AnySubquery { any: s.useOr, comparisons: vec![comparison], rel: Box::new(rel) })
}

unsafe fn translate_left(cx: &mut Cx, node: *mut Node) -> Result<Expr> {
    let node = param::fold(cx, node);
    expr::translate(cx, node)
}

/// The comparisons that are ANDed. `(a, b) <> ALL (…)` comes as an OR; it is `NOT (a, b) = ANY (…)`, which the flag says.
unsafe fn comparisons(test: *mut Node, any: bool) -> Result<(Vec<Comparison>, bool)> {
    match tag(test) {
        NodeTag::T_OpExpr => Ok((vec![comparison(test.cast())], false)),
        NodeTag::T_BoolExpr => {
            let b = &*test.cast::<pg_sys::BoolExpr>();
            let negated = match (b.boolop, any) {
                (BoolExprType::AND_EXPR, _) => false,
                (BoolExprType::OR_EXPR, false) => true,
                _ => return Err("a row comparison with ANY or ALL".into()),
            };
            // `(a, b) = ALL (…)`: ANDed per row, which the plan's form of ALL is too.
            let parts = list::<Node>(b.args);
            if parts.iter().any(|p| tag(*p) != NodeTag::T_OpExpr) {
                return Err("a row comparison with ANY or ALL".into());
            }
            Ok((parts.into_iter().map(|p| comparison(p.cast())).collect(), negated))
        }
        _ => Err("a row comparison with ANY or ALL".into()),
    }
}

unsafe fn comparison(op: *mut pg_sys::OpExpr) -> Comparison {
    let args = list::<Node>((*op).args);
    let at = |i: usize| args.get(i).copied().unwrap_or(std::ptr::null_mut());
    Comparison { operator: (*op).opno, collation: (*op).inputcollid, left: at(0), right: at(1) }
}

unsafe fn negator(operator: pg_sys::Oid) -> Result<pg_sys::Oid> {
    let negator = pg_sys::get_negator(operator);
    if negator == pg_sys::InvalidOid { Err(format!("operator {} without a negator", types::operator_name(operator))) } else { Ok(negator) }
}

/// The column that the right side of a comparison names, and the projection that makes it if it is cast.
unsafe fn right_column(cx: &mut Cx, node: *mut Node, columns: &[(ColId, PgType)], query: *mut Query) -> Result<(ColId, PgType, Option<Named<Expr>>)> {
    if let Some(&(id, ty)) = sublink_param(node).and_then(|i| columns.get(i)) {
        return Ok((id, ty, None));
    }
    let e = over_columns(cx, node, columns, query)?;
    let id = cx.new_col();
    let ty = e.ty();
    Ok((id, ty, Some(Named { id, expr: e })))
}

/// The index of the subquery's column that a parameter of kind SUBLINK stands for.
unsafe fn sublink_param(node: *mut Node) -> Option<usize> {
    if node.is_null() || tag(node) != NodeTag::T_Param {
        return None;
    }
    let p = &*node.cast::<Param>();
    if p.paramkind != ParamKind::PARAM_SUBLINK {
        return None;
    }
    usize::try_from(p.paramid - 1).ok()
}

/// An expression over nothing but the subquery's columns: casts of them.
unsafe fn over_columns(cx: &mut Cx, node: *mut Node, columns: &[(ColId, PgType)], query: *mut Query) -> Result<Expr> {
    let level = cx.levels.last_mut().ok_or("no query level")?;
    let first_mark = level.marks.len();
    level.marks.extend_from_slice(columns);
    let visible: Vec<*mut TargetEntry> = list::<TargetEntry>((*query).targetList).into_iter().filter(|te| !(**te).resjunk).collect();
    let with_marks = replace_params(node, &|i| {
        let te = *visible.get(i)?;
        let e = (*te).expr.cast::<Node>();
        let var = special_var(pg_sys::OUTER_VAR as i64, first_mark + i, pg_sys::exprType(e), pg_sys::exprTypmod(e), pg_sys::exprCollation(e), 0);
        Some(var)
    });
    if contains_own_column(with_marks) {
        return Err("a comparison of a subquery's column with the query's own on one side".into());
    }
    let folded = param::fold(cx, with_marks);
    expr::translate(cx, folded)
}

unsafe fn replace_params(node: *mut Node, make: &dyn Fn(usize) -> Option<*mut Node>) -> *mut Node {
    if node.is_null() {
        return node;
    }
    if let Some(var) = sublink_param(node).and_then(make) {
        return var;
    }
    tree::map_children(node, &mut |child| replace_params(child, make))
}

unsafe fn contains_own_column(node: *mut Node) -> bool {
    if node.is_null() {
        return false;
    }
    match tag(node) {
        NodeTag::T_Var => !tree::is_mark(node.cast()),
        NodeTag::T_SubLink => true,
        _ => tree::any_child(node, &mut |child| contains_own_column(child)),
    }
}

/// Whether it is open which rows a query gives: it has a LIMIT, and rows that it takes for equal when it sorts may differ in what it selects.
unsafe fn may_choose(query: *mut Query) -> bool {
    let q = &*query;
    let refs: Vec<u32> = list::<pg_sys::SortGroupClause>(q.sortClause).iter().map(|c| (**c).tleSortGroupRef).collect();
    let is_sorted = |te: &*mut TargetEntry| (**te).resjunk || ((**te).ressortgroupref != 0 && refs.contains(&(**te).ressortgroupref));
    let limited = !q.limitCount.is_null() || !q.limitOffset.is_null();
    q.hasDistinctOn || (limited && (q.hasTargetSRFs || !list::<TargetEntry>(q.targetList).iter().all(is_sorted)))
}

/// `(a, b) = (SELECT x, y …)`: one scalar subquery per column. The subquery must give the same row each time; of several rows each of them
/// raises the error.
unsafe fn row_compare(cx: &mut Cx, link: *mut SubLink, query: *mut Query) -> Result<Expr> {
    if may_choose(query) {
        return Err("a row comparison with a subquery whose LIMIT or DISTINCT ON may choose among rows".into());
    }
    let test = (*link).testexpr;
    if tag(test) == NodeTag::T_RowCompareExpr {
        return row_by_order(cx, test.cast(), query);
    }
    let parts = match tag(test) {
        NodeTag::T_BoolExpr => list::<Node>((*test.cast::<pg_sys::BoolExpr>()).args),
        _ => vec![test],
    };
    let mut out = Vec::new();
    for part in parts {
        if tag(part) != NodeTag::T_OpExpr {
            return Err("a row comparison with a subquery that is none by columns".into());
        }
        let c = comparison(part.cast());
        let left = translate_left(cx, c.left)?;
        let right = column_of(cx, c.right, query)?;
        let ty = right.ty();
        let func = pg_sys::get_opcode(c.operator);
        let collation = call::check(cx, Callee::operator(c.operator, func, c.collation), &[left.ty(), ty])?;
        out.push(Expr::Call { func: func.to_u32(), args: vec![left, right], ty: PgType::BOOL, collation });
    }
    let or = tag(test) == NodeTag::T_BoolExpr && (*test.cast::<pg_sys::BoolExpr>()).boolop == BoolExprType::OR_EXPR;
    Ok(if or { Expr::Or(out) } else { Expr::And(out) })
}

/// The value of one column of a subquery that has one row. The query is translated anew for each: column ids must not occur twice.
unsafe fn column_of(cx: &mut Cx, param: *mut Node, query: *mut Query) -> Result<Expr> {
    let index = sublink_param(param).ok_or("a row comparison with a cast of a subquery's column")?;
    let (rel, columns) = visible(cx, tree::copy(query))?;
    let &(column, ty) = columns.get(index).ok_or("a row comparison with too few columns")?;
    Ok(Expr::ScalarSubquery { rel: Box::new(rel), column, ty })
}

/// `(a, b) < (SELECT x, y …)`
unsafe fn row_by_order(cx: &mut Cx, test: *mut pg_sys::RowCompareExpr, query: *mut Query) -> Result<Expr> {
    let (lefts, rights) = (list::<Node>((*test).largs), list::<Node>((*test).rargs));
    if lefts.len() != rights.len() {
        return Err("a row comparison of different lengths".into());
    }
    let order = row::Order::of(&*test);
    row::by_order(cx, &order, lefts.len(), &mut |cx, i| translate_left(cx, tree::copy(lefts[i])), &mut |cx, i| column_of(cx, rights[i], query))
}

/// `ARRAY(SELECT x … ORDER BY …)`: `coalesce(array_agg(x ORDER BY …), '{}')`.
unsafe fn array(cx: &mut Cx, link: *mut SubLink, query: *mut Query) -> Result<Expr> {
    /// `array_agg(anynonarray)`
    const ARRAY_AGG: u32 = 2335;
    let ty = types::pg_type(pg_sys::exprType(link.cast()), -1)?;
    // The sort keys must be visible columns for the aggregate to sort by them.
    let entries: Vec<*mut TargetEntry> = list::<TargetEntry>((*query).targetList);
    let mut needed = BTreeSet::from([1]);
    let sort_refs: Vec<u32> = list::<pg_sys::SortGroupClause>((*query).sortClause).iter().map(|c| (**c).tleSortGroupRef).collect();
    for te in &entries {
        if (**te).ressortgroupref != 0 && sort_refs.contains(&(**te).ressortgroupref) {
            needed.insert((**te).resno);
            (**te).resjunk = false;
        }
    }
    let keys_of: Vec<(i16, *mut pg_sys::SortGroupClause, *mut Node)> = list::<pg_sys::SortGroupClause>((*query).sortClause)
        .into_iter()
        .filter_map(|c| entries.iter().find(|te| (***te).ressortgroupref == (*c).tleSortGroupRef).map(|te| ((**te).resno, c, (**te).expr.cast())))
        .collect();
    let limited = !(*query).limitCount.is_null() || !(*query).limitOffset.is_null();
    let unsorted = (*query).sortClause.is_null();
    cx.keep_order = unsorted;
    let output = query::subquery(cx, query, &Needed::Only(needed), limited);
    cx.keep_order = false;
    let Output { rel, columns, order: read_order } = output?;
    // One row, or rows that are all the same, are in order; whether they are is found out only by force.
    if unsorted && read_order.is_empty() && crate::settings::route() != crate::settings::Route::force {
        return Err("ARRAY(SELECT …) without ORDER BY".into());
    }
    let column = |resno: i16| columns.get(&resno).copied().ok_or_else(|| "a column that was lost".to_string());
    let (id, element) = column(1)?;
    let mut order_by: Vec<SortKey> = read_order;
    for (resno, clause, node) in keys_of {
        let (id, ty) = column(resno)?;
        order_by.push(order::sort_key(clause, node, Expr::Column { id, ty }, "ORDER BY in ARRAY(SELECT …)")?);
    }
    let callee = Callee { func: pg_sys::Oid::from(ARRAY_AGG), operator: None, kind: FunctionKind::Aggregate, over: false, collation: pg_sys::InvalidOid };
    let _: Collation = call::check(cx, callee, &[element])?;
    let args = vec![Expr::Column { id, ty: element }];
    let call = AggCall { func: ARRAY_AGG, direct: Vec::new(), args, distinct: false, order_by, filter: None, ty };
    let out = cx.new_col();
    let rel = Rel::Aggregate(Box::new(Aggregate {
        input: rel,
        groups: Vec::new(),
        grouping_sets: None,
        calls: vec![Named { id: out, expr: call }],
        groupings: Vec::new(),
    }));
    let value = Expr::ScalarSubquery { rel: Box::new(rel), column: out, ty };
    Ok(Expr::Coalesce { args: vec![value, Expr::Const { value: Scalar::Array(Vec::new()), ty }], ty })
}
