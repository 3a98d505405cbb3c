//! Comparisons of rows by order, `(a, b) < (c, d)`, as comparisons of their columns.

use super::call::{self, Callee};
use super::tree::{list, oid_list};
use super::{Cx, Result, columns, expr};
use pg_sys::{Node, RowCompareExpr};
use pgrx::pg_sys;
use weir_plan::ir::{Collation, Expr};
use weir_plan::types::PgType;

/// `a < c OR (a = c AND (b < d))`, which is NULL exactly where Postgres's comparison is: it goes on to the next column only if
/// the one before is known to be equal.
pub unsafe fn compare(cx: &mut Cx, r: *mut RowCompareExpr) -> Result<Expr> {
    let r = &*r;
    let lefts = expr::expr_list(cx, r.largs)?;
    let rights = expr::expr_list(cx, r.rargs)?;
    let operators = oid_list(r.opnos);
    let families = oid_list(r.opfamilies);
    let collations = oid_list(r.inputcollids);
    let nodes = list::<Node>(r.largs);
    if [rights.len(), operators.len(), families.len(), collations.len(), nodes.len()].iter().any(|n| *n != lefts.len()) {
        return Err("a row comparison of different lengths".into());
    }
    if lefts.iter().chain(&rights).any(columns::has_subquery) {
        return Err("a row comparison with a subquery in a row".into());
    }
    let mut result: Option<Expr> = None;
    for i in (0..lefts.len()).rev() {
        let pair = |operator| Pair { operator, left: &lefts[i], right: &rights[i], collation: collations[i] };
        result = Some(match result {
            None => call(cx, pair(operators[i]))?,
            Some(rest) => {
                let (strict, equal) = strict_and_equal(operators[i], families[i])?;
                let less = call(cx, pair(strict))?;
                let same = call(cx, pair(equal))?;
                Expr::Or(vec![less, Expr::And(vec![same, rest])])
            }
        });
    }
    result.ok_or_else(|| "a comparison of empty rows".to_string())
}

struct Pair<'a> {
    operator: pg_sys::Oid,
    left: &'a Expr,
    right: &'a Expr,
    collation: pg_sys::Oid,
}

unsafe fn call(cx: &Cx, pair: Pair) -> Result<Expr> {
    let func = pg_sys::get_opcode(pair.operator);
    let collation: Collation = call::check(cx, Callee::operator(pair.operator, func, pair.collation), &[pair.left.ty(), pair.right.ty()])?;
    Ok(Expr::Call { func: func.to_u32(), args: vec![pair.left.clone(), pair.right.clone()], ty: PgType::BOOL, collation })
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
