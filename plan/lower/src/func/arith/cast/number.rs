//! Cast functions among integers, floats, numeric and boolean.

use crate::error::{raise, refused};
use crate::func::arith::arg;
use crate::func::arith::kernel::{primitive, unary};
use crate::func::arith::numeric::{Decimals, Parsed, append, digits, parse, parts, pow10, round_to_integer, too_large};
use crate::udf;
use crate::value::{Call, DScale, Value};
use arrow::array::{Array, ArrayRef, PrimitiveBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, i256};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator, ScalarFunctionArgs, binary_expr, lit, when};
use std::sync::Arc;
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE, PgType, arrow_type};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        // Widening never fails, and every integer has a nearest float.
        313 | 481 | 754 | 235 | 316 | 482 | 236 | 318 | 652 | 311 => plain(call),
        314 | 480 | 714 => narrowing(call),
        237 | 238 | 317 | 319 | 483 | 653 => from_float(call),
        312 => arg(call, 0).map(|v| {
            Value::new(udf::call("pg_float8_to_float4", "", DataType::Float32, vec![v.expr.clone()], Arc::new(to_float4)), DataType::Float32, call.ty)
        }),
        1740 => integer_to_numeric(call, 10),
        1781 => integer_to_numeric(call, 19),
        1782 => integer_to_numeric(call, 5),
        1742 => float_to_numeric(call, 6),
        1743 => float_to_numeric(call, 15),
        1744 | 1779 | 1783 => numeric_to_integer(call),
        1745 | 1746 => numeric_to_float(call),
        2557 => arg(call, 0).map(|v| Value::bool(binary_expr(v.expr.clone(), Operator::NotEq, lit(0_i32)))),
        2558 => bool_to_int(call),
        _ => return None,
    })
}

fn result_type(call: &Call<'_>) -> Result<DataType> {
    arrow_type(&call.ty).ok_or_else(|| refused("a cast to a type that is not supported"))
}

fn plain(call: &Call<'_>) -> Result<Value> {
    let ty = result_type(call)?;
    Ok(Value::new(arg(call, 0)?.cast_to(&ty), ty, call.ty))
}

fn bool_to_int(call: &Call<'_>) -> Result<Value> {
    let v = &arg(call, 0)?.expr;
    let expr = when(v.clone().is_true(), lit(1_i32)).when(v.clone().is_false(), lit(0_i32)).end()?;
    Ok(Value::new(expr, DataType::Int32, call.ty))
}

/// An integer type with the error for what leaves it.
trait Target: ArrowPrimitiveType<Native: TryFrom<i64> + TryFrom<i128> + Copy> {
    const RANGE: &'static str;
    /// The least value, and the least value above the greatest, both exact as floats.
    const BOUNDS: (f64, f64);
    fn from_float(v: f64) -> Self::Native;
}

macro_rules! target {
    ($arrow:ty, $native:ty, $range:literal) => {
        impl Target for $arrow {
            const RANGE: &'static str = $range;
            const BOUNDS: (f64, f64) = (<$native>::MIN as f64, -(<$native>::MIN as f64));
            fn from_float(v: f64) -> $native {
                v as $native
            }
        }
    };
}

target!(Int16Type, i16, "smallint out of range");
target!(Int32Type, i32, "integer out of range");
target!(Int64Type, i64, "bigint out of range");

fn range<T: Target>() -> DataFusionError {
    raise("22003", T::RANGE)
}

/// Runs `$body` with `$t` as the Arrow type of the integer result.
macro_rules! by_target {
    ($ty:expr, $t:ident => $body:expr) => {
        match $ty {
            DataType::Int16 => {
                type $t = Int16Type;
                $body
            }
            DataType::Int32 => {
                type $t = Int32Type;
                $body
            }
            DataType::Int64 => {
                type $t = Int64Type;
                $body
            }
            other => return Err(refused(format!("a cast to an integer of {other}"))),
        }
    };
}

