//! Whether a range that is constant contains a value, as comparisons of the value with its bounds: ranges themselves have no form in a plan.
//!
//! Source: `range_contains_elem_internal`; release 17 does the same while planning.

use super::call::{self, Callee};
use super::tree::{self, list, tag};
use super::{Cx, Result, constant, expr, types};
use pg_sys::{Node, NodeTag, OpExpr};
use pgrx::pg_sys;
use weir_plan::ir::Expr;
use weir_plan::types::PgType;

/// `element <@ range` and `range @> element`
const CONTAINED: u32 = 3860;
const CONTAINS: u32 = 3858;

/// `int4range`, `numrange`, `tsrange`, `tstzrange`, `daterange`, `int8range`, which have the default order of their elements.
const RANGES: &[u32] = &[3904, 3906, 3908, 3910, 3912, 3926];

/// The comparisons that such an operator is; `None` if it is another, or the range is no constant of a built-in type.
pub unsafe fn contains(cx: &mut Cx, o: &OpExpr) -> Result<Option<Expr>> {
    let args = list::<Node>(o.args);
    let (range, element) = match (o.opfuncid.to_u32(), args.as_slice()) {
        (CONTAINS, &[range, element]) | (CONTAINED, &[element, range]) => (range, element),
        _ => return Ok(None),
    };
    if tag(range) != NodeTag::T_Const {
        return Ok(None);
    }
    let c = &*range.cast::<pg_sys::Const>();
    if c.constisnull || !RANGES.contains(&c.consttype.to_u32()) {
        return Ok(None);
    }
    let cache = pg_sys::lookup_type_cache(c.consttype, pg_sys::TYPECACHE_RANGE_INFO as i32);
    let (mut lower, mut upper, mut empty) = (pg_sys::RangeBound::default(), pg_sys::RangeBound::default(), false);
    let value = pg_sys::pg_detoast_datum(c.constvalue.cast_mut_ptr()).cast::<pg_sys::RangeType>();
    pg_sys::range_deserialize(cache, value, &mut lower, &mut upper, &mut empty);
    let type_oid = (*(*cache).rngelemtype).type_id;
    let family = (*pg_sys::lookup_type_cache(type_oid, pg_sys::TYPECACHE_BTREE_OPFAMILY as i32)).btree_opf;
    let of = Elements { family, type_oid, node: element };
    // Of a NULL element NULL, else the same for all.
    if empty {
        let itself = expr::translate(cx, tree::copy(element))?;
        return of.compare(cx, None, itself).map(Some);
    }
    let mut parts = Vec::new();
    for bound in [lower, upper].iter().filter(|b| !b.infinite) {
        let strategy = match (bound.lower, bound.inclusive) {
            (true, true) => pg_sys::BTGreaterEqualStrategyNumber,
            (true, false) => pg_sys::BTGreaterStrategyNumber,
            (false, true) => pg_sys::BTLessEqualStrategyNumber,
            (false, false) => pg_sys::BTLessStrategyNumber,
        };
        let ty = types::pg_type(of.type_oid, -1)?;
        let value = constant::datum_to_scalar(bound.val, false, ty)?;
        parts.push(of.compare(cx, Some(strategy), Expr::Const { value, ty })?);
    }
    if parts.is_empty() {
        let itself = expr::translate(cx, tree::copy(element))?;
        parts.push(of.compare(cx, Some(pg_sys::BTEqualStrategyNumber), itself)?);
    }
    Ok(Some(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) }))
}

struct Elements {
    family: pg_sys::Oid,
    type_oid: pg_sys::Oid,
    /// Translated anew for each use: column ids of a subquery must not occur twice.
    node: *mut Node,
}

impl Elements {
    /// The element compared with a value by the operator of a strategy; `None`: that it is not equal.
    unsafe fn compare(&self, cx: &mut Cx, strategy: Option<u32>, with: Expr) -> Result<Expr> {
        let member = pg_sys::get_opfamily_member(
            self.family,
            self.type_oid,
            self.type_oid,
            i16::try_from(strategy.unwrap_or(pg_sys::BTEqualStrategyNumber)).unwrap_or_default(),
        );
        let operator = if strategy.is_some() { member } else { pg_sys::get_negator(member) };
        if operator == pg_sys::InvalidOid {
            return Err("a range whose elements have no order".into());
        }
        let func = pg_sys::get_opcode(operator);
        let element = expr::translate(cx, tree::copy(self.node))?;
        let collation = call::check(cx, Callee::operator(operator, func, pg_sys::InvalidOid), &[element.ty(), with.ty()])?;
        Ok(Expr::Call { func: func.to_u32(), args: vec![element, with], ty: PgType::BOOL, collation })
    }
}
