//! ln, log, exp and power of numeric: the result scales of release 15, the digits by [`super::fixed`].

use super::basic::lacks_scale;
use super::divide::{divide_big, rows, weight_and_first_digit};
use super::fixed::{exp, ln, round, ten};
use super::form::{parts, too_large};
use super::text::append;
use super::wide::{digits, from_big, pow10, to_big};
use crate::error::{raise, refused};
use crate::func::arith::arg;
use crate::func::arith::int::division_by_zero;
use crate::udf;
use crate::value::{Call, DScale, Value};
use arrow::datatypes::{DataType, Decimal256Type, Int16Type, i256};
use datafusion::common::Result;
use num_bigint::{BigInt, Sign};
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE, PgType};

/// A numeric: unscaled value, physical scale, display scale.
#[derive(Debug, Clone, Copy)]
struct Num {
    v: i256,
    s: i32,
    d: i32,
}

/// Guard digits of our own computations.
const GUARD: u32 = 40;

/// As `numeric.c` writes it: scales come out of these estimates.
#[allow(clippy::approx_constant)] // the nearest double is another one
const LOG10_E: f64 = 0.434_294_481_903_252;

type Function = fn(Num, Num) -> Result<(BigInt, i32)>;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let (name, scale_name, f): (&'static str, &'static str, Function) = match call.func {
        1734 | 1735 => ("pg_numeric_ln", "pg_numeric_ln_scale", |x, _| natural(x)),
        1732 | 1733 => ("pg_numeric_exp", "pg_numeric_exp_scale", |x, _| exponential(x)),
        1481 | 1741 => ("pg_numeric_log10", "pg_numeric_log10_scale", |x, _| logarithm(Num { v: i256::from_i128(10), s: 0, d: 0 }, x)),
        1736 | 1737 => ("pg_numeric_log", "pg_numeric_log_scale", logarithm),
        1738 | 1739 | 2169 => ("pg_numeric_power", "pg_numeric_power_scale", power),
        _ => return None,
    };
    Some(build(call, name, scale_name, f))
}

fn build(call: &Call<'_>, name: &'static str, scale_name: &'static str, f: Function) -> Result<Value> {
    if call.session.server_version_num >= 160_000 {
        return Err(refused("the scale of logarithms and powers of numeric differs between releases"));
    }
    let l = arg(call, 0)?;
    let r = call.args.get(1).unwrap_or(l);
    let (s1, s2) = (parts(&l.arrow)?.1, parts(&r.arrow)?.1);
    let args = vec![l.expr.clone(), l.dscale_expr().ok_or_else(lacks_scale)?, r.expr.clone(), r.dscale_expr().ok_or_else(lacks_scale)?];
    let result = DataType::Decimal256(DYNAMIC_PRECISION, DYNAMIC_SCALE);
    let ty = result.clone();
    let values = udf::over_arrays(move |a| {
        rows::<Decimal256Type>(a, &ty, |v1, d1, v2, d2| {
            let (v, scale) = f(Num { v: v1, s: s1, d: d1 }, Num { v: v2, s: s2, d: d2 })?;
            let lift = i32::from(DYNAMIC_SCALE) - scale;
            let v = from_big(&v).ok_or_else(too_large)?;
            if lift < 0 || digits(v) + lift > i32::from(DYNAMIC_PRECISION) {
                return Err(too_large());
            }
            Ok(v.wrapping_mul(pow10(lift as u32)))
        })
    });
    let scales = udf::over_arrays(move |a| {
        rows::<Int16Type>(a, &DataType::Int16, |v1, d1, v2, d2| Ok(f(Num { v: v1, s: s1, d: d1 }, Num { v: v2, s: s2, d: d2 })?.1 as i16))
    });
    let key = format!("{s1},{s2}");
    let expr = udf::call(name, key.clone(), result.clone(), args.clone(), values);
    let dscale = udf::call(scale_name, key, DataType::Int16, args, scales);
    Ok(Value::numeric(expr, result, PgType::NUMERIC, DScale::Dynamic(dscale)))
}

fn unsure() -> datafusion::common::DataFusionError {
    refused("a numeric result whose last digit is uncertain")
}

/// As Postgres reads its own output.
fn to_float(v: &BigInt, scale: i32) -> f64 {
    let mut text = String::new();
    match from_big(v) {
        Some(v) => append(&mut text, v, scale, scale),
        None => return f64::INFINITY,
    }
    text.parse().unwrap_or(f64::NAN)
}

