//! Comparison of numbers and booleans, as `BinaryExpr` over equal Arrow types, so that hash joins and statistics see through it.
//!
//! Invariants:
//! - A column compared to a constant is not cast when the constant can be brought to the column's type without changing the answer.
//! - Floats are compared in a canonical form (no negative zero, one NaN), whose total order is Postgres's. That also keeps file
//!   statistics, which leave NaN out, from being used.

use super::{arg, numeric};
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, Operator, ScalarFunctionArgs, binary_expr, lit};
use std::sync::Arc;

/// The operator of a comparison function over numbers or booleans.
pub fn operator(func: u32) -> Option<Operator> {
    Some(match func {
        60 | 63 | 65 | 467 | 158 | 159 | 852 | 474 | 1850 | 1856 | 287 | 293 | 299 | 305 | 1718 => Operator::Eq,
        84 | 145 | 144 | 468 | 164 | 165 | 853 | 475 | 1851 | 1857 | 288 | 294 | 300 | 306 | 1719 => Operator::NotEq,
        56 | 64 | 66 | 469 | 160 | 161 | 854 | 476 | 1852 | 1858 | 289 | 295 | 301 | 307 | 1722 => Operator::Lt,
        1691 | 148 | 149 | 471 | 166 | 167 | 856 | 478 | 1854 | 1860 | 290 | 296 | 302 | 308 | 1723 => Operator::LtEq,
        57 | 146 | 147 | 470 | 162 | 163 | 855 | 477 | 1853 | 1859 | 291 | 297 | 303 | 309 | 1720 => Operator::Gt,
        1692 | 151 | 150 | 472 | 168 | 169 | 857 | 479 | 1855 | 1861 | 292 | 298 | 304 | 310 | 1721 => Operator::GtEq,
        _ => return None,
    })
}

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    operator(call.func).map(|op| compare(op, arg(call, 0)?, arg(call, 1)?))
}

/// `left op right` over numbers, booleans, or two values of one Arrow type.
pub fn compare(op: Operator, left: &Value, right: &Value) -> Result<Value> {
    let (op, l, r) = match (left.decimal(), right.decimal()) {
        (Some(_), Some(_)) => numeric::comparison(op, left, right)?,
        _ => {
            let (l, r) = align(left, right)?;
            (op, l, r)
        }
    };
    Ok(Value::bool(binary_expr(l, op, r)))
}

/// Both sides as expressions of one Arrow type whose equality and order, as DataFusion computes them, are Postgres's:
/// for join keys, `IS DISTINCT FROM`, `GREATEST` and their like.
pub fn align(left: &Value, right: &Value) -> Result<(Expr, Expr)> {
    if left.decimal().is_some() && right.decimal().is_some() {
        return numeric::align(left, right);
    }
    if left.arrow == right.arrow {
        return Ok((canonical(left), canonical(right)));
    }
    let Some((l, r)) = rank(&left.arrow).zip(rank(&right.arrow)) else {
        return Err(refused(format!("comparison of {} with {}", left.arrow, right.arrow)));
    };
    if let DataType::Float32 | DataType::Float64 = left.arrow {
        return Ok((canonical_of(left.cast_to(&DataType::Float64), &DataType::Float64), canonical_of(right.cast_to(&DataType::Float64), &DataType::Float64)));
    }
    // The narrower side is widened, unless the wider one is a constant that fits.
    let (narrow, wide) = if l < r { (left, right) } else { (right, left) };
    let (narrow, wide) = match narrowed(wide, &narrow.arrow) {
        Some(constant) => (narrow.expr.clone(), constant),
        None => (narrow.cast_to(&wide.arrow), wide.expr.clone()),
    };
    Ok(if l < r { (narrow, wide) } else { (wide, narrow) })
}

/// Integers and floats by width; only types of one kind are ever compared.
fn rank(ty: &DataType) -> Option<u8> {
    Some(match ty {
        DataType::Int16 => 1,
        DataType::Int32 => 2,
        DataType::Int64 => 3,
        DataType::Float32 => 11,
        DataType::Float64 => 12,
        _ => return None,
    })
}

fn narrowed(wide: &Value, to: &DataType) -> Option<Expr> {
    let Expr::Literal(scalar, _) = &wide.expr else { return None };
    let v = match scalar {
        ScalarValue::Int64(Some(v)) => *v,
        ScalarValue::Int32(Some(v)) => i64::from(*v),
        ScalarValue::Int16(Some(v)) => i64::from(*v),
        _ => return None,
    };
    Some(match to {
        DataType::Int16 => lit(i16::try_from(v).ok()?),
        DataType::Int32 => lit(i32::try_from(v).ok()?),
        _ => return None,
    })
}

/// The value in the form in which DataFusion's equality, order and hash are Postgres's: differs for floats only. For keys of
/// grouping, joining and sorting, not for output.
pub fn canonical(value: &Value) -> Expr {
    canonical_of(value.expr.clone(), &value.arrow)
}

fn canonical_of(expr: Expr, ty: &DataType) -> Expr {
    match ty {
        DataType::Float32 => {
            let kernel = Arc::new(|a: &ScalarFunctionArgs| {
                super::kernel::unary::<Float32Type, Float32Type>(
                    a,
                    &DataType::Float32,
                    |v| (if v.is_nan() { f32::NAN } else { v + 0.0 }, false),
                    super::kernel::never,
                )
            });
            udf::call("pg_float4_canonical", "", DataType::Float32, vec![expr], kernel)
        }
        DataType::Float64 => {
            let kernel = Arc::new(|a: &ScalarFunctionArgs| {
                super::kernel::unary::<Float64Type, Float64Type>(
                    a,
                    &DataType::Float64,
                    |v| (if v.is_nan() { f64::NAN } else { v + 0.0 }, false),
                    super::kernel::never,
                )
            });
            udf::call("pg_float8_canonical", "", DataType::Float64, vec![expr], kernel)
        }
        _ => expr,
    }
}
