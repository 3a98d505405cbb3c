//! Casts among dates, times and timestamps, time zones, and rounding to a declared precision.

use super::arith::add;
use super::calendar::*;
use super::compare::{to_timestamp, to_timestamptz};
use super::interval::{time_to_precision, timestamp_to_precision};
use super::kernel::{Interval, Span, binary, constant_text, unary, unary_opt};
use super::zone::{Zone, of_name};
use crate::error::{raise, refused};
use crate::udf::{self, Kernel};
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, PrimitiveBuilder};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, IntervalMonthDayNano, Time64MicrosecondType, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, lit};
use std::sync::Arc;
use weir_plan::types::{PgType, arrow_type};

type Ts = TimestampMicrosecondType;
type Time = Time64MicrosecondType;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let out = arrow_type(&call.ty)?;
    let timezone = &call.session.timezone;
    let first = call.args.first()?;
    let make = |name, key: String, args: Vec<Expr>, kernel: Kernel| Ok(Value::new(udf::call(name, key, out.clone(), args, kernel), out.clone(), call.ty));
    let one = |name, kernel: Kernel| make(name, String::new(), vec![first.expr.clone()], kernel);
    let with_typmod = |name, kernel: Kernel| match call.args.as_slice() {
        [a, typmod] => make(name, String::new(), vec![a.expr.clone(), typmod.expr.clone()], kernel),
        _ => Err(refused("a cast without its type modifier")),
    };
    let o = || out.clone();
    Some(match call.func {
        2024 => Ok(Value::new(to_timestamp(first), out.clone(), call.ty)),
        1174 | 2028 => to_timestamptz(first, timezone).map(|e| Value::new(e, out.clone(), call.ty)),
        2029 => one("pg_timestamp_date", unary::<Ts, Date32Type>(o(), |t| Ok(timestamp_to_date(t)))),
        1316 => one("pg_timestamp_time", unary_opt::<Ts, Time>(o(), |t| Ok((!is_infinite(t)).then(|| t.rem_euclid(DAY_US))))),
        1419 => one("pg_interval_time", unary::<Interval, Time>(o(), |i| Ok(Span::from(i).micros.rem_euclid(DAY_US)))),
        1178 => in_zone(timezone, |zone| {
            let key = zone.name.clone();
            let kernel = unary::<Ts, Date32Type>(o(), move |t| local_date(&zone, t));
            make("pg_timestamptz_date", key, vec![first.expr.clone()], kernel)
        }),
        2019 => in_zone(timezone, |zone| {
            let key = zone.name.clone();
            let kernel = unary_opt::<Ts, Time>(o(), move |t| Ok((!is_infinite(t)).then(|| zone.to_local(t).rem_euclid(i128::from(DAY_US)) as i64)));
            make("pg_timestamptz_time", key, vec![first.expr.clone()], kernel)
        }),
        2027 => in_zone(timezone, |zone| to_local(call, first, zone)),
        1176 => match call.args.as_slice() {
            [date, time] => in_zone(timezone, |zone| {
                let key = zone.name.clone();
                let kernel = binary::<Date32Type, Time, Ts>(o(), move |d, t| {
                    let midnight = date_to_timestamp(d)?;
                    if is_infinite(midnight) { Ok(midnight) } else { zone.from_timestamp(check_timestamp(i128::from(midnight) + i128::from(t))?) }
                });
                make("pg_datetime_timestamptz", key, vec![date.expr.clone(), time.expr.clone()], kernel)
            }),
            _ => Err(refused("timestamptz of one argument")),
        },
        1961 | 1967 => with_typmod("pg_timestamp_typmod", binary::<Ts, Int32Type, Ts>(o(), timestamp_to_precision)),
        1968 => with_typmod("pg_time_typmod", binary::<Time, Int32Type, Time>(o(), time_to_precision)),
        1159 | 2069 => match (constant_text(first), call.args.get(1)) {
            (Some(Some(name)), Some(value)) => {
                of_name(name, call.session).and_then(|zone| if call.func == 1159 { to_local(call, value, zone) } else { from_local(call, value, zone) })
            }
            (Some(None), Some(_)) => ScalarValue::try_new_null(&out).map(|null| Value::new(lit(null), out.clone(), call.ty)),
            (None, Some(value)) => by_name(call, first, value),
            _ => Err(refused("AT TIME ZONE without a value")),
        },
        1026 | 2070 => match call.args.as_slice() {
            [zone, value] => {
                let sign = if call.func == 1026 { 1 } else { -1 };
                let kernel = binary::<Interval, Ts, Ts>(o(), move |zone, t| by_interval(zone, t, sign));
                let name = if call.func == 1026 { "pg_timestamptz_izone" } else { "pg_timestamp_izone" };
                make(name, String::new(), vec![zone.expr.clone(), value.expr.clone()], kernel)
            }
            _ => Err(refused("timezone of one argument")),
        },
        1158 => one("pg_to_timestamp", unary::<Float64Type, Ts>(o(), of_epoch)),
        1373 => one("pg_isfinite_date", finite::<Date32Type>(|d| !date_is_infinite(d))),
        1389 | 2048 => one("pg_isfinite_timestamp", finite::<Ts>(|t| !is_infinite(t))),
        1390 => one("pg_isfinite_interval", finite::<Interval>(|_| true)),
        _ => return None,
    })
}

fn in_zone(timezone: &str, f: impl FnOnce(Arc<Zone>) -> Result<Value>) -> Result<Value> {
    f(Zone::named(timezone)?)
}

