//! Comparisons.
//!
//! Invariants:
//! - Two values of one type are compared by a plain comparison of their Arrow values, which joins can hash and scans can prune:
//!   ±infinity are the extreme integers in both.
//! - Values of two types are brought to the one that Postgres compares in, by a function of ours on the side that changes.
//! - A date column against a timestamp that depends on no column (`l_shipdate < date '1995-01-01' + interval '1 year'`) is compared as
//!   a date, with the timestamp rounded up or down to one: midnights grow with their dates. So the scan can prune.
//! - Intervals are compared by their length with months of 30 days.

use super::calendar::{DAY_US, date_to_timestamp, is_infinite, timestamp_to_date};
use super::kernel::{Interval, Span, unary};
use super::zone::Zone;
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, TimestampMicrosecondType};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, Operator, binary_expr};
use std::sync::Arc;
use weir_plan::types::{PgType, arrow_type, oid};

/// The type in which an operator compares.
#[derive(Clone, Copy, PartialEq)]
enum As {
    Same,
    Timestamp,
    Timestamptz,
    Span,
}

/// (equal, not equal, less, less or equal, greater, greater or equal) of each pair of types.
const FAMILIES: &[([u32; 6], As)] = &[
    ([1086, 1091, 1087, 1088, 1089, 1090], As::Same),        // date, date
    ([1145, 1106, 1102, 1103, 1104, 1105], As::Same),        // time, time
    ([2052, 2053, 2054, 2055, 2057, 2056], As::Same),        // timestamp, timestamp
    ([1152, 1153, 1154, 1155, 1157, 1156], As::Same),        // timestamptz, timestamptz
    ([1162, 1163, 1164, 1165, 1167, 1166], As::Span),        // interval, interval
    ([2340, 2343, 2338, 2339, 2341, 2342], As::Timestamp),   // date, timestamp
    ([2366, 2369, 2364, 2365, 2367, 2368], As::Timestamp),   // timestamp, date
    ([2353, 2356, 2351, 2352, 2354, 2355], As::Timestamptz), // date, timestamptz
    ([2379, 2382, 2377, 2378, 2380, 2381], As::Timestamptz), // timestamptz, date
    ([2522, 2525, 2520, 2521, 2523, 2524], As::Timestamptz), // timestamp, timestamptz
    ([2529, 2532, 2527, 2528, 2530, 2531], As::Timestamptz), // timestamptz, timestamp
];

const OPERATORS: [Operator; 6] = [Operator::Eq, Operator::NotEq, Operator::Lt, Operator::LtEq, Operator::Gt, Operator::GtEq];

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let [left, right] = call.args.as_slice() else { return None };
    let (operator, form) = FAMILIES.iter().find_map(|(oids, form)| Some((*OPERATORS.get(oids.iter().position(|o| *o == call.func)?)?, *form)))?;
    Some(compare(operator, form, left, right, &call.session.timezone))
}

fn compare(operator: Operator, form: As, left: &Value, right: &Value, timezone: &str) -> Result<Value> {
    let zone = if form == As::Timestamptz { Some(Zone::named(timezone)?) } else { None };
    if matches!(form, As::Timestamp | As::Timestamptz) {
        let is_constant = |v: &Value| v.ty.base != oid::DATE && v.expr.column_refs().is_empty();
        // As if the date stood on the left.
        let (date_first, mirrored) = (operator, operator.swap().unwrap_or(operator));
        if left.ty.base == oid::DATE
            && is_constant(right)
            && !left.expr.column_refs().is_empty()
            && let Some(bound) = date_bound(date_first, right, zone.clone())
        {
            return Ok(Value::bool(binary_expr(left.expr.clone(), operator, bound)));
        }
        if right.ty.base == oid::DATE
            && is_constant(left)
            && !right.expr.column_refs().is_empty()
            && let Some(bound) = date_bound(mirrored, left, zone.clone())
        {
            return Ok(Value::bool(binary_expr(bound, operator, right.expr.clone())));
        }
    }
    let side = |v: &Value| match form {
        As::Same => Ok(v.expr.clone()),
        As::Span => Ok(interval_key(v.expr.clone())),
        As::Timestamp => Ok(to_timestamp(v)),
        As::Timestamptz => to_timestamptz(v, timezone),
    };
    Ok(Value::bool(binary_expr(side(left)?, operator, side(right)?)))
}

