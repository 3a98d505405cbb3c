//! `width_bucket` (`float.c`, `numeric.c`). Near the edges of buckets releases differ; there it is refused.

use super::arg;
use super::numeric::{Decimals, div_scale, divide_big, parts, to_big};
use crate::error::{raise, refused};
use crate::udf;
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{DataType, Float64Type, Int16Type, Int32Type};
use datafusion::common::{DataFusionError, Result, internal_err};
use num_bigint::{BigInt, Sign};
use std::cmp::Ordering;
use std::sync::Arc;
use weir_plan::types::PgType;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        320 => floats(call),
        2170 => numerics(call),
        _ => return None,
    })
}

fn invalid(message: &str) -> DataFusionError {
    raise("2201G", message)
}

fn out_of_range() -> DataFusionError {
    raise("22003", "integer out of range")
}

fn floats(call: &Call<'_>) -> Result<Value> {
    let args = (0..4).map(|n| arg(call, n).map(|v| v.expr.clone())).collect::<Result<Vec<_>>>()?;
    let kernel = udf::over_arrays(|a| {
        let columns = a.iter().take(3).map(|c| c.as_primitive_opt::<Float64Type>()).collect::<Option<Vec<_>>>();
        let (Some([operand, low, high]), Some(count)) = (columns.as_deref(), a.get(3).and_then(|c| c.as_primitive_opt::<Int32Type>())) else {
            return internal_err!("width_bucket was given other types");
        };
        let rows = operand.iter().zip(low.iter()).zip(high.iter()).zip(count.iter());
        let buckets = rows.map(|(((o, l), h), n)| match (o, l, h, n) {
            (Some(o), Some(l), Some(h), Some(n)) => bucket(o, l, h, n).map(Some),
            _ => Ok(None),
        });
        Ok(Arc::new(buckets.collect::<Result<Int32Array>>()?) as ArrayRef)
    });
    Ok(Value::new(udf::call("pg_width_bucket_float8", "", DataType::Int32, args, kernel), DataType::Int32, PgType::INT4))
}

fn bucket(operand: f64, low: f64, high: f64, count: i32) -> Result<i32> {
    if count <= 0 {
        return Err(invalid("count must be greater than zero"));
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return Err(invalid("operand, lower bound, and upper bound cannot be NaN"));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(invalid("lower and upper bounds must be finite"));
    }
    if low == high {
        return Err(invalid("lower bound cannot equal upper bound"));
    }
    let (before, after) = if low < high { (operand < low, operand >= high) } else { (operand > low, operand <= high) };
    if before {
        return Ok(0);
    }
    if after {
        return count.checked_add(1).ok_or_else(out_of_range);
    }
    let (from, width) = if low < high { (operand - low, high - low) } else { (low - operand, low - high) };
    let share = if width.is_infinite() {
        let (o, l, h) = (operand / 2.0, low / 2.0, high / 2.0);
        if low < high { (o - l) / (h - l) } else { (l - o) / (l - h) }
    } else {
        from / width
    };
    // Releases differ in the order of the operations, and in what they make of a share that rounds to 1.
    let (one, other) = (f64::from(count) * share, f64::from(count) * from / width + 1.0);
    if one as i32 >= count || other.is_nan() || other >= f64::from(count) + 1.0 || one as i32 + 1 != other as i32 {
        return Err(refused("width_bucket near the edge of a bucket"));
    }
    Ok(other as i32)
}

fn numerics(call: &Call<'_>) -> Result<Value> {
    let mut args = Vec::with_capacity(7);
    let mut scales = [0; 3];
    for (n, scale) in scales.iter_mut().enumerate() {
        let v = arg(call, n)?;
        *scale = parts(&v.arrow)?.1;
        args.push(v.expr.clone());
        args.push(v.dscale_expr().ok_or_else(|| refused("a numeric without display scale"))?);
    }
    args.push(arg(call, 3)?.expr.clone());
    let kernel = udf::over_arrays(move |a| {
        let [operand, d1, low, d2, high, d3, count] = a else { return internal_err!("width_bucket was given {} columns", a.len()) };
        let values = [Decimals::new(operand)?, Decimals::new(low)?, Decimals::new(high)?];
        let shown = [d1, d2, d3].map(|d| d.as_primitive_opt::<Int16Type>());
        let Some(counts) = count.as_primitive_opt::<Int32Type>() else { return internal_err!("width_bucket was given other types") };
        let buckets = (0..counts.len()).map(|row| {
            let (Some(o), Some(l), Some(h)) = (values[0].get(row), values[1].get(row), values[2].get(row)) else { return Ok(None) };
            if counts.is_null(row) {
                return Ok(None);
            }
            let largest = shown.iter().flatten().map(|d| i32::from(d.value(row))).collect::<Vec<_>>();
            // One scale for all three.
            let scale = scales.into_iter().max().unwrap_or(0);
            let [o, l, h] = [(o, scales[0]), (l, scales[1]), (h, scales[2])].map(|(v, s)| to_big(v) * BigInt::from(10).pow((scale - s).unsigned_abs()));
            numeric_bucket(&o, &l, &h, scale, &largest, counts.value(row)).map(Some)
        });
        Ok(Arc::new(buckets.collect::<Result<Int32Array>>()?) as ArrayRef)
    });
    Ok(Value::new(udf::call("pg_width_bucket_numeric", format!("{scales:?}"), DataType::Int32, args, kernel), DataType::Int32, PgType::INT4))
}

fn numeric_bucket(operand: &BigInt, low: &BigInt, high: &BigInt, scale: i32, shown: &[i32], count: i32) -> Result<i32> {
    if count <= 0 {
        return Err(invalid("count must be greater than zero"));
    }
    let (before, after) = match low.cmp(high) {
        Ordering::Equal => return Err(invalid("lower bound cannot equal upper bound")),
        Ordering::Less => (operand < low, operand >= high),
        Ordering::Greater => (operand > low, operand <= high),
    };
    if before {
        return Ok(0);
    }
    if after {
        return count.checked_add(1).ok_or_else(out_of_range);
    }
    let [d1, d2, d3] = shown else { return internal_err!("width_bucket without display scales") };
    let magnitude = |v: BigInt| if v.sign() == Sign::Minus { -v } else { v };
    let (from, width) = (magnitude(operand - low) * count, magnitude(high - low));
    // Postgres takes the whole part of a rounded quotient.
    let result_scale = div_scale(&from, scale, *d1.max(d2), &width, scale, *d2.max(d3));
    let quotient = divide_big(&from, scale, &width, scale, result_scale);
    let whole: i32 = (quotient / BigInt::from(10).pow(result_scale.unsigned_abs())).try_into().map_err(|_| out_of_range())?;
    if whole >= count {
        return Err(refused("width_bucket near the edge of a bucket"));
    }
    Ok(whole + 1)
}
