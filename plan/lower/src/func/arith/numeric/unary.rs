//! Sign, absolute value, rounding to a scale, and the coercion to a declared precision and scale.

use super::basic::lacks_scale;
use super::form::{is_128, parts, result_type, too_large};
use super::wide::{Wide, digits, pow10, pow10_128};
use crate::error::{raise, refused, wrap};
use crate::func::arith::{arg, kernel};
use crate::udf;
use crate::value::{Call, DScale, Value};
use arrow::array::{Array, PrimitiveBuilder};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int16Type, Int32Type, Int64Type, i256};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{Expr, ScalarFunctionArgs};
use std::sync::Arc;
use weir_plan::Error;
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE, PgType, oid};

/// How digits are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Half away from zero.
    Round,
    Trunc,
    Ceil,
    Floor,
}

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        1915 => arg(call, 0).cloned(),
        1771 => arg(call, 0).and_then(|v| same_form(v, "pg_numeric_neg", |v| -v, i256::wrapping_neg)),
        1704 | 1705 => arg(call, 0).and_then(|v| same_form(v, "pg_numeric_abs", i128::wrapping_abs, i256::wrapping_abs)),
        1706 => arg(call, 0).and_then(sign),
        1376 => arg(call, 0).map(factorial),
        1711 | 2167 => arg(call, 0).and_then(|v| to_scale(v, 0, Mode::Ceil)),
        1712 => arg(call, 0).and_then(|v| to_scale(v, 0, Mode::Floor)),
        1708 => arg(call, 0).and_then(|v| to_scale(v, 0, Mode::Round)),
        1710 => arg(call, 0).and_then(|v| to_scale(v, 0, Mode::Trunc)),
        1707 => rounded(call, Mode::Round),
        1709 => rounded(call, Mode::Trunc),
        1703 => coerced(call),
        3281 => arg(call, 0).and_then(scale),
        5042 => arg(call, 0).and_then(min_scale),
        5043 => arg(call, 0).and_then(trim_scale),
        _ => return None,
    })
}

fn same_form(v: &Value, name: &'static str, narrow: fn(i128) -> i128, wide: fn(i256) -> i256) -> Result<Value> {
    let ty = v.arrow.clone();
    let kernel: udf::Kernel = if is_128(&ty) {
        Arc::new(move |a: &ScalarFunctionArgs| kernel::unary::<Decimal128Type, Decimal128Type>(a, &ty, |v| (narrow(v), false), kernel::never))
    } else {
        Arc::new(move |a: &ScalarFunctionArgs| kernel::unary::<Decimal256Type, Decimal256Type>(a, &ty, |v| (wide(v), false), kernel::never))
    };
    let dscale = v.dscale.clone().ok_or_else(lacks_scale)?;
    Ok(Value::numeric(udf::call(name, "", v.arrow.clone(), vec![v.expr.clone()], kernel), v.arrow.clone(), PgType::NUMERIC, dscale))
}

fn sign(v: &Value) -> Result<Value> {
    let ty = DataType::Decimal128(1, 0);
    let result = ty.clone();
    let kernel: udf::Kernel = if is_128(&v.arrow) {
        Arc::new(move |a: &ScalarFunctionArgs| kernel::unary::<Decimal128Type, Decimal128Type>(a, &ty, |v| (v.signum(), false), kernel::never))
    } else {
        Arc::new(move |a: &ScalarFunctionArgs| kernel::unary::<Decimal256Type, Decimal128Type>(a, &ty, |v| (v.signum().as_i128(), false), kernel::never))
    };
    Ok(Value::numeric(udf::call("pg_numeric_sign", "", result.clone(), vec![v.expr.clone()], kernel), result, PgType::NUMERIC, DScale::Static(0)))
}

/// `numeric_fac`; what has more digits than a decimal is left to Postgres.
fn factorial(n: &Value) -> Value {
    let ty = DataType::Decimal256(76, 0);
    let result = ty.clone();
    let product = |n: i64| (2..=n).try_fold(i256::ONE, |p, i| p.checked_mul(i256::from_i128(i.into())).filter(|p| digits(*p) <= 76));
    let kernel: udf::Kernel = Arc::new(move |a: &ScalarFunctionArgs| {
        kernel::unary::<Int64Type, Decimal256Type>(
            a,
            &ty,
            |n| if n < 0 { (i256::ZERO, true) } else { product(n).map_or((i256::ZERO, true), |p| (p, false)) },
            |n| if n < 0 { raise("22003", "factorial of a negative number is undefined") } else { too_large() },
        )
    });
    let expr = udf::call("pg_numeric_factorial", "", result.clone(), vec![n.expr.clone()], kernel);
    Value::numeric(expr, result, PgType::NUMERIC, DScale::Static(0))
}

