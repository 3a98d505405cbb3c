//! Sum, difference, product, sign.

use super::form::{common, is_128, parts, rescale, result_type, too_large};
use super::wide::{Wide, from_big, pow10, pow10_128, to_big};
use crate::func::arith::{arg, kernel};
use crate::udf;
use crate::value::{Call, DScale, Value};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int16Type, i256};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, ScalarFunctionArgs};
use std::sync::Arc;
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE, PgType};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        1724 => arg(call, 0).and_then(|l| add(l, arg(call, 1)?, false)),
        1725 => arg(call, 0).and_then(|l| add(l, arg(call, 1)?, true)),
        1726 => arg(call, 0).and_then(|l| multiply(l, arg(call, 1)?)),
        _ => return None,
    })
}

/// `max(a, b)` and `a + b` of display scales.
pub(super) fn max_scale(a: &Value, b: &Value) -> Option<DScale> {
    Some(match (a.dscale.clone()?, b.dscale.clone()?) {
        (DScale::Static(a), DScale::Static(b)) => DScale::Static(a.max(b)),
        _ => DScale::Dynamic(scale_call("pg_scale_max", vec![a.dscale_expr()?, b.dscale_expr()?], |a, b| a.max(b))),
    })
}

/// A scale larger than any physical one is refused.
fn sum_scale(a: &Value, b: &Value) -> Option<DScale> {
    Some(match (a.dscale.clone()?, b.dscale.clone()?) {
        (DScale::Static(a), DScale::Static(b)) => DScale::Static(a.saturating_add(b)),
        _ => DScale::Dynamic(scale_call("pg_scale_sum", vec![a.dscale_expr()?, b.dscale_expr()?], i16::saturating_add)),
    })
}

fn scale_call(name: &'static str, args: Vec<Expr>, f: fn(i16, i16) -> i16) -> Expr {
    let limit = i16::from(DYNAMIC_SCALE);
    let kernel = Arc::new(move |a: &ScalarFunctionArgs| {
        let f = |a, b| {
            let scale = f(a, b);
            (scale, scale > limit)
        };
        kernel::binary::<Int16Type, Int16Type, Int16Type>(a, &DataType::Int16, f, |_, _| too_large())
    });
    udf::call(name, "", DataType::Int16, args, kernel)
}

pub(crate) fn lacks_scale() -> datafusion::common::DataFusionError {
    crate::error::refused("a numeric without display scale")
}

fn add(l: &Value, r: &Value, negate: bool) -> Result<Value> {
    let ((p1, s1), (p2, s2)) = (parts(&l.arrow)?, parts(&r.arrow)?);
    let scale = s1.max(s2);
    let precision = (p1 - s1).max(p2 - s2) + scale + 1;
    let dscale = max_scale(l, r).ok_or_else(lacks_scale)?;
    let result = if precision > 76 { DataType::Decimal256(76, scale as i8) } else { result_type(precision, scale)? };
    let name = if negate { "pg_numeric_sub" } else { "pg_numeric_add" };
    let key = format!("{s1},{s2}");
    let expr = if is_128(&result) && is_128(&l.arrow) && is_128(&r.arrow) {
        let (a, b) = (pow10_128((scale - s1) as u32), pow10_128((scale - s2) as u32));
        let proven = precision <= 38;
        let result_ = result.clone();
        let kernel: udf::Kernel = Arc::new(move |args: &ScalarFunctionArgs| {
            let why = |_, _| too_large();
            match (proven, negate) {
                (true, false) => kernel::binary::<Decimal128Type, Decimal128Type, Decimal128Type>(
                    args,
                    &result_,
                    |l, r| (l.wrapping_mul(a).wrapping_add(r.wrapping_mul(b)), false),
                    why,
                ),
                (true, true) => kernel::binary::<Decimal128Type, Decimal128Type, Decimal128Type>(
                    args,
                    &result_,
                    |l, r| (l.wrapping_mul(a).wrapping_sub(r.wrapping_mul(b)), false),
                    why,
                ),
                (false, _) => kernel::binary::<Decimal128Type, Decimal128Type, Decimal128Type>(
                    args,
                    &result_,
                    |l, r| {
                        let r = if negate { -r } else { r };
                        checked_128(l.checked_mul(a).and_then(|l| l.checked_add(r.checked_mul(b)?)))
                    },
                    why,
                ),
            }
        });
        udf::call(name, key, result.clone(), vec![l.expr.clone(), r.expr.clone()], kernel)
    } else {
        let to = common(&l.arrow, &r.arrow)?;
        let to = DataType::Decimal256(parts(&to)?.0.max(39) as u8, scale as i8);
        let args = vec![rescale(l, &to)?, rescale(r, &to)?];
        wide_binary(name, key, &result, args, move |l, r| if negate { l.checked_sub(r) } else { l.checked_add(r) })
    };
    Ok(Value::numeric(expr, result, PgType::NUMERIC, dscale))
}

