//! Addition and subtraction of dates, times, timestamps and intervals.
//!
//! Invariants:
//! - Months move the calendar date and clamp to the end of the month, days move the date, then the time part is added; for timestamptz months and days
//!   move the wall clock of the session's zone (`timestamp_pl_interval` and `timestamptz_pl_interval` of `timestamp.c`).
//! - Infinity absorbs an interval; a difference with infinity is an error.

use super::calendar::*;
use super::kernel::{Interval, Span, binary};
use super::zone::Zone;
use crate::error::{raise, refused};
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::{DataType, Date32Type, Int32Type, IntervalMonthDayNano, Time64MicrosecondType, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use std::sync::Arc;
use weir_plan::types::arrow_type;

type Ts = TimestampMicrosecondType;
type Time = Time64MicrosecondType;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let [left, right] = call.args.as_slice() else { return None };
    let out = arrow_type(&call.ty)?;
    let (l, r) = (left.expr.clone(), right.expr.clone());
    let make = |name, l, r, kernel| Ok(Value::new(udf::call(name, "", out.clone(), vec![l, r], kernel), out.clone(), call.ty));
    let o = || out.clone();
    Some(match call.func {
        1141 => make("pg_date_pli", l, r, binary::<Date32Type, Int32Type, Date32Type>(o(), |d, n| date_add(d, i64::from(n)))),
        2550 => make("pg_date_pli", r, l, binary::<Date32Type, Int32Type, Date32Type>(o(), |d, n| date_add(d, i64::from(n)))),
        1142 => make("pg_date_mii", l, r, binary::<Date32Type, Int32Type, Date32Type>(o(), |d, n| date_add(d, -i64::from(n)))),
        1140 => make("pg_date_mi", l, r, binary::<Date32Type, Date32Type, Int32Type>(o(), date_difference)),
        2071 => make("pg_date_pl_interval", l, r, binary::<Date32Type, Interval, Ts>(o(), |d, i| add(date_to_timestamp(d)?, i.into()))),
        2546 => make("pg_date_pl_interval", r, l, binary::<Date32Type, Interval, Ts>(o(), |d, i| add(date_to_timestamp(d)?, i.into()))),
        2072 => make("pg_date_mi_interval", l, r, binary::<Date32Type, Interval, Ts>(o(), |d, i| add(date_to_timestamp(d)?, negated(i)))),
        2032 => make("pg_timestamp_pl_interval", l, r, binary::<Ts, Interval, Ts>(o(), |t, i| add(t, i.into()))),
        2548 => make("pg_timestamp_pl_interval", r, l, binary::<Ts, Interval, Ts>(o(), |t, i| add(t, i.into()))),
        2033 => make("pg_timestamp_mi_interval", l, r, binary::<Ts, Interval, Ts>(o(), |t, i| add(t, negated(i)))),
        1189 => with_zone("pg_timestamptz_pl_interval", call, l, r, |zone, t, i| add_in_zone(zone, t, i.into())),
        2549 => with_zone("pg_timestamptz_pl_interval", call, r, l, |zone, t, i| add_in_zone(zone, t, i.into())),
        1190 => with_zone("pg_timestamptz_mi_interval", call, l, r, |zone, t, i| add_in_zone(zone, t, negated(i))),
        2031 | 1188 => make("pg_timestamp_mi", l, r, binary::<Ts, Ts, Interval>(o(), difference)),
        1272 | 2025 => make("pg_datetime_pl", l, r, binary::<Date32Type, Time, Ts>(o(), date_time)),
        1296 => make("pg_datetime_pl", r, l, binary::<Date32Type, Time, Ts>(o(), date_time)),
        1747 => make("pg_time_pl_interval", l, r, binary::<Time, Interval, Time>(o(), |t, i| Ok((t + Span::from(i).micros).rem_euclid(DAY_US)))),
        1848 => make("pg_time_pl_interval", r, l, binary::<Time, Interval, Time>(o(), |t, i| Ok((t + Span::from(i).micros).rem_euclid(DAY_US)))),
        1748 => make("pg_time_mi_interval", l, r, binary::<Time, Interval, Time>(o(), |t, i| Ok((t - Span::from(i).micros).rem_euclid(DAY_US)))),
        1690 => make("pg_time_mi_time", l, r, binary::<Time, Time, Interval>(o(), |a, b| Span { months: 0, days: 0, micros: a - b }.arrow())),
        _ => return None,
    })
}

