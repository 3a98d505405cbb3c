//! Physical forms of numeric expressions: which decimal type a result takes, and bringing values to a common one.
//!
//! Invariants:
//! - A form whose precision does not cover every possible value is only given to kernels that check each value.
//! - A change of form never changes the value; what does not fit is `Refused`.

use super::wide::{Wide, digits, pow10};
use crate::error::refused;
use crate::udf;
use crate::value::Value;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int16Type, i256};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, ScalarFunctionArgs, lit};
use std::sync::Arc;

/// The digits before the point that a 128-bit form must leave room for, to be preferred to a 256-bit one although its
/// precision is not proven to suffice.
const ROOM_128: i32 = 18;
const ROOM_256: i32 = 18;

/// The type of a result of at most `precision` digits, `scale` of them after the point. The kernel must check its values
/// against the type's precision, as that may be smaller.
pub(super) fn result_type(precision: i32, scale: i32) -> Result<DataType> {
    let s = i8::try_from(scale).map_err(|_| too_fine())?;
    Ok(if precision <= 38 {
        DataType::Decimal128(precision.max(scale).max(1) as u8, s)
    } else if 38 - scale >= ROOM_128 {
        DataType::Decimal128(38, s)
    } else if precision <= 76 {
        DataType::Decimal256(precision as u8, s)
    } else if 76 - scale >= ROOM_256 {
        DataType::Decimal256(76, s)
    } else {
        return Err(too_fine());
    })
}

fn too_fine() -> datafusion::common::DataFusionError {
    refused("numeric with more digits after the decimal point than the engine holds")
}

/// The error for a value that Postgres could hold and we cannot.
pub(crate) fn too_large() -> datafusion::common::DataFusionError {
    refused("numeric value with more digits than the engine holds")
}

/// Precision and scale of a decimal type.
pub(crate) fn parts(ty: &DataType) -> Result<(i32, i32)> {
    match ty {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => Ok((i32::from(*p), i32::from(*s))),
        other => Err(refused(format!("{other} is not a numeric"))),
    }
}

pub(super) fn is_128(ty: &DataType) -> bool {
    matches!(ty, DataType::Decimal128(..))
}

/// The smallest type that holds every value of both.
pub(super) fn common(a: &DataType, b: &DataType) -> Result<DataType> {
    let ((p1, s1), (p2, s2)) = (parts(a)?, parts(b)?);
    let scale = s1.max(s2);
    let precision = (p1 - s1).max(p2 - s2) + scale;
    Ok(if precision <= 38 { DataType::Decimal128(precision as u8, scale as i8) } else { DataType::Decimal256(precision.min(76) as u8, scale as i8) })
}

/// Whether there is a type that surely holds every value of both.
pub(super) fn has_common(a: &DataType, b: &DataType) -> Result<bool> {
    let ((p1, s1), (p2, s2)) = (parts(a)?, parts(b)?);
    Ok((p1 - s1).max(p2 - s2) + s1.max(s2) <= 76)
}

/// -1, 0 or 1 as the left value is less than, equal to or greater than the right one; for values that no type holds together.
pub(super) fn order(left: &Value, right: &Value) -> Result<Expr> {
    let ((_, s1), (_, s2)) = (parts(&left.arrow)?, parts(&right.arrow)?);
    let (raise_left, raise_right) = (pow10((s2 - s1).max(0) as u32), pow10((s1 - s2).max(0) as u32));
    let kernel: udf::Kernel = Arc::new(move |args: &ScalarFunctionArgs| {
        let compare = |l: i256, r: i256| {
            let ordering = match (l.checked_mul(raise_left), r.checked_mul(raise_right)) {
                (Some(l), Some(r)) => l.cmp(&r),
                // What leaves 256 bits is farther from zero than anything that does not.
                (None, _) => l.cmp(&i256::ZERO),
                (_, None) => i256::ZERO.cmp(&r),
            };
            (ordering as i16, false)
        };
        super::super::kernel::binary::<Decimal256Type, Decimal256Type, Int16Type>(args, &DataType::Int16, compare, |_, _| too_large())
    });
    let args = vec![super::basic::wide(left)?, super::basic::wide(right)?];
    Ok(udf::call("pg_numeric_order", format!("{s1},{s2}"), DataType::Int16, args, kernel))
}

