//! `make_date` and its relatives, and `OVERLAPS`.

use super::calendar::*;
use super::kernel::{Span, constant_text};
use super::zone::{Zone, of_name};
use super::{arith, cast};
use crate::error::{raise, refused};
use crate::udf::{self, over_arrays};
use crate::value::{Call, Value};
use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, PrimitiveArray, PrimitiveBuilder};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float64Type, Int32Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion::common::{Result, internal_datafusion_err};
use std::sync::Arc;
use weir_plan::types::arrow_type;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    let out = arrow_type(&call.ty)?;
    let make = |name, key: String, count: usize, kernel| {
        let args = call.args.iter().take(count).map(|a| a.expr.clone()).collect();
        Ok(Value::new(udf::call(name, key, out.clone(), args, kernel), out.clone(), call.ty))
    };
    let o = out.clone();
    Some(match call.func {
        3846 => make("pg_make_date", String::new(), 3, rows::<Date32Type>(o, 3, None, |n, _| date(n))),
        3847 => make("pg_make_time", String::new(), 3, rows::<Time64MicrosecondType>(o, 2, Some(2), time)),
        3461 => make("pg_make_timestamp", String::new(), 6, rows::<TimestampMicrosecondType>(o, 5, Some(5), |n, s| check_timestamp(local(n, s)?))),
        3462 | 3463 => {
            let zone = if call.func == 3462 { Zone::named(&call.session.timezone) } else { named_zone(call) };
            zone.and_then(|zone| {
                let key = zone.name.clone();
                let kernel = rows::<TimestampMicrosecondType>(o, 5, Some(5), move |n, s| zone.from_civil(&civil(n, s)?));
                make("pg_make_timestamptz", key, 6, kernel)
            })
        }
        3464 => make("pg_make_interval", String::new(), 7, rows::<IntervalMonthDayNanoType>(o, 6, Some(6), |n, s| interval(n, s)?.arrow())),
        1308 | 1304 | 2041 => overlaps(call, (false, false)),
        1309 | 1305 | 2042 => overlaps(call, (true, true)),
        1310 | 1306 | 2043 => overlaps(call, (false, true)),
        1311 | 1307 | 2044 => overlaps(call, (true, false)),
        _ => return None,
    })
}

fn named_zone(call: &Call<'_>) -> Result<Arc<Zone>> {
    match call.args.get(6).and_then(constant_text) {
        Some(Some(name)) if !name.starts_with(['+', '-']) && !name.starts_with(|c: char| c.is_ascii_digit()) => of_name(name, call.session),
        _ => Err(refused("make_timestamptz with a zone that is not a constant name")),
    }
}

/// A kernel over rows of `count` integers (arguments 0..count) and possibly one double precision argument.
fn rows<O: ArrowPrimitiveType>(
    out: DataType,
    count: usize,
    seconds: Option<usize>,
    f: impl Fn(&[i64], f64) -> Result<O::Native> + Send + Sync + 'static,
) -> udf::Kernel {
    over_arrays(move |arrays| {
        let column = |i: usize| arrays.get(i).ok_or_else(|| internal_datafusion_err!("argument {i} is missing"));
        let integers = (0..count).map(|i| typed::<Int32Type>(column(i)?)).collect::<Result<Vec<_>>>()?;
        let seconds = seconds.map(|i| typed::<Float64Type>(column(i)?)).transpose()?;
        let length = arrays.first().map_or(0, |a| a.len());
        let mut builder = PrimitiveBuilder::<O>::with_capacity(length).with_data_type(out.clone());
        let mut row = vec![0_i64; count];
        for i in 0..length {
            if integers.iter().any(|a| a.is_null(i)) || seconds.is_some_and(|a| a.is_null(i)) {
                builder.append_null();
                continue;
            }
            for (field, column) in row.iter_mut().zip(&integers) {
                *field = i64::from(column.value(i));
            }
            builder.append_value(f(&row, seconds.map_or(0.0, |a| a.value(i)))?);
        }
        Ok(Arc::new(builder.finish()) as ArrayRef)
    })
}

fn typed<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<&PrimitiveArray<T>> {
    array.as_primitive_opt::<T>().ok_or_else(|| internal_datafusion_err!("expected {}, got {}", T::DATA_TYPE, array.data_type()))
}

/// Day number of year, month and day; a negative year is BC.
fn day_number(fields: &[i64]) -> Result<i64> {
    let &[year, month, day, ..] = fields else { return Err(internal_datafusion_err!("make_date without its fields")) };
    let astronomical = if year < 0 { year + 1 } else { year };
    if year == 0 || !(1..=12).contains(&month) || !(1..=days_in_month(astronomical, month)).contains(&day) {
        return Err(raise("22008", format!("date field value out of range: {year}-{month:02}-{day:02}")));
    }
    Ok(days_from_civil(astronomical, month, day))
}

