//! `extract` (numeric) and `date_part` (float8).
//!
//! Invariants:
//! - The field is a constant; a field that the type does not have is refused, and Postgres raises its error.
//! - The display scale of `extract` depends on the field alone: 6 for second and epoch, 3 for milliseconds, else 0. (Epoch of a date: 0. Julian days of
//!   a timestamp have a scale of division and are refused.)
//! - Of infinity, fields that grow are infinite and the rest NULL; numeric infinity is refused.

use super::calendar::*;
use super::kernel::{Interval, Span, unary_opt};
use super::unit::Unit;
use super::zone::Zone;
use crate::error::refused;
use crate::udf::{self, Kernel};
use crate::value::{Call, DScale, Value};
use arrow::array::ArrowPrimitiveType;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Time64MicrosecondType, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::lit;
use std::sync::Arc;

/// What a field is taken from.
#[derive(Clone)]
enum Source {
    Date,
    Time,
    Timestamp,
    Timestamptz(Arc<Zone>),
    Interval,
}

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let source = |call: &Call<'_>| {
        Ok(match call.func {
            6199 | 1384 => Source::Date,
            6200 | 1385 => Source::Time,
            6202 | 2021 => Source::Timestamp,
            6203 | 1171 => Source::Timestamptz(Zone::named(&call.session.timezone)?),
            _ => Source::Interval,
        })
    };
    match (call.func, call.args.as_slice()) {
        (6199 | 6200 | 6202 | 6203 | 6204, [unit, value]) => Some(source(call).and_then(|s| extract(call, &s, unit, value))),
        (1384 | 1385 | 2021 | 1171 | 1172, [unit, value]) => Some(source(call).and_then(|s| date_part(call, &s, unit, value))),
        _ => None,
    }
}

/// A value in the form of the four field functions below.
enum Moment {
    Timestamp { raw: i64, local: Civil, offset: i64 },
    Time(i64),
    Interval(Span),
    Infinite { positive: bool },
}

impl Source {
    fn timestamp(&self, t: i64) -> Result<Moment> {
        if is_infinite(t) {
            return Ok(Moment::Infinite { positive: t > 0 });
        }
        Ok(match self {
            Source::Timestamptz(zone) => Moment::Timestamp { raw: t, local: zone.civil(t)?, offset: i64::from(zone.at(t.div_euclid(SECOND_US)).offset) },
            _ => Moment::Timestamp { raw: t, local: Civil::from_timestamp(t), offset: 0 },
        })
    }

    fn date(d: i32) -> Moment {
        if date_is_infinite(d) {
            return Moment::Infinite { positive: d > 0 };
        }
        let (year, month, day) = civil_from_days(i64::from(d));
        Moment::Timestamp { raw: 0, local: Civil { year, month, day, time: 0 }, offset: 0 }
    }

    /// Whether the type has the field.
    fn has(&self, unit: Unit) -> bool {
        use Unit::*;
        let of_time = matches!(unit, Microsecond | Millisecond | Second | Minute | Hour | Epoch);
        match self {
            Source::Date => !matches!(unit, Microsecond | Millisecond | Second | Minute | Hour | Timezone | TimezoneHour | TimezoneMinute),
            Source::Time => of_time,
            Source::Timestamp => !matches!(unit, Timezone | TimezoneHour | TimezoneMinute),
            Source::Timestamptz(_) => true,
            Source::Interval => of_time || matches!(unit, Day | Month | Quarter | Year | Decade | Century | Millennium),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Source::Date => "date",
            Source::Time => "time",
            Source::Timestamp => "timestamp",
            Source::Timestamptz(_) => "timestamptz",
            Source::Interval => "interval",
        }
    }

    fn key(&self, unit: Unit) -> String {
        match self {
            Source::Timestamptz(zone) => format!("{unit:?} {} {}", self.name(), zone.name),
            _ => format!("{unit:?} {}", self.name()),
        }
    }

    /// A kernel over this type's arrays.
    fn kernel<O: ArrowPrimitiveType>(&self, out: DataType, f: impl Fn(Moment) -> Result<Option<O::Native>> + Send + Sync + 'static) -> Kernel {
        let this = self.clone();
        match self {
            Source::Date => unary_opt::<Date32Type, O>(out, move |d| f(Source::date(d))),
            Source::Time => unary_opt::<Time64MicrosecondType, O>(out, move |t| f(Moment::Time(t))),
            Source::Interval => unary_opt::<Interval, O>(out, move |i| f(Moment::Interval(i.into()))),
            _ => unary_opt::<TimestampMicrosecondType, O>(out, move |t| f(this.timestamp(t)?)),
        }
    }
}

