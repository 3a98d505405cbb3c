//! `to_char` of intervals, after `DCH_to_char` of `formatting.c` with `is_interval`.
//!
//! Invariants: the pattern is a constant. Names of months and days, eras and zones are errors there, and refused here like the few
//! keywords that take an interval for a date.

use super::calendar::{HOUR_US, MINUTE_US, SECOND_US};
use super::format::put;
use super::kernel::{Interval, Span, constant_text};
use super::pattern::{Case, Field, Keyword, Node, parse};
use super::text::strings;
use super::to_char::suffix;
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::lit;
use std::fmt::Write;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    match (call.func, call.args.as_slice()) {
        (1768, [value, pattern]) => Some(to_char(call, value, pattern)),
        _ => None,
    }
}

fn to_char(call: &Call<'_>, value: &Value, pattern: &Value) -> Result<Value> {
    let pattern = match constant_text(pattern) {
        None => return Err(refused("a pattern that is not constant")),
        Some(None) => return Ok(Value::new(lit(ScalarValue::Utf8View(None)), DataType::Utf8View, call.ty)),
        Some(Some(pattern)) => pattern.to_owned(),
    };
    let nodes = parse(&pattern)?;
    for node in &nodes {
        if let Node::Field(Field { keyword, .. }) = node
            && !is_for_intervals(keyword)
        {
            return Err(refused("a pattern that is not for intervals"));
        }
    }
    let counts_days = nodes.iter().any(|node| matches!(node, Node::Field(Field { keyword: Keyword::DayOfYear | Keyword::WeekOfYear, .. })));
    // NULL then, of a value that is computed all the same.
    let is_empty = pattern.is_empty();
    let kernel = strings::<Interval>(move |i, out| {
        let span = Span::from(i);
        if counts_days && i32::try_from(year_day(span)).is_err() {
            return Err(refused("a day of the year beyond the range of integer"));
        }
        for node in &nodes {
            match node {
                Node::Literal(c) => out.push(*c),
                Node::Field(field) => write(field, span, out),
            }
        }
        Ok(!is_empty)
    });
    let expr = udf::call("pg_to_char_interval", pattern, DataType::Utf8View, vec![value.expr.clone()], kernel);
    Ok(Value::new(expr, DataType::Utf8View, call.ty))
}

fn is_for_intervals(keyword: &Keyword) -> bool {
    use Keyword::*;
    matches!(
        keyword,
        Meridiem { .. }
            | Century
            | DayOfYear
            | DayOfMonth
            | Fraction(_)
            | Hour24
            | Hour12
            | Minute
            | Month
            | Quarter
            | SecondOfDay
            | Second
            | WeekOfYear
            | WeekOfMonth
            | YearComma
            | Year(_)
    )
}

/// Of months of 30 days.
fn year_day(span: Span) -> i64 {
    i64::from(span.months) * 30 + i64::from(span.days)
}

fn write(field: &Field, span: Span, out: &mut String) {
    let start = out.len();
    let number = |value: i64, width: usize, out: &mut String| {
        let width = if field.fill { 0 } else { width };
        put!(out, "{value:0width$}");
    };
    // A sign takes a place of its own.
    let signed = |value: i64, width: usize, out: &mut String| number(value, width + usize::from(value < 0), out);
    let (year, month, day) = (i64::from(span.months / 12), i64::from(span.months % 12), i64::from(span.days));
    let (hour, minute) = (span.micros / HOUR_US, span.micros % HOUR_US / MINUTE_US);
    let (second, micros) = (span.micros % MINUTE_US / SECOND_US, span.micros % SECOND_US);
    let year_day = year_day(span);
    match field.keyword {
        Keyword::Meridiem { dots, case } => {
            let letters = match (hour % 24 >= 12, case) {
                (true, Case::Lower) => ['p', 'm'],
                (true, _) => ['P', 'M'],
                (false, Case::Lower) => ['a', 'm'],
                (false, _) => ['A', 'M'],
            };
            for c in letters {
                out.push(c);
                if dots {
                    out.push('.');
                }
            }
            return;
        }
        Keyword::Hour12 => signed(if hour % 12 == 0 { 12 } else { hour % 12 }, 2, out),
        // The sign of the whole number, not of the remainder, widens the field.
        Keyword::Hour24 => signed(hour, 2, out),
        Keyword::Minute => signed(minute, 2, out),
        Keyword::Second => signed(second, 2, out),
        Keyword::Fraction(digits) => {
            let width = usize::from(digits);
            put!(out, "{:0width$}", micros / 10_i64.pow(6 - u32::from(digits)));
        }
        Keyword::SecondOfDay => {
            put!(out, "{}", span.micros / SECOND_US);
        }
        Keyword::Month => signed(month, 2, out),
        Keyword::DayOfYear => number(year_day, 3, out),
        Keyword::DayOfMonth => number(day, 2, out),
        Keyword::WeekOfYear => number((year_day - 1) / 7 + 1, 2, out),
        Keyword::WeekOfMonth => {
            put!(out, "{}", (day - 1) / 7 + 1);
        }
        Keyword::Quarter if month == 0 => return,
        Keyword::Quarter => {
            put!(out, "{}", (month - 1) / 3 + 1);
        }
        Keyword::Century => {
            let century = year / 100;
            if century.abs() <= 99 {
                signed(century, 2, out);
            } else {
                put!(out, "{century}");
            }
        }
        Keyword::YearComma => {
            let thousands = year / 1000;
            put!(out, "{thousands},{:03}", year - thousands * 1000);
        }
        Keyword::Year(digits) => {
            let value = if digits < 4 { year % 10_i64.pow(digits.into()) } else { year };
            number(value, usize::from(digits) + usize::from(year < 0), out);
        }
        _ => return,
    }
    if let Some(upper) = field.ordinal {
        let digits = out.get(start..).unwrap_or("").to_owned();
        out.push_str(suffix(&digits, upper));
    }
}
