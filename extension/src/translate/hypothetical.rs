//! Hypothetical-set aggregates as counts of rows: `rank(x) WITHIN GROUP (ORDER BY y)` is one more than the rows that come before a row of x.
//!
//! The tree is rewritten before it is translated, so that comparisons, collations and grouping are checked where those of the query are.
//! Source: `hypothetical_rank_common` and its callers in `orderedsetaggs.c`.

use super::Result;
use super::tree::{self, list};
use pg_sys::{Aggref, BoolExprType, Node, NodeTag, NullTestType, SortGroupClause, TargetEntry};
use pgrx::{IntoDatum, pg_sys};
use std::ptr::null_mut;

/// `rank`, `percent_rank`, `cume_dist`, `dense_rank` of `"any"`.
const RANK: u32 = 3986;
const PERCENT_RANK: u32 = 3988;
const CUME_DIST: u32 = 3990;
const DENSE_RANK: u32 = 3992;
/// `count(*)`, `count("any")`
const COUNT_ROWS: u32 = 2803;
const COUNT: u32 = 2147;
/// `bigint + bigint`, `bigint = bigint`, `float8 / float8`, `float8(bigint)`
const INT8_PLUS: u32 = 684;
const INT8_EQUAL: u32 = 410;
const FLOAT8_DIVIDE: u32 = 593;
const FLOAT8_OF_INT8: u32 = 482;

/// A key of WITHIN GROUP and the hypothetical row's value.
struct Key {
    entry: *mut TargetEntry,
    clause: *mut SortGroupClause,
    column: *mut Node,
    value: *mut Node,
}

/// What a hypothetical-set aggregate is in terms of counts; `None` for another aggregate. `has_sets`: the query has GROUPING SETS.
pub unsafe fn counted(agg: *mut Aggref, has_sets: bool) -> Result<Option<*mut Node>> {
    if (*agg).aggkind as u8 != b'h' {
        return Ok(None);
    }
    let name = || super::types::function_name((*agg).aggfnoid);
    // As a condition on rows it would be what the key is in the row, and not NULL in the sets without it.
    if has_sets && list::<Node>((*agg).aggdirectargs).into_iter().any(|value| tree::depends_on_row(value)) {
        return Err(format!("{} of a key of GROUPING SETS", name()));
    }
    if (*agg).aggvariadic {
        return Err(format!("aggregate {} with VARIADIC", name()));
    }
    let keys = keys(agg).ok_or_else(|| format!("hypothetical-set aggregate {} of this form", name()))?;
    let one = || bigint(1);
    Ok(Some(match (*agg).aggfnoid.to_u32() {
        RANK => operator(INT8_PLUS, pg_sys::INT8OID, rows(agg, Some(before(&keys, false))), one()),
        PERCENT_RANK => {
            let all = rows(agg, None);
            let share = operator(FLOAT8_DIVIDE, pg_sys::FLOAT8OID, float8(rows(agg, Some(before(&keys, false)))), float8(tree::copy(all)));
            let none = pg_sys::makeConst(pg_sys::FLOAT8OID, -1, pg_sys::InvalidOid, 8, 0.0f64.into_datum().unwrap_or(pg_sys::Datum::from(0)), false, true);
            case(operator(INT8_EQUAL, pg_sys::BOOLOID, all, bigint(0)), none.cast(), share)
        }
        CUME_DIST => {
            let (up_to, all) = (rows(agg, Some(before(&keys, true))), rows(agg, None));
            let plus_one = |n| float8(operator(INT8_PLUS, pg_sys::INT8OID, n, one()));
            operator(FLOAT8_DIVIDE, pg_sys::FLOAT8OID, plus_one(up_to), plus_one(all))
        }
        DENSE_RANK => {
            let [key] = keys.as_slice() else { return Err(format!("{} over several keys", name())) };
            let values = operator(INT8_PLUS, pg_sys::INT8OID, distinct(agg, key, before(&keys, false)), one());
            if !(*key.clause).nulls_first {
                return Ok(Some(values));
            }
            // NULL is one value more, which count(DISTINCT) passes over.
            let nulls = rows(agg, Some(both(null_test(key.column, true), null_test(key.value, false))));
            let null = case(operator(INT8_EQUAL, pg_sys::BOOLOID, nulls, bigint(0)), bigint(0), one());
            operator(INT8_PLUS, pg_sys::INT8OID, values, null)
        }
        _ => return Err(format!("hypothetical-set aggregate {}", name())),
    }))
}

unsafe fn keys(agg: *mut Aggref) -> Option<Vec<Key>> {
    let entries = list::<TargetEntry>((*agg).args);
    let values = list::<Node>((*agg).aggdirectargs);
    let clauses = list::<SortGroupClause>((*agg).aggorder);
    if values.len() != clauses.len() || clauses.is_empty() {
        return None;
    }
    let key = |(clause, value): (*mut SortGroupClause, *mut Node)| {
        let entry = entries.iter().copied().find(|te| (**te).ressortgroupref == (*clause).tleSortGroupRef)?;
        let column = (*entry).expr.cast::<Node>();
        (pg_sys::exprType(column) == pg_sys::exprType(value)).then_some(Key { entry, clause, column, value })
    };
    clauses.into_iter().zip(values).map(key).collect()
}

