//! `to_date` and `to_timestamp` of text.
//!
//! Invariants: patterns of years, months (with their names), days (of the week by name), hours, minutes, seconds, MS and US, with
//! separators and letters between; texts that fit the pattern character for character, else refused at run time (Postgres reads many
//! other texts by rules of its own). Before a separator or the end, or under FM, two digits may be one.

use super::calendar::*;
use super::input::{Cursor, checked_day};
use super::kernel::constant_text;
use super::pattern::{Keyword, Node, parse};
use super::text::parsed;
use super::to_char::{DAYS, MONTHS};
use super::zone::Zone;
use crate::error::refused;
use crate::udf;
use crate::value::{Call, Value};
use arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::lit;
use weir_plan::types::arrow_type;

pub(super) fn lower(call: &Call<'_>) -> Option<Result<Value>> {
    match (call.func, call.args.as_slice()) {
        (1778 | 1780, [text, pattern]) => Some(read(call, text, pattern)),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Literal(u8),
    Year,
    /// Of two digits, between 1970 and 2069.
    ShortYear,
    Month,
    /// Its name in English, or the first three letters.
    MonthName,
    MonthShort,
    Day,
    /// A weekday's name, which is read over.
    Weekday,
    WeekdayShort,
    Hour,
    Hour12,
    Meridiem,
    Minute,
    Second,
    Millis,
    Micros,
}

/// A piece, and whether its digits end with the digits of the text.
type Pieces = Vec<(Piece, bool)>;

fn pieces(pattern: &str) -> Result<Pieces> {
    let unread = || refused(format!("reading by pattern \"{pattern}\""));
    let mut out: Pieces = Vec::new();
    for node in parse(pattern)? {
        let (piece, fill) = match node {
            Node::Literal(c @ ('-' | '/' | '.' | ':' | ' ' | ',' | 'A'..='Z' | 'a'..='z')) => (Piece::Literal(c as u8), false),
            Node::Field(f) if f.ordinal.is_none() => {
                let piece = match f.keyword {
                    Keyword::Year(4) if !f.fill => Piece::Year,
                    Keyword::Year(2) if !f.fill => Piece::ShortYear,
                    Keyword::Month => Piece::Month,
                    Keyword::MonthName(_) => Piece::MonthName,
                    Keyword::MonthShort(_) => Piece::MonthShort,
                    Keyword::DayOfMonth => Piece::Day,
                    Keyword::Day(_) => Piece::Weekday,
                    Keyword::DayShort(_) => Piece::WeekdayShort,
                    Keyword::Hour24 => Piece::Hour,
                    Keyword::Hour12 => Piece::Hour12,
                    Keyword::Meridiem { dots: false, .. } => Piece::Meridiem,
                    Keyword::Minute => Piece::Minute,
                    Keyword::Second => Piece::Second,
                    Keyword::Fraction(3) if !f.fill && pattern.to_ascii_uppercase().contains("MS") => Piece::Millis,
                    Keyword::Fraction(6) if !f.fill && pattern.to_ascii_uppercase().contains("US") => Piece::Micros,
                    _ => return Err(unread()),
                };
                (piece, f.fill)
            }
            _ => return Err(unread()),
        };
        if out.iter().any(|(p, _)| *p == piece) && !matches!(piece, Piece::Literal(_)) {
            return Err(unread());
        }
        out.push((piece, fill));
    }
    let has = |of: &[Piece]| out.iter().filter(|(p, _)| of.contains(p)).count();
    let twice = [[Piece::Year, Piece::ShortYear], [Piece::Hour, Piece::Hour12], [Piece::Hour, Piece::Meridiem], [Piece::Weekday, Piece::WeekdayShort]];
    if has(&[Piece::Year, Piece::ShortYear]) == 0
        || has(&[Piece::Month, Piece::MonthName, Piece::MonthShort]) > 1
        || twice.iter().any(|pair| has(pair) > 1)
        || pattern.to_ascii_uppercase().contains("FF")
    {
        return Err(unread());
    }
    // `is_next_separator`
    let is_digits = |p: &Piece| !matches!(p, Piece::Literal(_) | Piece::MonthName | Piece::MonthShort | Piece::Weekday | Piece::WeekdayShort | Piece::Meridiem);
    let next: Vec<bool> = out.iter().skip(1).map(|(p, _)| is_digits(p)).chain([false]).collect();
    Ok(out.into_iter().zip(next).map(|((piece, fill), digits_follow)| (piece, fill || !digits_follow)).collect())
}

/// The place of the name that the text goes on with, in any case, from 1.
fn name(c: &mut Cursor<'_>, names: &[&str], letters: Option<usize>) -> Option<i64> {
    let found = names.iter().position(|name| {
        let name = name.get(..letters.unwrap_or(name.len())).unwrap_or(name);
        c.rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
    })?;
    let length = letters.or_else(|| names.get(found).map(|n| n.len()))?;
    c.rest = c.rest.get(length..)?;
    i64::try_from(found + 1).ok()
}

/// Microseconds of the local time that a text names; `None` if it does not fit the pattern exactly.
fn local(pieces: &[(Piece, bool)], text: &str) -> Option<i64> {
    let mut c = Cursor { rest: text.as_bytes() };
    let (mut year, mut month, mut day, mut time) = (0, 1, 1, 0);
    let (mut hour12, mut afternoon) = (None, false);
    for (piece, open) in pieces {
        let mut two = || {
            let digits = c.rest.iter().take_while(|b| b.is_ascii_digit()).count();
            if *open && digits > 2 { None } else { c.digits(if *open && digits == 1 { 1 } else { 2 }) }
        };
        match piece {
            Piece::Month => month = two()?,
            Piece::Day => day = two()?,
            Piece::Hour => time += two().filter(|h| *h < 24)? * HOUR_US,
            Piece::Hour12 => hour12 = Some(two().filter(|h| (1..=12).contains(h))?),
            Piece::Minute => time += two().filter(|m| *m < 60)? * MINUTE_US,
            Piece::Second => time += two().filter(|s| *s < 60)? * SECOND_US,
            Piece::Literal(l) => c.eat(*l)?,
            Piece::Year => year = c.digits(4)?,
            Piece::ShortYear => year = c.digits(2).map(|y| if y < 70 { 2000 + y } else { 1900 + y })?,
            Piece::MonthName => month = name(&mut c, &MONTHS, None)?,
            Piece::MonthShort => month = name(&mut c, &MONTHS, Some(3))?,
            Piece::Weekday => {
                name(&mut c, &DAYS, None)?;
            }
            Piece::WeekdayShort => {
                name(&mut c, &DAYS, Some(3))?;
            }
            Piece::Meridiem => afternoon = name(&mut c, &["AM", "PM"], None)? == 2,
            Piece::Millis => time += c.digits(3)? * 1000,
            Piece::Micros => time += c.digits(6)?,
        }
        // Further digits would be read as part of a year that is followed by no digits.
        if matches!(piece, Piece::Year | Piece::ShortYear) && *open && c.rest.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
    }
    (c.rest.is_empty()).then_some(())?;
    if let Some(hour) = hour12 {
        time += (hour % 12 + if afternoon { 12 } else { 0 }) * HOUR_US;
    } else if pieces.iter().any(|(p, _)| *p == Piece::Meridiem) {
        return None;
    }
    Some(checked_day(year, month, day)? * DAY_US + time)
}

fn read(call: &Call<'_>, text: &Value, pattern: &Value) -> Result<Value> {
    let out = arrow_type(&call.ty).ok_or_else(|| refused("a type without Arrow form"))?;
    let pattern = match constant_text(pattern) {
        None => return Err(refused("a pattern that is not constant")),
        Some(None) => return Ok(Value::new(lit(ScalarValue::try_new_null(&out)?), out, call.ty)),
        Some(Some(pattern)) => pattern.to_owned(),
    };
    let pieces = pieces(&pattern)?;
    let (name, key, kernel) = if call.func == 1780 {
        ("pg_to_date", pattern, parsed::<Date32Type>(out.clone(), move |s| Ok(local(&pieces, s).map(timestamp_to_date))))
    } else {
        let zone = Zone::named(&call.session.timezone)?;
        let key = format!("{} {pattern}", zone.name);
        let kernel = parsed::<TimestampMicrosecondType>(out.clone(), move |s| local(&pieces, s).map(|t| zone.from_timestamp(t)).transpose());
        ("pg_to_timestamp_text", key, kernel)
    };
    Ok(Value::new(udf::call(name, key, out.clone(), vec![text.expr.clone()], kernel), out, call.ty))
}