/// Precision and scale of a field in numeric.
fn numeric_form(source: &Source, unit: Unit) -> Result<(u8, i8)> {
    Ok(match (source, unit) {
        (Source::Timestamp | Source::Timestamptz(_), Unit::Julian) => return Err(refused("julian day of a timestamp as numeric")),
        (Source::Date, Unit::Epoch) => (16, 0),
        (_, Unit::Epoch) => (20, 6),
        (_, Unit::Second) => (8, 6),
        (_, Unit::Millisecond) => (8, 3),
        _ => (10, 0),
    })
}

fn checked(call: &Call<'_>, source: &Source, unit: Unit) -> Result<()> {
    if !source.has(unit) {
        return Err(refused(format!("field {unit:?} of {}", source.name())));
    }
    // Release 18 counts quarters of negative intervals otherwise.
    if matches!(source, Source::Interval) && unit == Unit::Quarter && call.session.server_version_num >= 180_000 {
        return Err(refused("quarter of an interval"));
    }
    Ok(())
}

fn extract(call: &Call<'_>, source: &Source, unit: &Value, value: &Value) -> Result<Value> {
    let Some(unit) = Unit::constant(unit)? else {
        let out = DataType::Decimal128(10, 0);
        return Ok(Value::numeric(lit(ScalarValue::Decimal128(None, 10, 0)), out, call.ty, DScale::Static(0)));
    };
    checked(call, source, unit)?;
    let (precision, scale) = numeric_form(source, unit)?;
    let out = DataType::Decimal128(precision, scale);
    let of_date = matches!(source, Source::Date);
    let kernel = source.kernel::<Decimal128Type>(out.clone(), move |m| match m {
        Moment::Infinite { .. } if unit.is_monotonic() => Err(refused("a field of infinity that is infinite")),
        Moment::Infinite { .. } => Ok(None),
        // Epoch of a date is counted from its day, whose time part of the value is not used.
        Moment::Timestamp { local, .. } if of_date && unit == Unit::Epoch => Ok(Some(i128::from(local.days()) * 86_400)),
        m => exact(unit, &m).map(Some),
    });
    let expr = udf::call("pg_extract", source.key(unit), out.clone(), vec![value.expr.clone()], kernel);
    Ok(Value::numeric(expr, out, call.ty, DScale::Static(scale)))
}

/// The field without its decimal point: microseconds for second and epoch, milliseconds with three digits.
fn exact(unit: Unit, m: &Moment) -> Result<i128> {
    Ok(match (unit, m) {
        (Unit::Epoch, Moment::Timestamp { raw, .. }) => i128::from(*raw),
        (Unit::Epoch, Moment::Time(t)) => i128::from(*t),
        (Unit::Epoch, Moment::Interval(s)) => {
            // A year has 365.25 days, a month 30.
            let quarter_days = 1461 * i64::from(s.months / 12) + 120 * i64::from(s.months % 12) + 4 * i64::from(s.days);
            let us = i128::from(quarter_days) * 21_600 * i128::from(SECOND_US) + i128::from(s.micros);
            // Beyond 64 bits Postgres's result has another scale.
            i128::from(i64::try_from(us).map_err(|_| refused("epoch of an interval over 292 thousand years"))?)
        }
        _ => i128::from(integer(unit, m)),
    })
}

fn integer(unit: Unit, m: &Moment) -> i64 {
    match m {
        Moment::Timestamp { local, offset, .. } => timestamp_field(unit, local, *offset),
        Moment::Time(t) => time_field(unit, *t),
        Moment::Interval(s) => interval_field(unit, *s),
        Moment::Infinite { .. } => 0,
    }
}

/// Fields of a time of day or of an interval's time part, whose hours have no bound; signs as C's division gives them.
fn time_field(unit: Unit, t: i64) -> i64 {
    match unit {
        Unit::Microsecond | Unit::Millisecond | Unit::Second => t % MINUTE_US,
        Unit::Minute => t % HOUR_US / MINUTE_US,
        _ => t / HOUR_US,
    }
}

fn interval_field(unit: Unit, s: Span) -> i64 {
    let (years, months) = (i64::from(s.months / 12), i64::from(s.months % 12));
    match unit {
        Unit::Day => i64::from(s.days),
        Unit::Month => months,
        Unit::Quarter => months / 3 + 1,
        Unit::Year => years,
        Unit::Decade => years / 10,
        Unit::Century => years / 100,
        Unit::Millennium => years / 1000,
        _ => time_field(unit, s.micros),
    }
}