fn narrowing(call: &Call<'_>) -> Result<Value> {
    let ty = result_type(call)?;
    let value = arg(call, 0)?.cast_to(&DataType::Int64);
    let kernel: udf::Kernel = by_target!(&ty, T => Arc::new(|a: &ScalarFunctionArgs| narrow::<T>(a)));
    Ok(Value::new(udf::call("pg_int_narrow", "", ty.clone(), vec![value], kernel), ty, call.ty))
}

fn narrow<T: Target>(args: &ScalarFunctionArgs) -> Result<ColumnarValue>
where
    T::Native: TryFrom<i64>,
{
    unary::<Int64Type, T>(
        args,
        &T::DATA_TYPE,
        |v| <T::Native as TryFrom<i64>>::try_from(v).map_or((T::default_value(), true), |v| (v, false)),
        |_| range::<T>(),
    )
}

fn from_float(call: &Call<'_>) -> Result<Value> {
    let ty = result_type(call)?;
    let value = arg(call, 0)?.cast_to(&DataType::Float64);
    let kernel: udf::Kernel = by_target!(&ty, T => Arc::new(|a: &ScalarFunctionArgs| round_float::<T>(a)));
    Ok(Value::new(udf::call("pg_float_to_int", "", ty.clone(), vec![value], kernel), ty, call.ty))
}

/// Half to even, as `rint` does. NaN fits nowhere.
fn round_float<T: Target>(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let (least, above) = T::BOUNDS;
    unary::<Float64Type, T>(
        args,
        &T::DATA_TYPE,
        |v| {
            let v = v.round_ties_even();
            (T::from_float(v), !(v >= least && v < above))
        },
        |_| range::<T>(),
    )
}

fn to_float4(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    unary::<Float64Type, Float32Type>(
        args,
        &DataType::Float32,
        |v| {
            let narrow = v as f32;
            (narrow, (narrow.is_infinite() && !v.is_infinite()) || (narrow == 0.0 && v != 0.0))
        },
        |v| raise("22003", if v as f32 == 0.0 { "value out of range: underflow" } else { "value out of range: overflow" }),
    )
}

fn integer_to_numeric(call: &Call<'_>, precision: u8) -> Result<Value> {
    let ty = DataType::Decimal128(precision, 0);
    Ok(Value::numeric(arg(call, 0)?.cast_to(&ty), ty, PgType::NUMERIC, DScale::Static(0)))
}

/// A decimal with as many significant digits as the float type surely has.
fn float_to_numeric(call: &Call<'_>, significant: usize) -> Result<Value> {
    let value = arg(call, 0)?.cast_to(&DataType::Float64);
    let arrow = DataType::Decimal256(DYNAMIC_PRECISION, DYNAMIC_SCALE);
    let out = arrow.clone();
    let values = udf::over_arrays(move |a| floats::<Decimal256Type>(a, &out, |v| decimal(v, significant).map(|(v, _)| v)));
    let scales = udf::over_arrays(move |a| floats::<Int16Type>(a, &DataType::Int16, |v| decimal(v, significant).map(|(_, d)| d)));
    let expr = udf::call("pg_float_to_numeric", significant.to_string(), arrow.clone(), vec![value.clone()], values);
    let dscale = udf::call("pg_float_to_numeric_scale", significant.to_string(), DataType::Int16, vec![value], scales);
    Ok(Value::numeric(expr, arrow, PgType::NUMERIC, DScale::Dynamic(dscale)))
}

fn floats<O: ArrowPrimitiveType>(arrays: &[ArrayRef], ty: &DataType, f: impl Fn(f64) -> Result<O::Native>) -> Result<ArrayRef> {
    let [values] = arrays else { return internal_err!("a cast takes one argument") };
    let values = primitive::<Float64Type>(values)?;
    let mut out = PrimitiveBuilder::<O>::with_capacity(values.len()).with_data_type(ty.clone());
    for v in values {
        out.append_option(v.map(&f).transpose()?);
    }
    Ok(Arc::new(out.finish()))
}