/// A kernel over 256 bits, checked against the result's precision.
pub(super) fn wide_binary(
    name: &'static str,
    key: String,
    result: &DataType,
    args: Vec<Expr>,
    f: impl Fn(i256, i256) -> Option<i256> + Send + Sync + 'static,
) -> Expr {
    let to = result.clone();
    let limit = parts(result).map_or(i256::ONE, |(p, _)| pow10(p as u32));
    let narrow = is_128(result);
    let kernel: udf::Kernel = Arc::new(move |args: &ScalarFunctionArgs| {
        let value = |l, r| f(l, r).filter(|v| v.wrapping_abs() < limit);
        if narrow {
            let f = |l, r| value(l, r).and_then(Decimal128Type::narrow).map_or((0, true), |v| (v, false));
            kernel::binary::<Decimal256Type, Decimal256Type, Decimal128Type>(args, &to, f, |_, _| too_large())
        } else {
            let f = |l, r| value(l, r).map_or((i256::ZERO, true), |v| (v, false));
            kernel::binary::<Decimal256Type, Decimal256Type, Decimal256Type>(args, &to, f, |_, _| too_large())
        }
    });
    udf::call(name, key, result.clone(), args, kernel)
}

#[inline]
fn checked_128(v: Option<i128>) -> (i128, bool) {
    const LIMIT: i128 = pow10_128(38);
    match v {
        Some(v) if -LIMIT < v && v < LIMIT => (v, false),
        _ => (0, true),
    }
}

/// Factors of 64 bits, the usual case, need no check: their product has less than 39 digits.
#[inline]
fn product_128(l: i128, r: i128) -> (i128, bool) {
    if i128::from(l as i64) == l && i128::from(r as i64) == r { (l.wrapping_mul(r), false) } else { checked_128(l.checked_mul(r)) }
}

fn multiply(l: &Value, r: &Value) -> Result<Value> {
    let ((p1, s1), (p2, s2)) = (parts(&l.arrow)?, parts(&r.arrow)?);
    let dscale = sum_scale(l, r).ok_or_else(lacks_scale)?;
    let (precision, scale) = (p1 + p2, s1 + s2);
    let result = match &dscale {
        DScale::Static(_) => result_type(precision, scale)?,
        DScale::Dynamic(_) if scale <= i32::from(DYNAMIC_SCALE) => result_type(precision, scale)?,
        DScale::Dynamic(_) => DataType::Decimal256(DYNAMIC_PRECISION, DYNAMIC_SCALE),
    };
    let key = format!("{s1},{s2}");
    let out_scale = parts(&result)?.1;
    if out_scale == scale {
        let expr = if is_128(&result) && is_128(&l.arrow) && is_128(&r.arrow) {
            let result_ = result.clone();
            let proven = precision <= 38;
            let kernel: udf::Kernel = Arc::new(move |args: &ScalarFunctionArgs| {
                let why = |_, _| too_large();
                if proven {
                    kernel::binary::<Decimal128Type, Decimal128Type, Decimal128Type>(args, &result_, |l, r| (l.wrapping_mul(r), false), why)
                } else {
                    kernel::binary::<Decimal128Type, Decimal128Type, Decimal128Type>(args, &result_, product_128, why)
                }
            });
            udf::call("pg_numeric_mul", key, result.clone(), vec![l.expr.clone(), r.expr.clone()], kernel)
        } else {
            wide_binary("pg_numeric_mul", key, &result, vec![wide(l)?, wide(r)?], i256::checked_mul)
        };
        return Ok(Value::numeric(expr, result, PgType::NUMERIC, dscale));
    }
    // Most physical digits after the point are zeros beyond the display scale: the product is that of the digits without them.
    let drop = (scale - out_scale) as u32;
    let expr = wide_binary("pg_numeric_mul_scaled", format!("{key},{out_scale}"), &result, vec![wide(l)?, wide(r)?], move |l, r| product_less(l, r, drop));
    Ok(Value::numeric(expr, result, PgType::NUMERIC, dscale))
}

/// The value in 256 bits, at its scale.
pub(super) fn wide(v: &Value) -> Result<Expr> {
    let (_, s) = parts(&v.arrow)?;
    Ok(if is_128(&v.arrow) { v.cast_to(&DataType::Decimal256(76, s as i8)) } else { v.expr.clone() })
}

/// `l * r / 10^drop`, `None` if that is not an integer or does not fit.
fn product_less(l: i256, r: i256, drop: u32) -> Option<i256> {
    if let Some(product) = l.checked_mul(r) {
        let unit = pow10(drop);
        return (product.wrapping_rem(unit) == i256::ZERO).then(|| product.wrapping_div(unit));
    }
    let product = to_big(l) * to_big(r);
    let unit = to_big(pow10(drop));
    let quotient = &product / &unit;
    if &quotient * &unit != product {
        return None;
    }
    from_big(&quotient)
}