/// The date to compare with in place of a timestamp, where the date stands on the left: `date < t` is `date < first day whose
/// midnight is not before t`, `date <= t` is `date <= last day whose midnight is not after t`.
fn date_bound(operator: Operator, t: &Value, zone: Option<Arc<Zone>>) -> Option<Expr> {
    let up = match operator {
        Operator::Lt | Operator::GtEq => true,
        Operator::LtEq | Operator::Gt => false,
        _ => return None,
    };
    let key = format!("{up} {}", zone.as_ref().map_or("", |z| &z.name));
    let kernel = unary::<TimestampMicrosecondType, Date32Type>(DataType::Date32, move |t| {
        if is_infinite(t) {
            return Ok(timestamp_to_date(t));
        }
        let midnight = |d: i32| match &zone {
            Some(zone) => zone.from_timestamp(i64::from(d).saturating_mul(DAY_US)),
            None => Ok(i64::from(d).saturating_mul(DAY_US)),
        };
        let mut day = timestamp_to_date(t);
        // The zone moves a midnight by a day at most.
        while midnight(day).map_err(beyond)? > t {
            day -= 1;
        }
        while midnight(day + 1).map_err(beyond)? <= t {
            day += 1;
        }
        if up {
            while midnight(day).map_err(beyond)? == t && midnight(day - 1).map_err(beyond)? == t {
                day -= 1;
            }
            return Ok(if midnight(day).map_err(beyond)? == t { day } else { day + 1 });
        }
        Ok(day)
    });
    Some(udf::call("pg_date_bound", key, DataType::Date32, vec![t.expr.clone()], kernel))
}

/// An interval's length in microseconds, a month being 30 days: equal exactly for equal intervals, ordered as they are.
fn interval_key(interval: Expr) -> Expr {
    let out = DataType::Decimal128(38, 0);
    udf::call("pg_interval_key", "", out.clone(), vec![interval], unary::<Interval, Decimal128Type>(out, |i| Ok(span_value(i.into()))))
}

pub(super) fn span_value(s: Span) -> i128 {
    i128::from(s.micros) + (i128::from(s.days) + i128::from(s.months) * 30) * i128::from(DAY_US)
}

/// A comparison with a value that the other type cannot hold is no error in Postgres, a cast of it is: left to Postgres.
fn beyond(_: DataFusionError) -> DataFusionError {
    refused("a date or timestamp out of the range of the type that it is compared in or cast to")
}

/// A date or timestamp as timestamp.
pub(super) fn to_timestamp(v: &Value) -> Expr {
    if v.ty.base != oid::DATE {
        return v.expr.clone();
    }
    let out = arrow_type(&PgType::TIMESTAMP).unwrap_or(DataType::Null);
    let kernel = unary::<Date32Type, TimestampMicrosecondType>(out.clone(), |d| date_to_timestamp(d).map_err(beyond));
    udf::call("pg_date_timestamp", "", out, vec![v.expr.clone()], kernel)
}

/// A date, timestamp or timestamptz as timestamptz, in the session's zone.
pub(super) fn to_timestamptz(v: &Value, timezone: &str) -> Result<Expr> {
    let out = arrow_type(&PgType::TIMESTAMPTZ).unwrap_or(DataType::Null);
    Ok(match v.ty.base {
        oid::DATE => {
            let zone = Zone::named(timezone)?;
            let key = zone.name.clone();
            let kernel =
                unary::<Date32Type, TimestampMicrosecondType>(out.clone(), move |d| date_to_timestamp(d).and_then(|t| zone.from_timestamp(t)).map_err(beyond));
            udf::call("pg_date_timestamptz", key, out, vec![v.expr.clone()], kernel)
        }
        oid::TIMESTAMP => {
            let zone = Zone::named(timezone)?;
            let key = zone.name.clone();
            let kernel = unary::<TimestampMicrosecondType, TimestampMicrosecondType>(out.clone(), move |t| zone.from_timestamp(t).map_err(beyond));
            udf::call("pg_timestamp_timestamptz", key, out, vec![v.expr.clone()], kernel)
        }
        _ => v.expr.clone(),
    })
}
