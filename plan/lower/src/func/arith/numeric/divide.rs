//! Division with the result scale that Postgres selects.

use super::basic::{lacks_scale, max_scale, wide, wide_binary};
use super::form::{common, is_128, parts, rescale, result_type, too_large};
use super::wide::{digits, from_big, pow10, pow10_128, to_big};
use crate::func::arith::arg;
use crate::func::arith::int::division_by_zero;
use crate::func::arith::kernel::{binary, primitive};
use crate::udf;
use crate::value::{Call, DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Int16Type, i256};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ScalarFunctionArgs;
use num_bigint::{BigInt, Sign};
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
pub(crate) enum Decimals<'a> {
    Narrow(&'a arrow::array::Decimal128Array),
    Wide(&'a arrow::array::Decimal256Array),
}

impl<'a> Decimals<'a> {
    pub(crate) fn new(array: &'a ArrayRef) -> Result<Self> {
        if let Some(a) = array.as_primitive_opt::<Decimal128Type>() {
            return Ok(Decimals::Narrow(a));
        }
        match array.as_primitive_opt::<Decimal256Type>() {
            Some(a) => Ok(Decimals::Wide(a)),
            None => internal_err!("{} is not a decimal", array.data_type()),
        }
    }

    pub(crate) fn get(&self, row: usize) -> Option<i256> {
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
    let (d1, d2) = (primitive::<Int16Type>(d1)?, primitive::<Int16Type>(d2)?);
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
    Ok(scale_of(weight_and_first_digit(v1, s1), d1, weight_and_first_digit(v2, s2), d2))
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
    from_big(&divide_big(&to_big(v1), s1, &to_big(v2), s2, scale))
}

/// As [`quotient`], of any size. The divisor is not zero.
pub(crate) fn divide_big(v1: &BigInt, s1: i32, v2: &BigInt, s2: i32, scale: i32) -> BigInt {
    let shift = scale + s2 - s1;
    let power = BigInt::from(10).pow(shift.unsigned_abs());
    let (n, d) = if shift >= 0 { (v1 * power, v2.clone()) } else { (v1.clone(), v2 * power) };
    let q = &n / &d;
    let double = (&n - &q * &d).magnitude() * 2_u32;
    match (double.cmp(d.magnitude()), (n.sign() == Sign::Minus) != (d.sign() == Sign::Minus)) {
        (Ordering::Less, _) => q,
        (_, true) => q - 1,
        (_, false) => q + 1,
    }
}

/// As [`select_scale`], of values of any size.
pub(crate) fn div_scale(v1: &BigInt, s1: i32, d1: i32, v2: &BigInt, s2: i32, d2: i32) -> i32 {
    let leading = |v: &BigInt, scale: i32| {
        let digits = v.magnitude().to_string();
        if digits == "0" {
            return (0, 0_i64);
        }
        let weight = (digits.len() as i32 - 1 - scale).div_euclid(4);
        let count = digits.len() as i32 - scale - 4 * weight;
        let first: String = digits.chars().chain(std::iter::repeat('0')).take(count.max(0) as usize).collect();
        (weight, first.parse().unwrap_or(0))
    };
    scale_of(leading(v1, s1), d1, leading(v2, s2), d2)
}

fn scale_of((weight1, first1): (i32, i64), d1: i32, (weight2, first2): (i32, i64), d2: i32) -> i32 {
    let mut weight = weight1 - weight2;
    if first1 <= first2 {
        weight -= 1;
    }
    (16 - weight * 4).max(d1).max(d2).clamp(0, 1000)
}

/// `%`, `mod`, `div`, `gcd`, `lcm`.
pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let f = match call.func {
        1727 => divide,
        1728 | 1729 => remainder,
        1973 | 1980 => whole_quotient,
        5048 => gcd,
        5049 => lcm,
        _ => return None,
    };
    Some(arg(call, 0).and_then(|l| f(l, arg(call, 1)?)))
}

/// The remainder of truncating division has the larger display scale of both.
fn remainder(l: &Value, r: &Value) -> Result<Value> {
    let to = common(&l.arrow, &r.arrow)?;
    let dscale = max_scale(l, r).ok_or_else(lacks_scale)?;
    let args = vec![rescale(l, &to)?, rescale(r, &to)?];
    let ty = to.clone();
    let kernel: udf::Kernel = if is_128(&to) {
        Arc::new(move |a: &ScalarFunctionArgs| {
            binary::<Decimal128Type, Decimal128Type, Decimal128Type>(
                a,
                &ty,
                |l, r| l.checked_rem(r).map_or((0, true), |v| (v, false)),
                |_, _| division_by_zero(),
            )
        })
    } else {
        Arc::new(move |a: &ScalarFunctionArgs| {
            binary::<Decimal256Type, Decimal256Type, Decimal256Type>(
                a,
                &ty,
                |l, r| l.checked_rem(r).map_or((i256::ZERO, true), |v| (v, false)),
                |_, _| division_by_zero(),
            )
        })
    };
    Ok(Value::numeric(udf::call("pg_numeric_mod", "", to.clone(), args, kernel), to, PgType::NUMERIC, dscale))
}

/// `div`: the quotient without its fraction.
fn whole_quotient(l: &Value, r: &Value) -> Result<Value> {
    let ((p1, s1), (_, s2)) = (parts(&l.arrow)?, parts(&r.arrow)?);
    let result = result_type((p1 - s1 + s2).clamp(1, 76), 0)?;
    let limit = pow10(parts(&result)?.0 as u32);
    let ty = result.clone();
    let kernel: udf::Kernel = Arc::new(move |a: &ScalarFunctionArgs| {
        let f = |l: i256, r: i256| {
            let shift = s2 - s1;
            if r == i256::ZERO {
                return None;
            }
            let (n, d) = if shift >= 0 { (l.checked_mul(pow10(shift as u32)), Some(r)) } else { (Some(l), r.checked_mul(pow10(-shift as u32))) };
            let q = match (n, d) {
                (Some(n), Some(d)) => n.checked_div(d)?,
                // The divisor is larger than any dividend.
                (Some(_), None) => i256::ZERO,
                (None, _) => from_big(&(to_big(l) * to_big(pow10(shift as u32)) / to_big(r)))?,
            };
            Some(q).filter(|q| q.wrapping_abs() < limit)
        };
        let why = |_, r| if r == i256::ZERO { division_by_zero() } else { too_large() };
        if is_128(&ty) {
            binary::<Decimal256Type, Decimal256Type, Decimal128Type>(a, &ty, |l, r| f(l, r).map_or((0, true), |v| (v.as_i128(), false)), why)
        } else {
            binary::<Decimal256Type, Decimal256Type, Decimal256Type>(a, &ty, |l, r| f(l, r).map_or((i256::ZERO, true), |v| (v, false)), why)
        }
    });
    let expr = udf::call("pg_numeric_div_trunc", format!("{s1},{s2}"), result.clone(), vec![wide(l)?, wide(r)?], kernel);
    Ok(Value::numeric(expr, result, PgType::NUMERIC, DScale::Static(0)))
}

fn gcd_of(l: i256, r: i256) -> i256 {
    let (mut a, mut b) = (l.wrapping_abs(), r.wrapping_abs());
    while b != i256::ZERO {
        (a, b) = (b, a.wrapping_rem(b));
    }
    a
}

fn gcd(l: &Value, r: &Value) -> Result<Value> {
    by_common_scale("pg_numeric_gcd", l, r, |l, r| Some(gcd_of(l, r)))
}

fn lcm(l: &Value, r: &Value) -> Result<Value> {
    by_common_scale("pg_numeric_lcm", l, r, |l, r| {
        if l == i256::ZERO || r == i256::ZERO {
            return Some(i256::ZERO);
        }
        l.wrapping_div(gcd_of(l, r)).checked_mul(r).map(i256::wrapping_abs)
    })
}

fn by_common_scale(name: &'static str, l: &Value, r: &Value, f: fn(i256, i256) -> Option<i256>) -> Result<Value> {
    let scale = parts(&common(&l.arrow, &r.arrow)?)?.1;
    let ty = DataType::Decimal256(DYNAMIC_PRECISION, scale as i8);
    let dscale = max_scale(l, r).ok_or_else(lacks_scale)?;
    let expr = wide_binary(name, String::new(), &ty, vec![rescale(l, &ty)?, rescale(r, &ty)?], f);
    Ok(Value::numeric(expr, ty, PgType::NUMERIC, dscale))
}
