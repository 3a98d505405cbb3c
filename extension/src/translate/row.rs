//! Comparisons of rows by order, `(a, b) < (c, d)`, as comparisons of their columns.

use super::call::{self, Callee};
use super::tree::{self, list, oid_list};
use super::{Cx, Result, expr};
use pg_sys::{Node, RowCompareExpr};
use pgrx::pg_sys;
use weir_plan::ir::{Collation, Expr};
use weir_plan::types::PgType;

/// How the columns of two rows are compared, one after the other.
pub struct Order {
    pub operators: Vec<pg_sys::Oid>,
    pub families: Vec<pg_sys::Oid>,
    pub collations: Vec<pg_sys::Oid>,
}

impl Order {
    pub unsafe fn of(r: &RowCompareExpr) -> Order {
        Order { operators: oid_list(r.opnos), families: oid_list(r.opfamilies), collations: oid_list(r.inputcollids) }
    }
}

pub unsafe fn compare(cx: &mut Cx, r: *mut RowCompareExpr) -> Result<Expr> {
    let (lefts, rights) = (list::<Node>((*r).largs), list::<Node>((*r).rargs));
    if lefts.len() != rights.len() {
        return Err("a row comparison of different lengths".into());
    }
    let side = |cx: &mut Cx, nodes: &[*mut Node], i: usize| match nodes.get(i) {
        // Used twice, it must be translated twice: column ids of a subquery must not.
        Some(node) => expr::translate(cx, tree::copy(*node)),
        None => Err("a row comparison of different lengths".into()),
    };
    by_order(cx, &Order::of(&*r), lefts.len(), &mut |cx, i| side(cx, &lefts, i), &mut |cx, i| side(cx, &rights, i))
}

/// The columns of one side by their numbers, made anew for each use.
type Side<'a> = &'a mut dyn FnMut(&mut Cx, usize) -> Result<Expr>;

/// `a < c OR (a = c AND (b < d))`, which is NULL exactly where Postgres's comparison is: it goes on to the next column only if
/// the one before is known to be equal.
pub unsafe fn by_order(cx: &mut Cx, order: &Order, columns: usize, left: Side, right: Side) -> Result<Expr> {
    if [order.operators.len(), order.families.len(), order.collations.len()].iter().any(|n| *n != columns) {
        return Err("a row comparison of different lengths".into());
    }
    let mut result: Option<Expr> = None;
    for i in (0..columns).rev() {
        let mut pair = |cx: &mut Cx, operator| -> Result<Expr> {
            let (left, right) = (left(cx, i)?, right(cx, i)?);
            call(cx, Pair { operator, left, right, collation: order.collations[i] })
        };
        result = Some(match result {
            None => pair(cx, order.operators[i])?,
            Some(rest) => {
                let (strict, equal) = strict_and_equal(order.operators[i], order.families[i])?;
                let less = pair(cx, strict)?;
                let same = pair(cx, equal)?;
                Expr::Or(vec![less, Expr::And(vec![same, rest])])
            }
        });
    }
    result.ok_or_else(|| "a comparison of empty rows".to_string())
}

struct Pair {
    operator: pg_sys::Oid,
    left: Expr,
    right: Expr,
    collation: pg_sys::Oid,
}

unsafe fn call(cx: &Cx, pair: Pair) -> Result<Expr> {
    let func = pg_sys::get_opcode(pair.operator);
    let args = vec![pair.left, pair.right];
    if let Some(compared) = expr::under_locale(func.to_u32(), pair.collation, &args) {
        return Ok(compared);
    }
    let collation: Collation = call::check(cx, Callee::operator(pair.operator, func, pair.collation), &args.iter().map(Expr::ty).collect::<Vec<_>>())?;
    Ok(Expr::Call { func: func.to_u32(), args, ty: PgType::BOOL, collation })
}

/// The strict comparison in the operator's direction, and the equality, of its operator family.
unsafe fn strict_and_equal(operator: pg_sys::Oid, family: pg_sys::Oid) -> Result<(pg_sys::Oid, pg_sys::Oid)> {
    let strategy = pg_sys::get_op_opfamily_strategy(operator, family) as u32;
    let strict = match strategy {
        pg_sys::BTLessStrategyNumber | pg_sys::BTLessEqualStrategyNumber => pg_sys::BTLessStrategyNumber,
        pg_sys::BTGreaterStrategyNumber | pg_sys::BTGreaterEqualStrategyNumber => pg_sys::BTGreaterStrategyNumber,
        _ => return Err("a row comparison by an unknown operator".into()),
    };
    let (mut left, mut right) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
    pg_sys::op_input_types(operator, &mut left, &mut right);
    let member = |strategy: u32| pg_sys::get_opfamily_member(family, left, right, strategy as i16);
    let (strict, equal) = (member(strict), member(pg_sys::BTEqualStrategyNumber));
    if strict == pg_sys::InvalidOid || equal == pg_sys::InvalidOid {
        return Err("a row comparison by an incomplete operator family".into());
    }
    Ok((strict, equal))
}