/// The first digits in base 10000: the value is about `digits * 10^weight`.
fn leading(x: Num) -> (f64, i32) {
    let (weight, first) = weight_and_first_digit(x.v, x.s);
    // The second digit, if the number has one.
    let unit = x.s + 4 * (weight - 1);
    let magnitude = x.v.wrapping_abs();
    let (two, rest) = if unit >= 0 {
        (magnitude.wrapping_div(pow10(unit as u32)), magnitude.wrapping_rem(pow10(unit as u32)))
    } else {
        (magnitude.wrapping_mul(pow10(-unit as u32)), i256::ZERO)
    };
    let second = two.as_i128() - i128::from(first) * 10_000;
    if second == 0 && rest == i256::ZERO {
        return (first as f64, weight * 4);
    }
    (two.as_i128() as f64, weight * 4 - 4)
}

/// `estimate_ln_dweight`.
fn ln_weight(x: Num) -> i32 {
    if !x.v.is_positive() {
        return 0;
    }
    let ten_times = |n: i128| pow10((x.s.max(1) - 1) as u32).checked_mul(i256::from_i128(n));
    let v = if x.s < 1 { x.v.wrapping_mul(i256::from_i128(10)) } else { x.v };
    if ten_times(9).is_some_and(|n| v >= n) && ten_times(11).is_some_and(|n| v <= n) {
        let difference = v.wrapping_sub(ten_times(10).unwrap_or_default());
        if difference == i256::ZERO {
            return 0;
        }
        let (weight, first) = weight_and_first_digit(difference, x.s.max(1));
        return weight * 4 + (first as f64).log10() as i32;
    }
    let (digits, weight) = leading(x);
    let ln = digits.ln() + f64::from(weight) * std::f64::consts::LN_10;
    ln.abs().log10() as i32
}

fn logarithm_domain(x: Num) -> Result<()> {
    if x.v == i256::ZERO {
        return Err(raise("2201E", "cannot take logarithm of zero"));
    }
    if x.v.is_negative() {
        return Err(raise("2201E", "cannot take logarithm of a negative number"));
    }
    Ok(())
}

fn natural(x: Num) -> Result<(BigInt, i32)> {
    logarithm_domain(x)?;
    let scale = (16 - ln_weight(x)).max(x.d).clamp(0, 1000);
    let w = scale as u32 + GUARD;
    let v = ln(&to_big(x.v), x.s, w).ok_or_else(too_large)?;
    Ok((round(&v, w, scale as u32).ok_or_else(unsure)?, scale))
}

fn logarithm(base: Num, x: Num) -> Result<(BigInt, i32)> {
    // Postgres looks at the base first.
    logarithm_domain(base)?;
    logarithm_domain(x)?;
    let weight = ln_weight(x) - ln_weight(base);
    let scale = (16 - weight).max(base.d).max(x.d).clamp(0, 1000);
    let w = scale as u32 + GUARD;
    let w2 = w + 40;
    let (b, n) = (ln(&to_big(base.v), base.s, w2).ok_or_else(too_large)?, ln(&to_big(x.v), x.s, w2).ok_or_else(too_large)?);
    // The logarithm of exactly 1 is 0; what is left here of it are rounding errors.
    let one = |x: Num| x.v == pow10(x.s as u32);
    if one(base) {
        return Err(division_by_zero());
    }
    let v = if one(x) { BigInt::ZERO } else { n * ten(w) / b };
    Ok((round(&v, w, scale as u32).ok_or_else(unsure)?, scale))
}

fn exponential(x: Num) -> Result<(BigInt, i32)> {
    let value = to_float(&to_big(x.v), x.s) * LOG10_E;
    let scale = (16 - value.clamp(-2000.0, 2000.0) as i32).max(x.d).clamp(0, 1000);
    if scale > i32::from(DYNAMIC_SCALE) || value > 40.0 {
        return Err(too_large());
    }
    let w = scale as u32 + GUARD + x.s as u32;
    let v = exp(&(to_big(x.v) * ten(w - x.s as u32)), w).ok_or_else(too_large)?;
    Ok((round(&v, w, scale as u32).ok_or_else(unsure)?, scale))
}