/// `v / 10^drop`, rounded.
pub(super) fn drop_digits_128(v: i128, drop: u32, mode: Mode) -> i128 {
    if drop == 0 {
        return v;
    }
    if drop > 38 {
        return match mode {
            Mode::Ceil if v > 0 => 1,
            Mode::Floor if v < 0 => -1,
            _ => 0,
        };
    }
    let unit = pow10_128(drop);
    let (q, r) = (v / unit, v % unit);
    match mode {
        Mode::Trunc => q,
        Mode::Round if r.unsigned_abs() >= (unit / 2) as u128 => q + v.signum(),
        Mode::Ceil if r > 0 => q + 1,
        Mode::Floor if r < 0 => q - 1,
        _ => q,
    }
}

pub(super) fn drop_digits(v: i256, drop: u32, mode: Mode) -> i256 {
    if drop == 0 {
        return v;
    }
    if let (Some(v), true) = (v.to_i128(), drop <= 38) {
        return i256::from_i128(drop_digits_128(v, drop, mode));
    }
    let one = i256::ONE;
    if drop > 76 {
        return match mode {
            Mode::Ceil if v.is_positive() => one,
            Mode::Floor if v.is_negative() => one.wrapping_neg(),
            _ => i256::ZERO,
        };
    }
    let unit = pow10(drop);
    let (q, r) = (v.wrapping_div(unit), v.wrapping_rem(unit));
    match mode {
        Mode::Trunc => q,
        Mode::Round if r.wrapping_abs() >= unit.wrapping_div(i256::from_i128(2)) => q.wrapping_add(v.signum()),
        Mode::Ceil if r.is_positive() => q.wrapping_add(one),
        Mode::Floor if r.is_negative() => q.wrapping_sub(one),
        _ => q,
    }
}

/// The value rounded at `digits` after (or, if negative, before) the point. The display scale is `digits`, but not negative.
pub(super) fn to_scale(v: &Value, digits: i32, mode: Mode) -> Result<Value> {
    let (p, s) = parts(&v.arrow)?;
    let scale = digits.max(0);
    if scale > 76 {
        return Err(too_large());
    }
    let result = result_type(p - s + 1 + scale, scale)?;
    let expr = rounding_call("pg_numeric_round", v, &result, digits, mode, too_large_here)?;
    Ok(Value::numeric(expr, result, PgType::NUMERIC, DScale::Static(scale as i8)))
}

fn too_large_here(_: &DataType) -> datafusion::common::DataFusionError {
    too_large()
}

/// The value rounded at `digits`, in a form whose scale is `max(digits, 0)`; `overflow` is the error if it does not fit.
fn rounding_call(
    name: &'static str,
    v: &Value,
    result: &DataType,
    digits: i32,
    mode: Mode,
    overflow: fn(&DataType) -> datafusion::common::DataFusionError,
) -> Result<Expr> {
    let s = parts(&v.arrow)?.1;
    let (precision, scale) = parts(result)?;
    let drop = u32::try_from(s - digits).unwrap_or(0);
    let lift = u32::try_from(if digits < s { scale - digits } else { scale - s }).unwrap_or(0);
    let limit = pow10(precision as u32);
    let ty = result.clone();
    let kernel: udf::Kernel = if is_128(&v.arrow) && is_128(result) {
        let limit = pow10_128(precision as u32);
        Arc::new(move |a: &ScalarFunctionArgs| {
            let f = |v: i128| match drop_digits_128(v, drop, mode) {
                0 => (0, false),
                v => match (if lift > 38 { None } else { v.checked_mul(pow10_128(lift)) }).filter(|v| v.unsigned_abs() < limit as u128) {
                    Some(v) => (v, false),
                    None => (0, true),
                },
            };
            kernel::unary::<Decimal128Type, Decimal128Type>(a, &ty, f, |_| overflow(&ty))
        })
    } else {
        let f = move |v: i256| match drop_digits(v, drop, mode) {
            i256::ZERO => Some(i256::ZERO),
            _ if lift > 76 => None,
            v => v.checked_mul(pow10(lift)).filter(|v| v.wrapping_abs() < limit),
        };
        match (is_128(&v.arrow), is_128(result)) {
            (true, _) => Arc::new(move |a: &ScalarFunctionArgs| {
                kernel::unary::<Decimal128Type, Decimal256Type>(a, &ty, |v| f(i256::from_i128(v)).map_or((i256::ZERO, true), |v| (v, false)), |_| overflow(&ty))
            }),
            (false, false) => Arc::new(move |a: &ScalarFunctionArgs| {
                kernel::unary::<Decimal256Type, Decimal256Type>(a, &ty, |v| f(v).map_or((i256::ZERO, true), |v| (v, false)), |_| overflow(&ty))
            }),
            (false, true) => Arc::new(move |a: &ScalarFunctionArgs| {
                kernel::unary::<Decimal256Type, Decimal128Type>(
                    a,
                    &ty,
                    |v| f(v).and_then(Decimal128Type::narrow).map_or((0, true), |v| (v, false)),
                    |_| overflow(&ty),
                )
            }),
        }
    };
    Ok(udf::call(name, format!("{s},{digits},{mode:?}"), result.clone(), vec![v.expr.clone()], kernel))
}

