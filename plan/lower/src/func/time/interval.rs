//! Functions of intervals.
//!
//! Invariants: double precision steps are those of `timestamp.c` in their order, so that their rounding agrees.

use super::calendar::*;
use super::kernel::{Interval, Span, binary, unary};
use super::zone::Zone;
use crate::error::{raise, refused};
use crate::udf::{self, Kernel};
use crate::value::{Call, Value};
use arrow::datatypes::{Float64Type, Int32Type, IntervalMonthDayNano, Time64MicrosecondType, TimestampMicrosecondType};
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use weir_plan::types::arrow_type;

type Ts = TimestampMicrosecondType;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let out = arrow_type(&call.ty)?;
    let make = |name, key: String, args: Vec<Expr>, kernel| Some(Ok(Value::new(udf::call(name, key, out.clone(), args, kernel), out.clone(), call.ty)));
    let of_one = |name, f: fn(Span) -> Result<Span>| {
        let [a] = call.args.as_slice() else { return None };
        make(name, String::new(), vec![a.expr.clone()], unary::<Interval, Interval>(out.clone(), move |i| f(i.into())?.arrow()))
    };
    let of_two = |name, kernel: Kernel, swapped: bool| {
        let [a, b] = call.args.as_slice() else { return None };
        let (a, b) = (a.expr.clone(), b.expr.clone());
        make(name, String::new(), if swapped { vec![b, a] } else { vec![a, b] }, kernel)
    };
    let o = || out.clone();
    let scaled = |f: fn(Span, f64) -> Result<Span>| binary::<Interval, Float64Type, Interval>(o(), move |i, x| f(i.into(), x)?.arrow());
    let summed = |f: fn(Span, Span) -> Result<Span>| binary::<Interval, Interval, Interval>(o(), move |a, b| f(a.into(), b.into())?.arrow());
    match call.func {
        1169 => of_two("pg_interval_pl", summed(plus), false),
        1170 => of_two("pg_interval_mi", summed(minus), false),
        1168 => of_one("pg_interval_um", |s| minus(Span { months: 0, days: 0, micros: 0 }, s)),
        1618 => of_two("pg_interval_mul", scaled(times), false),
        1624 => of_two("pg_interval_mul", scaled(times), true),
        1326 => of_two("pg_interval_div", scaled(divided), false),
        1295 => of_one("pg_justify_days", |s| justify_days(s.months.into(), s.days.into(), s.micros)),
        1175 => of_one("pg_justify_hours", |s| justify_hours(s.months.into(), s.days.into(), s.micros)),
        2711 => of_one("pg_justify_interval", justify),
        1200 => of_two("pg_interval_typmod", binary::<Interval, Int32Type, Interval>(o(), |i, typmod| to_typmod(i.into(), typmod)?.arrow()), false),
        1370 => {
            let [a] = call.args.as_slice() else { return None };
            let kernel = unary::<Time64MicrosecondType, Interval>(o(), |t| Span { months: 0, days: 0, micros: t }.arrow());
            make("pg_time_interval", String::new(), vec![a.expr.clone()], kernel)
        }
        2058 => of_two("pg_age", binary::<Ts, Ts, Interval>(o(), |a, b| age(a, b, |t| Ok(Civil::from_timestamp(t)))), false),
        1199 => {
            let [a, b] = call.args.as_slice() else { return None };
            let zone = match Zone::named(&call.session.timezone) {
                Ok(zone) => zone,
                Err(e) => return Some(Err(e)),
            };
            let key = zone.name.clone();
            let kernel = binary::<Ts, Ts, Interval>(o(), move |a, b| age(a, b, |t| zone.civil(t)));
            make("pg_age_tz", key, vec![a.expr.clone(), b.expr.clone()], kernel)
        }
        _ => None,
    }
}

/// The span that Postgres compares intervals by: `interval_cmp_value`.
pub(crate) fn span(s: Span) -> i128 {
    (i128::from(s.months) * 30 + i128::from(s.days)) * 86_400_000_000 + i128::from(s.micros)
}