fn with_zone(
    name: &'static str,
    call: &Call<'_>,
    timestamp: Expr,
    interval: Expr,
    f: impl Fn(&Zone, i64, IntervalMonthDayNano) -> Result<i64> + Send + Sync + 'static,
) -> Result<Value> {
    let zone: Arc<Zone> = Zone::named(&call.session.timezone)?;
    let out = arrow_type(&call.ty).unwrap_or(DataType::Null);
    let key = zone.name.clone();
    let kernel = binary::<Ts, Interval, Ts>(out.clone(), move |t, i| f(&zone, t, i));
    Ok(Value::new(udf::call(name, key, out.clone(), vec![timestamp, interval], kernel), out, call.ty))
}

fn date_add(d: i32, days: i64) -> Result<i32> {
    if date_is_infinite(d) { Ok(d) } else { check_date(i64::from(d) + days) }
}

fn date_difference(a: i32, b: i32) -> Result<i32> {
    if date_is_infinite(a) || date_is_infinite(b) {
        return Err(raise("22008", "cannot subtract infinite dates"));
    }
    i32::try_from(i64::from(a) - i64::from(b)).map_err(|_| date_out_of_range())
}

fn date_time(d: i32, time: i64) -> Result<i64> {
    let midnight = date_to_timestamp(d)?;
    if is_infinite(midnight) { Ok(midnight) } else { check_timestamp(i128::from(midnight) + i128::from(time)) }
}

pub(super) fn negated(i: IntervalMonthDayNano) -> Span {
    let s = Span::from(i);
    // i32::MIN stays: the result is out of range either way.
    Span { months: s.months.wrapping_neg(), days: s.days.wrapping_neg(), micros: -s.micros }
}

/// timestamp + interval.
pub(super) fn add(t: i64, s: Span) -> Result<i64> {
    if is_infinite(t) {
        return Ok(t);
    }
    let mut us = i128::from(t);
    if s.months != 0 {
        us = i128::from(check_timestamp(Civil::from_timestamp(t).add_months(i64::from(s.months)).micros())?);
    }
    if s.days != 0 {
        us = i128::from(check_timestamp(us + i128::from(s.days) * i128::from(DAY_US))?);
    }
    check_timestamp(us + i128::from(s.micros))
}

/// timestamptz + interval, in a zone.
pub(super) fn add_in_zone(zone: &Zone, t: i64, s: Span) -> Result<i64> {
    if is_infinite(t) {
        return Ok(t);
    }
    let mut t = t;
    if s.months != 0 {
        t = zone.from_civil(&zone.civil(t)?.add_months(i64::from(s.months)))?;
    }
    if s.days != 0 {
        let local = zone.to_local(t) + i128::from(s.days) * i128::from(DAY_US);
        t = zone.from_local(local)?;
    }
    check_timestamp(i128::from(t) + i128::from(s.micros))
}

/// Difference of two timestamps: whole days and a time part of the same sign.
fn difference(a: i64, b: i64) -> Result<IntervalMonthDayNano> {
    if is_infinite(a) || is_infinite(b) {
        return Err(infinite_difference());
    }
    let us = i128::from(a) - i128::from(b);
    // Release 15 lets the 64-bit subtraction wrap, later ones raise an error.
    if i64::try_from(us).is_err() {
        return Err(refused("a difference of timestamps over 292 thousand years"));
    }
    Span::checked(0, (us / i128::from(DAY_US)) as i64, us % i128::from(DAY_US))?.arrow()
}

fn infinite_difference() -> datafusion::common::DataFusionError {
    // Release 17 gives intervals an infinity.
    refused("difference of infinite timestamps")
}