fn rounded(call: &Call<'_>, mode: Mode) -> Result<Value> {
    let (v, digits) = (arg(call, 0)?, arg(call, 1)?);
    if let Expr::Literal(ScalarValue::Int32(Some(n)), _) = &digits.expr {
        // Postgres clamps to ±2000, which no value here reaches.
        return to_scale(v, (*n).clamp(-2000, 2000), mode);
    }
    // A scale per row.
    let s = parts(&v.arrow)?.1;
    let result = DataType::Decimal256(DYNAMIC_PRECISION, DYNAMIC_SCALE);
    let ty = result.clone();
    let kernel = udf::over_arrays(move |a| {
        let [values, digits] = a else { return internal_err!("rounding takes two arguments") };
        let values = super::divide::Decimals::new(values)?;
        let digits = kernel::primitive::<Int32Type>(digits)?;
        let mut out = PrimitiveBuilder::<Decimal256Type>::with_capacity(digits.len()).with_data_type(ty.clone());
        for (row, n) in digits.iter().enumerate() {
            match (values.get(row), n) {
                (Some(v), Some(n)) => {
                    let n = n.clamp(-2000, 2000);
                    let dropped = drop_digits(v, (s - n).max(0) as u32, mode);
                    let lift = i32::from(DYNAMIC_SCALE) - n.min(s);
                    if n > i32::from(DYNAMIC_SCALE) || (dropped != i256::ZERO && super::wide::digits(dropped) + lift > i32::from(DYNAMIC_PRECISION)) {
                        return Err(too_large());
                    }
                    // Zero times a power that is cut off is still zero.
                    out.append_value(dropped.wrapping_mul(pow10(lift as u32)));
                }
                _ => out.append_null(),
            }
        }
        Ok(Arc::new(out.finish()))
    });
    let expr = udf::call("pg_numeric_round_by", format!("{s},{mode:?}"), result.clone(), vec![v.expr.clone(), digits.expr.clone()], kernel);
    let scale = Arc::new(|a: &ScalarFunctionArgs| {
        kernel::unary::<Int32Type, Int16Type>(a, &DataType::Int16, |n| (n.clamp(0, 2000) as i16, n > i32::from(DYNAMIC_SCALE)), |_| too_large())
    });
    let scale = udf::call("pg_numeric_round_scale", "", DataType::Int16, vec![digits.expr.clone()], scale);
    Ok(Value::numeric(expr, result, PgType::NUMERIC, DScale::Dynamic(scale)))
}

/// `numeric(numeric, integer)`: the coercion to a declared precision and scale.
fn coerced(call: &Call<'_>) -> Result<Value> {
    let (v, typmod) = (arg(call, 0)?, arg(call, 1)?);
    let Expr::Literal(ScalarValue::Int32(Some(typmod)), _) = typmod.expr else {
        return Err(refused("a type modifier that is not a constant"));
    };
    let ty = PgType::with_typmod(oid::NUMERIC, typmod);
    let Some((precision, scale)) = ty.numeric_precision_scale() else {
        return Ok(v.clone());
    };
    // The declared form, where a column could have it; else an integer with trailing zeros, or a fraction with leading ones.
    let physical = scale.max(0);
    let whole = if scale < 0 { precision - scale } else { precision.max(scale) };
    if whole > 76 {
        return Err(too_large());
    }
    let result = if whole <= 38 { DataType::Decimal128(whole as u8, physical as i8) } else { DataType::Decimal256(whole as u8, physical as i8) };
    let (p, s) = parts(&v.arrow)?;
    if s == physical && scale >= 0 && p <= precision && is_128(&v.arrow) == is_128(&result) && v.dscale == Some(DScale::Static(physical as i8)) {
        // Nothing to round and nothing that could overflow.
        return Ok(Value { expr: v.cast_to(&result), arrow: result, ty, dscale: v.dscale.clone() });
    }
    let inner =
        if precision >= whole { rounding_call("pg_numeric_coerce", v, &result, scale, Mode::Round, overflow)? } else { limited(v, &result, precision, scale)? };
    Ok(Value::numeric(inner, result, ty, DScale::Static(physical as i8)))
}