/// `interval_lerp` of `orderedsetaggs.c`.
pub(crate) fn lerp(low: Span, high: Span, fraction: f64) -> Result<Span> {
    plus(times(minus(high, low)?, fraction)?, low)
}

fn plus(a: Span, b: Span) -> Result<Span> {
    Span::checked(i64::from(a.months) + i64::from(b.months), i64::from(a.days) + i64::from(b.days), i128::from(a.micros) + i128::from(b.micros))
}

fn minus(a: Span, b: Span) -> Result<Span> {
    Span::checked(i64::from(a.months) - i64::from(b.months), i64::from(a.days) - i64::from(b.days), i128::from(a.micros) - i128::from(b.micros))
}

/// To microseconds: `TSROUND`.
fn round_us(x: f64) -> f64 {
    (x * 1_000_000.0).round_ties_even() / 1_000_000.0
}

/// The integer part of a value that must fit 32 bits.
fn whole(x: f64) -> Result<i32> {
    if x.is_nan() || x > f64::from(i32::MAX) || x < f64::from(i32::MIN) { Err(interval_out_of_range()) } else { Ok(x as i32) }
}

/// Brings what the months and days lost in scaling down to days and seconds. `months` and `days` are the exact products.
fn cascade(months: f64, days: f64, micros: f64) -> Result<Span> {
    let (whole_months, mut whole_days) = (whole(months)?, whole(days)?);
    let month_days = round_us((months - f64::from(whole_months)) * 30.0);
    let mut seconds = round_us((days - f64::from(whole_days) + month_days - f64::from(month_days as i32)) * 86_400.0);
    let overflow = || interval_out_of_range();
    if seconds.abs() >= 86_400.0 {
        let more = (seconds / 86_400.0) as i32;
        whole_days = whole_days.checked_add(more).ok_or_else(overflow)?;
        seconds -= f64::from(more) * 86_400.0;
    }
    whole_days = whole_days.checked_add(month_days as i32).ok_or_else(overflow)?;
    let micros = (micros + seconds * 1_000_000.0).round_ties_even();
    // 2^63 is the first value that does not fit.
    if micros.is_nan() || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros) {
        return Err(interval_out_of_range());
    }
    Ok(Span { months: whole_months, days: whole_days, micros: micros as i64 })
}

fn times(s: Span, factor: f64) -> Result<Span> {
    if factor.is_infinite() {
        // Release 17 has an infinite interval.
        return Err(refused("interval times infinity"));
    }
    cascade(f64::from(s.months) * factor, f64::from(s.days) * factor, s.micros as f64 * factor)
}

fn divided(s: Span, factor: f64) -> Result<Span> {
    if factor == 0.0 {
        return Err(raise("22012", "division by zero"));
    }
    // Release 15 does not check whether the quotients fit.
    cascade(f64::from(s.months) / factor, f64::from(s.days) / factor, s.micros as f64 / factor)
        .and_then(|r| if factor.is_finite() { Ok(r) } else { Err(refused("interval divided by infinity")) })
        .map_err(|_| refused("interval out of range in division"))
}

fn justify_days(months: i64, days: i64, micros: i64) -> Result<Span> {
    let (mut months, mut days) = (months + days / 30, days % 30);
    if months > 0 && days < 0 {
        days += 30;
        months -= 1;
    } else if months < 0 && days > 0 {
        days -= 30;
        months += 1;
    }
    Span::checked(months, days, micros.into())
}

fn justify_hours(months: i64, days: i64, micros: i64) -> Result<Span> {
    let (mut days, mut micros) = (days + micros / DAY_US, micros % DAY_US);
    if days > 0 && micros < 0 {
        micros += DAY_US;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= DAY_US;
        days += 1;
    }
    Span::checked(months, days, micros.into())
}

fn justify(s: Span) -> Result<Span> {
    let (mut days, mut micros) = (i64::from(s.days) + s.micros / DAY_US, s.micros % DAY_US);
    let mut months = i64::from(s.months) + days / 30;
    days %= 30;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        days -= 30;
        months += 1;
    }
    if days > 0 && micros < 0 {
        micros += DAY_US;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= DAY_US;
        days += 1;
    }
    Span::checked(months, days, micros.into())
}

