//! Square root, exact to the last digit that Postgres shows.

use super::basic::lacks_scale;
use super::divide::{rows, weight_and_first_digit};
use super::form::{parts, too_large};
use super::wide::{digits, from_big, pow10, to_big};
use crate::error::raise;
use crate::func::arith::arg;
use crate::udf;
use crate::value::{Call, DScale, Value};
use arrow::datatypes::{DataType, Decimal256Type, Int16Type, i256};
use datafusion::common::{DataFusionError, Result};
use num_bigint::{BigInt, BigUint};
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE, PgType};

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    Some(match call.func {
        1730 | 1731 => arg(call, 0).and_then(square_root),
        _ => return None,
    })
}

fn negative() -> DataFusionError {
    raise("2201F", "cannot take square root of a negative number")
}

/// `numeric_sqrt`'s result scale: at least 16 significant digits.
fn scale_of(v: i256, s: i32, d: i32) -> i32 {
    let (weight, _) = weight_and_first_digit(v, s);
    (16 - (2 * weight + 1)).max(d).clamp(0, 1000)
}

/// The square root rounded half up to `scale` digits; `v` has `s` digits after the point.
pub(crate) fn rounded_root(v: &BigInt, s: i32, scale: i32) -> BigInt {
    // root * 10^scale = sqrt(v * 10^(2 * scale - s)); one more digit decides the rounding.
    let shift = 2 * (scale + 1) - s;
    let ten = BigUint::from(10_u32);
    let magnitude = v.magnitude();
    let radicand = if shift >= 0 { magnitude * ten.pow(shift.unsigned_abs()) } else { magnitude / ten.pow(shift.unsigned_abs()) };
    BigInt::from((radicand.sqrt() + 5_u32) / 10_u32)
}

fn square_root(v: &Value) -> Result<Value> {
    let s = parts(&v.arrow)?.1;
    let scale = v.dscale_expr().ok_or_else(lacks_scale)?;
    let args = vec![v.expr.clone(), scale.clone(), v.expr.clone(), scale];
    let result = DataType::Decimal256(DYNAMIC_PRECISION, DYNAMIC_SCALE);
    let ty = result.clone();
    let value = udf::over_arrays(move |a| {
        rows::<Decimal256Type>(a, &ty, |v, d, _, _| {
            if v.is_negative() {
                return Err(negative());
            }
            let scale = scale_of(v, s, d);
            let lift = i32::from(DYNAMIC_SCALE) - scale;
            let root = from_big(&rounded_root(&to_big(v), s, scale)).ok_or_else(too_large)?;
            if lift < 0 || digits(root) + lift > i32::from(DYNAMIC_PRECISION) {
                return Err(too_large());
            }
            Ok(root.wrapping_mul(pow10(lift as u32)))
        })
    });
    let scales = udf::over_arrays(move |a| {
        rows::<Int16Type>(a, &DataType::Int16, |v, d, _, _| if v.is_negative() { Err(negative()) } else { Ok(scale_of(v, s, d) as i16) })
    });
    let expr = udf::call("pg_numeric_sqrt", s.to_string(), result.clone(), args.clone(), value);
    let dscale = udf::call("pg_numeric_sqrt_scale", s.to_string(), DataType::Int16, args, scales);
    Ok(Value::numeric(expr, result, PgType::NUMERIC, DScale::Dynamic(dscale)))
}