fn to_local(call: &Call<'_>, value: &Value, zone: Arc<Zone>) -> Result<Value> {
    let out = arrow_type(&PgType::TIMESTAMP).ok_or_else(|| refused("timestamp"))?;
    let key = zone.name.clone();
    let kernel = unary::<Ts, Ts>(out.clone(), move |t| zone.to_timestamp(t));
    Ok(Value::new(udf::call("pg_timestamptz_timestamp", key, out.clone(), vec![value.expr.clone()], kernel), out, call.ty))
}

fn from_local(call: &Call<'_>, value: &Value, zone: Arc<Zone>) -> Result<Value> {
    let out = arrow_type(&PgType::TIMESTAMPTZ).ok_or_else(|| refused("timestamptz"))?;
    let key = zone.name.clone();
    let kernel = unary::<Ts, Ts>(out.clone(), move |t| zone.from_timestamp(t));
    Ok(Value::new(udf::call("pg_timestamp_timestamptz", key, out.clone(), vec![value.expr.clone()], kernel), out, call.ty))
}

/// AT TIME ZONE with names that may differ by row; a name that is no zone here is refused at run time.
fn by_name(call: &Call<'_>, names: &Value, value: &Value) -> Result<Value> {
    let out = arrow_type(&call.ty).ok_or_else(|| refused("a type without Arrow form"))?;
    let (result, session, to_local) = (out.clone(), call.session.clone(), call.func == 1159);
    let kernel = udf::over_arrays(move |arrays| {
        let [names, values] = arrays else { return Err(refused("AT TIME ZONE without a value")) };
        let (Some(names), Some(values)) = (names.as_string_view_opt(), values.as_primitive_opt::<Ts>()) else {
            return Err(refused("AT TIME ZONE of other types"));
        };
        let mut builder = PrimitiveBuilder::<Ts>::with_capacity(values.len()).with_data_type(result.clone());
        let mut last: Option<(&str, Arc<Zone>)> = None;
        for i in 0..values.len() {
            if names.is_null(i) || values.is_null(i) {
                builder.append_null();
                continue;
            }
            let name = names.value(i);
            let zone = match &last {
                Some((n, zone)) if *n == name => Arc::clone(zone),
                _ => of_name(name, &session)?,
            };
            builder.append_value(if to_local { zone.to_timestamp(values.value(i))? } else { zone.from_timestamp(values.value(i))? });
            last = Some((name, zone));
        }
        Ok(Arc::new(builder.finish()) as ArrayRef)
    });
    let name = if to_local { "pg_timezone_to_local" } else { "pg_timezone_from_local" };
    // Whether abbreviations have one meaning depends on the release.
    let key = call.session.server_version_num.to_string();
    Ok(Value::new(udf::call(name, key, out.clone(), vec![names.expr.clone(), value.expr.clone()], kernel), out, call.ty))
}

pub(super) fn local_date(zone: &Zone, t: i64) -> Result<i32> {
    if is_infinite(t) {
        return Ok(timestamp_to_date(t));
    }
    // Offsets are under a day: at most one day beyond what 64 bits hold.
    i32::try_from(zone.to_local(t).div_euclid(i128::from(DAY_US))).map_err(|_| date_out_of_range())
}

fn by_interval(zone: IntervalMonthDayNano, t: i64, sign: i64) -> Result<i64> {
    let zone = Span::from(zone);
    if is_infinite(t) {
        return Ok(t);
    }
    if zone.months != 0 || zone.days != 0 {
        return Err(raise("22023", "interval time zone must not include months or days"));
    }
    // The C code holds the offset in 32 bits.
    let seconds = i32::try_from(zone.micros / SECOND_US).map_err(|_| refused("a time zone of over 68 years"))?;
    add(t, Span { months: 0, days: 0, micros: sign * i64::from(seconds) * SECOND_US })
}

/// `to_timestamp(float8)`: the arithmetic is Postgres's, in seconds from 2000.
fn of_epoch(seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return Err(raise("22008", "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { INFINITY } else { MINUS_INFINITY });
    }
    // First and first impossible second.
    if !(-210_866_803_200.0..9_224_318_016_000.0).contains(&seconds) {
        return Err(timestamp_out_of_range());
    }
    let epoch = (PG_EPOCH_DAYS * 86_400) as f64;
    let us = ((seconds - epoch) * 1_000_000.0).round_ties_even();
    check_timestamp(us as i128 + i128::from(PG_EPOCH_DAYS * DAY_US))
}

fn finite<T: arrow::array::ArrowPrimitiveType>(f: fn(T::Native) -> bool) -> Kernel {
    udf::over_arrays(move |arrays| {
        let array = arrays.first().and_then(|a| a.as_primitive_opt::<T>()).ok_or_else(|| refused("isfinite of another type"))?;
        let mut out = BooleanBuilder::with_capacity(array.len());
        for i in 0..array.len() {
            out.append_option(array.is_valid(i).then(|| f(array.value(i))));
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    })
}

/// Times and timestamps as plain integers.
pub(super) fn as_i64(array: &ArrayRef) -> Result<arrow::array::Int64Array> {
    if let Some(a) = array.as_primitive_opt::<Ts>() {
        return Ok(a.reinterpret_cast());
    }
    array.as_primitive_opt::<Time>().map(|a| a.reinterpret_cast()).ok_or_else(|| refused("not a time or timestamp"))
}
