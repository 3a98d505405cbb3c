//! `to_char` of timestamps, after `DCH_to_char` of `formatting.c`.
//!
//! Invariants: the pattern is a constant; names are English, as Postgres writes them without `TM`. Of infinity the answer is NULL.

use super::calendar::*;
use super::format::put;
use super::kernel::constant_text;
use super::pattern::{Case, Field, Keyword, Node, parse};
use super::text::strings;
use super::zone::{LocalType, Zone};
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::lit;
use std::fmt::Write;

pub(super) const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    match (call.func, call.args.as_slice()) {
        (2049, [value, pattern]) => Some(to_char(call, value, pattern, false)),
        (1770, [value, pattern]) => Some(to_char(call, value, pattern, true)),
        _ => None,
    }
}

fn to_char(call: &Call<'_>, value: &Value, pattern: &Value, with_zone: bool) -> Result<Value> {
    let pattern = match constant_text(pattern) {
        None => return Err(refused("a pattern that is not constant")),
        Some(None) => return Ok(Value::new(lit(ScalarValue::Utf8View(None)), DataType::Utf8View, call.ty)),
        Some(Some(pattern)) => pattern.to_owned(),
    };
    let nodes = parse(&pattern)?;
    let zone = with_zone.then(|| Zone::named(&call.session.timezone)).transpose()?;
    let key = format!("{} {pattern}", zone.as_ref().map_or("", |z| &z.name));
    // NULL then, of a value that is computed all the same.
    let is_empty = pattern.is_empty();
    let kernel = strings::<TimestampMicrosecondType>(move |t, out| {
        if is_infinite(t) {
            return Ok(false);
        }
        let (civil, local) = match &zone {
            Some(zone) => (zone.civil(t)?, Some(zone.at(t.div_euclid(SECOND_US)))),
            None => (Civil::from_timestamp(t), None),
        };
        for node in &nodes {
            match node {
                Node::Literal(c) => out.push(*c),
                Node::Field(field) => write(field, &civil, local, out),
            }
        }
        Ok(!is_empty)
    });
    let expr = udf::call("pg_to_char", key, DataType::Utf8View, vec![value.expr.clone()], kernel);
    Ok(Value::new(expr, DataType::Utf8View, call.ty))
}

fn cased(name: &str, case: Case) -> String {
    match case {
        Case::Upper => name.to_ascii_uppercase(),
        Case::Title => name.to_owned(),
        Case::Lower => name.to_ascii_lowercase(),
    }
}

/// `dots` puts a point after each letter.
fn abbreviated(letters: &str, dots: bool, case: Case, out: &mut String) {
    for c in cased(letters, case).chars() {
        out.push(c);
        if dots {
            out.push('.');
        }
    }
}

/// A month's or weekday's name by its position.
fn name_of(names: &'static [&'static str], position: i64) -> &'static str {
    usize::try_from(position).ok().and_then(|i| names.get(i)).copied().unwrap_or("")
}

/// A year without sign: eras are written by their own keyword.
fn positive_year(year: i64) -> i64 {
    if year <= 0 { 1 - year } else { year }
}

/// The English suffix of an ordinal number.
pub(super) fn suffix(digits: &str, upper: bool) -> &'static str {
    let bytes = digits.as_bytes();
    let teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    match (bytes.last(), teen, upper) {
        (Some(b'1'), false, true) => "ST",
        (Some(b'1'), false, false) => "st",
        (Some(b'2'), false, true) => "ND",
        (Some(b'2'), false, false) => "nd",
        (Some(b'3'), false, true) => "RD",
        (Some(b'3'), false, false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    }
}