/// Precision and scale are those of the result type, or what [`limited`] says.
fn overflow(ty: &DataType) -> datafusion::common::DataFusionError {
    match parts(ty) {
        Ok((p, s)) => field_overflow(p, s),
        Err(e) => e,
    }
}

fn field_overflow(precision: i32, scale: i32) -> datafusion::common::DataFusionError {
    let whole = precision - scale;
    let limit = if whole == 0 { "1".to_owned() } else { format!("10^{whole}") };
    wrap(
        Error::query("22003", "numeric field overflow")
            .with_detail(format!("A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}.")),
    )
}

/// The coercion where the declared precision is smaller than that of the physical form: a negative scale, or one above the precision.
fn limited(v: &Value, result: &DataType, precision: i32, scale: i32) -> Result<Expr> {
    let s = parts(&v.arrow)?.1;
    let lift = (-scale).max(0) as u32;
    let add = (scale - s).max(0) as u32;
    let drop = (s - scale).max(0) as u32;
    let ty = result.clone();
    let kernel = udf::over_arrays(move |a| {
        let [values] = a else { return internal_err!("the coercion takes one argument") };
        let column = super::divide::Decimals::new(values)?;
        let mut out = Vec::with_capacity(values.len());
        for row in 0..values.len() {
            out.push(match column.get(row) {
                None => None,
                Some(v) => {
                    let rounded = drop_digits(v, drop, Mode::Round).checked_mul(pow10(add)).ok_or_else(too_large)?;
                    if digits(rounded) > precision {
                        return Err(field_overflow(precision, scale));
                    }
                    Some(rounded.checked_mul(pow10(lift)).ok_or_else(too_large)?)
                }
            });
        }
        Ok(if is_128(&ty) {
            let narrow = out.into_iter().map(|v| v.map(|v| v.to_i128().ok_or_else(too_large)).transpose()).collect::<Result<Vec<_>>>()?;
            Arc::new(narrow.into_iter().collect::<arrow::array::Decimal128Array>().with_data_type(ty.clone())) as _
        } else {
            Arc::new(out.into_iter().collect::<arrow::array::Decimal256Array>().with_data_type(ty.clone())) as _
        })
    });
    Ok(udf::call("pg_numeric_coerce_limited", format!("{s},{precision},{scale}"), result.clone(), vec![v.expr.clone()], kernel))
}

fn scale(v: &Value) -> Result<Value> {
    let scale = v.dscale_expr().ok_or_else(lacks_scale)?;
    // NULL where the value is, even if the scale is the same for all rows.
    let scale = datafusion::logical_expr::when(v.expr.clone().is_not_null(), datafusion::logical_expr::cast(scale, DataType::Int32)).end()?;
    Ok(Value::new(scale, DataType::Int32, PgType::INT4))
}

/// The number of digits after the point without trailing zeros.
fn needed_scale(v: &Value) -> Result<Expr> {
    let s = parts(&v.arrow)?.1;
    let kernel = udf::over_arrays(move |a| {
        let [values] = a else { return internal_err!("min_scale takes one argument") };
        let column = super::divide::Decimals::new(values)?;
        let scales = (0..values.len()).map(|row| {
            column.get(row).map(|mut v| {
                let (mut scale, ten) = (s, i256::from_i128(10));
                while scale > 0 && v.wrapping_rem(ten) == i256::ZERO {
                    v = v.wrapping_div(ten);
                    scale -= 1;
                }
                scale as i16
            })
        });
        Ok(Arc::new(scales.collect::<arrow::array::Int16Array>()))
    });
    Ok(udf::call("pg_numeric_min_scale", s.to_string(), DataType::Int16, vec![v.expr.clone()], kernel))
}

fn min_scale(v: &Value) -> Result<Value> {
    Ok(Value::new(datafusion::logical_expr::cast(needed_scale(v)?, DataType::Int32), DataType::Int32, PgType::INT4))
}

fn trim_scale(v: &Value) -> Result<Value> {
    Ok(Value::numeric(v.expr.clone(), v.arrow.clone(), PgType::NUMERIC, DScale::Dynamic(needed_scale(v)?)))
}
