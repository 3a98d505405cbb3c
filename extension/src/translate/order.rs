//! Sorting, grouping and equality: what an engine can compare as Postgres does.

use super::query::entry_of;
use super::tree::{self, list};
use super::{Result, collation, labels, types};
use pg_sys::{Node, Query, SortGroupClause, TargetEntry};
use pgrx::pg_sys;
use weir_plan::functions;
use weir_plan::ir::{Collation, CtypeId, Expr, Scalar, SortKey};
use weir_plan::types::{PgType, oid};

/// Whether values of a type can be ordered by the engine; `what` names the construct in the refusal.
pub unsafe fn check_order(ty: &PgType, coll: pg_sys::Oid, what: &str) -> Result<()> {
    match ty.base {
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME => match collation::class(coll)? {
            Collation::C | Collation::CodePoint(_) => Ok(()),
            // Postgres raises an error when it gets there.
            Collation::None => Err(format!("{what} under conflicting collations")),
            Collation::Locale(_) | Collation::Nondeterministic => Err(format!("{what} under collation \"{}\"", collation::name(coll))),
        },
        oid::JSON | oid::JSONB => Err(format!("{what} on type {}", types::type_name(pg_sys::Oid::from(ty.oid)))),
        oid::ENUM_ARRAY => Ok(()),
        _ => match ty.element() {
            None => Ok(()),
            Some(element) if functions::has_plain_elements(ty) => check_order(&element, coll, what),
            Some(_) => Err(format!("{what} on type {}", types::type_name(pg_sys::Oid::from(ty.oid)))),
        },
    }
}

/// What the engine orders an expression by: itself, the place of an enum's label, or the key of an address or array.
pub unsafe fn order_key(e: Expr) -> Result<Expr> {
    let [network, array] = functions::ORDER_KEYS;
    let e = labels::rank(e)?;
    let func = match e.ty().base {
        oid::INET | oid::CIDR => network,
        _ if functions::has_plain_elements(&e.ty()) => array,
        _ => return Ok(e),
    };
    Ok(Expr::Call { func, args: vec![e], ty: PgType::new(oid::BYTEA), collation: Collation::None })
}

/// Whether values can be compared for equality by the engine.
pub unsafe fn check_equality(ty: &PgType, coll: pg_sys::Oid, what: &str) -> Result<()> {
    if ty.is_collatable() && collation::class(coll)? == Collation::Nondeterministic {
        return Err(format!("{what} under nondeterministic collation \"{}\"", collation::name(coll)));
    }
    Ok(())
}

/// Checks a grouping or DISTINCT key: the type's default equality under a deterministic collation.
pub unsafe fn check_grouping(clause: *mut SortGroupClause, node: *mut Node, what: &str) -> Result<()> {
    let ty = types::type_of(node)?;
    check_equality(&ty, pg_sys::exprCollation(node), what)?;
    let cache = pg_sys::lookup_type_cache(pg_sys::exprType(node), pg_sys::TYPECACHE_EQ_OPR as i32);
    if (*cache).eq_opr != (*clause).eqop {
        return Err(format!("{what} with operator {}", types::operator_name((*clause).eqop)));
    }
    Ok(())
}

/// Whether a sort operator is the descending one of the type's default ordering.
///
/// # Errors
/// It is neither: `ORDER BY … USING`.
pub unsafe fn is_descending(sort_op: pg_sys::Oid, type_oid: pg_sys::Oid) -> Result<bool> {
    let cache = pg_sys::lookup_type_cache(type_oid, (pg_sys::TYPECACHE_LT_OPR | pg_sys::TYPECACHE_GT_OPR) as i32);
    if (*cache).lt_opr == sort_op {
        Ok(false)
    } else if (*cache).gt_opr == sort_op {
        Ok(true)
    } else {
        Err(format!("ORDER BY USING {}", types::operator_name(sort_op)))
    }
}

/// How the engine may sort text under the collation of a locale.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Locales {
    /// By its place among all texts, which are all compared for that.
    Ranked,
    /// Not at all.
    Refused,
}

/// One sort key; `node` is the expression as Postgres has it.
pub unsafe fn sort_key(clause: *mut SortGroupClause, node: *mut Node, expr: Expr, what: &str) -> Result<SortKey> {
    sort_key_if(clause, node, expr, what, Locales::Ranked)
}