/// The value in another decimal type of at least its scale, `Refused` at run time for a value that does not fit.
pub(crate) fn rescale(value: &Value, to: &DataType) -> Result<Expr> {
    if &value.arrow == to {
        return Ok(value.expr.clone());
    }
    let ((p, s), (to_p, to_s)) = (parts(&value.arrow)?, parts(to)?);
    if let Expr::Literal(scalar, _) = &value.expr
        && let Some(v) = literal_value(scalar)
        && let Some(raised) = v.checked_mul(pow10((to_s - s).max(0) as u32))
        && to_s >= s
        && digits(raised) <= to_p
    {
        return decimal_literal(raised, to);
    }
    if to_s < s {
        return Err(refused("a numeric is not brought to a smaller scale"));
    }
    if to_p - to_s >= p - s {
        return Ok(value.cast_to(to));
    }
    let factor = pow10((to_s - s) as u32);
    let kernel: udf::Kernel = match (is_128(&value.arrow), is_128(to)) {
        (true, true) => checked::<Decimal128Type, Decimal128Type>(to, factor),
        (true, false) => checked::<Decimal128Type, Decimal256Type>(to, factor),
        (false, true) => checked::<Decimal256Type, Decimal128Type>(to, factor),
        (false, false) => checked::<Decimal256Type, Decimal256Type>(to, factor),
    };
    Ok(udf::call("pg_numeric_rescale", s.to_string(), to.clone(), vec![value.expr.clone()], kernel))
}

fn checked<A: Wide, B: Wide>(to: &DataType, factor: i256) -> udf::Kernel {
    let to = to.clone();
    let limit = match parts(&to) {
        Ok((p, _)) => pow10(p as u32),
        Err(_) => i256::ONE,
    };
    Arc::new(move |args: &ScalarFunctionArgs| {
        super::super::kernel::unary::<A, B>(
            args,
            &to,
            |v| match A::widen(v).checked_mul(factor).filter(|v| v.wrapping_abs() < limit).and_then(B::narrow) {
                Some(v) => (v, false),
                None => (Default::default(), true),
            },
            |_| too_large(),
        )
    })
}

/// Both values in one type: for comparison, joins, set operations, CASE.
pub fn align(left: &Value, right: &Value) -> Result<(Expr, Expr)> {
    let to = common(&left.arrow, &right.arrow)?;
    Ok((rescale(left, &to)?, rescale(right, &to)?))
}

/// The unscaled value of a decimal literal that is not NULL.
pub(super) fn literal_value(scalar: &ScalarValue) -> Option<i256> {
    match scalar {
        ScalarValue::Decimal128(Some(v), _, _) => Some(i256::from_i128(*v)),
        ScalarValue::Decimal256(Some(v), _, _) => Some(*v),
        _ => None,
    }
}

/// A literal of the type; the caller has checked that it fits.
pub(super) fn decimal_literal(unscaled: i256, ty: &DataType) -> Result<Expr> {
    Ok(lit(match ty {
        DataType::Decimal128(p, s) => ScalarValue::Decimal128(Some(unscaled.to_i128().ok_or_else(too_large)?), *p, *s),
        DataType::Decimal256(p, s) => ScalarValue::Decimal256(Some(unscaled), *p, *s),
        other => return Err(refused(format!("{other} is not a numeric"))),
    }))
}

/// A decimal constant in the smallest type that has the given scale, which must not cut off digits.
pub(crate) fn decimal_parts(v: &ScalarValue, scale: i32) -> Option<(DataType, ScalarValue)> {
    let unscaled = literal_value(v)?;
    let (_, s) = parts(&v.data_type()).ok()?;
    let unit = pow10(u32::try_from(s - scale).ok()?);
    if unscaled.wrapping_rem(unit) != i256::ZERO {
        return None;
    }
    let unscaled = unscaled.wrapping_div(unit);
    let precision = u8::try_from(digits(unscaled).max(scale).max(1)).ok()?;
    let arrow = if precision <= 38 { DataType::Decimal128(precision, scale as i8) } else { DataType::Decimal256(precision, scale as i8) };
    match decimal_literal(unscaled, &arrow).ok()? {
        Expr::Literal(literal, _) => Some((arrow, literal)),
        _ => None,
    }
}
