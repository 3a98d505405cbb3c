//! Text as the input functions of numbers and booleans read it.

use crate::error::{raise, refused};
use crate::func::arith::numeric::{Parsed, digits, is_space, parse, pow10, too_large};
use crate::udf;
use crate::value::{DScale, Value};
use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, PrimitiveBuilder, StringViewArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, i256};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::logical_expr::Expr;
use std::num::IntErrorKind;
use std::sync::Arc;
use weir_plan::ir::Session;
use weir_plan::types::{DYNAMIC_PRECISION, DYNAMIC_SCALE, PgType, oid};

/// The text read as a number or boolean; `None` for other types.
pub(super) fn input(value: &Value, ty: PgType, session: &Session) -> Option<Result<Value>> {
    if value.arrow != DataType::Utf8View {
        return None;
    }
    // From release 16 on integers may also be hexadecimal, octal or binary, and have underscores.
    let later = session.server_version_num >= 160_000;
    Some(Ok(match ty.base {
        oid::INT2 => read::<Int16Type>("pg_int2in", value, ty, DataType::Int16, move |s| integer::<i16>(s, "smallint", later)),
        oid::INT4 => read::<Int32Type>("pg_int4in", value, ty, DataType::Int32, move |s| integer::<i32>(s, "integer", later)),
        oid::INT8 => read::<Int64Type>("pg_int8in", value, ty, DataType::Int64, move |s| integer::<i64>(s, "bigint", later)),
        oid::FLOAT4 => read::<Float32Type>("pg_float4in", value, ty, DataType::Float32, |s| float::<f32>(s, "real", |v| v.is_infinite(), |v| *v == 0.0)),
        oid::FLOAT8 => {
            read::<Float64Type>("pg_float8in", value, ty, DataType::Float64, |s| float::<f64>(s, "double precision", |v| v.is_infinite(), |v| *v == 0.0))
        }
        oid::BOOL => booleans(value, ty),
        oid::NUMERIC => numerics(value, ty),
        _ => return None,
    }))
}

fn texts(arrays: &[ArrayRef]) -> Result<&StringViewArray> {
    match arrays.first().and_then(|a| a.as_string_view_opt()) {
        Some(a) => Ok(a),
        None => internal_err!("an input function was not given text"),
    }
}

fn read<T: ArrowPrimitiveType>(
    name: &'static str,
    value: &Value,
    ty: PgType,
    arrow: DataType,
    f: impl Fn(&str) -> Result<T::Native> + Send + Sync + 'static,
) -> Value {
    let kernel = udf::over_arrays(move |a| {
        let texts = texts(a)?;
        let mut out = PrimitiveBuilder::<T>::with_capacity(texts.len());
        for s in texts {
            out.append_option(s.map(&f).transpose()?);
        }
        Ok(Arc::new(out.finish()))
    });
    Value::new(udf::call(name, "", arrow.clone(), vec![value.expr.clone()], kernel), arrow, ty)
}

fn syntax(ty: &str, s: &str) -> DataFusionError {
    raise("22P02", format!("invalid input syntax for type {ty}: \"{s}\""))
}

fn integer<T: std::str::FromStr<Err = std::num::ParseIntError>>(s: &str, ty: &str, later: bool) -> Result<T> {
    let trimmed = s.trim_matches(is_space);
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        if later && digits.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(refused("an integer in a notation of a later release"));
        }
        return Err(syntax(ty, s));
    }
    trimmed.parse().map_err(|e: std::num::ParseIntError| match e.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => raise("22003", format!("value \"{s}\" is out of range for type {ty}")),
        _ => syntax(ty, s),
    })
}