/// Symbolic difference: years, months and days as a calendar counts them.
fn age(a: i64, b: i64, civil: impl Fn(i64) -> Result<Civil>) -> Result<IntervalMonthDayNano> {
    if is_infinite(a) || is_infinite(b) {
        return Err(refused("age of infinity"));
    }
    let (x, y) = (civil(a)?, civil(b)?);
    let sign = if a < b { -1 } else { 1 };
    let mut months = sign * ((x.year - y.year) * 12 + x.month - y.month);
    let mut days = sign * (x.day - y.day);
    let mut micros = sign * (x.time - y.time);
    if micros < 0 {
        micros += DAY_US;
        days -= 1;
    }
    // Borrowed days are those of the earlier moment's month.
    let earlier = if sign < 0 { x } else { y };
    while days < 0 {
        days += days_in_month(earlier.year, earlier.month);
        months -= 1;
    }
    Span::checked(sign * months, sign * days, i128::from(sign * micros))?.arrow()
}

/// Rounds half away from zero to `precision` digits of a second.
fn round_micros(micros: i64, precision: u32) -> i64 {
    let scale = 10_i64.pow(6 - precision.min(6));
    let offset = scale / 2;
    if micros >= 0 { (micros.saturating_add(offset)) / scale * scale } else { -((-micros).saturating_add(offset) / scale * scale) }
}

/// `interval(precision)` and the fields of `interval day to minute` and the like: `AdjustIntervalForTypmod`.
fn to_typmod(s: Span, typmod: i32) -> Result<Span> {
    if typmod < 0 {
        return Ok(s);
    }
    const MONTH: i32 = 1 << 1;
    const YEAR: i32 = 1 << 2;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    const SECOND: i32 = 1 << 12;
    let (range, precision) = (typmod >> 16 & 0x7fff, typmod & 0xffff);
    let s = match range {
        0x7fff => s,
        YEAR => Span { months: s.months / 12 * 12, days: 0, micros: 0 },
        r if r == MONTH || r == YEAR | MONTH => Span { days: 0, micros: 0, ..s },
        DAY => Span { micros: 0, ..s },
        r if r == HOUR || r == DAY | HOUR => Span { micros: s.micros / HOUR_US * HOUR_US, ..s },
        r if r == MINUTE || r == HOUR | MINUTE || r == DAY | HOUR | MINUTE => Span { micros: s.micros / MINUTE_US * MINUTE_US, ..s },
        r if r & SECOND != 0 && r & !(DAY | HOUR | MINUTE | SECOND) == 0 => s,
        _ => return Err(refused("an unknown interval type modifier")),
    };
    match u32::try_from(precision) {
        Ok(p @ 0..=6) => Ok(Span { micros: round_micros(s.micros, p), ..s }),
        _ if precision == 0xffff => Ok(s),
        _ => Err(refused("an unknown interval precision")),
    }
}

/// `timestamp(p)`: rounds what Postgres stores, microseconds from 2000-01-01, half away from zero.
pub(super) fn timestamp_to_precision(t: i64, precision: i32) -> Result<i64> {
    match u32::try_from(precision) {
        _ if is_infinite(t) || precision == -1 => Ok(t),
        Err(_) => Err(refused("a negative timestamp precision")),
        Ok(p) if p > 6 => Err(refused("a timestamp precision over 6")),
        Ok(p) => {
            let epoch = PG_EPOCH_DAYS * DAY_US;
            t.checked_sub(epoch).map(|x| round_micros(x, p)).and_then(|x| x.checked_add(epoch)).ok_or_else(|| refused("rounding at the end of time"))
        }
    }
}

/// `time(p)`.
pub(super) fn time_to_precision(t: i64, precision: i32) -> Result<i64> {
    match u32::try_from(precision) {
        Err(_) => Ok(t),
        Ok(p) if p > 6 => Err(refused("a time precision over 6")),
        Ok(p) => Ok(round_micros(t, p)),
    }
}
