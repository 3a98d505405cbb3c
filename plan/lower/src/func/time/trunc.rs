//! `date_trunc` and `date_bin`.
//!
//! Invariants: the field is constant; infinity stays.

use super::calendar::*;
use super::kernel::{Interval, Span, constant_text, ternary, unary};
use super::unit::Unit;
use super::zone::{Zone, of_name};
use crate::error::{raise, refused};
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::lit;
use std::sync::Arc;
use weir_plan::types::arrow_type;

type Ts = TimestampMicrosecondType;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    match (call.func, call.args.as_slice()) {
        (2020, [unit, value]) => Some(truncate(call, unit, value, |_| Ok(None))),
        (1217, [unit, value]) => Some(truncate(call, unit, value, |c| Zone::named(&c.session.timezone).map(Some))),
        (1284, [unit, value, zone]) => Some(match constant_text(zone) {
            None => Err(refused("a time zone that is not constant")),
            Some(None) => null(call),
            Some(Some(name)) => truncate(call, unit, value, |c| of_name(name, c.session).map(Some)),
        }),
        (1218, [unit, value]) => Some(truncate_interval(call, unit, value)),
        (6177 | 6178, [stride, value, origin]) => Some(bin(call, stride, value, origin)),
        _ => None,
    }
}

fn null(call: &Call<'_>) -> Result<Value> {
    let out = arrow_type(&call.ty).ok_or_else(|| refused("a type without Arrow form"))?;
    Ok(Value::new(lit(ScalarValue::try_new_null(&out)?), out, call.ty))
}

fn truncate(call: &Call<'_>, unit: &Value, value: &Value, zone: impl FnOnce(&Call<'_>) -> Result<Option<Arc<Zone>>>) -> Result<Value> {
    let Some(unit) = Unit::constant(unit)? else { return null(call) };
    if matches!(
        unit,
        Unit::IsoYear | Unit::Dow | Unit::IsoDow | Unit::Doy | Unit::Epoch | Unit::Julian | Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute
    ) {
        return Err(refused(format!("date_trunc to {unit:?}")));
    }
    let out = value.arrow.clone();
    let zone = zone(call)?;
    let key = format!("{unit:?} {}", zone.as_ref().map_or("", |z| &z.name));
    let kernel = unary::<Ts, Ts>(out.clone(), move |t| match &zone {
        _ if is_infinite(t) => Ok(t),
        None => check_timestamp(floor(unit, Civil::from_timestamp(t)).micros()),
        Some(zone) => {
            let floored = floor(unit, zone.civil(t)?);
            if matches!(unit, Unit::Microsecond | Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour) {
                // Within a day the offset stays what it was.
                check_timestamp(floored.micros() - (zone.to_local(t) - i128::from(t)))
            } else {
                zone.from_civil(&floored)
            }
        }
    });
    Ok(Value::new(udf::call("pg_date_trunc", key, out.clone(), vec![value.expr.clone()], kernel), out, call.ty))
}

fn floor(unit: Unit, c: Civil) -> Civil {
    let of_year = |year| Civil { year, month: 1, day: 1, time: 0 };
    let of_time = |step: i64| Civil { time: c.time - c.time % step, ..c };
    match unit {
        Unit::Millisecond => of_time(1000),
        Unit::Second => of_time(SECOND_US),
        Unit::Minute => of_time(MINUTE_US),
        Unit::Hour => of_time(HOUR_US),
        Unit::Day => Civil { time: 0, ..c },
        Unit::Week => {
            let days = c.days();
            let (year, month, day) = civil_from_days(days - iso_weekday(days) + 1);
            Civil { year, month, day, time: 0 }
        }
        Unit::Month => Civil { day: 1, time: 0, ..c },
        Unit::Quarter => Civil { month: (c.month - 1) / 3 * 3 + 1, day: 1, time: 0, ..c },
        Unit::Year => of_year(c.year),
        Unit::Decade => of_year(if c.year > 0 { c.year / 10 * 10 } else { -((8 - (c.year - 1)) / 10) * 10 }),
        Unit::Century => of_year(if c.year > 0 { (c.year + 99) / 100 * 100 - 99 } else { -((99 - (c.year - 1)) / 100) * 100 + 1 }),
        Unit::Millennium => of_year(if c.year > 0 { (c.year + 999) / 1000 * 1000 - 999 } else { -((999 - (c.year - 1)) / 1000) * 1000 + 1 }),
        _ => c,
    }
}

fn truncate_interval(call: &Call<'_>, unit: &Value, value: &Value) -> Result<Value> {
    let Some(unit) = Unit::constant(unit)? else { return null(call) };
    let months = match unit {
        Unit::Month => Some(1),
        Unit::Quarter => Some(3),
        Unit::Year => Some(12),
        Unit::Decade => Some(120),
        Unit::Century => Some(1200),
        Unit::Millennium => Some(12_000),
        _ => None,
    };
    let micros = match unit {
        Unit::Microsecond => Some(1),
        Unit::Millisecond => Some(1000),
        Unit::Second => Some(SECOND_US),
        Unit::Minute => Some(MINUTE_US),
        Unit::Hour => Some(HOUR_US),
        _ => None,
    };
    if months.is_none() && micros.is_none() && unit != Unit::Day {
        return Err(refused(format!("date_trunc of an interval to {unit:?}")));
    }
    let out = value.arrow.clone();
    let kernel = unary::<Interval, Interval>(out.clone(), move |i| {
        let s = Span::from(i);
        match (months, micros) {
            (Some(n), _) => Span { months: s.months - s.months % n, days: 0, micros: 0 },
            (_, Some(n)) => Span { micros: s.micros - s.micros % n, ..s },
            _ => Span { micros: 0, ..s },
        }
        .arrow()
    });
    Ok(Value::new(udf::call("pg_date_trunc_interval", format!("{unit:?}"), out.clone(), vec![value.expr.clone()], kernel), out, call.ty))
}

fn bin(call: &Call<'_>, stride: &Value, value: &Value, origin: &Value) -> Result<Value> {
    let out = value.arrow.clone();
    let args = vec![stride.expr.clone(), value.expr.clone(), origin.expr.clone()];
    let kernel = ternary::<Interval, Ts, Ts, Ts>(out.clone(), |stride, t, origin| bin_one(stride.into(), t, origin));
    Ok(Value::new(udf::call("pg_date_bin", "", out.clone(), args, kernel), out, call.ty))
}

fn bin_one(stride: Span, t: i64, origin: i64) -> Result<i64> {
    if is_infinite(t) {
        return Ok(t);
    }
    if is_infinite(origin) {
        return Err(raise("22008", "origin out of range"));
    }
    if stride.months != 0 {
        return Err(raise("0A000", "timestamps cannot be binned into intervals containing months or years"));
    }
    let step = i64::try_from(i128::from(stride.days) * i128::from(DAY_US) + i128::from(stride.micros)).map_err(|_| interval_out_of_range())?;
    if step <= 0 {
        return Err(raise("22008", "stride must be greater than zero"));
    }
    let difference = i64::try_from(i128::from(t) - i128::from(origin)).map_err(|_| interval_out_of_range())?;
    check_timestamp(i128::from(t) - i128::from(difference.rem_euclid(step)))
}