fn power(base: Num, exponent: Num) -> Result<(BigInt, i32)> {
    if base.v == i256::ZERO && exponent.v.is_negative() {
        return Err(raise("2201F", "zero raised to a negative power is undefined"));
    }
    let unit = pow10(exponent.s as u32);
    if exponent.v.wrapping_rem(unit) == i256::ZERO {
        // Postgres leaves this way where the exponent is no int4; so large a power is not ours.
        let n = exponent.v.wrapping_div(unit).to_i128().and_then(|n| i32::try_from(n).ok()).ok_or_else(too_large)?;
        return whole_power(base, n);
    }
    if base.v == i256::ZERO {
        return Ok((BigInt::ZERO, 16));
    }
    if base.v.is_negative() {
        return Err(raise("2201F", "a negative number raised to a non-integer power yields a complex result"));
    }
    // A first approximation tells the scale.
    let rough = (8 - ln_weight(base)).max(0) as u32;
    let w = rough + GUARD;
    let ln_base = ln(&to_big(base.v), base.s, w).ok_or_else(too_large)?;
    let ln_base = round(&ln_base, w, rough).ok_or_else(unsure)?;
    let product = divide_big(&(ln_base * to_big(exponent.v)), rough as i32 + exponent.s, &BigInt::from(1), 0, rough as i32);
    let value = to_float(&product, rough as i32) * LOG10_E;
    if value.abs() > 60.0 {
        return Err(too_large());
    }
    let scale = (16 - value as i32).max(base.d).max(exponent.d).clamp(0, 1000);
    if scale > i32::from(DYNAMIC_SCALE) {
        return Err(too_large());
    }
    let w = scale as u32 + GUARD + 60;
    let ln_base = ln(&to_big(base.v), base.s, w + 40).ok_or_else(too_large)?;
    let x = ln_base * to_big(exponent.v) / ten(40 + exponent.s as u32);
    let v = exp(&x, w).ok_or_else(too_large)?;
    Ok((round(&v, w, scale as u32).ok_or_else(unsure)?, scale))
}

/// `power_var_int`.
fn whole_power(base: Num, n: i32) -> Result<(BigInt, i32)> {
    let scale = 16.max(base.d);
    if scale > i32::from(DYNAMIC_SCALE) {
        return Err(too_large());
    }
    let exact = to_big(base.v);
    match n {
        0 => return Ok((ten(scale as u32), scale)),
        1 => return Ok((divide_big(&exact, base.s, &BigInt::from(1), 0, scale), scale)),
        _ if base.v == i256::ZERO => return if n < 0 { Err(division_by_zero()) } else { Ok((BigInt::ZERO, scale)) },
        -1 => return Ok((divide_big(&BigInt::from(1), 0, &exact, base.s, scale), scale)),
        2 => return Ok((divide_big(&(&exact * &exact), 2 * base.s, &BigInt::from(1), 0, scale), scale)),
        _ => {}
    }
    let (digits, weight) = leading(base);
    let result_weight = f64::from(n) * (digits.log10() + f64::from(weight));
    if result_weight > 45.0 {
        return Err(too_large());
    }
    if result_weight + 2.0 < f64::from(-scale) {
        // Postgres decides this by a float estimate; here it is clearly below.
        return Ok((BigInt::ZERO, scale));
    }
    if result_weight < f64::from(-scale) + 1.0 {
        return Err(unsure());
    }
    // Truncated products with as many digits as the result needs, and the guard.
    let w = scale as u32 + GUARD + 60;
    let negative = exact.sign() == Sign::Minus && n % 2 != 0;
    let one = ten(w);
    let mut square = BigInt::from(exact.magnitude().clone()) * &one / ten(base.s as u32);
    let invert = n < 0;
    if invert {
        // Powers of the reciprocal stay small where those of the base grow.
        square = &one * &one * ten(60) / (square * ten(60)).max(BigInt::from(1));
    }
    let (mut result, mut bits) = (one.clone(), n.unsigned_abs());
    while bits > 0 {
        if bits & 1 == 1 {
            result = result * &square / &one;
        }
        bits >>= 1;
        if bits > 0 {
            square = &square * &square / &one;
        }
    }
    let v = round(&result, w, scale as u32).ok_or_else(unsure)?;
    Ok((if negative { -v } else { v }, scale))
}
