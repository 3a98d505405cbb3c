//! The order of enums: engines hold an enum as its label, so a plan that orders enums carries the labels in their order.
//!
//! Labels never change their order. One that is added later is unknown to the plan, and the engine then refuses.

use super::{Result, types};
use pgrx::pg_sys;
use weir_plan::ir::{Collation, Expr, Scalar};
use weir_plan::types::{PgType, oid};

// Source: `pg_proc.dat`.
const ENUM_RANGE: u32 = 3531;
/// The enum's comparison, and that of the labels' places.
const COMPARISONS: &[(u32, u32)] = &[(3510, 66), (3512, 149), (3511, 147), (3513, 150)];
/// `array_lt`, `array_gt`, `array_le`, `array_ge`
const ARRAY_COMPARISONS: &[u32] = &[391, 392, 393, 396];
/// min and max of enums, and of arrays.
const EXTREMES: &[u32] = &[3527, 3526, 2051, 2050];

/// `text[]`
const LABELS: PgType = PgType::new(1009);

/// The labels of an enum, or of the elements of an array, in order.
unsafe fn labels(ty: PgType) -> Result<Vec<String>> {
    let type_oid = types::enum_of(&ty).ok_or("the labels of what is no enum")?;
    let array = pg_sys::get_array_type(type_oid);
    let name = || types::type_name(type_oid);
    if array == pg_sys::InvalidOid {
        return Err(format!("the labels of type {}", name()));
    }
    // Privileges do not count: they are not asked for when enums are compared.
    let null = pg_sys::makeNullConst(type_oid, -1, pg_sys::InvalidOid);
    let args = pg_sys::lappend(std::ptr::null_mut(), null.cast());
    let form = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
    let call = pg_sys::makeFuncExpr(pg_sys::Oid::from(ENUM_RANGE), array, args, pg_sys::InvalidOid, pg_sys::InvalidOid, form);
    let value = pg_sys::evaluate_expr(call.cast(), array, -1, pg_sys::InvalidOid).cast::<pg_sys::Const>();
    let element = PgType { oid: type_oid.to_u32(), base: oid::ENUM, typmod: -1 };
    let Scalar::Array(values) = super::constant::array_elements((*value).constvalue, type_oid, element)? else {
        return Err(format!("the labels of type {}", name()));
    };
    values
        .into_iter()
        .map(|v| match v {
            Scalar::Text(label) => Ok(label),
            _ => Err(format!("the labels of type {}", name())),
        })
        .collect()
}

/// What an expression is ordered by: itself, or the place of its label, or the array of the places of its elements.
pub unsafe fn rank(e: Expr) -> Result<Expr> {
    if !matches!(e.ty().base, oid::ENUM | oid::ENUM_ARRAY) {
        return Ok(e);
    }
    let labels = labels(e.ty())?;
    Ok(Expr::EnumRank { arg: Box::new(e), labels })
}

/// `<`, `<=`, `>`, `>=` of enums, or of arrays of them, as that of their places.
pub unsafe fn comparison(func: u32, args: &[Expr]) -> Result<Option<Expr>> {
    let of_arrays = ARRAY_COMPARISONS.contains(&func) && args.iter().all(|e| e.ty().base == oid::ENUM_ARRAY);
    let integers = match COMPARISONS.iter().find(|(f, _)| *f == func) {
        Some(&(_, integers)) => integers,
        None if of_arrays => func,
        None => return Ok(None),
    };
    let mut ranks = Vec::new();
    for e in args {
        ranks.push(rank(e.clone())?);
    }
    Ok(Some(Expr::Call { func: integers, args: ranks, ty: PgType::BOOL, collation: Collation::None }))
}

/// The labels as a constant, if the call is min or max of values that are ordered by them.
pub unsafe fn of_extreme(func: u32, ty: PgType) -> Result<Option<Expr>> {
    if !EXTREMES.contains(&func) || !matches!(ty.base, oid::ENUM | oid::ENUM_ARRAY) {
        return Ok(None);
    }
    let labels = labels(ty)?.into_iter().map(Scalar::Text).collect();
    Ok(Some(Expr::Const { value: Scalar::Array(labels), ty: LABELS }))
}