/// Whether a row comes before the hypothetical one, or (if `or_equal`) is its peer. Never true for being NULL.
unsafe fn before(keys: &[Key], or_equal: bool) -> *mut Node {
    let mut condition: Option<*mut Node> = None;
    for key in keys.iter().rev() {
        let collation = pg_sys::exprCollation(key.column);
        let compare = |op: pg_sys::Oid| {
            let call = pg_sys::make_opclause(op, pg_sys::BOOLOID, false, copied(key.column), copied(key.value), pg_sys::InvalidOid, collation);
            pg_sys::set_opfuncid(call.cast());
            call.cast::<Node>()
        };
        let nulls_first = (*key.clause).nulls_first;
        let earlier = either(compare((*key.clause).sortop), both(null_test(key.column, nulls_first), null_test(key.value, !nulls_first)));
        let equal = || either(compare((*key.clause).eqop), both(null_test(key.column, true), null_test(key.value, true)));
        condition = Some(match condition {
            Some(rest) => either(earlier, both(equal(), rest)),
            None if or_equal => either(earlier, equal()),
            None => earlier,
        });
    }
    condition.unwrap_or(null_mut())
}

unsafe fn copied(node: *mut Node) -> *mut pg_sys::Expr {
    tree::copy(node).cast()
}

unsafe fn null_test(arg: *mut Node, is_null: bool) -> *mut Node {
    let test = pg_sys::palloc0(size_of::<pg_sys::NullTest>()).cast::<pg_sys::NullTest>();
    test.cast::<Node>().write(Node { type_: NodeTag::T_NullTest });
    (*test).arg = copied(arg);
    (*test).nulltesttype = if is_null { NullTestType::IS_NULL } else { NullTestType::IS_NOT_NULL };
    test.cast()
}

unsafe fn boolean(op: BoolExprType::Type, left: *mut Node, right: *mut Node) -> *mut Node {
    pg_sys::makeBoolExpr(op, pg_sys::lappend(pg_sys::lappend(null_mut(), left.cast()), right.cast()), -1).cast()
}

unsafe fn both(left: *mut Node, right: *mut Node) -> *mut Node {
    boolean(BoolExprType::AND_EXPR, left, right)
}

unsafe fn either(left: *mut Node, right: *mut Node) -> *mut Node {
    boolean(BoolExprType::OR_EXPR, left, right)
}

unsafe fn bigint(n: i64) -> *mut Node {
    pg_sys::makeConst(pg_sys::INT8OID, -1, pg_sys::InvalidOid, 8, n.into_datum().unwrap_or(pg_sys::Datum::from(0)), false, true).cast()
}

unsafe fn operator(op: u32, result: pg_sys::Oid, left: *mut Node, right: *mut Node) -> *mut Node {
    let call = pg_sys::make_opclause(pg_sys::Oid::from(op), result, false, left.cast(), right.cast(), pg_sys::InvalidOid, pg_sys::InvalidOid);
    pg_sys::set_opfuncid(call.cast());
    call.cast()
}

unsafe fn float8(n: *mut Node) -> *mut Node {
    let (func, none) = (pg_sys::Oid::from(FLOAT8_OF_INT8), pg_sys::InvalidOid);
    let args = pg_sys::lappend(null_mut(), n.cast());
    pg_sys::makeFuncExpr(func, pg_sys::FLOAT8OID, args, none, none, pg_sys::CoercionForm::COERCE_EXPLICIT_CAST).cast()
}

unsafe fn case(condition: *mut Node, then: *mut Node, otherwise: *mut Node) -> *mut Node {
    let when = pg_sys::palloc0(size_of::<pg_sys::CaseWhen>()).cast::<pg_sys::CaseWhen>();
    when.cast::<Node>().write(Node { type_: NodeTag::T_CaseWhen });
    (*when).expr = condition.cast();
    (*when).result = then.cast();
    let case = pg_sys::palloc0(size_of::<pg_sys::CaseExpr>()).cast::<pg_sys::CaseExpr>();
    case.cast::<Node>().write(Node { type_: NodeTag::T_CaseExpr });
    (*case).casetype = pg_sys::exprType(then);
    (*case).args = pg_sys::lappend(null_mut(), when.cast());
    (*case).defresult = otherwise.cast();
    case.cast()
}

/// A plain aggregate of the same level over the same rows.
unsafe fn plain(agg: *mut Aggref, func: u32, condition: Option<*mut Node>) -> *mut Aggref {
    let count = tree::copy(agg);
    (*count).aggfnoid = pg_sys::Oid::from(func);
    (*count).aggtype = pg_sys::INT8OID;
    (*count).aggcollid = pg_sys::InvalidOid;
    (*count).inputcollid = pg_sys::InvalidOid;
    (*count).aggtranstype = pg_sys::InvalidOid;
    (*count).aggkind = b'n' as _;
    (*count).aggargtypes = null_mut();
    (*count).aggdirectargs = null_mut();
    (*count).args = null_mut();
    (*count).aggorder = null_mut();
    (*count).aggdistinct = null_mut();
    if let Some(condition) = condition {
        let own = (*count).aggfilter.cast::<Node>();
        (*count).aggfilter = if own.is_null() { condition } else { both(own, condition) }.cast();
    }
    count
}

/// `count(*) FILTER (WHERE …)`
unsafe fn rows(agg: *mut Aggref, condition: Option<*mut Node>) -> *mut Node {
    let count = plain(agg, COUNT_ROWS, condition);
    (*count).aggstar = true;
    count.cast()
}

/// `count(DISTINCT key) FILTER (WHERE …)`
unsafe fn distinct(agg: *mut Aggref, key: &Key, condition: *mut Node) -> *mut Node {
    let count = plain(agg, COUNT, Some(condition));
    let entry = tree::copy(key.entry);
    (*entry).resno = 1;
    (*entry).resjunk = false;
    (*count).aggargtypes = pg_sys::lappend_oid(null_mut(), pg_sys::exprType(key.column));
    (*count).args = pg_sys::lappend(null_mut(), entry.cast());
    (*count).aggdistinct = pg_sys::lappend(null_mut(), tree::copy(key.clause).cast());
    count.cast()
}