fn date(fields: &[i64]) -> Result<i32> {
    let days = day_number(fields)?;
    check_date(days).map_err(|_| match fields {
        &[year, month, day, ..] => raise("22008", format!("date out of range: {year}-{month:02}-{day:02}")),
        _ => date_out_of_range(),
    })
}

fn time(fields: &[i64], seconds: f64) -> Result<i64> {
    let &[hour, minute, ..] = fields else { return Err(internal_datafusion_err!("make_time without its fields")) };
    let out_of_range = || raise("22008", format!("time field value out of range: {hour}:{minute:02}:{seconds:02}"));
    let micros = (seconds * 1_000_000.0).round_ties_even();
    if !(0..=24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..=60_000_000.0).contains(&micros) {
        return Err(out_of_range());
    }
    let time = hour * HOUR_US + minute * MINUTE_US + micros as i64;
    if time > DAY_US { Err(out_of_range()) } else { Ok(time) }
}

fn local(fields: &[i64], seconds: f64) -> Result<i128> {
    let days = day_number(fields)?;
    let time = time(fields.get(3..).unwrap_or_default(), seconds)?;
    Ok(i128::from(days) * i128::from(DAY_US) + i128::from(time))
}

fn civil(fields: &[i64], seconds: f64) -> Result<Civil> {
    let us = check_timestamp(local(fields, seconds)?)?;
    Ok(Civil::from_timestamp(us))
}

fn interval(fields: &[i64], seconds: f64) -> Result<Span> {
    let &[years, months, weeks, days, hours, minutes] = fields else { return Err(internal_datafusion_err!("make_interval without its fields")) };
    let micros = (seconds * 1_000_000.0).round_ties_even();
    if !micros.is_finite() {
        return Err(interval_out_of_range());
    }
    let micros = micros as i128 + i128::from(hours * HOUR_US) + i128::from(minutes * MINUTE_US);
    // Release 15 lets these wrap, later ones raise an error.
    Span::checked(years * 12 + months, weeks * 7 + days, micros).map_err(|_| refused("make_interval out of range"))
}

/// `(a, b) OVERLAPS (c, d)`; a period may be given by its length, an interval to add to its start.
fn overlaps(call: &Call<'_>, (first_length, second_length): (bool, bool)) -> Result<Value> {
    let value = |i: usize| call.args.get(i).ok_or_else(|| internal_datafusion_err!("OVERLAPS without its arguments"));
    let end = |start: usize, add: bool| -> Result<Value> {
        let (from, to) = (value(start)?, value(start + 1)?);
        if !add {
            return Ok(to.clone());
        }
        // time + interval, timestamptz + interval, timestamp + interval
        let func = match call.func {
            1308..=1311 => 1747,
            1304..=1307 => 1189,
            _ => 2032,
        };
        let sum = Call { func, args: vec![from.clone(), to.clone()], ty: from.ty, collation: call.collation, session: call.session };
        arith::lower(&sum).unwrap_or_else(|| Err(internal_datafusion_err!("no addition")))
    };
    let args = vec![value(0)?.expr.clone(), end(0, first_length)?.expr, value(2)?.expr.clone(), end(2, second_length)?.expr];
    let kernel = over_arrays(|arrays| {
        let columns = arrays.iter().map(cast::as_i64).collect::<Result<Vec<_>>>()?;
        let [a, b, c, d] = columns.as_slice() else { return Err(internal_datafusion_err!("OVERLAPS without its arguments")) };
        let at = |column: &PrimitiveArray<arrow::datatypes::Int64Type>, i: usize| column.is_valid(i).then(|| column.value(i));
        let mut out = BooleanBuilder::with_capacity(a.len());
        for i in 0..a.len() {
            out.append_option(overlap((at(a, i), at(b, i)), (at(c, i), at(d, i))));
        }
        Ok(Arc::new(out.finish()) as ArrayRef)
    });
    Ok(Value::bool(udf::call("pg_overlaps", "", DataType::Boolean, args, kernel)))
}

/// The period's start and, if known, its end; `None` if neither is known.
fn period((start, end): (Option<i64>, Option<i64>)) -> Option<(i64, Option<i64>)> {
    match (start, end) {
        (None, None) => None,
        (None, Some(e)) => Some((e, None)),
        (Some(s), None) => Some((s, None)),
        (Some(s), Some(e)) => Some((s.min(e), Some(s.max(e)))),
    }
}

/// Three-valued, as `overlaps_timestamp` decides.
fn overlap(first: (Option<i64>, Option<i64>), second: (Option<i64>, Option<i64>)) -> Option<bool> {
    let (start1, end1) = period(first)?;
    let (start2, end2) = period(second)?;
    let (later, earlier_end, later_end) = match start1.cmp(&start2) {
        std::cmp::Ordering::Greater => (start1, end2, end1),
        std::cmp::Ordering::Less => (start2, end1, end2),
        std::cmp::Ordering::Equal => return end1.and(end2).map(|_| true),
    };
    if later < earlier_end? {
        return Some(true);
    }
    later_end.map(|_| false)
}