fn float<T: std::str::FromStr + From<f32>>(s: &str, ty: &str, infinite: fn(&T) -> bool, zero: fn(&T) -> bool) -> Result<T> {
    let trimmed = s.trim_matches(is_space);
    let unsigned = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    let minus = trimmed.starts_with('-');
    if unsigned.eq_ignore_ascii_case("nan") && unsigned.len() == trimmed.len() {
        return Ok(T::from(f32::NAN));
    }
    if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
        return Ok(T::from(if minus { f32::NEG_INFINITY } else { f32::INFINITY }));
    }
    let decimal = unsigned.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    match trimmed.parse::<T>() {
        Ok(v) if decimal => {
            let mantissa = unsigned.split(['e', 'E']).next().unwrap_or_default();
            if infinite(&v) || (zero(&v) && mantissa.bytes().any(|b| matches!(b, b'1'..=b'9'))) {
                return Err(raise("22003", format!("\"{s}\" is out of range for type {ty}")));
            }
            Ok(v)
        }
        // The C library also reads hexadecimal floats and NaN with a payload.
        _ if unsigned.starts_with("0x") || unsigned.starts_with("0X") || unsigned.get(..3).is_some_and(|p| p.eq_ignore_ascii_case("nan")) => {
            Err(refused("a float in a notation that the engine does not read"))
        }
        _ => Err(syntax(ty, s)),
    }
}

fn booleans(value: &Value, ty: PgType) -> Value {
    let kernel = udf::over_arrays(move |a| {
        let texts = texts(a)?;
        let mut out = BooleanBuilder::with_capacity(texts.len());
        for s in texts {
            out.append_option(s.map(|s| boolean(s).ok_or_else(|| syntax("boolean", s))).transpose()?);
        }
        Ok(Arc::new(out.finish()))
    });
    Value::new(udf::call("pg_boolin", "", DataType::Boolean, vec![value.expr.clone()], kernel), DataType::Boolean, ty)
}

/// `parse_bool_with_len`: any prefix of the words that tells them apart.
fn boolean(s: &str) -> Option<bool> {
    let s = s.trim_matches(is_space).to_ascii_lowercase();
    let prefix = |word: &str, least: usize| s.len() >= least && word.starts_with(&s);
    if prefix("true", 1) || prefix("yes", 1) || s == "on" || s == "1" {
        Some(true)
    } else if prefix("false", 1) || prefix("no", 1) || prefix("off", 2) || s == "0" {
        Some(false)
    } else {
        None
    }
}

/// As many expressions as a numeric has parts, each of them reads the text.
fn numerics(value: &Value, ty: PgType) -> Value {
    let arrow = DataType::Decimal256(DYNAMIC_PRECISION, DYNAMIC_SCALE);
    let out = arrow.clone();
    let values = udf::over_arrays(move |a| {
        let texts = texts(a)?;
        let mut builder = PrimitiveBuilder::<Decimal256Type>::with_capacity(texts.len()).with_data_type(out.clone());
        for s in texts {
            builder.append_option(s.map(|s| numeric(s).map(|(v, _)| v)).transpose()?);
        }
        Ok(Arc::new(builder.finish()))
    });
    let scales = udf::over_arrays(|a| {
        let texts = texts(a)?;
        let mut builder = PrimitiveBuilder::<Int16Type>::with_capacity(texts.len());
        for s in texts {
            builder.append_option(s.map(|s| numeric(s).map(|(_, d)| d)).transpose()?);
        }
        Ok(Arc::new(builder.finish()))
    });
    let expr: Expr = udf::call("pg_numeric_in", "", arrow.clone(), vec![value.expr.clone()], values);
    let dscale = udf::call("pg_numeric_in_scale", "", DataType::Int16, vec![value.expr.clone()], scales);
    Value::numeric(expr, arrow, ty, DScale::Dynamic(dscale))
}

/// The value at the dynamic scale, and the display scale.
fn numeric(s: &str) -> Result<(i256, i16)> {
    match parse(s) {
        Parsed::Syntax => Err(syntax("numeric", s)),
        Parsed::Number(v, d) if d <= i32::from(DYNAMIC_SCALE) && digits(v) + i32::from(DYNAMIC_SCALE) - d <= i32::from(DYNAMIC_PRECISION) => {
            Ok((v.wrapping_mul(pow10((i32::from(DYNAMIC_SCALE) - d) as u32)), d as i16))
        }
        _ => Err(too_large()),
    }
}