fn write(field: &Field, c: &Civil, local: Option<&LocalType>, out: &mut String) {
    let start = out.len();
    let pad = |value: i64, width: usize, out: &mut String| {
        let width = if field.fill { 0 } else { width + usize::from(value < 0) };
        put!(out, "{value:0width$}");
    };
    let name = |text: String, width: usize, out: &mut String| {
        let width = if field.fill { 0 } else { width };
        put!(out, "{text:width$}");
    };
    let (days, hour, micros) = (c.days(), c.time / HOUR_US, c.time % SECOND_US);
    let year_day = days - days_from_civil(c.year, 1, 1) + 1;
    let offset = i64::from(local.map_or(0, |l| l.offset));
    let sign = if offset < 0 { '-' } else { '+' };
    match field.keyword {
        Keyword::Meridiem { dots, case } => return abbreviated(if hour >= 12 { "PM" } else { "AM" }, dots, case, out),
        Keyword::Era { dots, case } => return abbreviated(if c.year <= 0 { "BC" } else { "AD" }, dots, case, out),
        Keyword::Day(case) => return name(cased(name_of(&DAYS, iso_weekday(days) % 7), case), 9, out),
        Keyword::DayShort(case) => return out.push_str(&cased(name_of(&DAYS, iso_weekday(days) % 7).get(..3).unwrap_or(""), case)),
        Keyword::MonthName(case) => return name(cased(name_of(&MONTHS, c.month - 1), case), 9, out),
        Keyword::MonthShort(case) => return out.push_str(&cased(name_of(&MONTHS, c.month - 1).get(..3).unwrap_or(""), case)),
        Keyword::Roman(case) => return name(cased(name_of(&ROMAN, c.month - 1), case), 4, out),
        Keyword::ZoneName(case) => {
            return out
                .push_str(&local.map_or_else(String::new, |l| if case == Case::Lower { l.abbreviation.to_ascii_lowercase() } else { l.abbreviation.clone() }));
        }
        Keyword::Offset => {
            let width = if field.fill { 0 } else { 2 };
            put!(out, "{sign}{:0width$}", offset.abs() / 3600);
            if offset.abs() % 3600 != 0 {
                put!(out, ":{:02}", offset.abs() % 3600 / 60);
            }
            return;
        }
        Keyword::OffsetHour => {
            put!(out, "{sign}{:02}", offset.abs() / 3600);
            return;
        }
        Keyword::OffsetMinute => {
            put!(out, "{:02}", offset.abs() % 3600 / 60);
            return;
        }
        Keyword::Century => {
            let century = if c.year > 0 { (c.year - 1) / 100 + 1 } else { c.year / 100 - 1 };
            if century.abs() <= 99 {
                pad(century, 2, out)
            } else {
                put!(out, "{century}");
            }
        }
        Keyword::DayOfYear => pad(year_day, 3, out),
        Keyword::DayOfMonth => pad(c.day, 2, out),
        Keyword::DayOfWeek => put_number(iso_weekday(days) % 7 + 1, out),
        Keyword::Fraction(digits) => {
            let digits = usize::from(digits);
            put!(out, "{:0digits$}", micros / 10_i64.pow(6 - digits as u32));
        }
        Keyword::Hour24 => pad(hour, 2, out),
        Keyword::Hour12 => pad(if hour % 12 == 0 { 12 } else { hour % 12 }, 2, out),
        Keyword::IsoDayOfYear => pad(days - iso_year_start(iso_week(days).0) + 1, 3, out),
        Keyword::IsoDayOfWeek => put_number(iso_weekday(days), out),
        Keyword::IsoWeek => pad(iso_week(days).1, 2, out),
        Keyword::IsoYear(digits) => pad_year(positive_year(iso_week(days).0), digits, field.fill, out),
        Keyword::Year(digits) => pad_year(positive_year(c.year), digits, field.fill, out),
        Keyword::YearComma => {
            let year = positive_year(c.year);
            put!(out, "{},{:03}", year / 1000, year % 1000);
        }
        Keyword::Julian => put_number(days + UNIX_JULIAN, out),
        Keyword::Minute => pad(c.time % HOUR_US / MINUTE_US, 2, out),
        Keyword::Month => pad(c.month, 2, out),
        Keyword::Quarter => put_number((c.month - 1) / 3 + 1, out),
        Keyword::SecondOfDay => put_number(c.time / SECOND_US, out),
        Keyword::Second => pad(c.time % MINUTE_US / SECOND_US, 2, out),
        Keyword::WeekOfYear => pad((year_day - 1) / 7 + 1, 2, out),
        Keyword::WeekOfMonth => put_number((c.day - 1) / 7 + 1, out),
    }
    if let Some(upper) = field.ordinal {
        let digits = out.get(start..).unwrap_or("").to_owned();
        out.push_str(suffix(&digits, upper));
    }
}

fn put_number(value: i64, out: &mut String) {
    put!(out, "{value}");
}

/// The last digits of a year.
fn pad_year(year: i64, digits: u8, fill: bool, out: &mut String) {
    let value = if digits < 4 { year % 10_i64.pow(digits.into()) } else { year };
    let width = if fill { 0 } else { usize::from(digits) };
    put!(out, "{value:0width$}");
}