/// A year as Postgres counts: there is no year 0.
fn without_zero(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

fn timestamp_field(unit: Unit, c: &Civil, offset: i64) -> i64 {
    let year = c.year;
    match unit {
        Unit::Day => c.day,
        Unit::Month => c.month,
        Unit::Quarter => (c.month - 1) / 3 + 1,
        Unit::Week => iso_week(c.days()).1,
        Unit::Year => without_zero(year),
        Unit::Decade => year.div_euclid(10),
        Unit::Century => {
            if year > 0 {
                (year + 99) / 100
            } else {
                -((99 - (year - 1)) / 100)
            }
        }
        Unit::Millennium => {
            if year > 0 {
                (year + 999) / 1000
            } else {
                -((999 - (year - 1)) / 1000)
            }
        }
        Unit::IsoYear => without_zero(iso_week(c.days()).0),
        Unit::Dow => iso_weekday(c.days()) % 7,
        Unit::IsoDow => iso_weekday(c.days()),
        Unit::Doy => c.days() - days_from_civil(year, 1, 1) + 1,
        Unit::Julian => c.days() + UNIX_JULIAN,
        Unit::Timezone => offset,
        Unit::TimezoneHour => offset / 3600,
        Unit::TimezoneMinute => offset % 3600 / 60,
        _ => time_field(unit, c.time),
    }
}

fn date_part(call: &Call<'_>, source: &Source, unit: &Value, value: &Value) -> Result<Value> {
    let out = DataType::Float64;
    let Some(unit) = Unit::constant(unit)? else {
        return Ok(Value::new(lit(ScalarValue::Float64(None)), out, call.ty));
    };
    // date_part(text, date) casts to timestamp, which has a time of day.
    let has = if matches!(source, Source::Date) { Source::Timestamp.has(unit) } else { source.has(unit) };
    if !has {
        return Err(refused(format!("field {unit:?} of {}", source.name())));
    }
    checked(call, if matches!(source, Source::Date) { &Source::Timestamp } else { source }, unit)?;
    let of_date = matches!(source, Source::Date);
    let kernel = source.kernel::<Float64Type>(out.clone(), move |m| {
        let m = match m {
            Moment::Timestamp { local, offset, .. } if of_date => Moment::Timestamp { raw: check_timestamp(local.micros())?, local, offset },
            m => m,
        };
        Ok(approximate(unit, &m))
    });
    Ok(Value::new(udf::call("pg_date_part", source.key(unit), out.clone(), vec![value.expr.clone()], kernel), out, call.ty))
}

/// The field in double precision, by the operations of the C code in their order.
fn approximate(unit: Unit, m: &Moment) -> Option<f64> {
    if let Moment::Infinite { positive } = m {
        return unit.is_monotonic().then_some(if *positive { f64::INFINITY } else { f64::NEG_INFINITY });
    }
    let time = match m {
        Moment::Timestamp { local, .. } => local.time,
        Moment::Time(t) => *t,
        Moment::Interval(s) => s.micros,
        Moment::Infinite { .. } => 0,
    };
    let (seconds, micros) = ((time % MINUTE_US / SECOND_US) as f64, (time % SECOND_US) as f64);
    Some(match (unit, m) {
        (Unit::Second, _) => seconds + micros / 1_000_000.0,
        (Unit::Millisecond, _) => seconds * 1000.0 + micros / 1000.0,
        (Unit::Microsecond, _) => seconds * 1_000_000.0 + micros,
        (Unit::Epoch, Moment::Timestamp { raw, .. }) => *raw as f64 / 1_000_000.0,
        (Unit::Epoch, Moment::Time(t)) => *t as f64 / 1_000_000.0,
        (Unit::Epoch, Moment::Interval(s)) => {
            let mut result = s.micros as f64 / 1_000_000.0;
            result += 365.25 * 86_400.0 * f64::from(s.months / 12);
            result += 30.0 * 86_400.0 * f64::from(s.months % 12);
            result + 86_400.0 * f64::from(s.days)
        }
        (Unit::Julian, Moment::Timestamp { local, .. }) => {
            let whole = (local.time / SECOND_US) as f64;
            (local.days() + UNIX_JULIAN) as f64 + (whole + micros / 1_000_000.0) / 86_400.0
        }
        _ => integer(unit, m) as f64,
    })
}