/// What `numeric_in` makes of `printf("%.*g")`: trailing zeros are dropped before it is read.
fn decimal(v: f64, significant: usize) -> Result<(i256, i16)> {
    if !v.is_finite() {
        return Err(too_large());
    }
    let text = format!("{v:.*e}", significant - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    match parse(&format!("{mantissa}e{exponent}")) {
        Parsed::Number(v, d) if d <= i32::from(DYNAMIC_SCALE) && digits(v) + i32::from(DYNAMIC_SCALE) - d <= i32::from(DYNAMIC_PRECISION) => {
            Ok((v.wrapping_mul(pow10((i32::from(DYNAMIC_SCALE) - d) as u32)), d as i16))
        }
        _ => Err(too_large()),
    }
}

fn numeric_to_integer(call: &Call<'_>) -> Result<Value> {
    let ty = result_type(call)?;
    let v = arg(call, 0)?;
    let scale = parts(&v.arrow)?.1;
    let kernel: udf::Kernel = by_target!(&ty, T => udf::over_arrays(move |a| rounded::<T>(a, scale)));
    Ok(Value::new(udf::call("pg_numeric_to_int", scale.to_string(), ty.clone(), vec![v.expr.clone()], kernel), ty, call.ty))
}

fn rounded<T: Target>(arrays: &[ArrayRef], scale: i32) -> Result<ArrayRef> {
    let [values] = arrays else { return internal_err!("a cast takes one argument") };
    let column = Decimals::new(values)?;
    let mut out = PrimitiveBuilder::<T>::with_capacity(values.len());
    for row in 0..values.len() {
        out.append_option(
            column
                .get(row)
                .map(|v| round_to_integer(v, scale).to_i128().and_then(|v| <T::Native as TryFrom<i128>>::try_from(v).ok()).ok_or_else(range::<T>))
                .transpose()?,
        );
    }
    Ok(Arc::new(out.finish()))
}

fn numeric_to_float(call: &Call<'_>) -> Result<Value> {
    let ty = result_type(call)?;
    let v = arg(call, 0)?;
    let scale = parts(&v.arrow)?.1;
    let single = ty == DataType::Float32;
    let kernel = udf::over_arrays(move |a| {
        let [values] = a else { return internal_err!("a cast takes one argument") };
        let column = Decimals::new(values)?;
        if single {
            let mut out = PrimitiveBuilder::<Float32Type>::with_capacity(values.len());
            for row in 0..values.len() {
                out.append_option(column.get(row).map(|v| nearest4(v, scale)).transpose()?);
            }
            Ok(Arc::new(out.finish()))
        } else {
            let mut out = PrimitiveBuilder::<Float64Type>::with_capacity(values.len());
            for row in 0..values.len() {
                out.append_option(column.get(row).map(|v| nearest8(v, scale)));
            }
            Ok(Arc::new(out.finish()))
        }
    });
    Ok(Value::new(udf::call("pg_numeric_to_float", scale.to_string(), ty.clone(), vec![v.expr.clone()], kernel), ty, call.ty))
}

/// The nearest float: exact operands make one rounding, else the decimal text is read as Postgres does.
fn nearest8(v: i256, scale: i32) -> f64 {
    const EXACT: i128 = 1 << 53;
    const POWERS: [f64; 23] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22];
    if let (Some(n), Some(power)) = (v.to_i128().filter(|n| (-EXACT..=EXACT).contains(n)), usize::try_from(scale).ok().and_then(|s| POWERS.get(s))) {
        return n as f64 / power;
    }
    let mut text = String::new();
    append(&mut text, v, scale, scale);
    text.parse().unwrap_or(f64::NAN)
}

fn nearest4(v: i256, scale: i32) -> Result<f32> {
    let mut text = String::new();
    append(&mut text, v, scale, scale);
    match text.parse::<f32>() {
        Ok(f) if f.is_finite() => Ok(f),
        _ => Err(too_large()),
    }
}
