//! Division with the result scale that Postgres selects.

use super::basic::lacks_scale;
use super::form::{parts, too_large};
use super::wide::{digits, from_big, pow10, pow10_128, to_big};
use crate::func::arith::int::division_by_zero;
use crate::udf;
use crate::value::{DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Int16Type, i256};
use datafusion::common::{Result, internal_err};
use std::cmp::Ordering;
use std::sync::Arc;
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE, PgType};

/// `numeric / numeric`.
pub fn divide(l: &Value, r: &Value) -> Result<Value> {
    let (s1, s2) = (parts(&l.arrow)?.1, parts(&r.arrow)?.1);
    let args = vec![l.expr.clone(), l.dscale_expr().ok_or_else(lacks_scale)?, r.expr.clone(), r.dscale_expr().ok_or_else(lacks_scale)?];
    let result = DataType::Decimal256(DYNAMIC_PRECISION, DYNAMIC_SCALE);
    let key = format!("{s1},{s2}");
    let out = result.clone();
    let value = udf::over_arrays(move |a| {
        rows::<Decimal256Type>(a, &out, |v1, d1, v2, d2| {
            let scale = select_scale(v1, s1, d1, v2, s2, d2)?;
            let quotient = quotient(v1, s1, v2, s2, scale).ok_or_else(too_large)?;
            let lift = i32::from(DYNAMIC_SCALE) - scale;
            if lift < 0 || digits(quotient) + lift > i32::from(DYNAMIC_PRECISION) {
                return Err(too_large());
            }
            Ok(quotient.wrapping_mul(pow10(lift as u32)))
        })
    });
    let scale = udf::over_arrays(move |a| rows::<Int16Type>(a, &DataType::Int16, |v1, d1, v2, d2| Ok(select_scale(v1, s1, d1, v2, s2, d2)? as i16)));
    let value = udf::call("pg_numeric_div", key.clone(), result.clone(), args.clone(), value);
    let scale = udf::call("pg_numeric_div_scale", key, DataType::Int16, args, scale);
    Ok(Value::numeric(value, result, PgType::NUMERIC, DScale::Dynamic(scale)))
}

/// A decimal column, widened on access.
pub(super) enum Decimals<'a> {
    Narrow(&'a arrow::array::Decimal128Array),
    Wide(&'a arrow::array::Decimal256Array),
}

impl<'a> Decimals<'a> {
    pub(super) fn new(array: &'a ArrayRef) -> Result<Self> {
        if let Some(a) = array.as_primitive_opt::<Decimal128Type>() {
            return Ok(Decimals::Narrow(a));
        }
        match array.as_primitive_opt::<Decimal256Type>() {
            Some(a) => Ok(Decimals::Wide(a)),
            None => internal_err!("{} is not a decimal", array.data_type()),
        }
    }

    pub(super) fn get(&self, row: usize) -> Option<i256> {
        match self {
            Decimals::Narrow(a) => a.is_valid(row).then(|| i256::from_i128(a.value(row))),
            Decimals::Wide(a) => a.is_valid(row).then(|| a.value(row)),
        }
    }
}

/// Runs over (value, display scale, value, display scale).
pub(super) fn rows<O: ArrowPrimitiveType>(args: &[ArrayRef], result: &DataType, f: impl Fn(i256, i32, i256, i32) -> Result<O::Native>) -> Result<ArrayRef> {
    let [v1, d1, v2, d2] = args else { return internal_err!("a numeric kernel was given {} arguments", args.len()) };
    let (v1s, v2s) = (Decimals::new(v1)?, Decimals::new(v2)?);
    let (d1, d2) = (super::super::kernel::primitive::<Int16Type>(d1)?, super::super::kernel::primitive::<Int16Type>(d2)?);
    let mut out = PrimitiveBuilder::<O>::with_capacity(v1.len()).with_data_type(result.clone());
    for row in 0..v1.len() {
        match (v1s.get(row), v2s.get(row)) {
            (Some(a), Some(b)) => out.append_value(f(a, i32::from(d1.value(row)), b, i32::from(d2.value(row)))?),
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// Weight in base 10000 and first digit of an unscaled value, as `numeric.c` stores it; (0, 0) for zero.
pub(super) fn weight_and_first_digit(v: i256, scale: i32) -> (i32, i64) {
    let n = digits(v);
    if n == 0 {
        return (0, 0);
    }
    let weight = (n - 1 - scale).div_euclid(4);
    let unit = scale + 4 * weight;
    let v = v.wrapping_abs();
    let first = if unit >= 0 {
        match v.to_i128() {
            Some(v) if unit <= 38 => i256::from_i128(v / pow10_128(unit as u32)),
            _ => v.wrapping_div(pow10(unit as u32)),
        }
    } else {
        v.wrapping_mul(pow10(-unit as u32))
    };
    (weight, first.as_i128() as i64)
}

/// `select_div_scale`; division by zero is noticed here.
fn select_scale(v1: i256, s1: i32, d1: i32, v2: i256, s2: i32, d2: i32) -> Result<i32> {
    if v2 == i256::ZERO {
        return Err(division_by_zero());
    }
    let (weight1, first1) = weight_and_first_digit(v1, s1);
    let (weight2, first2) = weight_and_first_digit(v2, s2);
    let mut weight = weight1 - weight2;
    if first1 <= first2 {
        weight -= 1;
    }
    Ok((16 - weight * 4).max(d1).max(d2).clamp(0, 1000))
}

/// `v1 / v2` rounded half away from zero to `scale` digits.
pub(super) fn quotient(v1: i256, s1: i32, v2: i256, s2: i32, scale: i32) -> Option<i256> {
    let shift = scale + s2 - s1;
    if shift.abs() <= 76 {
        let (n, d) = if shift >= 0 { (v1.checked_mul(pow10(shift as u32)), Some(v2)) } else { (Some(v1), v2.checked_mul(pow10(-shift as u32))) };
        if let (Some(n), Some(d)) = (n, d) {
            if let (Some(n), Some(d)) = (n.to_i128(), d.to_i128()) {
                let (q, r) = (n.checked_div(d)?, n.checked_rem(d)?);
                let up = r != 0 && r.unsigned_abs() >= d.unsigned_abs() - r.unsigned_abs();
                return Some(i256::from_i128(match (up, (n < 0) != (d < 0)) {
                    (false, _) => q,
                    (true, true) => q.checked_sub(1)?,
                    (true, false) => q.checked_add(1)?,
                }));
            }
            let (q, r) = (n.checked_div(d)?, n.checked_rem(d)?);
            let (r, d_abs) = (r.wrapping_abs(), d.wrapping_abs());
            let up = r != i256::ZERO && r >= d_abs.wrapping_sub(r);
            return Some(match (up, n.is_negative() != d.is_negative()) {
                (false, _) => q,
                (true, true) => q.wrapping_sub(i256::ONE),
                (true, false) => q.wrapping_add(i256::ONE),
            });
        }
    }
    let power = |n: i32| num_bigint::BigInt::from(10).pow(n.unsigned_abs());
    let (n, d) = if shift >= 0 { (to_big(v1) * power(shift), to_big(v2)) } else { (to_big(v1), to_big(v2) * power(shift)) };
    let q = &n / &d;
    let r = (&n - &q * &d).magnitude().clone();
    let double = r * 2_u32;
    let q = match (double.cmp(d.magnitude()), (n.sign() == num_bigint::Sign::Minus) != (d.sign() == num_bigint::Sign::Minus)) {
        (Ordering::Less, _) => q,
        (_, true) => q - 1,
        (_, false) => q + 1,
    };
    from_big(&q)
}