unsafe fn sort_key_if(clause: *mut SortGroupClause, node: *mut Node, expr: Expr, what: &str, locales: Locales) -> Result<SortKey> {
    let collation = pg_sys::exprCollation(node);
    let descending = is_descending((*clause).sortop, pg_sys::exprType(node))?;
    let locale = if locales == Locales::Ranked && is_text(&expr.ty()) { collation::locale(collation) } else { None };
    let expr = match locale {
        Some(locale) => Expr::Call { func: functions::TEXT_RANK, args: vec![expr, locale], ty: PgType::INT8, collation: Collation::Locale(CtypeId::ASCII) },
        None => {
            check_order(&expr.ty(), collation, what)?;
            order_key(expr)?
        }
    };
    Ok(SortKey { expr, descending, nulls_first: (*clause).nulls_first })
}

fn is_text(ty: &PgType) -> bool {
    matches!(ty.base, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME)
}

/// Whether a key is the place of a text under a locale.
pub fn is_ranked(key: &SortKey) -> bool {
    matches!(key.expr, Expr::Call { func: functions::TEXT_RANK, .. })
}

/// The value that a key is made of, and the key over a column which has that value. (The place of a text is known to whoever sorts alone.)
pub fn carried(key: SortKey, column: impl FnOnce(&PgType) -> Expr) -> (Expr, SortKey) {
    match key.expr {
        Expr::Call { func: functions::TEXT_RANK, mut args, ty, collation } if !args.is_empty() => {
            let text = std::mem::replace(&mut args[0], Expr::Const { value: Scalar::Null, ty });
            args[0] = column(&text.ty());
            (text, SortKey { expr: Expr::Call { func: functions::TEXT_RANK, args, ty, collation }, ..key })
        }
        value => {
            let expr = column(&value.ty());
            (value, SortKey { expr, ..key })
        }
    }
}

/// The keys of an ORDER BY; those that are the same for all rows are left out.
pub unsafe fn sort_keys(
    clause: *mut pg_sys::List,
    entries: &[*mut TargetEntry],
    exprs: &[*mut Node],
    column: &dyn Fn(usize) -> Result<Expr>,
    locales: Locales,
) -> Result<Vec<SortKey>> {
    let mut keys = Vec::new();
    for c in list::<SortGroupClause>(clause) {
        let i = entry_of(c, entries)?;
        if !is_row_independent(exprs[i]) {
            keys.push(sort_key_if(c, exprs[i], column(i)?, "ORDER BY", locales)?);
        }
    }
    Ok(keys)
}

/// The same value for all rows.
pub unsafe fn is_row_independent(node: *mut Node) -> bool {
    !tree::depends_on_row(node) && !tree::is_volatile(node)
}

/// How DISTINCT ON picks its rows.
pub struct DistinctOnKeys {
    pub keys: Vec<SortKey>,
    /// The rows then also have the order of ORDER BY.
    pub is_final_order: bool,
}

/// The keys by which DISTINCT ON picks the first row of each group. The order *of* groups does not matter for that: where the engine cannot
/// order a key of DISTINCT ON as Postgres does, or `groups` says that it is not to, any order that keeps equal values together serves.
pub unsafe fn distinct_on_keys(
    query: *mut Query,
    entries: &[*mut TargetEntry],
    exprs: &[*mut Node],
    column: &dyn Fn(usize) -> Result<Expr>,
    groups: Locales,
) -> Result<DistinctOnKeys> {
    let on: Vec<u32> = list::<SortGroupClause>((*query).distinctClause).iter().map(|c| (**c).tleSortGroupRef).collect();
    let mut is_final_order = true;
    let mut keys = Vec::new();
    let mut seen = Vec::new();
    for c in list::<SortGroupClause>((*query).sortClause) {
        let i = entry_of(c, entries)?;
        let is_on = on.contains(&(*c).tleSortGroupRef);
        match sort_key_if(c, exprs[i], column(i)?, "ORDER BY", if is_on { groups } else { Locales::Ranked }) {
            Ok(key) => keys.push(key),
            Err(_) if is_on => {
                is_final_order = false;
                keys.push(SortKey { expr: column(i)?, descending: false, nulls_first: false });
            }
            Err(why) => return Err(why),
        }
        if is_on {
            seen.push((*c).tleSortGroupRef);
        }
    }
    // Without ORDER BY (or with a shorter one) the remaining keys of DISTINCT ON come where they keep the groups together: in front
    // of everything that is not a key of it.
    let position = seen.len();
    let mut missing = Vec::new();
    for c in list::<SortGroupClause>((*query).distinctClause) {
        if !seen.contains(&(*c).tleSortGroupRef) {
            let i = entry_of(c, entries)?;
            missing.push(SortKey { expr: order_key(column(i)?)?, descending: false, nulls_first: false });
        }
    }
    if !missing.is_empty() {
        is_final_order &= keys.len() == position;
        keys.splice(position..position, missing);
    }
    Ok(DistinctOnKeys { keys, is_final_order })
}
