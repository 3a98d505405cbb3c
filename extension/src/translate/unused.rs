//! Columns that nobody needs, but that Postgres computes all the same: keys of a sort or window in a subquery, columns of a materialised
//! WITH query, of a UNION ALL that stays one. If one can raise an error, the engine computes it too; others are left out.

use super::tree::{any_child, list, tag};
use super::{Cx, Result, constant, expr, param};
use pg_sys::{Node, NodeTag, Query, TargetEntry};
use pgrx::pg_sys;
use std::collections::BTreeSet;
use weir_plan::functions::EVALUATED;
use weir_plan::ir::{Collation, Expr, Rel, Scalar};
use weir_plan::types::{PgType, oid};

/// Functions that raise no error although Postgres does not call them leakproof: text and its concatenation, `lower`, `upper`, trimming,
/// `replace`, `strpos`, `left`, `right`, casts among strings, `length`, sums, differences, products and rounding of numerics, `date_trunc`,
/// `extract`, `to_char` of times, casts among them, members of JSON.
#[rustfmt::skip]
const SAFE: &[u32] = &[
    1258, 2003, 2004, 3058, 3059, 870, 871, 872, 885, 884, 881, 882, 883, 2087, 868, 3060, 3061, 401, 406, 407, 408, 409, 668, 669, 2971, 1317, 1318,
    1724, 1725, 1726, 1705, 1707, 1708, 2020, 1217, 1384, 2021, 1385, 1171, 6202, 6203, 6199, 6200, 6204, 2049, 1770, 2029, 1178, 2024, 3214, 3478, 3947, 3948,
];
/// Divisions and remainders of integers and numerics.
const DIVISIONS: &[u32] = &[153, 154, 466, 173, 1277, 1281, 156, 941, 945, 947, 1727, 1728, 1729];

/// Whether an expression can raise an error.
pub unsafe fn can_fail(node: *mut Node) -> bool {
    if node.is_null() {
        return false;
    }
    pg_sys::check_stack_depth();
    let fails = match tag(node) {
        NodeTag::T_Const | NodeTag::T_Var | NodeTag::T_Param | NodeTag::T_CaseTestExpr | NodeTag::T_SQLValueFunction | NodeTag::T_GroupingFunc => false,
        NodeTag::T_FuncExpr => {
            let f = &*node.cast::<pg_sys::FuncExpr>();
            call_can_fail(f.funcid, f.args)
        }
        NodeTag::T_OpExpr | NodeTag::T_DistinctExpr | NodeTag::T_NullIfExpr => {
            let op = node.cast::<pg_sys::OpExpr>();
            pg_sys::set_opfuncid(op);
            call_can_fail((*op).opfuncid, (*op).args)
        }
        NodeTag::T_ScalarArrayOpExpr => {
            let op = node.cast::<pg_sys::ScalarArrayOpExpr>();
            pg_sys::set_sa_opfuncid(op);
            call_can_fail((*op).opfuncid, (*op).args)
        }
        NodeTag::T_CoerceViaIO => !matches!((*node.cast::<pg_sys::CoerceViaIO>()).resulttype.to_u32(), oid::TEXT | oid::VARCHAR),
        NodeTag::T_BoolExpr
        | NodeTag::T_NullTest
        | NodeTag::T_BooleanTest
        | NodeTag::T_CaseExpr
        | NodeTag::T_CaseWhen
        | NodeTag::T_CoalesceExpr
        | NodeTag::T_MinMaxExpr
        | NodeTag::T_RelabelType
        | NodeTag::T_CollateExpr
        | NodeTag::T_ArrayExpr
        | NodeTag::T_RowExpr
        | NodeTag::T_Aggref
        | NodeTag::T_WindowFunc
        | NodeTag::T_TargetEntry
        | NodeTag::T_List => false,
        _ => true,
    };
    fails || any_child(node, &mut |child| can_fail(child))
}

unsafe fn call_can_fail(func: pg_sys::Oid, args: *mut pg_sys::List) -> bool {
    let id = func.to_u32();
    if DIVISIONS.contains(&id) {
        return !matches!(list::<Node>(args).as_slice(), [_, divisor] if is_harmless(*divisor));
    }
    !SAFE.contains(&id) && !pg_sys::get_func_leakproof(func)
}

/// Whether it is a constant by which everything can be divided.
unsafe fn is_harmless(divisor: *mut Node) -> bool {
    if tag(divisor) != NodeTag::T_Const {
        return false;
    }
    let c = &*divisor.cast::<pg_sys::Const>();
    match constant::datum_to_scalar(c.constvalue, c.constisnull, PgType::new(c.consttype.to_u32())) {
        Ok(Scalar::Null) => true,
        Ok(Scalar::Int2(n)) => n > 0,
        Ok(Scalar::Int4(n)) => n > 0,
        Ok(Scalar::Int8(n)) => n > 0,
        Ok(Scalar::Numeric(n)) => n.bytes().any(|b| matches!(b, b'1'..=b'9')),
        _ => false,
    }
}

/// The relation, of which the engine computes these expressions, too.
pub fn computed(rel: Rel, exprs: Vec<Expr>) -> Rel {
    if exprs.is_empty() { rel } else { fenced(rel, exprs, true) }
}

/// The same; `lets_conditions_pass`: those from above may leave out rows before.
pub fn fenced(rel: Rel, exprs: Vec<Expr>, lets_conditions_pass: bool) -> Rel {
    let pass = Expr::Const { value: Scalar::Bool(lets_conditions_pass), ty: PgType::BOOL };
    let args = std::iter::once(pass).chain(exprs).collect();
    Rel::Filter { input: Box::new(rel), predicate: Expr::Call { func: EVALUATED, args, ty: PgType::BOOL, collation: Collation::None } }
}

/// As [`fenced`], of those of the nodes that can raise an error, if one can.
pub unsafe fn fenced_nodes(cx: &mut Cx, rel: Rel, nodes: &[*mut Node], lets_conditions_pass: bool) -> Result<Rel> {
    let mut exprs = Vec::new();
    for node in nodes {
        // Those that nobody needs have not been folded yet.
        let node = param::fold(cx, *node);
        if can_fail(node) {
            exprs.push(expr::translate(cx, node)?);
        }
    }
    Ok(if exprs.is_empty() { rel } else { fenced(rel, exprs, lets_conditions_pass) })
}

/// Whether a subquery in FROM is computed whole in Postgres, though conditions above could leave out rows, and that shows: it has a limit, windows
/// or DISTINCT ON, and one of the columns that are used can raise an error.
pub unsafe fn keeps_conditions_out(query: *mut Query, used: &BTreeSet<i16>) -> bool {
    let q = &*query;
    let is_whole = !q.limitCount.is_null() || !q.limitOffset.is_null() || q.hasWindowFuncs || q.hasDistinctOn;
    is_whole && list::<TargetEntry>(q.targetList).into_iter().any(|te| used.contains(&(*te).resno) && can_fail((*te).expr.cast()))
}

/// The columns of a query, by `resno`, that are not among those needed, and can raise an error.
pub unsafe fn columns_that_can_fail(query: *mut Query, needed: &BTreeSet<i16>) -> BTreeSet<i16> {
    let target = list::<TargetEntry>((*query).targetList);
    target.into_iter().filter(|te| !(**te).resjunk && !needed.contains(&(**te).resno) && can_fail((**te).expr.cast())).map(|te| (*te).resno).collect()
}
